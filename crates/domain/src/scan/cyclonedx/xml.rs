//! CycloneDX in XML, brought to the JSON form that the reader knows.
//!
//! The two forms say the same in almost the same words. What differs is known by name: elements that hold a list
//! (`<affects><target>…`) become arrays, attributes members. Elements that findings are not made of are passed over without
//! being built, so memory stays a small multiple of the input. Document types are not read: nothing is expanded and nothing
//! is fetched.

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use serde_json::{Map, Value};

use crate::scan::error::ReportError;
use crate::scan::lenient::limit_text;
use crate::scan::limit;

/// Elements that are looked into; all others are passed over with what is in them.
const KNOWN: &[&str] = &[
    "bom",
    "metadata",
    "tools",
    "tool",
    "components",
    "component",
    "services",
    "service",
    "group",
    "name",
    "version",
    "purl",
    "vulnerabilities",
    "vulnerability",
    "id",
    "source",
    "url",
    "references",
    "reference",
    "ratings",
    "rating",
    "score",
    "severity",
    "method",
    "vector",
    "cwes",
    "cwe",
    "description",
    "detail",
    "recommendation",
    "advisories",
    "advisory",
    "title",
    "analysis",
    "state",
    "justification",
    "affects",
    "target",
    "ref",
    "versions",
    "range",
    "status",
    "timestamp",
    "lastUpdated",
    "firstIssued",
];

/// Elements whose children are the entries of a list. `versions` is one, but `version` may be a text or an entry of it.
const LISTS: &[&str] = &[
    "components",
    "services",
    "vulnerabilities",
    "references",
    "ratings",
    "cwes",
    "advisories",
    "affects",
    "versions",
];

/// An element under way.
struct Open {
    name: String,
    members: Map<String, Value>,
    entries: Vec<Value>,
    text: String,
}

impl Open {
    fn new(start: &BytesStart<'_>) -> Self {
        let mut members = Map::new();
        if let Ok(Some(value)) = start.try_get_attribute("bom-ref")
            && let Ok(value) = value.normalized_value(XmlVersion::Implicit1_0)
        {
            members.insert("bom-ref".to_owned(), Value::String(limit_text(&value, limit::PATH_MAX)));
        }
        Self { name: local_name(start), members, entries: Vec::new(), text: String::new() }
    }

    fn is_list(&self) -> bool {
        LISTS.contains(&self.name.as_str())
    }

    /// What the element is in JSON.
    fn value(self) -> Value {
        if self.is_list() {
            return Value::Array(self.entries);
        }
        // `tools` holds `tool`s, or since 1.5 `components` and `services`.
        if self.name == "tools" && self.members.is_empty() {
            return Value::Array(self.entries);
        }
        if self.members.is_empty() {
            let text = self.text.trim();
            return match (self.name.as_str(), text.parse::<u64>()) {
                ("cwe", Ok(number)) => Value::from(number),
                (_, _) => Value::String(limit_text(text, limit::MESSAGE_MAX)),
            };
        }
        Value::Object(self.members)
    }

    fn take(&mut self, name: String, value: Value) {
        if self.is_list() || (self.name == "tools" && name == "tool") {
            self.entries.push(value);
        } else {
            // A member that is given twice is what it was first, as everywhere.
            self.members.entry(name).or_insert(value);
        }
    }
}

/// The document in JSON text, without what the reader does not ask for.
pub(in crate::scan) fn to_json(text: &str) -> Result<String, ReportError> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Open> = Vec::new();
    let mut spec_version = None;
    loop {
        let place = reader.buffer_position();
        let event = reader.read_event().map_err(|error| not_xml(text, reader.error_position(), &error.to_string()))?;
        match event {
            Event::Start(start) if is_known(&start) => {
                if open.len() >= limit::DEPTH_MAX {
                    let (line, column) = position(text, place);
                    return Err(ReportError::TooDeep { line, column });
                }
                spec_version = spec_version.or_else(|| version_of(&start));
                open.push(Open::new(&start));
            }
            Event::Start(start) => {
                let end = start.to_end().into_owned();
                reader
                    .read_to_end(end.name())
                    .map_err(|error| not_xml(text, reader.error_position(), &error.to_string()))?;
            }
            Event::Empty(start) if is_known(&start) => close(Open::new(&start), &mut open),
            Event::End(_) => match open.pop() {
                Some(bom) if open.is_empty() => return Ok(document(bom, spec_version)),
                Some(ended) => close(ended, &mut open),
                None => break,
            },
            Event::Text(part) => append(&mut open, &part.xml10_content()),
            Event::CData(part) => append(&mut open, &part.xml10_content()),
            Event::GeneralRef(reference) => append(&mut open, &resolved(&reference)),
            Event::Eof => break,
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    Err(not_xml(text, u64::try_from(text.len()).unwrap_or(u64::MAX), "the document ends early"))
}

fn is_known(start: &BytesStart<'_>) -> bool {
    KNOWN.contains(&local_name(start).as_str())
}

fn local_name(start: &BytesStart<'_>) -> String {
    start.local_name().as_ref().to_owned()
}

/// The version of CycloneDX, if the first element is one of it.
pub(in crate::scan) fn version(text: &str) -> Option<String> {
    let mut reader = Reader::from_str(text);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) | Event::Empty(start) => {
                return version_of(&start).filter(|_| start.local_name().as_ref() == "bom");
            }
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) | Event::Text(_) | Event::DocType(_) => {}
            Event::End(_) | Event::CData(_) | Event::GeneralRef(_) | Event::Eof => return None,
        }
    }
}

/// `1.4` of the root's namespace `http://cyclonedx.org/schema/bom/1.4`.
fn version_of(start: &BytesStart<'_>) -> Option<String> {
    let attributes = start.attributes().filter_map(Result::ok);
    let mut namespaces = attributes.filter(|attribute| attribute.key.as_ref().starts_with("xmlns"));
    namespaces.find_map(|attribute| {
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).ok()?;
        value.strip_prefix("http://cyclonedx.org/schema/bom/").map(str::to_owned)
    })
}

fn append(open: &mut [Open], part: &str) {
    if let Some(element) = open.last_mut()
        && element.text.len() <= 4 * limit::MESSAGE_MAX
    {
        element.text.push_str(part);
    }
}

/// The five that XML knows, and characters by number. Others are not defined without a document type.
fn resolved(reference: &BytesRef<'_>) -> String {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return character.to_string();
    }
    let name = reference.xml10_content();
    let known = quick_xml::escape::resolve_predefined_entity(&name);
    known.map_or_else(|| format!("&{name};"), str::to_owned)
}

fn close(ended: Open, open: &mut [Open]) {
    if let Some(parent) = open.last_mut() {
        parent.take(ended.name.clone(), ended.value());
    }
}

fn document(bom: Open, spec_version: Option<String>) -> String {
    let mut members = bom.members;
    members.insert("bomFormat".to_owned(), Value::from("CycloneDX"));
    members.insert("specVersion".to_owned(), Value::from(spec_version.unwrap_or_default()));
    Value::Object(members).to_string()
}

fn not_xml(text: &str, place: u64, reason: &str) -> ReportError {
    let (line, column) = position(text, place);
    ReportError::NotXml { line, column, reason: limit_text(reason, limit::NAME_MAX) }
}

/// Line and column of an offset, counted from 1.
fn position(text: &str, place: u64) -> (usize, usize) {
    let end = usize::try_from(place).unwrap_or(usize::MAX).min(text.len());
    let before = text.as_bytes().get(..end).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    (line, column)
}
