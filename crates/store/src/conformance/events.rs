//! Accepting events and looking them up.

use watchbell_domain::delivery::DeliveryState;
use watchbell_domain::endpoint::Endpoint;
use watchbell_domain::event::Skip;
use watchbell_domain::id::EventId;
use watchbell_domain::port::{EventFilter, PageRequest, StoreError};
use watchbell_domain::route::SkipReason;
use watchbell_wire::EventType;

use super::world::{at, first, fresh, pending};
use super::{World, dialects};

/// A delivery for whoever wants the event, held where the endpoint rests, and a reason for everybody else.
pub async fn routed_to_whoever_wants_them(world: World) {
    let org = world.org("acme").await;
    let wants = world.endpoint(org).await;
    let rests = world.endpoint(org).await;
    world.pause(&rests, 1).await;
    let chose_another = Endpoint { events: Some([EventType::VulnerabilityCreated].into()), ..world.new_endpoint(org) };
    world.put(&chose_another).await;
    let cannot_say = Endpoint { dialect: &dialects::FEW, ..world.new_endpoint(org) };
    world.put(&cannot_say).await;

    let new = world.event(EventType::ScanCompleted, "{}", 2);
    let acceptance = world.acceptance(org, vec![new.clone()], 2);
    let accepted = fresh(world.store.accept(acceptance, None).await.unwrap()).remove(0);
    let mut expected = vec![wants.id, rests.id];
    expected.sort();
    let mut made: Vec<_> = accepted.deliveries.iter().map(|(_, endpoint)| *endpoint).collect();
    made.sort();
    assert_eq!((accepted.event_id, made), (EventId(new.event.id), expected));

    let (event, deliveries) = world.store.event(org, accepted.event_id).await.unwrap().unwrap();
    assert_eq!((&event.event, event.org_id, event.accepted_at), (&new.event, org, at(2)));
    let mut skips = vec![
        Skip { endpoint_id: chose_another.id, reason: SkipReason::NotSubscribed },
        Skip { endpoint_id: cannot_say.id, reason: SkipReason::DialectHasNoSuchEvent },
    ];
    skips.sort_by_key(|skip| skip.endpoint_id);
    let mut skipped = event.skipped;
    skipped.sort_by_key(|skip| skip.endpoint_id);
    assert_eq!(skipped, skips);
    assert_eq!(deliveries.len(), 2);
    for delivery in deliveries {
        let state = if delivery.endpoint_id == wants.id { pending(2) } else { DeliveryState::Held };
        assert_eq!((delivery.state, delivery.created_at), (state, at(2)));
        assert_eq!((delivery.attempts_counted, delivery.replay_of), (0, None));
    }
}

/// What is said is kept as it was said.
pub async fn data_is_kept_byte_for_byte(world: World) {
    let org = world.org("acme").await;
    let endpoint = Endpoint { events: None, ..world.new_endpoint(org) };
    world.put(&endpoint).await;
    let texts = [
        "{}",
        "{ \"a\" :\t1 ,\r\n\"b\":  [ ] }",
        "{\"n\":123456789012345678901234567890,\"f\":1.10,\"e\":1E+2,\"z\":-0}",
        "{\"nul\":\"\\u0000\",\"slash\":\"\\/\",\"esc\":\"\\u00e9\"}",
        "{\"emoji\":\"🦀👩‍🚀\",\"rtl\":\"\u{202e}x\",\"bom\":\"\u{feff}\"}",
        "{\"same\":1,\"same\":2}",
    ];
    for text in texts {
        let new = world.event("acme.thing".parse().unwrap(), text, 1);
        let acceptance = world.acceptance(org, vec![new.clone()], 1);
        let accepted = fresh(world.store.accept(acceptance, None).await.unwrap()).remove(0);
        let (event, _) = world.store.event(org, accepted.event_id).await.unwrap().unwrap();
        assert_eq!(event.event.data.text(), text);
        let taken = world.take(&endpoint, 1).await;
        assert_eq!(*taken.event, new.event);
    }
    let large = format!("{{\"large\":\"{}\"}}", "x".repeat(300_000));
    let new = world.event(EventType::ScanStarted, &large, 1);
    let acceptance = world.acceptance(org, vec![new], 1);
    fresh(world.store.accept(acceptance, None).await.unwrap());
    assert_eq!(world.take(&endpoint, 1).await.event.data.text(), large);
}

/// Filters narrow, pages go on.
pub async fn listed_by_filter_and_page(world: World) {
    let org = world.org("acme").await;
    let project = world.project(org, "api").await;
    let mut all = Vec::new();
    for second in 0..9 {
        let event_type = if second % 3 == 0 { EventType::ScanStarted } else { EventType::ScanCompleted };
        let mut new = world.event(event_type, "{}", second);
        new.project_id = (second % 2 == 0).then_some(project.id);
        all.insert(0, (EventId(new.event.id), second));
        let acceptance = world.acceptance(org, vec![new], second);
        fresh(world.store.accept(acceptance, None).await.unwrap());
    }
    let expect = |keep: &dyn Fn(i64) -> bool| -> Vec<EventId> {
        all.iter().filter(|(_, second)| keep(*second)).map(|(id, _)| *id).collect()
    };
    let none = EventFilter::default;
    let cases: [(EventFilter, Vec<EventId>); 5] = [
        (none(), expect(&|_| true)),
        (EventFilter { event_type: Some(EventType::ScanStarted), ..none() }, expect(&|second| second % 3 == 0)),
        (EventFilter { project_id: Some(project.id), ..none() }, expect(&|second| second % 2 == 0)),
        (EventFilter { since: Some(at(3)), until: Some(at(6)), ..none() }, expect(&|second| (3..6).contains(&second))),
        (
            EventFilter { project_id: Some(project.id), event_type: Some(EventType::ScanStarted), ..none() },
            expect(&|second| second % 6 == 0),
        ),
    ];
    for (filter, expected) in cases {
        for limit in [1, 2, 250] {
            let (mut seen, mut before) = (Vec::new(), None);
            loop {
                let page = world.store.events(org, filter.clone(), PageRequest { before, limit }).await.unwrap();
                assert!(page.items.len() <= usize::from(limit));
                seen.extend(page.items.iter().map(|event| event.id()));
                before = seen.last().map(|id| id.0);
                if !page.more {
                    break;
                }
            }
            assert_eq!(seen, expected, "{filter:?} by {limit}");
        }
    }
}

/// An addressed event goes to its endpoint alone, wanted or not; a ping goes nowhere else.
pub async fn addressed_to_one_endpoint(world: World) {
    let org = world.org("acme").await;
    let wants_nothing = Endpoint { events: Some([].into()), ..world.new_endpoint(org) };
    world.put(&wants_nothing).await;
    world.endpoint(org).await;
    let mut ping = world.event(EventType::WebhookPing, "{}", 1);
    ping.only = Some(wants_nothing.id);
    let unaddressed = world.event(EventType::WebhookPing, "{}", 1);
    let mut nowhere = world.event(EventType::WebhookPing, "{}", 1);
    nowhere.only = Some(world.new_endpoint(org).id);
    let acceptance = world.acceptance(org, vec![ping, unaddressed, nowhere], 1);
    let accepted = fresh(world.store.accept(acceptance, None).await.unwrap());
    let to: Vec<Vec<_>> =
        accepted.iter().map(|accepted| accepted.deliveries.iter().map(|(_, endpoint)| *endpoint).collect()).collect();
    assert_eq!(to, [vec![wants_nothing.id], vec![], vec![]]);
    assert_eq!(world.store.events(org, EventFilter::default(), first(9)).await.unwrap().items.len(), 3);
}

/// Events taken in together are there together, or none is.
pub async fn all_or_nothing(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let good = world.event(EventType::ScanStarted, "{}", 1);
    let same_id = good.clone();
    let acceptance = world.acceptance(org, vec![good.clone(), same_id], 1);
    let refused = world.store.accept(acceptance, None).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert_eq!(world.store.event(org, EventId(good.event.id)).await.unwrap(), None);
    assert_eq!(world.claim(&endpoint, 10, 2).await.deliveries.len(), 0);
    let unknown_project =
        watchbell_domain::event::NewEvent { project_id: Some(watchbell_domain::id::ProjectId(world.uuid(0))), ..good };
    let acceptance = world.acceptance(org, vec![unknown_project], 1);
    let refused = world.store.accept(acceptance, None).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
}
