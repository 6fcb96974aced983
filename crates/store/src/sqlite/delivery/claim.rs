//! Taking deliveries for sending, and taking back claims that nobody settled.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};
use watchbell_domain::delivery::{Attempt, AttemptResult, CancelReason, DeadLetterReason, Lease};
use watchbell_domain::endpoint::{Endpoint, EndpointState};
use watchbell_domain::id::{DeliveryId, EndpointId, EventId, OrgId};
use watchbell_domain::port::{Claim, Claimed, ClaimedDelivery, StoreError};
use watchbell_wire::Event;

use super::order::{self, More, Next};
use super::row::{self, Heard};
use crate::sqlite::error::{Error, Result};
use crate::sqlite::row::{Columns, micros, signed};
use crate::sqlite::writer::Tx;
use crate::sqlite::{endpoint, event, in_hand};

pub(super) const NEXT_DUE: &str = "SELECT due_at FROM delivery INDEXED BY delivery_pending \
    WHERE state = 'pending' AND endpoint_id = ?1 AND org_id = ?2 ORDER BY due_at, id LIMIT 1";
pub(super) const TAKE: &str = "UPDATE delivery SET state = 'sending', due_at = NULL, lease = ?3, lease_until = ?4, claimed_at = ?5 \
                    WHERE org_id = ?1 AND id = ?2";
const GIVE_UP: &str = "UPDATE delivery SET state = 'dead_lettered', due_at = NULL, ended_at = ?3, reason = ?4 \
                       WHERE org_id = ?1 AND id = ?2";
pub(super) const EXPIRED: &str = "SELECT id, claimed_at, lease_until, attempts FROM delivery INDEXED BY delivery_sending \
    WHERE state = 'sending' AND endpoint_id = ?1 AND org_id = ?2 AND lease_until <= ?3";
const RELEASE: &str = "UPDATE delivery SET state = ?3, due_at = ?4, ended_at = ?5, reason = ?6, \
    lease_until = NULL, claimed_at = NULL, attempts = attempts + 1 WHERE org_id = ?1 AND id = ?2";

// What the process before us was sending: it is dead, for we hold its lock. Where its endpoint is, so is the delivery.
const CLAIM_HANDED: &str = "INSERT INTO delivery \
    (org_id, id, event_id, endpoint_id, state, created_at, lease, claimed_at, lease_until) \
    VALUES (?1, ?2, ?3, ?4, 'sending', ?5, 1, ?5, ?6)";
const INTERRUPT_ALL: &str = "INSERT INTO attempt (org_id, delivery_id, number, started_at, duration, result, detail) \
    SELECT org_id, id, attempts + 1, claimed_at, 0, 'interrupted', 'the process stopped during this attempt' \
    FROM delivery INDEXED BY delivery_sending WHERE state = 'sending'";
const RELEASE_ALL: &str = "UPDATE delivery SET \
    state = iif(e.state IS NULL, 'cancelled', iif(e.state = 'active', 'pending', 'held')), \
    due_at = iif(e.state = 'active', ?1, NULL), \
    ended_at = iif(e.state IS NULL, ?1, NULL), \
    reason = iif(e.state IS NULL, ?2, NULL), \
    lease_until = NULL, claimed_at = NULL, attempts = delivery.attempts + 1 \
    FROM delivery AS claim INDEXED BY delivery_sending \
    LEFT JOIN endpoint AS e ON e.org_id = claim.org_id AND e.id = claim.endpoint_id \
    WHERE claim.state = 'sending' AND delivery.org_id = claim.org_id AND delivery.id = claim.id";

/// One due row.
pub(super) struct Due {
    pub(super) id: DeliveryId,
    pub(super) event_id: EventId,
    pub(super) lease: Lease,
    pub(super) attempts: u32,
    pub(super) attempts_counted: u32,
}

/// The events read for one call, each once.
type Events = BTreeMap<EventId, (Arc<Event>, u8)>;

pub(super) fn claim(tx: &mut Tx<'_>, claims: &[Claim], now: Timestamp, lease: SignedDuration) -> Result<Vec<Claimed>> {
    let lease_until = now.saturating_add(lease).unwrap_or(Timestamp::MAX);
    let mut events = Events::new();
    let mut all = Vec::with_capacity(claims.len());
    for claim in claims {
        let endpoint = endpoint::cached(tx, claim.org_id, claim.endpoint_id)?;
        release_expired(tx, claim, endpoint.as_deref(), now)?;
        let Some(endpoint) = endpoint else { continue };
        let next = match may_send(&endpoint, now) {
            true => order::next(tx, claim, endpoint.policy.order, now)?,
            false => Next { due: Vec::new(), more: More::ByAge },
        };
        let deliveries = take(tx.conn, claim, next.due, now, lease_until, &mut events)?;
        let next_due_at = match next.more {
            More::ByAge => next_due_at(tx.conn, &endpoint)?,
            More::From(from) => next_due_at(tx.conn, &endpoint)?.map(|due_at| due_at.max(from)),
            More::At(due_at) => due_at,
        };
        all.push(Claimed { endpoint, deliveries, next_due_at });
    }
    Ok(all)
}

fn may_send(endpoint: &Endpoint, now: Timestamp) -> bool {
    match endpoint.state {
        EndpointState::Active => endpoint.not_before.is_none_or(|not_before| not_before <= now),
        EndpointState::Paused { .. } | EndpointState::Disabled { .. } => false,
    }
}

fn next_due_at(conn: &Connection, endpoint: &Endpoint) -> Result<Option<Timestamp>> {
    let due_at: Option<i64> = conn
        .prepare_cached(NEXT_DUE)?
        .query_row(params![endpoint.id.0.as_bytes(), endpoint.org_id.0.as_bytes()], |row| row.get(0))
        .optional()?;
    let due_at = due_at.map(|micros| Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX));
    Ok(due_at.map(|due_at| due_at.max(endpoint.not_before.unwrap_or(Timestamp::MIN))))
}

fn take(
    conn: &Connection,
    claim: &Claim,
    due: Vec<Due>,
    now: Timestamp,
    lease_until: Timestamp,
    events: &mut Events,
) -> Result<Vec<ClaimedDelivery>> {
    let mut taken = Vec::new();
    for due in due {
        let key = (claim.org_id.0.as_bytes(), due.id.0.as_bytes());
        let (event, hops) = match read_event(conn, claim.org_id, due.event_id, events) {
            Ok(found) => found,
            Err(Error::Store(problem @ StoreError::Corrupt { .. })) => {
                // One bad row must not keep everything behind it from being delivered.
                tracing::error!(delivery = %due.id, %problem, "delivery given up: its event cannot be read");
                let reason = DeadLetterReason::Internal.as_str();
                conn.prepare_cached(GIVE_UP)?.execute(params![key.0, key.1, micros(now), reason])?;
                continue;
            }
            Err(problem) => return Err(problem),
        };
        let lease = Lease(due.lease.0 + 1);
        let until = micros(lease_until);
        conn.prepare_cached(TAKE)?.execute(params![key.0, key.1, signed(lease.0), until, micros(now)])?;
        watchbell_domain::failpoint::at("store.claim")?;
        // A first attempt has neither results nor a body yet.
        let tried = due.attempts > 0;
        taken.push(ClaimedDelivery {
            id: due.id,
            lease,
            attempt_number: due.attempts + 1,
            attempts_counted: due.attempts_counted,
            latest_results: if tried { row::latest_results(conn, claim.org_id, due.id)? } else { Vec::new() },
            event,
            hops,
            body: if tried { body(conn, claim.org_id, due.id)? } else { None },
        });
    }
    Ok(taken)
}

fn read_event(conn: &Connection, org: OrgId, id: EventId, events: &mut Events) -> Result<(Arc<Event>, u8)> {
    match events.entry(id) {
        Entry::Occupied(known) => Ok(known.get().clone()),
        Entry::Vacant(unknown) => {
            let mut query = conn
                .prepare_cached("SELECT id, type, occurred_at, data, hops FROM event WHERE org_id = ?1 AND id = ?2")?;
            let (event, hops) = query.query_row(params![org.0.as_bytes(), id.0.as_bytes()], |row| {
                let columns = Columns::of("event", row);
                Ok((event::event(&columns), columns.get::<Option<u8>>("hops")))
            })?;
            Ok(unknown.insert((Arc::new(event?), hops?.unwrap_or_default())).clone())
        }
    }
}

fn body(conn: &Connection, org: OrgId, id: DeliveryId) -> Result<Option<Bytes>> {
    let mut query = conn.prepare_cached("SELECT body FROM delivery_body WHERE org_id = ?1 AND delivery_id = ?2")?;
    let body: Option<Vec<u8>> =
        query.query_row(params![org.0.as_bytes(), id.0.as_bytes()], |row| row.get(0)).optional()?;
    Ok(body.map(Bytes::from))
}

/// Takes back the claims of an endpoint that have run out, each with an attempt that says so.
fn release_expired(tx: &mut Tx<'_>, claim: &Claim, endpoint: Option<&Endpoint>, now: Timestamp) -> Result<()> {
    let (org, state) = (claim.org_id, endpoint.map(|endpoint| &endpoint.state));
    for expired in expired(tx.conn, org, claim.endpoint_id, now)? {
        row::insert_attempt(tx.conn, org, expired.id, &expired.attempt)?;
        let heard = released(state, expired.lease_until, now);
        tx.conn.prepare_cached(RELEASE)?.execute(params![
            org.0.as_bytes(),
            expired.id.0.as_bytes(),
            heard.state,
            heard.due_at,
            heard.ended_at,
            heard.reason
        ])?;
        if let Some(endpoint) = endpoint {
            order::keep_key(tx.conn, endpoint, expired.id)?;
        }
    }
    for handed in tx.hand_over.in_hand.expired(tx.conn, org, claim.endpoint_id, now)? {
        tx.hand_over.in_hand.remove(tx.conn, org, handed.endpoint_id, handed.id)?;
        row::insert_handed(tx.conn, &handed, &released(state, handed.lease_until, now))?;
        let attempt = interrupted(1, handed.claimed_at, handed.lease_until);
        row::insert_attempt(tx.conn, org, handed.id, &attempt)?;
        if let Some(endpoint) = endpoint {
            order::keep_key(tx.conn, endpoint, handed.id)?;
        }
    }
    Ok(())
}

/// Where a delivery goes whose claim has run out, its attempt interrupted.
fn released(endpoint: Option<&EndpointState>, lease_until: Timestamp, now: Timestamp) -> Heard {
    let (state, due_at, ended_at, reason) = match endpoint {
        Some(EndpointState::Active) => ("pending", Some(micros(lease_until)), None, None),
        Some(EndpointState::Paused { .. } | EndpointState::Disabled { .. }) => ("held", None, None, None),
        None => ("cancelled", None, Some(micros(now)), Some(CancelReason::EndpointDeleted.as_str())),
    };
    Heard { state, due_at, ended_at, reason, attempts: 1, attempts_counted: 0 }
}

fn interrupted(number: u32, claimed_at: Timestamp, lease_until: Timestamp) -> Attempt {
    Attempt {
        number,
        started_at: claimed_at,
        duration: lease_until.duration_since(claimed_at),
        result: AttemptResult::Interrupted,
        response: None,
        detail: Some("the claim ran out before the attempt was settled".to_owned()),
    }
}

struct Expired {
    id: DeliveryId,
    lease_until: Timestamp,
    attempt: Attempt,
}

fn expired(conn: &Connection, org: OrgId, endpoint: EndpointId, now: Timestamp) -> Result<Vec<Expired>> {
    let mut query = conn.prepare_cached(EXPIRED)?;
    let mut rows = query.query(params![endpoint.0.as_bytes(), org.0.as_bytes(), micros(now)])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let columns = Columns::of("delivery", row);
        let (started_at, lease_until) = (columns.time("claimed_at")?, columns.time("lease_until")?);
        let attempt = interrupted(columns.get::<u32>("attempts")? + 1, started_at, lease_until);
        all.push(Expired { id: DeliveryId(columns.uuid("id")?), lease_until, attempt });
    }
    Ok(all)
}

/// At the start: takes back every claim of the process before. `now` is when they become due.
pub(in crate::sqlite) fn release_all(conn: &Connection, now: Timestamp) -> Result<usize> {
    for handed in in_hand::all(conn)? {
        conn.execute(
            CLAIM_HANDED,
            params![
                handed.org_id.0.as_bytes(),
                handed.id.0.as_bytes(),
                handed.event_id.0.as_bytes(),
                handed.endpoint_id.0.as_bytes(),
                micros(handed.claimed_at),
                micros(handed.lease_until),
            ],
        )?;
    }
    in_hand::clear(conn)?;
    conn.execute(INTERRUPT_ALL, [])?;
    Ok(conn.execute(RELEASE_ALL, params![micros(now), CancelReason::EndpointDeleted.as_str()])?)
}
