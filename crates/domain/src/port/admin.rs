//! Organisations, keys, endpoints.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Page, PageRequest, Pending, Terms, Written};
use crate::access::{ApiKey, KeyHash};
use crate::audit::Deed;
use crate::endpoint::Endpoint;
use crate::id::{EndpointId, GroupId, KeyId, OrgId};
use crate::org::{Org, OrgState, Standing};
use crate::rule::RuleFailure;

/// Organisations.
pub trait OrgStore: Send + Sync {
    /// Adds an organisation. `Conflict` when the slug is taken.
    fn create_org(&self, org: Org, terms: Terms) -> Pending<'_, Written<()>>;

    /// Changes what an organisation weighs. `false`: there is none.
    fn set_weight(&self, id: OrgId, weight: u32, now: Timestamp, terms: Terms) -> Pending<'_, Written<bool>>;

    /// By id.
    fn org(&self, id: OrgId) -> Pending<'_, Option<Org>>;

    /// By slug.
    fn org_by_slug(&self, slug: String) -> Pending<'_, Option<Org>>;

    /// All, newest first.
    fn orgs(&self, page: PageRequest) -> Pending<'_, Page<Org>>;

    /// Writes back name and slug if they are still as they were, else `Conflict`; so also when the slug is taken.
    fn update_org(&self, seen: Org, changed: Org, now: Timestamp, terms: Terms) -> Pending<'_, Written<()>>;

    /// Where an organisation stands. `None`: there is none.
    fn standing(&self, id: OrgId) -> Pending<'_, Option<Standing>>;

    /// Changes an organisation's state. Its keys follow in this commit, all else by [`Self::settle_org`]. `Conflict` when
    /// it is being deleted: there is no way back. `false`: there is no such organisation.
    fn set_org_state(&self, id: OrgId, state: OrgState, now: Timestamp, terms: Terms) -> Pending<'_, Written<bool>>;

    /// Organisations whose state has changed and that are not all the way there yet.
    fn unsettled_orgs(&self) -> Pending<'_, Vec<OrgId>>;

    /// One step of what a change of state means: some endpoints disabled, enabled or deleted (their waiting deliveries
    /// become held, pending, `cancelled`), or some rows removed. `false`: there is nothing left to do.
    fn settle_org(&self, id: OrgId, limit: u32, now: Timestamp) -> Pending<'_, bool>;
}

/// API keys.
pub trait KeyStore: Send + Sync {
    /// Adds a key. `once` is remembered under `org`, which is nil for a group's.
    fn create_key(&self, org: OrgId, key: ApiKey, terms: Terms) -> Pending<'_, Written<()>>;

    /// The key with this hash, live or not. `None` also while its organisation is not active, and once its member is gone.
    fn key_by_hash(&self, hash: KeyHash) -> Pending<'_, Option<ApiKey>>;

    /// An organisation's keys, newest first.
    fn keys(&self, org: OrgId, page: PageRequest) -> Pending<'_, Page<ApiKey>>;

    /// Revokes a key. `false`: there is no such key.
    fn revoke_key(&self, org: OrgId, id: KeyId, now: Timestamp, deed: Option<Deed>) -> Pending<'_, bool>;

    /// An organisation's key by its id.
    fn key(&self, org: OrgId, id: KeyId) -> Pending<'_, Option<ApiKey>>;

    /// Lets a key end at `until` and adds its successor. `false`:
    /// there is no such key, or it was revoked.
    fn rotate_key(&self, old: KeyId, until: Timestamp, new: ApiKey, terms: Terms) -> Pending<'_, Written<bool>>;

    /// The keys of a group, newest first.
    fn group_keys(&self, group: GroupId, page: PageRequest) -> Pending<'_, Page<ApiKey>>;

    /// Revokes a key of a group. `false`: there is no such key.
    fn revoke_group_key(&self, group: GroupId, id: KeyId, now: Timestamp, deed: Option<Deed>) -> Pending<'_, bool>;

    /// Remembers that a key was used.
    fn touch_key(&self, id: KeyId, now: Timestamp) -> Pending<'_, ()>;

    /// Makes the server's first key the one with this hash: adds it, or changes the hash of the one that is there.
    fn set_root_key(&self, key: ApiKey, deed: Option<Deed>) -> Pending<'_, ()>;
}

/// Endpoints. Secrets and header values are sealed at rest.
pub trait EndpointStore: Send + Sync {
    /// Adds an endpoint, and in the same commit the events that its creation causes (Snyk's ping).
    fn create_endpoint(&self, creation: EndpointCreation, terms: Terms) -> Pending<'_, Written<()>>;

    /// By id.
    fn endpoint(&self, org: OrgId, id: EndpointId) -> Pending<'_, Option<Endpoint>>;

    /// An organisation's, newest first.
    fn endpoints(&self, org: OrgId, page: PageRequest) -> Pending<'_, Page<Endpoint>>;

    /// Writes back a changed endpoint if it is still as it was (`seen.updated_at`), else `Conflict`.
    ///
    /// In the same commit: becoming active turns its held deliveries pending (due at `changed.updated_at`); ceasing to
    /// be active holds its pending ones.
    fn update_endpoint(&self, seen: Endpoint, changed: Endpoint, terms: Terms) -> Pending<'_, Written<()>>;

    /// The organisation's endpoints whose rules could not be asked since they were last changed.
    fn rule_failures(&self, org: OrgId) -> Pending<'_, BTreeMap<EndpointId, RuleFailure>>;

    /// Deletes an endpoint and its secrets; its waiting deliveries become `cancelled`. `false`: there is none.
    fn delete_endpoint(&self, org: OrgId, id: EndpointId, now: Timestamp, deed: Option<Deed>) -> Pending<'_, bool>;
}

/// A new endpoint and what is sent to it at once.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointCreation {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Accepted in the same commit.
    pub greeting: Option<super::Acceptance>,
}
