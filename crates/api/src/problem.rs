//! Every way in which a request can fail, as RFC 9457 problems.
//!
//! One exhaustive enum: a new failure is a variant here and a page in `docs/problems/`. A problem travels as an
//! extension of the response; the outermost layer writes the body, since only that one knows the request's id, and a
//! vendor's router may write it in the vendor's own shape instead.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;
use watchbell_domain::access::Scope;
use watchbell_domain::port::StoreError;

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Something wrong at one place of the body or query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct At {
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// What is wrong and what is wanted.
    pub detail: String,
}

macro_rules! problems {
    ($( $(#[$doc:meta])* $variant:ident $(($($field:ty),+))? = $code:literal, $status:ident, $title:literal; )+) => {
        /// Why a request failed. `code` is stable, the words are not.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Problem { $( $(#[$doc])* $variant $(($($field),+))?, )+ }

        impl Problem {
            /// Every code.
            pub const CODES: &'static [&'static str] = &[$($code),+];

            /// The stable code.
            pub const fn code(&self) -> &'static str {
                match self { $( problems!(@pattern $variant $(($($field),+))?) => $code, )+ }
            }

            /// The status.
            pub const fn status(&self) -> StatusCode {
                match self { $( problems!(@pattern $variant $(($($field),+))?) => StatusCode::$status, )+ }
            }

            /// A few words that are the same for every problem of this code.
            pub const fn title(&self) -> &'static str {
                match self { $( problems!(@pattern $variant $(($($field),+))?) => $title, )+ }
            }

            /// The page about a code.
            pub fn page(code: &str) -> Option<&'static str> {
                match code { $( $code => Some(include_str!(concat!("../../../docs/problems/", $code, ".md"))), )+ _ => None }
            }
        }
    };
    (@pattern $variant:ident) => { Self::$variant };
    (@pattern $variant:ident ($($field:ty),+)) => { Self::$variant(..) };
}

problems! {
    /// The body is not JSON.
    InvalidJson(String) = "invalid_json", BAD_REQUEST, "The body is not JSON";
    /// The body is not UTF-8.
    InvalidUtf8(String) = "invalid_utf8", BAD_REQUEST, "The body is not UTF-8";
    /// A string holds half a surrogate pair.
    InvalidUnicode(String) = "invalid_unicode", BAD_REQUEST, "A string is not Unicode";
    /// A member is given twice.
    DuplicateKey(String) = "duplicate_key", BAD_REQUEST, "A member is given twice";
    /// More levels than we take.
    JsonTooDeep(String) = "json_too_deep", BAD_REQUEST, "The JSON is nested too deeply";
    /// A number overflows a double.
    NumberOutOfRange(String) = "number_out_of_range", BAD_REQUEST, "A number is too large";
    /// More body than we take.
    BodyTooLarge(u64) = "body_too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    /// The body did not come in time.
    BodyTimeout = "body_timeout", REQUEST_TIMEOUT, "The body took too long";
    /// The body ended early.
    BodyIncomplete = "body_incomplete", BAD_REQUEST, "The body is incomplete";
    /// Not a media type that we read here.
    UnsupportedMediaType(String) = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The media type is not supported";
    /// A coded body.
    UnsupportedEncoding = "unsupported_encoding", UNSUPPORTED_MEDIA_TYPE, "The content encoding is not supported";
    /// A header that decides holds what it cannot hold.
    HeaderInvalid(String) = "header_invalid", BAD_REQUEST, "A header is invalid";
    /// A header that must be there is not.
    HeaderMissing(String) = "header_missing", BAD_REQUEST, "A header is missing";
    /// A longer URI than we take.
    UriTooLong = "uri_too_long", URI_TOO_LONG, "The URI is too long";
    /// The event has come over too many webhooks.
    LoopDetected(u8) = "loop_detected", UNPROCESSABLE_ENTITY, "The event goes round in circles";
    /// JSON, but not what is wanted here.
    PayloadInvalid(Vec<At>) = "payload_invalid", UNPROCESSABLE_ENTITY, "The body does not fit";
    /// A query parameter does not do.
    QueryInvalid(String) = "query_invalid", BAD_REQUEST, "A query parameter is invalid";
    /// A cursor that we did not make for this list.
    CursorInvalid = "cursor_invalid", BAD_REQUEST, "The cursor is invalid";
    /// No key that works.
    Unauthorized = "unauthorized", UNAUTHORIZED, "No valid API key";
    /// A source's caller did not prove who it is.
    SignatureInvalid = "signature_invalid", UNAUTHORIZED, "The signature or token is not valid";
    /// The time of sending is not there.
    TimestampMissing(String) = "timestamp_missing", UNAUTHORIZED, "The time of sending is missing";
    /// The time of sending is none.
    TimestampMalformed(String) = "timestamp_malformed", UNAUTHORIZED, "The time of sending is malformed";
    /// The time of sending is too long ago.
    TimestampStale(String) = "timestamp_stale", UNAUTHORIZED, "The message is too old";
    /// The time of sending lies ahead.
    TimestampFuture(String) = "timestamp_future", UNAUTHORIZED, "The message lies in the future";
    /// A source is not to be called from there.
    SourceIpForbidden = "source_ip_forbidden", FORBIDDEN, "The address is not allowed";
    /// The key may not do this.
    Forbidden(Scope) = "forbidden", FORBIDDEN, "The key may not do this";
    /// A key cannot give what it does not have.
    Escalation(String) = "key_escalation", FORBIDDEN, "A key cannot give more than it has";
    /// Nothing here, or nothing that the key may see.
    NotFound = "not_found", NOT_FOUND, "Not found";
    /// The path exists, the method does not.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "The method is not allowed";
    /// Too many requests with this key.
    RateLimited(u64) = "rate_limited", TOO_MANY_REQUESTS, "Too many requests";
    /// Too many wrong keys from this address.
    TooManyFailures(u64) = "too_many_failures", TOO_MANY_REQUESTS, "Too many failed attempts";
    /// The idempotency key belongs to another request.
    IdempotencyConflict = "idempotency_conflict", CONFLICT, "The idempotency key was used for another request";
    /// Somebody else was faster, or a name is taken.
    Conflict(&'static str) = "conflict", CONFLICT, "Conflict";
    /// The delivery is in a state in which this cannot be done.
    DeliveryState(&'static str) = "delivery_state", CONFLICT, "The delivery is in another state";
    /// The receipt cannot be taken so.
    ReceiptState(String) = "receipt_state", CONFLICT, "The receipt is in another state";
    /// The receipt says nothing that we understand.
    ReceiptUnreadable(String) = "receipt_unreadable", UNPROCESSABLE_ENTITY, "The receipt cannot be read";
    /// The URL is none.
    EndpointUrlInvalid(String) = "endpoint_url_invalid", UNPROCESSABLE_ENTITY, "The URL is invalid";
    /// The URL points where we may not connect.
    EndpointUrlForbidden(String) = "endpoint_url_forbidden", UNPROCESSABLE_ENTITY, "The URL is forbidden";
    /// The URL's scheme is not one we speak.
    EndpointUrlScheme(String) = "endpoint_url_scheme", UNPROCESSABLE_ENTITY, "The URL's scheme is not allowed";
    /// The URL's port is refused.
    EndpointUrlPort(String) = "endpoint_url_port", UNPROCESSABLE_ENTITY, "The URL's port is not allowed";
    /// The host changes and the secret would go with it.
    EndpointSecretRequired(String) = "endpoint_secret_required", UNPROCESSABLE_ENTITY, "A new host needs a new secret";
    /// The secret is too short, misspelled or misplaced.
    SecretInvalid(At) = "secret_invalid", UNPROCESSABLE_ENTITY, "The secret is invalid";
    /// A custom header that may not be set.
    HeaderForbidden(String) = "header_forbidden", UNPROCESSABLE_ENTITY, "The header is forbidden";
    /// A filter is none, or does not fit what its endpoint gets.
    FilterInvalid(At) = "filter_invalid", UNPROCESSABLE_ENTITY, "The filter is invalid";
    /// The endpoint's dialect has nothing to try it with.
    NothingToSend = "nothing_to_send", UNPROCESSABLE_ENTITY, "The dialect has no test";
    /// The report cannot be read.
    ReportInvalid(String) = "report_invalid", UNPROCESSABLE_ENTITY, "The report cannot be read";
    /// The GraphQL document cannot be read.
    GraphqlSyntax(String) = "graphql_syntax", BAD_REQUEST, "The document cannot be read";
    /// The GraphQL request does not fit the schema, or what it is sent with.
    GraphqlInvalid(String) = "graphql_invalid", BAD_REQUEST, "The GraphQL request is invalid";
    /// The GraphQL request is more than we do in one.
    GraphqlLimit(String) = "graphql_limit", BAD_REQUEST, "The GraphQL request asks for too much";
    /// More streams at once than we carry.
    TooManyStreams(String) = "too_many_streams", TOO_MANY_REQUESTS, "Too many streams";
    /// The client does not read what it asked for.
    TooSlow(String) = "too_slow", TOO_MANY_REQUESTS, "The stream is read too slowly";
    /// The store cannot answer now.
    StorageUnavailable = "storage_unavailable", SERVICE_UNAVAILABLE, "The storage is unavailable";
    /// The disk is full.
    StorageFull = "storage_full", SERVICE_UNAVAILABLE, "The storage is full";
    /// The source is paused.
    SourcePaused = "source_paused", SERVICE_UNAVAILABLE, "The source is paused";
    /// More requests at once than we carry.
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, "Too much at once";
    /// Our own fault.
    Internal = "internal", INTERNAL_SERVER_ERROR, "Internal error";
}

impl Problem {
    /// One place of the body does not fit.
    pub fn payload(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::PayloadInvalid(vec![At { pointer: pointer.into(), detail: detail.into() }])
    }

    /// A file of ours could not be written or read.
    pub(crate) fn of_file(error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge) {
            return Self::StorageFull;
        }
        tracing::warn!(%error, "a file cannot be used");
        Self::StorageUnavailable
    }

    /// What is wrong this time, and what would be right.
    pub fn detail(&self) -> String {
        match self {
            Self::InvalidJson(text)
            | Self::InvalidUtf8(text)
            | Self::InvalidUnicode(text)
            | Self::DuplicateKey(text)
            | Self::JsonTooDeep(text)
            | Self::NumberOutOfRange(text)
            | Self::UnsupportedMediaType(text)
            | Self::HeaderInvalid(text)
            | Self::HeaderMissing(text)
            | Self::TimestampMissing(text)
            | Self::TimestampMalformed(text)
            | Self::TimestampStale(text)
            | Self::TimestampFuture(text)
            | Self::ReceiptState(text)
            | Self::ReceiptUnreadable(text)
            | Self::QueryInvalid(text)
            | Self::Escalation(text)
            | Self::EndpointUrlInvalid(text)
            | Self::EndpointUrlForbidden(text)
            | Self::EndpointUrlScheme(text)
            | Self::EndpointUrlPort(text)
            | Self::EndpointSecretRequired(text)
            | Self::HeaderForbidden(text)
            | Self::ReportInvalid(text)
            | Self::GraphqlSyntax(text)
            | Self::GraphqlInvalid(text)
            | Self::GraphqlLimit(text)
            | Self::TooManyStreams(text)
            | Self::TooSlow(text) => text.clone(),
            Self::SecretInvalid(at) | Self::FilterInvalid(at) => at.detail.clone(),
            Self::PayloadInvalid(places) => places
                .iter()
                .map(|at| match at.pointer.as_str() {
                    "" => at.detail.clone(),
                    pointer => format!("{pointer}: {}", at.detail),
                })
                .collect::<Vec<_>>()
                .join("; "),
            Self::BodyTooLarge(limit) => format!("the body may have {limit} bytes"),
            Self::Forbidden(scope) => format!("the key lacks the scope {scope}"),
            Self::RateLimited(seconds) | Self::TooManyFailures(seconds) => {
                format!("try again in {seconds} s")
            }
            Self::Conflict(text) | Self::DeliveryState(text) => (*text).to_owned(),
            Self::BodyTimeout => "the body was not complete in time".into(),
            Self::BodyIncomplete => "the connection ended before the body did".into(),
            Self::UnsupportedEncoding => "send the body without Content-Encoding".into(),
            Self::LoopDetected(most) => {
                format!("the event has come over more than {most} webhooks: do two of them feed each other?")
            }
            Self::UriTooLong => "the URI may have 8192 bytes".into(),
            Self::CursorInvalid => "give next_cursor of this list as it was answered, or leave cursor out".into(),
            Self::Unauthorized => "give a valid API key as Authorization: Bearer KEY".into(),
            Self::SignatureInvalid => "the request does not prove that it comes from who may call here".into(),
            Self::SourceIpForbidden => "requests from this address are not taken here".into(),
            Self::SourcePaused => "nothing is taken here at the moment; try again later".into(),
            Self::NotFound => "there is nothing here, or nothing that the key may see".into(),
            Self::MethodNotAllowed => "the header Allow names the methods of this path".into(),
            Self::IdempotencyConflict => "use a new Idempotency-Key for a new request".into(),
            Self::NothingToSend => "the endpoint's dialect has neither a ping nor an event that could serve".into(),
            Self::StorageUnavailable => "nothing is known to be stored; try again".into(),
            Self::StorageFull => "nothing was stored; make room on the server's disk".into(),
            Self::Overloaded => "nothing was done; try again".into(),
            Self::Internal => "the server's log has more under the request id".into(),
        }
    }

    /// Seconds after which trying again makes sense.
    pub fn retry_after(&self) -> Option<u64> {
        if let Self::RateLimited(seconds) | Self::TooManyFailures(seconds) = self {
            return Some(*seconds);
        }
        if matches!(self, Self::StorageFull | Self::TooManyStreams(_)) {
            return Some(10);
        }
        match self.status() {
            StatusCode::SERVICE_UNAVAILABLE => Some(1),
            _ => None,
        }
    }

    /// The places in the body that the problem names.
    pub fn places(&self) -> &[At] {
        if let Self::PayloadInvalid(places) = self {
            return places;
        }
        if let Self::SecretInvalid(at) | Self::FilterInvalid(at) = self {
            return std::slice::from_ref(at);
        }
        &[]
    }

    /// The body as our own API shows it.
    pub fn body(&self, request_id: &str) -> Body {
        let detail = self.detail();
        Body {
            kind: format!("/problems/{}", self.code()),
            title: self.title().to_owned(),
            status: self.status().as_u16(),
            code: self.code().to_owned(),
            error: detail.clone(),
            detail,
            errors: self.places().to_vec(),
            request_id: request_id.to_owned(),
        }
    }
}

/// A problem as JSON (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Body {
    /// The page about it: `/problems/<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for every problem of this code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong this time.
    pub detail: String,
    /// The stable code.
    pub code: String,
    /// Repeats `detail`.
    pub error: String,
    /// The places in the body, where it is about places.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<At>,
    /// Names this request in the server's log.
    pub request_id: String,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // What is left of a body that was not read must not be taken for the next request.
        if matches!(self, Self::BodyTooLarge(_) | Self::BodyTimeout | Self::BodyIncomplete) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::StorageFull,
            StoreError::Conflict(what) => Self::Conflict(what),
            StoreError::LeaseLost => Self::Conflict("the delivery is being sent by another worker"),
            StoreError::Unavailable(cause) => {
                tracing::warn!(cause, "storage unavailable");
                Self::StorageUnavailable
            }
            StoreError::Corrupt { .. } => {
                tracing::error!(%error, "corrupt row");
                Self::Internal
            }
        }
    }
}

/// An answer or a problem.
pub type Result<T, E = Problem> = std::result::Result<T, E>;
