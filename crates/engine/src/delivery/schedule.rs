//! Which endpoints have something due, what is claimed for them, and whose turn it is. Pure: time comes in, turns come out.
//!
//! ```text
//!   store: due ── claims() ──▶ claiming ── claimed() ─┐
//!   store: just made ───────────── taken() ───────────┴▶ line ── starts() ──▶ in flight ── finished() ──▶
//! ```
//!
//! A delivery that is claimed waits in its endpoint's line until there is room to send it. Claims are limited by each
//! endpoint's window and rate, starts by these, by its breaker, and by the windows of organisation and node.
//!
//! Whose turn it is: organisations take turns, each as many starts as its weight says, and a turn that a full node cuts
//! short goes on when there is room; within an organisation its endpoints take turns. What one of them has waiting makes
//! no other wait. Endpoints in trouble hold at most half an organisation's window together: their retries never keep the
//! others' first attempts out. Within one endpoint retries hold at most half its window while first attempts wait; what is
//! due goes by age otherwise, so that neither waits for ever. A step costs the endpoints that can be served, not all there
//! are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use watchbell_domain::endpoint::{Flow, Order};
use watchbell_domain::id::{EndpointId, OrgId};
use watchbell_domain::port::Claim;

use super::breaker::Sign;
use super::bucket::Bucket;

mod slot;
#[cfg(test)]
mod tests;

use slot::{Held, Slot};

/// Endpoints asked for in one claim.
const CLAIMS_MAX: usize = 128;

/// Starts of one organisation, for each unit of its weight, before it is the next one's turn.
const STARTS_A_TURN: u32 = 4;

/// How long an endpoint without anything due is remembered.
const FORGET_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// How many may be in flight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows {
    pub(super) all: u32,
    pub(super) org: u32,
    pub(super) endpoint: u32,
}

/// So many times its window may wait in an organisation's line, and so many times all windows in all lines.
const LINES_PER_WINDOW: u32 = 4;

#[derive(Debug)]
pub(super) struct Schedule {
    windows: Windows,
    slots: BTreeMap<EndpointId, Slot>,
    orgs: BTreeMap<OrgId, Org>,
    /// Endpoints that something happens to by itself, by when.
    later: BTreeSet<(Timestamp, EndpointId)>,
    /// Endpoints to claim for, in turn.
    hungry: VecDeque<EndpointId>,
    /// Organisations with something to start, in turn.
    ready: VecDeque<OrgId>,
    /// Those that do not weigh 1.
    weights: BTreeMap<OrgId, u32>,
    held: Held,
}

#[derive(Debug, Default)]
struct Org {
    held: Held,
    /// Endpoints with something to start, in turn.
    ready: VecDeque<EndpointId>,
    is_ready: bool,
    /// Starts left of a turn that was cut short.
    turn_left: u32,
    /// Endpoints to claim for once the organisation's line is shorter.
    parked: VecDeque<EndpointId>,
    /// How many of those in flight are to endpoints in trouble.
    troubled: u32,
    /// Endpoints in trouble with something to start, once fewer of these are in flight.
    troubled_ready: VecDeque<EndpointId>,
}

impl Schedule {
    pub(super) fn new(windows: Windows) -> Self {
        Self {
            windows,
            slots: BTreeMap::new(),
            orgs: BTreeMap::new(),
            later: BTreeSet::new(),
            hungry: VecDeque::new(),
            ready: VecDeque::new(),
            weights: BTreeMap::new(),
            held: Held::default(),
        }
    }

    /// What organisations weigh; those that are not named weigh 1.
    pub(super) fn set_weights(&mut self, weights: impl IntoIterator<Item = (OrgId, u32)>) {
        self.weights = weights.into_iter().collect();
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.held.in_flight
    }

    pub(super) fn knows(&self, endpoint: EndpointId) -> bool {
        self.slots.contains_key(&endpoint)
    }

    /// When something happens by itself.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.later.first().map(|(due, _)| *due)
    }

    /// The store has something of this endpoint that is due at `due`, or earlier if that was known.
    pub(super) fn due(&mut self, org: OrgId, endpoint: EndpointId, due: Timestamp, now: Timestamp) {
        let slot = self.slot(org, endpoint, now);
        slot.due = Some(slot.due.map_or(due, |known| known.min(due)));
        self.refresh(endpoint, now);
    }

    /// The endpoint's own policy.
    pub(super) fn set_flow(&mut self, endpoint: EndpointId, flow: Flow, now: Timestamp) {
        let Some(slot) = self.slots.get_mut(&endpoint) else {
            return;
        };
        let window = match flow.order {
            Order::Endpoint => 1,
            // At most one of each project: the store sees to that.
            Order::Any | Order::Project => flow.max_in_flight.unwrap_or(self.windows.endpoint).max(1),
        };
        let limit = slot.bucket.map(|bucket| bucket.limit());
        let is_same = slot.window == Some(window) && slot.order == flow.order && slot.gathers == flow.gathers;
        if is_same && limit == flow.rate_limit {
            return;
        }
        (slot.window, slot.order, slot.gathers) = (Some(window), flow.order, flow.gathers);
        slot.bucket = flow
            .rate_limit
            .map(|limit| slot.bucket.map_or_else(|| Bucket::full(limit), |bucket| bucket.with_limit(limit, now)));
        self.refresh(endpoint, now);
    }

    /// The endpoint asked for a pause.
    pub(super) fn pause(&mut self, endpoint: EndpointId, until: Timestamp, now: Timestamp) {
        if let Some(slot) = self.slots.get_mut(&endpoint) {
            slot.rests_until = slot.rests_until.max(until);
            self.refresh(endpoint, now);
        }
    }

    /// How many deliveries just made may be taken: none while older ones wait in the store.
    pub(super) fn room(&self, endpoint: EndpointId, now: Timestamp) -> u32 {
        let Some(slot) = self.slots.get(&endpoint) else {
            return 0;
        };
        let is_behind = slot.held.claiming > 0 || slot.due.is_some_and(|due| due <= now);
        let org = self.orgs.get(&slot.org).map_or(0, |org| org.held.waiting());
        match is_behind || slot.rests_until() > now {
            true => 0,
            false => slot
                .reach(now)
                .min(self.windows.org_line().saturating_sub(org))
                .min(self.windows.all_lines().saturating_sub(self.held.waiting())),
        }
    }

    /// One was taken as it was made; it stands in line.
    pub(super) fn taken(&mut self, org: OrgId, endpoint: EndpointId, now: Timestamp) {
        self.slot(org, endpoint, now).used_at = now;
        self.hold(endpoint, |held| held.line += 1);
        self.refresh(endpoint, now);
    }

    /// What to claim now: endpoints in turn, each a fair share of the room.
    pub(super) fn claims(&mut self, now: Timestamp) -> Vec<Claim> {
        self.wake_later(now);
        let mut claims = Vec::new();
        while claims.len() < CLAIMS_MAX && self.held.waiting() < self.windows.all_lines() {
            let Some(endpoint) = self.hungry.pop_front() else {
                break;
            };
            claims.extend(self.claim_one(endpoint, now));
        }
        claims
    }

    fn claim_one(&mut self, endpoint: EndpointId, now: Timestamp) -> Option<Claim> {
        let free = self.windows.all_lines() - self.held.waiting();
        let waiting = u32::try_from(self.hungry.len()).unwrap_or(u32::MAX).saturating_add(1);
        let slot = self.slots.get_mut(&endpoint)?;
        slot.is_hungry = false;
        if !slot.wants(now) {
            self.refresh(endpoint, now);
            return None;
        }
        let org_id = slot.org;
        let org = self.orgs.entry(org_id).or_default();
        let org_free = self.windows.org_line().saturating_sub(org.held.waiting());
        if org_free == 0 {
            (slot.is_hungry, slot.is_parked) = (true, true);
            org.parked.push_back(endpoint);
            self.refresh(endpoint, now);
            return None;
        }
        let limit = slot.reach(now).min(org_free).min((free / waiting).max(1));
        // Whatever becomes due from now on is heard again.
        slot.due = None;
        let retries = slot.retries_free();
        self.hold(endpoint, |held| held.claiming += limit);
        Some(Claim { org_id, endpoint_id: endpoint, limit, retries })
    }

    /// So many of those claimed were tried before.
    pub(super) fn retries_come(&mut self, endpoint: EndpointId, count: u32) {
        if count > 0
            && let Some(slot) = self.slots.get_mut(&endpoint)
        {
            slot.retries = slot.retries.saturating_add(count);
        }
    }

    /// So many of these have ended, or went back.
    pub(super) fn retries_gone(&mut self, endpoint: EndpointId, count: u32) {
        if count > 0
            && let Some(slot) = self.slots.get_mut(&endpoint)
        {
            slot.retries = slot.retries.saturating_sub(count);
        }
    }

    /// A claim was answered: so many of those asked for stand in line now, and the next is due then.
    pub(super) fn claimed(&mut self, claim: &Claim, taken: u32, next_due: Option<Timestamp>, now: Timestamp) {
        let Some(slot) = self.slots.get_mut(&claim.endpoint_id) else {
            return;
        };
        slot.used_at = now;
        slot.due = match (slot.due, next_due) {
            (Some(heard), Some(next)) => Some(heard.min(next)),
            (heard, next) => heard.or(next),
        };
        self.hold(claim.endpoint_id, |held| {
            held.claiming = held.claiming.saturating_sub(claim.limit);
            held.line += taken;
        });
        self.unpark(claim.org_id);
        self.refresh(claim.endpoint_id, now);
    }

    /// Whose next in line begins now, one by one.
    pub(super) fn starts(&mut self, now: Timestamp) -> Vec<EndpointId> {
        self.wake_later(now);
        let mut starts = Vec::new();
        while self.held.in_flight < self.windows.all {
            let Some(org) = self.ready.pop_front() else {
                break;
            };
            self.turn(org, now, &mut starts);
        }
        starts
    }

    fn turn(&mut self, org_id: OrgId, now: Timestamp, starts: &mut Vec<EndpointId>) {
        let weight = self.weights.get(&org_id).copied().unwrap_or(1);
        let Some(org) = self.orgs.get_mut(&org_id) else {
            return;
        };
        let mut left = match std::mem::take(&mut org.turn_left) {
            0 => STARTS_A_TURN.saturating_mul(weight.max(1)),
            left => left,
        };
        while left > 0 {
            let Some(org) = self.orgs.get_mut(&org_id) else {
                return;
            };
            // Asked before its own window, which may be full with the node's.
            if self.held.in_flight >= self.windows.all && !org.ready.is_empty() {
                // Not its fault: whoever ends next makes room for the rest of this turn.
                org.turn_left = left;
                self.ready.push_front(org_id);
                return;
            }
            if org.held.in_flight >= self.windows.org {
                break;
            }
            let Some(endpoint) = org.ready.pop_front() else {
                break;
            };
            let Some(slot) = self.slots.get_mut(&endpoint) else {
                continue;
            };
            if slot.breaker.is_troubled() && org.troubled >= self.windows.org_troubled() {
                org.troubled_ready.push_back(endpoint);
                continue;
            }
            slot.is_ready = false;
            if slot.may_start(now) {
                slot.breaker.begun();
                slot.is_boarding = slot.gathers.is_some();
                if let Some(bucket) = &mut slot.bucket {
                    bucket.take(now);
                }
                self.hold(endpoint, |held| {
                    held.line -= 1;
                    held.in_flight += 1;
                });
                starts.push(endpoint);
                left -= 1;
                self.unpark(org_id);
            }
            self.refresh(endpoint, now);
        }
        if let Some(org) = self.orgs.get_mut(&org_id) {
            org.is_ready = false;
        }
        self.line_up(org_id);
    }

    /// An attempt has ended.
    pub(super) fn finished(&mut self, endpoint: EndpointId, sign: Sign, now: Timestamp) {
        self.hold(endpoint, |held| held.in_flight = held.in_flight.saturating_sub(1));
        let Some(slot) = self.slots.get_mut(&endpoint) else {
            return;
        };
        (slot.used_at, slot.is_well) = (now, sign == Sign::Success);
        slot.is_boarding = false;
        let (was_troubled, in_flight, org_id) = (slot.breaker.is_troubled(), slot.held.in_flight, slot.org);
        slot.breaker.ended(sign, slot.window.unwrap_or(1), now);
        let is_troubled = slot.breaker.is_troubled();
        let org = self.orgs.entry(org_id).or_default();
        match (was_troubled, is_troubled) {
            (false, true) => org.troubled += in_flight,
            (true, false) => {
                org.troubled = org.troubled.saturating_sub(in_flight);
                let before = org.troubled_ready.len();
                org.troubled_ready.retain(|other| *other != endpoint);
                if org.troubled_ready.len() < before {
                    org.ready.push_back(endpoint);
                }
            }
            (false, false) | (true, true) => {}
        }
        let free = self.windows.org_troubled().saturating_sub(org.troubled) as usize;
        let count = org.troubled_ready.len().min(free);
        org.ready.extend(org.troubled_ready.drain(..count));
        self.line_up(org_id);
        self.refresh(endpoint, now);
    }

    /// Whether the endpoint is left alone for now: it asked for that, or it is in trouble.
    pub(super) fn rests(&self, endpoint: EndpointId, now: Timestamp) -> bool {
        self.slots.get(&endpoint).is_some_and(|slot| slot.rests_until() > now)
    }

    /// An outcome is on its way into the store.
    pub(super) fn writing(&mut self, endpoint: EndpointId) {
        if let Some(slot) = self.slots.get_mut(&endpoint) {
            slot.unwritten += 1;
        }
    }

    /// The store has answered for an outcome, or it is not ours any more.
    pub(super) fn written(&mut self, endpoint: EndpointId, now: Timestamp) {
        if let Some(slot) = self.slots.get_mut(&endpoint) {
            slot.unwritten = slot.unwritten.saturating_sub(1);
            match slot.order {
                Order::Any => {}
                Order::Endpoint => self.refresh(endpoint, now),
                Order::Project => {
                    // The next of its project may be had now.
                    slot.due = Some(slot.due.map_or(now, |due| due.min(now)));
                    self.refresh(endpoint, now);
                }
            }
        }
    }

    /// So many of the line go out with one that is begun: they take no room of their own. Said of every digest, with none too.
    pub(super) fn ride_along(&mut self, endpoint: EndpointId, count: u32, now: Timestamp) {
        let Some(slot) = self.slots.get_mut(&endpoint) else {
            return;
        };
        slot.is_boarding = false;
        let org = slot.org;
        self.hold(endpoint, |held| held.line = held.line.saturating_sub(count));
        self.unpark(org);
        self.refresh(endpoint, now);
    }

    /// So many of the line went back to the store, where they are due again; none is claimed ahead for now.
    pub(super) fn given_back(&mut self, endpoint: EndpointId, count: u32, now: Timestamp) {
        let Some(slot) = self.slots.get_mut(&endpoint) else {
            return;
        };
        slot.is_well = false;
        let org = slot.org;
        self.hold(endpoint, |held| held.line = held.line.saturating_sub(count));
        self.unpark(org);
        self.refresh(endpoint, now);
    }

    /// Forgets endpoints that have had nothing to do for a while.
    pub(super) fn prune(&mut self, now: Timestamp) {
        self.slots.retain(|_, slot| {
            let is_done = slot.held == Held::default() && slot.unwritten == 0;
            let idle = is_done && slot.due.is_none() && slot.rests_until() <= now;
            !idle || slot.used_at.duration_until(now) < FORGET_AFTER
        });
        self.orgs.retain(|_, org| {
            let has_queue = !org.ready.is_empty() || !org.parked.is_empty() || !org.troubled_ready.is_empty();
            org.held != Held::default() || has_queue
        });
    }

    fn slot(&mut self, org: OrgId, endpoint: EndpointId, now: Timestamp) -> &mut Slot {
        self.slots.entry(endpoint).or_insert_with(|| Slot::new(org, now))
    }

    /// Changes what is held for an endpoint, and with it what is held for its organisation and for all.
    fn hold(&mut self, endpoint: EndpointId, change: impl Fn(&mut Held)) {
        let Some(slot) = self.slots.get_mut(&endpoint) else {
            return;
        };
        let before = slot.held;
        change(&mut slot.held);
        let after = slot.held;
        let org = self.orgs.entry(slot.org).or_default();
        if slot.breaker.is_troubled() {
            org.troubled = org.troubled + after.in_flight - before.in_flight;
        }
        for held in [&mut org.held, &mut self.held] {
            held.claiming = held.claiming + after.claiming - before.claiming;
            held.line = held.line + after.line - before.line;
            held.in_flight = held.in_flight + after.in_flight - before.in_flight;
        }
    }

    fn wake_later(&mut self, now: Timestamp) {
        while let Some((due, endpoint)) = self.later.pop_first() {
            if due > now {
                self.later.insert((due, endpoint));
                break;
            }
            if let Some(slot) = self.slots.get_mut(&endpoint) {
                slot.later = None;
            }
            self.refresh(endpoint, now);
        }
    }

    /// The organisation's line has become shorter: those of its endpoints that waited for that get their turn.
    fn unpark(&mut self, org: OrgId) {
        let Some(org) = self.orgs.get_mut(&org) else {
            return;
        };
        let free = self.windows.org_line().saturating_sub(org.held.waiting());
        let count = org.parked.len().min(free as usize);
        for endpoint in org.parked.drain(..count) {
            if let Some(slot) = self.slots.get_mut(&endpoint) {
                slot.is_parked = false;
            }
            self.hungry.push_back(endpoint);
        }
    }

    /// The organisation takes its turn if it has something to start and room for it.
    fn line_up(&mut self, org_id: OrgId) {
        let Some(org) = self.orgs.get_mut(&org_id) else {
            return;
        };
        if !org.is_ready && !org.ready.is_empty() && org.held.in_flight < self.windows.org {
            org.is_ready = true;
            self.ready.push_back(org_id);
        }
    }

    /// Puts an endpoint into the queues it belongs to. From those it does not belong to any more it goes when its turn
    /// comes.
    fn refresh(&mut self, endpoint: EndpointId, now: Timestamp) {
        let Some(slot) = self.slots.get_mut(&endpoint) else {
            return;
        };
        if !slot.is_hungry && slot.wants(now) {
            slot.is_hungry = true;
            self.hungry.push_back(endpoint);
        }
        let later = slot.wakes_at(now);
        if slot.later != later {
            if let Some(known) = slot.later {
                self.later.remove(&(known, endpoint));
            }
            self.later.extend(later.map(|at| (at, endpoint)));
            slot.later = later;
        }
        if !slot.is_ready && slot.may_start(now) {
            slot.is_ready = true;
            let org = slot.org;
            self.orgs.entry(org).or_default().ready.push_back(endpoint);
            self.line_up(org);
        }
    }
}

impl Windows {
    const fn org_line(self) -> u32 {
        self.org.saturating_mul(LINES_PER_WINDOW)
    }

    /// How many may be in flight to an organisation's endpoints in trouble.
    const fn org_troubled(self) -> u32 {
        let (org, all) = (self.org / 2, self.all / 2);
        let half = if org < all { org } else { all };
        if half > 1 { half } else { 1 }
    }

    const fn all_lines(self) -> u32 {
        self.all.saturating_mul(LINES_PER_WINDOW)
    }
}
