//! What follows an attempt: done, again, or given up.

use jiff::{SignedDuration, Timestamp};

use crate::delivery::DeadLetterReason;

/// When to try, and how often. Durations are checked where they are configured: not negative, at most 30 days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Waits before each attempt; n entries mean n attempts. The first is the wait before the first.
    pub schedule: Vec<SignedDuration>,
    /// Added to each wait: 0 to this share of it, in percent. Never subtracted.
    pub jitter_percent: u8,
    /// A `Retry-After` beyond this is cut to it.
    pub retry_after_max: SignedDuration,
    /// Results that this dialect takes as final: a bearer receiver's 400 and 401.
    pub final_statuses: &'static [u16],
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The endpoint has it.
    Delivered,
    /// Try again.
    Retry {
        /// Not before this.
        at: Timestamp,
        /// Whether the attempt counts towards the schedule.
        counts: bool,
        /// The endpoint asked for a pause: none of its deliveries before this.
        endpoint_pause: Option<Timestamp>,
    },
    /// Give up.
    DeadLetter {
        /// Why.
        reason: DeadLetterReason,
        /// Whether the endpoint is gone: disable it and hold its other deliveries.
        endpoint_gone: bool,
    },
}
