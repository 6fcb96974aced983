//! Grype's JSON: <https://github.com/anchore/grype>, `grype -o json`.
//!
//! One finding for each entry of `matches`, and for each of `ignoredMatches` one that is suppressed. Its other names are
//! those of `relatedVulnerabilities`, unless there are several CVEs: a distribution's advisory covers many vulnerabilities,
//! and they are no names of each other.

use serde::Deserialize;

use super::error::ReportError;
use super::lax::{Lax, Many, Number, each};
use super::lenient::{self, Raw, limit_text};
use super::package::{self, Ecosystem};
use super::vulnerability::{named, only, rating_of, versions};
use super::{Report, ReportFormat, limit, names};
use crate::finding::Observation;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Top<'a> {
    #[serde(borrow)]
    matches: Option<Raw<'a>>,
    #[serde(borrow)]
    ignored_matches: Option<Raw<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Match {
    vulnerability: Lax<Vulnerability>,
    related_vulnerabilities: Many<Vulnerability>,
    artifact: Lax<Artifact>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Vulnerability {
    id: Lax<String>,
    data_source: Lax<String>,
    severity: Lax<String>,
    description: Lax<String>,
    cvss: Many<Cvss>,
    fix: Lax<Fix>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Cvss {
    vector: Lax<String>,
    metrics: Lax<Metrics>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Metrics {
    base_score: Lax<Number>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Fix {
    versions: Many<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Artifact {
    name: Lax<String>,
    version: Lax<String>,
    #[serde(rename = "type")]
    kind: Lax<String>,
    purl: Lax<String>,
    locations: Many<Location>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Location {
    path: Lax<String>,
}

/// Reads a report.
pub(super) fn read(text: &str, hint: Option<&str>) -> Result<Report, ReportError> {
    let top: Top<'_> = serde_json::from_str(text).map_err(|error| lenient::not_json(&error))?;
    let tool = hint.unwrap_or("grype").to_owned();
    let mut report = Report::of(ReportFormat::Grype);
    report.tools.insert(tool.clone());
    if let Some(raw) = top.matches {
        each(raw, |raw| report.take(observe(&tool, raw)))?;
    }
    if let Some(raw) = top.ignored_matches {
        each(raw, |raw| report.take(observe(&tool, raw).map(|seen| Observation { suppressed: true, ..seen })))?;
    }
    Ok(report.closed([tool]))
}

fn observe(tool: &str, raw: Raw<'_>) -> Option<Observation> {
    let entry: Match = lenient::parse(raw)?;
    let (vulnerability, artifact) = (entry.vulnerability.as_ref()?, entry.artifact.as_ref()?);
    let related = || entry.related_vulnerabilities.iter();
    let is_cve = |id: &&str| names::whole_cve(id).is_some();
    let ids = || related().filter_map(|it| it.id.text());
    let cve = only(ids().filter(is_cve));
    let others = ids().filter(|id| !is_cve(id));
    let seen = named(tool, vulnerability.id.text().into_iter().chain(cve).chain(others))?;
    let all = || std::iter::once(vulnerability).chain(related());
    let rates = all().find(|it| !it.cvss.is_empty());
    let ratings = rates.iter().flat_map(|it| it.cvss.iter()).map(|cvss| {
        let score = cvss.metrics.as_ref().and_then(|metrics| metrics.base_score.number());
        rating_of(cvss.vector.text(), score)
    });
    let (name, version) = (artifact.name.text(), artifact.version.text());
    let component = match artifact.purl.text() {
        Some(purl) => package::component(Some(purl), name, version)?,
        None => Ecosystem::of(artifact.kind.text().unwrap_or_default()).component(name?, version),
    };
    let fixes = vulnerability.fix.as_ref().map(|fix| versions(fix.versions.iter().map(String::as_str)));
    let description = all().find_map(|it| it.description.text()).unwrap_or_default();
    Some(Observation {
        description: limit_text(description, limit::DESCRIPTION_MAX),
        fixed_in: fixes.unwrap_or_default(),
        location: artifact.locations.iter().find_map(|it| it.path.text()).map(names::path),
        url: vulnerability.data_source.text().and_then(names::url),
        ..seen.rated(vulnerability.severity.text(), ratings.collect()).of_component(component, None)
    })
}
