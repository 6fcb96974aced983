//! Functions, and values on their way out: as text and as JSON.

use serde_json::Value as Json;

use super::evaluate::{Result, Run, Trouble, float};
use super::node::{Function, Node};
use super::value::Value;

impl<'e> Run<'e, '_> {
    pub(super) fn call(&mut self, node: &'e Node, function: Function, arguments: &'e [Node]) -> Result<Value<'e>> {
        let values: Result<Vec<Value<'e>>> = arguments.iter().map(|argument| self.value(argument)).collect();
        let values = values?;
        for value in &values {
            self.look(value.text().unwrap_or_default())?;
        }
        let wrong = || {
            let of: Vec<String> = values.iter().map(Value::described).collect();
            Trouble::at(node, format!("{} does not go with {}", function.as_str(), of.join(" and ")))
        };
        let texts: Vec<Option<&str>> = values.iter().map(Value::text).collect();
        match (function, values.as_slice(), texts.as_slice()) {
            (Function::Contains, _, [Some(text), Some(part)]) => Ok(Value::Bool(text.contains(part))),
            (Function::StartsWith, _, [Some(text), Some(part)]) => Ok(Value::Bool(text.starts_with(part))),
            (Function::EndsWith, _, [Some(text), Some(part)]) => Ok(Value::Bool(text.ends_with(part))),
            (Function::Contains | Function::StartsWith | Function::EndsWith, values, _)
                if values.iter().any(|value| matches!(value, Value::Null)) =>
            {
                Ok(Value::Bool(false))
            }
            (Function::Size, [value], _) => {
                let size = value.size().ok_or_else(wrong)?;
                Ok(Value::Int(i64::try_from(size).unwrap_or(i64::MAX)))
            }
            (Function::ToText, [value], _) => self.written(node, value),
            (Function::ToInt, [value], [text]) => to_int(value, *text).ok_or_else(wrong),
            (Function::ToDouble, [value], [text]) => {
                let parsed = float(value).or_else(|| text.and_then(|text| text.trim().parse().ok()));
                parsed.map(Value::Float).ok_or_else(wrong)
            }
            (Function::Join, [list, ..], [_, between @ ..]) => {
                self.join(node, list, between.first().copied().flatten().unwrap_or_default())
            }
            (_, [Value::Null, ..], _) => Ok(Value::Null),
            (Function::LowerAscii, _, [Some(text)]) => self.text(&text.to_ascii_lowercase()),
            (Function::UpperAscii, _, [Some(text)]) => self.text(&text.to_ascii_uppercase()),
            (Function::Trim, _, [Some(text)]) => self.text(text.trim()),
            (Function::Replace, _, [Some(text), Some(old), Some(new)]) => {
                let times = text.matches(*old).count();
                self.make(text.len().saturating_add(times.saturating_mul(new.len())))?;
                Ok(Value::Made(text.replace(*old, new).into()))
            }
            (Function::Substring, [_, Value::Int(from)], [Some(text), ..]) => self.text(&cut(text, *from, i64::MAX)),
            (Function::Substring, [_, Value::Int(from), Value::Int(to)], [Some(text), ..]) => {
                self.text(&cut(text, *from, *to))
            }
            (
                Function::Contains
                | Function::StartsWith
                | Function::EndsWith
                | Function::LowerAscii
                | Function::UpperAscii
                | Function::Trim
                | Function::Replace
                | Function::Substring
                | Function::Join
                | Function::Size
                | Function::ToText
                | Function::ToInt
                | Function::ToDouble,
                _,
                _,
            ) => Err(wrong()),
        }
    }

    fn join(&mut self, node: &'e Node, list: &Value<'e>, between: &str) -> Result<Value<'e>> {
        let wrong = || Trouble::at(node, format!("a list is wanted, not {}", list.described()));
        let mut joined = String::new();
        for index in 0..list.turns().ok_or_else(wrong)? {
            self.pay(1)?;
            let part = self.written(node, &list.turn(index).unwrap_or(Value::Null))?;
            let part = part.text().unwrap_or_default();
            self.make(between.len() + part.len())?;
            if index > 0 {
                joined.push_str(between);
            }
            joined.push_str(part);
        }
        Ok(Value::Made(joined.into()))
    }

    /// As text: `null` is empty, lists and objects are JSON.
    pub(super) fn written(&mut self, node: &'e Node, value: &Value<'e>) -> Result<Value<'e>> {
        match value {
            Value::Text(_) | Value::Made(_) => Ok(value.clone()),
            Value::Null => Ok(Value::Text("")),
            Value::Bool(value) => self.text(if *value { "true" } else { "false" }),
            Value::Int(value) => self.text(&value.to_string()),
            Value::Float(value) => self.text(&value.to_string()),
            Value::Severity(severity) => Ok(Value::Text(severity.as_str())),
            Value::Json(_) | Value::List(_) | Value::Map(_) => {
                let json = self.json(node, value)?;
                self.text(&json.to_string())
            }
        }
    }

    /// As JSON, paid for.
    #[expect(clippy::only_used_in_recursion, reason = "where a value came from, for what goes wrong with it")]
    pub(super) fn json(&mut self, node: &'e Node, value: &Value<'e>) -> Result<Json> {
        self.pay(1)?;
        Ok(match value {
            Value::Null => Json::Null,
            Value::Bool(value) => (*value).into(),
            Value::Int(value) => (*value).into(),
            Value::Float(value) => (*value).into(),
            Value::Severity(severity) => severity.as_str().into(),
            Value::Text(_) | Value::Made(_) => {
                let text = value.text().unwrap_or_default();
                self.make(text.len())?;
                text.into()
            }
            Value::Json(json) => {
                self.pay_for(json)?;
                (*json).clone()
            }
            Value::List(items) => {
                let items: Result<Vec<Json>> = items.iter().map(|item| self.json(node, item)).collect();
                items?.into()
            }
            Value::Map(members) => {
                let mut object = serde_json::Map::new();
                for (name, value) in members.iter() {
                    self.make(name.len())?;
                    object.insert((**name).to_owned(), self.json(node, value)?);
                }
                object.into()
            }
        })
    }

    fn pay_for(&mut self, json: &Json) -> Result<()> {
        match json {
            Json::Null | Json::Bool(_) | Json::Number(_) => self.make(8),
            Json::String(text) => self.make(text.len() + 2),
            Json::Array(items) => items.iter().try_for_each(|item| self.pay_for(item)),
            Json::Object(members) => members.iter().try_for_each(|(name, value)| {
                self.make(name.len() + 4)?;
                self.pay_for(value)
            }),
        }
    }
}

fn to_int(value: &Value<'_>, text: Option<&str>) -> Option<Value<'static>> {
    match value {
        Value::Int(int) => Some(Value::Int(*int)),
        #[expect(clippy::cast_possible_truncation, clippy::as_conversions, reason = "within the bounds just looked at")]
        Value::Float(float) if float.abs() < 9.0e18 => Some(Value::Int(float.trunc() as i64)),
        Value::Null => Some(Value::Null),
        Value::Bool(_)
        | Value::Float(_)
        | Value::Severity(_)
        | Value::Text(_)
        | Value::Made(_)
        | Value::Json(_)
        | Value::List(_)
        | Value::Map(_) => text.and_then(|text| text.trim().parse().ok()).map(Value::Int),
    }
}

/// The characters from `from` up to `to`, as far as there are any.
fn cut(text: &str, from: i64, to: i64) -> String {
    let at = |place: i64| usize::try_from(place.max(0)).unwrap_or(usize::MAX);
    text.chars().take(at(to)).skip(at(from)).collect()
}
