//! OWASP Dependency-Check's reports, JSON and XML: <https://dependency-check.github.io/DependencyCheck/>.
//!
//! Both are brought to one shape ([`Dependency`]) and read from there. A dependency is named by the package URL that was
//! identified with it, else by its file. `suppressedVulnerabilities` are suppressed. A report that tells of exceptions of
//! the analysis is taken as incomplete: it remediates nothing.

use super::error::ReportError;
use super::lenient::limit_text;
use super::package;
use super::rating::{Method, Rating};
use super::vulnerability::{named, rating_of, versions};
use super::{Report, ReportFormat, limit, names};
use crate::finding::Observation;

mod json;
mod xml;

pub(super) use json::read as read_json;
pub(super) use xml::read as read_xml;

/// A dependency, from either form.
#[derive(Debug, Default)]
struct Dependency {
    file_name: String,
    purl: Option<String>,
}

/// A vulnerability of a dependency, from either form.
#[derive(Debug, Default)]
struct Vulnerability {
    name: String,
    severity: String,
    description: String,
    cwes: Vec<String>,
    /// CVSS 3, by the names that both forms give its metrics.
    v3: Metrics,
    v2_score: Option<f64>,
    v4_score: Option<f64>,
    fixed_in: Vec<String>,
    url: Option<String>,
    is_suppressed: bool,
}

/// CVSS 3, spelled out.
#[derive(Debug, Default)]
struct Metrics {
    version: String,
    score: Option<f64>,
    /// In the order of [`METRICS`].
    words: [String; METRICS.len()],
}

/// The metrics of CVSS 3 as a vector has them, and what the reports call them.
const METRICS: [(&str, &str); 8] = [
    ("AV", "attackVector"),
    ("AC", "attackComplexity"),
    ("PR", "privilegesRequired"),
    ("UI", "userInteraction"),
    ("S", "scope"),
    ("C", "confidentialityImpact"),
    ("I", "integrityImpact"),
    ("A", "availabilityImpact"),
];

impl Metrics {
    /// Takes the word of a metric, if that is one.
    fn set(&mut self, name: &str, word: &str) {
        let at = METRICS.iter().position(|(_, known)| *known == name);
        if let Some(slot) = at.and_then(|at| self.words.get_mut(at)) {
            word.clone_into(slot);
        }
    }

    fn rating(&self) -> Option<Rating> {
        let letters = METRICS.iter().zip(&self.words).map(|((short, _), word)| Some((short, word.chars().next()?)));
        let parts: Option<Vec<String>> = letters
            .map(|part| part.map(|(short, letter)| format!("{short}:{}", letter.to_ascii_uppercase())))
            .collect();
        let version = if self.version.starts_with("3.1") { "3.1" } else { "3.0" };
        let vector = parts.map(|parts| format!("CVSS:{version}/{}", parts.join("/")));
        (self.score.is_some() || vector.is_some()).then(|| rating_of(vector.as_deref(), self.score))
    }
}

/// What is made of the dependencies.
struct Reading {
    tool: String,
    has_exceptions: bool,
    report: Report,
}

impl Reading {
    fn of(format: ReportFormat, hint: Option<&str>) -> Self {
        let tool = hint.unwrap_or("dependency-check").to_owned();
        let mut report = Report::of(format);
        report.tools.insert(tool.clone());
        report.components = Some(0);
        Self { tool, has_exceptions: false, report }
    }

    fn count(&mut self) {
        self.report.components = self.report.components.map(|count| count + 1);
    }

    fn take(&mut self, dependency: &Dependency, vulnerability: &Vulnerability) -> Result<(), ReportError> {
        let seen = observe(&self.tool, dependency, vulnerability);
        self.report.take(seen)
    }

    fn done(self) -> Report {
        let Self { tool, has_exceptions, report } = self;
        report.closed((!has_exceptions).then_some(tool))
    }
}

fn observe(tool: &str, dependency: &Dependency, entry: &Vulnerability) -> Option<Observation> {
    let file = Some(dependency.file_name.as_str()).filter(|name| !name.is_empty());
    // Names of RetireJS are sentences, not ids; they are told apart all the same.
    let seen = named(tool, [entry.name.as_str()])?;
    let by_purl = package::component(dependency.purl.as_deref(), None, None);
    let component = by_purl.or_else(|| package::component(None, file, None))?;
    let ratings = [
        entry.v3.rating(),
        entry.v4_score.map(|score| Rating::new(Method::Cvss4, None, Some(score), None)),
        entry.v2_score.map(|score| Rating::new(Method::Cvss2, None, Some(score), None)),
    ];
    Some(Observation {
        description: limit_text(&entry.description, limit::DESCRIPTION_MAX),
        cwes: names::cwes(entry.cwes.iter().map(String::as_str)),
        fixed_in: versions(entry.fixed_in.iter().map(String::as_str)),
        location: file.map(names::path),
        url: entry.url.as_deref().and_then(names::url),
        suppressed: entry.is_suppressed,
        ..seen.rated(Some(&entry.severity), ratings.into_iter().flatten().collect()).of_component(component, None)
    })
}
