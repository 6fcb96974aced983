//! Of the order that an endpoint asked for.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use watchbell_domain::endpoint::Order;
use watchbell_domain::id::{DeliveryId, EndpointId, EventId, ProjectId};

use super::{Found, Invariant, Past};
use crate::history::Arrival;
use crate::plan::Incident;

pub(super) fn in_order(past: &Past<'_>, found: &mut Found) {
    // Age goes by the wall clock: where that was set back, what came later is older.
    let sets_back = |incident: &Incident| matches!(incident, Incident::SetClock(by) if *by < SignedDuration::ZERO);
    if past.world.plan.incidents.iter().any(|(_, incident)| sets_back(incident)) {
        return;
    }
    let projects: BTreeMap<EventId, Option<ProjectId>> =
        past.last.events.iter().map(|event| (event.id(), event.project_id)).collect();
    let deliveries: BTreeMap<String, (DeliveryId, EndpointId, Option<ProjectId>)> = past
        .last
        .deliveries
        .iter()
        .map(|(delivery, _)| {
            let project = projects.get(&delivery.event_id).copied().flatten();
            (delivery.id.to_string(), (delivery.id, delivery.endpoint_id, project))
        })
        .collect();
    let mut came: BTreeMap<(EndpointId, Option<ProjectId>), Vec<DeliveryId>> = BTreeMap::new();
    // What was buffered when its attempt was given up may be read much later.
    let counts = |arrival: &&Arrival| arrival.clean && arrival.answered.is_some();
    for arrival in past.record.arrivals.iter().filter(counts) {
        let Some((id, endpoint, project)) = arrival.delivery.as_ref().and_then(|id| deliveries.get(id)) else {
            continue;
        };
        let key = match always(past, *endpoint) {
            Some(Order::Endpoint) => (*endpoint, None),
            Some(Order::Project) => (*endpoint, *project),
            Some(Order::Any) | None => continue,
        };
        let before = came.entry(key).or_default();
        // An older one may have been committed later: what matters is that nobody is overtaken who has begun.
        let since = before.iter().rposition(|other| other == id).map_or(&[][..], |index| &before[index..]);
        if let Some(younger) = since.iter().find(|other| *other > id) {
            let detail = format!("{id} came to {endpoint} again at {:.3}, after {younger}", arrival.at.as_secs_f64());
            found.push((Invariant::InOrder, detail));
        }
        before.push(*id);
    }
}

/// The order that an endpoint had as long as it was known.
fn always(past: &Past<'_>, endpoint: EndpointId) -> Option<Order> {
    let known = past.record.endpoints.get(&endpoint)?;
    let mut orders = known.seen.iter().filter_map(|(_, endpoint)| Some(endpoint.as_ref()?.policy.order));
    let first = orders.next()?;
    orders.all(|order| order == first).then_some(first)
}
