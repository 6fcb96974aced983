//! Deliveries that gather into a digest: all of one are due at the same moment. Once there are enough of them that moment is now.
//!
//! How many there are is counted in the index when one comes along, for endpoints that gather alone: up to as many entries are
//! passed over as a digest has. Nothing is remembered that a crash could lose.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use watchbell_domain::endpoint::Endpoint;

use crate::sqlite::error::Result;
use crate::sqlite::row::micros;

/// The digest has as many as it may have.
pub(super) const IS_FULL: &str = "SELECT EXISTS (SELECT 1 FROM delivery INDEXED BY delivery_pending \
    WHERE state = 'pending' AND endpoint_id = ?1 AND org_id = ?2 AND due_at = ?3 ORDER BY id LIMIT 1 OFFSET ?4)";
pub(super) const CLOSE: &str = "UPDATE delivery SET due_at = ?4 WHERE (org_id, id) IN (SELECT org_id, id \
    FROM delivery INDEXED BY delivery_pending \
    WHERE state = 'pending' AND endpoint_id = ?1 AND org_id = ?2 AND due_at = ?3)";

/// Makes the digest that gathers until then due now, if `max` wait for it. Answers whether they do.
pub(in crate::sqlite) fn close_if_full(
    conn: &Connection,
    endpoint: &Endpoint,
    (until, max): (Timestamp, u32),
    now: Timestamp,
) -> Result<bool> {
    let (id, org, until) = (endpoint.id.0.as_bytes(), endpoint.org_id.0.as_bytes(), micros(until));
    let before = max.saturating_sub(1);
    let is_full = conn.prepare_cached(IS_FULL)?.query_row(params![id, org, until, before], |row| row.get(0))?;
    if is_full {
        conn.prepare_cached(CLOSE)?.execute(params![id, org, until, micros(now)])?;
    }
    Ok(is_full)
}
