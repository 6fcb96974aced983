//! Rows that hold what they cannot hold: an error that says where, never a panic, never a default.

use rusqlite::Connection;
use watchbell_domain::id::{EndpointId, EventId, FindingId, OrgId, PoamId};
use watchbell_domain::org::Org;
use watchbell_domain::port::testing::SeededEntropy;
use watchbell_domain::port::{
    Acceptance, Claim, DeliveryFilter, DeliveryIds, DeliveryStore, EndpointCreation, EndpointStore, EventFilter,
    EventStore, OrgStore, PageRequest, PoamStore, RingStep, Rung, StoreError, Terms,
};
use watchbell_domain::{SignedDuration, Timestamp};
use watchbell_store::conformance::dialects;
use watchbell_store::sqlite::{DATABASE_FILE, SqliteStore};
use watchbell_wire::{Data, Event, EventType};

use crate::sqlite::options;

struct Fixture {
    directory: tempfile::TempDir,
    store: SqliteStore,
    org: OrgId,
    endpoint: EndpointId,
    now: Timestamp,
}

/// An organisation, an endpoint, two events with their deliveries.
async fn fixture() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let options = options(directory.path());
    let now = options.clock.now();
    let store = SqliteStore::open(options).unwrap();
    let entropy = SeededEntropy::new(3);
    let org = OrgId::make(now, &entropy);
    drop(
        store
            .create_org(
                Org { id: org, slug: "acme".into(), name: String::new(), weight: 1, created_at: now },
                Terms::default(),
            )
            .await
            .unwrap(),
    );
    let endpoint = watchbell_domain::endpoint::Endpoint {
        id: EndpointId::make(now, &entropy),
        org_id: org,
        url: "https://example.test".into(),
        dialect: &dialects::ALL,
        description: None,
        events: None,
        state: watchbell_domain::endpoint::EndpointState::Active,
        secrets: Vec::new(),
        headers: Vec::new(),
        settings: watchbell_wire::Settings::default(),
        transport: watchbell_domain::endpoint::Transport::default(),
        policy: watchbell_domain::endpoint::EndpointPolicy::default(),
        not_before: None,
        created_at: now,
        updated_at: now,
    };
    let id = endpoint.id;
    drop(store.create_endpoint(EndpointCreation { endpoint, greeting: None }, Terms::default()).await.unwrap());
    let events = (0..2)
        .map(|_| Event {
            id: EventId::make(now, &entropy).0,
            event_type: EventType::ScanStarted,
            occurred_at: now,
            data: Data::from_text("{}".into()).unwrap(),
        })
        .map(|event| watchbell_domain::event::NewEvent::of(event, None))
        .collect();
    let delivery_ids = DeliveryIds { seed: [4; 32] };
    drop(store.accept(Acceptance { org_id: org, events, accepted_at: now, delivery_ids }, None).await.unwrap());
    Fixture { directory, store, org, endpoint: id, now }
}

impl Fixture {
    fn damage(&self, statement: &str) {
        let conn = Connection::open(self.directory.path().join(DATABASE_FILE)).unwrap();
        conn.pragma_update(None, "foreign_keys", false).unwrap();
        assert!(conn.execute(statement, []).unwrap() > 0, "{statement}");
    }
}

const PAGE: PageRequest = PageRequest { before: None, limit: 9 };

#[tokio::test]
async fn say_where() {
    let cases = [
        ("UPDATE event SET type = 'No Type'", "event", "type"),
        ("UPDATE event SET data = '[1]'", "event", "data"),
        ("UPDATE event SET data = '{\"a\":'", "event", "data"),
        ("UPDATE event SET skipped = x'0102'", "event", "skipped"),
        ("UPDATE event SET accepted_at = 9223372036854775807", "event", "accepted_at"),
        ("UPDATE event SET project_id = x'01'", "event", "project_id"),
        ("UPDATE delivery SET state = 'lost'", "delivery", "state"),
        ("UPDATE delivery SET due_at = NULL", "delivery", "due_at"),
        ("UPDATE delivery SET attempts_counted = -1", "delivery", "attempts_counted"),
        ("UPDATE endpoint SET dialect = 'klingon'", "endpoint", "dialect"),
        ("UPDATE endpoint SET state = 'paused'", "endpoint", "state_since"),
        ("UPDATE endpoint SET events = '{}'", "endpoint", "events"),
        ("UPDATE endpoint SET secrets = x'0102'", "endpoint", "secrets"),
        ("UPDATE endpoint SET headers = substr(headers, 1, length(headers) - 1)", "endpoint", "headers"),
        ("UPDATE endpoint SET retry_schedule = '[1.5]'", "endpoint", "retry_schedule"),
    ];
    for (statement, table, column) in cases {
        let fixture = fixture().await;
        fixture.damage(statement);
        let store = &fixture.store;
        let problem = match table {
            "event" => store.events(fixture.org, EventFilter::default(), PAGE).await.err(),
            "delivery" => store.deliveries(fixture.org, DeliveryFilter::default(), PAGE).await.err(),
            _ => store.endpoints(fixture.org, PAGE).await.err(),
        };
        match problem {
            Some(StoreError::Corrupt { table: found_table, column: found_column, .. }) => {
                assert_eq!((found_table, found_column), (table, column), "{statement}");
            }
            other => panic!("{statement}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn do_not_stop_what_waits_behind_them() {
    let fixture = fixture().await;
    fixture
        .damage("UPDATE event SET data = 'x' WHERE id = (SELECT event_id FROM delivery ORDER BY due_at, id LIMIT 1)");
    let claim = Claim { org_id: fixture.org, endpoint_id: fixture.endpoint, limit: 9, retries: u32::MAX };
    let lease = SignedDuration::from_secs(60);
    let claimed = fixture.store.claim(vec![claim], fixture.now, lease).await.unwrap();
    assert_eq!(claimed[0].deliveries.len(), 1);
    let mut states: Vec<_> = fixture
        .store
        .deliveries(fixture.org, DeliveryFilter::default(), PAGE)
        .await
        .unwrap()
        .items
        .into_iter()
        .map(|(delivery, _)| delivery.state.as_str())
        .collect();
    states.sort_unstable();
    assert_eq!(states, ["dead_lettered", "sending"]);
}

#[tokio::test]
async fn do_not_keep_plans_from_ringing() {
    let fixture = fixture().await;
    let entropy = SeededEntropy::new(9);
    let item = |seconds: i64| {
        let due = fixture.now + SignedDuration::from_secs(seconds);
        watchbell_domain::poam::Item {
            id: PoamId::make(fixture.now, &entropy),
            org_id: fixture.org,
            finding_id: FindingId::make(fixture.now, &entropy),
            project_id: None,
            about: watchbell_domain::poam::About::default(),
            title: None,
            owner: None,
            notes: None,
            due: watchbell_domain::poam::Due::Instant(due),
            milestones: Vec::new(),
            state: watchbell_domain::poam::State::Open,
            origin: watchbell_domain::poam::Origin::Api,
            told: None,
            version: 0,
            created_at: fixture.now,
            updated_at: fixture.now,
        }
    };
    // More that cannot be read than a step takes, all due before the one that can.
    for seconds in [-50, -40, -30, -20] {
        drop(fixture.store.create_poam_item(item(seconds), Terms::default()).await.unwrap());
    }
    fixture.damage("UPDATE poam_item SET due = 'some day', next_ring_at = 0");
    drop(fixture.store.create_poam_item(item(-10), Terms::default()).await.unwrap());
    let step = |now| RingStep { now, limit: 3 };
    let mut all = Rung::default();
    for _ in 0..3 {
        let rung = fixture.store.ring(step(fixture.now)).await.unwrap();
        all.rung += rung.rung;
        all.unreadable += rung.unreadable;
    }
    assert_eq!((all.rung, all.unreadable), (1, 4));
    // They are tried again later, since somebody may have mended them.
    let later = fixture.now + SignedDuration::from_hours(2);
    assert_eq!(fixture.store.ring(step(later)).await.unwrap().unreadable, 3);
}
