//! Erasing: what an event said is gone from everywhere it was kept, and that it was stays.

use bytes::Bytes;
use serde_json::json;
use watchbell_domain::delivery::{CancelReason, DeliveryState, Response};
use watchbell_domain::id::{ErasureId, OrgId};
use watchbell_domain::port::{
    Erased, Erasure, Next, RUNNING_ERASURES_MAX, Replay, ReplayWhat, Settlement, StoreError, Subject, Terms, Written,
};
use watchbell_wire::EventType;

use super::World;
use super::world::{at, fresh, retry, terms};

const SECRET: &str = "ada@example.com";

fn answered(settlement: Settlement) -> Settlement {
    let response =
        Response { status: 503, headers: vec![("x-who".into(), SECRET.into())], body: SECRET.into(), truncated: false };
    let mut attempt = settlement.attempt.unwrap();
    attempt.response = Some(response);
    attempt.detail = Some(SECRET.to_owned());
    Settlement { attempt: Some(attempt), body: Some(Bytes::from_static(SECRET.as_bytes())), ..settlement }
}

/// Data, bodies and answers go; id, type, times and outcomes stay; what waits is cancelled, what ended stays.
pub async fn an_event_says_nothing_any_more(world: World) {
    let (org, other) = (world.org("acme").await, world.org("other").await);
    let (done, waiting, resting) = (world.endpoint(org).await, world.endpoint(org).await, world.endpoint(org).await);
    world.pause(&resting, 0).await;
    let event = world.event(EventType::VulnerabilityCreated, &format!("{{\"who\":\"{SECRET}\"}}"), 1);
    let accepted = fresh(world.store.accept(world.acceptance(org, vec![event], 1), None).await.unwrap()).remove(0);
    let id = accepted.event_id;
    let taken = world.take(&done, 1).await;
    world.settle_one(answered(world.settlement(&done, &taken, Next::Delivered, 2))).await.unwrap();
    let taken = world.take(&waiting, 1).await;
    world.settle_one(answered(world.settlement(&waiting, &taken, retry(at(50)), 2))).await.unwrap();
    let (before, deliveries) = world.store.event(org, id).await.unwrap().unwrap();

    assert_eq!(world.store.erase_event(other, id, at(9), None).await.unwrap(), None);
    let erased = world.store.erase_event(org, id, at(9), None).await.unwrap();
    assert_eq!(erased, Some(Erased { at: at(9), cancelled: 2 }));
    let again = world.store.erase_event(org, id, at(20), None).await.unwrap();
    assert_eq!(again, Some(Erased { at: at(9), cancelled: 0 }));

    let (after, _) = world.store.event(org, id).await.unwrap().unwrap();
    assert_eq!((after.event.data.text(), after.erased_at, before.erased_at), ("{}", Some(at(9)), None));
    assert_eq!(
        (after.event.id, &after.event.event_type, after.accepted_at, after.event.occurred_at),
        (before.event.id, &before.event.event_type, before.accepted_at, before.event.occurred_at)
    );
    for delivery in deliveries {
        let (now, attempts) = world.delivery(org, delivery.id).await;
        match delivery.endpoint_id == done.id {
            true => assert_eq!(now.state, delivery.state),
            false => assert_eq!(now.state, DeliveryState::Cancelled { at: at(9), reason: CancelReason::Erased }),
        }
        for attempt in attempts {
            let response = attempt.response.unwrap();
            assert_eq!((response.status, response.headers, response.body), (503, Vec::new(), Vec::new()));
            assert_eq!(attempt.detail, None);
        }
    }
    assert!(world.claim(&waiting, 9, 60).await.deliveries.is_empty());
    let replay = Replay { org_id: org, what: ReplayWhat::Event(id), now: at(70), delivery_ids: world.ids() };
    assert_eq!(fresh(world.store.replay(replay, Terms::default()).await.unwrap()), [], "it has nothing to say");
}

/// An attempt that runs while its event is erased cannot be settled: its body and answer are kept nowhere.
pub async fn attempts_under_way_bring_nothing_back(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let id = world.deliver(&endpoint, 0).await;
    let taken = world.take(&endpoint, 0).await;
    let event = world.delivery(org, id).await.0.event_id;
    assert_eq!(world.store.erase_event(org, event, at(1), None).await.unwrap().unwrap().cancelled, 1);
    let late = answered(world.settlement(&endpoint, &taken, retry(at(3)), 2));
    assert_eq!(world.settle_one(late).await, Err(StoreError::LeaseLost));
    let (delivery, attempts) = world.delivery(org, id).await;
    assert_eq!((delivery.state.as_str(), attempts.len()), ("cancelled", 0));
}

fn search(world: &World, org: OrgId, subject: Subject) -> Erasure {
    Erasure {
        id: ErasureId(world.uuid(100)),
        org_id: org,
        subject: Some(subject),
        created_at: at(100),
        ended_at: None,
        cursor: None,
        looked_at: 0,
        erased: 0,
    }
}

/// Every event about the subject that was there, of this organisation alone, however small the steps.
pub async fn subjects_are_found_in_steps(world: World) {
    let (org, other) = (world.org("acme").await, world.org("other").await);
    let mut events = Vec::new();
    for (owner, second) in (0..12).map(|second| (org, second)).chain([(other, 3), (org, 200)]) {
        let who = if second % 3 == 0 || second == 200 { SECRET } else { "bob@example.com" };
        let event = world.event(EventType::ScanStarted, &format!("{{\"who\":\"{who}\"}}"), second);
        events.push((owner, event.event.id, who == SECRET && owner == org && second < 100));
        fresh(world.store.accept(world.acceptance(owner, vec![event], second), None).await.unwrap());
    }
    let member = Subject::Member { pointer: "/who".to_owned(), value: json!(SECRET) };
    let begun = search(&world, org, member);
    fresh(world.store.create_erasure(begun.clone(), Terms::default()).await.unwrap());
    assert_eq!(world.store.erasure(org, begun.id).await.unwrap(), Some(begun.clone()));
    assert_eq!(world.store.erasure(other, begun.id).await.unwrap(), None);
    assert_eq!(world.store.running_erasures().await.unwrap(), [(org, begun.id)]);
    let mut steps = 0;
    let ended = loop {
        let now = world.store.advance_erasure(org, begun.id, 2, at(101)).await.unwrap().unwrap();
        steps += 1;
        if now.ended_at.is_some() {
            break now;
        }
    };
    assert!(steps >= 6, "{steps}");
    assert_eq!((ended.erased, ended.subject.clone(), ended.ended_at), (4, None, Some(at(101))));
    assert_eq!(world.store.running_erasures().await.unwrap(), []);
    assert_eq!(world.store.advance_erasure(org, begun.id, 2, at(102)).await.unwrap(), Some(ended));
    for (owner, id, is_erased) in events {
        let (event, _) = world.store.event(owner, watchbell_domain::id::EventId(id)).await.unwrap().unwrap();
        assert_eq!(event.erased_at.is_some(), is_erased, "{id}");
    }
}

/// The same key is the same search; and not more run than may.
pub async fn made_once_and_not_too_many(world: World) {
    let org = world.org("acme").await;
    let text = || search(&world, org, Subject::Text(SECRET.to_owned()));
    fresh(world.store.create_erasure(text(), terms("key", 1)).await.unwrap());
    let again = world.store.create_erasure(text(), terms("key", 1)).await.unwrap();
    assert!(matches!(again, Written::Repeated(_)), "{again:?}");
    for _ in 1..RUNNING_ERASURES_MAX {
        fresh(world.store.create_erasure(text(), Terms::default()).await.unwrap());
    }
    let refused = world.store.create_erasure(text(), Terms::default()).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
}
