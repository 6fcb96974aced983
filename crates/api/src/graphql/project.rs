//! Projects and their scans.

use async_graphql::{ComplexObject, Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use http::Method;
use serde::{Deserialize, Serialize};

use super::error::Answer;
use super::event::Event;
use super::finding::{Finding, FindingStatus};
use super::list::{Node, Page, Wanted, node_of_org};
use super::operation::{Path, session};
use super::scalar::{DateTime, Json, is_left_out};
use crate::problem::Problem;

/// Something that is scanned again and again.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
#[graphql(complex)]
pub(super) struct Project {
    pub(super) id: ID,
    name: String,
    created_at: DateTime,
    last_scan_at: Option<DateTime>,
    /// Who answers for it.
    owner: Option<String>,
    /// What it is sorted by.
    labels: Json,
    #[graphql(skip)]
    #[serde(skip)]
    org: String,
}

node_of_org!(Project);

#[ComplexObject]
impl Project {
    /// Its findings, newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn findings(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        status: Option<FindingStatus>,
    ) -> Answer<Page<Finding>> {
        let path = Path::org(&self.org).then("projects").id(&self.id).then("findings");
        let path = path.with("status", status.map(FindingStatus::name));
        let scope = format!("{}/findings", self.id.as_str());
        Ok(session(ctx).list(&self.org, path, &scope, Wanted { first, after }).await?)
    }

    /// The events about it, newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn events(&self, ctx: &Context<'_>, first: Option<i32>, after: Option<String>) -> Answer<Page<Event>> {
        let path = Path::org(&self.org).then("events").with("project", Some(self.id.as_str()));
        Ok(session(ctx).list(&self.org, path, "events", Wanted { first, after }).await?)
    }
}

/// A project that is to be made.
#[derive(Debug, InputObject, Serialize)]
pub(super) struct ProjectInput {
    /// Unique in the organisation.
    name: String,
    /// Who answers for it: a team, or a mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    /// What it is sorted by: `{team: "payments", tier: "1"}`. Filters read them.
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Json>,
}

/// What is to be said of a project. Members left out stay.
#[derive(Debug, InputObject, Serialize)]
pub(super) struct ProjectChangeInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Null takes the owner away.
    #[serde(skip_serializing_if = "is_left_out")]
    owner: MaybeUndefined<String>,
    /// All labels: those left out are taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Json>,
}

/// A scanner's report: `report` as JSON, or `reportText` as it is.
#[derive(Debug, InputObject)]
pub(super) struct ScanInput {
    report: Option<Json>,
    report_text: Option<String>,
    /// The report covers a part of the project: what it does not mention is not gone.
    #[graphql(default)]
    partial: bool,
    /// The tool, where the report does not say it.
    tool: Option<String>,
    /// When the tool looked, where the report does not say it: a scan that comes late is put where it belongs.
    scanned_at: Option<DateTime>,
}

/// One test of a project.
#[derive(Debug, SimpleObject, Deserialize)]
pub(super) struct Scan {
    pub(super) id: ID,
    project_id: ID,
    tool: String,
    received_at: DateTime,
    /// `completed`, `failed`.
    status: String,
    findings_seen: i64,
    findings_new: i64,
    findings_removed: i64,
    error: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct ProjectMutation;

#[Object]
impl ProjectMutation {
    /// Make a project.
    async fn create_project(&self, ctx: &Context<'_>, input: ProjectInput, org: Option<ID>) -> Answer<Project> {
        let own = session(ctx).org(org.as_ref()).await?;
        let path = Path::org(&own.id).then("projects");
        let made: Project = session(ctx).write(ctx, Method::POST, path, &input).await?;
        Ok(made.within(&own.id))
    }

    /// Give a project another name, owner or labels.
    async fn update_project(
        &self,
        ctx: &Context<'_>,
        id: ID,
        input: ProjectChangeInput,
        org: Option<ID>,
    ) -> Answer<Project> {
        let own = session(ctx).org(org.as_ref()).await?;
        let path = Path::org(&own.id).then("projects").id(&id);
        let changed: Project = session(ctx).write(ctx, Method::PATCH, path, &input).await?;
        Ok(changed.within(&own.id))
    }

    /// Post a scanner's report: SARIF, CycloneDX and other formats.
    async fn post_scan(&self, ctx: &Context<'_>, project: ID, input: ScanInput, org: Option<ID>) -> Answer<Scan> {
        let own = session(ctx).org(org.as_ref()).await?;
        let (kind, report) = match (input.report, input.report_text) {
            (Some(json), None) => ("application/json", serde_json::to_vec(&json).unwrap_or_default()),
            (None, Some(text)) => ("application/octet-stream", text.into_bytes()),
            _ => return Err(Problem::payload("/report", "either report or reportText is wanted").into()),
        };
        let path = Path::org(&own.id).then("projects").id(&project).then("scans");
        let path = path.with("partial", input.partial.then_some(true)).with("tool", input.tool);
        let path = path.with("scanned_at", input.scanned_at.map(|at| at.0));
        Ok(session(ctx).upload(ctx, path, kind, report).await?)
    }
}
