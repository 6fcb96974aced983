//! XML, pulled: one event at a time, nothing built, nothing expanded.
//!
//! Of a document type nothing is read, so there are no entities but the five that XML has, and none of a document's own
//! can grow.

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::error::ReportError;
use super::lenient::limit_text;
use super::limit;

/// What stands before the first element: declaration, comments, white space. More is no report.
const PROLOG_EVENTS_MAX: usize = 64;

/// A document's first element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Root {
    /// Without prefix.
    pub(super) name: String,
    /// Its own namespace; empty when it has none.
    pub(super) namespace: String,
}

/// One thing in a document. Names are without prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// An element begins. One without content begins and ends.
    Open(Element),
    /// An element ends.
    Close,
    /// Text, with its escapes resolved; what belongs together may come in pieces.
    Text(String),
}

/// An element's beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    /// Without prefix.
    pub(super) name: String,
    attributes: Vec<(String, String)>,
}

impl Element {
    /// The value of an attribute.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A document that is being read.
pub(super) struct Xml<'a> {
    text: &'a str,
    reader: Reader<&'a [u8]>,
    depth: usize,
}

impl<'a> Xml<'a> {
    /// Begins.
    pub(super) fn new(text: &'a str) -> Self {
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        Self { text, reader, depth: 0 }
    }

    /// What comes next; `None` at the end of the document.
    pub(super) fn next(&mut self) -> Result<Option<Node>, ReportError> {
        loop {
            let event = self.reader.read_event().map_err(|error| self.broken(&error.to_string()))?;
            match event {
                Event::Start(start) => {
                    self.depth += 1;
                    if self.depth > limit::DEPTH_MAX {
                        let (line, column) = self.place(self.reader.buffer_position());
                        return Err(ReportError::TooDeep { line, column });
                    }
                    return element(&start).map(Node::Open).map(Some).map_err(|reason| self.broken(&reason));
                }
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(Some(Node::Close));
                }
                Event::Text(text) => {
                    return Ok(Some(Node::Text(text.xml_content(XmlVersion::Implicit1_0).into_owned())));
                }
                Event::CData(text) => {
                    return Ok(Some(Node::Text(text.xml_content(XmlVersion::Implicit1_0).into_owned())));
                }
                Event::GeneralRef(reference) => {
                    let character = reference.resolve_char_ref().map_err(|error| self.broken(&error.to_string()))?;
                    let name = reference.xml_content(XmlVersion::Implicit1_0);
                    let known = || resolve_predefined_entity(&name).map(str::to_owned);
                    let text = character.map(String::from).or_else(known).unwrap_or_else(|| format!("&{name};"));
                    return Ok(Some(Node::Text(text)));
                }
                Event::Eof if self.depth > 0 => return Err(self.broken("it ends before its last element does")),
                Event::Eof => return Ok(None),
                Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
    }

    /// Passes over an element that has just begun, with all that is in it.
    pub(super) fn skip(&mut self) -> Result<(), ReportError> {
        let outside = self.depth.saturating_sub(1);
        while self.depth > outside && self.next()?.is_some() {}
        Ok(())
    }

    /// Gives each element in the one that has just begun to `take`, which is to read it to its end.
    pub(super) fn children(
        &mut self,
        mut take: impl FnMut(&mut Self, &Element) -> Result<(), ReportError>,
    ) -> Result<(), ReportError> {
        while let Some(node) = self.next()? {
            match node {
                Node::Open(element) => take(self, &element)?,
                Node::Close => break,
                Node::Text(_) => {}
            }
        }
        Ok(())
    }

    /// The text of an element that has just begun, without that of the elements in it, and cut.
    pub(super) fn text(&mut self, chars_max: usize) -> Result<String, ReportError> {
        let inside = self.depth;
        let mut text = String::new();
        while self.depth >= inside {
            match self.next()? {
                Some(Node::Text(more)) if self.depth == inside && text.len() <= 4 * chars_max => text.push_str(&more),
                Some(Node::Text(_) | Node::Open(_) | Node::Close) => {}
                None => break,
            }
        }
        Ok(limit_text(&text, chars_max))
    }

    fn broken(&self, reason: &str) -> ReportError {
        let (line, column) = self.place(self.reader.error_position());
        ReportError::NotXml { line, column, reason: limit_text(reason, limit::NAME_MAX) }
    }

    fn place(&self, position: u64) -> (usize, usize) {
        let before = usize::try_from(position).ok().and_then(|at| self.text.as_bytes().get(..at));
        let before = before.unwrap_or(self.text.as_bytes());
        let lines = before.split(|byte| *byte == b'\n');
        let column = lines.clone().next_back().map_or(0, <[u8]>::len) + 1;
        (lines.count(), column)
    }
}

/// A document's first element.
pub(super) fn root(text: &str) -> Result<Root, ReportError> {
    let mut xml = Xml::new(text);
    for _ in 0..PROLOG_EVENTS_MAX {
        match xml.reader.read_event().map_err(|error| xml.broken(&error.to_string()))? {
            Event::Start(start) | Event::Empty(start) => {
                let element = element(&start).map_err(|reason| xml.broken(&reason))?;
                let own = start.name().prefix().map(|prefix| prefix.as_ref().to_owned());
                let declared = own.map_or_else(|| "xmlns".to_owned(), |prefix| format!("xmlns:{prefix}"));
                let namespace = element.attribute(&declared).unwrap_or_default().to_owned();
                return Ok(Root { name: element.name, namespace });
            }
            Event::Eof => break,
            Event::End(_)
            | Event::Text(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_)
            | Event::GeneralRef(_) => {}
        }
    }
    Ok(Root { name: String::new(), namespace: String::new() })
}

fn element(start: &BytesStart<'_>) -> Result<Element, String> {
    let mut attributes = Vec::new();
    for attribute in start.attributes().take(limit::LIST_MAX) {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| error.to_string())?;
        attributes.push((attribute.key.as_ref().to_owned(), limit_text(&value, limit::URL_MAX)));
    }
    Ok(Element { name: limit_text(start.local_name().as_ref(), limit::NAME_MAX), attributes })
}
