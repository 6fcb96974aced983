//! When an endpoint has failed for so long that it is disabled.
//!
//! ```text
//!              failure                 failure, ATTEMPTS_MIN of them, and long enough after the first
//!   well ─────────────────▶ failing ───────────────────────────────────────────────────────────────▶ disabled
//!     ▲                      │   ▲
//!     └──── any success ─────┘   └── an answer that asked for a pause, our own faults: neither one nor the other
//! ```

use jiff::{SignedDuration, Timestamp};

use crate::delivery::AttemptResult;

/// Fewer failures than this disable nothing, however long ago the first was.
pub const ATTEMPTS_MIN: u32 = 20;

/// An endpoint that has had nothing but failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failing {
    /// When the first attempt failed that no success followed.
    pub since: Timestamp,
    /// How many have failed since; [`ATTEMPTS_MIN`] also says "or more", so that counting comes to an end.
    pub attempts: u32,
}

impl Failing {
    /// What is known of an endpoint after an attempt; `None`: it is well, as far as anybody knows.
    ///
    /// `asked_for_pause` says that the answer named a time to come again: that is an endpoint that is looked after.
    #[must_use]
    pub fn after(before: Option<Self>, result: AttemptResult, asked_for_pause: bool, at: Timestamp) -> Option<Self> {
        if result.is_success() {
            return None;
        }
        if asked_for_pause || matches!(result, AttemptResult::Interrupted | AttemptResult::Internal) {
            return before;
        }
        let since = before.map_or(at, |before| before.since);
        let attempts = before.map_or(0, |before| before.attempts).saturating_add(1).min(ATTEMPTS_MIN);
        Some(Self { since, attempts })
    }

    /// Whether it has failed for so long, and often enough, that it is disabled at `now`.
    pub fn is_hopeless(&self, now: Timestamp, disable_after: SignedDuration) -> bool {
        self.attempts >= ATTEMPTS_MIN && self.since.duration_until(now) >= disable_after
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIVE_DAYS: SignedDuration = SignedDuration::from_hours(5 * 24);

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + hours * 3600).unwrap()
    }

    fn after_each(results: impl IntoIterator<Item = (AttemptResult, bool, i64)>) -> Option<Failing> {
        results.into_iter().fold(None, |known, (result, pause, hour)| Failing::after(known, result, pause, at(hour)))
    }

    const DOWN: AttemptResult = AttemptResult::ConnectRefused;

    #[test]
    fn f29_long_enough_and_often_enough() {
        let failing = after_each((0..20).map(|hour| (DOWN, false, hour * 6))).unwrap();
        assert_eq!((failing.since, failing.attempts), (at(0), 20));
        assert!(!failing.is_hopeless(at(119), FIVE_DAYS) && failing.is_hopeless(at(120), FIVE_DAYS));
        let seldom = after_each((0..19).map(|hour| (DOWN, false, hour * 24))).unwrap();
        assert!(!seldom.is_hopeless(at(1_000), FIVE_DAYS), "19 attempts are too few");
    }

    #[test]
    fn a_success_ends_it_and_what_says_nothing_changes_nothing() {
        assert_eq!(after_each([(DOWN, false, 0), (AttemptResult::Http(204), false, 1)]), None);
        let first = after_each([(DOWN, false, 0)]);
        for (result, pause) in [
            (AttemptResult::Interrupted, false),
            (AttemptResult::Internal, false),
            (AttemptResult::Http(503), true),
            (AttemptResult::Http(429), true),
        ] {
            assert_eq!(Failing::after(first, result, pause, at(9)), first, "{result:?}");
            assert_eq!(Failing::after(None, result, pause, at(9)), None, "{result:?}");
        }
    }

    proptest! {
        /// A clock that is set back disables nothing, and whatever comes, hopeless means old enough.
        #[test]
        fn hopeless_is_never_young(hours in proptest::collection::vec(-50..200_i64, 1..60), now in -100..400_i64) {
            let failing = after_each(hours.iter().map(|hour| (DOWN, false, *hour))).unwrap();
            prop_assert_eq!(failing.since, at(hours[0]));
            prop_assert_eq!(failing.is_hopeless(at(now), FIVE_DAYS), hours.len() >= 20 && now - hours[0] >= 120);
        }
    }
}
