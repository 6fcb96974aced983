//! What happens live, as server-sent events.

use std::pin::Pin;

use axum::body::Body;
use http::{Request, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use watchbell_domain::access::Scope;
use watchbell_domain::id::OrgId;

use super::{asked, with_header};
use crate::world::{ROOT, World};

/// A stream that is read message by message.
struct Stream(Pin<Box<Body>>, String);

impl World {
    async fn stream(&self, key: &str, query: &str) -> Stream {
        let request: Request<Body> =
            with_header(asked(key, "acme", query, json!({})), header::ACCEPT, "text/event-stream");
        let (mut parts, body) = request.into_parts();
        parts.headers.insert(header::HOST, "watchbell.test".parse().unwrap());
        let response = self.router.clone().oneshot(Request::from_parts(parts, body)).await.unwrap();
        assert_eq!(response.status(), 200);
        // The pump takes its place among the receivers before anything happens.
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        Stream(Box::pin(response.into_body()), String::new())
    }
}

impl Stream {
    /// The next message: its event and data.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((message, rest)) = self.1.split_once("\n\n") {
                let (message, rest) = (message.to_owned(), rest.to_owned());
                self.1 = rest;
                if message == ":" {
                    continue;
                }
                let (event, data) = message.split_once('\n').unwrap();
                let data = data.strip_prefix("data:").unwrap().trim();
                let data = if data.is_empty() { Value::Null } else { serde_json::from_str(data).unwrap() };
                return Some((event.strip_prefix("event: ").unwrap().to_owned(), data));
            }
            let frame = self.0.frame().await?.unwrap();
            self.1.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    }

    async fn data(&mut self) -> Value {
        let (event, data) = self.next().await.unwrap();
        assert_eq!(event, "next", "{data}");
        data["data"].clone()
    }

    async fn last_code(&mut self) -> String {
        loop {
            let (event, data) = self.next().await.expect("a reason before the end");
            assert_eq!(event, "next");
            if data["errors"].is_array() {
                assert_eq!(self.next().await.unwrap().0, "complete");
                assert!(self.next().await.is_none());
                return data["errors"][0]["extensions"]["problem"]
                    .as_str()
                    .or(data["errors"][0]["extensions"]["code"].as_str())
                    .unwrap()
                    .to_owned();
            }
        }
    }
}

#[tokio::test]
async fn events_and_deliveries_are_told_as_they_happen() {
    let world = World::new().await;
    world.edge.ready().set(true);
    world.event().await;
    let mut events =
        world.stream(ROOT, "subscription { events(types: [\"acme.thing_happened\"]) { id type data } }").await;
    let mut deliveries =
        world.stream(ROOT, "subscription { deliveries { id state endpoint { id } event { type } } }").await;
    let endpoint = world.endpoint().await;
    world.post(&world.path("/events"), json!({"type": "a.b", "data": {}})).await.is(202);
    let posted = world.event().await;
    let told = events.data().await["events"].clone();
    assert_eq!(told, json!({"id": posted["id"], "type": "acme.thing_happened", "data": {"n": 1}}));
    let first = deliveries.data().await["deliveries"].clone();
    assert_eq!((&first["event"]["type"], &first["state"]), (&json!("a.b"), &json!("PENDING")));
    assert_eq!(first["endpoint"]["id"], endpoint["id"]);
    assert_eq!(deliveries.data().await["deliveries"]["event"]["type"], "acme.thing_happened");
    let id = first["id"].as_str().unwrap();
    world.post(&world.path(&format!("/deliveries/{id}/cancel")), json!({})).await.is(200);
    let cancelled = deliveries.data().await["deliveries"].clone();
    assert_eq!((&cancelled["id"], &cancelled["state"]), (&first["id"], &json!("CANCELLED")));
}

#[tokio::test]
async fn i7_a_stream_tells_nothing_of_another_organisation() {
    let world = World::new().await;
    world.edge.ready().set(true);
    let org: OrgId = "0192f0c1-0000-7000-8000-0000000000b0".parse().unwrap();
    world.add_org(org, "other").await;
    world.add_key("ours", Some(world.org), &[Scope::EventsRead]).await;
    let mut events = world.stream("ours", "subscription { events { type } }").await;
    world.post("/api/v1/orgs/other/events", json!({"type": "their.secret", "data": {}})).await.is(202);
    world.post(&world.path("/events"), json!({"type": "our.own", "data": {}})).await.is(202);
    assert_eq!(events.data().await["events"]["type"], "our.own");
    let mut theirs = world.stream("ours", "subscription { events(org: \"other\") { type } }").await;
    assert_eq!(theirs.last_code().await, "not_found");
    let mut forbidden = world.stream("ours", "subscription { deliveries { id } }").await;
    assert_eq!(forbidden.last_code().await, "forbidden");
}

#[tokio::test]
async fn who_does_not_read_is_dropped_with_a_reason() {
    let world = World::new().await;
    world.edge.ready().set(true);
    let mut events = world.stream(ROOT, "subscription { events { id } }").await;
    for _ in 0..100 {
        world.event().await;
        tokio::task::yield_now().await;
    }
    assert_eq!(events.last_code().await, "too_slow");
}

#[tokio::test]
async fn streams_are_bounded_and_given_back() {
    let world = World::new().await;
    world.edge.ready().set(true);
    let query = "subscription { events { id } }";
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(world.stream(ROOT, query).await);
    }
    let refused = with_header(asked(ROOT, "acme", query, json!({})), header::ACCEPT, "text/event-stream");
    let reply = world.send(refused).await.is(429);
    assert_eq!(reply.json()["errors"][0]["extensions"]["problem"], "too_many_streams");
    held.clear();
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    world.stream(ROOT, query).await;
    let plain = world.gql(query, json!({})).await.is(400).json();
    assert!(plain["errors"][0]["message"].as_str().unwrap().contains("text/event-stream"), "{plain}");
}

#[tokio::test]
async fn a_stream_ends_with_its_key_and_with_the_node() {
    let world = World::new().await;
    world.edge.ready().set(true);
    let id = world.add_key("ours", Some(world.org), &[Scope::EventsRead]).await;
    let query = "subscription { events { id } }";
    let (mut revoked, mut stopped) = (world.stream("ours", query).await, world.stream(ROOT, query).await);
    world.delete(&world.path(&format!("/keys/{id}"))).await.is(204);
    world.later(3);
    assert_eq!(revoked.last_code().await, "unauthorized");
    world.edge.ready().set(false);
    world.later(3);
    assert_eq!(stopped.last_code().await, "overloaded");
}
