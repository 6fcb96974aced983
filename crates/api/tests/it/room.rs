//! A disk that fills up: what is refused, what is not, and that it ends by itself.

use std::sync::atomic::Ordering;

use axum::body::{Body, Bytes};
use http::{Method, header};
use serde_json::{Value, json};
use watchbell_domain::access::Scope;

use crate::world::{MIN_FREE_BYTES, ROOT, World, request};

#[tokio::test]
async fn h4_nothing_is_added_while_little_room_is_left() {
    let world = World::new().await;
    world.edge.ready().set(true);
    let ready = || world.send(request("", Method::GET, "/readyz", None));
    let endpoint = world.endpoint().await;
    let event = world.event().await;
    ready().await.is(200);

    world.free_bytes.store(MIN_FREE_BYTES - 1, Ordering::Relaxed);
    world.later(1);
    ready().await.is(503);
    let (delivery, event) = (delivery_of(&world, &event).await, event["id"].as_str().unwrap());
    let added = [
        ("/events", json!({"type": "acme.thing_happened", "data": {}})),
        ("/endpoints", json!({"url": "https://b.example.com/", "dialect": "standard"})),
        ("/projects", json!({"name": "core"})),
        (&format!("/events/{event}/replay"), json!({})),
    ];
    for (path, body) in added {
        let reply = world.post(&world.path(path), body).await.is(503);
        assert_eq!(reply.code(), "storage_full", "{path}");
        assert_eq!(reply.headers[header::RETRY_AFTER], "10", "{path}");
    }
    // What makes room, or stops something, is not refused; nor is reading.
    let listed = world.get(&world.path("/events")).await.is(200).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    world.post(&world.path(&format!("/deliveries/{delivery}/cancel")), json!({})).await.is(200);
    let endpoint = endpoint["id"].as_str().unwrap();
    world.delete(&world.path(&format!("/endpoints/{endpoint}"))).await.is(204);

    world.free_bytes.store(MIN_FREE_BYTES, Ordering::Relaxed);
    world.later(1);
    ready().await.is(200);
    world.event().await;
}

async fn delivery_of(world: &World, event: &Value) -> String {
    let id = event["id"].as_str().unwrap();
    let shown = world.get(&world.path(&format!("/events/{id}"))).await.is(200).json();
    shown["deliveries"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn h14_bodies_under_way_have_a_bound_together() {
    let world = World::with(|options| options.bodies.memory_bytes_max = 4096).await;
    let waits = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
    let mut slow = request(ROOT, Method::POST, &world.path("/events"), Some(String::new()));
    slow.headers_mut().insert(header::CONTENT_LENGTH, "3000".parse().unwrap());
    *slow.body_mut() = Body::from_stream(waits);
    let mut slow = Box::pin(world.send(slow));
    assert!(futures_util::poll!(&mut slow).is_pending());

    let given = json!({"type": "acme.thing_happened", "data": {"s": "x".repeat(1500)}});
    let reply = world.post(&world.path("/events"), given.clone()).await.is(503);
    assert_eq!(reply.code(), "overloaded");
    assert!(reply.headers.contains_key(header::RETRY_AFTER));
    world.event().await;
    drop(slow);
    world.post(&world.path("/events"), given).await.is(202);
}

#[tokio::test]
async fn an_operator_says_what_an_organisation_weighs() {
    let world = World::new().await;
    let shown = world.get(&world.path("")).await.is(200).json();
    assert_eq!(shown["weight"], 1);
    let changed = world.patch(&world.path(""), json!({"weight": 7})).await.is(200).json();
    assert_eq!((&changed["weight"], &changed["slug"]), (&json!(7), &shown["slug"]));
    assert_eq!(world.get(&world.path("")).await.is(200).json(), changed);
    for bad in [json!({"weight": 0}), json!({"weight": 101}), json!({"weight": "2"}), json!({})] {
        world.patch(&world.path(""), bad).await.is(422);
    }
    let own = "an-own-key-of-the-organisation-0123456789";
    world.add_key(own, Some(world.org), &[Scope::Admin]).await;
    let body = Some(json!({"weight": 9}).to_string());
    world.call(own, Method::PATCH, &world.path(""), body).await.is(403);
}
