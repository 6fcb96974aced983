//! Organisations by what a path calls them, remembered: every request names one, and it stays what it is.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use watchbell_domain::id::OrgId;
use watchbell_domain::port::{OrgStore, StoreError};

/// Most names remembered.
const REMEMBERED_MAX: usize = 10_000;

/// Finds organisations.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "ports are object-safe and say nothing about themselves")]
pub struct OrgNames {
    orgs: Arc<dyn OrgStore>,
    /// By slug, or id as it was written. No organisation is ever renamed or removed, so nothing here goes stale.
    remembered: Arc<RwLock<BTreeMap<String, OrgId>>>,
}

impl OrgNames {
    /// Looks organisations up in `orgs`.
    pub fn new(orgs: Arc<dyn OrgStore>) -> Self {
        Self { orgs, remembered: Arc::default() }
    }

    /// The organisation of this slug or id.
    pub(crate) async fn find(&self, text: &str) -> Result<Option<OrgId>, StoreError> {
        let known = self.remembered.read().unwrap_or_else(PoisonError::into_inner).get(text).copied();
        if known.is_some() {
            return Ok(known);
        }
        let found = match text.parse() {
            Ok(id) => self.orgs.org(id).await?,
            Err(_) => self.orgs.org_by_slug(text.to_owned()).await?,
        };
        let Some(org) = found else {
            return Ok(None);
        };
        let mut remembered = self.remembered.write().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(text.to_owned(), org.id);
        Ok(Some(org.id))
    }
}
