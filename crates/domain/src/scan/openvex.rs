//! OpenVEX 0.0.1 to 0.2.0: <https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md>.
//!
//! Statements alone: the document lists what somebody thought about, not what a tool saw. So it makes no finding, and what
//! it does not mention is not gone. Of two statements about the same vulnerability and product the later one counts.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;

use super::error::ReportError;
use super::lenient::{self, Raw, limit_text};
use super::names;
use super::statement::{Statement, VexStatus, reason};
use super::{Report, ReportFormat, limit};

/// Products of one statement. Further ones are left out.
const PRODUCTS_MAX: usize = 10_000;

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::member")]
    statements: Option<Vec<Raw<'a>>>,
    #[serde(default, deserialize_with = "lenient::member")]
    timestamp: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient::member")]
    author: Option<String>,
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
    let author = limit_text(document.author.as_deref().unwrap_or_default(), limit::NAME_MAX);
    let mut dated = Vec::new();
    for raw in entries {
        match statement(raw, &author) {
            Some((said_at, statement)) => dated.push((said_at.or(document.timestamp), statement)),
            None => report.skipped += 1,
        }
    }
    // Of two about the same the last one counts, and that is the later one.
    dated.sort_by_key(|(said_at, _)| *said_at);
    report.statements = dated.into_iter().map(|(_, statement)| statement).collect();
    Ok(report)
}

fn statement(raw: Raw<'_>, author: &str) -> Option<(Option<Timestamp>, Statement)> {
    let entry: Entry<'_> = lenient::parse(raw)?;
    let names = names(entry.vulnerability?);
    let status = VexStatus::parse(entry.status.as_deref()?)?;
    if names.is_empty() {
        return None;
    }
    let words = entry.impact_statement.as_deref().or(entry.status_notes.as_deref());
    let products = entry.products.unwrap_or_default().into_iter().flat_map(products);
    let statement = Statement {
        names,
        products: products.take(PRODUCTS_MAX).collect(),
        status,
        justification: reason(entry.justification.as_deref(), words),
        author: author.to_owned(),
    };
    Some((entry.timestamp, statement))
}

/// A name, or since 0.2.0 an object with the name in it.
fn names(raw: Raw<'_>) -> Vec<String> {
    if let Some(name) = lenient::parse::<String>(raw) {
        return names::of_vulnerability([name]);
    }
    let Some(vulnerability) = lenient::parse::<Vulnerability>(raw) else { return Vec::new() };
    let id = vulnerability.id.as_deref().map(|id| id.rsplit('/').next().unwrap_or(id).to_owned());
    names::of_vulnerability(vulnerability.name.or(id).into_iter().chain(vulnerability.aliases))
}

/// A product is a reference or an object; where it names components, they are what is affected. What is no package URL
/// names the project's own product, and so everything in it.
fn products(raw: Raw<'_>) -> Vec<String> {
    let is_package = |reference: &String| reference.starts_with("pkg:");
    if let Some(reference) = lenient::parse::<String>(raw) {
        return Some(reference).filter(is_package).into_iter().collect();
    }
    let Some(product) = lenient::parse::<Product>(raw) else { return Vec::new() };
    let inner = &product.subcomponents;
    let named = if inner.is_empty() { std::slice::from_ref(&product) } else { inner.as_slice() };
    named.iter().filter_map(purl).filter(is_package).collect()
}

fn purl(product: &Product) -> Option<String> {
    let purl = product.identifiers.as_ref().and_then(|identifiers| identifiers.purl.as_deref());
    purl.or(product.id.as_deref()).map(|purl| limit_text(purl, limit::PATH_MAX))
}
