//! Copies of the database: taken beside a running server, and put back where there is none.
//!
//! ```text
//!  backup   a read transaction ── pages, a few at a time ──▶ FILE.partial ── checked, synced ──▶ FILE
//!  restore  FILE ── checked, its key at hand ── pages ──▶ watchbell.db.partial ── synced ──▶ watchbell.db
//! ```
//!
//! A backup is one moment of the database: what was committed before it began, and nothing of what came later. It reads,
//! so nobody waits for it; but the log cannot be cut while somebody reads an old moment, so it does not rest once the log
//! has grown far, and gives up before it grows without bound. Secrets are sealed in it as in the original, and the key is
//! not in it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::open::{
    DATABASE_FILE, OpenError, check_keys, known_schema, lock, make_directory, schema_of, sync_directory,
};
use crate::seal::SealingKeys;

/// Pages copied in one step (1 MiB).
const STEP_PAGES: std::ffi::c_int = 256;
/// Rest between two steps, so that whoever serves has the disk to himself now and then.
const REST: Duration = Duration::from_millis(2);
/// Beyond this growth of the log a backup rests no more.
const HURRY_BYTES: u64 = 128 << 20;
/// Beyond this it is given up: the server writes faster than this machine reads.
const GROWTH_BYTES_MAX: u64 = 768 << 20;

/// How far a copy has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Pages that are copied.
    pub done: u64,
    /// Pages there are.
    pub all: u64,
}

/// A copy that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Where it is.
    pub path: PathBuf,
    /// How long it is.
    pub bytes: u64,
    /// The schema in it.
    pub schema: i64,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is no database to copy.
    #[error("{0} holds no database")]
    Nothing(PathBuf),
    /// What would be written is there already.
    #[error("{0} exists; it was left as it is")]
    Exists(PathBuf),
    /// The log grows faster than the copy.
    #[error("the server writes faster than a copy can be taken; nothing was kept")]
    TooBusy,
    /// The copy, or what was to be restored, is not sound.
    #[error("{path} is damaged or no backup of ours: {problem}")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// How it shows.
        problem: String,
    },
    /// Locked, sealed with another key, or of a newer version.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The file system refused something.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// Copies the database in `directory` to the new file `to`, whether a server runs on it or not.
///
/// # Errors
/// See [`BackupError`]; nothing is left behind then.
pub fn backup(directory: &Path, to: &Path, told: &mut dyn FnMut(Progress)) -> Result<Copied, BackupError> {
    let from = directory.join(DATABASE_FILE);
    if !from.metadata().is_ok_and(|found| found.len() > 0) {
        return Err(BackupError::Nothing(directory.to_owned()));
    }
    let wrong = |problem: rusqlite::Error| BackupError::Open(OpenError::of(&from, &problem));
    let source =
        Connection::open_with_flags(&from, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .map_err(wrong)?;
    source.busy_timeout(Duration::from_secs(5)).map_err(wrong)?;
    source.pragma_update(None, "query_only", true).map_err(wrong)?;
    // One moment for all steps: without it each commit of the server would begin the copy anew.
    let moment = source.unchecked_transaction().map_err(wrong)?;
    let schema = schema_of(&moment).map_err(wrong)?;
    let log = from.with_extension("db-wal");
    let length = || log.metadata().map_or(0, |found| found.len());
    let before = length();
    let pace = || match length().saturating_sub(before) {
        grown if grown > GROWTH_BYTES_MAX => Err(BackupError::TooBusy),
        grown if grown > HURRY_BYTES => Ok(None),
        _ => Ok(Some(REST)),
    };
    copy(&moment, to, schema, &pace, told)
}

/// Puts a backup into `directory`, where there must be no database; `keys` are the server's there.
///
/// # Errors
/// See [`BackupError`]; nothing is left behind then.
pub fn restore(
    from: &Path,
    directory: &Path,
    keys: &SealingKeys,
    told: &mut dyn FnMut(Progress),
) -> Result<Copied, BackupError> {
    let damaged =
        |problem: rusqlite::Error| BackupError::Damaged { path: from.to_owned(), problem: problem.to_string() };
    let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(damaged)?;
    let schema = schema_of(&source).map_err(damaged)?;
    if schema == 0 {
        let problem = "it has no schema of ours".to_owned();
        return Err(BackupError::Damaged { path: from.to_owned(), problem });
    }
    if schema > known_schema() {
        return Err(OpenError::NewerSchema { found: schema, known: known_schema() }.into());
    }
    check_sound(&source, from)?;
    check_keys(&source, keys, from, false)?;
    make_directory(directory)?;
    let _lock = lock(directory)?;
    let to = directory.join(DATABASE_FILE);
    if to.with_extension("db-wal").exists() {
        return Err(BackupError::Exists(to.with_extension("db-wal")));
    }
    copy(&source, &to, schema, &|| Ok(None), told)
}

/// Copies page by page beside `to`, checks the copy, and gives it its name.
fn copy(
    source: &Connection,
    to: &Path,
    schema: i64,
    pace: &dyn Fn() -> Result<Option<Duration>, BackupError>,
    told: &mut dyn FnMut(Progress),
) -> Result<Copied, BackupError> {
    let failed = |source| BackupError::Io { path: to.to_owned(), source };
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let beside = Beside::make(to).map_err(failed)?;
    let wrong = |problem: rusqlite::Error| BackupError::Open(OpenError::of(&beside.path, &problem));
    let mut target = Connection::open(&beside.path).map_err(wrong)?;
    // It is synced as a whole at the end, and thrown away when that is not reached.
    target.pragma_update(None, "synchronous", "OFF").map_err(wrong)?;
    {
        let copying = Backup::new(source, &mut target).map_err(wrong)?;
        loop {
            let step = copying.step(STEP_PAGES).map_err(wrong)?;
            let progress = copying.progress();
            let count = |pages: std::ffi::c_int| u64::try_from(pages).unwrap_or_default();
            let all = count(progress.pagecount);
            told(Progress { done: all.saturating_sub(count(progress.remaining)), all });
            let rest = pace()?;
            if step == StepResult::Done {
                break;
            }
            std::thread::sleep(rest.unwrap_or_default());
        }
    }
    // One file, no log beside it, whatever the original was.
    target.pragma_update(None, "journal_mode", "DELETE").map_err(wrong)?;
    check_sound(&target, &beside.path)?;
    drop(target);
    let bytes = beside.keep(to).map_err(failed)?;
    Ok(Copied { path: to.to_owned(), bytes, schema })
}

fn check_sound(conn: &Connection, path: &Path) -> Result<(), BackupError> {
    let damaged = |problem: String| BackupError::Damaged { path: path.to_owned(), problem };
    let verdict: String = conn
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|problem| damaged(problem.to_string()))?;
    if verdict == "ok" { Ok(()) } else { Err(damaged(verdict)) }
}

/// A file that is removed unless it is kept.
struct Beside {
    path: PathBuf,
    is_kept: bool,
}

impl Beside {
    /// Its owner's alone, empty. What a copy before left behind when it was killed is written over.
    fn make(to: &Path) -> io::Result<Self> {
        let mut name = to.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        let path = to.with_file_name(name);
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        Ok(Self { path, is_kept: false })
    }

    /// Gives it its name, durably; refuses when the name was taken meanwhile. Answers its length.
    fn keep(mut self, to: &Path) -> io::Result<u64> {
        let file = File::open(&self.path)?;
        file.sync_all()?;
        std::fs::hard_link(&self.path, to)?;
        std::fs::remove_file(&self.path)?;
        self.is_kept = true;
        let parent = to.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        sync_directory(parent).map_err(|problem| io::Error::other(problem.to_string()))?;
        Ok(file.metadata()?.len())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if !self.is_kept {
            for path in [self.path.clone(), self.path.with_extension("partial-journal")] {
                drop(std::fs::remove_file(path));
            }
        }
    }
}
