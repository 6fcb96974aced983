//! The part of CycloneDX 1.4 to 1.7 that findings are made of. Names as in the specification.

use jiff::Timestamp;
use serde::Deserialize;

use crate::scan::lenient::{self, Raw};

#[derive(Deserialize)]
pub(super) struct Bom<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::member")]
    pub(super) metadata: Option<Metadata<'a>>,
    #[serde(borrow, default)]
    pub(super) components: Option<Raw<'a>>,
    #[serde(borrow, default)]
    pub(super) vulnerabilities: Option<Raw<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Metadata<'a> {
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) timestamp: Option<Timestamp>,
    #[serde(borrow, default)]
    pub(super) tools: Option<Raw<'a>>,
    #[serde(borrow, default)]
    pub(super) component: Option<Raw<'a>>,
}

/// Since 1.5 tools are components or services; before, and by many still, a list.
#[derive(Deserialize)]
pub(super) struct Tools {
    #[serde(default, deserialize_with = "lenient::list")]
    pub(super) components: Vec<ToolName>,
    #[serde(default, deserialize_with = "lenient::list")]
    pub(super) services: Vec<ToolName>,
}

#[derive(Deserialize)]
pub(super) struct ToolName {
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) name: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct ComponentEntry<'a> {
    #[serde(default, deserialize_with = "lenient::member", rename = "bom-ref")]
    pub(super) bom_ref: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) group: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) name: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) version: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) purl: Option<String>,
    #[serde(borrow, default, deserialize_with = "lenient::member")]
    pub(super) components: Option<Vec<Raw<'a>>>,
}

#[derive(Deserialize)]
#[serde(expecting = "a vulnerability is an object")]
pub(super) struct Entry {
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) id: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) source: Option<Source>,
    #[serde(default, deserialize_with = "lenient::list")]
    pub(super) references: Vec<Reference>,
    #[serde(default, deserialize_with = "lenient::list")]
    pub(super) ratings: Vec<RatingEntry>,
    #[serde(default, deserialize_with = "lenient::list")]
    pub(super) cwes: Vec<u32>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) description: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) detail: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) recommendation: Option<String>,
    #[serde(default, deserialize_with = "lenient::list")]
    pub(super) advisories: Vec<Source>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) analysis: Option<Analysis>,
    #[serde(default, deserialize_with = "lenient::list")]
    pub(super) affects: Vec<Affect>,
}

#[derive(Deserialize)]
pub(super) struct Source {
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) url: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Reference {
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) id: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct RatingEntry {
    #[serde(default, deserialize_with = "lenient::number")]
    pub(super) score: Option<f64>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) severity: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) method: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) vector: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Analysis {
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) state: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) justification: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) detail: Option<String>,
    /// Since 1.5.
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) first_issued: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) last_updated: Option<Timestamp>,
}

#[derive(Deserialize)]
pub(super) struct Affect {
    #[serde(default, deserialize_with = "lenient::member", rename = "ref")]
    pub(super) reference: Option<String>,
    #[serde(default, deserialize_with = "lenient::list")]
    pub(super) versions: Vec<AffectedVersion>,
}

#[derive(Deserialize)]
pub(super) struct AffectedVersion {
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) version: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) range: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) status: Option<String>,
}

impl Analysis {
    /// When it was last said.
    pub(super) fn said_at(&self) -> Option<Timestamp> {
        self.last_updated.or(self.first_issued)
    }
}
