//! Capture inboxes, and what is sent to them.

use std::sync::Arc;

use jiff::SignedDuration;
use watchbell_domain::capture::{CaptureAnswer, Captured, INBOXES_MAX, Inbox, InboxToken, Keep};
use watchbell_domain::id::{CaptureId, CapturedId, OrgId};
use watchbell_domain::org::OrgState;
use watchbell_domain::port::{PageRequest, StoreError, Terms};

use super::World;
use super::world::{at, first, fresh, terms};

fn new_inbox(world: &World, org: OrgId, name: &str, seconds: i64) -> Inbox {
    let id = world.uuid(seconds);
    Inbox {
        id: CaptureId(id),
        org_id: org,
        token: InboxToken(world.uuid(seconds).into_bytes()),
        name: name.to_owned(),
        answer: CaptureAnswer {
            status: 503,
            headers: vec![("Retry-After".to_owned(), "1".to_owned())],
            body: "\"🦀\"".to_owned(),
            delay: SignedDuration::from_millis(1500),
        },
        created_at: at(seconds),
        expires_at: at(seconds + 1000),
    }
}

async fn inbox(world: &World, org: OrgId, name: &str, seconds: i64) -> Inbox {
    let inbox = new_inbox(world, org, name, seconds);
    fresh(world.store.create_capture(inbox.clone(), INBOXES_MAX, Terms::default()).await.unwrap());
    inbox
}

fn request(world: &World, inbox: &Inbox, body: &[u8], seconds: i64) -> Captured {
    Captured {
        id: CapturedId(world.uuid(seconds)),
        org_id: inbox.org_id,
        inbox_id: inbox.id,
        number: 0,
        received_at: at(seconds),
        method: "PROPFIND".to_owned(),
        path: "/capture/x/a%20b".to_owned(),
        query: Some("a=1&a=2".to_owned()),
        version: "HTTP/1.1".to_owned(),
        headers: vec![
            ("X-hUb-Signature".to_owned(), b"sha256=\xff\xfe".to_vec()),
            ("x-hub-signature".to_owned(), Vec::new()),
        ],
        body: body.to_vec(),
        body_bytes: 7_000_000_000,
        is_whole: false,
        address: Some("2001:db8::1".parse().unwrap()),
    }
}

async fn record(world: &World, request: &Captured, keep: Keep) -> Captured {
    let number = world.store.record_capture(request.clone(), keep).await.unwrap().unwrap();
    Captured { number, ..request.clone() }
}

fn without_body(request: &Captured) -> Captured {
    Captured { body: Vec::new(), ..request.clone() }
}

/// Inboxes and requests come back whole; another organisation sees nothing.
pub async fn kept_as_they_came(world: World) {
    let (org, other) = (world.org("acme").await, world.org("other").await);
    let (one, two) = (inbox(&world, org, "one", 1).await, inbox(&world, org, "two", 2).await);
    let foreign = inbox(&world, other, "one", 3).await;
    let store = &world.store;
    assert_eq!(store.capture(org, one.id).await.unwrap(), Some(one.clone()));
    assert_eq!(store.capture(org, foreign.id).await.unwrap(), None);
    assert_eq!(store.capture_by_token(foreign.token, at(9)).await.unwrap(), Some(foreign.clone()));
    assert_eq!(store.capture_by_token(InboxToken([0; 16]), at(9)).await.unwrap(), None);
    assert_eq!(store.captures(org, first(9)).await.unwrap().items, [two.clone(), one.clone()]);
    let page = PageRequest { before: Some(two.id.0), limit: 9 };
    assert_eq!(store.captures(org, page).await.unwrap().items, std::slice::from_ref(&one));

    let a = record(&world, &request(&world, &one, b"\x00\xff", 4), Keep::default()).await;
    let b = record(&world, &request(&world, &one, b"", 5), Keep::default()).await;
    assert_eq!((a.number, b.number), (1, 2));
    assert_eq!(store.captured_request(org, one.id, a.id).await.unwrap(), Some(a.clone()));
    assert_eq!(store.captured(org, one.id, first(9)).await.unwrap().items, [without_body(&b), without_body(&a)]);
    let page = PageRequest { before: Some(b.id.0), limit: 9 };
    assert_eq!(store.captured(org, one.id, page).await.unwrap().items, [without_body(&a)]);
    for (org, inbox) in [(other, one.id), (org, two.id), (other, foreign.id)] {
        assert_eq!(store.captured_request(org, inbox, a.id).await.unwrap(), None);
        assert!(store.captured(org, inbox, first(9)).await.unwrap().items.is_empty());
        assert!(!store.delete_captured(org, inbox, a.id, None).await.unwrap());
    }
    assert_eq!(store.captured_since(other, one.id, 0, 9).await.unwrap(), None);
    assert!(!store.delete_capture(other, one.id, None).await.unwrap());
    let stray = Captured { org_id: other, ..request(&world, &one, b"", 6) };
    assert_eq!(store.record_capture(stray, Keep::default()).await.unwrap(), None);
}

/// By number, and by weight; the newest stays whatever it weighs.
pub async fn the_oldest_make_way(world: World) {
    let org = world.org("acme").await;
    let inbox = inbox(&world, org, "one", 1).await;
    let numbers = async || -> Vec<u64> {
        let found = world.store.captured(org, inbox.id, first(99)).await.unwrap();
        found.items.iter().map(|request| request.number).collect()
    };
    let few = Keep { requests: 3, bytes: 1_000_000 };
    for seconds in 2..7 {
        record(&world, &request(&world, &inbox, b"x", seconds), few).await;
    }
    assert_eq!(numbers().await, [5, 4, 3]);
    let heavy = request(&world, &inbox, &[b'x'; 5000], 8);
    let light = Keep { requests: 9, bytes: heavy.kept_bytes() + 300 };
    record(&world, &heavy, light).await;
    assert_eq!(numbers().await, [6, 5, 4, 3]);
    record(&world, &request(&world, &inbox, &[b'x'; 200], 9), light).await;
    assert_eq!(numbers().await, [7, 6]);
    record(&world, &request(&world, &inbox, &[b'x'; 9000], 10), light).await;
    assert_eq!(numbers().await, [8]);
    // What went is counted out: there is room again.
    record(&world, &request(&world, &inbox, b"", 11), Keep { requests: 9, bytes: 20_000 }).await;
    assert_eq!(numbers().await, [9, 8]);
}

/// Nothing is told twice and nothing left out without saying so.
pub async fn behind_a_number(world: World) {
    let org = world.org("acme").await;
    let inbox = inbox(&world, org, "one", 1).await;
    let since = async |after, limit| world.store.captured_since(org, inbox.id, after, limit).await.unwrap().unwrap();
    let nothing = since(0, 9).await;
    assert_eq!((nothing.requests.len(), nothing.last_number, nothing.missed), (0, 0, 0));
    let keep = Keep { requests: 3, ..Keep::default() };
    let mut all = Vec::new();
    for seconds in 2..7 {
        all.push(record(&world, &request(&world, &inbox, b"x", seconds), keep).await);
    }
    let found = since(0, 2).await;
    assert_eq!((found.requests, found.last_number, found.missed), (all[2..4].to_vec(), 5, 2));
    let found = since(4, 9).await;
    assert_eq!((found.requests, found.missed), (all[4..].to_vec(), 0));
    assert!(since(5, 9).await.requests.is_empty());
    let ahead = since(99, 9).await;
    assert_eq!((ahead.requests.len(), ahead.missed), (0, 0));
}

/// Fifty at once get fifty numbers.
pub async fn numbered_once(world: World) {
    let org = world.org("acme").await;
    let inbox = inbox(&world, org, "one", 1).await;
    let mut calls = tokio::task::JoinSet::new();
    for seconds in 0..50 {
        let (store, request) = (Arc::clone(&world.store), request(&world, &inbox, b"x", seconds));
        calls.spawn(async move { store.record_capture(request, Keep::default()).await.unwrap().unwrap() });
    }
    let mut numbers = calls.join_all().await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=50).collect::<Vec<u64>>());
}

/// Names are unique, their number has an end, a write is done once; a deletion takes everything along.
pub async fn deleted_and_gone(world: World) {
    let org = world.org("acme").await;
    let one = new_inbox(&world, org, "one", 1);
    fresh(world.store.create_capture(one.clone(), INBOXES_MAX, terms("k", 1)).await.unwrap());
    let again = world.store.create_capture(new_inbox(&world, org, "one", 2), INBOXES_MAX, terms("k", 1)).await.unwrap();
    assert!(matches!(again, watchbell_domain::port::Written::Repeated(_)), "{again:?}");
    let taken = world.store.create_capture(new_inbox(&world, org, "one", 2), INBOXES_MAX, Terms::default()).await;
    assert!(matches!(taken, Err(StoreError::Conflict(_))), "{taken:?}");
    let a = record(&world, &request(&world, &one, b"x", 3), Keep::default()).await;
    let b = record(&world, &request(&world, &one, b"x", 4), Keep::default()).await;
    assert!(world.store.delete_captured(org, one.id, a.id, None).await.unwrap());
    assert!(!world.store.delete_captured(org, one.id, a.id, None).await.unwrap());
    assert_eq!(world.store.captured(org, one.id, first(9)).await.unwrap().items, [without_body(&b)]);
    assert!(world.store.delete_capture(org, one.id, None).await.unwrap());
    assert!(!world.store.delete_capture(org, one.id, None).await.unwrap());
    assert_eq!(world.store.capture_by_token(one.token, at(5)).await.unwrap(), None);
    assert_eq!(world.store.captured_since(org, one.id, 0, 9).await.unwrap(), None);
    assert_eq!(world.store.record_capture(request(&world, &one, b"x", 6), Keep::default()).await.unwrap(), None);
    for number in 0..INBOXES_MAX {
        inbox(&world, org, &format!("inbox {number}"), 10).await;
    }
    let beyond =
        async |most| world.store.create_capture(new_inbox(&world, org, "beyond", 11), most, Terms::default()).await;
    let refused = beyond(INBOXES_MAX).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    fresh(beyond(INBOXES_MAX + 1).await.unwrap());
}

/// An expired inbox takes nothing, and goes in steps; old requests go before their inbox. So does a suspended organisation's.
pub async fn captures_expire(world: World) {
    let org = world.org("acme").await;
    let (one, two) = (inbox(&world, org, "one", 1).await, inbox(&world, org, "two", 500).await);
    for seconds in 2..7 {
        record(&world, &request(&world, &one, b"x", seconds), Keep::default()).await;
    }
    record(&world, &request(&world, &two, b"x", 600), Keep::default()).await;
    let store = &world.store;
    assert_eq!(store.expire_captures(at(900), at(0), 99).await.unwrap(), 0);
    assert_eq!(store.expire_captures(at(900), at(4), 99).await.unwrap(), 2);
    assert_eq!(store.captured(org, one.id, first(9)).await.unwrap().items.len(), 3);
    assert!(store.capture_by_token(one.token, at(1000)).await.unwrap().is_some());
    assert!(store.capture_by_token(one.token, at(1001)).await.unwrap().is_none());
    assert_eq!(store.expire_captures(at(1001), at(0), 2).await.unwrap(), 2);
    assert!(store.capture(org, one.id).await.unwrap().is_some(), "a step is a step");
    assert_eq!(store.expire_captures(at(1001), at(0), 2).await.unwrap(), 2);
    assert_eq!(store.capture(org, one.id).await.unwrap(), None);
    assert_eq!(store.expire_captures(at(1001), at(0), 2).await.unwrap(), 0);
    assert_eq!(store.captured(org, two.id, first(9)).await.unwrap().items.len(), 1);
    let suspended = OrgState::Suspended { since: at(1002) };
    assert!(fresh(store.set_org_state(org, suspended, at(1002), Terms::default()).await.unwrap()));
    assert!(store.capture_by_token(two.token, at(1003)).await.unwrap().is_none());
}
