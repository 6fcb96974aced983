//! Events: accepting them with their deliveries, and looking them up.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use watchbell_domain::delivery::Delivery;
use watchbell_domain::event::{Accepted, AcceptedEvent, NewEvent};
use watchbell_domain::id::{DeliveryId, EventId, OrgId, ProjectId, SourceId};
use watchbell_domain::port::{
    Acceptance, Change, ClaimedDelivery, EventFilter, EventStore, Once, Page, PageRequest, Pending, Taken, Written,
};
use watchbell_domain::route::Storm;
use watchbell_wire::{Data, Event};

use super::SqliteStore;
use super::delivery::{self, FIRST_LEASE, NewDelivery, Start};
use super::error::{OrConflict, Result};
use super::in_hand::Handed;
use super::once::once;
use super::page::{self, before};
use super::poam;
use super::routing::{self, Begins, Routed, Scene};
use super::row::{Columns, micros};
use super::rule_failure;
use super::writer::Tx;
use crate::delivery_ids::Ids;

const INSERT: &str = "INSERT INTO event (org_id, id, type, occurred_at, accepted_at, project_id, skipped, data, hops, \
                      source_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

impl EventStore for SqliteStore {
    fn accept(&self, acceptance: Acceptance, key: Option<Once>) -> Pending<'_, Written<Vec<Accepted>>> {
        let Some(key) = key else {
            return self.add_often(move |tx| accept_said(tx, &acceptance).map(Written::Fresh));
        };
        self.add(move |tx| {
            once(tx, acceptance.org_id, acceptance.accepted_at, Some(&key), |tx| accept_said(tx, &acceptance))
        })
    }

    fn event(&self, org: OrgId, id: EventId) -> Pending<'_, Option<(AcceptedEvent, Vec<Delivery>)>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached("SELECT * FROM event WHERE org_id = ?1 AND id = ?2")?;
            let found = query.query_row(params![org.0.as_bytes(), id.0.as_bytes()], |row| Ok(accepted_event(row)));
            match found.optional()?.transpose()? {
                Some(event) => Ok(Some((event, delivery::of_event(read.conn, org, id)?))),
                None => Ok(None),
            }
        })
    }

    fn events(&self, org: OrgId, filter: EventFilter, page: PageRequest) -> Pending<'_, Page<AcceptedEvent>> {
        self.read(move |read| list(read.conn, org, &filter, page))
    }
}

/// As [`accept`], for what others say happened: what they say of findings, plans of action follow.
pub(super) fn accept_said(tx: &mut Tx<'_>, acceptance: &Acceptance) -> Result<Vec<Accepted>> {
    let accepted = accept(tx, acceptance)?;
    poam::said(tx, acceptance)?;
    Ok(accepted)
}

/// Writes events and a delivery for every endpoint that gets them.
pub(super) fn accept(tx: &mut Tx<'_>, acceptance: &Acceptance) -> Result<Vec<Accepted>> {
    accept_scan(tx, acceptance, None)
}

/// As [`accept`] for the events of a scan. The digest is written only if an endpoint gets it.
pub(super) fn accept_scan(
    tx: &mut Tx<'_>,
    acceptance: &Acceptance,
    storm: Option<&(Storm, NewEvent)>,
) -> Result<Vec<Accepted>> {
    let endpoints = tx.endpoints.of_org(tx.conn, tx.vault, acceptance.org_id)?;
    let scene = Scene { org: acceptance.org_id, at: acceptance.accepted_at, endpoints: &endpoints };
    let mut ids = Ids::new(&acceptance.delivery_ids, acceptance.accepted_at);
    let weather = storm.map(|(storm, _)| scene.weather(tx, storm, &acceptance.events)).transpose()?;
    let mut accepted = Vec::with_capacity(acceptance.events.len());
    for new in &acceptance.events {
        let routed = scene.route(tx, new, weather.as_ref())?;
        accepted.push(accept_routed(tx, acceptance, new, routed, &mut ids)?);
    }
    if let (Some((_, digest)), Some(weather)) = (storm, &weather) {
        let routed = scene.route_digest(weather);
        if !routed.to.is_empty() {
            accepted.push(accept_routed(tx, acceptance, digest, routed, &mut ids)?);
        }
    }
    Ok(accepted)
}

fn accept_routed(
    tx: &mut Tx<'_>,
    acceptance: &Acceptance,
    new: &NewEvent,
    routed: Routed<'_>,
    ids: &mut Ids,
) -> Result<Accepted> {
    let Routed { to, skipped, broken } = routed;
    let inserted = tx.conn.prepare_cached(INSERT)?.execute(params![
        acceptance.org_id.0.as_bytes(),
        new.event.id.as_bytes(),
        new.event.event_type.as_str(),
        micros(new.event.occurred_at),
        micros(acceptance.accepted_at),
        new.project_id.map(|project| *project.0.as_bytes()),
        (!skipped.is_empty()).then_some(skipped),
        new.event.data.text(),
        (new.hops > 0).then_some(new.hops),
        new.source_id.map(|source| *source.0.as_bytes()),
    ]);
    inserted.or_conflict("an event of this id exists")?;
    let event_number = tx.conn.last_insert_rowid();
    let (org_id, event_id, accepted_at) = (acceptance.org_id, EventId(new.event.id), acceptance.accepted_at);
    tx.hand_over.told.tell(Change::Event { org: org_id, id: event_id });
    rule_failure::note(tx.conn, org_id, event_id, accepted_at, &broken)?;
    watchbell_domain::failpoint::at("store.accept")?;
    let mut deliveries = Vec::with_capacity(to.len());
    let mut handed = Vec::new();
    let mut shared = None;
    for (endpoint, begins) in to {
        let (id, endpoint_id) = (ids.next(), endpoint.id);
        deliveries.push((id, endpoint_id));
        tx.hand_over.told.tell(Change::Delivery { org: org_id, id });
        let claimed_until = match begins {
            Begins::Now => tx.hand_over.claim(endpoint),
            // What gathers is not told of one by one: the loop hears of it when it asks what is due.
            Begins::Held | Begins::Gathers(_) => None,
            Begins::Later(_) => {
                tx.hand_over.waits(endpoint);
                None
            }
        };
        if let Some(lease_until) = claimed_until {
            handed.push(Handed { org_id, id, event_id, endpoint_id, claimed_at: accepted_at, lease_until });
            let event = shared.get_or_insert_with(|| Arc::new(as_stored(&new.event)));
            tx.hand_over.push(Taken {
                endpoint: Arc::clone(endpoint),
                delivery: first_attempt(id, Arc::clone(event), new.hops),
            });
            continue;
        }
        let start = match begins {
            Begins::Held => Start::Held,
            Begins::Now => Start::Due,
            Begins::Later(at) | Begins::Gathers(at) => Start::Later(at),
        };
        let (created_at, replay_of) = (accepted_at, None);
        delivery::insert(tx.conn, &NewDelivery { org_id, id, event_id, endpoint_id, start, created_at, replay_of })?;
        delivery::keep_key(tx.conn, endpoint, id)?;
        if let (Begins::Gathers(until), Some(batch)) = (begins, endpoint.policy.batch)
            && delivery::close_if_full(tx.conn, endpoint, (until, batch.max), accepted_at)?
        {
            tx.hand_over.waits(endpoint);
        }
    }
    tx.hand_over.in_hand.add(tx.conn, event_number, &handed)?;
    Ok(Accepted { event_id, deliveries })
}

/// The event as reading it back would give it: times in whole microseconds.
fn as_stored(event: &Event) -> Event {
    Event { occurred_at: super::row::truncated(event.occurred_at), ..event.clone() }
}

fn first_attempt(id: DeliveryId, event: Arc<Event>, hops: u8) -> ClaimedDelivery {
    ClaimedDelivery {
        id,
        lease: FIRST_LEASE,
        attempt_number: 1,
        attempts_counted: 0,
        latest_results: Vec::new(),
        event,
        hops,
        body: None,
    }
}

fn list(conn: &Connection, org: OrgId, filter: &EventFilter, page: PageRequest) -> Result<Page<AcceptedEvent>> {
    let mut statement = "SELECT * FROM event WHERE org_id = ? AND id < ?".to_owned();
    let mut values: Vec<rusqlite::types::Value> = vec![org.0.as_bytes().to_vec().into(), before(page).to_vec().into()];
    if let Some(event_type) = &filter.event_type {
        statement.push_str(" AND type = ?");
        values.push(event_type.as_str().to_owned().into());
    }
    if let Some(project) = filter.project_id {
        statement.push_str(" AND project_id = ?");
        values.push(project.0.as_bytes().to_vec().into());
    }
    let bounds = [(" AND accepted_at >= ?", filter.since), (" AND accepted_at < ?", filter.until)];
    for (condition, bound) in bounds {
        if let Some(bound) = bound {
            statement.push_str(condition);
            values.push(micros_up(bound).into());
        }
    }
    statement.push_str(" ORDER BY id DESC LIMIT ?");
    values.push(i64::from(page::fetch(page)).into());
    let mut query = conn.prepare_cached(&statement)?;
    page::collect(page, query.query(params_from_iter(values))?, accepted_event)
}

/// A bound in whole microseconds: what is stored is rounded down, so a bound within a microsecond is rounded up.
pub(super) fn micros_up(bound: Timestamp) -> i64 {
    let whole = micros(bound);
    if super::row::truncated(bound) < bound { whole + 1 } else { whole }
}

fn accepted_event(row: &Row<'_>) -> Result<AcceptedEvent> {
    let columns = Columns::of("event", row);
    Ok(AcceptedEvent {
        event: event(&columns)?,
        org_id: OrgId(columns.uuid("org_id")?),
        project_id: columns.maybe_uuid("project_id")?.map(ProjectId),
        source_id: columns.maybe_uuid("source_id")?.map(SourceId),
        accepted_at: columns.time("accepted_at")?,
        erased_at: columns.maybe_time("erased_at")?,
        skipped: routing::skips(&columns)?,
    })
}

/// The fact itself.
pub(super) fn event(columns: &Columns<'_, '_>) -> Result<Event> {
    let data: String = columns.get("data")?;
    Ok(Event {
        id: columns.uuid("id")?,
        event_type: columns.named("type", |text| text.parse().ok())?,
        occurred_at: columns.time("occurred_at")?,
        data: Data::from_text(data).map_err(|problem| columns.corrupt("data", problem))?,
    })
}
