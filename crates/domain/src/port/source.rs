//! Sources, and what they call with.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{Acceptance, Page, PageRequest, Pending, Terms, Written};
use crate::audit::Deed;
use crate::event::NewEvent;
use crate::id::{EventId, OrgId, ReceiptId, SourceId};
use crate::receipt::{DedupKey, Receipt, Ring, Verdict};
use crate::source::Source;
use crate::witness::{Hearing, Placing, Testimony};

/// Sources. Secrets are sealed at rest.
pub trait SourceStore: Send + Sync {
    /// Adds a source.
    fn create_source(&self, source: Source, terms: Terms) -> Pending<'_, Written<()>>;

    /// By id.
    fn source(&self, org: OrgId, id: SourceId) -> Pending<'_, Option<Source>>;

    /// An organisation's, newest first.
    fn sources(&self, org: OrgId, page: PageRequest) -> Pending<'_, Page<Source>>;

    /// Writes back a changed source if it is still as it was, else `Conflict`.
    fn update_source(&self, seen: Source, changed: Source, terms: Terms) -> Pending<'_, Written<()>>;

    /// Deletes a source and its secrets; its receipts stay. `false`: there is none.
    fn delete_source(&self, org: OrgId, id: SourceId, deed: Option<Deed>) -> Pending<'_, bool>;

    /// The source that a vendor calls, whosever it is: the one question that names no organisation, for the caller has
    /// nothing but the URL. `None` also while its organisation is not active.
    fn called_source(&self, id: SourceId) -> Pending<'_, Option<Source>>;

    /// Active sources that have not been told of since their last call, with what silence is judged by.
    fn callers(&self, now: Timestamp) -> Pending<'_, Vec<Caller>>;

    /// Accepts the event that a source is silent, once for its last call. `false`: it was told already, has called since,
    /// or is gone.
    fn tell_silent(&self, source: SourceId, last: ReceiptId, told: Acceptance) -> Pending<'_, bool>;
}

/// When a source called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Whose.
    pub org_id: OrgId,
    /// Which.
    pub source_id: SourceId,
    /// Its last authentic request.
    pub last: ReceiptId,
    /// When that was.
    pub last_at: Timestamp,
    /// The hours in which it called, in rising order; see [`crate::source::silence`].
    pub hours: Vec<i64>,
}

/// Receipts.
pub trait ReceiptStore: Send + Sync {
    /// Takes an authentic request: in one commit its receipt, the names it is known again by, its events and a delivery for
    /// every endpoint that gets them. When it was taken before, only a receipt that says so is written.
    fn take(&self, taking: Taking) -> Pending<'_, Reception>;

    /// Keeps a request that was refused, and no more of them than `ring` says.
    fn keep_refused(&self, receipt: Receipt, ring: Ring) -> Pending<'_, ()>;

    /// Takes a kept request again, as somebody asked: see [`Retaking`].
    /// [`Conflict`](super::StoreError::Conflict): it was taken by one of its names meanwhile, by hand or because it came
    /// again.
    fn retake(&self, retaking: Retaking, terms: Terms) -> Pending<'_, Written<()>>;

    /// One receipt.
    fn receipt(&self, org: OrgId, id: ReceiptId) -> Pending<'_, Option<Receipt>>;

    /// An organisation's, newest first, without their bodies.
    fn receipts(&self, org: OrgId, filter: ReceiptFilter, page: PageRequest) -> Pending<'_, Page<Receipt>>;

    /// Forgets names taken before `keys_before` and receipts received before `receipts_before`, the oldest first and so
    /// many of each. Answers how many went.
    fn forget_receipts(&self, forgetting: Forgetting) -> Pending<'_, Forgotten>;
}

/// An authentic request and what is made of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Taking {
    /// As it is kept when it is new.
    pub receipt: Arc<Receipt>,
    /// By what it is known again.
    pub keys: Vec<DedupKey>,
    /// For how long.
    pub window: SignedDuration,
    /// How many duplicates are kept.
    pub ring: Ring,
    /// Its events; there may be none.
    pub acceptance: Acceptance,
    /// What it says of findings.
    pub saying: Option<Saying>,
}

/// What a request says of findings: weighed in the commit against what is known of their projects, as routing is, since
/// requests about one project come many at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Saying {
    /// How it is heard.
    pub hearing: Hearing,
    /// Which project it means.
    pub placing: Placing,
    /// One for each of its events that is of a finding, in its order.
    pub statements: Vec<Statement>,
}

/// What a request says of one finding.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// What it says.
    pub testimony: Testimony,
    /// What is told where it is of no project of ours.
    pub relayed: Vec<NewEvent>,
}

/// What became of an authentic request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Reception {
    /// It was new.
    New,
    /// This one was the first.
    Duplicate {
        /// Its receipt.
        of: ReceiptId,
    },
}

/// A kept request that is taken again.
#[derive(Debug, Clone, PartialEq)]
pub struct Retaking {
    /// The new receipt, which names the old one.
    pub receipt: Receipt,
    /// Names it is known again by from now on, so that the vendor's own repetition makes nothing twice.
    pub keys: Vec<DedupKey>,
    /// For how long.
    pub window: SignedDuration,
    /// Its events.
    pub acceptance: Acceptance,
    /// What it says of findings.
    pub saying: Option<Saying>,
}

/// Which receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReceiptFilter {
    /// Of this source.
    pub source_id: Option<SourceId>,
    /// With this verdict.
    pub verdict: Option<Verdict>,
    /// That made this event.
    pub event_id: Option<EventId>,
}

/// What is too old, and how much goes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forgetting {
    /// Names that were taken before this are free again.
    pub keys_before: Timestamp,
    /// Receipts received before this go; `None`: none for its age.
    pub receipts_before: Option<Timestamp>,
    /// Bytes that the receipts of one source may have together; the oldest go. `None`: any number.
    pub source_bytes_max: Option<u64>,
    /// Rows removed in one commit, of names and of receipts.
    pub limit: u32,
}

/// What went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forgotten {
    /// Names.
    pub keys: u64,
    /// Receipts.
    pub receipts: u64,
}
