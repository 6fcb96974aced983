//! Projects, their scans and findings.

use super::{Acceptance, Once, Page, PageRequest, Pending, Terms, Written};
use crate::event::Accepted;
use crate::finding::{Finding, FindingStatus};
use crate::id::{FindingId, OrgId, ProjectId, ScanId};
use crate::org::Project;
use crate::scan::Scan;

/// Projects, scans, findings.
pub trait ProjectStore: Send + Sync {
    /// Adds a project. `Conflict` when the organisation has one of that name.
    fn create_project(&self, project: Project, terms: Terms) -> Pending<'_, Written<()>>;

    /// By id.
    fn project(&self, org: OrgId, id: ProjectId) -> Pending<'_, Option<Project>>;

    /// By name.
    fn project_by_name(&self, org: OrgId, name: String) -> Pending<'_, Option<Project>>;

    /// An organisation's, newest first.
    fn projects(&self, org: OrgId, page: PageRequest) -> Pending<'_, Page<Project>>;

    /// A project with all its findings, of every status: what a scan is compared with.
    fn project_state(&self, org: OrgId, id: ProjectId) -> Pending<'_, Option<(Project, Vec<Finding>)>>;

    /// Writes a scan, the findings it changed, and its events with their deliveries, in one commit, if the project is
    /// still at the version the scan was compared with; else `Conflict`.
    fn apply_scan(&self, outcome: ScanOutcome, once: Option<Once>) -> Pending<'_, Written<Vec<Accepted>>>;

    /// A project's findings, newest first.
    fn findings(
        &self,
        org: OrgId,
        project: ProjectId,
        status: Option<FindingStatus>,
        page: PageRequest,
    ) -> Pending<'_, Page<Finding>>;

    /// One finding.
    fn finding(&self, org: OrgId, id: FindingId) -> Pending<'_, Option<Finding>>;

    /// One scan.
    fn scan(&self, org: OrgId, id: ScanId) -> Pending<'_, Option<Scan>>;
}

/// A scan, weighed.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanOutcome {
    /// The scan.
    pub scan: Scan,
    /// The project's version that the scan was compared with.
    pub seen_version: u64,
    /// Findings new or changed, each as it is now.
    pub findings: Vec<Finding>,
    /// What is told of it.
    pub acceptance: Acceptance,
}
