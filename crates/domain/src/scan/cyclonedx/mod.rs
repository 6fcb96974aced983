//! CycloneDX in JSON and XML, versions 1.4 to 1.7: <https://cyclonedx.org/specification/overview/>.
//!
//! One finding for each component that a vulnerability affects. What `analysis.state` (VEX) makes of it:
//!
//! | state | we take it as |
//! |---|---|
//! | absent, `exploitable`, `in_triage` | a finding |
//! | `not_affected`, `false_positive` | a finding that nobody need act on |
//! | `resolved`, `resolved_with_pedigree` | no finding: it is gone |
//!
//! Each analysis is a [`Statement`] as well. A document without components is about those of another one: its analyses make
//! no finding, and what it does not mention is not gone.
//!
//! A document without `vulnerabilities` says that its tool saw none. (The tools that leave the member out when there is
//! nothing in it cannot be told from those that did not look; a bare bill of materials from a tool that reports
//! vulnerabilities too is to be sent with `partial=true`.)

use std::collections::BTreeSet;

use watchbell_wire::event::Component;

use self::components::Components;
use self::schema::{Affect, Analysis, Bom, Entry, Metadata, Source, ToolName, Tools};
use super::error::ReportError;
use super::lenient::{self, Raw, limit_text};
use super::rating::{Method, Rating};
use super::statement::{Statement, VexStatus, reason};
use super::{Report, ReportFormat, limit, names};
use crate::finding::Observation;

mod components;
mod schema;
pub(super) mod xml;

/// Reads a document.
pub(super) fn read(text: &str, hint: Option<&str>) -> Result<Report, ReportError> {
    let bom: Bom<'_> = serde_json::from_str(text).map_err(|error| lenient::not_json(&error))?;
    let entries: Vec<Raw<'_>> = match bom.vulnerabilities {
        None => Vec::new(),
        Some(raw) => lenient::parse(raw)
            .ok_or_else(|| ReportError::Shape { pointer: "/vulnerabilities", reason: "wanted an array".to_owned() })?,
    };
    let tool = hint.map_or_else(|| tool(bom.metadata.as_ref()), str::to_owned);
    let is_vex = bom.components.is_none();
    let scanned_at = bom.metadata.as_ref().and_then(|metadata| metadata.timestamp);
    let tools = BTreeSet::from([tool.clone()]);
    let mut report = Report { tools, scanned_at, ..Report::of(ReportFormat::CycloneDx) };
    let components = Components::read(bom.components, bom.metadata.as_ref(), &mut report);
    let mut dated = Vec::new();
    for raw in entries {
        let entry = lenient::parse::<Entry>(raw).filter(|entry| !ids(entry).is_empty());
        let Some(entry) = entry else {
            report.skipped += 1;
            continue;
        };
        let status = status(&entry);
        if let Some(status) = status {
            let statement = statement(status, &entry, &components, &tool);
            dated.push((entry.analysis.as_ref().and_then(Analysis::said_at), statement));
        }
        if status.is_none() || !is_vex {
            observe(&tool, &entry, &components, &mut report.observations);
        }
        let count = report.observations.len().max(dated.len());
        if count > limit::OBSERVATIONS_MAX {
            return Err(ReportError::TooMany { count });
        }
    }
    let has_looked = !is_vex || dated.is_empty();
    // Of two about the same the last one counts, and that is the later one.
    dated.sort_by_key(|(said_at, _)| *said_at);
    report.statements = dated.into_iter().map(|(_, statement)| statement).collect();
    if report.skipped == 0 && has_looked {
        report.scope.insert(tool);
    }
    Ok(report)
}

/// Reads a document in XML.
pub(super) fn read_xml(text: &str, hint: Option<&str>) -> Result<Report, ReportError> {
    let json = xml::to_json(text)?;
    Ok(Report { format: ReportFormat::CycloneDxXml, ..read(&json, hint)? })
}

fn status(entry: &Entry) -> Option<VexStatus> {
    VexStatus::parse(entry.analysis.as_ref()?.state.as_deref()?)
}

fn justification(entry: &Entry) -> String {
    let analysis = entry.analysis.as_ref();
    let member = |of: fn(&Analysis) -> Option<&String>| analysis.and_then(of).map(String::as_str);
    reason(member(|analysis| analysis.justification.as_ref()), member(|analysis| analysis.detail.as_ref()))
}

/// What is said of components, of this document or another one.
fn statement(status: VexStatus, entry: &Entry, components: &Components, tool: &str) -> Statement {
    let references = entry.affects.iter().filter_map(|affect| affect.reference.as_deref());
    let purls = references.filter_map(|reference| components.get(reference).purl);
    Statement {
        names: ids(entry),
        products: purls.take(limit::OBSERVATIONS_MAX).collect(),
        status,
        justification: justification(entry),
        author: tool.to_owned(),
    }
}

/// The scanner among the tools: libraries that write the format name themselves too.
fn tool(metadata: Option<&Metadata<'_>>) -> String {
    let raw = metadata.and_then(|metadata| metadata.tools);
    let listed: Vec<ToolName> = match raw {
        None => Vec::new(),
        Some(raw) => match lenient::parse::<Vec<Raw<'_>>>(raw) {
            Some(list) => list.into_iter().filter_map(lenient::parse).collect(),
            None => lenient::parse::<Tools>(raw)
                .map(|tools| tools.components.into_iter().chain(tools.services).collect())
                .unwrap_or_default(),
        },
    };
    let tool_names: Vec<String> = listed
        .into_iter()
        .filter_map(|tool| tool.name)
        .map(|name| names::tool(&name))
        .filter(|name| !name.is_empty())
        .collect();
    let scanner = tool_names.iter().find(|name| !name.starts_with("cyclonedx"));
    scanner.or(tool_names.first()).cloned().unwrap_or_else(|| "cyclonedx".to_owned())
}

fn observe(tool: &str, entry: &Entry, components: &Components, out: &mut Vec<Observation>) {
    let status = status(entry);
    if status == Some(VexStatus::Fixed) {
        return;
    }
    let suppressed = status.is_some_and(VexStatus::clears);
    let general = Observation {
        suppressed,
        suppression_reason: Some(justification(entry)).filter(|reason| suppressed && !reason.is_empty()),
        ..general(tool, entry)
    };
    let headline = headline(entry);
    if entry.affects.is_empty() {
        // Taken as it stands: the tool named no component.
        out.push(titled(general, headline, None));
        return;
    }
    let advised = entry.recommendation.as_deref().map(names::versions_in_advice).unwrap_or_default();
    for affect in entry.affects.iter().filter(|affect| is_affected(affect)) {
        if out.len() > limit::OBSERVATIONS_MAX {
            return;
        }
        let component = affect.reference.as_deref().map(|reference| components.get(reference));
        let observation = Observation { fixed_in: fixed_in(affect, &advised, component.as_ref()), ..general.clone() };
        out.push(titled(observation, headline, component));
    }
}

/// What is the same for all components.
fn general(tool: &str, entry: &Entry) -> Observation {
    let ids = ids(entry);
    let cve_id = ids.iter().find_map(|id| names::whole_cve(id));
    let rule_id = ids.first().cloned().unwrap_or_default();
    let aliases = ids.into_iter().filter(|id| Some(id) != cve_id.as_ref()).collect();
    let rating = best_rating(entry);
    let mut cwes = BTreeSet::new();
    for number in &entry.cwes {
        names::add_cwe_number(*number, &mut cwes);
    }
    let link = |source: &Source| source.url.as_deref().and_then(names::url);
    let own_url = entry.source.as_ref().and_then(link);
    let advisory = || entry.advisories.iter().find_map(link);
    let text = [&entry.description, &entry.detail].into_iter().flatten().find(|text| !text.trim().is_empty());
    Observation {
        tool: tool.to_owned(),
        description: text.map(|text| limit_text(text, limit::DESCRIPTION_MAX)).unwrap_or_default(),
        severity: rating.as_ref().map(|rating| rating.severity).unwrap_or_default(),
        rule_id,
        cve_id,
        aliases,
        cwes: cwes.into_iter().collect(),
        cvss_score: rating.as_ref().and_then(|rating| rating.score),
        cvss_vector: rating.and_then(|rating| rating.vector),
        url: own_url.or_else(advisory),
        ..Observation::default()
    }
}

/// All names of the vulnerability, its own first, none twice.
fn ids(entry: &Entry) -> Vec<String> {
    let own = entry.id.iter();
    let others = entry.references.iter().filter_map(|reference| reference.id.as_ref());
    let mut ids: Vec<String> = Vec::new();
    for id in own.chain(others) {
        let id = limit_text(id, limit::NAME_MAX);
        let id = names::whole_cve(&id).unwrap_or(id);
        if !id.is_empty() && !ids.contains(&id) && ids.len() < limit::LIST_MAX {
            ids.push(id);
        }
    }
    ids
}

fn best_rating(entry: &Entry) -> Option<Rating> {
    let ratings = entry.ratings.iter().map(|rating| {
        Rating::new(
            Method::of_word(rating.method.as_deref().unwrap_or_default()),
            rating.severity.as_deref(),
            rating.score,
            rating.vector.as_deref(),
        )
    });
    Rating::best(ratings.collect())
}

/// Versions may be listed that are *not* affected; a component of those alone is none of ours.
fn is_affected(affect: &Affect) -> bool {
    let is_clear = |status: Option<&str>| status == Some("unaffected");
    affect.versions.is_empty() || !affect.versions.iter().all(|version| is_clear(version.status.as_deref()))
}

fn fixed_in(affect: &Affect, advised: &[String], component: Option<&Component>) -> Vec<String> {
    let is_clear = |status: Option<&str>| status == Some("unaffected");
    let mut versions = Vec::new();
    for listed in &affect.versions {
        match is_clear(listed.status.as_deref()) {
            true => versions.extend(listed.version.as_ref().map(|text| limit_text(text, limit::NAME_MAX))),
            false => versions.extend(listed.range.iter().flat_map(|range| names::versions_after_range(range))),
        }
    }
    versions.extend(advised.iter().cloned());
    let installed = component.and_then(|component| component.version.as_ref());
    let mut seen = BTreeSet::new();
    versions.retain(|version| !version.is_empty() && Some(version) != installed && seen.insert(version.clone()));
    versions.truncate(limit::LIST_MAX);
    versions
}

/// The description, where it is one short line.
fn headline(entry: &Entry) -> Option<&str> {
    const SHORT: usize = 120;
    let text = entry.description.as_deref()?.trim();
    (!text.is_empty() && text.len() <= SHORT && !text.contains('\n')).then_some(text)
}

/// Adds component and title: the headline, else what is where.
fn titled(observation: Observation, headline: Option<&str>, component: Option<Component>) -> Observation {
    let id = observation.cve_id.as_ref().unwrap_or(&observation.rule_id);
    let version = component.as_ref().and_then(|component| component.version.as_ref());
    let title = match (headline, &component, version) {
        (Some(headline), _, _) => headline.to_owned(),
        (None, Some(component), Some(version)) => format!("{id} in {} {version}", component.name),
        (None, Some(component), None) => format!("{id} in {}", component.name),
        (None, None, _) => id.clone(),
    };
    Observation { title: limit_text(&title, limit::TITLE_MAX), component, ..observation }
}
