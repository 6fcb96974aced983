//! `Idempotency-Key`: a write that is sent again is done once and answered as the first time.
//!
//! The answer is rendered before the write, from ids that are made here, and committed with it.

use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use sha2::{Digest, Sha256};
use watchbell_domain::audit::Deed;
use watchbell_domain::port::{Answer, Once, Terms, Written};

use crate::problem::{Problem, Result};

/// The header.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// Says in an answer that it is the first one again.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 255;

/// The client's key and what it was sent with.
#[derive(Debug, Clone)]
pub(crate) struct OnceKey {
    /// The key, and the hash of what it came with so far.
    given: Option<(String, Sha256)>,
}

impl OnceKey {
    /// Takes the header of a request whose body is not read yet.
    pub(crate) fn of(request: &Request) -> Result<Self> {
        let Some(key) = given(request.headers())? else {
            return Ok(Self { given: None });
        };
        let route = request.extensions().get::<MatchedPath>();
        let route = route.map_or_else(|| request.uri().path(), MatchedPath::as_str);
        let mut hash = Sha256::new();
        // The body comes last, so no separator is needed behind it; method and path hold no line feed.
        hash.update(request.method().as_str());
        hash.update(b"\n");
        hash.update(request.uri().path_and_query().map_or("", |path| path.as_str()));
        hash.update(b"\n");
        Ok(Self { given: Some((format!("{} {route} {key}", request.method()), hash)) })
    }

    pub(crate) fn with_body(mut self, body: &[u8]) -> Self {
        self.take(body);
        self
    }

    /// Takes the next part of a body.
    pub(crate) fn take(&mut self, part: &[u8]) {
        if let Some((_, hash)) = &mut self.given {
            hash.update(part);
        }
    }

    /// Whether the client gave a key.
    pub(crate) fn is_given(&self) -> bool {
        self.given.is_some()
    }

    /// What to commit with a change: the answer, and who did what.
    pub(crate) fn terms(&self, answer: &Answer, deed: Deed) -> Terms {
        Terms { once: self.with(answer), deed: Some(deed) }
    }

    /// What to commit with what is no change of what is configured.
    pub(crate) fn with(&self, answer: &Answer) -> Option<Once> {
        self.given.as_ref().map(|(key, hash)| Once {
            key: key.clone(),
            request: hash.clone().finalize().into(),
            answer: answer.clone(),
        })
    }
}

/// The client's key, where there is one.
pub(crate) fn given(headers: &HeaderMap) -> Result<Option<String>> {
    let mut lines = headers.get_all(HEADER).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Ok(None),
        (Some(line), None) => checked(line).map(Some),
        (Some(_), Some(_)) => Err(Problem::HeaderInvalid("Idempotency-Key is given more than once".into())),
    }
}

fn checked(line: &HeaderValue) -> Result<String> {
    let text = line.to_str().ok().filter(|text| {
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        !text.is_empty() && text.len() <= KEY_BYTES_MAX && is_visible
    });
    text.map(str::to_owned).ok_or_else(|| {
        Problem::HeaderInvalid("Idempotency-Key has 1 to 255 visible ASCII characters without blanks".into())
    })
}

/// Renders an answer.
pub(crate) fn answer<T: Serialize>(status: StatusCode, body: &T) -> Answer {
    Answer {
        status: status.as_u16(),
        // Only maps with keys that are no text fail, and answers are structs.
        body: serde_json::to_vec(body).unwrap_or_default(),
    }
}

/// Sends an answer.
pub(crate) fn send(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    if answer.body.is_empty() {
        return status.into_response();
    }
    let json = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, json)], answer.body).into_response()
}

/// Answers a write: the answer prepared for it, the first one again, or a conflict.
pub(crate) fn finish<T>(written: Written<T>, fresh: Answer) -> Result<Response> {
    match written {
        Written::Fresh(_) => Ok(send(fresh)),
        Written::Repeated(first) => {
            let mut response = send(first);
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            Ok(response)
        }
        Written::KeyReused => Err(Problem::IdempotencyConflict),
    }
}
