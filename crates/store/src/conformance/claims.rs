//! Claim and settle: who may send what, and what comes of it.

use bytes::Bytes;
use watchbell_domain::delivery::{
    AttemptResult, CancelReason, DeadLetterReason, DeliveryState, Lease, Response, StateKind,
};
use watchbell_domain::endpoint::{DisabledReason, Endpoint, EndpointPolicy, EndpointState, Flow, Order};
use watchbell_domain::event::NewEvent;
use watchbell_domain::id::ProjectId;
use watchbell_domain::port::{Claim, Next, Settled, Settlement, StoreError};
use watchbell_wire::EventType;

use super::World;
use super::world::{LEASE, NO_LEASE, at, attempt, fresh, pending, retry};

/// By due time, no more than asked, and each once.
pub async fn taken_oldest_first(world: World) {
    let org = world.org("acme").await;
    let (one, two) = (world.endpoint(org).await, world.endpoint(org).await);
    let mut expected = Vec::new();
    for second in [5, 1, 3, 2, 4] {
        expected.push((second, world.deliver(&one, second).await));
    }
    expected.sort();
    let other = world.deliver(&two, 1).await;
    let claim = |endpoint: &Endpoint, limit| Claim { org_id: org, endpoint_id: endpoint.id, limit, retries: u32::MAX };
    let claims = vec![claim(&one, 2), claim(&two, 5), claim(&world.new_endpoint(org), 5)];
    let claimed = world.store.claim(claims, at(4), LEASE).await.unwrap();
    assert_eq!(claimed.len(), 2, "an endpoint that is not there has no answer");
    let ids = |index: usize| claimed[index].deliveries.iter().map(|taken| taken.id).collect::<Vec<_>>();
    assert_eq!(ids(0), [expected[0].1, expected[1].1]);
    assert_eq!(ids(1), [other]);
    assert_eq!((claimed[0].next_due_at, claimed[1].next_due_at), (Some(at(3)), None));
    assert_eq!(*claimed[0].endpoint, world.load(&one).await);

    let rest = world.claim(&one, 10, 4).await;
    assert_eq!(rest.deliveries.iter().map(|taken| taken.id).collect::<Vec<_>>(), [expected[2].1, expected[3].1]);
    assert_eq!(rest.next_due_at, Some(at(5)));
    let taken = &rest.deliveries[0];
    assert_eq!((taken.lease, taken.attempt_number, taken.attempts_counted), (Lease(1), 1, 0));
    assert_eq!((taken.latest_results.as_slice(), &taken.body), ([].as_slice(), &None));
    let lease_until = at(4).checked_add(LEASE).unwrap();
    assert_eq!(world.state(org, taken.id).await, DeliveryState::Sending { lease_until, lease: Lease(1) });
}

/// Nothing before it is due, nor while the endpoint asked for peace.
pub async fn not_before_their_time(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    world.deliver(&endpoint, 5).await;
    let early = world.claim(&endpoint, 1, 4).await;
    assert_eq!((early.deliveries.len(), early.next_due_at), (0, Some(at(5))));
    world.change(&endpoint, 5, |endpoint| endpoint.not_before = Some(at(20))).await;
    let early = world.claim(&endpoint, 1, 19).await;
    assert_eq!((early.deliveries.len(), early.next_due_at), (0, Some(at(20))));
    assert_eq!(world.store.due_endpoints().await.unwrap()[0].due_at, at(20));
    assert_eq!(world.claim(&endpoint, 1, 20).await.deliveries.len(), 1);
}

/// Delivered, again, given up: with the attempt, every member of it.
pub async fn settled_into_every_state(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let id = world.deliver(&endpoint, 0).await;
    let mut full = attempt(1, AttemptResult::Http(503), 1);
    full.response = Some(Response {
        status: 503,
        headers: vec![("Retry-After".into(), "1".into()), ("X".into(), "\u{0}\"".into())],
        body: vec![0, 0xff, b'x'],
        truncated: true,
    });
    full.detail = Some("busy".into());
    let taken = world.take(&endpoint, 1).await;
    let settlement = world.settlement(&endpoint, &taken, retry(at(10)), 2);
    let settled = world.settle_one(Settlement { attempt: Some(full.clone()), ..settlement }).await.unwrap();
    assert_eq!(settled, Settled { state: StateKind::Pending });
    let (delivery, attempts) = world.delivery(org, id).await;
    assert_eq!((delivery.state, delivery.attempts_counted), (pending(10), 1));
    assert_eq!(attempts, [full]);

    let taken = world.take(&endpoint, 10).await;
    assert_eq!((taken.attempt_number, taken.attempts_counted, taken.lease), (2, 1, Lease(2)));
    let uncounted = Next::Retry { due_at: at(11), counts: false, endpoint_pause: None };
    world.settle(&endpoint, &taken, uncounted, 10).await;
    let taken = world.take(&endpoint, 11).await;
    assert_eq!((taken.attempt_number, taken.attempts_counted), (3, 1));
    world.settle(&endpoint, &taken, Next::Delivered, 12).await;
    let (delivery, attempts) = world.delivery(org, id).await;
    assert_eq!((delivery.state, delivery.attempts_counted), (DeliveryState::Delivered { at: at(12) }, 2));
    assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2, 3]);

    for reason in DeadLetterReason::ALL {
        let id = world.deliver(&endpoint, 20).await;
        let taken = world.take(&endpoint, 20).await;
        world.settle(&endpoint, &taken, Next::DeadLetter { reason, disable: None, endpoint_pause: None }, 21).await;
        assert_eq!(world.state(org, id).await, DeliveryState::DeadLettered { at: at(21), reason });
    }
}

/// Whoever lost the claim changes nothing.
pub async fn stale_tokens_are_refused(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let id = world.deliver(&endpoint, 0).await;
    let late = world.take(&endpoint, 0).await;
    let current = world.take(&endpoint, 60).await;
    assert_eq!((late.lease, current.lease), (Lease(1), Lease(2)));
    let before = world.delivery(org, id).await;
    for lease in [late.lease, NO_LEASE, Lease(0)] {
        let settlement = world.settlement(&endpoint, &late, Next::Delivered, 61);
        let refused = world.settle_one(Settlement { lease, ..settlement }).await;
        assert_eq!(refused, Err(StoreError::LeaseLost));
    }
    assert_eq!(world.delivery(org, id).await, before);
    world.settle(&endpoint, &current, Next::Delivered, 61).await;
    let again = world.settle_one(world.settlement(&endpoint, &current, Next::Delivered, 62)).await;
    assert_eq!(again, Err(StoreError::LeaseLost));
    assert_eq!(world.state(org, id).await, DeliveryState::Delivered { at: at(61) });
}

/// A claim nobody settled ends as an attempt that does not count.
pub async fn expired_claims_are_taken_again(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let id = world.deliver(&endpoint, 0).await;
    world.take(&endpoint, 3).await;
    assert_eq!(world.store.due_endpoints().await.unwrap()[0].due_at, at(63));
    assert_eq!(world.claim(&endpoint, 10, 62).await.deliveries.len(), 0);
    let again = world.take(&endpoint, 63).await;
    assert_eq!((again.attempt_number, again.attempts_counted), (2, 0));
    assert_eq!(again.latest_results, [AttemptResult::Interrupted]);
    let (_, attempts) = world.delivery(org, id).await;
    assert_eq!((attempts.len(), attempts[0].number, attempts[0].started_at), (1, 1, at(3)));
    assert_eq!(attempts[0].result, AttemptResult::Interrupted);
}

/// Claims that ran out while their endpoint was paused, resting or deleted come back all the same.
pub async fn expired_claims_of_endpoints_that_rest(world: World) {
    let org = world.org("acme").await;
    let (paused, resting, deleted) = (world.endpoint(org).await, world.endpoint(org).await, world.endpoint(org).await);
    let mut ids = Vec::new();
    for endpoint in [&paused, &resting, &deleted] {
        ids.push(world.deliver(endpoint, 0).await);
        world.take(endpoint, 0).await;
    }
    world.pause(&paused, 1).await;
    world.change(&resting, 1, |endpoint| endpoint.not_before = Some(at(500))).await;
    assert!(world.store.delete_endpoint(org, deleted.id, at(1), None).await.unwrap());
    let due = world.store.due_endpoints().await.unwrap();
    assert_eq!(due.len(), 3, "each is looked at when its claim runs out");
    let claims = due
        .iter()
        .map(|due| Claim { org_id: org, endpoint_id: due.endpoint_id, limit: 5, retries: u32::MAX })
        .collect();
    let claimed = world.store.claim(claims, at(60), LEASE).await.unwrap();
    assert!(claimed.iter().all(|claimed| claimed.deliveries.is_empty()));
    assert_eq!(world.state(org, ids[0]).await, DeliveryState::Held);
    assert_eq!(world.state(org, ids[1]).await, pending(60));
    let reason = CancelReason::EndpointDeleted;
    assert_eq!(world.state(org, ids[2]).await, DeliveryState::Cancelled { at: at(60), reason });
    let due = world.store.due_endpoints().await.unwrap();
    assert_eq!(due.iter().map(|due| (due.endpoint_id, due.due_at)).collect::<Vec<_>>(), [(resting.id, at(500))]);
}

/// Nothing follows an end.
pub async fn terminal_states_stay(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let reason = DeadLetterReason::Exhausted;
    for next in [Some(Next::Delivered), Some(Next::DeadLetter { reason, disable: None, endpoint_pause: None }), None] {
        let id = world.deliver(&endpoint, 0).await;
        match next {
            Some(next) => {
                let taken = world.take(&endpoint, 1).await;
                world.settle(&endpoint, &taken, next, 1).await;
            }
            None => drop(world.store.cancel(org, id, at(1), None).await.unwrap().unwrap()),
        }
        let ended = world.delivery(org, id).await;
        assert!(ended.0.state.kind().is_terminal());
        assert!(matches!(world.store.retry_now(org, id, at(2), None).await, Err(StoreError::Conflict(_))));
        assert!(matches!(world.store.cancel(org, id, at(2), None).await, Err(StoreError::Conflict(_))));
        world.pause(&endpoint, 2).await;
        world.resume(&endpoint, 3).await;
        assert_eq!(world.claim(&endpoint, 9, 500).await.deliveries.len(), 0);
        assert_eq!(world.delivery(org, id).await, ended);
    }
    let all = world.store.count_deliveries(org).await.unwrap();
    assert!(world.store.delete_endpoint(org, endpoint.id, at(9), None).await.unwrap());
    assert_eq!(world.store.count_deliveries(org).await.unwrap(), all);
}

/// An endpoint that asked for a long pause is not called earlier because another answer asked for a short one.
pub async fn pauses_only_grow(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    for _ in 0..3 {
        world.deliver(&endpoint, 0).await;
    }
    let claimed = world.claim(&endpoint, 3, 0).await;
    for (taken, (asked, expected)) in claimed.deliveries.iter().zip([(30, 30), (20, 30), (40, 40)]) {
        let next = Next::Retry { due_at: at(asked), counts: true, endpoint_pause: Some(at(asked)) };
        world.settle(&endpoint, taken, next, 1).await;
        assert_eq!(world.load(&endpoint).await.not_before, Some(at(expected)));
    }
    assert_eq!(world.claim(&endpoint, 3, 39).await.deliveries.len(), 0);
    assert_eq!(world.claim(&endpoint, 3, 40).await.deliveries.len(), 3);
}

/// 410: given up, disabled, and the others held, in one commit.
pub async fn gone_disables_and_holds(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    for _ in 0..2 {
        world.deliver(&endpoint, 0).await;
    }
    let claimed = world.claim(&endpoint, 2, 0).await;
    let waits = world.deliver(&endpoint, 1).await;
    let gone =
        Next::DeadLetter { reason: DeadLetterReason::Gone, disable: Some(DisabledReason::Gone), endpoint_pause: None };
    world.settle(&endpoint, &claimed.deliveries[0], gone, 2).await;
    let disabled = world.load(&endpoint).await;
    assert_eq!(disabled.state, EndpointState::Disabled { since: at(2), reason: DisabledReason::Gone });
    assert_eq!(disabled.updated_at, at(0), "its owner did not change it");
    assert_eq!(world.state(org, waits).await, DeliveryState::Held);
    let settlement = world.settlement(&endpoint, &claimed.deliveries[1], retry(at(5)), 3);
    assert_eq!(world.settle_one(settlement).await.unwrap(), Settled { state: StateKind::Held });
    assert!(world.store.due_endpoints().await.unwrap().is_empty());
    world.resume(&endpoint, 9).await;
    assert_eq!(world.claim(&endpoint, 9, 9).await.deliveries.len(), 2);
}

/// A result that comes after the endpoint was paused or deleted is recorded, and the delivery goes where it belongs.
pub async fn settled_after_a_pause_or_deletion(world: World) {
    let org = world.org("acme").await;
    for (next, paused, deleted) in [
        (retry(at(9)), StateKind::Held, StateKind::Cancelled),
        (Next::Delivered, StateKind::Delivered, StateKind::Delivered),
    ] {
        let endpoint = world.endpoint(org).await;
        for _ in 0..2 {
            world.deliver(&endpoint, 0).await;
        }
        let claimed = world.claim(&endpoint, 2, 0).await;
        world.pause(&endpoint, 1).await;
        let settlement = world.settlement(&endpoint, &claimed.deliveries[0], next, 2);
        assert_eq!(world.settle_one(settlement).await.unwrap(), Settled { state: paused });
        assert!(world.store.delete_endpoint(org, endpoint.id, at(3), None).await.unwrap());
        let settlement = world.settlement(&endpoint, &claimed.deliveries[1], next, 4);
        assert_eq!(world.settle_one(settlement).await.unwrap(), Settled { state: deleted });
    }
}

/// The next attempt gets the body as it was made and the latest three results.
pub async fn bodies_and_results_come_back(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    world.deliver(&endpoint, 0).await;
    let body = Bytes::from_static(b"{\"made\":\xf0\x9f\xa6\x80\x00}");
    let results = [
        AttemptResult::DnsError,
        AttemptResult::Http(503),
        AttemptResult::EgressForbidden,
        AttemptResult::ConnectTimeout,
    ];
    for (number, result) in (1..).zip(results) {
        let taken = world.take(&endpoint, i64::from(number)).await;
        assert_eq!(taken.body, (number > 1).then(|| body.clone()));
        let settlement = world.settlement(&endpoint, &taken, retry(at(0)), i64::from(number));
        let settlement = Settlement {
            attempt: Some(attempt(number, result, i64::from(number))),
            body: (number == 1).then(|| body.clone()),
            ..settlement
        };
        world.settle_one(settlement).await.unwrap();
    }
    let taken = world.take(&endpoint, 9).await;
    assert_eq!(
        taken.latest_results,
        [AttemptResult::ConnectTimeout, AttemptResult::EgressForbidden, AttemptResult::Http(503)]
    );
    assert_eq!((taken.attempt_number, taken.body), (5, Some(body)));
}

/// One row an endpoint, with the time at which it wants to be looked at.
pub async fn due_endpoints_say_when(world: World) {
    let (org, other) = (world.org("acme").await, world.org("other").await);
    assert!(world.store.due_endpoints().await.unwrap().is_empty());
    let policy = EndpointPolicy {
        max_in_flight: Some(4),
        rate_limit: Some("5/s burst 7".parse().unwrap()),
        order: Order::Endpoint,
        ..EndpointPolicy::default()
    };
    let (limits, none) = (policy.flow(), Flow::default());
    let limited = Endpoint { policy, ..world.new_endpoint(org) };
    world.put(&limited).await;
    let (plain, idle, foreign) = (world.endpoint(org).await, world.endpoint(org).await, world.endpoint(other).await);
    for second in [7, 5, 9] {
        world.deliver(&limited, second).await;
        world.deliver(&plain, second + 1).await;
    }
    world.deliver(&foreign, 2).await;
    let done = world.deliver(&idle, 1).await;
    world.store.cancel(org, done, at(1), None).await.unwrap().unwrap();
    let mut expected =
        vec![(org, limited.id, at(5), limits), (org, plain.id, at(6), none), (other, foreign.id, at(2), none)];
    expected.sort_by_key(|(_, id, ..)| *id);
    let due = world.store.due_endpoints().await.unwrap();
    let mut found: Vec<_> = due.iter().map(|due| (due.org_id, due.endpoint_id, due.due_at, due.flow)).collect();
    found.sort_by_key(|(_, id, ..)| *id);
    assert_eq!(found, expected);
}

/// A claim that is given back unsent leaves no attempt.
pub async fn given_back_unsent(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let id = world.deliver(&endpoint, 0).await;
    let taken = world.take(&endpoint, 1).await;
    let back = Next::Retry { due_at: at(1), counts: false, endpoint_pause: None };
    let settlement = Settlement { attempt: None, ..world.settlement(&endpoint, &taken, back, 2) };
    world.settle_one(settlement).await.unwrap();
    let (delivery, attempts) = world.delivery(org, id).await;
    assert_eq!((delivery.state, delivery.attempts_counted, attempts.len()), (pending(1), 0, 0));
    let again = world.take(&endpoint, 2).await;
    assert_eq!((again.attempt_number, again.lease), (1, Lease(2)));
}

/// An endpoint that is served in order.
async fn ordered(world: &World) -> Endpoint {
    let org = world.org("acme").await;
    let policy = EndpointPolicy { order: Order::Endpoint, ..EndpointPolicy::default() };
    let endpoint = Endpoint { policy, ..world.new_endpoint(org) };
    world.put(&endpoint).await;
    endpoint
}

/// First in, first out: the next only when the one before it is over, however long its retries take.
pub async fn in_order_one_by_one(world: World) {
    let endpoint = ordered(&world).await;
    let ids = [world.deliver(&endpoint, 1).await, world.deliver(&endpoint, 2).await, world.deliver(&endpoint, 3).await];
    let first = world.take(&endpoint, 5).await;
    assert_eq!(first.id, ids[0]);
    assert_eq!(world.claim(&endpoint, 10, 5).await.deliveries.len(), 0, "the one before is being sent");
    world.settle(&endpoint, &first, retry(at(100)), 6).await;
    let early = world.claim(&endpoint, 10, 99).await;
    assert_eq!((early.deliveries.len(), early.next_due_at), (0, Some(at(100))), "the others wait behind it");
    let first = world.take(&endpoint, 100).await;
    assert_eq!((first.id, first.attempt_number), (ids[0], 2));
    let back = Next::Retry { due_at: at(101), counts: false, endpoint_pause: None };
    world.settle(&endpoint, &first, back, 101).await;
    let first = world.take(&endpoint, 101).await;
    assert_eq!(first.id, ids[0], "given back, it is first again");
    let given_up = Next::DeadLetter { reason: DeadLetterReason::Exhausted, disable: None, endpoint_pause: None };
    world.settle(&endpoint, &first, given_up, 102).await;
    let second = world.take(&endpoint, 102).await;
    assert_eq!(second.id, ids[1]);
    // Its claim runs out: it is taken again before the third.
    let second = world.take(&endpoint, 200).await;
    assert_eq!(second.id, ids[1]);
    world.settle(&endpoint, &second, Next::Delivered, 201).await;
    assert_eq!(world.take(&endpoint, 201).await.id, ids[2]);
}

/// What was held keeps its places, the one that was tried among them.
pub async fn in_order_after_a_rest(world: World) {
    let endpoint = ordered(&world).await;
    let mut ids = vec![world.deliver(&endpoint, 1).await, world.deliver(&endpoint, 2).await];
    let first = world.take(&endpoint, 3).await;
    world.settle(&endpoint, &first, retry(at(100)), 4).await;
    world.pause(&endpoint, 5).await;
    ids.push(world.deliver(&endpoint, 6).await);
    world.resume(&endpoint, 10).await;
    ids.push(world.deliver(&endpoint, 9).await);
    for id in ids {
        let taken = world.take(&endpoint, 20).await;
        assert_eq!(taken.id, id);
        world.settle(&endpoint, &taken, Next::Delivered, 20).await;
    }
}

/// Retries get at most their share while first attempts wait, and everything otherwise.
pub async fn retries_have_their_share(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let mut retries = Vec::new();
    for _ in 0..6 {
        retries.push(world.deliver(&endpoint, 1).await);
    }
    for taken in world.claim(&endpoint, 6, 1).await.deliveries {
        world.settle(&endpoint, &taken, retry(at(2)), 2).await;
    }
    let firsts =
        [world.deliver(&endpoint, 3).await, world.deliver(&endpoint, 4).await, world.deliver(&endpoint, 90).await];
    let claim = |limit, retries| Claim { org_id: org, endpoint_id: endpoint.id, limit, retries };
    let taken = async |limit, retries| {
        let mut claimed = world.store.claim(vec![claim(limit, retries)], at(9), LEASE).await.unwrap();
        claimed.remove(0).deliveries.into_iter().map(|taken| taken.id).collect::<Vec<_>>()
    };
    let one = taken(2, 1).await;
    assert_eq!((retries.contains(&one[0]), one[1]), (true, firsts[0]), "half and half");
    assert_eq!(taken(1, 0).await, [firsts[1]], "the share is held already");
    let rest = taken(9, 0).await;
    assert_eq!(rest.len(), 5, "no first attempt is due: retries have it all");
    assert!(rest.iter().all(|id| retries.contains(id)));
}

/// First in, first out within a project; other projects go on.
pub async fn in_order_by_project(world: World) {
    let org = world.org("acme").await;
    let policy = EndpointPolicy { order: Order::Project, ..EndpointPolicy::default() };
    let endpoint = Endpoint { policy, ..world.new_endpoint(org) };
    world.put(&endpoint).await;
    let (one, two) = (world.project(org, "one").await, world.project(org, "two").await);
    let deliver = async |project: Option<ProjectId>, second| {
        let event = NewEvent { project_id: project, ..world.event(EventType::ScanStarted, "{}", second) };
        fresh(world.store.accept(world.acceptance(org, vec![event], second), None).await.unwrap())[0].deliveries[0].0
    };
    let ones = [deliver(Some(one.id), 1).await, deliver(Some(one.id), 2).await];
    let twos = [deliver(Some(two.id), 3).await, deliver(Some(two.id), 4).await];
    let others = [deliver(None, 5).await, deliver(None, 6).await];
    let mut heads = world.claim(&endpoint, 10, 10).await;
    heads.deliveries.sort_by_key(|taken| taken.id);
    assert_eq!(heads.deliveries.iter().map(|taken| taken.id).collect::<Vec<_>>(), [ones[0], twos[0], others[0]]);
    assert_eq!(heads.next_due_at, None, "what waits behind them waits for them");
    assert_eq!(world.claim(&endpoint, 10, 10).await.deliveries.len(), 0);
    world.settle(&endpoint, &heads.deliveries[0], retry(at(50)), 11).await;
    world.settle(&endpoint, &heads.deliveries[1], Next::Delivered, 11).await;
    let next = world.claim(&endpoint, 10, 12).await;
    assert_eq!(
        next.deliveries.iter().map(|taken| taken.id).collect::<Vec<_>>(),
        [twos[1]],
        "its retry stands before it"
    );
    assert_eq!(next.next_due_at, Some(at(50)));
    assert_eq!(world.take(&endpoint, 50).await.id, ones[0]);
    // One place: whoever gets it, the rest is due now.
    world.settle(&endpoint, &heads.deliveries[2], Next::Delivered, 51).await;
    world.settle(&endpoint, &next.deliveries[0], Next::Delivered, 51).await;
    deliver(Some(two.id), 52).await;
    let one_of = world.claim(&endpoint, 1, 53).await;
    assert_eq!((one_of.deliveries.len(), one_of.next_due_at.is_some_and(|due| due <= at(53))), (1, true));
}

/// An order that is given later holds for what waits already.
pub async fn keys_are_given_to_what_waits(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let mut made = Vec::new();
    for second in 1..=4 {
        made.push(world.deliver(&endpoint, second).await);
    }
    let begun = world.claim(&endpoint, 1, 5).await.deliveries.remove(0);
    world.change(&endpoint, 6, |endpoint| endpoint.policy.order = Order::Project).await;
    assert_eq!(world.claim(&endpoint, 9, 7).await.deliveries.len(), 0, "one of its project is being sent");
    world.settle(&endpoint, &begun, retry(at(8)), 8).await;
    for id in made {
        let taken = world.take(&endpoint, 9).await;
        assert_eq!(taken.id, id);
        world.settle(&endpoint, &taken, Next::Delivered, 9).await;
    }
}

/// Over how many webhooks an event came is known when it is sent, and again when it is sent again.
pub async fn hops_come_along(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let event = NewEvent { hops: 3, ..world.event(EventType::ScanStarted, "{}", 1) };
    let _ = fresh(world.store.accept(world.acceptance(org, vec![event], 1), None).await.unwrap());
    let taken = world.take(&endpoint, 1).await;
    assert_eq!(taken.hops, 3);
    world.settle(&endpoint, &taken, retry(at(2)), 2).await;
    assert_eq!(world.take(&endpoint, 2).await.hops, 3);
    world.deliver(&endpoint, 3).await;
    assert_eq!(world.take(&endpoint, 3).await.hops, 0);
}
