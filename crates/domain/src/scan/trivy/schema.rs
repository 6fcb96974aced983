//! The part of Trivy's report that findings are made of. Names as Trivy writes them.

use serde::Deserialize;

use crate::scan::lax::{Lax, Many, Number};
use crate::scan::lenient::Raw;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Top<'a> {
    #[serde(borrow)]
    pub(super) results: Option<Raw<'a>>,
    /// Of a cluster.
    #[serde(borrow)]
    pub(super) resources: Option<Raw<'a>>,
    /// Of a cluster, before 0.30: resources with vulnerabilities.
    #[serde(borrow)]
    pub(super) vulnerabilities: Option<Raw<'a>>,
    /// Of a cluster, before 0.30: resources with misconfigurations.
    #[serde(borrow)]
    pub(super) misconfigurations: Option<Raw<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Resource<'a> {
    pub(super) namespace: Lax<String>,
    pub(super) kind: Lax<String>,
    pub(super) name: Lax<String>,
    pub(super) error: Lax<String>,
    #[serde(borrow)]
    pub(super) results: Option<Raw<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct ResultEntry<'a> {
    pub(super) target: Lax<String>,
    pub(super) class: Lax<String>,
    #[serde(rename = "Type")]
    pub(super) kind: Lax<String>,
    #[serde(borrow)]
    pub(super) vulnerabilities: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(super) misconfigurations: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(super) secrets: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(super) licenses: Option<Raw<'a>>,
    #[serde(borrow, rename = "ExperimentalModifiedFindings")]
    pub(super) modified: Option<Raw<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Vulnerability<'a> {
    #[serde(rename = "VulnerabilityID")]
    pub(super) id: Lax<String>,
    #[serde(rename = "VendorIDs")]
    pub(super) vendor_ids: Many<String>,
    #[serde(rename = "PkgName")]
    pub(super) package: Lax<String>,
    #[serde(rename = "PkgIdentifier")]
    pub(super) identifier: Lax<Identifier>,
    pub(super) installed_version: Lax<String>,
    pub(super) fixed_version: Lax<String>,
    pub(super) status: Lax<String>,
    pub(super) title: Lax<String>,
    pub(super) description: Lax<String>,
    pub(super) severity: Lax<String>,
    pub(super) severity_source: Lax<String>,
    #[serde(rename = "CweIDs")]
    pub(super) cwes: Many<String>,
    #[serde(borrow, rename = "CVSS")]
    pub(super) cvss: Option<Raw<'a>>,
    #[serde(rename = "PrimaryURL")]
    pub(super) primary_url: Lax<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Identifier {
    #[serde(rename = "PURL")]
    pub(super) purl: Lax<String>,
}

/// What one source says of a vulnerability's CVSS.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Entry {
    pub(super) v2_vector: Lax<String>,
    pub(super) v3_vector: Lax<String>,
    pub(super) v40_vector: Lax<String>,
    pub(super) v2_score: Lax<Number>,
    pub(super) v3_score: Lax<Number>,
    pub(super) v40_score: Lax<Number>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Misconfiguration {
    #[serde(rename = "ID")]
    pub(super) id: Lax<String>,
    #[serde(rename = "AVDID")]
    pub(super) avd_id: Lax<String>,
    pub(super) title: Lax<String>,
    pub(super) message: Lax<String>,
    pub(super) resolution: Lax<String>,
    pub(super) severity: Lax<String>,
    pub(super) status: Lax<String>,
    #[serde(rename = "PrimaryURL")]
    pub(super) primary_url: Lax<String>,
    #[serde(rename = "CauseMetadata")]
    pub(super) cause: Lax<Cause>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Cause {
    pub(super) resource: Lax<String>,
    pub(super) start_line: Lax<u64>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Secret {
    #[serde(rename = "RuleID")]
    pub(super) rule_id: Lax<String>,
    pub(super) title: Lax<String>,
    pub(super) severity: Lax<String>,
    pub(super) start_line: Lax<u64>,
    #[serde(rename = "Match")]
    pub(super) matched: Lax<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct License {
    pub(super) name: Lax<String>,
    pub(super) category: Lax<String>,
    pub(super) severity: Lax<String>,
    #[serde(rename = "PkgName")]
    pub(super) package: Lax<String>,
    #[serde(rename = "FilePath")]
    pub(super) file: Lax<String>,
    pub(super) link: Lax<String>,
}

/// A finding that Trivy was told to leave out.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Modified<'a> {
    #[serde(rename = "Type")]
    pub(super) kind: Lax<String>,
    #[serde(borrow)]
    pub(super) finding: Option<Raw<'a>>,
}
