//! OSV-Scanner's JSON: <https://google.github.io/osv-scanner/output/#json>.
//!
//! A package's `vulnerabilities` hold the advisories, and its `groups` say which of them are of one vulnerability. A group is
//! one finding with all their names, as in the tool's own table. The severity is by the group's `max_severity`, a CVSS
//! score; without one by the advisories' vectors, then by the word that GitHub's have. A vulnerability whose code is found
//! not to be called is suppressed.

use std::collections::BTreeMap;

use serde::Deserialize;
use watchbell_wire::event::Component;

use super::error::ReportError;
use super::lax::{Lax, Many, Number, each, each_member};
use super::lenient::{self, Raw, limit_text};
use super::package::Ecosystem;
use super::rating::Rating;
use super::vulnerability::{named, rating_of, versions};
use super::{Report, ReportFormat, limit, names};
use crate::finding::Observation;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Top<'a> {
    #[serde(borrow)]
    results: Option<Raw<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Source<'a> {
    source: Lax<Path>,
    #[serde(borrow)]
    packages: Option<Raw<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Path {
    path: Lax<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry<'a> {
    package: Lax<Package>,
    #[serde(borrow)]
    vulnerabilities: Option<Raw<'a>>,
    #[serde(borrow)]
    groups: Option<Raw<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Package {
    name: Lax<String>,
    version: Lax<String>,
    ecosystem: Lax<String>,
    commit: Lax<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Group<'a> {
    ids: Many<String>,
    aliases: Many<String>,
    max_severity: Lax<Number>,
    #[serde(borrow, rename = "experimentalAnalysis", alias = "experimental_analysis")]
    analysis: Option<Raw<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Analysis {
    called: Lax<bool>,
}

/// An advisory in OSV's own format: <https://ossf.github.io/osv-schema/>.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Advisory {
    id: Lax<String>,
    aliases: Many<String>,
    summary: Lax<String>,
    details: Lax<String>,
    severity: Many<Severity>,
    database_specific: Lax<Specific>,
    affected: Many<Affected>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Severity {
    score: Lax<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Specific {
    severity: Lax<String>,
    cwe_ids: Many<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Affected {
    package: Lax<Package>,
    ranges: Many<Range>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Range {
    #[serde(rename = "type")]
    kind: Lax<String>,
    events: Many<Event>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Event {
    fixed: Lax<String>,
}

/// Reads a report.
pub(super) fn read(text: &str, hint: Option<&str>) -> Result<Report, ReportError> {
    let top: Top<'_> = serde_json::from_str(text).map_err(|error| lenient::not_json(&error))?;
    let tool = hint.unwrap_or("osv-scanner").to_owned();
    let mut report = Report::of(ReportFormat::OsvScanner);
    report.tools.insert(tool.clone());
    if let Some(raw) = top.results {
        each(raw, |raw| {
            let Some(source) = lenient::parse::<Source<'_>>(raw) else {
                return report.take(None);
            };
            let path = source.source.as_ref().and_then(|source| source.path.text()).map(names::path);
            let packages = source.packages.map(|packages| {
                each(packages, |raw| match lenient::parse::<Entry<'_>>(raw) {
                    Some(entry) => read_package(&tool, &entry, path.as_deref(), &mut report),
                    None => report.take(None),
                })
            });
            packages.transpose().map(|_| ())
        })?;
    }
    Ok(report.closed([tool]))
}

fn read_package(tool: &str, entry: &Entry<'_>, path: Option<&str>, report: &mut Report) -> Result<(), ReportError> {
    let mut advisories: BTreeMap<String, Advisory> = BTreeMap::new();
    if let Some(raw) = entry.vulnerabilities {
        each(raw, |raw| {
            let advisory: Option<Advisory> = lenient::parse(raw);
            match advisory.and_then(|it| Some((it.id.text()?.to_owned(), it))) {
                Some((id, advisory)) => _ = advisories.insert(id, advisory),
                None => report.skipped += 1,
            }
            match advisories.len() {
                count if count > limit::OBSERVATIONS_MAX => Err(ReportError::TooMany { count }),
                _ => Ok(()),
            }
        })?;
    }
    let found = Found { tool, package: entry.package.as_ref(), path };
    if let Some(raw) = entry.groups {
        each(raw, |raw| {
            let group: Group<'_> = lenient::parse(raw).unwrap_or_default();
            let own: Vec<Advisory> = group.ids.iter().filter_map(|id| advisories.remove(id)).collect();
            report.take(found.observe(&own, &group))
        })?;
    }
    // Those that no group is of.
    for advisory in advisories.into_values() {
        report.take(found.observe(&[advisory], &Group::default()))?;
    }
    Ok(())
}

/// What the advisories of a package share.
struct Found<'f> {
    tool: &'f str,
    package: Option<&'f Package>,
    path: Option<&'f str>,
}

impl Found<'_> {
    fn observe(&self, advisories: &[Advisory], group: &Group<'_>) -> Option<Observation> {
        let own = advisories.iter().filter_map(|it| it.id.text());
        let others = advisories.iter().flat_map(|it| it.aliases.iter());
        let of_group = group.ids.iter().chain(group.aliases.iter());
        let seen = named(self.tool, own.chain(of_group.chain(others).map(String::as_str)))?;
        let vectors = advisories.iter().flat_map(|it| it.severity.iter()).filter_map(|it| it.score.text());
        let mut ratings: Vec<Rating> = vectors.map(|vector| rating_of(Some(vector), None)).collect();
        if let Some(shown) = group.max_severity.number() {
            // It is of one of the vectors, if that is of a version that can be weighed here.
            ratings.retain(|it| it.score == Some(shown));
            if ratings.is_empty() {
                ratings.push(rating_of(None, Some(shown)));
            }
        }
        let specific = || advisories.iter().filter_map(|it| it.database_specific.as_ref());
        let is_rated = ratings.iter().any(|it| it.score.is_some());
        let word = specific().find_map(|it| it.severity.text()).filter(|_| !is_rated);
        let headline = advisories.iter().find_map(|it| it.summary.text());
        let details = advisories.iter().find_map(|it| it.details.text()).unwrap_or_default();
        let url = format!("https://osv.dev/vulnerability/{}", seen.rule_id);
        Some(Observation {
            description: limit_text(details, limit::DESCRIPTION_MAX),
            cwes: names::cwes(specific().flat_map(|it| it.cwe_ids.iter()).map(String::as_str)),
            fixed_in: self.fixed_in(advisories),
            location: self.path.map(str::to_owned),
            url: names::url(&url),
            suppressed: is_uncalled(group),
            ..seen.rated(word, ratings).of_component(self.component()?, headline)
        })
    }

    /// Sources without a package are taken by their commit, vendored code by its path.
    fn component(&self) -> Option<Component> {
        let package = self.package;
        let text = |of: fn(&Package) -> &Lax<String>| package.and_then(|package| of(package).text());
        let name = text(|it| &it.name).or(self.path).or(text(|it| &it.commit))?;
        let version = text(|it| &it.version).or(text(|it| &it.commit));
        let ecosystem = Ecosystem::of(text(|it| &it.ecosystem).unwrap_or_default());
        Some(ecosystem.component(name, version))
    }

    fn fixed_in(&self, advisories: &[Advisory]) -> Vec<String> {
        let name = self.package.and_then(|package| package.name.text());
        let affected = advisories.iter().flat_map(|it| it.affected.iter()).filter(|affected| {
            let of = affected.package.as_ref().and_then(|package| package.name.text());
            of.zip(name).is_some_and(|(of, name)| of.eq_ignore_ascii_case(name))
        });
        let ranges = affected.flat_map(|it| it.ranges.iter()).filter(|range| range.kind.text() != Some("GIT"));
        versions(ranges.flat_map(|it| it.events.iter()).filter_map(|event| event.fixed.text()))
    }
}

/// Whether the tool looked for calls and found none.
fn is_uncalled(group: &Group<'_>) -> bool {
    let (mut told, mut called) = (0, false);
    let Some(raw) = group.analysis else {
        return false;
    };
    let read = each_member(raw, |_, raw| {
        if let Some(is_called) = lenient::parse::<Analysis>(raw).and_then(|analysis| *analysis.called) {
            told += 1;
            called |= is_called;
        }
        Ok(())
    });
    read.is_ok() && told > 0 && !called
}
