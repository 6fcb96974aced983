//! An organisation's own event types: checked when they are defined, and kept compiled for the events that are posted.
//!
//! Another node may change a definition, so what is remembered is asked for again after a few seconds; a change over this
//! node counts at once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::SignedDuration;
use watchbell_domain::id::OrgId;
use watchbell_domain::port::{Clock, CustomTypeStore, StoreError};
use watchbell_wire::{Data, EventType};

use crate::ingest::event::Unfit;

pub mod schema;

use schema::Schema;

/// Most organisations remembered.
const REMEMBERED_MAX: usize = 1_000;
/// How long a change over another node may go unnoticed.
const REMEMBERED_FOR: SignedDuration = SignedDuration::from_secs(5);

/// Compiled schemas by type; types without one have no entry.
type Schemas = BTreeMap<EventType, Schema>;

/// Knows what the data of an organisation's own types must look like.
#[derive(Clone)]
pub struct Catalogue {
    types: Arc<dyn CustomTypeStore>,
    clock: Arc<dyn Clock>,
    remembered: Arc<Mutex<Remembered>>,
}

/// An organisation's schemas, each with when they were looked up.
type Remembered = BTreeMap<OrgId, (Arc<Schemas>, SignedDuration)>;

impl fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Catalogue")
    }
}

impl Catalogue {
    /// Looks definitions up in `types`.
    pub fn new(types: Arc<dyn CustomTypeStore>, clock: Arc<dyn Clock>) -> Self {
        Self { types, clock, remembered: Arc::default() }
    }

    /// Whether `data` is what the organisation says of `event_type`. Of our own types, and of those that nobody has
    /// defined, it says nothing.
    ///
    /// # Errors
    /// The store's; `Ok(Err)` names the place that does not fit.
    pub async fn check(
        &self,
        org: OrgId,
        event_type: &EventType,
        data: &Data,
    ) -> Result<Result<(), Unfit>, StoreError> {
        if !matches!(event_type, EventType::Custom(_)) {
            return Ok(Ok(()));
        }
        let schemas = self.schemas(org).await?;
        Ok(schemas.get(event_type).map_or(Ok(()), |schema| schema.check(data.text())))
    }

    /// A definition was made, changed or deleted.
    pub fn changed(&self, org: OrgId) {
        self.remembered().remove(&org);
    }

    async fn schemas(&self, org: OrgId) -> Result<Arc<Schemas>, StoreError> {
        let now = self.clock.monotonic();
        let known = self.remembered().get(&org).cloned();
        if let Some((schemas, since)) = known
            && now.saturating_sub(since) < REMEMBERED_FOR
        {
            return Ok(schemas);
        }
        let mut schemas = Schemas::new();
        for definition in self.types.types(org).await? {
            let Some(source) = &definition.schema else { continue };
            match Schema::compile(source) {
                Ok(schema) => drop(schemas.insert(definition.name, schema)),
                // It was checked when it was stored: a later version of the compiler thinks otherwise.
                Err(problem) => tracing::warn!(event_type = %definition.name, %problem, "a stored schema is ignored"),
            }
        }
        let schemas = Arc::new(schemas);
        let mut remembered = self.remembered();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(org, (Arc::clone(&schemas), now));
        Ok(schemas)
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, BTreeMap<OrgId, (Arc<Schemas>, SignedDuration)>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
