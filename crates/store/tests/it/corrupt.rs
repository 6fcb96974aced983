//! Rows that hold what they cannot hold: an error that says where, never a panic, never a default.

use rusqlite::Connection;
use watchbell_domain::id::{EndpointId, EventId, OrgId};
use watchbell_domain::org::Org;
use watchbell_domain::port::testing::SeededEntropy;
use watchbell_domain::port::{
    Acceptance, Claim, DeliveryFilter, DeliveryIds, DeliveryStore, EndpointCreation, EndpointStore, EventFilter,
    EventStore, OrgStore, PageRequest, StoreError, Terms,
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
        .map(|_| watchbell_domain::event::NewEvent {
            event: Event {
                id: EventId::make(now, &entropy).0,
                event_type: EventType::ScanStarted,
                occurred_at: now,
                data: Data::from_text("{}".into()).unwrap(),
            },
            project_id: None,
            only: None,
            hops: 0,
        })
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
