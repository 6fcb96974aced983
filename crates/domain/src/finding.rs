//! Findings: a vulnerability of a project, with an identity and a life.
//!
//! - What makes it the same one in the next scan: [`identity`]; `docs/identity.md` has the rule of every format.
//! - Where it stands is never set but follows from what is known: which tools still see it ([`Sight`]), what was judged of
//!   it ([`Judgement`]), and what the reports themselves say ([`Observation::suppressed`]). See [`Finding::standing`]. So
//!   the order in which things become known plays no part.
//! - What happened to it, when, by whom and why: [`FindingChange`], one for each transition, each with its event.

use std::collections::BTreeSet;

use jiff::Timestamp;
use watchbell_wire::Severity;
use watchbell_wire::event::Component;

use crate::id::{FindingId, OrgId, ProjectId, SourceId};

mod history;
pub mod identity;
mod judge;
pub(crate) mod merge;
mod name_set;
mod names;
mod package;
mod sights;

pub use history::{ChangedBy, FindingChange};
pub use judge::{Judged, Judgement, Unjudgeable, Verdict, expire, judge};
pub use name_set::NameSet;
pub use sights::Sights;

/// A vulnerability of a project.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Joins all its events.
    pub id: FindingId,
    /// Whose it is.
    pub org_id: OrgId,
    /// Where it was found.
    pub project_id: ProjectId,
    /// A label that no other finding of the project has: what it was first known as. See [`identity`].
    pub identity: String,
    /// Every name of the vulnerability that any report ever gave it: CVE, GHSA, the vendor's. Empty in code.
    pub names: NameSet,
    /// Where it stands: [`Finding::standing`] as it was written.
    pub status: FindingStatus,
    /// What is known of it: what the leading tool says, see [`Finding::lead`].
    pub observation: Box<Observation>,
    /// What each tool last said, by tool; of a webhook's record by source and key, see [`crate::witness`].
    pub sights: Sights,
    /// What was judged of it, beside the reports.
    pub judgement: Option<Judgement>,
    /// First seen.
    pub first_seen_at: Timestamp,
    /// Last seen.
    pub last_seen_at: Timestamp,
    /// When it was found gone, if it is.
    pub remediated_at: Option<Timestamp>,
    /// It turned out to be the same as this one, under another name: this is where it lives on.
    pub merged_into: Option<FindingId>,
    /// How many entries its history has.
    pub changes: u64,
}

/// What one tool last said of a finding.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Sight {
    /// When the tool first saw it.
    pub since: Timestamp,
    /// The time of the scan that this is from.
    pub at: Timestamp,
    /// Whether it was there.
    pub there: bool,
    /// What the tool said; `None` for the leading tool, whose words are the finding's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observation: Option<Box<Observation>>,
    /// Whose record it is, where the webhook of a source said so; `None`: a scan's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness: Option<Witness>,
}

/// A source's own record of a finding: GitHub's alert 17, Snyk's issue in one of its projects. See [`crate::witness`].
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Witness {
    /// The source.
    pub source_id: SourceId,
    /// The source's own key of it.
    pub key: String,
    /// Its page there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When it last said that it sees it; `None`: it has only said that it is gone.
    pub seen_at: Option<Timestamp>,
    /// `vulnerability.critical` was told for it.
    #[serde(default)]
    pub told_critical: bool,
}

/// Where a finding stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingStatus {
    /// There, and somebody ought to act.
    Open,
    /// Gone.
    Remediated,
    /// There, and nobody need act: the report, a VEX document or a person says so.
    Suppressed,
    /// There, and somebody has taken the risk, mostly for a time.
    Accepted,
    /// Not there in truth.
    FalsePositive,
}

impl FindingStatus {
    /// Every status.
    pub const ALL: [Self; 5] = [Self::Open, Self::Remediated, Self::Suppressed, Self::Accepted, Self::FalsePositive];

    /// The name in API and store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Remediated => "remediated",
            Self::Suppressed => "suppressed",
            Self::Accepted => "accepted",
            Self::FalsePositive => "false_positive",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether nobody need act although it is there.
    pub const fn is_muted(self) -> bool {
        match self {
            Self::Open | Self::Remediated => false,
            Self::Suppressed | Self::Accepted | Self::FalsePositive => true,
        }
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
    /// File with line, or resource address; of a component the lock file or path that it was found in.
    pub location: Option<String>,
    /// What tells it from others of its rule in code: `full:`, `partial:`, `snippet:` or `message:` and a hash, after what
    /// the hash is of. `None` in components and at resources.
    pub fingerprint: Option<String>,
    /// A page about it.
    pub url: Option<String>,
    /// The report says that nobody need act.
    pub suppressed: bool,
    /// Why not, in the report's words.
    pub suppression_reason: Option<String>,
}

impl Observation {
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
}

impl Finding {
    /// The tool whose words are the finding's: of those that see it the one that saw it first, so that two tools that
    /// rate it differently do not take turns. When none sees it any more, the same among all.
    pub fn lead(&self) -> Option<&str> {
        fn rank<'a>((tool, sight): (&'a String, &Sight)) -> (bool, Timestamp, &'a str) {
            (!sight.there, sight.since, tool)
        }
        self.sights.iter().map(rank).min().map(|(_, _, tool)| tool)
    }

    /// What the tool of a sight is called: its own name, or that of a witness.
    pub fn tool_of<'a>(&'a self, sight: &'a str) -> &'a str {
        match self.sights.get(sight).and_then(|known| known.witness.as_ref()) {
            Some(_) => self.said_by(sight).map_or(sight, |said| said.tool.as_str()),
            None => sight,
        }
    }

    /// Whether any tool sees it.
    pub fn is_there(&self) -> bool {
        self.sights.values().any(|sight| sight.there)
    }

    /// What a tool last said.
    pub fn said_by(&self, tool: &str) -> Option<&Observation> {
        let sight = self.sights.get(tool)?;
        Some(sight.observation.as_deref().unwrap_or(&self.observation))
    }

    /// Where it stands, from all that is known: gone when no tool sees it, else what was judged of it, else suppressed
    /// when a report that sees it says so, else open.
    pub fn standing(&self) -> FindingStatus {
        if !self.is_there() {
            return FindingStatus::Remediated;
        }
        if let Some(judgement) = self.judgement.as_ref().filter(|judgement| judgement.holds_for(&self.observation)) {
            return judgement.status;
        }
        let seeing = self.sights.iter().filter(|(_, sight)| sight.there);
        let mut said = seeing.filter_map(|(tool, _)| self.said_by(tool));
        match said.any(|observation| observation.suppressed) {
            true => FindingStatus::Suppressed,
            false => FindingStatus::Open,
        }
    }

    /// Since when it is gone, if it stands so: since the last tool no longer saw it, or since a document said so.
    pub fn gone_since(&self) -> Option<Timestamp> {
        if self.standing() != FindingStatus::Remediated {
            return None;
        }
        match self.is_there() {
            true => self.judgement.as_ref().map(|judgement| judgement.at),
            false => self.sights.values().map(|sight| sight.at).max(),
        }
    }

    /// The vulnerability's CVE, whichever tool knows it.
    pub fn cve_id(&self) -> Option<&str> {
        let any = || self.names.iter().find(|name| name.starts_with("CVE-"));
        self.observation.cve_id.as_ref().or_else(any).map(String::as_str)
    }

    /// Every other name of the vulnerability, whichever tool knows it.
    pub fn aliases(&self) -> Vec<String> {
        let own = &self.observation.aliases;
        let main = [self.cve_id().unwrap_or_default(), &self.observation.rule_id];
        let normal: BTreeSet<String> = own.iter().map(|name| identity::normal_name(name)).collect();
        let is_new = |name: &&String| !name.is_empty() && !main.contains(&name.as_str()) && !normal.contains(*name);
        own.iter().chain(self.names.iter().filter(is_new)).cloned().collect()
    }

    /// Until when the risk is accepted, if it is and that ends.
    pub fn accepted_until(&self) -> Option<Timestamp> {
        self.judgement.as_ref().and_then(|judgement| judgement.until)
    }

    /// The vulnerability's name as it was first known, which never changes: vendors' consumers close issues by it.
    pub fn first_name(&self) -> &str {
        identity::name_in(&self.identity)
    }
}

/// The package of a component: its package URL in one spelling, without version, qualifiers and subpath, else its name.
pub(crate) fn package(component: &Component) -> String {
    package::of(component)
}
