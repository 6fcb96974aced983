//! Trivy's JSON, `SchemaVersion` 2: <https://trivy.dev/latest/docs/configuration/reporting/#json>. Also what `trivy k8s`
//! writes of a cluster, which holds such results for each of its resources.
//!
//! | in `Results[]` | we take it as |
//! |---|---|
//! | `Vulnerabilities` | findings in components; `Status` `not_affected` is suppressed |
//! | `Misconfigurations` | findings at resources: `CauseMetadata.Resource`, else in the file; `PASS` is none, `EXCEPTION` is suppressed |
//! | `Secrets` | findings in code, told apart by the line with the secret masked, as Trivy writes it |
//! | `Licenses` | findings in components or files |
//! | `ExperimentalModifiedFindings` (`--show-suppressed`) | the vulnerabilities among them, suppressed |
//!
//! Trivy has several scanners, and a report does not say which of them ran. So each counts as a tool of its own (`trivy`
//! for vulnerabilities, `trivy-misconfig`, `trivy-secret`, `trivy-license`), and its silence is believed only when the
//! report shows that it looked: packages listed for vulnerabilities, and for secrets too, which Trivy looks for beside them
//! by default; a `config` result for misconfigurations; a `license` result for licences. A report without results shows
//! nothing.

use std::collections::BTreeSet;

use watchbell_wire::event::Component;

use self::schema::{Entry, License, Misconfiguration, Modified, Resource, ResultEntry, Secret, Top, Vulnerability};
use super::error::ReportError;
use super::lax::{each, each_member};
use super::lenient::{self, Raw, limit_text};
use super::package::{self, Ecosystem};
use super::rating::{self, Rating};
use super::vulnerability::{checked, named, rating_of, versions};
use super::{Report, ReportFormat, code, limit, names};
use crate::finding::Observation;

mod schema;

/// Reads a report.
pub(super) fn read(text: &str, hint: Option<&str>) -> Result<Report, ReportError> {
    let top: Top<'_> = serde_json::from_str(text).map_err(|error| lenient::not_json(&error))?;
    let mut reading = Reading {
        tools: Tools::of(hint.unwrap_or("trivy")),
        looked: BTreeSet::new(),
        report: Report::of(ReportFormat::Trivy),
    };
    if let Some(raw) = top.results
        && !each(raw, |raw| reading.result(raw, None))?
    {
        return Err(ReportError::Shape { pointer: "/Results", reason: "wanted an array".to_owned() });
    }
    for raw in [top.resources, top.vulnerabilities, top.misconfigurations].into_iter().flatten() {
        each(raw, |raw| reading.resource(raw))?;
    }
    let Reading { tools, looked, mut report } = reading;
    report.tools = report.observations.iter().map(|it| it.tool.clone()).chain(looked.clone()).collect();
    if report.tools.is_empty() {
        report.tools.insert(tools.vulnerability);
    }
    Ok(report.closed(looked))
}

/// What each scanner is called.
struct Tools {
    vulnerability: String,
    misconfig: String,
    secret: String,
    license: String,
}

impl Tools {
    fn of(base: &str) -> Self {
        let of = |scanner: &str| names::tool(&format!("{base}-{scanner}"));
        let (misconfig, secret, license) = (of("misconfig"), of("secret"), of("license"));
        Self { vulnerability: base.to_owned(), misconfig, secret, license }
    }
}

struct Reading {
    tools: Tools,
    looked: BTreeSet<String>,
    report: Report,
}

impl Reading {
    /// A cluster's resource: results, and perhaps why there are none.
    fn resource(&mut self, raw: Raw<'_>) -> Result<(), ReportError> {
        let Some(resource) = lenient::parse::<Resource<'_>>(raw) else {
            self.report.skipped += 1;
            return Ok(());
        };
        let parts = [&resource.namespace, &resource.kind, &resource.name];
        let address = parts.into_iter().filter_map(|part| part.text()).collect::<Vec<_>>().join("/");
        let address = limit_text(&address, limit::PATH_MAX);
        if resource.error.text().is_some() {
            self.report.unseen.insert(address.clone());
        }
        match resource.results {
            Some(results) => each(results, |raw| self.result(raw, Some(&address))).map(|_| ()),
            None => Ok(()),
        }
    }

    fn result(&mut self, raw: Raw<'_>, resource: Option<&str>) -> Result<(), ReportError> {
        let Some(result) = lenient::parse::<ResultEntry<'_>>(raw) else {
            self.report.skipped += 1;
            return Ok(());
        };
        self.note_class(result.class.text().unwrap_or_default());
        let target = names::path(result.target.text().unwrap_or_default());
        let place = Place { target: &target, resource, ecosystem: result.kind.text().unwrap_or_default() };
        let tools = &self.tools;
        let report = &mut self.report;
        if let Some(list) = result.vulnerabilities {
            each(list, |raw| report.take(read_vulnerability(&tools.vulnerability, raw, &place)))?;
        }
        if let Some(list) = result.misconfigurations {
            each(list, |raw| match lenient::parse::<Misconfiguration>(raw) {
                Some(entry) if entry.status.text() == Some("PASS") => Ok(()),
                entry => report.take(entry.and_then(|entry| misconfiguration(&tools.misconfig, &entry, &place))),
            })?;
        }
        if let Some(list) = result.secrets {
            each(list, |raw| report.take(lenient::parse(raw).and_then(|it| secret(&tools.secret, &it, &place))))?;
        }
        if let Some(list) = result.licenses {
            each(list, |raw| report.take(lenient::parse(raw).and_then(|it| license(&tools.license, &it, &place))))?;
        }
        if let Some(list) = result.modified {
            each(list, |raw| {
                let entry = lenient::parse::<Modified<'_>>(raw).filter(|it| it.kind.text() == Some("vulnerability"));
                let Some(finding) = entry.and_then(|entry| entry.finding) else {
                    return Ok(());
                };
                let seen = read_vulnerability(&tools.vulnerability, finding, &place);
                report.take(seen.map(|seen| Observation { suppressed: true, ..seen }))
            })?;
        }
        Ok(())
    }

    fn note_class(&mut self, class: &str) {
        let tools = &self.tools;
        let looked: &[&String] = match class {
            "os-pkgs" | "lang-pkgs" => &[&tools.vulnerability, &tools.secret],
            "config" => &[&tools.misconfig],
            "secret" => &[&tools.secret],
            "license" | "license-file" => &[&tools.license],
            _ => &[],
        };
        self.looked.extend(looked.iter().map(|tool| (*tool).clone()));
    }
}

/// Where the entries of a result are.
struct Place<'p> {
    target: &'p str,
    /// In a cluster: `namespace/kind/name`.
    resource: Option<&'p str>,
    ecosystem: &'p str,
}

impl Place<'_> {
    fn shown(&self) -> String {
        self.resource.unwrap_or(self.target).to_owned()
    }

    fn line(&self, line: Option<u64>) -> String {
        self.resource.map_or_else(|| code::place(self.target, line), str::to_owned)
    }
}

fn read_vulnerability(tool: &str, raw: Raw<'_>, place: &Place<'_>) -> Option<Observation> {
    let entry: Vulnerability<'_> = lenient::parse(raw)?;
    let ids = entry.id.text().into_iter().chain(entry.vendor_ids.iter().map(String::as_str));
    let seen = named(tool, ids)?;
    let cwes = names::cwes(entry.cwes.iter().map(String::as_str));
    let fixed = entry.fixed_version.text().unwrap_or_default().split(',');
    Some(Observation {
        description: limit_text(entry.description.text().unwrap_or_default(), limit::DESCRIPTION_MAX),
        cwes,
        fixed_in: versions(fixed),
        location: Some(place.shown()),
        url: entry.primary_url.text().and_then(names::url),
        suppressed: entry.status.text() == Some("not_affected"),
        ..seen.rated(entry.severity.text(), ratings(&entry)).of_component(component(&entry, place)?, entry.title.text())
    })
}

fn component(entry: &Vulnerability<'_>, place: &Place<'_>) -> Option<Component> {
    let (name, version) = (entry.package.text(), entry.installed_version.text());
    match entry.identifier.as_ref().and_then(|it| it.purl.text()) {
        Some(purl) => package::component(Some(purl), name, version),
        None => Some(Ecosystem::of(place.ecosystem).component(name?, version)),
    }
}

/// Of the source that the severity is from, else of the best known one that rates at all.
fn ratings(entry: &Vulnerability<'_>) -> Vec<Rating> {
    let order = [entry.severity_source.text().unwrap_or_default(), "nvd", "ghsa", "redhat"];
    let mut best: Option<(usize, Vec<Rating>)> = None;
    let Some(raw) = entry.cvss else {
        return Vec::new();
    };
    let read = each_member(raw, |source, raw| {
        let rank = order.iter().position(|known| *known == source).unwrap_or(order.len());
        let ratings = lenient::parse::<Entry>(raw).map(|it| it.ratings()).unwrap_or_default();
        if !ratings.is_empty() && best.as_ref().is_none_or(|(known, _)| rank < *known) {
            best = Some((rank, ratings));
        }
        Ok(())
    });
    best.filter(|_| read.is_ok()).map(|(_, ratings)| ratings).unwrap_or_default()
}

impl Entry {
    fn ratings(&self) -> Vec<Rating> {
        let versions = [
            (self.v40_vector.text(), self.v40_score.number()),
            (self.v3_vector.text(), self.v3_score.number()),
            (self.v2_vector.text(), self.v2_score.number()),
        ];
        let told = versions.into_iter().filter(|(vector, _)| vector.is_some());
        told.map(|(vector, score)| rating_of(vector, score)).collect()
    }
}

fn misconfiguration(tool: &str, entry: &Misconfiguration, place: &Place<'_>) -> Option<Observation> {
    let seen = checked(tool, entry.id.text().or(entry.avd_id.text()))?;
    let cause = entry.cause.as_ref();
    let resource = cause.and_then(|cause| cause.resource.text()).map(|it| limit_text(it, limit::PATH_MAX));
    let message = entry.message.text().unwrap_or_default();
    let line = cause.and_then(|cause| *cause.start_line).filter(|line| *line > 0);
    let (location, fingerprint) = match (resource, place.resource) {
        (Some(address), Some(resource)) => (format!("{resource}/{address}"), None),
        (Some(address), None) => (address, None),
        // Several of a rule in one file differ by what is said of them: a container, a port.
        (None, _) => (place.line(line), Some(code::by_message(message))),
    };
    let file = if fingerprint.is_none() { place.target } else { "" };
    let told = [message, entry.resolution.text().unwrap_or_default(), file];
    let told: Vec<&str> = told.into_iter().filter(|text| !text.is_empty()).collect();
    let title = entry.title.text().unwrap_or(message);
    Some(Observation {
        title: code::first_line(if title.is_empty() { &seen.rule_id } else { title }),
        description: limit_text(&told.join("\n\n"), limit::DESCRIPTION_MAX),
        severity: entry.severity.text().map(rating::severity_of_word).unwrap_or_default(),
        location: Some(limit_text(&location, limit::PATH_MAX)),
        fingerprint,
        url: entry.primary_url.text().and_then(names::url),
        suppressed: entry.status.text() == Some("EXCEPTION"),
        ..seen
    })
}

fn secret(tool: &str, entry: &Secret, place: &Place<'_>) -> Option<Observation> {
    let seen = checked(tool, entry.rule_id.text())?;
    // The line, with the secret masked by Trivy; not even that is shown.
    let masked = entry.matched.text().and_then(code::by_snippet);
    let title = entry.title.text().unwrap_or(&seen.rule_id);
    Some(Observation {
        title: code::first_line(title),
        severity: entry.severity.text().map(rating::severity_of_word).unwrap_or_default(),
        location: Some(place.line(*entry.start_line)),
        fingerprint: Some(masked.unwrap_or_else(|| code::by_message(title))),
        ..seen
    })
}

fn license(tool: &str, entry: &License, place: &Place<'_>) -> Option<Observation> {
    let name = entry.name.text()?;
    let seen = checked(tool, Some(name))?;
    let category = entry.category.text().unwrap_or("unknown");
    let file = entry.file.text().map(names::path);
    let component = entry.package.text().map(|package| Ecosystem::of(place.ecosystem).component(package, None));
    let of = component.as_ref().map(|it| it.name.clone()).or_else(|| file.clone()).unwrap_or_else(|| place.shown());
    let fingerprint = component.is_none().then(|| code::by_message(name));
    Some(Observation {
        title: limit_text(&format!("{name} ({category}) in {of}"), limit::TITLE_MAX),
        severity: entry.severity.text().map(rating::severity_of_word).unwrap_or_default(),
        location: Some(file.unwrap_or_else(|| place.shown())),
        component,
        fingerprint,
        url: entry.link.text().and_then(names::url),
        ..seen
    })
}
