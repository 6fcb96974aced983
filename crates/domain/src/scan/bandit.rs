//! Bandit's JSON: <https://bandit.readthedocs.io/en/latest/formatters/json.html>.
//!
//! A finding is told from others of its test by the line of code, as in Bandit's SARIF, so it is the same one whichever of
//! the two is sent. Files in `errors` were not looked at; a report of no line of code looked at nothing.

use serde::Deserialize;

use super::error::ReportError;
use super::lax::{Lax, Number, each};
use super::lenient::{self, Raw, limit_text};
use super::{Report, ReportFormat, code, limit, names, rating};
use crate::finding::Observation;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Top<'a> {
    #[serde(borrow)]
    results: Option<Raw<'a>>,
    #[serde(borrow)]
    errors: Option<Raw<'a>>,
    metrics: Lax<Metrics>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Metrics {
    #[serde(rename = "_totals")]
    totals: Lax<Totals>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Totals {
    loc: Lax<Number>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Failure {
    filename: Lax<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    test_id: Lax<String>,
    test_name: Lax<String>,
    filename: Lax<String>,
    line_number: Lax<u64>,
    code: Lax<String>,
    issue_text: Lax<String>,
    issue_severity: Lax<String>,
    issue_cwe: Lax<Cwe>,
    more_info: Lax<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Cwe {
    id: Lax<u32>,
}

/// Reads a report.
pub(super) fn read(text: &str, hint: Option<&str>) -> Result<Report, ReportError> {
    let top: Top<'_> = serde_json::from_str(text).map_err(|error| lenient::not_json(&error))?;
    let tool = hint.unwrap_or("bandit").to_owned();
    let mut report = Report::of(ReportFormat::Bandit);
    report.tools.insert(tool.clone());
    if let Some(raw) = top.results {
        each(raw, |raw| report.take(lenient::parse(raw).and_then(|entry| observe(&tool, &entry))))?;
    }
    if let Some(raw) = top.errors {
        each(raw, |raw| {
            let failure: Failure = lenient::parse(raw).unwrap_or_default();
            report.unseen.extend(failure.filename.text().map(names::path));
            Ok(())
        })?;
    }
    let lines = top.metrics.as_ref().and_then(|it| it.totals.as_ref()?.loc.number());
    let has_looked = lines.is_none_or(|lines| lines > 0.0);
    Ok(report.closed(has_looked.then_some(tool)))
}

fn observe(tool: &str, entry: &Entry) -> Option<Observation> {
    let rule_id = limit_text(entry.test_id.text().or(entry.test_name.text())?, limit::NAME_MAX);
    let line = *entry.line_number;
    let message = entry.issue_text.text().unwrap_or(&rule_id);
    // These tests say `Possible hardcoded password: '…'`.
    let is_secret = matches!(rule_id.as_str(), "B105" | "B106" | "B107");
    let shown = if is_secret { message.split(':').next().unwrap_or_default() } else { message };
    let snippet = entry.code.text().and_then(|text| line_of(text, line?)).and_then(code::by_snippet);
    let title = code::first_line(shown);
    let cwe = entry.issue_cwe.as_ref().and_then(|cwe| *cwe.id).map(|id| format!("CWE-{id}"));
    Some(Observation {
        tool: tool.to_owned(),
        description: limit_text(Some(shown).filter(|it| *it != title).unwrap_or_default(), limit::DESCRIPTION_MAX),
        title,
        severity: entry.issue_severity.text().map(rating::severity_of_word).unwrap_or_default(),
        cwes: names::cwes(cwe.as_deref()),
        location: Some(code::place(entry.filename.text()?, line)),
        fingerprint: Some(snippet.unwrap_or_else(|| code::by_message(message))),
        url: entry.more_info.text().and_then(names::url),
        rule_id,
        ..Observation::default()
    })
}

/// The line of that number in code that is numbered: `12 assert x`.
fn line_of(code: &str, number: u64) -> Option<&str> {
    let number = number.to_string();
    code.lines().find_map(|line| line.trim_start().strip_prefix(&number)?.strip_prefix(' '))
}
