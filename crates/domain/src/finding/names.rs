//! Names of vulnerabilities, in one spelling, and which of them say that two findings are the same.
//!
//! CVE, GHSA, OSV and the ecosystems' and vendors' databases name one vulnerability each, so two findings of one component
//! that share such a name are one. A distribution's bulletin (`DSA-…`, `RHSA-…`) is about several at once: it names a
//! finding that has no other name, and joins nothing.

use std::collections::BTreeSet;

use super::Observation;

/// Databases whose ids are written in upper case.
const UPPER: [&str; 14] = [
    "CVE-", "PYSEC-", "RUSTSEC-", "GO-", "OSV-", "MAL-", "GMS-", "GSD-", "SNYK-", "CKV_", "CKV2_", "AVD-", "EUVD-",
    "BIT-",
];

/// What begins so is about several vulnerabilities.
const BULLETINS: [&str; 24] = [
    "DSA-",
    "DLA-",
    "DTSA-",
    "USN-",
    "LSN-",
    "RHSA-",
    "RHBA-",
    "RHEA-",
    "ELSA-",
    "ELBA-",
    "ALAS",
    "ALSA-",
    "ALBA-",
    "RLSA-",
    "RXSA-",
    "SUSE-SU-",
    "SUSE-RU-",
    "OPENSUSE-SU-",
    "GLSA-",
    "FEDORA-",
    "MGASA-",
    "ASA-",
    "CESA-",
    "FREEBSD-SA",
];

/// The name in the spelling of its database.
pub(super) fn normal(name: &str) -> String {
    let name = name.trim();
    let upper = name.to_ascii_uppercase();
    if let Some(rest) = upper.strip_prefix("GHSA-") {
        return format!("GHSA-{}", rest.to_ascii_lowercase());
    }
    match UPPER.iter().any(|prefix| upper.starts_with(prefix)) {
        true => upper,
        false => name.to_owned(),
    }
}

fn is_bulletin(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    BULLETINS.iter().any(|prefix| upper.starts_with(prefix))
}

/// The names that an observation gives its vulnerability; at least one, which may be empty.
pub(super) fn of(observation: &Observation) -> BTreeSet<String> {
    let given = observation.cve_id.iter().chain(&observation.aliases).chain(std::iter::once(&observation.rule_id));
    let all: BTreeSet<String> = given.map(|name| normal(name)).filter(|name| !name.is_empty()).collect();
    let joining: BTreeSet<String> = all.iter().filter(|name| !is_bulletin(name)).cloned().collect();
    match (joining.is_empty(), all.is_empty()) {
        (false, _) => joining,
        (true, false) => all,
        (true, true) => BTreeSet::from([String::new()]),
    }
}

/// The name to call it by: CVE, else GHSA, else what the report calls it, else any.
pub(super) fn best<'n>(names: &'n BTreeSet<String>, observation: &Observation) -> &'n str {
    let own = |wanted: &str| names.get(&normal(wanted)).map(String::as_str);
    let first = |prefix: &str| names.iter().find(|name| name.starts_with(prefix)).map(String::as_str);
    let cve = observation.cve_id.as_deref().and_then(own).or_else(|| first("CVE-"));
    let best = cve.or_else(|| first("GHSA-")).or_else(|| own(&observation.rule_id));
    best.or_else(|| names.first().map(String::as_str)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(rule: &str, cve: Option<&str>, aliases: &[&str]) -> Observation {
        Observation {
            rule_id: rule.to_owned(),
            cve_id: cve.map(str::to_owned),
            aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
            ..Observation::default()
        }
    }

    #[rstest::rstest]
    #[case("cve-2020-14343", "CVE-2020-14343")]
    #[case(" ghsa-8Q59-q68h-6hv4", "GHSA-8q59-q68h-6hv4")]
    #[case("rustsec-2021-0001", "RUSTSEC-2021-0001")]
    #[case("npm:ms:20170412", "npm:ms:20170412")]
    fn names_have_one_spelling(#[case] given: &str, #[case] expected: &str) {
        assert_eq!(normal(given), expected);
        assert_eq!(normal(&normal(given)), expected);
    }

    #[test]
    fn a_bulletin_joins_nothing_but_names_what_has_no_other_name() {
        let names = of(&observed("DSA-5000-1", Some("CVE-2021-1234"), &["USN-1-1"]));
        assert_eq!(names, BTreeSet::from(["CVE-2021-1234".to_owned()]));
        assert_eq!(of(&observed("DSA-5000-1", None, &[])), BTreeSet::from(["DSA-5000-1".to_owned()]));
    }

    #[test]
    fn the_best_name_is_the_one_everybody_knows() {
        let by = |rule, cve, aliases: &[&str]| {
            let observation = observed(rule, cve, aliases);
            best(&of(&observation), &observation).to_owned()
        };
        assert_eq!(by("PYSEC-2021-142", Some("CVE-2020-14343"), &["GHSA-a"]), "CVE-2020-14343");
        assert_eq!(by("PYSEC-2021-142", None, &["GHSA-a"]), "GHSA-a");
        assert_eq!(by("PYSEC-2021-142", None, &["SNYK-1"]), "PYSEC-2021-142");
    }
}
