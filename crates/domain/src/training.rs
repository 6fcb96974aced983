//! Completed lessons.

use jiff::Timestamp;
use watchbell_wire::event::{Data, Event, EventType, Training as TrainingData};

use crate::event::NewEvent;
use crate::id::{EventId, OrgId, TrainingId};

/// A lesson that somebody completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Training {
    /// Its id.
    pub id: TrainingId,
    /// Whose it is.
    pub org_id: OrgId,
    /// Who.
    pub user: User,
    /// What.
    pub lesson: Lesson,
    /// Points; may exceed 100.
    pub score: i64,
    /// Begun.
    pub started_at: Timestamp,
    /// Ended.
    pub completed_at: Timestamp,
    /// When it came in.
    pub created_at: Timestamp,
}

/// Who completed it. Personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Mail address.
    pub email: String,
    /// Name.
    pub name: Option<String>,
}

/// What was learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lesson {
    /// Name.
    pub name: String,
    /// The vendor's own id of it.
    pub id: Option<String>,
}

impl Training {
    /// `training.completed`, to be told in the commit that adds it.
    pub fn event(&self, id: EventId) -> NewEvent {
        let data = TrainingData {
            user: self.user.email.clone(),
            training: self.lesson.name.clone(),
            score: self.score,
            started_at: self.started_at,
            completed_at: self.completed_at,
            training_id: Some(self.id.bare()),
        };
        let event = Event {
            id: id.0,
            event_type: EventType::TrainingCompleted,
            occurred_at: self.completed_at,
            data: Data::from_typed(&data),
        };
        NewEvent::of(event, None)
    }

    /// Whether another report of this id says the same.
    pub fn says_the_same(&self, other: &Self) -> bool {
        Self { created_at: other.created_at, ..self.clone() } == *other
    }
}
