//! Checkov's JSON: <https://www.checkov.io/2.Basics/Reviewing%20Scan%20Results.html>, `checkov -o json`: an object for one
//! framework, an array for several, bare counts when there was nothing to check.
//!
//! Each framework counts as a tool of its own (`checkov-terraform`, `checkov-dockerfile`), because a run may be of some of
//! them only, and the report lists those that it was of. A framework of which files could not be parsed is incomplete.
//!
//! | in a framework | we take it as |
//! |---|---|
//! | `failed_checks` | a finding at the resource's address; of `secrets` one in code, of `sca_*` one in a component |
//! | `skipped_checks` | the same, suppressed |
//!
//! Checkov rates only for those who have logged in to its platform; for others the severity is unknown.

use serde::Deserialize;

use super::error::ReportError;
use super::lax::{Lax, Many, Number, each};
use super::lenient::{self, Raw, limit_text};
use super::package::Ecosystem;
use super::vulnerability::{checked, named, rating_of, versions};
use super::{Report, ReportFormat, code, limit, names};
use crate::finding::Observation;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Framework<'a> {
    check_type: Lax<String>,
    #[serde(borrow)]
    results: Lax<Results<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Results<'a> {
    #[serde(borrow)]
    failed_checks: Option<Raw<'a>>,
    #[serde(borrow)]
    skipped_checks: Option<Raw<'a>>,
    parsing_errors: Many<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Check {
    check_id: Lax<String>,
    check_name: Lax<String>,
    check_result: Lax<Outcome>,
    file_path: Lax<String>,
    file_line_range: Many<u64>,
    resource: Lax<String>,
    resource_address: Lax<String>,
    severity: Lax<String>,
    guideline: Lax<String>,
    description: Lax<String>,
    vulnerability_details: Lax<Details>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Outcome {
    suppress_comment: Lax<String>,
}

/// Of a vulnerable package.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Details {
    id: Lax<String>,
    severity: Lax<String>,
    package_name: Lax<String>,
    package_version: Lax<String>,
    package_type: Lax<String>,
    fixed_version: Lax<String>,
    lowest_fixed_version: Lax<String>,
    cvss: Lax<Number>,
    vector: Lax<String>,
    link: Lax<String>,
    description: Lax<String>,
}

/// Reads a report.
pub(super) fn read(text: &str, hint: Option<&str>) -> Result<Report, ReportError> {
    let whole: Raw<'_> = serde_json::from_str(text).map_err(|error| lenient::not_json(&error))?;
    let base = hint.unwrap_or("checkov");
    let mut report = Report::of(ReportFormat::Checkov);
    let mut looked = Vec::new();
    let is_list = each(whole, |raw| framework(base, raw, &mut report, &mut looked))?;
    if !is_list {
        framework(base, whole, &mut report, &mut looked)?;
    }
    if report.tools.is_empty() {
        report.tools.insert(base.to_owned());
    }
    Ok(report.closed(looked))
}

fn framework(base: &str, raw: Raw<'_>, report: &mut Report, looked: &mut Vec<String>) -> Result<(), ReportError> {
    let Some(framework) = lenient::parse::<Framework<'_>>(raw) else {
        return report.take(None);
    };
    // Bare counts: there was nothing to check.
    let Some(results) = framework.results.as_ref() else {
        return Ok(());
    };
    let kind = framework.check_type.text().unwrap_or("unknown");
    let tool = names::tool(&format!("{base}-{kind}"));
    report.tools.insert(tool.clone());
    if let Some(raw) = results.failed_checks {
        each(raw, |raw| report.take(observe(&tool, kind, raw)))?;
    }
    if let Some(raw) = results.skipped_checks {
        each(raw, |raw| report.take(observe(&tool, kind, raw).map(|seen| Observation { suppressed: true, ..seen })))?;
    }
    if results.parsing_errors.is_empty() {
        looked.push(tool);
    }
    Ok(())
}

fn observe(tool: &str, kind: &str, raw: Raw<'_>) -> Option<Observation> {
    let check: Check = lenient::parse(raw)?;
    if let Some(details) = check.vulnerability_details.as_ref().filter(|it| it.package_name.text().is_some()) {
        return package(tool, &check, details);
    }
    let seen = checked(tool, check.check_id.text())?;
    let file = check.file_path.text().unwrap_or_default().trim_start_matches('/');
    let line = check.file_line_range.first().copied().filter(|line| *line > 0);
    let resource = check.resource_address.text().or(check.resource.text());
    let (location, fingerprint) = match resource {
        // The resource of a secret is the secret's hash.
        Some(hash) if kind == "secrets" => (code::place(file, line), Some(code::by_hash(hash))),
        Some(address) => (limit_text(address, limit::PATH_MAX), None),
        None => (code::place(file, line), Some(code::by_message(check.check_name.text().unwrap_or_default()))),
    };
    let reason = check.check_result.as_ref().and_then(|it| it.suppress_comment.text());
    let told = [check.description.text(), reason, fingerprint.is_none().then_some(file)];
    let told: Vec<&str> = told.into_iter().flatten().filter(|text| !text.is_empty()).collect();
    let title = check.check_name.text().unwrap_or(&seen.rule_id);
    Some(Observation {
        title: code::first_line(title),
        description: limit_text(&told.join("\n\n"), limit::DESCRIPTION_MAX),
        location: Some(location).filter(|location| !location.is_empty()),
        fingerprint,
        url: check.guideline.text().and_then(names::url),
        ..seen.rated(check.severity.text(), Vec::new())
    })
}

fn package(tool: &str, check: &Check, details: &Details) -> Option<Observation> {
    let ids = details.id.text().into_iter().chain(check.check_id.text().filter(|id| id.starts_with("CVE-")));
    let seen = named(tool, ids)?;
    let rates = details.cvss.number().is_some() || details.vector.text().is_some();
    let rating = rates.then(|| rating_of(details.vector.text(), details.cvss.number()));
    let ecosystem = Ecosystem::of(details.package_type.text().unwrap_or_default());
    let component = ecosystem.component(details.package_name.text()?, details.package_version.text());
    let file = check.file_path.text().map(|path| names::path(path.trim_start_matches('/')));
    let fixes = details.lowest_fixed_version.text().or(details.fixed_version.text());
    Some(Observation {
        description: limit_text(details.description.text().unwrap_or_default(), limit::DESCRIPTION_MAX),
        fixed_in: versions(fixes),
        location: file,
        url: details.link.text().and_then(names::url),
        ..seen
            .rated(details.severity.text().or(check.severity.text()), rating.into_iter().collect())
            .of_component(component, None)
    })
}
