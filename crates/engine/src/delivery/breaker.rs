//! An endpoint in trouble is tried with one attempt at a time, seldom, until it answers. Pure: time comes in.
//!
//! ```text
//!            TROUBLE_MAX in a row                     trouble of a probe: spacing × 2, at most 30 s
//!   Closed ──────────────────────▶ Open { spacing } ◀─┐
//!     ▲                             │     ▲     └─────┘
//!     │                     success │     │ trouble
//!     │   window is the own one     ▼     │
//!     └──────────────────────── Opening { window }  success: window × 2
//! ```
//!
//! Trouble is what says that the endpoint cannot keep up or cannot be reached: no connection, no answer in time, 5xx, 429.
//! Any other answer is a sign of life. The breaker only says how many may be in flight and when the next may begin: the
//! retry schedule counts as ever, and nothing is given up because of it.

use jiff::{SignedDuration, Timestamp};
use watchbell_domain::delivery::AttemptResult;

/// So many troubled attempts in a row open it.
const TROUBLE_MAX: u32 = 5;

/// Between probes: at first, and at most.
const SPACING: SignedDuration = SignedDuration::from_secs(1);
const SPACING_MAX: SignedDuration = SignedDuration::from_secs(30);

/// The window after the first success.
const OPENING: u32 = 2;

/// What an attempt says of its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// It took the delivery.
    Success,
    /// It answered, though not as hoped.
    Life,
    /// It cannot be reached, or cannot keep up.
    Trouble,
    /// Nothing: the attempt was not made, or ended by us.
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breaker {
    Closed {
        trouble: u32,
    },
    Open {
        spacing: SignedDuration,
        probe_at: Timestamp,
        /// Whether the attempt in flight is a probe: others began before it opened.
        is_probing: bool,
    },
    Opening {
        window: u32,
    },
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed { trouble: 0 }
    }
}

impl Breaker {
    /// How many may be in flight of an endpoint whose own window is `own`.
    pub(super) fn window(self, own: u32) -> u32 {
        match self {
            Self::Closed { .. } => own,
            Self::Open { .. } => own.min(1),
            Self::Opening { window } => own.min(window),
        }
    }

    /// Nothing is begun before this.
    pub(super) const fn rests_until(self) -> Timestamp {
        match self {
            Self::Open { probe_at, .. } => probe_at,
            Self::Closed { .. } | Self::Opening { .. } => Timestamp::MIN,
        }
    }

    /// Whether the latest that was heard is trouble.
    pub(super) const fn is_troubled(self) -> bool {
        !matches!(self, Self::Closed { trouble: 0 } | Self::Opening { .. })
    }

    /// An attempt begins.
    pub(super) const fn begun(&mut self) {
        if let Self::Open { is_probing, .. } = self {
            *is_probing = true;
        }
    }

    /// An attempt has ended. `own`: the endpoint's own window.
    pub(super) fn ended(&mut self, sign: Sign, own: u32, now: Timestamp) {
        let open = |spacing: SignedDuration| Self::Open {
            spacing,
            probe_at: now.saturating_add(spacing).unwrap_or(Timestamp::MAX),
            is_probing: false,
        };
        *self = match (*self, sign) {
            (Self::Open { spacing, .. }, Sign::Nothing) => open(spacing),
            (same, Sign::Nothing) => same,
            (Self::Closed { .. }, Sign::Success | Sign::Life) => Self::default(),
            (Self::Closed { trouble }, Sign::Trouble) if trouble + 1 < TROUBLE_MAX => {
                Self::Closed { trouble: trouble + 1 }
            }
            (Self::Closed { .. } | Self::Opening { .. }, Sign::Trouble) => open(SPACING),
            (Self::Open { spacing, is_probing: true, .. }, Sign::Trouble) => open((spacing * 2).min(SPACING_MAX)),
            (same @ Self::Open { is_probing: false, .. }, Sign::Trouble) => same,
            (Self::Open { .. }, Sign::Success | Sign::Life) if own > OPENING => Self::Opening { window: OPENING },
            (Self::Opening { window }, Sign::Success | Sign::Life) if own > window.saturating_mul(2) => {
                Self::Opening { window: window.saturating_mul(2) }
            }
            (Self::Open { .. } | Self::Opening { .. }, Sign::Success | Sign::Life) => Self::default(),
        };
    }
}

impl Sign {
    pub(super) const fn of(result: AttemptResult) -> Self {
        match result {
            AttemptResult::Http(200..=299) | AttemptResult::Sent => Self::Success,
            AttemptResult::Http(429 | 500..) => Self::Trouble,
            AttemptResult::Http(_) => Self::Life,
            AttemptResult::RedirectRefused | AttemptResult::ResponseTooLarge | AttemptResult::Rejected => Self::Life,
            AttemptResult::DnsError
            | AttemptResult::ConnectRefused
            | AttemptResult::ConnectUnreachable
            | AttemptResult::ConnectTimeout
            | AttemptResult::TlsExpired
            | AttemptResult::TlsNotYetValid
            | AttemptResult::TlsUntrusted
            | AttemptResult::TlsHostname
            | AttemptResult::TlsWeak
            | AttemptResult::TlsProtocol
            | AttemptResult::ResponseTimeout
            | AttemptResult::ConnectionReset
            | AttemptResult::ConnectionClosed
            | AttemptResult::ProtocolError
            | AttemptResult::TokenError => Self::Trouble,
            AttemptResult::EgressForbidden | AttemptResult::Interrupted | AttemptResult::Internal => Self::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn opened(now: i64) -> Breaker {
        let mut breaker = Breaker::default();
        (0..TROUBLE_MAX).for_each(|_| breaker.ended(Sign::Trouble, 10, at(now)));
        breaker
    }

    #[rstest]
    #[case(AttemptResult::Http(204), Sign::Success)]
    #[case(AttemptResult::Http(404), Sign::Life)]
    #[case(AttemptResult::Http(429), Sign::Trouble)]
    #[case(AttemptResult::Http(503), Sign::Trouble)]
    #[case(AttemptResult::ResponseTimeout, Sign::Trouble)]
    #[case(AttemptResult::Interrupted, Sign::Nothing)]
    fn what_an_attempt_says(#[case] result: AttemptResult, #[case] sign: Sign) {
        assert_eq!(Sign::of(result), sign);
    }

    #[test]
    fn only_trouble_in_a_row_opens_it() {
        let mut breaker = Breaker::default();
        for sign in [Sign::Trouble, Sign::Trouble, Sign::Trouble, Sign::Trouble, Sign::Life].repeat(3) {
            breaker.ended(sign, 10, at(0));
            assert_eq!((breaker.window(10), breaker.rests_until()), (10, Timestamp::MIN));
        }
        (0..4).for_each(|_| breaker.ended(Sign::Trouble, 10, at(0)));
        breaker.ended(Sign::Nothing, 10, at(0));
        assert_eq!(breaker.window(10), 10);
        breaker.ended(Sign::Trouble, 10, at(7));
        assert_eq!((breaker.window(10), breaker.rests_until()), (1, at(8)));
    }

    #[test]
    fn probes_are_spaced_out_up_to_a_bound() {
        let (mut breaker, mut now, mut waits) = (opened(0), 0, Vec::new());
        for _ in 0..7 {
            let probe_at = breaker.rests_until().as_second();
            waits.push(probe_at - now);
            now = probe_at;
            breaker.begun();
            breaker.ended(Sign::Trouble, 10, at(now));
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn what_began_before_it_opened_spaces_nothing_out() {
        let mut breaker = opened(0);
        (0..5).for_each(|_| breaker.ended(Sign::Trouble, 10, at(1)));
        assert_eq!(breaker, opened(0));
    }

    #[test]
    fn f27_it_reopens_step_by_step() {
        let mut breaker = opened(0);
        let mut windows = Vec::new();
        for _ in 0..5 {
            breaker.begun();
            breaker.ended(Sign::Success, 10, at(1));
            windows.push(breaker.window(10));
        }
        assert_eq!((windows, breaker), (vec![2, 4, 8, 10, 10], Breaker::default()));
    }

    #[test]
    fn trouble_while_reopening_opens_it_again() {
        let mut breaker = opened(0);
        breaker.ended(Sign::Success, 10, at(1));
        breaker.ended(Sign::Trouble, 10, at(2));
        assert_eq!((breaker.window(10), breaker.rests_until()), (1, at(3)));
    }

    proptest! {
        /// Whatever happens: there is always room for one, within the bound of a probe, and never more than the own window.
        #[test]
        fn it_never_shuts_for_good(
            own in 1..50_u32,
            steps in proptest::collection::vec((0..4_usize, any::<bool>(), 0..100_i64), 0..200),
        ) {
            let (mut breaker, mut now) = (Breaker::default(), 0);
            for (sign, begins, wait) in steps {
                now += wait;
                if begins {
                    breaker.begun();
                }
                let sign = [Sign::Success, Sign::Life, Sign::Trouble, Sign::Nothing][sign];
                breaker.ended(sign, own, at(now));
                prop_assert!((1..=own).contains(&breaker.window(own)));
                prop_assert!(breaker.rests_until() <= at(now) + SPACING_MAX);
            }
        }
    }
}
