//! The audit log, read; and what other routes write into it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use watchbell_domain::audit::{Action, Chain, Entry, Head};
use watchbell_domain::id::OrgId;
use watchbell_domain::port::{AuditFilter, AuditStore};
use watchbell_engine::admin::audit;

use crate::auth::{Caller, Tenant, right};
use crate::edge::Edge;
use crate::page::{Cursors, List, PageQuery, QueryOf};
use crate::problem::{Body, Problem, Result};

/// Entries checked in one request.
const CHECKED_MAX: u64 = 100_000;
/// Lines of one export.
const LINES_MAX: u32 = 5_000;

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .routes(routes!(list_audit))
        .routes(routes!(verify_audit))
        .routes(routes!(export_audit))
        .routes(routes!(list_operator_audit))
        .routes(routes!(verify_operator_audit))
        .routes(routes!(export_operator_audit))
}

/// What a change is about, as the audit log keeps it: a view, whose secrets are masked.
pub(crate) fn audited<T: Serialize>(view: &T) -> Value {
    // Only maps with keys that are no text fail, and views are structs.
    serde_json::to_value(view).unwrap_or_default()
}

/// Who did something.
#[derive(Debug, Serialize, ToSchema)]
struct AuditActor {
    /// `key`, `member`, `system`.
    kind: String,
    /// The key's or member's id, or the part of the server.
    id: String,
    /// Its name at that time.
    name: String,
    /// A member's: the key.
    key: Option<String>,
}

/// An entry of the audit log. `hash` is SHA-256 of the rest as JSON with sorted members and without white space.
#[derive(Debug, Serialize, ToSchema)]
struct AuditEntry {
    /// Counts from 1, without gaps.
    number: u64,
    /// Null: the operators' log.
    org: Option<String>,
    at: Timestamp,
    actor: AuditActor,
    /// Such as `endpoint.update`.
    action: String,
    /// What it was done to.
    subject: Option<String>,
    /// From which address.
    address: Option<String>,
    /// In which request: its answer's `X-Request-Id`.
    request_id: Option<String>,
    /// What changed, secrets masked.
    #[schema(value_type = Object)]
    detail: Value,
    /// The hash of the entry before.
    previous: String,
    hash: String,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// The id of a key, of a member, or a part of the server.
    actor: Option<String>,
    /// Such as `endpoint.update`, or `endpoint` for all that is done to endpoints.
    action: Option<String>,
    /// The id of what it was done to.
    subject: Option<String>,
    /// At or after.
    since: Option<Timestamp>,
    /// Before.
    until: Option<Timestamp>,
    /// The operators' log alone: that of an organisation, which may be deleted.
    #[param(value_type = Option<String>)]
    org: Option<OrgId>,
    #[serde(flatten)]
    #[param(ignore)]
    page: PageQuery,
}

/// Where a check goes on, or what must not have changed since.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct HeadQuery {
    /// The number of an entry that is known to hold; the walk begins behind it.
    number: Option<u64>,
    /// Its hash, in hex.
    hash: Option<String>,
    /// The operators' log alone: that of an organisation, which may be deleted.
    #[param(value_type = Option<String>)]
    org: Option<OrgId>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ExportQuery {
    /// The number of the last entry that is already there.
    #[serde(default)]
    after: u64,
    /// The operators' log alone: that of an organisation, which may be deleted.
    #[param(value_type = Option<String>)]
    org: Option<OrgId>,
}

/// What a walk along the chain found.
#[derive(Debug, Serialize, ToSchema)]
struct AuditWalk {
    /// Nothing is broken as far as the walk came.
    ok: bool,
    /// Whether it came to the end. If not, go on with `head`.
    complete: bool,
    /// Entries that hold.
    checked: u64,
    /// Behind which entry it began: number 0 is before the first; more, where older entries were dropped for their age.
    from: AuditHead,
    /// The last entry that holds. Noted elsewhere, it shows later whether somebody wrote the chain anew.
    head: AuditHead,
    /// The first entry that does not hold.
    broken: Option<AuditBreak>,
}

#[derive(Debug, Serialize, ToSchema)]
struct AuditHead {
    number: u64,
    hash: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct AuditBreak {
    number: u64,
    problem: &'static str,
}

impl From<Head> for AuditHead {
    fn from(head: Head) -> Self {
        Self { number: head.number, hash: hex(&head.hash) }
    }
}

/// Who changed what in the organisation, newest first.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/audit", tag = "audit",
    params(("org" = String, Path, description = "Id or slug"), AuditQuery, PageQuery),
    responses((status = 200, body = List<AuditEntry>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_audit(
    tenant: Tenant<right::AuditRead>,
    State(store): State<Arc<dyn AuditStore>>,
    State(cursors): State<Cursors>,
    QueryOf(query): QueryOf<AuditQuery>,
) -> Result<axum::Json<List<Value>>> {
    list(&*store, &cursors, Chain::Org(tenant.org), query).await
}

/// Check that nobody changed the audit log since it was written.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/audit/verify", tag = "audit",
    params(("org" = String, Path, description = "Id or slug"), HeadQuery),
    responses((status = 200, body = AuditWalk), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn verify_audit(
    tenant: Tenant<right::AuditRead>,
    State(store): State<Arc<dyn AuditStore>>,
    QueryOf(query): QueryOf<HeadQuery>,
) -> Result<axum::Json<AuditWalk>> {
    verify(&*store, Chain::Org(tenant.org), query).await
}

/// The audit log as JSON lines, oldest first: at most 5000; ask again with `after` until nothing comes.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/audit/export", tag = "audit",
    params(("org" = String, Path, description = "Id or slug"), ExportQuery),
    responses((status = 200, body = String, content_type = "application/x-ndjson"),
        (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn export_audit(
    tenant: Tenant<right::AuditRead>,
    State(store): State<Arc<dyn AuditStore>>,
    QueryOf(query): QueryOf<ExportQuery>,
) -> Result<Response> {
    export(&*store, Chain::Org(tenant.org), query.after).await
}

/// What operators did to organisations and groups, newest first. Needs a key that reaches every organisation.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(AuditQuery, PageQuery),
    responses((status = 200, body = List<AuditEntry>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_operator_audit(
    caller: Caller,
    State(store): State<Arc<dyn AuditStore>>,
    State(cursors): State<Cursors>,
    QueryOf(query): QueryOf<AuditQuery>,
) -> Result<axum::Json<List<Value>>> {
    caller.must_be_operator()?;
    list(&*store, &cursors, chain_of(query.org), query).await
}

/// Check the operators' audit log, or a deleted organisation's.
#[utoipa::path(get, path = "/api/v1/audit/verify", tag = "audit", params(HeadQuery),
    responses((status = 200, body = AuditWalk), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn verify_operator_audit(
    caller: Caller,
    State(store): State<Arc<dyn AuditStore>>,
    QueryOf(query): QueryOf<HeadQuery>,
) -> Result<axum::Json<AuditWalk>> {
    caller.must_be_operator()?;
    verify(&*store, chain_of(query.org), query).await
}

/// The operators' audit log, or a deleted organisation's, as JSON lines.
#[utoipa::path(get, path = "/api/v1/audit/export", tag = "audit", params(ExportQuery),
    responses((status = 200, body = String, content_type = "application/x-ndjson"),
        (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn export_operator_audit(
    caller: Caller,
    State(store): State<Arc<dyn AuditStore>>,
    QueryOf(query): QueryOf<ExportQuery>,
) -> Result<Response> {
    caller.must_be_operator()?;
    export(&*store, chain_of(query.org), query.after).await
}

fn chain_of(org: Option<OrgId>) -> Chain {
    org.map_or(Chain::Operator, Chain::from)
}

async fn list(
    store: &dyn AuditStore,
    cursors: &Cursors,
    chain: Chain,
    query: AuditQuery,
) -> Result<axum::Json<List<Value>>> {
    let filter = AuditFilter {
        actor: query.actor,
        action: query.action.map(|text| action(&text)).transpose()?,
        subject: query.subject,
        since: query.since,
        until: query.until,
    };
    let scope = format!("{}/audit", chain.org_id());
    let page = store.audit(chain, filter, cursors.page(&scope, &query.page)?).await?;
    let id = |entry: &Entry| Uuid::from_u128(entry.number.into());
    Ok(axum::Json(cursors.list(&scope, page, id, |entry| entry.json())))
}

/// An action, or a family of them.
fn action(text: &str) -> Result<String> {
    let family = format!("{text}.");
    if Action::ALL.iter().any(|known| known.as_str() == text) {
        return Ok(text.to_owned());
    }
    match Action::ALL.iter().any(|known| known.as_str().starts_with(&family)) {
        true => Ok(family),
        false => Err(Problem::QueryInvalid("action is such as endpoint.update, or endpoint for all of them".into())),
    }
}

async fn verify(store: &dyn AuditStore, chain: Chain, query: HeadQuery) -> Result<axum::Json<AuditWalk>> {
    let known = match (query.number, query.hash) {
        (None, None) => None,
        (Some(number), Some(hash)) => Some(Head { number, hash: hash_of(&hash)? }),
        (Some(_), None) | (None, Some(_)) => {
            return Err(Problem::QueryInvalid("number and hash belong together".into()));
        }
    };
    let walked = audit::walk(store, chain, known, CHECKED_MAX).await?;
    let broken = walked.broken.map(|broken| AuditBreak { number: broken.number, problem: broken.problem });
    Ok(axum::Json(AuditWalk {
        ok: broken.is_none(),
        complete: walked.is_complete,
        checked: walked.checked,
        from: walked.from.into(),
        head: walked.head.into(),
        broken,
    }))
}

async fn export(store: &dyn AuditStore, chain: Chain, after: u64) -> Result<Response> {
    let mut lines = String::new();
    for entry in store.audit_behind(chain, after, LINES_MAX).await? {
        lines.push_str(&entry.json().to_string());
        lines.push('\n');
    }
    let media_type = HeaderValue::from_static("application/x-ndjson");
    Ok(([(header::CONTENT_TYPE, media_type)], lines).into_response())
}

fn hash_of(text: &str) -> Result<[u8; 32]> {
    let digits = text.as_bytes().chunks_exact(2).map(|pair| std::str::from_utf8(pair).ok());
    let bytes = digits.map(|pair| pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()));
    let bytes: Option<Vec<u8>> = if text.len() == 64 { bytes.collect() } else { None };
    let hash = bytes.and_then(|bytes| bytes.try_into().ok());
    hash.ok_or_else(|| Problem::QueryInvalid("hash is 64 hexadecimal digits".into()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
