//! Events as accepted: the fact, whose it is, and who does not get it and why.

use jiff::Timestamp;
use watchbell_wire::Event;

use crate::id::{DeliveryId, EndpointId, EventId, OrgId, ProjectId, SourceId};
use crate::route::SkipReason;

/// An event on its way into the store.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// The fact. Its id is the event's id.
    pub event: Event,
    /// The project it is about, where it is about one.
    pub project_id: Option<ProjectId>,
    /// Deliver to this endpoint only, subscribed or not (a ping); `None`: to every endpoint that wants it.
    pub only: Option<EndpointId>,
    /// The source that it came in by, where it came in by one.
    pub source_id: Option<SourceId>,
    /// Over how many webhooks it has come, as the last of them counted (`webhook-hops`); 0: nobody counted. What is sent
    /// of it counts one more, so that an event that goes round in circles is found out.
    pub hops: u8,
}

impl NewEvent {
    /// An event for every endpoint that wants it, which has come over no webhook and by no source.
    pub const fn of(event: Event, project_id: Option<ProjectId>) -> Self {
        Self { event, project_id, only: None, source_id: None, hops: 0 }
    }
}

/// An event that has come over more webhooks than this goes round in circles.
pub const HOPS_MAX: u8 = 5;

/// An event that is on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct AcceptedEvent {
    /// The fact.
    pub event: Event,
    /// Whose it is.
    pub org_id: OrgId,
    /// The project it is about.
    pub project_id: Option<ProjectId>,
    /// The source that it came in by, which may be gone.
    pub source_id: Option<SourceId>,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// When its data was erased, if it was.
    pub erased_at: Option<Timestamp>,
    /// The endpoints that did not get it, each with the reason.
    pub skipped: Vec<Skip>,
}

impl AcceptedEvent {
    /// The event's id.
    pub fn id(&self) -> EventId {
        EventId(self.event.id)
    }
}

/// An endpoint that did not get an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skip {
    /// The endpoint.
    pub endpoint_id: EndpointId,
    /// Why not.
    pub reason: SkipReason,
}

/// What accepting one event made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The event.
    pub event_id: EventId,
    /// Its deliveries.
    pub deliveries: Vec<(DeliveryId, EndpointId)>,
}
