//! Whether there is room: what is added is refused while what was begun can still be written down.
//!
//! ```text
//!  free bytes   ──────────────┬──────────────────────────┬──────────────────
//!               none, or 1/8  │ up to `min_free_bytes`   │ more
//!  intake         refused     │   refused                │ taken
//!  claims         refused     │   taken                  │ taken
//!  settles        tried       │   taken                  │ taken
//! ```
//!
//! An attempt whose outcome cannot be written is made again after its lease: so the last eighth is for outcomes alone.
//! Looking is cheap, but not free: it is done at most once a second, and only when somebody asks.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::SignedDuration;
use watchbell_domain::port::{Clock, StoreError};

use super::error::Result;

/// How long what was seen is taken for true.
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(1);

/// How long a commit that SQLite had no room for makes the store count as full. It is asked again by then.
const REFUSED_FOR: SignedDuration = SignedDuration::from_secs(5);

/// When a checkpoint has to leave more pages of the log than this (1 GiB), nothing is added: somebody has been reading for
/// so long that it cannot be cut.
pub(super) const LOG_PAGES_MAX: u64 = 262_144;

/// The part of the reserve that is kept for outcomes.
const OUTCOMES_SHARE: u64 = 8;

/// Says how much a file system has left.
pub trait FreeSpace: Send + Sync + fmt::Debug {
    /// Bytes that this process may still write where `directory` is.
    ///
    /// # Errors
    /// What the operating system said.
    fn free_bytes(&self, directory: &Path) -> io::Result<u64>;
}

/// The real one.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileSystem;

impl FreeSpace for FileSystem {
    fn free_bytes(&self, directory: &Path) -> io::Result<u64> {
        let found = rustix::fs::statvfs(directory)?;
        // What is set apart for root is not ours.
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }
}

/// What there was room for when it was last looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Plenty,
    /// For claims and outcomes.
    Reserve,
    /// For outcomes, perhaps.
    Nothing,
}

/// Watches the space that is left. Shared by the writer and whoever asks whether the node is ready.
#[derive(Debug)]
pub(super) struct Room {
    directory: PathBuf,
    /// 0: not looked at.
    min_free_bytes: u64,
    free_space: Arc<dyn FreeSpace>,
    clock: Arc<dyn Clock>,
    /// Pages of the log that the last checkpoint had to leave.
    log_pages_left: Arc<AtomicU64>,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    left: Left,
    /// By the monotonic clock.
    looked_at: Option<SignedDuration>,
    refused_at: Option<SignedDuration>,
}

impl Room {
    pub(super) fn new(
        directory: &Path,
        min_free_bytes: u64,
        free_space: Arc<dyn FreeSpace>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let seen = Seen { left: Left::Plenty, looked_at: None, refused_at: None };
        Self {
            directory: directory.to_owned(),
            min_free_bytes,
            free_space,
            clock,
            log_pages_left: Arc::default(),
            seen: Mutex::new(seen),
        }
    }

    /// For what adds: events, scans, endpoints.
    pub(super) fn for_intake(&self) -> Result<()> {
        if self.log_pages_left.load(Ordering::Relaxed) > LOG_PAGES_MAX {
            let problem = "the log cannot be cut, for somebody has been reading the database for too long";
            return Err(StoreError::Unavailable(problem.to_owned()).into());
        }
        match self.left() {
            Left::Plenty => Ok(()),
            Left::Reserve | Left::Nothing => Err(StoreError::Full.into()),
        }
    }

    /// How much of the log the last checkpoint had to leave.
    pub(super) fn log_pages_left(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.log_pages_left)
    }

    /// For attempts, whose outcomes have to be written.
    pub(super) fn for_claims(&self) -> Result<()> {
        match self.left() {
            Left::Plenty | Left::Reserve => Ok(()),
            Left::Nothing => Err(StoreError::Full.into()),
        }
    }

    /// SQLite had no room for something.
    pub(super) fn refused(&self) {
        let now = self.clock.monotonic();
        self.seen().refused_at = Some(now);
    }

    /// Whether additions are taken, and what was written of late was kept.
    pub(super) fn is_there(&self) -> bool {
        let left = self.left();
        let now = self.clock.monotonic();
        let refused_at = self.seen().refused_at;
        left == Left::Plenty && refused_at.is_none_or(|at| now - at >= REFUSED_FOR)
    }

    fn left(&self) -> Left {
        if self.min_free_bytes == 0 {
            return Left::Plenty;
        }
        let now = self.clock.monotonic();
        let mut seen = self.seen();
        if seen.looked_at.is_some_and(|at| now - at < LOOK_EVERY) {
            return seen.left;
        }
        let left = self.look();
        if left != seen.left {
            let (directory, min_free_bytes) = (self.directory.display(), self.min_free_bytes);
            match left {
                Left::Plenty => tracing::info!(%directory, "there is room again"),
                Left::Reserve => {
                    tracing::error!(%directory, min_free_bytes, "little room is left: nothing new is accepted");
                }
                Left::Nothing => {
                    tracing::error!(%directory, min_free_bytes, "no room is left: nothing is accepted or sent");
                }
            }
        }
        seen.left = left;
        seen.looked_at = Some(now);
        left
    }

    fn look(&self) -> Left {
        match self.free_space.free_bytes(&self.directory) {
            Ok(free) if free < self.min_free_bytes / OUTCOMES_SHARE => Left::Nothing,
            Ok(free) if free < self.min_free_bytes => Left::Reserve,
            Ok(_) => Left::Plenty,
            Err(problem) => {
                // Whoever cannot look must not refuse: SQLite says when it is full.
                tracing::warn!(directory = %self.directory.display(), %problem, "free space cannot be seen");
                Left::Plenty
            }
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
