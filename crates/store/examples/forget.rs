//! Measures retention: `cargo run --release -p watchbell-store --all-features --example forget [DIRECTORY] [EVENTS]`.
//!
//! Fills a store with events of one delivery and one attempt each, then accepts events at a steady rate, first alone and
//! then while everything old is removed, and prints how long an accept took in either case.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a measuring tool, run by hand"
)]
#![expect(clippy::disallowed_methods, clippy::as_conversions, reason = "real time is what is measured")]
#![expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "figures")]

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use watchbell_domain::event::NewEvent;
use watchbell_domain::id::{EventId, OrgId};
use watchbell_domain::org::Org;
use watchbell_domain::port::testing::SeededEntropy;
use watchbell_domain::port::{
    Acceptance, Aged, Bounds, Clock, DeliveryIds, Entropy, EventStore, OrgStore, RetentionStore, Terms,
};
use watchbell_domain::{SignedDuration, Timestamp};
use watchbell_store::conformance::dialects;
use watchbell_store::seal::{SealingKey, SealingKeys};
use watchbell_store::sqlite::{DATABASE_FILE, FileSystem, OpenOptions, SqliteStore, Threads};
use watchbell_wire::{Data, Event, EventType};

const BOUNDS: Bounds = Bounds { looked_at: 2_000, removed: 250, time: SignedDuration::from_millis(5) };
const REST_FACTOR: u32 = 3;
const ACCEPT_EVERY: Duration = Duration::from_millis(2);

#[derive(Debug)]
struct RealClock(Instant);

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> SignedDuration {
        SignedDuration::try_from(self.0.elapsed()).unwrap()
    }

    fn sleep(&self, wait: SignedDuration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(wait.try_into().unwrap_or_default()))
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let temporary = tempfile::tempdir().unwrap();
    let root = std::env::args().nth(1).map_or_else(|| temporary.path().to_owned(), Into::into);
    let events: u64 = std::env::args().nth(2).map_or(1_000_000, |text| text.parse().unwrap());
    let entropy = Arc::new(SeededEntropy::new(1));
    let options = OpenOptions {
        directory: root.clone(),
        keys: SealingKeys::new(SealingKey::make(&*entropy), Vec::new()),
        entropy: Arc::clone(&entropy) as _,
        clock: Arc::new(RealClock(Instant::now())),
        find_dialect: dialects::find,
        threads: Threads::default(),
        min_free_bytes: 0,
        free_space: Arc::new(FileSystem),
        longest_wait: SignedDuration::from_hours(27),
        disable_after: Some(SignedDuration::from_hours(120)),
    };
    let store = Arc::new(SqliteStore::open(options).unwrap());
    let org = OrgId::make(Timestamp::now(), &*entropy);
    let row = Org { id: org, slug: "acme".into(), name: "Acme".into(), weight: 1, created_at: Timestamp::now() };
    drop(store.create_org(row, Terms::default()).await.unwrap());
    let began = Instant::now();
    fill(&root, org, events, &*entropy);
    let file = |what: &str| {
        let bytes = std::fs::metadata(root.join(DATABASE_FILE)).unwrap().len();
        println!("{what}: {:.0} MB", bytes as f64 / 1e6);
    };
    println!("filled with {events} events, deliveries and attempts in {:.0?}", began.elapsed());
    file("file");

    let stop = Arc::new(AtomicBool::new(false));
    let alone = tokio::spawn(accept(Arc::clone(&store), org, Arc::clone(&entropy), Arc::clone(&stop)));
    tokio::time::sleep(Duration::from_secs(10)).await;
    stop.store(true, Ordering::Relaxed);
    say("accepts alone", alone.await.unwrap());

    stop.store(false, Ordering::Relaxed);
    let beside = tokio::spawn(accept(Arc::clone(&store), org, Arc::clone(&entropy), Arc::clone(&stop)));
    for kind in Aged::ALL {
        forget(&store, kind).await;
    }
    give_back(&store).await;
    stop.store(true, Ordering::Relaxed);
    say("accepts beside retention", beside.await.unwrap());
    file("file, before the log is moved");
}

/// Rows of a year ago, each in a millisecond of its own.
fn fill(root: &Path, org: OrgId, events: u64, entropy: &dyn Entropy) {
    let conn = Connection::open(root.join(DATABASE_FILE)).unwrap();
    conn.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -262144").unwrap();
    let year_ago = Timestamp::now() - SignedDuration::from_hours(24 * 365);
    let data = format!("{{\"text\":\"{}\"}}", "x".repeat(300));
    let org = org.0.as_bytes();
    let endpoints: Vec<[u8; 16]> = (0..10).map(|_| EventId::make(year_ago, entropy).0.into_bytes()).collect();
    for chunk in 0..events.div_ceil(10_000) {
        conn.execute_batch("BEGIN").unwrap();
        for number in chunk * 10_000..events.min((chunk + 1) * 10_000) {
            let at = year_ago + SignedDuration::from_millis(number as i64);
            let (event, delivery) = (EventId::make(at, entropy).0, EventId::make(at, entropy).0);
            let micros = at.as_microsecond();
            let run = |statement: &str, values: &[&dyn rusqlite::ToSql]| {
                conn.prepare_cached(statement).unwrap().execute(values).unwrap();
            };
            run(
                "INSERT INTO event (org_id, id, type, occurred_at, accepted_at, data) \
                 VALUES (?1, ?2, 'vulnerability.created', ?3, ?3, ?4)",
                params![org, event.as_bytes(), micros, data],
            );
            run(
                "INSERT INTO delivery (org_id, id, event_id, endpoint_id, state, ended_at, attempts, created_at) \
                 VALUES (?1, ?2, ?3, ?4, 'delivered', ?5, 1, ?5)",
                params![org, delivery.as_bytes(), event.as_bytes(), endpoints[number as usize % 10], micros],
            );
            run(
                "INSERT INTO attempt (org_id, delivery_id, number, started_at, duration, result, status, headers, body) \
                 VALUES (?1, ?2, 1, ?3, 1000, 'http_200', 200, '[[\"content-length\",\"2\"]]', x'6f6b')",
                params![org, delivery.as_bytes(), micros],
            );
        }
        conn.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    }
}

async fn accept(
    store: Arc<SqliteStore>,
    org: OrgId,
    entropy: Arc<SeededEntropy>,
    stop: Arc<AtomicBool>,
) -> Vec<Duration> {
    let mut took = Vec::new();
    let mut ticks = tokio::time::interval(ACCEPT_EVERY);
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        let now = Timestamp::now();
        let event = Event {
            id: EventId::make(now, &*entropy).0,
            event_type: EventType::ScanStarted,
            occurred_at: now,
            data: Data::from_text("{}".to_owned()).unwrap(),
        };
        let events = vec![NewEvent::of(event, None)];
        let delivery_ids = DeliveryIds { seed: [1; 32] };
        let began = Instant::now();
        let acceptance = Acceptance { org_id: org, events, accepted_at: now, delivery_ids };
        drop(store.accept(acceptance, None).await.unwrap());
        took.push(began.elapsed());
    }
    took
}

async fn forget(store: &SqliteStore, kind: Aged) {
    let before = Timestamp::now() - SignedDuration::from_hours(24);
    let (mut removed, mut from, mut took) = (0, None, Vec::new());
    let all = Instant::now();
    loop {
        let began = Instant::now();
        let expired = store.expire(kind, before, from, BOUNDS).await.unwrap();
        took.push(began.elapsed());
        removed += expired.removed;
        from = expired.next;
        if from.is_none() {
            break;
        }
        tokio::time::sleep(began.elapsed() * REST_FACTOR).await;
    }
    let rate = removed as f64 / all.elapsed().as_secs_f64();
    say(&format!("{removed} {} removed, {rate:.0} a second, steps", kind.as_str()), took);
}

async fn give_back(store: &SqliteStore) {
    let (mut bytes, mut took) = (0, Vec::new());
    loop {
        let began = Instant::now();
        let given = store.give_back(BOUNDS).await.unwrap();
        took.push(began.elapsed());
        bytes += given.bytes;
        if !given.more {
            break;
        }
        tokio::time::sleep(began.elapsed() * REST_FACTOR).await;
    }
    say(&format!("{:.0} MB given back, steps", bytes as f64 / 1e6), took);
}

fn say(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    println!(
        "{what}: {} · p50 {:.2?} · p99 {:.2?} · p99.9 {:.2?} · longest {:.2?}",
        took.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}
