//! Scans: from a tool's report to what it saw.
//!
//! ```text
//!  bytes ──read──▶ Report { observations, scope, … } ──crate::snapshot::weigh──▶ findings and events
//! ```
//!
//! [`read`] tells the format by its content, never by a file name or media type:
//!
//! - **SARIF 2.1.0** (OASIS, Errata 01): any tool, several runs;
//! - **CycloneDX 1.x JSON** (ECMA-424): components with `vulnerabilities`.
//!
//! What is read is hostile or hasty until shown otherwise. So: members that we do not know are skipped without being
//! built, a member of the wrong type is as good as absent, and an entry that makes no sense is counted in
//! [`Report::skipped`] while the others count. Text is cut to the limits of [`limit`], so that what follows (findings,
//! events) is bounded too. Nothing recurses over the input.
//!
//! What a report does *not* say is a statement as well, because findings that it lacks are taken as gone. It is believed
//! only as far as [`Report::scope`] goes.
//!
//! *To add a format*: a module here with `pub(super) fn read(text, hint) -> Result<Report, ReportError>`, a line in
//! [`read`] that recognises it, and a report of it under `examples/` with a snapshot test.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::finding::Observation;
use crate::id::{OrgId, ProjectId, ScanId};

mod cyclonedx;
mod error;
mod lenient;
pub mod limit;
mod names;
mod rating;
mod sarif;

pub use error::ReportError;

/// A tool's report, understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The format it came in.
    pub format: ReportFormat,
    /// The tools that wrote it, in lower case; at least one.
    pub tools: BTreeSet<String>,
    /// The tools whose silence counts: a finding of theirs that the report lacks is gone. Empty when the report is known
    /// to be incomplete.
    pub scope: BTreeSet<String>,
    /// Why the tool says that it failed (SARIF: `executionSuccessful: false`). Such a report changes nothing.
    pub failure: Option<String>,
    /// What it saw, suppressed entries too.
    pub observations: Vec<Observation>,
    /// Entries that could not be read. When there are any, nothing is taken as gone: it might be among them.
    pub skipped: u64,
    /// How many components it lists, for formats that do.
    pub components: Option<u64>,
    /// When the tool looked, where the report says it. Scans that come late are put where they belong by this.
    pub scanned_at: Option<Timestamp>,
    /// What was looked at, where the tool says that it did not look at everything: a finding is taken as gone only when
    /// its [`Observation::looked_at`] is among them. `None`: all that the tool ever looks at.
    pub targets: Option<BTreeSet<String>>,
    /// What the document states about vulnerabilities beside what it saw (VEX).
    pub statements: Vec<Statement>,
}

impl Report {
    /// A report of one tool that has said nothing yet, and whose silence counts.
    pub fn of(format: ReportFormat, tool: impl Into<String>) -> Self {
        let tools = BTreeSet::from([tool.into()]);
        Self {
            format,
            scope: tools.clone(),
            tools,
            failure: None,
            observations: Vec::new(),
            skipped: 0,
            components: None,
            scanned_at: None,
            targets: None,
            statements: Vec::new(),
        }
    }
}

/// What a VEX document (OpenVEX, CycloneDX VEX) states about a vulnerability.
///
/// It is applied to every finding of the project that has one of the names, in one of the products: as a judgement by VEX,
/// which stays until another statement or a person replaces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Names of the vulnerability: CVE, GHSA …; one that matches suffices.
    pub names: Vec<String>,
    /// Package URLs of the components it is about; with a version it holds for that version only. Empty: every component
    /// (a document about the project's own product says nothing about which).
    pub products: Vec<String>,
    /// What is stated.
    pub status: VexStatus,
    /// Why, for people: the justification's word and the impact statement.
    pub justification: String,
    /// Who states it: author or tool; empty where the document does not say.
    pub author: String,
}

/// What a VEX statement says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VexStatus {
    /// Nobody need act: the finding is suppressed.
    NotAffected,
    /// The vulnerability is not there in truth.
    FalsePositive,
    /// The product contains a fix: the finding is remediated, whatever a scanner still sees.
    Fixed,
    /// Somebody ought to act: lifts an earlier statement.
    Affected,
    /// Nobody knows yet: lifts an earlier statement.
    UnderInvestigation,
}

/// The formats that [`read`] understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReportFormat {
    /// SARIF 2.1.0.
    Sarif,
    /// CycloneDX in JSON.
    CycloneDx,
}

impl ReportFormat {
    /// `sarif`, `cyclonedx`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sarif => "sarif",
            Self::CycloneDx => "cyclonedx",
        }
    }
}

/// Reads a tool's report. `tool_hint` is the tool's name as the caller gave it (`?tool=`); it wins over the report's own,
/// so that one who runs a tool with two sets of rules can keep their findings apart.
///
/// # Errors
/// When the bytes are no report that we understand, or exceed a limit. The error says where and why.
pub fn read(bytes: &[u8], tool_hint: Option<&str>) -> Result<Report, ReportError> {
    let text = lenient::text(bytes)?;
    let hint = tool_hint.map(names::tool).filter(|hint| !hint.is_empty());
    let report = match lenient::detect(text)? {
        ReportFormat::Sarif => sarif::read(text, hint.as_deref())?,
        ReportFormat::CycloneDx => cyclonedx::read(text, hint.as_deref())?,
    };
    if report.observations.len() > limit::OBSERVATIONS_MAX {
        return Err(ReportError::TooMany { count: report.observations.len() });
    }
    Ok(report)
}

/// A scan as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Its id.
    pub id: ScanId,
    /// Whose it is.
    pub org_id: OrgId,
    /// What was scanned.
    pub project_id: ProjectId,
    /// What with.
    pub tool: String,
    /// When its report came in.
    pub received_at: Timestamp,
    /// How it ended.
    pub status: ScanStatus,
    /// Findings in the report.
    pub findings_seen: u64,
    /// Of them new or reopened.
    pub findings_new: u64,
    /// Findings that it found gone.
    pub findings_removed: u64,
    /// Why it failed; of a completed scan, what in its report could not be read.
    pub error: Option<String>,
}

/// How a scan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanStatus {
    /// The report was weighed.
    Completed,
    /// The report could not be read, or says that the tool failed. It changes no finding.
    Failed,
}

impl ScanStatus {
    /// `completed`, `failed`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Completed, Self::Failed].into_iter().find(|status| status.as_str() == text)
    }
}
