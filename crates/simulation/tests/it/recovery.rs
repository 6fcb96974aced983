//! A node dies while an attempt is under way; the next one takes over.

use tempfile::TempDir;
use watchbell_domain::delivery::{AttemptResult, DeliveryState};
use watchbell_domain::port::testing::ManualClock;

use crate::world::{Node, start_of_time};

#[tokio::test]
async fn what_a_kill_interrupted_is_sent_again_at_the_next_start_and_does_not_count() {
    let folder = TempDir::new().unwrap();
    let clock = ManualClock::at(start_of_time());
    let mut node = Node::start(folder.path(), clock.clone(), vec![None]).await;
    node.set_up().await;
    let delivery = node.accept().await;
    let before = node.arrivals.recv().await.unwrap();
    node.kill().await;

    let mut node = Node::start(folder.path(), clock, vec![Some(204)]).await;
    let after = node.arrivals.recv().await.unwrap();
    assert_eq!(after.headers["webhook-id"], before.headers["webhook-id"]);
    assert_eq!(after.body, before.body);
    let (done, attempts) = node.settled(delivery).await;
    assert!(matches!(done.state, DeliveryState::Delivered { .. }), "{done:?}");
    assert_eq!(done.attempts_counted, 1);
    let results: Vec<_> = attempts.iter().map(|attempt| attempt.result).collect();
    assert_eq!(results, [AttemptResult::Interrupted, AttemptResult::Http(204)]);
    node.stop().await;
}
