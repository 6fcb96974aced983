//! What an attempt came to: the attempt and the next state in one commit, fenced by the claim's token.

use std::borrow::Cow;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use serde_json::json;
use uuid::Uuid;
use watchbell_domain::audit::{Action, Deed};
use watchbell_domain::delivery::{CancelReason, Lease, StateKind};
use watchbell_domain::endpoint::{DisabledReason, Endpoint, EndpointState};
use watchbell_domain::id::EventId;
use watchbell_domain::port::{Change, Next, Settled, Settlement, StoreError};

use super::order;
use super::row::{self, FIRST_LEASE, Heard};
use crate::sqlite::error::Result;
use crate::sqlite::in_hand::Handed;
use crate::sqlite::row::{micros, signed, truncated};
use crate::sqlite::writer::Tx;
use crate::sqlite::{audit, endpoint, notice};

// The token is part of the condition: a stale claim changes nothing, whatever it says.
pub(super) const SETTLE: &str = "UPDATE delivery SET state = ?4, due_at = ?5, ended_at = ?6, reason = ?7, \
    attempts = max(attempts, ?8), attempts_counted = attempts_counted + ?9, lease_until = NULL, claimed_at = NULL \
    WHERE org_id = ?1 AND id = ?2 AND endpoint_id = ?10 AND state = 'sending' AND lease = ?3 RETURNING attempts, event_id";

/// The columns that say a state.
#[derive(Debug)]
struct NextState {
    kind: StateKind,
    due_at: Option<Timestamp>,
    reason: Option<&'static str>,
}

/// The inner error says that this claim is lost, and that nothing was written for it.
pub(super) fn settle(tx: &mut Tx<'_>, settlement: &Settlement) -> Result<std::result::Result<Settled, StoreError>> {
    let endpoint = endpoint::cached(tx, settlement.org_id, settlement.endpoint_id)?;
    let next = next_state(settlement.next, endpoint.as_deref());
    let (org, id, Lease(lease)) = (settlement.org_id, settlement.delivery_id, settlement.lease);
    let attempt = settlement.attempt.as_ref();
    let counted = attempt.is_some() && counts(settlement.next);
    let ended_at = next.kind.is_terminal().then_some(micros(settlement.settled_at));
    let planted = watchbell_domain::failpoint::is_planted("settle without fence");
    let statement = match planted {
        true => Cow::Owned(SETTLE.replace("state = 'sending' AND lease = ?3", "lease >= ?3")),
        false => Cow::Borrowed(SETTLE),
    };
    let settled: Option<(u32, EventId)> = match handed(tx, settlement)? {
        Some(handed) => {
            let heard = Heard {
                state: next.kind.as_str(),
                due_at: next.due_at.map(micros),
                ended_at,
                reason: next.reason,
                attempts: attempt.map_or(0, |attempt| attempt.number),
                attempts_counted: u32::from(counted),
            };
            row::insert_handed(tx.conn, &handed, &heard)?;
            Some((heard.attempts, handed.event_id))
        }
        None => tx
            .conn
            .prepare_cached(&statement)?
            .query_row(
                params![
                    org.0.as_bytes(),
                    id.0.as_bytes(),
                    signed(lease),
                    next.kind.as_str(),
                    next.due_at.map(micros),
                    ended_at,
                    next.reason,
                    attempt.map_or(0, |attempt| attempt.number),
                    counted,
                    settlement.endpoint_id.0.as_bytes(),
                ],
                |row| Ok((row.get(0)?, EventId(Uuid::from_bytes(row.get(1)?)))),
            )
            .optional()?,
    };
    let Some((attempts, event_id)) = settled else {
        return Ok(Err(StoreError::LeaseLost));
    };
    tx.hand_over.told.tell(Change::Delivery { org, id });
    watchbell_domain::failpoint::at("store.settle")?;
    if let Some(attempt) = attempt {
        row::insert_attempt(tx.conn, org, id, attempt)
            .or_else(|problem| if planted { Ok(()) } else { Err(problem) })?;
    }
    keep_body(tx, settlement, next.kind, attempts)?;
    if let Some(endpoint) = &endpoint
        && !next.kind.is_terminal()
    {
        order::keep_key(tx.conn, endpoint, id)?;
    }
    let is_disabled = change_endpoint(tx, settlement, endpoint.as_deref())?;
    if let Next::DeadLetter { reason, .. } = settlement.next {
        notice::dead_lettered(tx, settlement, event_id, reason)?;
    }
    // What waits for an endpoint that was disabled just now is held, this one too.
    let state = if is_disabled && next.kind == StateKind::Pending { StateKind::Held } else { next.kind };
    Ok(Ok(Settled { state }))
}

/// The delivery, if it was handed over as it was made and this is the first that is heard of it.
fn handed(tx: &mut Tx<'_>, settlement: &Settlement) -> Result<Option<Handed>> {
    if settlement.lease != FIRST_LEASE {
        return Ok(None);
    }
    tx.hand_over.in_hand.remove(tx.conn, settlement.org_id, settlement.endpoint_id, settlement.delivery_id)
}

/// Whatever happened to the endpoint meanwhile decides where a delivery waits.
fn next_state(next: Next, endpoint: Option<&Endpoint>) -> NextState {
    let state = |kind, due_at, reason| NextState { kind, due_at, reason };
    match (next, endpoint.map(|endpoint| &endpoint.state)) {
        (Next::Delivered, _) => state(StateKind::Delivered, None, None),
        (Next::DeadLetter { reason, .. }, _) => state(StateKind::DeadLettered, None, Some(reason.as_str())),
        (Next::Retry { due_at, .. }, Some(EndpointState::Active)) => state(StateKind::Pending, Some(due_at), None),
        (Next::Retry { .. }, Some(EndpointState::Paused { .. } | EndpointState::Disabled { .. })) => {
            state(StateKind::Held, None, None)
        }
        (Next::Retry { .. }, None) => {
            let reason = CancelReason::EndpointDeleted.as_str();
            state(StateKind::Cancelled, None, Some(reason))
        }
    }
}

const fn counts(next: Next) -> bool {
    match next {
        Next::Retry { counts, .. } => counts,
        Next::Delivered | Next::DeadLetter { .. } => true,
    }
}

/// The body is kept while there may be another attempt, and no longer.
fn keep_body(tx: &Tx<'_>, settlement: &Settlement, kind: StateKind, attempts: u32) -> Result<()> {
    let key = (settlement.org_id.0.as_bytes(), settlement.delivery_id.0.as_bytes());
    match &settlement.body {
        Some(body) if !kind.is_terminal() => {
            tx.conn
                .prepare_cached("INSERT OR REPLACE INTO delivery_body (org_id, delivery_id, body) VALUES (?1, ?2, ?3)")?
                .execute(params![key.0, key.1, body.as_ref()])?;
        }
        // The first attempt left none.
        Some(_) | None if kind.is_terminal() && attempts > 1 => {
            tx.conn
                .prepare_cached("DELETE FROM delivery_body WHERE org_id = ?1 AND delivery_id = ?2")?
                .execute(params![key.0, key.1])?;
        }
        Some(_) | None => {}
    }
    Ok(())
}

/// What the attempt means for its endpoint: a pause, or its end for now. `true`: it was disabled by this.
fn change_endpoint(tx: &mut Tx<'_>, settlement: &Settlement, endpoint: Option<&Endpoint>) -> Result<bool> {
    let Some(endpoint) = endpoint else {
        return Ok(false);
    };
    let is_hopeless = match &settlement.attempt {
        Some(attempt) => tx.failures.note(tx.conn, settlement, attempt)?,
        None => false,
    };
    let (reason, pause) = match settlement.next {
        Next::Delivered => (None, None),
        Next::Retry { endpoint_pause, .. } => (None, endpoint_pause),
        Next::DeadLetter { disable, endpoint_pause, .. } => (disable, endpoint_pause),
    };
    if let Some(reason) = reason.or(is_hopeless.then_some(DisabledReason::Failing)) {
        return disable(tx, settlement, endpoint, reason);
    }
    if let Some(until) = pause.map(truncated)
        && endpoint.not_before.is_none_or(|known| known < until)
    {
        endpoint::write_back(tx, Endpoint { not_before: Some(until), ..endpoint.clone() })?;
    }
    Ok(false)
}

fn disable(tx: &mut Tx<'_>, settlement: &Settlement, endpoint: &Endpoint, reason: DisabledReason) -> Result<bool> {
    let since = truncated(settlement.settled_at);
    let state = match endpoint.state {
        EndpointState::Active | EndpointState::Paused { .. } => EndpointState::Disabled { since, reason },
        EndpointState::Disabled { .. } => return Ok(false),
    };
    tracing::warn!(endpoint_id = %endpoint.id, reason = reason.as_str(), "an endpoint is disabled");
    endpoint::write_back(tx, Endpoint { state, ..endpoint.clone() })?;
    endpoint::hold(tx, endpoint.org_id, endpoint.id)?;
    let deed = Deed::of_system("delivery", Action::EndpointDisable, endpoint.id, since);
    let detail = json!({"reason": reason.as_str(), "delivery": settlement.delivery_id.to_string()});
    audit::note(tx, endpoint.org_id, Some(&deed.with(detail)))?;
    notice::endpoint_disabled(tx, settlement, reason)?;
    Ok(true)
}
