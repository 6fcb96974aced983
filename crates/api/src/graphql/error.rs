//! Problems as GraphQL errors.
//!
//! A field of ours fails with the problem that REST would answer: its `code`, `status`, `detail`, places and the request's
//! id stand in `extensions`. The fields of Aegis's webhook API, and what is wrong with a request as a whole, carry Aegis's
//! codes, with ours beside them as `problem`.

use async_graphql::{Error, ErrorExtensionValues, ServerError, Value};
use serde_json::json;
use watchbell_domain::id::RequestId;

use crate::problem::Problem;

/// What a resolver answers.
pub(super) type Answer<T> = Result<T, Error>;

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        let extensions = extensions(&problem, problem.code());
        Self { extensions: Some(extensions), ..Self::new(problem.detail()) }
    }
}

/// A problem under Aegis's names. `message` stands instead of our own words where Aegis documents others.
pub(super) fn aegis(problem: &Problem) -> Error {
    let mut values = extensions(problem, aegis_code(problem));
    values.set("problem", problem.code());
    let (message, details) = aegis_details(problem);
    if let Some((field, reason)) = details {
        values.set("details", value(json!({"field": field, "reason": reason})));
    }
    Error { extensions: Some(values), ..Error::new(message) }
}

/// A request that failed as a whole.
pub(super) fn of_request(problem: &Problem, request_id: Option<RequestId>) -> ServerError {
    let mut values = extensions(problem, aegis_code(problem));
    values.set("problem", problem.code());
    if let Some(id) = request_id {
        values.set("request_id", id.to_string());
    }
    let mut error = ServerError::new(problem.detail(), None);
    error.extensions = Some(values);
    error
}

fn extensions(problem: &Problem, code: &str) -> ErrorExtensionValues {
    let mut values = ErrorExtensionValues::default();
    values.set("code", code);
    values.set("detail", problem.detail());
    values.set("status", problem.status().as_u16());
    if !problem.places().is_empty() {
        values.set("errors", value(json!(problem.places())));
    }
    if let Some(seconds) = problem.retry_after() {
        values.set("retry_after", seconds);
    }
    values
}

fn value(json: serde_json::Value) -> Value {
    Value::from_json(json).unwrap_or_default()
}

/// The codes of Aegis's REST page, and two of its GraphQL page.
fn aegis_code(problem: &Problem) -> &'static str {
    match problem.status().as_u16() {
        _ if matches!(problem, Problem::GraphqlSyntax(_)) => "GRAPHQL_PARSE_FAILED",
        _ if matches!(problem, Problem::GraphqlInvalid(_) | Problem::GraphqlLimit(_)) => "GRAPHQL_VALIDATION_FAILED",
        401 => "AUTHENTICATION_ERROR",
        403 => "AUTHORIZATION_ERROR",
        404 => "NOT_FOUND",
        429 => "RATE_LIMITED",
        500..=599 => "INTERNAL_ERROR",
        _ => "VALIDATION_ERROR",
    }
}

/// What is said, and of which member of the input.
fn aegis_details(problem: &Problem) -> (String, Option<(String, String)>) {
    let place = |member: &str, reason: String| Some((format!("input.{member}"), reason));
    if let Problem::EndpointUrlScheme(_) = problem {
        return ("url must use https".to_owned(), place("url", "Must be an https URL".to_owned()));
    }
    let is_of_url = problem.code().starts_with("endpoint_url_");
    if is_of_url {
        return (format!("url: {}", problem.detail()), place("url", problem.detail()));
    }
    match problem.places().first() {
        Some(at) if at.pointer.starts_with('/') => {
            let member = at.pointer.trim_start_matches('/').replace('/', ".");
            (format!("{member}: {}", at.detail), place(&member, at.detail.clone()))
        }
        Some(_) | None => (problem.detail(), None),
    }
}
