//! OpenVEX 0.0.1 to 0.2.0: <https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md>.
//!
//! Statements alone: the document lists what somebody thought about, not what a tool saw. So it makes no finding, and what
//! it does not mention is not gone. A statement about several products is one for each, and of two about the same
//! vulnerability and product the later one stands.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;
use watchbell_wire::event::Component;

use super::error::ReportError;
use super::lenient::{self, Raw};
use super::statement::{Statement, Verdict, component_of, named, reason};
use super::{Report, ReportFormat, limit};

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::member")]
    statements: Option<Vec<Raw<'a>>>,
    #[serde(default, deserialize_with = "lenient::member")]
    timestamp: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::member")]
    vulnerability: Option<Raw<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient::member")]
    products: Option<Vec<Raw<'a>>>,
    #[serde(default, deserialize_with = "lenient::member")]
    status: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    justification: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    impact_statement: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    status_notes: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    timestamp: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Vulnerability {
    #[serde(default, deserialize_with = "lenient::member")]
    name: Option<String>,
    #[serde(default, deserialize_with = "lenient::member", rename = "@id")]
    id: Option<String>,
    #[serde(default, deserialize_with = "lenient::list")]
    aliases: Vec<String>,
}

#[derive(Deserialize)]
struct Product {
    #[serde(default, deserialize_with = "lenient::member", rename = "@id")]
    id: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    identifiers: Option<Identifiers>,
    #[serde(default, deserialize_with = "lenient::list")]
    subcomponents: Vec<Product>,
}

#[derive(Deserialize)]
struct Identifiers {
    #[serde(default, deserialize_with = "lenient::member")]
    purl: Option<String>,
}

/// Reads a document.
pub(super) fn read(text: &str, hint: Option<&str>) -> Result<Report, ReportError> {
    let document: Document<'_> = serde_json::from_str(text).map_err(|error| lenient::not_json(&error))?;
    let entries = document
        .statements
        .ok_or_else(|| ReportError::Shape { pointer: "/statements", reason: "wanted an array".to_owned() })?;
    let format = ReportFormat::OpenVex;
    let tool = hint.unwrap_or(format.as_str()).to_owned();
    let mut report = Report { tools: BTreeSet::from([tool]), ..Report::of(format) };
    for raw in entries {
        match statements(raw, document.timestamp) {
            Some(made) => report.statements.extend(made),
            None => report.skipped += 1,
        }
        if report.statements.len() > limit::OBSERVATIONS_MAX {
            return Err(ReportError::TooMany { count: report.statements.len() });
        }
    }
    report.statements.sort_by_key(|statement| statement.said_at);
    Ok(report)
}

/// One for each product, or component in a product.
fn statements(raw: Raw<'_>, document_at: Option<Timestamp>) -> Option<Vec<Statement>> {
    let entry: Entry<'_> = lenient::parse(raw)?;
    let names = names(entry.vulnerability?);
    let verdict = Verdict::parse(entry.status.as_deref()?)?;
    if names.is_empty() {
        return None;
    }
    let words = entry.impact_statement.as_deref().or(entry.status_notes.as_deref());
    let general = Statement {
        names,
        component: None,
        verdict,
        justification: reason(entry.justification.as_deref(), words),
        said_at: entry.timestamp.or(document_at),
    };
    let listed = entry.products.unwrap_or_default();
    let about: Vec<Component> = listed.into_iter().flat_map(components).take(limit::OBSERVATIONS_MAX + 1).collect();
    // Products that are named elsewhere: what it says is said of all.
    if about.is_empty() {
        return Some(vec![general]);
    }
    Some(about.into_iter().map(|component| Statement { component: Some(component), ..general.clone() }).collect())
}

/// A name, or since 0.2.0 an object with the name in it.
fn names(raw: Raw<'_>) -> Vec<String> {
    if let Some(name) = lenient::parse::<String>(raw) {
        return named([name]);
    }
    let Some(vulnerability) = lenient::parse::<Vulnerability>(raw) else { return Vec::new() };
    let id = vulnerability.id.as_deref().map(|id| id.rsplit('/').next().unwrap_or(id).to_owned());
    named(vulnerability.name.or(id).into_iter().chain(vulnerability.aliases))
}

/// A product is a reference or an object; where it names components, they are what is affected.
fn components(raw: Raw<'_>) -> Vec<Component> {
    if let Some(reference) = lenient::parse::<String>(raw) {
        return vec![component_of(&reference)];
    }
    let Some(product) = lenient::parse::<Product>(raw) else { return Vec::new() };
    if product.subcomponents.is_empty() {
        return component(&product).into_iter().collect();
    }
    product.subcomponents.iter().filter_map(component).collect()
}

fn component(product: &Product) -> Option<Component> {
    let purl = product.identifiers.as_ref().and_then(|identifiers| identifiers.purl.as_deref());
    Some(component_of(purl.or(product.id.as_deref())?))
}
