//! What is not wanted for a while.

use jiff::Timestamp;
use uuid::Uuid;
use watchbell_wire::EventType;
use watchbell_wire::expression::Mistake;

use super::Filter;
use crate::id::{MuteId, ProjectId};

/// A mute, with its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mute {
    /// Its id.
    pub id: MuteId,
    /// Events that this is true of do not come.
    pub when: Filter,
    /// Until when.
    pub until: Timestamp,
    /// Why, in the words of whoever muted.
    pub reason: Option<String>,
    /// Who muted.
    pub by: String,
    /// Since when.
    pub created_at: Timestamp,
}

impl Mute {
    /// Whether it holds at `at`.
    pub fn is_live(&self, at: Timestamp) -> bool {
        self.created_at <= at && at < self.until
    }
}

/// What is muted. Whatever it is, it is kept as an expression: one way to ask, and to show why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Muted {
    /// Everything.
    All,
    /// Events about a finding.
    Finding(Uuid),
    /// Events about a project.
    Project(ProjectId),
    /// Events of a type.
    Type(EventType),
    /// Events that an expression is true of.
    When(String),
}

impl Muted {
    /// The expression.
    ///
    /// # Errors
    /// What is wrong with the one that was given.
    pub fn filter(&self) -> Result<Filter, Mistake> {
        let filter = Filter::new(match self {
            Self::All => "true".to_owned(),
            Self::Finding(id) => format!("data.finding_id == '{}'", id.hyphenated()),
            Self::Project(id) => format!("project.id == '{}'", id.bare()),
            Self::Type(event_type) => format!("type == '{event_type}'"),
            Self::When(text) => text.clone(),
        });
        match filter.compiled() {
            Ok(_) => Ok(filter),
            Err(mistake) => Err(mistake.clone()),
        }
    }
}
