//! Who gets an event, and why the others do not.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use watchbell_wire::dialect::Outbound;
use watchbell_wire::{Data, EventType, Severity};

use crate::endpoint::{Endpoint, EndpointState, StormThreshold};
use crate::id::EndpointId;
use crate::rule::Inquiry;

/// More new findings in one scan than this become one digest, unless the endpoint says otherwise.
pub const STORM_THRESHOLD: u64 = 100;

/// Whether an endpoint gets an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// A delivery, due at once.
    Deliver,
    /// A delivery, due when quiet hours end.
    Later(Timestamp),
    /// A delivery that gathers with others: due then, or once there are enough of them.
    Gather(Timestamp),
    /// A delivery that waits until the endpoint is active again.
    Hold,
    /// No delivery.
    Skip(SkipReason),
}

/// Why an endpoint does not get an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// It did not ask for this type.
    NotSubscribed,
    /// Its dialect cannot say it.
    DialectHasNoSuchEvent,
    /// Its owner does not want it.
    Filtered(FilteredBy),
    /// It is one of more new findings than the endpoint wants to hear of one by one; a digest tells of all.
    Digested,
    /// It is muted.
    Muted,
}

/// Which rule an event did not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilteredBy {
    /// It asked for events of a severity that this one does not reach.
    Severity,
    /// Its filter is not true of it.
    Expression,
}

impl SkipReason {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::NotSubscribed,
        Self::DialectHasNoSuchEvent,
        Self::Filtered(FilteredBy::Severity),
        Self::Filtered(FilteredBy::Expression),
        Self::Digested,
        Self::Muted,
    ];

    /// The name in API and store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotSubscribed => "not_subscribed",
            Self::DialectHasNoSuchEvent => "dialect_has_no_such_event",
            Self::Filtered(_) => "filtered",
            Self::Digested => "digested",
            Self::Muted => "muted",
        }
    }
}

/// What of an event decides who gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told<'a> {
    /// What happened.
    pub event_type: &'a EventType,
    /// How bad it is; `None`: the event is not of a kind that has one, or nobody said. Such events are never too mild.
    pub severity: Option<Severity>,
}

impl<'a> Told<'a> {
    /// What `data` says for an event of this type.
    pub fn of(event_type: &'a EventType, data: &Data) -> Self {
        #[derive(Deserialize)]
        struct View {
            #[serde(default)]
            severity: Severity,
        }
        let has_severity = event_type.as_str().starts_with("vulnerability.");
        let view = has_severity.then(|| data.typed::<View>().ok()).flatten();
        let severity = view.map(|view| view.severity).filter(|severity| *severity != Severity::Unknown);
        Self { event_type, severity }
    }
}

/// New findings of one scan, by severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Storm {
    /// How many of each, in the order of [`Severity`].
    counts: [u64; 6],
}

impl Storm {
    /// Counts one more.
    pub fn add(&mut self, severity: Severity) {
        if let Some(count) = self.counts.get_mut(slot(severity)) {
            *count += 1;
        }
    }

    /// How many of a severity.
    pub fn count(&self, severity: Severity) -> u64 {
        self.counts.get(slot(severity)).copied().unwrap_or_default()
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many an endpoint would hear of that asks for nothing but a severity.
    fn heard(&self, endpoint: &Endpoint) -> u64 {
        let severities = [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
        let loud = severities.into_iter().filter(|severity| !is_too_mild(Some(*severity), endpoint));
        loud.map(|severity| self.count(severity)).sum::<u64>() + self.count(Severity::Unknown)
    }

    /// Whether it is more than the endpoint wants to hear of one by one. `asked`: how many of them endpoints with rules of
    /// their own would hear of, for those that have some.
    pub fn exceeds(&self, endpoint: &Endpoint, asked: &BTreeMap<EndpointId, u64>) -> bool {
        let limit = match endpoint.policy.storm_threshold {
            Some(StormThreshold::Off) => None,
            Some(StormThreshold::Above(limit)) => Some(u64::from(limit)),
            // Without a digest to tell instead, nothing is held back unless somebody wants just that.
            None => can_say(&EventType::ScanDigest, endpoint).then_some(STORM_THRESHOLD),
        };
        let heard = asked.get(&endpoint.id).copied().unwrap_or_else(|| self.heard(endpoint));
        limit.is_some_and(|limit| heard > limit)
    }

    /// The worst of them.
    fn worst(&self) -> Option<Severity> {
        Severity::ALL.into_iter().rev().find(|severity| self.count(*severity) > 0)
    }
}

const fn slot(severity: Severity) -> usize {
    match severity {
        Severity::Unknown => 0,
        Severity::Info => 1,
        Severity::Low => 2,
        Severity::Medium => 3,
        Severity::High => 4,
        Severity::Critical => 5,
    }
}

/// Whether `endpoint` gets an event.
///
/// A `webhook.ping` is addressed to one endpoint and never routed by subscription: callers deliver it with
/// [`NewEvent::only`](crate::event::NewEvent::only).
pub fn decide(told: Told<'_>, endpoint: &Endpoint, inquiry: &mut Inquiry<'_>) -> Route {
    if !can_say(told.event_type, endpoint) {
        return Route::Skip(SkipReason::DialectHasNoSuchEvent);
    }
    if !wants(told.event_type, endpoint) {
        return Route::Skip(SkipReason::NotSubscribed);
    }
    if is_too_mild(told.severity, endpoint) {
        return Route::Skip(SkipReason::Filtered(FilteredBy::Severity));
    }
    let rules = &endpoint.policy.rules;
    if rules.filter.as_ref().is_some_and(|filter| !inquiry.is_wanted(endpoint.id, filter)) {
        return Route::Skip(SkipReason::Filtered(FilteredBy::Expression));
    }
    if inquiry.mute(endpoint.id, &rules.mutes).is_some() {
        return Route::Skip(SkipReason::Muted);
    }
    when_wanted(endpoint, told.severity, inquiry.at)
}

/// Whether deciding about an event of this type asks the endpoint's rules what the event says.
pub fn asks(event_type: &EventType, endpoint: &Endpoint, at: Timestamp) -> bool {
    endpoint.policy.rules.ask(at) && can_say(event_type, endpoint) && wants(event_type, endpoint)
}

/// Whether deciding asks how bad the event is.
pub fn minds_severity(endpoint: &Endpoint) -> bool {
    let policy = &endpoint.policy;
    let excepts = policy.batch.is_some_and(|batch| batch.except.is_some());
    policy.min_severity.is_some() || policy.rules.quiet.is_some() || excepts
}

/// As [`decide`] for an event of a scan: of more new findings than the endpoint wants to hear of one by one it gets the
/// digest instead, whether or not it asked for digests. `asked`: see [`Storm::exceeds`].
pub fn decide_in_storm(
    told: Told<'_>,
    storm: &Storm,
    asked: &BTreeMap<EndpointId, u64>,
    endpoint: &Endpoint,
    inquiry: &mut Inquiry<'_>,
) -> Route {
    let is_one_of_many = matches!(told.event_type, EventType::VulnerabilityCreated | EventType::VulnerabilityCritical);
    let route = decide(told, endpoint, inquiry);
    let would_hear = matches!(route, Route::Deliver | Route::Later(_) | Route::Gather(_) | Route::Hold);
    let is_digested = would_hear && is_one_of_many && storm.exceeds(endpoint, asked);
    if is_digested { Route::Skip(SkipReason::Digested) } else { route }
}

/// Who gets the digest: whoever does not get what it stands for. No filter is asked about the digest itself: what it stands
/// for has passed.
pub fn decide_digest(storm: &Storm, asked: &BTreeMap<EndpointId, u64>, endpoint: &Endpoint, at: Timestamp) -> Route {
    if !can_say(&EventType::ScanDigest, endpoint) {
        return Route::Skip(SkipReason::DialectHasNoSuchEvent);
    }
    let stands_for = [EventType::ScanDigest, EventType::VulnerabilityCreated, EventType::VulnerabilityCritical];
    match storm.exceeds(endpoint, asked) && stands_for.iter().any(|event_type| wants(event_type, endpoint)) {
        true => when_wanted(endpoint, storm.worst(), at),
        false => Route::Skip(SkipReason::NotSubscribed),
    }
}

/// As [`decide`] for an event addressed to this endpoint alone: the subscription does not matter.
pub fn decide_addressed(event_type: &EventType, endpoint: &Endpoint) -> Route {
    match can_say(event_type, endpoint) {
        // Whoever tries an endpoint does not wait until it is morning.
        true => when_active(endpoint).unwrap_or(Route::Deliver),
        false => Route::Skip(SkipReason::DialectHasNoSuchEvent),
    }
}

pub(crate) fn can_say(event_type: &EventType, endpoint: &Endpoint) -> bool {
    endpoint.dialect.outbound.is_some_and(|out| out.event_name(event_type).is_some())
}

pub(crate) fn wants(event_type: &EventType, endpoint: &Endpoint) -> bool {
    match &endpoint.events {
        Some(events) => events.contains(event_type),
        None => {
            let by_default = |outbound: &dyn Outbound| outbound.is_wanted(event_type);
            *event_type != EventType::WebhookPing && endpoint.dialect.outbound.is_some_and(by_default)
        }
    }
}

/// What nobody rated is told: that it is harmless is not known.
pub(crate) fn is_too_mild(severity: Option<Severity>, endpoint: &Endpoint) -> bool {
    match (severity, endpoint.policy.min_severity) {
        (Some(severity), Some(least)) => severity < least,
        (None, _) | (_, None) => false,
    }
}

pub(crate) fn when_wanted(endpoint: &Endpoint, severity: Option<Severity>, at: Timestamp) -> Route {
    let quiet = |at| endpoint.policy.rules.quiet.as_ref()?.holds_until(at, severity);
    let gathers = || {
        let until = endpoint.policy.batch?.holds_until(at, severity)?;
        // A digest that would come within quiet hours comes at their end.
        Some(Route::Gather(quiet(until).unwrap_or(until)))
    };
    when_active(endpoint).unwrap_or_else(|| match quiet(at) {
        Some(end) => Route::Later(end),
        None => gathers().unwrap_or(Route::Deliver),
    })
}

/// `None`: the endpoint is active.
const fn when_active(endpoint: &Endpoint) -> Option<Route> {
    match endpoint.state {
        EndpointState::Active => None,
        EndpointState::Paused { .. } | EndpointState::Disabled { .. } => Some(Route::Hold),
    }
}

#[cfg(test)]
mod tests;
