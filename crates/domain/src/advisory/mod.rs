//! Advisories: which versions of which packages are vulnerable, in OSV's format (<https://ossf.github.io/osv-schema/>, 1.7),
//! and whether a component is one of them.
//!
//! ```text
//!  OSV document ──osv::parse──▶ Advisory ─┐
//!  component ──Package::of──▶ Package ────┴──affected──▶ Observation
//! ```
//!
//! What is matched is the package URL: its type names the ecosystem, and with it the order of its versions
//! ([`version::Order`]). Where a version cannot be ordered, and in ecosystems whose order we do not know, only the exact
//! versions that an advisory lists count. Commits (`GIT` ranges) are not matched.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use watchbell_wire::Severity;
use watchbell_wire::event::Component;

use crate::finding::Observation;
use crate::scan;

mod ecosystem;
mod matching;
pub mod osv;
#[cfg(test)]
mod tests;
pub mod version;

pub use ecosystem::Package;

/// The tool that findings made from advisories are of.
pub const TOOL: &str = "advisories";

/// What is known of one vulnerability. Also its form in the store (JSON).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Advisory {
    /// `RUSTSEC-2023-0071`, `GHSA-…`, `PYSEC-…`.
    pub id: String,
    /// When it was last changed.
    pub modified: Timestamp,
    /// Its other names.
    pub aliases: Vec<String>,
    /// One line.
    pub summary: String,
    /// Markdown, cut.
    pub details: String,
    /// On our scale.
    pub severity: Severity,
    /// 0.0 to 10.0.
    pub cvss_score: Option<f64>,
    /// Vector text.
    pub cvss_vector: Option<String>,
    /// `CWE-78`.
    pub cwes: Vec<String>,
    /// A page about it.
    pub url: Option<String>,
    /// What is affected.
    pub affected: Vec<Affected>,
}

/// One package, and which versions of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Affected {
    /// `PyPI`, `Debian`, without a release.
    pub ecosystem: String,
    /// The release of a distribution: `12`, `v3.18`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// The package, in the ecosystem's one spelling.
    pub name: String,
    /// Whether the ranges are of Semantic Versioning whatever the ecosystem's order is.
    pub semver: bool,
    /// Ranges of versions.
    pub ranges: Vec<Vec<Bound>>,
    /// Exact versions.
    pub versions: Vec<String>,
}

/// Where a range begins or ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// From here on; `0`: from the first.
    Introduced(String),
    /// Up to, and without, this one.
    Fixed(String),
    /// Up to and with this one.
    LastAffected(String),
    /// Nothing is said from here on.
    Limit(String),
}

/// The observations that a component's advisories make of it.
pub fn observe<'a>(component: &Component, advisories: impl IntoIterator<Item = &'a Advisory>) -> Vec<Observation> {
    let Some(package) = Package::of(component) else { return Vec::new() };
    let mut seen: Vec<Observation> = Vec::new();
    for advisory in advisories {
        let Some(fixed_in) = matching::affected(&package, advisory) else { continue };
        let observation = observation(component, advisory, fixed_in);
        // The same vulnerability may be known under several ids, each with an advisory of its own.
        match seen.iter_mut().find(|known| is_same(known, &observation)) {
            Some(known) => merge(known, observation),
            None => seen.push(observation),
        }
    }
    seen
}

fn observation(component: &Component, advisory: &Advisory, fixed_in: Vec<String>) -> Observation {
    let named = scan::vulnerability_names(std::iter::once(&advisory.id).chain(&advisory.aliases));
    let cve_id = named.iter().find(|name| name.starts_with("CVE-")).cloned();
    let within = component.version.as_deref().unwrap_or_default();
    let title = match advisory.summary.is_empty() {
        true => format!("{} in {} {within}", cve_id.as_ref().unwrap_or(&advisory.id), component.name),
        false => advisory.summary.clone(),
    };
    Observation {
        tool: TOOL.to_owned(),
        title,
        description: advisory.details.clone(),
        severity: advisory.severity,
        rule_id: advisory.id.clone(),
        aliases: named.into_iter().filter(|name| Some(name) != cve_id.as_ref()).collect(),
        cve_id,
        cwes: advisory.cwes.clone(),
        cvss_score: advisory.cvss_score,
        cvss_vector: advisory.cvss_vector.clone(),
        component: Some(component.clone()),
        fixed_in,
        url: advisory.url.clone(),
        ..Observation::default()
    }
}

fn is_same(a: &Observation, b: &Observation) -> bool {
    let same_cve = a.cve_id.is_some() && a.cve_id == b.cve_id;
    same_cve || a.aliases.iter().any(|alias| b.aliases.contains(alias))
}

/// The one that says more stays, with the names and fixes of both.
fn merge(known: &mut Observation, other: Observation) {
    let (mut best, rest) = match (known.cvss_score.is_some(), other.cvss_score.is_some()) {
        (false, true) => (other, known.clone()),
        (_, _) => (known.clone(), other),
    };
    for alias in rest.aliases {
        if !best.aliases.contains(&alias) {
            best.aliases.push(alias);
        }
    }
    best.cve_id = best.cve_id.or(rest.cve_id);
    best.severity = best.severity.max(rest.severity);
    for version in rest.fixed_in {
        if !best.fixed_in.contains(&version) {
            best.fixed_in.push(version);
        }
    }
    *known = best;
}
