//! Scans that are announced when they begin and ended by a word: in progress, completed, failed.

use std::sync::Arc;

use axum::extract::{FromRef, Request, State};
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::id::{EventId, OrgId, ProjectId, ScanId};
use watchbell_domain::port::{Acceptance, ProjectStore, ScanRunStore};
use watchbell_domain::scan_run::{RunState, ScanRun};
use watchbell_engine::ingest::event::delivery_ids;

use crate::auth::{Tenant, right};
use crate::body::{BodyReader, Write};
use crate::edge::{Edge, Making};
use crate::once::{answer, finish};
use crate::path::IdIn;
use crate::problem::{Body, Problem, Result};

/// Longest name of a tool, in characters.
const TOOL_LENGTH_MAX: usize = 200;
/// Longest error, in characters.
const ERROR_LENGTH_MAX: usize = 2_000;

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .routes(routes!(start_scan))
        .routes(routes!(get_scan))
        .routes(routes!(complete_scan))
        .routes(routes!(fail_scan))
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRun {
    /// A UUID of your own.
    scan_id: Option<String>,
    /// What scans.
    tool: Option<String>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Completion {
    /// A number of threats, not a flag; the number of details when left out.
    threats_found: Option<u64>,
    /// One entry a threat, of any shape; `id`, `name`, `severity`, `path`, `action` are read where they are there.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    details: Vec<Value>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Failing {
    /// Why.
    error: String,
}

/// An announced scan.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ScanRun)]
struct RunView {
    id: String,
    project_id: String,
    tool: Option<String>,
    /// `in_progress`, `completed`, `failed`.
    status: &'static str,
    started_at: Timestamp,
    ended_at: Option<Timestamp>,
    threats_found: Option<u64>,
    error: Option<String>,
}

impl From<ScanRun> for RunView {
    fn from(run: ScanRun) -> Self {
        let status = run.state.as_str();
        let (ended_at, threats_found, error) = match run.state {
            RunState::InProgress => (None, None, None),
            RunState::Completed { at, threats_found } => (Some(at), Some(threats_found), None),
            RunState::Failed { at, error } => (Some(at), None, Some(error)),
        };
        Self {
            id: run.id.to_string(),
            project_id: run.project_id.to_string(),
            tool: run.tool,
            status,
            started_at: run.started_at,
            ended_at,
            threats_found,
            error,
        }
    }
}

/// What announcing and ending scans takes.
#[derive(Clone)]
struct Running {
    runs: Arc<dyn ScanRunStore>,
    projects: Arc<dyn ProjectStore>,
    making: Making,
    bodies: BodyReader,
}

impl FromRef<Edge> for Running {
    fn from_ref(edge: &Edge) -> Self {
        Self {
            runs: Arc::from_ref(edge),
            projects: Arc::from_ref(edge),
            making: Making::from_ref(edge),
            bodies: BodyReader::from_ref(edge),
        }
    }
}

impl Running {
    fn told(&self, run: &ScanRun, details: Vec<Value>, now: Timestamp) -> Acceptance {
        let event = run.event(details, EventId::make(now, &*self.making.entropy));
        let delivery_ids = delivery_ids(&*self.making.entropy);
        Acceptance { org_id: run.org_id, events: vec![event], accepted_at: now, delivery_ids }
    }

    async fn end(
        &self,
        org: OrgId,
        id: ScanId,
        write: &Write,
        details: Vec<Value>,
        state: impl FnOnce(Timestamp) -> RunState,
    ) -> Result<Response> {
        let seen = self.runs.scan_run(org, id).await?.ok_or(Problem::NotFound)?;
        let now = self.making.clock.now();
        let run = ScanRun { state: state(now), ..seen };
        let told = self.told(&run, details, now);
        let answer = answer(StatusCode::OK, &RunView::from(run.clone()));
        let written = self.runs.end_scan(run, told, write.once.with(&answer)).await?;
        finish(written, answer)
    }
}

/// Announce a scan that begins; `scan.started` follows.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/projects/{id}/scans/start", tag = "projects", request_body = NewRun,
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 201, body = RunView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn start_scan(
    tenant: Tenant<right::ProjectsWrite>,
    IdIn(id): IdIn<ProjectId>,
    State(running): State<Running>,
    request: Request,
) -> Result<Response> {
    let write = running.bodies.optional_json(request).await?;
    let given: NewRun = write.parse_or_default()?;
    running.projects.project(tenant.org, id).await?.ok_or(Problem::NotFound)?;
    let is_tool = |tool: &String| (1..=TOOL_LENGTH_MAX).contains(&tool.chars().count());
    if given.tool.as_ref().is_some_and(|tool| !is_tool(tool)) {
        return Err(Problem::payload("/tool", "a tool's name has 1 to 200 characters"));
    }
    let now = running.making.clock.now();
    let scan_id = match given.scan_id {
        None => ScanId::make(now, &*running.making.entropy),
        Some(text) => text.parse().map_err(|error| Problem::payload("/scan_id", format!("{error}")))?,
    };
    let run = ScanRun {
        id: scan_id,
        org_id: tenant.org,
        project_id: id,
        tool: given.tool,
        started_at: now,
        state: RunState::InProgress,
    };
    let told = running.told(&run, Vec::new(), now);
    let answer = answer(StatusCode::CREATED, &RunView::from(run.clone()));
    let written = running.runs.start_scan(run, told, write.once.with(&answer)).await?;
    finish(written, answer)
}

/// An announced scan.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/scans/{id}", tag = "projects",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = RunView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_scan(
    tenant: Tenant<right::ProjectsRead>,
    IdIn(id): IdIn<ScanId>,
    State(running): State<Running>,
) -> Result<axum::Json<RunView>> {
    let found = running.runs.scan_run(tenant.org, id).await?;
    Ok(axum::Json(found.ok_or(Problem::NotFound)?.into()))
}

/// End an announced scan with what it found; `scan.completed` follows. No finding is opened or closed by it: for that,
/// post the report.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/scans/{id}/complete", tag = "projects", request_body = Completion,
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = RunView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn complete_scan(
    tenant: Tenant<right::ProjectsWrite>,
    IdIn(id): IdIn<ScanId>,
    State(running): State<Running>,
    request: Request,
) -> Result<Response> {
    let write = running.bodies.optional_json(request).await?;
    let given: Completion = write.parse_or_default()?;
    let counted = u64::try_from(given.details.len()).unwrap_or(u64::MAX);
    let threats_found = given.threats_found.unwrap_or(counted);
    if i64::try_from(threats_found).is_err() {
        return Err(Problem::payload("/threats_found", "so many threats there are not"));
    }
    running.end(tenant.org, id, &write, given.details, |at| RunState::Completed { at, threats_found }).await
}

/// End an announced scan that could not be carried out; `scan.failed` follows.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/scans/{id}/fail", tag = "projects", request_body = Failing,
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = RunView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn fail_scan(
    tenant: Tenant<right::ProjectsWrite>,
    IdIn(id): IdIn<ScanId>,
    State(running): State<Running>,
    request: Request,
) -> Result<Response> {
    let write = running.bodies.json(request, running.bodies.limits.other_bytes_max).await?;
    let error = write.parse::<Failing>()?.error;
    if error.trim().is_empty() || error.chars().count() > ERROR_LENGTH_MAX {
        return Err(Problem::payload("/error", "an error has 1 to 2000 characters"));
    }
    running.end(tenant.org, id, &write, Vec::new(), |at| RunState::Failed { at, error }).await
}
