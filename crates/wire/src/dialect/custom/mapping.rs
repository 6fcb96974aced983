//! What a body means in our members, as its receiver's settings say.
//!
//! ```json
//! {"event": {"pointer": "/kind", "values": {"issue.new": "vulnerability.created", "issue.closed": "vulnerability.remediated"}},
//!  "id": {"header": "X-Delivery"}, "occurred_at": "/sent", "each": "/issues",
//!  "members": {"title": "/name", "severity": {"pointer": "/level", "values": {"5": "critical"}, "default": "unknown"},
//!              "component.name": "/package", "tool": {"value": "acme-scan"}}}
//! ```
//!
//! Pointers are JSON pointers (RFC 6901). With `each` every element of that array is an event, and the pointers of
//! `members` lead into it; one that begins with `#` leads into the whole body. A member that is not there, or null, is left
//! out. What the mapping does not name is kept under its own name. An event whose name `values` does not know is taken as
//! `default` says, else acknowledged, and nothing is made of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::value::{at, fitted, inside, plain, put, text_at, text_in, time};
use crate::dialect::SettingsError;
use crate::dialect::message::{Events, named_id, plain_header, quoted, unfit};
use crate::json::tree::{Object, Value};
use crate::{Decoded, EventType, Headers, Reason, Refusal, Verified};

/// Most members of a mapping, values of one, and events of one message.
const MEMBERS_MAX: usize = 100;
const VALUES_MAX: usize = 200;
const EVENTS_MAX: usize = 10_000;
/// Longest pointer, in bytes.
const POINTER_MAX: usize = 500;

/// Our members that a body without `members` has at its top.
const OURS: &[&str] = &[
    "finding_id",
    "title",
    "severity",
    "cve_id",
    "aliases",
    "cvss_score",
    "cvss_vector",
    "component",
    "rule_id",
    "resource_path",
    "creator",
    "project_id",
    "detected_at",
    "remediated_at",
    "status",
    "reason",
    "url",
    "repository",
    "tool",
    "fixed_in",
];

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct GivenEvent {
    pointer: Option<String>,
    header: Option<String>,
    values: Option<BTreeMap<String, String>>,
    default: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GivenId {
    pointer: Option<String>,
    header: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum GivenMember {
    Pointer(String),
    Rule(GivenRule),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GivenRule {
    pointer: Option<String>,
    values: Option<BTreeMap<String, serde_json::Value>>,
    default: Option<serde_json::Value>,
    value: Option<serde_json::Value>,
}

/// Where a text stands.
enum Place {
    Pointer(String),
    Header(String),
}

struct Rule {
    pointer: Option<String>,
    values: BTreeMap<String, Value>,
    default: Option<Value>,
}

pub(super) struct Mapping {
    event: Place,
    values: Option<BTreeMap<String, EventType>>,
    default: Option<EventType>,
    id: Option<Place>,
    occurred_at: Option<String>,
    each: Option<String>,
    members: Vec<(Vec<String>, Rule)>,
}

fn bad(pointer: impl Into<String>, detail: impl Into<String>) -> SettingsError {
    SettingsError { pointer: pointer.into(), detail: detail.into() }
}

fn pointer(at: &str, text: String) -> Result<String, SettingsError> {
    let path = text.strip_prefix('#').unwrap_or(&text);
    match (path.is_empty() || path.starts_with('/')) && text.len() <= POINTER_MAX {
        true => Ok(text),
        false => Err(bad(at, "a JSON pointer, such as /issue/title")),
    }
}

fn event_type(at: &str, text: &str) -> Result<EventType, SettingsError> {
    text.parse().map_err(|_| bad(at, format!("{text:?} is no event type")))
}

fn place(at: &str, named: (Option<String>, Option<String>)) -> Result<Option<Place>, SettingsError> {
    match named {
        (Some(_), Some(_)) => Err(bad(at, "pointer or header, not both")),
        (Some(text), None) => Ok(Some(Place::Pointer(pointer(&format!("{at}/pointer"), text)?))),
        (None, Some(name)) => Ok(Some(Place::Header(name))),
        (None, None) => Ok(None),
    }
}

/// A setting's value as the body's values are.
fn value(value: &serde_json::Value) -> Value {
    Value::read(value.to_string().as_bytes()).unwrap_or(Value::Null)
}

impl Mapping {
    pub(super) fn check(
        event: GivenEvent,
        id: Option<GivenId>,
        occurred_at: Option<String>,
        each: Option<String>,
        members: Option<BTreeMap<String, GivenMember>>,
    ) -> Result<Self, SettingsError> {
        let default = event.default.as_deref().map(|text| event_type("/event/default", text)).transpose()?;
        let values = event.values.map(|values| {
            if values.len() > VALUES_MAX {
                return Err(bad("/event/values", "at most 200 values"));
            }
            let read = |(name, text): (String, String)| {
                Ok((name.clone(), event_type(&format!("/event/values/{name}"), &text)?))
            };
            values.into_iter().map(read).collect()
        });
        let event = place("/event", (event.pointer, event.header))?;
        let members = match members {
            None => OURS.iter().map(|name| (vec![(*name).to_owned()], Rule::at(format!("/{name}")))).collect(),
            Some(members) if members.len() > MEMBERS_MAX => return Err(bad("/members", "at most 100 members")),
            Some(members) => members.into_iter().map(member).collect::<Result<_, _>>()?,
        };
        Ok(Self {
            event: event.unwrap_or_else(|| Place::Pointer("/type".to_owned())),
            values: values.transpose()?,
            default,
            id: id.map(|id| place("/id", (id.pointer, id.header))).transpose()?.flatten(),
            occurred_at: occurred_at.map(|text| pointer("/occurred_at", text)).transpose()?,
            each: each.map(|text| pointer("/each", text)).transpose()?,
            members,
        })
    }

    pub(super) fn decode(
        &self,
        body: &Value,
        request: &Verified,
        sent_at: Option<Timestamp>,
    ) -> Result<Decoded, Refusal> {
        let headers = request.headers();
        let vendor_event = match &self.event {
            Place::Header(name) => {
                let missing = || Refusal::new(Reason::HeaderMissing, format!("the header {name} is missing"));
                named(headers, name)?.ok_or_else(missing)?
            }
            Place::Pointer(_) if self.each.is_some() => String::new(),
            Place::Pointer(pointer) => match text_at(body, pointer) {
                Some(name) => name,
                None if self.default.is_some() => String::new(),
                None => return Err(unfit(pointer, "the name of the event")),
            },
        };
        let delivery_id = match &self.id {
            None => None,
            Some(Place::Header(name)) => named(headers, name)?,
            Some(Place::Pointer(pointer)) => text_at(body, pointer).filter(|id| id.len() <= 256),
        };
        let elements: Vec<&Value> = match &self.each {
            None => vec![body],
            Some(pointer) => match at(body, pointer) {
                Some(Value::Array(elements)) if elements.len() <= EVENTS_MAX => elements.iter().collect(),
                None | Some(Value::Null) => Vec::new(),
                Some(_) => return Err(unfit(pointer, "an array of at most 10000")),
            },
        };
        let is_empty = elements.is_empty();
        let mut events = Events::of(super::DIALECT.id, request);
        let mut names = Vec::new();
        for element in elements {
            let name = match &self.event {
                Place::Pointer(pointer) if self.each.is_some() => text_in(element, body, pointer).unwrap_or_default(),
                Place::Pointer(_) | Place::Header(_) => vendor_event.clone(),
            };
            if let Some(event_type) = self.event_type(&name) {
                self.tell(event_type, element, body, sent_at.unwrap_or(request.received_at()), &mut events)?;
            }
            if !name.is_empty() && !names.contains(&name) {
                names.push(name);
            }
        }
        let silence = events.silence(|| self.silence(&names, is_empty));
        let vendor_event =
            if vendor_event.is_empty() { names.into_iter().next().unwrap_or_default() } else { vendor_event };
        Ok(Decoded { vendor_event, vendor_version: None, delivery_id, sent_at, events: events.done(), silence })
    }

    /// Why nothing was made of a message whose events have these names.
    fn silence(&self, names: &[String], is_empty: bool) -> String {
        let nothing = "and nothing is made of it";
        match (names.first(), &self.event, &self.each) {
            (_, _, Some(each)) if is_empty => format!("there is nothing at {each} (`each`), {nothing}"),
            (Some(name), _, _) if self.values.is_some() => {
                format!("the settings' `event.values` do not have the name {}, {nothing}", quoted(name))
            }
            (Some(name), _, _) => {
                format!("{} is no type of ours: `event.values` say which it is, {nothing}", quoted(name))
            }
            (None, Place::Pointer(pointer), Some(each)) if !pointer.starts_with('#') => format!(
                "no element of {each} has the event's name at {pointer} (`event.pointer`), {nothing}; if it stands at the \
                 top of the body, write #{pointer}"
            ),
            (None, _, _) => format!("it has no name of an event, {nothing}"),
        }
    }

    fn event_type(&self, name: &str) -> Option<EventType> {
        match &self.values {
            Some(values) => values.get(name).cloned(),
            None => name.parse().ok(),
        }
        .or_else(|| self.default.clone())
    }

    fn tell(
        &self,
        event_type: EventType,
        element: &Value,
        body: &Value,
        fallback: Timestamp,
        events: &mut Events<'_>,
    ) -> Result<(), Refusal> {
        let occurred_at = match &self.occurred_at {
            None => fallback,
            Some(pointer) => match inside(element, body, pointer) {
                None | Some(Value::Null) => fallback,
                Some(value) => time(value).ok_or_else(|| unfit(pointer, "a time"))?,
            },
        };
        let mut data = Object::default();
        for (path, rule) in &self.members {
            let Some(value) = rule.value(element, body) else { continue };
            let name = path.join(".");
            put(&mut data, path, fitted(&name, value)?);
        }
        let is_finding = event_type.as_str().starts_with("vulnerability.");
        if is_finding && let Some(key) = data.get("finding_id").and_then(Value::as_str).map(str::to_owned) {
            // The vendor's key need not be a UUID; ours has to be one.
            if uuid::Uuid::try_parse(&key).is_err() {
                data.set("finding_id", named_id(&[b"custom:", key.as_bytes()]).to_string());
                data.set("finding_key", key);
            }
        }
        let kept = element.as_object().cloned().unwrap_or_default();
        events.push(event_type, occurred_at, data, kept)
    }
}

fn member((name, given): (String, GivenMember)) -> Result<(Vec<String>, Rule), SettingsError> {
    let at = format!("/members/{name}");
    let path: Vec<String> = name.split('.').map(str::to_owned).collect();
    let is_name = |part: &String| {
        !part.is_empty()
            && part.len() <= 60
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    if path.len() > 2 || !path.iter().all(is_name) {
        return Err(bad(at, "a member is named in lower case, with one full stop at most: title, component.name"));
    }
    let rule = match given {
        GivenMember::Pointer(text) => Rule::at(pointer(&at, text)?),
        GivenMember::Rule(given) => {
            let has_constant = given.value.is_some();
            if has_constant == given.pointer.is_some()
                || (has_constant && (given.values.is_some() || given.default.is_some()))
            {
                return Err(bad(at, "a pointer with values and a default, or a value alone"));
            }
            let values = given.values.unwrap_or_default();
            if values.len() > VALUES_MAX {
                return Err(bad(format!("{at}/values"), "at most 200 values"));
            }
            Rule {
                pointer: given.pointer.map(|text| pointer(&format!("{at}/pointer"), text)).transpose()?,
                values: values.iter().map(|(name, given)| (name.clone(), value(given))).collect(),
                default: given.value.or(given.default).as_ref().map(value),
            }
        }
    };
    Ok((path, rule))
}

impl Rule {
    fn at(pointer: String) -> Self {
        Self { pointer: Some(pointer), values: BTreeMap::new(), default: None }
    }

    fn value(&self, element: &Value, body: &Value) -> Option<Value> {
        let found = self.pointer.as_ref().and_then(|pointer| inside(element, body, pointer));
        let found = found.filter(|value| **value != Value::Null);
        let meant = match found {
            Some(value) if !self.values.is_empty() => plain(value).and_then(|name| self.values.get(&name)).cloned(),
            Some(value) => Some(value.clone()),
            None => None,
        };
        meant.or_else(|| self.default.clone())
    }
}

/// The one value of a header, as text that is harmless.
fn named(headers: &Headers, name: &str) -> Result<Option<String>, Refusal> {
    let mut values = headers.all(name);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Refusal::new(Reason::HeaderRepeated, format!("{name} is given more than once"))),
        (value, None) => value.filter(|value| !value.is_empty()).map(|value| plain_header(value, name)).transpose(),
    }
}
