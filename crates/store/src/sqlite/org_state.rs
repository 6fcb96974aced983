//! What a change of an organisation's state means, step by step: each step is one commit, and small.
//!
//! ```text
//!  suspended: active endpoints ──▶ disabled, their deliveries held            active again: the other way round; plans of
//!                                                                             action that were due meanwhile are due now
//!  deleting:  endpoints deleted, with their secrets; what waits is cancelled ──▶ rows, table by table ──▶ the row itself
//! ```
//!
//! Which tables hold an organisation's rows is asked of the schema, and so is the order in which they may go: a table that
//! is added later is not forgotten. The audit log stays.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;
use watchbell_domain::audit::{Action, Chain, Deed};
use watchbell_domain::endpoint::{DisabledReason, EndpointState};
use watchbell_domain::id::OrgId;
use watchbell_domain::org::OrgState;
use watchbell_domain::port::StoreError;

use super::error::Result;
use super::org::{NO_ORG, standing};
use super::row::{Columns, micros, truncated};
use super::writer::Tx;
use super::{audit, endpoint, poam};

const SET: &str = "UPDATE org SET state = ?2, state_since = ?3, settling = 1 WHERE id = ?1";
const HAS_OTHERS: &str = "SELECT EXISTS (SELECT 1 FROM org WHERE id <> ?1 AND state <> 'deleting')";
const SETTLED: &str = "UPDATE org SET settling = 0 WHERE id = ?1";
const UNSETTLED: &str = "SELECT id FROM org INDEXED BY org_settling WHERE settling = 1";
const REMOVE: &str = "DELETE FROM org WHERE id = ?1";
const STANDING: &str = "SELECT state, state_since, group_id FROM org WHERE id = ?1";
/// Endpoints moved in one step: each takes what waits for it along.
const ENDPOINTS_A_STEP: u32 = 16;

// The audit log outlives the organisation.
const TABLES: &str = "SELECT m.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c ON c.name = 'org_id' \
    WHERE m.type = 'table' AND m.name NOT IN ('audit', 'audit_checkpoint')";
const REFERS_TO: &str = "SELECT DISTINCT \"table\" FROM pragma_foreign_key_list(?1)";
const KEY_OF: &str = "SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk";

/// Enters a state. `false`: there is no such organisation.
pub(super) fn set(tx: &Tx<'_>, id: OrgId, state: OrgState) -> Result<bool> {
    match state_of(tx.conn, id)? {
        None => return Ok(false),
        Some(OrgState::Deleting { .. }) => {
            return Err(StoreError::Conflict("the organisation is being deleted").into());
        }
        Some(OrgState::Active | OrgState::Suspended { .. }) => {}
    }
    let is_last = matches!(state, OrgState::Deleting { .. })
        && !tx.conn.prepare_cached(HAS_OTHERS)?.query_row([id.0.as_bytes()], |row| row.get(0))?;
    if is_last {
        // A server without organisations would start as if for the first time.
        return Err(StoreError::Conflict("the last organisation stays").into());
    }
    tx.conn.prepare_cached(SET)?.execute(params![id.0.as_bytes(), state.as_str(), state.since().map(micros)])?;
    Ok(true)
}

pub(super) fn unsettled(conn: &Connection) -> Result<Vec<OrgId>> {
    let mut query = conn.prepare_cached(UNSETTLED)?;
    let mut rows = query.query([])?;
    let mut orgs = Vec::new();
    while let Some(row) = rows.next()? {
        orgs.push(OrgId(Columns::of("org", row).uuid("id")?));
    }
    Ok(orgs)
}

/// One step. `false`: there is nothing left to do.
pub(super) fn settle(tx: &mut Tx<'_>, id: OrgId, limit: u32, now: Timestamp) -> Result<bool> {
    let Some(state) = state_of(tx.conn, id)? else { return Ok(false) };
    let endpoints_max = limit.clamp(1, ENDPOINTS_A_STEP);
    let more = match state {
        OrgState::Active => {
            endpoint::move_all(tx, id, endpoints_max, now, |state| match state {
                EndpointState::Disabled { reason: DisabledReason::OrgSuspended, .. } => Some(EndpointState::Active),
                EndpointState::Active | EndpointState::Paused { .. } | EndpointState::Disabled { .. } => None,
            })? || poam::wake(tx, id, limit)?
        }
        OrgState::Suspended { since } => endpoint::move_all(tx, id, endpoints_max, now, |state| match state {
            EndpointState::Active => Some(EndpointState::Disabled { since, reason: DisabledReason::OrgSuspended }),
            EndpointState::Paused { .. } | EndpointState::Disabled { .. } => None,
        })?,
        OrgState::Deleting { .. } => {
            endpoint::delete_some(tx, id, endpoints_max, now)? || remove_rows(tx, id, limit, now)?
        }
    };
    if !more {
        match state {
            OrgState::Active | OrgState::Suspended { .. } => {
                tx.conn.prepare_cached(SETTLED)?.execute([id.0.as_bytes()])?;
            }
            OrgState::Deleting { .. } => remove(tx, id, now)?,
        }
    }
    Ok(more)
}

fn state_of(conn: &Connection, id: OrgId) -> Result<Option<OrgState>> {
    let found = conn.prepare_cached(STANDING)?.query_row([id.0.as_bytes()], |row| Ok(standing(row)));
    Ok(found.optional()?.transpose()?.map(|standing| standing.state))
}

/// Removes some rows of the first table that has any. `false`: none has.
fn remove_rows(tx: &Tx<'_>, id: OrgId, limit: u32, now: Timestamp) -> Result<bool> {
    let mut waits = false;
    for table in tables(tx.conn)? {
        let key = names(tx.conn, KEY_OF, &table)?.join(", ");
        let key = if key.is_empty() { "rowid".to_owned() } else { key };
        // What an attempt is being made of goes when that has ended.
        let unless = match table.as_str() {
            "delivery" => "AND NOT (state = 'sending' AND lease_until > ?3)",
            "event" => "AND ?3 IS NOT NULL AND number NOT IN (SELECT event_number FROM handed_over)",
            _ => "AND ?3 IS NOT NULL",
        };
        let statement = format!(
            "DELETE FROM {table} WHERE org_id = ?1 AND ({key}) IN \
             (SELECT {key} FROM {table} WHERE org_id = ?1 {unless} LIMIT ?2)"
        );
        let removed = tx.conn.prepare_cached(&statement)?.execute(params![id.0.as_bytes(), limit, micros(now)])?;
        if removed > 0 {
            return Ok(true);
        }
        let left = format!("SELECT EXISTS (SELECT 1 FROM {table} WHERE org_id = ?1)");
        waits |= tx.conn.prepare_cached(&left)?.query_row([id.0.as_bytes()], |row| row.get::<_, bool>(0))?;
    }
    Ok(waits)
}

/// Tables with rows of organisations, those first that no other one of them refers to.
fn tables(conn: &Connection) -> Result<Vec<String>> {
    let mut query = conn.prepare_cached(TABLES)?;
    let mut left = query.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut ordered = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let mut referred = Vec::new();
        for table in &left {
            referred.extend(names(conn, REFERS_TO, table)?.into_iter().filter(|other| other != table));
        }
        let (free, bound): (Vec<_>, Vec<_>) = left.into_iter().partition(|table| !referred.contains(table));
        if free.is_empty() {
            return Err(StoreError::Unavailable("tables refer to one another in a circle".to_owned()).into());
        }
        ordered.extend(free);
        left = bound;
    }
    Ok(ordered)
}

fn names(conn: &Connection, query: &'static str, table: &str) -> Result<Vec<String>> {
    let mut query = conn.prepare_cached(query)?;
    Ok(query.query_map([table], |row| row.get(0))?.collect::<rusqlite::Result<Vec<_>>>()?)
}

/// The row itself, the last of it.
fn remove(tx: &Tx<'_>, id: OrgId, now: Timestamp) -> Result<()> {
    tx.conn.prepare_cached(REMOVE)?.execute([id.0.as_bytes()])?;
    let end = audit::last(tx.conn, Chain::Org(id))?;
    let deed = Deed::of_system("upkeep", Action::OrgRemoved, id, truncated(now));
    let detail = json!({"audit": {"number": end.number, "hash": hex::encode(end.hash)}});
    audit::note(tx, NO_ORG, Some(&deed.with(detail)))
}
