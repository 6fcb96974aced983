//! The audit log, and the terms on which a change is made.

use jiff::Timestamp;

use super::{Once, Page, PageRequest, Pending};
use crate::audit::{Chain, Deed, Entry, Head};

/// On what terms a change is made: once however often it is sent, and written down.
///
/// What is to be written down is committed with the change, and only when something was changed: a repetition, a refusal
/// and what was so already leave no entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// The client's `Idempotency-Key`, if it gave one.
    pub once: Option<Once>,
    /// What goes into the audit log. `None` where there is nobody to name: tests, and what no person configured.
    pub deed: Option<Deed>,
}

impl From<Option<Once>> for Terms {
    fn from(once: Option<Once>) -> Self {
        Self { once, deed: None }
    }
}

impl From<Deed> for Terms {
    fn from(deed: Deed) -> Self {
        Self { once: None, deed: Some(deed) }
    }
}

/// The audit log. Entries are added by the changes that they tell of.
pub trait AuditStore: Send + Sync {
    /// A chain's entries that fit, newest first. The page's `before` is the number of an entry, as a UUID.
    fn audit(&self, chain: Chain, filter: AuditFilter, page: PageRequest) -> Pending<'_, Page<Entry>>;

    /// A chain's entries in their order, from the one behind `after`.
    fn audit_behind(&self, chain: Chain, after: u64, limit: u32) -> Pending<'_, Vec<Entry>>;

    /// The last entry that was dropped for its age; [`Head::START`] while all are there.
    fn audit_checkpoint(&self, chain: Chain) -> Pending<'_, Head>;
}

/// Which entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of the key, member or part of the server with this id.
    pub actor: Option<String>,
    /// Of this action, or of all whose names begin with `subject.` where only that is given.
    pub action: Option<String>,
    /// About this id.
    pub subject: Option<String>,
    /// At or after.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}
