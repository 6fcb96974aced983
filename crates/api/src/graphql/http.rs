//! GraphQL over HTTP: what a request must look like, and what it is answered with.
//!
//! `POST` takes `application/json` alone, so that no page of somebody else's can send one without asking first; there are
//! no cookies anyway. `GET` answers queries, never writes, and a browser that asks for a page gets the console. One
//! operation a request. A client that asks for `text/event-stream` gets server-sent events as the protocol "GraphQL over
//! SSE" (distinct connections mode) has them; a subscription is answered in no other way.
//!
//! What is wrong with a request as a whole is answered in GraphQL's envelope under the problem's own status.

use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use async_graphql::{Request as GraphqlRequest, Response as GraphqlResponse, Variables};
use axum::Router;
use axum::extract::{FromRef, Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, Method, header};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};
use watchbell_domain::id::RequestId;
use watchbell_domain::org::DEFAULT_SLUG;

use super::limit::{self, Document};
use super::live::{Live, Stream};
use super::operation::{Kind, Session};
use super::{SCHEMA, console, error};
use crate::auth::{Authenticator, Caller, Peer};
use crate::body::BodyReader;
use crate::edge::{Edge, Making};
use crate::once;
use crate::page::Cursors;
use crate::problem::{Problem, Result};
use crate::rest::events::HOPS;
use crate::serve::Busy;

/// Longest time that a query may take. Writes are not cut off: what they did would not be known.
const QUERY_TIME_MAX: SignedDuration = SignedDuration::from_secs(10);
/// Longest body of a request without a key, which is read to tell what it asks for, in bytes.
const STRANGER_BYTES_MAX: u64 = 32 * 1024;
const JSON: &str = "application/json";
const GRAPHQL_JSON: &str = "application/graphql-response+json";
const EVENT_STREAM: &str = "text/event-stream";

/// What answering takes.
#[derive(Clone)]
struct Graphql {
    rest: Router,
    auth: Authenticator,
    bodies: BodyReader,
    cursors: Cursors,
    making: Making,
    live: Arc<Live>,
}

/// The routes of GraphQL and its console. `rest` runs the operations.
pub(crate) fn router(edge: &Edge, rest: Router) -> Router<Edge> {
    let graphql = Graphql {
        rest,
        auth: Authenticator::from_ref(edge),
        bodies: BodyReader::from_ref(edge),
        cursors: Cursors::from_ref(edge),
        making: Making::from_ref(edge),
        live: Arc::from_ref(edge),
    };
    Router::new()
        .route("/graphql", get(ask).post(post))
        .layer(from_fn(in_the_envelope))
        .with_state(graphql)
        .merge(console::files())
}

/// A GraphQL request, as body or query.
#[derive(Debug, Deserialize)]
struct Posted {
    query: String,
    #[serde(default)]
    variables: Option<Value>,
    #[serde(default, rename = "operationName")]
    operation: Option<String>,
}

async fn post(State(graphql): State<Graphql>, request: Request) -> Result<Response> {
    let (head, body) = request.into_parts();
    let asked = Asked::of(&head);
    let request = Request::from_parts(head, body);
    let caller = match graphql.auth.caller(request.headers(), request.extensions()).await {
        Ok(caller) => caller,
        Err(problem) => return Err(graphql.stranger(request, problem).await),
    };
    let write = graphql.bodies.json(request, graphql.bodies.limits.batch_bytes_max).await?;
    let posted: Posted = match serde_json::from_slice(&write.body) {
        Ok(posted) => posted,
        Err(_) if write.body.trim_ascii_start().starts_with(b"[") => {
            return Err(Problem::GraphqlLimit("a request has one operation: batches are not taken".to_owned()));
        }
        Err(_) => return Err(Problem::GraphqlInvalid("an object with the member query is wanted".to_owned())),
    };
    graphql.run(asked, caller, posted).await
}

async fn ask(State(graphql): State<Graphql>, request: Request) -> Result<Response> {
    if accepts(request.headers(), "text/html") {
        return Ok(console::page());
    }
    let (head, _) = request.into_parts();
    let asked = Asked::of(&head);
    let caller = graphql.auth.caller(&head.headers, &head.extensions).await?;
    let pairs = url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
    let mut posted = Posted { query: String::new(), variables: None, operation: None };
    for (name, value) in pairs {
        match &*name {
            "query" => posted.query = value.into_owned(),
            "operationName" => posted.operation = Some(value.into_owned()),
            "variables" => {
                let unfit = |_| Problem::QueryInvalid("variables is a JSON object".to_owned());
                posted.variables = Some(serde_json::from_str(&value).map_err(unfit)?);
            }
            _ => {}
        }
    }
    graphql.run(asked, caller, posted).await
}

/// What of a request's head decides.
struct Asked {
    method: Method,
    org: Option<String>,
    hops: Vec<HeaderValue>,
    once: Result<Option<String>>,
    wants_stream: bool,
    media_type: &'static str,
    request_id: Option<RequestId>,
    peer: Option<Peer>,
    busy: Option<Busy>,
}

impl Asked {
    fn of(head: &http::request::Parts) -> Self {
        let pairs = url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
        let org = pairs.filter(|(name, _)| name == "org").map(|(_, value)| value.into_owned()).last();
        Self {
            method: head.method.clone(),
            org,
            hops: head.headers.get_all(HOPS).iter().cloned().collect(),
            once: once::given(&head.headers),
            wants_stream: accepts(&head.headers, EVENT_STREAM),
            media_type: if accepts(&head.headers, GRAPHQL_JSON) { GRAPHQL_JSON } else { JSON },
            request_id: head.extensions.get().copied(),
            peer: head.extensions.get().copied(),
            busy: head.extensions.get().cloned(),
        }
    }
}

fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let kinds = lines.flat_map(|line| line.split(',')).map(|kind| kind.split(';').next().unwrap_or_default().trim());
    kinds.into_iter().any(|kind| kind.eq_ignore_ascii_case(wanted))
}

impl Graphql {
    /// Who has no key is told so, but that it may not ask for the schema it is told by a 400.
    async fn stranger(&self, request: Request, problem: Problem) -> Problem {
        if problem != Problem::Unauthorized {
            return problem;
        }
        let Ok(write) = self.bodies.json(request, STRANGER_BYTES_MAX).await else { return problem };
        let posted = serde_json::from_slice::<Posted>(&write.body).ok();
        let document = posted.and_then(|posted| limit::read(&posted.query, posted.operation.as_deref()).ok());
        match document {
            Some(document) if document.introspects => {
                Problem::GraphqlInvalid("the schema is shown to who has a valid API key".to_owned())
            }
            Some(_) | None => problem,
        }
    }

    async fn run(&self, asked: Asked, caller: Caller, posted: Posted) -> Result<Response> {
        let document = limit::read(&posted.query, posted.operation.as_deref())?;
        if asked.method == Method::GET && document.kind != OperationType::Query {
            return Err(Problem::MethodNotAllowed);
        }
        if document.kind == OperationType::Subscription && !asked.wants_stream {
            let detail = "a subscription is answered as server-sent events: send Accept: text/event-stream";
            return Err(Problem::GraphqlInvalid(detail.to_owned()));
        }
        let request = self.request(&asked, caller.clone(), posted, &document)?;
        if asked.wants_stream {
            let busy = asked.busy;
            let stream = Stream { request, caller, request_id: asked.request_id };
            return self.live.answer(stream, &self.auth, document.kind, busy);
        }
        let is_query = document.kind == OperationType::Query;
        let executed = self.executed(request, is_query).await?;
        Ok(answer(executed, asked.media_type, asked.request_id))
    }

    async fn executed(&self, request: GraphqlRequest, is_query: bool) -> Result<GraphqlResponse> {
        let execution = SCHEMA.execute(request);
        if !is_query {
            return Ok(execution.await);
        }
        tokio::select! {
            biased;
            executed = execution => Ok(executed),
            () = self.making.clock.sleep(QUERY_TIME_MAX) => {
                Err(Problem::GraphqlLimit("the query took longer than 10 s: ask for less".to_owned()))
            }
        }
    }

    fn request(&self, asked: &Asked, caller: Caller, posted: Posted, document: &Document) -> Result<GraphqlRequest> {
        let variables = match posted.variables {
            None | Some(Value::Null) => Variables::default(),
            Some(variables @ Value::Object(_)) => Variables::from_json(variables),
            Some(_) => return Err(Problem::GraphqlInvalid("variables is an object".to_owned())),
        };
        let kind = match document.kind {
            OperationType::Query => Kind::Query,
            OperationType::Mutation => Kind::Mutation,
            OperationType::Subscription => Kind::Subscription,
        };
        let own = caller.key.org_id.map(|org| org.to_string());
        let session = Session {
            rest: self.rest.clone(),
            cursors: self.cursors.clone(),
            org: own.or_else(|| asked.org.clone()).unwrap_or_else(|| DEFAULT_SLUG.to_owned()),
            caller,
            peer: asked.peer,
            request_id: asked
                .request_id
                .unwrap_or_else(|| RequestId::make(self.making.clock.now(), &*self.making.entropy)),
            once: asked.once.clone()?,
            hops: asked.hops.clone(),
            has_many_roots: document.roots > 1,
            kind,
            progress: super::operation::Progress::default(),
        };
        let mut request = GraphqlRequest::new(posted.query).variables(variables);
        if let Some(operation) = posted.operation {
            request = request.operation_name(operation);
        }
        request.set_parsed_query(document.parsed.clone());
        Ok(request.data(Arc::new(session)).data(Arc::clone(&self.live)))
    }
}

/// What was executed, or what validation had to say of it.
fn answer(executed: GraphqlResponse, media_type: &'static str, request_id: Option<RequestId>) -> Response {
    let executed = finished(executed, request_id);
    let is_invalid = is_invalid(&executed);
    let status = if is_invalid { http::StatusCode::BAD_REQUEST } else { http::StatusCode::OK };
    let body = serde_json::to_vec(&executed).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static(media_type))], body).into_response()
}

/// Whether nothing was executed: an error of a field has a path.
fn is_invalid(executed: &GraphqlResponse) -> bool {
    let has_data = executed.data != async_graphql::Value::Null;
    !has_data && !executed.errors.is_empty() && executed.errors.iter().all(|error| error.path.is_empty())
}

/// Every error gets a code and the request's id.
pub(super) fn finished(mut executed: GraphqlResponse, request_id: Option<RequestId>) -> GraphqlResponse {
    for error in &mut executed.errors {
        if error.extensions.is_none() {
            let words = error.message.chars().take(300).collect::<String>();
            // Where a field was reached, a value did not do: a variable, or a scalar of ours.
            let problem = match error.path.is_empty() {
                true => Problem::GraphqlInvalid(words),
                false => Problem::payload("", words),
            };
            let shaped = error::of_request(&problem, request_id);
            error.message = shaped.message;
            error.extensions = shaped.extensions;
        } else if let (Some(values), Some(id)) = (&mut error.extensions, request_id) {
            values.set("request_id", id.to_string());
        }
    }
    executed
}

/// Writes problems as GraphQL does.
async fn in_the_envelope(request: Request, next: Next) -> Response {
    let id: Option<RequestId> = request.extensions().get().copied();
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else {
        return response;
    };
    let error = error::of_request(&problem, id);
    let body = json!({"errors": [error], "data": null});
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    if problem == Problem::MethodNotAllowed {
        parts.headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
    }
    Response::from_parts(parts, body.to_string().into())
}
