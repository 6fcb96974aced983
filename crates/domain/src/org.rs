//! Organisations: the wall that no data crosses; and their projects.

use jiff::Timestamp;

use crate::id::{OrgId, ProjectId};

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
}
