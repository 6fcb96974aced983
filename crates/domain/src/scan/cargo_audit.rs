//! cargo-audit's JSON: <https://docs.rs/rustsec/latest/rustsec/report/struct.Report.html>, `cargo audit --json`.
//!
//! `vulnerabilities.list` are findings, rated by their vector; one that has none is of unknown severity. `warnings`
//! (unmaintained, unsound, yanked) are findings of severity info: the tool does not fail for them.

use serde::Deserialize;
use watchbell_wire::Severity;

use super::error::ReportError;
use super::lax::{Lax, Many, each, each_member};
use super::lenient::{self, Raw, limit_text};
use super::package::Ecosystem;
use super::vulnerability::{checked, named, rating_of, versions, versions_of_requirement};
use super::{Report, ReportFormat, limit, names};
use crate::finding::Observation;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Top<'a> {
    #[serde(borrow)]
    vulnerabilities: Lax<Vulnerabilities<'a>>,
    #[serde(borrow)]
    warnings: Option<Raw<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Vulnerabilities<'a> {
    #[serde(borrow)]
    list: Option<Raw<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    advisory: Lax<Advisory>,
    versions: Lax<Versions>,
    package: Lax<Package>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Advisory {
    id: Lax<String>,
    aliases: Many<String>,
    title: Lax<String>,
    description: Lax<String>,
    cvss: Lax<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Versions {
    patched: Many<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Package {
    name: Lax<String>,
    version: Lax<String>,
}

/// Reads a report.
pub(super) fn read(text: &str, hint: Option<&str>) -> Result<Report, ReportError> {
    let top: Top<'_> = serde_json::from_str(text).map_err(|error| lenient::not_json(&error))?;
    let tool = hint.unwrap_or("cargo-audit").to_owned();
    let mut report = Report::of(ReportFormat::CargoAudit);
    report.tools.insert(tool.clone());
    if let Some(raw) = top.vulnerabilities.as_ref().and_then(|it| it.list) {
        each(raw, |raw| report.take(lenient::parse(raw).and_then(|entry| observe(&tool, &entry, None))))?;
    }
    if let Some(raw) = top.warnings {
        each_member(raw, |kind, raw| {
            each(raw, |raw| report.take(lenient::parse(raw).and_then(|entry| observe(&tool, &entry, Some(kind)))))
                .map(|_| ())
        })?;
    }
    Ok(report.closed([tool]))
}

/// `warning`: of which kind it is, if it is one.
fn observe(tool: &str, entry: &Entry, warning: Option<&str>) -> Option<Observation> {
    let package = entry.package.as_ref()?;
    let component = Ecosystem::of("cargo").component(package.name.text()?, package.version.text());
    let unnamed = Advisory::default();
    // A yanked version has no advisory: it is known by what became of it.
    let advisory = entry.advisory.as_ref().or(warning.is_some().then_some(&unnamed))?;
    let seen = match advisory.id.text() {
        Some(id) => named(tool, std::iter::once(id).chain(advisory.aliases.iter().map(String::as_str)))?,
        None => checked(tool, warning)?,
    };
    let ratings = advisory.cvss.text().map(|vector| rating_of(Some(vector), None));
    let patched = entry.versions.iter().flat_map(|it| it.patched.iter());
    let fixed: Vec<String> = patched.flat_map(|requirement| versions_of_requirement(requirement)).collect();
    let page = advisory.id.text().map(|id| format!("https://rustsec.org/advisories/{id}"));
    let yanked = warning.filter(|_| advisory.id.text().is_none()).map(|kind| format!("{} is {kind}", component.name));
    let seen = seen.rated(None, ratings.into_iter().collect());
    Some(Observation {
        description: limit_text(advisory.description.text().unwrap_or_default(), limit::DESCRIPTION_MAX),
        severity: if warning.is_some() { Severity::Info } else { seen.severity },
        fixed_in: versions(fixed.iter().map(String::as_str)),
        url: page.as_deref().and_then(names::url),
        ..seen.of_component(component, advisory.title.text().or(yanked.as_deref()))
    })
}
