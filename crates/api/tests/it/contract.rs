//! The contract: complete, unambiguous, and the same as the committed copy.

use std::collections::BTreeSet;

use http::{Method, header};
use serde_json::Value;

use crate::world::{World, request};

fn contract() -> Value {
    serde_json::to_value(watchbell_api::openapi()).unwrap()
}

#[test]
fn the_committed_copy_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi.json");
    let text = watchbell_api::openapi().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == text, "openapi.json is stale: UPDATE_OPENAPI=1 cargo test -p watchbell-api contract");
}

#[test]
fn every_operation_is_described_and_named_once() {
    let contract = contract();
    assert_eq!(contract["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (path, item) in contract["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{method} {path}");
            let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{name} has no id"));
            assert!(ids.insert(id.to_owned()), "{id} is there twice");
            let described = operation["summary"].as_str().is_some_and(|text| text.len() > 10);
            assert!(described, "{name} is not described");
            let responses = operation["responses"].as_object().unwrap();
            assert!(!responses.is_empty(), "{name}");
            for (status, response) in responses {
                let described = response["description"].as_str().is_some_and(|text| !text.is_empty());
                assert!(described, "{name} does not describe {status}");
            }
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            for placeholder in path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()) {
                let is_there = parameters.iter().any(|param| param["name"] == placeholder && param["in"] == "path");
                assert!(is_there, "{name} does not describe {placeholder}");
            }
            if method == "get" && path.ends_with('s') && path.contains("{org}/") && !path.ends_with("counts") {
                let pages = parameters.iter().any(|param| param["name"] == "cursor");
                let is_whole = path.ends_with("event-types") || path.ends_with("settings") || path.ends_with("mutes");
                assert!(pages || is_whole, "{name} has no cursor");
            }
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(value: &Value, root: &Value) {
        if let Some(target) = value.get("$ref").and_then(Value::as_str) {
            let pointer = target.strip_prefix('#').unwrap();
            assert!(root.pointer(pointer).is_some(), "{target} is dangling");
        }
        match value {
            Value::Array(items) => items.iter().for_each(|item| walk(item, root)),
            Value::Object(members) => members.values().for_each(|member| walk(member, root)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let contract = contract();
    walk(&contract, &contract);
}

#[tokio::test]
async fn operation_needs_no_key_but_for_figures() {
    let world = World::new().await;
    let open = |path: &'static str| world.send(request("", Method::GET, path, None));
    open("/healthz").await.is(200);
    open("/readyz").await.is(503);
    world.edge.ready().set(true);
    open("/readyz").await.is(200);
    let served = open("/openapi.json").await.is(200);
    assert_eq!(served.headers[header::CONTENT_TYPE], "application/json");
    assert_eq!(served.json(), contract());
    open("/metrics").await.is(401);
    let figures = world.get("/metrics").await.is(200).text();
    let line = r#"watchbell_http_requests_total{method="GET",route="/healthz",status="200"} 1"#;
    assert!(figures.contains(line), "{figures}");
    assert!(figures.ends_with("# EOF\n"));
}
