//! Evidence: documents that are kept, and read in the background.

use std::sync::Arc;

use axum::body::Body as Content;
use axum::extract::{FromRef, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::io::AsyncReadExt;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::audit::Action;
use watchbell_domain::evidence::{Evidence, EvidenceState, Found};
use watchbell_domain::id::{EvidenceId, ProjectId};
use watchbell_domain::port::{EvidenceStore, ProjectStore};
use watchbell_engine::evidence;

use crate::auth::{Tenant, right};
use crate::body::BodyReader;
use crate::edge::{Edge, Making, Room};
use crate::once::{answer, finish};
use crate::page::{Cursors, List, PageQuery, QueryOf};
use crate::path::IdIn;
use crate::problem::{Body, Problem, Result};

/// Longest name of a file, in characters.
const FILE_NAME_MAX: usize = 255;
/// Longest media type.
const MEDIA_TYPE_MAX: usize = 128;
/// So much of a document is read at once.
const BLOCK_BYTES: usize = 64 * 1024;

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .routes(routes!(list_evidence, post_evidence))
        .routes(routes!(get_evidence, delete_evidence))
        .routes(routes!(get_content))
}

/// A document.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Evidence)]
struct EvidenceView {
    id: String,
    /// The project that its content is weighed for as a scan.
    project_id: Option<String>,
    file_name: String,
    /// As the uploader said.
    media_type: String,
    bytes: u64,
    /// Of the content, in hexadecimal.
    sha256: String,
    created_at: Timestamp,
    /// `pending`, `processing`, `completed`, `failed`.
    state: &'static str,
    /// When it was read.
    ended_at: Option<Timestamp>,
    /// Why it could not be.
    error: Option<String>,
    /// The format it is in; null while it waits, and when it is none that is read.
    format: Option<String>,
    components: u64,
    vulnerabilities_found: u64,
    critical_count: u64,
    high_count: u64,
}

impl From<Evidence> for EvidenceView {
    fn from(evidence: Evidence) -> Self {
        let ended_at = evidence.state.ended_at();
        let state = evidence.state.as_str();
        let (found, error) = match evidence.state {
            EvidenceState::Completed { found, .. } => (found, None),
            EvidenceState::Failed { error, .. } => (Found::default(), Some(error)),
            EvidenceState::Pending | EvidenceState::Processing => (Found::default(), None),
        };
        Self {
            id: evidence.id.to_string(),
            project_id: evidence.project_id.map(|id| id.to_string()),
            file_name: evidence.file_name,
            media_type: evidence.media_type,
            bytes: evidence.bytes,
            sha256: hex::encode(evidence.sha256),
            created_at: evidence.created_at,
            state,
            ended_at,
            error,
            format: found.format,
            components: found.components,
            vulnerabilities_found: found.vulnerabilities,
            critical_count: found.critical,
            high_count: found.high,
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct NewEvidence {
    /// The document's name, for people.
    file_name: String,
    /// A project: what the document holds is weighed as a scan of it.
    project: Option<String>,
}

/// What taking a document takes.
#[derive(Clone)]
struct Taking {
    evidence: Arc<dyn EvidenceStore>,
    projects: Arc<dyn ProjectStore>,
    content: Arc<evidence::Content>,
    making: Making,
    bodies: BodyReader,
    room: Room,
}

impl FromRef<Edge> for Taking {
    fn from_ref(edge: &Edge) -> Self {
        Self {
            evidence: Arc::from_ref(edge),
            projects: Arc::from_ref(edge),
            content: Arc::from_ref(edge),
            making: Making::from_ref(edge),
            bodies: BodyReader::from_ref(edge),
            room: Room::from_ref(edge),
        }
    }
}

/// Upload a document: a report, a bill of materials, any file. It is kept as it is, and read in the background.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/evidence", tag = "evidence",
    request_body(content = String, content_type = "application/octet-stream", description = "The document"),
    params(("org" = String, Path, description = "Id or slug"), NewEvidence),
    responses((status = 202, body = EvidenceView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn post_evidence(
    tenant: Tenant<right::EvidenceWrite>,
    State(taking): State<Taking>,
    QueryOf(given): QueryOf<NewEvidence>,
    request: Request,
) -> Result<Response> {
    let file_name = named(&given.file_name)?;
    let project_id = match &given.project {
        None => None,
        Some(text) => Some(project(&tenant, &taking, text).await?),
    };
    let media_type = media_type(&request);
    let limit = taking.bodies.limits.evidence_bytes_max;
    let upload = taking.bodies.spooled(request, limit, &taking.room).await?;
    let now = taking.making.clock.now();
    let evidence = Evidence {
        id: EvidenceId::make(now, &*taking.making.entropy),
        org_id: tenant.org,
        project_id,
        file_name,
        media_type,
        sha256: upload.body.sha256(),
        bytes: upload.body.bytes(),
        created_at: now,
        state: EvidenceState::Pending,
    };
    let answer = answer(StatusCode::ACCEPTED, &EvidenceView::from(evidence.clone()));
    let detail = json!({"file_name": evidence.file_name, "sha256": hex::encode(evidence.sha256)});
    let deed = tenant.caller.deed(Action::EvidenceCreate, evidence.id, now, detail);
    let terms = upload.once.terms(&answer, deed);
    let written = evidence::add(&*taking.evidence, &taking.content, evidence, upload.body, terms).await?;
    finish(written, answer)
}

/// By id, or by name: who uploads from a pipeline knows the name.
async fn project(tenant: &Tenant<right::EvidenceWrite>, taking: &Taking, text: &str) -> Result<ProjectId> {
    let by_id = match text.parse::<ProjectId>() {
        Ok(id) => taking.projects.project(tenant.org, id).await?,
        Err(_) => None,
    };
    let found = match by_id {
        Some(project) => Some(project),
        None => taking.projects.project_by_name(tenant.org, text.to_owned()).await?,
    };
    found.map(|project| project.id).ok_or(Problem::NotFound)
}

fn named(text: &str) -> Result<String> {
    let is_fit =
        !text.trim().is_empty() && text.chars().count() <= FILE_NAME_MAX && !text.chars().any(char::is_control);
    let unfit =
        || Problem::QueryInvalid("file_name has from 1 to 255 characters, none of them a control character".into());
    is_fit.then(|| text.to_owned()).ok_or_else(unfit)
}

fn media_type(request: &Request) -> String {
    let given = request.headers().get(header::CONTENT_TYPE).and_then(|line| line.to_str().ok());
    given.filter(|text| text.len() <= MEDIA_TYPE_MAX).unwrap_or("application/octet-stream").to_owned()
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct EvidenceQuery {
    /// Only documents of this project.
    project: Option<String>,
    #[serde(flatten)]
    #[param(ignore)]
    page: PageQuery,
}

/// The organisation's documents.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/evidence", tag = "evidence",
    params(("org" = String, Path, description = "Id or slug"), EvidenceQuery, PageQuery),
    responses((status = 200, body = List<EvidenceView>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_evidence(
    tenant: Tenant<right::EvidenceRead>,
    State(evidence): State<Arc<dyn EvidenceStore>>,
    State(cursors): State<Cursors>,
    QueryOf(query): QueryOf<EvidenceQuery>,
) -> Result<axum::Json<List<EvidenceView>>> {
    let unfit = |_| Problem::QueryInvalid("project is the id of a project".into());
    let project = query.project.as_deref().map(str::parse::<ProjectId>).transpose().map_err(unfit)?;
    let scope = format!("{}/evidence", tenant.org);
    let page = evidence.evidences(tenant.org, project, cursors.page(&scope, &query.page)?).await?;
    Ok(axum::Json(cursors.list(&scope, page, |evidence| evidence.id.0, EvidenceView::from)))
}

/// Show a document.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/evidence/{id}", tag = "evidence",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = EvidenceView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_evidence(
    tenant: Tenant<right::EvidenceRead>,
    IdIn(id): IdIn<EvidenceId>,
    State(evidence): State<Arc<dyn EvidenceStore>>,
) -> Result<axum::Json<EvidenceView>> {
    let found = evidence.evidence(tenant.org, id).await?;
    Ok(axum::Json(found.ok_or(Problem::NotFound)?.into()))
}

/// The document itself, byte for byte.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/evidence/{id}/content", tag = "evidence",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = String, content_type = "application/octet-stream"),
        (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_content(
    tenant: Tenant<right::EvidenceRead>,
    IdIn(id): IdIn<EvidenceId>,
    State(evidence): State<Arc<dyn EvidenceStore>>,
    State(content): State<Arc<evidence::Content>>,
) -> Result<Response> {
    let found = evidence.evidence(tenant.org, id).await?.ok_or(Problem::NotFound)?;
    let file = content.read(tenant.org, found.sha256).await.map_err(evidence::Error::from)?;
    let file = tokio::fs::File::from_std(file.ok_or(Problem::NotFound)?);
    let blocks = stream::unfold(file, |mut file| async move {
        let mut block = vec![0; BLOCK_BYTES];
        match file.read(&mut block).await {
            Ok(0) => None,
            Ok(count) => {
                block.truncate(count);
                Some((Ok(Bytes::from(block)), file))
            }
            Err(error) => Some((Err(error), file)),
        }
    });
    // Never as what the uploader called it: a browser would show it as a page of ours.
    let kind = HeaderValue::from_static("application/octet-stream");
    let disposition = HeaderValue::from_static("attachment");
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_DISPOSITION, disposition),
        (header::CONTENT_LENGTH, HeaderValue::from(found.bytes)),
    ];
    Ok((headers, Content::from_stream(blocks)).into_response())
}

/// Delete a document, and its content with the last that has it. What was found in it stays.
#[utoipa::path(delete, path = "/api/v1/orgs/{org}/evidence/{id}", tag = "evidence",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn delete_evidence(
    tenant: Tenant<right::EvidenceWrite>,
    IdIn(id): IdIn<EvidenceId>,
    State(taking): State<Taking>,
) -> Result<StatusCode> {
    let deed = tenant.caller.deed(Action::EvidenceDelete, id, taking.making.clock.now(), json!(null));
    let gone = evidence::delete(&*taking.evidence, &taking.content, tenant.org, id, Some(deed)).await?;
    if gone { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::NotFound) }
}

impl From<evidence::Error> for Problem {
    fn from(error: evidence::Error) -> Self {
        match error {
            evidence::Error::File(error) => Self::of_file(&error),
            evidence::Error::Store(error) => error.into(),
        }
    }
}
