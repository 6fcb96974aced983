//! `Idempotency-Key`: done once, answered as the first time.

use axum::body::Body;
use http::{Method, Request};
use serde_json::json;
use watchbell_domain::id::OrgId;

use crate::world::{ROOT, World, request};

fn keyed(path: &str, body: &str, key: &str) -> Request<Body> {
    let mut request = request(ROOT, Method::POST, path, Some(body.to_owned()));
    request.headers_mut().insert("idempotency-key", key.parse().unwrap());
    request
}

const BODY: &str = r#"{"type":"a.b","data":{"n":1}}"#;

#[tokio::test]
async fn the_same_request_is_answered_again_and_done_once() {
    let world = World::new().await;
    let path = world.path("/events");
    let first = world.send(keyed(&path, BODY, "k1")).await.is(202);
    world.later(5);
    let again = world.send(keyed(&path, BODY, "k1")).await.is(202);
    assert_eq!(first.body, again.body);
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let other = world.send(keyed(&path, BODY, "k2")).await.is(202);
    assert_ne!(first.body, other.body);
    assert_eq!(world.get(&path).await.json()["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn another_request_with_the_key_is_a_conflict() {
    let world = World::new().await;
    let path = world.path("/events");
    world.send(keyed(&path, BODY, "k1")).await.is(202);
    let reply = world.send(keyed(&path, r#"{"type":"a.b","data":{"n":2}}"#, "k1")).await.is(409);
    assert_eq!(reply.code(), "idempotency_conflict");
    assert_eq!(world.get(&path).await.json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn organisations_and_routes_do_not_share_keys() {
    let world = World::new().await;
    let other: OrgId = "0192f0c1-0000-7000-8000-000000000001".parse().unwrap();
    world.add_org(other, "other").await;
    world.send(keyed(&world.path("/events"), BODY, "k1")).await.is(202);
    world.send(keyed(&format!("/api/v1/orgs/{other}/events"), BODY, "k1")).await.is(202);
    world.send(keyed(&world.path("/projects"), r#"{"name":"p"}"#, "k1")).await.is(201);
}

#[tokio::test]
async fn fifty_at_once_make_one_event() {
    let world = World::new().await;
    let path = world.path("/events");
    let calls = (0..50).map(|_| world.send(keyed(&path, BODY, "k1")));
    let replies = futures_util::future::join_all(calls).await;
    assert!(replies.iter().all(|reply| reply.body == replies[0].body && reply.status == 202));
    assert_eq!(world.get(&path).await.json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_secret_shown_once_is_shown_again_to_the_same_request() {
    let world = World::new().await;
    let body = json!({"url": "https://hooks.example.com/in", "dialect": "aegis"}).to_string();
    let path = world.path("/endpoints");
    let first = world.send(keyed(&path, &body, "k1")).await.is(201);
    let again = world.send(keyed(&path, &body, "k1")).await.is(201);
    assert_eq!(first.json()["secret"], again.json()["secret"]);
    assert_eq!(world.get(&path).await.json()["items"].as_array().unwrap().len(), 1);
    let rotate = format!("{path}/{}/rotate-secret", first.json()["id"].as_str().unwrap());
    let first = world.send(keyed(&rotate, "{}", "k2")).await.is(200);
    let again = world.send(keyed(&rotate, "{}", "k2")).await.is(200);
    assert_eq!(first.body, again.body);
}

#[tokio::test]
async fn every_other_write_is_done_once() {
    let world = World::new().await;
    let endpoint = world.endpoint().await;
    let event = world.event().await;
    let ping = world.path(&format!("/endpoints/{}/ping", endpoint["id"].as_str().unwrap()));
    let replay = world.path(&format!("/events/{}/replay", event["id"].as_str().unwrap()));
    let batch = r#"{"events":[{"type":"a.b","data":{}},{"type":"A","data":{}}]}"#;
    let cases = [
        (world.path("/projects"), r#"{"name":"p"}"#),
        (world.path("/keys"), r#"{"name":"k","scopes":["events:read"]}"#),
        (world.path("/events/batch"), batch),
        (ping, "{}"),
        (replay, "{}"),
    ];
    for (path, body) in cases {
        let first = world.send(keyed(&path, body, "once")).await;
        assert!(first.status.is_success(), "{path}: {}", first.text());
        let again = world.send(keyed(&path, body, "once")).await;
        assert_eq!((first.status, &first.body), (again.status, &again.body), "{path}");
        assert_eq!(again.headers["idempotency-replayed"], "true", "{path}");
    }
}

#[tokio::test]
async fn a_key_is_plain_text_and_given_once() {
    let world = World::new().await;
    let path = world.path("/events");
    for bad in ["", "a b", &"k".repeat(256)] {
        let reply = world.send(keyed(&path, BODY, bad)).await.is(400);
        assert_eq!(reply.code(), "header_invalid", "{bad:?}");
    }
    let mut twice = keyed(&path, BODY, "k1");
    twice.headers_mut().append("idempotency-key", "k2".parse().unwrap());
    world.send(twice).await.is(400);
}

#[tokio::test]
async fn an_organisation_is_made_once() {
    let world = World::new().await;
    let first = world.send(keyed("/api/v1/orgs", r#"{"name":"Other"}"#, "once")).await.is(201);
    let again = world.send(keyed("/api/v1/orgs", r#"{"name":"Other"}"#, "once")).await.is(201);
    assert_eq!(first.body, again.body);
}
