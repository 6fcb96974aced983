//! Removing what is old: looked for by a reader, removed by the writer, a little at a time.
//!
//! Ids begin with the millisecond they were made in and rows are keyed by organisation and id, so what may be old is the
//! low end of each organisation's range: nothing younger is ever looked at. What is met there and stays (it has not
//! ended, or not long ago) is looked at again by the next walk, by a reader, where it delays nobody.
//!
//! A terminal state never changes, so what a reader saw as old is still old when the writer comes to it. Whether an event
//! has deliveries may change, and is asked again.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};
use watchbell_domain::delivery::StateKind;
use watchbell_domain::id::OrgId;
use watchbell_domain::port::{Aged, Bounds, Clock, Expired, GivenBack, Pending, Place, RetentionStore};

use super::error::Result;
use super::event::micros_up;
use super::row::{Columns, micros};
use super::writer::Tx;
use super::{SqliteStore, audit, once};

const ORGS: &str = "SELECT id FROM org WHERE id >= ?1 ORDER BY id";
// Grouped in the order of the key: nothing is sorted, and the limit ends it.
const OLD_ATTEMPTS: &str = "SELECT attempt.delivery_id AS id, min(state) AS state, min(ended_at) AS ended_at \
    FROM attempt CROSS JOIN delivery ON delivery.org_id = attempt.org_id AND delivery.id = attempt.delivery_id \
    WHERE attempt.org_id = ?1 AND attempt.delivery_id > ?2 AND attempt.delivery_id < ?3 \
    GROUP BY attempt.delivery_id ORDER BY attempt.delivery_id LIMIT ?4";
const OLD_DELIVERIES: &str = "SELECT id, state, ended_at FROM delivery \
    WHERE org_id = ?1 AND id > ?2 AND id < ?3 ORDER BY id LIMIT ?4";
const OLD_EVENTS: &str = "SELECT id, accepted_at, EXISTS (SELECT 1 FROM delivery INDEXED BY delivery_event \
      WHERE delivery.event_id = event.id AND delivery.org_id = event.org_id) \
      OR EXISTS (SELECT 1 FROM handed_over WHERE event_number = event.number) AS is_used \
    FROM event WHERE org_id = ?1 AND id > ?2 AND id < ?3 ORDER BY id LIMIT ?4";

const REMOVE_ATTEMPTS: &str = "DELETE FROM attempt WHERE org_id = ?1 AND delivery_id = ?2";
const REMOVE_BODY: &str = "DELETE FROM delivery_body WHERE org_id = ?1 AND delivery_id = ?2";
const REMOVE_DELIVERY: &str = "DELETE FROM delivery WHERE org_id = ?1 AND id = ?2";
const REMOVE_EVENT: &str = "DELETE FROM event WHERE org_id = ?1 AND id = ?2 AND NOT EXISTS \
    (SELECT 1 FROM delivery INDEXED BY delivery_event WHERE event_id = ?2 AND org_id = ?1) \
    AND NOT EXISTS (SELECT 1 FROM handed_over WHERE event_number = event.number)";

/// One in so many pages may be free: it is used again by what comes.
const FREE_SHARE: u64 = 8;
/// Free pages that are not worth giving back (1 MiB).
const FREE_PAGES_KEPT: u64 = 256;

impl RetentionStore for SqliteStore {
    fn expire(&self, kind: Aged, before: Timestamp, from: Option<Place>, bounds: Bounds) -> Pending<'_, Expired> {
        Box::pin(async move {
            let seen = self.read(move |read| look(read.conn, kind, before, from, bounds)).await?;
            if seen.old.is_empty() {
                return Ok(Expired { removed: 0, next: seen.next });
            }
            let clock = std::sync::Arc::clone(&self.clock);
            self.write(move |tx| remove(tx, kind, &seen, bounds.time, &*clock)).await
        })
    }

    fn forget_answers(&self, now: Timestamp, limit: u32) -> Pending<'_, u64> {
        self.write(move |tx| once::forget(tx, now, limit))
    }

    fn forget_audit(&self, before: Timestamp, limit: u32) -> Pending<'_, u64> {
        self.write(move |tx| audit::forget(tx.conn, before, limit))
    }

    fn give_back(&self, bounds: Bounds) -> Pending<'_, GivenBack> {
        Box::pin(async move {
            // Asked of a reader: mostly there is nothing to do, and the writer is left alone.
            if self.read(|read| spare_pages(read.conn)).await? == 0 {
                return Ok(GivenBack { bytes: 0, more: false });
            }
            let clock = std::sync::Arc::clone(&self.clock);
            self.write(move |tx| give_back(tx.conn, bounds, &*clock)).await
        })
    }

    fn oldest_event(&self) -> Pending<'_, Option<Timestamp>> {
        self.read(|read| oldest_event(read.conn))
    }
}

/// What a reader found.
struct Seen {
    old: Vec<Place>,
    /// Where the walk goes on once `old` is gone.
    next: Option<Place>,
}

/// Walks from organisation to organisation until enough was looked at, or found.
fn look(conn: &Connection, kind: Aged, before: Timestamp, from: Option<Place>, bounds: Bounds) -> Result<Seen> {
    let mut orgs = conn.prepare_cached(ORGS)?;
    let first = from.map_or([0; 16], |place| *place.org_id.0.as_bytes());
    let mut orgs = orgs.query([first])?;
    let mut old = Vec::new();
    let mut left = bounds.looked_at.max(1);
    while let Some(row) = orgs.next()? {
        let org_id = OrgId(Columns::of("org", row).uuid("id")?);
        let after = from.filter(|place| place.org_id == org_id).map(|place| place.after);
        let mut place = Place { org_id, after: after.unwrap_or_default() };
        if left == 0 {
            return Ok(Seen { old, next: Some(place) });
        }
        // Looking whether there is anything counts, so that a great many empty organisations are no long query either.
        left -= 1;
        let mut query = conn.prepare_cached(statement(kind))?;
        let end = first_id_behind(before);
        let mut rows = query.query(params![org_id.0.as_bytes(), place.after.as_bytes(), end.as_bytes(), left])?;
        while let Some(row) = rows.next()? {
            left = left.saturating_sub(1);
            place.after = Columns::of(table(kind), row).uuid("id")?;
            if is_old(kind, row, before)? {
                old.push(place);
            }
            if u32::try_from(old.len()).unwrap_or(u32::MAX) >= bounds.removed {
                left = 0;
            }
            if left == 0 {
                return Ok(Seen { old, next: Some(place) });
            }
        }
    }
    Ok(Seen { old, next: None })
}

const fn statement(kind: Aged) -> &'static str {
    match kind {
        Aged::Attempts => OLD_ATTEMPTS,
        Aged::Deliveries => OLD_DELIVERIES,
        Aged::Events => OLD_EVENTS,
    }
}

/// The table whose row is read.
const fn table(kind: Aged) -> &'static str {
    match kind {
        Aged::Attempts | Aged::Deliveries => "delivery",
        Aged::Events => "event",
    }
}

/// The least id of the millisecond behind `before`: what was made before it has a lesser one.
fn first_id_behind(before: Timestamp) -> uuid::Uuid {
    let millis = u64::try_from(before.as_millisecond()).unwrap_or_default().saturating_add(1);
    uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}

fn is_old(kind: Aged, row: &Row<'_>, before: Timestamp) -> Result<bool> {
    let columns = Columns::of(table(kind), row);
    let before = micros_up(before);
    Ok(match kind {
        Aged::Attempts | Aged::Deliveries => {
            let state = columns.named("state", StateKind::parse)?;
            state.is_terminal() && columns.maybe_time("ended_at")?.is_some_and(|ended| micros(ended) < before)
        }
        Aged::Events => !columns.get::<bool>("is_used")? && micros(columns.time("accepted_at")?) < before,
    })
}

/// Removes what was seen, as far as the time goes.
fn remove(tx: &Tx<'_>, kind: Aged, seen: &Seen, time: SignedDuration, clock: &dyn Clock) -> Result<Expired> {
    let began = clock.monotonic();
    let mut removed: u64 = 0;
    for (index, place) in seen.old.iter().enumerate() {
        removed += u64::try_from(remove_one(tx.conn, kind, *place)?).unwrap_or_default();
        let is_last = index + 1 == seen.old.len();
        if !is_last && clock.monotonic() - began >= time {
            return Ok(Expired { removed, next: Some(*place) });
        }
    }
    Ok(Expired { removed, next: seen.next })
}

fn remove_one(conn: &Connection, kind: Aged, place: Place) -> Result<usize> {
    let key = (place.org_id.0.as_bytes(), place.after.as_bytes());
    let run = |statement: &'static str| conn.prepare_cached(statement)?.execute(params![key.0, key.1]);
    Ok(match kind {
        Aged::Attempts => run(REMOVE_ATTEMPTS)?,
        Aged::Deliveries => {
            run(REMOVE_ATTEMPTS)?;
            run(REMOVE_BODY)?;
            run(REMOVE_DELIVERY)?
        }
        Aged::Events => run(REMOVE_EVENT)?,
    })
}

fn figure(conn: &Connection, pragma: &'static str) -> Result<u64> {
    let figure: i64 = conn.pragma_query_value(None, pragma, |row| row.get(0))?;
    Ok(u64::try_from(figure).unwrap_or_default())
}

/// Free pages beyond those that are kept.
fn spare_pages(conn: &Connection) -> Result<u64> {
    let kept = (figure(conn, "page_count")? / FREE_SHARE).max(FREE_PAGES_KEPT);
    Ok(figure(conn, "freelist_count")?.saturating_sub(kept))
}

fn give_back(conn: &Connection, bounds: Bounds, clock: &dyn Clock) -> Result<GivenBack> {
    let began = clock.monotonic();
    let before = figure(conn, "page_count")?;
    let wanted = spare_pages(conn)?.min(u64::from(bounds.removed));
    // 0 would mean all of them.
    let mut vacuum = conn.prepare(&format!("PRAGMA incremental_vacuum({})", wanted.max(1)))?;
    let mut rows = vacuum.query([])?;
    // Each row is a page that was moved.
    for _ in 0..wanted {
        if rows.next()?.is_none() || clock.monotonic() - began >= bounds.time {
            break;
        }
    }
    drop(rows);
    let pages = before.saturating_sub(figure(conn, "page_count")?);
    let more = pages > 0 && spare_pages(conn)? > 0;
    Ok(GivenBack { bytes: pages * figure(conn, "page_size")?, more })
}

fn oldest_event(conn: &Connection) -> Result<Option<Timestamp>> {
    let mut query = conn.prepare_cached(
        "SELECT min((SELECT accepted_at FROM event WHERE org_id = org.id ORDER BY event.id LIMIT 1)) FROM org",
    )?;
    let oldest: Option<i64> = query.query_row([], |row| row.get(0)).optional()?.flatten();
    Ok(oldest.and_then(|micros| Timestamp::from_microsecond(micros).ok()))
}

#[cfg(test)]
mod tests;
