//! Plans of action, how they ring, and which findings get one by themselves.
//!
//! When an item rings next is kept with it, so rings neither get lost nor double, whoever dies when:
//! [`PoamStore::ring`] writes the events and moves the items on in one commit. What happens to findings is followed in
//! the commit in which it happens, by the store itself: an item is completed with the scan that no longer sees its
//! finding, and made with the scan that first does.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Acceptance, Page, PageRequest, Pending, Terms, Written};
use crate::audit::Deed;
use crate::id::{FindingId, OrgId, PoamId, ProjectId};
use crate::poam::policy::Policy;
use crate::poam::{Item, Settings, Status};

/// Plans of action.
pub trait PoamStore: Send + Sync {
    /// Adds an item. `Conflict` when its finding is remediated.
    fn create_poam_item(&self, item: Item, terms: Terms) -> Pending<'_, Written<()>>;

    /// One item.
    fn poam_item(&self, org: OrgId, id: PoamId) -> Pending<'_, Option<Item>>;

    /// An organisation's, newest first.
    fn poam_items(&self, org: OrgId, filter: PoamFilter, page: PageRequest) -> Pending<'_, Page<Item>>;

    /// Writes back a changed item if it is still at the version that was seen, with its events; else `Conflict`. What it
    /// was told stays, unless it is due at another time now.
    fn update_poam_item(&self, update: PoamUpdate, terms: Terms) -> Pending<'_, Written<()>>;

    /// How an organisation's items ring; the defaults, where nothing was set.
    fn poam_settings(&self, org: OrgId) -> Pending<'_, Settings>;

    /// Sets how they ring. What the open ones ring for next is found anew.
    fn set_poam_settings(
        &self,
        org: OrgId,
        settings: Settings,
        now: Timestamp,
        terms: Terms,
    ) -> Pending<'_, Written<()>>;

    /// Which findings get an item by themselves; none, where nothing was set.
    fn poam_policy(&self, org: OrgId) -> Pending<'_, Policy>;

    /// Sets it. Findings that are known already get no item.
    fn set_poam_policy(&self, org: OrgId, policy: Policy, now: Timestamp, terms: Terms) -> Pending<'_, Written<()>>;

    /// Takes items that are due at `step.now`, those due longest first and no more than `step.limit`; writes the events of
    /// those that ring, and when each is due next, in one commit.
    fn ring(&self, step: RingStep) -> Pending<'_, Rung>;

    /// Replaces the catalogue of known exploited vulnerabilities by this one.
    fn import_kev(&self, catalogue: KevCatalogue, deed: Option<Deed>) -> Pending<'_, ()>;

    /// What the catalogue is; `None`: none was imported.
    fn kev_facts(&self) -> Pending<'_, Option<KevFacts>>;
}

/// Which items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoamFilter {
    /// With this status, at `now`.
    pub status: Option<Status>,
    /// About this finding.
    pub finding_id: Option<FindingId>,
    /// About findings of this project.
    pub project_id: Option<ProjectId>,
    /// Of this owner.
    pub owner: Option<String>,
    /// Late before this.
    pub due_before: Option<Timestamp>,
    /// Not late before this.
    pub due_since: Option<Timestamp>,
    /// What time it is.
    pub now: Timestamp,
}

impl PoamFilter {
    /// Every item.
    pub const fn all(now: Timestamp) -> Self {
        Self { status: None, finding_id: None, project_id: None, owner: None, due_before: None, due_since: None, now }
    }
}

/// A changed item.
#[derive(Debug, Clone, PartialEq)]
pub struct PoamUpdate {
    /// As it was when the change was made.
    pub seen: Item,
    /// As it is to be.
    pub changed: Item,
    /// What is told of it.
    pub told: Option<Acceptance>,
}

/// One step of ringing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingStep {
    /// What time it is.
    pub now: Timestamp,
    /// Items at most.
    pub limit: u16,
}

/// What a step of ringing did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rung {
    /// Items that were due.
    pub looked_at: u16,
    /// Items that rang.
    pub rung: u16,
    /// Items that cannot be read. They are looked at again in an hour, and the others ring.
    pub unreadable: u16,
}

/// A catalogue of known exploited vulnerabilities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KevCatalogue {
    /// As its publisher counts.
    pub version: String,
    /// CVE ids.
    pub cve_ids: BTreeSet<String>,
    /// When it was imported.
    pub imported_at: Timestamp,
}

/// What is known of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KevFacts {
    /// As its publisher counts.
    pub version: String,
    /// How many vulnerabilities.
    pub count: u64,
    /// When it was imported.
    pub imported_at: Timestamp,
}
