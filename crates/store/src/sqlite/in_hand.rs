//! Deliveries that were handed over as they were made, and of which nothing has been heard yet.
//!
//! On disk such a delivery has no row of its own: the event has one row in `handed_over` with the ids of all of them. Most
//! deliveries end seconds later with their first attempt; written only then, and once, they cost half of what a row costs
//! that is inserted as waiting and then changed in every index. What is in hand is few: as many as the loop has taken.
//!
//! The writer keeps them in memory as well, to know whose a settlement is. At a start nothing is in hand: whatever the
//! process before had taken becomes a row, interrupted and due.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use uuid::Uuid;
use watchbell_domain::delivery::{Delivery, DeliveryState};
use watchbell_domain::id::{DeliveryId, EndpointId, EventId, OrgId};

use super::delivery::FIRST_LEASE;
use super::error::Result;
use super::row::{Columns, micros};

const INSERT: &str = "INSERT INTO handed_over (event_number, lease_until, deliveries) VALUES (?1, ?2, ?3)";
const REMOVE: &str = "DELETE FROM handed_over WHERE event_number = ?1";
const LIST: &str = "SELECT event.org_id, event.id, event.accepted_at AS claimed_at, handed_over.lease_until, \
    handed_over.deliveries, handed_over.event_number FROM handed_over JOIN event ON event.number = handed_over.event_number";
const HAS_ROW: &str = "SELECT EXISTS (SELECT 1 FROM delivery WHERE org_id = ?1 AND id = ?2)";

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Handed {
    pub(super) org_id: OrgId,
    pub(super) id: DeliveryId,
    pub(super) event_id: EventId,
    pub(super) endpoint_id: EndpointId,
    pub(super) claimed_at: Timestamp,
    pub(super) lease_until: Timestamp,
}

impl Handed {
    /// As it is shown: being sent.
    pub(super) fn shown(&self) -> Delivery {
        Delivery {
            id: self.id,
            org_id: self.org_id,
            event_id: self.event_id,
            endpoint_id: self.endpoint_id,
            state: DeliveryState::Sending { lease_until: self.lease_until, lease: FIRST_LEASE },
            attempts_counted: 0,
            created_at: self.claimed_at,
            replay_of: None,
        }
    }
}

/// What the writer knows of them. A unit's changes are taken back when it fails. When a commit fails, what is on disk is
/// not known: all of it is forgotten then, and read again.
#[derive(Debug, Default)]
pub(super) struct InHand {
    is_forgotten: bool,
    deliveries: HashMap<DeliveryId, (Handed, EventNumber)>,
    /// How many of an event's are left; with the last its row in `handed_over` goes.
    left: HashMap<EventNumber, u32>,
    /// No claim runs out before this.
    first_lease_until: Option<Timestamp>,
    /// What the running unit did, to be taken back.
    done: Vec<Change>,
}

type EventNumber = i64;

#[derive(Debug)]
enum Change {
    Added(DeliveryId),
    Removed(Handed, EventNumber),
}

impl InHand {
    /// Writes down what is handed over of one event, all claimed when it was accepted and for as long.
    pub(super) fn add(&mut self, conn: &Connection, event_number: EventNumber, handed: &[Handed]) -> Result<()> {
        let Some(first) = handed.first() else {
            return Ok(());
        };
        self.remember(conn)?;
        let mut packed = Vec::with_capacity(handed.len() * 32);
        for one in handed {
            packed.extend_from_slice(one.id.0.as_bytes());
            packed.extend_from_slice(one.endpoint_id.0.as_bytes());
            self.put(*one, event_number);
            self.done.push(Change::Added(one.id));
        }
        conn.prepare_cached(INSERT)?.execute(params![event_number, micros(first.lease_until), packed])?;
        Ok(())
    }

    /// Takes one out, which the caller makes a row of; `None`: it is not in hand, or somebody else's.
    pub(super) fn remove(
        &mut self,
        conn: &Connection,
        org: OrgId,
        endpoint: EndpointId,
        id: DeliveryId,
    ) -> Result<Option<Handed>> {
        self.remember(conn)?;
        let Entry::Occupied(found) = self.deliveries.entry(id) else {
            return Ok(None);
        };
        let (handed, event_number) = *found.get();
        if handed.org_id != org || handed.endpoint_id != endpoint {
            return Ok(None);
        }
        found.remove();
        self.done.push(Change::Removed(handed, event_number));
        if self.count_down(event_number) {
            conn.prepare_cached(REMOVE)?.execute([event_number])?;
        }
        Ok(Some(handed))
    }

    /// Those of an endpoint whose claim has run out.
    pub(super) fn expired(
        &mut self,
        conn: &Connection,
        org: OrgId,
        endpoint: EndpointId,
        now: Timestamp,
    ) -> Result<Vec<Handed>> {
        self.remember(conn)?;
        if self.first_lease_until.is_none_or(|first| now < first) {
            return Ok(Vec::new());
        }
        let all = || self.deliveries.values().map(|(handed, _)| *handed);
        let mut expired: Vec<Handed> =
            all().filter(|one| one.org_id == org && one.endpoint_id == endpoint && one.lease_until <= now).collect();
        expired.sort_by_key(|one| one.id);
        self.first_lease_until = all().map(|one| one.lease_until).min();
        Ok(expired)
    }

    /// Whether any of an endpoint is in hand.
    pub(super) fn has(&mut self, conn: &Connection, org: OrgId, endpoint: EndpointId) -> Result<bool> {
        self.remember(conn)?;
        Ok(self.deliveries.values().any(|(handed, _)| handed.org_id == org && handed.endpoint_id == endpoint))
    }

    pub(super) fn unit_ended(&mut self, done: bool) {
        let changes = std::mem::take(&mut self.done);
        if done {
            return;
        }
        for change in changes.into_iter().rev() {
            match change {
                Change::Added(id) => {
                    if let Some((_, event_number)) = self.deliveries.remove(&id) {
                        self.count_down(event_number);
                    }
                }
                Change::Removed(handed, event_number) => self.put(handed, event_number),
            }
        }
    }

    /// A commit failed, or so it says: what is in hand is on disk.
    pub(super) fn forget(&mut self) {
        *self = Self { is_forgotten: true, ..Self::default() };
    }

    fn remember(&mut self, conn: &Connection) -> Result<()> {
        if self.is_forgotten {
            for (handed, event_number) in list(conn, LIST, [])? {
                self.put(handed, event_number);
            }
            self.is_forgotten = false;
        }
        Ok(())
    }

    fn put(&mut self, handed: Handed, event_number: EventNumber) {
        self.deliveries.insert(handed.id, (handed, event_number));
        *self.left.entry(event_number).or_default() += 1;
        let first = self.first_lease_until.unwrap_or(Timestamp::MAX);
        self.first_lease_until = Some(first.min(handed.lease_until));
    }

    /// Whether that was the event's last.
    fn count_down(&mut self, event_number: EventNumber) -> bool {
        let Entry::Occupied(mut left) = self.left.entry(event_number) else {
            return true;
        };
        *left.get_mut() -= 1;
        let is_last = *left.get() == 0;
        if is_last {
            left.remove();
        }
        is_last
    }
}

/// All that are in hand, as the connection sees them: few.
pub(super) fn all(conn: &Connection) -> Result<Vec<Handed>> {
    Ok(without_numbers(list(conn, LIST, [])?))
}

/// Those of one organisation.
pub(super) fn of_org(conn: &Connection, org: OrgId) -> Result<Vec<Handed>> {
    Ok(without_numbers(list(conn, &format!("{LIST} WHERE event.org_id = ?1"), [org.0.as_bytes()])?))
}

/// Those of one event.
pub(super) fn of_event(conn: &Connection, org: OrgId, event: EventId) -> Result<Vec<Handed>> {
    let statement = format!("{LIST} WHERE event.org_id = ?1 AND event.id = ?2");
    Ok(without_numbers(list(conn, &statement, [org.0.as_bytes(), event.0.as_bytes()])?))
}

/// One.
pub(super) fn find(conn: &Connection, org: OrgId, id: DeliveryId) -> Result<Option<Handed>> {
    Ok(of_org(conn, org)?.into_iter().find(|handed| handed.id == id))
}

/// At the start: forgets them all, for each has become a row.
pub(super) fn clear(conn: &Connection) -> rusqlite::Result<usize> {
    conn.execute("DELETE FROM handed_over", [])
}

fn without_numbers(list: Vec<(Handed, EventNumber)>) -> Vec<Handed> {
    list.into_iter().map(|(handed, _)| handed).collect()
}

fn list(conn: &Connection, statement: &str, params: impl rusqlite::Params) -> Result<Vec<(Handed, EventNumber)>> {
    let mut query = conn.prepare_cached(statement)?;
    let mut has_row = conn.prepare_cached(HAS_ROW)?;
    let mut rows = query.query(params)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        for handed in unpacked(row)? {
            // Those that were heard of have a row, while the last of their event has not been heard of.
            let is_row: bool =
                has_row.query_row(params![handed.org_id.0.as_bytes(), handed.id.0.as_bytes()], |row| row.get(0))?;
            if !is_row {
                all.push((handed, row.get("event_number")?));
            }
        }
    }
    Ok(all)
}

fn unpacked(row: &Row<'_>) -> Result<Vec<Handed>> {
    let columns = Columns::of("handed_over", row);
    let (org_id, event_id) = (OrgId(columns.uuid("org_id")?), EventId(columns.uuid("id")?));
    let (claimed_at, lease_until) = (columns.time("claimed_at")?, columns.time("lease_until")?);
    let packed: Vec<u8> = columns.get("deliveries")?;
    let (ids, []) = packed.as_chunks::<16>() else {
        return Err(columns.corrupt("deliveries", "half an entry"));
    };
    let (pairs, []) = ids.as_chunks::<2>() else {
        return Err(columns.corrupt("deliveries", "half an entry"));
    };
    let handed = pairs.iter().map(|[id, endpoint]| Handed {
        org_id,
        id: DeliveryId(Uuid::from_bytes(*id)),
        event_id,
        endpoint_id: EndpointId(Uuid::from_bytes(*endpoint)),
        claimed_at,
        lease_until,
    });
    Ok(handed.collect())
}
