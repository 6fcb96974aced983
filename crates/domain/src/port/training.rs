//! Completed lessons.

use super::{Acceptance, Once, Page, PageRequest, Pending, Written};
use crate::id::{OrgId, TrainingId};
use crate::training::Training;

/// Completed lessons.
pub trait TrainingStore: Send + Sync {
    /// Adds a lesson with its event, in one commit. Reported again under the same id, the first report is answered and
    /// nothing told; `Conflict` when that said something else.
    fn add_training(&self, training: Training, told: Acceptance, once: Option<Once>) -> Pending<'_, Written<Training>>;

    /// One lesson.
    fn training(&self, org: OrgId, id: TrainingId) -> Pending<'_, Option<Training>>;

    /// An organisation's, newest first.
    fn trainings(&self, org: OrgId, page: PageRequest) -> Pending<'_, Page<Training>>;
}
