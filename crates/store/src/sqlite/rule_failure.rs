//! Endpoints whose rules could not be asked about an event: since when, how often, why the last time. No row: all is well.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, params};
use watchbell_domain::id::{EndpointId, EventId, OrgId};
use watchbell_domain::rule::{Broken, RuleFailure};

use super::error::Result;
use super::row::{Columns, micros};

const NOTE: &str = "INSERT INTO rule_failure (org_id, endpoint_id, since, last_at, events, event_id, why) \
    VALUES (?1, ?2, ?3, ?3, 1, ?4, ?5) ON CONFLICT (org_id, endpoint_id) DO UPDATE SET \
    last_at = excluded.last_at, events = events + 1, event_id = excluded.event_id, why = excluded.why";
const FORGET: &str = "DELETE FROM rule_failure WHERE org_id = ?1 AND endpoint_id = ?2";
const OF_ORG: &str =
    "SELECT endpoint_id AS id, since, last_at, events, event_id, why FROM rule_failure WHERE org_id = ?1";

/// Takes note of the rules that could not be asked about an event.
pub(super) fn note(conn: &Connection, org: OrgId, event: EventId, at: Timestamp, broken: &[Broken]) -> Result<()> {
    for broken in broken {
        let values =
            params![org.0.as_bytes(), broken.endpoint_id.0.as_bytes(), micros(at), event.0.as_bytes(), broken.why,];
        conn.prepare_cached(NOTE)?.execute(values)?;
    }
    Ok(())
}

/// The rules are others now, or the endpoint is gone.
pub(super) fn forget(conn: &Connection, org: OrgId, endpoint: EndpointId) -> Result<()> {
    conn.prepare_cached(FORGET)?.execute(params![org.0.as_bytes(), endpoint.0.as_bytes()])?;
    Ok(())
}

/// An organisation's.
pub(super) fn of_org(conn: &Connection, org: OrgId) -> Result<BTreeMap<EndpointId, RuleFailure>> {
    let mut query = conn.prepare_cached(OF_ORG)?;
    let mut rows = query.query([org.0.as_bytes()])?;
    let mut failures = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let columns = Columns::of("rule_failure", row);
        let failure = RuleFailure {
            since: columns.time("since")?,
            last_at: columns.time("last_at")?,
            events: columns.count("events")?,
            event_id: EventId(columns.uuid("event_id")?),
            why: columns.get("why")?,
        };
        failures.insert(EndpointId(columns.uuid("id")?), failure);
    }
    Ok(failures)
}
