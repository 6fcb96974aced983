//! What Watchbell tells an organisation about its own endpoints and deliveries: events like any other, made in the commit
//! that gives cause to them.
//!
//! A notice that is given up makes no further one, or an endpoint that takes nothing would be told of that for ever.

use jiff::Timestamp;
use watchbell_wire::event::{DeliveryDeadLettered, EndpointDisabled};
use watchbell_wire::{Data, Event, EventType};

use crate::delivery::DeadLetterReason;
use crate::endpoint::DisabledReason;
use crate::event::NewEvent;
use crate::id::{DeliveryId, EndpointId, EventId, ProjectId};

/// `endpoint.disabled`
pub fn endpoint_disabled(id: EventId, endpoint: EndpointId, reason: DisabledReason, at: Timestamp) -> NewEvent {
    let data = EndpointDisabled { endpoint_id: endpoint.to_string(), reason: reason.as_str().to_owned() };
    notice(id, EventType::EndpointDisabled, Data::from_typed(&data), at, None)
}

/// A delivery that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Which.
    pub delivery_id: DeliveryId,
    /// Its endpoint.
    pub endpoint_id: EndpointId,
    /// Its event.
    pub event_id: EventId,
    /// The event's type.
    pub event_type: EventType,
    /// The event's project.
    pub project_id: Option<ProjectId>,
    /// Why.
    pub reason: DeadLetterReason,
}

/// `delivery.dead_lettered`; `None`: what was given up is a notice itself.
pub fn dead_lettered(id: EventId, letter: &DeadLetter, at: Timestamp) -> Option<NewEvent> {
    if is_notice(&letter.event_type) {
        return None;
    }
    let data = DeliveryDeadLettered {
        delivery_id: letter.delivery_id.to_string(),
        endpoint_id: letter.endpoint_id.to_string(),
        event_id: letter.event_id.to_string(),
        reason: letter.reason.as_str().to_owned(),
    };
    Some(notice(id, EventType::DeliveryDeadLettered, Data::from_typed(&data), at, letter.project_id))
}

/// Whether an event of this type tells of deliveries or endpoints.
pub fn is_notice(event_type: &EventType) -> bool {
    matches!(event_type, EventType::DeliveryDeadLettered | EventType::EndpointDisabled)
}

fn notice(id: EventId, event_type: EventType, data: Data, at: Timestamp, project_id: Option<ProjectId>) -> NewEvent {
    NewEvent::of(Event { id: id.0, event_type, occurred_at: at, data }, project_id)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn letter(event_type: EventType) -> DeadLetter {
        DeadLetter {
            delivery_id: DeliveryId(Uuid::nil()),
            endpoint_id: EndpointId(Uuid::nil()),
            event_id: EventId(Uuid::nil()),
            event_type,
            project_id: None,
            reason: DeadLetterReason::Exhausted,
        }
    }

    #[test]
    fn a_notice_that_is_given_up_makes_no_other() {
        let id = EventId(Uuid::max());
        for event_type in EventType::BUILT_IN {
            let told = dead_lettered(id, &letter(event_type.clone()), Timestamp::UNIX_EPOCH);
            assert_eq!(told.is_none(), is_notice(event_type), "{event_type}");
        }
        let told = dead_lettered(id, &letter(EventType::ScanFailed), Timestamp::UNIX_EPOCH).unwrap();
        watchbell_wire::event::check(&told.event.event_type, &told.event.data).unwrap();
        let disabled =
            endpoint_disabled(id, EndpointId(Uuid::nil()), DisabledReason::Failing, Timestamp::UNIX_EPOCH).event;
        watchbell_wire::event::check(&disabled.event_type, &disabled.data).unwrap();
        assert!(disabled.data.text().contains("\"failing\""), "{}", disabled.data.text());
    }
}
