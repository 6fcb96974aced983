//! Erasing what events say, and keeping that they were.
//!
//! An erased event keeps its id, type, times and the outcomes of its deliveries. Its data becomes `{}`, bodies kept for
//! another attempt and the endpoints' answers are removed, and what of it has not ended is cancelled.

use jiff::Timestamp;
use serde_json::Value;

use super::{Page, PageRequest, Pending, Terms, Written};
use crate::audit::Deed;
use crate::id::{ErasureId, EventId, OrgId};

/// Most erasures of one organisation that run at once.
pub const RUNNING_ERASURES_MAX: u32 = 10;

/// Whose data it is: how an event is recognised by what it says.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// The member of `data` at this JSON pointer (RFC 6901) equals this value.
    Member {
        /// Where.
        pointer: String,
        /// What, compared as JSON.
        value: Value,
    },
    /// This text occurs in a string of `data`, wherever it stands; names of members are not looked at.
    Text(String),
}

impl Subject {
    /// Whether `data` is about it.
    pub fn is_in(&self, data: &Value) -> bool {
        match self {
            Self::Member { pointer, value } => data.pointer(pointer) == Some(value),
            Self::Text(text) => occurs(text, data),
        }
    }
}

/// Data is nested no deeper than the edge accepts, so this ends well.
fn occurs(text: &str, data: &Value) -> bool {
    match data {
        Value::String(string) => string.contains(text),
        Value::Array(items) => items.iter().any(|item| occurs(text, item)),
        Value::Object(members) => members.values().any(|member| occurs(text, member)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A search for a subject through an organisation's events, erasing what is found.
#[derive(Debug, Clone, PartialEq)]
pub struct Erasure {
    /// Which.
    pub id: ErasureId,
    /// Whose.
    pub org_id: OrgId,
    /// Who is looked for; sealed at rest, and forgotten once the search has ended.
    pub subject: Option<Subject>,
    /// When it was asked for. Events accepted later are not looked at.
    pub created_at: Timestamp,
    /// When it ended; `None`: it runs.
    pub ended_at: Option<Timestamp>,
    /// The last event that was looked at.
    pub cursor: Option<EventId>,
    /// Events looked at.
    pub looked_at: u64,
    /// Events erased.
    pub erased: u64,
}

/// What erasing one event did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erased {
    /// When it was erased; long ago, where it was erased before.
    pub at: Timestamp,
    /// Deliveries that had not ended and were cancelled now.
    pub cancelled: u64,
}

/// Erasing.
pub trait ErasureStore: Send + Sync {
    /// Erases one event. An attempt under way cannot be called back; its outcome is not recorded. `None`: there is no
    /// such event.
    fn erase_event(&self, org: OrgId, id: EventId, now: Timestamp, deed: Option<Deed>) -> Pending<'_, Option<Erased>>;

    /// Begins a search. `Conflict` when [`RUNNING_ERASURES_MAX`] of the organisation run.
    fn create_erasure(&self, erasure: Erasure, terms: Terms) -> Pending<'_, Written<()>>;

    /// One search.
    fn erasure(&self, org: OrgId, id: ErasureId) -> Pending<'_, Option<Erasure>>;

    /// An organisation's searches, newest first.
    fn erasures(&self, org: OrgId, page: PageRequest) -> Pending<'_, Page<Erasure>>;

    /// Every search that runs, of every organisation.
    fn running_erasures(&self) -> Pending<'_, Vec<(OrgId, ErasureId)>>;

    /// One step of a running search: looks at no more events than so many, erases those that match, and remembers how
    /// far it came, in one commit. `None`: there is no such search.
    fn advance_erasure(&self, org: OrgId, id: ErasureId, limit: u32, now: Timestamp) -> Pending<'_, Option<Erasure>>;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_member_is_compared_as_json_and_a_text_is_looked_for_in_every_string() {
        let data =
            json!({"creator": "ada@example.com", "n": 1, "list": [{"note": "asked by ada@example.com"}], "ada": 2});
        let member = |pointer: &str, value| Subject::Member { pointer: pointer.to_owned(), value }.is_in(&data);
        assert!(
            member("/creator", json!("ada@example.com"))
                && member("/n", json!(1))
                && member("/list/0/note", json!("asked by ada@example.com"))
        );
        assert!(!member("/creator", json!("ada")) && !member("/n", json!("1")) && !member("/absent", Value::Null));
        let text = |text: &str| Subject::Text(text.to_owned()).is_in(&data);
        assert!(text("ada@example.com") && text("asked"));
        assert!(!text("bob") && !text("creator") && !text("Ada"));
    }
}
