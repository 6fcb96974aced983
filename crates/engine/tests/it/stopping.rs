//! H11: an orderly stop loses no outcome and begins nothing new.

use jiff::SignedDuration;
use watchbell_domain::delivery::AttemptResult::*;
use watchbell_domain::delivery::StateKind;
use watchbell_domain::port::Next;

use crate::support::rig::{Rig, options, org, settle_down};
use crate::support::sink::{Sink, Step, answer};
use crate::support::store::result_of;

#[tokio::test]
async fn running_attempts_finish_and_nothing_new_begins() {
    let mut sink = Sink::always(vec![Step::Read, Step::Wait, answer(200)]).await;
    let mut rig = Rig::start(options());
    let endpoint = rig.endpoint(org(1), &sink.url());
    let first = rig.deliver(endpoint, "{}");
    sink.request().await;
    rig.shutdown.cancel();
    settle_down().await;
    let second = rig.deliver(endpoint, "{}");
    settle_down().await;
    sink.go_on();
    let settled = rig.settled().await;
    assert_eq!((settled.delivery_id, settled.next), (first, Next::Delivered));
    rig.running.await.unwrap();
    assert_eq!(rig.store.tables().rows[&second].state, StateKind::Pending);
    assert_eq!(sink.connections(), 1);
}

#[tokio::test]
async fn after_the_grace_attempts_are_interrupted_and_not_counted() {
    let mut sink = Sink::always(vec![Step::Read, Step::Hang]).await;
    let mut rig = Rig::start(options());
    let endpoint = rig.endpoint_with(org(1), &sink.url(), |endpoint| {
        endpoint.policy.timeout = Some(SignedDuration::from_secs(40));
    });
    let deliveries: Vec<_> = (0..5).map(|_| rig.deliver(endpoint, "{}")).collect();
    for _ in &deliveries {
        sink.request().await;
    }
    rig.shutdown.cancel();
    settle_down().await;
    rig.clock.advance(SignedDuration::from_secs(25));
    rig.running.await.unwrap();
    for _ in &deliveries {
        let settled = rig.settlements.recv().await.unwrap();
        assert_eq!(result_of(&settled), Some(Interrupted));
        assert!(matches!(settled.next, Next::Retry { counts: false, .. }), "{settled:?}");
    }
    for delivery in deliveries {
        let tables = rig.store.tables();
        let row = &tables.rows[&delivery];
        assert_eq!((row.state, row.counted), (StateKind::Pending, 0));
    }
}

#[tokio::test]
async fn with_nothing_in_flight_it_stops_at_once() {
    let rig = Rig::start(options());
    settle_down().await;
    rig.shutdown.cancel();
    rig.running.await.unwrap();
}
