//! JSON of which only the wanted part is built.
//!
//! Members are held as raw slices of the input and read one level at a time, so an entry that does not fit costs that
//! entry only, and memory stays a small multiple of the input whatever is in it.

use serde::de::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::error::ReportError;
use super::watched::Nesting;
use super::{ReportFormat, limit};

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
    Nesting::default().take(text.as_bytes())?;
    Ok(text)
}

/// The members by which formats are told apart.
#[derive(serde::Deserialize)]
#[serde(expecting = "an object")]
struct Outline<'a> {
    #[serde(borrow, default, rename = "bomFormat")]
    bom_format: Option<Raw<'a>>,
    #[serde(borrow, default)]
    runs: Option<Raw<'a>>,
    #[serde(borrow, default)]
    version: Option<Raw<'a>>,
    #[serde(borrow, default, rename = "specVersion")]
    spec_version: Option<Raw<'a>>,
    #[serde(borrow, default, rename = "spdxVersion")]
    spdx_version: Option<Raw<'a>>,
    #[serde(borrow, default, rename = "@context")]
    context: Option<Raw<'a>>,
}

/// Which format the text is in. Also finds every syntax error in it.
pub(super) fn detect(text: &str) -> Result<ReportFormat, ReportError> {
    let start = text.trim_start();
    if start.starts_with('<') {
        return xml(start);
    }
    if is_tag_value(start) {
        return Ok(ReportFormat::SpdxTagValue);
    }
    if start.starts_with('[') {
        return unknown("it is a JSON array");
    }
    let outline: Outline<'_> = serde_json::from_str(text).map_err(|error| not_json(&error))?;
    if let Some(format) = outline.bom_format {
        let version: String = outline.spec_version.and_then(parse).unwrap_or_default();
        return match parse::<String>(format).as_deref() {
            Some("CycloneDX") if version.starts_with("1.") => Ok(ReportFormat::CycloneDx),
            Some("CycloneDX") => unknown(format!("CycloneDX with specVersion {version:?}, wanted is 1.x")),
            Some(_) | None => unknown("its bomFormat is not \"CycloneDX\""),
        };
    }
    if outline.runs.is_some() {
        return match outline.version.map(parse::<String>) {
            None => Ok(ReportFormat::Sarif),
            Some(Some(version)) if version.starts_with("2.1") => Ok(ReportFormat::Sarif),
            Some(version) => unknown(format!("SARIF with version {:?}, wanted is 2.1.0", version.unwrap_or_default())),
        };
    }
    if let Some(version) = outline.spdx_version {
        return match parse::<String>(version) {
            Some(version) if version.starts_with("SPDX-2.") => Ok(ReportFormat::Spdx),
            version => unknown(format!("SPDX with spdxVersion {:?}, wanted is SPDX-2.x", version.unwrap_or_default())),
        };
    }
    let context: String = outline.context.and_then(parse).unwrap_or_default();
    if context.starts_with("https://openvex.dev/ns") {
        return Ok(ReportFormat::OpenVex);
    }
    unknown("it has neither `runs` nor `bomFormat`, `spdxVersion` or an OpenVEX `@context`")
}

/// XML is told by its root element.
fn xml(start: &str) -> Result<ReportFormat, ReportError> {
    match super::cyclonedx::xml::version(start) {
        Some(version) if version.starts_with("1.") => Ok(ReportFormat::CycloneDxXml),
        Some(version) => unknown(format!("CycloneDX in XML of version {version:?}, wanted is 1.x")),
        None => unknown("it is XML or HTML, and its first element is no <bom> of CycloneDX"),
    }
}

/// Comments may come first.
fn is_tag_value(start: &str) -> bool {
    let told = start.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#'));
    told.and_then(|line| line.split_once(':'))
        .is_some_and(|(tag, value)| tag.trim() == "SPDXVersion" && value.trim().starts_with("SPDX-2."))
}

fn unknown<T>(seen: impl Into<String>) -> Result<T, ReportError> {
    Err(ReportError::UnknownFormat { seen: limit_text(&seen.into(), limit::NAME_MAX) })
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
pub(super) fn limit_text(text: &str, max: usize) -> String {
    let is_fit = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    let mut cut: String = text.trim().chars().filter(is_fit).take(max + 1).collect();
    if let Some((at, _)) = cut.char_indices().nth(max) {
        cut.truncate(at);
        cut.pop();
        cut.push('…');
    }
    cut
}
