//! Erasing: by id at once, by subject in steps.
//!
//! A step's events are read and compared by a reader; those that match are erased in the writer, together with the place
//! behind them. Who is looked for is personal data as well: it is sealed, and forgotten when the search has ended.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Value, json};
use watchbell_domain::audit::Deed;
use watchbell_domain::delivery::CancelReason;
use watchbell_domain::id::{ErasureId, EventId, OrgId};
use watchbell_domain::port::{
    Erased, Erasure, ErasureStore, Page, PageRequest, Pending, RUNNING_ERASURES_MAX, StoreError, Subject, Terms,
    Written,
};

use super::error::Result;
use super::page::{self, before};
use super::row::{Columns, corrupt, micros, signed, truncated};
use super::vault::Vault;
use super::writer::Tx;
use super::{SqliteStore, audit, delivery, receipt_row};
use crate::seal::Place;

const BLANK: &str = "UPDATE event SET data = '{}', erased_at = ?3 WHERE org_id = ?1 AND id = ?2 AND erased_at IS NULL";
const ERASED_AT: &str = "SELECT erased_at FROM event WHERE org_id = ?1 AND id = ?2";
const FORGET_ANSWERS: &str = "UPDATE attempt SET headers = iif(headers IS NULL, NULL, '[]'), \
    body = iif(body IS NULL, NULL, x''), detail = NULL WHERE org_id = ?1 AND delivery_id IN \
    (SELECT id FROM delivery INDEXED BY delivery_event WHERE event_id = ?2 AND org_id = ?1)";
const FORGET_BODIES: &str = "DELETE FROM delivery_body WHERE org_id = ?1 AND delivery_id IN \
    (SELECT id FROM delivery INDEXED BY delivery_event WHERE event_id = ?2 AND org_id = ?1)";
// What a vendor called with says the same.
const FORGET_RECEIPTS: &str = "UPDATE receipt SET body = x'', headers = x'', detail = NULL \
    WHERE org_id = ?1 AND id >= ?3 AND id < ?4 AND instr(events, ?2) > 0";
// The token moves on: the attempt under way cannot be settled, or it would bring the body back.
const CANCEL: &str = "UPDATE delivery INDEXED BY delivery_event SET state = 'cancelled', due_at = NULL, ended_at = ?3, \
    reason = ?4, lease = lease + 1, lease_until = NULL, claimed_at = NULL \
    WHERE event_id = ?2 AND org_id = ?1 AND state IN ('pending', 'sending', 'held')";

const INSERT: &str = "INSERT INTO erasure (org_id, id, subject, created_at, ended_at, cursor, looked_at, erased) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const COUNT_RUNNING: &str =
    "SELECT count(*) FROM erasure INDEXED BY erasure_running WHERE org_id = ?1 AND ended_at IS NULL";
const RUNNING: &str = "SELECT org_id, id FROM erasure INDEXED BY erasure_running WHERE ended_at IS NULL";
const PROGRESS: &str = "UPDATE erasure SET cursor = ?3, looked_at = ?4, erased = ?5, ended_at = ?6, \
    subject = iif(?6 IS NULL, subject, NULL) WHERE org_id = ?1 AND id = ?2";
const EVENTS: &str = "SELECT id, data, accepted_at FROM event WHERE org_id = ?1 AND id > ?2 AND id < ?3 \
    AND erased_at IS NULL ORDER BY id LIMIT ?4";

impl ErasureStore for SqliteStore {
    fn erase_event(&self, org: OrgId, id: EventId, now: Timestamp, deed: Option<Deed>) -> Pending<'_, Option<Erased>> {
        self.write(move |tx| {
            let erased = erase(tx, org, id, now)?;
            if erased.is_some_and(|erased| erased.at == truncated(now)) {
                audit::note(tx, org, deed.as_ref())?;
            }
            Ok(erased)
        })
    }

    fn create_erasure(&self, erasure: Erasure, terms: Terms) -> Pending<'_, Written<()>> {
        self.write(move |tx| audit::on(tx, erasure.org_id, erasure.created_at, &terms, |tx| create(tx, &erasure)))
    }

    fn erasure(&self, org: OrgId, id: ErasureId) -> Pending<'_, Option<Erasure>> {
        self.read(move |read| find(read.conn, read.vault, org, id))
    }

    fn erasures(&self, org: OrgId, page: PageRequest) -> Pending<'_, Page<Erasure>> {
        self.read(move |read| {
            let statement = "SELECT * FROM erasure WHERE org_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
            let mut query = read.conn.prepare_cached(statement)?;
            let rows = query.query(params![org.0.as_bytes(), before(page), page::fetch(page)])?;
            page::collect(page, rows, |row| erasure(row, read.vault))
        })
    }

    fn running_erasures(&self) -> Pending<'_, Vec<(OrgId, ErasureId)>> {
        self.read(|read| {
            let mut query = read.conn.prepare_cached(RUNNING)?;
            let mut rows = query.query([])?;
            let mut running = Vec::new();
            while let Some(row) = rows.next()? {
                let columns = Columns::of("erasure", row);
                running.push((OrgId(columns.uuid("org_id")?), ErasureId(columns.uuid("id")?)));
            }
            Ok(running)
        })
    }

    fn advance_erasure(&self, org: OrgId, id: ErasureId, limit: u32, now: Timestamp) -> Pending<'_, Option<Erasure>> {
        Box::pin(async move {
            let seen = self.read(move |read| {
                let Some(erasure) = find(read.conn, read.vault, org, id)? else { return Ok(None) };
                let looked = look(read.conn, &erasure, limit)?;
                Ok(Some((erasure, looked)))
            });
            let Some((erasure, looked)) = seen.await? else { return Ok(None) };
            if erasure.ended_at.is_some() {
                return Ok(Some(erasure));
            }
            self.write(move |tx| advance(tx, &erasure, &looked, now).map(Some)).await
        })
    }
}

fn erase(tx: &mut Tx<'_>, org_id: OrgId, event_id: EventId, now: Timestamp) -> Result<Option<Erased>> {
    let (org, id) = (org_id.0.as_bytes(), event_id.0.as_bytes());
    let blanked = tx.conn.prepare_cached(BLANK)?.execute(params![org, id, micros(now)])?;
    let at: Option<i64> =
        tx.conn.prepare_cached(ERASED_AT)?.query_row(params![org, id], |row| row.get(0)).optional()?.flatten();
    let Some(at) = at.and_then(|micros| Timestamp::from_microsecond(micros).ok()) else { return Ok(None) };
    if blanked == 0 {
        return Ok(Some(Erased { at, cancelled: 0 }));
    }
    tx.conn.prepare_cached(FORGET_ANSWERS)?.execute(params![org, id])?;
    tx.conn.prepare_cached(FORGET_BODIES)?.execute(params![org, id])?;
    let (from, to) = receipt_row::around(event_id);
    tx.conn.prepare_cached(FORGET_RECEIPTS)?.execute(params![org, id, from, to])?;
    let reason = CancelReason::Erased;
    let rows = tx.conn.prepare_cached(CANCEL)?.execute(params![org, id, micros(now), reason.as_str()])?;
    let cancelled = rows + delivery::cancel_in_hand(tx, org_id, event_id, now, reason)?;
    Ok(Some(Erased { at, cancelled: u64::try_from(cancelled).unwrap_or(u64::MAX) }))
}

/// Whether an event says nothing any more: then it is not repeated.
pub(super) fn is_erased(conn: &Connection, org: OrgId, id: EventId) -> Result<bool> {
    let mut query = conn.prepare_cached(ERASED_AT)?;
    let at: Option<i64> =
        query.query_row(params![org.0.as_bytes(), id.0.as_bytes()], |row| row.get(0)).optional()?.flatten();
    Ok(at.is_some())
}

fn create(tx: &Tx<'_>, erasure: &Erasure) -> Result<()> {
    let running: u32 =
        tx.conn.prepare_cached(COUNT_RUNNING)?.query_row([erasure.org_id.0.as_bytes()], |row| row.get(0))?;
    if running >= RUNNING_ERASURES_MAX {
        return Err(StoreError::Conflict("as many erasures run as may").into());
    }
    let subject = match &erasure.subject {
        Some(subject) => Some(tx.vault.seal(place(erasure.org_id, &erasure.id), encode(subject).as_bytes())?),
        None => None,
    };
    tx.conn.prepare_cached(INSERT)?.execute(params![
        erasure.org_id.0.as_bytes(),
        erasure.id.0.as_bytes(),
        subject,
        micros(erasure.created_at),
        erasure.ended_at.map(micros),
        erasure.cursor.map(|id| *id.0.as_bytes()),
        signed(erasure.looked_at),
        signed(erasure.erased),
    ])?;
    Ok(())
}

const fn place(org: OrgId, id: &ErasureId) -> Place<'_> {
    Place { org, object: id.0.as_bytes(), table: "erasure", field: "subject" }
}

fn encode(subject: &Subject) -> String {
    match subject {
        Subject::Member { pointer, value } => json!([pointer, value]).to_string(),
        Subject::Text(text) => json!([text]).to_string(),
    }
}

fn decode(bytes: &[u8]) -> Option<Subject> {
    let parts: Vec<Value> = serde_json::from_slice(bytes).ok()?;
    match parts.as_slice() {
        [Value::String(text)] => Some(Subject::Text(text.clone())),
        [Value::String(pointer), value] => Some(Subject::Member { pointer: pointer.clone(), value: value.clone() }),
        _ => None,
    }
}

fn find(conn: &Connection, vault: &Vault, org: OrgId, id: ErasureId) -> Result<Option<Erasure>> {
    let mut query = conn.prepare_cached("SELECT * FROM erasure WHERE org_id = ?1 AND id = ?2")?;
    let found = query.query_row(params![org.0.as_bytes(), id.0.as_bytes()], |row| Ok(erasure(row, vault)));
    found.optional()?.transpose()
}

fn erasure(row: &Row<'_>, vault: &Vault) -> Result<Erasure> {
    let columns = Columns::of("erasure", row);
    let (org_id, id) = (OrgId(columns.uuid("org_id")?), ErasureId(columns.uuid("id")?));
    let subject = match columns.get::<Option<Vec<u8>>>("subject")? {
        None => None,
        Some(sealed) => {
            let opened = vault.open(place(org_id, &id), &sealed)?;
            let subject = decode(&opened);
            Some(subject.ok_or_else(|| corrupt("erasure", "subject", id.to_string(), "not a subject"))?)
        }
    };
    Ok(Erasure {
        id,
        org_id,
        subject,
        created_at: columns.time("created_at")?,
        ended_at: columns.maybe_time("ended_at")?,
        cursor: columns.maybe_uuid("cursor")?.map(EventId),
        looked_at: columns.count("looked_at")?,
        erased: columns.count("erased")?,
    })
}

/// What a reader found in one step.
struct Looked {
    matching: Vec<EventId>,
    looked_at: u64,
    last: Option<EventId>,
    is_end: bool,
}

fn look(conn: &Connection, erasure: &Erasure, limit: u32) -> Result<Looked> {
    let mut looked = Looked { matching: Vec::new(), looked_at: 0, last: None, is_end: true };
    let Some(subject) = &erasure.subject else { return Ok(looked) };
    let after = erasure.cursor.map(|id| id.0).unwrap_or_default();
    let end = delivery::first_id(
        erasure.created_at.saturating_add(jiff::SignedDuration::from_millis(1)).unwrap_or(Timestamp::MAX),
    );
    let mut query = conn.prepare_cached(EVENTS)?;
    let mut rows =
        query.query(params![erasure.org_id.0.as_bytes(), after.as_bytes(), end.0.as_bytes(), limit.max(1)])?;
    while let Some(row) = rows.next()? {
        let columns = Columns::of("event", row);
        let id = EventId(columns.uuid("id")?);
        looked.looked_at += 1;
        looked.last = Some(id);
        let data = columns.json::<Value>("data")?;
        if subject.is_in(&data) && columns.time("accepted_at")? <= erasure.created_at {
            looked.matching.push(id);
        }
    }
    looked.is_end = looked.looked_at < u64::from(limit.max(1));
    Ok(looked)
}

fn advance(tx: &mut Tx<'_>, seen: &Erasure, looked: &Looked, now: Timestamp) -> Result<Erasure> {
    let found = find(tx.conn, tx.vault, seen.org_id, seen.id)?;
    let mut erasure = found.ok_or(StoreError::Conflict("the erasure is gone"))?;
    if erasure != *seen {
        return Ok(erasure);
    }
    for id in &looked.matching {
        erasure.erased += u64::from(erase(tx, erasure.org_id, *id, now)?.is_some());
    }
    erasure.looked_at += looked.looked_at;
    erasure.cursor = looked.last.or(erasure.cursor);
    if looked.is_end {
        erasure.ended_at = Some(truncated(now));
        erasure.subject = None;
    }
    tx.conn.prepare_cached(PROGRESS)?.execute(params![
        erasure.org_id.0.as_bytes(),
        erasure.id.0.as_bytes(),
        erasure.cursor.map(|id| *id.0.as_bytes()),
        signed(erasure.looked_at),
        signed(erasure.erased),
        erasure.ended_at.map(micros),
    ])?;
    Ok(erasure)
}
