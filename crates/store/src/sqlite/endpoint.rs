//! Endpoints: their rows, and what becomes of their deliveries when they change.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use watchbell_domain::audit::Deed;
use watchbell_domain::delivery::CancelReason;
use watchbell_domain::endpoint::{Endpoint, EndpointState, Order};
use watchbell_domain::id::{EndpointId, OrgId};
use watchbell_domain::port::{EndpointCreation, EndpointStore, Page, PageRequest, Pending, StoreError, Terms, Written};
use watchbell_domain::rule::RuleFailure;
use watchbell_wire::Severity;

use super::error::{OrConflict, Result};
use super::page::{self, before};
use super::row::micros;
use super::vault::Vault;
use super::writer::Tx;
use super::{SqliteStore, audit, delivery, endpoint_row, endpoint_rules, event, rule_failure};

const INSERT: &str = "INSERT INTO endpoint \
    (org_id, id, url, dialect, description, events, state, state_since, state_reason, secrets, headers, \
     retry_schedule, timeout, max_in_flight, not_before, created_at, updated_at, \
     transport, max_attempts, rate_limit, ordered, min_severity, storm_threshold, settings, rules, \
     batch) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, \
     ?26)";
const UPDATE: &str = "UPDATE endpoint SET \
    url = ?3, dialect = ?4, description = ?5, events = ?6, state = ?7, state_since = ?8, state_reason = ?9, \
    secrets = ?10, headers = ?11, retry_schedule = ?12, timeout = ?13, max_in_flight = ?14, not_before = ?15, \
    created_at = ?16, updated_at = ?17, \
    transport = ?18, max_attempts = ?19, rate_limit = ?20, ordered = ?21, min_severity = ?22, storm_threshold = ?23, \
    settings = ?24, rules = ?25, batch = ?26 \
    WHERE org_id = ?1 AND id = ?2";

const HOLD: &str = "UPDATE delivery INDEXED BY delivery_pending SET state = 'held', due_at = NULL \
                    WHERE org_id = ?1 AND endpoint_id = ?2 AND state = 'pending'";
const RESUME: &str = "UPDATE delivery INDEXED BY delivery_held SET state = 'pending', due_at = ?3 \
                      WHERE org_id = ?1 AND endpoint_id = ?2 AND state = 'held'";
// Served in order: those that were never tried keep their places by when they were made.
const RESUME_IN_ORDER: &str = "UPDATE delivery INDEXED BY delivery_held \
    SET state = 'pending', due_at = iif(lease = 0, min(created_at, ?3), ?3) \
    WHERE org_id = ?1 AND endpoint_id = ?2 AND state = 'held'";
const CANCEL_PENDING: &str = "UPDATE delivery INDEXED BY delivery_pending \
    SET state = 'cancelled', due_at = NULL, ended_at = ?3, reason = ?4 \
    WHERE org_id = ?1 AND endpoint_id = ?2 AND state = 'pending'";
const CANCEL_HELD: &str = "UPDATE delivery INDEXED BY delivery_held \
    SET state = 'cancelled', ended_at = ?3, reason = ?4 \
    WHERE org_id = ?1 AND endpoint_id = ?2 AND state = 'held'";
// Bodies of deliveries that wait; those being sent lose theirs when they are settled.
const DROP_BODIES: &str = "DELETE FROM delivery_body WHERE org_id = ?1 AND delivery_id IN \
    (SELECT id FROM delivery WHERE endpoint_id = ?2 AND org_id = ?1 AND state IN ('pending', 'held') AND attempts > 0)";

impl EndpointStore for SqliteStore {
    fn create_endpoint(&self, creation: EndpointCreation, terms: Terms) -> Pending<'_, Written<()>> {
        self.add(move |tx| {
            let endpoint = &creation.endpoint;
            audit::on(tx, endpoint.org_id, endpoint.created_at, &terms, |tx| {
                write(tx, INSERT, endpoint, "an endpoint of this id exists")?;
                match &creation.greeting {
                    Some(greeting) => event::accept(tx, greeting).map(drop),
                    None => Ok(()),
                }
            })
        })
    }

    fn endpoint(&self, org: OrgId, id: EndpointId) -> Pending<'_, Option<Endpoint>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached("SELECT * FROM endpoint WHERE org_id = ?1 AND id = ?2")?;
            let found = query
                .query_row(params![org.0.as_bytes(), id.0.as_bytes()], |row| Ok(endpoint_row::decode(row, read.vault)));
            found.optional()?.transpose()
        })
    }

    fn endpoints(&self, org: OrgId, page: PageRequest) -> Pending<'_, Page<Endpoint>> {
        self.read(move |read| {
            let mut query = read
                .conn
                .prepare_cached("SELECT * FROM endpoint WHERE org_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3")?;
            let rows = query.query(params![org.0.as_bytes(), before(page), page::fetch(page)])?;
            page::collect(page, rows, |row| endpoint_row::decode(row, read.vault))
        })
    }

    fn update_endpoint(&self, seen: Endpoint, changed: Endpoint, terms: Terms) -> Pending<'_, Written<()>> {
        self.write(move |tx| audit::on(tx, seen.org_id, changed.updated_at, &terms, |tx| update(tx, seen, changed)))
    }

    fn rule_failures(&self, org: OrgId) -> Pending<'_, BTreeMap<EndpointId, RuleFailure>> {
        self.read(move |read| rule_failure::of_org(read.conn, org))
    }

    fn delete_endpoint(&self, org: OrgId, id: EndpointId, now: Timestamp, deed: Option<Deed>) -> Pending<'_, bool> {
        self.write(move |tx| {
            let is_deleted = delete(tx, org, id, now)?;
            if is_deleted {
                audit::note(tx, org, deed.as_ref())?;
            }
            Ok(is_deleted)
        })
    }
}

/// An organisation's endpoints, for the writer's cache.
pub(super) fn all(conn: &Connection, vault: &Vault, org: OrgId) -> Result<BTreeMap<EndpointId, Arc<Endpoint>>> {
    let mut query = conn.prepare_cached("SELECT * FROM endpoint WHERE org_id = ?1")?;
    let mut rows = query.query([org.0.as_bytes()])?;
    let mut endpoints = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let endpoint = endpoint_row::decode(row, vault)?;
        endpoints.insert(endpoint.id, Arc::new(endpoint));
    }
    Ok(endpoints)
}

/// One endpoint, from the writer's cache.
pub(super) fn cached(tx: &mut Tx<'_>, org: OrgId, id: EndpointId) -> Result<Option<Arc<Endpoint>>> {
    let endpoints = tx.endpoints.of_org(tx.conn, tx.vault, org)?;
    Ok(endpoints.get(&id).map(Arc::clone))
}

/// Writes back what delivering changes of an endpoint: its state and its pause.
pub(super) fn write_back(tx: &mut Tx<'_>, endpoint: Endpoint) -> Result<()> {
    let (state, since, reason) = endpoint_row::state_columns(&endpoint.state);
    tx.conn
        .prepare_cached(
            "UPDATE endpoint SET state = ?3, state_since = ?4, state_reason = ?5, not_before = ?6 \
             WHERE org_id = ?1 AND id = ?2",
        )?
        .execute(params![
            endpoint.org_id.0.as_bytes(),
            endpoint.id.0.as_bytes(),
            state,
            since,
            reason,
            endpoint.not_before.map(micros)
        ])?;
    tx.hand_over.changed(endpoint.id);
    tx.endpoints.put(endpoint);
    Ok(())
}

/// Holds an endpoint's pending deliveries.
pub(super) fn hold(tx: &Tx<'_>, org: OrgId, id: EndpointId) -> Result<()> {
    tx.conn.prepare_cached(HOLD)?.execute(params![org.0.as_bytes(), id.0.as_bytes()])?;
    Ok(())
}

fn update(tx: &mut Tx<'_>, seen: Endpoint, mut changed: Endpoint) -> Result<()> {
    let current = cached(tx, seen.org_id, seen.id)?.ok_or(StoreError::Conflict("the endpoint is gone"))?;
    // Everything its owner sees is compared, not the time alone: two changes may fall into one microsecond, and what we
    // disabled meanwhile must not be switched on again by an owner who did not know. The pause is the endpoint's own.
    let seen_pause = seen.not_before;
    let mut seen = endpoint_row::as_stored(seen);
    seen.not_before = current.not_before;
    if *current != seen {
        return Err(StoreError::Conflict("the endpoint was changed meanwhile").into());
    }
    if changed.not_before == seen_pause {
        changed.not_before = current.not_before;
    }
    (changed.org_id, changed.id) = (current.org_id, current.id);
    write(tx, UPDATE, &changed, "the endpoint was changed meanwhile")?;
    if changed.policy.order == Order::Project && current.policy.order != Order::Project {
        delivery::keep_keys(tx.conn, changed.org_id, changed.id)?;
    }
    if current.policy.rules != changed.policy.rules {
        rule_failure::forget(tx.conn, changed.org_id, changed.id)?;
    }
    if current.url != changed.url {
        tx.failures.forget(tx.conn, changed.org_id, changed.id)?;
    }
    follow(tx, &current.state, &changed, changed.updated_at)
}

/// What a change of an endpoint's state means for what waits for it.
fn follow(tx: &mut Tx<'_>, before: &EndpointState, changed: &Endpoint, at: Timestamp) -> Result<()> {
    if *before != EndpointState::Active && changed.state == EndpointState::Active {
        tx.failures.forget(tx.conn, changed.org_id, changed.id)?;
    }
    match (before, &changed.state) {
        (EndpointState::Active, EndpointState::Paused { .. } | EndpointState::Disabled { .. }) => {
            hold(tx, changed.org_id, changed.id)
        }
        (EndpointState::Paused { .. } | EndpointState::Disabled { .. }, EndpointState::Active) => {
            let due_at = micros(at);
            let resume = match changed.policy.order {
                Order::Any => RESUME,
                Order::Endpoint | Order::Project => RESUME_IN_ORDER,
            };
            tx.conn.prepare_cached(resume)?.execute(params![
                changed.org_id.0.as_bytes(),
                changed.id.0.as_bytes(),
                due_at
            ])?;
            Ok(())
        }
        (EndpointState::Active, EndpointState::Active)
        | (
            EndpointState::Paused { .. } | EndpointState::Disabled { .. },
            EndpointState::Paused { .. } | EndpointState::Disabled { .. },
        ) => Ok(()),
    }
}

/// Puts endpoints into another state because their organisation is in another. Answers whether there may be more.
pub(super) fn move_all(
    tx: &mut Tx<'_>,
    org: OrgId,
    limit: u32,
    now: Timestamp,
    to: impl Fn(&EndpointState) -> Option<EndpointState>,
) -> Result<bool> {
    let endpoints = tx.endpoints.of_org(tx.conn, tx.vault, org)?;
    let moving = endpoints.values().filter_map(|endpoint| Some((Arc::clone(endpoint), to(&endpoint.state)?)));
    let moving: Vec<_> = moving.take(usize::try_from(limit).unwrap_or(usize::MAX)).collect();
    let has_moved = !moving.is_empty();
    for (before, state) in moving {
        let changed = Endpoint { state, ..Endpoint::clone(&before) };
        write_back(tx, changed.clone())?;
        follow(tx, &before.state, &changed, now)?;
    }
    Ok(has_moved)
}

/// Deletes endpoints because their organisation is. Answers whether there may be more.
pub(super) fn delete_some(tx: &mut Tx<'_>, org: OrgId, limit: u32, now: Timestamp) -> Result<bool> {
    let endpoints = tx.endpoints.of_org(tx.conn, tx.vault, org)?;
    let going: Vec<EndpointId> = endpoints.keys().copied().take(usize::try_from(limit).unwrap_or(usize::MAX)).collect();
    for id in &going {
        delete(tx, org, *id, now)?;
    }
    Ok(!going.is_empty())
}

fn delete(tx: &mut Tx<'_>, org: OrgId, id: EndpointId, now: Timestamp) -> Result<bool> {
    let key = params![org.0.as_bytes(), id.0.as_bytes()];
    let mut delete = tx.conn.prepare_cached("DELETE FROM endpoint WHERE org_id = ?1 AND id = ?2")?;
    if delete.execute(key)? == 0 {
        return Ok(false);
    }
    tx.endpoints.remove(org, id);
    rule_failure::forget(tx.conn, org, id)?;
    tx.failures.forget(tx.conn, org, id)?;
    tx.hand_over.changed(id);
    tx.conn.prepare_cached(DROP_BODIES)?.execute(key)?;
    for cancel in [CANCEL_PENDING, CANCEL_HELD] {
        tx.conn.prepare_cached(cancel)?.execute(params![
            org.0.as_bytes(),
            id.0.as_bytes(),
            micros(now),
            CancelReason::EndpointDeleted.as_str()
        ])?;
    }
    Ok(true)
}

fn write(tx: &mut Tx<'_>, statement: &'static str, endpoint: &Endpoint, taken: &'static str) -> Result<()> {
    let (state, since, reason) = endpoint_row::state_columns(&endpoint.state);
    let written = tx.conn.prepare_cached(statement)?.execute(params![
        endpoint.org_id.0.as_bytes(),
        endpoint.id.0.as_bytes(),
        endpoint_row::sealed_url(endpoint, tx.vault)?,
        endpoint.dialect.id,
        endpoint.description,
        endpoint_row::events_column(endpoint),
        state,
        since,
        reason,
        endpoint_row::sealed_secrets(endpoint, tx.vault)?,
        endpoint_row::sealed_headers(endpoint, tx.vault)?,
        endpoint_row::schedule_column(endpoint),
        endpoint.policy.timeout.map(super::row::duration_micros),
        endpoint.policy.max_in_flight,
        endpoint.not_before.map(micros),
        micros(endpoint.created_at),
        micros(endpoint.updated_at),
        endpoint_row::sealed_transport(endpoint, tx.vault)?,
        endpoint.policy.max_attempts,
        endpoint.policy.rate_limit.map(|rate| rate.to_string()),
        endpoint.policy.order.as_str(),
        endpoint.policy.min_severity.map(Severity::as_str),
        endpoint_row::storm_column(endpoint),
        endpoint_row::settings_column(endpoint),
        endpoint_rules::column(endpoint),
        endpoint_row::batch_column(endpoint),
    ]);
    written.or_conflict(taken)?;
    tx.hand_over.changed(endpoint.id);
    tx.endpoints.put(endpoint_row::as_stored(endpoint.clone()));
    Ok(())
}
