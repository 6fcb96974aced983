//! Keys: which are taken, what they may do, how often.

use http::{Method, header};
use rstest::rstest;
use serde_json::json;
use watchbell_api::limits::RateLimit;
use watchbell_domain::access::Scope;

use crate::world::{ROOT, World, non_zero, request};

#[tokio::test]
async fn both_schemes_are_taken() {
    let world = World::new().await;
    for scheme in ["Bearer", "bearer", "token", "Token"] {
        let mut request = request("", Method::GET, "/api/v1/orgs", None);
        let value = format!("{scheme} {ROOT}").parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, value);
        world.send(request).await.is(200);
    }
}

#[rstest]
#[case::none("", "/api/v1/orgs")]
#[case::wrong("Bearer not-the-key", "/api/v1/orgs")]
#[case::other_scheme("Basic cm9vdDpyb290", "/api/v1/orgs")]
#[case::empty("Bearer ", "/api/v1/orgs")]
#[case::query("", "/api/v1/orgs?key=root-key-of-at-least-thirty-two-characters")]
#[tokio::test]
async fn everything_else_is_one_and_the_same_refusal(#[case] authorization: &str, #[case] path: &str) {
    let world = World::new().await;
    let mut given = request("", Method::GET, path, None);
    if !authorization.is_empty() {
        given.headers_mut().insert(header::AUTHORIZATION, authorization.parse().unwrap());
    }
    let reply = world.send(given).await.is(401);
    assert_eq!(reply.headers[header::WWW_AUTHENTICATE], "Bearer");
    let expected = world.send(request("", Method::GET, "/api/v1/orgs", None)).await;
    assert_eq!(reply.without_request_id(), expected.without_request_id());
}

#[tokio::test]
async fn two_authorization_lines_are_none() {
    let world = World::new().await;
    let mut given = request(ROOT, Method::GET, "/api/v1/orgs", None);
    given.headers_mut().append(header::AUTHORIZATION, format!("Bearer {ROOT}").parse().unwrap());
    world.send(given).await.is(401);
}

#[tokio::test]
async fn a_made_key_works_until_it_expires_or_is_revoked() {
    let world = World::new().await;
    let given = json!({"name": "ci", "scopes": ["events:read"], "expires_at": "2027-01-15T09:00:00Z"});
    let made = world.post(&world.path("/keys"), given).await.is(201).json();
    let key = made["key"].as_str().unwrap();
    let path = world.path("/events");
    world.call(key, Method::GET, &path, None).await.is(200);

    world.later(3600 + 1);
    world.call(key, Method::GET, &path, None).await.is(401);

    let given = json!({"name": "ci", "scopes": ["events:read"]});
    let made = world.post(&world.path("/keys"), given).await.is(201).json();
    let key = made["key"].as_str().unwrap();
    world.call(key, Method::GET, &path, None).await.is(200);
    let id = made["id"].as_str().unwrap();
    world.delete(&world.path(&format!("/keys/{id}"))).await.is(204);
    world.call(key, Method::GET, &path, None).await.is(401);

    let listed = world.get(&world.path("/keys")).await.is(200);
    assert!(!listed.text().contains(key));
    assert_eq!(listed.json()["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_missing_scope_is_named() {
    let world = World::new().await;
    world.add_key("reader", Some(world.org), &[Scope::EventsRead]).await;
    let body = json!({"type": "a.b", "data": {}}).to_string();
    let reply = world.call("reader", Method::POST, &world.path("/events"), Some(body)).await.is(403);
    assert_eq!(reply.code(), "forbidden");
    assert!(reply.text().contains("events:write"), "{}", reply.text());
    world.call("reader", Method::GET, &world.path("/events"), None).await.is(200);
    world.call("reader", Method::GET, &world.path("/endpoints"), None).await.is(403);
    world.call("reader", Method::POST, "/api/v1/orgs", Some(json!({"name": "X"}).to_string())).await.is(403);
    world.call("reader", Method::GET, "/metrics", None).await.is(403);
}

#[tokio::test]
async fn a_key_gives_no_more_than_it_has() {
    let world = World::new().await;
    let scopes = [Scope::KeysWrite, Scope::EventsRead];
    world.add_key("maker", Some(world.org), &scopes).await;
    let path = world.path("/keys");
    let make = |scopes: serde_json::Value| {
        let body = json!({"name": "n", "scopes": scopes}).to_string();
        world.call("maker", Method::POST, &path, Some(body))
    };
    make(json!(["events:read"])).await.is(201);
    for more in [json!(["events:write"]), json!(["events:read", "admin"])] {
        assert_eq!(make(more).await.is(403).code(), "key_escalation");
    }
    let unknown = make(json!(["events:read", "everything"])).await.is(422).json();
    assert_eq!(unknown["errors"][0]["pointer"], "/scopes/1");
    make(json!([])).await.is(422);
}

#[tokio::test]
async fn an_admin_key_of_an_organisation_stays_in_it() {
    let world = World::new().await;
    let given = json!({"name": "boss", "scopes": ["admin"]});
    let made = world.post(&world.path("/keys"), given).await.is(201).json();
    let key = made["key"].as_str().unwrap();
    world.call(key, Method::GET, &world.path("/endpoints"), None).await.is(200);
    world.call(key, Method::POST, "/api/v1/orgs", Some(json!({"name": "Other"}).to_string())).await.is(403);
    world.call(key, Method::GET, "/metrics", None).await.is(403);
}

#[tokio::test]
async fn the_twenty_first_wrong_key_in_a_minute_is_429() {
    let world = World::new().await;
    for _ in 0..20 {
        world.call("wrong", Method::GET, "/api/v1/orgs", None).await.is(401);
    }
    let reply = world.call("wrong", Method::GET, "/api/v1/orgs", None).await.is(429);
    assert_eq!(reply.code(), "too_many_failures");
    assert!(reply.headers.contains_key(header::RETRY_AFTER));
    // A right key from the same address is not held up.
    world.get("/api/v1/orgs").await.is(200);
    world.later(60);
    world.call("wrong", Method::GET, "/api/v1/orgs", None).await.is(401);
}

#[tokio::test]
async fn requests_of_a_key_are_limited() {
    let limit = RateLimit { per_second: non_zero(1), burst: non_zero(3) };
    let world = World::with(|options| options.rate_limit = Some(limit)).await;
    for _ in 0..3 {
        world.get("/api/v1/orgs").await.is(200);
    }
    let reply = world.get("/api/v1/orgs").await.is(429);
    assert_eq!(reply.code(), "rate_limited");
    assert_eq!(reply.headers[header::RETRY_AFTER], "1");
    world.later(1);
    world.get("/api/v1/orgs").await.is(200);

    let unlimited = World::with(|options| options.rate_limit = None).await;
    for _ in 0..300 {
        unlimited.get("/api/v1/orgs").await.is(200);
    }
}

#[tokio::test]
async fn a22_the_eleventh_ping_of_an_organisation_in_a_minute_is_429() {
    let world = World::new().await;
    let endpoint = world.endpoint().await;
    let id = endpoint["id"].as_str().unwrap();
    let ours = world.path(&format!("/endpoints/{id}/ping"));
    for _ in 0..10 {
        world.call(ROOT, Method::POST, &ours, None).await.is(202);
    }
    let refused = world.call(ROOT, Method::POST, &ours, None).await.is(429);
    assert_eq!(refused.code(), "rate_limited");
    assert_eq!(refused.headers[header::RETRY_AFTER], "6");
    world.later(6);
    world.call(ROOT, Method::POST, &ours, None).await.is(202);

    let unlimited = World::with(|options| options.rate_limit = None).await;
    let endpoint = unlimited.endpoint().await;
    let theirs = unlimited.path(&format!("/endpoints/{}/ping", endpoint["id"].as_str().unwrap()));
    for _ in 0..11 {
        unlimited.call(ROOT, Method::POST, &theirs, None).await.is(202);
    }
}
