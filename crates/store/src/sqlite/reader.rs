//! A few connections that only read. Each query sees one commit; none waits for the writer.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use watchbell_domain::port::StoreError;

use super::configure;
use super::error::{Result, from_sqlite};
use super::vault::Vault;

/// What a query sees.
#[derive(Debug)]
pub(super) struct Read<'a> {
    pub(super) conn: &'a Connection,
    pub(super) vault: &'a Vault,
}

/// The idle connections, and how many may be out.
#[derive(Debug)]
pub(super) struct Readers {
    idle: Mutex<Vec<Connection>>,
    turns: Arc<Semaphore>,
    vault: Arc<Vault>,
}

impl Readers {
    pub(super) fn open(path: &Path, count: usize, vault: Arc<Vault>) -> rusqlite::Result<Self> {
        let mut idle = Vec::with_capacity(count);
        for _ in 0..count {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            // Opened for writing, for a reader too may have to recover the log's index; it is told not to write.
            let conn = Connection::open_with_flags(path, flags)?;
            configure(&conn)?;
            conn.pragma_update(None, "query_only", true)?;
            idle.push(conn);
        }
        Ok(Self { idle: Mutex::new(idle), turns: Arc::new(Semaphore::new(count)), vault })
    }

    /// Waits until a connection is free. Callers beyond the pool wait without a thread.
    /// Whoever runs the query keeps the turn, for its caller may stop waiting before it ends.
    pub(super) async fn turn(&self) -> std::result::Result<OwnedSemaphorePermit, StoreError> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        turn.map_err(|_| StoreError::Unavailable("the store has stopped".to_owned()))
    }

    /// Runs `work` on an idle connection.
    pub(super) fn run<T>(&self, work: impl FnOnce(&Read<'_>) -> Result<T>) -> std::result::Result<T, StoreError> {
        let Some(conn) = self.idle().pop() else {
            return Err(StoreError::Unavailable("no reading connection is free".to_owned()));
        };
        let out = Out { conn: Some(conn), readers: self };
        let conn = out.conn.as_ref().ok_or_else(|| StoreError::Unavailable("no connection".to_owned()))?;
        // Several statements of one question see the same commit.
        let snapshot = conn.unchecked_transaction().map_err(|error| from_sqlite(&error))?;
        let found = work(&Read { conn, vault: &self.vault });
        drop(snapshot);
        found.map_err(StoreError::from)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is out; comes back however the query ends.
struct Out<'a> {
    conn: Option<Connection>,
    readers: &'a Readers,
}

impl Drop for Out<'_> {
    fn drop(&mut self) {
        self.readers.idle().extend(self.conn.take());
    }
}
