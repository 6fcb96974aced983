//! What happened to a finding: every transition with its time, author and reason. Entries are added, never changed.

use jiff::Timestamp;

use super::FindingStatus;
use crate::id::{ChangeId, FindingId, KeyId, ScanId, SourceId};

/// One transition of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingChange {
    /// Its id; sorts by when it was written.
    pub id: ChangeId,
    /// Whose history it is in.
    pub finding_id: FindingId,
    /// Counts the finding's transitions, from 1.
    pub number: u64,
    /// When it became so: the time of the scan, or of the call.
    pub at: Timestamp,
    /// Where it stood; `None`: it was not known.
    pub from: Option<FindingStatus>,
    /// Where it stands since.
    pub to: FindingStatus,
    /// Who brought it about.
    pub by: ChangedBy,
    /// Why, for people; may be empty.
    pub reason: String,
}

/// Who changed where a finding stands.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ChangedBy {
    /// A scan.
    Scan {
        /// Which.
        id: ScanId,
        /// What with.
        tool: String,
    },
    /// A statement of a VEX document.
    Vex {
        /// The scan that it came as.
        id: ScanId,
        /// Who says so: the document's author or tool.
        author: String,
    },
    /// A webhook of a source.
    Source {
        /// Which.
        id: SourceId,
        /// What the source calls its tool.
        tool: String,
    },
    /// A call to the API.
    Key {
        /// The key.
        id: KeyId,
        /// What it is called.
        name: String,
    },
    /// A rule of the organisation.
    Policy {
        /// What it is called.
        name: String,
    },
    /// The time until which a risk was accepted is over.
    Expiry,
}

impl ChangedBy {
    /// `scan`, `vex`, `source`, `key`, `policy`, `expiry`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Scan { .. } => "scan",
            Self::Vex { .. } => "vex",
            Self::Source { .. } => "source",
            Self::Key { .. } => "key",
            Self::Policy { .. } => "policy",
            Self::Expiry => "expiry",
        }
    }

    /// Who, for people: tool, author, key or policy.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Scan { tool, .. } | Self::Source { tool, .. } => Some(tool),
            Self::Vex { author, .. } => Some(author),
            Self::Key { name, .. } | Self::Policy { name } => Some(name),
            Self::Expiry => None,
        }
    }

    /// The scan, source or key, with its prefix.
    pub fn id(&self) -> Option<String> {
        match self {
            Self::Scan { id, .. } | Self::Vex { id, .. } => Some(id.to_string()),
            Self::Source { id, .. } => Some(id.to_string()),
            Self::Key { id, .. } => Some(id.to_string()),
            Self::Policy { .. } | Self::Expiry => None,
        }
    }

    /// Whether a person or a rule of theirs did it, which no document undoes.
    pub const fn is_decision(&self) -> bool {
        match self {
            Self::Key { .. } | Self::Policy { .. } => true,
            Self::Scan { .. } | Self::Vex { .. } | Self::Source { .. } | Self::Expiry => false,
        }
    }
}
