//! Deliveries claimed in the commit that makes them, and handed to the loop once it is durable.
//!
//! Claiming them later would cost each delivery a second commit and a second reading of its event. How many are taken is
//! the loop's word, given delivery by delivery: see [`Taker`].

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use watchbell_domain::endpoint::Endpoint;
use watchbell_domain::id::{EndpointId, OrgId};
use watchbell_domain::port::{Taken, Taker};

use super::in_hand::InHand;
use super::row::truncated;
use super::told::Told;

/// Who takes. Not there until a loop says so.
#[derive(Debug, Clone, Default)]
pub(super) struct TakerSlot(Arc<OnceLock<Arc<dyn Taker>>>);

impl TakerSlot {
    /// The first taker stays; a loop that begins anew brings the same.
    pub(super) fn set(&self, taker: Arc<dyn Taker>) {
        let is_known = self.0.get().is_some_and(|known| Arc::ptr_eq(known, &taker));
        if !is_known && self.0.set(taker).is_err() {
            tracing::error!("a second loop wants what the first one gets");
        }
    }
}

/// What the running group of units hands over.
#[derive(Debug, Default)]
pub(super) struct HandOver {
    slot: TakerSlot,
    taken: Vec<Taken>,
    due: Vec<(OrgId, EndpointId)>,
    changed: Vec<EndpointId>,
    /// What was handed over and not heard of since.
    pub(super) in_hand: InHand,
    /// What is told to whoever watches.
    pub(super) told: Told,
    /// How much of these was there when the running unit began.
    before_unit: (usize, usize, usize),
}

impl HandOver {
    pub(super) fn new(slot: TakerSlot, told: Told) -> Self {
        Self { slot, told, ..Self::default() }
    }

    /// Until when a new delivery to `endpoint` is claimed; `None`: there is no room for it, it waits.
    pub(super) fn claim(&mut self, endpoint: &Endpoint) -> Option<Timestamp> {
        let claimed_until = self.slot.0.get()?.claim(endpoint);
        if claimed_until.is_none() {
            self.due.push((endpoint.org_id, endpoint.id));
        }
        claimed_until.map(truncated)
    }

    /// A new delivery to `endpoint` waits for its time: the loop asks again when that is.
    pub(super) fn waits(&mut self, endpoint: &Endpoint) {
        self.due.push((endpoint.org_id, endpoint.id));
    }

    pub(super) fn push(&mut self, taken: Taken) {
        self.taken.push(taken);
    }

    /// The endpoint is changed or deleted.
    pub(super) fn changed(&mut self, endpoint: EndpointId) {
        self.changed.push(endpoint);
    }

    /// What a failed unit wanted to hand over was never made.
    pub(super) fn unit_ended(&mut self, done: bool) {
        if !done {
            self.taken.truncate(self.before_unit.0);
            self.due.truncate(self.before_unit.1);
            self.changed.truncate(self.before_unit.2);
        }
        self.before_unit = (self.taken.len(), self.due.len(), self.changed.len());
        self.in_hand.unit_ended(done);
        self.told.unit_ended(done);
    }

    /// The group is durable.
    pub(super) fn committed(&mut self) {
        self.before_unit = (0, 0, 0);
        self.told.committed();
        let Some(taker) = self.slot.0.get() else {
            self.changed.clear();
            return;
        };
        if !self.taken.is_empty() {
            taker.take(std::mem::take(&mut self.taken));
        }
        if !self.due.is_empty() {
            taker.wake(&self.due);
            self.due.clear();
        }
        // Last: what was taken in this group may have been made before the change.
        if !self.changed.is_empty() {
            taker.changed(&self.changed);
            self.changed.clear();
        }
    }

    /// The group was not committed: nothing of it was made.
    pub(super) fn abandoned(&mut self) {
        self.in_hand.forget();
        self.told.abandoned();
        self.before_unit = (0, 0, 0);
        self.taken.clear();
        self.due.clear();
        self.changed.clear();
    }
}
