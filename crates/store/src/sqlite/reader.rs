//! A few connections that only read. Each query sees one commit; none waits for the writer.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::SignedDuration;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use watchbell_domain::port::{Clock, StoreError};

use super::configure;
use super::error::{Result, from_sqlite};
use super::vault::Vault;

/// What a query sees.
#[derive(Debug)]
pub(super) struct Read<'a> {
    pub(super) conn: &'a Connection,
    pub(super) vault: &'a Vault,
}

/// A query that takes longer is broken off: as long as it reads its moment of the database, the log cannot be cut.
const READ_MAX: SignedDuration = SignedDuration::from_secs(30);

/// Steps of SQLite's machine between two looks at the clock: some milliseconds.
const STEPS: std::ffi::c_int = 100_000;

/// The idle connections, and how many may be out.
#[derive(Debug)]
pub(super) struct Readers {
    idle: Mutex<Vec<Reader>>,
    turns: Arc<Semaphore>,
    vault: Arc<Vault>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
struct Reader {
    conn: Connection,
    /// When its query is broken off, in milliseconds of the monotonic clock.
    until: Arc<AtomicI64>,
}

impl Readers {
    pub(super) fn open(path: &Path, count: usize, vault: Arc<Vault>, clock: Arc<dyn Clock>) -> rusqlite::Result<Self> {
        let mut idle = Vec::with_capacity(count);
        for _ in 0..count {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            // Opened for writing, for a reader too may have to recover the log's index; it is told not to write.
            let mut conn = Connection::open_with_flags(path, flags)?;
            configure(&conn)?;
            conn.pragma_update(None, "query_only", true)?;
            let until = Arc::new(AtomicI64::new(i64::MAX));
            let (end, time) = (Arc::clone(&until), Arc::clone(&clock));
            conn.progress_handler(STEPS, Some(move || millis(&*time) >= end.load(Ordering::Relaxed)))?;
            idle.push(Reader { conn, until });
        }
        Ok(Self { idle: Mutex::new(idle), turns: Arc::new(Semaphore::new(count)), vault, clock })
    }

    /// Waits until a connection is free. Callers beyond the pool wait without a thread.
    /// Whoever runs the query keeps the turn, for its caller may stop waiting before it ends.
    pub(super) async fn turn(&self) -> std::result::Result<OwnedSemaphorePermit, StoreError> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        turn.map_err(|_| StoreError::Unavailable("the store has stopped".to_owned()))
    }

    /// Runs `work` on an idle connection.
    pub(super) fn run<T>(&self, work: impl FnOnce(&Read<'_>) -> Result<T>) -> std::result::Result<T, StoreError> {
        let Some(reader) = self.idle().pop() else {
            return Err(StoreError::Unavailable("no reading connection is free".to_owned()));
        };
        let longest = i64::try_from(READ_MAX.as_millis()).unwrap_or(i64::MAX);
        reader.until.store(millis(&*self.clock).saturating_add(longest), Ordering::Relaxed);
        let out = Out { reader: Some(reader), readers: self };
        let Some(Reader { conn, .. }) = &out.reader else {
            return Err(StoreError::Unavailable("no connection".to_owned()));
        };
        // Several statements of one question see the same commit.
        let snapshot = conn.unchecked_transaction().map_err(|error| from_sqlite(&error))?;
        let found = work(&Read { conn, vault: &self.vault });
        drop(snapshot);
        found.map_err(StoreError::from)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Reader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is out; comes back however the query ends.
struct Out<'a> {
    reader: Option<Reader>,
    readers: &'a Readers,
}

impl Drop for Out<'_> {
    fn drop(&mut self) {
        self.readers.idle().extend(self.reader.take());
    }
}

fn millis(clock: &dyn Clock) -> i64 {
    i64::try_from(clock.monotonic().as_millis()).unwrap_or(i64::MAX)
}
