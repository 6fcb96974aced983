//! Who gets an event, and why the others do not.

use watchbell_wire::EventType;

use crate::endpoint::{Endpoint, EndpointState};

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
}

impl SkipReason {
    /// Every reason.
    pub const ALL: [Self; 2] = [Self::NotSubscribed, Self::DialectHasNoSuchEvent];

    /// The name in API and store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotSubscribed => "not_subscribed",
            Self::DialectHasNoSuchEvent => "dialect_has_no_such_event",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

/// Whether `endpoint` gets an event of this type.
///
/// A `webhook.ping` is addressed to one endpoint and never routed by subscription: callers deliver it with
/// [`NewEvent::only`](crate::event::NewEvent::only).
pub fn decide(event_type: &EventType, endpoint: &Endpoint) -> Route {
    let can_say = endpoint.dialect.outbound.is_some_and(|out| out.event_name(event_type).is_some());
    if !can_say {
        return Route::Skip(SkipReason::DialectHasNoSuchEvent);
    }
    let wants = match &endpoint.events {
        Some(events) => events.contains(event_type),
        None => *event_type != EventType::WebhookPing,
    };
    if !wants {
        return Route::Skip(SkipReason::NotSubscribed);
    }
    when_wanted(endpoint)
}

/// As [`decide`] for an event addressed to this endpoint alone: the subscription does not matter.
pub fn decide_addressed(event_type: &EventType, endpoint: &Endpoint) -> Route {
    match endpoint.dialect.outbound.and_then(|out| out.event_name(event_type)) {
        Some(_) => when_wanted(endpoint),
        None => Route::Skip(SkipReason::DialectHasNoSuchEvent),
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
        let route = decide(&EventType::ProjectSnapshot, &symbiotic);
        assert_eq!(route, Route::Skip(SkipReason::DialectHasNoSuchEvent));
    }

    #[test]
    fn without_a_subscription_everything_but_pings_comes() {
        let standard = endpoint("standard", None);
        assert_eq!(decide(&EventType::TrainingCompleted, &standard), Route::Deliver);
        assert_eq!(decide(&EventType::WebhookPing, &standard), Route::Skip(SkipReason::NotSubscribed));
        assert_eq!(decide_addressed(&EventType::WebhookPing, &standard), Route::Deliver);
    }

    #[test]
    fn a_subscription_limits_and_a_pause_holds() {
        let mut standard = endpoint("standard", Some(&[EventType::PoamOverdue]));
        assert_eq!(decide(&EventType::PoamCompleted, &standard), Route::Skip(SkipReason::NotSubscribed));
        standard.state = EndpointState::Paused { since: Timestamp::UNIX_EPOCH };
        assert_eq!(decide(&EventType::PoamOverdue, &standard), Route::Hold);
        assert_eq!(decide(&EventType::PoamCompleted, &standard), Route::Skip(SkipReason::NotSubscribed));
    }
}
