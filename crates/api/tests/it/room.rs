//! A disk that fills up: what is refused, what is not, and that it ends by itself.

use std::sync::atomic::Ordering;

use http::{Method, header};
use serde_json::{Value, json};

use crate::world::{MIN_FREE_BYTES, World, request};

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
