use jiff::Timestamp;
use jiff::civil::{Weekday, time};
use watchbell_wire::expression::Facts;
use watchbell_wire::{Data, EventType, Severity};

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn nights(zone: &str) -> Quiet {
    Quiet {
        from: time(22, 0, 0, 0),
        to: time(7, 0, 0, 0),
        days: Vec::new(),
        zone: zone.parse().unwrap(),
        except: Some(Severity::Critical),
    }
}

#[test]
fn quiet_hours_hold_until_their_end_on_the_clock_of_the_place() {
    let quiet = nights("Europe/Berlin");
    let held = |text: &str| quiet.holds_until(at(text), Some(Severity::High)).map(|end| end.to_string());
    assert_eq!(held("2026-01-10T20:59:59Z"), None);
    assert_eq!(held("2026-01-10T21:00:00Z").as_deref(), Some("2026-01-11T06:00:00Z"));
    assert_eq!(held("2026-01-11T05:59:59Z").as_deref(), Some("2026-01-11T06:00:00Z"));
    assert_eq!(held("2026-01-11T06:00:00Z"), None);
    // Summer begins in this night: 07:00 comes an hour sooner.
    assert_eq!(held("2026-03-28T21:30:00Z").as_deref(), Some("2026-03-29T05:00:00Z"));
    assert_eq!(held("2026-07-10T20:00:00Z").as_deref(), Some("2026-07-11T05:00:00Z"));
}

#[test]
fn what_is_bad_enough_does_not_wait_and_what_nobody_rated_does() {
    let quiet = nights("UTC");
    let night = at("2026-01-10T23:00:00Z");
    assert_eq!(quiet.holds_until(night, Some(Severity::Critical)), None);
    assert!(quiet.holds_until(night, Some(Severity::High)).is_some());
    assert!(quiet.holds_until(night, None).is_some());
}

#[test]
fn days_are_those_on_which_the_window_begins() {
    // 2026-01-09 is a Friday.
    let quiet = Quiet { days: vec![Weekday::Friday], except: None, ..nights("UTC") };
    assert!(quiet.holds_until(at("2026-01-09T23:00:00Z"), None).is_some());
    assert!(quiet.holds_until(at("2026-01-10T06:00:00Z"), None).is_some(), "the rest of Friday's window");
    assert!(quiet.holds_until(at("2026-01-10T23:00:00Z"), None).is_none());
    let weekend =
        Quiet { from: time(8, 0, 0, 0), to: time(8, 0, 0, 0), days: vec![Weekday::Saturday, Weekday::Sunday], ..quiet };
    let end = weekend.holds_until(at("2026-01-10T09:00:00Z"), None);
    assert_eq!(end, Some(at("2026-01-12T08:00:00Z")), "two windows in a row are one");
}

#[test]
fn a_filter_that_cannot_say_lets_the_event_pass_and_says_why() {
    let endpoint = EndpointId(uuid::Uuid::nil());
    let data = Data::from_text(r#"{"title": "a"}"#.to_owned()).unwrap();
    let event_type = EventType::VulnerabilityCreated;
    let mut inquiry = Inquiry::new(Some(Facts::of(&event_type, &data)), Timestamp::UNIX_EPOCH);
    assert!(inquiry.is_wanted(endpoint, &Filter::new("title == 'a'")));
    assert!(!inquiry.is_wanted(endpoint, &Filter::new("title == 'b'")));
    assert!(inquiry.broken.is_empty());
    for broken in ["title > 3", "what is this"] {
        assert!(inquiry.is_wanted(endpoint, &Filter::new(broken)), "{broken}");
        let said = inquiry.broken.pop().unwrap();
        assert!(said.endpoint_id == endpoint && !said.why.is_empty());
    }
}

#[test]
fn a_filter_that_costs_too_much_is_soon_not_asked_any_more() {
    let numbers = vec!["1"; 2_000].join(",");
    let data = Data::from_text(format!(r#"{{"n": [{numbers}]}}"#)).unwrap();
    let event_type = EventType::VulnerabilityCreated;
    let facts = Facts::of(&event_type, &data);
    let costly = Filter::new("data.n.all(a, data.n.all(b, a == b))");
    let kept = costly.clone();
    for _ in 0..OVERRUNS_MAX {
        let mut budget = Budget::per_event();
        assert!(matches!(costly.ask(&facts, &mut budget), Verdict::Broken(_)));
        assert!(budget.steps_made() > 0);
    }
    let mut budget = Budget::per_event();
    assert!(matches!(kept.ask(&facts, &mut budget), Verdict::Broken(_)), "whoever shares it knows");
    assert_eq!(budget.steps_made(), 0);
}

#[test]
fn a_mute_holds_until_its_end_and_one_that_breaks_does_not() {
    let mute = |what: &Muted, until: &str| Mute {
        id: crate::id::MuteId(uuid::Uuid::nil()),
        when: what.filter().unwrap(),
        until: at(until),
        reason: None,
        by: "ann".into(),
        created_at: at("2026-01-01T00:00:00Z"),
    };
    let id = uuid::Uuid::from_u128(7);
    let data = Data::from_text(format!(r#"{{"finding_id": "{id}", "project_id": "{id}"}}"#)).unwrap();
    let event_type = EventType::VulnerabilityChanged;
    let endpoint = EndpointId(uuid::Uuid::nil());
    let is_muted = |now: &str, what: &Muted| {
        let mutes = [mute(what, "2026-02-01T00:00:00Z")];
        Inquiry::new(Some(Facts::of(&event_type, &data)), at(now)).mute(endpoint, &mutes).is_some()
    };
    let all = [
        Muted::All,
        Muted::Finding(id),
        Muted::Project(crate::id::ProjectId(id)),
        Muted::Type(EventType::VulnerabilityChanged),
        Muted::When("data.finding_id.startsWith('00000000')".into()),
    ];
    for what in &all {
        assert!(is_muted("2026-01-31T23:59:59Z", what), "{what:?}");
        assert!(!is_muted("2026-02-01T00:00:00Z", what), "{what:?}");
        assert!(!is_muted("2025-12-31T00:00:00Z", what), "{what:?}");
    }
    for other in [Muted::Finding(uuid::Uuid::nil()), Muted::Type(EventType::PoamOverdue), Muted::When("1 > 'a'".into())]
    {
        assert!(!is_muted("2026-01-31T00:00:00Z", &other), "{other:?}");
    }
    assert!(Muted::When("nonsense (".into()).filter().is_err());
}
