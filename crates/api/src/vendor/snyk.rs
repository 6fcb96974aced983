//! Snyk's webhooks API (v1), as its reference documents it.
//!
//! Ids are bare UUIDs, the organisation is named by its id alone, errors have Snyk's four shapes. What the reference
//! leaves open: missing or wrong members are a `ValidationError` with one text each; the ping after creation is committed
//! with the endpoint and its failure undoes nothing; the same URL twice makes two webhooks.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, RawPathParams, Request, State};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};
use watchbell_domain::audit::Action;
use watchbell_domain::endpoint::Endpoint;
use watchbell_domain::id::{EndpointId, OrgId, RequestId};
use watchbell_domain::port::{EndpointStore, EventStore, PageRequest};
use watchbell_engine::admin::endpoint::{self, Given, Refused, Spec};
use watchbell_engine::admin::test_event;
use watchbell_engine::delivery::Handle;
use watchbell_engine::net::guard::EgressPolicy;
use watchbell_wire::Secret;

use crate::auth::{Tenant, authenticate, right};
use crate::body::BodyReader;
use crate::edge::{Edge, Making};
use crate::limits::Limiter;
use crate::once::{answer, finish};
use crate::problem::{Problem, Result};
use crate::rest::endpoint_view::masked;
use crate::rest::endpoints::{self, creation};

const DIALECT: &str = "snyk";
/// Refers to a failure of ours.
const REFERENCE: HeaderName = HeaderName::from_static("x-error-reference");

/// Snyk's API under `/v1` and, for clients of older addresses, `/api/v1`.
pub(crate) fn router(edge: &Edge) -> Router<Edge> {
    let hooks = Router::new()
        .route("/webhooks", post(create).get(list))
        .route("/webhooks/{id}", get(show).delete(delete))
        .route("/webhooks/{id}/ping", post(ping))
        .route_layer(from_fn_with_state(edge.authenticator(), authenticate))
        .method_not_allowed_fallback(|| async { Problem::MethodNotAllowed })
        .layer(from_fn(in_snyks_shape));
    Router::new().nest("/v1/org/{org}", hooks.clone()).nest("/api/v1/org/{org}", hooks)
}

/// What the calls take.
#[derive(Clone)]
struct Hooks {
    endpoints: Arc<dyn EndpointStore>,
    egress: Arc<EgressPolicy>,
    making: Making,
    bodies: BodyReader,
    wake: Handle,
}

impl FromRef<Edge> for Hooks {
    fn from_ref(edge: &Edge) -> Self {
        Self {
            endpoints: Arc::from_ref(edge),
            egress: Arc::from_ref(edge),
            making: Making::from_ref(edge),
            bodies: BodyReader::from_ref(edge),
            wake: Handle::from_ref(edge),
        }
    }
}

/// A webhook as Snyk shows it. The secret is never returned, nor a credential in the URL's query.
#[derive(Debug, Serialize)]
struct Hook {
    id: String,
    url: String,
}

impl Hook {
    fn new(endpoint: &Endpoint) -> Self {
        Self { id: endpoint.id.bare(), url: masked(&endpoint.url) }
    }
}

async fn create(
    tenant: Tenant<right::EndpointsWrite>,
    State(hooks): State<Hooks>,
    request: Request,
) -> Result<Response> {
    let write = hooks.bodies.json(request, hooks.bodies.limits.other_bytes_max).await?;
    let given: Value = write.parse()?;
    let (url, secret) = members(&given)?;
    // Snyk takes `https` alone, whatever our own API may take.
    let checked = hooks.egress.check_https_url(&url).map_err(Refused::from);
    checked.map_err(|refused| Problem::payload("", text_of(&refused)))?;
    let spec = Spec {
        url,
        dialect: DIALECT.to_owned(),
        credential: Given { secret: Some(secret), bearer_token: None },
        ..Spec::default()
    };
    let now = hooks.making.clock.now();
    let made = endpoint::create(tenant.org, spec, &hooks.egress, now, &*hooks.making.entropy);
    let made = made.map_err(|refused| Problem::payload("", text_of(&refused)))?;
    let id = made.endpoint.id;
    let answer = answer(StatusCode::OK, &Hook::new(&made.endpoint));
    let deed = tenant.caller.deed(Action::EndpointCreate, id, now, endpoints::masked(&made.endpoint, now));
    let creation = creation(made.endpoint, &hooks.making);
    let written = hooks.endpoints.create_endpoint(creation, write.once.terms(&answer, deed)).await?;
    hooks.wake.wake(tenant.org, [id]);
    finish(written, answer)
}

async fn list(tenant: Tenant<right::EndpointsRead>, State(hooks): State<Hooks>) -> Result<Response> {
    let mut results = Vec::new();
    let mut before = None;
    loop {
        let page = PageRequest { before, limit: 250 };
        let found = hooks.endpoints.endpoints(tenant.org, page).await?;
        before = found.items.last().map(|endpoint| endpoint.id.0);
        let snyks = found.items.iter().filter(|endpoint| endpoint.dialect.id == DIALECT);
        results.extend(snyks.map(Hook::new));
        if !found.more {
            break;
        }
    }
    // Oldest first, as they were made.
    results.reverse();
    Ok(axum::Json(json!({"total": results.len(), "results": results})).into_response())
}

async fn show(
    tenant: Tenant<right::EndpointsRead>,
    State(hooks): State<Hooks>,
    params: RawPathParams,
) -> Result<Response> {
    let endpoint = hooks.hook(tenant.org, &params).await?;
    Ok(axum::Json(Hook::new(&endpoint)).into_response())
}

async fn delete(
    tenant: Tenant<right::EndpointsWrite>,
    State(hooks): State<Hooks>,
    params: RawPathParams,
) -> Result<()> {
    let endpoint = hooks.hook(tenant.org, &params).await?;
    let now = hooks.making.clock.now();
    let deed = tenant.caller.deed(Action::EndpointDelete, endpoint.id, now, endpoints::masked(&endpoint, now));
    match hooks.endpoints.delete_endpoint(tenant.org, endpoint.id, now, Some(deed)).await? {
        true => Ok(()),
        false => Err(Problem::NotFound),
    }
}

/// Snyk asks for no more than the right to see webhooks here.
async fn ping(
    tenant: Tenant<right::EndpointsRead>,
    State(hooks): State<Hooks>,
    State(events): State<Arc<dyn EventStore>>,
    State(limiter): State<Limiter>,
    params: RawPathParams,
) -> Result<()> {
    let endpoint = hooks.hook(tenant.org, &params).await?;
    limiter.ping(tenant.org)?;
    let acceptance = test_event::for_endpoint(&endpoint, hooks.making.clock.now(), &*hooks.making.entropy);
    let acceptance = acceptance.ok_or(Problem::NothingToSend)?;
    // Without an idempotency key every call is one ping.
    events.accept(acceptance, None).await.map(drop)?;
    Ok(())
}

impl Hooks {
    async fn hook(&self, org: OrgId, params: &RawPathParams) -> Result<Endpoint> {
        let text = params.iter().find_map(|(name, value)| (name == "id").then_some(value));
        let id: EndpointId = text
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Problem::payload("", "invalid webhookId webhookId must be a UUID"))?;
        let found = self.endpoints.endpoint(org, id).await?;
        found.filter(|endpoint| endpoint.dialect.id == DIALECT).ok_or(Problem::NotFound)
    }
}

/// `url` and `secret`, or one text for each that does not do.
fn members(given: &Value) -> Result<(String, Secret)> {
    let text = |name: &str| given.get(name).and_then(Value::as_str);
    match (text("url"), text("secret")) {
        (Some(url), Some(secret)) if !secret.is_empty() => Ok((url.to_owned(), Secret::new(secret))),
        (url, secret) => {
            let mut places = Vec::new();
            if url.is_none() {
                places.push("invalid url url must be a string");
            }
            match secret {
                None => places.push("invalid secret secret must be a string"),
                Some("") => places.push("invalid secret secret must not be empty"),
                Some(_) => {}
            }
            Err(Problem::PayloadInvalid(
                places
                    .into_iter()
                    .map(|detail| crate::problem::At { pointer: String::new(), detail: detail.to_owned() })
                    .collect(),
            ))
        }
    }
}

fn text_of(refused: &Refused) -> String {
    match refused {
        Refused::Url(url) if url.code == "endpoint_url_scheme" => {
            "invalid url url must use the https protocol".to_owned()
        }
        Refused::Url(url) => format!("invalid url {}", url.detail),
        Refused::Secret { detail, .. } => format!("invalid secret {detail}"),
        Refused::Header(_) | Refused::NewHost { .. } | Refused::Filter { .. } | Refused::Member { .. } => {
            refused.to_string()
        }
    }
}

/// Writes problems as Snyk does.
async fn in_snyks_shape(params: RawPathParams, request: Request, next: axum::middleware::Next) -> Response {
    let org = params.iter().find_map(|(name, value)| (name == "org").then_some(value));
    let org: String = org.unwrap_or_default().chars().take(40).collect();
    if org.parse::<OrgId>().is_err() {
        return shape(&Problem::payload("", "invalid orgId orgId must be a UUID"), &org, None).into_response();
    }
    let id = request.extensions().get::<RequestId>().copied();
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else {
        return response;
    };
    let mut shaped = shape(&problem, &org, id);
    for (name, value) in response.headers() {
        if !shaped.headers().contains_key(name) && name != http::header::CONTENT_LENGTH {
            shaped.headers_mut().insert(name.clone(), value.clone());
        }
    }
    shaped
}

fn shape(problem: &Problem, org: &str, id: Option<RequestId>) -> Response {
    let status = problem.status();
    let text = |status: StatusCode, text: String| {
        let body = json!({"code": status.as_u16(), "message": text, "error": text});
        (status, axum::Json(body)).into_response()
    };
    match status {
        StatusCode::UNAUTHORIZED => text(status, "Not authorised".to_owned()),
        StatusCode::TOO_MANY_REQUESTS => (status, "Too many requests").into_response(),
        StatusCode::NOT_FOUND => text(
            status,
            format!("Org {org} was not found or you may not have the correct permissions to access the org."),
        ),
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            invalid(problem)
        }
        status if status.is_server_error() => failed(status, id),
        status => text(status, problem.detail()),
    }
}

fn invalid(problem: &Problem) -> Response {
    let places = problem.places();
    let texts: Vec<String> = match places.is_empty() {
        true => vec![problem.detail()],
        false => places.iter().map(|at| at.detail.clone()).collect(),
    };
    let body = json!({"code": 400, "ok": false, "error": {"name": "ValidationError", "innerErrors": texts}});
    (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
}

fn failed(status: StatusCode, id: Option<RequestId>) -> Response {
    let reference = id.map(RequestId::bare).unwrap_or_default();
    let body = json!({
        "message": format!("Error calling Snyk api (reference: {reference})"),
        "errorRef": reference,
    });
    let mut response = (status, axum::Json(body)).into_response();
    if let Ok(value) = HeaderValue::from_str(&reference) {
        response.headers_mut().insert(REFERENCE, value);
    }
    response
}
