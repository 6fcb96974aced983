//! Accepting events, and looking them up.

use jiff::Timestamp;
use watchbell_wire::EventType;

use super::{Once, Page, PageRequest, Pending, Written};
use crate::delivery::Delivery;
use crate::event::{Accepted, AcceptedEvent, NewEvent};
use crate::id::{EventId, OrgId, ProjectId};

/// Events to take in together.
#[derive(Debug, Clone, PartialEq)]
pub struct Acceptance {
    /// Whose they are.
    pub org_id: OrgId,
    /// The events, in order, each with a delivery id for every endpoint it may go to: see [`DeliveryIds`].
    pub events: Vec<NewEvent>,
    /// When they were accepted.
    pub accepted_at: Timestamp,
    /// Where the deliveries' ids come from: the store knows how many there are, not chance.
    pub delivery_ids: DeliveryIds,
}

/// A seed for delivery ids: UUIDv7 of `accepted_at`, their random part SHA-256 of seed and counter. Random, yet an
/// argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryIds {
    /// 32 random bytes.
    pub seed: [u8; 32],
}

/// Events.
pub trait EventStore: Send + Sync {
    /// Writes events and a delivery for every endpoint that [`crate::route`] says gets them at this moment, in one commit.
    fn accept(&self, acceptance: Acceptance, once: Option<Once>) -> Pending<'_, Written<Vec<Accepted>>>;

    /// One event with all its deliveries.
    fn event(&self, org: OrgId, id: EventId) -> Pending<'_, Option<(AcceptedEvent, Vec<Delivery>)>>;

    /// An organisation's events, newest first.
    fn events(&self, org: OrgId, filter: EventFilter, page: PageRequest) -> Pending<'_, Page<AcceptedEvent>>;
}

/// Which events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this type.
    pub event_type: Option<EventType>,
    /// About this project.
    pub project_id: Option<ProjectId>,
    /// Accepted at or after.
    pub since: Option<Timestamp>,
    /// Accepted before.
    pub until: Option<Timestamp>,
}
