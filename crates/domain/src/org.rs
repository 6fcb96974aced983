//! Organisations: the wall that no data crosses; and their projects.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::id::{GroupId, OrgId, ProjectId};

/// The slug of the organisation that exists from the first start.
pub const DEFAULT_SLUG: &str = "default";

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Org {
    /// Its id.
    pub id: OrgId,
    /// Its name in URLs: `a-z 0-9 -`, unique.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// Its share when deliveries take turns: twice the weight, twice the starts while others wait as well.
    pub weight: u32,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Where an organisation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Whether it may do anything.
    pub state: OrgState,
    /// The group that it belongs to.
    pub group_id: Option<GroupId>,
}

/// Whether an organisation may do anything.
///
/// Its keys work while it is active. What a change of state means for its endpoints and rows follows in small steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrgState {
    /// It may.
    Active,
    /// Its keys are dead and its deliveries held.
    Suspended {
        /// Since when.
        since: Timestamp,
    },
    /// As far as anybody can see it is gone; what it had is being removed.
    Deleting {
        /// Since when.
        since: Timestamp,
    },
}

impl OrgState {
    /// The name in API and store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended { .. } => "suspended",
            Self::Deleting { .. } => "deleting",
        }
    }

    /// Since when, unless it is active.
    pub const fn since(self) -> Option<Timestamp> {
        match self {
            Self::Active => None,
            Self::Suspended { since } | Self::Deleting { since } => Some(since),
        }
    }
}

/// Organisations that belong together. A key of the group reaches all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// Its name for people.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}
/// What an organisation weighs unless an operator said otherwise.
pub const WEIGHT_DEFAULT: u32 = 1;
/// The most that one may weigh.
pub const WEIGHT_MAX: u32 = 100;

/// Something that is scanned again and again: a repository, an image, a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its organisation.
    pub org_id: OrgId,
    /// Its name, unique in the organisation.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Counts the scans applied. A scan is computed against one version and refused if another came first.
    pub version: u64,
    /// When the last scan was applied.
    pub last_scan_at: Option<Timestamp>,
    /// Who answers for it: a team, or a mail address.
    pub owner: Option<String>,
    /// What it is sorted by: `{"tier": "1", "team": "payments"}`.
    pub labels: BTreeMap<String, String>,
}
