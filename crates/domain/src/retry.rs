//! What follows an attempt: done, again, or given up.
//!
//! ```text
//!  2xx                                      Delivered
//!  410 · what the dialect takes as final    DeadLetter
//!  egress_forbidden, internal ×3 in a row   DeadLetter
//!  interrupted                              Retry at once, not counted
//!  anything else                            Retry by the schedule, while it lasts; 429 and 503 may ask for longer
//! ```
//!
//! A retry is never earlier than its wait and never later than the wait and its jitter. Chance comes in as a number, time
//! as a value; no input panics.

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::{SignedDuration, Timestamp};

use crate::delivery::{AttemptResult, DeadLetterReason};

#[cfg(test)]
mod tests;

/// How often in a row an attempt may end as `egress_forbidden` or `internal`: neither mends itself by waiting.
const HOPELESS_MAX: usize = 3;

/// The longest text that is read as a date; the longest of the three forms has 33 characters.
const DATE_LEN_MAX: usize = 40;

/// When to try, and how often. Durations are checked where they are configured: not negative, at most 30 days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Waits before each attempt; n entries mean n attempts. The first is the wait before the first.
    pub schedule: Vec<SignedDuration>,
    /// Added to each wait: 0 to this share of it, in percent. Never subtracted.
    pub jitter_percent: u8,
    /// A `Retry-After` beyond this is cut to it.
    pub retry_after_max: SignedDuration,
}

/// What the dialect reads in an answer beyond its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Heard {
    /// Nothing: the status decides.
    #[default]
    Status,
    /// Not taken, to be tried again.
    Failed,
    /// Not taken, and it never will be.
    Refused,
    /// The endpoint is no more.
    Gone,
}

/// What is known when an attempt has ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// Attempts before this one that count towards the schedule.
    pub counted_before: u32,
    /// How this one ended.
    pub result: AttemptResult,
    /// What the dialect read in the answer.
    pub heard: Heard,
    /// How the ones before it ended, newest first.
    pub latest_results: &'a [AttemptResult],
    /// What the endpoint asked for.
    pub retry_after: Option<RetryAfter>,
    /// When it ended.
    pub now: Timestamp,
    /// A random number; spreads the jitter evenly.
    pub chance: u64,
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
        /// The endpoint asked for a pause, which holds for its other deliveries.
        endpoint_pause: Option<Timestamp>,
    },
}

/// What follows an attempt that ended so.
pub fn decide(policy: &RetryPolicy, ended: &Ended<'_>) -> Decision {
    if ended.result.is_success() {
        return Decision::Delivered;
    }
    if let Some(reason) = final_reason(ended) {
        return Decision::DeadLetter { reason, endpoint_gone: reason == DeadLetterReason::Gone, endpoint_pause: None };
    }
    if ended.result == AttemptResult::Interrupted {
        return Decision::Retry { at: ended.now, counts: false, endpoint_pause: None };
    }
    // Entry n is the wait before attempt n + 1, so the count of attempts made is the index of the next wait.
    let counted = usize::try_from(ended.counted_before).unwrap_or(usize::MAX).saturating_add(1);
    let asked = asked_wait(policy, ended);
    let endpoint_pause = asked.map(|asked| later(ended.now, asked));
    let Some(scheduled) = policy.schedule.get(counted) else {
        return Decision::DeadLetter { reason: DeadLetterReason::Exhausted, endpoint_gone: false, endpoint_pause };
    };
    let scheduled = (*scheduled).max(SignedDuration::ZERO);
    let wait = asked.map_or(scheduled, |asked| asked.max(scheduled));
    Decision::Retry {
        at: later(ended.now, with_jitter(wait, policy.jitter_percent, ended.chance)),
        counts: true,
        endpoint_pause,
    }
}

/// Why the schedule does not matter any more, where it does not.
fn final_reason(ended: &Ended<'_>) -> Option<DeadLetterReason> {
    if ended.result == AttemptResult::EgressForbidden {
        return is_hopeless(ended).then_some(DeadLetterReason::EgressForbidden);
    }
    if ended.result == AttemptResult::Internal {
        return is_hopeless(ended).then_some(DeadLetterReason::Internal);
    }
    match (ended.heard, ended.result) {
        (Heard::Gone, _) | (Heard::Status | Heard::Failed, AttemptResult::Http(410)) => Some(DeadLetterReason::Gone),
        (Heard::Refused, _) => Some(DeadLetterReason::Refused),
        (Heard::Status | Heard::Failed, _) => None,
    }
}

/// Whether this result has now come often enough in a row. Interrupted attempts say nothing either way.
fn is_hopeless(ended: &Ended<'_>) -> bool {
    let before = ended
        .latest_results
        .iter()
        .filter(|result| **result != AttemptResult::Interrupted)
        .take_while(|result| **result == ended.result)
        .count();
    before + 1 >= HOPELESS_MAX
}

/// The pause that the endpoint asked for with an answer that may ask for one, cut to what we grant.
fn asked_wait(policy: &RetryPolicy, ended: &Ended<'_>) -> Option<SignedDuration> {
    if ended.heard != Heard::Failed && !matches!(ended.result, AttemptResult::Http(429 | 503)) {
        return None;
    }
    let wait = ended.retry_after?.wait(ended.now).min(policy.retry_after_max);
    wait.is_positive().then_some(wait)
}

/// `wait` and up to `percent` of it more, by `chance`.
fn with_jitter(wait: SignedDuration, percent: u8, chance: u64) -> SignedDuration {
    // 30 days × 255 % × 2^64 in nanoseconds stays below 2^127; longer waits saturate.
    let span = wait.as_nanos().saturating_mul(i128::from(percent)) / 100;
    let share = span.saturating_mul(i128::from(chance)) / (i128::from(u64::MAX) + 1);
    let more = i64::try_from(share).unwrap_or(i64::MAX);
    wait.saturating_add(SignedDuration::from_nanos(more))
}

fn later(now: Timestamp, wait: SignedDuration) -> Timestamp {
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

/// A usable `Retry-After` (RFC 9110, section 10.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// Seconds from the answer.
    Seconds(u64),
    /// A date.
    At(Timestamp),
}

impl RetryAfter {
    /// Reads one header value: digits, or a date in one of HTTP's three forms. Digits beyond any number mean "very long".
    pub fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
        if text.is_empty() || !text.is_ascii() {
            return None;
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Self::Seconds(text.parse().unwrap_or(u64::MAX)));
        }
        if text.len() > DATE_LEN_MAX {
            return None;
        }
        const FORMS: [&str; 3] = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
        FORMS.iter().find_map(|form| date(form, text)).map(Self::At)
    }

    /// Of several header lines, the one that asks for most; those that cannot be read do not count.
    pub fn longest<'a>(values: impl IntoIterator<Item = &'a [u8]>, now: Timestamp) -> Option<Self> {
        values.into_iter().filter_map(Self::parse).max_by_key(|asked| asked.wait(now))
    }

    /// How long it asks to wait, from `now`. Negative for a date gone by.
    pub fn wait(self, now: Timestamp) -> SignedDuration {
        match self {
            Self::Seconds(seconds) => SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX)),
            Self::At(at) => now.duration_until(at),
        }
    }
}

fn date(form: &str, text: &str) -> Option<Timestamp> {
    let date: DateTime = strtime::parse(form, text).ok()?.to_datetime().ok()?;
    // The last day of the year 9999 lies beyond our times.
    Some(date.to_zoned(jiff::tz::TimeZone::UTC).map_or(Timestamp::MAX, |zoned| zoned.timestamp()))
}
