//! A scanner's report for a project: read, compared with what is known, written with its events in one commit.
//!
//! Comparing takes a project's findings as they are now; another scan may be applied meanwhile. The store then refuses
//! by the project's version, and the comparison is made again with what the other one left, a few times.
//!
//! A report that cannot be read changes no finding, yet is written: a failed scan with its `scan.failed`.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use watchbell_domain::event::Accepted;
use watchbell_domain::id::{OrgId, ProjectId, ScanId};
use watchbell_domain::port::{Entropy, Once, OrgStore, ProjectStore, StoreError, Written};
use watchbell_domain::scan::{self, Report, ReportError, Scan};
use watchbell_domain::snapshot::{self, ScanFacts};

use crate::spool::Spooled;

/// How often a comparison is repeated because another scan of the project came first.
const ROUNDS_MAX: u32 = 8;

/// A report as it came in.
#[derive(Debug)]
pub struct Submission {
    /// The scan's id, made by the caller: the answer names it.
    pub scan_id: ScanId,
    /// The report.
    pub report: Document,
    /// The tool, where the caller says it.
    pub tool: Option<String>,
    /// The report covers a part of the project: what it does not mention is not gone.
    pub partial: bool,
    /// When the tool looked, where the caller says it.
    pub scanned_at: Option<Timestamp>,
    /// When it came in.
    pub received_at: Timestamp,
}

/// A report, wherever it is.
#[derive(Debug)]
pub enum Document {
    /// In memory.
    Whole(Bytes),
    /// In a file that is gone once it was read.
    Spooled(Spooled),
}

impl Document {
    fn read(&self, tool: Option<&str>) -> Result<Report, ReportError> {
        match self {
            Self::Whole(bytes) => scan::read(bytes, tool),
            Self::Spooled(body) => {
                let unreadable = |error: std::io::Error| ReportError::Unreadable { reason: error.to_string() };
                scan::read_from(body.open().map_err(unreadable)?, tool)
            }
        }
    }
}

/// What applying a scan needs.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "ports are object-safe and say nothing about themselves")]
pub struct Ports<'a> {
    /// The organisation, which a snapshot names.
    pub orgs: &'a dyn OrgStore,
    /// Projects and findings.
    pub projects: &'a dyn ProjectStore,
    /// Chance for ids.
    pub entropy: &'a dyn Entropy,
}

/// Why no scan was applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no such project.
    #[error("there is no such project")]
    NoSuchProject,
    /// The store failed, or other scans came first too often (`Conflict`).
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A scan as it was applied.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The scan, completed or failed.
    pub scan: Scan,
    /// What the store did.
    pub written: Written<Vec<Accepted>>,
}

/// Weighs a report against a project and writes what follows.
///
/// `once` is asked for every comparison, since its answer holds figures of the scan.
///
/// # Errors
/// [`Error`]. A report that cannot be read is no error here: the scan in [`Applied`] has failed then, with the reason.
pub async fn apply(
    ports: Ports<'_>,
    org_id: OrgId,
    project_id: ProjectId,
    submission: Submission,
    once: impl Fn(&Scan) -> Option<Once> + Send,
) -> Result<Applied, Error> {
    let org = ports.orgs.org(org_id).await?.ok_or(Error::NoSuchProject)?;
    // A report that nobody will keep need not be read.
    ports.projects.project(org_id, project_id).await?.ok_or(Error::NoSuchProject)?;
    let facts = ScanFacts {
        scan_id: submission.scan_id,
        received_at: submission.received_at,
        scanned_at: submission.scanned_at,
        partial: submission.partial,
    };
    let submission = Arc::new(submission);
    let mut round = 1;
    loop {
        // Read anew in each round: weighing takes it apart, and two rounds are rare.
        let report = read(Arc::clone(&submission)).await;
        let Some(known) = ports.projects.project_state(org_id, project_id).await? else {
            return Err(Error::NoSuchProject);
        };
        let outcome = match report {
            Ok(report) => snapshot::weigh(&org, known, report, facts, ports.entropy),
            Err(error) => {
                snapshot::unreadable(&known.project, submission.tool.as_deref(), &error, facts, ports.entropy)
            }
        };
        let scan = outcome.scan.clone();
        let once = once(&scan);
        match ports.projects.apply_scan(outcome, once).await {
            Ok(written) => return Ok(Applied { scan, written }),
            Err(StoreError::Conflict(_)) if round < ROUNDS_MAX => round += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reads the report off the async threads: tens of megabytes take their time.
async fn read(submission: Arc<Submission>) -> Result<Report, ReportError> {
    let reading = tokio::task::spawn_blocking(move || submission.report.read(submission.tool.as_deref()));
    match reading.await {
        Ok(report) => report,
        // A reader that panics is our fault, and shall be seen as that by whoever catches panics.
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}
