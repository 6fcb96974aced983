//! The services that destinations talk to, as far as they are spoken to: each refuses what the real one refuses, in its
//! words, and remembers what it took.
//!
//! - [`chat`]: Slack's incoming webhooks, Teams' workflows and old connectors.
//! - [`pagers`]: PagerDuty's events, the alerts of Opsgenie and Jira Service Management.
//! - [`jira`]: search, issues, comments, transitions.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub(crate) mod chat;
pub(crate) mod jira;
pub(crate) mod pagers;

/// One request.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body, where it is said to be JSON and is an object.
    fn json(&self) -> Option<Value> {
        let is_json = self.header("content-type").split(';').next() == Some("application/json");
        serde_json::from_slice::<Value>(&self.body).ok().filter(|body| is_json && body.is_object())
    }
}

/// What is answered.
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Reply {
    fn text(status: u16, body: &str) -> Self {
        Self { status, headers: vec![("content-type", "text/html".to_owned())], body: body.to_owned() }
    }

    fn json(status: u16, body: &Value) -> Self {
        Self { status, headers: vec![("content-type", "application/json".to_owned())], body: body.to_string() }
    }
}

/// What the services know.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) slack: chat::Slack,
    pub(crate) teams: chat::Teams,
    pub(crate) pagerduty: pagers::PagerDuty,
    pub(crate) alerts: pagers::Alerts,
    pub(crate) jira: jira::Jira,
    /// Bodies sent to `/any…`.
    pub(crate) any: Vec<(Method, HeaderMap, Bytes)>,
    /// What was refused: the path, the answer, the body.
    pub(crate) refused: Vec<String>,
}

/// All of them on one free port of loopback.
pub(crate) struct Fakes {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
    changed: watch::Receiver<u64>,
}

impl Fakes {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::<Mutex<State>>::default();
        let (tell, changed) = watch::channel(0);
        let (shared, tell) = (Arc::clone(&state), Arc::new(tell));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, tell) = (Arc::clone(&shared), Arc::clone(&tell));
                let service = service_fn(move |request| answer(request, Arc::clone(&state), Arc::clone(&tell)));
                let server = hyper::server::conn::http1::Builder::new();
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, state, changed }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Waits until the services have come to know what is wanted.
    pub(crate) async fn until<T>(&mut self, what: &str, mut wanted: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            self.changed.mark_unchanged();
            if let Some(found) = wanted(&mut self.state()) {
                return found;
            }
            let limit = std::time::Duration::from_secs(30);
            let changed = tokio::time::timeout(limit, self.changed.changed()).await;
            assert!(changed.is_ok(), "no {what}; refused: {:?}", self.state().refused);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the body is limited")]
async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
    tell: Arc<watch::Sender<u64>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, 8 << 20).collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let call = Call {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body,
    };
    let reply = take(&mut state.lock().unwrap(), &call);
    tell.send_modify(|count| *count += 1);
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::from(reply.body)).unwrap())
}

fn take(state: &mut State, call: &Call) -> Reply {
    let path = call.path.as_str();
    let reply = if path.starts_with("/services/") {
        state.slack.take(call)
    } else if path.contains("/workflows/") || path.starts_with("/webhookb2/") {
        state.teams.take(call)
    } else if path == "/v2/enqueue" {
        state.pagerduty.take(call)
    } else if path.contains("/v2/alerts") {
        state.alerts.take(call)
    } else if path.starts_with("/rest/api/3/") {
        state.jira.take(call)
    } else if path.starts_with("/any") {
        state.any.push((call.method.clone(), call.headers.clone(), call.body.clone()));
        Reply::text(204, "")
    } else {
        Reply::text(404, "nothing here")
    };
    if reply.status >= 400 {
        let (body, said) = (String::from_utf8_lossy(&call.body), &reply.body);
        state.refused.push(format!("{} {path}: {} {said}: {body}", call.method, reply.status));
    }
    reply
}

/// Whether text is there and has so many characters, as Java and JavaScript count them.
fn is_text(value: &Value, length: std::ops::RangeInclusive<usize>) -> bool {
    value.as_str().is_some_and(|text| length.contains(&text.encode_utf16().count()))
}

/// Whether an object has these members at most.
fn has_only(value: &Value, names: &[&str]) -> bool {
    value.as_object().is_some_and(|members| members.keys().all(|name| names.contains(&name.as_str())))
}
