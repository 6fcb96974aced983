//! The catalogue of event types: ours, an organisation's own, as JSON, in the contract, as a page.

use http::{Method, header};
use serde_json::{Value, json};
use watchbell_wire::{EventType, dialect};

use crate::world::{World, request};

async fn own(world: &World) -> Value {
    let given = json!({"type": "acme.build_done", "description": "A build ended.",
        "schema": {"type": "object", "required": ["build"], "properties": {"build": {"type": "integer"}}},
        "example": {"build": 7}});
    world.post(&world.path("/event-types"), given).await.is(201).json()
}

async fn post(world: &World, data: Value) -> crate::world::Reply {
    world.post(&world.path("/events"), json!({"type": "acme.build_done", "data": data})).await
}

#[tokio::test]
async fn every_type_shows_its_example_in_every_dialect_that_carries_it() {
    let world = World::new().await;
    let listed = world.get(&world.path("/event-types")).await.is(200).json();
    let listed = listed["items"].as_array().unwrap();
    assert_eq!(listed.len(), EventType::BUILT_IN.len());
    for (event_type, listed) in EventType::BUILT_IN.iter().zip(listed) {
        let shown = world.get(&world.path(&format!("/event-types/{event_type}"))).await.is(200).json();
        assert_eq!((&shown["type"], &shown["schema"]), (&listed["type"], &listed["schema"]));
        let carries = dialect::ALL
            .iter()
            .filter(|dialect| dialect.outbound.is_some_and(|outbound| outbound.event_name(event_type).is_some()));
        let said = shown["dialects"].as_array().unwrap();
        assert_eq!(said.len(), carries.count(), "{event_type}");
        for saying in said {
            assert!(saying["body"].as_str().is_some_and(|body| body.len() > 10), "{event_type}: {saying}");
        }
    }
    let overdue = world.get(&world.path("/event-types/poam.overdue")).await.is(200).json();
    let aegis = overdue["dialects"].as_array().unwrap().iter().find(|saying| saying["dialect"] == "aegis").unwrap();
    assert_eq!(aegis["name"], "POAM_OVERDUE");
    let body: Value = serde_json::from_str(aegis["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["data"]["daysOverdue"], 5);
}

#[tokio::test]
async fn a_type_of_ones_own_is_enforced_from_the_moment_it_is_there() {
    let world = World::new().await;
    post(&world, json!({"build": "seven"})).await.is(202);
    let made = own(&world).await;
    assert_eq!((&made["built_in"], &made["example"]), (&json!(false), &json!({"build": 7})));
    let standard = made["dialects"].as_array().unwrap().iter().find(|saying| saying["dialect"] == "standard").unwrap();
    assert!(standard["body"].as_str().unwrap().contains("\"data\":{\"build\":7}"));
    let refused = post(&world, json!({"build": "seven"})).await.is(422);
    assert_eq!(refused.json()["errors"][0]["pointer"], "/data/build");
    assert_eq!(post(&world, json!({})).await.is(422).json()["errors"][0]["pointer"], "/data");
    post(&world, json!({"build": 8, "more": [1]})).await.is(202);
    let batch =
        json!({"events": [{"type": "acme.build_done", "data": {"build": 1}}, {"type": "acme.build_done", "data": {}}]});
    let outcome = world.post(&world.path("/events/batch"), batch).await.is(202).json();
    assert_eq!((&outcome["accepted"], &outcome["items"][1]["status"]), (&json!(1), &json!(422)));
    assert_eq!(outcome["items"][1]["errors"][0]["pointer"], "/data");

    let path = world.path("/event-types/acme.build_done");
    world.patch(&path, json!({"schema": {"required": ["commit"]}})).await.is(422);
    let changed = json!({"schema": {"required": ["commit"]}, "example": {"commit": "4f2a"}});
    world.patch(&path, changed).await.is(200);
    post(&world, json!({"build": 9})).await.is(422);
    world.patch(&path, json!({"schema": null})).await.is(200);
    post(&world, json!({"build": "nine"})).await.is(202);
    assert_eq!(world.get(&path).await.is(200).json()["schema"], Value::Null);
}

#[tokio::test]
async fn h19_the_history_of_a_deleted_type_stays_readable() {
    let world = World::new().await;
    own(&world).await;
    let event = post(&world, json!({"build": 1})).await.is(202).json();
    let path = world.path("/event-types/acme.build_done");
    world.delete(&path).await.is(204);
    world.delete(&path).await.is(404);
    world.get(&path).await.is(404);
    let shown = world.get(&world.path(&format!("/events/{}", event["id"].as_str().unwrap()))).await.is(200).json();
    assert_eq!((&shown["type"], &shown["data"]), (&json!("acme.build_done"), &json!({"build": 1})));
    let found = world.get(&world.path("/events?type=acme.build_done")).await.is(200).json();
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    post(&world, json!({"build": "any"})).await.is(202);
}

#[tokio::test]
async fn what_is_no_type_is_refused() {
    let world = World::new().await;
    let path = world.path("/event-types");
    own(&world).await;
    let given = |change: Value| {
        let mut given = json!({"type": "acme.other", "description": "d"});
        given.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        given
    };
    world.post(&path, given(json!({"type": "acme.build_done"}))).await.is(409);
    for (change, pointer) in [
        (json!({"type": "scan.started"}), "/type"),
        (json!({"type": "One"}), "/type"),
        (json!({"description": ""}), "/description"),
        (json!({"schema": {"properties": {"a": {"type": "strnig"}}}}), "/schema/properties/a/type"),
        (json!({"schema": {"$ref": "https://example.com/s"}}), "/schema/$ref"),
        (json!({"schema": {"required": ["a"]}, "example": {"b": 1}}), "/example"),
        (json!({"example": [1]}), "/example"),
    ] {
        let reply = world.post(&path, given(change)).await.is(422);
        assert_eq!(reply.json()["errors"][0]["pointer"], pointer, "{}", reply.text());
    }
    world.patch(&world.path("/event-types/scan.started"), json!({"description": "x"})).await.is(404);
    world.delete(&world.path("/event-types/scan.started")).await.is(404);
    world.get(&world.path("/event-types/no")).await.is(404);
}

#[tokio::test]
async fn another_organisation_knows_nothing_of_it() {
    let world = World::new().await;
    own(&world).await;
    let other = "0192f0c1-0000-7000-8000-0000000000b0".parse().unwrap();
    world.add_org(other, "other").await;
    let path = |rest: &str| format!("/api/v1/orgs/other{rest}");
    world.get(&path("/event-types/acme.build_done")).await.is(404);
    world.delete(&path("/event-types/acme.build_done")).await.is(404);
    world.post(&path("/events"), json!({"type": "acme.build_done", "data": {}})).await.is(202);
    world.get(&world.path("/event-types/acme.build_done")).await.is(200);
}

#[test]
fn the_contract_says_what_is_sent() {
    let contract = serde_json::to_value(watchbell_api::openapi()).unwrap();
    let webhooks = contract["webhooks"].as_object().unwrap();
    assert_eq!(webhooks.len(), EventType::BUILT_IN.len());
    let sent = &webhooks["poam.overdue"]["post"]["requestBody"]["content"]["application/json"];
    assert_eq!(sent["schema"]["properties"]["data"]["properties"]["days_overdue"]["type"], json!(["integer", "null"]));
    assert_eq!(sent["example"]["type"], "poam.overdue");
    assert!(!contract["webhooks"].to_string().contains("$defs"));
}

#[tokio::test]
async fn the_page_is_plain_and_loads_nothing_from_elsewhere() {
    let world = World::new().await;
    let page = world.send(request("", Method::GET, "/docs/events", None)).await.is(200);
    assert_eq!(page.headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
    assert!(page.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    let text = page.text();
    assert!(!text.contains("<script") && !text.contains("style=") && !text.contains("src="));
    assert!(!text.contains("href=\"http"));
    for event_type in EventType::BUILT_IN {
        assert!(text.contains(&format!("<section id=\"{event_type}\">")), "{event_type}");
    }
    assert!(text.contains("CRITICAL_VULNERABILITY_DISCOVERED"));
    let style = world.send(request("", Method::GET, "/docs/events.css", None)).await.is(200);
    assert_eq!(style.headers[header::CONTENT_TYPE], "text/css; charset=utf-8");
}
