//! Deliveries and attempts as rows.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use watchbell_domain::delivery::{
    Attempt, AttemptResult, CancelReason, DeadLetterReason, Delivery, DeliveryState, Lease, Response, StateKind,
};
use watchbell_domain::id::{DeliveryId, EndpointId, EventId, OrgId};

use crate::sqlite::error::Result;
use crate::sqlite::in_hand::{self, Handed};
use crate::sqlite::row::{Columns, duration_micros, micros, signed};

const INSERT: &str = "INSERT INTO delivery \
    (org_id, id, event_id, endpoint_id, state, due_at, created_at, replay_of) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const INSERT_HANDED: &str = "INSERT INTO delivery (org_id, id, event_id, endpoint_id, state, due_at, created_at, \
    lease, ended_at, reason, attempts, attempts_counted) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
const INSERT_ATTEMPT: &str = "INSERT INTO attempt \
    (org_id, delivery_id, number, started_at, duration, result, detail, status, headers, body, truncated) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

/// A delivery on its way in.
#[derive(Debug)]
pub(in crate::sqlite) struct NewDelivery {
    pub(in crate::sqlite) org_id: OrgId,
    pub(in crate::sqlite) id: DeliveryId,
    pub(in crate::sqlite) event_id: EventId,
    pub(in crate::sqlite) endpoint_id: EndpointId,
    pub(in crate::sqlite) start: Start,
    pub(in crate::sqlite) created_at: Timestamp,
    pub(in crate::sqlite) replay_of: Option<DeliveryId>,
}

/// How a delivery begins.
#[derive(Debug, Clone, Copy)]
pub(in crate::sqlite) enum Start {
    /// Its endpoint is not active.
    Held,
    /// Due at once.
    Due,
    /// Due later.
    Later(Timestamp),
}

/// The token of a delivery's first claim.
pub(in crate::sqlite) const FIRST_LEASE: Lease = Lease(1);

pub(in crate::sqlite) fn insert(conn: &Connection, new: &NewDelivery) -> Result<()> {
    let (kind, due_at) = match new.start {
        Start::Held => (StateKind::Held, None),
        Start::Due => (StateKind::Pending, Some(new.created_at)),
        Start::Later(at) => (StateKind::Pending, Some(at)),
    };
    conn.prepare_cached(INSERT)?.execute(params![
        new.org_id.0.as_bytes(),
        new.id.0.as_bytes(),
        new.event_id.0.as_bytes(),
        new.endpoint_id.0.as_bytes(),
        kind.as_str(),
        due_at.map(micros),
        micros(new.created_at),
        new.replay_of.map(|old| *old.0.as_bytes()),
    ])?;
    Ok(())
}

/// What is to be said of a delivery that was in hand: its row, written for the first time.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) state: &'static str,
    pub(super) due_at: Option<i64>,
    pub(super) ended_at: Option<i64>,
    pub(super) reason: Option<&'static str>,
    pub(super) attempts: u32,
    pub(super) attempts_counted: u32,
}

pub(super) fn insert_handed(conn: &Connection, handed: &Handed, heard: &Heard) -> Result<()> {
    conn.prepare_cached(INSERT_HANDED)?.execute(params![
        handed.org_id.0.as_bytes(),
        handed.id.0.as_bytes(),
        handed.event_id.0.as_bytes(),
        handed.endpoint_id.0.as_bytes(),
        heard.state,
        heard.due_at,
        micros(handed.claimed_at),
        signed(FIRST_LEASE.0),
        heard.ended_at,
        heard.reason,
        heard.attempts,
        heard.attempts_counted,
    ])?;
    Ok(())
}

pub(super) fn find(conn: &Connection, org: OrgId, id: DeliveryId) -> Result<Option<Delivery>> {
    let mut query = conn.prepare_cached("SELECT * FROM delivery WHERE org_id = ?1 AND id = ?2")?;
    let found = query.query_row(params![org.0.as_bytes(), id.0.as_bytes()], |row| Ok(delivery(row)));
    match found.optional()?.transpose()? {
        Some(delivery) => Ok(Some(delivery)),
        None => Ok(in_hand::find(conn, org, id)?.map(|handed| handed.shown())),
    }
}

pub(super) fn delivery(row: &Row<'_>) -> Result<Delivery> {
    let columns = Columns::of("delivery", row);
    Ok(Delivery {
        id: DeliveryId(columns.uuid("id")?),
        org_id: OrgId(columns.uuid("org_id")?),
        event_id: EventId(columns.uuid("event_id")?),
        endpoint_id: EndpointId(columns.uuid("endpoint_id")?),
        state: state(&columns)?,
        attempts_counted: columns.get("attempts_counted")?,
        created_at: columns.time("created_at")?,
        replay_of: columns.maybe_uuid("replay_of")?.map(DeliveryId),
    })
}

fn state(columns: &Columns<'_, '_>) -> Result<DeliveryState> {
    Ok(match columns.named("state", StateKind::parse)? {
        StateKind::Pending => DeliveryState::Pending { due_at: columns.time("due_at")? },
        StateKind::Sending => {
            DeliveryState::Sending { lease_until: columns.time("lease_until")?, lease: Lease(columns.count("lease")?) }
        }
        StateKind::Held => DeliveryState::Held,
        StateKind::Delivered => DeliveryState::Delivered { at: columns.time("ended_at")? },
        StateKind::DeadLettered => DeliveryState::DeadLettered {
            at: columns.time("ended_at")?,
            reason: columns.named("reason", DeadLetterReason::parse)?,
        },
        StateKind::Cancelled => DeliveryState::Cancelled {
            at: columns.time("ended_at")?,
            reason: columns.named("reason", CancelReason::parse)?,
        },
    })
}

pub(super) fn insert_attempt(conn: &Connection, org: OrgId, id: DeliveryId, attempt: &Attempt) -> Result<()> {
    let response = attempt.response.as_ref();
    conn.prepare_cached(INSERT_ATTEMPT)?.execute(params![
        org.0.as_bytes(),
        id.0.as_bytes(),
        attempt.number,
        micros(attempt.started_at),
        duration_micros(attempt.duration),
        attempt.result.name(),
        attempt.detail,
        response.map(|response| response.status),
        response.map(|response| serde_json::json!(response.headers).to_string()),
        response.map(|response| response.body.as_slice()),
        response.map(|response| response.truncated),
    ])?;
    Ok(())
}

/// All attempts of a delivery, the first one first.
pub(super) fn attempts(conn: &Connection, org: OrgId, id: DeliveryId) -> Result<Vec<Attempt>> {
    let mut query = conn.prepare_cached(
        "SELECT *, delivery_id AS id FROM attempt WHERE org_id = ?1 AND delivery_id = ?2 ORDER BY number",
    )?;
    let mut rows = query.query(params![org.0.as_bytes(), id.0.as_bytes()])?;
    let mut attempts = Vec::new();
    while let Some(row) = rows.next()? {
        attempts.push(attempt(row)?);
    }
    Ok(attempts)
}

fn attempt(row: &Row<'_>) -> Result<Attempt> {
    let columns = Columns::of("attempt", row);
    let response = match columns.get::<Option<u16>>("status")? {
        None => None,
        Some(status) => Some(Response {
            status,
            headers: columns.json("headers")?,
            body: columns.get("body")?,
            truncated: columns.get("truncated")?,
        }),
    };
    Ok(Attempt {
        number: columns.get("number")?,
        started_at: columns.time("started_at")?,
        duration: columns.duration("duration")?,
        result: columns.named("result", AttemptResult::parse)?,
        response,
        detail: columns.get("detail")?,
    })
}

/// How the latest attempts ended, newest first.
pub(super) fn latest_results(conn: &Connection, org: OrgId, id: DeliveryId) -> Result<Vec<AttemptResult>> {
    let mut query = conn.prepare_cached(
        "SELECT result, delivery_id AS id FROM attempt WHERE org_id = ?1 AND delivery_id = ?2 \
         ORDER BY number DESC LIMIT 3",
    )?;
    let mut rows = query.query(params![org.0.as_bytes(), id.0.as_bytes()])?;
    let mut results = Vec::new();
    while let Some(row) = rows.next()? {
        results.push(Columns::of("attempt", row).named("result", AttemptResult::parse)?);
    }
    Ok(results)
}
