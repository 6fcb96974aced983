//! Reading rows: whatever a row holds that it cannot hold is a [`StoreError::Corrupt`] with its place, never a panic and
//! never a default.

use std::fmt::Display;

use jiff::{SignedDuration, Timestamp};
use rusqlite::Row;
use rusqlite::types::{FromSql, ValueRef};
use uuid::Uuid;
use watchbell_domain::port::StoreError;

use super::error::{Error, Result};

/// A row of a table, and what to call it when it is corrupt.
pub(super) struct Columns<'r, 's> {
    row: &'r Row<'s>,
    table: &'static str,
}

impl<'r, 's> Columns<'r, 's> {
    pub(super) const fn of(table: &'static str, row: &'r Row<'s>) -> Self {
        Self { row, table }
    }

    /// The value of a column.
    pub(super) fn get<T: FromSql>(&self, column: &'static str) -> Result<T> {
        self.row
            .get(column)
            .map_err(|error| if error.sqlite_error().is_some() { error.into() } else { self.corrupt(column, error) })
    }

    pub(super) fn uuid(&self, column: &'static str) -> Result<Uuid> {
        self.get::<[u8; 16]>(column).map(Uuid::from_bytes)
    }

    pub(super) fn maybe_uuid(&self, column: &'static str) -> Result<Option<Uuid>> {
        Ok(self.get::<Option<[u8; 16]>>(column)?.map(Uuid::from_bytes))
    }

    pub(super) fn time(&self, column: &'static str) -> Result<Timestamp> {
        let micros = self.get::<i64>(column)?;
        Timestamp::from_microsecond(micros).map_err(|problem| self.corrupt(column, problem))
    }

    pub(super) fn maybe_time(&self, column: &'static str) -> Result<Option<Timestamp>> {
        match self.get::<Option<i64>>(column)? {
            None => Ok(None),
            Some(_) => self.time(column).map(Some),
        }
    }

    pub(super) fn duration(&self, column: &'static str) -> Result<SignedDuration> {
        self.get::<i64>(column).map(SignedDuration::from_micros)
    }

    /// A count.
    pub(super) fn count(&self, column: &'static str) -> Result<u64> {
        u64::try_from(self.get::<i64>(column)?).map_err(|problem| self.corrupt(column, problem))
    }

    /// A text that names one of a few things.
    pub(super) fn named<T>(&self, column: &'static str, read: impl FnOnce(&str) -> Option<T>) -> Result<T> {
        let text = self.get::<String>(column)?;
        read(&text).ok_or_else(|| self.corrupt(column, "an unknown name"))
    }

    /// A text in JSON.
    pub(super) fn json<T: serde::de::DeserializeOwned>(&self, column: &'static str) -> Result<T> {
        let text = self.get::<String>(column)?;
        serde_json::from_str(&text).map_err(|problem| self.corrupt(column, problem))
    }

    pub(super) fn corrupt(&self, column: &'static str, problem: impl Display) -> Error {
        let id = match self.row.get_ref("id") {
            Ok(ValueRef::Blob(bytes)) => {
                Uuid::from_slice(bytes).map_or_else(|_| hex::encode(bytes), |id| id.to_string())
            }
            Ok(_) | Err(_) => "a row without id".to_owned(),
        };
        corrupt(self.table, column, id, problem)
    }
}

pub(super) fn corrupt(table: &'static str, column: &'static str, id: String, problem: impl Display) -> Error {
    Error::Store(StoreError::Corrupt { table, column, id, problem: problem.to_string() })
}

/// A time as it is stored.
pub(super) fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// A time as it comes back from the store.
pub(super) fn truncated(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

/// A count as it is stored. There are not so many of anything that it would not fit.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A duration as it is stored.
pub(super) fn duration_micros(duration: SignedDuration) -> i64 {
    let most = if duration.is_negative() { i64::MIN } else { i64::MAX };
    i64::try_from(duration.as_micros()).unwrap_or(most)
}
