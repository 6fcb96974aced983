//! Requests that capture inboxes were sent: listed, shown, waited for, explained, deleted.
//!
//! Waiting is a long poll: it answers what came behind a number, the oldest first, and that number's successor is where to
//! go on. The number is given in the commit that keeps the request, so whoever goes on from the last one he got misses
//! nothing however often his connection breaks, and is told how many made way before he came.

use std::sync::Arc;

use axum::extract::{FromRef, RawPathParams, Request, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::access::Scope;
use watchbell_domain::audit::Action;
use watchbell_domain::capture::Captured;
use watchbell_domain::id::{CaptureId, CapturedId};
use watchbell_domain::port::{CaptureStore, CapturedSince, Clock};
use watchbell_engine::receive::is_credential;
use watchbell_wire::{Headers, Secret};

use super::duration::Text;
use super::verify::{Answering, Diagnosed, Message};
use super::verify_known::KnownBy;
use crate::auth::{Authenticator, Caller, Tenant, right};
use crate::capture::Captures;
use crate::edge::{Edge, Making};
use crate::graphql::Live;
use crate::page::{Cursors, List, PageQuery, QueryOf};
use crate::path::IdIn;
use crate::problem::{Body, Problem, Result};
use crate::serve::Ready;

/// Longest wait for something new, and how long it is unless asked for.
const WAIT_MAX: SignedDuration = SignedDuration::from_secs(30);
const WAIT: SignedDuration = SignedDuration::from_secs(20);
/// Requests of one answer: with their bodies they are some megabytes.
const LIVE_MAX: u32 = 20;
/// The bell is of this node alone, so the store is asked now and then as well.
const ASK_EVERY: SignedDuration = SignedDuration::from_secs(2);

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .routes(routes!(list_captured))
        .routes(routes!(watch_captured))
        .routes(routes!(get_captured, delete_captured))
        .routes(routes!(verify_captured))
}

/// A request that a capture inbox was sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CapturedRequest)]
struct CapturedView {
    id: String,
    /// Counts the inbox's requests.
    number: u64,
    received_at: Timestamp,
    method: String,
    /// The whole path.
    path: String,
    /// What stands behind the question mark.
    query: Option<String>,
    /// `HTTP/1.1`.
    version: String,
    /// Name and value of each line, with the letters and in the order in which they came (over HTTP/2 names are in lower
    /// case). Values of credentials are masked unless asked for.
    #[schema(value_type = Vec<Vec<String>>)]
    headers: Vec<[String; 2]>,
    /// Where it came from.
    address: Option<String>,
    /// How long the body was, as far as it was read.
    body_bytes: u64,
    /// Whether the body was kept whole.
    complete: bool,
    /// The body, where it is text. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The body's bytes. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

/// What came behind a number.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CapturedNews)]
struct NewsView {
    /// The oldest first; empty when the wait is over.
    items: Vec<CapturedView>,
    /// Give it as `after` to go on.
    after: u64,
    /// So many made way before they were asked for.
    missed: u64,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ShowQuery {
    /// Show credentials too. Needs the scope `sources:write`.
    #[serde(default)]
    unmasked: bool,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct NewsQuery {
    /// Requests behind this number: waits when there are none. Left out: answers at once, and says where the end is.
    after: Option<u64>,
    /// Without `after`: begin so many before the end.
    last: Option<u64>,
    /// How long to wait; 20s unless given, 30s at most.
    #[param(value_type = Option<String>)]
    wait: Option<Text>,
    /// Show credentials too. Needs the scope `sources:write`.
    #[serde(default)]
    unmasked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    InList,
    Masked,
    Whole,
}

impl Shown {
    fn of(unmasked: bool, caller: &Caller) -> Result<Self> {
        if !unmasked {
            return Ok(Self::Masked);
        }
        caller.must(Scope::SourcesWrite)?;
        Ok(Self::Whole)
    }
}

impl CapturedView {
    fn new(request: Captured, shown: Shown) -> Self {
        let line = |(name, value): (String, Vec<u8>)| {
            let is_masked = shown != Shown::Whole && is_credential(&name);
            let value = String::from_utf8_lossy(&value).into_owned();
            [name, if is_masked { masked(&value) } else { value }]
        };
        let is_in_list = shown == Shown::InList;
        Self {
            id: request.id.to_string(),
            number: request.number,
            received_at: request.received_at,
            method: request.method,
            path: request.path,
            query: request.query,
            version: request.version,
            headers: request.headers.into_iter().map(line).collect(),
            address: request.address.map(|address| address.to_string()),
            body_bytes: request.body_bytes,
            complete: request.is_whole,
            body_base64: (!is_in_list).then(|| BASE64.encode(&request.body)),
            body: if is_in_list { None } else { String::from_utf8(request.body).ok() },
        }
    }
}

/// `Bearer ••••last4`.
fn masked(value: &str) -> String {
    match value.split_once(' ') {
        Some((scheme, rest)) if scheme.chars().all(|c| c.is_ascii_alphanumeric()) => {
            format!("{scheme} {}", Secret::new(rest).masked())
        }
        _ => Secret::new(value).masked(),
    }
}

/// The request's id in the path. Whatever is none names nothing.
fn named(params: &RawPathParams) -> Result<CapturedId> {
    let text = params.iter().find_map(|(name, value)| (name == "request").then_some(value));
    text.and_then(|text| text.parse().ok()).ok_or(Problem::NotFound)
}

/// An inbox's requests, newest first, without their bodies.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/captures/{id}/requests", tag = "captures",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path), PageQuery),
    responses((status = 200, body = List<CapturedView>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_captured(
    tenant: Tenant<right::SourcesRead>,
    IdIn(id): IdIn<CaptureId>,
    State(store): State<Arc<dyn CaptureStore>>,
    State(cursors): State<Cursors>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<axum::Json<List<CapturedView>>> {
    store.capture(tenant.org, id).await?.ok_or(Problem::NotFound)?;
    let scope = format!("{}/captures/{id}/requests", tenant.org);
    let found = store.captured(tenant.org, id, cursors.page(&scope, &query)?).await?;
    let show = |request| CapturedView::new(request, Shown::InList);
    Ok(axum::Json(cursors.list(&scope, found, |request| request.id.0, show)))
}

/// What waiting takes.
#[derive(Clone)]
struct Watching {
    store: Arc<dyn CaptureStore>,
    captures: Captures,
    live: Arc<Live>,
    ready: Ready,
    auth: Authenticator,
    clock: Arc<dyn Clock>,
}

impl FromRef<Edge> for Watching {
    fn from_ref(edge: &Edge) -> Self {
        Self {
            store: Arc::from_ref(edge),
            captures: Captures::from_ref(edge),
            live: Arc::from_ref(edge),
            ready: Ready::from_ref(edge),
            auth: Authenticator::from_ref(edge),
            clock: Making::from_ref(edge).clock,
        }
    }
}

impl Watching {
    /// Waits until something came behind `after`, the wait is over, or the node stops.
    async fn news(
        &self,
        tenant: &Tenant<right::SourcesRead>,
        id: CaptureId,
        after: u64,
        wait: SignedDuration,
    ) -> Result<CapturedSince> {
        let _place = self.live.place(tenant.caller.key.id)?;
        let until = self.clock.monotonic().saturating_add(wait);
        let bell = self.captures.news(id);
        loop {
            // Listening begins before the store is asked, so that nothing falls in between.
            let mut rings = std::pin::pin!(bell.notified());
            rings.as_mut().enable();
            let found = self.store.captured_since(tenant.org, id, after, LIVE_MAX).await?.ok_or(Problem::NotFound)?;
            let left = until.saturating_sub(self.clock.monotonic());
            let is_over = left <= SignedDuration::ZERO || !self.ready.get();
            if !found.requests.is_empty() || found.missed > 0 || is_over {
                return Ok(found);
            }
            tokio::select! {
                biased;
                () = rings => {}
                () = self.clock.sleep(left.min(ASK_EVERY)) => {}
            }
            if !self.auth.is_live(&tenant.caller).await? {
                return Err(Problem::Unauthorized);
            }
        }
    }
}

/// What comes: waits for requests behind a number. Going on from `after`, nothing is missed unsaid.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/captures/{id}/requests/live", tag = "captures",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path), NewsQuery),
    responses((status = 200, body = NewsView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn watch_captured(
    tenant: Tenant<right::SourcesRead>,
    IdIn(id): IdIn<CaptureId>,
    State(watching): State<Watching>,
    QueryOf(query): QueryOf<NewsQuery>,
) -> Result<axum::Json<NewsView>> {
    let shown = Shown::of(query.unmasked, &tenant.caller)?;
    let wait = query.wait.map_or(WAIT, |wait| wait.0);
    if wait.is_negative() || wait > WAIT_MAX {
        return Err(Problem::QueryInvalid("wait is a duration of at most 30s".to_owned()));
    }
    let found = match query.after {
        Some(after) => watching.news(&tenant, id, after, wait).await?,
        None => {
            let since = |after, limit| watching.store.captured_since(tenant.org, id, after, limit);
            let end = since(u64::MAX, 0).await?.ok_or(Problem::NotFound)?;
            let after = end.last_number.saturating_sub(query.last.unwrap_or_default());
            // Of what came before anybody listened nothing is missed.
            CapturedSince { missed: 0, ..since(after, LIVE_MAX).await?.ok_or(Problem::NotFound)? }
        }
    };
    let last = found.requests.last().map(|request| request.number);
    let after = last.unwrap_or_else(|| match query.after {
        Some(after) => after.max(after.saturating_add(found.missed).min(found.last_number)),
        None => found.last_number,
    });
    let items = found.requests.into_iter().map(|request| CapturedView::new(request, shown)).collect();
    Ok(axum::Json(NewsView { items, after, missed: found.missed }))
}

/// One request with its body.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/captures/{id}/requests/{request}", tag = "captures",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path), ("request" = String, Path), ShowQuery),
    responses((status = 200, body = CapturedView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_captured(
    tenant: Tenant<right::SourcesRead>,
    IdIn(id): IdIn<CaptureId>,
    params: RawPathParams,
    State(store): State<Arc<dyn CaptureStore>>,
    QueryOf(query): QueryOf<ShowQuery>,
) -> Result<axum::Json<CapturedView>> {
    let shown = Shown::of(query.unmasked, &tenant.caller)?;
    let found = store.captured_request(tenant.org, id, named(&params)?).await?;
    Ok(axum::Json(CapturedView::new(found.ok_or(Problem::NotFound)?, shown)))
}

/// Delete a request.
#[utoipa::path(delete, path = "/api/v1/orgs/{org}/captures/{id}/requests/{request}", tag = "captures",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path), ("request" = String, Path)),
    responses((status = 204), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn delete_captured(
    tenant: Tenant<right::SourcesWrite>,
    IdIn(id): IdIn<CaptureId>,
    params: RawPathParams,
    State(store): State<Arc<dyn CaptureStore>>,
    State(making): State<Making>,
) -> Result<StatusCode> {
    let request = named(&params)?;
    let detail = json!({"capture": id.to_string()});
    let deed = tenant.caller.deed(Action::CaptureRequestDelete, request, making.clock.now(), detail);
    match store.delete_captured(tenant.org, id, request, Some(deed)).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::NotFound),
    }
}

/// What to check a captured request with.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CapturedQuestion {
    /// The format it should have; left out: the one it looks like, or that of the source or endpoint.
    dialect: Option<String>,
    /// The secret, as it is configured.
    secret: Option<String>,
    /// Or that of this source.
    source: Option<String>,
    /// Or that of this endpoint: for what was sent by Watchbell itself.
    endpoint: Option<String>,
    /// What a source of that dialect is told beside the secret: for `custom`, how it is signed. Without it those of the
    /// source that is named.
    #[schema(value_type = Option<Object>)]
    settings: Option<Map<String, Value>>,
    /// The receiver's clock; the time when the request came, when left out.
    now: Option<Timestamp>,
    /// Oldest message to take, by the time it states.
    #[schema(value_type = Option<String>)]
    max_age: Option<Text>,
}

/// Say whether a captured request is genuine, and if not, why not. Changes nothing.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/captures/{id}/requests/{request}/verify", tag = "captures",
    request_body = CapturedQuestion,
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path), ("request" = String, Path)),
    responses((status = 200, body = Diagnosed), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn verify_captured(
    tenant: Tenant<right::SourcesRead>,
    IdIn(id): IdIn<CaptureId>,
    params: RawPathParams,
    State(store): State<Arc<dyn CaptureStore>>,
    State(answering): State<Answering>,
    request: Request,
) -> Result<axum::Json<Diagnosed>> {
    let found = store.captured_request(tenant.org, id, named(&params)?).await?.ok_or(Problem::NotFound)?;
    let write = answering.bodies.optional_json(request).await?;
    let given: CapturedQuestion = write.parse_or_default()?;
    if !found.is_whole {
        return Err(Problem::Conflict("the request's body was not kept whole, so no signature of it can be checked"));
    }
    let by = KnownBy {
        dialect: given.dialect,
        settings: given.settings,
        secret: given.secret,
        source: given.source,
        endpoint: given.endpoint,
    };
    let headers: Headers = found.headers.into_iter().collect();
    let message = Message {
        headers,
        body: found.body,
        now: given.now.unwrap_or(found.received_at),
        max_age: given.max_age.map(|age| age.0),
    };
    let question = answering.known.question(Some(tenant.org), &tenant.caller, by).await?;
    Ok(axum::Json(answering.explaining.explain(&tenant.caller, question, message).await?))
}
