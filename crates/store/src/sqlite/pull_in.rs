//! At the start: what is due further ahead than anything is ever put off for was written by a clock that stood ahead.
//!
//! Such a clock was set right between two starts, by a day or by a decade; left alone, what it wrote would wait as long.
//! One seek an endpoint finds whether there is any; what was put off as it should be is not touched.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, params};

use super::error::Result;
use super::row::{duration_micros, micros};

/// Most that chance adds to a wait of an endpoint's own, in per cent.
const JITTER_PERCENT_MAX: i64 = 255;

// As `delivery::due::PENDING`, but the last of each endpoint.
const LAST: &str = "WITH RECURSIVE step (id) AS ( \
    SELECT * FROM (SELECT endpoint_id FROM delivery INDEXED BY delivery_pending WHERE state = 'pending' \
                   ORDER BY endpoint_id LIMIT 1) \
    UNION ALL \
    SELECT (SELECT endpoint_id FROM delivery INDEXED BY delivery_pending \
            WHERE state = 'pending' AND endpoint_id > step.id ORDER BY endpoint_id LIMIT 1) \
    FROM step WHERE step.id IS NOT NULL \
  ) \
  SELECT step.id, (SELECT due_at FROM delivery INDEXED BY delivery_pending \
                   WHERE state = 'pending' AND endpoint_id = step.id ORDER BY due_at DESC LIMIT 1) \
  FROM step WHERE step.id IS NOT NULL";
// Read only of endpoints that have something too far ahead.
const OWN_WAIT: &str = "SELECT coalesce(max(wait.value), 0) FROM endpoint, json_each(endpoint.retry_schedule) AS wait \
    WHERE endpoint.id = ?1";
const PULL_IN: &str = "UPDATE delivery INDEXED BY delivery_pending SET due_at = ?2 \
    WHERE state = 'pending' AND endpoint_id = ?1 AND due_at > ?2";
const PULL_IN_PAUSES: &str = "UPDATE endpoint SET not_before = ?1 WHERE not_before > ?1";

/// Answers how many deliveries and pauses were pulled in to `longest_wait` from `now`.
pub(super) fn pull_in(conn: &Connection, now: Timestamp, longest_wait: SignedDuration) -> Result<usize> {
    let (now, longest_wait) = (micros(now), duration_micros(longest_wait));
    let mut pulled = conn.execute(PULL_IN_PAUSES, [now.saturating_add(longest_wait)])?;
    let mut query = conn.prepare(LAST)?;
    let last = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let last: Vec<(Vec<u8>, i64)> = last.collect::<rusqlite::Result<_>>()?;
    for (endpoint, due_at) in last {
        if due_at <= now.saturating_add(longest_wait) {
            continue;
        }
        let own: i64 = conn.query_row(OWN_WAIT, [&endpoint], |row| row.get(0))?;
        let own = own.saturating_mul(100 + JITTER_PERCENT_MAX) / 100;
        pulled += conn.execute(PULL_IN, params![endpoint, now.saturating_add(longest_wait.max(own))])?;
    }
    Ok(pulled)
}
