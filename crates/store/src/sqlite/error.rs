//! What SQLite says, in the words of the port.

use rusqlite::ErrorCode;
use watchbell_domain::port::StoreError;

/// An error inside a unit of work, before it is told to the caller.
#[derive(Debug)]
pub(super) enum Error {
    /// Already in the port's words.
    Store(StoreError),
    /// SQLite's.
    Sqlite(rusqlite::Error),
}

pub(super) type Result<T> = std::result::Result<T, Error>;

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<watchbell_domain::failpoint::Failed> for Error {
    fn from(failed: watchbell_domain::failpoint::Failed) -> Self {
        Self::Store(failed.into())
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error,
            Error::Sqlite(error) => from_sqlite(&error),
        }
    }
}

/// Told apart by code, never by text.
pub(super) fn from_sqlite(error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error().map(|problem| (problem.code, problem.extended_code)) {
        Some((ErrorCode::DiskFull | ErrorCode::ReadOnly, _)) => StoreError::Full,
        // A quota, a limit of file sizes, a file system that was mounted anew to be read: SQLite calls full only what the
        // system calls so.
        Some((_, rusqlite::ffi::SQLITE_IOERR_WRITE)) => StoreError::Full,
        Some((ErrorCode::ConstraintViolation, rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY)) => {
            StoreError::Conflict("it refers to something that does not exist")
        }
        Some((ErrorCode::ConstraintViolation, _)) => StoreError::Conflict("it exists already"),
        _ => StoreError::Unavailable(error.to_string()),
    }
}

/// Says a violated constraint in the operation's own words.
pub(super) trait OrConflict<T> {
    fn or_conflict(self, what: &'static str) -> Result<T>;
}

impl<T> OrConflict<T> for rusqlite::Result<T> {
    fn or_conflict(self, what: &'static str) -> Result<T> {
        self.map_err(|error| match error.sqlite_error() {
            Some(problem)
                if matches!(
                    problem.extended_code,
                    rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY
                ) =>
            {
                StoreError::Conflict(what).into()
            }
            _ => error.into(),
        })
    }
}
