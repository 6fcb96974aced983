//! Which endpoints have something due, and whose turn it is. Pure: time comes in, claims come out.
//!
//! ```text
//!            due later            due now
//!  Idle ──▶ Later (by time) ──▶ Ready (in turn) ──▶ Claiming ──▶ Idle, Later, Ready
//!                                   └── organisation's window full ──▶ Blocked ──▶ Ready
//! ```
//!
//! An endpoint whose own window is full is Idle until an attempt of it ends. So a step costs the endpoints that can be
//! served, not all there are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use watchbell_domain::id::{EndpointId, OrgId};
use watchbell_domain::port::Claim;

#[cfg(test)]
mod tests;

/// Endpoints asked for in one claim.
const CLAIMS_MAX: usize = 128;

/// How long an endpoint without anything due is remembered.
const FORGET_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// How many may be in flight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows {
    pub(super) all: u32,
    pub(super) org: u32,
    pub(super) endpoint: u32,
}

#[derive(Debug)]
pub(super) struct Schedule {
    windows: Windows,
    slots: BTreeMap<EndpointId, Slot>,
    orgs: BTreeMap<OrgId, Org>,
    later: BTreeSet<(Timestamp, EndpointId)>,
    ready: VecDeque<EndpointId>,
    in_flight: u32,
}

#[derive(Debug)]
struct Slot {
    org: OrgId,
    place: Place,
    /// When something is due; `None`: nothing that we know of.
    due: Option<Timestamp>,
    /// `None`: not known yet, and 1 until it is.
    window: Option<u32>,
    /// Claimed or being claimed.
    in_flight: u32,
    used_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Idle,
    Later(Timestamp),
    Ready,
    Blocked,
    Claiming(u32),
}

#[derive(Debug, Default)]
struct Org {
    in_flight: u32,
    blocked: VecDeque<EndpointId>,
}

impl Schedule {
    pub(super) fn new(windows: Windows) -> Self {
        Self {
            windows,
            slots: BTreeMap::new(),
            orgs: BTreeMap::new(),
            later: BTreeSet::new(),
            ready: VecDeque::new(),
            in_flight: 0,
        }
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    pub(super) fn knows(&self, endpoint: EndpointId) -> bool {
        self.slots.contains_key(&endpoint)
    }

    /// When the next endpoint becomes ready that is not yet.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.later.first().map(|(due, _)| *due)
    }

    /// Something of this endpoint is due at `due`, or earlier if that was known.
    pub(super) fn due(&mut self, org: OrgId, endpoint: EndpointId, due: Timestamp, now: Timestamp) {
        let slot = self.slots.entry(endpoint).or_insert(Slot {
            org,
            place: Place::Idle,
            due: None,
            window: None,
            in_flight: 0,
            used_at: now,
        });
        slot.due = Some(slot.due.map_or(due, |known| known.min(due)));
        self.replace(endpoint, now);
    }

    /// The endpoint's own window, `None`: the server's.
    pub(super) fn set_window(&mut self, endpoint: EndpointId, own: Option<u32>) {
        let window = own.unwrap_or(self.windows.endpoint).max(1);
        if let Some(slot) = self.slots.get_mut(&endpoint) {
            slot.window = Some(window);
        }
    }

    /// The endpoint asked for a pause.
    pub(super) fn pause(&mut self, endpoint: EndpointId, until: Timestamp, now: Timestamp) {
        if let Some(slot) = self.slots.get_mut(&endpoint) {
            slot.due = slot.due.map(|due| due.max(until));
            self.replace(endpoint, now);
        }
    }

    /// What to claim now: endpoints in turn, each a fair share of what is free.
    pub(super) fn claims(&mut self, now: Timestamp) -> Vec<Claim> {
        self.wake_later(now);
        let mut claims = Vec::new();
        while claims.len() < CLAIMS_MAX && self.in_flight < self.windows.all {
            let Some(endpoint) = self.ready.pop_front() else {
                break;
            };
            claims.extend(self.claim_one(endpoint, now));
        }
        claims
    }

    fn claim_one(&mut self, endpoint: EndpointId, now: Timestamp) -> Option<Claim> {
        let free = self.windows.all - self.in_flight;
        let waiting = u32::try_from(self.ready.len()).unwrap_or(u32::MAX).saturating_add(1);
        let slot = self.slots.get_mut(&endpoint)?;
        slot.place = Place::Idle;
        let room = slot.room();
        if slot.due.is_none_or(|due| due > now) || room == 0 {
            let org = slot.org;
            self.replace(endpoint, now);
            // It had a place of its organisation that it does not use.
            self.unblock(org, 1);
            return None;
        }
        let org = self.orgs.entry(slot.org).or_default();
        let org_room = self.windows.org.saturating_sub(org.in_flight);
        if org_room == 0 {
            slot.place = Place::Blocked;
            org.blocked.push_back(endpoint);
            return None;
        }
        let share = (free / waiting).max(1);
        let limit = room.min(org_room).min(share);
        slot.in_flight += limit;
        org.in_flight += limit;
        self.in_flight += limit;
        slot.place = Place::Claiming(limit);
        // Whatever becomes due from now on is heard again.
        slot.due = None;
        Some(Claim { org_id: slot.org, endpoint_id: endpoint, limit })
    }

    /// A claim was answered: so many were taken, and the next is due then.
    pub(super) fn claimed(&mut self, endpoint: EndpointId, taken: u32, next_due: Option<Timestamp>, now: Timestamp) {
        let Some(slot) = self.slots.get_mut(&endpoint) else {
            return;
        };
        let Place::Claiming(asked) = slot.place else {
            return;
        };
        slot.place = Place::Idle;
        slot.used_at = now;
        slot.due = match (slot.due, next_due) {
            (Some(heard), Some(next)) => Some(heard.min(next)),
            (heard, next) => heard.or(next),
        };
        self.free(endpoint, asked.saturating_sub(taken), now);
        self.replace(endpoint, now);
    }

    /// A claimed delivery has been settled or given back.
    pub(super) fn finished(&mut self, endpoint: EndpointId, now: Timestamp) {
        self.free(endpoint, 1, now);
        self.replace(endpoint, now);
    }

    /// Forgets endpoints that have had nothing to do for a while.
    pub(super) fn prune(&mut self, now: Timestamp) {
        self.slots.retain(|_, slot| {
            let idle = slot.place == Place::Idle && slot.in_flight == 0 && slot.due.is_none();
            !idle || slot.used_at.duration_until(now) < FORGET_AFTER
        });
        self.orgs.retain(|_, org| org.in_flight > 0 || !org.blocked.is_empty());
    }

    fn wake_later(&mut self, now: Timestamp) {
        while let Some((due, endpoint)) = self.later.first().copied() {
            if due > now {
                break;
            }
            self.replace(endpoint, now);
        }
    }

    fn free(&mut self, endpoint: EndpointId, count: u32, now: Timestamp) {
        let Some(slot) = self.slots.get_mut(&endpoint) else {
            return;
        };
        slot.in_flight = slot.in_flight.saturating_sub(count);
        slot.used_at = now;
        self.in_flight = self.in_flight.saturating_sub(count);
        let org = slot.org;
        if let Some(org) = self.orgs.get_mut(&org) {
            org.in_flight = org.in_flight.saturating_sub(count);
        }
        self.unblock(org, count);
    }

    /// So many places of the organisation came free: as many of its endpoints get their turn.
    fn unblock(&mut self, org: OrgId, count: u32) {
        let Some(org) = self.orgs.get_mut(&org) else {
            return;
        };
        for _ in 0..count {
            let Some(endpoint) = org.blocked.pop_front() else {
                break;
            };
            if let Some(slot) = self.slots.get_mut(&endpoint) {
                slot.place = Place::Ready;
                self.ready.push_back(endpoint);
            }
        }
    }

    /// Puts an endpoint where it belongs, unless it is in a queue that will look at it in its turn.
    fn replace(&mut self, endpoint: EndpointId, now: Timestamp) {
        let Some(slot) = self.slots.get_mut(&endpoint) else {
            return;
        };
        match slot.place {
            Place::Ready | Place::Blocked | Place::Claiming(_) => return,
            Place::Later(due) => {
                self.later.remove(&(due, endpoint));
            }
            Place::Idle => {}
        }
        slot.place = match slot.due {
            Some(due) if slot.room() > 0 && due <= now => Place::Ready,
            Some(due) if slot.room() > 0 => Place::Later(due),
            _ => Place::Idle,
        };
        match slot.place {
            Place::Ready => self.ready.push_back(endpoint),
            Place::Later(due) => {
                self.later.insert((due, endpoint));
            }
            Place::Idle | Place::Blocked | Place::Claiming(_) => {}
        }
    }
}

impl Slot {
    fn room(&self) -> u32 {
        self.window.unwrap_or(1).saturating_sub(self.in_flight)
    }
}
