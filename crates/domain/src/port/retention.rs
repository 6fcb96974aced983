//! Forgetting what is old, in steps so small that nobody waits for one.
//!
//! ```text
//!  expire(kind, before, from, bounds) ──▶ Expired { removed, next } ──▶ a pause ──▶ expire(kind, before, next, bounds) …
//! ```
//!
//! What has not ended is never old, and nothing goes that something else still refers to: an event stays as long as one of
//! its deliveries does.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::Pending;
use crate::id::OrgId;

/// What ages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aged {
    /// What was tried for a delivery that has ended. The delivery itself stays.
    Attempts,
    /// Deliveries that have ended, with their attempts.
    Deliveries,
    /// Events without deliveries.
    Events,
}

impl Aged {
    /// Every kind, in the order in which one makes way for the next.
    pub const ALL: [Self; 3] = [Self::Attempts, Self::Deliveries, Self::Events];

    /// The name in settings and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::Deliveries => "deliveries",
            Self::Events => "events",
        }
    }
}

/// How much one step may do. Whichever bound is met first ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Rows looked at, outside of the writer.
    pub looked_at: u32,
    /// Things removed in one commit.
    pub removed: u32,
    /// How long the writer works on it.
    pub time: SignedDuration,
}

/// Where a walk goes on: behind this id of this organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Whose.
    pub org_id: OrgId,
    /// Behind this one.
    pub after: Uuid,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    /// Rows removed: attempts for [`Aged::Attempts`], deliveries, events.
    pub removed: u64,
    /// Where the next step goes on; `None`: the walk is at its end.
    pub next: Option<Place>,
}

/// Space given back to the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GivenBack {
    /// Bytes that the file is shorter by.
    pub bytes: u64,
    /// Whether there is more to give back.
    pub more: bool,
}

/// What ages, and how it goes.
pub trait RetentionStore: Send + Sync {
    /// One step of a walk over all organisations: removes what ended (an event: was accepted) before `before`, and
    /// looks at nothing that is younger.
    fn expire(&self, kind: Aged, before: Timestamp, from: Option<Place>, bounds: Bounds) -> Pending<'_, Expired>;

    /// Forgets answers kept for idempotency that are not good any more at `now`, at most so many. Answers how many.
    fn forget_answers(&self, now: Timestamp, limit: u32) -> Pending<'_, u64>;

    /// Drops entries of the audit log made before `before`, the oldest first and at most so many of a chain, but never the
    /// last. Answers how many went.
    fn forget_audit(&self, before: Timestamp, limit: u32) -> Pending<'_, u64>;

    /// Gives back space that removals left, unless it is so little that it is better kept for what comes.
    fn give_back(&self, bounds: Bounds) -> Pending<'_, GivenBack>;

    /// When the oldest event was accepted that is still there.
    fn oldest_event(&self) -> Pending<'_, Option<Timestamp>>;
}
