//! Moving the write-ahead log into the database, beside the writer instead of inside an unlucky commit.
//!
//! A second connection, on its own thread, runs passive checkpoints; they neither wait for the writer nor stop it. Under
//! steady load the log grows while it is being moved and so never starts anew: once it is longer than it should be, the
//! writer itself moves the short rest between two commits, and its next commit starts at the log's beginning.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};

use rusqlite::Connection;

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
    ) -> rusqlite::Result<Self> {
        let pages = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&pages);
        writer.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: i32| {
            told.store(u64::try_from(pages).unwrap_or_default(), Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Self { pages, next_at: CHECKPOINT_PAGES, wake, bulk_moved })
    }

    /// After every commit, on the writer's thread.
    pub(super) fn committed(&mut self, writer: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < CHECKPOINT_PAGES {
            self.next_at = CHECKPOINT_PAGES;
        }
        if pages < self.next_at {
            return;
        }
        self.next_at = pages + CHECKPOINT_PAGES;
        let Some(wake) = &self.wake else {
            return passive(writer);
        };
        if pages >= CATCH_UP_PAGES && self.bulk_moved.swap(false, Ordering::Relaxed) {
            passive(writer);
        }
        match wake.try_send(()) {
            // Full: it is at work, or about to be.
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }
}

/// The checkpoint thread: works when woken, ends when the writer is gone.
pub(super) fn serve(conn: &Connection, woken: &Receiver<()>, bulk_moved: &AtomicBool, counters: &Counters) {
    while woken.recv().is_ok() {
        passive(conn);
        counters.checkpoints.fetch_add(1, Ordering::Relaxed);
        bulk_moved.store(true, Ordering::Relaxed);
    }
}

fn passive(conn: &Connection) {
    let checkpoint = conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    if let Err(problem) = checkpoint {
        tracing::warn!(%problem, "checkpoint failed");
    }
}
