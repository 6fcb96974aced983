//! Evidence: what is known of documents. Their content is in files beside the store.

use jiff::Timestamp;

use super::{Acceptance, Page, PageRequest, Pending, ScanOutcome, Terms, Written};
use crate::audit::Deed;
use crate::evidence::{Evidence, EvidenceState};
use crate::id::{EvidenceId, OrgId, ProjectId};

/// A document that was read, and what follows.
#[derive(Debug, Clone, PartialEq)]
pub struct EvidenceOutcome {
    /// Whose.
    pub org_id: OrgId,
    /// Which.
    pub id: EvidenceId,
    /// Where it stands now.
    pub state: EvidenceState,
    /// The scan that its content was weighed as, with its events.
    pub scan: Option<ScanOutcome>,
    /// What is told of the document.
    pub acceptance: Acceptance,
}

/// A document that is gone, and whether its content is not that of another one of the organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// Whose it was.
    pub org_id: OrgId,
    /// Of its content.
    pub sha256: [u8; 32],
    /// Nobody else has this content any more.
    pub is_last: bool,
}

/// Evidence.
pub trait EvidenceStore: Send + Sync {
    /// Adds a document, pending. `Conflict` when its project is none of the organisation.
    fn create_evidence(&self, evidence: Evidence, terms: Terms) -> Pending<'_, Written<()>>;

    /// One document.
    fn evidence(&self, org: OrgId, id: EvidenceId) -> Pending<'_, Option<Evidence>>;

    /// An organisation's, newest first; of a project where one is given.
    fn evidences(&self, org: OrgId, project: Option<ProjectId>, page: PageRequest) -> Pending<'_, Page<Evidence>>;

    /// Documents of all organisations that are pending or were being read, oldest first.
    fn waiting_evidence(&self, limit: u32) -> Pending<'_, Vec<Evidence>>;

    /// Marks a waiting document as being read. `false`: it does not wait.
    fn begin_evidence(&self, org: OrgId, id: EvidenceId) -> Pending<'_, bool>;

    /// Writes what became of a document, the scan and the events, in one commit. `false`: it was deleted meanwhile, or
    /// has ended, and nothing is written. `Conflict` when the scan was weighed against an older version of its project.
    fn end_evidence(&self, outcome: EvidenceOutcome) -> Pending<'_, bool>;

    /// Deletes a document. `None`: there is none.
    fn delete_evidence(&self, org: OrgId, id: EvidenceId, deed: Option<Deed>) -> Pending<'_, Option<Removed>>;

    /// Deletes documents that ended before `before`, at most so many.
    fn expire_evidence(&self, before: Timestamp, limit: u32) -> Pending<'_, Vec<Removed>>;

    /// Whether a document of the organisation has this content.
    fn has_content(&self, org: OrgId, sha256: [u8; 32]) -> Pending<'_, bool>;
}
