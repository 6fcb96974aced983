//! Members: invited, given roles, removed; organisations suspended and deleted.

use http::Method;
use serde_json::json;
use watchbell_domain::access::Scope;
use watchbell_domain::id::OrgId;
use watchbell_domain::member::Role;

use crate::world::{ROOT, World};

#[tokio::test]
async fn an_invitation_becomes_a_key_once() {
    let world = World::new().await;
    let given = json!({"email": "Ada@Example.com", "name": "Ada", "role": "viewer"});
    let invited = world.post(&world.path("/members"), given.clone()).await.is(201).json();
    assert_eq!((&invited["state"], &invited["email"]), (&json!("invited"), &json!("ada@example.com")));
    world.post(&world.path("/members"), given).await.is(409);
    let accept = |token: &str| {
        let body = json!({"token": token}).to_string();
        world.call("", Method::POST, "/api/v1/invitations/accept", Some(body))
    };
    let token = invited["invitation"].as_str().unwrap();
    let joined = accept(token).await.is(201).json();
    assert_eq!(joined["member"]["state"], "joined");
    assert_eq!(accept(token).await.is(401).code(), "unauthorized");
    let key = joined["key"]["key"].as_str().unwrap();
    world.call(key, Method::GET, &world.path("/events"), None).await.is(200);
    world.call(key, Method::POST, &world.path("/projects"), Some(json!({"name": "p"}).to_string())).await.is(403);
    // Neither the token nor the key is shown again.
    for path in ["/members", "/keys", "/audit"] {
        let shown = world.get(&world.path(path)).await.is(200).text();
        assert!(!shown.contains(token) && !shown.contains(key), "{path}: {shown}");
    }
}

#[tokio::test]
async fn invitations_end_and_can_be_renewed() {
    let world = World::new().await;
    let given = json!({"email": "ada@example.com", "role": "viewer"});
    let invited = world.post(&world.path("/members"), given).await.is(201).json();
    let accept = |token: serde_json::Value| {
        let body = json!({"token": token}).to_string();
        world.call("", Method::POST, "/api/v1/invitations/accept", Some(body))
    };
    let path = world.path(&format!("/members/{}/invite", invited["id"].as_str().unwrap()));
    let renewed = world.post(&path, json!({})).await.is(200).json();
    accept(invited["invitation"].clone()).await.is(401);
    world.later(7 * 24 * 3600);
    accept(renewed["invitation"].clone()).await.is(401);
    let renewed = world.post(&path, json!({})).await.is(200).json();
    accept(renewed["invitation"].clone()).await.is(201);
}

#[tokio::test]
async fn e6_guessed_invitations_are_counted_like_wrong_keys() {
    let world = World::new().await;
    let guess = || world.call("", Method::POST, "/api/v1/invitations/accept", Some(r#"{"token":"wbi_0"}"#.into()));
    for _ in 0..10 {
        guess().await.is(401);
        world.call("wrong", Method::GET, "/api/v1/orgs", None).await.is(401);
    }
    assert_eq!(guess().await.is(429).code(), "too_many_failures");
}

#[tokio::test]
async fn a_changed_role_takes_effect_at_once_and_removal_kills_keys() {
    let world = World::new().await;
    let (id, key) = world.member("ada@example.com", Role::Editor).await;
    let path = world.path(&format!("/members/{id}"));
    let endpoints = world.path("/endpoints");
    let make = || {
        let body = json!({"url": "https://a.example.com/", "dialect": "standard"}).to_string();
        world.call(&key, Method::POST, &endpoints, Some(body))
    };
    make().await.is(201);
    world.patch(&path, json!({"role": "viewer"})).await.is(200);
    make().await.is(403);
    world.call(&key, Method::GET, &endpoints, None).await.is(200);
    world.patch(&path, json!({"role": "emperor"})).await.is(422);
    world.delete(&path).await.is(204);
    world.call(&key, Method::GET, &endpoints, None).await.is(401);
    world.delete(&path).await.is(404);
}

#[tokio::test]
async fn e4_nobody_gives_or_takes_more_than_he_has() {
    let world = World::new().await;
    let (owner, owner_key) = world.member("owner@example.com", Role::Owner).await;
    let scopes: Vec<_> = Scope::ALL.iter().copied().filter(|scope| Role::Editor.allows(*scope)).collect();
    world.add_key("hr", Some(world.org), &[scopes.as_slice(), &[Scope::MembersWrite]].concat()).await;
    let invite = async |role: &str| {
        let body = json!({"email": format!("{role}@b.example"), "role": role}).to_string();
        world.call("hr", Method::POST, &world.path("/members"), Some(body)).await
    };
    let made = invite("editor").await.is(201).json();
    assert_eq!(invite("owner").await.is(403).code(), "key_escalation");
    let path = world.path(&format!("/members/{}", made["id"].as_str().unwrap()));
    let raise = world.call("hr", Method::PATCH, &path, Some(json!({"role": "owner"}).to_string())).await;
    assert_eq!(raise.is(403).code(), "key_escalation");
    let theirs = world.path(&format!("/members/{owner}"));
    for (method, body) in [(Method::PATCH, json!({"role": "viewer"})), (Method::DELETE, json!({}))] {
        assert_eq!(world.call("hr", method, &theirs, Some(body.to_string())).await.is(403).code(), "key_escalation");
    }
    let renewed = world.call("hr", Method::POST, &format!("{theirs}/invite"), None).await;
    assert_eq!(renewed.is(403).code(), "key_escalation");
    // A member's own keys are made by the member.
    let keys = format!("{theirs}/keys");
    let name = || Some(json!({"name": "laptop"}).to_string());
    assert_eq!(world.call(ROOT, Method::POST, &keys, name()).await.is(403).code(), "key_escalation");
    let own = world.call(&owner_key, Method::POST, &keys, name()).await.is(201).json();
    let second = own["key"].as_str().unwrap();
    world.call(second, Method::GET, &world.path("/members"), None).await.is(200);
    // The last owner stays.
    for (method, body) in [(Method::PATCH, json!({"role": "viewer"})), (Method::DELETE, json!({}))] {
        world.call(second, method, &theirs, Some(body.to_string())).await.is(409);
    }
}

#[tokio::test]
async fn members_look_after_their_own_keys() {
    let world = World::new().await;
    let (ada, key) = world.member("ada@example.com", Role::Viewer).await;
    let (_, other) = world.member("eve@example.com", Role::Viewer).await;
    let listed = world.get(&world.path("/keys")).await.is(200).json();
    let keys = listed["items"].as_array().unwrap();
    let adas = keys.iter().find(|key| key["member_id"] == ada.as_str());
    let path = world.path(&format!("/keys/{}", adas.unwrap()["id"].as_str().unwrap()));
    world.call(&other, Method::DELETE, &path, None).await.is(403);
    world.call(&other, Method::POST, &format!("{path}/rotate"), None).await.is(403);
    let rotated = world.call(&key, Method::POST, &format!("{path}/rotate"), Some(r#"{"overlap":"1h"}"#.into())).await;
    let new = rotated.is(201).json()["key"].as_str().unwrap().to_owned();
    world.call(&key, Method::GET, &world.path("/events"), None).await.is(200);
    world.later(3600);
    world.call(&key, Method::GET, &world.path("/events"), None).await.is(401);
    world.call(&new, Method::GET, &world.path("/events"), None).await.is(200);
}

#[tokio::test]
async fn keys_are_rotated_with_their_rights_and_their_use_is_remembered() {
    let world = World::new().await;
    let given = json!({"name": "ci", "scopes": ["sources:*", "events:read"]});
    let made = world.post(&world.path("/keys"), given).await.is(201).json();
    assert_eq!(made["scopes"], json!(["events:read", "sources:read", "sources:write"]));
    assert_eq!(made["last_used_at"], json!(null));
    let path = world.path(&format!("/keys/{}", made["id"].as_str().unwrap()));
    world.call(made["key"].as_str().unwrap(), Method::GET, &world.path("/events"), None).await.is(200);
    assert!(world.get(&path).await.is(200).json()["last_used_at"].is_string());
    // Who may less than the key makes none like it.
    world.add_key("maker", Some(world.org), &[Scope::KeysWrite, Scope::EventsRead]).await;
    let refused = world.call("maker", Method::POST, &format!("{path}/rotate"), None).await;
    assert_eq!(refused.is(403).code(), "key_escalation");
    world.post(&format!("{path}/rotate"), json!({"overlap": "1000h"})).await.is(422);
    let new = world.post(&format!("{path}/rotate"), json!({"overlap": "0s"})).await.is(201).json();
    assert_eq!((&new["scopes"], &new["name"]), (&made["scopes"], &made["name"]));
    world.call(made["key"].as_str().unwrap(), Method::GET, &world.path("/events"), None).await.is(401);
    world.call(new["key"].as_str().unwrap(), Method::GET, &world.path("/events"), None).await.is(200);
}

#[tokio::test]
async fn e22_a_suspended_organisation_is_held_and_a_deleted_one_gone() {
    let world = World::new().await;
    let other: OrgId = "0192f0c1-0000-7000-8000-0000000000b0".parse().unwrap();
    world.add_org(other, "other").await;
    world.add_key("ours", Some(world.org), &[Scope::Admin]).await;
    let endpoint = world.endpoint().await;
    let event = world.event().await;
    let id = endpoint["id"].as_str().unwrap();
    let endpoint = world.path(&format!("/endpoints/{id}"));
    world.call("ours", Method::GET, &endpoint, None).await.is(200);
    world.call("ours", Method::POST, &world.path("/suspend"), None).await.is(403);

    assert_eq!(world.post(&world.path("/suspend"), json!({})).await.is(200).json()["state"], "suspended");
    world.call("ours", Method::GET, &endpoint, None).await.is(401);
    assert_eq!(world.get(&endpoint).await.is(200).json()["disabled_reason"], "org_suspended");
    let deliveries = world.path(&format!("/deliveries?event={}", event["id"].as_str().unwrap()));
    assert_eq!(world.get(&deliveries).await.is(200).json()["items"][0]["state"], "held");
    assert_eq!(world.post(&world.path("/resume"), json!({})).await.is(200).json()["state"], "active");
    world.call("ours", Method::GET, &endpoint, None).await.is(200);
    assert_eq!(world.get(&deliveries).await.is(200).json()["items"][0]["state"], "pending");

    let refused = world.call("ours", Method::DELETE, &world.path(""), None).await;
    refused.is(403);
    assert_eq!(world.delete(&world.path("")).await.is(202).json()["state"], "deleting");
    world.call("ours", Method::GET, &endpoint, None).await.is(401);
    world.get(&endpoint).await.is(404);
    assert_eq!(world.store.endpoints(world.org, first()).await.unwrap().items, []);
    world.delete(&world.path("")).await.is(404);
    // The last one stays: a server without any would start as if for the first time.
    world.delete(&format!("/api/v1/orgs/{other}")).await.is(409);
    // What was done stays on record.
    let log = world.get(&format!("/api/v1/audit?org={}", world.org)).await.is(200).json();
    assert!(log["items"].as_array().unwrap().iter().any(|entry| entry["subject"] == id));
    let operators = world.get("/api/v1/audit?action=org").await.is(200).json();
    let actions: Vec<_> = operators["items"].as_array().unwrap().iter().map(|entry| entry["action"].clone()).collect();
    assert!(actions.contains(&json!("org.delete")) && actions.contains(&json!("org.suspend")), "{actions:?}");
}

fn first() -> watchbell_domain::port::PageRequest {
    watchbell_domain::port::PageRequest { before: None, limit: 9 }
}

#[tokio::test]
async fn an_organisation_is_renamed() {
    let world = World::new().await;
    world.get("/api/v1/orgs/acme").await.is(200);
    let renamed = world.patch(&world.path(""), json!({"name": "New", "slug": "new"})).await.is(200).json();
    assert_eq!((&renamed["name"], &renamed["slug"]), (&json!("New"), &json!("new")));
    world.get("/api/v1/orgs/new").await.is(200);
    world.get("/api/v1/orgs/acme").await.is(404);
    world.patch(&world.path(""), json!({"slug": "not a slug"})).await.is(422);
    let log = world.get(&world.path("/audit?action=org.update")).await.is(200).json();
    assert_eq!(log["items"][0]["detail"]["slug"], json!({"before": "acme", "after": "new"}));
}
