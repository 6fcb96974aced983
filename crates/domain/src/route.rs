//! Who gets an event, and why the others do not.

use serde::Deserialize;
use watchbell_wire::dialect::Outbound;
use watchbell_wire::{Data, EventType, Severity};

use crate::endpoint::{Endpoint, EndpointState, StormThreshold};

/// More new findings in one scan than this become one digest, unless the endpoint says otherwise.
pub const STORM_THRESHOLD: u64 = 100;

/// Whether an endpoint gets an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// A delivery, due at once.
    Deliver,
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
    /// It asked for events of a severity that this one does not reach.
    Filtered,
    /// It is one of more new findings than the endpoint wants to hear of one by one; a digest tells of all.
    Digested,
}

impl SkipReason {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::NotSubscribed, Self::DialectHasNoSuchEvent, Self::Filtered, Self::Digested];

    /// The name in API and store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotSubscribed => "not_subscribed",
            Self::DialectHasNoSuchEvent => "dialect_has_no_such_event",
            Self::Filtered => "filtered",
            Self::Digested => "digested",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
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

    /// How many an endpoint would hear of.
    fn heard(&self, endpoint: &Endpoint) -> u64 {
        let severities = [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
        let loud = severities.into_iter().filter(|severity| !is_too_mild(Some(*severity), endpoint));
        loud.map(|severity| self.count(severity)).sum::<u64>() + self.count(Severity::Unknown)
    }

    /// Whether it is more than the endpoint wants to hear of one by one.
    pub fn exceeds(&self, endpoint: &Endpoint) -> bool {
        let limit = match endpoint.policy.storm_threshold {
            Some(StormThreshold::Off) => None,
            Some(StormThreshold::Above(limit)) => Some(u64::from(limit)),
            // Without a digest to tell instead, nothing is held back unless somebody wants just that.
            None => can_say(&EventType::ScanDigest, endpoint).then_some(STORM_THRESHOLD),
        };
        limit.is_some_and(|limit| self.heard(endpoint) > limit)
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
pub fn decide(told: Told<'_>, endpoint: &Endpoint) -> Route {
    if !can_say(told.event_type, endpoint) {
        return Route::Skip(SkipReason::DialectHasNoSuchEvent);
    }
    if !wants(told.event_type, endpoint) {
        return Route::Skip(SkipReason::NotSubscribed);
    }
    if is_too_mild(told.severity, endpoint) {
        return Route::Skip(SkipReason::Filtered);
    }
    when_wanted(endpoint)
}

/// As [`decide`] for an event of a scan: of more new findings than the endpoint wants to hear of one by one it gets the
/// digest instead, whether or not it asked for digests.
pub fn decide_in_storm(told: Told<'_>, storm: &Storm, endpoint: &Endpoint) -> Route {
    let is_one_of_many = matches!(told.event_type, EventType::VulnerabilityCreated | EventType::VulnerabilityCritical);
    let route = decide(told, endpoint);
    let would_hear = matches!(route, Route::Deliver | Route::Hold);
    if would_hear && is_one_of_many && storm.exceeds(endpoint) { Route::Skip(SkipReason::Digested) } else { route }
}

/// Who gets the digest: whoever does not get what it stands for.
pub fn decide_digest(storm: &Storm, endpoint: &Endpoint) -> Route {
    if !can_say(&EventType::ScanDigest, endpoint) {
        return Route::Skip(SkipReason::DialectHasNoSuchEvent);
    }
    let stands_for = [EventType::ScanDigest, EventType::VulnerabilityCreated, EventType::VulnerabilityCritical];
    match storm.exceeds(endpoint) && stands_for.iter().any(|event_type| wants(event_type, endpoint)) {
        true => when_wanted(endpoint),
        false => Route::Skip(SkipReason::NotSubscribed),
    }
}

/// As [`decide`] for an event addressed to this endpoint alone: the subscription does not matter.
pub fn decide_addressed(event_type: &EventType, endpoint: &Endpoint) -> Route {
    match can_say(event_type, endpoint) {
        true => when_wanted(endpoint),
        false => Route::Skip(SkipReason::DialectHasNoSuchEvent),
    }
}

fn can_say(event_type: &EventType, endpoint: &Endpoint) -> bool {
    endpoint.dialect.outbound.is_some_and(|out| out.event_name(event_type).is_some())
}

fn wants(event_type: &EventType, endpoint: &Endpoint) -> bool {
    match &endpoint.events {
        Some(events) => events.contains(event_type),
        None => {
            let by_default = |outbound: &dyn Outbound| outbound.is_wanted(event_type);
            *event_type != EventType::WebhookPing && endpoint.dialect.outbound.is_some_and(by_default)
        }
    }
}

/// What nobody rated is told: that it is harmless is not known.
fn is_too_mild(severity: Option<Severity>, endpoint: &Endpoint) -> bool {
    match (severity, endpoint.policy.min_severity) {
        (Some(severity), Some(least)) => severity < least,
        (None, _) | (_, None) => false,
    }
}

fn when_wanted(endpoint: &Endpoint) -> Route {
    match endpoint.state {
        EndpointState::Active => Route::Deliver,
        EndpointState::Paused { .. } | EndpointState::Disabled { .. } => Route::Hold,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use watchbell_wire::dialect;

    use super::*;
    use crate::endpoint::EndpointPolicy;
    use crate::id::{EndpointId, OrgId};

    const fn told(event_type: &EventType) -> Told<'_> {
        Told { event_type, severity: None }
    }

    fn endpoint(dialect: &str, events: Option<&[EventType]>) -> Endpoint {
        Endpoint {
            id: EndpointId(uuid::Uuid::nil()),
            org_id: OrgId(uuid::Uuid::nil()),
            url: String::new(),
            dialect: dialect::find(dialect).unwrap(),
            description: None,
            events: events.map(|events| events.iter().cloned().collect()),
            state: EndpointState::Active,
            secrets: Vec::new(),
            headers: Vec::new(),
            settings: watchbell_wire::Settings::default(),
            transport: crate::endpoint::Transport::default(),
            policy: EndpointPolicy::default(),
            not_before: None,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn the_dialects_vocabulary_comes_before_the_subscription() {
        let symbiotic = endpoint("symbiotic", Some(&[EventType::ProjectSnapshot]));
        let route = decide(told(&EventType::ProjectSnapshot), &symbiotic);
        assert_eq!(route, Route::Skip(SkipReason::DialectHasNoSuchEvent));
    }

    #[test]
    fn without_a_subscription_everything_but_pings_comes() {
        let standard = endpoint("standard", None);
        assert_eq!(decide(told(&EventType::TrainingCompleted), &standard), Route::Deliver);
        assert_eq!(decide(told(&EventType::WebhookPing), &standard), Route::Skip(SkipReason::NotSubscribed));
        assert_eq!(decide_addressed(&EventType::WebhookPing, &standard), Route::Deliver);
    }

    #[test]
    fn people_are_not_told_the_same_thing_twice_unless_they_ask_for_it() {
        let critical = told(&EventType::VulnerabilityCritical);
        let (slack, all) = (endpoint("slack", None), endpoint("slack", Some(&[EventType::VulnerabilityCritical])));
        assert_eq!(decide(told(&EventType::VulnerabilityCreated), &slack), Route::Deliver);
        assert_eq!(decide(critical, &slack), Route::Skip(SkipReason::NotSubscribed));
        assert_eq!(decide(critical, &all), Route::Deliver);
        assert_eq!(decide(critical, &endpoint("standard", None)), Route::Deliver);
        let training = told(&EventType::TrainingCompleted);
        assert_eq!(decide(training, &endpoint("pagerduty", None)), Route::Skip(SkipReason::NotSubscribed));
    }

    #[test]
    fn a_subscription_limits_and_a_pause_holds() {
        let mut standard = endpoint("standard", Some(&[EventType::PoamOverdue]));
        assert_eq!(decide(told(&EventType::PoamCompleted), &standard), Route::Skip(SkipReason::NotSubscribed));
        standard.state = EndpointState::Paused { since: Timestamp::UNIX_EPOCH };
        assert_eq!(decide(told(&EventType::PoamOverdue), &standard), Route::Hold);
        assert_eq!(decide(told(&EventType::PoamCompleted), &standard), Route::Skip(SkipReason::NotSubscribed));
    }

    #[test]
    fn what_is_known_to_be_too_mild_is_filtered() {
        let mut standard = endpoint("standard", None);
        standard.policy.min_severity = Some(Severity::High);
        let of = |severity| Told { event_type: &EventType::VulnerabilityCreated, severity };
        assert_eq!(decide(of(Some(Severity::Medium)), &standard), Route::Skip(SkipReason::Filtered));
        assert_eq!(decide(of(Some(Severity::High)), &standard), Route::Deliver);
        assert_eq!(decide(of(None), &standard), Route::Deliver, "nobody said that it is harmless");
        let text = |severity: &str| Data::from_text(format!("{{\"severity\":\"{severity}\"}}")).unwrap();
        assert_eq!(Told::of(&EventType::VulnerabilityCreated, &text("low")).severity, Some(Severity::Low));
        assert_eq!(Told::of(&EventType::VulnerabilityCreated, &text("unknown")).severity, None);
        assert_eq!(Told::of(&EventType::ScanCompleted, &text("low")).severity, None);
    }

    #[test]
    fn of_a_storm_the_digest_alone_comes() {
        let mut storm = Storm::default();
        (0..=STORM_THRESHOLD).for_each(|_| storm.add(Severity::Low));
        let created = told(&EventType::VulnerabilityCreated);
        let mut standard = endpoint("standard", Some(&[EventType::VulnerabilityCreated]));
        assert_eq!(decide_in_storm(created, &storm, &standard), Route::Skip(SkipReason::Digested));
        assert_eq!(decide_digest(&storm, &standard), Route::Deliver);
        let changed = told(&EventType::VulnerabilityChanged);
        assert_eq!(decide_in_storm(changed, &storm, &standard), Route::Skip(SkipReason::NotSubscribed));
        for (threshold, exceeded) in
            [(StormThreshold::Off, false), (StormThreshold::Above(101), false), (StormThreshold::Above(7), true)]
        {
            standard.policy.storm_threshold = Some(threshold);
            assert_eq!(storm.exceeds(&standard), exceeded, "{threshold:?}");
            let is_told = decide_in_storm(created, &storm, &standard) == Route::Deliver;
            assert_ne!(is_told, decide_digest(&storm, &standard) == Route::Deliver, "one or the other");
        }
        standard.policy.min_severity = Some(Severity::Medium);
        assert!(!storm.exceeds(&standard), "it would hear of none of them");
        let other = endpoint("standard", Some(&[EventType::ScanCompleted]));
        assert_eq!(decide_digest(&storm, &other), Route::Skip(SkipReason::NotSubscribed));
    }

    #[test]
    fn a_dialect_without_a_digest_keeps_its_events_unless_told_otherwise() {
        let mut storm = Storm::default();
        (0..500).for_each(|_| storm.add(Severity::High));
        let created = told(&EventType::VulnerabilityCreated);
        let mut symbiotic = endpoint("symbiotic", None);
        assert_eq!(decide_in_storm(created, &storm, &symbiotic), Route::Deliver);
        assert_eq!(decide_digest(&storm, &symbiotic), Route::Skip(SkipReason::DialectHasNoSuchEvent));
        symbiotic.policy.storm_threshold = Some(StormThreshold::Above(100));
        assert_eq!(decide_in_storm(created, &storm, &symbiotic), Route::Skip(SkipReason::Digested));
    }
}
