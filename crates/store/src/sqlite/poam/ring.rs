//! Ringing: items whose time has come are looked at, a few in one commit with their events.
//!
//! What rings is the domain's word ([`Item::ring`]); how far an item has rung, and when to look at it again, is written
//! with the event. A node that dies has done both or neither.
//!
//! An item of an organisation that is suspended is put aside until it is resumed ([`wake`]), and rings then for where it
//! stands. One that cannot be read is put aside for an hour, and keeps no other from ringing.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};
use watchbell_domain::finding::FindingStatus;
use watchbell_domain::id::{EventId, OrgId};
use watchbell_domain::poam::{Item, Settings};
use watchbell_domain::port::{RingStep, Rung, StoreError};

use super::super::error::{Error, Result};
use super::super::row::micros;
use super::super::writer::Tx;
use super::{finding_status, item, replace, setting, tell};

const DUE: &str = "SELECT * FROM poam_item INDEXED BY poam_item_ring WHERE next_ring_at <= ?1 \
    ORDER BY next_ring_at LIMIT ?2";
const PUT_ASIDE: &str = "UPDATE poam_item SET next_ring_at = ?3 WHERE org_id = ?1 AND id = ?2";
const WAKE: &str = "UPDATE poam_item SET next_ring_at = 0 WHERE (org_id, id) IN (SELECT org_id, id FROM poam_item \
    INDEXED BY poam_item_ring WHERE next_ring_at = ?2 AND org_id = ?1 LIMIT ?3)";
const IS_ACTIVE: &str = "SELECT state = 'active' FROM org WHERE id = ?1";

/// Later than any time: until the organisation is resumed.
const UNTIL_RESUMED: i64 = i64::MAX;
/// When an item that cannot be read is looked at again.
const UNREADABLE_REST: SignedDuration = SignedDuration::from_hours(1);

/// An item that is due: its key, and what of it could be read.
struct Due {
    org_id: Vec<u8>,
    id: Vec<u8>,
    item: Result<Item>,
}

/// What is asked of an organisation once in a step.
struct Owner {
    settings: Settings,
    is_active: bool,
}

pub(super) fn ring(tx: &mut Tx<'_>, step: &RingStep) -> Result<Rung> {
    let mut owners = BTreeMap::<OrgId, Owner>::new();
    let mut done = Rung::default();
    for due in due(tx, step)? {
        done.looked_at += 1;
        let seen = due.item.and_then(|item| Ok((seen(tx.conn, &item, &mut owners)?, item)));
        let (seen, item) = match seen {
            Ok(seen) => seen,
            Err(Error::Store(StoreError::Corrupt { table, column, id, problem })) => {
                tracing::error!(table, column, id, %problem, "a plan of action cannot be read, and does not ring");
                let again = step.now.saturating_add(UNREADABLE_REST).unwrap_or(Timestamp::MAX);
                tx.conn.prepare_cached(PUT_ASIDE)?.execute(params![due.org_id, due.id, micros(again)])?;
                done.unreadable += 1;
                continue;
            }
            Err(other) => return Err(other),
        };
        let Some(owner) = owners.get(&item.org_id).filter(|owner| owner.is_active) else {
            tx.conn.prepare_cached(PUT_ASIDE)?.execute(params![due.org_id, due.id, UNTIL_RESUMED])?;
            continue;
        };
        // Nobody need act on it: it is quiet until its finding is open again, and then is looked at.
        if seen.is_some_and(|status| status != FindingStatus::Open) {
            replace(tx, &item, &owner.settings, None)?;
            continue;
        }
        let id = EventId::make(step.now, &*tx.vault.entropy);
        let mut item = item;
        let told = item.ring(&owner.settings, step.now, id);
        replace(tx, &item, &owner.settings, item.next_ring_at(&owner.settings))?;
        if let Some(told) = told {
            done.rung += 1;
            tell(tx, item.org_id, told, step.now)?;
        }
    }
    Ok(done)
}

/// Items of an organisation that were put aside are due again. `false`: there are none any more.
pub(in super::super) fn wake(tx: &Tx<'_>, org: OrgId, limit: u32) -> Result<bool> {
    let woken = tx.conn.prepare_cached(WAKE)?.execute(params![org.0.as_bytes(), UNTIL_RESUMED, limit])?;
    Ok(woken > 0)
}

/// Where the item's finding stands; and whose it is, for the step.
fn seen(conn: &Connection, item: &Item, owners: &mut BTreeMap<OrgId, Owner>) -> Result<Option<FindingStatus>> {
    if let Entry::Vacant(owner) = owners.entry(item.org_id) {
        let mut query = conn.prepare_cached(IS_ACTIVE)?;
        let is_active = query.query_row([item.org_id.0.as_bytes()], |row| row.get(0)).optional()?.unwrap_or(false);
        owner.insert(Owner { settings: setting::settings(conn, item.org_id)?, is_active });
    }
    finding_status(conn, item.org_id, item.finding_id)
}

fn due(tx: &Tx<'_>, step: &RingStep) -> Result<Vec<Due>> {
    let mut query = tx.conn.prepare_cached(DUE)?;
    let mut rows = query.query(params![micros(step.now), step.limit])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(Due { org_id: row.get("org_id")?, id: row.get("id")?, item: item(row) });
    }
    Ok(items)
}
