//! Endpoints that have had nothing but failures: since when, and how often.
//!
//! A row stands for an endpoint in trouble and goes with its first success; while all is well the table and the copy in
//! memory are empty, and a settlement costs a look into an empty map. Only the writer changes them; what a failed unit or
//! commit did is forgotten and read again.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use rusqlite::{Connection, params};
use watchbell_domain::delivery::Attempt;
use watchbell_domain::endpoint::Failing;
use watchbell_domain::id::{EndpointId, OrgId};
use watchbell_domain::port::{Next, Settlement};

use super::error::Result;
use super::row::{Columns, micros, truncated};

const ALL: &str = "SELECT endpoint_id AS id, since, attempts FROM endpoint_failing";
const PUT: &str =
    "INSERT OR REPLACE INTO endpoint_failing (org_id, endpoint_id, since, attempts) VALUES (?1, ?2, ?3, ?4)";
const REMOVE: &str = "DELETE FROM endpoint_failing WHERE org_id = ?1 AND endpoint_id = ?2";

/// What the writer knows of them.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// An endpoint that fails for so long is disabled; `None`: none ever is.
    disable_after: Option<SignedDuration>,
    /// `None`: not read yet, or not to be relied on.
    known: Option<BTreeMap<EndpointId, Failing>>,
    /// The running unit has changed something.
    is_touched: bool,
}

impl Failures {
    pub(super) const fn new(disable_after: Option<SignedDuration>) -> Self {
        Self { disable_after, known: None, is_touched: false }
    }

    /// Takes note of a settled attempt. `true`: its endpoint has now failed for so long that it is to be disabled.
    pub(super) fn note(&mut self, conn: &Connection, settlement: &Settlement, attempt: &Attempt) -> Result<bool> {
        let Some(disable_after) = self.disable_after else {
            return Ok(false);
        };
        let known = Self::read(&mut self.known, conn)?;
        let before = known.get(&settlement.endpoint_id).copied();
        let after =
            Failing::after(before, attempt.result, asks_for_a_pause(settlement.next), truncated(settlement.settled_at));
        if before != after {
            self.is_touched = true;
            let key = (settlement.org_id.0.as_bytes(), settlement.endpoint_id.0.as_bytes());
            match after {
                Some(failing) => {
                    let values = params![key.0, key.1, micros(failing.since), failing.attempts];
                    conn.prepare_cached(PUT)?.execute(values)?;
                    known.insert(settlement.endpoint_id, failing);
                }
                None => {
                    conn.prepare_cached(REMOVE)?.execute(params![key.0, key.1])?;
                    known.remove(&settlement.endpoint_id);
                }
            }
        }
        Ok(after.is_some_and(|failing| failing.is_hopeless(settlement.settled_at, disable_after)))
    }

    /// The endpoint begins anew: it was switched on again, points elsewhere, or is gone.
    pub(super) fn forget(&mut self, conn: &Connection, org: OrgId, endpoint: EndpointId) -> Result<()> {
        self.is_touched = true;
        conn.prepare_cached(REMOVE)?.execute(params![org.0.as_bytes(), endpoint.0.as_bytes()])?;
        if let Some(known) = &mut self.known {
            known.remove(&endpoint);
        }
        Ok(())
    }

    pub(super) fn unit_ended(&mut self, done: bool) {
        if std::mem::take(&mut self.is_touched) && !done {
            self.known = None;
        }
    }

    /// The group was not committed.
    pub(super) fn abandoned(&mut self) {
        self.known = None;
        self.is_touched = false;
    }

    fn read<'k>(
        known: &'k mut Option<BTreeMap<EndpointId, Failing>>,
        conn: &Connection,
    ) -> Result<&'k mut BTreeMap<EndpointId, Failing>> {
        if known.is_none() {
            let mut query = conn.prepare_cached(ALL)?;
            let mut rows = query.query([])?;
            let mut all = BTreeMap::new();
            while let Some(row) = rows.next()? {
                let columns = Columns::of("endpoint_failing", row);
                let failing = Failing { since: columns.time("since")?, attempts: columns.get("attempts")? };
                all.insert(EndpointId(columns.uuid("id")?), failing);
            }
            *known = Some(all);
        }
        Ok(known.get_or_insert_default())
    }
}

/// The answer named a time to come again.
const fn asks_for_a_pause(next: Next) -> bool {
    match next {
        Next::Retry { endpoint_pause, .. } | Next::DeadLetter { endpoint_pause, .. } => endpoint_pause.is_some(),
        Next::Delivered => false,
    }
}
