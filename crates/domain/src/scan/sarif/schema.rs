//! The part of SARIF 2.1.0 that findings are made of. Names as in the specification.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use crate::scan::lenient::{self, Raw};

#[derive(Deserialize)]
pub(super) struct Tool<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::member")]
    pub(super) driver: Option<ToolComponent<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient::list")]
    pub(super) extensions: Vec<ToolComponent<'a>>,
}

#[derive(Deserialize, Default)]
pub(super) struct ToolComponent<'a> {
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) name: Option<String>,
    #[serde(borrow, default, deserialize_with = "lenient::member")]
    pub(super) rules: Option<Vec<Raw<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Invocation {
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) execution_successful: Option<bool>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) exit_code: Option<i64>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) exit_code_description: Option<String>,
    #[serde(default, deserialize_with = "lenient::list")]
    pub(super) tool_execution_notifications: Vec<Notification>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) end_time_utc: Option<Timestamp>,
}

#[derive(Deserialize)]
pub(super) struct Notification {
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) level: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) message: Option<Message>,
}

#[derive(Deserialize)]
pub(super) struct RuleName {
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) id: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rule {
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) id: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) name: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) short_description: Option<Message>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) full_description: Option<Message>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) help_uri: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) message_strings: Option<BTreeMap<String, Message>>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) default_configuration: Option<Configuration>,
    #[serde(default, deserialize_with = "lenient::list")]
    pub(super) relationships: Vec<Relationship>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) properties: Option<Properties>,
}

#[derive(Deserialize)]
pub(super) struct Configuration {
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) level: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Relationship {
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) target: Option<Reference>,
}

/// `reportingDescriptorReference`: to a rule, or to an entry of a taxonomy.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reference {
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) id: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) index: Option<usize>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) tool_component: Option<ComponentReference>,
}

#[derive(Deserialize)]
pub(super) struct ComponentReference {
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) name: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) index: Option<usize>,
}

#[derive(Deserialize, Default)]
pub(super) struct Properties {
    #[serde(default, deserialize_with = "lenient::list")]
    pub(super) tags: Vec<String>,
    #[serde(default, deserialize_with = "lenient::number", rename = "security-severity")]
    pub(super) security_severity: Option<f64>,
}

#[derive(Deserialize, Default)]
pub(super) struct Message {
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) text: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) markdown: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) id: Option<String>,
    #[serde(default, deserialize_with = "lenient::list")]
    pub(super) arguments: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a result is an object")]
pub(super) struct Entry {
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) rule_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) rule_index: Option<usize>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) rule: Option<Reference>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) level: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) kind: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) message: Option<Message>,
    #[serde(default, deserialize_with = "lenient::list")]
    pub(super) locations: Vec<Location>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) fingerprints: Option<BTreeMap<String, String>>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) partial_fingerprints: Option<BTreeMap<String, String>>,
    #[serde(default, deserialize_with = "lenient::list")]
    pub(super) suppressions: Vec<Suppression>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) baseline_state: Option<String>,
    #[serde(default, deserialize_with = "lenient::list")]
    pub(super) taxa: Vec<Reference>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) properties: Option<Properties>,
}

#[derive(Deserialize)]
pub(super) struct Suppression {
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) justification: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) status: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Location {
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) physical_location: Option<PhysicalLocation>,
    #[serde(default, deserialize_with = "lenient::list")]
    pub(super) logical_locations: Vec<LogicalLocation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PhysicalLocation {
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) artifact_location: Option<ArtifactLocation>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) region: Option<Region>,
}

#[derive(Deserialize)]
pub(super) struct Artifact {
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) location: Option<ArtifactLocation>,
}

#[derive(Deserialize)]
pub(super) struct ArtifactLocation {
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) uri: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) index: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Region {
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) start_line: Option<u64>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) snippet: Option<Message>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogicalLocation {
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) fully_qualified_name: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    pub(super) name: Option<String>,
}
