//! Plans of action as JSON, given and shown.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchbell_domain::id::FindingId;
use watchbell_domain::poam::{Due, Item, Milestone, Settings, State, Status};
use watchbell_engine::admin::poam::{Change, Spec};

use super::endpoint_given::present;
use crate::problem::{Problem, Result};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewItem {
    /// What is to be remediated.
    finding_id: String,
    /// A date (until its end in the organisation's time zone) or an instant.
    scheduled_completion_date: String,
    /// The finding's title when left out.
    title: Option<String>,
    /// Who sees to it.
    owner: Option<String>,
    /// Anything else.
    notes: Option<String>,
    /// Steps on the way.
    #[serde(default)]
    milestones: Vec<MilestoneView>,
}

/// What may be changed. Members left out stay; null takes a value away.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ItemChange {
    /// Another date rings from its own beginning.
    scheduled_completion_date: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    title: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    owner: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    notes: Option<Option<String>>,
    /// All of them.
    milestones: Option<Vec<MilestoneView>>,
    /// `open`, `completed`, `cancelled`.
    status: Option<String>,
}

/// A step on the way.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Milestone)]
pub(super) struct MilestoneView {
    title: String,
    /// A date or an instant.
    due: String,
    /// When it was taken.
    completed_at: Option<Timestamp>,
}

/// A plan of action.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PoamItem)]
pub(super) struct ItemView {
    id: String,
    finding_id: String,
    project_id: Option<String>,
    /// `open`, `overdue`, `completed`, `cancelled`.
    status: &'static str,
    /// Its own, or the finding's.
    title: Option<String>,
    severity: &'static str,
    cve_id: Option<String>,
    owner: Option<String>,
    notes: Option<String>,
    /// As it was given.
    scheduled_completion_date: String,
    /// The first instant at which it is late.
    deadline_at: Timestamp,
    /// Until the scheduled date; null once that has passed.
    days_remaining: Option<i64>,
    /// Since the scheduled date; null before.
    days_overdue: Option<i64>,
    milestones: Vec<MilestoneView>,
    /// `api`, or `policy` when the organisation's policy made it.
    origin: &'static str,
    /// When it was completed.
    completed_at: Option<Timestamp>,
    /// `remediation` or `hand`.
    completed_by: Option<&'static str>,
    /// When it was cancelled.
    cancelled_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl ItemView {
    pub(super) fn new(item: Item, settings: &Settings, now: Timestamp) -> Self {
        let (completed, cancelled_at) = match item.state {
            State::Open => (None, None),
            State::Completed { at, by } => (Some((at, by)), None),
            State::Cancelled { at } => (None, Some(at)),
        };
        let (days_remaining, days_overdue) = match item.state {
            State::Open => watchbell_domain::poam::Schedule::new(item.due, settings).days(now),
            State::Completed { .. } | State::Cancelled { .. } => (None, None),
        };
        Self {
            id: item.id.to_string(),
            finding_id: item.finding_id.to_string(),
            project_id: item.project_id.map(|id| id.to_string()),
            status: item.status(settings, now).as_str(),
            title: item.shown_title().map(str::to_owned),
            severity: item.about.severity.as_str(),
            cve_id: item.about.cve_id,
            owner: item.owner,
            notes: item.notes,
            scheduled_completion_date: item.due.to_string(),
            deadline_at: item.due.deadline(&settings.zone),
            days_remaining,
            days_overdue,
            milestones: item.milestones.into_iter().map(MilestoneView::from).collect(),
            origin: item.origin.as_str(),
            completed_at: completed.map(|(at, _)| at),
            completed_by: completed.map(|(_, by)| by.as_str()),
            cancelled_at,
            created_at: item.created_at,
            updated_at: item.updated_at,
        }
    }
}

impl From<Milestone> for MilestoneView {
    fn from(milestone: Milestone) -> Self {
        Self { title: milestone.title, due: milestone.due.to_string(), completed_at: milestone.completed_at }
    }
}

impl NewItem {
    pub(super) fn spec(self) -> Result<Spec> {
        let finding_id: FindingId =
            self.finding_id.parse().map_err(|error| Problem::payload("/finding_id", format!("{error}")))?;
        Ok(Spec {
            finding_id,
            due: due("/scheduled_completion_date", &self.scheduled_completion_date)?,
            title: self.title,
            owner: self.owner,
            notes: self.notes,
            milestones: milestones(self.milestones)?,
        })
    }
}

impl ItemChange {
    pub(super) fn change(self) -> Result<Change> {
        let unknown = || Problem::payload("/status", "status is one of: open, completed, cancelled");
        Ok(Change {
            due: self.scheduled_completion_date.map(|text| due("/scheduled_completion_date", &text)).transpose()?,
            title: self.title,
            owner: self.owner,
            notes: self.notes,
            milestones: self.milestones.map(milestones).transpose()?,
            status: self.status.map(|text| Status::parse(&text).ok_or_else(unknown)).transpose()?,
        })
    }
}

fn milestones(given: Vec<MilestoneView>) -> Result<Vec<Milestone>> {
    let milestone = |(index, given): (usize, MilestoneView)| {
        let due = due(&format!("/milestones/{index}/due"), &given.due)?;
        Ok(Milestone { title: given.title, due, completed_at: given.completed_at })
    };
    given.into_iter().enumerate().map(milestone).collect()
}

fn due(pointer: &str, text: &str) -> Result<Due> {
    text.parse().map_err(|error| Problem::payload(pointer, format!("{error}")))
}
