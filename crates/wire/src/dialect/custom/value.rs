//! Values of a body: found by pointers, and brought into the spelling that our members want.

use jiff::Timestamp;

use crate::Refusal;
use crate::dialect::message::{severity_named, time_of, unfit};
use crate::json::tree::{Object, Value};

/// A value in the spelling that its member wants.
pub(super) fn fitted(name: &str, value: Value) -> Result<Value, Refusal> {
    Ok(match (name, value) {
        ("severity", Value::String(text)) => severity_named(&text).as_str().into(),
        ("severity", Value::Number(_)) => {
            return Err(unfit("/severity", "text; numbers want `values` in the settings"));
        }
        ("aliases" | "fixed_in", Value::String(text)) => vec![Value::from(text)].into(),
        ("cvss_score", Value::String(text)) => Value::read(text.trim().as_bytes()).unwrap_or(Value::Null),
        ("detected_at" | "remediated_at" | "accepted_until", value) => {
            let at = time(&value).ok_or_else(|| unfit(&format!("/{name}"), "a time"))?;
            at.to_string().into()
        }
        (
            "title" | "cve_id" | "rule_id" | "resource_path" | "finding_id" | "component.version" | "component.name",
            value @ (Value::Number(_) | Value::Bool(_)),
        ) => plain(&value).unwrap_or_default().into(),
        (_, value) => value,
    })
}

/// ISO 8601, Unix seconds, or Unix milliseconds where seconds would lie beyond the year 5000.
pub(super) fn time(value: &Value) -> Option<Timestamp> {
    const SECONDS_MAX: i64 = 100_000_000_000;
    match value {
        Value::String(text) => time_of(text, "").ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        Value::Number(_) => match value.as_i64()? {
            millis if millis.abs() > SECONDS_MAX => Timestamp::from_millisecond(millis).ok(),
            seconds => Timestamp::from_second(seconds).ok(),
        },
    }
}

pub(super) fn put(data: &mut Object, path: &[String], value: Value) {
    match path {
        [name] => data.set(name, value),
        [outer, inner] => {
            if !matches!(data.get(outer), Some(Value::Object(_))) {
                data.set(outer, Object::default());
            }
            if let Some(Value::Object(object)) = data.get_mut(outer) {
                object.set(inner, value);
            }
        }
        _ => {}
    }
}

/// Text, numbers and truth values as text.
pub(super) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_text()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

pub(super) fn text_at(value: &Value, pointer: &str) -> Option<String> {
    at(value, pointer).and_then(plain).filter(|text| !text.is_empty())
}

pub(super) fn text_in(element: &Value, body: &Value, pointer: &str) -> Option<String> {
    inside(element, body, pointer).and_then(plain).filter(|text| !text.is_empty())
}

/// In the element, or with `#` in the whole body.
pub(super) fn inside<'a>(element: &'a Value, body: &'a Value, pointer: &str) -> Option<&'a Value> {
    match pointer.strip_prefix('#') {
        Some(path) => at(body, path),
        None => at(element, pointer),
    }
}

pub(super) fn at<'a>(value: &'a Value, pointer: &str) -> Option<&'a Value> {
    let path = pointer.strip_prefix('#').unwrap_or(pointer);
    path.split('/').skip(1).try_fold(value, |value, step| {
        let step = step.replace("~1", "/").replace("~0", "~");
        match value {
            Value::Object(object) => object.get(&step),
            Value::Array(elements) => elements.get(step.parse::<usize>().ok()?),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        }
    })
}
