//! Receipts: an authentic request is there with its events or not at all, and is known when it comes again.

use std::sync::Arc;

use bytes::Bytes;
use watchbell_domain::SignedDuration;
use watchbell_domain::id::{EventId, OrgId, ReceiptId};
use watchbell_domain::port::{
    EventFilter, Forgetting, Forgotten, PageRequest, ReceiptFilter, Reception, Retaking, StoreError, Taking, Terms,
};
use watchbell_domain::receipt::{DedupKey, KeptRequest, Receipt, Ring, Verdict};
use watchbell_domain::source::Source;
use watchbell_wire::EventType;

use super::World;
use super::world::{at, first, fresh};

const WINDOW: SignedDuration = SignedDuration::from_secs(1000);

pub(crate) fn receipt(world: &World, source: &Source, seconds: i64, verdict: Verdict) -> Receipt {
    let body = Bytes::from_static(b"{\"n\":1}");
    Receipt {
        id: ReceiptId(world.uuid(seconds)),
        org_id: source.org_id,
        source_id: source.id,
        received_at: at(seconds),
        address: Some("2001:db8::1".parse().unwrap()),
        request: KeptRequest {
            method: "POST".into(),
            headers: [("X-A", "1"), ("X-A", "2"), ("B", "\u{e4}")].into_iter().collect(),
            body_bytes: u64::try_from(body.len()).ok(),
            body,
        },
        verdict,
        status: 200,
        detail: Some("why".into()),
        vendor_event: Some("thing".into()),
        events: Vec::new(),
        of: None,
    }
}

/// A request with these names, that makes one event.
pub(crate) fn taking(world: &World, source: &Source, seconds: i64, keys: &[u8]) -> Taking {
    let event = world.event(EventType::ScanStarted, "{}", seconds);
    let events = vec![EventId(event.event.id)];
    let receipt = Receipt { events, ..receipt(world, source, seconds, Verdict::Accepted) };
    Taking {
        receipt: Arc::new(receipt),
        keys: keys.iter().map(|key| DedupKey([*key; 16])).collect(),
        window: WINDOW,
        ring: Ring::default(),
        acceptance: world.acceptance(source.org_id, if keys == [0] { Vec::new() } else { vec![event] }, seconds),
        saying: None,
    }
}

async fn events(world: &World, org: OrgId) -> usize {
    world.store.events(org, EventFilter::default(), first(250)).await.unwrap().items.len()
}

async fn receipts(world: &World, org: OrgId, filter: ReceiptFilter) -> Vec<Receipt> {
    world.store.receipts(org, filter, first(250)).await.unwrap().items
}

/// Receipt, names, event and deliveries; or nothing of it.
pub async fn taken_in_one_commit(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let source = world.source(org).await;
    let new = taking(&world, &source, 1, &[1, 2]);
    let (id, event) = (new.receipt.id, new.receipt.events[0]);
    assert_eq!(world.store.take(new.clone()).await.unwrap(), Reception::New);
    assert_eq!(world.store.receipt(org, id).await.unwrap().as_ref(), Some(&*new.receipt));
    let (_, deliveries) = world.store.event(org, event).await.unwrap().unwrap();
    assert_eq!(deliveries.len(), 1);
    assert_eq!(deliveries[0].endpoint_id, endpoint.id);
    // A request that says nothing to us is kept all the same.
    assert_eq!(world.store.take(taking(&world, &source, 4, &[0])).await.unwrap(), Reception::New);
    assert_eq!((events(&world, org).await, receipts(&world, org, ReceiptFilter::default()).await.len()), (1, 2));
}

/// One name is enough, until the window has passed.
pub async fn known_again_within_the_window(world: World) {
    let org = world.org("acme").await;
    let source = world.source(org).await;
    let new = taking(&world, &source, 1, &[1, 2]);
    let of = new.receipt.id;
    assert_eq!(world.store.take(new).await.unwrap(), Reception::New);
    for keys in [&[1][..], &[2], &[7, 2]] {
        assert_eq!(world.store.take(taking(&world, &source, 1000, keys)).await.unwrap(), Reception::Duplicate { of });
    }
    assert_eq!(world.store.take(taking(&world, &source, 1000, &[7])).await.unwrap(), Reception::New);
    let duplicates = ReceiptFilter { verdict: Some(Verdict::Duplicate), ..ReceiptFilter::default() };
    let duplicates = receipts(&world, org, duplicates).await;
    assert!(duplicates.len() == 3 && duplicates.iter().all(|one| one.of == Some(of) && one.events.is_empty()));
    assert!(world.store.receipt(org, duplicates[0].id).await.unwrap().unwrap().request.body.is_empty());
    assert_eq!(world.store.take(taking(&world, &source, 1001, &[1])).await.unwrap(), Reception::New, "it has passed");
    assert_eq!(events(&world, org).await, 3);
}

/// One is new, forty-nine are duplicates of it.
pub async fn fifty_at_once_make_one_event(world: World) {
    let org = world.org("acme").await;
    let source = world.source(org).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (store, taking) = (Arc::clone(&world.store), taking(&world, &source, 1, &[1]));
        calls.spawn(async move { store.take(taking).await.unwrap() });
    }
    let taken = calls.join_all().await;
    assert_eq!(taken.iter().filter(|taken| **taken == Reception::New).count(), 1);
    assert_eq!(events(&world, org).await, 1);
}

/// By count and by bytes; what was taken is not touched.
pub async fn refused_ones_are_bounded(world: World) {
    let org = world.org("acme").await;
    let (source, other) = (world.source(org).await, world.source(org).await);
    drop(world.store.take(taking(&world, &source, 0, &[1])).await.unwrap());
    let refused = |seconds| receipt(&world, &source, seconds, Verdict::SignatureMismatch);
    let few = Ring { count_max: 3, bytes_max: 1 << 20 };
    for seconds in 1..9 {
        world.store.keep_refused(refused(seconds), few).await.unwrap();
    }
    world.store.keep_refused(receipt(&world, &other, 9, Verdict::Paused), few).await.unwrap();
    let of_source = ReceiptFilter { source_id: Some(source.id), ..ReceiptFilter::default() };
    let seen =
        |all: Vec<Receipt>| all.iter().map(|one| one.received_at.as_second() - at(0).as_second()).collect::<Vec<_>>();
    assert_eq!(seen(receipts(&world, org, of_source).await), [8, 7, 6, 0]);
    let light = Ring { count_max: 100, bytes_max: 500 };
    world.store.keep_refused(refused(10), light).await.unwrap();
    assert_eq!(seen(receipts(&world, org, of_source).await), [10, 8, 0]);
    let large = Ring { count_max: 100, bytes_max: 1 };
    world.store.keep_refused(refused(11), large).await.unwrap();
    assert_eq!(seen(receipts(&world, org, of_source).await), [11, 0], "the newest stays");
    // Duplicates are counted for themselves.
    let mut again = taking(&world, &source, 12, &[1]);
    again.ring = Ring { count_max: 1, bytes_max: 1 << 20 };
    for _ in 0..3 {
        let again = Taking {
            receipt: Arc::new(Receipt { id: ReceiptId(world.uuid(12)), ..(*again.receipt).clone() }),
            ..again.clone()
        };
        drop(world.store.take(again).await.unwrap());
    }
    assert_eq!(seen(receipts(&world, org, of_source).await), [12, 11, 0]);
}

/// With its events and its names, once.
pub async fn taken_again_by_hand(world: World) {
    let org = world.org("acme").await;
    let source = world.source(org).await;
    let old = receipt(&world, &source, 1, Verdict::SignatureMismatch);
    world.store.keep_refused(old.clone(), Ring::default()).await.unwrap();
    let event = world.event(EventType::ScanStarted, "{}", 2);
    let new = Receipt {
        id: ReceiptId(world.uuid(2)),
        verdict: Verdict::Accepted,
        events: vec![EventId(event.event.id)],
        of: Some(old.id),
        received_at: at(2),
        ..old
    };
    let acceptance = world.acceptance(org, vec![event], 2);
    let (keys, window) = (vec![DedupKey([5; 16])], SignedDuration::from_hours(1));
    let retaking = Retaking { receipt: new.clone(), keys, window, acceptance, saying: None };
    fresh(world.store.retake(retaking.clone(), Terms::default()).await.unwrap());
    assert_eq!(world.store.receipt(org, new.id).await.unwrap(), Some(new.clone()));
    let again = world.store.take(taking(&world, &source, 3, &[5])).await.unwrap();
    assert_eq!(again, Reception::Duplicate { of: new.id });
    let event = world.event(EventType::ScanStarted, "{}", 4);
    let acceptance = world.acceptance(org, vec![event], 4);
    let by_hand = Receipt { id: ReceiptId(world.uuid(4)), received_at: at(4), ..new };
    let twice = Retaking { receipt: by_hand, acceptance, ..retaking };
    let refused = world.store.retake(twice, Terms::default()).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert_eq!(events(&world, org).await, 1);
}

/// Newest first, page by page, whatever is looked for.
pub async fn listed_by_filter_and_page(world: World) {
    let org = world.org("acme").await;
    let (one, other) = (world.source(org).await, world.source(org).await);
    for seconds in 0..4_u8 {
        let at = i64::from(seconds) * 10;
        drop(world.store.take(taking(&world, &one, at, &[seconds + 1])).await.unwrap());
        drop(world.store.take(taking(&world, &one, at + 1, &[seconds + 1])).await.unwrap());
        world.store.keep_refused(receipt(&world, &one, at + 2, Verdict::RateLimited), Ring::default()).await.unwrap();
        drop(world.store.take(taking(&world, &other, at + 3, &[seconds + 100])).await.unwrap());
    }
    let count = async |filter: ReceiptFilter| {
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let page = world.store.receipts(org, filter, PageRequest { before, limit: 3 }).await.unwrap();
            before = page.items.last().map(|receipt| receipt.id.0);
            seen.extend(page.items.into_iter().map(|receipt| receipt.received_at));
            if !page.more {
                assert!(seen.is_sorted_by(|a, b| a >= b), "{seen:?}");
                return seen.len();
            }
        }
    };
    let filter = |source: Option<&Source>, verdict| ReceiptFilter {
        source_id: source.map(|source| source.id),
        verdict,
        event_id: None,
    };
    assert_eq!(count(filter(None, None)).await, 16);
    assert_eq!(count(filter(Some(&one), None)).await, 12);
    assert_eq!(count(filter(Some(&other), None)).await, 4);
    assert_eq!(count(filter(None, Some(Verdict::Duplicate))).await, 4);
    assert_eq!(count(filter(Some(&one), Some(Verdict::Accepted))).await, 4);
    assert_eq!(count(filter(Some(&one), Some(Verdict::RateLimited))).await, 4);
    assert_eq!(count(filter(Some(&other), Some(Verdict::RateLimited))).await, 0);
}

/// From an event to the request that it came with; erased, neither says anything any more.
pub async fn found_by_event_and_erased_with_it(world: World) {
    let org = world.org("acme").await;
    let source = world.source(org).await;
    let (one, other) = (taking(&world, &source, 1, &[1]), taking(&world, &source, 1, &[2]));
    drop(world.store.take(one.clone()).await.unwrap());
    drop(world.store.take(other.clone()).await.unwrap());
    let event_id = one.receipt.events[0];
    for source_id in [None, Some(source.id)] {
        let filter = ReceiptFilter { source_id, event_id: Some(event_id), verdict: None };
        let found = receipts(&world, org, filter).await;
        assert_eq!(found.iter().map(|receipt| receipt.id).collect::<Vec<_>>(), [one.receipt.id]);
    }
    assert!(world.store.erase_event(org, event_id, at(2), None).await.unwrap().is_some());
    let erased = world.store.receipt(org, one.receipt.id).await.unwrap().unwrap();
    assert!(erased.request.body.is_empty() && erased.request.headers.iter().next().is_none());
    assert_eq!(world.store.receipt(org, other.receipt.id).await.unwrap().as_ref(), Some(&*other.receipt));
}

/// Names by the window, receipts by age and by what those of one source weigh together, a few at a time.
pub async fn forgotten_by_age_and_size(world: World) {
    let org = world.org("acme").await;
    let source = world.source(org).await;
    for seconds in 0..9_u8 {
        drop(world.store.take(taking(&world, &source, i64::from(seconds), &[seconds + 1])).await.unwrap());
    }
    let forgetting = |keys, receipts: Option<i64>, bytes| Forgetting {
        keys_before: at(keys),
        receipts_before: receipts.map(at),
        source_bytes_max: bytes,
        limit: 2,
    };
    let forget = async |forgetting| world.store.forget_receipts(forgetting).await.unwrap();
    assert_eq!(forget(forgetting(0, Some(0), Some(1 << 20))).await, Forgotten::default());
    assert_eq!(forget(forgetting(3, None, None)).await, Forgotten { keys: 2, receipts: 0 });
    assert_eq!(forget(forgetting(3, Some(3), None)).await, Forgotten { keys: 1, receipts: 2 });
    assert_eq!(forget(forgetting(3, Some(3), None)).await, Forgotten { keys: 0, receipts: 1 });
    assert_eq!(receipts(&world, org, ReceiptFilter::default()).await.len(), 6);
    assert_eq!(forget(forgetting(3, None, Some(1))).await, Forgotten { keys: 0, receipts: 2 });
    while forget(forgetting(3, None, Some(1))).await.receipts > 0 {}
    let left = receipts(&world, org, ReceiptFilter::default()).await;
    assert_eq!(left.iter().map(|receipt| receipt.received_at).collect::<Vec<_>>(), [at(8)]);
    assert_eq!(events(&world, org).await, 9, "what they made stays");
}

/// Nothing of one organisation's is seen by another.
pub async fn seen_by_their_owner_alone(world: World) {
    let (mine, theirs) = (world.org("mine").await, world.org("theirs").await);
    let source = world.source(theirs).await;
    let new = taking(&world, &source, 1, &[1]);
    let id = new.receipt.id;
    drop(world.store.take(new).await.unwrap());
    assert_eq!(world.store.source(mine, source.id).await.unwrap(), None);
    assert!(world.store.sources(mine, first(9)).await.unwrap().items.is_empty());
    assert!(!world.store.delete_source(mine, source.id, None).await.unwrap());
    assert_eq!(world.store.receipt(mine, id).await.unwrap(), None);
    for filter in [ReceiptFilter::default(), ReceiptFilter { source_id: Some(source.id), ..ReceiptFilter::default() }] {
        assert!(receipts(&world, mine, filter).await.is_empty());
        assert_eq!(receipts(&world, theirs, filter).await.len(), 1);
    }
}
