//! What storing costs at the least: rows of messages and of attempts, written in batches, and nothing else.
//!
//! The measure that `watchbell bench` holds the store against. One thread, one SQLite file with the pragmas of ours (WAL,
//! `synchronous=FULL`), keys in the order of time, no index beside them, one commit a batch; the log is written back within
//! the commits, so its cost is in.

use std::path::Path;

use jiff::SignedDuration;
use rusqlite::Connection;
use watchbell_domain::port::Clock;

/// What a message is followed by: a status line's worth of outcome.
const RESULT: &str = "http_204";

/// What is written, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Attempts of one commit.
    pub batch: usize,
    /// Attempts that follow each message.
    pub fan_out: usize,
    /// Bytes of a message.
    pub data_bytes: usize,
    /// No batch is begun after it.
    pub time: SignedDuration,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Attempts, each with its share of a message.
    pub attempts: u64,
    /// How long each batch took, its commit included.
    pub batches: Vec<SignedDuration>,
}

/// The database refused something.
#[derive(Debug, thiserror::Error)]
#[error("the floor's database refused: {0}")]
pub struct Error(#[from] rusqlite::Error);

/// Writes to a new database at `path` for the time of the plan, at least one batch. Blocks.
///
/// # Errors
/// When the database refuses.
pub fn insert(path: &Path, plan: Plan, clock: &dyn Clock) -> Result<Written, Error> {
    let mut conn = Connection::open(path)?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.execute_batch(
        "CREATE TABLE message (id BLOB NOT NULL PRIMARY KEY, type TEXT NOT NULL, at INTEGER NOT NULL, data TEXT NOT NULL)
           STRICT, WITHOUT ROWID;
         CREATE TABLE attempt (id BLOB NOT NULL PRIMARY KEY, message_id BLOB NOT NULL, endpoint_id BLOB NOT NULL,
           at INTEGER NOT NULL, duration INTEGER NOT NULL, result TEXT NOT NULL) STRICT, WITHOUT ROWID;",
    )?;
    let data = "x".repeat(plan.data_bytes);
    let began = clock.monotonic();
    let mut written = Written { attempts: 0, batches: Vec::new() };
    let mut last = began;
    loop {
        batch(&mut conn, plan, &data, written.attempts)?;
        written.attempts += u64::try_from(plan.batch).unwrap_or(0);
        let now = clock.monotonic();
        written.batches.push(now - last);
        last = now;
        if now - began >= plan.time {
            return Ok(written);
        }
    }
}

fn batch(conn: &mut Connection, plan: Plan, data: &str, first: u64) -> rusqlite::Result<()> {
    let transaction = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    {
        let mut message = transaction.prepare_cached("INSERT INTO message VALUES (?1, 'bench.event', ?2, ?3)")?;
        let mut attempt = transaction.prepare_cached("INSERT INTO attempt VALUES (?1, ?2, ?3, ?4, 1000, ?5)")?;
        let fan_out = u64::try_from(plan.fan_out.max(1)).unwrap_or(1);
        for number in (first..).take(plan.batch) {
            let (message_number, endpoint) = (number / fan_out, number % fan_out);
            if endpoint == 0 {
                message.execute((id(message_number), message_number.cast_signed(), data))?;
            }
            attempt.execute((id(number), id(message_number), id(endpoint), number.cast_signed(), RESULT))?;
        }
    }
    transaction.commit()
}

/// Sixteen bytes in order, as ids that begin with the time are.
fn id(number: u64) -> [u8; 16] {
    u128::from(number).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Steps(std::sync::atomic::AtomicI64);

    impl Clock for Steps {
        fn now(&self) -> jiff::Timestamp {
            jiff::Timestamp::UNIX_EPOCH
        }

        fn monotonic(&self) -> SignedDuration {
            SignedDuration::from_millis(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
        }

        fn sleep(&self, _: SignedDuration) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(async {})
        }
    }

    #[test]
    fn a_message_is_written_once_for_all_its_attempts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("floor.db");
        let plan = Plan { batch: 32, fan_out: 10, data_bytes: 100, time: SignedDuration::from_millis(3) };
        let written = insert(&path, plan, &Steps(0.into())).unwrap();
        assert_eq!(written, Written { attempts: 96, batches: vec![SignedDuration::from_millis(1); 3] });
        let conn = Connection::open(&path).unwrap();
        let count =
            |table: &str| conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        let (messages, attempts): (i64, i64) = (count("message"), count("attempt"));
        assert_eq!((messages, attempts), (10, 96));
    }
}
