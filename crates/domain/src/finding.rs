//! Findings: a vulnerability of a project, with an identity and a life.
//!
//! # Identity
//!
//! What makes a vulnerability the same one in the next scan, for all scanners and whatever they call their runs:
//!
//! | where | identity |
//! |---|---|
//! | in a component | its best name (CVE, else GHSA, else the report's id) and the package URL without version and qualifiers |
//! | in code, with `fingerprints` | tool, rule, fingerprint |
//! | in code, with `partialFingerprints` | tool, rule, file, fingerprint |
//! | in code, with a snippet | tool, rule, file, hash of the snippet's first line with its white space squeezed |
//! | in code, without | tool, rule, file, hash of the message |
//! | at a resource | rule, resource address |
//!
//! Line numbers are no part of it, so code that moves keeps its findings; nor are versions, so an upgrade that does not
//! help keeps them too. A component's or resource's finding is the same one whichever tool saw it. Several of one identity
//! in one report are told apart by a number, in the order of their lines or versions: see [`crate::snapshot`].
//!
//! Known limits: a renamed file, a changed line, or a vulnerability that is given a CVE later, is a new finding and the
//! old one is gone.

use std::str::FromStr;

use jiff::Timestamp;
use packageurl::PackageUrl;
use sha2::{Digest, Sha256};
use watchbell_wire::Severity;
use watchbell_wire::event::Component;

use crate::id::{FindingId, OrgId, ProjectId};
use crate::scan::Verdict;

/// A vulnerability of a project.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Joins all its events.
    pub id: FindingId,
    /// Whose it is.
    pub org_id: OrgId,
    /// Where it was found.
    pub project_id: ProjectId,
    /// What makes it the same finding in the next scan; unique in the project. See [`Observation::identity`].
    pub identity: String,
    /// Where it stands.
    pub status: FindingStatus,
    /// What is known of it, from the last scan that saw it.
    pub observation: Observation,
    /// First seen.
    pub first_seen_at: Timestamp,
    /// Last seen.
    pub last_seen_at: Timestamp,
    /// When it was found gone, if it is.
    pub remediated_at: Option<Timestamp>,
}

/// Where a finding stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingStatus {
    /// There.
    Open,
    /// Gone.
    Remediated,
    /// There, and the report says that nobody need act (SARIF suppressions, VEX).
    Suppressed,
}

impl FindingStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Open, Self::Remediated, Self::Suppressed];

    /// The name in API and store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Remediated => "remediated",
            Self::Suppressed => "suppressed",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// What a report says of one vulnerability. Also its form in the store (JSON).
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Observation {
    /// The tool that saw it: `bandit`, `grype`.
    pub tool: String,
    /// One line for people.
    pub title: String,
    /// Longer, Markdown, may be empty.
    pub description: String,
    /// On our scale.
    pub severity: Severity,
    /// The tool's rule or the vulnerability's id in the report.
    pub rule_id: String,
    /// CVE, when it has one.
    pub cve_id: Option<String>,
    /// Other names of the vulnerability.
    pub aliases: Vec<String>,
    /// `CWE-78`.
    pub cwes: Vec<String>,
    /// 0.0 to 10.0.
    pub cvss_score: Option<f64>,
    /// Vector text.
    pub cvss_vector: Option<String>,
    /// What is vulnerable, for findings in components.
    pub component: Option<Component>,
    /// Versions in which it is fixed.
    pub fixed_in: Vec<String>,
    /// File with line, or resource address.
    pub location: Option<String>,
    /// What tells it from others of its rule in code: `full:`, `partial:`, `snippet:` or `message:` and a hash, after what
    /// the hash is of. `None` in components and at resources.
    pub fingerprint: Option<String>,
    /// A page about it.
    pub url: Option<String>,
    /// The report says that nobody need act.
    pub suppressed: bool,
    /// What the report's own analysis (VEX) says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Why, in the format's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
}

impl Observation {
    /// What makes it the same finding in the next scan. The module says how.
    pub fn identity(&self) -> String {
        let rule = self.rule_id.as_str();
        match (&self.component, &self.fingerprint) {
            (Some(component), _) => joined(&["component", self.best_name(), &package(component)]),
            (None, Some(print)) if print.starts_with("full:") => joined(&["code", &self.tool, rule, print]),
            (None, Some(print)) => joined(&["code", &self.tool, rule, self.file(), print]),
            (None, None) => joined(&["resource", self.best_name(), self.location.as_deref().unwrap_or_default()]),
        }
    }

    /// The file of a finding in code, without the line.
    pub fn file(&self) -> &str {
        let location = self.location.as_deref().unwrap_or_default();
        match location.rsplit_once(':') {
            Some((file, line)) if line.parse::<u64>().is_ok() => file,
            Some(_) | None => location,
        }
    }

    /// The line of a finding in code.
    pub fn line(&self) -> Option<u64> {
        self.location.as_deref()?.rsplit_once(':')?.1.parse().ok()
    }

    fn best_name(&self) -> &str {
        let ghsa = || self.aliases.iter().filter(|alias| alias.starts_with("GHSA-")).min();
        let best = self.cve_id.as_ref().or_else(ghsa);
        best.unwrap_or(&self.rule_id)
    }
}

/// The package URL without version, qualifiers and subpath, else the name.
pub(crate) fn package(component: &Component) -> String {
    let purl = component.purl.as_deref().and_then(|purl| PackageUrl::from_str(purl).ok());
    match purl {
        Some(mut purl) => {
            purl.without_version().clear_qualifiers().without_subpath();
            purl.to_string()
        }
        None => component.name.clone(),
    }
}

/// Longest identity, in bytes; of a longer one the end is a hash of all of it.
const IDENTITY_BYTES_MAX: usize = 512;

fn joined(parts: &[&str]) -> String {
    let identity = parts.iter().map(|part| escaped(part)).collect::<Vec<_>>().join("|");
    if identity.len() <= IDENTITY_BYTES_MAX {
        return identity;
    }
    let hash = hex::encode(Sha256::digest(identity.as_bytes()));
    let kept = IDENTITY_BYTES_MAX - hash.len() - 1;
    let mut short: String = identity.chars().take(kept).collect();
    while short.len() > kept {
        short.pop();
    }
    format!("{short}|{hash}")
}

/// Without the characters that part an identity and number it.
fn escaped(part: &str) -> String {
    part.replace('%', "%25").replace('|', "%7C").replace('#', "%23")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(cve: Option<&str>, aliases: &[&str], purl: &str) -> Observation {
        Observation {
            rule_id: "PYSEC-2021-142".to_owned(),
            cve_id: cve.map(str::to_owned),
            aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
            component: Some(Component { name: "PyYAML".to_owned(), version: None, purl: Some(purl.to_owned()) }),
            ..Observation::default()
        }
    }

    fn code(location: &str, fingerprint: &str) -> Observation {
        Observation {
            tool: "bandit".to_owned(),
            rule_id: "B602".to_owned(),
            location: Some(location.to_owned()),
            fingerprint: Some(fingerprint.to_owned()),
            ..Observation::default()
        }
    }

    #[test]
    fn a_component_is_named_by_its_best_name_and_its_package() {
        let purl = "pkg:pypi/pyyaml@5.3.1?arch=x86#src";
        let ghsa = &["GHSA-8q59-q68h-6hv4"];
        let by_cve = component(Some("CVE-2020-14343"), ghsa, purl);
        assert_eq!(by_cve.identity(), "component|CVE-2020-14343|pkg:pypi/pyyaml");
        assert_eq!(component(None, ghsa, purl).identity(), "component|GHSA-8q59-q68h-6hv4|pkg:pypi/pyyaml");
        assert_eq!(component(None, &[], purl).identity(), "component|PYSEC-2021-142|pkg:pypi/pyyaml");
    }

    #[test]
    fn another_tool_sees_the_same_component_but_its_own_code() {
        let other = |observation: &Observation| Observation { tool: "other".to_owned(), ..observation.clone() };
        let in_component = component(Some("CVE-2020-14343"), &[], "pkg:pypi/pyyaml@5.3.1");
        assert_eq!(in_component.identity(), other(&in_component).identity());
        let in_code = code("shop.py:3", "snippet:00");
        assert_ne!(in_code.identity(), other(&in_code).identity());
    }

    #[test]
    fn lines_play_no_part_and_files_do_unless_the_tool_says_who_is_who() {
        assert_eq!(code("shop.py:3", "snippet:00").identity(), code("shop.py:99", "snippet:00").identity());
        assert_ne!(code("shop.py:3", "snippet:00").identity(), code("other.py:3", "snippet:00").identity());
        assert_ne!(code("shop.py:3", "partial:00").identity(), code("other.py:3", "partial:00").identity());
        assert_eq!(code("shop.py:3", "full:00").identity(), code("other.py:3", "full:00").identity());
    }

    #[test]
    fn a_resource_is_its_address() {
        let at = |tool: &str| Observation {
            tool: tool.to_owned(),
            rule_id: "AVD-AWS-0088".to_owned(),
            location: Some("aws_s3_bucket.invoices:8080".to_owned()),
            ..Observation::default()
        };
        assert_eq!(at("a").identity(), "resource|AVD-AWS-0088|aws_s3_bucket.invoices:8080");
        assert_eq!(at("a").identity(), at("b").identity());
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(code("a|b", "snippet:0").identity(), code("a", "b|snippet:0").identity());
        assert_ne!(code("a#2", "snippet:0").identity(), code("a%232", "snippet:0").identity());
    }

    #[test]
    fn a_long_identity_is_cut_and_still_its_own() {
        let long = |end: &str| code(&format!("{}{end}", "ä".repeat(2_000)), "snippet:00").identity();
        assert_eq!(long("x").len(), long("y").len());
        assert!(long("x").len() <= IDENTITY_BYTES_MAX);
        assert_ne!(long("x"), long("y"));
    }
}
