//! Problems: one shape, a page for each, no path around them.

use std::collections::BTreeSet;

use axum::http::Method;
use http::header;
use rstest::rstest;
use serde_json::json;
use watchbell_api::problem::Problem;

use crate::world::{ROOT, World, request};

#[tokio::test]
async fn a_problem_has_every_member() {
    let world = World::new().await;
    let given = json!({"type": "vulnerability.created", "data": {"severity": "grave"}});
    let reply = world.post(&world.path("/events"), given).await.is(422);
    assert_eq!(reply.headers[header::CONTENT_TYPE], "application/problem+json");
    let id = reply.headers["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(reply.json()["request_id"], id.as_str());
    assert!(id.starts_with("req_"));
    insta::assert_json_snapshot!("payload_invalid", reply.without_request_id());
    let reply = world.get(&world.path("/events/evt_0192f0c1-0000-7000-8000-000000000000")).await.is(404);
    insta::assert_json_snapshot!("not_found", reply.without_request_id());
    let reply = world.get(&world.path("/events?cursor=x")).await.is(400);
    insta::assert_json_snapshot!("cursor_invalid", reply.without_request_id());
    let given = json!({"url": "https://a.example.com/", "dialect": "snyk", "secret": "short"});
    let reply = world.post(&world.path("/endpoints"), given).await.is(422);
    insta::assert_json_snapshot!("secret_invalid", reply.without_request_id());
    let reply = world.call("wrong", Method::GET, "/api/v1/orgs", None).await.is(401);
    insta::assert_json_snapshot!("unauthorized", reply.without_request_id());
}

#[tokio::test]
async fn every_code_has_a_page_that_is_served() {
    let world = World::new().await;
    let unique: BTreeSet<_> = Problem::CODES.iter().collect();
    assert_eq!(unique.len(), Problem::CODES.len());
    for code in Problem::CODES {
        let page = world.send(request("", Method::GET, &format!("/problems/{code}"), None)).await.is(200).text();
        assert!(page.starts_with(&format!("# {code}\n")), "{code}: {page}");
        assert!(page.contains("## What to do"), "{code} says nothing of what to do");
        assert!(page.len() > 100, "{code} says too little");
    }
    let known: BTreeSet<String> = Problem::CODES.iter().map(|code| format!("{code}.md")).collect();
    let pages = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/problems");
    for entry in std::fs::read_dir(pages).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(known.contains(&name), "docs/problems/{name} is about no problem");
    }
    world.send(request("", Method::GET, "/problems/no_such", None)).await.is(404);
}

#[rstest]
#[case("/")]
#[case("/nothing")]
#[case("/api/v1/nothing")]
#[case("/api/v1/orgs/acme/nothing")]
#[case("/api//v1/orgs")]
#[case("/api/v1/orgs/../orgs")]
#[case("/api/v1/orgs/%2e%2e/orgs")]
#[case("/problems/..%2f..%2fCargo.toml")]
#[case("/problems/%00")]
#[case("/api/v1/orgs/%zz")]
#[case("/api/v1/orgs/%ff")]
#[case("/api/v1/orgs/acme/events/not-an-id")]
#[case("/api/v1/orgs/acme/events/ep_0192f0c1-0000-7000-8000-000000000000")]
#[tokio::test]
async fn odd_paths_are_not_found(#[case] path: &str) {
    let world = World::new().await;
    let reply = world.get(path).await;
    assert!(matches!(reply.status.as_u16(), 400 | 404), "{}", reply.text());
    assert_eq!(reply.headers[header::CONTENT_TYPE], "application/problem+json");
    assert!(!reply.code().is_empty());
}

#[rstest]
#[case(Method::PUT, "/api/v1/orgs", "GET,HEAD,POST")]
#[case(Method::TRACE, "/api/v1/orgs", "GET,HEAD,POST")]
#[case(Method::CONNECT, "/healthz", "GET,HEAD")]
#[case(Method::DELETE, "/healthz", "GET,HEAD")]
#[case(Method::POST, "/api/v1/orgs/acme", "DELETE,GET,HEAD,PATCH")]
#[tokio::test]
async fn other_methods_are_named(#[case] method: Method, #[case] path: &str, #[case] allowed: &str) {
    let world = World::new().await;
    let reply = world.call(ROOT, method, path, None).await.is(405);
    assert_eq!(reply.code(), "method_not_allowed");
    let mut found: Vec<_> = reply.headers[header::ALLOW].to_str().unwrap().split(',').collect();
    found.sort_unstable();
    assert_eq!(found.join(","), allowed);
}

#[tokio::test]
async fn a_long_uri_is_refused() {
    let world = World::new().await;
    let fits = format!("/healthz?{}", "x".repeat(8192 - "/healthz?".len()));
    world.get(&fits).await.is(200);
    assert_eq!(world.get(&format!("{fits}x")).await.is(414).code(), "uri_too_long");
}

#[tokio::test]
async fn a_host_is_given_once() {
    let world = World::new().await;
    let mut twice = request(ROOT, Method::GET, "/healthz", None);
    twice.headers_mut().append(header::HOST, "a.example".parse().unwrap());
    twice.headers_mut().append(header::HOST, "b.example".parse().unwrap());
    assert_eq!(world.send(twice).await.is(400).code(), "header_invalid");
}

#[rstest]
#[case::chunked(&["Chunked"], 200)]
#[case::gzipped(&["gzip, chunked"], 400)]
#[case::twice(&["chunked", "chunked"], 400)]
#[case::unknown(&["xchunked"], 400)]
#[tokio::test]
async fn c1_a_transfer_coding_other_than_chunked_ends_the_connection(#[case] codings: &[&str], #[case] status: u16) {
    let world = World::new().await;
    let mut coded = request(ROOT, Method::GET, "/healthz", None);
    for coding in codings {
        let headers = coded.headers_mut();
        headers.append(header::TRANSFER_ENCODING, coding.parse().unwrap());
    }
    let reply = world.send(coded).await.is(status);
    let is_closed = reply.headers.get(header::CONNECTION).is_some_and(|value| value == "close");
    assert_eq!(is_closed, status == 400);
}

#[tokio::test]
async fn long_input_is_not_echoed() {
    let world = World::new().await;
    let long = "x".repeat(5000);
    for body in [
        json!({"type": long, "data": {}}),
        json!({"type": "a.b", "data": {}, "project": long}),
        json!({"type": "a.b", "data": {}, "occurred_at": long}),
        json!({long.clone(): 1}),
    ] {
        let reply = world.post(&world.path("/events"), body).await.is(422);
        assert!(!reply.text().contains(&long[..101]), "{}", reply.text());
    }
}

#[tokio::test]
async fn a_full_house_is_503() {
    let world = World::with(|options| options.requests_max = 0).await;
    let reply = world.get("/api/v1/orgs").await.is(503);
    assert_eq!((reply.code().as_str(), &reply.headers[header::RETRY_AFTER]), ("overloaded", &"1".parse().unwrap()));
}

#[tokio::test]
async fn a_panic_is_one_requests_problem() {
    let world = World::new().await;
    // The first reading is for the request's id, outside of what a handler can break.
    world.blows_after.store(1, std::sync::atomic::Ordering::Relaxed);
    let reply = world.get("/api/v1/orgs").await.is(500);
    assert_eq!(reply.code(), "internal");
    assert!(!reply.text().contains("fuse"), "{}", reply.text());
    world.blows_after.store(i64::MAX, std::sync::atomic::Ordering::Relaxed);
    world.get("/api/v1/orgs").await.is(200);
}
