//! Which ring is due, and when the next one is.
//!
//! A deadline divides time into stages: before the first lead time nothing is told, then one stage a lead time, then one
//! a day overdue (or one for ever). A ring belongs to a stage, and what is kept of an item is the furthest stage it has
//! rung for. It rings when the stage that `now` is in lies further: so stages that a clock jumped over are told once, by
//! the stage it landed in, and a clock that goes back tells nothing again. Lead times in days and days overdue are days
//! of the organisation's calendar, be they 23 hours long or 25.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp, ToSpan as _, Unit, Zoned};
use serde::{Deserialize, Serialize};

use super::Due;
use crate::zone::Zone;

/// Most lead times.
pub const LEADS_MAX: usize = 10;
/// The longest lead time.
const LEAD_DAYS_MAX: u16 = 366;
const LEAD_HOURS_MAX: u16 = 72;

/// How long before its deadline an item rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lead {
    /// Days of the calendar.
    Days(u16),
    /// Hours.
    Hours(u16),
}

/// The text is no lead time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a lead time is 1d to 366d or 1h to 72h")]
pub struct LeadError;

impl Lead {
    /// How far before the deadline, a day counted as 24 hours: what orders lead times.
    pub const fn hours(self) -> i32 {
        match self {
            Self::Days(days) => days as i32 * 24,
            Self::Hours(hours) => hours as i32,
        }
    }
}

impl fmt::Display for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Days(days) => write!(f, "{days}d"),
            Self::Hours(hours) => write!(f, "{hours}h"),
        }
    }
}

impl FromStr for Lead {
    type Err = LeadError;

    fn from_str(text: &str) -> Result<Self, LeadError> {
        let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(LeadError)?;
        let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
        let number: u16 = number.parse().ok().filter(|number| is_plain && *number > 0).ok_or(LeadError)?;
        match unit {
            "d" if number <= LEAD_DAYS_MAX => Ok(Self::Days(number)),
            "h" if number <= LEAD_HOURS_MAX => Ok(Self::Hours(number)),
            _ => Err(LeadError),
        }
    }
}

impl Serialize for Lead {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Lead {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// How often an item that is overdue rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OverdueRings {
    /// Once for each day crossed.
    #[default]
    Daily,
    /// Once.
    Once,
}

/// How an organisation wants its items to ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where its days begin and end.
    pub zone: Zone,
    /// Before the deadline. In any order.
    pub leads: Vec<Lead>,
    /// After it.
    pub overdue: OverdueRings,
}

impl Default for Settings {
    fn default() -> Self {
        let leads = vec![Lead::Days(30), Lead::Days(7), Lead::Days(1)];
        Self { zone: Zone::default(), leads, overdue: OverdueRings::default() }
    }
}

/// What an item rings for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The deadline is no further away than this.
    Approaching(Lead),
    /// This many days have begun since, the first at the deadline.
    Overdue(i32),
}

/// How far a stage lies along an item's time: greater is later. Below zero before the deadline, above zero after it.
/// What is kept of the ring that was told last; independent of time zones, so that a change of them tells nothing twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told(pub i32);

impl Stage {
    /// Where it lies.
    pub const fn told(self) -> Told {
        match self {
            Self::Approaching(lead) => Told(-lead.hours()),
            Self::Overdue(days) => Told(days),
        }
    }
}

/// A ring that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ring {
    /// For what.
    pub stage: Stage,
    /// Days of the calendar until the scheduled date; none once overdue.
    pub days_remaining: Option<i64>,
    /// Days since, at least 1; none before.
    pub days_overdue: Option<i64>,
}

/// The times of one deadline.
#[derive(Debug, Clone)]
pub struct Schedule<'a> {
    due: Due,
    deadline: Timestamp,
    settings: &'a Settings,
}

impl<'a> Schedule<'a> {
    /// For what is due then.
    pub fn new(due: Due, settings: &'a Settings) -> Self {
        Self { due, deadline: due.deadline(&settings.zone), settings }
    }

    /// The first instant at which it is late.
    pub const fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// The ring that `now` asks for, if it was not told yet.
    pub fn ring(&self, told: Option<Told>, now: Timestamp) -> Option<Ring> {
        let stage = self.stage(now).filter(|stage| told.is_none_or(|told| stage.told() > told))?;
        let (days_remaining, days_overdue) = self.days(now);
        Some(Ring { stage, days_remaining, days_overdue })
    }

    /// When the next ring is due after `told`; `None`: never.
    pub fn next_at(&self, told: Option<Told>) -> Option<Timestamp> {
        let leads = self.settings.leads.iter().map(|lead| Stage::Approaching(*lead));
        let day = told.map_or(0, |told| told.0.max(0)).saturating_add(1);
        let overdue = match self.settings.overdue {
            OverdueRings::Daily => Some(Stage::Overdue(day)),
            OverdueRings::Once => (day == 1).then_some(Stage::Overdue(1)),
        };
        let left = leads.chain(overdue).filter(|stage| told.is_none_or(|told| stage.told() > told));
        left.min_by_key(|stage| stage.told()).map(|stage| self.begins(stage))
    }

    /// Days until the scheduled date, or days since: one of them.
    pub fn days(&self, now: Timestamp) -> (Option<i64>, Option<i64>) {
        if now >= self.deadline {
            return (None, Some(i64::from(self.days_overdue(now))));
        }
        let zone = self.settings.zone.rules();
        let today = zone.to_datetime(now).date();
        let days = today.duration_until(self.due.date(&self.settings.zone)).as_hours() / 24;
        (Some(days.max(0)), None)
    }

    fn stage(&self, now: Timestamp) -> Option<Stage> {
        if now >= self.deadline {
            return Some(Stage::Overdue(match self.settings.overdue {
                OverdueRings::Daily => self.days_overdue(now),
                OverdueRings::Once => 1,
            }));
        }
        let reached = |lead: &Lead| self.begins(Stage::Approaching(*lead)) <= now;
        let nearest = self.settings.leads.iter().copied().filter(reached).min_by_key(|lead| lead.hours());
        nearest.map(Stage::Approaching)
    }

    /// Days of the calendar that have begun since the deadline, which begins the first.
    fn days_overdue(&self, now: Timestamp) -> i32 {
        let until = self.local(self.deadline).until((Unit::Day, &self.local(now)));
        until.map_or(0, |span| span.get_days()).saturating_add(1)
    }

    fn begins(&self, stage: Stage) -> Timestamp {
        let deadline = self.local(self.deadline);
        let moved = match stage {
            Stage::Approaching(Lead::Hours(hours)) => {
                return self
                    .deadline
                    .saturating_sub(SignedDuration::from_hours(i64::from(hours)))
                    .unwrap_or(self.deadline);
            }
            Stage::Approaching(Lead::Days(days)) => deadline.checked_sub(i64::from(days).days()),
            Stage::Overdue(day) => deadline.checked_add(i64::from(day - 1).days()),
        };
        moved.map_or(Timestamp::MAX, |moved| moved.timestamp())
    }

    fn local(&self, at: Timestamp) -> Zoned {
        at.to_zoned(self.settings.zone.rules().clone())
    }
}

#[cfg(test)]
mod tests;
