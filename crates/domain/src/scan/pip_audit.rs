//! pip-audit's JSON: <https://github.com/pypa/pip-audit>, `pip-audit -f json`. Before version 2 it was the bare list of
//! dependencies.
//!
//! A dependency that was skipped (`skip_reason`) was not looked at, so what is known of it stays. A report in which all
//! were skipped says nothing. The tool rates nothing, so the severity is unknown.

use serde::Deserialize;

use super::error::ReportError;
use super::lax::{Lax, Many, each};
use super::lenient::{self, Raw, limit_text};
use super::package::Ecosystem;
use super::vulnerability::{named, versions};
use super::{Report, ReportFormat, limit};
use crate::finding::{self, Observation};

#[derive(Deserialize, Default)]
#[serde(default)]
struct Top<'a> {
    #[serde(borrow)]
    dependencies: Option<Raw<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Dependency<'a> {
    name: Lax<String>,
    version: Lax<String>,
    skip_reason: Lax<String>,
    #[serde(borrow)]
    vulns: Option<Raw<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Vulnerability {
    id: Lax<String>,
    aliases: Many<String>,
    fix_versions: Many<String>,
    description: Lax<String>,
}

/// Reads a report.
pub(super) fn read(text: &str, hint: Option<&str>) -> Result<Report, ReportError> {
    let tool = hint.unwrap_or("pip-audit").to_owned();
    let mut report = Report::of(ReportFormat::PipAudit);
    report.tools.insert(tool.clone());
    let whole: Raw<'_> = serde_json::from_str(text).map_err(|error| lenient::not_json(&error))?;
    let list = match whole.get().starts_with('[') {
        true => Some(whole),
        false => serde_json::from_str::<Top<'_>>(text).map_err(|error| lenient::not_json(&error))?.dependencies,
    };
    let (mut looked_at, mut passed_over) = (0u64, 0u64);
    if let Some(raw) = list {
        each(raw, |raw| {
            let Some((name, dependency)) = lenient::parse::<Dependency<'_>>(raw).and_then(with_name) else {
                return report.take(None);
            };
            let component = Ecosystem::of("pypi").component(&name, dependency.version.text());
            if dependency.skip_reason.text().is_some() {
                passed_over += 1;
                report.unseen.insert(finding::package(&component));
                return Ok(());
            }
            looked_at += 1;
            let Some(vulnerabilities) = dependency.vulns else {
                return report.take(None);
            };
            each(vulnerabilities, |raw| {
                let seen = lenient::parse::<Vulnerability>(raw).and_then(|entry| {
                    let seen =
                        named(&tool, entry.id.text().into_iter().chain(entry.aliases.iter().map(String::as_str)))?;
                    Some(Observation {
                        description: limit_text(entry.description.text().unwrap_or_default(), limit::DESCRIPTION_MAX),
                        fixed_in: versions(entry.fix_versions.iter().map(String::as_str)),
                        ..seen.of_component(component.clone(), None)
                    })
                });
                report.take(seen)
            })
            .map(|_| ())
        })?;
    }
    let has_looked = looked_at > 0 || passed_over == 0;
    Ok(report.closed(has_looked.then_some(tool)))
}

fn with_name(dependency: Dependency<'_>) -> Option<(String, Dependency<'_>)> {
    Some((dependency.name.text()?.to_owned(), dependency))
}
