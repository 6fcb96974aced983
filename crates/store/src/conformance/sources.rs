//! Sources: kept with their secrets, found by whoever calls, told of when they fall quiet.

use serde_json::json;
use watchbell_domain::SignedDuration;
use watchbell_domain::endpoint::RateLimit;
use watchbell_domain::id::{OrgId, ReceiptId, SourceId};
use watchbell_domain::org::OrgState;
use watchbell_domain::port::{EventFilter, StoreError, Terms};
use watchbell_domain::source::silence::hour_of;
use watchbell_domain::source::{Set, Source, SourceState};
use watchbell_wire::EventType;

use super::World;
use super::receipts::taking;
use super::world::{at, first, fresh, secret};
use crate::conformance::dialects;

impl World {
    pub(crate) fn new_source(&self, org: OrgId) -> Source {
        Source {
            id: SourceId(self.uuid(0)),
            org_id: org,
            name: "vendor".into(),
            dialect: &dialects::ALL,
            secrets: vec![secret("whsec_0123456789abcdef", 0)],
            allowed_ips: Vec::new(),
            rate_limit: Set::Default,
            max_event_age: Set::Default,
            settings: serde_json::Map::new(),
            state: SourceState::Active,
            created_at: at(0),
            updated_at: at(0),
        }
    }

    /// A source that is in the store.
    pub(crate) async fn source(&self, org: OrgId) -> Source {
        let source = self.new_source(org);
        fresh(self.store.create_source(source.clone(), Terms::default()).await.unwrap());
        source
    }
}

/// Every member comes back, whichever way it is set.
pub async fn kept_whole(world: World) {
    let org = world.org("acme").await;
    let rate = RateLimit { per_second: 5.try_into().unwrap(), burst: 7.try_into().unwrap() };
    let plain = world.new_source(org);
    let full = Source {
        id: SourceId(world.uuid(1)),
        allowed_ips: vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::1/128".parse().unwrap()],
        rate_limit: Set::To(rate),
        max_event_age: Set::To(SignedDuration::from_micros(1_500_001)),
        settings: json!({"a": {"b": [1]}}).as_object().unwrap().clone(),
        state: SourceState::Paused { since: at(3) },
        secrets: vec![secret("new", 2), secret("old", 1)],
        ..plain.clone()
    };
    let off = Source { id: SourceId(world.uuid(2)), rate_limit: Set::Off, max_event_age: Set::Off, ..plain.clone() };
    for source in [plain, full, off] {
        fresh(world.store.create_source(source.clone(), Terms::default()).await.unwrap());
        assert_eq!(world.store.source(org, source.id).await.unwrap(), Some(source.clone()));
        assert_eq!(world.store.called_source(source.id).await.unwrap(), Some(source.clone()));
        let again = world.store.create_source(source, Terms::default()).await;
        assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    }
    assert_eq!(world.store.sources(org, first(2)).await.unwrap().items.len(), 2);
}

/// A change that does not know of another is refused.
pub async fn updated_if_unchanged(world: World) {
    let org = world.org("acme").await;
    let seen = world.source(org).await;
    let changed = Source { name: "other".into(), updated_at: at(1), ..seen.clone() };
    fresh(world.store.update_source(seen.clone(), changed.clone(), Terms::default()).await.unwrap());
    assert_eq!(world.store.source(org, seen.id).await.unwrap(), Some(changed.clone()));
    let late = world.store.update_source(seen.clone(), changed.clone(), Terms::default()).await;
    assert!(matches!(late, Err(StoreError::Conflict(_))), "{late:?}");
    assert!(world.store.delete_source(org, seen.id, None).await.unwrap());
    assert!(!world.store.delete_source(org, seen.id, None).await.unwrap());
    assert_eq!(world.store.called_source(seen.id).await.unwrap(), None);
    let gone = world.store.update_source(changed.clone(), changed, Terms::default()).await;
    assert!(matches!(gone, Err(StoreError::Conflict(_))), "{gone:?}");
}

/// A suspended organisation is not called.
pub async fn called_while_the_organisation_is_active(world: World) {
    let (org, _other) = (world.org("acme").await, world.org("other").await);
    let source = world.source(org).await;
    let state = OrgState::Suspended { since: at(1) };
    fresh(world.store.set_org_state(org, state, at(1), Terms::default()).await.unwrap());
    assert_eq!(world.store.called_source(source.id).await.unwrap(), None);
    assert_eq!(world.store.callers(at(900_000)).await.unwrap(), []);
    fresh(world.store.set_org_state(org, OrgState::Active, at(2), Terms::default()).await.unwrap());
    assert!(world.store.called_source(source.id).await.unwrap().is_some());
}

/// Once for each last call, and not while it is paused.
pub async fn silence_is_told_once(world: World) {
    const DAY: i64 = 24 * 3600;
    let org = world.org("acme").await;
    let source = world.source(org).await;
    for day in 0..4 {
        drop(world.store.take(taking(&world, &source, day * DAY, &[])).await.unwrap());
    }
    assert_eq!(world.store.callers(at(3 * DAY)).await.unwrap(), [], "it has just called");
    let callers = world.store.callers(at(6 * DAY)).await.unwrap();
    let [caller] = callers.as_slice() else { panic!("{callers:?}") };
    assert_eq!((caller.source_id, caller.last_at), (source.id, at(3 * DAY)));
    assert_eq!(caller.hours, (0..4).map(|day| hour_of(at(day * DAY))).collect::<Vec<_>>());
    let told = || {
        let event = world.event(EventType::SourceSilent, "{\"source_id\":\"s\"}", 6 * DAY);
        world.acceptance(org, vec![event], 6 * DAY)
    };
    let another = ReceiptId(world.uuid(7 * DAY));
    assert!(!world.store.tell_silent(source.id, another, told()).await.unwrap(), "that was not its last call");
    assert!(world.store.tell_silent(source.id, caller.last, told()).await.unwrap());
    assert!(!world.store.tell_silent(source.id, caller.last, told()).await.unwrap());
    assert_eq!(world.store.callers(at(6 * DAY)).await.unwrap(), []);
    assert_eq!(world.store.events(org, EventFilter::default(), first(9)).await.unwrap().items.len(), 1);
    // It calls again, and falls quiet again.
    drop(world.store.take(taking(&world, &source, 7 * DAY, &[])).await.unwrap());
    assert_eq!(world.store.callers(at(20 * DAY)).await.unwrap().len(), 1);
    let paused = Source { state: SourceState::Paused { since: at(1) }, ..source.clone() };
    fresh(world.store.update_source(source, paused, Terms::default()).await.unwrap());
    assert_eq!(world.store.callers(at(20 * DAY)).await.unwrap(), []);
}
