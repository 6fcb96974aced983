//! Capture inboxes: made, listed, deleted. What is sent to them is in [`super::captured`], the address itself in
//! [`crate::capture`].

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{FromRef, Request, State};
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::audit::Action;
use watchbell_domain::capture::{CaptureAnswer, DELAY_MAX, Inbox, InboxToken, TTL_MIN};
use watchbell_domain::id::{CaptureId, OrgId};
use watchbell_domain::port::CaptureStore;

use super::duration::Text;
use crate::auth::{Tenant, right};
use crate::body::BodyReader;
use crate::capture::{Captures, Options};
use crate::edge::{Edge, Making, PublicUrl};
use crate::once::{answer, finish};
use crate::page::{Cursors, List, PageQuery, QueryOf};
use crate::path::IdIn;
use crate::problem::{Body, Problem, Result};

/// Longest name, in characters.
const NAME_LENGTH_MAX: usize = 100;
/// Longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Most headers of an answer.
const HEADERS_MAX: usize = 20;
/// Longest value of one.
const VALUE_BYTES_MAX: usize = 2048;

/// What an answer on our address may not say: how it is framed, and what a browser would keep or let others do.
const FORBIDDEN: [&str; 22] = [
    "alt-svc",
    "clear-site-data",
    "connection",
    "content-encoding",
    "content-length",
    "content-security-policy",
    "content-security-policy-report-only",
    "date",
    "keep-alive",
    "nel",
    "proxy-authenticate",
    "refresh",
    "report-to",
    "reporting-endpoints",
    "service-worker-allowed",
    "set-cookie",
    "strict-transport-security",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-content-type-options",
    "x-request-id",
];

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default().routes(routes!(list_captures, create_capture)).routes(routes!(get_capture, delete_capture))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCapture {
    /// 1 to 100 characters, unique in the organisation.
    name: String,
    /// What is answered; 200 and `{}` when left out.
    #[serde(default)]
    answer: GivenAnswer,
    /// How long it lives: `capture.ttl` (168h) unless given, `capture.max_ttl` (720h) at most.
    #[schema(value_type = Option<String>)]
    ttl: Option<Text>,
}

/// What a capture inbox answers.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = NewCaptureAnswer)]
#[serde(deny_unknown_fields)]
struct GivenAnswer {
    /// 200 to 599; 200 when left out.
    status: Option<u16>,
    /// Names and values.
    headers: Option<BTreeMap<String, String>>,
    /// Text of at most 64 KiB.
    body: Option<String>,
    /// How long the sender waits, 30s at most.
    #[schema(value_type = Option<String>)]
    delay: Option<Text>,
}

/// What a capture inbox answers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CaptureAnswer)]
struct AnswerView {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
    #[schema(value_type = String)]
    delay: Text,
}

/// A capture inbox.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Capture)]
struct CaptureView {
    id: String,
    name: String,
    /// Where to send: any method, any path below. Whoever knows it can send, and cannot read.
    url: String,
    answer: AnswerView,
    created_at: Timestamp,
    /// When it goes, with everything in it.
    expires_at: Timestamp,
}

impl CaptureView {
    fn new(inbox: Inbox, url: &PublicUrl) -> Self {
        let answer = inbox.answer;
        Self {
            id: inbox.id.to_string(),
            name: inbox.name,
            url: url.of(&format!("/capture/{}", inbox.token.text())),
            answer: AnswerView {
                status: answer.status,
                headers: answer.headers.into_iter().collect(),
                body: answer.body,
                delay: Text(answer.delay),
            },
            created_at: inbox.created_at,
            expires_at: inbox.expires_at,
        }
    }
}

/// What making and deleting takes.
#[derive(Clone)]
struct Keeping {
    store: Arc<dyn CaptureStore>,
    captures: Captures,
    public_url: PublicUrl,
    making: Making,
    bodies: BodyReader,
}

impl FromRef<Edge> for Keeping {
    fn from_ref(edge: &Edge) -> Self {
        Self {
            store: Arc::from_ref(edge),
            captures: Captures::from_ref(edge),
            public_url: PublicUrl::from_ref(edge),
            making: Making::from_ref(edge),
            bodies: BodyReader::from_ref(edge),
        }
    }
}

impl NewCapture {
    fn read(self, org_id: OrgId, making: &Making, options: Options) -> Result<Inbox> {
        let length = self.name.chars().count();
        if self.name.trim() != self.name
            || self.name.chars().any(char::is_control)
            || length > NAME_LENGTH_MAX
            || length == 0
        {
            return Err(Problem::payload(
                "/name",
                "a name has 1 to 100 characters on one line, without blanks around it",
            ));
        }
        let ttl = self.ttl.map_or(options.ttl, |ttl| ttl.0);
        if !(TTL_MIN..=options.ttl_max).contains(&ttl) {
            let detail = format!("an inbox lives 1m at least and {:#} at most", options.ttl_max);
            return Err(Problem::payload("/ttl", detail));
        }
        let now = making.clock.now();
        let mut token = [0; 16];
        making.entropy.fill(&mut token);
        let created_at = Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now);
        Ok(Inbox {
            id: CaptureId::make(now, &*making.entropy),
            org_id,
            token: InboxToken(token),
            name: self.name,
            answer: self.answer.read()?,
            created_at,
            expires_at: created_at.saturating_add(ttl).unwrap_or(Timestamp::MAX),
        })
    }
}

impl GivenAnswer {
    fn read(self) -> Result<CaptureAnswer> {
        let plain = CaptureAnswer::default();
        let status = self.status.unwrap_or(plain.status);
        if !(200..=599).contains(&status) {
            return Err(Problem::payload("/answer/status", "a status is a number from 200 to 599"));
        }
        let delay = self.delay.map_or(plain.delay, |delay| delay.0);
        if delay.is_negative() || delay > DELAY_MAX {
            return Err(Problem::payload("/answer/delay", "an answer waits 30s at most"));
        }
        if self.body.as_ref().is_some_and(|body| body.len() > ANSWER_BYTES_MAX) {
            return Err(Problem::payload("/answer/body", "an answer has at most 64 KiB"));
        }
        let headers = match self.headers {
            Some(headers) => checked(headers)?,
            None if self.body.is_some() => vec![("content-type".to_owned(), "text/plain; charset=utf-8".to_owned())],
            None => plain.headers,
        };
        Ok(CaptureAnswer { status, headers, body: self.body.unwrap_or(plain.body), delay })
    }
}

fn checked(headers: BTreeMap<String, String>) -> Result<Vec<(String, String)>> {
    if headers.len() > HEADERS_MAX {
        return Err(Problem::payload("/answer/headers", "an answer has at most 20 headers"));
    }
    for (name, value) in &headers {
        let cut: String = name.chars().take(60).collect();
        let forbid = |why: &str| Err(Problem::HeaderForbidden(format!("{cut:?} {why}")));
        let Ok(known) = HeaderName::try_from(name.as_str()) else {
            return forbid("is no header name");
        };
        if FORBIDDEN.contains(&known.as_str()) || known.as_str().starts_with("access-control-") {
            return forbid("cannot be set: it is the connection's, or speaks for all of this address");
        }
        if value.len() > VALUE_BYTES_MAX || HeaderValue::from_str(value).is_err() {
            return forbid("must have a value of at most 2048 visible characters");
        }
    }
    Ok(headers.into_iter().collect())
}

/// What the audit log says of an inbox: not what stands in its path.
fn noted(inbox: &Inbox) -> serde_json::Value {
    json!({"name": inbox.name, "status": inbox.answer.status, "expires_at": inbox.expires_at})
}

/// Make a capture inbox: an address that keeps whatever is sent to it.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/captures", tag = "captures", request_body = NewCapture,
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 201, body = CaptureView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn create_capture(
    tenant: Tenant<right::SourcesWrite>,
    State(keeping): State<Keeping>,
    request: Request,
) -> Result<Response> {
    let write = keeping.bodies.json(request, keeping.bodies.limits.other_bytes_max).await?;
    let inbox = write.parse::<NewCapture>()?.read(tenant.org, &keeping.making, keeping.captures.options())?;
    let answer = answer(StatusCode::CREATED, &CaptureView::new(inbox.clone(), &keeping.public_url));
    let deed = tenant.caller.deed(Action::CaptureCreate, inbox.id, inbox.created_at, noted(&inbox));
    finish(
        keeping
            .store
            .create_capture(inbox, keeping.captures.options().inboxes_max, write.once.terms(&answer, deed))
            .await?,
        answer,
    )
}

/// The organisation's capture inboxes.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/captures", tag = "captures",
    params(("org" = String, Path, description = "Id or slug"), PageQuery),
    responses((status = 200, body = List<CaptureView>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_captures(
    tenant: Tenant<right::SourcesRead>,
    State(store): State<Arc<dyn CaptureStore>>,
    State(cursors): State<Cursors>,
    State(url): State<PublicUrl>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<axum::Json<List<CaptureView>>> {
    let scope = format!("{}/captures", tenant.org);
    let found = store.captures(tenant.org, cursors.page(&scope, &query)?).await?;
    Ok(axum::Json(cursors.list(&scope, found, |inbox| inbox.id.0, |inbox| CaptureView::new(inbox, &url))))
}

/// One capture inbox.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/captures/{id}", tag = "captures",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = CaptureView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_capture(
    tenant: Tenant<right::SourcesRead>,
    IdIn(id): IdIn<CaptureId>,
    State(store): State<Arc<dyn CaptureStore>>,
    State(url): State<PublicUrl>,
) -> Result<axum::Json<CaptureView>> {
    let found = store.capture(tenant.org, id).await?;
    Ok(axum::Json(CaptureView::new(found.ok_or(Problem::NotFound)?, &url)))
}

/// Delete a capture inbox with everything in it.
#[utoipa::path(delete, path = "/api/v1/orgs/{org}/captures/{id}", tag = "captures",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn delete_capture(
    tenant: Tenant<right::SourcesWrite>,
    IdIn(id): IdIn<CaptureId>,
    State(keeping): State<Keeping>,
) -> Result<StatusCode> {
    let inbox = keeping.store.capture(tenant.org, id).await?.ok_or(Problem::NotFound)?;
    let deed = tenant.caller.deed(Action::CaptureDelete, id, keeping.making.clock.now(), noted(&inbox));
    let is_deleted = keeping.store.delete_capture(tenant.org, id, Some(deed)).await?;
    keeping.captures.forget();
    if is_deleted { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::NotFound) }
}
