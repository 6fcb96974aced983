//! Endpoints that only fail, and what is told of them.

use jiff::Timestamp;
use watchbell_domain::delivery::{AttemptResult, DeadLetterReason, DeliveryState, StateKind};
use watchbell_domain::endpoint::{DisabledReason, Endpoint, EndpointState};
use watchbell_domain::event::AcceptedEvent;
use watchbell_domain::id::OrgId;
use watchbell_domain::port::{DeliveryFilter, EventFilter, Next, Settled, Settlement};
use watchbell_wire::EventType;

use super::World;
use super::world::{at, attempt, first, retry};

const DAY: i64 = 86_400;

/// Attempts of one delivery that fail, each at its second.
async fn fail(world: &World, endpoint: &Endpoint, seconds: impl IntoIterator<Item = i64>) -> Settled {
    let mut settled = Settled { state: StateKind::Pending };
    for second in seconds {
        let taken = world.take(endpoint, second).await;
        settled = world.settle_one(world.settlement(endpoint, &taken, retry(at(second)), second)).await.unwrap();
    }
    settled
}

/// An endpoint that wants everything.
async fn curious(world: &World, org: OrgId) -> Endpoint {
    let endpoint = Endpoint { events: None, ..world.new_endpoint(org) };
    world.put(&endpoint).await;
    endpoint
}

async fn told(world: &World, org: OrgId, event_type: EventType) -> Vec<AcceptedEvent> {
    let filter = EventFilter { event_type: Some(event_type), ..EventFilter::default() };
    world.store.events(org, filter, first(100)).await.unwrap().items
}

/// After 20 failures and 5 days, and not before: its deliveries are held, and an event tells of it in the same commit.
pub async fn disabled_after_nothing_but_failures(world: World) {
    let org = world.org("acme").await;
    let (endpoint, listener) = (curious(&world, org).await, curious(&world, org).await);
    world.deliver(&endpoint, 0).await;
    fail(&world, &endpoint, (0..19).map(|number| number * 3_600)).await;
    // Neither one nor the other.
    let taken = world.take(&endpoint, 4 * DAY).await;
    let pause = Next::Retry { due_at: at(4 * DAY), counts: true, endpoint_pause: Some(at(4 * DAY)) };
    world.settle(&endpoint, &taken, pause, 4 * DAY).await;
    let taken = world.take(&endpoint, 4 * DAY).await;
    let interrupted = Some(attempt(taken.attempt_number, AttemptResult::Interrupted, 4 * DAY));
    let settlement = world.settlement(&endpoint, &taken, retry(at(4 * DAY)), 4 * DAY);
    world.settle_one(Settlement { attempt: interrupted, ..settlement }).await.unwrap();
    fail(&world, &endpoint, [5 * DAY - 1]).await;
    assert_eq!(world.load(&endpoint).await.state, EndpointState::Active, "a second short of five days");
    let waiting = world.deliver(&endpoint, 5 * DAY).await;

    let taken = world.claim(&endpoint, 1, 5 * DAY).await.deliveries.remove(0);
    let settled = world.settle_one(world.settlement(&endpoint, &taken, retry(at(6 * DAY)), 5 * DAY)).await.unwrap();
    assert_eq!(settled, Settled { state: StateKind::Held });
    let disabled = EndpointState::Disabled { since: at(5 * DAY), reason: DisabledReason::Failing };
    assert_eq!(world.load(&endpoint).await.state, disabled);
    for id in [taken.id, waiting] {
        assert_eq!(world.state(org, id).await, DeliveryState::Held);
    }
    let events = told(&world, org, EventType::EndpointDisabled).await;
    assert_eq!(events.len(), 1);
    let data = events[0].event.data.text();
    assert!(data.contains(&endpoint.id.to_string()) && data.contains("\"failing\""), "{data}");
    let to = DeliveryFilter { event_id: Some(events[0].id()), ..DeliveryFilter::default() };
    let deliveries = world.store.deliveries(org, to, first(10)).await.unwrap().items;
    let state_at =
        |id| deliveries.iter().find(|(delivery, _)| delivery.endpoint_id == id).map(|(it, _)| it.state.kind());
    assert_eq!((state_at(listener.id), state_at(endpoint.id)), (Some(StateKind::Pending), Some(StateKind::Held)));

    world.resume(&endpoint, 6 * DAY).await;
    assert_eq!(world.state(org, taken.id).await, DeliveryState::Pending { due_at: at(6 * DAY) });
}

/// One success, an owner who switches it on again or points it elsewhere: what was before counts no more.
pub async fn a_success_or_an_owner_begins_anew(world: World) {
    let org = world.org("acme").await;
    for how in 0..3 {
        let endpoint = world.endpoint(org).await;
        world.deliver(&endpoint, 0).await;
        fail(&world, &endpoint, (0..30).map(|number| number * 3_600)).await;
        let now = 6 * DAY;
        match how {
            0 => {
                let taken = world.take(&endpoint, now).await;
                world.settle(&endpoint, &taken, Next::Delivered, now).await;
                world.deliver(&endpoint, now).await;
            }
            1 => {
                world.pause(&endpoint, now).await;
                world.resume(&endpoint, now).await;
            }
            _ => world.change(&endpoint, now, |endpoint| endpoint.url.push('x')).await,
        }
        fail(&world, &endpoint, (0..30).map(|number| now + number)).await;
        assert_eq!(world.load(&endpoint).await.state, EndpointState::Active, "way {how}");
    }
}

/// A delivery that is given up makes one event, in the same commit; a notice that is given up makes none.
pub async fn what_is_given_up_is_told_of(world: World) {
    let org = world.org("acme").await;
    let endpoint = curious(&world, org).await;
    let id = world.deliver(&endpoint, 1).await;
    let give_up = async |now: Timestamp, second: i64| {
        let taken = world.take(&endpoint, second).await;
        let next = Next::DeadLetter { reason: DeadLetterReason::Exhausted, disable: None, endpoint_pause: Some(now) };
        world.settle(&endpoint, &taken, next, second).await;
        taken.id
    };
    assert_eq!(give_up(at(5), 2).await, id);
    assert_eq!(world.load(&endpoint).await.not_before, Some(at(5)), "its other deliveries wait as it asked");
    let events = told(&world, org, EventType::DeliveryDeadLettered).await;
    assert_eq!(events.len(), 1);
    let data = events[0].event.data.text();
    assert!(data.contains(&id.to_string()) && data.contains("\"exhausted\""), "{data}");
    assert_eq!(events[0].accepted_at, at(2));
    assert_ne!(give_up(at(5), 6).await, id, "the notice, which the endpoint wants like everything");
    assert_eq!(told(&world, org, EventType::DeliveryDeadLettered).await.len(), 1);
}
