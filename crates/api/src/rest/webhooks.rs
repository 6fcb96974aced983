//! What is sent to endpoints, as the `webhooks` of the contract: every event type, in the dialect `standard`.
//!
//! Other dialects send other bodies; the catalogue shows them.

use serde_json::{Value, json};
use utoipa::openapi::{PathItem, Paths, PathsBuilder};
use watchbell_wire::EventType;

/// Every built-in type.
pub(super) fn all() -> Paths {
    let items = EventType::BUILT_IN.iter().filter_map(|event_type| Some((event_type, item(event_type)?)));
    items.fold(PathsBuilder::new(), |paths, (event_type, item)| paths.path(event_type.as_str(), item)).build()
}

/// Read from JSON, since the data's schema is JSON already.
fn item(event_type: &EventType) -> Option<PathItem> {
    let mut data = event_type.schema()?;
    inline(&mut data);
    let example = event_type.sample().and_then(|sample| sample.typed::<Value>().ok());
    let operation = json!({"post": {
        "tags": ["webhooks"],
        "summary": event_type.description(),
        "operationId": format!("webhook_{event_type}"),
        "security": [],
        "requestBody": {"required": true, "content": {"application/json": {
            "schema": {
                "type": "object",
                "required": ["type", "timestamp", "data"],
                "properties": {
                    "type": {"type": "string", "enum": [event_type.as_str()]},
                    "timestamp": {"type": "string", "format": "date-time"},
                    "data": data,
                },
            },
            "example": {"type": event_type.as_str(), "timestamp": "2024-10-09T08:47:57Z", "data": example},
        }}},
        "responses": {
            "2XX": {"description": "Taken: it is not sent again."},
            "410": {"description": "Gone: the endpoint is disabled."},
            "default": {"description": "Not taken: it is sent again, by the endpoint's schedule."},
        },
    }});
    serde_json::from_value(operation).ok()
}

/// Writes references to `$defs` out: inside another document they would lead nowhere.
fn inline(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    members.remove("$schema");
    members.remove("title");
    let Some(definitions) = members.remove("$defs") else { return };
    // Ours are a few levels deep and none leads back to itself.
    for _ in 0..8 {
        replace(schema, &definitions);
    }
}

fn replace(value: &mut Value, definitions: &Value) {
    let target = value.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix("#/$defs/"));
    if let Some(definition) = target.and_then(|name| definitions.get(name)) {
        *value = definition.clone();
    }
    if let Some(names) = names(value) {
        *value = json!({"type": "string", "enum": names, "description": value.get("description")});
    }
    match value {
        Value::Object(members) => members.values_mut().for_each(|member| replace(member, definitions)),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, definitions)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The texts of a choice between texts, which OpenAPI's tools know better as an enum.
fn names(value: &Value) -> Option<Vec<Value>> {
    let choices = value.get("oneOf")?.as_array()?;
    choices.iter().map(|choice| choice.get("const").filter(|name| name.is_string()).cloned()).collect()
}
