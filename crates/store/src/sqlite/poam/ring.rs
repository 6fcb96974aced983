//! Ringing: items whose time has come are looked at, a few in one commit with their events.
//!
//! What rings is the domain's word ([`Item::ring`]); how far an item has rung, and when to look at it again, is written
//! with the event. A node that dies has done both or neither.

use std::collections::BTreeMap;

use rusqlite::params;
use watchbell_domain::finding::FindingStatus;
use watchbell_domain::id::{EventId, OrgId};
use watchbell_domain::poam::{Item, Settings};
use watchbell_domain::port::{RingStep, Rung};

use super::super::error::Result;
use super::super::row::micros;
use super::super::writer::Tx;
use super::{finding_status, item, replace, setting, tell};

const DUE: &str = "SELECT * FROM poam_item INDEXED BY poam_item_ring WHERE next_ring_at <= ?1 \
    ORDER BY next_ring_at LIMIT ?2";

pub(super) fn ring(tx: &mut Tx<'_>, step: &RingStep) -> Result<Rung> {
    let mut settings = BTreeMap::<OrgId, Settings>::new();
    let mut done = Rung::default();
    for mut item in due(tx, step)? {
        let settings = match settings.get(&item.org_id) {
            Some(known) => known,
            None => settings.entry(item.org_id).or_insert(setting::settings(tx.conn, item.org_id)?),
        };
        done.looked_at += 1;
        // Nobody need act on it: it is quiet until its finding is open again, and then is looked at.
        let status = finding_status(tx.conn, item.org_id, item.finding_id)?;
        if status.is_some_and(|status| status != FindingStatus::Open) {
            replace(tx, &item, settings, None)?;
            continue;
        }
        let id = EventId::make(step.now, &*tx.vault.entropy);
        let told = item.ring(settings, step.now, id);
        replace(tx, &item, settings, item.next_ring_at(settings))?;
        if let Some(told) = told {
            done.rung += 1;
            tell(tx, item.org_id, told, step.now)?;
        }
    }
    Ok(done)
}

fn due(tx: &Tx<'_>, step: &RingStep) -> Result<Vec<Item>> {
    let mut query = tx.conn.prepare_cached(DUE)?;
    let mut rows = query.query(params![micros(step.now), step.limit])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(item(row)?);
    }
    Ok(items)
}
