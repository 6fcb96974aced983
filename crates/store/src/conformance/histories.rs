//! Random histories, run on the store and on a model of it that fits on a page.
//!
//! The model knows nothing of rows: a delivery is a state in a list. Whatever order of accepting, claiming, settling (in
//! time or too late), pausing, resuming, deleting, cancelling and waiting comes up, both must say the same.

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use watchbell_domain::delivery::{CancelReason, DeadLetterReason, DeliveryState, Lease};
use watchbell_domain::endpoint::{DisabledReason, Endpoint};
use watchbell_domain::id::{DeliveryId, OrgId};
use watchbell_domain::port::{ClaimedDelivery, Next, Settled, StoreError};

use super::World;
use super::world::{LEASE, at};

const ENDPOINTS: usize = 2;

/// One thing that happens. Indices are taken modulo what there is.
#[derive(Debug, Clone)]
enum Step {
    Accept { endpoint: usize },
    Claim { endpoint: usize, limit: u32 },
    Settle { claim: usize, end: End },
    Pause { endpoint: usize },
    Resume { endpoint: usize },
    Delete { endpoint: usize },
    Cancel { delivery: usize },
    RetryNow { delivery: usize },
    Wait { seconds: i64 },
}

/// How an attempt ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Delivered,
    Retry { after: i64, counts: bool },
    RetryLater { pause: i64 },
    DeadLetter,
    Gone,
}

fn step() -> impl Strategy<Value = Step> {
    let endpoint = 0..ENDPOINTS;
    let end = prop_oneof![
        Just(End::Delivered),
        (0_i64..40, any::<bool>()).prop_map(|(after, counts)| End::Retry { after, counts }),
        (0_i64..40).prop_map(|pause| End::RetryLater { pause }),
        Just(End::DeadLetter),
        Just(End::Gone),
    ];
    prop_oneof![
        6 => endpoint.clone().prop_map(|endpoint| Step::Accept { endpoint }),
        6 => (endpoint.clone(), 0_u32..4).prop_map(|(endpoint, limit)| Step::Claim { endpoint, limit }),
        6 => (any::<usize>(), end).prop_map(|(claim, end)| Step::Settle { claim, end }),
        1 => endpoint.clone().prop_map(|endpoint| Step::Pause { endpoint }),
        2 => endpoint.clone().prop_map(|endpoint| Step::Resume { endpoint }),
        1 => endpoint.prop_map(|endpoint| Step::Delete { endpoint }),
        1 => any::<usize>().prop_map(|delivery| Step::Cancel { delivery }),
        1 => any::<usize>().prop_map(|delivery| Step::RetryNow { delivery }),
        4 => (0_i64..90).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

/// Store and model agree after every history.
pub async fn end_as_the_model_says(world: World) {
    let world = &world;
    let handle = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        let config = Config { cases: 64, failure_persistence: None, ..Config::default() };
        let histories = proptest::collection::vec(step(), 1..60);
        let outcome = TestRunner::new(config).run(&histories, |history| {
            handle.block_on(run(world, &history));
            Ok::<_, TestCaseError>(())
        });
        if let Err(failure) = outcome {
            panic!("{failure}");
        }
    });
}

async fn run(world: &World, history: &[Step]) {
    let org = world.org(&world.uuid(0).to_string()).await;
    let mut model = Model { org, now: 0, endpoints: Vec::new(), deliveries: Vec::new(), claims: Vec::new() };
    for _ in 0..ENDPOINTS {
        let endpoint = world.endpoint(org).await;
        model.endpoints.push(ModelEndpoint { endpoint, rest: Rest::Active, not_before: 0 });
    }
    for step in history {
        model.step(world, step).await;
    }
    model.compare(world).await;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Active,
    Resting,
    Deleted,
}

struct ModelEndpoint {
    endpoint: Endpoint,
    rest: Rest,
    not_before: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Pending(i64),
    Sending { until: i64 },
    Held,
    Delivered(i64),
    DeadLettered(i64, DeadLetterReason),
    Cancelled(i64, CancelReason),
}

struct ModelDelivery {
    id: DeliveryId,
    endpoint: usize,
    state: State,
    lease: u64,
    attempts: u32,
    counted: u32,
}

struct Model {
    org: OrgId,
    now: i64,
    endpoints: Vec<ModelEndpoint>,
    deliveries: Vec<ModelDelivery>,
    /// Every claim ever made, stale ones too.
    claims: Vec<(usize, ClaimedDelivery)>,
}

impl Model {
    async fn step(&mut self, world: &World, step: &Step) {
        match *step {
            Step::Accept { endpoint } => self.accept(world, endpoint).await,
            Step::Claim { endpoint, limit } => self.claim(world, endpoint, limit).await,
            Step::Settle { claim, end } if !self.claims.is_empty() => {
                self.settle(world, claim % self.claims.len(), end).await;
            }
            Step::Pause { endpoint } => self.pause(world, endpoint).await,
            Step::Resume { endpoint } => self.resume(world, endpoint).await,
            Step::Delete { endpoint } => self.delete(world, endpoint).await,
            Step::Cancel { delivery } if !self.deliveries.is_empty() => {
                self.cancel(world, delivery % self.deliveries.len()).await;
            }
            Step::RetryNow { delivery } if !self.deliveries.is_empty() => {
                self.retry_now(world, delivery % self.deliveries.len()).await;
            }
            Step::Wait { seconds } => self.now += seconds,
            Step::Settle { .. } | Step::Cancel { .. } | Step::RetryNow { .. } => {}
        }
    }

    async fn accept(&mut self, world: &World, endpoint: usize) {
        let to = &self.endpoints[endpoint];
        if to.rest == Rest::Deleted {
            return;
        }
        let id = world.deliver(&to.endpoint, self.now).await;
        let state = if to.rest == Rest::Active { State::Pending(self.now) } else { State::Held };
        self.deliveries.push(ModelDelivery { id, endpoint, state, lease: 0, attempts: 0, counted: 0 });
    }

    async fn claim(&mut self, world: &World, endpoint: usize, limit: u32) {
        let (now, of) = (self.now, &self.endpoints[endpoint]);
        for delivery in self.deliveries.iter_mut().filter(|delivery| delivery.endpoint == endpoint) {
            if let State::Sending { until } = delivery.state
                && until <= now
            {
                delivery.attempts += 1;
                delivery.state = match of.rest {
                    Rest::Active => State::Pending(until),
                    Rest::Resting => State::Held,
                    Rest::Deleted => State::Cancelled(now, CancelReason::EndpointDeleted),
                };
            }
        }
        let mut due: Vec<(i64, DeliveryId, usize)> = Vec::new();
        if of.rest == Rest::Active && of.not_before <= now {
            for (index, delivery) in self.deliveries.iter().enumerate() {
                if let State::Pending(at) = delivery.state
                    && delivery.endpoint == endpoint
                    && at <= now
                {
                    due.push((at, delivery.id, index));
                }
            }
        }
        due.sort();
        due.truncate(usize::try_from(limit).unwrap());
        let claim =
            watchbell_domain::port::Claim { org_id: self.org, endpoint_id: of.endpoint.id, limit, retries: u32::MAX };
        let claimed = world.store.claim(vec![claim], at(now), LEASE).await.unwrap();
        assert_eq!(claimed.is_empty(), of.rest == Rest::Deleted);
        let taken: Vec<_> = claimed.into_iter().flat_map(|claimed| claimed.deliveries).collect();
        let ids: Vec<_> = taken.iter().map(|taken| taken.id).collect();
        assert_eq!(ids, due.iter().map(|(_, id, _)| *id).collect::<Vec<_>>());
        for (taken, (_, _, index)) in taken.into_iter().zip(due) {
            let delivery = &mut self.deliveries[index];
            delivery.lease += 1;
            delivery.state = State::Sending { until: now + LEASE.as_secs() };
            let told = (taken.lease, taken.attempt_number, taken.attempts_counted);
            assert_eq!(told, (Lease(delivery.lease), delivery.attempts + 1, delivery.counted));
            self.claims.push((index, taken));
        }
    }

    async fn settle(&mut self, world: &World, claim: usize, end: End) {
        let now = self.now;
        let (index, taken) = &self.claims[claim];
        let delivery = &mut self.deliveries[*index];
        let of = &mut self.endpoints[delivery.endpoint];
        let reason = DeadLetterReason::Exhausted;
        let next = match end {
            End::Delivered => Next::Delivered,
            End::Retry { after, counts } => Next::Retry { due_at: at(now + after), counts, endpoint_pause: None },
            End::RetryLater { pause } => {
                Next::Retry { due_at: at(now + pause), counts: true, endpoint_pause: Some(at(now + pause)) }
            }
            End::DeadLetter => Next::DeadLetter { reason, disable: None, endpoint_pause: None },
            End::Gone => Next::DeadLetter {
                reason: DeadLetterReason::Gone,
                disable: Some(DisabledReason::Gone),
                endpoint_pause: None,
            },
        };
        let settled = world.settle_one(world.settlement(&of.endpoint, taken, next, now)).await;
        if !matches!(delivery.state, State::Sending { .. }) || taken.lease != Lease(delivery.lease) {
            assert_eq!(settled, Err(StoreError::LeaseLost));
            return;
        }
        delivery.attempts += 1;
        delivery.counted += u32::from(!matches!(end, End::Retry { counts: false, .. }));
        let waits = |due| match of.rest {
            Rest::Active => State::Pending(due),
            Rest::Resting => State::Held,
            Rest::Deleted => State::Cancelled(now, CancelReason::EndpointDeleted),
        };
        delivery.state = match end {
            End::Delivered => State::Delivered(now),
            End::Retry { after, .. } => waits(now + after),
            End::RetryLater { pause } => waits(now + pause),
            End::DeadLetter => State::DeadLettered(now, reason),
            End::Gone => State::DeadLettered(now, DeadLetterReason::Gone),
        };
        assert_eq!(settled, Ok(Settled { state: as_stored(delivery).kind() }));
        match end {
            End::RetryLater { pause } => of.not_before = of.not_before.max(now + pause),
            End::Gone if of.rest != Rest::Deleted => {
                of.rest = Rest::Resting;
                let endpoint = delivery.endpoint;
                self.hold(endpoint);
            }
            End::Gone | End::Delivered | End::Retry { .. } | End::DeadLetter => {}
        }
    }

    async fn pause(&mut self, world: &World, endpoint: usize) {
        let of = &mut self.endpoints[endpoint];
        if of.rest == Rest::Active {
            of.rest = Rest::Resting;
            world.pause(&of.endpoint, self.now).await;
            self.hold(endpoint);
        }
    }

    async fn resume(&mut self, world: &World, endpoint: usize) {
        let of = &mut self.endpoints[endpoint];
        if of.rest == Rest::Resting {
            of.rest = Rest::Active;
            world.resume(&of.endpoint, self.now).await;
            for delivery in &mut self.deliveries {
                if delivery.endpoint == endpoint && delivery.state == State::Held {
                    delivery.state = State::Pending(self.now);
                }
            }
        }
    }

    async fn delete(&mut self, world: &World, endpoint: usize) {
        let of = &mut self.endpoints[endpoint];
        let deleted = world.store.delete_endpoint(self.org, of.endpoint.id, at(self.now), None).await.unwrap();
        assert_eq!(deleted, of.rest != Rest::Deleted);
        of.rest = Rest::Deleted;
        for delivery in &mut self.deliveries {
            if delivery.endpoint == endpoint && matches!(delivery.state, State::Pending(_) | State::Held) {
                delivery.state = State::Cancelled(self.now, CancelReason::EndpointDeleted);
            }
        }
    }

    async fn cancel(&mut self, world: &World, index: usize) {
        let delivery = &mut self.deliveries[index];
        let cancelled = world.store.cancel(self.org, delivery.id, at(self.now), None).await;
        if matches!(delivery.state, State::Pending(_) | State::Held) {
            delivery.state = State::Cancelled(self.now, CancelReason::Requested);
            assert_eq!(cancelled.unwrap().unwrap().state, as_stored(delivery));
        } else {
            assert!(matches!(cancelled, Err(StoreError::Conflict(_))));
        }
    }

    async fn retry_now(&mut self, world: &World, index: usize) {
        let delivery = &mut self.deliveries[index];
        let retried = world.store.retry_now(self.org, delivery.id, at(self.now), None).await;
        if let State::Pending(due) = delivery.state {
            delivery.state = State::Pending(due.min(self.now));
            assert_eq!(retried.unwrap().unwrap().state, as_stored(delivery));
        } else {
            assert!(matches!(retried, Err(StoreError::Conflict(_))));
        }
    }

    fn hold(&mut self, endpoint: usize) {
        for delivery in &mut self.deliveries {
            if delivery.endpoint == endpoint && matches!(delivery.state, State::Pending(_)) {
                delivery.state = State::Held;
            }
        }
    }

    async fn compare(&self, world: &World) {
        for delivery in &self.deliveries {
            let (stored, attempts) = world.delivery(self.org, delivery.id).await;
            assert_eq!(stored.state, as_stored(delivery));
            assert_eq!(stored.attempts_counted, delivery.counted);
            let numbers: Vec<_> = attempts.iter().map(|attempt| attempt.number).collect();
            assert_eq!(numbers, (1..=delivery.attempts).collect::<Vec<_>>());
        }
        let due = world.store.due_endpoints().await.unwrap();
        for (index, of) in self.endpoints.iter().enumerate() {
            let mine = || self.deliveries.iter().filter(|delivery| delivery.endpoint == index);
            let wakes = mine().filter_map(|delivery| match delivery.state {
                State::Pending(due) => Some(due.max(of.not_before)),
                State::Sending { until } => Some(until),
                State::Held | State::Delivered(_) | State::DeadLettered(..) | State::Cancelled(..) => None,
            });
            let found = due.iter().find(|due| due.endpoint_id == of.endpoint.id).map(|due| due.due_at);
            assert_eq!(found, wakes.min().map(at));
        }
    }
}

fn as_stored(delivery: &ModelDelivery) -> DeliveryState {
    match delivery.state {
        State::Pending(due) => DeliveryState::Pending { due_at: at(due) },
        State::Sending { until } => DeliveryState::Sending { lease_until: at(until), lease: Lease(delivery.lease) },
        State::Held => DeliveryState::Held,
        State::Delivered(when) => DeliveryState::Delivered { at: at(when) },
        State::DeadLettered(when, reason) => DeliveryState::DeadLettered { at: at(when), reason },
        State::Cancelled(when, reason) => DeliveryState::Cancelled { at: at(when), reason },
    }
}
