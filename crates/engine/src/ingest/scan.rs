//! A scanner's report for a project: read, compared with what is known, written with its events in one commit.
//!
//! Comparing takes a project's findings as they are now; another scan may be applied meanwhile. The store then refuses
//! by the project's version, and the comparison is made again with what the other one left, a few times.
//!
//! A report that cannot be read changes no finding, yet is written: a failed scan with its `scan.failed`.

use jiff::Timestamp;
use watchbell_domain::event::Accepted;
use watchbell_domain::finding::Finding;
use watchbell_domain::id::{OrgId, ProjectId, ScanId};
use watchbell_domain::org::Project;
use watchbell_domain::port::{Entropy, Once, ProjectStore, ScanOutcome, StoreError, Written};
use watchbell_domain::scan::{Scan, ScanStatus};

use super::event::wake_for;
use crate::delivery::Handle;

/// How often a comparison is repeated because another scan of the project came first.
const ROUNDS_MAX: u32 = 8;

/// A report as it came in.
#[derive(Debug, Clone, Copy)]
pub struct Submission<'a> {
    /// The scan's id, made by the caller: the answer names it.
    pub scan_id: ScanId,
    /// The report.
    pub report: &'a [u8],
    /// The tool, where the caller says it.
    pub tool: Option<&'a str>,
    /// The report covers a part of the project: what it does not mention is not gone.
    pub partial: bool,
    /// When it came in.
    pub received_at: Timestamp,
}

/// What applying a scan needs.
#[derive(Clone, Copy)]
#[expect(
    missing_debug_implementations,
    reason = "ports are object-safe and say nothing about themselves"
)]
pub struct Ports<'a> {
    /// Projects and findings.
    pub projects: &'a dyn ProjectStore,
    /// The delivery loop.
    pub wake: &'a Handle,
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
    submission: Submission<'_>,
    once: impl Fn(&Scan) -> Option<Once> + Send,
) -> Result<Applied, Error> {
    let weigh = |project: &Project, known: &[Finding]| weigh(project, known, submission, ports.entropy);
    apply_weighed(ports, org_id, project_id, weigh, once).await
}

async fn apply_weighed(
    ports: Ports<'_>,
    org_id: OrgId,
    project_id: ProjectId,
    weigh: impl Fn(&Project, &[Finding]) -> ScanOutcome + Send,
    once: impl Fn(&Scan) -> Option<Once> + Send,
) -> Result<Applied, Error> {
    let mut round = 1;
    loop {
        let Some((project, known)) = ports.projects.project_state(org_id, project_id).await? else {
            return Err(Error::NoSuchProject);
        };
        let outcome = weigh(&project, &known);
        let scan = outcome.scan.clone();
        let once = once(&scan);
        match ports.projects.apply_scan(outcome, once).await {
            Ok(written) => {
                if let Written::Fresh(accepted) = &written {
                    wake_for(ports.wake, org_id, accepted);
                }
                return Ok(Applied { scan, written });
            }
            Err(StoreError::Conflict(_)) if round < ROUNDS_MAX => round += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// What a report means for a project whose findings are `known`.
///
/// Readers of reports and the comparison belong to the domain. Until they are called here every report counts as
/// unreadable: a failed scan that changes no finding.
fn weigh(project: &Project, known: &[Finding], submission: Submission<'_>, entropy: &dyn Entropy) -> ScanOutcome {
    let _ = known;
    let scan = Scan {
        id: submission.scan_id,
        org_id: project.org_id,
        project_id: project.id,
        tool: submission.tool.unwrap_or("unknown").to_owned(),
        received_at: submission.received_at,
        status: ScanStatus::Failed,
        findings_seen: 0,
        findings_new: 0,
        findings_removed: 0,
        error: Some("the report's format is not known".to_owned()),
    };
    let mut intake = super::event::Intake::new(project.org_id, submission.received_at, entropy);
    let told = watchbell_wire::event::Scan {
        scan_id: scan.id.bare(),
        error: scan.error.clone(),
        project_id: Some(project.id.bare()),
        tool: Some(scan.tool.clone()),
        ..Default::default()
    };
    intake.tell(watchbell_wire::EventType::ScanFailed, project.id, &told);
    ScanOutcome {
        scan,
        seen_version: project.version,
        findings: Vec::new(),
        acceptance: intake.acceptance(),
    }
}
