//! Filters, mutes and quiet hours, asked inside the commit; what they said, and how they fail, is kept.

use std::collections::BTreeMap;

use jiff::civil::{Weekday, time};
use watchbell_domain::delivery::DeliveryState;
use watchbell_domain::endpoint::{Batch, Endpoint, EndpointPolicy, StormThreshold};
use watchbell_domain::id::{MuteId, OrgId, ProjectId};
use watchbell_domain::org::Project;
use watchbell_domain::port::{StoreError, Terms};
use watchbell_domain::route::{FilteredBy, SkipReason, Storm};
use watchbell_domain::rule::{Filter, Mute, Quiet, Rules};
use watchbell_wire::{EventType, Severity};

use super::World;
use super::world::{at, first, fresh};

fn endpoint_with(world: &World, org: OrgId, rules: Rules) -> Endpoint {
    let policy = EndpointPolicy { rules, ..EndpointPolicy::default() };
    Endpoint { events: None, policy, ..world.new_endpoint(org) }
}

fn filter(text: &str) -> Rules {
    Rules { filter: Some(Filter::new(text)), ..Rules::default() }
}

fn mute(world: &World, when: &str, until: i64) -> Mute {
    Mute {
        id: MuteId(world.uuid(0)),
        when: Filter::new(when),
        until: at(until),
        reason: Some("known".into()),
        by: "ann".into(),
        created_at: at(1),
    }
}

/// What the store answers to an event about one finding: the deliveries' endpoints, and the reasons of the others.
async fn told(
    world: &World,
    org: OrgId,
    event: watchbell_domain::event::NewEvent,
    seconds: i64,
) -> (usize, Vec<SkipReason>) {
    let accepted =
        fresh(world.store.accept(world.acceptance(org, vec![event], seconds), None).await.unwrap()).remove(0);
    let (event, _) = world.store.event(org, accepted.event_id).await.unwrap().unwrap();
    (accepted.deliveries.len(), event.skipped.iter().map(|skip| skip.reason).collect())
}

/// Rules come back as they were saved, filters by their text.
pub async fn kept_whole(world: World) {
    let org = world.org("acme").await;
    let quiet = Quiet {
        from: time(22, 30, 0, 0),
        to: time(7, 0, 0, 0),
        days: vec![Weekday::Monday, Weekday::Sunday],
        zone: "Europe/Berlin".parse().unwrap(),
        except: Some(Severity::Critical),
    };
    let mutes = vec![mute(&world, "type == 'poam.overdue'", 50), mute(&world, "true", 60)];
    let endpoint =
        endpoint_with(&world, org, Rules { quiet: Some(quiet), mutes, ..filter("severity >= high && title != ''") });
    world.put(&endpoint).await;
    assert_eq!(world.load(&endpoint).await.policy.rules, endpoint.policy.rules);
    world.change(&endpoint, 2, |endpoint| endpoint.policy.rules = Rules::default()).await;
    assert_eq!(world.load(&endpoint).await.policy.rules, Rules::default());
    let page = world.store.endpoints(org, first(10)).await.unwrap();
    assert_eq!(page.items[0].policy.rules, Rules::default());
}

/// A filter decides with what the event says and with what is known of its project at that moment.
pub async fn filtered_by_event_and_project(world: World) {
    let org = world.org("acme").await;
    let project = world.project(org, "pay-api").await;
    let text = "severity >= high && project.labels.team == 'payments' && owner == 'ann' && org.slug == 'acme'";
    world.put(&endpoint_with(&world, org, filter(text))).await;
    let event = |severity: &str, project: Option<ProjectId>| {
        let mut event = world.event(EventType::VulnerabilityCreated, &format!("{{\"severity\":\"{severity}\"}}"), 5);
        event.project_id = project;
        event
    };
    let no = (0, vec![SkipReason::Filtered(FilteredBy::Expression)]);
    assert_eq!(told(&world, org, event("critical", Some(project.id)), 5).await, no, "the project has no labels yet");
    let changed = Project {
        owner: Some("ann".into()),
        labels: BTreeMap::from([("team".into(), "payments".into())]),
        ..project.clone()
    };
    fresh(world.store.describe_project(project.clone(), changed.clone(), at(6), Terms::default()).await.unwrap());
    assert_eq!(told(&world, org, event("critical", Some(project.id)), 7).await, (1, vec![]));
    assert_eq!(told(&world, org, event("medium", Some(project.id)), 7).await, no);
    assert_eq!(told(&world, org, event("critical", None), 7).await, no);
}

/// A project is described by one at a time, and its scans do not notice.
pub async fn projects_are_described(world: World) {
    let org = world.org("acme").await;
    let (one, two) = (world.project(org, "one").await, world.project(org, "two").await);
    let described = Project { name: "uno".into(), owner: Some("ann".into()), ..one.clone() };
    fresh(world.store.describe_project(one.clone(), described.clone(), at(5), Terms::default()).await.unwrap());
    assert_eq!(world.store.project(org, one.id).await.unwrap(), Some(described.clone()));
    let late = world.store.describe_project(one.clone(), one.clone(), at(6), Terms::default()).await;
    assert!(matches!(late, Err(StoreError::Conflict(_))), "{late:?}");
    let taken = Project { name: "uno".into(), ..two.clone() };
    let taken = world.store.describe_project(two, taken, at(6), Terms::default()).await;
    assert!(matches!(taken, Err(StoreError::Conflict(_))), "{taken:?}");
}

/// A filter that cannot say lets everything pass; that it fails is kept until the rules change.
pub async fn broken_filters_deliver_and_are_told(world: World) {
    let org = world.org("acme").await;
    let broken = endpoint_with(&world, org, filter("title > 3"));
    let whole = endpoint_with(&world, org, filter("title == 'a'"));
    world.put(&broken).await;
    world.put(&whole).await;
    for seconds in [5, 6] {
        let event = world.event(EventType::VulnerabilityCreated, "{\"title\":\"a\"}", seconds);
        assert_eq!(told(&world, org, event, seconds).await, (2, vec![]));
    }
    let failures = world.store.rule_failures(org).await.unwrap();
    assert_eq!(failures.keys().collect::<Vec<_>>(), [&broken.id]);
    let failure = &failures[&broken.id];
    assert_eq!((failure.since, failure.last_at, failure.events), (at(5), at(6), 2));
    assert!(failure.why.contains("do not compare"), "{failure:?}");
    let other = world.org("other").await;
    assert!(world.store.rule_failures(other).await.unwrap().is_empty());
    world.change(&broken, 7, |endpoint| endpoint.description = Some("x".into())).await;
    assert_eq!(world.store.rule_failures(org).await.unwrap().len(), 1, "its rules are the same");
    let seen = world.load(&broken).await;
    world.change(&seen, 8, |endpoint| endpoint.policy.rules = filter("true")).await;
    assert!(world.store.rule_failures(org).await.unwrap().is_empty());
}

/// What is muted does not come, until the mute ends; the reason is kept.
pub async fn muted_until_the_end(world: World) {
    let org = world.org("acme").await;
    let mutes = vec![mute(&world, "data.finding_id == 'f1'", 50)];
    world.put(&endpoint_with(&world, org, Rules { mutes, ..Rules::default() })).await;
    let event =
        |finding: &str| world.event(EventType::VulnerabilityCreated, &format!("{{\"finding_id\":\"{finding}\"}}"), 5);
    assert_eq!(told(&world, org, event("f1"), 49).await, (0, vec![SkipReason::Muted]));
    assert_eq!(told(&world, org, event("f2"), 49).await, (1, vec![]));
    assert_eq!(told(&world, org, event("f1"), 50).await, (1, vec![]));
}

/// Within quiet hours a delivery is due when they end; what is bad enough is due at once.
pub async fn quiet_hours_put_off(world: World) {
    let org = world.org("acme").await;
    let now = at(0).to_zoned(jiff::tz::TimeZone::UTC).time();
    let quiet = Quiet {
        from: now,
        to: now.saturating_add(jiff::SignedDuration::from_secs(60)),
        days: Vec::new(),
        zone: "UTC".parse().unwrap(),
        except: Some(Severity::Critical),
    };
    let endpoint = endpoint_with(&world, org, Rules { quiet: Some(quiet), ..Rules::default() });
    world.put(&endpoint).await;
    for (severity, due) in [("high", at(60)), ("critical", at(5))] {
        let event = world.event(EventType::VulnerabilityCreated, &format!("{{\"severity\":\"{severity}\"}}"), 5);
        let accepted = fresh(world.store.accept(world.acceptance(org, vec![event], 5), None).await.unwrap()).remove(0);
        let state = world.state(org, accepted.deliveries[0].0).await;
        assert_eq!(state, DeliveryState::Pending { due_at: due }, "{severity}");
    }
    assert_eq!(world.claim(&endpoint, 10, 59).await.deliveries.len(), 1);
    assert_eq!(world.claim(&endpoint, 10, 60).await.deliveries.len(), 1);
}

/// A storm counts what an endpoint's filter lets through: no digest of what it would not have heard of, and no silence.
pub async fn storms_count_what_passes(world: World) {
    let org = world.org("acme").await;
    let limited = |text: &str| {
        let mut endpoint = endpoint_with(&world, org, filter(text));
        endpoint.policy.storm_threshold = Some(StormThreshold::Above(1));
        endpoint
    };
    let (few, many) = (limited("title == 'a'"), limited("type == 'vulnerability.created' && severity == high"));
    world.put(&few).await;
    world.put(&many).await;
    let project = world.project(org, "api").await;
    let mut storm = Storm::default();
    (0..3).for_each(|_| storm.add(Severity::High));
    let mut outcome = world.outcome(&project, Vec::new(), 5);
    let event = |title: &str| {
        let data = format!("{{\"severity\":\"high\",\"title\":\"{title}\"}}");
        world.event(EventType::VulnerabilityCreated, &data, 5)
    };
    outcome.acceptance.events = ["a", "b", "c"].map(event).to_vec();
    outcome.storm = Some((storm, world.event(EventType::ScanDigest, "{\"scan_id\":\"s\"}", 5)));
    let accepted = fresh(world.store.apply_scan(outcome, None).await.unwrap());
    let got = |index: usize| accepted[index].deliveries.iter().map(|(_, endpoint)| *endpoint).collect::<Vec<_>>();
    assert_eq!((got(0), got(1), got(2)), (vec![few.id], vec![], vec![]), "one of them alone is no storm");
    assert_eq!(got(3), [many.id], "the digest is not asked its filter");
}

/// What was decided when an event was accepted stays: a new filter is for what comes after it.
pub async fn f31_a_changed_filter_is_for_what_comes(world: World) {
    let org = world.org("acme").await;
    let endpoint = endpoint_with(&world, org, filter("title == 'a'"));
    world.put(&endpoint).await;
    let event = |title: &str, seconds| {
        world.event(EventType::VulnerabilityCreated, &format!("{{\"title\":\"{title}\"}}"), seconds)
    };
    let passed = event("a", 5);
    let accepted = fresh(world.store.accept(world.acceptance(org, vec![passed], 5), None).await.unwrap()).remove(0);
    let no = (0, vec![SkipReason::Filtered(FilteredBy::Expression)]);
    let kept_away = event("b", 5);
    assert_eq!(told(&world, org, kept_away.clone(), 5).await, no);
    world.change(&endpoint, 6, |endpoint| endpoint.policy.rules = filter("title == 'b'")).await;
    assert_eq!(world.state(org, accepted.deliveries[0].0).await, DeliveryState::Pending { due_at: at(5) });
    let id = watchbell_domain::id::EventId(kept_away.event.id);
    let (recorded, deliveries) = world.store.event(org, id).await.unwrap().unwrap();
    assert_eq!((recorded.skipped.len(), deliveries.len()), (1, 0));
    assert_eq!(told(&world, org, event("a", 7), 7).await, no);
    assert_eq!(told(&world, org, event("b", 7), 7).await, (1, vec![]));
}

/// Two rules to one place are two endpoints: each event gets there once by each, under an id of its own.
pub async fn i6_one_delivery_per_rule_and_event(world: World) {
    let org = world.org("acme").await;
    let one = endpoint_with(&world, org, filter("severity >= high"));
    let other = Endpoint { url: one.url.clone(), ..endpoint_with(&world, org, filter("title == 'a'")) };
    world.put(&one).await;
    world.put(&other).await;
    let event = world.event(EventType::VulnerabilityCreated, "{\"severity\":\"high\",\"title\":\"a\"}", 5);
    let acceptance = world.acceptance(org, vec![event], 5);
    let accepted = fresh(world.store.accept(acceptance.clone(), None).await.unwrap()).remove(0);
    let mut endpoints: Vec<_> = accepted.deliveries.iter().map(|(_, endpoint)| *endpoint).collect();
    endpoints.sort();
    let mut expected = vec![one.id, other.id];
    expected.sort();
    assert_eq!(endpoints, expected);
    assert_ne!(accepted.deliveries[0].0, accepted.deliveries[1].0);
    let again = world.store.accept(acceptance, None).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    let (_, deliveries) = world.store.event(org, accepted.event_id).await.unwrap().unwrap();
    assert_eq!(deliveries.len(), 2);
}

/// A filter asks by which source an event came in; who posts an event cannot say so.
pub async fn filtered_by_source(world: World) {
    let org = world.org("acme").await;
    let source = world.source(org).await;
    let text = format!("source == '{}' && vendor == '{}'", source.name, source.dialect.id);
    world.put(&endpoint_with(&world, org, filter(&text))).await;
    let data = format!("{{\"source\":\"{}\",\"vendor\":\"{}\"}}", source.name, source.dialect.id);
    let event = |source_id| {
        let event = world.event(EventType::VulnerabilityCreated, &data, 5);
        watchbell_domain::event::NewEvent { source_id, ..event }
    };
    let no = (0, vec![SkipReason::Filtered(FilteredBy::Expression)]);
    assert_eq!(told(&world, org, event(None), 5).await, no);
    let received = event(Some(source.id));
    assert_eq!(told(&world, org, received.clone(), 5).await, (1, vec![]));
    let id = watchbell_domain::id::EventId(received.event.id);
    let (kept, _) = world.store.event(org, id).await.unwrap().unwrap();
    assert_eq!(kept.source_id, Some(source.id));
    assert!(world.store.delete_source(org, source.id, None).await.unwrap());
    assert_eq!(told(&world, org, event(Some(source.id)), 6).await, no, "nobody knows its name any more");
}

/// What gathers is due together: at the end of its wait, or once there is enough of it; the next digest begins anew.
pub async fn digests_gather_and_close_early(world: World) {
    let org = world.org("acme").await;
    let batch = Batch { max: 3, wait: jiff::SignedDuration::from_hours(1), except: Some(Severity::Critical) };
    let mut endpoint = endpoint_with(&world, org, Rules::default());
    endpoint.policy.batch = Some(batch);
    let mut other = endpoint_with(&world, org, Rules::default());
    other.policy.batch = Some(Batch { max: 50, ..batch });
    world.put(&endpoint).await;
    world.put(&other).await;
    let deliver = async |severity: &str, seconds: i64| {
        let data = format!("{{\"severity\":\"{severity}\"}}");
        let event = world.event(EventType::VulnerabilityCreated, &data, seconds);
        let acceptance = world.acceptance(org, vec![event], seconds);
        let accepted = fresh(world.store.accept(acceptance, None).await.unwrap()).remove(0);
        let to = |id| accepted.deliveries.iter().find(|(_, endpoint)| *endpoint == id).unwrap().0;
        (to(endpoint.id), to(other.id))
    };
    let until = batch.holds_until(at(5), None).unwrap();
    let due = |due_at| DeliveryState::Pending { due_at };
    let (one, there) = deliver("high", 5).await;
    let (bad, _) = deliver("critical", 6).await;
    let (two, _) = deliver("low", 6).await;
    assert_eq!(world.state(org, one).await, due(until));
    assert_eq!(world.state(org, two).await, due(until));
    assert_eq!(world.state(org, bad).await, due(at(6)), "it does not wait");
    let flow = |due: Vec<watchbell_domain::port::DueEndpoint>| {
        due.iter().find(|due| due.endpoint_id == endpoint.id).unwrap().flow
    };
    assert_eq!(flow(world.store.due_endpoints().await.unwrap()).gathers, Some(3));
    assert_eq!(world.claim(&endpoint, 10, 7).await.deliveries.len(), 1, "the bad one alone");
    let (three, _) = deliver("low", 8).await;
    for id in [one, two, three] {
        assert_eq!(world.state(org, id).await, due(at(8)), "there are enough");
    }
    assert_eq!(world.state(org, there).await, due(until), "another endpoint's digest goes on");
    let (four, _) = deliver("low", 9).await;
    assert_eq!(world.state(org, four).await, due(until));
    let claimed = world.claim(&endpoint, 10, 9).await;
    let ids: Vec<_> = claimed.deliveries.iter().map(|delivery| delivery.id).collect();
    assert_eq!((ids, claimed.next_due_at), (vec![one, two, three], Some(until)));
}
