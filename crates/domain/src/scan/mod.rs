//! Scans: from a tool's report to what it saw.
//!
//! ```text
//!  bytes ──read──▶ Report { observations, scope, … } ──crate::snapshot::weigh──▶ findings and events
//! ```
//!
//! [`read`] tells the format by its content, never by a file name or media type. `format.rs` lists the formats, each with
//! what tells it and what reads it; `docs/reports.md` says of each what is read and what its silence means.
//!
//! What is read is hostile or hasty until shown otherwise. So: members that we do not know are skipped without being
//! built, a member of the wrong type is as good as absent, and an entry that makes no sense is counted in
//! [`Report::skipped`] while the others count. Text is cut to the limits of [`limit`], so that what follows (findings,
//! events) is bounded too. Nothing recurses over the input. SARIF is read as it comes, other formats whole.
//!
//! What a report does *not* say is a statement as well, because findings that it lacks are taken as gone. It is believed
//! only as far as [`Report::scope`] goes.
//!
//! *To add a format*: a module here with `pub(super) fn read(text, hint) -> Result<Report, ReportError>`, what it is told
//! by in `signs.rs`, a line in the table of `format.rs`, a report of it among the tests' fixtures, a line in
//! `docs/reports.md`.

use std::collections::BTreeSet;
use std::io::{Cursor, Read, Seek, SeekFrom};

use jiff::Timestamp;
use watchbell_wire::event::Component;

use crate::finding::{Observation, package};
use crate::id::{OrgId, ProjectId, ScanId};

mod bandit;
mod bearer_scan;
mod cargo_audit;
mod checkov;
mod code;
mod cyclonedx;
mod dependabot;
mod dependency_check;
mod detect_secrets;
mod error;
mod format;
mod grype;
mod lax;
mod lenient;
pub mod limit;
mod names;
mod npm_audit;
mod openvex;
mod osv_scanner;
mod outline;
mod package;
mod pip_audit;
mod rating;
mod sarif;
mod semgrep;
mod signs;
mod snyk;
mod spdx;
mod statement;
#[cfg(test)]
mod tests;
mod trivy;
mod vulnerability;
mod watched;
mod xml;

pub use error::ReportError;
pub use format::ReportFormat;
pub(crate) use lenient::limit_text;
pub(crate) use names::of_vulnerability as vulnerability_names;
pub(crate) use names::{add_cwe, url as link};
pub(crate) use rating::rated;
pub use statement::{Statement, VexStatus};

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
    /// The places (files without line, as in [`Observation::location`]) that a report is confined to by its nature, as one
    /// of a single lock file is: of the other places it says nothing. `None` when it is of the whole project.
    pub targets: Option<BTreeSet<String>>,
    /// What the tools say that they could not look at: places, and packages as package URLs without version. Findings
    /// there are not taken as gone.
    pub unseen: BTreeSet<String>,
    /// Why the tool says that it failed (SARIF: `executionSuccessful: false`). Such a report changes nothing.
    pub failure: Option<String>,
    /// What it saw, suppressed entries too.
    pub observations: Vec<Observation>,
    /// Entries that could not be read. When there are any, nothing is taken as gone: it might be among them.
    pub skipped: u64,
    /// How many components it lists, for formats that do.
    pub components: Option<u64>,
    /// What is said of vulnerabilities that others found, oldest first where it is known when. They make no finding.
    pub statements: Vec<Statement>,
    /// The components themselves, at most [`limit::INVENTORY_MAX`] of them.
    pub inventory: Vec<Component>,
    /// When the tool looked, where the report says it. Scans that come late are put where they belong by this.
    pub scanned_at: Option<Timestamp>,
}

impl Report {
    /// Nothing is in it yet.
    pub fn of(format: ReportFormat) -> Self {
        Self {
            format,
            tools: BTreeSet::new(),
            scope: BTreeSet::new(),
            targets: None,
            unseen: BTreeSet::new(),
            failure: None,
            observations: Vec::new(),
            skipped: 0,
            components: None,
            statements: Vec::new(),
            inventory: Vec::new(),
            scanned_at: None,
        }
    }

    /// Counts a component, and lists it while there is room.
    fn list(&mut self, component: Component) {
        *self.components.get_or_insert(0) += 1;
        if self.inventory.len() < limit::INVENTORY_MAX {
            self.inventory.push(component);
        }
    }

    /// Takes what was made of an entry. One of which nothing could be made is counted.
    pub(crate) fn take(&mut self, seen: Option<Observation>) -> Result<(), ReportError> {
        match seen {
            Some(observation) => self.observations.push(observation),
            None => self.skipped += 1,
        }
        match self.observations.len() {
            count if count > limit::OBSERVATIONS_MAX => Err(ReportError::TooMany { count }),
            _ => Ok(()),
        }
    }

    /// Done. The silence of these tools counts, unless an entry could not be read: what is gone might be in it.
    pub(crate) fn closed(mut self, looked: impl IntoIterator<Item = String>) -> Self {
        if self.skipped == 0 {
            self.scope.extend(looked);
        }
        self
    }

    /// Whether the tools looked where this was seen in an earlier report, so that their silence says that it is gone.
    pub fn looked_at(&self, known: &Observation) -> bool {
        let file = known.file();
        let is_unseen = || {
            let package = known.component.as_ref().map(package);
            self.unseen.contains(file) || package.is_some_and(|package| self.unseen.contains(&package))
        };
        self.targets.as_ref().is_none_or(|targets| targets.contains(file)) && (self.unseen.is_empty() || !is_unseen())
    }
}

/// Reads a tool's report. `tool_hint` is the tool's name as the caller gave it (`?tool=`); it wins over the report's own,
/// so that one who runs a tool with two sets of rules can keep their findings apart.
///
/// # Errors
/// When the bytes are no report that we understand, or exceed a limit. The error says where and why.
pub fn read(bytes: &[u8], tool_hint: Option<&str>) -> Result<Report, ReportError> {
    if bytes.len() > limit::WHOLE_BYTES_MAX {
        return read_from(Cursor::new(bytes), tool_hint);
    }
    let text = lenient::text(bytes)?;
    let reader = format::detect(text)?.reader();
    let report = reader(text, hint(tool_hint).as_deref())?;
    if report.observations.len() > limit::OBSERVATIONS_MAX {
        return Err(ReportError::TooMany { count: report.observations.len() });
    }
    Ok(report)
}

/// As [`read`], from a file. A report beyond [`limit::WHOLE_BYTES_MAX`] is read as it comes, which SARIF alone can be: the
/// memory it takes grows with the findings in it, not with its length.
///
/// # Errors
/// As [`read`], and when the file cannot be read.
pub fn read_from<R: Read + Seek>(mut source: R, tool_hint: Option<&str>) -> Result<Report, ReportError> {
    let bytes = source.seek(SeekFrom::End(0)).map_err(ReportError::of_io)?;
    source.rewind().map_err(ReportError::of_io)?;
    if bytes > limit::REPORT_BYTES_MAX {
        return Err(ReportError::TooLarge { bytes });
    }
    match usize::try_from(bytes) {
        Ok(length) if length <= limit::WHOLE_BYTES_MAX => {
            let mut whole = Vec::with_capacity(length);
            source.read_to_end(&mut whole).map_err(ReportError::of_io)?;
            read(&whole, tool_hint)
        }
        Ok(_) | Err(_) => {
            skip_mark(&mut source).map_err(ReportError::of_io)?;
            let read = sarif::read_from(source, hint(tool_hint).as_deref());
            read.map_err(|error| {
                if let ReportError::UnknownFormat { seen: problem } = error {
                    return ReportError::TooLargeWhole { bytes, problem };
                }
                let is_no_json = matches!(error, ReportError::NotJson { line: 1, column: ..=1, .. });
                if is_no_json { ReportError::TooLargeWhole { bytes, problem: error.to_string() } } else { error }
            })
        }
    }
}

/// Goes behind the byte order mark, if there is one.
fn skip_mark(source: &mut (impl Read + Seek)) -> std::io::Result<()> {
    let mut first = [0; 3];
    let is_marked = source.read_exact(&mut first).is_ok() && first == *b"\xef\xbb\xbf";
    source.seek(SeekFrom::Start(if is_marked { 3 } else { 0 })).map(drop)
}

fn hint(given: Option<&str>) -> Option<String> {
    given.map(names::tool).filter(|hint| !hint.is_empty())
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
