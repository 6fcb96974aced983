//! What detect-secrets writes, scan or baseline: <https://github.com/Yelp/detect-secrets>.
//!
//! A secret is told from others by its file and the hash that the tool gives it; the secret itself is not in the report.
//! The tool rates nothing, so the severity is unknown. What an audit found to be no secret (`is_secret: false`) is
//! suppressed.

use serde::Deserialize;

use super::error::ReportError;
use super::lax::{Lax, each, each_member};
use super::lenient::{self, Raw, limit_text};
use super::{Report, ReportFormat, code, limit};
use crate::finding::Observation;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Top<'a> {
    #[serde(borrow)]
    results: Option<Raw<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    #[serde(rename = "type")]
    kind: Lax<String>,
    hashed_secret: Lax<String>,
    is_verified: Lax<bool>,
    is_secret: Lax<bool>,
    line_number: Lax<u64>,
}

/// Reads a report.
pub(super) fn read(text: &str, hint: Option<&str>) -> Result<Report, ReportError> {
    let top: Top<'_> = serde_json::from_str(text).map_err(|error| lenient::not_json(&error))?;
    let tool = hint.unwrap_or("detect-secrets").to_owned();
    let mut report = Report::of(ReportFormat::DetectSecrets);
    report.tools.insert(tool.clone());
    if let Some(raw) = top.results {
        each_member(raw, |file, raw| {
            let is_list = each(raw, |raw| {
                let entry: Option<Entry> = lenient::parse(raw);
                report.take(entry.and_then(|entry| observe(&tool, file, &entry)))
            })?;
            if is_list { Ok(()) } else { report.take(None) }
        })?;
    }
    Ok(report.closed([tool]))
}

fn observe(tool: &str, file: &str, entry: &Entry) -> Option<Observation> {
    let kind = entry.kind.text()?;
    let description = match *entry.is_verified {
        Some(true) => "The tool has verified that it works.",
        Some(false) | None => "",
    };
    Some(Observation {
        tool: tool.to_owned(),
        title: limit_text(kind, limit::TITLE_MAX),
        description: description.to_owned(),
        rule_id: limit_text(kind, limit::NAME_MAX),
        location: Some(code::place(file, *entry.line_number)),
        fingerprint: Some(code::by_hash(entry.hashed_secret.text()?)),
        suppressed: *entry.is_secret == Some(false),
        ..Observation::default()
    })
}
