//! Projects, their scans and findings.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Acceptance, Once, Page, PageRequest, Pending, Terms, Written};
use crate::event::{Accepted, NewEvent};
use crate::finding::{Finding, FindingChange, FindingStatus};
use crate::id::{FindingId, OrgId, ProjectId, ScanId};
use crate::org::{Group, Project};
use crate::route::Storm;
use crate::scan::{Scan, Statement};

/// Projects, scans, findings.
pub trait ProjectStore: Send + Sync {
    /// Adds a project. `Conflict` when the organisation has one of that name.
    fn create_project(&self, project: Project, terms: Terms) -> Pending<'_, Written<()>>;

    /// Writes back name, owner and labels if they are still as they were, else `Conflict`; so also when the name is taken.
    fn describe_project(
        &self,
        seen: Project,
        changed: Project,
        at: Timestamp,
        terms: Terms,
    ) -> Pending<'_, Written<()>>;

    /// By id.
    fn project(&self, org: OrgId, id: ProjectId) -> Pending<'_, Option<Project>>;

    /// By name.
    fn project_by_name(&self, org: OrgId, name: String) -> Pending<'_, Option<Project>>;

    /// An organisation's, newest first.
    fn projects(&self, org: OrgId, page: PageRequest) -> Pending<'_, Page<Project>>;

    /// A project as it is known: what a scan is compared with.
    fn project_state(&self, org: OrgId, id: ProjectId) -> Pending<'_, Option<ProjectState>>;

    /// Writes a scan, the findings it changed with their history, and its events with their deliveries, in one commit, if
    /// the project is still at the version the scan was compared with; else `Conflict`.
    fn apply_scan(&self, outcome: ScanOutcome, once: Option<Once>) -> Pending<'_, Written<Vec<Accepted>>>;

    /// A project's findings, newest first, without those that were merged into others.
    fn findings(
        &self,
        org: OrgId,
        project: ProjectId,
        status: Option<FindingStatus>,
        page: PageRequest,
    ) -> Pending<'_, Page<Finding>>;

    /// One finding. The id of one that was merged into another leads to that one.
    fn finding(&self, org: OrgId, id: FindingId) -> Pending<'_, Option<Finding>>;

    /// One scan.
    fn scan(&self, org: OrgId, id: ScanId) -> Pending<'_, Option<Scan>>;
}

/// A project as it is known.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectState {
    /// The project.
    pub project: Project,
    /// The group of its organisation, which a snapshot names.
    pub group: Option<Group>,
    /// What documents have stated, of findings that may yet come, the older first.
    pub statements: Vec<Stated>,
    /// Its findings, of every status, without those that were merged into others.
    pub findings: Vec<Finding>,
    /// Up to when its tools have looked.
    pub coverage: Coverage,
}

/// A statement of a VEX document, kept for the findings that come later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated {
    /// What is stated.
    pub statement: Statement,
    /// The scan whose report the document was.
    pub scan_id: ScanId,
    /// Who says so, where the statement does not.
    pub tool: String,
    /// When: of two that are about one finding the later counts.
    pub at: Timestamp,
}

/// Up to when a tool has looked at everything, or at a target: what an older scan is measured by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage(pub BTreeMap<(String, Option<String>), Timestamp>);

impl Coverage {
    /// When `tool` last looked at `target`, on its own or with everything.
    pub fn at(&self, tool: &str, target: Option<&str>) -> Option<Timestamp> {
        let of = |target: Option<&str>| self.0.get(&(tool.to_owned(), target.map(str::to_owned))).copied();
        of(None).max(target.and_then(|target| of(Some(target))))
    }
}

/// A scan, weighed.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanOutcome {
    /// The scan.
    pub scan: Scan,
    /// The project's version that the scan was compared with.
    pub seen_version: u64,
    /// Findings new or changed, each as it is now; those that were merged into others too.
    pub findings: Vec<Finding>,
    /// What happened to them.
    pub history: Vec<FindingChange>,
    /// What the scan's tools have now looked at, and up to when.
    pub coverage: Coverage,
    /// What its report states, to be kept: each replaces an older one of the same names and products.
    pub statements: Vec<Stated>,
    /// What is told of it.
    pub acceptance: Acceptance,
    /// How much of that is told at once, and what is told instead where that is too much.
    pub storm: Option<(Storm, NewEvent)>,
}
