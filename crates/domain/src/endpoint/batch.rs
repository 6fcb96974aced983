//! Digests: what an endpoint is to be told of gathers for a while and goes out as one.
//!
//! A delivery is given its time when it is accepted, as by quiet hours: the next whole multiple of the wait, so that everybody can
//! say when a digest comes (every 15 minutes: at :00, :15, :30 and :45) and nothing has to be remembered between two of them.
//! What gathers before its time because there is enough of it becomes due at once.

use jiff::{SignedDuration, Timestamp};
use watchbell_wire::Severity;

use crate::rule::reaches;

/// How an endpoint's deliveries gather.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// So many do not wait any longer, and most that go out as one.
    pub max: u32,
    /// How long they gather at most: digests go out at whole multiples of it, counted from midnight UTC where it divides the
    /// day.
    pub wait: SignedDuration,
    /// What is at least so bad does not wait.
    pub except: Option<Severity>,
}

impl Batch {
    /// Where nothing is said: so many.
    pub const MAX: u32 = 100;
    /// Fewest and most that go out as one. The most is what one organisation's line holds.
    pub const MAX_BOUNDS: (u32, u32) = (2, 500);
    /// Shortest and longest wait. The shortest is longer than it takes the loop to learn that something gathers.
    pub const WAIT_BOUNDS: (SignedDuration, SignedDuration) =
        (SignedDuration::from_secs(10), SignedDuration::from_hours(24));

    /// When what is accepted at `at` goes out at the latest. `None`: it does not wait.
    pub fn holds_until(&self, at: Timestamp, severity: Option<Severity>) -> Option<Timestamp> {
        if self.except.is_some_and(|least| reaches(severity, least)) {
            return None;
        }
        let wait = self.wait.as_micros();
        let into = at.as_microsecond().rem_euclid(i64::try_from(wait).ok().filter(|wait| *wait > 0)?);
        let left = self.wait - SignedDuration::from_micros(into);
        // Whole microseconds, as it is stored.
        Timestamp::from_microsecond(at.as_microsecond()).ok()?.checked_add(left).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn every(minutes: i64) -> Batch {
        Batch { max: 10, wait: SignedDuration::from_mins(minutes), except: None }
    }

    #[test]
    fn digests_come_when_the_clock_says_so() {
        let held = |minutes, text| every(minutes).holds_until(at(text), None).unwrap().to_string();
        assert_eq!(held(15, "2026-01-10T10:00:00.000001Z"), "2026-01-10T10:15:00Z");
        assert_eq!(held(15, "2026-01-10T10:14:59.999999Z"), "2026-01-10T10:15:00Z");
        assert_eq!(held(15, "2026-01-10T10:15:00Z"), "2026-01-10T10:30:00Z", "this one has gone out");
        assert_eq!(held(24 * 60, "2026-01-10T10:15:00Z"), "2026-01-11T00:00:00Z");
    }

    #[test]
    fn what_is_bad_enough_does_not_gather_and_what_nobody_rated_does() {
        let batch = Batch { except: Some(Severity::Critical), ..every(15) };
        let now = at("2026-01-10T10:05:00Z");
        assert_eq!(batch.holds_until(now, Some(Severity::Critical)), None);
        assert!(batch.holds_until(now, Some(Severity::High)).is_some());
        assert!(batch.holds_until(now, None).is_some());
    }

    proptest! {
        /// Nothing waits longer than it may, nothing goes out at once, and what comes later never goes out sooner.
        #[test]
        fn nothing_waits_too_long(at in 0..4_000_000_000_000_000_i64, later in 0..90_000_000_000_i64, wait in 10..86_400_i64) {
            let batch = Batch { wait: SignedDuration::from_secs(wait), ..every(1) };
            let moment = |micros| Timestamp::from_microsecond(micros).unwrap();
            let held = batch.holds_until(moment(at), None).unwrap();
            let waits = moment(at).duration_until(held);
            prop_assert!(waits.is_positive() && waits <= batch.wait);
            prop_assert!(batch.holds_until(moment(at + later), None).unwrap() >= held);
        }
    }
}
