//! The one writer: takes what has gathered, commits it as one transaction, and only then answers.
//!
//! ```text
//! callers ──try_send──▶ queue (bounded) ──▶ BEGIN · SAVEPOINT unit RELEASE · SAVEPOINT … · COMMIT (one fsync) ──▶ answers
//! ```
//!
//! A durable commit costs one flush of the disk however much it holds, so a group shares it. No timer makes groups: they
//! form while the flush before them runs. A unit that fails, or panics, is taken back alone, but for those few that say
//! otherwise: see [`TakenBack`]. When the commit fails, every unit of the group is told so.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;

use rusqlite::Connection;
use tokio::sync::oneshot;
use watchbell_domain::port::StoreError;

use super::checkpoint::Wal;
use super::endpoint_cache::EndpointCache;
use super::error::{Error, Result, from_sqlite};
use super::failing::Failures;
use super::hand_over::HandOver;
use super::receipt_keys::ReceiptKeys;
use super::room::Room;
use super::vault::Vault;

/// Most units that share a commit: bounds how long the first of them waits for its answer.
const GROUP_UNITS_MAX: usize = 256;

/// What a unit of work sees.
#[derive(Debug)]
pub(super) struct Tx<'a> {
    /// The connection, inside the group's transaction and the unit's savepoint.
    pub(super) conn: &'a Connection,
    /// Endpoints, decoded and unsealed.
    pub(super) endpoints: &'a mut EndpointCache,
    /// What goes to the loop with the commit.
    pub(super) hand_over: &'a mut HandOver,
    /// Endpoints that only fail.
    pub(super) failures: &'a mut Failures,
    /// By what requests are known again.
    pub(super) receipt_keys: &'a mut ReceiptKeys,
    /// For what is sealed.
    pub(super) vault: &'a Vault,
    /// What there is room for.
    pub(super) room: &'a Room,
}

/// How much was written since the start.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) commits: AtomicU64,
    pub(super) units: AtomicU64,
    pub(super) checkpoints: AtomicU64,
}

/// How a unit that fails is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TakenBack {
    /// By a savepoint of its own, which copies every page that it changes.
    Alone,
    /// With its whole group: for what runs thousands of times a second and fails, once it has written something, only
    /// when the database is broken.
    WithGroup,
    /// With its transaction, which it has for itself: for what changes so much that a savepoint's copies, which are held in
    /// memory, would be a burden.
    WithTransaction,
}

/// One caller's work, waiting for its commit.
pub(super) trait Unit: Send {
    fn taken_back(&self) -> TakenBack;

    /// Does the work; what came of it is kept until [`Self::answer`].
    fn run(&mut self, tx: &mut Tx<'_>) -> Ran;

    /// Tells the caller. `committed` is how the group's commit went.
    fn answer(self: Box<Self>, committed: &std::result::Result<(), StoreError>);
}

/// What became of a unit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ran {
    /// Done; keep what it wrote.
    Done,
    /// Failed; take back what it wrote.
    Failed(StoreError),
    /// Nobody waits for it any more.
    Unwanted,
}

/// A closure as a unit.
struct Call<T, F> {
    taken_back: TakenBack,
    work: Option<F>,
    result: std::result::Result<T, StoreError>,
    reply: oneshot::Sender<std::result::Result<T, StoreError>>,
}

/// What a caller gets.
pub(super) type Reply<T> = oneshot::Receiver<std::result::Result<T, StoreError>>;

/// Makes a unit of `work`.
pub(super) fn unit<T, F>(taken_back: TakenBack, work: F) -> (Box<dyn Unit>, Reply<T>)
where
    T: Send + 'static,
    F: FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
{
    let (reply, receiver) = oneshot::channel();
    let result = Err(StoreError::Unavailable("the unit of work did not run".to_owned()));
    (Box::new(Call { taken_back, work: Some(work), result, reply }), receiver)
}

impl<T, F> Unit for Call<T, F>
where
    T: Send + 'static,
    F: FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
{
    fn taken_back(&self) -> TakenBack {
        self.taken_back
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> Ran {
        if self.reply.is_closed() {
            return Ran::Unwanted;
        }
        let Some(work) = self.work.take() else {
            return Ran::Unwanted;
        };
        // The savepoint and the endpoint cache are taken back after a panic, so nothing half-done is seen.
        self.result = match catch_unwind(AssertUnwindSafe(|| {
            watchbell_domain::failpoint::at("store.unit")?;
            work(tx)
        })) {
            Ok(result) => result.map_err(StoreError::from),
            Err(_) => Err(StoreError::Unavailable("a unit of work panicked".to_owned())),
        };
        match &self.result {
            Ok(_) => Ran::Done,
            Err(problem) => Ran::Failed(problem.clone()),
        }
    }

    fn answer(self: Box<Self>, committed: &std::result::Result<(), StoreError>) {
        let answer = match (self.result, committed) {
            (Ok(_), Err(problem)) => Err(problem.clone()),
            (result, _) => result,
        };
        // The caller may be gone; the work is done all the same.
        drop(self.reply.send(answer));
    }
}

/// The connection that writes, and what it keeps.
#[derive(Debug)]
pub(super) struct Writer {
    conn: Connection,
    endpoints: EndpointCache,
    hand_over: HandOver,
    failures: Failures,
    receipt_keys: ReceiptKeys,
    vault: Arc<Vault>,
    counters: Arc<Counters>,
    room: Arc<Room>,
    wal: Wal,
}

impl Writer {
    pub(super) fn new(
        conn: Connection,
        hand_over: HandOver,
        failures: Failures,
        vault: Arc<Vault>,
        counters: Arc<Counters>,
        room: Arc<Room>,
        wal: Wal,
    ) -> Self {
        let (endpoints, receipt_keys) = (EndpointCache::default(), ReceiptKeys::default());
        Self { conn, endpoints, hand_over, failures, receipt_keys, vault, counters, room, wal }
    }

    /// Works until every sender is gone.
    pub(super) fn serve(mut self, queue: &Receiver<Box<dyn Unit>>) {
        let mut next = None;
        while let Some(first) = next.take().or_else(|| queue.recv().ok()) {
            let group = gather(first, queue, &mut next);
            // A panic beside the units must not end the only thread that writes. Whoever waited is told that it is gone.
            if catch_unwind(AssertUnwindSafe(|| self.commit(group))).is_err() {
                tracing::error!("a commit panicked");
                self.abandon();
            }
        }
    }

    /// Runs a group, commits it and answers.
    pub(super) fn commit(&mut self, mut group: Vec<Box<dyn Unit>>) {
        let mut committed = self.run(&mut group);
        if let Err(problem) = &committed {
            tracing::error!(units = group.len(), %problem, "commit failed");
            // Whatever the reason: nothing can be promised now.
            self.room.refused();
            self.abandon();
        } else {
            self.hand_over.committed();
        }
        if watchbell_domain::failpoint::is_planted("ack before commit") {
            committed = Ok(());
        }
        let units = u64::try_from(group.len()).unwrap_or(u64::MAX);
        self.counters.units.fetch_add(units, Ordering::Relaxed);
        for unit in group {
            unit.answer(&committed);
        }
        self.wal.committed(&self.conn);
    }

    fn run(&mut self, group: &mut [Box<dyn Unit>]) -> std::result::Result<(), StoreError> {
        self.execute("BEGIN IMMEDIATE")?;
        for unit in group {
            self.run_unit(unit.as_mut())?;
        }
        self.receipt_keys.log(&self.conn)?;
        watchbell_domain::failpoint::at("store.commit.before")?;
        self.execute("COMMIT")?;
        watchbell_domain::failpoint::at("store.commit.after")?;
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn run_unit(&mut self, unit: &mut dyn Unit) -> std::result::Result<(), StoreError> {
        let taken_back = unit.taken_back();
        let has_savepoint = taken_back == TakenBack::Alone;
        if has_savepoint {
            self.execute("SAVEPOINT unit")?;
        }
        let changes_before = self.conn.total_changes();
        let mut tx = Tx {
            conn: &self.conn,
            endpoints: &mut self.endpoints,
            hand_over: &mut self.hand_over,
            failures: &mut self.failures,
            receipt_keys: &mut self.receipt_keys,
            vault: &self.vault,
            room: &self.room,
        };
        let ran = unit.run(&mut tx);
        self.endpoints.unit_ended(ran == Ran::Done);
        self.hand_over.unit_ended(ran == Ran::Done);
        self.failures.unit_ended(ran == Ran::Done);
        self.receipt_keys.unit_ended(ran == Ran::Done);
        if let Ran::Failed(problem) = ran {
            if problem == StoreError::Full && self.room.for_intake().is_ok() {
                self.room.refused();
            }
            // Out of room or broken, SQLite may take back the whole transaction by itself: then the group has failed.
            let has_written = self.conn.total_changes() != changes_before;
            if self.conn.is_autocommit() || (has_written && taken_back == TakenBack::WithGroup) {
                return Err(problem);
            }
            match taken_back {
                TakenBack::Alone => self.execute("ROLLBACK TO unit")?,
                TakenBack::WithGroup => {}
                TakenBack::WithTransaction => {
                    self.execute("ROLLBACK")?;
                    self.execute("BEGIN IMMEDIATE")?;
                }
            }
        }
        if has_savepoint { self.execute("RELEASE unit") } else { Ok(()) }
    }

    fn abandon(&mut self) {
        self.endpoints.clear();
        self.hand_over.abandoned();
        self.failures.abandoned();
        self.receipt_keys.abandoned();
        if !self.conn.is_autocommit()
            && let Err(problem) = self.execute("ROLLBACK")
        {
            tracing::error!(%problem, "rollback failed");
        }
    }

    fn execute(&self, statement: &'static str) -> std::result::Result<(), StoreError> {
        let run = || self.conn.prepare_cached(statement)?.execute([]);
        run().map(drop).map_err(|error| from_sqlite(&error))
    }
}

/// What is committed with `first`: what has come since, up to one that has a transaction for itself. That one is `next`.
fn gather(
    first: Box<dyn Unit>,
    queue: &Receiver<Box<dyn Unit>>,
    next: &mut Option<Box<dyn Unit>>,
) -> Vec<Box<dyn Unit>> {
    let is_for_itself = |unit: &dyn Unit| unit.taken_back() == TakenBack::WithTransaction;
    if is_for_itself(&*first) {
        return vec![first];
    }
    let mut group = vec![first];
    while group.len() < GROUP_UNITS_MAX && next.is_none() {
        match queue.try_recv() {
            Ok(unit) if is_for_itself(&*unit) => *next = Some(unit),
            Ok(unit) => group.push(unit),
            Err(_) => break,
        }
    }
    group
}

/// What a dropped reply means: the writer is gone.
pub(super) fn gone<E>(_: E) -> Error {
    Error::Store(StoreError::Unavailable("the store has stopped".to_owned()))
}
