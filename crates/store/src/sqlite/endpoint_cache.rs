//! Endpoints as the writer needs them: decoded and unsealed, by organisation.
//!
//! Routing an event looks at every endpoint of its organisation, claiming and settling at one; reading and unsealing them
//! each time would cost more than everything else in the commit. Only the writer changes endpoints, so what it keeps is
//! always what the transaction sees; what a failed unit changed is forgotten and read again.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::Connection;
use watchbell_domain::endpoint::Endpoint;
use watchbell_domain::id::{EndpointId, OrgId};

use super::endpoint;
use super::error::Result;
use super::vault::Vault;

/// More endpoints than this are not kept.
const ENDPOINTS_MAX: usize = 50_000;

/// An organisation's endpoints.
pub(super) type OrgEndpoints = Arc<BTreeMap<EndpointId, Arc<Endpoint>>>;

/// What is kept.
#[derive(Debug, Default)]
pub(super) struct EndpointCache {
    orgs: BTreeMap<OrgId, OrgEndpoints>,
    kept: usize,
    /// Organisations whose endpoints the running unit has changed.
    touched: Vec<OrgId>,
}

impl EndpointCache {
    /// All endpoints of an organisation.
    pub(super) fn of_org(&mut self, conn: &Connection, vault: &Vault, org: OrgId) -> Result<OrgEndpoints> {
        if let Some(endpoints) = self.orgs.get(&org) {
            return Ok(Arc::clone(endpoints));
        }
        let endpoints: OrgEndpoints = Arc::new(endpoint::all(conn, vault, org)?);
        if self.kept + endpoints.len() > ENDPOINTS_MAX {
            self.orgs.clear();
            self.kept = 0;
        }
        self.kept += endpoints.len();
        self.orgs.insert(org, Arc::clone(&endpoints));
        Ok(endpoints)
    }

    /// Keeps an endpoint as it has been written.
    pub(super) fn put(&mut self, endpoint: Endpoint) {
        let (org, id) = (endpoint.org_id, endpoint.id);
        self.change(org, |endpoints| drop(endpoints.insert(id, Arc::new(endpoint))));
    }

    /// Forgets an endpoint that has been deleted.
    pub(super) fn remove(&mut self, org: OrgId, id: EndpointId) {
        self.change(org, |endpoints| drop(endpoints.remove(&id)));
    }

    /// The unit is over; unless it did its work, what it changed is read again.
    pub(super) fn unit_ended(&mut self, done: bool) {
        for org in self.touched.drain(..) {
            if !done && let Some(endpoints) = self.orgs.remove(&org) {
                self.kept = self.kept.saturating_sub(endpoints.len());
            }
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn change(&mut self, org: OrgId, change: impl FnOnce(&mut BTreeMap<EndpointId, Arc<Endpoint>>)) {
        self.touched.push(org);
        if let Some(endpoints) = self.orgs.get_mut(&org) {
            let before = endpoints.len();
            change(Arc::make_mut(endpoints));
            self.kept = self.kept + endpoints.len() - before.min(self.kept);
        }
    }
}
