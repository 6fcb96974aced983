//! When a source that usually calls has fallen quiet.
//!
//! A source is looked at by the hours in which it called, over the 14 days before its last call. One that called on at
//! least three days has a rhythm, and its longest pause is known. Silence begins when the pause after its last call is
//! more than twice as long as the longest one before it, and six hours at least: a scanner that runs every night is missed
//! after two nights, one that rests over weekends after two weekends, one that calls day and night after six hours.

use jiff::{SignedDuration, Timestamp};

/// How far back calls are looked at, from the last one.
pub const WINDOW_HOURS: i64 = 14 * 24;
/// On so many days a source must have called.
pub const DAYS_MIN: usize = 3;
/// No pause is silence that is shorter.
pub const PAUSE_HOURS_MIN: i64 = 6;

/// The hour a time lies in, counted from 1970.
pub fn hour_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(3600)
}

/// When a source that last called at `last` counts as silent; `None`: it has no rhythm to be measured by.
///
/// `hours` are those in which it called, in rising order; those outside of the window before `last` do not count.
pub fn silent_from(hours: &[i64], last: Timestamp) -> Option<Timestamp> {
    let end = hour_of(last);
    let counted: Vec<i64> = hours.iter().copied().filter(|hour| (end - WINDOW_HOURS..=end).contains(hour)).collect();
    let mut days: Vec<i64> = counted.iter().map(|hour| hour.div_euclid(24)).collect();
    days.dedup();
    if days.len() < DAYS_MIN {
        return None;
    }
    let pauses = counted.iter().zip(counted.iter().skip(1)).map(|(one, next)| next - one);
    let longest = pauses.max().unwrap_or_default();
    last.checked_add(SignedDuration::from_hours((2 * longest).max(PAUSE_HOURS_MIN))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_hour(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3600 + 60).unwrap()
    }

    /// Hours of silence after the last call.
    fn silent_after(hours: &[i64]) -> Option<i64> {
        let last = at_hour(*hours.last().unwrap());
        silent_from(hours, last).map(|from| last.duration_until(from).as_hours())
    }

    #[test]
    fn the_rhythm_sets_the_limit() {
        let nightly: Vec<i64> = (0..10).map(|day| day * 24 + 2).collect();
        assert_eq!(silent_after(&nightly), Some(48));
        let always: Vec<i64> = (0..300).collect();
        assert_eq!(silent_after(&always), Some(PAUSE_HOURS_MIN));
        let weekdays: Vec<i64> = (0..14).filter(|day| day % 7 < 5).map(|day| day * 24 + 9).collect();
        assert_eq!(silent_after(&weekdays), Some(2 * 72));
    }

    #[test]
    fn without_a_rhythm_nobody_is_missed() {
        assert_eq!(silent_after(&[7]), None);
        assert_eq!(silent_after(&[7, 8, 9, 30]), None, "two days are no rhythm");
        // Long ago it called often; that was in another life.
        assert_eq!(silent_after(&[0, 24, 48, 1000]), None);
    }
}
