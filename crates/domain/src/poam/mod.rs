//! Plans of action and milestones: a finding is to be remediated by a day, and rings before the day passes.
//!
//! ```text
//!  POST, or a policy ──▶ open ──(finding remediated, or said so)──▶ completed ──(finding back)──▶ open
//!                         └──────────(taken back)────────────────▶ cancelled
//! ```
//!
//! *Overdue* is no state of its own: an open item is overdue when its deadline has passed. [`ring`] says when an item
//! rings, [`due`] when its day ends, [`policy`] which findings get an item by themselves, [`table`] and [`oscal`] how
//! items are handed to auditors.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use watchbell_wire::Severity;
use watchbell_wire::event::{Data, Event, EventType, Poam as PoamData};

use crate::event::NewEvent;
use crate::id::{EventId, FindingId, OrgId, PoamId, ProjectId};

mod due;
pub mod oscal;
pub mod policy;
pub mod ring;
pub mod table;

pub use due::{Due, DueError};
pub use ring::{Lead, OverdueRings, Ring, Schedule, Settings, Stage, Told};

/// Most milestones of an item.
pub const MILESTONES_MAX: usize = 50;

/// A plan of action.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Its id, which its events carry.
    pub id: PoamId,
    /// Whose it is.
    pub org_id: OrgId,
    /// What is to be remediated.
    pub finding_id: FindingId,
    /// Where that was found, where it is known.
    pub project_id: Option<ProjectId>,
    /// What is known of the finding.
    pub about: About,
    /// Its own title; the finding's where there is none.
    pub title: Option<String>,
    /// Who sees to it.
    pub owner: Option<String>,
    /// Anything else.
    pub notes: Option<String>,
    /// Until when.
    pub due: Due,
    /// Steps on the way.
    pub milestones: Vec<Milestone>,
    /// Where it stands.
    pub state: State,
    /// Who made it.
    pub origin: Origin,
    /// The ring told last for this deadline.
    pub told: Option<Told>,
    /// Counts its changes. A change is made to one version and refused if another came first.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// What an item says of its finding, so that it can be told without it. Also its form in the store (JSON).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// One line for people.
    pub title: Option<String>,
    /// On our scale.
    pub severity: Severity,
    /// Its CVE, when it has one.
    pub cve_id: Option<String>,
}

/// A step on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Milestone {
    /// What.
    pub title: String,
    /// Until when.
    pub due: Due,
    /// When it was taken.
    #[serde(default)]
    pub completed_at: Option<Timestamp>,
}

/// Where an item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// To be done.
    Open,
    /// Done.
    Completed {
        /// When.
        at: Timestamp,
        /// How that is known.
        by: CompletedBy,
    },
    /// Taken back.
    Cancelled {
        /// When.
        at: Timestamp,
    },
}

/// How it is known that an item is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompletedBy {
    /// Its finding is remediated; comes that back, so does the item.
    Remediation,
    /// Somebody said so.
    Hand,
}

impl CompletedBy {
    /// The name in API and store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Remediation => "remediation",
            Self::Hand => "hand",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Remediation, Self::Hand].into_iter().find(|by| by.as_str() == text)
    }
}

/// Who made an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Somebody, over the API.
    Api,
    /// The organisation's policy.
    Policy,
}

impl Origin {
    /// The name in API and store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Policy => "policy",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Api, Self::Policy].into_iter().find(|origin| origin.as_str() == text)
    }
}

/// What is shown of a state at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// To be done, and in time.
    Open,
    /// To be done, and late.
    Overdue,
    /// Done.
    Completed,
    /// Taken back.
    Cancelled,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Open, Self::Overdue, Self::Completed, Self::Cancelled];

    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Overdue => "overdue",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

impl Item {
    /// Where it stands at `now`.
    pub fn status(&self, settings: &Settings, now: Timestamp) -> Status {
        match self.state {
            State::Open if now >= self.due.deadline(&settings.zone) => Status::Overdue,
            State::Open => Status::Open,
            State::Completed { .. } => Status::Completed,
            State::Cancelled { .. } => Status::Cancelled,
        }
    }

    /// What it is called.
    pub fn shown_title(&self) -> Option<&str> {
        self.title.as_deref().or(self.about.title.as_deref())
    }

    /// When it rings next; `None`: never, as things stand.
    pub fn next_ring_at(&self, settings: &Settings) -> Option<Timestamp> {
        match self.state {
            State::Open => Schedule::new(self.due, settings).next_at(self.told),
            State::Completed { .. } | State::Cancelled { .. } => None,
        }
    }

    /// The ring that is due at `now`, with its event; the item remembers that it was told.
    pub fn ring(&mut self, settings: &Settings, now: Timestamp, id: EventId) -> Option<NewEvent> {
        let State::Open = self.state else { return None };
        let ring = Schedule::new(self.due, settings).ring(self.told, now)?;
        self.told = Some(ring.stage.told());
        let event_type = match ring.stage {
            Stage::Approaching(_) => EventType::PoamDeadlineApproaching,
            Stage::Overdue(_) => EventType::PoamOverdue,
        };
        Some(self.event(event_type, (ring.days_remaining, ring.days_overdue), settings, now, id))
    }

    /// `poam.completed`, to be told in the commit that completes the item.
    pub fn completed(&self, settings: &Settings, now: Timestamp, id: EventId) -> NewEvent {
        let days = Schedule::new(self.due, settings).days(now);
        self.event(EventType::PoamCompleted, days, settings, now, id)
    }

    fn event(
        &self,
        event_type: EventType,
        (days_remaining, days_overdue): (Option<i64>, Option<i64>),
        settings: &Settings,
        now: Timestamp,
        id: EventId,
    ) -> NewEvent {
        let data = PoamData {
            poam_id: self.id.bare(),
            finding_id: Some(self.finding_id.bare()),
            cve_id: self.about.cve_id.clone(),
            scheduled_completion_date: self.due.date(&settings.zone),
            days_remaining,
            days_overdue,
            title: self.shown_title().map(str::to_owned),
            severity: Some(self.about.severity),
            owner: self.owner.clone(),
            project_id: self.project_id.map(ProjectId::bare),
        };
        let data = Data::from_typed(&data);
        NewEvent::of(Event { id: id.0, event_type, occurred_at: now, data }, self.project_id)
    }
}

#[cfg(test)]
mod testing {
    use super::*;

    /// An item that is due on the last day of January 2026.
    pub(super) fn item() -> Item {
        let id = uuid::Uuid::from_u128(0x0192_6fe4_2b7a_7d10_9c3d_0246_8ace_1357);
        let at: Timestamp = "2026-01-01T08:00:00Z".parse().unwrap();
        Item {
            id: PoamId(id),
            org_id: OrgId(id),
            finding_id: FindingId(id),
            project_id: Some(ProjectId(id)),
            about: About {
                title: Some("Prototype pollution in lodash".to_owned()),
                severity: Severity::High,
                cve_id: Some("CVE-2019-10744".to_owned()),
            },
            title: None,
            owner: Some("ada@example.com".to_owned()),
            notes: Some("after the release".to_owned()),
            due: "2026-01-31".parse().unwrap(),
            milestones: vec![
                Milestone { title: "Upgrade".to_owned(), due: "2026-01-10".parse().unwrap(), completed_at: Some(at) },
                Milestone {
                    title: "Deploy".to_owned(),
                    due: "2026-01-20T12:00:00Z".parse().unwrap(),
                    completed_at: None,
                },
            ],
            state: State::Open,
            origin: Origin::Api,
            told: None,
            version: 0,
            created_at: at,
            updated_at: at,
        }
    }
}
