//! `project.snapshot`: what one more test of a known project saw, in Snyk's own members.
//!
//! Source: Snyk, "events and payloads" (documented), and real payloads (observed). Missing members are tolerated when
//! read; members not listed here are kept in the event's text. As a sender we write every member of the documented
//! example.
//!
//! Members that we could do without read as empty when they are null or of another type than documented: the vendor may
//! change payloads without notice, and a snapshot is not to be lost for it.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// Data of `project.snapshot`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectSnapshot {
    /// The project. `id` and `name` are required.
    pub project: SnapshotProject,
    /// The organisation. `id` is required.
    pub org: SnapshotOrg,
    /// The group, where there is one.
    #[serde(default, deserialize_with = "or_default")]
    pub group: Option<SnapshotGroup>,
    /// Issues that this test saw and the one before did not.
    pub new_issues: Vec<Issue>,
    /// Issues that the test before saw and this one did not.
    #[serde(default, deserialize_with = "or_default")]
    pub removed_issues: Vec<Issue>,
}

/// The project as Snyk shows it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotProject {
    /// Name.
    pub name: String,
    /// UUID.
    pub id: String,
    /// Every other member, as it stands.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// The organisation as Snyk shows it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotOrg {
    /// Name.
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    /// UUID.
    pub id: String,
    /// Every other member, as it stands.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// The group as Snyk shows it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotGroup {
    /// Name.
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    /// UUID.
    #[serde(default, deserialize_with = "or_default")]
    pub id: String,
    /// Every other member, as it stands.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// One vulnerability, licence or configuration issue.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Issue {
    /// `npm:ms:20170412`, `SNYK-JS-…`, `snyk:lic:…`.
    #[serde(deserialize_with = "or_default")]
    pub id: String,
    /// `vuln`, `license`, `configuration`.
    #[serde(deserialize_with = "or_default")]
    pub issue_type: String,
    /// Package.
    #[serde(deserialize_with = "or_default")]
    pub pkg_name: String,
    /// Versions found; may repeat.
    #[serde(deserialize_with = "or_default")]
    pub pkg_versions: Vec<String>,
    /// Ranking, `{"score": 0–1000, "factors": […]}`.
    pub priority: Value,
    /// The vulnerability itself.
    #[serde(deserialize_with = "or_default")]
    pub issue_data: IssueData,
    /// Patched by Snyk's patches.
    #[serde(deserialize_with = "or_default")]
    pub is_patched: bool,
    /// Ignored by policy.
    #[serde(deserialize_with = "or_default")]
    pub is_ignored: bool,
    /// How it can be fixed.
    pub fix_info: Value,
    /// Every other member, as it stands.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// What is known of the vulnerability of an [`Issue`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct IssueData {
    /// As [`Issue::id`].
    #[serde(deserialize_with = "or_default")]
    pub id: String,
    /// One line for people.
    #[serde(deserialize_with = "or_default")]
    pub title: String,
    /// `low`, `medium`, `high`, `critical`.
    #[serde(deserialize_with = "or_default")]
    pub severity: String,
    /// A page about it.
    #[serde(deserialize_with = "or_default")]
    pub url: String,
    /// Names elsewhere: `{"CVE": […], "CWE": […], "GHSA": […], "ALTERNATIVE": […]}`; entries are text, NSP also integers.
    #[serde(deserialize_with = "or_default")]
    pub identifiers: Map<String, Value>,
    /// Vector text, CVSS 3.0 or 3.1.
    #[serde(rename = "CVSSv3")]
    pub cvss_v3: Value,
    /// 0.0 to 10.0.
    #[serde(deserialize_with = "or_default")]
    pub cvss_score: Option<f64>,
    /// Every other member, as it stands.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

fn or_default<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).unwrap_or_default())
}
