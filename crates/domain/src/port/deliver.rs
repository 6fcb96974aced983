//! Carrying deliveries out: what is due, claim, settle; and looking them up.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use watchbell_wire::Event;

use super::{DeliveryIds, Page, PageRequest, Pending, StoreError, Terms, Written};
use crate::audit::Deed;
use crate::delivery::{Attempt, DeadLetterReason, Delivery, Lease, StateKind};
use crate::endpoint::{DisabledReason, Endpoint, Flow};
use crate::id::{DeliveryId, EndpointId, EventId, OrgId};

/// Deliveries.
///
/// The engine keeps per *endpoint* when something is due, never per delivery: memory grows with endpoints, not with what
/// waits.
pub trait DeliveryStore: Send + Sync {
    /// For every endpoint with pending deliveries, or expired claims: when the first is due. One row an endpoint.
    fn due_endpoints(&self) -> Pending<'_, Vec<DueEndpoint>>;

    /// Takes deliveries that are due at `now` for sending, oldest due first, at most as many an endpoint as asked, all
    /// in one commit. Of an endpoint in order only the oldest that is not over, once the one before it is; in order by
    /// project, the oldest of each project. Claims that have expired are taken again, an `interrupted` attempt recorded for each.
    fn claim(&self, claims: Vec<Claim>, now: Timestamp, lease: SignedDuration) -> Pending<'_, Vec<Claimed>>;

    /// Writes attempts and next states, all in one commit, and answers for each in turn: `LeaseLost` when its claim is
    /// not this one any more. An error of the call as a whole means that nothing was written, save after `Unavailable`.
    ///
    /// In the same commit: an endpoint that has had nothing but failures for as long as the store was told is disabled
    /// ([`Failing`](crate::endpoint::Failing)); events tell of that and of every delivery that was given up
    /// ([`notice`](crate::notice)).
    fn settle(&self, settlements: std::sync::Arc<[Settlement]>) -> Pending<'_, Vec<Result<Settled, StoreError>>>;

    /// What organisations weigh when they take turns: those that do not weigh 1.
    fn weights(&self) -> Pending<'_, Vec<(OrgId, u32)>>;

    /// From now on new deliveries that are due at once are claimed in the commit that makes them, as far as `taker` has
    /// room, and handed to it: they are neither claimed nor read again. Said once, by the loop that delivers.
    fn hand_over(&self, to: std::sync::Arc<dyn Taker>);

    /// One delivery with its attempts.
    fn delivery(&self, org: OrgId, id: DeliveryId) -> Pending<'_, Option<(Delivery, Vec<Attempt>)>>;

    /// An organisation's deliveries, newest first.
    fn deliveries(
        &self,
        org: OrgId,
        filter: DeliveryFilter,
        page: PageRequest,
    ) -> Pending<'_, Page<(Delivery, Vec<Attempt>)>>;

    /// Makes a waiting delivery due now. `None`: there is no such delivery; `Conflict`: it is not waiting.
    fn retry_now(
        &self,
        org: OrgId,
        id: DeliveryId,
        now: Timestamp,
        deed: Option<Deed>,
    ) -> Pending<'_, Option<Delivery>>;

    /// Cancels a waiting delivery. `None`: there is no such delivery; `Conflict`: it is terminal or being sent.
    fn cancel(&self, org: OrgId, id: DeliveryId, now: Timestamp, deed: Option<Deed>) -> Pending<'_, Option<Delivery>>;

    /// Makes new deliveries that repeat old ones; each names the one it repeats.
    fn replay(&self, replay: Replay, terms: Terms) -> Pending<'_, Written<Vec<Delivery>>>;

    /// How many deliveries of an organisation are in each state.
    fn count_deliveries(&self, org: OrgId) -> Pending<'_, Vec<(StateKind, u64)>>;
}

/// Takes deliveries as they are made. Called by the store in the middle of a commit: nothing here may wait.
pub trait Taker: Send + Sync + std::fmt::Debug {
    /// Until when a delivery made now is claimed; `None`: it cannot be taken, for there is no room or the endpoint rests.
    /// The time is the taker's own, by which claims run out; what was promised room may still not come, when its commit
    /// fails.
    fn claim(&self, endpoint: &Endpoint) -> Option<Timestamp>;

    /// These were made and claimed, and are committed.
    fn take(&self, taken: Vec<Taken>);

    /// These endpoints have something due that was not taken.
    fn wake(&self, due: &[(OrgId, EndpointId)]);

    /// These endpoints were changed or deleted: what was taken for them and not begun is to be given back.
    fn changed(&self, endpoints: &[EndpointId]);
}

/// A delivery claimed in the commit that made it.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Where to.
    pub endpoint: std::sync::Arc<Endpoint>,
    /// What to send.
    pub delivery: ClaimedDelivery,
}

/// An endpoint with something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueEndpoint {
    /// Whose it is.
    pub org_id: OrgId,
    /// Which.
    pub endpoint_id: EndpointId,
    /// When its first delivery is due (its `Retry-After` pause included), or its first claim expires.
    pub due_at: Timestamp,
    /// How many it may have in flight, how often and in which order.
    pub flow: Flow,
}

/// Take up to `limit` deliveries of one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Whose.
    pub org_id: OrgId,
    /// Which endpoint.
    pub endpoint_id: EndpointId,
    /// At most.
    pub limit: u32,
    /// At most so many of them that were claimed before, while others wait that are due as well.
    pub retries: u32,
}

/// What [`DeliveryStore::claim`] took of one endpoint. Endpoint and events are shared, not copied per delivery.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Where to, as it is now: current URL, current secrets.
    pub endpoint: std::sync::Arc<Endpoint>,
    /// What to send.
    pub deliveries: Vec<ClaimedDelivery>,
    /// When the endpoint's next delivery is due that was not taken; `None`: nothing waits.
    pub next_due_at: Option<Timestamp>,
}

/// One delivery taken for sending.
#[derive(Debug, Clone)]
pub struct ClaimedDelivery {
    /// Which.
    pub id: DeliveryId,
    /// The token to settle with.
    pub lease: Lease,
    /// The number of the attempt to make.
    pub attempt_number: u32,
    /// Attempts so far that count towards the schedule.
    pub attempts_counted: u32,
    /// How the latest attempts ended, newest first, at most three (for results that end after three in a row).
    pub latest_results: Vec<crate::delivery::AttemptResult>,
    /// What to send.
    pub event: std::sync::Arc<Event>,
    /// Over how many webhooks the event has come; 0: nobody counted.
    pub hops: u8,
    /// The body, when an earlier attempt has made it: the same bytes go out on every attempt.
    pub body: Option<Bytes>,
}

/// How an attempt ended and what follows.
#[derive(Debug, Clone, PartialEq)]
pub struct Settlement {
    /// Whose.
    pub org_id: OrgId,
    /// Which delivery.
    pub delivery_id: DeliveryId,
    /// Which endpoint.
    pub endpoint_id: EndpointId,
    /// The token of the claim.
    pub lease: Lease,
    /// The attempt. `None`: none was made, the delivery only goes back (shutdown before it was begun).
    pub attempt: Option<Attempt>,
    /// What follows.
    pub next: Next,
    /// The body as made, to be kept for the next attempt; only given when there will be one.
    pub body: Option<Bytes>,
    /// When the attempt ended.
    pub settled_at: Timestamp,
}

/// What follows an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Done.
    Delivered,
    /// Again. Becomes `held` instead when the endpoint is not active any more.
    Retry {
        /// Not before.
        due_at: Timestamp,
        /// Whether the attempt counts towards the schedule.
        counts: bool,
        /// None of the endpoint's deliveries before this.
        endpoint_pause: Option<Timestamp>,
    },
    /// Given up.
    DeadLetter {
        /// Why.
        reason: DeadLetterReason,
        /// Disable the endpoint for this and hold its other deliveries, in the same commit.
        disable: Option<DisabledReason>,
        /// None of the endpoint's other deliveries before this.
        endpoint_pause: Option<Timestamp>,
    },
}

/// What settling did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// The state that the delivery is in now (`held` where the endpoint was paused meanwhile, `cancelled` where it was
    /// deleted).
    pub state: StateKind,
}

/// Which deliveries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// In this state.
    pub state: Option<StateKind>,
    /// To this endpoint.
    pub endpoint_id: Option<EndpointId>,
    /// Of this event.
    pub event_id: Option<EventId>,
    /// Made at or after.
    pub since: Option<Timestamp>,
    /// Made before.
    pub until: Option<Timestamp>,
}

/// Deliveries to repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// Whose.
    pub org_id: OrgId,
    /// Which.
    pub what: ReplayWhat,
    /// When asked.
    pub now: Timestamp,
    /// Where the new deliveries' ids come from.
    pub delivery_ids: DeliveryIds,
}

/// Which deliveries to repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayWhat {
    /// One delivery.
    Delivery(DeliveryId),
    /// All deliveries of an event: each endpoint once.
    Event(EventId),
    /// The terminal deliveries to an endpoint that were made in a window, at most `limit`, oldest first; of each event
    /// only the newest made before `until`.
    Window {
        /// The endpoint.
        endpoint_id: EndpointId,
        /// Made at or after.
        since: Timestamp,
        /// Made before.
        until: Timestamp,
        /// Only those in this state.
        state: Option<StateKind>,
        /// At most.
        limit: u32,
    },
}
