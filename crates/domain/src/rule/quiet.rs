//! Quiet hours: deliveries that are made within become due at their end.
//!
//! Hours are on the clock of a place, so that 22:00 stays 22:00 when summer ends. A time that the clock skips counts as the
//! moment when it does; of one that comes twice the first counts. A window that ends when it begins or before goes over
//! midnight and belongs to the day on which it begins.

use jiff::civil::{Date, Time, Weekday};
use jiff::{Timestamp, ToSpan};
use watchbell_wire::Severity;

use super::reaches;
use crate::zone::Zone;

/// Windows that follow one another without a gap are one; this many are looked at.
const WINDOWS_IN_A_ROW_MAX: usize = 7;

/// When deliveries wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quiet {
    /// From then on.
    pub from: Time,
    /// Until then.
    pub to: Time,
    /// On which days it begins, Monday first. None: every day.
    pub days: Vec<Weekday>,
    /// On whose clock.
    pub zone: Zone,
    /// What is at least so bad does not wait.
    pub except: Option<Severity>,
}

impl Quiet {
    /// Until when something of this severity waits at `at`. `None`: it does not.
    pub fn holds_until(&self, at: Timestamp, severity: Option<Severity>) -> Option<Timestamp> {
        if self.except.is_some_and(|least| reaches(severity, least)) {
            return None;
        }
        self.ends(at)
    }

    /// The end of the window that `at` lies in, and of those that begin when it ends.
    fn ends(&self, at: Timestamp) -> Option<Timestamp> {
        let mut end = self.window_around(at)?;
        for _ in 0..WINDOWS_IN_A_ROW_MAX {
            match self.window_around(end) {
                Some(later) => end = later,
                None => break,
            }
        }
        Some(end)
    }

    fn window_around(&self, at: Timestamp) -> Option<Timestamp> {
        let today = at.to_zoned(self.zone.rules().clone()).date();
        let yesterday = today.checked_sub(1.day()).ok()?;
        let windows = [yesterday, today].into_iter().filter_map(|day| self.window(day));
        windows.filter(|(from, to)| *from <= at && at < *to).map(|(_, to)| to).max()
    }

    fn window(&self, day: Date) -> Option<(Timestamp, Timestamp)> {
        if !self.days.is_empty() && !self.days.contains(&day.weekday()) {
            return None;
        }
        let last = if self.to <= self.from { day.checked_add(1.day()).ok()? } else { day };
        Some((self.moment(day, self.from)?, self.moment(last, self.to)?))
    }

    fn moment(&self, day: Date, time: Time) -> Option<Timestamp> {
        self.zone.rules().to_ambiguous_timestamp(day.to_datetime(time)).compatible().ok()
    }
}
