//! What `npm audit --json` writes, and with it pnpm: <https://docs.npmjs.com/cli/v11/commands/npm-audit>.
//!
//! - **`auditReportVersion` 2** (npm 7 and later): `vulnerabilities` is by package; the objects in a package's `via` are the
//!   advisories it is hit by itself, and the names there are packages it is hit through. Each advisory is one finding in its
//!   package; a package that is only hit through others has none, although npm counts it. The installed version is not told.
//! - **version 1** (npm 6, pnpm, which npm calls `advisories`): an advisory for each, and a finding for each version of the
//!   package that is installed.
//! - **`error`**: npm failed.
//!
//! The report is of one lock file, whose name it does not tell: send those of several projects under several `?tool=`.

use serde::Deserialize;
use watchbell_wire::event::Component;

use super::error::ReportError;
use super::lax::{Lax, Many, Number, each, each_member};
use super::lenient::{self, Raw, limit_text};
use super::package::Ecosystem;
use super::vulnerability::{named, only, rating_of, versions, versions_of_range, versions_of_requirement};
use super::{Report, ReportFormat, limit, names};
use crate::finding::Observation;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Top<'a> {
    #[serde(borrow)]
    vulnerabilities: Option<Raw<'a>>,
    #[serde(borrow)]
    advisories: Option<Raw<'a>>,
    error: Lax<Failure>,
    message: Lax<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Failure {
    code: Lax<String>,
    summary: Lax<String>,
    detail: Lax<String>,
}

/// A package of version 2.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Package<'a> {
    #[serde(borrow)]
    via: Option<Raw<'a>>,
    nodes: Many<String>,
    fix_available: Lax<Fix>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Fix {
    name: Lax<String>,
    version: Lax<String>,
}

/// An advisory of either version.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Advisory {
    id: Lax<u64>,
    source: Lax<u64>,
    github_advisory_id: Lax<String>,
    cves: Many<String>,
    title: Lax<String>,
    overview: Lax<String>,
    url: Lax<String>,
    severity: Lax<String>,
    cwe: Many<String>,
    cvss: Lax<Cvss>,
    module_name: Lax<String>,
    patched_versions: Lax<String>,
    /// Of version 2.
    range: Lax<String>,
    findings: Many<Installed>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Cvss {
    score: Lax<Number>,
    vector_string: Lax<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Installed {
    version: Lax<String>,
    paths: Many<String>,
}

/// Reads a report.
pub(super) fn read(text: &str, hint: Option<&str>) -> Result<Report, ReportError> {
    let top: Top<'_> = serde_json::from_str(text).map_err(|error| lenient::not_json(&error))?;
    let tool = hint.unwrap_or("npm-audit").to_owned();
    let mut report = Report::of(ReportFormat::NpmAudit);
    report.tools.insert(tool.clone());
    if let Some(failure) = top.error.as_ref() {
        let told = [&failure.code, &failure.summary, &failure.detail, &top.message];
        let told = told.into_iter().filter_map(|text| text.text()).collect::<Vec<_>>().join(": ");
        report.failure = Some(limit_text(&format!("npm says that it failed: {told}"), limit::DESCRIPTION_MAX));
        return Ok(report);
    }
    if let Some(raw) = top.vulnerabilities {
        each_member(raw, |name, raw| match lenient::parse(raw) {
            Some(package) => read_package(&tool, name, &package, &mut report),
            None => report.take(None),
        })?;
    }
    if let Some(raw) = top.advisories {
        each_member(raw, |_, raw| match lenient::parse(raw) {
            Some(advisory) => read_advisory(&tool, &advisory, &mut report),
            None => report.take(None),
        })?;
    }
    Ok(report.closed([tool]))
}

fn read_package(tool: &str, name: &str, package: &Package<'_>, report: &mut Report) -> Result<(), ReportError> {
    let Some(via) = package.via else {
        return report.take(None);
    };
    let fix = package.fix_available.as_ref().filter(|fix| fix.name.text() == Some(name));
    let is_list = each(via, |raw| {
        if raw.get().starts_with('"') {
            return Ok(());
        }
        let seen = lenient::parse::<Advisory>(raw).and_then(|advisory| {
            let component = Ecosystem::of("npm").component(name, None);
            let seen = observe(tool, &advisory, component)?;
            let ends = advisory.range.text().map(versions_of_range).unwrap_or_default();
            let fixes = ends.iter().map(String::as_str).chain(fix.and_then(|fix| fix.version.text()));
            Some(Observation {
                fixed_in: versions(fixes),
                location: package.nodes.first().map(|node| names::path(node)),
                ..seen
            })
        });
        report.take(seen)
    })?;
    if is_list { Ok(()) } else { report.take(None) }
}

fn read_advisory(tool: &str, advisory: &Advisory, report: &mut Report) -> Result<(), ReportError> {
    let name = advisory.module_name.text();
    let fixed_in = advisory.patched_versions.text().map(versions_of_requirement).unwrap_or_default();
    let nowhere = [Installed::default()];
    let installed = if advisory.findings.is_empty() { &nowhere[..] } else { &advisory.findings };
    for one in installed {
        let component = name.map(|name| Ecosystem::of("npm").component(name, one.version.text()));
        let seen = component.and_then(|component| observe(tool, advisory, component)).map(|seen| Observation {
            fixed_in: fixed_in.clone(),
            location: one.paths.first().map(|path| limit_text(path, limit::PATH_MAX)),
            ..seen
        });
        report.take(seen)?;
    }
    Ok(())
}

fn observe(tool: &str, advisory: &Advisory, component: Component) -> Option<Observation> {
    let url = advisory.url.text();
    // `https://github.com/advisories/GHSA-…`; before 2021 npm had advisories of its own, which have a number only.
    let linked = url.and_then(|url| url.rsplit('/').next()).filter(|last| last.starts_with("GHSA-"));
    let ghsa = advisory.github_advisory_id.text().or(linked);
    let number = advisory.id.or(*advisory.source).map(|number| format!("npm-{number}"));
    let cve = only(advisory.cves.iter().map(String::as_str));
    let seen = named(tool, ghsa.or(number.as_deref()).into_iter().chain(cve))?;
    let rating = advisory.cvss.as_ref().and_then(|cvss| {
        // npm writes 0 where there is none.
        let score = cvss.score.number().filter(|score| *score > 0.0);
        (score.is_some() || cvss.vector_string.text().is_some()).then(|| rating_of(cvss.vector_string.text(), score))
    });
    Some(Observation {
        description: limit_text(advisory.overview.text().unwrap_or_default(), limit::DESCRIPTION_MAX),
        cwes: names::cwes(advisory.cwe.iter().map(String::as_str)),
        url: url.and_then(names::url),
        ..seen
            .rated(advisory.severity.text(), rating.into_iter().collect())
            .of_component(component, advisory.title.text())
    })
}
