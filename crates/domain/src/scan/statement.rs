//! Statements: what an analyst says of a vulnerability in a product (VEX), whoever found it.
//!
//! A scanner sees; a VEX document judges. So a [`Statement`] makes no finding. It is for those that are known: see
//! [`Statement::concerns`]. A document that lists components with their vulnerabilities and an `analysis` besides does
//! both, and there the verdict stands in [`Observation::verdict`].

use std::str::FromStr;

use jiff::Timestamp;
use packageurl::PackageUrl;
use serde::{Deserialize, Serialize};
use watchbell_wire::event::Component;

use super::names;
use crate::finding::Observation;

/// What is said of a vulnerability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is there and can be used: CycloneDX `exploitable`, OpenVEX `affected`.
    Affected,
    /// Somebody looks at it: `in_triage`, `under_investigation`.
    UnderInvestigation,
    /// The product is not affected, or the tool was wrong: `not_affected`, `false_positive`.
    FalsePositive,
    /// It is gone: `resolved`, `resolved_with_pedigree`, `fixed`.
    Fixed,
}

impl Verdict {
    /// Reads the word of CycloneDX (`analysis.state`) or OpenVEX (`status`).
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "exploitable" | "affected" => Some(Self::Affected),
            "in_triage" | "under_investigation" => Some(Self::UnderInvestigation),
            "not_affected" | "false_positive" => Some(Self::FalsePositive),
            "resolved" | "resolved_with_pedigree" | "fixed" => Some(Self::Fixed),
            _ => None,
        }
    }
}

/// What is said of one vulnerability in one product.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// The vulnerability's names, its own first. At least one.
    pub names: Vec<String>,
    /// The product or component it is about, by package URL where it has one; `None`: whatever the project is.
    pub component: Option<Component>,
    /// What is said.
    pub verdict: Verdict,
    /// Why, in the format's own words: `vulnerable_code_not_present`, `code_not_reachable`, and what people added.
    pub justification: Option<String>,
    /// When it was said, where the document tells. Of two about the same, the later one counts.
    pub said_at: Option<Timestamp>,
}

impl Statement {
    /// Whether it is about what was observed: one of its names is one of the observation's, and the product is the
    /// component, in that version where it says one.
    pub fn concerns(&self, seen: &Observation) -> bool {
        let known = seen.cve_id.iter().chain(&seen.aliases).chain(std::iter::once(&seen.rule_id));
        let is_named = known.into_iter().any(|known| self.names.iter().any(|name| name.eq_ignore_ascii_case(known)));
        is_named && self.component.as_ref().is_none_or(|ours| is_about(ours, seen.component.as_ref()))
    }
}

fn is_about(ours: &Component, seen: Option<&Component>) -> bool {
    let Some(seen) = seen else { return false };
    let purl = |component: &Component| component.purl.as_deref().and_then(|purl| PackageUrl::from_str(purl).ok());
    match (purl(ours), purl(seen)) {
        (Some(ours), Some(seen)) => {
            let is_same = ours.ty() == seen.ty() && ours.namespace() == seen.namespace() && ours.name() == seen.name();
            is_same && ours.version().is_none_or(|version| seen.version() == Some(version))
        }
        // The one or the other says no more than a name.
        (None, _) | (_, None) => {
            ours.name == seen.name && ours.version.as_ref().is_none_or(|version| seen.version.as_ref() == Some(version))
        }
    }
}

/// A component of which nothing but a reference is known: tools refer by package URL.
pub(super) fn component_of(reference: &str) -> Component {
    let limited = |text: &str| super::lenient::limit_text(text, super::limit::NAME_MAX);
    match PackageUrl::from_str(reference) {
        Ok(purl) => Component {
            name: limited(purl.name()),
            version: purl.version().map(limited),
            purl: Some(super::lenient::limit_text(reference, super::limit::PATH_MAX)),
        },
        Err(_) => Component { name: limited(reference), ..Component::default() },
    }
}

/// A vulnerability's names in their one spelling, none twice.
pub(crate) fn named(given: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for name in given {
        let name = super::lenient::limit_text(name.as_ref(), super::limit::NAME_MAX);
        let name = names::whole_cve(&name).unwrap_or(name);
        if !name.is_empty() && !all.contains(&name) && all.len() < super::limit::LIST_MAX {
            all.push(name);
        }
    }
    all
}

/// The reason in the format's word, and what people said beside it.
pub(super) fn reason(word: Option<&str>, words: Option<&str>) -> Option<String> {
    let told = [word, words].into_iter().flatten().map(str::trim).filter(|text| !text.is_empty());
    let text = told.collect::<Vec<_>>().join(": ");
    let text = super::lenient::limit_text(&text, super::limit::DESCRIPTION_MAX);
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(purl: Option<&str>) -> Statement {
        Statement {
            names: named(["cve-2024-10005", "GHSA-jfh8-c2jp-5v3q"]),
            component: purl.map(component_of),
            verdict: Verdict::FalsePositive,
            justification: None,
            said_at: None,
        }
    }

    fn seen(purl: &str) -> Observation {
        Observation {
            rule_id: "CVE-2024-10005".to_owned(),
            cve_id: Some("CVE-2024-10005".to_owned()),
            component: Some(component_of(purl)),
            ..Observation::default()
        }
    }

    #[test]
    fn it_concerns_the_same_vulnerability_in_the_same_package_and_version() {
        let zlib = "pkg:apk/alpine/zlib@1.2.11-r1?arch=x86_64";
        let said = statement(Some("pkg:apk/alpine/zlib@1.2.11-r1?distro=alpine-3.10.9"));
        assert!(said.concerns(&seen(zlib)));
        assert!(!said.concerns(&seen("pkg:apk/alpine/zlib@1.2.12-r0")));
        assert!(!said.concerns(&seen("pkg:deb/debian/zlib@1.2.11-r1")));
        assert!(statement(Some("pkg:apk/alpine/zlib")).concerns(&seen(zlib)), "every version");
        assert!(statement(None).concerns(&seen(zlib)), "whatever it is in");
        let other = Observation { cve_id: None, rule_id: "CVE-2024-1".to_owned(), ..seen(zlib) };
        assert!(!said.concerns(&other));
        let by_alias = Observation { aliases: vec!["GHSA-jfh8-c2jp-5v3q".to_owned()], ..other };
        assert!(said.concerns(&by_alias));
    }

    #[test]
    fn a_code_finding_is_no_component() {
        let in_code = Observation { component: None, ..seen("pkg:apk/alpine/zlib") };
        assert!(!statement(Some("pkg:apk/alpine/zlib")).concerns(&in_code));
    }
}
