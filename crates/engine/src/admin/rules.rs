//! An endpoint's rules, checked when they are saved: a filter must say yes or no of every type that the endpoint can get, a template
//! must have a value for it, and what gathers must be able to go out as one.

use jiff::Timestamp;
use watchbell_domain::endpoint::{Batch, Endpoint, Order};
use watchbell_domain::rule::{Filter, Rules};
use watchbell_wire::dialect::{Outbound, SettingsError};
use watchbell_wire::expression::Mistake;
use watchbell_wire::{Data, Dialect, EventType};

use super::endpoint::{Refused, member};

/// Looks at an endpoint's rules as they are about to be saved.
///
/// # Errors
/// [`Refused::Filter`]
pub fn check(endpoint: &Endpoint, now: Timestamp) -> Result<(), Refused> {
    let Rules { filter, quiet: _, mutes } = &endpoint.policy.rules;
    if let Some(filter) = filter {
        check_filter(endpoint, filter).map_err(|mistake| Refused::Filter { pointer: "/filter", mistake })?;
    }
    for mute in mutes.iter().filter(|mute| mute.is_live(now)) {
        check_filter(endpoint, &mute.when).map_err(|mistake| Refused::Filter { pointer: "/when", mistake })?;
    }
    Ok(())
}

/// Looks at the template of an endpoint's bodies as it is about to be saved: it has to have a value for a sample of every type
/// that the endpoint can get.
///
/// # Errors
/// Where it has none, as a member of the endpoint.
pub fn check_template(endpoint: &Endpoint) -> Result<(), SettingsError> {
    let outbound = endpoint.dialect.outbound;
    let Some(template) = outbound.and_then(|outbound| outbound.template(&endpoint.settings)) else { return Ok(()) };
    let samples = samples(endpoint);
    let tried = template.check(samples.iter().map(|(event_type, data)| (event_type, data)));
    tried.map_err(|misplaced| SettingsError::from(&misplaced))
}

/// Tries a filter on a sample of every type that the endpoint can get.
///
/// # Errors
/// The first mistake.
pub fn check_filter(endpoint: &Endpoint, filter: &Filter) -> Result<(), Mistake> {
    let samples = samples(endpoint);
    let expression = filter.compiled().map_err(Clone::clone)?;
    expression.check_filter(samples.iter().map(|(event_type, data)| (event_type, data)))
}

/// Whether an endpoint's deliveries can gather as they are to.
///
/// # Errors
/// [`Refused::Member`]
pub fn check_batch(endpoint: &Endpoint) -> Result<(), Refused> {
    let Some(batch) = &endpoint.policy.batch else { return Ok(()) };
    if !(Batch::WAIT_BOUNDS.0..=Batch::WAIT_BOUNDS.1).contains(&batch.wait) {
        return Err(member("/batch/wait", "deliveries gather for 10s to 24h"));
    }
    if !(Batch::MAX_BOUNDS.0..=Batch::MAX_BOUNDS.1).contains(&batch.max) {
        return Err(member("/batch/max", "2 to 500 deliveries go out as one"));
    }
    let joins = |dialect: &Dialect| dialect.outbound.is_some_and(Outbound::joins);
    if !joins(endpoint.dialect) {
        let able = watchbell_wire::dialect::ALL.iter().copied().filter(|dialect| joins(dialect));
        let able = able.map(|dialect| dialect.id).collect::<Vec<_>>().join(", ");
        let detail =
            format!("the dialect {} says one thing at a time; these can say many: {able}", endpoint.dialect.id);
        return Err(member("/batch", detail));
    }
    match endpoint.policy.order {
        Order::Any => Ok(()),
        Order::Endpoint | Order::Project => {
            Err(member("/batch", "what gathers goes out at once and in no order: give batch or ordered, not both"))
        }
    }
}

/// A sample of every type that the endpoint can get: those of the catalogue, and nothing at all for a type of its own.
pub fn samples(endpoint: &Endpoint) -> Vec<(EventType, Data)> {
    let is_said = |event_type: &&EventType| {
        endpoint.dialect.outbound.is_some_and(|outbound| outbound.event_name(event_type).is_some())
    };
    let types: Vec<&EventType> = match &endpoint.events {
        Some(events) => events.iter().collect(),
        None => EventType::BUILT_IN.iter().filter(|event_type| **event_type != EventType::WebhookPing).collect(),
    };
    let sample = |event_type: &EventType| {
        let data = event_type.sample().or_else(|| Data::from_text("{}".to_owned()).ok())?;
        Some((event_type.clone(), data))
    };
    types.into_iter().filter(is_said).filter_map(sample).collect()
}
