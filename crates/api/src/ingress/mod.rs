//! `/in/{source}`: where vendors' webhooks arrive.
//!
//! ```text
//!  source ─▶ method ─▶ announced size ─▶ address, pause, rate ─▶ body (bounded) ─▶ engine::receive ─▶ answer
//! ```
//!
//! No key is asked for: the URL names the source, and the source's own secret proves the caller. An id that no source has
//! is answered like every path that leads nowhere.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRef, RawPathParams, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use watchbell_domain::id::SourceId;
use watchbell_domain::receipt::{CLOUDEVENTS, Verdict};
use watchbell_engine::receive::handshake::Consent;
use watchbell_engine::receive::{Call, Known, Received, Receiver, Refused};

use self::answer::Answering;
use crate::auth::Peer;
use crate::body::{BodyReader, Gathered, announced, check_encoding};
use crate::edge::{Edge, Making};
use crate::metrics::Metrics;
use crate::problem::{Problem, Result};
use crate::rest::events::hops;
use crate::serve::Lines;

mod answer;

const REQUEST_ORIGIN: &str = "webhook-request-origin";
const REQUEST_RATE: &str = "webhook-request-rate";
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");

pub(crate) fn router<S: Clone + Send + Sync + 'static>(edge: &Edge) -> Router<S> {
    let ingress = Ingress {
        receiver: Arc::from_ref(edge),
        bodies: BodyReader::from_ref(edge),
        making: Making::from_ref(edge),
        metrics: Metrics::from_ref(edge),
    };
    Router::new().route("/in/{source}", any(arrive)).with_state(Arc::new(ingress))
}

/// What receiving takes here.
struct Ingress {
    receiver: Arc<Receiver>,
    bodies: BodyReader,
    making: Making,
    metrics: Metrics,
}

async fn arrive(State(ingress): State<Arc<Ingress>>, params: RawPathParams, request: Request) -> Response {
    let id = params.iter().next().and_then(|(_, text)| text.parse::<SourceId>().ok());
    let known = match id {
        Some(id) => ingress.receiver.find(id).await,
        None => Ok(None),
    };
    let known = match known {
        Ok(Some(known)) => known,
        Ok(None) => return Problem::NotFound.into_response(),
        Err(error) => return Problem::from(error).into_response(),
    };
    let (parts, body) = request.into_parts();
    let answering = Answering::to(&known, &parts);
    let received = if known.source.dialect.id == CLOUDEVENTS && parts.method == Method::OPTIONS {
        let call = ingress.call(&parts);
        match ingress.receiver.admit(&known, call.address) {
            Ok(()) => return consent(&known, &parts.headers),
            Err((refused, retry_after)) => Ok(ingress.receiver.refuse(&known, call, refused, retry_after).await),
        }
    } else {
        ingress.receive(&known, &parts, body).await
    };
    let received = match received {
        Ok(received) => received,
        // Nothing was taken: the same request may come again.
        Err(problem) => return answering.problem(problem),
    };
    ingress.metrics.receipt(known.source.dialect.id, received.verdict.as_str());
    answering.answer(received, ingress.bodies.limits.ingress_bytes_max)
}

impl Ingress {
    async fn receive(&self, known: &Known, parts: &Parts, body: Body) -> Result<Received> {
        let call = self.call(parts);
        if let Err((refused, retry_after)) = self.judge_head(known, parts, &call) {
            return Ok(self.receiver.refuse(known, call, refused, retry_after).await);
        }
        let bytes_max = self.bodies.limits.ingress_bytes_max;
        let gathered = self.bodies.gather(&parts.headers, body, bytes_max).await;
        let Gathered { bytes, memory: _memory } = match gathered {
            Ok(gathered) => gathered,
            Err(problem) => {
                let Some(refused) = of_body(&problem) else { return Err(problem) };
                return Ok(self.receiver.refuse(known, call, refused, None).await);
            }
        };
        let body_bytes = u64::try_from(bytes.len()).ok();
        Ok(self.receiver.receive(known, Call { body: bytes, body_bytes, ..call }).await?)
    }

    fn call(&self, parts: &Parts) -> Call {
        let hops = hops(&parts.headers).map_err(|problem| {
            let is_loop = matches!(problem, Problem::LoopDetected(_));
            Refused::new(if is_loop { Verdict::LoopDetected } else { Verdict::HeaderInvalid }, problem.detail())
        });
        Call {
            received_at: self.making.clock.now(),
            address: parts.extensions.get::<Peer>().map(|peer| peer.0.ip()),
            method: parts.method.to_string(),
            headers: Lines::as_received(parts.extensions.get(), &parts.headers),
            body: bytes::Bytes::new(),
            body_bytes: announced(&parts.headers),
            hops,
        }
    }

    /// What needs no body.
    fn judge_head(&self, known: &Known, parts: &Parts, call: &Call) -> Result<(), (Refused, Option<u64>)> {
        let refuse = |verdict, detail: &str| Err((Refused::new(verdict, detail), None));
        if parts.method != Method::POST {
            return refuse(Verdict::MethodNotAllowed, "a source is called by POST");
        }
        let bytes_max = self.bodies.limits.ingress_bytes_max;
        if call.body_bytes.is_some_and(|bytes| bytes > bytes_max) {
            return refuse(Verdict::BodyTooLarge, &format!("the body may have {bytes_max} bytes"));
        }
        self.receiver.admit(known, call.address)?;
        if check_encoding(&parts.headers).is_err() {
            return refuse(Verdict::UnsupportedEncoding, "the body is coded (Content-Encoding)");
        }
        // Whoever waits for leave to send the body is told now what is wrong already.
        if parts.headers.contains_key(header::EXPECT) {
            let judged = self.receiver.judge_head(known, &call.headers, call.received_at);
            judged.map_err(|refused| (refused, None))?;
        }
        Ok(())
    }
}

/// What a body that could not be read makes of its request. `None`: there is nothing to keep.
fn of_body(problem: &Problem) -> Option<Refused> {
    let verdict = if matches!(problem, Problem::BodyTooLarge(_)) {
        Verdict::BodyTooLarge
    } else if matches!(problem, Problem::BodyTimeout) {
        Verdict::BodyTimeout
    } else {
        return None;
    };
    Some(Refused::new(verdict, problem.detail()))
}

/// The answer to a sender that asks whether it may send. The headers are the consent, not the status.
fn consent(known: &Known, headers: &HeaderMap) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mut response = (StatusCode::OK, [(header::ALLOW, "POST")]).into_response();
    let consent = Consent::read(known.settings.members()).unwrap_or_default();
    let granted = text(REQUEST_ORIGIN).and_then(|origin| consent.grant(origin.trim(), text(REQUEST_RATE)));
    if let Some(granted) = granted
        && let (Ok(origin), Ok(rate)) = (HeaderValue::from_str(&granted.origin), HeaderValue::from_str(&granted.rate))
    {
        response.headers_mut().insert(ALLOWED_ORIGIN, origin);
        response.headers_mut().insert(ALLOWED_RATE, rate);
    }
    response
}
