//! Findings: a vulnerability of a project, with an identity and a life.

use jiff::Timestamp;
use watchbell_wire::Severity;
use watchbell_wire::event::Component;

use crate::id::{FindingId, OrgId, ProjectId};

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
    /// Code identity from the report: SARIF's `partialFingerprints`, or the snippet's hash.
    pub fingerprint: Option<String>,
    /// A page about it.
    pub url: Option<String>,
    /// The report says that nobody need act.
    pub suppressed: bool,
}
