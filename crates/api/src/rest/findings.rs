//! Findings: looked up, judged, and what happened to them.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::audit::Action;
use watchbell_domain::finding::{ChangedBy, Finding, FindingStatus, Verdict, identity};
use watchbell_domain::id::{FindingId, ProjectId};
use watchbell_domain::port::{FindingFilter, FindingStore, ProjectStore};
use watchbell_engine::ingest::judge;
use watchbell_wire::Severity;

use super::finding_view::{ChangeView, FindingView};
use crate::auth::{Tenant, right};
use crate::body::BodyReader;
use crate::edge::{Edge, Making};
use crate::once::{answer, finish};
use crate::page::{Cursors, List, PageQuery, QueryOf};
use crate::path::IdIn;
use crate::problem::{At, Body, Problem, Result};

/// Longest reason, in characters.
const REASON_MAX: usize = 2_000;

const STATUSES: &str = "status is one of: open, remediated, suppressed, accepted, false_positive";
const SEVERITIES: &str = "severity is one of: critical, high, medium, low, info, unknown";

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .routes(routes!(list_findings))
        .routes(routes!(list_org_findings))
        .routes(routes!(get_finding, judge_finding))
        .routes(routes!(finding_history))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct FindingsQuery {
    /// `open`, `remediated`, `suppressed`, `accepted`, `false_positive`; every status when left out.
    status: Option<String>,
    #[serde(flatten)]
    #[param(ignore)]
    page: PageQuery,
}

/// A project's findings.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/projects/{id}/findings", tag = "projects",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path), FindingsQuery, PageQuery),
    responses((status = 200, body = List<FindingView>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_findings(
    tenant: Tenant<right::FindingsRead>,
    IdIn(id): IdIn<ProjectId>,
    State(projects): State<Arc<dyn ProjectStore>>,
    State(cursors): State<Cursors>,
    QueryOf(query): QueryOf<FindingsQuery>,
) -> Result<axum::Json<List<FindingView>>> {
    let status = named(query.status.as_deref(), FindingStatus::parse, STATUSES)?;
    projects.project(tenant.org, id).await?.ok_or(Problem::NotFound)?;
    let scope = format!("{}/{id}/findings", tenant.org);
    let page = cursors.page(&scope, &query.page)?;
    let found = projects.findings(tenant.org, id, status, page).await?;
    Ok(axum::Json(cursors.list(&scope, found, |finding| finding.id.0, FindingView::from)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct OrgFindingsQuery {
    /// `open`, `remediated`, `suppressed`, `accepted`, `false_positive`; every status when left out.
    status: Option<String>,
    /// `critical`, `high`, `medium`, `low`, `info`, `unknown`.
    severity: Option<String>,
    /// Of this project.
    project: Option<String>,
    /// That have this name: a CVE, or any other that a report gave them.
    cve: Option<String>,
    /// In a component of this name, or of this package URL (with or without version).
    component: Option<String>,
    #[serde(flatten)]
    #[param(ignore)]
    page: PageQuery,
}

/// The organisation's findings.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/findings", tag = "findings",
    params(("org" = String, Path, description = "Id or slug"), OrgFindingsQuery, PageQuery),
    responses((status = 200, body = List<FindingView>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_org_findings(
    tenant: Tenant<right::FindingsRead>,
    State(findings): State<Arc<dyn FindingStore>>,
    State(cursors): State<Cursors>,
    QueryOf(query): QueryOf<OrgFindingsQuery>,
) -> Result<axum::Json<List<FindingView>>> {
    let project = |text: &str| text.parse::<ProjectId>().ok();
    let filter = FindingFilter {
        status: named(query.status.as_deref(), FindingStatus::parse, STATUSES)?,
        severity: named(query.severity.as_deref(), Severity::parse, SEVERITIES)?,
        project_id: named(query.project.as_deref(), project, "project is a project's id")?,
        name: query.cve.as_deref().map(identity::normal_name),
        component: query.component,
    };
    let scope = format!("{}/findings", tenant.org);
    let page = cursors.page(&scope, &query.page)?;
    let found = findings.org_findings(tenant.org, filter, page).await?;
    Ok(axum::Json(cursors.list(&scope, found, |finding| finding.id.0, FindingView::from)))
}

/// A parameter that names one of a few things.
fn named<T>(given: Option<&str>, read: impl Fn(&str) -> Option<T>, wanted: &'static str) -> Result<Option<T>> {
    given.map(|text| read(text).ok_or_else(|| Problem::QueryInvalid(wanted.into()))).transpose()
}

/// Show a finding. The id of one that was merged into another leads to that one.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/findings/{id}", tag = "findings",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = FindingView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_finding(
    tenant: Tenant<right::FindingsRead>,
    IdIn(id): IdIn<FindingId>,
    State(projects): State<Arc<dyn ProjectStore>>,
) -> Result<axum::Json<FindingView>> {
    let found = projects.finding(tenant.org, id).await?;
    Ok(axum::Json(found.ok_or(Problem::NotFound)?.into()))
}

/// What is said of a finding.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FindingVerdict {
    /// `open` (lifts what was said before), `suppressed`, `accepted`, `false_positive`.
    status: StatusText,
    /// Why; for the history, and for those who are told.
    #[serde(default)]
    #[schema(max_length = 2000)]
    reason: Option<String>,
    /// Until when the risk is accepted; without it, until somebody reopens the finding.
    #[serde(default)]
    until: Option<Timestamp>,
}

/// A status on its way in.
#[derive(Debug, Clone, Copy)]
struct StatusText(FindingStatus);

impl<'de> Deserialize<'de> for StatusText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        FindingStatus::parse(&text).map(Self).ok_or_else(|| serde::de::Error::custom(STATUSES))
    }
}

impl utoipa::PartialSchema for StatusText {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::schema::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .enum_values(Some(["open", "suppressed", "accepted", "false_positive"]))
            .into()
    }
}

impl ToSchema for StatusText {}

/// Judge a finding: suppress it, accept its risk (until a time), call it a false positive, or reopen it.
#[utoipa::path(patch, path = "/api/v1/orgs/{org}/findings/{id}", tag = "findings", request_body = FindingVerdict,
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = FindingView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn judge_finding(
    tenant: Tenant<right::FindingsWrite>,
    IdIn(id): IdIn<FindingId>,
    State(findings): State<Arc<dyn FindingStore>>,
    State(making): State<Making>,
    State(bodies): State<BodyReader>,
    request: Request,
) -> Result<Response> {
    let write = bodies.json(request, bodies.limits.other_bytes_max).await?;
    let given: FindingVerdict = write.parse()?;
    let reason = given.reason.unwrap_or_default().trim().to_owned();
    if reason.chars().count() > REASON_MAX {
        let detail = format!("a reason has at most {REASON_MAX} characters");
        return Err(Problem::PayloadInvalid(vec![At { pointer: "/reason".into(), detail }]));
    }
    let key = &tenant.caller.key;
    let by = ChangedBy::Key { id: key.id, name: key.name.clone() };
    let verdict = Verdict { status: given.status.0, reason, until: given.until, by };
    let now = making.clock.now();
    let promised = |finding: &Finding| answer(StatusCode::OK, &FindingView::from(finding.clone()));
    let detail = json!({"status": verdict.status.as_str(), "reason": verdict.reason, "until": verdict.until});
    let terms = |finding: &Finding| {
        let deed = tenant.caller.deed(Action::FindingJudge, finding.id, now, detail.clone());
        write.once.terms(&promised(finding), deed)
    };
    let done = judge::judge(&*findings, &*making.entropy, (tenant.org, id), verdict, now, terms).await?;
    finish(done.written, promised(&done.finding))
}

impl From<judge::Error> for Problem {
    fn from(error: judge::Error) -> Self {
        use watchbell_domain::finding::Unjudgeable;
        match error {
            judge::Error::NoSuchFinding => Self::NotFound,
            judge::Error::Unjudgeable(why) => {
                let pointer = match why {
                    Unjudgeable::RemediatedByWord | Unjudgeable::Gone => "/status",
                    Unjudgeable::UntilOfAnother | Unjudgeable::UntilPassed => "/until",
                };
                Self::PayloadInvalid(vec![At { pointer: pointer.into(), detail: why.to_string() }])
            }
            judge::Error::Store(error) => error.into(),
        }
    }
}

/// What happened to a finding, newest first.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/findings/{id}/history", tag = "findings",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path), PageQuery),
    responses((status = 200, body = List<ChangeView>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn finding_history(
    tenant: Tenant<right::FindingsRead>,
    IdIn(id): IdIn<FindingId>,
    State(projects): State<Arc<dyn ProjectStore>>,
    State(findings): State<Arc<dyn FindingStore>>,
    State(cursors): State<Cursors>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<axum::Json<List<ChangeView>>> {
    let finding = projects.finding(tenant.org, id).await?.ok_or(Problem::NotFound)?;
    let scope = format!("{}/{}/history", tenant.org, finding.id);
    let page = cursors.page(&scope, &query)?;
    let found = findings.finding_history(tenant.org, finding.id, page).await?;
    Ok(axum::Json(cursors.list(&scope, found, |change| change.id.0, ChangeView::from)))
}
