//! JSON Schemas that strangers wrote, and that every event of theirs is checked against.
//!
//! A schema is small text that can ask for unbounded work, so it is weighed before it is compiled: bytes, levels, and the
//! schemas that it comes to once every reference is written out. References lead to places of the same schema and never
//! back to themselves, so what is written out ends. Patterns are matched by an engine whose time grows with the text
//! alone, and compile to a limited size. Nothing is ever fetched.

use std::collections::BTreeMap;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use crate::ingest::event::Unfit;

/// Longest schema, in bytes.
pub const BYTES_MAX: usize = 64 * 1024;
/// Levels of a schema's JSON.
const DEPTH_MAX: usize = 32;
/// Values of a schema once every reference is written out.
const WEIGHT_MAX: u64 = 20_000;
/// References that lead to references.
const CHAIN_MAX: usize = 32;
/// Longest pattern, in bytes, and what it may compile to.
const PATTERN_BYTES_MAX: usize = 1_000;
const PATTERN_COMPILED_MAX: usize = 256 * 1024;
/// The dialects of JSON Schema that are known.
const DRAFT_2020_12: &str = "https://json-schema.org/draft/2020-12/schema";
const DRAFT_7: &str = "http://json-schema.org/draft-07/schema";
/// Longest part of a message that repeats what was posted, in characters.
const MESSAGE_LENGTH_MAX: usize = 300;

/// A compiled schema.
#[derive(Debug)]
pub struct Schema(Validator);

/// What cannot be a schema here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {detail}")]
pub struct SchemaError {
    /// Where in the schema, as a JSON pointer.
    pub pointer: String,
    /// What is wrong and what is wanted.
    pub detail: String,
}

impl Schema {
    /// Weighs and compiles.
    ///
    /// # Errors
    /// [`SchemaError`]
    pub fn compile(source: &Value) -> Result<Self, SchemaError> {
        if !source.is_object() {
            return Err(wrong("", "a schema is an object"));
        }
        if source.to_string().len() > BYTES_MAX {
            return Err(wrong("", format!("a schema has at most {BYTES_MAX} bytes")));
        }
        look_over(source, &mut String::new(), 0)?;
        let mut weights = Weights { root: source, known: BTreeMap::new(), chain: 0 };
        if weights.of(source)? > WEIGHT_MAX {
            return Err(wrong("", format!("with its references written out it has more than {WEIGHT_MAX} values")));
        }
        let draft = match source.get("$schema").and_then(Value::as_str).map(|uri| uri.trim_end_matches('#')) {
            None | Some(DRAFT_2020_12) => Draft::Draft202012,
            Some(DRAFT_7) => Draft::Draft7,
            Some(_) => return Err(wrong("/$schema", format!("wanted is {DRAFT_2020_12}, {DRAFT_7}# or none"))),
        };
        jsonschema::meta::validate(source).map_err(|error| SchemaError {
            pointer: error.instance_path().to_string(),
            detail: short(&error.to_string()),
        })?;
        let patterns = PatternOptions::regex().size_limit(PATTERN_COMPILED_MAX).dfa_size_limit(PATTERN_COMPILED_MAX);
        let compiled = jsonschema::options().with_draft(draft).with_pattern_options(patterns).build(source);
        compiled.map(Self).map_err(|error| SchemaError {
            pointer: error.instance_path().to_string(),
            detail: short(&error.to_string()),
        })
    }

    /// Whether a JSON text fits; the first place that does not.
    ///
    /// # Errors
    /// [`Unfit`]
    pub fn check(&self, text: &str) -> Result<(), Unfit> {
        let data: Value =
            serde_json::from_str(text).map_err(|error| Unfit { pointer: String::new(), detail: error.to_string() })?;
        self.check_value(&data)
    }

    /// As [`Self::check`].
    ///
    /// # Errors
    /// [`Unfit`]
    pub fn check_value(&self, data: &Value) -> Result<(), Unfit> {
        self.0
            .validate(data)
            .map_err(|error| Unfit { pointer: error.instance_path().to_string(), detail: short(&error.to_string()) })
    }
}

fn wrong(pointer: impl Into<String>, detail: impl Into<String>) -> SchemaError {
    SchemaError { pointer: pointer.into(), detail: detail.into() }
}

fn short(text: &str) -> String {
    text.chars().take(MESSAGE_LENGTH_MAX).collect()
}

/// Refuses what is too deep, leads elsewhere, or is matched too slowly. What stands in a place that is no schema (`const`,
/// `enum`, a property's name) is held to the same: that costs nobody anything.
fn look_over(value: &Value, pointer: &mut String, depth: usize) -> Result<(), SchemaError> {
    if depth > DEPTH_MAX {
        return Err(wrong(pointer.clone(), format!("a schema has at most {DEPTH_MAX} levels")));
    }
    let length = pointer.len();
    let mut enter = |step: &str, value: &Value| {
        pointer.push('/');
        pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
        let looked = look_at(step, value, pointer, depth).and_then(|()| look_over(value, pointer, depth + 1));
        pointer.truncate(length);
        looked
    };
    match value {
        Value::Object(members) => members.iter().try_for_each(|(name, value)| enter(name, value)),
        Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| enter(&index.to_string(), item)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn look_at(name: &str, value: &Value, pointer: &str, depth: usize) -> Result<(), SchemaError> {
    match (name, value) {
        ("$ref", Value::String(target)) if target != "#" && !target.starts_with("#/") => {
            Err(wrong(pointer, "a reference leads to a place of this schema: #/$defs/…"))
        }
        ("$dynamicRef" | "$recursiveRef" | "$anchor" | "$dynamicAnchor", Value::String(_)) => {
            Err(wrong(pointer, format!("{name} is not supported; use $ref and $defs")))
        }
        ("$id" | "$schema", Value::String(_)) if depth > 0 => {
            Err(wrong(pointer, format!("{name} stands at the top of a schema alone")))
        }
        ("pattern", Value::String(pattern)) => look_at_pattern(pattern, pointer),
        ("patternProperties", Value::Object(members)) => {
            members.keys().try_for_each(|pattern| look_at_pattern(pattern, pointer))
        }
        _ => Ok(()),
    }
}

fn look_at_pattern(pattern: &str, pointer: &str) -> Result<(), SchemaError> {
    match pattern.len() <= PATTERN_BYTES_MAX {
        true => Ok(()),
        false => Err(wrong(pointer, format!("a pattern has at most {PATTERN_BYTES_MAX} bytes"))),
    }
}

/// How many values a schema comes to once its references are written out.
struct Weights<'a> {
    root: &'a Value,
    /// By target; `None`: it is being weighed, so a reference to it leads back to itself.
    known: BTreeMap<&'a str, Option<u64>>,
    /// References followed to get here.
    chain: usize,
}

impl<'a> Weights<'a> {
    fn of(&mut self, value: &'a Value) -> Result<u64, SchemaError> {
        let mut weight = 1u64;
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let more = match (name.as_str(), member) {
                        ("$ref", Value::String(target)) => self.of_target(target)?,
                        // Weighed where it is referred to.
                        ("$defs" | "definitions", _) => 0,
                        _ => self.of(member)?,
                    };
                    weight = weight.saturating_add(more);
                }
            }
            Value::Array(items) => {
                for item in items {
                    weight = weight.saturating_add(self.of(item)?);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        Ok(weight)
    }

    fn of_target(&mut self, target: &'a str) -> Result<u64, SchemaError> {
        let back = || wrong("", format!("{target} leads back to itself; a schema here has no recursion"));
        match self.known.get(target) {
            Some(Some(weight)) => return Ok(*weight),
            Some(None) => return Err(back()),
            None => {}
        }
        let pointer = target.trim_start_matches('#');
        // The top holds the reference, wherever that stands.
        if pointer.is_empty() {
            return Err(back());
        }
        let root = self.root;
        let Some(schema) = root.pointer(pointer) else {
            return Err(wrong("", format!("{target} leads nowhere")));
        };
        if self.chain == CHAIN_MAX {
            return Err(wrong("", format!("more than {CHAIN_MAX} references lead to each other")));
        }
        self.known.insert(target, None);
        self.chain += 1;
        let weight = self.of(schema)?;
        self.chain -= 1;
        self.known.insert(target, Some(weight));
        Ok(weight)
    }
}

#[cfg(test)]
mod tests;
