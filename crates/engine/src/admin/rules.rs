//! An endpoint's rules, checked when they are saved: a filter must say yes or no of every type that the endpoint can get.

use jiff::Timestamp;
use watchbell_domain::endpoint::Endpoint;
use watchbell_domain::rule::{Filter, Rules};
use watchbell_wire::expression::Mistake;
use watchbell_wire::{Data, EventType};

use super::endpoint::Refused;

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

/// Tries a filter on a sample of every type that the endpoint can get.
///
/// # Errors
/// The first mistake.
pub fn check_filter(endpoint: &Endpoint, filter: &Filter) -> Result<(), Mistake> {
    let samples = samples(endpoint);
    let expression = filter.compiled().map_err(Clone::clone)?;
    expression.check_filter(samples.iter().map(|(event_type, data)| (event_type, data)))
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
