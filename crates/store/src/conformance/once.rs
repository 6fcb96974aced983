//! Writes that happen once however often they are sent.

use std::sync::Arc;

use watchbell_domain::endpoint::Endpoint;
use watchbell_domain::id::OrgId;
use watchbell_domain::org::{Org, Project};
use watchbell_domain::port::{EndpointCreation, EventFilter, Replay, ReplayWhat, StoreError, Written};
use watchbell_wire::EventType;

use super::World;
use super::world::{at, first, fresh, once, terms};

/// The same request gets the first answer, another is told so, another organisation is another story.
pub async fn repeats_get_the_first_answer(world: World) {
    let org = world.org("acme").await;
    let other = world.org("other").await;
    let send = |org: OrgId, request: u8| {
        let event = world.event(EventType::ScanStarted, "{}", 1);
        world.store.accept(world.acceptance(org, vec![event], 1), once("key", request))
    };
    fresh(send(org, 1).await.unwrap());
    let first_answer = once("key", 1).unwrap().answer;
    assert_eq!(send(org, 1).await.unwrap(), Written::Repeated(first_answer));
    assert_eq!(send(org, 2).await.unwrap(), Written::KeyReused);
    fresh(send(other, 2).await.unwrap());
    for org in [org, other] {
        assert_eq!(world.store.events(org, EventFilter::default(), first(9)).await.unwrap().items.len(), 1);
    }

    // A write that failed was not done: the key is free.
    let taken =
        Org { id: OrgId(world.uuid(1)), slug: "acme".into(), name: String::new(), weight: 1, created_at: at(1) };
    let refused = world.store.create_org(taken.clone(), terms("org", 1)).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    let free = Org { slug: "free".into(), ..taken };
    fresh(world.store.create_org(free, terms("org", 2)).await.unwrap());
}

/// One event, forty-nine repetitions.
pub async fn fifty_at_once_make_one_event(world: World) {
    let org = world.org("acme").await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let event = world.event(EventType::ScanStarted, "{}", 1);
        let acceptance = world.acceptance(org, vec![event], 1);
        let store = Arc::clone(&world.store);
        calls.spawn(async move { store.accept(acceptance, once("key", 1)).await.unwrap() });
    }
    let written = calls.join_all().await;
    let fresh = written.iter().filter(|written| matches!(written, Written::Fresh(_))).count();
    let repeated = written.iter().filter(|written| matches!(written, Written::Repeated(_))).count();
    assert_eq!((fresh, repeated), (1, 49));
    assert_eq!(world.store.events(org, EventFilter::default(), first(99)).await.unwrap().items.len(), 1);
}

/// Every kind of write heeds the key.
pub async fn every_write_is_done_once(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let delivery = world.deliver(&endpoint, 1).await;
    let repeated = |key: &str| once(key, 1).unwrap().answer;

    for round in 0..2 {
        // A repetition makes a new id before it knows that it is one.
        let new =
            Org { id: OrgId(world.uuid(0)), slug: "new".into(), name: String::new(), weight: 1, created_at: at(0) };
        let written = world.store.create_org(new, terms("org", 1)).await.unwrap();
        assert_eq!(written, if round == 0 { Written::Fresh(()) } else { Written::Repeated(repeated("org")) });
    }
    for round in 0..2 {
        let key = world.key(Some(org), &format!("key {round}"));
        let written = world.store.create_key(org, key, terms("key", 1)).await.unwrap();
        assert_eq!(written, if round == 0 { Written::Fresh(()) } else { Written::Repeated(repeated("key")) });
    }
    for round in 0..2 {
        let creation = EndpointCreation { endpoint: world.new_endpoint(org), greeting: None };
        let written = world.store.create_endpoint(creation, terms("endpoint", 1)).await.unwrap();
        assert_eq!(written, if round == 0 { Written::Fresh(()) } else { Written::Repeated(repeated("endpoint")) });
    }
    let seen = world.load(&endpoint).await;
    for round in 0..2 {
        // The second would be a conflict, were it not a repetition.
        let changed = Endpoint { description: Some("new".into()), ..seen.clone() };
        let written = world.store.update_endpoint(seen.clone(), changed, terms("update", 1)).await.unwrap();
        assert_eq!(written, if round == 0 { Written::Fresh(()) } else { Written::Repeated(repeated("update")) });
    }
    for round in 0..2 {
        let id = watchbell_domain::id::ProjectId(world.uuid(0));
        let project = Project {
            id,
            org_id: org,
            name: "p".into(),
            created_at: at(0),
            version: 0,
            last_scan_at: None,
            owner: None,
            labels: std::collections::BTreeMap::new(),
        };
        let written = world.store.create_project(project, terms("project", 1)).await.unwrap();
        assert_eq!(written, if round == 0 { Written::Fresh(()) } else { Written::Repeated(repeated("project")) });
    }
    for round in 0..2 {
        let what = ReplayWhat::Delivery(delivery);
        let replay = Replay { org_id: org, what, now: at(3), delivery_ids: world.ids() };
        let written = world.store.replay(replay, terms("replay", 1)).await.unwrap();
        assert_eq!(matches!(written, Written::Fresh(_)), round == 0);
    }
    assert_eq!(world.store.keys(org, first(9)).await.unwrap().items.len(), 1);
    assert_eq!(world.store.endpoints(org, first(9)).await.unwrap().items.len(), 2);
    assert_eq!(world.store.projects(org, first(9)).await.unwrap().items.len(), 1);
    assert_eq!(world.claim(&endpoint, 9, 9).await.deliveries.len(), 2);
}

/// A key is remembered for a day.
pub async fn keys_expire(world: World) {
    const DAY: i64 = 24 * 60 * 60;
    let org = world.org("acme").await;
    let send = |seconds: i64, request: u8| {
        let event = world.event(EventType::ScanStarted, "{}", seconds);
        world.store.accept(world.acceptance(org, vec![event], seconds), once("key", request))
    };
    fresh(send(0, 1).await.unwrap());
    assert!(matches!(send(DAY - 1, 1).await.unwrap(), Written::Repeated(_)));
    fresh(send(DAY, 2).await.unwrap());
    assert_eq!(send(DAY + 1, 1).await.unwrap(), Written::KeyReused);
}
