//! Replays that are too large for one commit: a job with a filter, a rate and a place where it goes on.
//!
//! ```text
//!  create_replay ─▶ running ── advance_replay: a few deliveries and the place behind them, in one commit ─▶ … ─▶ finished
//!                      └────── cancel_replay ─▶ cancelled
//! ```
//!
//! What a job makes and how far it came are one commit: a crash between two steps neither doubles nor drops a delivery.

use std::num::NonZeroU32;

use jiff::Timestamp;
use watchbell_wire::EventType;

use super::{DeliveryIds, Page, PageRequest, Pending, Terms, Written};
use crate::audit::Deed;
use crate::delivery::{CancelReason, DeadLetterReason, StateKind};
use crate::id::{DeliveryId, EndpointId, OrgId, ReplayId};

/// Most replays of one organisation that run at once.
pub const RUNNING_REPLAYS_MAX: u32 = 10;

/// Which deliveries to repeat: those that have ended and fit all that is given.
///
/// Of several deliveries of one event to one endpoint only the newest made before `until` counts, so that repeating what
/// was given up does not repeat what a replay has delivered since, nor anything twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayFilter {
    /// To this endpoint.
    pub endpoint_id: Option<EndpointId>,
    /// In this state, which is terminal.
    pub state: Option<StateKind>,
    /// Ended for this reason.
    pub reason: Option<EndReason>,
    /// Of events of this type.
    pub event_type: Option<EventType>,
    /// Made at or after.
    pub since: Option<Timestamp>,
    /// Made before. Never later than the replay itself, which would else repeat what it makes.
    pub until: Timestamp,
}

/// Why a delivery ended without being delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// Given up.
    DeadLetter(DeadLetterReason),
    /// Cancelled.
    Cancel(CancelReason),
}

impl EndReason {
    /// The name in API and store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DeadLetter(reason) => reason.as_str(),
            Self::Cancel(reason) => reason.as_str(),
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        let dead = DeadLetterReason::parse(text).map(Self::DeadLetter);
        dead.or_else(|| CancelReason::parse(text).map(Self::Cancel))
    }

    /// The state that it is a reason for.
    pub const fn state(self) -> StateKind {
        match self {
            Self::DeadLetter(_) => StateKind::DeadLettered,
            Self::Cancel(_) => StateKind::Cancelled,
        }
    }
}

/// A replay that takes its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayJob {
    /// Which.
    pub id: ReplayId,
    /// Whose.
    pub org_id: OrgId,
    /// What it repeats.
    pub filter: ReplayFilter,
    /// At most so many, oldest first.
    pub limit: Option<u64>,
    /// How many deliveries it makes a second.
    pub per_second: NonZeroU32,
    /// How many it will make, where that was counted beforehand.
    pub matched: Option<u64>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Where it stands.
    pub state: ReplayState,
    /// How far it came.
    pub progress: ReplayProgress,
}

/// Where a replay stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayState {
    /// Makes deliveries.
    Running,
    /// Has made them all.
    Finished {
        /// Since when.
        at: Timestamp,
    },
    /// Makes no more.
    Cancelled {
        /// Since when.
        at: Timestamp,
    },
}

impl ReplayState {
    /// The name in API and store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished { .. } => "finished",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// When it ended.
    pub const fn ended_at(self) -> Option<Timestamp> {
        match self {
            Self::Running => None,
            Self::Finished { at } | Self::Cancelled { at } => Some(at),
        }
    }
}

/// How far a replay came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplayProgress {
    /// The last delivery that was looked at; the next step goes on behind it.
    pub cursor: Option<DeliveryId>,
    /// Deliveries looked at.
    pub looked_at: u64,
    /// Deliveries made.
    pub made: u64,
}

/// What a step of a replay may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayStep {
    /// Whose.
    pub org_id: OrgId,
    /// Which replay.
    pub id: ReplayId,
    /// Deliveries looked at, at most.
    pub looked_at: u32,
    /// Deliveries made, at most.
    pub made: u32,
    /// When.
    pub now: Timestamp,
    /// Where the new deliveries' ids come from.
    pub delivery_ids: DeliveryIds,
}

/// What a step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advanced {
    /// The replay as it is now.
    pub job: ReplayJob,
    /// The endpoints that have something due now.
    pub endpoints: Vec<EndpointId>,
}

/// Some of what a filter matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// Oldest first.
    pub found: Vec<DeliveryId>,
    /// How many were looked at for it.
    pub looked_at: u32,
    /// Where to go on; `None`: that is all.
    pub next: Option<DeliveryId>,
}

/// Replays as jobs.
pub trait ReplayStore: Send + Sync {
    /// What a filter matches, in steps: looks at no more than so many behind `from`, and finds no more than so many.
    fn match_replay(
        &self,
        org: OrgId,
        filter: ReplayFilter,
        from: Option<DeliveryId>,
        looked_at_max: u32,
        found_max: u32,
    ) -> Pending<'_, Matched>;

    /// Adds a job. `Conflict` when [`RUNNING_REPLAYS_MAX`] of the organisation run.
    fn create_replay(&self, job: ReplayJob, terms: Terms) -> Pending<'_, Written<()>>;

    /// One job.
    fn replay_job(&self, org: OrgId, id: ReplayId) -> Pending<'_, Option<ReplayJob>>;

    /// An organisation's jobs, newest first.
    fn replay_jobs(&self, org: OrgId, page: PageRequest) -> Pending<'_, Page<ReplayJob>>;

    /// Every job that runs, of every organisation.
    fn running_replays(&self) -> Pending<'_, Vec<ReplayJob>>;

    /// Makes some deliveries of a running job and remembers how far it came, in one commit. `None`: there is no such
    /// job. A job that does not run stays as it is.
    fn advance_replay(&self, step: ReplayStep) -> Pending<'_, Option<Advanced>>;

    /// Lets a job make no more; what it made stays. `None`: there is no such job; `Conflict`: it has ended.
    fn cancel_replay(
        &self,
        org: OrgId,
        id: ReplayId,
        now: Timestamp,
        deed: Option<Deed>,
    ) -> Pending<'_, Option<ReplayJob>>;
}
