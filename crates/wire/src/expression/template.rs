//! A JSON document whose texts may hold `${ expression }`.
//!
//! A text that is nothing but one expression becomes its value, of whatever type; in others the values are written into the
//! text. Nothing but values comes out of an expression: an event cannot add a member or end a text. `$${` is `${`.

use serde_json::Value as Json;

use super::evaluate::{Budget, Trouble};
use super::facts::{Facts, Name};
use super::{Expression, Mistake};
use crate::event::{Data, EventType};

/// Longest document, in bytes of its JSON.
const DOCUMENT_BYTES_MAX: usize = 32 * 1024;
/// Longest all expressions of one document, in bytes.
const SOURCES_BYTES_MAX: usize = 4 * 1024;
/// Deepest nesting of the document.
const DOCUMENT_DEPTH_MAX: usize = 32;

/// A document to be filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    root: Leaf,
}

#[derive(Debug, Clone, PartialEq)]
enum Leaf {
    /// As it is.
    Said(Json),
    List(Vec<Leaf>),
    Object(Vec<(String, Leaf)>),
    /// One expression: its value.
    Value(Box<Asked>),
    /// Texts and expressions in turn.
    Text(Vec<Piece>),
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Said(String),
    Value(Asked),
}

/// An expression, and where it begins in the text around it.
#[derive(Debug, Clone, PartialEq)]
struct Asked {
    expression: Expression,
    line: u32,
    column: u32,
}

/// What is wrong with a template: where in the document, and where in the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{mistake}")]
pub struct Misplaced {
    /// The text of the document, as a JSON pointer.
    pub pointer: String,
    /// What is wrong with it.
    pub mistake: Mistake,
}

impl Template {
    /// Reads a document.
    ///
    /// # Errors
    /// The first [`Misplaced`] mistake.
    pub fn compile(document: &Json) -> Result<Self, Misplaced> {
        let whole = |message: String| Misplaced { pointer: String::new(), mistake: Mistake::at("", 0, message) };
        let bytes = document.to_string().len();
        if bytes > DOCUMENT_BYTES_MAX {
            return Err(whole(format!("the template has {bytes} bytes; it may have {DOCUMENT_BYTES_MAX}")));
        }
        let mut sources = 0;
        let root = read(document, "", 0, &mut sources)?;
        if sources > SOURCES_BYTES_MAX {
            return Err(whole(format!("its expressions have {sources} bytes; they may have {SOURCES_BYTES_MAX}")));
        }
        Ok(Self { root })
    }

    /// The document for an event.
    ///
    /// # Errors
    /// Where an expression has no value, or the document gets larger than [`BYTES_PER_EVENT`](super::BYTES_PER_EVENT).
    pub fn fill(&self, facts: &Facts<'_>) -> Result<Json, Misplaced> {
        let mut budget = Budget::per_event();
        fill(&self.root, facts, &mut budget).map_err(|unfilled| Misplaced {
            pointer: unfilled.path.iter().rev().fold(String::new(), |pointer, segment| format!("{pointer}/{segment}")),
            mistake: unfilled.mistake,
        })
    }

    /// The text, as a JSON pointer, in which an expression asks for this fact.
    pub fn asks(&self, name: Name) -> Option<String> {
        asks(&self.root, name)
    }

    /// Fills the template for every sample.
    ///
    /// # Errors
    /// The first mistake.
    pub fn check<'s>(&self, samples: impl IntoIterator<Item = (&'s EventType, &'s Data)>) -> Result<(), Misplaced> {
        for (event_type, data) in samples {
            self.fill(&Facts::of(event_type, data)).map_err(|Misplaced { pointer, mistake }| {
                let message = format!("{}, on the sample of {event_type}", mistake.message);
                Misplaced { pointer, mistake: Mistake { message, ..mistake } }
            })?;
        }
        Ok(())
    }
}

fn read(json: &Json, pointer: &str, depth: usize, sources: &mut usize) -> Result<Leaf, Misplaced> {
    if depth > DOCUMENT_DEPTH_MAX {
        let mistake = Mistake::at("", 0, format!("the template nests more than {DOCUMENT_DEPTH_MAX} deep"));
        return Err(Misplaced { pointer: pointer.to_owned(), mistake });
    }
    Ok(match json {
        Json::Null | Json::Bool(_) | Json::Number(_) => Leaf::Said(json.clone()),
        Json::String(text) => {
            read_text(text, sources).map_err(|mistake| Misplaced { pointer: pointer.to_owned(), mistake })?
        }
        Json::Array(items) => {
            let read = |(index, item)| read(item, &format!("{pointer}/{index}"), depth + 1, sources);
            Leaf::List(items.iter().enumerate().map(read).collect::<Result<_, _>>()?)
        }
        Json::Object(members) => {
            let mut read_members = Vec::with_capacity(members.len());
            for (name, value) in members {
                let pointer = format!("{pointer}/{}", escaped(name));
                read_members.push((name.clone(), read(value, &pointer, depth + 1, sources)?));
            }
            Leaf::Object(read_members)
        }
    })
}

fn read_text(text: &str, sources: &mut usize) -> Result<Leaf, Mistake> {
    let mut pieces = Vec::new();
    let mut said = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(escaped) = before.strip_suffix('$') {
            said.push_str(escaped);
            said.push_str("${");
            rest = after;
            continue;
        }
        said.push_str(before);
        let at = text.len() - after.len();
        let end = end_of(after).ok_or_else(|| Mistake::at(text, at, "${ is never closed").hint("write ${ title }"))?;
        let source = after.get(..end).unwrap_or_default();
        *sources += source.len();
        let Mistake { line, column, .. } = Mistake::at(text, at, "");
        let expression = Expression::compile(source).map_err(|mistake| within(line, column, mistake))?;
        if !said.is_empty() {
            pieces.push(Piece::Said(std::mem::take(&mut said)));
        }
        pieces.push(Piece::Value(Asked { expression, line, column }));
        rest = after.get(end + 1..).unwrap_or_default();
    }
    said.push_str(rest);
    if !said.is_empty() {
        pieces.push(Piece::Said(said));
    }
    Ok(match <[Piece; 1]>::try_from(pieces) {
        Ok([Piece::Value(asked)]) => Leaf::Value(Box::new(asked)),
        Ok([Piece::Said(text)]) => Leaf::Said(text.into()),
        Err(pieces) if pieces.is_empty() => Leaf::Said("".into()),
        Err(pieces) => Leaf::Text(pieces),
    })
}

/// Where the expression ends: at a brace that nothing in it opened.
fn end_of(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => drop(chars.next()),
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') if depth == 0 => return Some(at),
            (None, '}') => depth -= 1,
            (None, _) => {}
        }
    }
    None
}

/// A mistake in an expression that begins there, by its place in the text around it.
fn within(line: u32, column: u32, mistake: Mistake) -> Mistake {
    let column = if mistake.line == 1 { column + mistake.column - 1 } else { mistake.column };
    Mistake { line: line + mistake.line - 1, column, ..mistake }
}

/// A name as a JSON pointer spells it.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// What has no value, and the way to it, the last step first.
struct Unfilled {
    path: Vec<String>,
    mistake: Mistake,
}

impl Unfilled {
    fn within(mut self, segment: impl FnOnce() -> String) -> Self {
        self.path.push(segment());
        self
    }
}

impl Asked {
    fn stuck(&self, trouble: &Trouble) -> Unfilled {
        let mistake = Mistake::at(self.expression.source(), trouble.offset(), trouble.message());
        Unfilled { path: Vec::new(), mistake: within(self.line, self.column, mistake) }
    }
}

fn fill(leaf: &Leaf, facts: &Facts<'_>, budget: &mut Budget) -> Result<Json, Unfilled> {
    Ok(match leaf {
        Leaf::Said(json) => json.clone(),
        Leaf::Value(asked) => asked.expression.value(facts, budget).map_err(|trouble| asked.stuck(&trouble))?,
        Leaf::List(leaves) => {
            let mut items = Vec::with_capacity(leaves.len());
            for (index, leaf) in leaves.iter().enumerate() {
                let item = fill(leaf, facts, budget);
                items.push(item.map_err(|unfilled| unfilled.within(|| index.to_string()))?);
            }
            Json::Array(items)
        }
        Leaf::Object(members) => {
            let mut object = serde_json::Map::new();
            for (name, leaf) in members {
                let value = fill(leaf, facts, budget).map_err(|unfilled| unfilled.within(|| escaped(name)))?;
                object.insert(name.clone(), value);
            }
            Json::Object(object)
        }
        Leaf::Text(pieces) => {
            let mut text = String::new();
            for piece in pieces {
                match piece {
                    Piece::Said(said) => text.push_str(said),
                    Piece::Value(asked) => {
                        let value = asked.expression.text(facts, budget);
                        text.push_str(&value.map_err(|trouble| asked.stuck(&trouble))?);
                    }
                }
            }
            Json::String(text)
        }
    })
}

fn asks(leaf: &Leaf, name: Name) -> Option<String> {
    match leaf {
        Leaf::Said(_) => None,
        Leaf::Value(asked) => asked.expression.uses(name).then(String::new),
        Leaf::List(leaves) => {
            let in_item = |(index, leaf)| Some(format!("/{index}{}", asks(leaf, name)?));
            leaves.iter().enumerate().find_map(in_item)
        }
        Leaf::Object(members) => {
            let in_member = |(key, leaf): &(String, Leaf)| Some(format!("/{}{}", escaped(key), asks(leaf, name)?));
            members.iter().find_map(in_member)
        }
        Leaf::Text(pieces) => {
            let is_asked = |piece: &Piece| match piece {
                Piece::Said(_) => false,
                Piece::Value(asked) => asked.expression.uses(name),
            };
            pieces.iter().any(is_asked).then(String::new)
        }
    }
}
