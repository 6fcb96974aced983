//! Replays as jobs: what they match, that they go on where they were, and that they end.

use std::num::NonZeroU32;

use watchbell_domain::delivery::{CancelReason, DeadLetterReason, StateKind};
use watchbell_domain::endpoint::Endpoint;
use watchbell_domain::id::{DeliveryId, OrgId, ReplayId};
use watchbell_domain::port::{
    Advanced, DeliveryFilter, EndReason, Next, RUNNING_REPLAYS_MAX, ReplayFilter, ReplayJob, ReplayProgress,
    ReplayState, ReplayStep, StoreError, Terms, Written,
};
use watchbell_wire::EventType;

use super::World;
use super::world::{at, first, fresh, terms};

const ALL: ReplayFilter = ReplayFilter {
    endpoint_id: None,
    state: None,
    reason: None,
    event_type: None,
    since: None,
    until: watchbell_domain::Timestamp::MAX,
};

fn filter() -> ReplayFilter {
    ReplayFilter { until: at(100), ..ALL }
}

fn job(world: &World, org: OrgId, filter: ReplayFilter, limit: Option<u64>) -> ReplayJob {
    ReplayJob {
        id: ReplayId(world.uuid(100)),
        org_id: org,
        filter,
        limit,
        per_second: NonZeroU32::new(7).unwrap(),
        matched: Some(5),
        created_at: at(100),
        state: ReplayState::Running,
        progress: ReplayProgress::default(),
    }
}

async fn advance(world: &World, job: &ReplayJob, looked_at: u32, made: u32, seconds: i64) -> Advanced {
    let step =
        ReplayStep { org_id: job.org_id, id: job.id, looked_at, made, now: at(seconds), delivery_ids: world.ids() };
    world.store.advance_replay(step).await.unwrap().unwrap()
}

/// Deliveries that ended in turn: delivered, given up, cancelled. One more waits.
async fn ended(world: &World, endpoint: &Endpoint, count: i64) -> Vec<DeliveryId> {
    let mut all = Vec::new();
    for second in 0..count {
        let id = world.deliver(endpoint, second).await;
        all.push(id);
        let dead = Next::DeadLetter { reason: DeadLetterReason::Exhausted, disable: None, endpoint_pause: None };
        match second % 3 {
            2 => drop(world.store.cancel(endpoint.org_id, id, at(second), None).await.unwrap()),
            rest => {
                let taken = world.take(endpoint, second).await;
                world.settle(endpoint, &taken, if rest == 0 { Next::Delivered } else { dead }, second).await;
            }
        }
    }
    world.deliver(endpoint, count).await;
    all
}

/// What the deliveries made since a time repeat, oldest first.
async fn repeated(world: &World, org: OrgId, since: i64) -> Vec<DeliveryId> {
    let filter = DeliveryFilter { since: Some(at(since)), ..DeliveryFilter::default() };
    let listed = world.store.deliveries(org, filter, first(250)).await.unwrap().items;
    let mut old: Vec<_> = listed.iter().filter_map(|(delivery, _)| delivery.replay_of).collect();
    old.sort();
    old
}

/// Each condition narrows, alone and with others; steps of any size find the same.
pub async fn matched_by_filter(world: World) {
    let (org, other) = (world.org("acme").await, world.org("other").await);
    let (one, two, foreign) = (world.endpoint(org).await, world.endpoint(org).await, world.endpoint(other).await);
    let (first, second) = (ended(&world, &one, 9).await, ended(&world, &two, 9).await);
    ended(&world, &foreign, 9).await;
    let pick = |from: &[DeliveryId], keep: &dyn Fn(usize) -> bool| -> Vec<DeliveryId> {
        let kept = from.iter().enumerate().filter(|(index, _)| keep(*index));
        kept.map(|(_, id)| *id).collect()
    };
    let both = |keep: &dyn Fn(usize) -> bool| [pick(&first, keep), pick(&second, keep)].concat();
    let dead = EndReason::DeadLetter(DeadLetterReason::Exhausted);
    let gone = EndReason::DeadLetter(DeadLetterReason::Gone);
    let asked = EndReason::Cancel(CancelReason::Requested);
    let cases = [
        (filter(), both(&|_| true)),
        (ReplayFilter { endpoint_id: Some(one.id), ..filter() }, first.clone()),
        (ReplayFilter { state: Some(StateKind::Delivered), ..filter() }, both(&|index| index % 3 == 0)),
        (ReplayFilter { state: Some(StateKind::DeadLettered), ..filter() }, both(&|index| index % 3 == 1)),
        (ReplayFilter { reason: Some(asked), ..filter() }, both(&|index| index % 3 == 2)),
        (ReplayFilter { reason: Some(dead), endpoint_id: Some(two.id), ..filter() }, pick(&second, &|i| i % 3 == 1)),
        (ReplayFilter { reason: Some(gone), ..filter() }, Vec::new()),
        (ReplayFilter { reason: Some(dead), state: Some(StateKind::Cancelled), ..filter() }, Vec::new()),
        (ReplayFilter { since: Some(at(3)), until: at(6), ..filter() }, both(&|index| (3..6).contains(&index))),
        (ReplayFilter { event_type: Some(EventType::VulnerabilityCreated), ..filter() }, both(&|_| true)),
        (ReplayFilter { event_type: Some(EventType::ScanStarted), ..filter() }, Vec::new()),
    ];
    for (filter, mut expected) in cases {
        expected.sort();
        for (looked_at, found) in [(1000, 1000), (2, 1000), (1000, 3)] {
            let (mut seen, mut from) = (Vec::new(), None);
            loop {
                let step = world.store.match_replay(org, filter.clone(), from, looked_at, found).await.unwrap();
                assert!(step.looked_at <= looked_at && step.found.len() <= found as usize);
                seen.extend(step.found);
                from = step.next;
                if from.is_none() {
                    break;
                }
            }
            assert_eq!(seen, expected, "{filter:?}");
        }
    }
}

/// Of one event to one endpoint the newest counts: neither a repeat's repeat nor what was delivered since.
pub async fn the_newest_of_an_event_counts(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let old = world.deliver(&endpoint, 0).await;
    let dead = Next::DeadLetter { reason: DeadLetterReason::Exhausted, disable: None, endpoint_pause: None };
    let taken = world.take(&endpoint, 0).await;
    world.settle(&endpoint, &taken, dead, 1).await;
    let given_up = |until: i64| ReplayFilter { state: Some(StateKind::DeadLettered), until: at(until), ..ALL };
    let found = async |until: i64| world.store.match_replay(org, given_up(until), None, 99, 99).await.unwrap().found;
    assert_eq!(found(10).await, [old]);
    let first_replay = job(&world, org, given_up(10), None);
    fresh(world.store.create_replay(first_replay.clone(), Terms::default()).await.unwrap());
    advance(&world, &first_replay, 99, 99, 10).await;
    assert_eq!(found(10).await, [old], "what was made after the window is not in it");
    assert_eq!(found(11).await, [], "it is on its way again");
    let taken = world.take(&endpoint, 11).await;
    world.settle(&endpoint, &taken, dead, 12).await;
    assert_eq!(found(20).await, [taken.id], "not both");
}

/// Steps make what is left, once; the last one ends the job.
pub async fn advances_to_the_end(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let old = ended(&world, &endpoint, 9).await;
    let created = job(&world, org, filter(), None);
    fresh(world.store.create_replay(created.clone(), Terms::default()).await.unwrap());
    assert_eq!(world.store.replay_job(org, created.id).await.unwrap().as_ref(), Some(&created));
    assert_eq!(world.store.running_replays().await.unwrap(), std::slice::from_ref(&created));
    let mut steps = 0;
    loop {
        let advanced = advance(&world, &created, 3, 2, 101 + steps).await;
        steps += 1;
        assert_eq!(world.store.replay_job(org, created.id).await.unwrap(), Some(advanced.job.clone()));
        assert!(advanced.endpoints.iter().all(|id| *id == endpoint.id));
        if advanced.job.state != ReplayState::Running {
            assert_eq!(advanced.job.state, ReplayState::Finished { at: at(101 + steps - 1) });
            assert_eq!((advanced.job.progress.made, advanced.job.progress.looked_at), (9, 10));
            break;
        }
    }
    assert!(steps >= 5, "{steps}");
    assert_eq!(repeated(&world, org, 100).await, old);
    let after = advance(&world, &created, 99, 99, 200).await;
    assert_eq!((after.job.progress.made, after.endpoints.len()), (9, 0), "it has ended");
    assert_eq!(world.store.running_replays().await.unwrap(), []);

    let limited = job(&world, org, filter(), Some(4));
    fresh(world.store.create_replay(limited.clone(), Terms::default()).await.unwrap());
    let advanced = advance(&world, &limited, 99, 99, 300).await;
    assert_eq!((advanced.job.state, advanced.job.progress.made), (ReplayState::Finished { at: at(300) }, 4));
    assert_eq!(repeated(&world, org, 300).await, old[..4]);
    let listed = world.store.replay_jobs(org, first(9)).await.unwrap().items;
    assert_eq!(listed.iter().map(|job| job.state.as_str()).collect::<Vec<_>>(), ["finished", "finished"]);
}

/// However many steps are made at once, no delivery is made twice.
pub async fn steps_at_once_make_nothing_twice(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let old = ended(&world, &endpoint, 12).await;
    let created = job(&world, org, filter(), None);
    fresh(world.store.create_replay(created.clone(), Terms::default()).await.unwrap());
    for round in 0..12 {
        let step = || advance(&world, &created, 99, 2, 100 + round);
        tokio::join!(step(), step(), step(), step());
    }
    assert_eq!(repeated(&world, org, 100).await, old);
}

/// A cancelled job makes no more; what has ended cannot be cancelled.
pub async fn cancelled_meanwhile(world: World) {
    let (org, other) = (world.org("acme").await, world.org("other").await);
    let endpoint = world.endpoint(org).await;
    ended(&world, &endpoint, 9).await;
    let created = job(&world, org, filter(), None);
    fresh(world.store.create_replay(created.clone(), Terms::default()).await.unwrap());
    advance(&world, &created, 99, 2, 100).await;
    assert_eq!(world.store.cancel_replay(other, created.id, at(101), None).await.unwrap(), None);
    assert_eq!(world.store.replay_job(other, created.id).await.unwrap(), None);
    let cancelled = world.store.cancel_replay(org, created.id, at(101), None).await.unwrap().unwrap();
    assert_eq!((cancelled.state, cancelled.progress.made), (ReplayState::Cancelled { at: at(101) }, 2));
    let after = advance(&world, &created, 99, 99, 102).await;
    assert_eq!((after.job, after.endpoints), (cancelled, Vec::new()));
    assert!(matches!(world.store.cancel_replay(org, created.id, at(103), None).await, Err(StoreError::Conflict(_))));
    assert_eq!(repeated(&world, org, 100).await.len(), 2);
}

/// The same key is the same job; and not more run than may.
pub async fn made_once_and_not_too_many(world: World) {
    let org = world.org("acme").await;
    let created = job(&world, org, filter(), None);
    fresh(world.store.create_replay(created.clone(), terms("key", 1)).await.unwrap());
    let again = world.store.create_replay(job(&world, org, filter(), None), terms("key", 1)).await.unwrap();
    assert!(matches!(again, Written::Repeated(_)), "{again:?}");
    assert_eq!(world.store.running_replays().await.unwrap().len(), 1);
    for _ in 1..RUNNING_REPLAYS_MAX {
        fresh(world.store.create_replay(job(&world, org, filter(), None), Terms::default()).await.unwrap());
    }
    let refused = world.store.create_replay(job(&world, org, filter(), None), Terms::default()).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
}

/// What the endpoint's state makes of a repeat: held while it rests, nothing once it is gone.
pub async fn endpoints_that_rest_or_are_gone(world: World) {
    let org = world.org("acme").await;
    let (resting, gone) = (world.endpoint(org).await, world.endpoint(org).await);
    ended(&world, &resting, 3).await;
    ended(&world, &gone, 3).await;
    world.pause(&resting, 50).await;
    assert!(world.store.delete_endpoint(org, gone.id, at(50), None).await.unwrap());
    let created = job(&world, org, filter(), None);
    fresh(world.store.create_replay(created.clone(), Terms::default()).await.unwrap());
    let advanced = advance(&world, &created, 99, 99, 100).await;
    assert_eq!((advanced.job.progress.made, advanced.endpoints), (3, Vec::new()));
    let held = DeliveryFilter { state: Some(StateKind::Held), since: Some(at(100)), ..DeliveryFilter::default() };
    assert_eq!(world.store.deliveries(org, held, first(9)).await.unwrap().items.len(), 3);
}
