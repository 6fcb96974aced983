//! The Snyk CLI's JSON: <https://docs.snyk.io/developer-tools/snyk-cli/commands/test>, `snyk test --json`,
//! `snyk container test --json`, `snyk iac test --json`. (`snyk code test` writes SARIF.)
//!
//! | the document is | we take its silence as |
//! |---|---|
//! | one project | word of its own file (`displayTargetFile`) alone: other projects' findings stay |
//! | an array of projects (`--all-projects`) | word of all that Snyk has found before |
//! | with a project that failed (`{"ok": false, "error": …}`) | word of the files that were tested |
//! | only failed projects | the scan failed |
//!
//! Snyk lists a vulnerability once for each path that leads to its package; that is one finding. What its policy ignores
//! or has patched (`filtered`) is suppressed.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::error::ReportError;
use super::lax::{Lax, Many, Number, each};
use super::lenient::{self, Raw, limit_text};
use super::package::Ecosystem;
use super::vulnerability::{checked, named, only, rating_of, versions};
use super::{Report, ReportFormat, code, limit, names, rating};
use crate::finding::Observation;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Project<'a> {
    error: Lax<String>,
    path: Lax<String>,
    display_target_file: Lax<String>,
    target_file: Lax<String>,
    project_name: Lax<String>,
    package_manager: Lax<String>,
    #[serde(borrow)]
    vulnerabilities: Option<Raw<'a>>,
    #[serde(borrow)]
    filtered: Lax<Filtered<'a>>,
    /// In an image: the projects beside the distribution's packages.
    #[serde(borrow)]
    applications: Option<Raw<'a>>,
    #[serde(borrow)]
    infrastructure_as_code_issues: Option<Raw<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Filtered<'a> {
    #[serde(borrow)]
    ignore: Option<Raw<'a>>,
    #[serde(borrow)]
    patch: Option<Raw<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Vulnerability {
    id: Lax<String>,
    title: Lax<String>,
    description: Lax<String>,
    severity: Lax<String>,
    #[serde(rename = "CVSSv3")]
    cvss_v3: Lax<String>,
    cvss_score: Lax<Number>,
    identifiers: Lax<Identifiers>,
    package_manager: Lax<String>,
    package_name: Lax<String>,
    name: Lax<String>,
    version: Lax<String>,
    fixed_in: Many<String>,
    nearest_fixed_in_version: Lax<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "UPPERCASE")]
struct Identifiers {
    cve: Many<String>,
    ghsa: Many<String>,
    cwe: Many<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Misconfiguration {
    id: Lax<String>,
    public_id: Lax<String>,
    title: Lax<String>,
    severity: Lax<String>,
    is_ignored: Lax<bool>,
    line_number: Lax<u64>,
    path: Many<String>,
    issue: Lax<String>,
    resolve: Lax<String>,
    documentation: Lax<String>,
}

/// Reads a report.
pub(super) fn read(text: &str, hint: Option<&str>) -> Result<Report, ReportError> {
    let whole: Raw<'_> = serde_json::from_str(text).map_err(|error| lenient::not_json(&error))?;
    let tool = hint.unwrap_or("snyk").to_owned();
    let mut reading =
        Reading { tool, tested: BTreeSet::new(), failures: Vec::new(), report: Report::of(ReportFormat::Snyk) };
    let is_list = each(whole, |raw| reading.project(raw))?;
    if !is_list {
        reading.project(whole)?;
    }
    let Reading { tool, tested, failures, mut report } = reading;
    report.tools.insert(tool.clone());
    match failures.first() {
        Some(failure) if tested.is_empty() => report.failure = Some(failure.clone()),
        Some(_) => report.targets = Some(tested),
        None if !is_list => report.targets = Some(tested),
        None => {}
    }
    Ok(report.closed([tool]))
}

struct Reading {
    tool: String,
    /// The files of the projects that were tested.
    tested: BTreeSet<String>,
    failures: Vec<String>,
    report: Report,
}

impl Reading {
    fn project(&mut self, raw: Raw<'_>) -> Result<(), ReportError> {
        let Some(project) = lenient::parse::<Project<'_>>(raw) else {
            self.report.skipped += 1;
            return Ok(());
        };
        if let Some(error) = project.error.text() {
            let path = project.path.text().unwrap_or_default();
            self.failures
                .push(limit_text(&format!("Snyk says that it failed: {error} ({path})"), limit::DESCRIPTION_MAX));
            return Ok(());
        }
        self.tested(&project)?;
        match project.applications {
            Some(raw) => each(raw, |raw| match lenient::parse::<Project<'_>>(raw) {
                Some(application) => self.tested(&application),
                None => self.report.take(None),
            })
            .map(|_| ()),
            None => Ok(()),
        }
    }

    fn tested(&mut self, project: &Project<'_>) -> Result<(), ReportError> {
        let names = [&project.display_target_file, &project.target_file, &project.project_name, &project.path];
        let file = names.into_iter().find_map(|name| name.text()).map(names::path).unwrap_or_default();
        self.tested.insert(file.clone());
        let Self { tool, report, .. } = self;
        let manager = project.package_manager.text().unwrap_or_default();
        let mut known = BTreeSet::new();
        let mut vulnerabilities = |list: Option<Raw<'_>>, suppressed: bool| match list {
            Some(list) => each(list, |raw| {
                let seen = lenient::parse::<Vulnerability>(raw).and_then(|it| vulnerability(tool, &it, manager, &file));
                match seen {
                    Some(seen) if !known.insert(who(&seen)) => Ok(()),
                    seen => report.take(seen.map(|seen| Observation { suppressed, ..seen })),
                }
            })
            .map(|_| ()),
            None => Ok(()),
        };
        vulnerabilities(project.vulnerabilities, false)?;
        if let Some(filtered) = project.filtered.as_ref() {
            vulnerabilities(filtered.ignore, true)?;
            vulnerabilities(filtered.patch, true)?;
        }
        match project.infrastructure_as_code_issues {
            Some(raw) => each(raw, |raw| {
                self.report.take(lenient::parse(raw).and_then(|it| misconfiguration(&self.tool, &it, &file)))
            })
            .map(|_| ()),
            None => Ok(()),
        }
    }
}

/// What is one finding, whatever path leads to it.
fn who(seen: &Observation) -> (String, String, Option<String>) {
    let component = seen.component.clone().unwrap_or_default();
    (seen.rule_id.clone(), component.name, component.version)
}

fn vulnerability(tool: &str, entry: &Vulnerability, manager: &str, file: &str) -> Option<Observation> {
    let identifiers = entry.identifiers.as_ref();
    let cve = only(identifiers.iter().flat_map(|it| it.cve.iter()).map(String::as_str));
    let ghsa = only(identifiers.iter().flat_map(|it| it.ghsa.iter()).map(String::as_str));
    let seen = named(tool, entry.id.text().into_iter().chain(cve).chain(ghsa))?;
    let rates = entry.cvss_v3.text().is_some() || entry.cvss_score.number().is_some();
    let rating = rates.then(|| rating_of(entry.cvss_v3.text(), entry.cvss_score.number()));
    let ecosystem = Ecosystem::of(entry.package_manager.text().unwrap_or(manager));
    let component = ecosystem.component(entry.package_name.text().or(entry.name.text())?, entry.version.text());
    let fixes = entry.fixed_in.iter().map(String::as_str).chain(entry.nearest_fixed_in_version.text());
    let title = entry.title.text().map(|title| format!("{title} in {}", component.name));
    let page = entry.id.text().filter(|id| id.starts_with("SNYK-") || id.starts_with("npm:"));
    let page = page.map(|id| format!("https://security.snyk.io/vuln/{id}"));
    Some(Observation {
        description: limit_text(entry.description.text().unwrap_or_default(), limit::DESCRIPTION_MAX),
        cwes: names::cwes(identifiers.iter().flat_map(|it| it.cwe.iter()).map(String::as_str)),
        fixed_in: versions(fixes),
        location: Some(file.to_owned()),
        url: page.as_deref().and_then(names::url),
        ..seen.rated(entry.severity.text(), rating.into_iter().collect()).of_component(component, title.as_deref())
    })
}

/// Told apart by the path in the file, which survives moved lines.
fn misconfiguration(tool: &str, entry: &Misconfiguration, file: &str) -> Option<Observation> {
    let seen = checked(tool, entry.public_id.text().or(entry.id.text()))?;
    let address = entry.path.join(".");
    let told = [entry.issue.text(), entry.resolve.text()].into_iter().flatten().collect::<Vec<_>>().join("\n\n");
    Some(Observation {
        title: code::first_line(entry.title.text().unwrap_or(&seen.rule_id)),
        description: limit_text(&told, limit::DESCRIPTION_MAX),
        severity: entry.severity.text().map(rating::severity_of_word).unwrap_or_default(),
        location: Some(code::place(file, entry.line_number.filter(|line| *line > 0))),
        fingerprint: Some(code::by_hash(&address)),
        url: entry.documentation.text().and_then(names::url),
        suppressed: *entry.is_ignored == Some(true),
        ..seen
    })
}
