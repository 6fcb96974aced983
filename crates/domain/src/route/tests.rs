use watchbell_wire::dialect;
use watchbell_wire::expression::Facts;

use super::*;
use crate::endpoint::EndpointPolicy;
use crate::id::{EndpointId, OrgId};
use crate::rule::{Filter, Rules};

const fn told(event_type: &EventType) -> Told<'_> {
    Told { event_type, severity: None }
}

fn decided(told: Told<'_>, endpoint: &Endpoint) -> Route {
    decide(told, endpoint, &mut Inquiry::new(None, Timestamp::UNIX_EPOCH))
}

fn stormed(told: Told<'_>, storm: &Storm, endpoint: &Endpoint) -> Route {
    decide_in_storm(told, storm, &BTreeMap::new(), endpoint, &mut Inquiry::new(None, Timestamp::UNIX_EPOCH))
}

fn digest(storm: &Storm, endpoint: &Endpoint) -> Route {
    decide_digest(storm, &BTreeMap::new(), endpoint, Timestamp::UNIX_EPOCH)
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
    let route = decided(told(&EventType::ProjectSnapshot), &symbiotic);
    assert_eq!(route, Route::Skip(SkipReason::DialectHasNoSuchEvent));
}

#[test]
fn without_a_subscription_everything_but_pings_comes() {
    let standard = endpoint("standard", None);
    assert_eq!(decided(told(&EventType::TrainingCompleted), &standard), Route::Deliver);
    assert_eq!(decided(told(&EventType::WebhookPing), &standard), Route::Skip(SkipReason::NotSubscribed));
    assert_eq!(decide_addressed(&EventType::WebhookPing, &standard), Route::Deliver);
}

#[test]
fn people_are_not_told_the_same_thing_twice_unless_they_ask_for_it() {
    let critical = told(&EventType::VulnerabilityCritical);
    let (slack, all) = (endpoint("slack", None), endpoint("slack", Some(&[EventType::VulnerabilityCritical])));
    assert_eq!(decided(told(&EventType::VulnerabilityCreated), &slack), Route::Deliver);
    assert_eq!(decided(critical, &slack), Route::Skip(SkipReason::NotSubscribed));
    assert_eq!(decided(critical, &all), Route::Deliver);
    assert_eq!(decided(critical, &endpoint("standard", None)), Route::Deliver);
    let training = told(&EventType::TrainingCompleted);
    assert_eq!(decided(training, &endpoint("pagerduty", None)), Route::Skip(SkipReason::NotSubscribed));
}

#[test]
fn a_subscription_limits_and_a_pause_holds() {
    let mut standard = endpoint("standard", Some(&[EventType::PoamOverdue]));
    assert_eq!(decided(told(&EventType::PoamCompleted), &standard), Route::Skip(SkipReason::NotSubscribed));
    standard.state = EndpointState::Paused { since: Timestamp::UNIX_EPOCH };
    assert_eq!(decided(told(&EventType::PoamOverdue), &standard), Route::Hold);
    assert_eq!(decided(told(&EventType::PoamCompleted), &standard), Route::Skip(SkipReason::NotSubscribed));
}

#[test]
fn what_is_known_to_be_too_mild_is_filtered() {
    let mut standard = endpoint("standard", None);
    standard.policy.min_severity = Some(Severity::High);
    let of = |severity| Told { event_type: &EventType::VulnerabilityCreated, severity };
    assert_eq!(decided(of(Some(Severity::Medium)), &standard), Route::Skip(SkipReason::Filtered(FilteredBy::Severity)));
    assert_eq!(decided(of(Some(Severity::High)), &standard), Route::Deliver);
    assert_eq!(decided(of(None), &standard), Route::Deliver, "nobody said that it is harmless");
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
    assert_eq!(stormed(created, &storm, &standard), Route::Skip(SkipReason::Digested));
    assert_eq!(digest(&storm, &standard), Route::Deliver);
    let changed = told(&EventType::VulnerabilityChanged);
    assert_eq!(stormed(changed, &storm, &standard), Route::Skip(SkipReason::NotSubscribed));
    for (threshold, exceeded) in
        [(StormThreshold::Off, false), (StormThreshold::Above(101), false), (StormThreshold::Above(7), true)]
    {
        standard.policy.storm_threshold = Some(threshold);
        assert_eq!(storm.exceeds(&standard, &BTreeMap::new()), exceeded, "{threshold:?}");
        let is_told = stormed(created, &storm, &standard) == Route::Deliver;
        assert_ne!(is_told, digest(&storm, &standard) == Route::Deliver, "one or the other");
    }
    standard.policy.min_severity = Some(Severity::Medium);
    assert!(!storm.exceeds(&standard, &BTreeMap::new()), "it would hear of none of them");
    let other = endpoint("standard", Some(&[EventType::ScanCompleted]));
    assert_eq!(digest(&storm, &other), Route::Skip(SkipReason::NotSubscribed));
}

#[test]
fn a_dialect_without_a_digest_keeps_its_events_unless_told_otherwise() {
    let mut storm = Storm::default();
    (0..500).for_each(|_| storm.add(Severity::High));
    let created = told(&EventType::VulnerabilityCreated);
    let mut symbiotic = endpoint("symbiotic", None);
    assert_eq!(stormed(created, &storm, &symbiotic), Route::Deliver);
    assert_eq!(digest(&storm, &symbiotic), Route::Skip(SkipReason::DialectHasNoSuchEvent));
    symbiotic.policy.storm_threshold = Some(StormThreshold::Above(100));
    assert_eq!(stormed(created, &storm, &symbiotic), Route::Skip(SkipReason::Digested));
}

#[test]
fn a_filter_and_a_mute_come_after_subscription_and_severity() {
    let event_type = EventType::VulnerabilityCreated;
    let data = Data::from_text(r#"{"severity": "high", "title": "a"}"#.to_owned()).unwrap();
    let at = Timestamp::UNIX_EPOCH;
    let decide = |endpoint: &Endpoint| {
        let mut inquiry = Inquiry::new(asks(&event_type, endpoint, at).then(|| Facts::of(&event_type, &data)), at);
        let route = decide(Told::of(&event_type, &data), endpoint, &mut inquiry);
        (route, inquiry.budget.steps_made())
    };
    let mut standard = endpoint("standard", Some(&[EventType::VulnerabilityCreated]));
    assert_eq!(decide(&standard), (Route::Deliver, 0), "without rules nothing is asked");
    standard.policy.rules.filter = Some(Filter::new("title == 'a'"));
    assert_eq!(decide(&standard), (Route::Deliver, 3));
    standard.policy.rules.filter = Some(Filter::new("title == 'b'"));
    assert_eq!(decide(&standard), (Route::Skip(SkipReason::Filtered(FilteredBy::Expression)), 3));
    standard.policy.min_severity = Some(Severity::Critical);
    assert_eq!(decide(&standard), (Route::Skip(SkipReason::Filtered(FilteredBy::Severity)), 0));
    standard.events = Some([EventType::PoamOverdue].into());
    assert_eq!(decide(&standard), (Route::Skip(SkipReason::NotSubscribed), 0));
    let mute = crate::rule::Mute {
        id: crate::id::MuteId(uuid::Uuid::nil()),
        when: Filter::new("severity >= high"),
        until: at + jiff::SignedDuration::from_secs(1),
        reason: None,
        by: String::new(),
        created_at: at,
    };
    let mut muted = endpoint("standard", None);
    muted.policy.rules = Rules { mutes: vec![mute], ..Rules::default() };
    assert_eq!(decide(&muted).0, Route::Skip(SkipReason::Muted));
    muted.state = EndpointState::Paused { since: at };
    assert_eq!(decide(&muted).0, Route::Skip(SkipReason::Muted), "what is muted is not kept for later");
}

#[test]
fn quiet_hours_put_off_and_a_pause_holds() {
    let at: Timestamp = "2026-01-10T23:00:00Z".parse().unwrap();
    let mut standard = endpoint("standard", None);
    standard.policy.rules.quiet = Some(crate::rule::Quiet {
        from: jiff::civil::time(22, 0, 0, 0),
        to: jiff::civil::time(7, 0, 0, 0),
        days: Vec::new(),
        zone: crate::zone::Zone::default(),
        except: Some(Severity::Critical),
    });
    let of = |severity| Told { event_type: &EventType::VulnerabilityCreated, severity };
    let morning = Route::Later("2026-01-11T07:00:00Z".parse().unwrap());
    let decide = |severity, endpoint: &Endpoint| decide(of(severity), endpoint, &mut Inquiry::new(None, at));
    assert_eq!(decide(Some(Severity::High), &standard), morning);
    assert_eq!(decide(Some(Severity::Critical), &standard), Route::Deliver);
    assert_eq!(decide_addressed(&EventType::WebhookPing, &standard), Route::Deliver, "a test does not wait");
    let mut storm = Storm::default();
    (0..=STORM_THRESHOLD).for_each(|_| storm.add(Severity::High));
    assert_eq!(decide_digest(&storm, &BTreeMap::new(), &standard, at), morning);
    storm.add(Severity::Critical);
    assert_eq!(decide_digest(&storm, &BTreeMap::new(), &standard, at), Route::Deliver, "the worst of it counts");
    standard.state = EndpointState::Paused { since: at };
    assert_eq!(decide(Some(Severity::High), &standard), Route::Hold);
}

#[test]
fn a_storm_counts_what_the_filter_lets_through() {
    let mut storm = Storm::default();
    (0..500).for_each(|_| storm.add(Severity::High));
    let standard = endpoint("standard", None);
    let asked = |count| BTreeMap::from([(standard.id, count)]);
    assert!(storm.exceeds(&standard, &BTreeMap::new()) && !storm.exceeds(&standard, &asked(STORM_THRESHOLD)));
    assert!(storm.exceeds(&standard, &asked(STORM_THRESHOLD + 1)));
}

#[test]
fn what_gathers_waits_for_its_digest_and_not_within_quiet_hours() {
    let mut slack = endpoint("slack", None);
    let wait = jiff::SignedDuration::from_mins(15);
    slack.policy.batch = Some(crate::endpoint::Batch { max: 10, wait, except: Some(Severity::Critical) });
    assert!(minds_severity(&slack));
    let moment = |text: &str| text.parse::<Timestamp>().unwrap();
    let decide = |at: &str, severity, endpoint: &Endpoint| {
        let told = Told { event_type: &EventType::VulnerabilityCreated, severity: Some(severity) };
        decide(told, endpoint, &mut Inquiry::new(None, moment(at)))
    };
    let digest = Route::Gather(moment("2026-01-10T21:45:00Z"));
    assert_eq!(decide("2026-01-10T21:40:00Z", Severity::High, &slack), digest);
    assert_eq!(decide("2026-01-10T21:40:00Z", Severity::Critical, &slack), Route::Deliver);
    assert_eq!(decide_addressed(&EventType::WebhookPing, &slack), Route::Deliver, "a test does not wait");
    slack.policy.rules.quiet = Some(crate::rule::Quiet {
        from: jiff::civil::time(22, 0, 0, 0),
        to: jiff::civil::time(7, 0, 0, 0),
        days: Vec::new(),
        zone: crate::zone::Zone::default(),
        except: Some(Severity::High),
    });
    let morning = moment("2026-01-11T07:00:00Z");
    assert_eq!(decide("2026-01-10T21:50:00Z", Severity::Low, &slack), Route::Gather(morning), "not at 22:00");
    assert_eq!(decide("2026-01-10T22:10:00Z", Severity::Low, &slack), Route::Later(morning));
    let night = Route::Gather(moment("2026-01-10T22:15:00Z"));
    assert_eq!(decide("2026-01-10T22:10:00Z", Severity::High, &slack), night, "no quiet hours for it, and a digest");
    slack.state = EndpointState::Paused { since: morning };
    assert_eq!(decide("2026-01-10T21:40:00Z", Severity::High, &slack), Route::Hold);
}
