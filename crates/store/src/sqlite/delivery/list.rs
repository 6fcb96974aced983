//! Lists and counts of deliveries.

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};
use watchbell_domain::delivery::{Attempt, Delivery, StateKind};
use watchbell_domain::id::{DeliveryId, EventId, OrgId};
use watchbell_domain::port::{DeliveryFilter, Page, PageRequest, StoreError};

use super::row;
use crate::sqlite::error::Result;
use crate::sqlite::event::micros_up;
use crate::sqlite::page::{self, before};

/// All deliveries of an event, oldest first.
pub(in crate::sqlite) fn of_event(conn: &Connection, org: OrgId, event: EventId) -> Result<Vec<Delivery>> {
    let mut query = conn.prepare_cached(
        "SELECT * FROM delivery INDEXED BY delivery_event WHERE event_id = ?1 AND org_id = ?2 ORDER BY id",
    )?;
    let mut rows = query.query(params![event.0.as_bytes(), org.0.as_bytes()])?;
    let mut deliveries = Vec::new();
    while let Some(row) = rows.next()? {
        deliveries.push(row::delivery(row)?);
    }
    Ok(deliveries)
}

pub(super) fn page(
    conn: &Connection,
    org: OrgId,
    filter: &DeliveryFilter,
    page: PageRequest,
) -> Result<Page<(Delivery, Vec<Attempt>)>> {
    let (statement, values) = statement(org, filter, page);
    let mut query = conn.prepare_cached(&statement)?;
    let found = page::collect(page, query.query(params_from_iter(values))?, row::delivery)?;
    let with_attempts = |delivery: Delivery| {
        let attempts = row::attempts(conn, org, delivery.id)?;
        Ok((delivery, attempts))
    };
    Ok(Page {
        items: found.items.into_iter().map(with_attempts).collect::<Result<_>>()?,
        more: found.more,
    })
}

/// The index is named, for SQLite knows nothing of how many rows a condition leaves.
fn statement(org: OrgId, filter: &DeliveryFilter, page: PageRequest) -> (String, Vec<Value>) {
    let index = match filter {
        DeliveryFilter { event_id: Some(_), .. } => " INDEXED BY delivery_event",
        DeliveryFilter {
            endpoint_id: Some(_), ..
        } => " INDEXED BY delivery_endpoint",
        DeliveryFilter { .. } => "",
    };
    let mut statement = format!("SELECT * FROM delivery{index} WHERE org_id = ? AND id < ?");
    let mut values: Vec<Value> = vec![org.0.as_bytes().to_vec().into(), before(page).to_vec().into()];
    let mut narrow = |condition: &str, value: Option<Value>| {
        if let Some(value) = value {
            statement.push_str(condition);
            values.push(value);
        }
    };
    narrow(
        " AND state = ?",
        filter.state.map(|state| state.as_str().to_owned().into()),
    );
    narrow(
        " AND endpoint_id = ?",
        filter.endpoint_id.map(|id| id.0.as_bytes().to_vec().into()),
    );
    narrow(
        " AND event_id = ?",
        filter.event_id.map(|id| id.0.as_bytes().to_vec().into()),
    );
    narrow(
        " AND created_at >= ?",
        filter.since.map(|since| micros_up(since).into()),
    );
    narrow(" AND created_at < ?", filter.until.map(|until| micros_up(until).into()));
    // Ids begin with the millisecond of creation: bounds of time are bounds of the key.
    narrow(
        " AND id >= ?",
        filter.since.map(|since| first_id(since).0.as_bytes().to_vec().into()),
    );
    statement.push_str(" ORDER BY id DESC LIMIT ?");
    values.push(i64::from(page::fetch(page)).into());
    (statement, values)
}

/// The least id that a delivery made at `time` can have.
pub(super) fn first_id(time: jiff::Timestamp) -> DeliveryId {
    let millis = u64::try_from(time.as_millisecond()).unwrap_or_default();
    DeliveryId(uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid())
}

pub(super) fn count(conn: &Connection, org: OrgId) -> Result<Vec<(StateKind, u64)>> {
    let mut query = conn.prepare_cached("SELECT state, count(*) FROM delivery WHERE org_id = ?1 GROUP BY state")?;
    let mut rows = query.query([org.0.as_bytes()])?;
    let mut counts: Vec<(StateKind, u64)> = StateKind::ALL.map(|kind| (kind, 0)).to_vec();
    while let Some(row) = rows.next()? {
        let (name, number): (String, i64) = (row.get(0)?, row.get(1)?);
        let kind = StateKind::parse(&name).ok_or_else(|| StoreError::Corrupt {
            table: "delivery",
            column: "state",
            id: org.to_string(),
            problem: "an unknown name".to_owned(),
        })?;
        for (known, count) in &mut counts {
            if *known == kind {
                *count = u64::try_from(number).unwrap_or_default();
            }
        }
    }
    Ok(counts)
}
