//! What the loop hears from outside: deliveries handed over as they are made, and hints that something is due.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use watchbell_domain::endpoint::{Endpoint, Order};
use watchbell_domain::id::{EndpointId, OrgId};
use watchbell_domain::port::{Taken, Taker};

use super::steady::Steady;

/// Tells the loop that something is due. Cheap to clone; a hint, never the truth: the store is asked in any case.
///
/// Hints for one endpoint are one hint, so that what is held here grows with endpoints and not with events.
#[derive(Debug, Clone)]
pub struct Handle(Arc<Inbox>);

/// The end that the loop listens on.
#[derive(Debug)]
pub struct Woken(Arc<Inbox>);

#[derive(Debug, Default)]
pub(super) struct Inbox {
    arrived: Mutex<Arrived>,
    /// How many more of each endpoint the loop takes. The loop says so; the store counts down.
    rooms: Mutex<Rooms>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Rooms {
    /// `None`: closed.
    open: Option<Claims>,
    by_endpoint: BTreeMap<EndpointId, u32>,
}

/// How the loop claims what is made.
#[derive(Debug, Clone)]
pub(super) struct Claims {
    pub(super) time: Arc<Steady>,
    pub(super) lease: SignedDuration,
}

/// What has come since the loop looked last.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    pub(super) taken: Vec<Taken>,
    pub(super) due: BTreeSet<(OrgId, EndpointId)>,
    /// Endpoints that are not as they were: what was claimed for them and not begun goes back.
    pub(super) changed: BTreeSet<EndpointId>,
}

impl Handle {
    /// A handle and the end that the loop listens on.
    pub fn channel() -> (Self, Woken) {
        let inbox = Arc::new(Inbox::default());
        (Self(Arc::clone(&inbox)), Woken(inbox))
    }

    /// These endpoints have something due now.
    pub fn wake(&self, org: OrgId, endpoints: impl IntoIterator<Item = EndpointId>) {
        self.0.arrive(|arrived| arrived.due.extend(endpoints.into_iter().map(|endpoint| (org, endpoint))));
    }
}

impl Woken {
    /// Waits until something has come, and takes it.
    pub(super) async fn take(&self) -> Arrived {
        loop {
            let rung = self.0.bell.notified();
            let arrived = self.take_now();
            if !arrived.is_empty() {
                return arrived;
            }
            rung.await;
        }
    }

    /// Takes what has come.
    pub(super) fn take_now(&self) -> Arrived {
        std::mem::take(&mut *self.0.arrived())
    }

    /// The same end, for the loop that follows one that broke.
    pub(super) fn again(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    /// The other end, for the store.
    pub(super) fn taker(&self) -> Arc<dyn Taker> {
        Arc::clone(&self.0) as _
    }

    /// From now on deliveries are taken as they are made.
    pub(super) fn open(&self, claims: Claims) {
        *self.0.rooms() = Rooms { open: Some(claims), by_endpoint: BTreeMap::new() };
    }

    /// None is taken any more.
    pub(super) fn close(&self) {
        *self.0.rooms() = Rooms::default();
    }

    /// So many more of each of these are taken.
    pub(super) fn set_rooms(&self, rooms: impl IntoIterator<Item = (EndpointId, u32)>) {
        self.0.rooms().by_endpoint.extend(rooms);
    }

    /// Forgets the rooms of endpoints that the loop has forgotten.
    pub(super) fn retain_rooms(&self, known: impl Fn(EndpointId) -> bool) {
        self.0.rooms().by_endpoint.retain(|endpoint, _| known(*endpoint));
    }
}

impl Inbox {
    fn arrived(&self) -> MutexGuard<'_, Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rings once for whatever gathers until the loop looks.
    fn arrive(&self, add: impl FnOnce(&mut Arrived)) {
        let mut arrived = self.arrived();
        let was_empty = arrived.is_empty();
        add(&mut arrived);
        let rings = was_empty && !arrived.is_empty();
        drop(arrived);
        if rings {
            self.bell.notify_one();
        }
    }
}

impl Taker for Inbox {
    fn claim(&self, endpoint: &Endpoint) -> Option<Timestamp> {
        // In order, it is the store that knows which one is next.
        if endpoint.policy.order != Order::Any {
            return None;
        }
        let mut rooms = self.rooms();
        let claims = rooms.open.clone()?;
        let now = claims.time.now();
        if endpoint.not_before.is_some_and(|until| now < until) {
            return None;
        }
        // Of an endpoint that the loop has not met it takes one, and says then how many more.
        let room = rooms.by_endpoint.entry(endpoint.id).or_insert(1);
        *room = room.checked_sub(1)?;
        Some(now.saturating_add(claims.lease).unwrap_or(Timestamp::MAX))
    }

    fn take(&self, taken: Vec<Taken>) {
        self.arrive(|arrived| match arrived.taken.is_empty() {
            true => arrived.taken = taken,
            false => arrived.taken.extend(taken),
        });
    }

    fn wake(&self, due: &[(OrgId, EndpointId)]) {
        self.arrive(|arrived| arrived.due.extend(due));
    }

    fn changed(&self, endpoints: &[EndpointId]) {
        self.arrive(|arrived| arrived.changed.extend(endpoints));
    }
}

impl Arrived {
    fn is_empty(&self) -> bool {
        self.taken.is_empty() && self.due.is_empty() && self.changed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn hints_are_kept_once_until_taken() {
        let (handle, woken) = Handle::channel();
        let (org, endpoint) = (OrgId(Uuid::nil()), EndpointId(Uuid::max()));
        assert!(woken.take().now_or_never().is_none());
        handle.wake(org, [endpoint, endpoint]);
        handle.clone().wake(org, [endpoint]);
        assert_eq!(woken.take().now_or_never().unwrap().due, BTreeSet::from([(org, endpoint)]));
        assert!(woken.take().now_or_never().is_none());
    }
}
