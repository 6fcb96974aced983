//! CloudEvents: in documents, in headers, in lists; and whoever asks before sending.

use axum::body::Body;
use http::Request;
use serde_json::json;

use super::{Vendor, posted, types};
use crate::world::World;

fn bearer(vendor: &Vendor, media_type: Option<&str>) -> super::Lines {
    let mut lines = vec![("Authorization".to_owned(), format!("Bearer {}", vendor.secret))];
    lines.extend(media_type.map(|media_type| ("Content-Type".to_owned(), media_type.to_owned())));
    lines
}

#[tokio::test]
async fn in_every_mode() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "cloudevents", json!({})).await;
    let one = |id: &str| json!({"specversion": "1.0", "id": id, "source": "/s", "type": "acme.done", "data": {"n": 1}});
    let structured = bearer(&vendor, Some("application/cloudevents+json; charset=UTF-8"));
    vendor.call(&world, &structured, one("1").to_string()).await.is(202);
    let batch = bearer(&vendor, Some("application/cloudevents-batch+json"));
    vendor.call(&world, &batch, json!([one("2"), one("3")]).to_string()).await.is(202);
    vendor.call(&world, &batch, "[]").await.is(202);
    assert_eq!(vendor.verdict(&world).await, "unknown_event", "a list of nothing says nothing");
    let mut binary = bearer(&vendor, Some("application/json"));
    for (name, value) in [("ce-specversion", "1.0"), ("ce-id", "4"), ("ce-source", "/s"), ("ce-type", "acme.done")] {
        binary.push((name.to_owned(), value.to_owned()));
    }
    vendor.call(&world, &binary, r#"{"n":1}"#).await.is(202);
    // Two events may say the same: their ids tell them apart.
    let next = super::with(&binary, "ce-id", Some("5"));
    assert_eq!(vendor.call(&world, &next, r#"{"n":1}"#).await.is(202).json().get("duplicate"), None);
    assert_eq!(vendor.call(&world, &next, r#"{"n":1}"#).await.is(202).json()["duplicate"], true);
    assert_eq!(types(&world).await, ["acme.done"; 5]);
}

#[tokio::test]
async fn without_the_token_nothing() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "cloudevents", json!({})).await;
    let body = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "acme.done"}).to_string();
    let lines = vec![("Content-Type".to_owned(), "application/cloudevents+json".to_owned())];
    vendor.call(&world, &lines, body.as_str()).await.is(401);
    let path = format!("{}?access_token={}", vendor.path, vendor.secret);
    world.send(posted(&path, &lines, body)).await.is(401);
}

#[tokio::test]
async fn consent_is_in_the_headers() {
    let world = World::new().await;
    let settings = json!({"allowed_origins": ["eventemitter.example.com"], "allowed_rate": 100});
    let vendor = Vendor::new(&world, "cloudevents", json!({"settings": settings})).await;
    let ask = async |origin: Option<&str>| {
        let mut request = Request::options(&vendor.path).header("WebHook-Request-Rate", "120");
        if let Some(origin) = origin {
            request = request.header("WebHook-Request-Origin", origin);
        }
        let reply = world.send(request.body(Body::empty()).unwrap()).await.is(200);
        assert_eq!(reply.headers["allow"], "POST");
        let text = |name: &str| reply.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        (text("webhook-allowed-origin"), text("webhook-allowed-rate"))
    };
    let granted = (Some("eventemitter.example.com".to_owned()), Some("100".to_owned()));
    assert_eq!(ask(Some("eventemitter.example.com")).await, granted);
    assert_eq!(ask(Some("evil.example.net")).await, (None, None));
    assert_eq!(ask(None).await, (None, None));
    let source = world.path(&format!("/sources/{}", vendor.id));
    world.patch(&source, json!({"settings": {"allowed_rate": -1}})).await.is(422);
    // Whoever may not send is not told that it may.
    world.patch(&source, json!({"allowed_ips": ["198.51.100.0/24"]})).await.is(200);
    let ask = Request::options(&vendor.path).header("WebHook-Request-Origin", "eventemitter.example.com");
    let reply = world.send(ask.body(Body::empty()).unwrap()).await.is(403);
    assert_eq!(reply.headers.get("webhook-allowed-origin"), None);
    assert_eq!(vendor.verdict(&world).await, "source_ip_forbidden");
}
