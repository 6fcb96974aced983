//! Values as they are spelled in configuration: durations (`"250ms"`), sizes (`"1MiB"`), rates (`"50/s"`).
//!
//! Each is read from text and written back as text that reads as the same value.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use jiff::SignedDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use watchbell_domain::endpoint::RateLimit;
use watchbell_engine::net::guard::DeniedPorts;
use watchbell_engine::net::proxy::Proxy;

/// Longest duration that makes sense anywhere in the configuration.
const DURATION_DAYS_MAX: i64 = 366;

/// What is kept longer than a century is kept for ever.
const AGE_DAYS_MAX: i64 = 36_600;

/// Time units, largest first, in milliseconds.
const TIME_UNITS: [(&str, i64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Size units, largest first, in bytes.
const SIZE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// A length of time: `"250ms"`, `"5s"`, `"1h30m"`, `"24h"`, `"5d"`. Never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Duration(SignedDuration);

impl Duration {
    pub(crate) const fn secs(secs: i64) -> Self {
        Self(SignedDuration::from_secs(secs))
    }

    pub(crate) const fn get(self) -> SignedDuration {
        self.0
    }
}

impl FromStr for Duration {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::parse_within(text, DURATION_DAYS_MAX, ValueError("no duration here is longer than 366 days"))
    }
}

impl Duration {
    fn parse_within(text: &str, days_max: i64, too_long: ValueError) -> Result<Self, ValueError> {
        const WANTED: ValueError =
            ValueError("a duration such as \"250ms\", \"5s\", \"1h30m\", \"24h\" or \"5d\" is wanted");
        let text = text.trim();
        if text == "0" {
            return Ok(Self(SignedDuration::ZERO));
        }
        let mut rest = text;
        let mut total_ms: i64 = 0;
        let mut last_unit_ms = i64::MAX;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(WANTED)?;
            let (number, after) = rest.split_at(digits);
            let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
            let (unit, after) = after.split_at(letters);
            let (_, unit_ms) = TIME_UNITS.iter().find(|(name, _)| *name == unit).ok_or(WANTED)?;
            if *unit_ms >= last_unit_ms {
                return Err(WANTED);
            }
            last_unit_ms = *unit_ms;
            let number: i64 = number.parse().map_err(|_| WANTED)?;
            total_ms = number.checked_mul(*unit_ms).and_then(|ms| total_ms.checked_add(ms)).ok_or(WANTED)?;
            rest = after;
        }
        if text.is_empty() {
            return Err(WANTED);
        }
        if total_ms > days_max * 86_400_000 {
            return Err(too_long);
        }
        Ok(Self(SignedDuration::from_millis(total_ms)))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX);
        // Days are never chosen here: "24h" is what people write, and both read the same.
        let unit = TIME_UNITS.iter().skip(1).find(|(_, unit_ms)| ms % unit_ms == 0 && ms > 0);
        match unit {
            Some((name, unit_ms)) => write!(f, "{}{name}", ms / unit_ms),
            None => f.write_str("0s"),
        }
    }
}

/// How long something is kept: a duration such as `"90d"`, or `"off"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// It does not age by itself.
    Off,
    /// So long.
    For(Duration),
}

impl Age {
    pub(crate) const fn days(days: i64) -> Self {
        Self::For(Duration::secs(days * 86_400))
    }

    pub(crate) const fn get(self) -> Option<SignedDuration> {
        match self {
            Self::Off => None,
            Self::For(duration) => Some(duration.get()),
        }
    }
}

impl FromStr for Age {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        const TOO_LONG: ValueError = ValueError("an age is at most 36600 days; \"off\" keeps for ever");
        const WANTED: ValueError =
            ValueError("a duration such as \"12h\" or \"90d\", longer than zero, or \"off\" is wanted");
        if text.trim() == "off" {
            return Ok(Self::Off);
        }
        match Duration::parse_within(text, AGE_DAYS_MAX, TOO_LONG) {
            Ok(duration) if duration.get().is_positive() => Ok(Self::For(duration)),
            Err(TOO_LONG) => Err(TOO_LONG),
            Ok(_) | Err(_) => Err(WANTED),
        }
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::For(duration) if duration.get().as_secs() % 86_400 == 0 => {
                write!(f, "{}d", duration.get().as_secs() / 86_400)
            }
            Self::For(duration) => duration.fmt(f),
        }
    }
}

/// A number of bytes: an integer, or text such as `"64KiB"`, `"1MiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(u64);

impl Size {
    pub(crate) const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    pub(crate) const fn get(self) -> u64 {
        self.0
    }

    /// For buffers. Saturates where memory addresses are narrower than the number.
    pub(crate) fn usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for Size {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        const WANTED: ValueError = ValueError("a number of bytes, or text such as \"64KiB\" or \"1MiB\", is wanted");
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| WANTED)?;
        let unit_bytes = match unit.trim() {
            "" => 1,
            unit => SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or(WANTED)?.1,
        };
        number.checked_mul(unit_bytes).map(Self).ok_or(WANTED)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SIZE_UNITS.iter().find(|(_, bytes)| self.0 > 0 && self.0.is_multiple_of(*bytes)) {
            Some(("B", _)) | None => write!(f, "{}", self.0),
            Some((name, bytes)) => write!(f, "{}{name}", self.0 / bytes),
        }
    }
}

/// How often something may happen: `"50/s"`, `"50/s burst 200"`, or `"off"` for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rate {
    /// No limit.
    Off,
    /// Refilled evenly, `burst` at once at most.
    Limit {
        /// How many a second.
        per_second: NonZeroU32,
        /// How many at once.
        burst: NonZeroU32,
    },
}

impl Rate {
    pub(crate) const fn limit(per_second: NonZeroU32) -> Self {
        let RateLimit { per_second, burst } = RateLimit::per_second(per_second);
        Self::Limit { per_second, burst }
    }
}

impl FromStr for Rate {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        const WANTED: ValueError =
            ValueError("a rate such as \"50/s\" or \"50/s burst 200\" is wanted, or \"off\" for no limit");
        Ok(match RateLimit::parse_or_off(text).map_err(|_| WANTED)? {
            Some(RateLimit { per_second, burst }) => Self::Limit { per_second, burst },
            None => Self::Off,
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Off => f.write_str("off"),
            Self::Limit { per_second, burst } => RateLimit { per_second, burst }.fmt(f),
        }
    }
}

/// A share in percent: an integer, or text such as `"10%"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Percent(pub(crate) u8);

impl FromStr for Percent {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let number = text.trim().trim_end_matches('%');
        match number.parse() {
            Ok(percent @ 0..=100) => Ok(Self(percent)),
            Ok(_) | Err(_) => Err(ValueError("a share from \"0%\" to \"100%\" is wanted")),
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// A port, or a range of ports: `25`, `"6665-6669"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ports(String);

impl Ports {
    /// Those that are denied unless the operator says otherwise.
    pub(crate) fn denied() -> Vec<Self> {
        DeniedPorts::default().texts().into_iter().map(Self).collect()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Ports {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match DeniedPorts::parse([text]) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => Err(ValueError("a port from 1 to 65535, or a range of them such as \"6665-6669\", is wanted")),
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A proxy: `"http://proxy.example.com:3128"`. Written back without its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProxyUrl(pub(crate) Proxy);

impl FromStr for ProxyUrl {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        const WANTED: ValueError =
            ValueError("http://HOST:PORT or http://USER:PASSWORD@HOST:PORT is wanted, without a path");
        text.parse().map(Self).map_err(|_| WANTED)
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The text is not what the setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ValueError(&'static str);

/// Text, or a bare number where the value is one.
struct TextOrNumber<T> {
    numbers: bool,
    value: std::marker::PhantomData<T>,
}

impl<T: FromStr<Err = ValueError>> Visitor<'_> for TextOrNumber<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.numbers { "text or a whole number" } else { "text in quotes" })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        match self.numbers {
            true => number.to_string().parse().map_err(E::custom),
            false => Err(E::invalid_type(de::Unexpected::Signed(number), &self)),
        }
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

macro_rules! as_text {
    ($( $name:ident: numbers = $numbers:literal, pattern = $pattern:literal, about = $about:literal; )+) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(TextOrNumber { numbers: $numbers, value: std::marker::PhantomData })
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                if $numbers {
                    json_schema!({"description": $about, "type": ["string", "integer"], "pattern": $pattern, "minimum": 0})
                } else {
                    json_schema!({"description": $about, "type": "string", "pattern": $pattern})
                }
            }
        }
    )+};
}

as_text! {
    Duration: numbers = false, pattern = "^(0|([0-9]+(d|h|m|s|ms))+)$", about = "A length of time: 250ms, 5s, 1h30m, 24h, 5d.";
    Age: numbers = false, pattern = "^(off|([0-9]+(d|h|m|s|ms))+)$", about = "How long something is kept: 12h, 90d, or off.";
    Size: numbers = true, pattern = "^[0-9]+ ?(B|KiB|MiB|GiB)?$", about = "A number of bytes, or text: 64KiB, 1MiB.";
    Rate: numbers = false, pattern = "^(off|[0-9]+/s(,? ?burst [0-9]+)?)$", about = "How often: 50/s, 50/s burst 200, or off for no limit.";
    Percent: numbers = true, pattern = "^[0-9]{1,3}%?$", about = "A share in percent: 10%.";
    Ports: numbers = true, pattern = "^[0-9]{1,5}(-[0-9]{1,5})?$", about = "A port, or a range of ports: 6665-6669.";
    ProxyUrl: numbers = false, pattern = "^http://[^/]+/?$", about = "A proxy: http://HOST:PORT or http://USER:PASSWORD@HOST:PORT.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn limit(per_second: u32, burst: u32) -> Rate {
        let number = |number| NonZeroU32::new(number).expect("not zero");
        Rate::Limit { per_second: number(per_second), burst: number(burst) }
    }

    #[rstest]
    #[case("250ms", 250, "250ms")]
    #[case("5s", 5_000, "5s")]
    #[case("90s", 90_000, "90s")]
    #[case("1h30m", 5_400_000, "90m")]
    #[case("24h", 86_400_000, "24h")]
    #[case("5d", 432_000_000, "120h")]
    #[case("0", 0, "0s")]
    #[case("0s", 0, "0s")]
    fn durations_read_and_write(#[case] text: &str, #[case] ms: i128, #[case] shown: &str) {
        let read: Duration = text.parse().expect("a duration");
        assert_eq!(read.get().as_millis(), ms);
        assert_eq!(read.to_string(), shown);
        assert_eq!(shown.parse(), Ok(read));
    }

    #[rstest]
    fn what_is_no_duration(
        #[values("", "5", "5 s", "-5s", "s", "5s5h", "5s5s", "1.5s", "5S", "999999999999999999d", "400d")] text: &str,
    ) {
        assert!(text.parse::<Duration>().is_err(), "{text}");
    }

    #[rstest]
    #[case("90d", Some(90 * 86_400), "90d")]
    #[case("36h", Some(36 * 3600), "36h")]
    #[case("24h", Some(86_400), "1d")]
    #[case("3650d", Some(3650 * 86_400), "3650d")]
    #[case("off", None, "off")]
    fn ages_read_and_write(#[case] text: &str, #[case] seconds: Option<i64>, #[case] shown: &str) {
        let read: Age = text.parse().expect("an age");
        assert_eq!(read.get(), seconds.map(SignedDuration::from_secs));
        assert_eq!(read.to_string(), shown);
        assert_eq!(shown.parse(), Ok(read));
    }

    #[rstest]
    fn what_is_no_age(#[values("", "0", "0d", "90", "never", "-1d", "40000d")] text: &str) {
        assert!(text.parse::<Age>().is_err(), "{text}");
    }

    #[rstest]
    #[case("1MiB", 1 << 20, "1MiB")]
    #[case("64 KiB", 64 << 10, "64KiB")]
    #[case("1500", 1500, "1500")]
    #[case("0", 0, "0")]
    fn sizes_read_and_write(#[case] text: &str, #[case] bytes: u64, #[case] shown: &str) {
        let read: Size = text.parse().expect("a size");
        assert_eq!(read.get(), bytes);
        assert_eq!(read.to_string(), shown);
    }

    #[rstest]
    fn what_is_no_size(#[values("", "MiB", "-1", "1.5MiB", "1TB", "99999999999999999999")] text: &str) {
        assert!(text.parse::<Size>().is_err(), "{text}");
    }

    #[rstest]
    #[case("off", Rate::Off)]
    #[case("50/s", limit(50, 200))]
    #[case("50/s burst 7", limit(50, 7))]
    #[case("50/s, burst 7", limit(50, 7))]
    fn rates_read_and_write(#[case] text: &str, #[case] rate: Rate) {
        assert_eq!(text.parse(), Ok(rate));
        assert_eq!(rate.to_string().parse(), Ok(rate));
    }

    #[rstest]
    fn what_is_no_rate(#[values("", "50", "0/s", "50/m", "50/s burst 0", "on", "-1/s")] text: &str) {
        assert!(text.parse::<Rate>().is_err(), "{text}");
    }
}
