//! OSV documents, read tolerantly: what is not needed is skipped, what cannot be read makes the advisory less, not nothing.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{Advisory, Affected, Bound, ecosystem};
use crate::scan::{self, limit};

/// Most affected packages, ranges and versions of one advisory, each.
const LIST_MAX: usize = 20_000;

/// What a document says.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// It holds.
    Advisory(Box<Advisory>),
    /// It was taken back: whoever has it is to forget it.
    Withdrawn {
        /// Which.
        id: String,
        /// When that was said.
        modified: Timestamp,
    },
}

impl Entry {
    /// Which advisory it is about.
    pub fn id(&self) -> &str {
        match self {
            Self::Advisory(advisory) => &advisory.id,
            Self::Withdrawn { id, .. } => id,
        }
    }
}

/// Why a document is no advisory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Without an id of a sensible length.
    #[error("it has no `id`")]
    NoId,
    /// Without a time that says which of two is the newer.
    #[error("{0} has no `modified` time")]
    NoTime(String),
    /// Not an object.
    #[error("it is no OSV document: {0}")]
    Shape(String),
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Document {
    id: String,
    modified: Option<Timestamp>,
    withdrawn: Option<Timestamp>,
    aliases: Vec<String>,
    upstream: Vec<String>,
    summary: String,
    details: String,
    severity: Vec<Score>,
    affected: Vec<Value>,
    references: Vec<Reference>,
    database_specific: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Score {
    r#type: String,
    score: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Reference {
    r#type: String,
    url: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct AffectedEntry {
    package: PackageEntry,
    ranges: Vec<RangeEntry>,
    versions: Vec<String>,
    severity: Vec<Score>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PackageEntry {
    ecosystem: String,
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RangeEntry {
    r#type: String,
    events: Vec<EventEntry>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct EventEntry {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
    limit: Option<String>,
}

/// Reads a document.
///
/// # Errors
/// [`Unfit`].
pub fn parse(document: Value) -> Result<Entry, Unfit> {
    let document: Document = serde_json::from_value(document).map_err(|error| Unfit::Shape(error.to_string()))?;
    let id = document.id.trim().to_owned();
    if id.is_empty() || id.len() > limit::NAME_MAX {
        return Err(Unfit::NoId);
    }
    let modified = document.modified.or(document.withdrawn).ok_or_else(|| Unfit::NoTime(id.clone()))?;
    if document.withdrawn.is_some() {
        return Ok(Entry::Withdrawn { id, modified });
    }
    let entries: Vec<AffectedEntry> =
        document.affected.into_iter().take(LIST_MAX).filter_map(|entry| serde_json::from_value(entry).ok()).collect();
    let scores = document.severity.iter().chain(entries.iter().flat_map(|entry| &entry.severity));
    let word = document.database_specific.get("severity").and_then(Value::as_str);
    let rated = scan::rated(scores.map(|score| (score.r#type.as_str(), score.score.as_str())), word);
    let mut cwes = BTreeSet::new();
    for cwe in document.database_specific.get("cwe_ids").and_then(Value::as_array).into_iter().flatten() {
        scan::add_cwe(cwe.as_str().unwrap_or_default(), &mut cwes);
    }
    let names = document.aliases.iter().chain(&document.upstream);
    Ok(Entry::Advisory(Box::new(Advisory {
        aliases: scan::vulnerability_names(names),
        modified,
        summary: scan::limit_text(&document.summary, limit::TITLE_MAX),
        details: scan::limit_text(&document.details, limit::DESCRIPTION_MAX),
        severity: rated.severity,
        cvss_score: rated.score,
        cvss_vector: rated.vector,
        cwes: cwes.into_iter().collect(),
        url: url(&document.references),
        affected: entries.into_iter().filter_map(affected).collect(),
        id,
    })))
}

/// The advisory's own page before any other.
fn url(references: &[Reference]) -> Option<String> {
    let link = |kind: &'static str| {
        let of_kind = references.iter().filter(move |reference| reference.r#type == kind);
        of_kind.into_iter().find_map(|reference| scan::link(&reference.url))
    };
    ["ADVISORY", "WEB", "REPORT", "PACKAGE"].into_iter().find_map(link)
}

fn affected(entry: AffectedEntry) -> Option<Affected> {
    let (ecosystem, release) = ecosystem::parted(&entry.package.ecosystem);
    if ecosystem.is_empty() || entry.package.name.is_empty() {
        return None;
    }
    let is_ordered = |range: &&RangeEntry| matches!(range.r#type.as_str(), "SEMVER" | "ECOSYSTEM");
    let ordered: Vec<&RangeEntry> = entry.ranges.iter().filter(is_ordered).take(LIST_MAX).collect();
    let bounds = |range: &&RangeEntry| -> Vec<Bound> {
        let events = range.events.iter().take(LIST_MAX);
        events.flat_map(bounds).filter(|bound| bound.text().len() <= limit::NAME_MAX).collect()
    };
    Some(Affected {
        semver: ordered.iter().any(|range| range.r#type == "SEMVER"),
        ranges: ordered.iter().map(bounds).collect(),
        versions: entry.versions.into_iter().filter(|text| text.len() <= limit::NAME_MAX).take(LIST_MAX).collect(),
        name: ecosystem::spelled(ecosystem, &entry.package.name),
        release: release.map(str::to_owned),
        ecosystem: ecosystem.to_owned(),
    })
}

fn bounds(event: &EventEntry) -> impl Iterator<Item = Bound> {
    let bounds = [
        event.introduced.clone().map(Bound::Introduced),
        event.fixed.clone().map(Bound::Fixed),
        event.last_affected.clone().map(Bound::LastAffected),
        event.limit.clone().map(Bound::Limit),
    ];
    bounds.into_iter().flatten()
}

impl Bound {
    fn text(&self) -> &str {
        match self {
            Self::Introduced(text) | Self::Fixed(text) | Self::LastAffected(text) | Self::Limit(text) => text,
        }
    }
}
