//! Opening: lock, pragmas, migrations, keys, and the claims of a process that died.
//!
//! Nothing here repairs or replaces a file. Whatever is wrong is a typed error, so that the binary can say so and leave
//! with the exit code that the error has.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::thread;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, ErrorCode};
use watchbell_domain::port::{Clock, Entropy};

use super::checkpoint::{self, Wal};
use super::error::Error;
use super::failing::Failures;
use super::hand_over::{HandOver, TakerSlot};
use super::pull_in::pull_in;
use super::reader::Readers;
use super::room::{FreeSpace, Room};
use super::told::{Told, WatcherSlot};
use super::vault::{FindDialect, Vault};
use super::writer::{Counters, Writer};
use super::{SqliteStore, Writing, configure, delivery};
use crate::seal::{SealingKeyId, SealingKeys};

/// The database's name in its directory.
pub const DATABASE_FILE: &str = "watchbell.db";
const LOCK_FILE: &str = "watchbell.lock";
/// Page cache of the writer: enough for the hot ends of its trees.
const WRITER_CACHE_KIB: i64 = 16 * 1024;
/// What a log is cut to when it starts anew.
const WAL_BYTES_KEPT: i64 = 64 << 20;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// How to open a store.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Where the database is, or will be. Made, for its owner alone, when it is not there.
    pub directory: PathBuf,
    /// Keys for secrets at rest.
    pub keys: SealingKeys,
    /// Chance, for nonces.
    pub entropy: Arc<dyn Entropy>,
    /// Time: claims of a process that died become due at the start, and room is looked at now and then.
    pub clock: Arc<dyn Clock>,
    /// Finds a dialect by its id; `watchbell_wire::dialect::find`.
    pub find_dialect: FindDialect,
    /// Threads, or none.
    pub threads: Threads,
    /// Nothing is added while fewer bytes are free; 0: until the disk is full.
    pub min_free_bytes: u64,
    /// Says how many are.
    pub free_space: Arc<dyn FreeSpace>,
    /// The longest that a delivery is put off by the schedule and its jitter, or an endpoint by its answer. What is due
    /// later, when the store is opened, was written by a clock that stood ahead, and is pulled in to this.
    pub longest_wait: SignedDuration,
    /// An endpoint that has had nothing but failures for so long is disabled; `None`: none ever is.
    pub disable_after: Option<SignedDuration>,
}

/// Who does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// A writer, a checkpointer and tokio's blocking pool for reads: for production.
    Own {
        /// Most writes that wait for their commit; beyond it a write is refused as `Unavailable`.
        queue: usize,
        /// Reading connections.
        readers: usize,
    },
    /// The callers themselves: for simulations, where a thread would be chance.
    Inline,
}

impl Default for Threads {
    fn default() -> Self {
        Self::Own { queue: 4096, readers: 4 }
    }
}

/// Why a store was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it. Exit code 75.
    #[error("the data directory {0} is in use by another process")]
    Locked(PathBuf),
    /// The file is damaged or something else. It was left as it is. Exit code 74.
    #[error("{path} is damaged or no database of ours ({problem}); it was left as it is")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        problem: String,
    },
    /// It was sealed with a key that is not here. Exit code 78.
    #[error("the database holds secrets sealed with the key {0}, which is not configured")]
    UnknownKey(SealingKeyId),
    /// A newer version of the program wrote it. Exit code 78.
    #[error("the database has schema {found}; this version of the program knows schemas up to {known}")]
    NewerSchema {
        /// In the file.
        found: i64,
        /// In this program.
        known: i64,
    },
    /// The file system refused something. Exit code 74.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The database refused something. Exit code 74.
    #[error("the database cannot be opened: {0}")]
    Database(String),
}

impl SqliteStore {
    /// Opens the store, making it first where there is none.
    ///
    /// Blocks: reads and, on a new version, migrates. With [`Threads::Own`] its methods want a tokio runtime around them.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(options: OpenOptions) -> Result<Self, OpenError> {
        let directory = options.directory.as_path();
        make_directory(directory)?;
        let lock = lock(directory)?;
        let path = directory.join(DATABASE_FILE);
        refuse_orphaned_log(&path)?;
        let wrong = |problem: rusqlite::Error| OpenError::of(&path, &problem);

        let mut conn = Connection::open(&path).map_err(wrong)?;
        prepare(&conn).map_err(wrong)?;
        verify_durable(&conn).map_err(wrong)?;
        watchbell_domain::failpoint::at("store.migrate.before")?;
        migrate(&mut conn, &path)?;
        watchbell_domain::failpoint::at("store.migrate.after")?;
        check_keys(&conn, &options.keys, &path, true)?;
        let now = options.clock.now();
        let released = release_claims(&mut conn, now, options.longest_wait).map_err(|error| match error {
            Error::Sqlite(problem) => wrong(problem),
            Error::Store(problem) => OpenError::Corrupt { path: path.clone(), problem: problem.to_string() },
        })?;
        if released > 0 {
            tracing::info!(released, "claims of the process before were taken back");
        }
        // Names of new files are durable only with their directory.
        sync_directory(directory)?;

        let vault =
            Arc::new(Vault { keys: options.keys, entropy: options.entropy, find_dialect: options.find_dialect });
        let count = match options.threads {
            Threads::Own { readers, .. } => readers.max(1),
            Threads::Inline => 1,
        };
        let counters = Arc::new(Counters::default());
        let clock = options.clock;
        let readers = Readers::open(&path, count, Arc::clone(&vault), Arc::clone(&clock)).map_err(wrong)?;
        let readers = Arc::new(readers);
        let room = Room::new(directory, options.min_free_bytes, options.free_space, Arc::clone(&clock));
        let room = Arc::new(room);
        let taker = TakerSlot::default();
        let watcher = WatcherSlot::default();
        let hand_over = HandOver::new(taker.clone(), Told::new(watcher.clone()));
        let start = Start {
            conn,
            path: &path,
            hand_over,
            failures: Failures::new(options.disable_after),
            vault,
            counters: Arc::clone(&counters),
            room: Arc::clone(&room),
        };
        let writing = match options.threads {
            Threads::Own { queue, .. } => start.threads(queue)?,
            Threads::Inline => start.inline().map_err(wrong)?,
        };
        Ok(Self { writing, readers, taker, watcher, counters, room, clock, _lock: lock })
    }
}

/// A connection ready to become the writer.
struct Start<'p> {
    conn: Connection,
    path: &'p Path,
    hand_over: HandOver,
    failures: Failures,
    vault: Arc<Vault>,
    counters: Arc<Counters>,
    room: Arc<Room>,
}

impl Start<'_> {
    fn threads(mut self, queue: usize) -> Result<Writing, OpenError> {
        let path = self.path;
        let wrong = |problem: rusqlite::Error| OpenError::of(path, &problem);
        let failed = |source| OpenError::Io { path: path.to_owned(), source };
        let checkpointer = Connection::open(path).map_err(wrong)?;
        configure(&checkpointer).map_err(wrong)?;
        let (wake, woken) = sync_channel(1);
        let bulk_moved = Arc::new(AtomicBool::new(false));
        let wal = Wal::watch(&mut self.conn, Some(wake), Arc::clone(&bulk_moved), self.room.log_pages_left())
            .map_err(wrong)?;
        let (counters, left) = (Arc::clone(&self.counters), self.room.log_pages_left());
        let checkpoints = thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || checkpoint::serve(&checkpointer, &woken, &bulk_moved, &left, &counters))
            .map_err(failed)?;
        let (queue, waiting) = sync_channel(queue.max(1));
        let writer = Writer::new(self.conn, self.hand_over, self.failures, self.vault, self.counters, self.room, wal);
        let writes = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.serve(&waiting))
            .map_err(failed)?;
        Ok(Writing::Threads { queue: Some(queue), threads: vec![writes, checkpoints] })
    }

    fn inline(mut self) -> rusqlite::Result<Writing> {
        // Time stands still while SQLite waits here: whoever finds another in its way is told at once.
        self.conn.busy_timeout(std::time::Duration::ZERO)?;
        let wal = Wal::watch(&mut self.conn, None, Arc::new(AtomicBool::new(false)), self.room.log_pages_left())?;
        let writer = Writer::new(self.conn, self.hand_over, self.failures, self.vault, self.counters, self.room, wal);
        Ok(Writing::Inline(Box::new(Mutex::new(writer))))
    }
}

impl From<watchbell_domain::failpoint::Failed> for OpenError {
    fn from(failed: watchbell_domain::failpoint::Failed) -> Self {
        Self::Database(failed.to_string())
    }
}

impl OpenError {
    pub(super) fn of(path: &Path, problem: &rusqlite::Error) -> Self {
        match problem.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Self::Corrupt { path: path.to_owned(), problem: problem.to_string() }
            }
            _ => Self::Database(problem.to_string()),
        }
    }
}

pub(super) fn make_directory(directory: &Path) -> Result<(), OpenError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|source| OpenError::Io { path: directory.to_owned(), source })
}

pub(super) fn sync_directory(directory: &Path) -> Result<(), OpenError> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|source| OpenError::Io { path: directory.to_owned(), source })
}

pub(super) fn lock(directory: &Path) -> Result<File, OpenError> {
    let path = directory.join(LOCK_FILE);
    let file = File::options().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(|source| OpenError::Io { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(directory.to_owned())),
        Err(TryLockError::Error(source)) => Err(OpenError::Io { path, source }),
    }
}

/// SQLite would throw away a log whose database is missing, and with it the commits that are only in the log.
fn refuse_orphaned_log(path: &Path) -> Result<(), OpenError> {
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
    let log = path.with_extension("db-wal");
    if length(path) == 0 && length(&log) > 0 {
        let problem = "the write-ahead log is there, its database is not".to_owned();
        return Err(OpenError::Corrupt { path: path.to_owned(), problem });
    }
    Ok(())
}

fn prepare(conn: &Connection) -> rusqlite::Result<()> {
    configure(conn)?;
    // Takes effect only before the first table is made.
    conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
    conn.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)
}

/// A 2xx is a promise only under these two; a file system that cannot keep them is refused.
fn verify_durable(conn: &Connection) -> rusqlite::Result<()> {
    const FULL: i64 = 2;
    let journal: String = conn.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let synchronous: i64 = conn.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    if journal == "wal" && synchronous == FULL {
        return Ok(());
    }
    Err(rusqlite::Error::SqliteFailure(
        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_MISUSE),
        Some(format!("journal_mode={journal} synchronous={synchronous}, wanted wal and 2 (FULL)")),
    ))
}

pub(super) fn migrate(conn: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let wrong = |problem: rusqlite::Error| OpenError::of(path, &problem);
    let (found, known) = (schema_of(conn).map_err(wrong)?, known_schema());
    if found > known {
        return Err(OpenError::NewerSchema { found, known });
    }
    // In one transaction with the note that it was applied: killed in between, the next start would apply it again.
    let runner = embedded::migrations::runner().set_grouped(true);
    runner.run(conn).map(drop).map_err(|problem| OpenError::Database(problem.to_string()))
}

/// The newest schema that this program knows.
pub(super) fn known_schema() -> i64 {
    let runner = embedded::migrations::runner();
    runner.get_migrations().iter().map(|migration| i64::from(migration.version())).max().unwrap_or(0)
}

/// The schema in a database; 0: none of ours.
pub(super) fn schema_of(conn: &Connection) -> rusqlite::Result<i64> {
    let is_ours: bool =
        conn.query_row("SELECT count(*) > 0 FROM sqlite_schema WHERE name = 'refinery_schema_history'", [], |row| {
            row.get(0)
        })?;
    if !is_ours {
        return Ok(0);
    }
    conn.query_row("SELECT coalesce(max(version), 0) FROM refinery_schema_history", [], |row| row.get(0))
}

/// Every key that ever sealed must be here; the one that seals from now on is noted where `is_ours`.
pub(super) fn check_keys(conn: &Connection, keys: &SealingKeys, path: &Path, is_ours: bool) -> Result<(), OpenError> {
    let wrong = |problem: rusqlite::Error| OpenError::of(path, &problem);
    let mut query = conn.prepare("SELECT key_id FROM sealing_key").map_err(wrong)?;
    let used: Vec<[u8; 8]> = query.query_map([], |row| row.get(0)).and_then(Iterator::collect).map_err(wrong)?;
    for id in used.into_iter().map(SealingKeyId) {
        if keys.ids().all(|known| known != id) {
            return Err(OpenError::UnknownKey(id));
        }
    }
    if let Some(first) = keys.ids().next().filter(|_| is_ours) {
        conn.execute("INSERT OR IGNORE INTO sealing_key (key_id) VALUES (?1)", [first.0]).map_err(wrong)?;
    }
    Ok(())
}

fn release_claims(conn: &mut Connection, now: Timestamp, longest_wait: SignedDuration) -> Result<usize, Error> {
    let transaction = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let released = match watchbell_domain::failpoint::is_planted("retry forgotten on crash") {
        true => transaction
            .execute("UPDATE delivery SET lease_until = lease_until + 1000000000000000 WHERE state = 'sending'", [])?,
        false => delivery::release_all(&transaction, now)?,
    };
    delivery::keep_all_keys(&transaction)?;
    let pulled_in = pull_in(&transaction, now, longest_wait)?;
    if pulled_in > 0 {
        tracing::warn!(pulled_in, "the clock stood ahead before: what waited for it was pulled in");
    }
    watchbell_domain::failpoint::at("store.release.before").map_err(|_| rusqlite::Error::InvalidQuery)?;
    transaction.commit()?;
    Ok(released)
}
