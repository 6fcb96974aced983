//! An endpoint's rules as one column: JSON, null where there are none.

use jiff::Timestamp;
use jiff::civil::{Time, Weekday};
use serde::{Deserialize, Serialize};
use watchbell_domain::endpoint::Endpoint;
use watchbell_domain::id::MuteId;
use watchbell_domain::rule::{Filter, Mute, Quiet, Rules};
use watchbell_domain::zone::Zone;
use watchbell_wire::Severity;

use super::error::Result;
use super::row::{Columns, micros, truncated};

const COLUMN: &str = "rules";

#[derive(Serialize, Deserialize)]
struct StoredRules {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filter: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quiet: Option<StoredQuiet>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    mutes: Vec<StoredMute>,
}

#[derive(Serialize, Deserialize)]
struct StoredQuiet {
    from: Time,
    to: Time,
    /// 1 is Monday.
    days: Vec<i8>,
    zone: String,
    except: Option<Severity>,
}

#[derive(Serialize, Deserialize)]
struct StoredMute {
    id: MuteId,
    when: String,
    until: i64,
    reason: Option<String>,
    by: String,
    created_at: i64,
}

/// The rules as JSON.
pub(super) fn column(endpoint: &Endpoint) -> Option<String> {
    let rules = &endpoint.policy.rules;
    if *rules == Rules::default() {
        return None;
    }
    let stored = StoredRules {
        filter: rules.filter.as_ref().map(|filter| filter.source().to_owned()),
        quiet: rules.quiet.as_ref().map(|quiet| StoredQuiet {
            from: quiet.from,
            to: quiet.to,
            days: quiet.days.iter().map(|day| day.to_monday_one_offset()).collect(),
            zone: quiet.zone.name().to_owned(),
            except: quiet.except,
        }),
        mutes: rules.mutes.iter().map(stored_mute).collect(),
    };
    Some(serde_json::json!(stored).to_string())
}

fn stored_mute(mute: &Mute) -> StoredMute {
    StoredMute {
        id: mute.id,
        when: mute.when.source().to_owned(),
        until: micros(mute.until),
        reason: mute.reason.clone(),
        by: mute.by.clone(),
        created_at: micros(mute.created_at),
    }
}

pub(super) fn read(columns: &Columns<'_, '_>) -> Result<Rules> {
    if columns.get::<Option<String>>(COLUMN)?.is_none() {
        return Ok(Rules::default());
    }
    let stored: StoredRules = columns.json(COLUMN)?;
    let time = |micros: i64| Timestamp::from_microsecond(micros).map_err(|problem| columns.corrupt(COLUMN, problem));
    let quiet = |stored: StoredQuiet| -> Result<Quiet> {
        let days = stored.days.into_iter().map(Weekday::from_monday_one_offset);
        Ok(Quiet {
            from: stored.from,
            to: stored.to,
            days: days.collect::<std::result::Result<_, _>>().map_err(|problem| columns.corrupt(COLUMN, problem))?,
            zone: stored.zone.parse::<Zone>().map_err(|problem| columns.corrupt(COLUMN, problem))?,
            except: stored.except,
        })
    };
    let mute = |stored: StoredMute| -> Result<Mute> {
        Ok(Mute {
            id: stored.id,
            when: Filter::new(stored.when),
            until: time(stored.until)?,
            reason: stored.reason,
            by: stored.by,
            created_at: time(stored.created_at)?,
        })
    };
    Ok(Rules {
        filter: stored.filter.map(Filter::new),
        quiet: stored.quiet.map(quiet).transpose()?,
        mutes: stored.mutes.into_iter().map(mute).collect::<Result<_>>()?,
    })
}

/// The rules as they will come back: times in whole microseconds.
pub(super) fn as_stored(rules: &mut Rules) {
    for mute in &mut rules.mutes {
        mute.until = truncated(mute.until);
        mute.created_at = truncated(mute.created_at);
    }
}
