//! The query console: a page, its style and its script, all three in the binary.
//!
//! The page holds no data and no secret: the key is typed in, kept in the page's memory, and goes into the header of each
//! request. Whatever an answer holds is shown as text.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header;

const PAGE: &str = include_str!("console/console.html");
const STYLE: &str = include_str!("console/console.css");
const SCRIPT: [&str; 3] =
    [include_str!("console/schema.js"), include_str!("console/editor.js"), include_str!("console/console.js")];

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// What the page refers to.
pub(super) fn files<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/graphql/console.css", get(|| async { file("text/css; charset=utf-8", STYLE.to_owned()) }))
        .route("/graphql/console.js", get(|| async { file("text/javascript; charset=utf-8", SCRIPT.concat()) }))
}

/// The page.
pub(super) fn page() -> Response {
    file("text/html; charset=utf-8", PAGE.to_owned())
}

fn file(kind: &'static str, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::VARY, "Accept"),
    ];
    (headers, text).into_response()
}
