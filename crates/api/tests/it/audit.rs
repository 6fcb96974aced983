//! The audit log over the API: E19, and that it can be checked.

use http::{Method, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use watchbell_domain::access::Scope;

use crate::world::{ROOT, World};

async fn log(world: &World, query: &str) -> Vec<Value> {
    world.get(&world.path(&format!("/audit{query}"))).await.is(200).json()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn e19_says_who_when_from_where_and_what() {
    let world = World::new().await;
    let id = world.endpoint().await["id"].as_str().unwrap().to_owned();
    world.add_key("editor", Some(world.org), &[Scope::EndpointsWrite]).await;
    let body = Some(json!({"url": "https://hooks.example.com/in?token=hush-hush-hush"}).to_string());
    let changed = world.call("editor", Method::PATCH, &world.path(&format!("/endpoints/{id}")), body).await.is(200);
    let entries = log(&world, &format!("?subject={id}")).await;
    assert_eq!(entries.len(), 2);
    let entry = &entries[0];
    assert_eq!(entry["action"], "endpoint.update");
    assert_eq!((&entry["actor"]["kind"], &entry["actor"]["name"]), (&json!("key"), &json!("editor")));
    assert_eq!(entry["address"], "192.0.2.1");
    assert_eq!(entry["request_id"], changed.headers["x-request-id"].to_str().unwrap());
    assert_eq!(entry["at"], "2027-01-15T08:00:00.000000Z");
    let url = &entry["detail"]["url"];
    assert_eq!(url["before"], "https://hooks.example.com/in");
    assert!(!url.to_string().contains("hush"), "{url}");
    assert_eq!(entries[1]["action"], "endpoint.create");
}

/// Every secret that goes in or comes out is looked for in what is kept.
#[tokio::test]
async fn secrets_are_masked() {
    let world = World::new().await;
    let given = json!({
        "url": "https://hooks.example.com/?api_key=url-secret-text", "dialect": "standard",
        "headers": {"X-Api-Key": "header-secret-text"},
        "auth": {"type": "basic", "username": "u", "password": "basic-secret-text"},
    });
    let made = world.post(&world.path("/endpoints"), given).await.is(201).json();
    let path = world.path(&format!("/endpoints/{}", made["id"].as_str().unwrap()));
    let rotated = world.post(&format!("{path}/rotate-secret"), json!({})).await.is(200).json();
    let key = world.post(&world.path("/keys"), json!({"name": "k", "scopes": ["events:read"]})).await.is(201).json();
    world.delete(&path).await.is(204);
    let kept = world.get(&world.path("/audit/export")).await.is(200).text();
    let hidden = [&made["secret"], &rotated["secret"], &key["key"]].map(|secret| secret.as_str().unwrap());
    for secret in hidden.into_iter().chain(["url-secret-text", "header-secret-text", "basic-secret-text"]) {
        assert!(!kept.contains(secret), "{secret} is in {kept}");
    }
    assert_eq!(kept.lines().count(), 4);
}

#[tokio::test]
async fn what_changes_nothing_leaves_no_entry() {
    let world = World::new().await;
    world.event().await;
    world.post(&world.path("/endpoints"), json!({"url": "nonsense", "dialect": "standard"})).await.is(422);
    world.delete(&world.path("/endpoints/0192f0c1-0000-7000-8000-00000000dead")).await.is(404);
    world.add_key("reader", Some(world.org), &[Scope::EventsRead]).await;
    world.call("reader", Method::POST, &world.path("/projects"), Some(json!({"name": "p"}).to_string())).await.is(403);
    assert_eq!(log(&world, "").await, Vec::<Value>::new());
    // A repetition is no second change.
    for _ in 0..2 {
        let mut request =
            crate::world::request(ROOT, Method::POST, &world.path("/projects"), Some(json!({"name": "p"}).to_string()));
        request.headers_mut().insert("idempotency-key", "once".parse().unwrap());
        world.send(request).await.is(201);
    }
    assert_eq!(log(&world, "").await.len(), 1);
}

#[tokio::test]
async fn is_filtered_and_paged() {
    let world = World::new().await;
    for name in ["a", "b", "c"] {
        world.post(&world.path("/projects"), json!({"name": name})).await.is(201);
    }
    world.endpoint().await;
    assert_eq!(log(&world, "?action=project.create").await.len(), 3);
    assert_eq!(log(&world, "?action=project").await.len(), 3);
    assert_eq!(log(&world, "?until=2020-01-01T00:00:00Z").await.len(), 0);
    let first = world.get(&world.path("/audit?limit=3")).await.is(200).json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = log(&world, &format!("?limit=3&cursor={cursor}")).await;
    assert_eq!(second.iter().map(|entry| entry["number"].clone()).collect::<Vec<_>>(), [1]);
    world.get(&world.path("/audit?action=nonsense")).await.is(400);
}

/// With nothing but SHA-256 and sorted JSON.
#[tokio::test]
async fn an_export_can_be_checked_without_us() {
    let world = World::new().await;
    for name in ["ä \"quoted\"", "b\u{7f}"] {
        world.post(&world.path("/keys"), json!({"name": "k", "scopes": [name]})).await.is(422);
        world.post(&world.path("/projects"), json!({"name": name.replace('\u{7f}', "")})).await.is(201);
    }
    world.endpoint().await;
    let export = world.get(&world.path("/audit/export")).await.is(200);
    assert_eq!(export.headers[header::CONTENT_TYPE], "application/x-ndjson");
    let mut previous = "0".repeat(64);
    for line in export.text().lines() {
        let mut entry: Value = serde_json::from_str(line).unwrap();
        let hash = entry.as_object_mut().unwrap().remove("hash").unwrap();
        assert_eq!(entry["previous"], previous);
        previous = Sha256::digest(entry.to_string()).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, previous);
    }
    let walked = world.get(&world.path("/audit/verify")).await.is(200).json();
    assert_eq!((&walked["ok"], &walked["complete"], &walked["checked"]), (&json!(true), &json!(true), &json!(3)));
    assert_eq!(walked["head"], json!({"number": 3, "hash": previous}));
    // A head that was noted elsewhere does not fit a chain that was written anew.
    let noted = format!("/audit/verify?number=2&hash={}", "0".repeat(64));
    let broken = world.get(&world.path(&noted)).await.is(200).json();
    assert_eq!((&broken["ok"], &broken["broken"]["number"]), (&json!(false), &json!(3)));
    assert_eq!(world.get(&world.path("/audit/export?after=3")).await.is(200).text(), "");
    world.get(&world.path("/audit/verify?number=2")).await.is(400);
}
