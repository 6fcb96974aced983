//! A small HTTP client for the user's own server: one request, one connection, everything bounded.
//!
//! Not the client that delivers: there is no address guard here, because the user names the server.

mod transport;
mod upload;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use rustls::ClientConfig;
use serde_json::Value;
use url::Url;
use watchbell_wire::Secret;

pub(crate) use transport::{TrustError, trust};
pub(crate) use upload::{Upload, media_type};

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The same where a file is sent and worked on.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// Most bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Talks to one server with one key.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    base: Url,
    key: Option<Secret>,
    tls: Arc<ClientConfig>,
}

/// A request to make.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// From the root, without query.
    pub(crate) path: String,
    pub(crate) query: Vec<(&'static str, String)>,
    /// Media type and bytes.
    pub(crate) body: Option<(&'static str, Bytes)>,
    /// A file, in place of `body`.
    pub(crate) upload: Option<Upload>,
    pub(crate) idempotency_key: Option<String>,
}

impl Request {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn post(path: impl Into<String>, body: &Value) -> Self {
        Self { body: Some((JSON, Bytes::from(body.to_string()))), ..Self::new(Method::POST, path) }
    }

    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), query: Vec::new(), body: None, upload: None, idempotency_key: None }
    }

    /// Adds a query parameter when there is one.
    pub(crate) fn with(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|value| (name, value.to_string())));
        self
    }

    pub(crate) fn once(mut self, key: Option<String>) -> Self {
        self.idempotency_key = key;
        self
    }
}

/// The media type of JSON.
pub(crate) const JSON: &str = "application/json";

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    /// The body as JSON; null when it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Why there is no good answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The URL is none we can speak to.
    #[error("{0:?} is not the URL of a server: http://host:port or https://host is wanted")]
    Url(String),
    /// No connection.
    #[error("cannot connect to {base}: {source}")]
    Connect { base: String, source: std::io::Error },
    /// Connected, but no TLS.
    #[error("no TLS with {base}: {source}")]
    Tls { base: String, source: std::io::Error },
    /// No complete answer in time.
    #[error("{base} did not answer within {seconds} seconds")]
    Timeout { base: String, seconds: u64 },
    /// Not HTTP, or cut off.
    #[error("{base} gave no complete answer: {problem}")]
    Broken { base: String, problem: String },
    /// The server refused.
    #[error("{detail}{}", code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default())]
    Refused { status: StatusCode, code: Option<String>, detail: String, request_id: Option<String> },
}

impl Error {
    /// What to do next.
    pub(crate) fn advice(&self) -> Option<String> {
        match self {
            Self::Url(_) => Some("give it with --url or WATCHBELL_URL".to_owned()),
            Self::Connect { .. } => Some(
                "is the server running there? `watchbell serve` starts one; --url or WATCHBELL_URL names another"
                    .to_owned(),
            ),
            Self::Tls { .. } => {
                Some("for a private certificate authority, give its certificate with --ca-file".to_owned())
            }
            Self::Timeout { .. } | Self::Broken { .. } => Some("`watchbell doctor` looks closer".to_owned()),
            Self::Refused { status, request_id, .. } => match (*status, request_id) {
                (StatusCode::UNAUTHORIZED, _) => Some(
                    "give a key with --key-file, --key or WATCHBELL_KEY; the first start of the server printed one"
                        .to_owned(),
                ),
                (StatusCode::FORBIDDEN, _) => {
                    Some("the key lacks the scope for this; `watchbell key create` makes another".to_owned())
                }
                (status, Some(id)) if status.is_server_error() => {
                    Some(format!("the server's log has more under request {id}"))
                }
                _ => None,
            },
        }
    }
}

impl Client {
    /// A client for the server at `url`.
    pub(crate) fn new(url: &str, key: Option<Secret>, tls: Arc<ClientConfig>) -> Result<Self, Error> {
        let base = Url::parse(url).ok().filter(|base| matches!(base.scheme(), "http" | "https") && base.has_host());
        let base = base.ok_or_else(|| Error::Url(url.chars().take(100).collect()))?;
        Ok(Self { base, key, tls })
    }

    /// Makes a request; every status but 2xx is [`Error::Refused`].
    pub(crate) async fn call(&self, request: Request) -> Result<Reply, Error> {
        let reply = self.ask(request).await?;
        if reply.status.is_success() { Ok(reply) } else { Err(refused(&reply)) }
    }

    /// As [`Self::call`], and the JSON of it.
    pub(crate) async fn json(&self, request: Request) -> Result<Value, Error> {
        Ok(self.call(request).await?.json())
    }

    /// Makes a request; any complete answer is good.
    pub(crate) async fn ask(&self, request: Request) -> Result<Reply, Error> {
        let upload = request.upload.clone();
        let timeout = if upload.is_some() { UPLOAD_TIMEOUT } else { TIMEOUT };
        let asked = transport::exchange(&self.base, self.key.as_ref(), &self.tls, request, ANSWER_BYTES_MAX);
        let answered = tokio::time::timeout(timeout, asked).await;
        if let Some(upload) = upload {
            upload.answered();
        }
        answered.map_err(|_| Error::Timeout { base: self.base.to_string(), seconds: timeout.as_secs() })?
    }

    /// Every entry of a list, page by page, at most `most`.
    pub(crate) async fn every(&self, path: &str, most: usize) -> Result<Vec<Value>, Error> {
        let mut all = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let page = self.json(Request::get(path).with("limit", Some(250)).with("cursor", cursor.take())).await?;
            all.extend(page.get("items").and_then(Value::as_array).cloned().unwrap_or_default());
            cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() || all.len() >= most {
                return Ok(all);
            }
        }
    }
}

fn refused(reply: &Reply) -> Error {
    let problem = reply.json();
    let member = |name: &str| problem.get(name).and_then(Value::as_str).map(str::to_owned);
    let detail = member("detail").or_else(|| member("error")).or_else(|| member("title"));
    Error::Refused {
        status: reply.status,
        code: member("code"),
        detail: detail.unwrap_or_else(|| format!("the server answered {}", reply.status)),
        request_id: member("request_id"),
    }
}

/// The certificate authorities to trust: the system's, and those of a file.
pub(crate) fn tls(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TrustError> {
    let roots = trust(ca_file)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| TrustError::Tls(error.to_string()))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
