//! CycloneDX in XML, brought to the JSON form that the reader knows.
//!
//! The two forms say the same in almost the same words. What differs is known by name: elements that hold a list
//! (`<affects><target>…`) become arrays, attributes members. Elements that findings are not made of are passed over without
//! being built, so memory stays a small multiple of the input.

use serde_json::{Map, Value};

use crate::scan::error::ReportError;
use crate::scan::lenient::limit_text;
use crate::scan::limit;
use crate::scan::xml::{Element, Node, Xml};

/// Elements that are looked into; all others are passed over with what is in them.
#[rustfmt::skip]
const KNOWN: &[&str] = &[
    "bom", "metadata", "tools", "tool", "components", "component", "services", "service", "group", "name", "version",
    "purl", "vulnerabilities", "vulnerability", "id", "source", "url", "references", "reference", "ratings", "rating",
    "score", "severity", "method", "vector", "cwes", "cwe", "description", "detail", "recommendation", "advisories",
    "advisory", "analysis", "state", "justification", "affects", "target", "ref", "versions", "range", "status",
    "lastUpdated", "firstIssued",
];

/// Elements whose children are the entries of a list.
#[rustfmt::skip]
const LISTS: &[&str] = &[
    "components", "services", "vulnerabilities", "references", "ratings", "cwes", "advisories", "affects", "versions",
];

/// An element under way.
struct Open {
    name: String,
    members: Map<String, Value>,
    entries: Vec<Value>,
    text: String,
}

impl Open {
    fn new(element: &Element) -> Self {
        let bom_ref = element.attribute("bom-ref").map(|value| limit_text(value, limit::PATH_MAX));
        let members = bom_ref.map(|value| ("bom-ref".to_owned(), Value::String(value))).into_iter().collect();
        Self { name: element.name.clone(), members, entries: Vec::new(), text: String::new() }
    }

    /// `tools` holds `tool`s, or since 1.5 `components` and `services`.
    fn is_list(&self) -> bool {
        LISTS.contains(&self.name.as_str()) || (self.name == "tools" && self.members.is_empty())
    }

    /// What the element is in JSON.
    fn value(self) -> Value {
        if self.is_list() {
            return Value::Array(self.entries);
        }
        if !self.members.is_empty() {
            return Value::Object(self.members);
        }
        let text = self.text.trim();
        match (self.name.as_str(), text.parse::<u64>()) {
            ("cwe", Ok(number)) => Value::from(number),
            (_, _) => Value::String(limit_text(text, limit::MESSAGE_MAX)),
        }
    }

    fn take(&mut self, ended: Self) {
        let is_entry = LISTS.contains(&self.name.as_str()) || (self.name == "tools" && ended.name == "tool");
        let name = ended.name.clone();
        match is_entry {
            true => self.entries.push(ended.value()),
            // A member that is given twice is what it was first.
            false => drop(self.members.entry(name).or_insert(ended.value())),
        }
    }
}

/// The document as JSON text, without what the reader does not ask for.
pub(super) fn to_json(text: &str) -> Result<String, ReportError> {
    let mut document = Xml::new(text);
    let mut open: Vec<Open> = Vec::new();
    while let Some(node) = document.next()? {
        match node {
            Node::Open(element) if KNOWN.contains(&element.name.as_str()) => open.push(Open::new(&element)),
            Node::Open(_) => document.skip()?,
            Node::Close => match (open.pop(), open.last_mut()) {
                (Some(ended), Some(parent)) => parent.take(ended),
                (Some(bom), None) => return Ok(bom.value().to_string()),
                (None, _) => break,
            },
            Node::Text(part) => {
                if let Some(element) = open.last_mut()
                    && element.text.len() <= 4 * limit::MESSAGE_MAX
                {
                    element.text.push_str(&part);
                }
            }
        }
    }
    Ok("{}".to_owned())
}
