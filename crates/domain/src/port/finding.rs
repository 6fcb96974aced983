//! Findings: looking them up, judging them, and what happened to them.

use jiff::Timestamp;
use watchbell_wire::Severity;

use super::{Acceptance, Page, PageRequest, Pending, Terms, Written};
use crate::event::Accepted;
use crate::finding::{Finding, FindingChange, FindingStatus};
use crate::id::{FindingId, OrgId, ProjectId};
use crate::org::Project;

/// Findings of an organisation, one by one.
pub trait FindingStore: Send + Sync {
    /// One finding with its project: what a verdict is computed against. The id of one that was merged into another leads
    /// to that one.
    fn finding_state(&self, org: OrgId, id: FindingId) -> Pending<'_, Option<(Project, Finding)>>;

    /// Writes a finding as it was judged, the entry in its history, and its events with their deliveries, in one commit,
    /// if its project is still at the version that the verdict was computed against; else `Conflict`.
    fn judge(&self, judgement: FindingJudgement, terms: Terms) -> Pending<'_, Written<Vec<Accepted>>>;

    /// What happened to a finding, newest first; of one that others were merged into, what happened to them too.
    fn finding_history(&self, org: OrgId, id: FindingId, page: PageRequest) -> Pending<'_, Page<FindingChange>>;

    /// An organisation's findings, newest first.
    fn org_findings(&self, org: OrgId, filter: FindingFilter, page: PageRequest) -> Pending<'_, Page<Finding>>;

    /// Findings of all organisations whose accepted risk ended at or before `now`, those that ended first at most `limit`.
    fn lapsed(&self, now: Timestamp, limit: u32) -> Pending<'_, Vec<(OrgId, FindingId)>>;
}

/// A finding, judged.
#[derive(Debug, Clone, PartialEq)]
pub struct FindingJudgement {
    /// The project's version that the verdict was computed against.
    pub seen_version: u64,
    /// The finding as it is now.
    pub finding: Finding,
    /// What happened; `None`: nothing, and nothing is written.
    pub change: Option<FindingChange>,
    /// What is told of it.
    pub acceptance: Acceptance,
}

/// Which findings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FindingFilter {
    /// Standing so.
    pub status: Option<FindingStatus>,
    /// Of this severity.
    pub severity: Option<Severity>,
    /// Of this project.
    pub project_id: Option<ProjectId>,
    /// That have this name: a CVE, or any other, in the spelling of its database.
    pub name: Option<String>,
    /// In a component of this name, or of this package URL without version.
    pub component: Option<String>,
}
