//! Moving the write-ahead log into the database, beside the writer instead of inside an unlucky commit.
//!
//! A second connection, on its own thread, runs passive checkpoints; they neither wait for the writer nor stop it. Under
//! steady load the log grows while it is being moved and so never starts anew: once it is longer than it should be, the
//! writer itself moves the short rest between two commits, and its next commit starts at the log's beginning.
//!
//! Nothing can be cut of what somebody still reads. Our own queries are broken off in time; against others, such as a shell
//! that was left open, there is a bound: when a checkpoint had to leave more than that, nothing more is taken in. A log that
//! is long because one commit was large is no such log: it is moved, and others write behind it meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};

use rusqlite::Connection;

use super::room::LOG_PAGES_MAX;
use super::writer::Counters;

/// A checkpoint begins whenever the log has grown by this many pages (8 MiB).
const CHECKPOINT_PAGES: u64 = 2_048;
/// The writer helps when the log has more pages than this (64 MiB).
const CATCH_UP_PAGES: u64 = 16_384;

/// The log's length, watched by the writer.
#[derive(Debug)]
pub(super) struct Wal {
    /// Pages in the log, told by SQLite after every commit.
    pages: Arc<AtomicU64>,
    /// Pages that the last checkpoint had to leave.
    left: Arc<AtomicU64>,
    /// How long the log is when the next checkpoint begins.
    next_at: u64,
    /// `None` in a store without threads: the writer checkpoints itself.
    wake: Option<SyncSender<()>>,
    bulk_moved: Arc<AtomicBool>,
}

impl Wal {
    /// Watches the log of `writer`. The hook also switches SQLite's own checkpoints off.
    pub(super) fn watch(
        writer: &mut Connection,
        wake: Option<SyncSender<()>>,
        bulk_moved: Arc<AtomicBool>,
        left: Arc<AtomicU64>,
    ) -> rusqlite::Result<Self> {
        let pages = Arc::<AtomicU64>::default();
        let told = Arc::clone(&pages);
        writer.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: i32| {
            told.store(u64::try_from(pages).unwrap_or_default(), Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Self { pages, left, next_at: CHECKPOINT_PAGES, wake, bulk_moved })
    }

    /// After every commit, on the writer's thread.
    pub(super) fn committed(&mut self, writer: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < CHECKPOINT_PAGES {
            self.next_at = CHECKPOINT_PAGES;
        }
        if pages <= LOG_PAGES_MAX {
            self.left.store(0, Ordering::Relaxed);
        }
        // While too much is left it is tried again and again: nothing may grow that would say when.
        if pages < self.next_at && self.left.load(Ordering::Relaxed) <= LOG_PAGES_MAX {
            return;
        }
        self.next_at = pages + CHECKPOINT_PAGES;
        let Some(wake) = &self.wake else {
            passive(writer, &self.left);
            return;
        };
        if pages >= CATCH_UP_PAGES && self.bulk_moved.swap(false, Ordering::Relaxed) {
            passive(writer, &self.left);
        }
        match wake.try_send(()) {
            // Full: it is at work, or about to be.
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }
}

/// The checkpoint thread: works when woken, ends when the writer is gone.
pub(super) fn serve(
    conn: &Connection,
    woken: &Receiver<()>,
    bulk_moved: &AtomicBool,
    left: &AtomicU64,
    counters: &Counters,
) {
    while woken.recv().is_ok() {
        passive(conn, left);
        counters.checkpoints.fetch_add(1, Ordering::Relaxed);
        bulk_moved.store(true, Ordering::Relaxed);
    }
}

/// Moves what nobody reads any more. Once all of it is moved, the next commit begins the log anew.
pub(super) fn passive(conn: &Connection, left: &AtomicU64) {
    let checkpoint = conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        Ok((row.get::<_, i64>("log")?, row.get::<_, i64>("checkpointed")?))
    });
    match checkpoint {
        Ok((log, moved)) => left.store(u64::try_from(log - moved).unwrap_or_default(), Ordering::Relaxed),
        Err(problem) => tracing::warn!(%problem, "checkpoint failed"),
    }
}
