//! The REST operation behind a field.
//!
//! A resolver names an operation of our own API and gets its answer or its problem. The operation runs in this process,
//! through the very extractors and handler that a REST request would meet: rights, the organisation's wall, the checks of
//! a body, `Idempotency-Key`, the record of who did what. So no rule is written twice, and a rule that REST gets later
//! holds here as well. What is not run again is what the GraphQL request has been through already: authentication, rate,
//! limits of the connection.
//!
//! Within one query an operation that reads is run once, however many fields ask for it.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;
use tower::ServiceExt;
use url::form_urlencoded::byte_serialize;
use watchbell_domain::id::RequestId;

use crate::auth::{Caller, Peer};
use crate::once;
use crate::page::Cursors;
use crate::problem::{Problem, Result};
use crate::rest::events::HOPS;

/// Most operations that one request may cause.
pub(super) const OPERATIONS_MAX: usize = 300;

/// Where an operation is: segments are escaped, so that nothing given can leave its place.
#[derive(Debug, Clone)]
pub(super) struct Path {
    text: String,
    has_query: bool,
}

impl Path {
    /// `/api/v1/orgs`
    pub(super) fn orgs() -> Self {
        Self { text: "/api/v1/orgs".to_owned(), has_query: false }
    }

    /// `/api/v1/advisories`
    pub(super) fn advisories() -> Self {
        Self { text: "/api/v1/advisories".to_owned(), has_query: false }
    }

    /// `/api/v1/groups`
    pub(super) fn groups() -> Self {
        Self { text: "/api/v1/groups".to_owned(), has_query: false }
    }

    /// `/api/v1/kev`
    pub(super) fn kev() -> Self {
        Self { text: "/api/v1/kev".to_owned(), has_query: false }
    }

    /// `/api/v1/audit`
    pub(super) fn audit() -> Self {
        Self { text: "/api/v1/audit".to_owned(), has_query: false }
    }

    /// `/api/v1/verify`
    pub(super) fn verify() -> Self {
        Self { text: "/api/v1/verify".to_owned(), has_query: false }
    }

    /// `/api/v1/orgs/{org}`
    pub(super) fn org(org: &str) -> Self {
        Self::orgs().id(org)
    }

    /// A further segment that is a name.
    pub(super) fn then(mut self, name: &'static str) -> Self {
        self.text.push('/');
        self.text.push_str(name);
        self
    }

    /// A further segment that was given.
    pub(super) fn id(mut self, id: &str) -> Self {
        self.text.push('/');
        self.text.extend(byte_serialize(id.as_bytes()));
        self
    }

    /// A query parameter, where there is a value.
    pub(super) fn with<T: Display>(mut self, name: &'static str, value: Option<T>) -> Self {
        let Some(value) = value else { return self };
        self.text.push(if self.has_query { '&' } else { '?' });
        self.text.push_str(name);
        self.text.push('=');
        self.text.extend(byte_serialize(value.to_string().as_bytes()));
        self.has_query = true;
        self
    }
}

/// What kind of GraphQL operation asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing changes while it runs.
    Query,
    /// One write after the other.
    Mutation,
    /// It lasts, and sees what changes.
    Subscription,
}

type Remembered = HashMap<String, Arc<OnceCell<Result<Bytes>>>>;

/// One GraphQL request on its way through the operations.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) rest: Router,
    pub(super) cursors: Cursors,
    pub(super) caller: Caller,
    pub(super) peer: Option<Peer>,
    pub(super) request_id: RequestId,
    /// The organisation where none is named.
    pub(super) org: String,
    /// The client's `Idempotency-Key`.
    pub(super) once: Option<String>,
    /// Over how many webhooks the request has come, where somebody counted.
    pub(super) hops: Vec<HeaderValue>,
    /// Whether the document has several fields at its root: then the key is told apart by theirs.
    pub(super) has_many_roots: bool,
    pub(super) kind: Kind,
    pub(super) progress: Progress,
}

/// What a session has done so far.
#[derive(Debug, Default)]
pub(super) struct Progress {
    operations: AtomicUsize,
    remembered: Mutex<Remembered>,
}

/// The session of a resolver.
pub(super) fn session<'a>(ctx: &Context<'a>) -> &'a Session {
    ctx.data_unchecked::<Arc<Session>>()
}

impl Session {
    /// Reads.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: Path) -> Result<T> {
        read(&self.bytes(path).await?)
    }

    /// Reads what may not be there.
    pub(super) async fn find<T: DeserializeOwned>(&self, path: Path) -> Result<Option<T>> {
        match self.get(path).await {
            Ok(found) => Ok(Some(found)),
            Err(Problem::NotFound) => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    async fn bytes(&self, path: Path) -> Result<Bytes> {
        if self.kind != Kind::Query {
            return self.run(Method::GET, path, None, None).await.map(|(_, body)| body);
        }
        let cell = {
            let mut remembered = self.progress.remembered.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(remembered.entry(path.text.clone()).or_default())
        };
        let run = async || self.run(Method::GET, path, None, None).await.map(|(_, body)| body);
        cell.get_or_init(run).await.clone()
    }

    /// Writes, and answers what the operation does.
    pub(super) async fn write<T: DeserializeOwned>(
        &self,
        ctx: &Context<'_>,
        method: Method,
        path: Path,
        body: &impl Serialize,
    ) -> Result<T> {
        let body = serde_json::to_vec(body).map_err(|_| Problem::Internal)?;
        let (_, answer) = self.run(method, path, Some((JSON, body)), self.key(ctx)).await?;
        read(&answer)
    }

    /// Asks by a body. Nothing changes, so nothing is done once.
    pub(super) async fn ask<T: DeserializeOwned>(&self, path: Path, body: &impl Serialize) -> Result<T> {
        let body = serde_json::to_vec(body).map_err(|_| Problem::Internal)?;
        let (_, answer) = self.run(Method::POST, path, Some((JSON, body)), None).await?;
        read(&answer)
    }

    /// Writes without a body.
    pub(super) async fn act<T: DeserializeOwned>(&self, ctx: &Context<'_>, path: Path) -> Result<T> {
        let (_, answer) = self.run(Method::POST, path, None, self.key(ctx)).await?;
        read(&answer)
    }

    /// Sends bytes that are no JSON of ours.
    pub(super) async fn upload<T: DeserializeOwned>(
        &self,
        ctx: &Context<'_>,
        path: Path,
        kind: &'static str,
        bytes: Vec<u8>,
    ) -> Result<T> {
        let (_, answer) = self.run(Method::POST, path, Some((kind, bytes)), self.key(ctx)).await?;
        read(&answer)
    }

    /// Deletes.
    pub(super) async fn delete(&self, ctx: &Context<'_>, path: Path) -> Result<()> {
        self.run(Method::DELETE, path, None, self.key(ctx)).await.map(drop)
    }

    /// Deletes, and answers what the operation does.
    pub(super) async fn remove<T: DeserializeOwned>(&self, ctx: &Context<'_>, path: Path) -> Result<T> {
        let (_, answer) = self.run(Method::DELETE, path, None, self.key(ctx)).await?;
        read(&answer)
    }

    /// The client's key for the running field.
    fn key(&self, ctx: &Context<'_>) -> Option<String> {
        let key = self.once.as_ref()?;
        if !self.has_many_roots {
            return Some(key.clone());
        }
        let root = ctx.path_node.map(|node| node.to_string_vec()).and_then(|path| path.into_iter().next());
        Some(format!("{key}/{}", root.unwrap_or_default()))
    }

    async fn run(
        &self,
        method: Method,
        path: Path,
        body: Option<(&'static str, Vec<u8>)>,
        once: Option<String>,
    ) -> Result<(StatusCode, Bytes)> {
        if self.kind != Kind::Subscription && self.progress.operations.fetch_add(1, Ordering::Relaxed) >= OPERATIONS_MAX
        {
            let detail = format!("a request may cause {OPERATIONS_MAX} operations: ask for smaller pages");
            return Err(Problem::GraphqlLimit(detail));
        }
        let request = self.request(method, path, body, once)?;
        let Ok(response) = self.rest.clone().oneshot(request).await;
        let (mut parts, body) = response.into_parts();
        if let Some(problem) = parts.extensions.remove::<Problem>() {
            return Err(problem);
        }
        let body = axum::body::to_bytes(body, usize::MAX).await.map_err(|_| Problem::Internal)?;
        match parts.status {
            status if status.is_success() => Ok((status, body)),
            StatusCode::NOT_FOUND => Err(Problem::NotFound),
            _ => Err(Problem::Internal),
        }
    }

    fn request(
        &self,
        method: Method,
        path: Path,
        body: Option<(&'static str, Vec<u8>)>,
        once: Option<String>,
    ) -> Result<Request> {
        let mut request = Request::builder().method(method).uri(path.text);
        if let Some(key) = once {
            let unfit = |_| Problem::HeaderInvalid("Idempotency-Key is not visible ASCII".to_owned());
            request = request.header(once::HEADER, HeaderValue::try_from(key).map_err(unfit)?);
        }
        for hops in &self.hops {
            request = request.header(HOPS, hops);
        }
        if let Some((kind, _)) = &body {
            request = request.header(header::CONTENT_TYPE, *kind);
        }
        let body = body.map_or_else(Body::empty, |(_, bytes)| Body::from(bytes));
        // Only an id that makes no URI gets here: nothing is named so.
        let mut request = request.body(body).map_err(|_| Problem::NotFound)?;
        let extensions = request.extensions_mut();
        extensions.insert(self.caller.clone());
        extensions.insert(self.request_id);
        if let Some(peer) = self.peer {
            extensions.insert(peer);
        }
        Ok(request)
    }
}

const JSON: &str = "application/json";

fn read<T: DeserializeOwned>(answer: &[u8]) -> Result<T> {
    serde_json::from_slice(answer).map_err(|error| {
        tracing::error!(%error, "an operation answered what the schema does not know");
        Problem::Internal
    })
}
