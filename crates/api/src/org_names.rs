//! Organisations by what a path calls them, remembered for a few seconds: every request names one.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::SignedDuration;
use watchbell_domain::id::OrgId;
use watchbell_domain::org::OrgState;
use watchbell_domain::port::{Clock, OrgStore, StoreError};

/// Most names remembered.
const REMEMBERED_MAX: usize = 10_000;
/// How long a name is believed. A change on this node takes effect at once.
const REMEMBERED_FOR: SignedDuration = SignedDuration::from_secs(5);

/// Finds organisations.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "ports are object-safe and say nothing about themselves")]
pub struct OrgNames {
    orgs: Arc<dyn OrgStore>,
    clock: Arc<dyn Clock>,
    /// By slug, or id as it was written.
    remembered: Arc<RwLock<BTreeMap<String, (OrgId, SignedDuration)>>>,
}

impl OrgNames {
    /// Looks organisations up in `orgs`.
    pub fn new(orgs: Arc<dyn OrgStore>, clock: Arc<dyn Clock>) -> Self {
        Self { orgs, clock, remembered: Arc::default() }
    }

    /// Forgets every name, so that the next request sees what the store says.
    pub(crate) fn forget(&self) {
        self.remembered.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The organisation of this slug or id. One that is being deleted is found no more.
    pub(crate) async fn find(&self, text: &str) -> Result<Option<OrgId>, StoreError> {
        let since = self.clock.monotonic();
        let known = self.remembered.read().unwrap_or_else(PoisonError::into_inner).get(text).copied();
        if let Some((org, then)) = known
            && since.saturating_sub(then) < REMEMBERED_FOR
        {
            return Ok(Some(org));
        }
        let found = match text.parse() {
            Ok(id) => self.orgs.org(id).await?,
            Err(_) => self.orgs.org_by_slug(text.to_owned()).await?,
        };
        let Some(org) = found else { return Ok(None) };
        let standing = self.orgs.standing(org.id).await?;
        let is_there = standing.is_some_and(|standing| match standing.state {
            OrgState::Active | OrgState::Suspended { .. } => true,
            OrgState::Deleting { .. } => false,
        });
        if !is_there {
            return Ok(None);
        }
        let mut remembered = self.remembered.write().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(text.to_owned(), (org.id, since));
        Ok(Some(org.id))
    }
}
