//! JSON of which only the wanted part is built.
//!
//! Members are held as raw slices of the input and read one level at a time, so an entry that does not fit costs that
//! entry only, and memory stays a small multiple of the input whatever is in it.

use serde::de::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::error::ReportError;
use super::limit;
use super::watched::Nesting;

/// A JSON value that is not looked into yet.
pub(super) type Raw<'a> = &'a RawValue;

/// The bytes as text that is worth parsing.
pub(super) fn text(bytes: &[u8]) -> Result<&str, ReportError> {
    let text = std::str::from_utf8(bytes).map_err(|error| ReportError::NotUtf8 { offset: error.valid_up_to() })?;
    // Tools on Windows write a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(ReportError::Empty);
    }
    // In XML and in lines brackets and quotes are text.
    if text.trim_start().starts_with(['{', '[']) {
        Nesting::default().take(text.as_bytes())?;
    }
    Ok(text)
}

/// A parser's error with its place; the place is taken out of the message, where the parser repeats it.
pub(super) fn not_json(error: &serde_json::Error) -> ReportError {
    let message = error.to_string();
    let reason = message.split(" at line ").next().unwrap_or_default();
    ReportError::NotJson { line: error.line(), column: error.column(), reason: limit_text(reason, limit::NAME_MAX) }
}

/// Looks into a value; `None` when it is not of that type.
pub(super) fn parse<'a, T: Deserialize<'a>>(raw: Raw<'a>) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

/// Whether there is something in it to look into.
pub(super) fn is_nested(raw: Raw<'_>) -> bool {
    raw.get().starts_with(['[', '{'])
}

/// For `#[serde(deserialize_with)]`: a member of the wrong type is as good as absent.
pub(super) fn member<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(parse(<&RawValue>::deserialize(deserializer)?))
}

/// For `#[serde(deserialize_with)]`: a number, which many tools write as text.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    let written = || parse::<String>(raw)?.trim().parse().ok();
    Ok(parse(raw).or_else(written))
}

/// For `#[serde(deserialize_with)]`: a list without the entries that are of the wrong type.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let entries: Option<Vec<Raw<'de>>> = member(deserializer)?;
    Ok(entries.unwrap_or_default().into_iter().filter_map(parse).collect())
}

/// At most `max` characters of a text, without control characters other than line ends and tabs.
pub(crate) fn limit_text(text: &str, max: usize) -> String {
    let is_fit = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    let text = text.trim();
    // Nearly every text may stay as it is: it is copied as a whole, and takes no more room than it needs.
    if text.len() <= max && text.chars().all(|c| is_fit(&c)) {
        return text.to_owned();
    }
    let mut cut: String = text.chars().filter(is_fit).take(max + 1).collect();
    if let Some((at, _)) = cut.char_indices().nth(max) {
        cut.truncate(at);
        cut.pop();
        cut.push('…');
    }
    cut.shrink_to_fit();
    cut
}
