//! A node dies while an attempt is under way; the next one takes over.

use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use watchbell_domain::delivery::{AttemptResult, DeliveryState};
use watchbell_domain::port::testing::ManualClock;

use crate::world::{Node, start_of_time};

/// What runs in a machine ends with it: dropping a runtime is a kill, nothing is finished or written down.
fn machine() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

#[test]
fn what_a_kill_interrupted_is_sent_again_at_the_next_start_and_does_not_count() {
    let folder = TempDir::new().unwrap();
    let clock = ManualClock::at(start_of_time());
    let first = machine();
    let (delivery, before) = first.block_on(async {
        let mut node = Node::start(folder.path(), clock.clone(), vec![None]).await;
        node.set_up().await;
        let delivery = node.accept().await;
        (delivery, node.arrivals.recv().await.unwrap())
    });
    drop(first);

    machine().block_on(async {
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
    });
}
