//! Semgrep's JSON: <https://semgrep.dev/docs/semgrep-appsec-platform/json-and-sarif>, `semgrep scan --json`.
//!
//! | the report says | we take it as |
//! |---|---|
//! | `extra.is_ignored` (`nosemgrep`) | a finding that is suppressed |
//! | `extra.fingerprint`, for those who have logged in | what tells it from others, as in SARIF; else its first line does |
//! | `errors` with a `path` | that file was not looked at, or not all of it |
//! | `errors` of level `error` without one | incomplete; when no file was scanned either, the scan failed |
//! | `paths.scanned` is empty | nothing was looked at |

use serde::Deserialize;
use watchbell_wire::Severity;

use super::error::ReportError;
use super::lax::{Lax, Many, each};
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
    #[serde(borrow)]
    paths: Lax<Paths<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Paths<'a> {
    #[serde(borrow)]
    scanned: Option<Raw<'a>>,
    #[serde(borrow)]
    skipped: Option<Raw<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Skipped {
    path: Lax<String>,
    reason: Lax<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Failure {
    level: Lax<String>,
    message: Lax<String>,
    path: Lax<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    check_id: Lax<String>,
    path: Lax<String>,
    start: Lax<Position>,
    extra: Lax<Extra>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Position {
    line: Lax<u64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Extra {
    message: Lax<String>,
    severity: Lax<String>,
    lines: Lax<String>,
    fingerprint: Lax<String>,
    is_ignored: Lax<bool>,
    metadata: Lax<Metadata>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Metadata {
    cwe: Many<String>,
    source: Lax<String>,
    #[serde(rename = "source-rule-url")]
    source_rule_url: Lax<String>,
    references: Many<String>,
}

/// Reads a report.
pub(super) fn read(text: &str, hint: Option<&str>) -> Result<Report, ReportError> {
    let top: Top<'_> = serde_json::from_str(text).map_err(|error| lenient::not_json(&error))?;
    let tool = hint.unwrap_or("semgrep").to_owned();
    let mut report = Report::of(ReportFormat::Semgrep);
    report.tools.insert(tool.clone());
    if let Some(raw) = top.results {
        each(raw, |raw| report.take(lenient::parse(raw).and_then(|entry| observe(&tool, &entry))))?;
    }
    let paths = top.paths.as_ref();
    let mut scanned = None;
    if let Some(raw) = paths.and_then(|paths| paths.scanned) {
        scanned = Some(0u64);
        each(raw, |_| {
            scanned = scanned.map(|count| count + 1);
            Ok(())
        })?;
    }
    let error = read_errors(top.errors, &mut report)?;
    if let Some(raw) = paths.and_then(|paths| paths.skipped) {
        each(raw, |raw| {
            let skipped: Skipped = lenient::parse(raw).unwrap_or_default();
            let reason = skipped.reason.text().unwrap_or_default();
            // Those that the operator left out are of no interest to him any more; these failed.
            if reason.starts_with("analysis_failed") || matches!(reason, "exceeded_size_limit" | "too_big") {
                report.unseen.extend(skipped.path.text().map(names::path));
            }
            Ok(())
        })?;
    }
    let has_looked = scanned.is_none_or(|count| count > 0);
    if let Some(error) = error.as_deref().filter(|_| !has_looked && report.observations.is_empty()) {
        report.failure = Some(limit_text(&format!("Semgrep says that it failed: {error}"), limit::DESCRIPTION_MAX));
    }
    Ok(report.closed((has_looked && error.is_none()).then_some(tool)))
}

/// Notes the files that were not looked at, and gives the first error that is of none.
fn read_errors(errors: Option<Raw<'_>>, report: &mut Report) -> Result<Option<String>, ReportError> {
    let mut first = None;
    let Some(raw) = errors else {
        return Ok(None);
    };
    each(raw, |raw| {
        let failure: Failure = lenient::parse(raw).unwrap_or_default();
        match failure.path.text() {
            Some(path) => _ = report.unseen.insert(names::path(path)),
            None if failure.level.text() == Some("error") && first.is_none() => {
                first = Some(limit_text(failure.message.text().unwrap_or_default(), limit::DESCRIPTION_MAX));
            }
            None => {}
        }
        Ok(())
    })?;
    Ok(first)
}

fn observe(tool: &str, entry: &Entry) -> Option<Observation> {
    let rule_id = limit_text(entry.check_id.text()?, limit::NAME_MAX);
    let nothing = Extra::default();
    let extra = entry.extra.as_ref().unwrap_or(&nothing);
    let message = extra.message.text().unwrap_or(&rule_id);
    // Those who have not logged in get `requires login` for both.
    let is_told = |text: &&str| *text != "requires login";
    let own = extra.fingerprint.text().filter(is_told).map(code::by_own);
    let snippet = || extra.lines.text().filter(is_told).and_then(code::by_snippet);
    let metadata = extra.metadata.as_ref();
    let pages = metadata.into_iter().flat_map(|it| {
        let own = [it.source.text(), it.source_rule_url.text()].into_iter().flatten();
        own.chain(it.references.iter().map(String::as_str))
    });
    let title = code::first_line(message);
    Some(Observation {
        tool: tool.to_owned(),
        description: limit_text(Some(message).filter(|it| *it != title).unwrap_or_default(), limit::DESCRIPTION_MAX),
        title,
        severity: severity(extra.severity.text().unwrap_or_default()),
        cve_id: names::cve(&rule_id),
        cwes: names::cwes(metadata.iter().flat_map(|it| it.cwe.iter()).map(String::as_str)),
        location: Some(code::place(entry.path.text()?, entry.start.as_ref().and_then(|it| *it.line))),
        fingerprint: Some(own.or_else(snippet).unwrap_or_else(|| code::by_message(message))),
        url: pages.into_iter().find_map(names::url),
        suppressed: *extra.is_ignored == Some(true),
        rule_id,
        ..Observation::default()
    })
}

/// Rules are rated by SARIF's levels, newer ones by words.
fn severity(word: &str) -> Severity {
    match word.to_ascii_uppercase().as_str() {
        "ERROR" => Severity::High,
        "WARNING" => Severity::Medium,
        "INFO" => Severity::Low,
        "INVENTORY" | "EXPERIMENT" => Severity::Info,
        word => rating::severity_of_word(word),
    }
}
