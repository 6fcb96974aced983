//! The scan result of the bearer dialect: `{"scanId", "status", "results": {"threatsFound", "details"}, "timestamp"}`.
//!
//! The entries of `details` have no documented shape: `id`, `name`, `severity`, `path` and `action` are read where they are.
//! Only `completed` is a result; `in_progress` is incomplete, and `failed` says that the scan failed. When `threatsFound` is
//! more than there are details, some threats are not told, and nothing is taken as gone.

use serde::Deserialize;

use super::error::ReportError;
use super::lax::{Lax, each};
use super::lenient::{self, Raw, limit_text};
use super::{Report, ReportFormat, code, limit, names, rating};
use crate::finding::Observation;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Top<'a> {
    scan_id: Lax<String>,
    status: Lax<String>,
    #[serde(borrow)]
    results: Lax<Results<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Results<'a> {
    threats_found: Lax<u64>,
    #[serde(borrow)]
    details: Option<Raw<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Threat {
    id: Lax<String>,
    name: Lax<String>,
    severity: Lax<String>,
    path: Lax<String>,
    action: Lax<String>,
}

/// Reads a result.
pub(super) fn read(text: &str, hint: Option<&str>) -> Result<Report, ReportError> {
    let top: Top<'_> = serde_json::from_str(text).map_err(|error| lenient::not_json(&error))?;
    let tool = hint.unwrap_or("bearer-scan").to_owned();
    let mut report = Report::of(ReportFormat::BearerScan);
    report.tools.insert(tool.clone());
    let status = top.status.text().unwrap_or_default();
    match status {
        "completed" | "in_progress" => {}
        "failed" => {
            let id = top.scan_id.text().unwrap_or_default();
            report.failure = Some(limit_text(&format!("the scan {id} failed"), limit::DESCRIPTION_MAX));
        }
        _ => {
            let reason = "wanted \"completed\", \"in_progress\" or \"failed\"".to_owned();
            return Err(ReportError::Shape { pointer: "/status", reason });
        }
    }
    let results = top.results.as_ref();
    if let Some(raw) = results.and_then(|results| results.details) {
        each(raw, |raw| report.take(observe(&tool, raw)))?;
    }
    let Some(told) = results.and_then(|results| *results.threats_found) else {
        return match status {
            "completed" => Err(ReportError::Shape {
                pointer: "/results/threatsFound",
                reason: "wanted a number, because the scan is completed".to_owned(),
            }),
            _ => Ok(report),
        };
    };
    let is_all = usize::try_from(told).is_ok_and(|told| told <= report.observations.len());
    Ok(report.closed((is_all && status == "completed").then_some(tool)))
}

fn observe(tool: &str, raw: Raw<'_>) -> Option<Observation> {
    // Some write the name alone.
    let bare: Option<String> = lenient::parse(raw);
    let threat: Threat = if bare.is_some() { Threat::default() } else { lenient::parse(raw)? };
    let name = bare.as_deref().map(str::trim).filter(|name| !name.is_empty()).or(threat.name.text());
    let rule_id = limit_text(threat.id.text().or(name)?, limit::NAME_MAX);
    let title = code::first_line(name.unwrap_or(&rule_id));
    let action = threat.action.text().map(|action| format!("Action: {action}")).unwrap_or_default();
    Some(Observation {
        tool: tool.to_owned(),
        description: limit_text(&action, limit::DESCRIPTION_MAX),
        severity: threat.severity.text().map(rating::severity_of_word).unwrap_or_default(),
        cve_id: names::whole_cve(&rule_id),
        location: threat.path.text().map(names::path),
        fingerprint: Some(code::by_message(&title)),
        title,
        rule_id,
        ..Observation::default()
    })
}
