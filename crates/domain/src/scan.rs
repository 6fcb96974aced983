//! Scans: one test of a project, from a tool's report.

use jiff::Timestamp;

use crate::id::{OrgId, ProjectId, ScanId};

/// A scan as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Its id.
    pub id: ScanId,
    /// Whose it is.
    pub org_id: OrgId,
    /// What was scanned.
    pub project_id: ProjectId,
    /// What with.
    pub tool: String,
    /// When its report came in.
    pub received_at: Timestamp,
    /// How it ended.
    pub status: ScanStatus,
    /// Findings in the report.
    pub findings_seen: u64,
    /// Of them new or reopened.
    pub findings_new: u64,
    /// Findings that it found gone.
    pub findings_removed: u64,
    /// Why it failed.
    pub error: Option<String>,
}

/// How a scan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanStatus {
    /// The report was weighed.
    Completed,
    /// The report could not be read, or says that the tool failed. It changes no finding.
    Failed,
}

impl ScanStatus {
    /// `completed`, `failed`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Completed, Self::Failed]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}
