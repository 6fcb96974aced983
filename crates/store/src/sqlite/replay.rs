//! Replays as jobs: what a filter matches is looked for by a reader, what it makes is written with the place behind it.
//!
//! All indexes of deliveries are in the order of their ids, so a place is an id whichever of them serves the filter. A
//! step looks at a bounded number of rows, however few of them fit.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use watchbell_domain::audit::Deed;
use watchbell_domain::delivery::StateKind;
use watchbell_domain::endpoint::EndpointState;
use watchbell_domain::id::{DeliveryId, EndpointId, EventId, OrgId, ReplayId};
use watchbell_domain::port::{
    Advanced, Change, EndReason, Matched, Page, PageRequest, Pending, RUNNING_REPLAYS_MAX, ReplayFilter, ReplayJob,
    ReplayProgress, ReplayState, ReplayStep, ReplayStore, StoreError, Terms, Written,
};

use super::delivery::{NewDelivery, Start, first_id, insert};
use super::error::Result;
use super::event::micros_up;
use super::page::{self, before};
use super::row::{Columns, micros, signed, truncated};
use super::writer::Tx;
use super::{SqliteStore, audit, endpoint, erase};
use crate::delivery_ids::Ids;

const INSERT: &str = "INSERT INTO replay (org_id, id, endpoint_id, of_state, reason, event_type, since, until, made_max, \
    per_second, matched, created_at, state, ended_at, cursor, looked_at, made) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)";
const COUNT_RUNNING: &str =
    "SELECT count(*) FROM replay INDEXED BY replay_running WHERE org_id = ?1 AND state = 'running'";
const RUNNING: &str = "SELECT * FROM replay INDEXED BY replay_running WHERE state = 'running'";
const PROGRESS: &str = "UPDATE replay SET state = ?3, ended_at = ?4, cursor = ?5, looked_at = ?6, made = ?7 \
    WHERE org_id = ?1 AND id = ?2";
// Ids of one millisecond are in no order: what repeats a delivery is newer all the same.
const IS_SUPERSEDED: &str = "SELECT EXISTS (SELECT 1 FROM delivery INDEXED BY delivery_event \
    WHERE event_id = ?1 AND org_id = ?2 AND endpoint_id = ?4 AND created_at < ?6 \
      AND (created_at > ?5 OR replay_of = ?3))";
const IS_OF_TYPE: &str = "SELECT EXISTS (SELECT 1 FROM event WHERE org_id = ?1 AND id = ?2 AND type = ?3)";

impl ReplayStore for SqliteStore {
    fn match_replay(
        &self,
        org: OrgId,
        filter: ReplayFilter,
        from: Option<DeliveryId>,
        looked_at_max: u32,
        found_max: u32,
    ) -> Pending<'_, Matched> {
        self.read(move |read| look(read.conn, org, &filter, from, looked_at_max, found_max))
    }

    fn create_replay(&self, job: ReplayJob, terms: Terms) -> Pending<'_, Written<()>> {
        self.add(move |tx| audit::on(tx, job.org_id, job.created_at, &terms, |tx| create(tx, &job)))
    }

    fn replay_job(&self, org: OrgId, id: ReplayId) -> Pending<'_, Option<ReplayJob>> {
        self.read(move |read| find(read.conn, org, id))
    }

    fn replay_jobs(&self, org: OrgId, page: PageRequest) -> Pending<'_, Page<ReplayJob>> {
        self.read(move |read| {
            let statement = "SELECT * FROM replay WHERE org_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
            let mut query = read.conn.prepare_cached(statement)?;
            page::collect(page, query.query(params![org.0.as_bytes(), before(page), page::fetch(page)])?, job)
        })
    }

    fn running_replays(&self) -> Pending<'_, Vec<ReplayJob>> {
        self.read(|read| {
            let mut query = read.conn.prepare_cached(RUNNING)?;
            let mut rows = query.query([])?;
            let mut jobs = Vec::new();
            while let Some(row) = rows.next()? {
                jobs.push(job(row)?);
            }
            Ok(jobs)
        })
    }

    fn advance_replay(&self, step: ReplayStep) -> Pending<'_, Option<Advanced>> {
        Box::pin(async move {
            let (org, id, looked_at_max, made_max) = (step.org_id, step.id, step.looked_at, step.made);
            let seen = self.read(move |read| {
                let Some(job) = find(read.conn, org, id)? else { return Ok(None) };
                let left = job.limit.map_or(u64::MAX, |limit| limit.saturating_sub(job.progress.made));
                let found_max = u32::try_from(left).unwrap_or(u32::MAX).min(made_max);
                let matched = look(read.conn, org, &job.filter, job.progress.cursor, looked_at_max, found_max)?;
                Ok(Some((job, matched)))
            });
            let Some((job, matched)) = seen.await? else { return Ok(None) };
            match job.state {
                ReplayState::Running => self.add(move |tx| advance(tx, &step, job.progress, &matched).map(Some)).await,
                ReplayState::Finished { .. } | ReplayState::Cancelled { .. } => {
                    Ok(Some(Advanced { job, endpoints: Vec::new() }))
                }
            }
        })
    }

    fn cancel_replay(
        &self,
        org: OrgId,
        id: ReplayId,
        now: Timestamp,
        deed: Option<Deed>,
    ) -> Pending<'_, Option<ReplayJob>> {
        self.write(move |tx| {
            let Some(mut job) = find(tx.conn, org, id)? else { return Ok(None) };
            match job.state {
                ReplayState::Running => {
                    job.state = ReplayState::Cancelled { at: truncated(now) };
                    write_progress(tx.conn, &job)?;
                    audit::note(tx, org, deed.as_ref())?;
                    Ok(Some(job))
                }
                ReplayState::Finished { .. } | ReplayState::Cancelled { .. } => {
                    Err(StoreError::Conflict("the replay has ended").into())
                }
            }
        })
    }
}

fn create(tx: &Tx<'_>, job: &ReplayJob) -> Result<()> {
    let running: u32 = tx.conn.prepare_cached(COUNT_RUNNING)?.query_row([job.org_id.0.as_bytes()], |row| row.get(0))?;
    if running >= RUNNING_REPLAYS_MAX {
        return Err(StoreError::Conflict("as many replays run as may").into());
    }
    let filter = &job.filter;
    tx.conn.prepare_cached(INSERT)?.execute(params![
        job.org_id.0.as_bytes(),
        job.id.0.as_bytes(),
        filter.endpoint_id.map(|id| *id.0.as_bytes()),
        filter.state.map(StateKind::as_str),
        filter.reason.map(EndReason::as_str),
        filter.event_type.as_ref().map(watchbell_wire::EventType::as_str),
        filter.since.map(micros_up),
        micros_up(filter.until),
        job.limit.map(signed),
        job.per_second.get(),
        job.matched.map(signed),
        micros(job.created_at),
        job.state.as_str(),
        job.state.ended_at().map(micros),
        job.progress.cursor.map(|id| *id.0.as_bytes()),
        signed(job.progress.looked_at),
        signed(job.progress.made),
    ])?;
    Ok(())
}

fn find(conn: &Connection, org: OrgId, id: ReplayId) -> Result<Option<ReplayJob>> {
    let mut query = conn.prepare_cached("SELECT * FROM replay WHERE org_id = ?1 AND id = ?2")?;
    query.query_row(params![org.0.as_bytes(), id.0.as_bytes()], |row| Ok(job(row))).optional()?.transpose()
}

fn job(row: &Row<'_>) -> Result<ReplayJob> {
    let columns = Columns::of("replay", row);
    let named = |column| columns.get::<Option<String>>(column);
    let state = match named("of_state")? {
        Some(_) => Some(columns.named("of_state", StateKind::parse)?),
        None => None,
    };
    let reason = match named("reason")? {
        Some(_) => Some(columns.named("reason", EndReason::parse)?),
        None => None,
    };
    let event_type = match named("event_type")? {
        Some(_) => Some(columns.named("event_type", |text| text.parse().ok())?),
        None => None,
    };
    let maybe_count = |column| match columns.get::<Option<i64>>(column)? {
        Some(_) => columns.count(column).map(Some),
        None => Ok(None),
    };
    let per_second = NonZeroU32::new(columns.get("per_second")?);
    Ok(ReplayJob {
        id: ReplayId(columns.uuid("id")?),
        org_id: OrgId(columns.uuid("org_id")?),
        filter: ReplayFilter {
            endpoint_id: columns.maybe_uuid("endpoint_id")?.map(EndpointId),
            state,
            reason,
            event_type,
            since: columns.maybe_time("since")?,
            until: columns.time("until")?,
        },
        limit: maybe_count("made_max")?,
        per_second: per_second.ok_or_else(|| columns.corrupt("per_second", "none"))?,
        matched: maybe_count("matched")?,
        created_at: columns.time("created_at")?,
        state: job_state(&columns)?,
        progress: ReplayProgress {
            cursor: columns.maybe_uuid("cursor")?.map(DeliveryId),
            looked_at: columns.count("looked_at")?,
            made: columns.count("made")?,
        },
    })
}

fn job_state(columns: &Columns<'_, '_>) -> Result<ReplayState> {
    match columns.get::<String>("state")?.as_str() {
        "running" => Ok(ReplayState::Running),
        "finished" => Ok(ReplayState::Finished { at: columns.time("ended_at")? }),
        "cancelled" => Ok(ReplayState::Cancelled { at: columns.time("ended_at")? }),
        _ => Err(columns.corrupt("state", "an unknown name")),
    }
}

/// A row that was looked at.
struct Candidate {
    id: DeliveryId,
    event_id: EventId,
    endpoint_id: EndpointId,
    created_at: Timestamp,
}

fn look(
    conn: &Connection,
    org: OrgId,
    filter: &ReplayFilter,
    from: Option<DeliveryId>,
    looked_at_max: u32,
    found_max: u32,
) -> Result<Matched> {
    let (statement, values) = candidates(org, filter, from, looked_at_max);
    let mut query = conn.prepare_cached(&statement)?;
    let mut rows = query.query(params_from_iter(values))?;
    let mut matched = Matched { found: Vec::new(), looked_at: 0, next: None };
    while let Some(row) = rows.next()? {
        let columns = Columns::of("delivery", row);
        let candidate = Candidate {
            id: DeliveryId(columns.uuid("id")?),
            event_id: EventId(columns.uuid("event_id")?),
            endpoint_id: EndpointId(columns.uuid("endpoint_id")?),
            created_at: columns.time("created_at")?,
        };
        matched.looked_at += 1;
        if fits(&columns, filter)? && is_wanted(conn, org, filter, &candidate)? {
            matched.found.push(candidate.id);
        }
        let is_enough = u32::try_from(matched.found.len()).unwrap_or(u32::MAX) >= found_max;
        if is_enough || matched.looked_at >= looked_at_max {
            matched.next = Some(candidate.id);
            break;
        }
    }
    Ok(matched)
}

/// The rows of the filter's window, by the narrowest index there is; no condition that would pass over many.
fn candidates(org: OrgId, filter: &ReplayFilter, from: Option<DeliveryId>, limit: u32) -> (String, Vec<Value>) {
    let state = filter.state.or(filter.reason.map(EndReason::state));
    let rare = state.filter(|state| matches!(state, StateKind::DeadLettered | StateKind::Cancelled));
    let index = match (rare, filter.endpoint_id) {
        (Some(_), Some(_)) => " INDEXED BY delivery_rare_endpoint",
        (Some(_), None) => " INDEXED BY delivery_rare",
        (None, Some(_)) => " INDEXED BY delivery_endpoint",
        (None, None) => "",
    };
    let blob = |id: uuid::Uuid| Value::from(id.as_bytes().to_vec());
    let after = from.map(|id| id.0).unwrap_or_default();
    let since = filter.since.map(|since| first_id(since).0).unwrap_or_default();
    let mut statement = format!(
        "SELECT id, event_id, endpoint_id, state, reason, created_at FROM delivery{index} \
         WHERE org_id = ? AND id > ? AND id >= ? AND id < ?"
    );
    let end = first_id(filter.until.saturating_add(jiff::SignedDuration::from_millis(1)).unwrap_or(Timestamp::MAX));
    let mut values = vec![blob(org.0), blob(after), blob(since), blob(end.0)];
    if let Some(endpoint) = filter.endpoint_id {
        statement.push_str(" AND endpoint_id = ?");
        values.push(blob(endpoint.0));
    }
    if let Some(state) = rare {
        // In the statement's text, for a partial index serves no state that is bound.
        statement.push_str(&format!(" AND state = '{}'", state.as_str()));
    }
    statement.push_str(" ORDER BY id LIMIT ?");
    values.push(limit.into());
    (statement, values)
}

/// What the row itself says.
fn fits(columns: &Columns<'_, '_>, filter: &ReplayFilter) -> Result<bool> {
    let state = columns.named("state", StateKind::parse)?;
    let reason = columns.get::<Option<String>>("reason")?;
    let created_at = micros(columns.time("created_at")?);
    Ok(state.is_terminal()
        && filter.state.is_none_or(|wanted| wanted == state)
        && filter.reason.is_none_or(|wanted| wanted.state() == state && reason.as_deref() == Some(wanted.as_str()))
        && filter.since.is_none_or(|since| created_at >= micros_up(since))
        && created_at < micros_up(filter.until))
}

/// What other rows say.
fn is_wanted(conn: &Connection, org: OrgId, filter: &ReplayFilter, candidate: &Candidate) -> Result<bool> {
    if erase::is_erased(conn, org, candidate.event_id)? {
        return Ok(false);
    }
    let (org, event) = (org.0.as_bytes(), candidate.event_id.0.as_bytes());
    if let Some(wanted) = &filter.event_type {
        let is_of_type: bool =
            conn.prepare_cached(IS_OF_TYPE)?.query_row(params![org, event, wanted.as_str()], |row| row.get(0))?;
        if !is_of_type {
            return Ok(false);
        }
    }
    let (id, endpoint) = (candidate.id.0.as_bytes(), candidate.endpoint_id.0.as_bytes());
    let (created_at, until) = (micros(candidate.created_at), micros_up(filter.until));
    let is_superseded: bool = conn
        .prepare_cached(IS_SUPERSEDED)?
        .query_row(params![event, org, id, endpoint, created_at, until], |row| row.get(0))?;
    Ok(!is_superseded)
}

/// Makes what was found and goes on behind it, if the job still is where it was when that was looked for.
fn advance(tx: &mut Tx<'_>, step: &ReplayStep, seen: ReplayProgress, matched: &Matched) -> Result<Advanced> {
    let found = find(tx.conn, step.org_id, step.id)?;
    let mut job = found.ok_or(StoreError::Conflict("the replay is gone"))?;
    if job.state != ReplayState::Running || job.progress != seen {
        return Ok(Advanced { job, endpoints: Vec::new() });
    }
    let mut endpoints = BTreeSet::new();
    let mut ids = Ids::new(&step.delivery_ids, step.now);
    let now = truncated(step.now);
    for old in &matched.found {
        if let Some((endpoint, is_due)) = repeat(tx, step.org_id, *old, ids.next(), now)? {
            job.progress.made += 1;
            endpoints.extend(is_due.then_some(endpoint));
        }
    }
    job.progress.looked_at += u64::from(matched.looked_at);
    job.progress.cursor = matched.next.or(job.progress.cursor);
    let is_full = job.limit.is_some_and(|limit| job.progress.made >= limit);
    if matched.next.is_none() || is_full {
        job.state = ReplayState::Finished { at: now };
    }
    write_progress(tx.conn, &job)?;
    Ok(Advanced { job, endpoints: endpoints.into_iter().collect() })
}

/// A new delivery that repeats `old`, unless it or its endpoint went meanwhile. Answers where to, and whether it is due.
fn repeat(
    tx: &mut Tx<'_>,
    org_id: OrgId,
    old: DeliveryId,
    id: DeliveryId,
    now: Timestamp,
) -> Result<Option<(EndpointId, bool)>> {
    let row = tx
        .conn
        .prepare_cached("SELECT event_id, endpoint_id FROM delivery WHERE org_id = ?1 AND id = ?2")?
        .query_row(params![org_id.0.as_bytes(), old.0.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((event, endpoint)) = row else { return Ok(None) };
    let (event_id, endpoint_id) =
        (EventId(uuid::Uuid::from_bytes(event)), EndpointId(uuid::Uuid::from_bytes(endpoint)));
    if erase::is_erased(tx.conn, org_id, event_id)? {
        return Ok(None);
    }
    let Some(endpoint) = endpoint::cached(tx, org_id, endpoint_id)? else { return Ok(None) };
    let is_due = matches!(endpoint.state, EndpointState::Active);
    let start = if is_due { Start::Due } else { Start::Held };
    insert(tx.conn, &NewDelivery { org_id, id, event_id, endpoint_id, start, created_at: now, replay_of: Some(old) })?;
    super::delivery::keep_key(tx.conn, &endpoint, id)?;
    tx.hand_over.told.tell(Change::Delivery { org: org_id, id });
    Ok(Some((endpoint_id, is_due)))
}

fn write_progress(conn: &Connection, job: &ReplayJob) -> Result<()> {
    conn.prepare_cached(PROGRESS)?.execute(params![
        job.org_id.0.as_bytes(),
        job.id.0.as_bytes(),
        job.state.as_str(),
        job.state.ended_at().map(micros),
        job.progress.cursor.map(|id| *id.0.as_bytes()),
        signed(job.progress.looked_at),
        signed(job.progress.made),
    ])?;
    Ok(())
}
