//! The ports on one SQLite file: one writer that commits in groups, a few readers, checkpoints beside them.
//!
//! ```text
//!            ┌─ write ─▶ queue ─▶ writer thread ─▶ one transaction a group, one fsync, then the answers
//!  callers ──┤                        └─ the log has grown ─▶ checkpoint thread
//!            └─ read ──▶ a connection of the pool, read only
//! ```
//!
//! `synchronous=FULL` is read back at the start: an `Ok` is a promise. One process has the file, by a lock beside it. What
//! the rows mean is said by the modules that own the tables: [`org`], [`endpoint`], [`event`], [`delivery`], [`project`].

use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use watchbell_domain::port::{Clock, Pending, RoomStore, StoreError};

mod advisory;
mod audit;
pub mod backup;
mod capture;
mod checkpoint;
mod custom_type;
mod delivery;
mod endpoint;
mod endpoint_cache;
mod endpoint_row;
mod endpoint_rules;
mod endpoint_transport;
mod erase;
mod error;
mod event;
mod evidence;
mod failing;
mod finding;
mod finding_row;
mod group;
mod hand_over;
mod in_hand;
mod key;
mod member;
mod notice;
mod once;
mod open;
mod org;
mod org_state;
mod page;
mod poam;
mod project;
mod pull_in;
mod reader;
mod receipt;
mod receipt_keys;
mod receipt_row;
mod replay;
mod retention;
mod room;
mod routing;
mod row;
mod rule_failure;
mod scan_run;
mod source;
mod statement;
#[cfg(test)]
mod tests;
mod told;
mod training;
mod vault;
mod witness;
mod writer;

pub use open::{DATABASE_FILE, OpenError, OpenOptions, Threads};
pub use room::{FileSystem, FreeSpace};
pub use vault::FindDialect;

use error::Result;
use hand_over::TakerSlot;
use reader::{Read, Readers};
use room::Room;
use told::WatcherSlot;
use writer::{Counters, TakenBack, Tx, Unit, Writer, gone, unit};

/// Watchbell's store on SQLite. Cheap to share in an `Arc`; dropping it ends its threads and gives up the file.
#[derive(Debug)]
pub struct SqliteStore {
    writing: Writing,
    readers: Arc<Readers>,
    taker: TakerSlot,
    watcher: WatcherSlot,
    counters: Arc<Counters>,
    room: Arc<Room>,
    /// By which long work ends itself.
    clock: Arc<dyn Clock>,
    /// Held until everything above is gone.
    _lock: std::fs::File,
}

/// Who writes.
#[derive(Debug)]
enum Writing {
    /// The writer thread, and the checkpoint thread that ends after it.
    Threads {
        /// `None` only while being dropped.
        queue: Option<SyncSender<Box<dyn Unit>>>,
        threads: Vec<JoinHandle<()>>,
    },
    /// The caller itself, one unit a commit: for simulations, where a thread would be chance.
    Inline(Box<Mutex<Writer>>),
}

/// What the store has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Transactions committed.
    pub commits: u64,
    /// Units of work that took part in them; more than commits, where groups formed.
    pub units: u64,
    /// Checkpoints run beside the writer.
    pub checkpoints: u64,
}

impl SqliteStore {
    /// What the store has done since it was opened.
    pub fn stats(&self) -> Stats {
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
        Stats {
            commits: load(&self.counters.commits),
            units: load(&self.counters.units),
            checkpoints: load(&self.counters.checkpoints),
        }
    }

    /// Runs `work`, which adds something, in the writer; refused while there is little room.
    fn add<T, F>(&self, work: F) -> Pending<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        self.write(move |tx| {
            tx.room.for_intake()?;
            work(tx)
        })
    }

    /// As [`Self::add`] for what comes thousands of times a second.
    fn add_often<T, F>(&self, work: F) -> Pending<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        self.submit(TakenBack::WithGroup, move |tx| {
            tx.room.for_intake()?;
            work(tx)
        })
    }

    /// Runs `work` in the writer; answers once it is committed.
    fn write<T, F>(&self, work: F) -> Pending<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        self.submit(TakenBack::Alone, work)
    }

    fn submit<T, F>(&self, taken_back: TakenBack, work: F) -> Pending<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        Box::pin(async move {
            let (unit, reply) = unit(taken_back, work);
            match &self.writing {
                Writing::Threads { queue, .. } => {
                    let queue = queue.as_ref().ok_or(()).map_err(gone)?;
                    queue.try_send(unit).map_err(|problem| match problem {
                        TrySendError::Full(_) => StoreError::Unavailable("too many writes wait".to_owned()),
                        TrySendError::Disconnected(_) => StoreError::Unavailable("the writer has stopped".to_owned()),
                    })?;
                }
                Writing::Inline(writer) => {
                    let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
                    writer.commit(vec![unit]);
                }
            }
            reply.await.map_err(|problem| StoreError::from(gone(problem)))?
        })
    }

    /// Runs `work` on a reading connection.
    fn read<T, F>(&self, work: F) -> Pending<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&Read<'_>) -> Result<T> + Send + 'static,
    {
        let readers = Arc::clone(&self.readers);
        match self.writing {
            Writing::Threads { .. } => Box::pin(async move {
                let turn = readers.turn().await?;
                let query = tokio::task::spawn_blocking(move || {
                    let result = readers.run(work);
                    drop(turn);
                    result
                });
                query.await.map_err(|_| StoreError::Unavailable("a query panicked".to_owned()))?
            }),
            Writing::Inline(_) => Box::pin(async move {
                let _turn = readers.turn().await?;
                readers.run(work)
            }),
        }
    }
}

impl RoomStore for SqliteStore {
    fn has_room(&self) -> Pending<'_, bool> {
        // Not by the queue, which may be long just then. Looking reads figures in memory, never the disk.
        Box::pin(async move { Ok(self.room.is_there()) })
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        match &mut self.writing {
            Writing::Threads { queue, threads } => {
                // The writer finishes what is queued; the checkpoint thread ends when the writer is gone.
                drop(queue.take());
                for thread in threads.drain(..) {
                    drop(thread.join());
                }
            }
            Writing::Inline(_) => {}
        }
    }
}

/// Settings of a connection that are the same for writers and readers.
fn configure(conn: &Connection) -> rusqlite::Result<()> {
    conn.busy_timeout(std::time::Duration::from_secs(5))?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.set_prepared_statement_cache_capacity(128);
    Ok(())
}
