//! The file that holds the sealing key: made once, read at every start, never replaced.
//!
//! A lost key cannot be made again. So a missing file is filled only where there is no database yet; beside a database it
//! is a refusal, for a new key would leave every stored secret unreadable and nobody the wiser.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use watchbell_domain::port::Entropy;
use zeroize::Zeroizing;

use crate::seal::SealingKey;

/// More than any key file holds: what is longer is something else.
const FILE_BYTES_MAX: u64 = 1024;

/// Why there is no key. All of these are configuration errors (exit code 78).
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// No file, but a database that was sealed with its key.
    #[error(
        "the key file {path} is missing, but the database {database} exists: put the key back, it cannot be made again"
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// The database.
        database: PathBuf,
    },
    /// Others may read it.
    #[error(
        "the key file {path} has mode {mode:03o}: others may read it; run chmod 600 on it, and replace the key if they did"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It holds something else.
    #[error("the key file {path} does not hold a sealing key (wbk1_ and 64 hex digits)")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read or written.
    #[error("the key file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Reads the key at `path`. Where there is neither a key nor a database, makes the key first, readable by its owner alone
/// and synced with its directory before it is used.
///
/// # Errors
/// See [`KeyFileError`].
pub fn load_or_create(path: &Path, database: &Path, entropy: &dyn Entropy) -> Result<SealingKey, KeyFileError> {
    let failed = |source| KeyFileError::Io { path: path.to_owned(), source };
    match File::open(path) {
        Ok(file) => load(path, file),
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => {
            if holds_data(database).map_err(failed)? {
                let (path, database) = (path.to_owned(), database.to_owned());
                return Err(KeyFileError::Missing { path, database });
            }
            create(path, entropy).map_err(failed)
        }
        Err(problem) => Err(failed(problem)),
    }
}

fn load(path: &Path, file: File) -> Result<SealingKey, KeyFileError> {
    let failed = |source| KeyFileError::Io { path: path.to_owned(), source };
    let malformed = || KeyFileError::Malformed { path: path.to_owned() };
    // Of the open file, not of the path: what is checked is what is read.
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Exposed { path: path.to_owned(), mode });
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| malformed())?;
    SealingKey::parse(text).map_err(|_| malformed())
}

fn holds_data(database: &Path) -> io::Result<bool> {
    match std::fs::metadata(database) {
        Ok(found) => Ok(found.len() > 0),
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(problem) => Err(problem),
    }
}

fn create(path: &Path, entropy: &dyn Entropy) -> io::Result<SealingKey> {
    let key = SealingKey::make(entropy);
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    // Written beside and linked into place: a crash leaves no half a key, and a key that came first is not replaced.
    let beside = path.with_extension("new");
    match std::fs::remove_file(&beside) {
        Err(problem) if problem.kind() != io::ErrorKind::NotFound => return Err(problem),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    let written = file
        .write_all(format!("{}\n", *key.expose()).as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::hard_link(&beside, path));
    std::fs::remove_file(&beside)?;
    written?;
    File::open(directory)?.sync_all()?;
    Ok(key)
}
