//! What a vendor is told: a status and a small JSON object, as its dialect has it.
//!
//! Whoever did not prove who it is learns the same in every case. What really was wrong stands in the receipt.

use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use watchbell_domain::id::{ReceiptId, RequestId};
use watchbell_domain::receipt::Verdict;
use watchbell_engine::receive::{Known, Received};
use watchbell_wire::Dialect;
use watchbell_wire::dialect::Credential;

use crate::problem::{MEDIA_TYPE, Problem};

/// The dialect whose document says what a receiver answers.
const BEARER_SCAN: &str = "bearer-scan";
const RECEIVED: &str = "Scan results received successfully.";

/// Longest piece of a refusal that the sender is told, in characters.
const DETAIL_LENGTH_MAX: usize = 300;

/// The answer to a request that was taken.
#[derive(Serialize)]
struct Taken {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    receipt_id: Option<ReceiptId>,
}

/// Whom an answer is for.
pub(super) struct Answering {
    dialect: &'static Dialect,
    request_id: String,
}

impl Answering {
    pub(super) fn to(known: &Known, parts: &Parts) -> Self {
        let request_id = parts.extensions.get::<RequestId>().map(ToString::to_string).unwrap_or_default();
        Self { dialect: known.source.dialect, request_id }
    }

    pub(super) fn answer(&self, received: Received, bytes_max: u64) -> Response {
        match problem(&received, bytes_max) {
            Some(problem) => self.refusal(problem, &received),
            None => self.taken(&received),
        }
    }

    /// A problem of ours.
    pub(super) fn problem(&self, problem: Problem) -> Response {
        self.written(problem.status(), problem)
    }

    fn taken(&self, received: &Received) -> Response {
        let status = status(received.verdict, self.dialect).unwrap_or(StatusCode::OK);
        let body = Taken {
            duplicate: received.verdict == Verdict::Duplicate,
            message: (self.dialect.id == BEARER_SCAN).then_some(RECEIVED),
            receipt_id: received.receipt_id,
        };
        (status, axum::Json(body)).into_response()
    }

    fn refusal(&self, problem: Problem, received: &Received) -> Response {
        let status = status(received.verdict, self.dialect).unwrap_or(problem.status());
        let mut response = self.written(status, problem);
        let headers = response.headers_mut();
        if let Some(seconds) = received.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if received.verdict == Verdict::MethodNotAllowed {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        if status == StatusCode::UNAUTHORIZED && self.dialect.credential != Credential::BearerToken {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Signature"));
        }
        response
    }

    /// The problem with its body. It is written here because the dialect may have another status for it.
    fn written(&self, status: StatusCode, problem: Problem) -> Response {
        let mut body = problem.body(&self.request_id);
        body.status = status.as_u16();
        let (mut parts, _) = problem.into_response().into_parts();
        parts.extensions.remove::<Problem>();
        parts.status = status;
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        Response::from_parts(parts, serde_json::to_vec(&body).unwrap_or_default().into())
    }
}

fn status(verdict: Verdict, dialect: &Dialect) -> Option<StatusCode> {
    StatusCode::from_u16(verdict.status(dialect)).ok()
}

/// What a verdict is called when it goes out; `None`: the request was taken.
fn problem(received: &Received, bytes_max: u64) -> Option<Problem> {
    let detail = || received.detail.as_deref().unwrap_or_default().chars().take(DETAIL_LENGTH_MAX).collect::<String>();
    Some(match received.verdict {
        Verdict::Accepted | Verdict::UnknownEvent | Verdict::Duplicate => return None,
        Verdict::SignatureMissing
        | Verdict::SignatureMalformed
        | Verdict::SignatureMismatch
        | Verdict::AuthMissing
        | Verdict::AuthMalformed
        | Verdict::AuthInvalid => Problem::SignatureInvalid,
        Verdict::HeaderMissing => Problem::HeaderMissing(detail()),
        Verdict::HeaderInvalid => Problem::HeaderInvalid(detail()),
        Verdict::TimestampMissing => Problem::TimestampMissing(detail()),
        Verdict::TimestampMalformed => Problem::TimestampMalformed(detail()),
        Verdict::TimestampStale => Problem::TimestampStale(detail()),
        Verdict::TimestampFuture => Problem::TimestampFuture(detail()),
        Verdict::InvalidJson => Problem::InvalidJson(detail()),
        Verdict::InvalidUtf8 => Problem::InvalidUtf8(detail()),
        Verdict::InvalidUnicode => Problem::InvalidUnicode(detail()),
        Verdict::DuplicateKey => Problem::DuplicateKey(detail()),
        Verdict::JsonTooDeep => Problem::JsonTooDeep(detail()),
        Verdict::NumberOutOfRange => Problem::NumberOutOfRange(detail()),
        Verdict::PayloadInvalid => Problem::payload("", detail()),
        Verdict::UnsupportedMediaType => Problem::UnsupportedMediaType(detail()),
        Verdict::UnsupportedEncoding => Problem::UnsupportedEncoding,
        Verdict::BodyTooLarge => Problem::BodyTooLarge(bytes_max),
        Verdict::BodyTimeout => Problem::BodyTimeout,
        Verdict::MethodNotAllowed => Problem::MethodNotAllowed,
        Verdict::LoopDetected => Problem::LoopDetected(watchbell_domain::event::HOPS_MAX),
        Verdict::SourceIpForbidden => Problem::SourceIpForbidden,
        Verdict::RateLimited => Problem::RateLimited(received.retry_after.unwrap_or(1)),
        Verdict::Paused => Problem::SourcePaused,
    })
}
