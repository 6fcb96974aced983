use jiff::Timestamp;
use uuid::Uuid;
use watchbell_wire::{Data, Event, Severity, dialect};

use super::*;
use crate::endpoint::{EndpointPolicy, Transport};
use crate::event::Skip;
use crate::id::{DeliveryId, EventId, OrgId};

const AT: &str = "2026-01-10T23:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn endpoint() -> Endpoint {
    Endpoint {
        id: EndpointId(Uuid::nil()),
        org_id: OrgId(Uuid::nil()),
        url: String::new(),
        dialect: dialect::find("standard").unwrap(),
        description: None,
        events: None,
        state: EndpointState::Active,
        secrets: Vec::new(),
        headers: Vec::new(),
        settings: watchbell_wire::Settings::default(),
        transport: Transport::default(),
        policy: EndpointPolicy::default(),
        not_before: None,
        created_at: at("2026-01-01T00:00:00Z"),
        updated_at: at("2026-01-01T00:00:00Z"),
    }
}

fn event(skipped: Option<SkipReason>) -> AcceptedEvent {
    let data = Data::from_text(r#"{"severity": "high", "component": {"name": "lodash"}}"#.to_owned()).unwrap();
    AcceptedEvent {
        event: Event { id: Uuid::nil(), event_type: EventType::VulnerabilityCreated, occurred_at: at(AT), data },
        org_id: OrgId(Uuid::nil()),
        project_id: None,
        source_id: None,
        accepted_at: at(AT),
        erased_at: None,
        skipped: skipped.map(|reason| Skip { endpoint_id: EndpointId(Uuid::nil()), reason }).into_iter().collect(),
    }
}

fn ask(event: &AcceptedEvent, deliveries: &[Delivery], endpoint: Option<&Endpoint>) -> Why {
    let endpoint_id = EndpointId(Uuid::nil());
    why(Question { event, deliveries, project: None, source: None, org: None, endpoint_id, endpoint, failure: None })
}

fn said(why: &Why, name: RuleName) -> (Option<bool>, &str) {
    let rule = why.rules.iter().find(|rule| rule.name == name).unwrap();
    (rule.passes, &rule.said)
}

#[test]
fn the_part_of_a_filter_that_decided_is_named() {
    let mut endpoint = endpoint();
    endpoint.policy.rules.filter = Some(Filter::new("severity >= critical && component.name == 'lodash'"));
    let why = ask(&event(Some(SkipReason::Filtered(FilteredBy::Expression))), &[], Some(&endpoint));
    assert!(!why.got && !why.changed_since);
    assert_eq!(why.because, "the endpoint's filter was not true of it");
    assert_eq!(said(&why, RuleName::Filter), (Some(false), "false, because of severity >= critical"));
    let rule = why.rules.iter().find(|rule| rule.name == RuleName::Filter).unwrap();
    let names = &rule.explanation.as_ref().unwrap().names;
    assert_eq!(names[0], ("severity".to_owned(), "high".into()));
}

#[test]
fn what_was_recorded_stays_when_the_rules_change() {
    let mut endpoint = endpoint();
    endpoint.updated_at = at("2026-01-11T00:00:00Z");
    let why = ask(&event(Some(SkipReason::Filtered(FilteredBy::Severity))), &[], Some(&endpoint));
    assert!(why.changed_since && !why.got);
    assert_eq!(why.reason, Some(SkipReason::Filtered(FilteredBy::Severity)));
    assert!(why.rules.iter().all(|rule| rule.passes == Some(true)), "now it would get it");
    let gone = ask(&event(Some(SkipReason::NotSubscribed)), &[], None);
    assert!(gone.rules.is_empty() && gone.because.contains("vulnerability.created"));
}

#[test]
fn each_rule_has_its_words() {
    let mut endpoint = endpoint();
    endpoint.policy.min_severity = Some(Severity::Critical);
    endpoint.state = EndpointState::Paused { since: at(AT) };
    endpoint.policy.rules.quiet = Some(crate::rule::Quiet {
        from: jiff::civil::time(22, 0, 0, 0),
        to: jiff::civil::time(7, 0, 0, 0),
        days: Vec::new(),
        zone: crate::zone::Zone::default(),
        except: None,
    });
    let mute = crate::rule::Mute {
        id: MuteId(Uuid::nil()),
        when: Filter::new("component.name == 'lodash'"),
        until: at("2026-02-01T00:00:00Z"),
        reason: Some("upgrade planned".into()),
        by: "ann".into(),
        created_at: at("2026-01-01T00:00:00Z"),
    };
    endpoint.policy.rules.mutes = vec![mute];
    let why = ask(&event(Some(SkipReason::Muted)), &[], Some(&endpoint));
    assert_eq!(said(&why, RuleName::MinSeverity), (Some(false), "high against min_severity critical"));
    let (passes, words) = said(&why, RuleName::Mute(MuteId(Uuid::nil())));
    assert!(
        passes == Some(false) && words.contains("ann muted until 2026-02-01T00:00:00Z (upgrade planned)"),
        "{words}"
    );
    assert!(said(&why, RuleName::Quiet).1.contains("2026-01-11T07:00:00Z"));
    assert!(said(&why, RuleName::State).1.contains("paused"));
    endpoint.events = Some([EventType::PoamOverdue].into());
    let why = ask(&event(None), &[], Some(&endpoint));
    assert_eq!(said(&why, RuleName::Subscription).0, Some(false));
    assert_eq!(why.because, "the event was addressed to another endpoint alone");
    endpoint.created_at = at("2026-01-12T00:00:00Z");
    assert!(ask(&event(None), &[], Some(&endpoint)).because.contains("made after"));
}

#[test]
fn a_delivery_is_a_reason() {
    let delivery = Delivery {
        id: DeliveryId(Uuid::nil()),
        org_id: OrgId(Uuid::nil()),
        event_id: EventId(Uuid::nil()),
        endpoint_id: EndpointId(Uuid::nil()),
        state: DeliveryState::Pending { due_at: at("2026-01-11T07:00:00Z") },
        attempts_counted: 0,
        created_at: at(AT),
        replay_of: None,
    };
    let why = ask(&event(None), &[delivery], Some(&endpoint()));
    assert!(why.got && why.reason.is_none());
    assert_eq!(why.because, "a delivery was made for it and waits until 2026-01-11T07:00:00Z");
}

#[test]
fn a_broken_filter_and_an_erased_event_are_told() {
    let mut endpoint = endpoint();
    endpoint.policy.rules.filter = Some(Filter::new("component > 3"));
    let why = ask(&event(None), &[], Some(&endpoint));
    assert!(said(&why, RuleName::Filter).0.is_none() && said(&why, RuleName::Filter).1.contains("so the event passes"));
    let erased = AcceptedEvent { erased_at: Some(at(AT)), ..event(None) };
    assert!(said(&ask(&erased, &[], Some(&endpoint)), RuleName::Filter).1.contains("erased"));
}

#[test]
fn a_delivery_that_gathers_says_until_when() {
    let mut endpoint = endpoint();
    let wait = jiff::SignedDuration::from_hours(1);
    endpoint.policy.batch = Some(crate::endpoint::Batch { max: 50, wait, except: None });
    let accepted = event(None);
    let until = endpoint.policy.batch.unwrap().holds_until(accepted.accepted_at, None).unwrap();
    let delivery = Delivery {
        id: DeliveryId(Uuid::nil()),
        org_id: OrgId(Uuid::nil()),
        event_id: EventId(Uuid::nil()),
        endpoint_id: EndpointId(Uuid::nil()),
        state: DeliveryState::Pending { due_at: until },
        attempts_counted: 0,
        created_at: at(AT),
        replay_of: None,
    };
    let why = ask(&accepted, &[delivery], Some(&endpoint));
    assert_eq!(why.because, format!("a delivery was made for it and is held until {until} for the digest"));
    let words = format!("it is held until {until} for the digest, or until 50 of them wait");
    assert_eq!(said(&why, RuleName::Batch), (Some(true), words.as_str()));
}
