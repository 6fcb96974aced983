//! Projects and their scans.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{FromRef, Request, State};
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::audit::{Action, changes};
use watchbell_domain::id::{ProjectId, ScanId};
use watchbell_domain::org::Project;
use watchbell_domain::port::{OrgStore, ProjectStore, Written};
use watchbell_domain::scan::{Scan, ScanStatus};
use watchbell_engine::admin::org::{self, Description};
use watchbell_engine::ingest::scan::{self, Document, Submission};

use super::endpoint_given::present;
use crate::auth::{Tenant, right};
use crate::body::BodyReader;
use crate::edge::{Edge, Making, Room};
use crate::once::{answer, finish};
use crate::page::{Cursors, List, PageQuery, QueryOf};
use crate::path::IdIn;
use crate::problem::{Body, Problem, Result};

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .routes(routes!(list_projects, create_project))
        .routes(routes!(get_project, change_project))
        .routes(routes!(post_scan))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewProject {
    /// Unique in the organisation.
    name: String,
    /// Who answers for it: a team, or a mail address.
    owner: Option<String>,
    /// What it is sorted by: `{"team": "payments", "tier": "1"}`. Filters read them.
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// What is to be said of a project. Members left out stay.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProjectChange {
    name: Option<String>,
    /// Null takes the owner away.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    owner: Option<Option<String>>,
    /// All labels: those left out are taken away.
    labels: Option<BTreeMap<String, String>>,
}

/// Something that is scanned again and again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Project)]
struct ProjectView {
    id: String,
    name: String,
    created_at: Timestamp,
    last_scan_at: Option<Timestamp>,
    owner: Option<String>,
    labels: BTreeMap<String, String>,
}

impl From<Project> for ProjectView {
    fn from(project: Project) -> Self {
        Self {
            id: project.id.to_string(),
            name: project.name,
            created_at: project.created_at,
            last_scan_at: project.last_scan_at,
            owner: project.owner,
            labels: project.labels,
        }
    }
}

/// A scan.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Scan)]
struct ScanView {
    id: String,
    project_id: String,
    tool: String,
    received_at: Timestamp,
    /// `completed`, `failed`.
    status: &'static str,
    findings_seen: u64,
    findings_new: u64,
    findings_removed: u64,
    error: Option<String>,
}

impl From<&Scan> for ScanView {
    fn from(scan: &Scan) -> Self {
        Self {
            id: scan.id.to_string(),
            project_id: scan.project_id.to_string(),
            tool: scan.tool.clone(),
            received_at: scan.received_at,
            status: scan.status.as_str(),
            findings_seen: scan.findings_seen,
            findings_new: scan.findings_new,
            findings_removed: scan.findings_removed,
            error: scan.error.clone(),
        }
    }
}

/// Make a project.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/projects", tag = "projects", request_body = NewProject,
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 201, body = ProjectView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn create_project(
    tenant: Tenant<right::ProjectsWrite>,
    State(projects): State<Arc<dyn ProjectStore>>,
    State(making): State<Making>,
    State(bodies): State<BodyReader>,
    request: Request,
) -> Result<Response> {
    let write = bodies.json(request, bodies.limits.other_bytes_max).await?;
    let given: NewProject = write.parse()?;
    let now = making.clock.now();
    let project = org::create_project(tenant.org, &given.name, now, &*making.entropy);
    let said = Description { name: None, owner: Some(given.owner), labels: Some(given.labels) };
    let project = project.and_then(|project| org::describe_project(&project, said)).map_err(super::orgs::refused)?;
    let answer = answer(StatusCode::CREATED, &ProjectView::from(project.clone()));
    let deed = tenant.caller.deed(Action::ProjectCreate, project.id, now, described(&project));
    let written = projects.create_project(project, write.once.terms(&answer, deed)).await?;
    finish(written, answer)
}

/// The organisation's projects.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/projects", tag = "projects",
    params(("org" = String, Path, description = "Id or slug"), PageQuery),
    responses((status = 200, body = List<ProjectView>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_projects(
    tenant: Tenant<right::ProjectsRead>,
    State(projects): State<Arc<dyn ProjectStore>>,
    State(cursors): State<Cursors>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<axum::Json<List<ProjectView>>> {
    let scope = format!("{}/projects", tenant.org);
    let page = projects.projects(tenant.org, cursors.page(&scope, &query)?).await?;
    Ok(axum::Json(cursors.list(&scope, page, |project| project.id.0, ProjectView::from)))
}

/// Show a project.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/projects/{id}", tag = "projects",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = ProjectView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_project(
    tenant: Tenant<right::ProjectsRead>,
    IdIn(id): IdIn<ProjectId>,
    State(projects): State<Arc<dyn ProjectStore>>,
) -> Result<axum::Json<ProjectView>> {
    let found = projects.project(tenant.org, id).await?;
    Ok(axum::Json(found.ok_or(Problem::NotFound)?.into()))
}

/// Give a project another name, owner or labels.
#[utoipa::path(patch, path = "/api/v1/orgs/{org}/projects/{id}", tag = "projects", request_body = ProjectChange,
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = ProjectView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn change_project(
    tenant: Tenant<right::ProjectsWrite>,
    IdIn(id): IdIn<ProjectId>,
    State(projects): State<Arc<dyn ProjectStore>>,
    State(making): State<Making>,
    State(bodies): State<BodyReader>,
    request: Request,
) -> Result<Response> {
    let write = bodies.json(request, bodies.limits.other_bytes_max).await?;
    let given: ProjectChange = write.parse()?;
    let seen = projects.project(tenant.org, id).await?.ok_or(Problem::NotFound)?;
    let said = Description { name: given.name, owner: given.owner, labels: given.labels };
    let changed = org::describe_project(&seen, said).map_err(super::orgs::refused)?;
    let now = making.clock.now();
    let answer = answer(StatusCode::OK, &ProjectView::from(changed.clone()));
    let deed = tenant.caller.deed(Action::ProjectUpdate, id, now, changes(&described(&seen), &described(&changed)));
    let written = projects.describe_project(seen, changed, now, write.once.terms(&answer, deed)).await?;
    finish(written, answer)
}

/// A project as the audit log shows it.
fn described(project: &Project) -> Value {
    json!({"name": project.name, "owner": project.owner, "labels": project.labels})
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ScanQuery {
    /// The report covers a part of the project: what it does not mention is not gone.
    #[serde(default)]
    partial: bool,
    /// The tool, where the report does not say it.
    tool: Option<String>,
    /// When the tool looked, where the report does not say it: a scan that comes late is put where it belongs.
    #[param(value_type = Option<String>, format = DateTime)]
    scanned_at: Option<Timestamp>,
}

/// What posting a scan takes.
#[derive(Clone)]
struct Scanning {
    orgs: Arc<dyn OrgStore>,
    projects: Arc<dyn ProjectStore>,
    making: Making,
    bodies: BodyReader,
    room: Room,
}

impl FromRef<Edge> for Scanning {
    fn from_ref(edge: &Edge) -> Self {
        Self {
            orgs: Arc::from_ref(edge),
            projects: Arc::from_ref(edge),
            making: Making::from_ref(edge),
            bodies: BodyReader::from_ref(edge),
            room: Room::from_ref(edge),
        }
    }
}

/// Post a scanner's report as it is: SARIF, CycloneDX and other formats.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/projects/{id}/scans", tag = "projects",
    request_body(content = String, content_type = "application/octet-stream", description = "The report"),
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path), ScanQuery),
    responses((status = 201, body = ScanView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn post_scan(
    tenant: Tenant<right::ProjectsWrite>,
    IdIn(id): IdIn<ProjectId>,
    State(scanning): State<Scanning>,
    QueryOf(query): QueryOf<ScanQuery>,
    request: Request,
) -> Result<Response> {
    let limit = scanning.bodies.limits.report_bytes_max;
    let upload = scanning.bodies.spooled(request, limit, &scanning.room).await?;
    let now = scanning.making.clock.now();
    let ports =
        scan::Ports { orgs: &*scanning.orgs, projects: &*scanning.projects, entropy: &*scanning.making.entropy };
    let submission = Submission {
        scan_id: ScanId::make(now, ports.entropy),
        report: Document::Spooled(upload.body),
        tool: query.tool,
        partial: query.partial,
        scanned_at: query.scanned_at,
        received_at: now,
    };
    let promised = |scan: &Scan| answer(StatusCode::CREATED, &ScanView::from(scan));
    // A failed scan is answered with a problem, which names this request and so is made anew on a repetition.
    let once = |scan: &Scan| match scan.status {
        ScanStatus::Completed => upload.once.with(&promised(scan)),
        ScanStatus::Failed => None,
    };
    let applied = scan::apply(ports, tenant.org, id, submission, once).await?;
    match (applied.scan.status, &applied.written) {
        (ScanStatus::Failed, Written::Fresh(_)) => Err(Problem::ReportInvalid(applied.scan.error.unwrap_or_default())),
        _ => finish(applied.written, promised(&applied.scan)),
    }
}

impl From<scan::Error> for Problem {
    fn from(error: scan::Error) -> Self {
        match error {
            scan::Error::NoSuchProject => Self::NotFound,
            scan::Error::Store(error) => error.into(),
        }
    }
}
