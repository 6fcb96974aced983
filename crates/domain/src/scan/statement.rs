//! Statements: what an analyst says of a vulnerability in a product (VEX), whoever found it.
//!
//! A scanner sees; a VEX document judges. So a [`Statement`] makes no finding. It is for those that are known, and for those
//! that the same report makes.

use std::str::FromStr;

use packageurl::PackageUrl;
use serde::{Deserialize, Serialize};
use watchbell_wire::event::Component;

/// What a VEX document (OpenVEX, CycloneDX VEX) states about a vulnerability.
///
/// It is applied to every finding of the project that has one of the names, in one of the products.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Names of the vulnerability: CVE, GHSA …; one that matches suffices.
    pub names: Vec<String>,
    /// Package URLs of the components it is about; with a version it holds for that version only. Empty: every component
    /// (a document about the project's own product says nothing about which).
    pub products: Vec<String>,
    /// What is stated.
    pub status: VexStatus,
    /// Why, for people: the justification's word and the impact statement.
    pub justification: String,
    /// Who states it: author or tool; empty where the document does not say.
    pub author: String,
}

/// What a VEX statement says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VexStatus {
    /// Nobody need act: the finding is suppressed.
    NotAffected,
    /// The vulnerability is not there in truth.
    FalsePositive,
    /// The product contains a fix: the finding is remediated, whatever a scanner still sees.
    Fixed,
    /// Somebody ought to act: lifts an earlier statement.
    Affected,
    /// Nobody knows yet: lifts an earlier statement.
    UnderInvestigation,
}

impl VexStatus {
    /// Reads the word of CycloneDX (`analysis.state`) or OpenVEX (`status`).
    pub(super) fn parse(word: &str) -> Option<Self> {
        match word {
            "exploitable" | "affected" => Some(Self::Affected),
            "in_triage" | "under_investigation" => Some(Self::UnderInvestigation),
            "not_affected" => Some(Self::NotAffected),
            "false_positive" => Some(Self::FalsePositive),
            "resolved" | "resolved_with_pedigree" | "fixed" => Some(Self::Fixed),
            _ => None,
        }
    }

    /// Whether nobody need act on what is there.
    pub(super) const fn clears(self) -> bool {
        match self {
            Self::NotAffected | Self::FalsePositive => true,
            Self::Fixed | Self::Affected | Self::UnderInvestigation => false,
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

/// The reason in the format's word, and what people said beside it.
pub(super) fn reason(word: Option<&str>, words: Option<&str>) -> String {
    let told = [word, words].into_iter().flatten().map(str::trim).filter(|text| !text.is_empty());
    let text = told.collect::<Vec<_>>().join(": ");
    super::lenient::limit_text(&text, super::limit::DESCRIPTION_MAX)
}
