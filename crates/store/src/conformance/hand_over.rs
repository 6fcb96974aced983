//! Deliveries claimed in the commit that makes them, and handed to whoever takes them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use watchbell_domain::delivery::{DeliveryState, Lease};
use watchbell_domain::endpoint::Endpoint;
use watchbell_domain::id::{EndpointId, OrgId};
use watchbell_domain::port::{Next, StoreError, Taken, Taker};
use watchbell_wire::EventType;

use super::World;
use super::world::{LEASE, at, fresh, pending};

/// Takes as many of each endpoint as it is told to.
#[derive(Debug, Default)]
struct Basket {
    now: Mutex<Timestamp>,
    rooms: Mutex<BTreeMap<EndpointId, u32>>,
    taken: Mutex<Vec<Taken>>,
    woken: Mutex<Vec<(OrgId, EndpointId)>>,
    changed: Mutex<Vec<EndpointId>>,
}

impl Basket {
    fn with_room(world: &World, rooms: &[(&Endpoint, u32)]) -> Arc<Self> {
        let basket = Arc::new(Self::default());
        basket.rooms.lock().unwrap().extend(rooms.iter().map(|(endpoint, room)| (endpoint.id, *room)));
        world.store.hand_over(Arc::clone(&basket) as _);
        basket.set_time(5);
        basket
    }

    fn set_time(&self, seconds: i64) {
        *self.now.lock().unwrap() = at(seconds);
    }

    fn taken(&self) -> Vec<Taken> {
        std::mem::take(&mut self.taken.lock().unwrap())
    }
}

impl Taker for Basket {
    fn claim(&self, endpoint: &Endpoint) -> Option<Timestamp> {
        let now = *self.now.lock().unwrap();
        let mut rooms = self.rooms.lock().unwrap();
        let room = rooms.get_mut(&endpoint.id).filter(|room| **room > 0)?;
        *room -= 1;
        now.checked_add(LEASE).ok()
    }

    fn take(&self, taken: Vec<Taken>) {
        self.taken.lock().unwrap().extend(taken);
    }

    fn wake(&self, due: &[(OrgId, EndpointId)]) {
        self.woken.lock().unwrap().extend(due);
    }

    fn changed(&self, endpoints: &[EndpointId]) {
        self.changed.lock().unwrap().extend(endpoints);
    }
}

/// What is taken is claimed: nobody else gets it, and it is settled like any other claim. What is not waits.
pub async fn taken_as_far_as_there_is_room(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let before = world.deliver(&endpoint, 0).await;
    let basket = Basket::with_room(&world, &[(&endpoint, 2)]);
    let events = [1, 2, 3].map(|second| world.event(EventType::ScanStarted, "{\"n\":1.0}", second));
    let acceptance = world.acceptance(org, events.to_vec(), 5);
    let accepted = fresh(world.store.accept(acceptance, None).await.unwrap());
    let ids: Vec<_> = accepted.iter().map(|accepted| accepted.deliveries[0].0).collect();
    let taken = basket.taken();
    assert_eq!(taken.iter().map(|taken| taken.delivery.id).collect::<Vec<_>>(), ids[..2]);
    assert_eq!(*basket.woken.lock().unwrap(), [(org, endpoint.id)]);
    for (taken, new) in taken.iter().zip(&events) {
        assert_eq!(*taken.endpoint, world.load(&endpoint).await);
        assert_eq!(*taken.delivery.event, new.event);
        let (number, counted) = (taken.delivery.attempt_number, taken.delivery.attempts_counted);
        assert_eq!((taken.delivery.lease, number, counted, &taken.delivery.body), (Lease(1), 1, 0, &None));
        let lease_until = at(5).checked_add(LEASE).unwrap();
        assert_eq!(world.state(org, taken.delivery.id).await, DeliveryState::Sending { lease_until, lease: Lease(1) });
    }
    assert_eq!(world.state(org, ids[2]).await, pending(5));
    let others = world.claim(&endpoint, 9, 10).await.deliveries;
    assert_eq!(others.iter().map(|taken| taken.id).collect::<Vec<_>>(), [before, ids[2]]);
    world.settle(&endpoint, &taken[0].delivery, Next::Delivered, 6).await;
    assert_eq!(world.state(org, ids[0]).await, DeliveryState::Delivered { at: at(6) });
    let expired = world.claim(&endpoint, 9, 66).await.deliveries;
    assert_eq!(expired.iter().map(|taken| taken.id).collect::<Vec<_>>(), [ids[1]], "its claim runs out like any other");
    assert_eq!((expired[0].lease, expired[0].attempt_number), (Lease(2), 2));
}

/// Endpoints that are paused are not even asked about.
pub async fn not_of_endpoints_that_are_paused(world: World) {
    let org = world.org("acme").await;
    let paused = world.endpoint(org).await;
    world.pause(&paused, 1).await;
    let basket = Basket::with_room(&world, &[(&paused, 9)]);
    let held = world.deliver(&paused, 2).await;
    assert_eq!(basket.taken().len(), 0);
    assert_eq!(world.state(org, held).await, DeliveryState::Held);
}

/// Claims run out by the time of whoever takes, whatever time the event was accepted by.
pub async fn claimed_by_the_takers_time(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let basket = Basket::with_room(&world, &[(&endpoint, 9)]);
    basket.set_time(500);
    world.deliver(&endpoint, 0).await;
    assert_eq!(basket.taken().len(), 1);
    assert_eq!(world.claim(&endpoint, 9, 559).await.deliveries.len(), 0);
    assert_eq!(world.claim(&endpoint, 9, 560).await.deliveries.len(), 1);
}

/// What was not committed is not handed over.
pub async fn nothing_of_what_failed(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let basket = Basket::with_room(&world, &[(&endpoint, 9)]);
    let event = world.event(EventType::ScanStarted, "{}", 1);
    let twice = world.acceptance(org, vec![event.clone(), event], 1);
    let refused = world.store.accept(twice, None).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    world.deliver(&endpoint, 2).await;
    assert_eq!(basket.taken().len(), 1, "that of the second commit");
}

/// Whoever took deliveries hears when their endpoint is not any more what it was.
pub async fn changes_are_told(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let basket = Basket::with_room(&world, &[(&endpoint, 9)]);
    let told = || std::mem::take(&mut *basket.changed.lock().unwrap());
    world.deliver(&endpoint, 1).await;
    assert_eq!(told(), []);
    world.change(&endpoint, 2, |endpoint| endpoint.url.push('x')).await;
    assert_eq!(told(), [endpoint.id]);
    let until = Some(at(9));
    let again = Next::Retry { due_at: at(9), counts: true, endpoint_pause: until };
    world.settle(&endpoint, &basket.taken()[0].delivery, again, 3).await;
    assert_eq!(told(), [endpoint.id], "a pause is a change");
    assert!(world.store.delete_endpoint(org, endpoint.id, at(4), None).await.unwrap());
    assert_eq!(told(), [endpoint.id]);
}
