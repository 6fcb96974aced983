//! Lengths of time in words, for people who look why something is too old.

use jiff::SignedDuration;

/// `9 minutes`, `3 hours`: whole units, the largest that fits.
pub fn in_words(length: SignedDuration) -> String {
    let secs = length.as_secs().max(0);
    let (count, unit) = match secs {
        0..60 => (secs, "second"),
        60..3600 => (secs / 60, "minute"),
        3600..172_800 => (secs / 3600, "hour"),
        _ => (secs / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// A length and the one that it exceeds, so that the two can be told apart: `5 minutes` is not more than `5 minutes`, but
/// `310 seconds` is more than `300 seconds`.
pub fn apart(length: SignedDuration, most: SignedDuration) -> (String, String) {
    let words = (in_words(length), in_words(most));
    if words.0 != words.1 {
        return words;
    }
    let (length_secs, most_secs) = (length.as_secs(), most.as_secs());
    if length_secs != most_secs {
        return (format!("{length_secs} seconds"), format!("{most_secs} seconds"));
    }
    (format!("{} ms", length.as_millis()), format!("{} ms", most.as_millis()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "0 seconds")]
    #[case(1, "1 second")]
    #[case(59, "59 seconds")]
    #[case(60, "1 minute")]
    #[case(3600, "1 hour")]
    #[case(172_800, "2 days")]
    fn in_whole_units(#[case] secs: i64, #[case] words: &str) {
        assert_eq!(in_words(SignedDuration::from_secs(secs)), words);
    }

    #[rstest]
    #[case(540_000, 300_000, "9 minutes", "5 minutes")]
    #[case(310_000, 300_000, "310 seconds", "300 seconds")]
    #[case(90_060_000, 86_400_000, "25 hours", "24 hours")]
    #[case(86_460_000, 86_400_000, "86460 seconds", "86400 seconds")]
    #[case(300_001, 300_000, "300001 ms", "300000 ms")]
    fn what_is_too_long_never_reads_like_what_is_allowed(
        #[case] length: i64,
        #[case] most: i64,
        #[case] length_words: &str,
        #[case] most_words: &str,
    ) {
        let of = SignedDuration::from_millis;
        assert_eq!(apart(of(length), of(most)), (length_words.to_owned(), most_words.to_owned()));
    }
}
