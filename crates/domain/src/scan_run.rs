//! Scans that are announced when they begin, and ended by a word and not by a report.

use jiff::Timestamp;
use serde_json::Value;
use watchbell_wire::event::{Data, Event, EventType, Scan as ScanData};

use crate::event::NewEvent;
use crate::id::{EventId, OrgId, ProjectId, ScanId};

/// An announced scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanRun {
    /// Its id, which its events carry.
    pub id: ScanId,
    /// Whose it is.
    pub org_id: OrgId,
    /// What is scanned.
    pub project_id: ProjectId,
    /// By what, where that was said.
    pub tool: Option<String>,
    /// When it was announced.
    pub started_at: Timestamp,
    /// How it stands.
    pub state: RunState,
}

/// How a scan stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunState {
    /// It runs.
    InProgress,
    /// It ended.
    Completed {
        /// When.
        at: Timestamp,
        /// What it found.
        threats_found: u64,
    },
    /// It could not be carried out.
    Failed {
        /// When.
        at: Timestamp,
        /// Why.
        error: String,
    },
}

impl RunState {
    /// The name in API and store, as the dialect of scan results has it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
        }
    }
}

impl ScanRun {
    /// What is told of its state. `details` are a completed scan's.
    pub fn event(&self, details: Vec<Value>, id: EventId) -> NewEvent {
        let (event_type, occurred_at, threats_found, error) = match &self.state {
            RunState::InProgress => (EventType::ScanStarted, self.started_at, None, None),
            RunState::Completed { at, threats_found } => (EventType::ScanCompleted, *at, Some(*threats_found), None),
            RunState::Failed { at, error } => (EventType::ScanFailed, *at, None, Some(error.clone())),
        };
        let data = ScanData {
            scan_id: self.id.bare(),
            threats_found,
            details,
            error,
            project_id: Some(self.project_id.bare()),
            tool: self.tool.clone(),
        };
        let event = Event { id: id.0, event_type, occurred_at, data: Data::from_typed(&data) };
        NewEvent::of(event, Some(self.project_id))
    }
}
