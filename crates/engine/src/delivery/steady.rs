//! The time by which deliveries are due: the wall clock, but it never runs backwards.
//!
//! Set back by an hour, the wall clock would hold every retry up for an hour. So time goes on from where it was, by the
//! monotonic clock; set forward, it follows. What is signed and shown carries the wall clock's time.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use watchbell_domain::port::Clock;

#[derive(Debug)]
pub(super) struct Steady {
    clock: Arc<dyn Clock>,
    /// A moment by both clocks.
    anchor: Mutex<(Timestamp, SignedDuration)>,
}

impl Steady {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let anchor = Mutex::new((clock.now(), clock.monotonic()));
        Self { clock, anchor }
    }

    pub(super) fn now(&self) -> Timestamp {
        let (wall, monotonic) = (self.clock.now(), self.clock.monotonic());
        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        let gone_on = anchor.0.saturating_add(monotonic - anchor.1).unwrap_or(Timestamp::MAX);
        let now = wall.max(gone_on);
        *anchor = (now, monotonic);
        now
    }
}

#[cfg(test)]
mod tests {
    use watchbell_domain::port::testing::ManualClock;

    use super::*;

    #[test]
    fn it_follows_forwards_and_never_goes_back() {
        let start = Timestamp::UNIX_EPOCH;
        let clock = ManualClock::at(start);
        let steady = Steady::new(Arc::new(clock.clone()));
        let at = |seconds| start + SignedDuration::from_secs(seconds);
        clock.advance(SignedDuration::from_secs(10));
        assert_eq!(steady.now(), at(10));
        clock.set_wall(start - SignedDuration::from_hours(1));
        assert_eq!(steady.now(), at(10));
        clock.advance(SignedDuration::from_secs(5));
        assert_eq!(steady.now(), at(15));
        clock.set_wall(at(1000));
        assert_eq!(steady.now(), at(1000));
    }
}
