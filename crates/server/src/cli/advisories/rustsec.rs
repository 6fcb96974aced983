//! RustSec's advisories: TOML in the first fence of a Markdown file, then a heading and text:
//! <https://github.com/rustsec/advisory-db>, read July 2026.
//!
//! They say which versions are patched or were never affected. What OSV wants is the rest: the ranges between.

use jiff::Timestamp;
use semver::{BuildMetadata, Comparator, Op, Prerelease, Version, VersionReq};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct FrontMatter {
    advisory: Advisory,
    #[serde(default)]
    versions: Versions,
}

#[derive(Deserialize)]
struct Advisory {
    id: String,
    package: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    cvss: Option<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    withdrawn: Option<toml::Value>,
    #[serde(default)]
    collection: Option<String>,
}

#[derive(Deserialize, Default)]
struct Versions {
    #[serde(default)]
    patched: Vec<String>,
    #[serde(default)]
    unaffected: Vec<String>,
}

/// A document of OSV. `modified`: RustSec's own do not say when they were changed.
pub(super) fn document(text: &str, modified: Timestamp) -> Result<Value, String> {
    let (_, rest) = text.split_once("```toml").ok_or("it has no TOML in front")?;
    let (front, body) = rest.split_once("\n```").ok_or("its TOML has no end")?;
    let front: FrontMatter = toml::from_str(front).map_err(|error| error.message().to_owned())?;
    let advisory = front.advisory;
    let body = body.trim();
    let (heading, details) = body.split_once('\n').unwrap_or((body, ""));
    let ranges = affected(&front.versions)?;
    let ecosystem = match advisory.collection.as_deref() {
        Some("rust") => "Rust",
        Some(_) | None => "crates.io",
    };
    let mut document = json!({
        "id": advisory.id,
        "modified": modified,
        "aliases": advisory.aliases,
        "summary": heading.trim_start_matches('#').trim(),
        "details": details.trim(),
        "affected": [{"package": {"ecosystem": ecosystem, "name": advisory.package},
            "ranges": [{"type": "SEMVER", "events": events(&ranges)}]}],
        "references": [{"type": "ADVISORY", "url": format!("https://rustsec.org/advisories/{}.html", advisory.id)}],
    });
    if let Some(cvss) = advisory.cvss {
        let kind = if cvss.starts_with("CVSS:4") { "CVSS_V4" } else { "CVSS_V3" };
        set(&mut document, "severity", json!([{"type": kind, "score": cvss}]));
    }
    if advisory.withdrawn.is_some() {
        set(&mut document, "withdrawn", json!(modified));
    }
    if let (Some(url), Some(references)) = (advisory.url, document.pointer_mut("/references")) {
        references.as_array_mut().into_iter().for_each(|all| all.push(json!({"type": "WEB", "url": url})));
    }
    Ok(document)
}

fn set(document: &mut Value, name: &str, value: Value) {
    if let Some(members) = document.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

/// From the first version up to, and without, the second; `None`: without an end.
type Range = (Version, Option<Version>);

/// What lies between the versions that are patched or unaffected.
fn affected(versions: &Versions) -> Result<Vec<Range>, String> {
    let mut safe: Vec<Range> = Vec::new();
    for text in versions.patched.iter().chain(&versions.unaffected) {
        let requirement = VersionReq::parse(text).map_err(|error| format!("{text:?}: {error}"))?;
        safe.extend(range(&requirement));
    }
    safe.sort();
    let mut found = Vec::new();
    let mut from = Some(first());
    for (start, end) in safe {
        if let Some(begin) = &from
            && *begin < start
        {
            found.push((begin.clone(), Some(start)));
        }
        from = match (from, end) {
            (None, _) | (_, None) => None,
            (Some(begin), Some(end)) => Some(begin.max(end)),
        };
    }
    found.extend(from.map(|begin| (begin, None)));
    Ok(found)
}

/// Where all comparators hold. `None`: nowhere.
fn range(requirement: &VersionReq) -> Option<Range> {
    let whole: Range = (first(), None);
    let all = requirement.comparators.iter().map(bounds).fold(whole, |(start, end), (from, to)| {
        let end = match (end, to) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        (start.max(from), end)
    });
    let is_empty = all.1.as_ref().is_some_and(|end| *end <= all.0);
    (!is_empty).then_some(all)
}

fn bounds(comparator: &Comparator) -> Range {
    let (major, minor, patch) = (comparator.major, comparator.minor, comparator.patch);
    let at = Version {
        major,
        minor: minor.unwrap_or(0),
        patch: patch.unwrap_or(0),
        pre: comparator.pre.clone(),
        build: BuildMetadata::EMPTY,
    };
    // Behind everything that the given numbers name.
    let behind = match (minor, patch) {
        (None, _) => Version::new(major.saturating_add(1), 0, 0),
        (Some(minor), None) => Version::new(major, minor.saturating_add(1), 0),
        (Some(_), Some(_)) => next(&at),
    };
    let compatible = match (major, minor, patch) {
        (0, Some(0), Some(patch)) => Version::new(0, 0, patch.saturating_add(1)),
        (0, Some(0), None) => Version::new(0, 1, 0),
        (0, Some(minor), _) => Version::new(0, minor.saturating_add(1), 0),
        (_, _, _) => Version::new(major.saturating_add(1), 0, 0),
    };
    match comparator.op {
        Op::GreaterEq => (at, None),
        Op::Greater => (behind, None),
        Op::Less => (first(), Some(at)),
        Op::LessEq => (first(), Some(behind)),
        Op::Caret => (at, Some(compatible)),
        Op::Tilde => {
            let end = minor.map_or_else(
                || Version::new(major.saturating_add(1), 0, 0),
                |minor| Version::new(major, minor.saturating_add(1), 0),
            );
            (at, Some(end))
        }
        Op::Exact | Op::Wildcard => (at, Some(behind)),
        // Semver may come to know more of them; of those nothing is said.
        _ => (first(), Some(first())),
    }
}

/// The least version of all.
fn first() -> Version {
    pre_release(Version::new(0, 0, 0))
}

/// The least version that is greater.
fn next(version: &Version) -> Version {
    if version.pre.is_empty() {
        return pre_release(Version::new(version.major, version.minor, version.patch.saturating_add(1)));
    }
    let pre = Prerelease::new(&format!("{}.0", version.pre)).unwrap_or_default();
    Version { pre, ..version.clone() }
}

fn pre_release(version: Version) -> Version {
    Version { pre: Prerelease::new("0").unwrap_or_default(), ..version }
}

fn events(ranges: &[Range]) -> Vec<Value> {
    let mut events = Vec::new();
    for (start, end) in ranges {
        events.push(json!({"introduced": start.to_string()}));
        events.extend(end.as_ref().map(|end| json!({"fixed": end.to_string()})));
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(patched: &[&str], unaffected: &[&str]) -> Vec<String> {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let versions = Versions { patched: owned(patched), unaffected: owned(unaffected) };
        let show =
            |(start, end): &Range| format!("{start}..{}", end.as_ref().map_or_else(String::new, Version::to_string));
        affected(&versions).unwrap().iter().map(show).collect()
    }

    #[rstest::rstest]
    #[case(&[], &[], &["0.0.0-0.."])]
    #[case(&[">= 0.9.7"], &[], &["0.0.0-0..0.9.7"])]
    #[case(&[">= 0.9.7"], &["< 0.3.0"], &["0.3.0..0.9.7"])]
    #[case(&["^1.2.3", ">= 2.0.1"], &["<= 1.0.0"], &["1.0.1-0..1.2.3", "2.0.0..2.0.1"])]
    #[case(&["> 1.2.3"], &[], &["0.0.0-0..1.2.4-0"])]
    #[case(&[">= 1.1.5, < 1.2.0", "~1.2.2", ">= 1.3"], &[], &["0.0.0-0..1.1.5", "1.2.0..1.2.2"])]
    #[case(&["= 1.0.0"], &["0.1.*"], &["0.0.0-0..0.1.0", "0.2.0..1.0.0", "1.0.1-0.."])]
    #[case(&[">= 2", ">= 1"], &[], &["0.0.0-0..1.0.0"])]
    fn what_is_affected_is_what_is_left(#[case] patched: &[&str], #[case] unaffected: &[&str], #[case] left: &[&str]) {
        assert_eq!(ranges(patched, unaffected), left);
    }

    #[test]
    fn an_advisory_is_read_whole() {
        let text = "```toml\n[advisory]\nid = \"RUSTSEC-2026-0001\"\npackage = \"shop\"\ndate = \"2026-01-02\"\n\
            url = \"https://example.com/1\"\ncvss = \"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\"\n\
            aliases = [\"CVE-2026-0001\"]\n\n[versions]\npatched = [\">= 1.2.0\"]\n```\n\n# Prices can be negative\n\nAll of it.\n";
        let modified: Timestamp = "2026-02-03T04:05:06Z".parse().unwrap();
        let document = document(text, modified).unwrap();
        let entry = watchbell_domain::advisory::osv::parse(document).unwrap();
        let watchbell_domain::advisory::osv::Entry::Advisory(advisory) = entry else { panic!("withdrawn") };
        assert_eq!((advisory.id.as_str(), advisory.modified), ("RUSTSEC-2026-0001", modified));
        assert_eq!((advisory.summary.as_str(), advisory.details.as_str()), ("Prices can be negative", "All of it."));
        assert_eq!(advisory.cvss_score, Some(9.8));
        assert_eq!(advisory.url.as_deref(), Some("https://rustsec.org/advisories/RUSTSEC-2026-0001.html"));
        let withdrawn = text.replace("aliases", "withdrawn = \"2026-02-02\"\naliases");
        let document = super::document(&withdrawn, modified).unwrap();
        let entry = watchbell_domain::advisory::osv::parse(document).unwrap();
        assert_eq!(entry.id(), "RUSTSEC-2026-0001");
        assert!(matches!(entry, watchbell_domain::advisory::osv::Entry::Withdrawn { .. }));
        assert!(super::document("no fence", modified).is_err());
    }
}
