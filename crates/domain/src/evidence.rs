//! Evidence: a document that somebody uploads, kept as it is, and read in the background.
//!
//! ```text
//!  pending ──▶ processing ──▶ completed { what was found }
//!                 │  ▲  └───▶ failed { why }
//!                 └──┘ a process that died: found again at the next start
//! ```

use jiff::Timestamp;

use crate::id::{EvidenceId, OrgId, ProjectId};

/// A document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Its id.
    pub id: EvidenceId,
    /// Whose it is.
    pub org_id: OrgId,
    /// The project that what it holds is weighed for as a scan.
    pub project_id: Option<ProjectId>,
    /// As uploaded; names nothing on disk.
    pub file_name: String,
    /// As the uploader said.
    pub media_type: String,
    /// SHA-256 of the content, which is kept under it.
    pub sha256: [u8; 32],
    /// Its length.
    pub bytes: u64,
    /// When it was taken.
    pub created_at: Timestamp,
    /// Where it stands.
    pub state: EvidenceState,
}

/// Where a document stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EvidenceState {
    /// It waits.
    Pending,
    /// It is being read.
    Processing,
    /// It was read.
    Completed {
        /// When.
        at: Timestamp,
        /// What was found.
        found: Found,
    },
    /// It could not be read.
    Failed {
        /// When.
        at: Timestamp,
        /// Why.
        error: String,
    },
}

impl EvidenceState {
    /// `pending`, `processing`, `completed`, `failed`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
        }
    }

    /// When it ended, if it did.
    pub const fn ended_at(&self) -> Option<Timestamp> {
        match self {
            Self::Pending | Self::Processing => None,
            Self::Completed { at, .. } | Self::Failed { at, .. } => Some(*at),
        }
    }
}

/// What a document holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// The format it is in; `None`: none that we read.
    pub format: Option<String>,
    /// Components that it lists.
    pub components: u64,
    /// Vulnerabilities that somebody ought to act on.
    pub vulnerabilities: u64,
    /// Of them critical.
    pub critical: u64,
    /// Of them high.
    pub high: u64,
}
