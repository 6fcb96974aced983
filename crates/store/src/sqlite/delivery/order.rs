//! Which deliveries of an endpoint come next: by age, retries and first attempts sharing; in order; in order by project.
//!
//! In order by project a delivery has a key while it waits: its event's project, or 16 zero bytes. The oldest of each key
//! is its head; a claim looks at one head after the other, a seek each, from a key drawn by chance on, so that a project
//! with very much waiting is no longer way to the next one and none is looked at last for ever.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{Connection, params};
use watchbell_domain::endpoint::{Endpoint, Order};
use watchbell_domain::id::{DeliveryId, EndpointId, EventId, OrgId};
use watchbell_domain::port::Claim;

use super::claim::Due;
use crate::sqlite::error::Result;
use crate::sqlite::row::{Columns, micros};
use crate::sqlite::writer::Tx;

pub(super) const DUE: &str = "SELECT org_id, id, event_id, lease, attempts, attempts_counted \
    FROM delivery INDEXED BY delivery_pending \
    WHERE state = 'pending' AND endpoint_id = ?1 AND org_id = ?2 AND due_at <= ?3 ORDER BY due_at, id LIMIT ?4";
// Those that were never claimed.
pub(super) const DUE_UNTRIED: &str = "SELECT org_id, id, event_id, lease, attempts, attempts_counted \
    FROM delivery INDEXED BY delivery_untried \
    WHERE state = 'pending' AND lease = 0 AND endpoint_id = ?1 AND org_id = ?2 AND due_at <= ?3 \
    ORDER BY due_at, id LIMIT ?4";
// The oldest that waits, among those claimed before and among the others: these are due when they were made.
pub(super) const FIRST_TRIED: &str = "SELECT org_id, id, event_id, lease, attempts, attempts_counted, due_at \
    FROM delivery INDEXED BY delivery_tried \
    WHERE state = 'pending' AND lease > 0 AND endpoint_id = ?1 AND org_id = ?2 ORDER BY id LIMIT 1";
pub(super) const FIRST_UNTRIED: &str = "SELECT org_id, id, event_id, lease, attempts, attempts_counted, due_at \
    FROM delivery INDEXED BY delivery_untried \
    WHERE state = 'pending' AND lease = 0 AND endpoint_id = ?1 AND org_id = ?2 ORDER BY due_at, id LIMIT 1";
pub(super) const IS_SENDING: &str = "SELECT EXISTS (SELECT 1 FROM delivery INDEXED BY delivery_sending \
    WHERE state = 'sending' AND endpoint_id = ?1 AND org_id = ?2)";
// The head of the next key.
pub(super) const HEAD: &str = "SELECT order_key, org_id, id, event_id, lease, attempts, attempts_counted, due_at \
    FROM delivery INDEXED BY delivery_keyed \
    WHERE state = 'pending' AND order_key IS NOT NULL AND endpoint_id = ?1 AND org_id = ?2 AND order_key > ?3 \
    ORDER BY order_key, id LIMIT 1";
pub(super) const KEYS_SENDING: &str = "SELECT order_key FROM delivery INDEXED BY delivery_sending \
    WHERE state = 'sending' AND endpoint_id = ?1 AND org_id = ?2";

const KEY: &str = "coalesce((SELECT project_id FROM event \
    WHERE event.org_id = delivery.org_id AND event.id = delivery.event_id), zeroblob(16))";

/// Heads looked at in one claim.
const HEADS_MAX: usize = 4_096;

/// What to take now, and when there is more to take.
pub(super) struct Next {
    pub(super) due: Vec<Due>,
    pub(super) more: More,
}

/// When an endpoint has more to take.
pub(super) enum More {
    /// When the first that waits is due.
    ByAge,
    /// Not before the first in order is due.
    From(Timestamp),
    /// Then; `None`: once something is over.
    At(Option<Timestamp>),
}

/// What an endpoint that may be sent to has for a claim.
pub(super) fn next(tx: &mut Tx<'_>, claim: &Claim, order: Order, now: Timestamp) -> Result<Next> {
    match order {
        Order::Any => Ok(Next { due: shared(tx.conn, claim, now)?, more: More::ByAge }),
        Order::Endpoint => first(tx, claim, now),
        Order::Project => heads(tx, claim, now),
    }
}

/// By age; where more retries would come than their share, first attempts that are due take the places beyond it.
fn shared(conn: &Connection, claim: &Claim, now: Timestamp) -> Result<Vec<Due>> {
    let all = due(conn, DUE, claim, now, claim.limit)?;
    let share = usize::try_from(claim.retries).unwrap_or(usize::MAX);
    if all.iter().filter(|due| due.is_tried()).count() <= share {
        return Ok(all);
    }
    let (mut retries, untried): (Vec<Due>, Vec<Due>) = all.into_iter().partition(Due::is_tried);
    let beyond = retries.split_off(share);
    let places = claim.limit.saturating_sub(claim.retries);
    let first_attempts = due(conn, DUE_UNTRIED, claim, now, places)?;
    // As many as the places that were not its share to have.
    let displaced = first_attempts.len().saturating_sub(untried.len());
    let kept = beyond.len().saturating_sub(displaced);
    retries.extend(beyond.into_iter().take(kept));
    retries.extend(first_attempts);
    Ok(retries)
}

fn due(conn: &Connection, statement: &'static str, claim: &Claim, now: Timestamp, limit: u32) -> Result<Vec<Due>> {
    let mut query = conn.prepare_cached(statement)?;
    let mut rows =
        query.query(params![claim.endpoint_id.0.as_bytes(), claim.org_id.0.as_bytes(), micros(now), limit])?;
    let mut due = Vec::new();
    while let Some(row) = rows.next()? {
        due.push(Due::of(&Columns::of("delivery", row))?);
    }
    Ok(due)
}

/// In order: its oldest delivery that is not over, if it waits and is due; else when that will be. While one is being sent
/// there is none.
fn first(tx: &mut Tx<'_>, claim: &Claim, now: Timestamp) -> Result<Next> {
    let nothing = Next { due: Vec::new(), more: More::ByAge };
    if claim.limit == 0 {
        return Ok(nothing);
    }
    let key = params![claim.endpoint_id.0.as_bytes(), claim.org_id.0.as_bytes()];
    let is_sending: bool = tx.conn.prepare_cached(IS_SENDING)?.query_row(key, |row| row.get(0))?;
    if is_sending || tx.hand_over.in_hand.has(tx.conn, claim.org_id, claim.endpoint_id)? {
        return Ok(nothing);
    }
    let mut first: Option<(Due, Timestamp)> = None;
    for statement in [FIRST_TRIED, FIRST_UNTRIED] {
        let mut query = tx.conn.prepare_cached(statement)?;
        let mut rows = query.query(key)?;
        if let Some(row) = rows.next()? {
            let columns = Columns::of("delivery", row);
            let found = (Due::of(&columns)?, columns.time("due_at")?);
            first = match first {
                Some(older) if older.0.id < found.0.id => Some(older),
                Some(_) | None => Some(found),
            };
        }
    }
    Ok(match first {
        Some((due, due_at)) if due_at <= now => Next { due: vec![due], more: More::ByAge },
        Some((_, due_at)) => Next { due: Vec::new(), more: More::From(due_at) },
        None => nothing,
    })
}

/// In order by project: the heads that are due, but for projects of which one is being sent.
fn heads(tx: &mut Tx<'_>, claim: &Claim, now: Timestamp) -> Result<Next> {
    let mut found = Next { due: Vec::new(), more: More::At(None) };
    let mut busy = BTreeSet::new();
    let mut query = tx.conn.prepare_cached(KEYS_SENDING)?;
    let mut rows = query.query(params![claim.endpoint_id.0.as_bytes(), claim.org_id.0.as_bytes()])?;
    while let Some(row) = rows.next()? {
        busy.insert(row.get::<_, Option<Vec<u8>>>(0)?);
    }
    // Whatever was begun before there was an order, of whichever project, is waited for.
    let has_others = busy.contains(&None) || tx.hand_over.in_hand.has(tx.conn, claim.org_id, claim.endpoint_id)?;
    let limit = usize::try_from(claim.limit).unwrap_or(usize::MAX);
    if has_others || limit == 0 {
        return Ok(found);
    }
    let mut start = vec![0; 16];
    tx.vault.entropy.fill(&mut start);
    let mut more = None;
    let mut after = start.clone();
    let mut is_round = false;
    for _ in 0..HEADS_MAX {
        let Some((key, due, due_at)) = head(tx.conn, claim, &after)? else {
            if std::mem::replace(&mut is_round, true) {
                break;
            }
            // Every key is greater than the empty one.
            after = Vec::new();
            continue;
        };
        if is_round && key > start {
            break;
        }
        let is_busy = busy.contains(&Some(key.clone()));
        after = key;
        if is_busy {
            continue;
        }
        if due_at <= now && found.due.len() < limit {
            found.due.push(due);
        } else {
            more = Some(more.map_or(due_at, |more: Timestamp| more.min(due_at)));
            if due_at <= now {
                break;
            }
        }
    }
    found.more = More::At(more);
    Ok(found)
}

fn head(conn: &Connection, claim: &Claim, after: &[u8]) -> Result<Option<(Vec<u8>, Due, Timestamp)>> {
    let mut query = conn.prepare_cached(HEAD)?;
    let mut rows = query.query(params![claim.endpoint_id.0.as_bytes(), claim.org_id.0.as_bytes(), after])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let columns = Columns::of("delivery", row);
    Ok(Some((columns.get("order_key")?, Due::of(&columns)?, columns.time("due_at")?)))
}

/// Gives a delivery that waits for an endpoint in order by project its key.
pub(in crate::sqlite) fn keep_key(conn: &Connection, endpoint: &Endpoint, id: DeliveryId) -> Result<()> {
    match endpoint.policy.order {
        Order::Any | Order::Endpoint => Ok(()),
        Order::Project => {
            const ONE: &str = "WHERE org_id = ?1 AND id = ?2 AND order_key IS NULL";
            let statement = format!("UPDATE delivery SET order_key = {KEY} {ONE}");
            conn.prepare_cached(&statement)?.execute(params![endpoint.org_id.0.as_bytes(), id.0.as_bytes()])?;
            Ok(())
        }
    }
}

/// Gives all that wait for an endpoint their keys: it is in order by project from now on.
pub(in crate::sqlite) fn keep_keys(conn: &Connection, org: OrgId, endpoint: EndpointId) -> Result<()> {
    for (state, index) in [("pending", "delivery_pending"), ("held", "delivery_held"), ("sending", "delivery_sending")]
    {
        let statement = format!(
            "UPDATE delivery INDEXED BY {index} SET order_key = {KEY} \
             WHERE state = '{state}' AND endpoint_id = ?2 AND org_id = ?1 AND order_key IS NULL"
        );
        conn.execute(&statement, params![org.0.as_bytes(), endpoint.0.as_bytes()])?;
    }
    Ok(())
}

/// At the start: what the process before had in hand, when an order was given, has its key from now on.
pub(in crate::sqlite) fn keep_all_keys(conn: &Connection) -> Result<()> {
    let mut query = conn.prepare("SELECT org_id, id FROM endpoint WHERE ordered = 'project'")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let columns = Columns::of("endpoint", row);
        keep_keys(conn, OrgId(columns.uuid("org_id")?), EndpointId(columns.uuid("id")?))?;
    }
    Ok(())
}

impl Due {
    fn of(columns: &Columns<'_, '_>) -> Result<Self> {
        Ok(Self {
            id: DeliveryId(columns.uuid("id")?),
            event_id: EventId(columns.uuid("event_id")?),
            lease: watchbell_domain::delivery::Lease(columns.count("lease")?),
            attempts: columns.get("attempts")?,
            attempts_counted: columns.get("attempts_counted")?,
        })
    }

    /// Whether it was claimed before.
    const fn is_tried(&self) -> bool {
        self.lease.0 > 0
    }
}
