//! Of what is taken in.

use std::collections::BTreeMap;

use watchbell_domain::endpoint::Endpoint;
use watchbell_domain::event::AcceptedEvent;
use watchbell_domain::id::{EndpointId, EventId};
use watchbell_wire::EventType;

use super::{Found, Invariant, Past, telling};
use crate::history::Known;

pub(super) fn kept(past: &Past<'_>, found: &mut Found) {
    let events: BTreeMap<EventId, &AcceptedEvent> = past.last.events.iter().map(|event| (event.id(), event)).collect();
    for (key, posted) in &past.record.posts {
        // What the node said counts from when a client heard it.
        for id in posted.said.iter().flatten().filter(|_| posted.acknowledged.is_some()) {
            let problem = match events.get(id) {
                None => "is not stored",
                Some(event) if event.org_id != posted.org => "is stored for another organisation",
                Some(event) if !event.event.data.text().contains(&format!("\"mark.{}\"", posted.mark)) => {
                    "is stored with other data"
                }
                Some(_) => continue,
            };
            found.push((Invariant::Kept, format!("{key} was acknowledged, but its event {id} {problem}")));
        }
    }
    for event in &past.last.events {
        if !telling::is_told(event) && !past.record.posts.values().any(|posted| is_of(event, &posted.mark)) {
            found.push((Invariant::Kept, format!("nobody posted {}", event.id())));
        }
    }
}

pub(super) fn one_event_per_key(past: &Past<'_>, found: &mut Found) {
    for (key, posted) in past.record.posts.iter().filter(|(_, posted)| !posted.was_forgotten()) {
        let stored: Vec<EventId> =
            past.last.events.iter().filter(|event| is_of(event, &posted.mark)).map(AcceptedEvent::id).collect();
        let most = if posted.event_type == "vulnerability.created" { 2 } else { 1 };
        let is_right = match &posted.said {
            Some(said) if posted.acknowledged.is_some() => {
                stored.len() == said.len() && stored.iter().all(|id| said.contains(id))
            }
            Some(_) | None => stored.len() <= most,
        };
        if !is_right {
            found.push((Invariant::OneEventPerKey, format!("{key} said {:?}, stored are {stored:?}", posted.said)));
        }
    }
}

fn is_of(event: &AcceptedEvent, mark: &str) -> bool {
    event.event.data.text().contains(&format!("\"mark.{mark}\""))
}

pub(super) fn every_subscriber(past: &Past<'_>, found: &mut Found) {
    for event in &past.last.events {
        let Some(posted) = past.record.posts.values().find(|posted| is_of(event, &posted.mark)) else { continue };
        let end = posted.acknowledged.unwrap_or(u64::MAX);
        for (id, known) in &past.record.endpoints {
            if !known.is_settled(posted.first_step, end) {
                continue;
            }
            let wanted = known
                .at(posted.first_step)
                .is_some_and(|endpoint| endpoint.org_id == event.org_id && wants(endpoint, &event.event.event_type));
            let made = deliveries(past, event.id(), *id);
            if made != usize::from(wanted) {
                let detail = format!("{} has {made} deliveries to {id}, which wanted it: {wanted}", event.id());
                found.push((Invariant::EverySubscriber, detail));
            }
        }
    }
}

/// Deliveries of an event to an endpoint that repeat no other.
fn deliveries(past: &Past<'_>, event: EventId, endpoint: EndpointId) -> usize {
    let all = past.last.deliveries.iter().map(|(delivery, _)| delivery);
    all.filter(|delivery| {
        delivery.event_id == event && delivery.endpoint_id == endpoint && delivery.replay_of.is_none()
    })
    .count()
}

/// The subscription, told once more in other words than the product's.
fn wants(endpoint: &Endpoint, event_type: &EventType) -> bool {
    let has_name = endpoint.dialect.outbound.is_some_and(|outbound| outbound.event_name(event_type).is_some());
    has_name && endpoint.events.as_ref().is_none_or(|events| events.contains(event_type))
}

impl Known {
    /// Whether nobody changed it in these steps.
    fn is_settled(&self, from: u64, to: u64) -> bool {
        self.changing.iter().all(|(begun, ended)| *begun > to || ended.is_some_and(|ended| ended < from))
    }

    /// As it was then.
    fn at(&self, step: u64) -> Option<&Endpoint> {
        self.seen.iter().take_while(|(seen, _)| *seen <= step).last().and_then(|(_, endpoint)| endpoint.as_ref())
    }
}
