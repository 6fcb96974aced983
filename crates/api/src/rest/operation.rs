//! What operators and their machines ask: alive, ready, figures, the contract, the pages about problems.

use std::sync::{Arc, OnceLock};

use axum::extract::{RawPathParams, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::port::RoomStore;

use crate::auth::Caller;
use crate::edge::Edge;
use crate::metrics::Metrics;
use crate::problem::{Body, Problem, Result};
use crate::serve::Ready;

pub(super) fn guarded() -> OpenApiRouter<Edge> {
    OpenApiRouter::default().routes(routes!(metrics))
}

pub(super) fn open() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(contract))
        .routes(routes!(problem_page))
}

/// The process lives.
#[utoipa::path(get, path = "/healthz", tag = "operation", security(()), responses((status = 200)))]
async fn healthz() -> &'static str {
    "ok\n"
}

/// The node wants requests, and has room for what they add.
#[utoipa::path(get, path = "/readyz", tag = "operation", security(()), responses((status = 200), (status = 503)))]
async fn readyz(State(ready): State<Ready>, State(store): State<Arc<dyn RoomStore>>) -> (StatusCode, &'static str) {
    if !ready.get() {
        return (StatusCode::SERVICE_UNAVAILABLE, "not ready\n");
    }
    match store.has_room().await {
        Ok(true) => (StatusCode::OK, "ready\n"),
        Ok(false) | Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "storage full\n"),
    }
}

/// Figures in OpenMetrics text. Needs a key with the scope admin.
#[utoipa::path(get, path = "/metrics", tag = "operation",
    responses((status = 200, body = String, content_type = "application/openmetrics-text"),
        (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn metrics(caller: Caller, State(metrics): State<Metrics>) -> Result<Response> {
    caller.must_be_operator()?;
    let text = metrics.text().map_err(|_| Problem::Internal)?;
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "operation", security(()),
    responses((status = 200, body = Object, content_type = "application/json")))]
async fn contract() -> Response {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| super::contract().to_json().unwrap_or_default());
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], text.as_str()).into_response()
}

/// What a problem means and what to do.
#[utoipa::path(get, path = "/problems/{code}", tag = "operation", security(()), params(("code" = String, Path)),
    responses((status = 200, body = String, content_type = "text/markdown"),
        (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn problem_page(params: RawPathParams) -> Result<Response> {
    let code = params.iter().find_map(|(name, value)| (name == "code").then_some(value));
    let page = code.and_then(Problem::page).ok_or(Problem::NotFound)?;
    let kind = HeaderValue::from_static("text/markdown; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], page).into_response())
}
