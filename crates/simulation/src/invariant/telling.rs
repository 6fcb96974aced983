//! Of what the product tells about itself.

use std::collections::BTreeMap;

use watchbell_domain::delivery::{DeadLetterReason, DeliveryState};
use watchbell_domain::event::AcceptedEvent;
use watchbell_domain::id::{DeliveryId, EndpointId, OrgId};
use watchbell_domain::notice;
use watchbell_wire::EventType;

use super::{Found, Invariant, Past};

pub(super) fn told_of(past: &Past<'_>, found: &mut Found) {
    let mut told: BTreeMap<DeliveryId, u32> = BTreeMap::new();
    for event in &past.last.events {
        if event.event.event_type == EventType::DeliveryDeadLettered
            && let Some(id) = member(event.event.data.text(), "delivery_id").and_then(|id| id.parse().ok())
        {
            *told.entry(id).or_default() += 1;
        }
    }
    for (delivery, _) in &past.last.deliveries {
        let count = told.remove(&delivery.id).unwrap_or_default();
        let event = past.last.events.iter().find(|event| event.id() == delivery.event_id);
        let is_notice = event.is_some_and(|event| notice::is_notice(&event.event.event_type));
        let wanted = match delivery.state {
            // Given up when it was to be claimed: there was no event to be read.
            DeliveryState::DeadLettered { reason: DeadLetterReason::Internal, .. } if count == 0 => continue,
            DeliveryState::DeadLettered { .. } => u32::from(!is_notice),
            DeliveryState::Pending { .. }
            | DeliveryState::Sending { .. }
            | DeliveryState::Held
            | DeliveryState::Delivered { .. }
            | DeliveryState::Cancelled { .. } => 0,
        };
        if count != wanted {
            let detail = format!("{} is {:?} and was told of {count} times", delivery.id, delivery.state);
            found.push((Invariant::ToldOf, detail));
        }
    }
    for id in told.keys() {
        found.push((Invariant::ToldOf, format!("{id}, which is said to be given up, never was")));
    }
    for event in past.last.events.iter().filter(|event| notice::is_notice(&event.event.event_type)) {
        if org_of(past, event.event.data.text()).is_some_and(|org| org != event.org_id) {
            found.push((Invariant::OwnOrg, format!("{} tells of another organisation", event.id())));
        }
    }
}

/// Whether nobody posted it: the product tells it by itself.
pub(super) fn is_told(event: &AcceptedEvent) -> bool {
    notice::is_notice(&event.event.event_type)
}

/// Whose endpoint a notice tells of; `None`: it is no notice.
pub(super) fn org_of(past: &Past<'_>, text: &str) -> Option<OrgId> {
    let id: EndpointId = member(text, "endpoint_id")?.parse().ok()?;
    let known = past.record.endpoints.get(&id)?;
    known.seen.iter().find_map(|(_, endpoint)| endpoint.as_ref().map(|endpoint| endpoint.org_id))
}

/// A text member, found without reading the rest.
fn member<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("\"{name}\":\""))?;
    rest.split('"').next()
}
