//! Sources: made, shown, changed, paused, rotated, deleted.

use serde_json::{Value, json};
use watchbell_wire::Secret;

use super::{AEGIS, PING, STANDARD, Vendor, types};
use crate::world::World;

#[tokio::test]
async fn a_source_is_made_shown_changed_and_deleted() {
    let world = World::new().await;
    let given = json!({"dialect": "standard", "name": "S", "make_secret": true, "allowed_ips": ["192.0.2.0/24"],
        "rate_limit": "5/s burst 9", "max_event_age": "off"});
    let made = world.post(&world.path("/sources"), given).await.is(201).json();
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_"), "{made}");
    assert!(made["id"].as_str().unwrap().starts_with("src_"));
    let path = world.path(&format!("/sources/{}", made["id"].as_str().unwrap()));
    let shown = world.get(&path).await.is(200).json();
    assert_eq!(shown["secret"], Secret::new(secret.as_str()).masked(), "shown once");
    assert_eq!(shown["rate_limit"], "5/s burst 9");
    assert_eq!(shown["max_event_age"], "off");
    let change = json!({"name": "T", "rate_limit": null, "max_event_age": "48h", "allowed_ips": []});
    let changed = world.patch(&path, change).await.is(200).json();
    assert_eq!(
        (&changed["name"], &changed["rate_limit"], &changed["max_event_age"]),
        (&json!("T"), &Value::Null, &json!("48h"))
    );
    assert_eq!(world.get(&world.path("/sources")).await.is(200).json()["items"][0], changed);
    world.delete(&path).await.is(204);
    world.get(&path).await.is(404);
    let audit = world.get(&world.path("/audit?action=source.")).await.is(200);
    assert!(!audit.text().contains(&secret), "{}", audit.text());
    let done: Vec<_> = audit.json()["items"].as_array().unwrap().iter().map(|entry| entry["action"].clone()).collect();
    assert_eq!(done, ["source.delete", "source.update", "source.create"]);
}

#[tokio::test]
async fn d4_without_a_secret_nothing_is_saved() {
    let world = World::new().await;
    for given in [
        json!({"dialect": "snyk", "name": "n"}),
        json!({"dialect": "github", "name": "n", "secret": ""}),
        json!({"dialect": "github", "name": "n", "secret": "fifteen-bytes-x"}),
        json!({"dialect": "standard", "name": "n", "secret": "whsec_c2hvcnQ="}),
        json!({"dialect": "bearer-scan", "name": "n"}),
        json!({"dialect": "bearer-scan", "name": "n", "secret": "sixteen-bytes-and-more"}),
    ] {
        let reply = world.post(&world.path("/sources"), given.clone()).await.is(422);
        assert_eq!(reply.code(), "secret_invalid", "{given}");
    }
    for given in [
        json!({"dialect": "teams", "name": "n", "make_secret": true}),
        json!({"dialect": "snyk", "name": "", "make_secret": true}),
        json!({"dialect": "snyk", "name": "n", "make_secret": true, "allowed_ips": ["everywhere"]}),
        json!({"dialect": "snyk", "name": "n", "make_secret": true, "settings": {"x": 1}}),
        json!({"dialect": "snyk", "name": "n", "make_secret": true, "max_event_age": "0s"}),
    ] {
        world.post(&world.path("/sources"), given).await.is(422);
    }
    assert_eq!(world.get(&world.path("/sources")).await.is(200).json()["items"], json!([]));
}

#[tokio::test]
async fn d10_two_secrets_pass_while_they_overlap() {
    let world = World::new().await;
    let mut vendor = Vendor::new(&world, "snyk", json!({})).await;
    let old = vendor.secret.clone();
    let path = world.path(&format!("/sources/{}/rotate-secret", vendor.id));
    let rotated = world.post(&path, json!({"secret": "another-secret-of-some-length"})).await.is(200).json();
    assert_eq!(rotated["secrets"].as_array().unwrap().len(), 2);
    assert!(!rotated.to_string().contains("another-secret-of-some-length"), "what was given is not shown");
    vendor.tell(&world, "ping/v0", "a", PING).await.is(200);
    vendor.secret = "another-secret-of-some-length".to_owned();
    vendor.tell(&world, "ping/v0", "b", r#"{"webhookId":"2"}"#).await.is(200);
    world.later(24 * 3600 + 1);
    vendor.tell(&world, "ping/v0", "c", r#"{"webhookId":"3"}"#).await.is(200);
    vendor.secret = old;
    vendor.tell(&world, "ping/v0", "d", r#"{"webhookId":"4"}"#).await.is(401);
    assert_eq!(types(&world).await, ["webhook.ping"; 3]);
}

#[tokio::test]
async fn a_paused_source_is_to_be_called_again() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "standard", json!({})).await;
    let path = |rest: &str| world.path(&format!("/sources/{}/{rest}", vendor.id));
    assert_eq!(world.post(&path("pause"), json!({})).await.is(200).json()["state"], "paused");
    let reply = vendor.tell(&world, "", "msg_1", STANDARD).await.is(503);
    assert_eq!(reply.code(), "source_paused");
    assert!(reply.headers.contains_key("retry-after"));
    assert_eq!(vendor.verdict(&world).await, "paused");
    world.post(&path("resume"), json!({})).await.is(200);
    vendor.tell(&world, "", "msg_1", STANDARD).await.is(200);
    assert_eq!(types(&world).await, ["acme.thing_happened"]);
}

#[tokio::test]
async fn d18_what_is_no_source_is_like_every_path_that_leads_nowhere() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "aegis", json!({})).await;
    world.delete(&world.path(&format!("/sources/{}", vendor.id))).await.is(204);
    let nowhere = world.post_text("/nowhere", "{}").await.is(404);
    for path in [vendor.path.as_str(), "/in/src_0192f0c1-0000-7000-8000-00000000dead", "/in/x", "/in/"] {
        let lines = vendor.signed(&world, "", "", AEGIS);
        let reply = world.send(super::posted(path, &lines, AEGIS)).await.is(404);
        assert_eq!(reply.without_request_id(), nowhere.without_request_id(), "{path}");
        let names = |reply: &crate::world::Reply| reply.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&reply), names(&nowhere), "{path}");
    }
    assert_eq!(vendor.receipts(&world).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_suspended_organisations_sources_lead_nowhere() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "aegis", json!({"max_event_age": "off"})).await;
    vendor.tell(&world, "", "", AEGIS).await.is(200);
    world.post(&world.path("/suspend"), json!({})).await.is(200);
    world.later(6);
    vendor.tell(&world, "", "", AEGIS).await.is(404);
}
