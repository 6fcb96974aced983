//! What ages goes, and nothing else; what is left can still be read.

use watchbell_domain::SignedDuration;
use watchbell_domain::delivery::{DeadLetterReason, StateKind};
use watchbell_domain::endpoint::Endpoint;
use watchbell_domain::id::{DeliveryId, EventId, OrgId};
use watchbell_domain::port::{Aged, Bounds, DeliveryFilter, EventFilter, Next, Written};

use super::World;
use super::world::{at, first, fresh, once};

const AMPLE: Bounds = Bounds { looked_at: 1000, removed: 1000, time: SignedDuration::from_secs(60) };

/// A delivery as the model knows it.
#[derive(Debug, Clone, Copy)]
struct Made {
    org: OrgId,
    event: EventId,
    delivery: DeliveryId,
    created: i64,
    /// `None`: it waits.
    ended: Option<i64>,
    was_tried: bool,
}

/// Walks to the end; answers how much was removed by each step.
async fn walk(world: &World, kind: Aged, before: i64, bounds: Bounds) -> Vec<u64> {
    let (mut steps, mut from) = (Vec::new(), None);
    loop {
        let expired = world.store.expire(kind, at(before), from, bounds).await.unwrap();
        steps.push(expired.removed);
        assert!(expired.next > from || expired.next.is_none(), "a walk goes on");
        match expired.next {
            Some(place) => from = Some(place),
            None => return steps,
        }
    }
}

/// Deliveries of every state and age, to endpoints of two organisations.
async fn history(world: &World) -> Vec<Made> {
    let mut all = Vec::new();
    for slug in ["acme", "other"] {
        let org = world.org(slug).await;
        let (live, paused) = (world.endpoint(org).await, world.endpoint(org).await);
        world.pause(&paused, 0).await;
        for created in 0..30 {
            all.push(one(world, &live, &paused, created).await);
        }
    }
    all
}

/// One delivery, ended (or not) in a way that its time decides.
async fn one(world: &World, live: &Endpoint, paused: &Endpoint, created: i64) -> Made {
    let endpoint = if created % 5 == 4 { paused } else { live };
    let delivery = world.deliver(endpoint, created).await;
    let late = created + created % 7 * 4;
    let dead = Next::DeadLetter { reason: DeadLetterReason::Exhausted, disable: None, endpoint_pause: None };
    let ended = match created % 5 {
        0 | 1 => {
            let taken = world.claim(live, 99, created).await.deliveries;
            let taken = taken.iter().find(|taken| taken.id == delivery).unwrap();
            let next = if created % 5 == 0 { Next::Delivered } else { dead };
            world.settle(live, taken, next, late).await;
            Some(late)
        }
        2 => {
            world.store.cancel(live.org_id, delivery, at(late), None).await.unwrap().unwrap();
            Some(late)
        }
        _ => None,
    };
    let event = world.delivery(live.org_id, delivery).await.0.event_id;
    Made { org: live.org_id, event, delivery, created, ended, was_tried: created % 5 < 2 }
}

/// What is there is what the model says.
async fn compare(world: &World, all: &[Made], attempts: i64, deliveries: i64, events: i64) {
    for made in all {
        let older = |age: i64| made.ended.is_some_and(|ended| ended < age);
        let found = world.store.delivery(made.org, made.delivery).await.unwrap();
        assert_eq!(found.is_none(), older(deliveries), "{made:?} before {deliveries}");
        if let Some((_, tried)) = found {
            assert_eq!(!tried.is_empty(), made.was_tried && !older(attempts), "{made:?} before {attempts}");
        }
        let is_unused = older(deliveries) && made.created < events;
        let event = world.store.event(made.org, made.event).await.unwrap();
        assert_eq!(event.is_none(), is_unused, "{made:?} before {events}");
    }
}

/// Each kind by its own age, to the exact moment; never what waits.
pub async fn takes_what_is_old_and_ended(world: World) {
    let all = history(&world).await;
    for (attempts, deliveries, events) in [(0, 0, 0), (12, 9, 5), (20, 20, 10), (30, 25, 25), (999, 999, 999)] {
        for (kind, before) in [(Aged::Attempts, attempts), (Aged::Deliveries, deliveries), (Aged::Events, events)] {
            walk(&world, kind, before, AMPLE).await;
            assert_eq!(walk(&world, kind, before, AMPLE).await, [0], "nothing is left of {kind:?}");
        }
        compare(&world, &all, attempts, deliveries, events).await;
    }
    let oldest = all.iter().filter(|made| made.ended.is_none()).map(|made| made.created).min().unwrap();
    assert_eq!(world.store.oldest_event().await.unwrap(), Some(at(oldest)));
}

/// No step looks at, or removes, more than it may, and the walk still comes to its end.
pub async fn goes_in_small_steps(world: World) {
    let all = history(&world).await;
    let ended = all.iter().filter(|made| made.ended.is_some()).count() as u64;
    // What was given up is told as an event of its own, which nobody here wants.
    let told = all.iter().filter(|made| made.created % 5 == 1).count() as u64;
    let small = Bounds { removed: 4, ..AMPLE };
    let steps = walk(&world, Aged::Deliveries, 999, small).await;
    assert!(steps.iter().all(|removed| *removed <= 4), "{steps:?}");
    assert_eq!(steps.iter().sum::<u64>(), ended);
    let blind = Bounds { looked_at: 3, ..AMPLE };
    let steps = walk(&world, Aged::Events, 999, blind).await;
    assert!(steps.iter().all(|removed| *removed <= 3), "{steps:?}");
    assert_eq!(steps.iter().sum::<u64>(), ended + told);
    compare(&world, &all, 999, 999, 999).await;
}

/// An event with a delivery that waits, or that a replay made just now, stays.
pub async fn events_wait_for_their_deliveries(world: World) {
    let org = world.org("acme").await;
    let (one, two) = (world.endpoint(org).await, world.endpoint(org).await);
    world.pause(&two, 0).await;
    let accepted = world.accept(org, 0).await;
    let taken = world.take(&one, 0).await;
    world.settle(&one, &taken, Next::Delivered, 1).await;
    assert_eq!(walk(&world, Aged::Deliveries, 999, AMPLE).await, [1]);
    assert_eq!(walk(&world, Aged::Events, 999, AMPLE).await, [0]);
    let (_, left) = world.store.event(org, accepted.event_id).await.unwrap().unwrap();
    assert_eq!(left.iter().map(|delivery| delivery.endpoint_id).collect::<Vec<_>>(), [two.id]);
    assert!(world.store.cancel(org, left[0].id, at(5), None).await.unwrap().is_some());
    assert_eq!(walk(&world, Aged::Deliveries, 5, AMPLE).await, [0], "it ended just then");
    assert_eq!(walk(&world, Aged::Deliveries, 6, AMPLE).await, [1]);
    assert_eq!(walk(&world, Aged::Events, 999, AMPLE).await, [1]);
    assert_eq!(world.store.event(org, accepted.event_id).await.unwrap(), None);
    assert_eq!(world.store.oldest_event().await.unwrap(), None);
}

/// H19: what went to an endpoint that is no more is listed and shown as before.
pub async fn history_outlives_its_endpoint(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let done = world.deliver(&endpoint, 0).await;
    let taken = world.take(&endpoint, 0).await;
    world.settle(&endpoint, &taken, Next::Delivered, 1).await;
    let waits = world.deliver(&endpoint, 2).await;
    let before = world.delivery(org, done).await;
    assert!(world.store.delete_endpoint(org, endpoint.id, at(3), None).await.unwrap());
    assert_eq!(world.delivery(org, done).await, before);
    assert_eq!(world.state(org, waits).await.kind(), StateKind::Cancelled);
    for filter in [
        DeliveryFilter::default(),
        DeliveryFilter { endpoint_id: Some(endpoint.id), ..DeliveryFilter::default() },
        DeliveryFilter { event_id: Some(before.0.event_id), ..DeliveryFilter::default() },
    ] {
        let listed = world.store.deliveries(org, filter.clone(), first(9)).await.unwrap().items;
        assert!(listed.iter().any(|(delivery, _)| delivery.id == done), "{filter:?}");
    }
    let (_, deliveries) = world.store.event(org, before.0.event_id).await.unwrap().unwrap();
    assert_eq!(deliveries[0].endpoint_id, endpoint.id);
    assert_eq!(world.store.events(org, EventFilter::default(), first(9)).await.unwrap().items.len(), 2);
    assert_eq!(walk(&world, Aged::Deliveries, 999, AMPLE).await, [2], "and it ages like the rest");
}

/// A day after it was given, an answer is forgotten; not before.
pub async fn answers_are_forgotten(world: World) {
    const DAY: i64 = 24 * 3600;
    let org = world.org("acme").await;
    for second in 0..5 {
        let event = world.event(watchbell_wire::EventType::ScanStarted, "{}", second);
        let acceptance = world.acceptance(org, vec![event], second);
        fresh(world.store.accept(acceptance, once(&format!("key-{second}"), 1)).await.unwrap());
    }
    assert_eq!(world.store.forget_answers(at(DAY - 1), 99).await.unwrap(), 0);
    assert_eq!(world.store.forget_answers(at(DAY + 2), 2).await.unwrap(), 2);
    assert_eq!(world.store.forget_answers(at(DAY + 2), 99).await.unwrap(), 1);
    let event = world.event(watchbell_wire::EventType::ScanStarted, "{}", 9);
    let again = world.store.accept(world.acceptance(org, vec![event], 9), once("key-4", 1)).await.unwrap();
    assert!(matches!(again, Written::Repeated(_)), "{again:?}");
}

/// Giving back comes to an end, and loses nothing.
pub async fn space_is_given_back(world: World) {
    let org = world.org("acme").await;
    let data = format!("{{\"text\":\"{}\"}}", "x".repeat(100_000));
    let mut events = Vec::new();
    for second in 0..60 {
        let event = world.event(watchbell_wire::EventType::ScanStarted, &data, second);
        events.push(EventId(event.event.id));
        fresh(world.store.accept(world.acceptance(org, vec![event], second), None).await.unwrap());
    }
    walk(&world, Aged::Events, 50, AMPLE).await;
    let bounds = Bounds { removed: 100, ..AMPLE };
    let mut steps = 0;
    while world.store.give_back(bounds).await.unwrap().more {
        steps += 1;
        assert!(steps < 1000, "it ends");
    }
    for (second, event) in events.into_iter().enumerate() {
        assert_eq!(world.store.event(org, event).await.unwrap().is_some(), second >= 50, "{second}");
    }
}
