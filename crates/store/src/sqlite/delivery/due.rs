//! Which endpoints have something to do: one seek an endpoint, however many deliveries wait.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};
use watchbell_domain::endpoint::Flow;
use watchbell_domain::id::{EndpointId, OrgId};
use watchbell_domain::port::DueEndpoint;

use crate::sqlite::error::Result;
use crate::sqlite::row::Columns;
use crate::sqlite::{endpoint_row, in_hand};

// Each step of the recursion seeks the first entry of the next endpoint in the index.
pub(super) const PENDING: &str = "WITH RECURSIVE step (id) AS ( \
    SELECT * FROM (SELECT endpoint_id FROM delivery INDEXED BY delivery_pending WHERE state = 'pending' \
                   ORDER BY endpoint_id LIMIT 1) \
    UNION ALL \
    SELECT (SELECT endpoint_id FROM delivery INDEXED BY delivery_pending \
            WHERE state = 'pending' AND endpoint_id > step.id ORDER BY endpoint_id LIMIT 1) \
    FROM step WHERE step.id IS NOT NULL \
  ) \
  SELECT first.org_id, first.endpoint_id AS id, first.due_at, endpoint.not_before, \
    endpoint.max_in_flight, endpoint.rate_limit, endpoint.ordered, endpoint.batch \
  FROM step \
  JOIN delivery AS first ON (first.org_id, first.id) = ( \
    SELECT org_id, id FROM delivery INDEXED BY delivery_pending \
    WHERE state = 'pending' AND endpoint_id = step.id ORDER BY due_at, id LIMIT 1) \
  LEFT JOIN endpoint ON endpoint.org_id = first.org_id AND endpoint.id = first.endpoint_id \
  WHERE step.id IS NOT NULL";
// As many as are in flight: few.
pub(super) const SENDING: &str = "SELECT claim.org_id, claim.endpoint_id AS id, min(claim.lease_until) AS due_at, \
    NULL AS not_before, endpoint.max_in_flight, endpoint.rate_limit, endpoint.ordered, endpoint.batch \
  FROM delivery AS claim INDEXED BY delivery_sending \
  LEFT JOIN endpoint ON endpoint.org_id = claim.org_id AND endpoint.id = claim.endpoint_id \
  WHERE claim.state = 'sending' GROUP BY claim.endpoint_id";

pub(super) fn endpoints(conn: &Connection) -> Result<Vec<DueEndpoint>> {
    let mut due: std::collections::BTreeMap<(OrgId, EndpointId), DueEndpoint> = std::collections::BTreeMap::new();
    for statement in [PENDING, SENDING] {
        let mut query = conn.prepare_cached(statement)?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let found = due_endpoint(row)?;
            due.entry((found.org_id, found.endpoint_id))
                .and_modify(|known| known.due_at = known.due_at.min(found.due_at))
                .or_insert(found);
        }
    }
    for handed in in_hand::all(conn)? {
        due.entry((handed.org_id, handed.endpoint_id))
            .and_modify(|known| known.due_at = known.due_at.min(handed.lease_until))
            .or_insert(DueEndpoint {
                org_id: handed.org_id,
                endpoint_id: handed.endpoint_id,
                due_at: handed.lease_until,
                flow: own_flow(conn, handed.org_id, handed.endpoint_id)?,
            });
    }
    Ok(due.into_values().collect())
}

fn own_flow(conn: &Connection, org: OrgId, id: EndpointId) -> Result<Flow> {
    let mut query = conn.prepare_cached(
        "SELECT id, max_in_flight, rate_limit, ordered, batch FROM endpoint WHERE org_id = ?1 AND id = ?2",
    )?;
    let found = query
        .query_row([org.0.as_bytes(), id.0.as_bytes()], |row| Ok(endpoint_row::flow(&Columns::of("endpoint", row))));
    Ok(found.optional()?.transpose()?.unwrap_or_default())
}

fn due_endpoint(row: &Row<'_>) -> Result<DueEndpoint> {
    let columns = Columns::of("endpoint", row);
    let due_at = columns.time("due_at")?;
    let not_before = columns.maybe_time("not_before")?.unwrap_or(Timestamp::MIN);
    Ok(DueEndpoint {
        org_id: OrgId(columns.uuid("org_id")?),
        endpoint_id: EndpointId(columns.uuid("id")?),
        due_at: due_at.max(not_before),
        flow: endpoint_row::flow(&columns)?,
    })
}
