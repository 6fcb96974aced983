//! Values while an expression runs. What events hold is borrowed; what expressions make is shared.

use std::cmp::Ordering;
use std::rc::Rc;

use serde_json::Value as Json;

use crate::event::Severity;

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Value<'e> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Severity(Severity),
    Text(&'e str),
    Made(Rc<str>),
    /// A list or an object of the event.
    Json(&'e Json),
    List(Rc<[Value<'e>]>),
    Map(Rc<[(Rc<str>, Value<'e>)]>),
}

impl<'e> Value<'e> {
    pub(super) fn of(json: &'e Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(int) => Self::Int(int),
                None => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::Text(text),
            Json::Array(_) | Json::Object(_) => Self::Json(json),
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Made(text) => Some(text),
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Severity(_)
            | Self::Json(_)
            | Self::List(_)
            | Self::Map(_) => None,
        }
    }

    /// How many elements, members or characters.
    pub(super) fn size(&self) -> Option<usize> {
        match self {
            Self::Null => Some(0),
            Self::Text(text) => Some(text.chars().count()),
            Self::Made(text) => Some(text.chars().count()),
            Self::Json(Json::Array(items)) => Some(items.len()),
            Self::Json(Json::Object(members)) => Some(members.len()),
            Self::List(items) => Some(items.len()),
            Self::Map(members) => Some(members.len()),
            Self::Json(_) | Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::Severity(_) => None,
        }
    }

    /// A member by name. Outer `None`: the value has no members.
    pub(super) fn member(&self, name: &str) -> Option<Value<'e>> {
        match self {
            Self::Null => Some(Value::Null),
            Self::Json(Json::Object(members)) => Some(members.get(name).map_or(Value::Null, Value::of)),
            Self::Map(members) => {
                let found = members.iter().find(|(key, _)| **key == *name);
                Some(found.map_or(Value::Null, |(_, value)| value.clone()))
            }
            Self::Json(_)
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Severity(_)
            | Self::Text(_)
            | Self::Made(_)
            | Self::List(_) => None,
        }
    }

    /// An element by its place. Outer `None`: the value has no elements.
    pub(super) fn element(&self, index: usize) -> Option<Value<'e>> {
        match self {
            Self::Json(Json::Array(items)) => Some(items.get(index).map_or(Value::Null, Value::of)),
            Self::List(items) => Some(items.get(index).cloned().unwrap_or(Value::Null)),
            Self::Null => Some(Value::Null),
            Self::Json(_)
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Severity(_)
            | Self::Text(_)
            | Self::Made(_)
            | Self::Map(_) => None,
        }
    }

    /// The nth turn of a loop: elements of a list, names of members.
    pub(super) fn turn(&self, index: usize) -> Option<Value<'e>> {
        match self {
            Self::Json(Json::Array(items)) => items.get(index).map(Value::of),
            Self::Json(Json::Object(members)) => members.keys().nth(index).map(|name| Value::Text(name)),
            Self::List(items) => items.get(index).cloned(),
            Self::Map(members) => members.get(index).map(|(name, _)| Value::Made(Rc::clone(name))),
            Self::Json(_)
            | Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Severity(_)
            | Self::Text(_)
            | Self::Made(_) => None,
        }
    }

    /// How many turns a loop over it has; `None`: it cannot be looped over.
    pub(super) fn turns(&self) -> Option<usize> {
        match self {
            Self::Null | Self::Json(_) | Self::List(_) | Self::Map(_) => self.size(),
            Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::Severity(_) | Self::Text(_) | Self::Made(_) => None,
        }
    }

    /// For messages: `the text "abc"`, `the number 3`, `a list`.
    pub(super) fn described(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => format!("the number {value}"),
            Self::Float(value) => format!("the number {value}"),
            Self::Severity(severity) => format!("the severity {}", severity.as_str()),
            Self::Text(_) | Self::Made(_) => {
                let text = self.text().unwrap_or_default();
                let short: String = text.chars().take(40).collect();
                if short.len() < text.len() { format!("the text {short:?}…") } else { format!("the text {short:?}") }
            }
            Self::Json(Json::Array(_)) | Self::List(_) => "a list".to_owned(),
            Self::Json(_) | Self::Map(_) => "an object".to_owned(),
        }
    }
}

/// How two values compare; `Err`: they cannot.
pub(super) fn order(a: &Value<'_>, b: &Value<'_>) -> Result<Option<Ordering>, ()> {
    #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a comparison within 2^-53")]
    let float = |int: i64| int as f64;
    match (a, b) {
        (Value::Null, _) | (_, Value::Null) => Ok(None),
        (Value::Int(a), Value::Int(b)) => Ok(Some(a.cmp(b))),
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b)),
        (Value::Int(a), Value::Float(b)) => Ok(float(*a).partial_cmp(b)),
        (Value::Float(a), Value::Int(b)) => Ok(a.partial_cmp(&float(*b))),
        (Value::Bool(a), Value::Bool(b)) => Ok(Some(a.cmp(b))),
        (Value::Severity(a), Value::Severity(b)) => Ok(Some(rank(*a).cmp(&rank(*b)))),
        (Value::Severity(a), _) => {
            let b = b.text().and_then(Severity::parse).ok_or(())?;
            Ok(Some(rank(*a).cmp(&rank(b))))
        }
        (_, Value::Severity(_)) => Ok(order(b, a)?.map(Ordering::reverse)),
        (_, _) => match (a.text(), b.text()) {
            (Some(a), Some(b)) => Ok(Some(a.cmp(b))),
            (_, _) => Err(()),
        },
    }
}

/// What nobody rated counts as the worst, until somebody does: it must not get lost.
const fn rank(severity: Severity) -> u8 {
    match severity {
        Severity::Info => 0,
        Severity::Low => 1,
        Severity::Medium => 2,
        Severity::High => 3,
        Severity::Critical => 4,
        Severity::Unknown => 5,
    }
}
