//! How often something may happen, as it is spelled in settings and in the API: `50/s`, `50/s burst 200`.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// A rate that refills evenly. Written as text that reads as the same rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// How many a second.
    pub per_second: NonZeroU32,
    /// How many at once, at most.
    pub burst: NonZeroU32,
}

/// The text is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a rate such as \"50/s\" or \"50/s burst 200\" is wanted, or \"off\" for no limit")]
pub struct NotARate;

impl RateLimit {
    /// Without a burst of its own, a rate lets four seconds' worth through at once.
    const BURST_SECONDS: NonZeroU32 = NonZeroU32::MIN.saturating_add(3);

    /// So many a second, with the usual burst.
    pub const fn per_second(per_second: NonZeroU32) -> Self {
        Self { per_second, burst: per_second.saturating_mul(Self::BURST_SECONDS) }
    }

    /// Reads a rate or `off`, which is none.
    ///
    /// # Errors
    /// When the text is neither.
    pub fn parse_or_off(text: &str) -> Result<Option<Self>, NotARate> {
        match text.trim() {
            "off" => Ok(None),
            rate => rate.parse().map(Some),
        }
    }
}

impl FromStr for RateLimit {
    type Err = NotARate;

    fn from_str(text: &str) -> Result<Self, NotARate> {
        let (rate, burst) = match text.split_once("burst") {
            Some((rate, burst)) => (rate.trim_end().trim_end_matches(','), Some(burst)),
            None => (text, None),
        };
        let number = |text: &str| text.trim().parse::<NonZeroU32>().map_err(|_| NotARate);
        let per_second = number(rate.trim().strip_suffix("/s").ok_or(NotARate)?)?;
        match burst {
            Some(burst) => Ok(Self { per_second, burst: number(burst)? }),
            None => Ok(Self::per_second(per_second)),
        }
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s burst {}", self.per_second, self.burst)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn limit(per_second: u32, burst: u32) -> RateLimit {
        let number = |number| NonZeroU32::new(number).unwrap();
        RateLimit { per_second: number(per_second), burst: number(burst) }
    }

    #[rstest]
    #[case("50/s", limit(50, 200))]
    #[case("50/s burst 7", limit(50, 7))]
    #[case(" 50/s, burst 7", limit(50, 7))]
    fn rates_read_and_write(#[case] text: &str, #[case] rate: RateLimit) {
        assert_eq!(RateLimit::parse_or_off(text), Ok(Some(rate)));
        assert_eq!(rate.to_string().parse(), Ok(rate));
    }

    #[rstest]
    fn what_is_no_rate(#[values("", "50", "0/s", "50/m", "50/s burst 0", "on", "-1/s", "OFF")] text: &str) {
        assert_eq!(RateLimit::parse_or_off(text), Err(NotARate), "{text}");
        assert_eq!(RateLimit::parse_or_off("off"), Ok(None));
    }
}
