//! When something is to be done: a day, or an instant.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::zone::Zone;

/// The days that a plan may name: outside them somebody has mistyped, and calendars end.
const YEARS: std::ops::RangeInclusive<i16> = 1970..=2999;

/// A scheduled completion date, as it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Until the end of this day in the organisation's time zone.
    Date(Date),
    /// Until this instant.
    Instant(Timestamp),
}

/// The text is neither a day nor an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("wanted is a date (2026-01-31) or an instant (2026-01-31T12:00:00Z) of the years 1970 to 2999")]
pub struct DueError;

impl Due {
    /// The first instant at which it is late.
    pub fn deadline(self, zone: &Zone) -> Timestamp {
        match self {
            Self::Instant(at) => at,
            Self::Date(date) => {
                // Its end is the next day's beginning, which is not always midnight, nor 24 hours after its own.
                let next = date.tomorrow().and_then(|next| next.to_zoned(zone.rules().clone()));
                next.map_or(Timestamp::MAX, |next| next.timestamp())
            }
        }
    }

    /// The day, as the organisation's calendar has it.
    pub fn date(self, zone: &Zone) -> Date {
        match self {
            Self::Date(date) => date,
            Self::Instant(at) => zone.rules().to_datetime(at).date(),
        }
    }
}

impl fmt::Display for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Date(date) => date.fmt(f),
            Self::Instant(at) => at.fmt(f),
        }
    }
}

impl FromStr for Due {
    type Err = DueError;

    fn from_str(text: &str) -> Result<Self, DueError> {
        // By length: a date's reader takes more text than the date.
        let due = match text.len() {
            10 => Self::Date(text.parse().map_err(|_| DueError)?),
            _ => Self::Instant(text.parse().map_err(|_| DueError)?),
        };
        let year = due.date(&Zone::default()).year();
        if YEARS.contains(&year) { Ok(due) } else { Err(DueError) }
    }
}

impl Serialize for Due {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Due {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deadline(due: &str, zone: &str) -> String {
        due.parse::<Due>().unwrap().deadline(&zone.parse().unwrap()).to_string()
    }

    #[test]
    fn a_day_ends_where_the_organisation_is() {
        assert_eq!(deadline("2026-01-31", "UTC"), "2026-02-01T00:00:00Z");
        assert_eq!(deadline("2026-01-31", "Europe/Berlin"), "2026-01-31T23:00:00Z");
        assert_eq!(deadline("2026-01-31", "Pacific/Kiritimati"), "2026-01-31T10:00:00Z");
        assert_eq!(deadline("2026-01-31", "Pacific/Pago_Pago"), "2026-02-01T11:00:00Z");
        assert_eq!(deadline("2026-01-31T12:00:00+02:00", "Asia/Tokyo"), "2026-01-31T10:00:00Z");
    }

    #[test]
    fn days_of_23_and_25_hours_and_days_that_never_were() {
        // Clocks go on, and back, in the night before.
        assert_eq!(deadline("2026-03-28", "Europe/Berlin"), "2026-03-28T23:00:00Z");
        assert_eq!(deadline("2026-03-29", "Europe/Berlin"), "2026-03-29T22:00:00Z");
        assert_eq!(deadline("2026-10-25", "Europe/Berlin"), "2026-10-25T23:00:00Z");
        // Midnight itself is skipped: the next day begins at one o'clock.
        assert_eq!(deadline("2018-11-03", "America/Sao_Paulo"), "2018-11-04T03:00:00Z");
        // Samoa went from the 29th to the 31st.
        assert_eq!(deadline("2011-12-29", "Pacific/Apia"), deadline("2011-12-30", "Pacific/Apia"));
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in ["", "tomorrow", "2026-02-30", "2026-1-31", "2026-01-31T12:00:00", "1969-12-31", "3000-01-01"] {
            assert_eq!(bad.parse::<Due>(), Err(DueError), "{bad}");
        }
        for good in ["2026-01-31", "2026-01-31T12:00:00Z"] {
            assert_eq!(good.parse::<Due>().unwrap().to_string(), good);
        }
    }
}
