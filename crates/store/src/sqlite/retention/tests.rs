//! How much work a step is: counted in rows, commits and steps of SQLite's machine, never in seconds.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rusqlite::StatementStatus;
use watchbell_domain::id::EndpointId;
use watchbell_domain::port::testing::SeededEntropy;

use super::*;
use crate::conformance::dialects;
use crate::seal::{SealingKey, SealingKeys};
use crate::sqlite::{DATABASE_FILE, FileSystem, OpenOptions, Threads};

const FAN_OUT: u64 = 4;

/// A clock that goes on by a millisecond whenever it is read.
#[derive(Debug, Default)]
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        at(0)
    }

    fn monotonic(&self) -> SignedDuration {
        SignedDuration::from_millis(self.0.fetch_add(1, Ordering::Relaxed))
    }

    fn sleep(&self, _: SignedDuration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + i64::try_from(millis).unwrap()).unwrap()
}

fn id(millis: u64, number: u64) -> [u8; 16] {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number.to_be_bytes());
    let millis = u64::try_from(at(millis).as_millisecond()).unwrap();
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().into_bytes()
}

/// A store with an event a millisecond, each with deliveries that were made and ended in that millisecond; every tenth
/// of them waits.
fn filled(events: u64) -> (SqliteStore, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let entropy = SeededEntropy::new(1);
    let options = OpenOptions {
        directory: directory.path().to_owned(),
        keys: SealingKeys::new(SealingKey::make(&entropy), Vec::new()),
        entropy: Arc::new(entropy),
        clock: Arc::new(Ticking::default()),
        find_dialect: dialects::find,
        threads: Threads::Inline,
        min_free_bytes: 0,
        free_space: Arc::new(FileSystem),
        longest_wait: SignedDuration::from_hours(27),
        disable_after: Some(SignedDuration::from_hours(120)),
    };
    let store = SqliteStore::open(options).unwrap();
    let conn = open(&directory);
    conn.execute_batch("BEGIN").unwrap();
    let org = id(0, 0);
    conn.execute("INSERT INTO org (id, slug, name, created_at) VALUES (?1, 'acme', 'Acme', 0)", [org]).unwrap();
    for number in 0..events {
        let (event, now) = (id(number, number), micros(at(number)));
        conn.prepare_cached(
            "INSERT INTO event (org_id, id, type, occurred_at, accepted_at, data) VALUES (?1, ?2, 'scan.started', ?3, ?3, '{}')",
        )
        .unwrap()
        .execute(params![org, event, now])
        .unwrap();
        for to in 0..FAN_OUT {
            let delivery = id(number, number * FAN_OUT + to);
            let waits = (number * FAN_OUT + to).is_multiple_of(10);
            let endpoint = EndpointId(uuid::Uuid::from_bytes(id(0, to)));
            conn.prepare_cached(
                "INSERT INTO delivery (org_id, id, event_id, endpoint_id, state, due_at, ended_at, attempts, created_at) \
                 VALUES (?1, ?2, ?3, ?4, iif(?5, 'pending', 'delivered'), iif(?5, ?6, NULL), iif(?5, NULL, ?6), 1, ?6)",
            )
            .unwrap()
            .execute(params![org, delivery, event, endpoint.0.as_bytes(), waits, now])
            .unwrap();
            conn.prepare_cached(
                "INSERT INTO attempt (org_id, delivery_id, number, started_at, duration, result) \
                 VALUES (?1, ?2, 1, ?3, 1000, 'http_200')",
            )
            .unwrap()
            .execute(params![org, delivery, now])
            .unwrap();
        }
    }
    conn.execute_batch("COMMIT").unwrap();
    (store, directory)
}

fn open(directory: &tempfile::TempDir) -> Connection {
    let conn = Connection::open(directory.path().join(DATABASE_FILE)).unwrap();
    conn.pragma_update(None, "foreign_keys", true).unwrap();
    conn
}

fn count(conn: &Connection, what: &str) -> u64 {
    conn.query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get::<_, i64>(0)).unwrap().try_into().unwrap()
}

const AMPLE: Bounds = Bounds { looked_at: 2000, removed: 250, time: SignedDuration::from_secs(3600) };

/// Walks to the end: how many were removed, in how many steps.
async fn walk(store: &SqliteStore, kind: Aged, before: Timestamp, bounds: Bounds) -> (u64, u64) {
    let (mut removed, mut steps, mut from) = (0, 0, None);
    loop {
        let units = store.stats().units;
        let expired = store.expire(kind, before, from, bounds).await.unwrap();
        assert!(store.stats().units - units <= 1, "a step is one unit of the writer");
        assert!(expired.removed <= u64::from(bounds.removed));
        removed += expired.removed;
        steps += 1;
        from = Some(match expired.next {
            Some(place) => place,
            None => return (removed, steps),
        });
    }
}

#[tokio::test]
async fn a_hundred_thousand_deliveries_go_in_many_small_units() {
    let events = 25_000;
    let (store, directory) = filled(events);
    // The younger half stays.
    let before = at(events / 2);
    let half = events / 2 * FAN_OUT;
    let (attempts, _) = walk(&store, Aged::Attempts, at(events / 4), AMPLE).await;
    assert_eq!(attempts, half / 2 / 10 * 9, "one in ten waits");
    let (removed, steps) = walk(&store, Aged::Deliveries, before, AMPLE).await;
    assert_eq!(removed, half / 10 * 9);
    assert!(steps >= removed / 250, "{steps}");
    let (gone, _) = walk(&store, Aged::Events, before, AMPLE).await;
    let conn = open(&directory);
    assert_eq!(count(&conn, "delivery"), events * FAN_OUT - removed);
    assert_eq!(count(&conn, "event"), events - gone);
    assert_eq!(count(&conn, "delivery WHERE state = 'pending'"), events * FAN_OUT / 10);
    assert_eq!(count(&conn, "event WHERE id NOT IN (SELECT event_id FROM delivery)"), 0);
    assert_eq!(count(&conn, "attempt"), count(&conn, "delivery"), "what is left keeps what was tried for it");
    assert_eq!(count(&conn, "pragma_foreign_key_check"), 0);
}

#[tokio::test]
async fn time_ends_a_unit_before_its_rows_do() {
    let (store, _directory) = filled(100);
    let bounds = Bounds { time: SignedDuration::from_millis(7), ..AMPLE };
    // The clock ticks once at the beginning and once a removal.
    let first = store.expire(Aged::Deliveries, at(1000), None, bounds).await.unwrap();
    assert_eq!(first.removed, 7);
    let (rest, _) = walk(&store, Aged::Deliveries, at(1000), bounds).await;
    assert_eq!(first.removed + rest, 360, "nothing is passed over");
}

/// What a statement does once, in steps of SQLite's machine.
fn effort(conn: &Connection, statement: &str, key: [[u8; 16]; 2]) -> i32 {
    let mut statement = conn.prepare(statement).unwrap();
    statement.execute(params![key[0], key[1]]).unwrap();
    statement.get_status(StatementStatus::VmStep)
}

#[test]
fn a_removal_is_the_same_work_among_a_thousand_and_among_a_hundred_thousand() {
    let efforts = |events: u64| {
        let (_store, directory) = filled(events);
        let conn = open(&directory);
        let (org, event) = (id(0, 0), id(7, 7));
        let mut efforts = Vec::new();
        for to in 0..FAN_OUT {
            let key = [org, id(7, 7 * FAN_OUT + to)];
            efforts
                .push([REMOVE_ATTEMPTS, REMOVE_BODY, REMOVE_DELIVERY].map(|statement| effort(&conn, statement, key)));
        }
        (efforts, effort(&conn, REMOVE_EVENT, [org, event]))
    };
    assert_eq!(efforts(250), efforts(25_000));
}

#[test]
fn nothing_younger_is_looked_at_and_nothing_is_sorted() {
    let (_store, directory) = filled(1);
    let conn = open(&directory);
    for kind in Aged::ALL {
        let mut query = conn.prepare(&format!("EXPLAIN QUERY PLAN {}", statement(kind))).unwrap();
        let plan: Vec<String> = query
            .query_map(params![id(0, 0), id(0, 0), id(0, 0), 1], |row| row.get(3))
            .unwrap()
            .map(std::result::Result::unwrap)
            .collect();
        let key = if kind == Aged::Attempts { "delivery_id" } else { "id" };
        let range = format!("(org_id=? AND {key}>? AND {key}<?)");
        assert!(plan.iter().any(|step| step.contains(&range)), "{plan:#?}");
        assert!(plan.iter().all(|step| !step.starts_with("SCAN") && !step.contains("TEMP B-TREE")), "{plan:#?}");
    }
}

#[tokio::test]
async fn the_file_shrinks_after_much_was_removed() {
    let (store, directory) = filled(10_000);
    let conn = open(&directory);
    conn.execute("UPDATE delivery SET state = 'delivered', ended_at = created_at, due_at = NULL", []).unwrap();
    let pages = || page_count(&conn);
    let full = pages();
    walk(&store, Aged::Deliveries, at(1_000_000), AMPLE).await;
    walk(&store, Aged::Events, at(1_000_000), AMPLE).await;
    assert_eq!(pages(), full, "removing makes pages free, no more");
    let bounds = Bounds { removed: 64, ..AMPLE };
    let mut given = 0;
    loop {
        let back = store.give_back(bounds).await.unwrap();
        // The map of a page range goes with its last page.
        assert!(back.bytes <= 66 * 4096, "{back:?}");
        given += back.bytes;
        if !back.more {
            break;
        }
    }
    assert!(pages() * 4 < full, "{} of {full} pages are left", pages());
    assert_eq!(given, (full - pages()) * 4096);
}

fn page_count(conn: &Connection) -> u64 {
    conn.pragma_query_value(None, "page_count", |row| row.get::<_, i64>(0)).unwrap().try_into().unwrap()
}
