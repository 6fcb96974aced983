use serde_json::json;

use super::*;

fn refused(schema: &Value) -> String {
    match Schema::compile(schema) {
        Ok(_) => panic!("{schema} is taken"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn data_is_held_to_its_schema_and_the_place_is_named() {
    let schema = Schema::compile(&json!({
        "type": "object",
        "required": ["build"],
        "properties": {"build": {"type": "integer", "minimum": 1}, "steps": {"type": "array", "items": {"$ref": "#/$defs/step"}}},
        "$defs": {"step": {"type": "object", "properties": {"a/b": {"type": "string", "pattern": "^[a-z]+$"}}}},
    }));
    let schema = schema.unwrap();
    schema.check(r#"{"build": 7, "steps": [{"a/b": "ok"}]}"#).unwrap();
    let place = |text: &str| schema.check(text).unwrap_err().pointer;
    assert_eq!(place("{}"), "");
    assert_eq!(place(r#"{"build": 0}"#), "/build");
    assert_eq!(place(r#"{"build": 1, "steps": [{}, {"a/b": "N"}]}"#), "/steps/1/a~1b");
}

#[test]
fn what_is_no_schema_is_refused_where_it_is_wrong() {
    assert!(refused(&json!({"properties": {"a": {"type": "strnig"}}})).contains("/properties/a/type"));
    assert!(refused(&json!([])).contains("object"));
    assert!(refused(&json!({"pattern": "("})).contains("pattern"));
    assert!(refused(&json!({"$schema": "http://json-schema.org/draft-04/schema#"})).contains("/$schema"));
    Schema::compile(&json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"})).unwrap();
    Schema::compile(&json!({})).unwrap();
}

#[test]
fn nothing_is_fetched_and_nothing_goes_round() {
    for target in ["https://example.com/schema", "file:///etc/passwd", "other.json", "#name", "urn:x"] {
        assert!(refused(&json!({"$ref": target})).contains("/$ref"), "{target}");
    }
    assert!(refused(&json!({"$ref": "#/$defs/none"})).contains("nowhere"));
    assert!(refused(&json!({"properties": {"a": {"$ref": "#"}}})).contains("recursion"));
    let round =
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"items": {"$ref": "#/$defs/a"}}}});
    assert!(refused(&round).contains("recursion"));
    assert!(refused(&json!({"$defs": {"a": {"$id": "http://x/", "$ref": "#/b"}}})).contains("$id"));
    assert!(refused(&json!({"items": {"$dynamicRef": "#/a"}})).contains("$dynamicRef"));
}

#[test]
fn a_small_text_cannot_ask_for_much_work() {
    // Two references each, thirty times over: 2^30 schemas.
    let defs: serde_json::Map<String, Value> = (0..30)
        .map(|level| {
            let next = format!("#/$defs/l{}", level + 1);
            (format!("l{level}"), json!({"allOf": [{"$ref": next}, {"$ref": next}]}))
        })
        .chain([("l30".to_owned(), json!({"type": "string"}))])
        .collect();
    assert!(refused(&json!({"$ref": "#/$defs/l0", "$defs": defs})).contains("written out"));
    let chain: serde_json::Map<String, Value> = (0..900)
        .map(|level| (format!("l{level}"), json!({"$ref": format!("#/$defs/l{}", level + 1)})))
        .chain([("l900".to_owned(), json!({}))])
        .collect();
    assert!(refused(&json!({"$ref": "#/$defs/l0", "$defs": chain})).contains("lead to each other"));
    let mut deep = json!({});
    for _ in 0..40 {
        deep = json!({"not": deep});
    }
    assert!(refused(&deep).contains("levels"));
    assert!(refused(&json!({"description": "x".repeat(BYTES_MAX)})).contains("bytes"));
    assert!(refused(&json!({"pattern": "a".repeat(PATTERN_BYTES_MAX + 1)})).contains("pattern"));
    refused(&json!({"pattern": "((((a{0,60}){0,60}){0,60}){0,60})"}));
    // A pattern that makes other engines try for ever.
    let schema = Schema::compile(&json!({"pattern": "^(a+)+$"})).unwrap();
    assert!(schema.check(&format!("\"{}!\"", "a".repeat(10_000))).is_err());
}
