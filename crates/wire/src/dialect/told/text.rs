//! Text from outside made harmless, and cut to what a vendor takes.

use serde::Deserialize;

/// What stands where text was cut off.
const ELLIPSIS: char = '…';

/// Longest base of links, in bytes.
const LINK_BASE_LENGTH_MAX: usize = 1000;

/// The text as one line that looks like what it is: control characters and white space of any kind become single blanks,
/// and what has no look of its own (zero-width characters, directions of writing, tags) is left out.
pub(crate) fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            blank if blank.is_whitespace() || blank.is_control() => {
                if !out.is_empty() && !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            unseen if is_unseen(unseen) => {}
            seen => out.push(seen),
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// Characters of no width, and those that turn the direction of writing around or stand for nothing.
const fn is_unseen(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// As much of `text` as fits in `units_max` UTF-16 units once each character is spelled by `spell`, with an ellipsis where
/// something is missing. Vendors count in characters, bytes of text or such units; units are never fewer than characters.
pub(crate) fn fitted(text: &str, units_max: usize, spell: impl Fn(char, &mut String)) -> String {
    let mut out = String::with_capacity(text.len().min(units_max));
    let (mut units, mut fits) = (0, 0);
    for character in text.chars() {
        let before = out.len();
        spell(character, &mut out);
        units += out.get(before..).unwrap_or_default().encode_utf16().count();
        if units > units_max {
            out.truncate(fits);
            out.push(ELLIPSIS);
            return out;
        }
        if units < units_max {
            fits = out.len();
        }
    }
    out
}

/// [`fitted`], every character as it is.
pub(crate) fn cut(text: &str, units_max: usize) -> String {
    fitted(text, units_max, |character, out| out.push(character))
}

/// Where links of ours begin: an https address without query or fragment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct LinkBase(String);

impl LinkBase {
    /// The address of what is at `path`.
    pub(crate) fn join(&self, path: &str) -> String {
        format!("{}/{path}", self.0)
    }
}

impl TryFrom<String> for LinkBase {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:%".contains(&byte);
        let after_scheme = text.strip_prefix("https://").filter(|rest| rest.bytes().all(plain));
        let host = after_scheme.and_then(|rest| rest.split('/').next()).unwrap_or_default();
        if host.is_empty() || host.starts_with(':') || text.len() > LINK_BASE_LENGTH_MAX {
            return Err("a link begins with https:// and a host, has no query or fragment and at most 1000 characters");
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_shows_what_it_holds() {
        let cases = [
            ("a\r\nb\u{0}\t\u{1b}[31mc", "a b [31mc"),
            ("pay\u{202e}gnp.exe", "paygnp.exe"),
            ("in\u{200b}vis\u{feff}ible\u{e0041}", "invisible"),
            ("  \u{2028}x\u{85}y \u{a0} ", "x y"),
            ("löwe 🦁 日本", "löwe 🦁 日本"),
        ];
        for (given, shown) in cases {
            assert_eq!(line(given), shown, "{given:?}");
        }
    }

    #[test]
    fn cutting_says_so() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abcde…");
        // Two units each, and no half of one.
        assert_eq!(cut("🦁🦁🦁", 5), "🦁🦁…");
        assert_eq!(cut("", 0), "");
        let entity = |character, out: &mut String| match character {
            '&' => out.push_str("&amp;"),
            other => out.push(other),
        };
        assert_eq!(fitted("a&b&c", 8, entity), "a&amp;b…");
        assert_eq!(fitted("&&", 7, entity), "&amp;…");
    }

    #[test]
    fn links_go_to_https_alone() {
        let base = |text: &str| LinkBase::try_from(text.to_owned());
        assert_eq!(
            base("https://bell.example.com/acme/").unwrap().join("events/1"),
            "https://bell.example.com/acme/events/1"
        );
        for text in [
            "http://a",
            "https://",
            "https:///x",
            "https://:1",
            "javascript:alert(1)",
            "https://a|b",
            "https://a>b",
            "https://a b",
            "https://a\n",
            "https://a?b",
            "https://a#b",
            "https://a@b",
            "https://ä",
            "https://a/\"",
        ] {
            assert!(base(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn lines_are_lines_and_stay_so(text in "\\PC{0,20}|[\\u{0}-\\u{ffff}]{0,40}") {
            let once = line(&text);
            prop_assert!(once.chars().all(|character| !character.is_control() && !is_unseen(character)));
            prop_assert_eq!(line(&once), once.clone());
            prop_assert_eq!(once.trim(), &once);
        }

        #[test]
        fn what_is_cut_fits_and_begins_alike(text in "[\\u{0}-\\u{10ffff}]{0,40}", max in 1..50usize) {
            let kept = cut(&text, max);
            prop_assert!(kept.encode_utf16().count() <= max);
            match kept.strip_suffix(ELLIPSIS).filter(|_| kept != text) {
                Some(start) => prop_assert!(text.starts_with(start)),
                None => prop_assert_eq!(kept, text),
            }
        }
    }
}
