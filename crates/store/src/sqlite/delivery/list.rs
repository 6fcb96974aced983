//! Lists and counts of deliveries.

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};
use watchbell_domain::delivery::{Attempt, Delivery, StateKind};
use watchbell_domain::id::{DeliveryId, EventId, OrgId};
use watchbell_domain::port::{DeliveryFilter, Page, PageRequest, StoreError};

use super::row;
use crate::sqlite::error::Result;
use crate::sqlite::event::micros_up;
use crate::sqlite::in_hand::{self, Handed};
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
    deliveries.extend(in_hand::of_event(conn, org, event)?.iter().map(Handed::shown));
    deliveries.sort_by_key(|delivery| delivery.id);
    Ok(deliveries)
}

pub(super) fn page(
    conn: &Connection,
    org: OrgId,
    filter: &DeliveryFilter,
    page: PageRequest,
) -> Result<Page<(Delivery, Vec<Attempt>)>> {
    let (statement, values) = statement(way(conn, org, filter)?, org, filter, page);
    let mut query = conn.prepare_cached(&statement)?;
    let mut found = page::collect(page, query.query(params_from_iter(values))?, row::delivery)?;
    add_those_in_hand(conn, org, filter, page, &mut found)?;
    let with_attempts = |delivery: Delivery| {
        let attempts = row::attempts(conn, org, delivery.id)?;
        Ok((delivery, attempts))
    };
    Ok(Page { items: found.items.into_iter().map(with_attempts).collect::<Result<_>>()?, more: found.more })
}

/// What is in hand has no row: it is few, and put among the rows where it belongs.
fn add_those_in_hand(
    conn: &Connection,
    org: OrgId,
    filter: &DeliveryFilter,
    page: PageRequest,
    found: &mut Page<Delivery>,
) -> Result<()> {
    if filter.state.is_some_and(|state| state != StateKind::Sending) {
        return Ok(());
    }
    let fits = |handed: &Handed| {
        page.before.is_none_or(|before| handed.id.0 < before)
            && filter.endpoint_id.is_none_or(|endpoint| handed.endpoint_id == endpoint)
            && filter.event_id.is_none_or(|event| handed.event_id == event)
            && filter.since.is_none_or(|since| handed.claimed_at >= since)
            && filter.until.is_none_or(|until| handed.claimed_at < until)
    };
    let in_hand = in_hand::of_org(conn, org)?;
    found.items.extend(in_hand.iter().filter(|handed| fits(handed)).map(Handed::shown));
    found.items.sort_by_key(|delivery| std::cmp::Reverse(delivery.id));
    let limit = page::limit(page);
    found.more |= found.items.len() > limit;
    found.items.truncate(limit);
    Ok(())
}

/// How the rows are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By the index of what the filter names; `None`: by the table's own key, newest first.
    Index(Option<&'static str>),
    /// All that waits for its time, sorted: for when that is little.
    Pending,
}

/// The index is named, for SQLite knows nothing of how many rows a condition leaves.
fn way(conn: &Connection, org: OrgId, filter: &DeliveryFilter) -> Result<Way> {
    if filter.event_id.is_some() {
        return Ok(Way::Index(Some("delivery_event")));
    }
    let of_endpoint = filter.endpoint_id.map(|_| "delivery_endpoint");
    let rare = match of_endpoint {
        Some(_) => "delivery_rare_endpoint",
        None => "delivery_rare",
    };
    Ok(match filter.state {
        Some(StateKind::Held | StateKind::DeadLettered | StateKind::Cancelled) => Way::Index(Some(rare)),
        // Never more than are in flight.
        Some(StateKind::Sending) => Way::Index(Some("delivery_sending")),
        Some(StateKind::Pending) if little_waits(conn, org)? => Way::Pending,
        Some(StateKind::Pending | StateKind::Delivered) | None => Way::Index(of_endpoint),
    })
}

/// More than this that wait are not sorted: then one of them is soon met by walking from the newest.
const PENDING_SORTED_MAX: u32 = 10_000;

const OF_ORG: &str = "endpoint_id IN (SELECT id FROM endpoint WHERE org_id = ?)";

fn little_waits(conn: &Connection, org: OrgId) -> Result<bool> {
    let waiting: u32 = conn
        .prepare_cached(&format!(
            "SELECT count(*) FROM (SELECT 1 FROM delivery INDEXED BY delivery_pending \
             WHERE state = 'pending' AND {OF_ORG} LIMIT {PENDING_SORTED_MAX} + 1)"
        ))?
        .query_row([org.0.as_bytes()], |row| row.get(0))?;
    Ok(waiting <= PENDING_SORTED_MAX)
}

fn statement(way: Way, org: OrgId, filter: &DeliveryFilter, page: PageRequest) -> (String, Vec<Value>) {
    let index = match way {
        Way::Index(Some(index)) => format!(" INDEXED BY {index}"),
        Way::Index(None) => String::new(),
        Way::Pending => " INDEXED BY delivery_pending".to_owned(),
    };
    let mut statement = format!("SELECT * FROM delivery{index} WHERE org_id = ? AND id < ?");
    if let Some(state) = filter.state {
        // In the statement's text, for a partial index serves no state that is bound.
        statement.push_str(&format!(" AND state = '{}'", state.as_str()));
    }
    let mut values: Vec<Value> = vec![org.0.as_bytes().to_vec().into(), before(page).to_vec().into()];
    let mut narrow = |condition: &str, value: Option<Value>| {
        if let Some(value) = value {
            statement.push_str(condition);
            values.push(value);
        }
    };
    narrow(&format!(" AND {OF_ORG}"), (way == Way::Pending).then(|| org.0.as_bytes().to_vec().into()));
    narrow(" AND endpoint_id = ?", filter.endpoint_id.map(|id| id.0.as_bytes().to_vec().into()));
    narrow(" AND event_id = ?", filter.event_id.map(|id| id.0.as_bytes().to_vec().into()));
    narrow(" AND created_at >= ?", filter.since.map(|since| micros_up(since).into()));
    narrow(" AND created_at < ?", filter.until.map(|until| micros_up(until).into()));
    // Ids begin with the millisecond of creation: bounds of time are bounds of the key.
    narrow(" AND id >= ?", filter.since.map(|since| first_id(since).0.as_bytes().to_vec().into()));
    statement.push_str(" ORDER BY id DESC LIMIT ?");
    values.push(i64::from(page::fetch(page)).into());
    (statement, values)
}

/// The least id that a delivery made at `time` can have.
pub(in crate::sqlite) fn first_id(time: jiff::Timestamp) -> DeliveryId {
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
    let in_hand = u64::try_from(in_hand::of_org(conn, org)?.len()).unwrap_or_default();
    for (known, count) in &mut counts {
        if *known == StateKind::Sending {
            *count += in_hand;
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use watchbell_domain::id::EndpointId;

    use super::*;

    fn plan(conn: &Connection, filter: &DeliveryFilter) -> Vec<String> {
        let org = OrgId(uuid::Uuid::nil());
        let page = PageRequest { before: None, limit: 50 };
        let (statement, values) = statement(way(conn, org, filter).unwrap(), org, filter, page);
        let mut query = conn.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
        let steps = query.query_map(params_from_iter(values), |row| row.get(3)).unwrap();
        steps.map(std::result::Result::unwrap).collect()
    }

    #[test]
    fn no_list_looks_at_what_it_does_not_show() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(include_str!("../../../migrations/V1__initial.sql")).unwrap();
        let ids = [None, Some(uuid::Uuid::nil())];
        for (state, endpoint, event) in StateKind::ALL
            .into_iter()
            .flat_map(|state| ids.map(|endpoint| (state, endpoint)))
            .flat_map(|(state, endpoint)| ids.map(|event| (state, endpoint, event)))
        {
            let filter = DeliveryFilter {
                state: Some(state),
                endpoint_id: endpoint.map(EndpointId),
                event_id: event.map(EventId),
                ..DeliveryFilter::default()
            };
            let steps = plan(&conn, &filter);
            let index = match (event, state) {
                (Some(_), _) => "delivery_event (event_id=? AND org_id=? AND id<?)",
                (None, StateKind::Sending) => "delivery_sending",
                (None, StateKind::Pending) => "delivery_pending (endpoint_id=?)",
                (None, StateKind::Held | StateKind::DeadLettered | StateKind::Cancelled) => match endpoint {
                    Some(_) => "delivery_rare_endpoint (endpoint_id=? AND state=? AND id<?)",
                    None => "delivery_rare (org_id=? AND state=? AND id<?)",
                },
                (None, StateKind::Delivered) => match endpoint {
                    Some(_) => "delivery_endpoint (endpoint_id=? AND id<?)",
                    None => "PRIMARY KEY (org_id=? AND id<?)",
                },
            };
            assert!(steps.iter().any(|step| step.contains(index)), "{filter:?}\n{steps:#?}");
            let sorted = steps.iter().any(|step| step.contains("TEMP B-TREE"));
            let few = event.is_none() && matches!(state, StateKind::Sending | StateKind::Pending);
            assert_eq!(sorted, few, "only what is little is sorted: {filter:?}\n{steps:#?}");
        }
    }
}
