//! Event types of an organisation's own: what they mean, and what their data must look like.
//!
//! A type that is not defined may be posted all the same, with any data. Deleting a definition deletes no event.

use jiff::Timestamp;
use watchbell_wire::EventType;

use crate::id::OrgId;

/// Most types of one organisation.
pub const TYPES_MAX: usize = 500;

/// A definition.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeDefinition {
    /// Whose.
    pub org_id: OrgId,
    /// Its name, none of ours, unique in the organisation.
    pub name: EventType,
    /// When it is told.
    pub description: String,
    /// JSON Schema of its data; `None`: any data will do.
    pub schema: Option<serde_json::Value>,
    /// Data that fits.
    pub example: Option<serde_json::Value>,
    /// Counts its changes.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}
