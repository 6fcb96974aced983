//! Looking deliveries up, and what people do to them.

use watchbell_domain::delivery::{CancelReason, DeadLetterReason, DeliveryState, StateKind};
use watchbell_domain::id::DeliveryId;
use watchbell_domain::port::{DeliveryFilter, Next, PageRequest, Replay, ReplayWhat, StoreError, Terms};

use super::World;
use super::world::{at, first, fresh, pending, retry};

/// Filters narrow, pages go on, attempts come along.
pub async fn listed_by_filter_and_page(world: World) {
    let org = world.org("acme").await;
    let (one, two) = (world.endpoint(org).await, world.endpoint(org).await);
    let mut all = Vec::new();
    for second in 0..6 {
        let accepted = world.accept(org, second).await;
        for (id, endpoint) in &accepted.deliveries {
            all.push((*id, *endpoint, accepted.event_id, second));
        }
    }
    let taken = world.claim(&one, 2, 9).await;
    for taken in &taken.deliveries {
        world.settle(&one, taken, Next::Delivered, 9).await;
    }
    let done: Vec<DeliveryId> = taken.deliveries.iter().map(|taken| taken.id).collect();
    all.sort_by_key(|(id, ..)| std::cmp::Reverse(*id));
    let event = all[4].2;
    let none = DeliveryFilter::default;
    type Row = (DeliveryId, watchbell_domain::id::EndpointId, watchbell_domain::id::EventId, i64);
    let expect = |keep: &dyn Fn(&Row) -> bool| all.iter().filter(|row| keep(row)).map(|row| row.0).collect::<Vec<_>>();
    let cases = [
        (none(), expect(&|_| true)),
        (DeliveryFilter { endpoint_id: Some(two.id), ..none() }, expect(&|row| row.1 == two.id)),
        (DeliveryFilter { event_id: Some(event), ..none() }, expect(&|row| row.2 == event)),
        (
            DeliveryFilter { event_id: Some(event), endpoint_id: Some(one.id), ..none() },
            expect(&|row| row.2 == event && row.1 == one.id),
        ),
        (DeliveryFilter { state: Some(StateKind::Delivered), ..none() }, expect(&|row| done.contains(&row.0))),
        (DeliveryFilter { since: Some(at(2)), until: Some(at(4)), ..none() }, expect(&|row| (2..4).contains(&row.3))),
    ];
    for (filter, expected) in cases {
        for limit in [1, 5, 250] {
            let (mut seen, mut before) = (Vec::new(), None);
            loop {
                let page = world.store.deliveries(org, filter.clone(), PageRequest { before, limit }).await.unwrap();
                for (delivery, attempts) in page.items {
                    assert_eq!(attempts.len(), usize::from(done.contains(&delivery.id)));
                    seen.push(delivery.id);
                }
                before = seen.last().map(|id| id.0);
                if !page.more {
                    break;
                }
            }
            assert_eq!(seen, expected, "{filter:?} by {limit}");
        }
    }
}

/// What waits for its time goes now; the rest is a conflict.
pub async fn retried_now(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let id = world.deliver(&endpoint, 0).await;
    let taken = world.take(&endpoint, 0).await;
    assert!(matches!(world.store.retry_now(org, id, at(1), None).await, Err(StoreError::Conflict(_))), "being sent");
    world.settle(&endpoint, &taken, retry(at(500)), 1).await;
    let delivery = world.store.retry_now(org, id, at(7), None).await.unwrap().unwrap();
    assert_eq!((&delivery, &delivery.state), (&world.delivery(org, id).await.0, &pending(7)));
    let delivery = world.store.retry_now(org, id, at(9), None).await.unwrap().unwrap();
    assert_eq!(delivery.state, pending(7), "what is due already is not put off");
    assert_eq!(world.claim(&endpoint, 1, 7).await.deliveries.len(), 1);
    assert_eq!(world.store.retry_now(org, DeliveryId(world.uuid(0)), at(9), None).await.unwrap(), None);
}

/// What waits, for its time or its endpoint, can be called off.
pub async fn cancelled(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let waits = world.deliver(&endpoint, 0).await;
    let cancelled = DeliveryState::Cancelled { at: at(1), reason: CancelReason::Requested };
    let delivery = world.store.cancel(org, waits, at(1), None).await.unwrap().unwrap();
    assert_eq!((&delivery, &delivery.state), (&world.delivery(org, waits).await.0, &cancelled));
    let sending = world.deliver(&endpoint, 2).await;
    world.take(&endpoint, 2).await;
    assert!(matches!(world.store.cancel(org, sending, at(3), None).await, Err(StoreError::Conflict(_))));
    let held = world.deliver(&endpoint, 4).await;
    world.pause(&endpoint, 4).await;
    world.store.cancel(org, held, at(5), None).await.unwrap().unwrap();
    world.resume(&endpoint, 6).await;
    assert_eq!(world.state(org, held).await.as_str(), "cancelled");
    assert_eq!(world.store.cancel(org, DeliveryId(world.uuid(0)), at(9), None).await.unwrap(), None);
}

/// A replay is a new delivery that names the old one; the old one stays as it is.
pub async fn replayed_alone(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let old = world.deliver(&endpoint, 0).await;
    let taken = world.take(&endpoint, 0).await;
    world.settle(&endpoint, &taken, Next::Delivered, 1).await;
    let before = world.delivery(org, old).await;
    let replay = |id: DeliveryId, seconds: i64| Replay {
        org_id: org,
        what: ReplayWhat::Delivery(id),
        now: at(seconds),
        delivery_ids: world.ids(),
    };
    let new = fresh(world.store.replay(replay(old, 5), Terms::default()).await.unwrap()).remove(0);
    assert_eq!((new.replay_of, new.event_id, new.endpoint_id), (Some(old), before.0.event_id, endpoint.id));
    assert_eq!((&new.state, new.created_at, new.attempts_counted), (&pending(5), at(5), 0));
    assert_eq!(world.delivery(org, new.id).await.0, new);
    assert_eq!(world.delivery(org, old).await, before);
    let taken = world.take(&endpoint, 5).await;
    assert_eq!((taken.id, taken.attempt_number), (new.id, 1));

    world.pause(&endpoint, 6).await;
    let held = fresh(world.store.replay(replay(old, 7), Terms::default()).await.unwrap()).remove(0);
    assert_eq!(held.state, DeliveryState::Held);
    assert!(world.store.delete_endpoint(org, endpoint.id, at(8), None).await.unwrap());
    assert_eq!(fresh(world.store.replay(replay(old, 9), Terms::default()).await.unwrap()), []);
    assert_eq!(fresh(world.store.replay(replay(DeliveryId(world.uuid(0)), 9), Terms::default()).await.unwrap()), []);
}

/// Each endpoint that had the event gets it once more, however often it had it.
pub async fn replayed_by_event(world: World) {
    let org = world.org("acme").await;
    let (one, two) = (world.endpoint(org).await, world.endpoint(org).await);
    let accepted = world.accept(org, 0).await;
    let replay = |seconds: i64| Replay {
        org_id: org,
        what: ReplayWhat::Event(accepted.event_id),
        now: at(seconds),
        delivery_ids: world.ids(),
    };
    let second = fresh(world.store.replay(replay(1), Terms::default()).await.unwrap());
    let third = fresh(world.store.replay(replay(2), Terms::default()).await.unwrap());
    for made in [&second, &third] {
        let mut to: Vec<_> = made.iter().map(|delivery| delivery.endpoint_id).collect();
        to.sort();
        let mut both = vec![one.id, two.id];
        both.sort();
        assert_eq!(to, both);
    }
    let (_, deliveries) = world.store.event(org, accepted.event_id).await.unwrap().unwrap();
    assert_eq!(deliveries.len(), 6);
    for delivery in third {
        assert!(second.iter().any(|older| Some(older.id) == delivery.replay_of), "it names the newest");
    }
}

/// What ended in a window goes out again, oldest first.
pub async fn replayed_by_window(world: World) {
    let org = world.org("acme").await;
    let (endpoint, other) = (world.endpoint(org).await, world.endpoint(org).await);
    let mut made = Vec::new();
    for second in 0..8 {
        let id = world.deliver(&endpoint, second).await;
        world.deliver(&other, second).await;
        made.push(id);
        match second {
            7 => {}
            even if even % 2 == 0 => {
                let taken = world.take(&endpoint, second).await;
                world.settle(&endpoint, &taken, Next::Delivered, second).await;
            }
            _ => drop(world.store.cancel(org, id, at(second), None).await.unwrap()),
        }
    }
    let window = |since: i64, until: i64, state, limit| Replay {
        org_id: org,
        what: ReplayWhat::Window { endpoint_id: endpoint.id, since: at(since), until: at(until), state, limit },
        now: at(100),
        delivery_ids: world.ids(),
    };
    for (replay, expected) in [
        (window(1, 5, None, 99), &made[1..5]),
        (window(6, 9, None, 99), &made[6..7]),
        (window(1, 5, None, 2), &made[1..3]),
        (window(1, 5, Some(StateKind::Delivered), 99), &[made[2], made[4]]),
        (window(7, 8, None, 99), &[]),
        (window(0, 99, Some(StateKind::Pending), 99), &[]),
    ] {
        let what = replay.what.clone();
        let replayed = fresh(world.store.replay(replay, Terms::default()).await.unwrap());
        let old: Vec<_> = replayed.iter().filter_map(|delivery| delivery.replay_of).collect();
        assert_eq!(old, expected, "{what:?}");
        for delivery in replayed {
            world.store.cancel(org, delivery.id, at(100), None).await.unwrap().unwrap();
        }
    }
}

/// How many are where.
pub async fn counted(world: World) {
    let (org, other) = (world.org("acme").await, world.org("other").await);
    let (endpoint, paused, foreign) =
        (world.endpoint(org).await, world.endpoint(org).await, world.endpoint(other).await);
    world.deliver(&foreign, 0).await;
    let mut waiting = Vec::new();
    for _ in 0..5 {
        waiting.push(world.deliver(&endpoint, 0).await);
    }
    let claimed = world.claim(&endpoint, 3, 0).await.deliveries;
    waiting.retain(|id| claimed.iter().all(|taken| taken.id != *id));
    world.settle(&endpoint, &claimed[0], Next::Delivered, 1).await;
    let dead = Next::DeadLetter { reason: DeadLetterReason::Exhausted, disable: None, endpoint_pause: None };
    world.settle(&endpoint, &claimed[1], dead, 1).await;
    world.store.cancel(org, waiting[0], at(1), None).await.unwrap().unwrap();
    for _ in 0..2 {
        world.deliver(&paused, 0).await;
    }
    world.pause(&paused, 1).await;
    let count = |kind| match kind {
        StateKind::Pending | StateKind::Sending | StateKind::Delivered => 1,
        StateKind::DeadLettered | StateKind::Cancelled => 1,
        StateKind::Held => 2,
    };
    let mut counts = world.store.count_deliveries(org).await.unwrap();
    counts.sort();
    assert_eq!(counts, StateKind::ALL.map(|kind| (kind, count(kind))).to_vec());
    // The list of a state is what is counted, whichever way it is found.
    for kind in StateKind::ALL {
        for endpoint_id in [None, Some(endpoint.id), Some(paused.id)] {
            let filter = DeliveryFilter { state: Some(kind), endpoint_id, ..DeliveryFilter::default() };
            let listed = world.store.deliveries(org, filter, first(250)).await.unwrap().items;
            let at_paused = kind == StateKind::Held;
            let is_elsewhere = endpoint_id.is_some_and(|id| (id == paused.id) != at_paused);
            let expected = if is_elsewhere { 0 } else { count(kind) };
            assert_eq!(listed.len() as u64, expected, "{kind:?} {endpoint_id:?}");
            assert!(listed.iter().all(|(delivery, _)| delivery.state.kind() == kind));
        }
    }
}
