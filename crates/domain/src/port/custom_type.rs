//! An organisation's own event types.

use watchbell_wire::EventType;

use super::{Pending, Terms, Written};
use crate::audit::Deed;
use crate::custom_type::TypeDefinition;
use crate::id::OrgId;

/// Definitions of event types.
pub trait CustomTypeStore: Send + Sync {
    /// Adds a definition. `Conflict` when there is one of this name, or [`crate::custom_type::TYPES_MAX`] are there.
    fn create_type(&self, definition: TypeDefinition, terms: Terms) -> Pending<'_, Written<()>>;

    /// All of an organisation, by name.
    fn types(&self, org: OrgId) -> Pending<'_, Vec<TypeDefinition>>;

    /// Writes back a changed definition if it is still at the version that was seen, else `Conflict`.
    fn update_type(&self, seen: u64, changed: TypeDefinition, terms: Terms) -> Pending<'_, Written<()>>;

    /// Deletes a definition. Events of the type stay. `false`: there is none.
    fn delete_type(&self, org: OrgId, name: EventType, deed: Option<Deed>) -> Pending<'_, bool>;
}
