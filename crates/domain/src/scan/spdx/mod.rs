//! SPDX 2.2 and 2.3, as JSON and as tag-value text: <https://spdx.github.io/spdx-spec/v2.3/>.
//!
//! | the document says | we take it as |
//! |---|---|
//! | a package | a component, with the package URL of its `PACKAGE-MANAGER purl` reference |
//! | `SECURITY advisory` reference of a package | a finding: the advisory's id (CVE, GHSA, else its last path segment) in the package |
//! | `SECURITY fix` and `url` references | nothing: a link to a commit says neither which vulnerability nor that it is fixed here |
//! | `SECURITY cpe22Type`, `cpe23Type`, `swid` | nothing: another name of the package |
//!
//! A document without any advisory does not say that there is none: most bills of materials know of no vulnerabilities. So
//! it takes nothing as gone.

use std::collections::BTreeSet;

use serde::Deserialize;
use watchbell_wire::event::Component;

use super::error::ReportError;
use super::lenient::{self, Raw, limit_text};
use super::{Report, ReportFormat, limit, names};
use crate::finding::Observation;

pub(super) mod tag_value;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    #[serde(default, deserialize_with = "lenient::member")]
    creation_info: Option<CreationInfo>,
    #[serde(borrow, default)]
    packages: Option<Raw<'a>>,
}

#[derive(Deserialize)]
struct CreationInfo {
    #[serde(default, deserialize_with = "lenient::list")]
    creators: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Package {
    #[serde(default, deserialize_with = "lenient::member")]
    name: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    version_info: Option<String>,
    #[serde(default, deserialize_with = "lenient::list")]
    external_refs: Vec<ExternalRef>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct ExternalRef {
    #[serde(default, deserialize_with = "lenient::member")]
    reference_category: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    reference_type: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    reference_locator: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    comment: Option<String>,
}

/// Reads a document in JSON.
pub(super) fn read(text: &str, hint: Option<&str>) -> Result<Report, ReportError> {
    let document: Document<'_> = serde_json::from_str(text).map_err(|error| lenient::not_json(&error))?;
    let packages: Vec<Raw<'_>> = match document.packages {
        None => Vec::new(),
        Some(raw) => lenient::parse(raw)
            .ok_or_else(|| ReportError::Shape { pointer: "/packages", reason: "wanted an array".to_owned() })?,
    };
    let creators = document.creation_info.map(|info| info.creators).unwrap_or_default();
    let mut reading = Reading::new(ReportFormat::SpdxJson, hint, &creators);
    for raw in packages {
        reading.add(lenient::parse(raw))?;
    }
    Ok(reading.end())
}

/// A report in the making, whichever way the document is written.
struct Reading {
    tool: String,
    report: Report,
}

impl Reading {
    fn new(format: ReportFormat, hint: Option<&str>, creators: &[String]) -> Self {
        let tool = hint.map_or_else(|| tool(creators), str::to_owned);
        Self { report: Report { tools: BTreeSet::from([tool.clone()]), ..Report::of(format) }, tool }
    }

    fn add(&mut self, package: Option<Package>) -> Result<(), ReportError> {
        let named = package.filter(|package| package.name.as_ref().is_some_and(|name| !name.trim().is_empty()));
        let Some(package) = named else {
            self.report.skipped += 1;
            return Ok(());
        };
        let component = component(&package);
        for reference in &package.external_refs {
            self.report.observations.extend(observation(&self.tool, reference, &component));
        }
        if self.report.observations.len() > limit::OBSERVATIONS_MAX {
            return Err(ReportError::TooMany { count: self.report.observations.len() });
        }
        self.report.list(component);
        Ok(())
    }

    fn end(mut self) -> Report {
        let count = self.report.inventory.len();
        self.report.components = Some(self.report.components.unwrap_or(u64::try_from(count).unwrap_or(u64::MAX)));
        if self.report.skipped == 0 && !self.report.observations.is_empty() {
            self.report.scope.insert(self.tool);
        }
        self.report
    }
}

/// `Tool: syft-1.50.0` without its version.
fn tool(creators: &[String]) -> String {
    let written = creators.iter().find_map(|creator| creator.trim().strip_prefix("Tool:"));
    let name = written.map(str::trim).map(|name| match name.rsplit_once('-') {
        Some((name, version)) if version.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit()) => name,
        Some(_) | None => name,
    });
    name.map(names::tool).filter(|name| !name.is_empty()).unwrap_or_else(|| "spdx".to_owned())
}

fn component(package: &Package) -> Component {
    let is_purl = |reference: &&ExternalRef| reference.reference_type.as_deref() == Some("purl");
    let purl = package.external_refs.iter().find(is_purl).and_then(|it| it.reference_locator.as_deref());
    let is_told = |text: &&str| !text.is_empty() && !matches!(*text, "NOASSERTION" | "NONE");
    Component {
        name: limit_text(package.name.as_deref().unwrap_or_default(), limit::NAME_MAX),
        version: package
            .version_info
            .as_deref()
            .map(str::trim)
            .filter(is_told)
            .map(|text| limit_text(text, limit::NAME_MAX)),
        purl: purl.map(str::trim).filter(is_told).map(|text| limit_text(text, limit::PATH_MAX)),
    }
}

fn observation(tool: &str, reference: &ExternalRef, component: &Component) -> Option<Observation> {
    let category = reference.reference_category.as_deref()?;
    if category != "SECURITY" || reference.reference_type.as_deref() != Some("advisory") {
        return None;
    }
    let locator = reference.reference_locator.as_deref()?.trim();
    let last = locator.trim_end_matches('/').rsplit(['/', '=']).next().unwrap_or(locator);
    let ghsa = locator.split(['/', '?', '#']).find(|part| part.starts_with("GHSA-"));
    let cve_id = names::cve(locator);
    let rule_id = cve_id.clone().unwrap_or_else(|| limit_text(ghsa.unwrap_or(last), limit::NAME_MAX));
    if rule_id.is_empty() {
        return None;
    }
    let within = component.version.as_ref().map_or_else(String::new, |version| format!(" {version}"));
    Some(Observation {
        tool: tool.to_owned(),
        title: limit_text(&format!("{rule_id} in {}{within}", component.name), limit::TITLE_MAX),
        description: limit_text(reference.comment.as_deref().unwrap_or_default(), limit::DESCRIPTION_MAX),
        rule_id,
        cve_id,
        component: Some(component.clone()),
        url: names::url(locator),
        ..Observation::default()
    })
}
