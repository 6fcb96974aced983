//! Names that tools write in many ways, brought to one spelling: tools, vulnerabilities, weaknesses, files, versions.

use std::collections::BTreeSet;

use super::lenient::limit_text;
use super::limit;

/// A tool's name: `Bandit` and `bandit` are one.
pub(super) fn tool(name: &str) -> String {
    limit_text(name, limit::TOOL_MAX).to_lowercase()
}

/// The CVE id in a text: `CVE-2020-14343` in `cve-2020-14343-pyyaml`.
pub(super) fn cve(text: &str) -> Option<String> {
    let upper = text.to_ascii_uppercase();
    upper.split("CVE-").skip(1).find_map(|rest| {
        let (year, number) = rest.split_once('-')?;
        let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
        let is_year = year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit());
        (is_year && (4..=19).contains(&digits.len())).then(|| format!("CVE-{year}-{digits}"))
    })
}

/// The CVE id that a text is, not merely holds.
pub(super) fn whole_cve(text: &str) -> Option<String> {
    cve(text).filter(|cve| cve.len() == text.trim().len())
}

/// A vulnerability's names in their one spelling, in their order, none twice.
pub(crate) fn of_vulnerability(given: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for name in given {
        let name = limit_text(name.as_ref(), limit::NAME_MAX);
        let name = whole_cve(&name).unwrap_or(name);
        if !name.is_empty() && !all.contains(&name) && all.len() < limit::LIST_MAX {
            all.push(name);
        }
    }
    all
}

/// Adds the weakness that a text names: `CWE-78` from `external/cwe/cwe-078`, `CWE-78: OS command…`.
pub(crate) fn add_cwe(text: &str, cwes: &mut BTreeSet<String>) {
    if text.len() > limit::NAME_MAX {
        return;
    }
    let lower = text.to_ascii_lowercase();
    let number =
        lower.split("cwe-").nth(1).map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    if let Some(number) = number.and_then(|digits| digits.parse::<u32>().ok()) {
        add_cwe_number(number, cwes);
    }
}

/// The weaknesses that texts name, in order, none twice.
pub(super) fn cwes<'t>(texts: impl IntoIterator<Item = &'t str>) -> Vec<String> {
    let mut cwes = BTreeSet::new();
    for text in texts {
        add_cwe(text, &mut cwes);
    }
    cwes.into_iter().collect()
}

/// Adds a weakness by number.
pub(super) fn add_cwe_number(number: u32, cwes: &mut BTreeSet<String>) {
    if number > 0 && cwes.len() < limit::LIST_MAX {
        cwes.insert(format!("CWE-{number}"));
    }
}

/// A link that people can follow, or nothing.
pub(crate) fn url(text: &str) -> Option<String> {
    let is_link = text.starts_with("https://") || text.starts_with("http://");
    (is_link && text.len() <= limit::URL_MAX && !text.chars().any(char::is_whitespace)).then(|| text.to_owned())
}

/// A file's path as the project sees it: no scheme, no leading `./`, forward slashes, escapes resolved.
pub(super) fn path(uri: &str) -> String {
    let bare = uri.strip_prefix("file://").unwrap_or(uri);
    let mut path = percent_decode(bare).replace('\\', "/");
    while let Some(rest) = path.strip_prefix("./") {
        path = rest.to_owned();
    }
    limit_text(&path, limit::PATH_MAX)
}

/// Resolves `%20` and its kin; what is no escape, or no UTF-8, stays.
pub(super) fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escape = after.get(..2).filter(|_| first == b'%').map(hex::decode);
        match escape {
            Some(Ok(decoded)) => {
                bytes.extend(decoded);
                rest = after.get(2..).unwrap_or_default();
            }
            Some(Err(_)) | None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// The versions that an advice names: `2.6.7.5`, `2.8.11.1` in `Upgrade x to version 2.6.7.5, 2.8.11.1 or higher.`
pub(super) fn versions_in_advice(advice: &str) -> Vec<String> {
    let mut words = advice.split(|c: char| c.is_whitespace() || c == ',' || c == ';').filter(|word| !word.is_empty());
    let is_lead = |word: &str| word.eq_ignore_ascii_case("version") || word.eq_ignore_ascii_case("versions");
    if !words.any(is_lead) {
        return Vec::new();
    }
    words
        .map(|word| word.trim_end_matches('.'))
        .filter(|word| !matches!(*word, "or" | "and"))
        .take_while(|word| word.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit()))
        .map(|word| limit_text(word, limit::NAME_MAX))
        .take(limit::LIST_MAX)
        .collect()
}

/// The upper bounds of a version range, which are the first versions without the fault: `2.8.11.1` in
/// `vers:semver/2.7.0|<2.8.11.1`.
pub(super) fn versions_after_range(range: &str) -> Vec<String> {
    let constraints = range.split_once('/').map_or(range, |(_, constraints)| constraints);
    constraints
        .split('|')
        .filter_map(|constraint| constraint.trim().strip_prefix('<'))
        .filter(|version| !version.starts_with('='))
        .map(|version| limit_text(&percent_decode(version), limit::NAME_MAX))
        .take(limit::LIST_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("CVE-2020-14343", Some("CVE-2020-14343"))]
    #[case("cve-2020-14343-pyyaml", Some("CVE-2020-14343"))]
    #[case("CVE-20-14343", None)]
    #[case("CVE-2020-143", None)]
    #[case("GHSA-8q59-q68h-6hv4", None)]
    fn cve_is_found(#[case] text: &str, #[case] expected: Option<&str>) {
        assert_eq!(cve(text).as_deref(), expected);
    }

    #[rstest::rstest]
    #[case("external/cwe/cwe-078", &["CWE-78"])]
    #[case("CWE-502: Deserialization", &["CWE-502"])]
    #[case("security", &[])]
    #[case("CWE-0", &[])]
    fn cwe_is_found(#[case] text: &str, #[case] expected: &[&str]) {
        let mut cwes = BTreeSet::new();
        add_cwe(text, &mut cwes);
        assert_eq!(cwes.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }

    #[rstest::rstest]
    #[case("./shop.py", "shop.py")]
    #[case("file:///src/a%20b.py", "/src/a b.py")]
    #[case("src\\shop.cs", "src/shop.cs")]
    #[case("100%", "100%")]
    #[case("%zz%ff", "%zz%ff")]
    fn paths_have_one_spelling(#[case] uri: &str, #[case] expected: &str) {
        assert_eq!(path(uri), expected);
    }

    #[rstest::rstest]
    #[case("Upgrade jinja2 to version 2.10.1", &["2.10.1"])]
    #[case("Upgrade x to version 2.6.7.5, 2.8.11.1 or higher.", &["2.6.7.5", "2.8.11.1"])]
    #[case("Upgrade", &[])]
    #[case("There is no version that helps", &[])]
    fn advice_names_versions(#[case] advice: &str, #[case] expected: &[&str]) {
        assert_eq!(versions_in_advice(advice), expected);
    }

    #[rstest::rstest]
    #[case("vers:semver/2.7.0|<2.8.11.1", &["2.8.11.1"])]
    #[case("vers:pypi/<=5.3.1", &[])]
    #[case("<5.4", &["5.4"])]
    fn ranges_end_where_the_fault_does(#[case] range: &str, #[case] expected: &[&str]) {
        assert_eq!(versions_after_range(range), expected);
    }
}
