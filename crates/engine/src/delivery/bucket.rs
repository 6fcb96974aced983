//! How often attempts to an endpoint may begin: a token bucket, kept as one moment. Pure: time comes in.
//!
//! The moment is when the bucket will be full again. Each start moves it one token's time on; a start is allowed while it
//! lies less than a bucket's time ahead. Times are counted in units of a nanosecond divided by the rate, in which a token
//! takes a whole number: only the moment of a start is rounded, up to the next nanosecond.

use jiff::Timestamp;
use watchbell_domain::endpoint::RateLimit;

/// A token's time in the bucket's units: a second's worth of nanoseconds, whatever the rate.
const TOKEN: i128 = 1_000_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bucket {
    limit: RateLimit,
    /// When it is full again.
    full_at: i128,
}

impl Bucket {
    /// A full one.
    pub(crate) const fn full(limit: RateLimit) -> Self {
        Self { limit, full_at: i128::MIN }
    }

    /// The same bucket under another limit: what was taken stays taken.
    pub(crate) fn with_limit(self, limit: RateLimit, now: Timestamp) -> Self {
        let old = self.units(now);
        let missing = (self.full_at.max(old) - old).min(i128::from(limit.burst.get()) * TOKEN);
        let changed = Self { limit, full_at: 0 };
        Self { full_at: changed.units(now) + missing, ..changed }
    }

    pub(crate) const fn limit(&self) -> RateLimit {
        self.limit
    }

    /// Tokens there are at `now`.
    pub(crate) fn tokens(&self, now: Timestamp) -> u32 {
        let now = self.units(now);
        let missing = self.full_at.max(now) - now;
        let tokens = (i128::from(self.limit.burst.get()) * TOKEN - missing).div_euclid(TOKEN);
        u32::try_from(tokens.max(0)).unwrap_or(u32::MAX)
    }

    /// Takes one; without one it is owed.
    pub(crate) fn take(&mut self, now: Timestamp) {
        self.full_at = self.full_at.max(self.units(now)) + TOKEN;
    }

    /// When there is a token, now or later.
    pub(crate) fn next_at(&self, now: Timestamp) -> Timestamp {
        let allowed = self.full_at.saturating_sub((i128::from(self.limit.burst.get()) - 1) * TOKEN);
        if allowed <= self.units(now) {
            return now;
        }
        let rate = i128::from(self.limit.per_second.get());
        // Rounded up: a nanosecond early there is none yet.
        let nanos = allowed.div_euclid(rate) + i128::from(allowed.rem_euclid(rate) != 0);
        Timestamp::from_nanosecond(nanos).unwrap_or(Timestamp::MAX)
    }

    fn units(&self, at: Timestamp) -> i128 {
        at.as_nanosecond() * i128::from(self.limit.per_second.get())
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    fn limit(per_second: u32, burst: u32) -> RateLimit {
        RateLimit { per_second: per_second.try_into().unwrap(), burst: burst.try_into().unwrap() }
    }

    fn at(nanos: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap() + SignedDuration::from_nanos(nanos)
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let mut bucket = Bucket::full(limit(3, 2));
        assert_eq!((bucket.tokens(at(0)), bucket.next_at(at(0))), (2, at(0)));
        bucket.take(at(0));
        bucket.take(at(0));
        assert_eq!((bucket.tokens(at(333_333_333)), bucket.next_at(at(0))), (0, at(333_333_334)));
        assert_eq!(bucket.tokens(at(333_333_334)), 1);
        assert_eq!(bucket.tokens(at(i64::MAX / 4)), 2, "no more than the burst gathers");
    }

    #[test]
    fn however_long_it_runs_a_start_is_late_by_less_than_a_nanosecond() {
        let mut bucket = Bucket::full(limit(7, 1));
        let mut now = at(0);
        for _ in 0..=70_000 {
            now = bucket.next_at(now);
            bucket.take(now);
        }
        let late = now.as_nanosecond() - at(10_000_000_000_000).as_nanosecond();
        assert!((0..70_000).contains(&late), "{late} ns after 10 000 seconds");
    }

    #[test]
    fn another_limit_gives_nothing_back() {
        let mut bucket = Bucket::full(limit(10, 10));
        (0..10).for_each(|_| bucket.take(at(0)));
        let slower = bucket.with_limit(limit(1, 5), at(0));
        assert_eq!((slower.tokens(at(0)), slower.next_at(at(0))), (0, at(1_000_000_000)));
        assert_eq!(Bucket::full(limit(10, 10)).with_limit(limit(1, 5), at(0)).tokens(at(0)), 5);
    }

    proptest! {
        /// In no stretch of time are there more starts than the burst and the rate allow, whenever they are asked for.
        #[test]
        fn never_more_than_burst_and_rate_allow(
            (per_second, burst) in (prop_oneof![1..20_u32, 1..=u32::MAX], 1..20_u32),
            waits in proptest::collection::vec(prop_oneof![Just(0), 0..2_000_000_000_i64], 1..200),
        ) {
            let mut bucket = Bucket::full(limit(per_second, burst));
            let (mut now, mut starts) = (0, Vec::new());
            for wait in waits {
                now += wait;
                if bucket.next_at(at(now)) <= at(now) {
                    prop_assert!(bucket.tokens(at(now)) > 0);
                    bucket.take(at(now));
                    starts.push(now);
                }
            }
            for (index, first) in starts.iter().enumerate() {
                for (count, last) in starts[index..].iter().enumerate() {
                    let allowed = i128::from(burst) * TOKEN + i128::from(last - first) * i128::from(per_second);
                    prop_assert!((count as i128 + 1) * TOKEN <= allowed);
                }
            }
        }
    }
}
