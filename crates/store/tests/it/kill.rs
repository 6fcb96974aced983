//! `kill -9` in the middle of everything: what was acknowledged is there.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rusqlite::Connection;
use watchbell_domain::SignedDuration;
use watchbell_domain::delivery::{Attempt, AttemptResult};
use watchbell_domain::endpoint::{Endpoint, EndpointPolicy, EndpointState, Transport};
use watchbell_domain::event::NewEvent;
use watchbell_domain::id::{EndpointId, EventId, OrgId};
use watchbell_domain::org::Org;
use watchbell_domain::port::testing::SeededEntropy;
use watchbell_domain::port::{
    Acceptance, Claim, DeliveryIds, DeliveryStore, EndpointCreation, EndpointStore, EventStore, Next, OrgStore,
    PageRequest, Settlement, Terms,
};
use watchbell_store::conformance::dialects;
use watchbell_store::sqlite::{DATABASE_FILE, SqliteStore};
use watchbell_wire::{Data, Event, EventType};

use crate::sqlite::options;

const DIRECTORY: &str = "WATCHBELL_STORE_TEST_KILL";

/// Not a test but the process that is killed: does nothing unless it was started for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victim() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let store = Arc::new(SqliteStore::open(options(Path::new(&directory))).unwrap());
    let seed = u64::from(std::process::id());
    let entropy = Arc::new(SeededEntropy::new(seed));
    let (org, endpoint) = owner(&store, &entropy).await;
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (store, entropy) = (Arc::clone(&store), Arc::clone(&entropy));
        callers.spawn(async move {
            loop {
                let id = accept(&store, org, &entropy).await;
                // One call, so that lines do not mix.
                std::io::stderr().write_all(format!("accepted {}\n", id.bare()).as_bytes()).unwrap();
            }
        });
    }
    loop {
        deliver(&store, org, endpoint).await;
    }
}

#[tokio::test]
async fn loses_nothing_that_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let mut accepted = Vec::new();
    for lines in [1, 40, 300, 77, 150] {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["kill::victim", "--exact", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(victim.stderr.take().unwrap()).lines();
        let mut seen = 0;
        for line in output.by_ref() {
            let line = line.unwrap();
            if let Some(id) = line.strip_prefix("accepted ") {
                accepted.push(id.parse::<EventId>().unwrap());
                seen += 1;
            }
            if seen == lines {
                break;
            }
        }
        assert_eq!(seen, lines, "the victim did its work");
        victim.kill().unwrap();
        victim.wait().unwrap();
        // What it still said before it died was acknowledged too; a last half line was not said.
        for line in output.map_while(Result::ok) {
            if let Some(Ok(id)) = line.strip_prefix("accepted ").map(str::parse::<EventId>) {
                accepted.push(id);
            }
        }

        let store = SqliteStore::open(options(directory.path())).unwrap();
        let (org, endpoint) = owner(&store, &SeededEntropy::new(0)).await;
        for id in &accepted {
            let (_, deliveries) = store.event(org, *id).await.unwrap().expect("an acknowledged event is lost");
            assert_eq!(deliveries.len(), 1);
            assert_eq!(deliveries[0].endpoint_id, endpoint);
            assert_ne!(deliveries[0].state.as_str(), "sending", "claims of the dead are taken back");
        }
        drop(store);
        let conn = Connection::open(directory.path().join(DATABASE_FILE)).unwrap();
        let verdict: String = conn.pragma_query_value(None, "integrity_check", |row| row.get(0)).unwrap();
        assert_eq!(verdict, "ok");
        let dangling: i64 =
            conn.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
        assert_eq!(dangling, 0);
        let uneven = "SELECT count(*) FROM delivery AS d WHERE d.attempts <> \
                      (SELECT count(*) FROM attempt AS a WHERE a.org_id = d.org_id AND a.delivery_id = d.id)";
        let uneven: i64 = conn.query_row(uneven, [], |row| row.get(0)).unwrap();
        assert_eq!(uneven, 0, "a state without its attempt, or an attempt without its state");
    }
}

/// The one organisation and endpoint, made by whoever comes first.
async fn owner(store: &SqliteStore, entropy: &SeededEntropy) -> (OrgId, EndpointId) {
    let now = options(Path::new("")).clock.now();
    let page = PageRequest { before: None, limit: 1 };
    if store.org_by_slug("acme".into()).await.unwrap().is_none() {
        let org =
            Org { id: OrgId::make(now, entropy), slug: "acme".into(), name: String::new(), weight: 1, created_at: now };
        drop(store.create_org(org, Terms::default()).await.unwrap());
    }
    let org = store.org_by_slug("acme".into()).await.unwrap().unwrap().id;
    if let Some(endpoint) = store.endpoints(org, page).await.unwrap().items.pop() {
        return (org, endpoint.id);
    }
    let endpoint = Endpoint {
        id: EndpointId::make(now, entropy),
        org_id: org,
        url: "https://example.test".into(),
        dialect: &dialects::ALL,
        description: None,
        events: None,
        state: EndpointState::Active,
        secrets: Vec::new(),
        headers: Vec::new(),
        settings: watchbell_wire::Settings::default(),
        transport: Transport::default(),
        policy: EndpointPolicy::default(),
        not_before: None,
        created_at: now,
        updated_at: now,
    };
    let id = endpoint.id;
    drop(store.create_endpoint(EndpointCreation { endpoint, greeting: None }, Terms::default()).await.unwrap());
    (org, id)
}

async fn accept(store: &SqliteStore, org: OrgId, entropy: &SeededEntropy) -> EventId {
    let now = options(Path::new("")).clock.now();
    let id = EventId::make(now, entropy);
    let mut seed = [0; 32];
    watchbell_domain::port::Entropy::fill(entropy, &mut seed);
    let event = Event {
        id: id.0,
        event_type: EventType::ScanStarted,
        occurred_at: now,
        data: Data::from_text(format!("{{\"x\":\"{}\"}}", "y".repeat(2000))).unwrap(),
    };
    let events = vec![NewEvent::of(event, None)];
    let delivery_ids = DeliveryIds { seed };
    drop(store.accept(Acceptance { org_id: org, events, accepted_at: now, delivery_ids }, None).await.unwrap());
    id
}

/// Claims some and settles every other one.
async fn deliver(store: &SqliteStore, org: OrgId, endpoint: EndpointId) {
    let now = options(Path::new("")).clock.now();
    let claim = Claim { org_id: org, endpoint_id: endpoint, limit: 8, retries: u32::MAX };
    for claimed in store.claim(vec![claim], now, SignedDuration::from_secs(60)).await.unwrap() {
        for taken in claimed.deliveries.into_iter().step_by(2) {
            let attempt = Attempt {
                number: taken.attempt_number,
                started_at: now,
                duration: SignedDuration::ZERO,
                result: AttemptResult::Http(200),
                response: None,
                detail: None,
            };
            let settlement = Settlement {
                org_id: org,
                delivery_id: taken.id,
                endpoint_id: endpoint,
                lease: taken.lease,
                attempt: Some(attempt),
                next: Next::Delivered,
                body: None,
                settled_at: now,
            };
            store.settle([settlement].into()).await.unwrap();
        }
    }
}
