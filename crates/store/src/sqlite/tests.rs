//! What only the inside can bring about: a unit that panics, a disk that is full, a writer that is held up.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, PoisonError};

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use watchbell_domain::port::testing::{ManualClock, SeededEntropy};
use watchbell_domain::port::{
    Claim, DeliveryStore, EndpointCreation, EndpointStore, EventFilter, EventStore, Next, StoreError, Terms,
};
use watchbell_wire::EventType;

use super::*;
use crate::conformance::{Opened, World, dialects, world};
use crate::seal::{SealingKey, SealingKeys};

fn options(directory: &Path, threads: Threads) -> OpenOptions {
    let entropy = SeededEntropy::new(1);
    OpenOptions {
        directory: directory.to_owned(),
        keys: SealingKeys::new(SealingKey::make(&entropy), Vec::new()),
        entropy: Arc::new(entropy),
        clock: Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH)),
        find_dialect: dialects::find,
        threads,
        min_free_bytes: 0,
        free_space: Arc::new(FileSystem),
        longest_wait: SignedDuration::from_hours(27),
        disable_after: Some(SignedDuration::from_hours(120)),
    }
}

fn open(threads: Threads) -> (Arc<SqliteStore>, World) {
    open_with(|directory| options(directory, threads))
}

fn open_with(options: impl FnOnce(&Path) -> OpenOptions) -> (Arc<SqliteStore>, World) {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(options(directory.path())).unwrap());
    let opened = Opened { store: Arc::clone(&store) as _, keep: Box::new(directory) };
    (store, World::new(opened))
}

async fn count_events(world: &World, org: watchbell_domain::id::OrgId) -> usize {
    let page = world.store.events(org, EventFilter::default(), world::first(250)).await.unwrap();
    page.items.len()
}

#[tokio::test]
async fn a_panic_takes_back_its_own_unit_alone() {
    let (store, world) = open(Threads::default());
    let org = world.org("acme").await;
    let broken = store.write(|tx| -> Result<()> {
        tx.conn.execute("DELETE FROM org", [])?;
        panic!("inside a unit");
    });
    let accepted = world.accept(org, 1);
    let (broken, _) = tokio::join!(broken, accepted);
    assert!(matches!(broken, Err(StoreError::Unavailable(_))), "{broken:?}");
    assert_eq!(count_events(&world, org).await, 1);
}

#[tokio::test]
async fn a_failed_unit_leaves_the_others_of_its_group() {
    let (store, world) = open(Threads::default());
    let org = world.org("acme").await;
    let before = store.stats();
    // Holds the writer up until everything below waits in its queue: then it is one group.
    let (go, wait) = channel();
    let hold = tokio::spawn({
        let store = Arc::clone(&store);
        async move { held_up(&store, wait).await }
    });
    while store.stats() == before && !hold.is_finished() && Arc::strong_count(&store) < 3 {
        tokio::task::yield_now().await;
    }
    let event = world.event(EventType::ScanStarted, "{}", 1);
    let again = event.clone();
    let calls = async {
        tokio::join!(
            store.accept(world.acceptance(org, vec![event], 1), None),
            store.accept(world.acceptance(org, vec![again], 1), None),
            store.accept(world.acceptance(org, vec![world.event(EventType::ScanStarted, "{}", 1)], 1), None),
            async { go.send(()).unwrap() },
        )
    };
    let (first, same, other, ()) = calls.await;
    hold.await.unwrap().unwrap();
    assert!(first.is_ok() && other.is_ok(), "{first:?} {other:?}");
    assert!(matches!(same, Err(StoreError::Conflict(_))), "{same:?}");
    assert_eq!(count_events(&world, org).await, 2);
    let stats = store.stats();
    assert_eq!(stats.units - before.units, 4);
    assert!(stats.commits - before.commits <= 2, "{stats:?}");
}

/// What changes much is committed apart from what waits beside it, and taken back alone.
#[tokio::test]
async fn a_large_unit_has_its_transaction_for_itself() {
    let (store, world) = open(Threads::default());
    let org = world.org("acme").await;
    let before = store.stats();
    let (go, wait) = channel::<()>();
    let mut hold = held_up(&store, wait);
    poll_once(&mut hold).await;
    let broken = store.submit(TakenBack::WithTransaction, |tx| -> Result<()> {
        tx.conn.execute("DELETE FROM event", [])?;
        Err(StoreError::Conflict("too late").into())
    });
    let go = async { go.send(()).unwrap() };
    let (first, broken, second, ()) = tokio::join!(world.accept(org, 1), broken, world.accept(org, 2), go);
    hold.await.unwrap();
    drop((first, second));
    assert_eq!(broken, Err(StoreError::Conflict("too late")));
    assert_eq!(count_events(&world, org).await, 2);
    assert!(store.stats().commits - before.commits >= 3, "{:?}", store.stats());
}

#[tokio::test]
async fn a_full_queue_refuses() {
    let (store, world) = open(Threads::Own { queue: 2, readers: 1 });
    let org = world.org("acme").await;
    let (go, wait) = channel::<()>();
    let mut hold = held_up(&store, wait);
    let accept = || store.accept(world.acceptance(org, vec![world.event(EventType::ScanStarted, "{}", 1)], 1), None);
    let mut waiting = Vec::new();
    // The held unit may still be in the queue itself.
    poll_once(&mut hold).await;
    let refused = loop {
        let mut call = accept();
        match poll_once(&mut call).await {
            Some(result) => break result,
            None => waiting.push(call),
        }
    };
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!((1..=3).contains(&waiting.len()), "{}", waiting.len());
    go.send(()).unwrap();
    hold.await.unwrap();
    let accepted = waiting.len();
    for call in waiting {
        drop(call.await.unwrap());
    }
    assert_eq!(count_events(&world, org).await, accepted);
}

/// A unit that lasts until `wait` is told, or given up.
fn held_up(store: &SqliteStore, wait: Receiver<()>) -> Pending<'_, ()> {
    store.write(move |_| {
        wait.recv().ok();
        Ok(())
    })
}

/// Polls once.
async fn poll_once<T>(future: &mut Pending<'_, T>) -> Option<std::result::Result<T, StoreError>> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match future.as_mut().poll(context) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn a_call_nobody_waits_for_is_not_done() {
    let (store, world) = open(Threads::default());
    let org = world.org("acme").await;
    let (go, wait) = channel::<()>();
    let mut hold = held_up(&store, wait);
    poll_once(&mut hold).await;
    let mut abandoned =
        store.accept(world.acceptance(org, vec![world.event(EventType::ScanStarted, "{}", 1)], 1), None);
    assert!(poll_once(&mut abandoned).await.is_none());
    drop(abandoned);
    go.send(()).unwrap();
    hold.await.unwrap();
    world.accept(org, 2).await;
    assert_eq!(count_events(&world, org).await, 1);
}

#[tokio::test]
async fn a_query_nobody_waits_for_keeps_its_turn() {
    let (store, world) = open(Threads::Own { queue: 9, readers: 1 });
    let org = world.org("acme").await;
    let ((begun, begins), (go, wait)) = (channel::<()>(), channel::<()>());
    let mut query = store.read(move |_| {
        begun.send(()).ok();
        wait.recv().ok();
        Ok(())
    });
    assert!(poll_once(&mut query).await.is_none());
    begins.recv().unwrap();
    drop(query);
    let mut next = world.store.org(org);
    assert!(poll_once(&mut next).await.is_none(), "there is one connection, and it is out");
    go.send(()).unwrap();
    assert!(next.await.unwrap().is_some());
}

#[tokio::test]
async fn a_full_disk_is_said_and_survived() {
    let (store, world) = open(Threads::default());
    let org = world.org("acme").await;
    let limit = |pages: i64| {
        store.write(move |tx| {
            let used: i64 = tx.conn.pragma_query_value(None, "page_count", |row| row.get(0))?;
            tx.conn.pragma_update_and_check(None, "max_page_count", used + pages, |_| Ok(()))?;
            Ok(())
        })
    };
    limit(8).await.unwrap();
    let large = format!("{{\"x\":\"{}\"}}", "y".repeat(9000));
    let mut taken = 0;
    let refused = loop {
        let event = world.event(EventType::ScanStarted, &large, 1);
        match store.accept(world.acceptance(org, vec![event], 1), None).await {
            Ok(_) => taken += 1,
            Err(problem) => break problem,
        }
    };
    assert_eq!(refused, StoreError::Full);
    assert_eq!(count_events(&world, org).await, taken);
    limit(1000).await.unwrap();
    world.accept(org, 1).await;
    assert_eq!(count_events(&world, org).await, taken + 1);
}

/// A disk that has what it is told to have, and counts how often it was asked.
#[derive(Debug, Default)]
struct Disk {
    free_bytes: AtomicU64,
    looks: AtomicU64,
}

impl FreeSpace for Disk {
    fn free_bytes(&self, _: &Path) -> std::io::Result<u64> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        Ok(self.free_bytes.load(Ordering::Relaxed))
    }
}

#[tokio::test]
async fn h4_little_room_refuses_intake_and_the_last_of_it_claims() {
    let disk = Arc::new(Disk::default());
    let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
    let left = |free_bytes| {
        disk.free_bytes.store(free_bytes, Ordering::Relaxed);
        clock.advance(SignedDuration::from_secs(1));
    };
    left(800);
    let (store, world) = open_with(|directory| OpenOptions {
        clock: Arc::new(clock.clone()),
        min_free_bytes: 800,
        free_space: Arc::clone(&disk) as _,
        ..options(directory, Threads::default())
    });
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    world.accept(org, 1).await;
    assert_eq!(disk.looks.load(Ordering::Relaxed), 1, "once a second");
    let accept = || {
        let event = world.event(EventType::ScanStarted, "{}", 1);
        store.accept(world.acceptance(org, vec![event], 1), None)
    };
    left(799);
    assert_eq!(accept().await, Err(StoreError::Full));
    assert!(!store.has_room().await.unwrap());
    let taken = world.take(&endpoint, 1).await;
    left(99);
    assert_eq!(accept().await, Err(StoreError::Full));
    let claim = Claim { org_id: org, endpoint_id: endpoint.id, limit: 1, retries: u32::MAX };
    let claimed = store.claim(vec![claim], world::at(1), world::LEASE).await;
    assert_eq!(claimed.map(drop), Err(StoreError::Full));
    world.settle(&endpoint, &taken, Next::Delivered, 2).await;
    left(800);
    assert!(store.has_room().await.unwrap());
    drop(accept().await.unwrap());
    assert_eq!(count_events(&world, org).await, 2);
}

#[tokio::test]
async fn h4_what_sqlite_had_no_room_for_is_remembered_for_a_while() {
    let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
    let (store, world) =
        open_with(|directory| OpenOptions { clock: Arc::new(clock.clone()), ..options(directory, Threads::default()) });
    assert!(store.has_room().await.unwrap());
    let refused = store.write(|_| -> Result<()> { Err(StoreError::Full.into()) }).await;
    assert_eq!(refused, Err(StoreError::Full));
    assert!(!store.has_room().await.unwrap());
    // Intake is not kept from trying: how else would it be known that there is room again?
    world.org("acme").await;
    clock.advance(SignedDuration::from_secs(5));
    assert!(store.has_room().await.unwrap());
}

#[tokio::test]
async fn what_a_failed_group_changed_is_not_remembered() {
    let (store, world) = open(Threads::default());
    let org = world.org("acme").await;
    world.endpoint(org).await;
    // An endpoint made in a transaction that SQLite takes back as a whole must not be routed to afterwards.
    let other = world.new_endpoint(org);
    let creation = EndpointCreation { endpoint: other, greeting: None };
    let (go, wait) = channel::<()>();
    let mut hold = held_up(&store, wait);
    poll_once(&mut hold).await;
    let mut created = store.create_endpoint(creation, Terms::default());
    poll_once(&mut created).await;
    let mut breaks = store.write(|tx| -> Result<()> {
        tx.conn.execute_batch("ROLLBACK")?;
        Err(StoreError::Full.into())
    });
    poll_once(&mut breaks).await;
    go.send(()).unwrap();
    drop(hold.await);
    assert_eq!(breaks.await, Err(StoreError::Full));
    match created.await {
        // They were two groups after all: nothing was taken back.
        Ok(_) => assert_eq!(world.accept(org, 1).await.deliveries.len(), 2),
        Err(problem) => {
            assert_eq!(problem, StoreError::Full);
            assert_eq!(world.accept(org, 1).await.deliveries.len(), 1);
        }
    }
}

#[tokio::test]
async fn without_threads_the_caller_does_the_work() {
    let (store, world) = open(Threads::Inline);
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    world.accept(org, 1).await;
    let taken = world.take(&endpoint, 1).await;
    world.settle(&endpoint, &taken, Next::Delivered, 2).await;
    assert_eq!(store.stats().commits, store.stats().units);
    let Writing::Inline(writer) = &store.writing else { panic!("threads") };
    drop(writer.lock().unwrap_or_else(PoisonError::into_inner));
}

#[tokio::test]
async fn h6_another_that_holds_the_lock_is_waited_for_and_then_said() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(options(directory.path(), Threads::default())).unwrap());
    let world = World::new(Opened { store, keep: Box::new(()) });
    let org = world.org("acme").await;
    let other = Connection::open(directory.path().join(DATABASE_FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let accept = || {
        let event = world.event(EventType::ScanStarted, "{}", 1);
        world.store.accept(world.acceptance(org, vec![event], 1), None)
    };
    let refused = accept().await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    // Let go within the wait, nobody notices.
    let mut waits = accept();
    assert!(poll_once(&mut waits).await.is_none());
    other.execute_batch("ROLLBACK").unwrap();
    drop(waits.await.unwrap());
    assert_eq!(count_events(&world, org).await, 1);
}

#[tokio::test]
async fn g4_what_a_clock_that_stood_ahead_put_off_is_pulled_in() {
    const HOUR: i64 = 3600;
    let directory = tempfile::tempdir().unwrap();
    let open = || {
        let clock = Arc::new(ManualClock::at(world::at(0)));
        let options = OpenOptions { clock, ..options(directory.path(), Threads::Inline) };
        World::new(Opened { store: Arc::new(SqliteStore::open(options).unwrap()), keep: Box::new(()) })
    };
    let world = open();
    let org = world.org("acme").await;
    let (endpoint, other) = (world.endpoint(org).await, world.endpoint(org).await);
    let mut deliveries = Vec::new();
    for hours in [10, 27, 28, 24 * 365 * 30] {
        deliveries.push(world.deliver(&endpoint, 0).await);
        let taken = world.take(&endpoint, 1).await;
        world.settle(&endpoint, &taken, world::retry(world::at(hours * HOUR)), 2).await;
    }
    let paused = world.deliver(&other, 0).await;
    let taken = world.take(&other, 1).await;
    let until = world::at(48 * HOUR);
    let pause = Next::Retry { due_at: until, counts: true, endpoint_pause: Some(until) };
    world.settle(&other, &taken, pause, 2).await;
    drop(world);

    // Once pulled in, it stays: another start does not bring it nearer.
    for _ in 0..2 {
        let world = open();
        for (delivery, hours) in deliveries.iter().zip([10, 27, 27, 27]) {
            assert_eq!(world.state(org, *delivery).await, world::pending(hours * HOUR));
        }
        assert_eq!(world.state(org, paused).await, world::pending(27 * HOUR));
        assert_eq!(world.load(&other).await.not_before, Some(world::at(27 * HOUR)));
    }
}

#[tokio::test]
async fn g5_times_beyond_2038_and_2100_are_kept() {
    let (_store, world) = open(Threads::Inline);
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    for unix in [i64::from(i32::MAX), i64::from(i32::MAX) + 1, i64::from(u32::MAX) + 1] {
        let second = unix - world::at(0).as_second();
        let delivery = world.deliver(&endpoint, second - 2).await;
        let taken = world.take(&endpoint, second - 2).await;
        world.settle(&endpoint, &taken, world::retry(world::at(second)), second - 1).await;
        assert_eq!(world.state(org, delivery).await, world::pending(second));
        assert_eq!(world.claim(&endpoint, 9, second - 1).await.deliveries.len(), 0);
        let taken = world.take(&endpoint, second).await;
        world.settle(&endpoint, &taken, Next::Delivered, second).await;
    }
}

#[test]
fn what_is_due_is_found_by_seeks() {
    let directory = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(options(directory.path(), Threads::Inline)).unwrap());
    let conn = Connection::open(directory.path().join(DATABASE_FILE)).unwrap();
    for statement in delivery::HOT_STATEMENTS {
        let mut query = conn.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
        let nulls = vec![rusqlite::types::Null; query.parameter_count()];
        let steps: Vec<String> = query
            .query_map(rusqlite::params_from_iter(nulls), |row| row.get(3))
            .unwrap()
            .map(std::result::Result::unwrap)
            .collect();
        // The recursion's own queue; the claims in flight, few and all wanted; the first entry of what is pending.
        let fine = ["SCAN step", "SCAN claim USING COVERING INDEX delivery_sending", "SCAN CONSTANT ROW"];
        let first = "SCAN delivery USING COVERING INDEX delivery_pending";
        let scans = |step: &&String| {
            step.starts_with("SCAN")
                && !fine.contains(&step.as_str())
                && *step != first
                && !step.starts_with("SCAN (subquery")
        };
        assert_eq!(steps.iter().find(scans), None, "{statement}\n{steps:#?}");
        assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER")), "{statement}\n{steps:#?}");
    }
}

/// A query that never ends by itself is broken off, and what it read stays no obstacle to cutting the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h6_a_query_without_end_is_broken_off() {
    let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
    let directory = tempfile::tempdir().unwrap();
    let options = OpenOptions { clock: Arc::new(clock.clone()), ..options(directory.path(), Threads::default()) };
    let store = Arc::new(SqliteStore::open(options).unwrap());
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let reading = Arc::clone(&store);
    let query = tokio::spawn(async move {
        let endless = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT max(n) FROM n";
        let work = move |read: &Read<'_>| {
            begun.send(()).unwrap();
            Ok(read.conn.query_row(endless, [], |row| row.get::<_, i64>(0))?)
        };
        reading.read(work).await
    });
    has_begun.await.unwrap();
    clock.advance(SignedDuration::from_secs(31));
    assert!(matches!(query.await.unwrap(), Err(StoreError::Unavailable(_))));
    assert_eq!(store.read(|read| Ok(read.conn.query_row("SELECT 7", [], |row| row.get::<_, i64>(0))?)).await, Ok(7));
}

/// A log that somebody keeps from being cut stops the intake at its bound, and no sooner is it cut than all goes on.
#[test]
fn h6_the_log_has_a_bound() {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
    let room = Room::new(Path::new("/"), 0, Arc::new(FileSystem), clock);
    let pages = room.log_pages_left();
    pages.store(room::LOG_PAGES_MAX, Ordering::Relaxed);
    assert!(room.for_intake().is_ok());
    pages.store(room::LOG_PAGES_MAX + 1, Ordering::Relaxed);
    assert!(room.for_intake().is_err() && room.for_claims().is_ok(), "what is under way goes on");
    pages.store(0, Ordering::Relaxed);
    assert!(room.for_intake().is_ok());
}

/// What counts is not how long the log is but how much of it cannot be moved: one large commit stops nobody.
#[test]
fn h6_only_what_somebody_reads_is_left() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Connection::open(directory.path().join("a.db")).unwrap();
    let (writer, reader) = (open(), open());
    writer.execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x TEXT)").unwrap();
    let left = AtomicU64::new(0);
    reader.execute_batch("BEGIN; SELECT * FROM t").unwrap();
    let pages = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100) \
                 INSERT INTO t SELECT hex(zeroblob(3000)) FROM n";
    writer.execute(pages, []).unwrap();
    checkpoint::passive(&writer, &left);
    assert!(left.load(Ordering::Relaxed) >= 100, "{left:?}");
    reader.execute_batch("COMMIT").unwrap();
    checkpoint::passive(&writer, &left);
    assert_eq!(left.load(Ordering::Relaxed), 0);
}

/// Since when, and how often: the twentieth failure counts the nineteen that another process saw.
#[tokio::test]
async fn f29_what_is_known_of_failures_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
    let open = || {
        let options = OpenOptions { clock: Arc::new(clock.clone()), ..options(directory.path(), Threads::Inline) };
        let store = Arc::new(SqliteStore::open(options).unwrap());
        World::new(Opened { store, keep: Box::new(()) })
    };
    let world = open();
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    world.deliver(&endpoint, 0).await;
    let fail = async |world: &World, seconds: i64| {
        let taken = world.take(&endpoint, seconds).await;
        let retry = Next::Retry { due_at: world::at(seconds), counts: true, endpoint_pause: None };
        world.settle(&endpoint, &taken, retry, seconds).await;
    };
    for second in 0..19 {
        fail(&world, second).await;
    }
    drop(world);
    let world = open();
    fail(&world, 5 * 86_400).await;
    let state = world.load(&endpoint).await.state;
    assert!(matches!(state, watchbell_domain::endpoint::EndpointState::Disabled { .. }), "{state:?}");
}
