//! An endpoint's rules as JSON: quiet hours, how rules fail, mutes.

use jiff::Timestamp;
use jiff::civil::{Time, Weekday};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchbell_domain::rule::{self, Mute, RuleFailure};
use watchbell_domain::zone::Zone;

use super::endpoint_policy::MinSeverity;
use crate::problem::{Problem, Result};

/// When deliveries wait: what is made within becomes due at the end.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = QuietHours)]
#[serde(deny_unknown_fields)]
pub(super) struct Quiet {
    /// On the clock: `22:00`.
    from: String,
    /// `07:00`. Before `from`: on the next day.
    to: String,
    /// The days on which they begin: `mon`, `tue` …; every day when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    days: Vec<String>,
    /// On whose clock: an IANA name; `UTC` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_zone: Option<String>,
    /// What is at least so bad does not wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    except: Option<MinSeverity>,
}

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

impl Quiet {
    pub(super) fn read(&self) -> Result<rule::Quiet> {
        let time = |member: &str, text: &str| {
            let wrong = || Problem::payload(format!("/quiet/{member}"), "a time of day is wanted, such as 22:00");
            let is_short = text.len() == 5 && text.is_ascii();
            let parsed = is_short.then(|| format!("{text}:00").parse::<Time>().ok()).flatten();
            parsed.ok_or_else(wrong)
        };
        let day = |text: &String| {
            let known = DAYS.iter().find(|(name, _)| name == text).map(|(_, day)| *day);
            known.ok_or_else(|| Problem::payload("/quiet/days", "a day is mon, tue, wed, thu, fri, sat or sun"))
        };
        let zone = |text: &String| {
            text.parse::<Zone>().map_err(|error| Problem::payload("/quiet/time_zone", error.to_string()))
        };
        Ok(rule::Quiet {
            from: time("from", &self.from)?,
            to: time("to", &self.to)?,
            days: self.days.iter().map(day).collect::<Result<_>>()?,
            zone: self.time_zone.as_ref().map(zone).transpose()?.unwrap_or_default(),
            except: self.except.map(|severity| severity.0),
        })
    }
}

impl From<&rule::Quiet> for Quiet {
    fn from(quiet: &rule::Quiet) -> Self {
        let time = |time: Time| format!("{:02}:{:02}", time.hour(), time.minute());
        let name = |day: &Weekday| DAYS.iter().find(|(_, known)| known == day).map(|(name, _)| (*name).to_owned());
        Self {
            from: time(quiet.from),
            to: time(quiet.to),
            days: quiet.days.iter().filter_map(name).collect(),
            time_zone: Some(quiet.zone.name().to_owned()),
            except: quiet.except.map(MinSeverity),
        }
    }
}

/// Rules that could not be asked about events, since they were last changed. These events were delivered.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = RulesFailing)]
pub(super) struct RulesFailing {
    since: Timestamp,
    last_at: Timestamp,
    /// On how many events.
    events: u64,
    /// The last of them.
    event_id: String,
    /// What went wrong with it.
    reason: String,
}

impl From<&RuleFailure> for RulesFailing {
    fn from(failure: &RuleFailure) -> Self {
        Self {
            since: failure.since,
            last_at: failure.last_at,
            events: failure.events,
            event_id: failure.event_id.to_string(),
            reason: failure.why.clone(),
        }
    }
}

/// A mute: events that `when` is true of do not come until it ends.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Mute)]
pub(super) struct MuteView {
    pub(super) id: String,
    /// The expression, whatever was given.
    when: String,
    created_at: Timestamp,
    until: Timestamp,
    /// Whether it holds now.
    live: bool,
    reason: Option<String>,
    /// Who muted.
    by: String,
}

impl MuteView {
    pub(super) fn new(mute: &Mute, now: Timestamp) -> Self {
        Self {
            id: mute.id.to_string(),
            when: mute.when.source().to_owned(),
            created_at: mute.created_at,
            until: mute.until,
            live: mute.is_live(now),
            reason: mute.reason.clone(),
            by: mute.by.clone(),
        }
    }
}
