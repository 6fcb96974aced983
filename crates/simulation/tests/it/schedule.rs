//! The whole default schedule, three days of it.

use jiff::SignedDuration;
use tempfile::TempDir;
use watchbell_domain::delivery::{AttemptResult, DeadLetterReason, DeliveryState};
use watchbell_domain::port::testing::ManualClock;
use watchbell_engine::delivery::Options;

use crate::world::{Node, start_of_time};

#[tokio::test]
async fn an_endpoint_that_recovers_at_the_last_attempt_gets_the_same_bytes() {
    let waits = Options::default().retry_schedule;
    let mut statuses = vec![Some(503); waits.len() - 1];
    statuses.push(Some(200));
    let folder = TempDir::new().unwrap();
    let mut node = Node::start(folder.path(), ManualClock::at(start_of_time()), statuses).await;
    node.set_up().await;
    let delivery = node.accept().await;

    let mut first = None;
    let mut failed_at = start_of_time();
    for wait in waits {
        let arrival = node.arrivals.recv().await.unwrap();
        let waited = failed_at.duration_until(arrival.at);
        let latest = SignedDuration::from_secs_f64(wait.as_secs_f64() * 1.1) + SignedDuration::from_secs(1);
        assert!(wait <= waited && waited <= latest, "waited {waited} instead of {wait}");
        assert_eq!(arrival.headers["webhook-timestamp"], arrival.at.as_second().to_string());
        assert_eq!(arrival.headers["x-team"], "blue");
        let kept = (arrival.headers["webhook-id"].clone(), arrival.body.clone());
        assert_eq!(first.get_or_insert_with(|| kept.clone()), &kept);

        failed_at = arrival.at;
        if let DeliveryState::Pending { due_at } = node.settled(delivery).await.0.state {
            node.advance_to(due_at);
        }
    }
    let (done, attempts) = node.settled(delivery).await;
    assert!(matches!(done.state, DeliveryState::Delivered { .. }), "{done:?}");
    assert_eq!(attempts.last().unwrap().result, AttemptResult::Http(200));
    node.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_stays_down_ends_as_a_dead_letter() {
    let folder = TempDir::new().unwrap();
    let mut node = Node::start(folder.path(), ManualClock::at(start_of_time()), vec![Some(500)]).await;
    node.set_up().await;
    let delivery = node.accept().await;
    let attempts = Options::default().retry_schedule.len();
    for _ in 0..attempts {
        node.arrivals.recv().await.unwrap();
        if let DeliveryState::Pending { due_at } = node.settled(delivery).await.0.state {
            node.advance_to(due_at);
        }
    }
    let (done, recorded) = node.settled(delivery).await;
    assert!(matches!(done.state, DeliveryState::DeadLettered { reason: DeadLetterReason::Exhausted, .. }), "{done:?}");
    assert_eq!(recorded.len(), attempts);
    node.stop().await;
}
