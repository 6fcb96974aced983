//! What teams and tools do: `scan.*`, `poam.*`, `evidence.*`, `training.*`.

use jiff::{Timestamp, civil::Date};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Severity, Vulnerability};

/// Data of `scan.started`, `scan.completed`, `scan.failed`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Scan {
    /// Unique per scan.
    pub scan_id: String,
    /// Number of threats, not a flag. Required when completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threats_found: Option<u64>,
    /// One entry a threat, any shape; `id`, `name`, `severity`, `path`, `action` are read where they are there.
    pub details: Vec<serde_json::Value>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The project scanned, bare UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// The tool that scanned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
}

/// Data of `scan.digest`: the new findings of one scan, counted instead of told one by one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ScanDigest {
    /// Unique per scan.
    pub scan_id: String,
    /// How many there are.
    pub new_findings: u64,
    /// How many of each severity.
    pub counts: SeverityCounts,
    /// The worst of them.
    pub worst: Vec<Vulnerability>,
    /// The project scanned, bare UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// The tool that scanned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
}

/// How many findings of each severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SeverityCounts {
    /// Critical.
    pub critical: u64,
    /// High.
    pub high: u64,
    /// Medium.
    pub medium: u64,
    /// Low.
    pub low: u64,
    /// Worth knowing, no risk.
    pub info: u64,
    /// Nobody said.
    pub unknown: u64,
}

/// Data of `poam.deadline_approaching`, `poam.overdue`, `poam.completed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Poam {
    /// UUID of the item.
    pub poam_id: String,
    /// The finding it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding_id: Option<String>,
    /// The finding's CVE, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cve_id: Option<String>,
    /// The date promised.
    pub scheduled_completion_date: Date,
    /// Whole days until the date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days_remaining: Option<i64>,
    /// Whole days since the date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days_overdue: Option<i64>,
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The finding's severity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Who sees to it. Personal data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The finding's project, bare UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
}

/// Data of `evidence.completed`, `evidence.failed`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Evidence {
    /// UUID of the document.
    pub evidence_id: String,
    /// As uploaded.
    pub file_name: String,
    /// All severities together.
    pub vulnerabilities_found: u64,
    /// Of them critical.
    pub critical_count: u64,
    /// Of them high.
    pub high_count: u64,
    /// Why processing failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Data of `training.completed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Training {
    /// Mail address. Personal data.
    pub user: String,
    /// Name of the lesson.
    pub training: String,
    /// Points; may exceed 100.
    pub score: i64,
    /// Begun.
    pub started_at: Timestamp,
    /// Ended.
    pub completed_at: Timestamp,
    /// UUID of the report of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_id: Option<String>,
}
