//! The text that Python's `json.dumps(value, sort_keys=True, separators=(",", ":"))` would write for a received text.
//!
//! Symbiotic signs this text and not the bytes it sends, so it must be right to the byte: read by Python's rules, written
//! by Python's rules. Source: Symbiotic's signature example and CPython's `json` module (3.9 to 3.13 agree).
//!
//! The reader lays the tokens out flat, sixteen bytes each, in the order of the text; the writer walks them with a stack
//! of its own. Nothing recurses, nothing is nested in memory, and a string is unescaped only while it is written.

use super::Error;
use super::number;
use super::scan::{Rules, Scanner, Token, code_points, ordered_bytes};
use super::strict::INTEGER_DIGITS_MAX;

/// Deepest nesting. Python itself gives up near 1,000.
pub const DEPTH_MAX: usize = 512;

/// How Python reads, with our limit on depth.
pub(super) const RULES: Rules = Rules { depth_max: DEPTH_MAX, lone_surrogates: true, non_finite: true };

/// Reads `bytes` as Python would and writes the canonical text, which is pure ASCII.
///
/// ```
/// let canonical = watchbell_wire::json::python::canonical(r#"{"b": 1.50, "a": "é"}"#.as_bytes())?;
/// assert_eq!(canonical, r#"{"a":"\u00e9","b":1.5}"#);
/// # Ok::<(), watchbell_wire::json::Error>(())
/// ```
///
/// # Errors
/// What Python's reader refuses, what is not UTF-8, nesting beyond [`DEPTH_MAX`], integers beyond 4,300 digits.
pub fn canonical(bytes: &[u8]) -> Result<String, Error> {
    let text = text(bytes)?;
    let nodes = read(text)?;
    Ok(Writer { text, nodes: &nodes, out: String::with_capacity(text.len()) }.write())
}

/// The bytes as text, without the one byte order mark that Python skips.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Error> {
    let text = std::str::from_utf8(bytes).map_err(|error| Error {
        code: "invalid_utf8",
        message: "the text is not UTF-8",
        offset: error.valid_up_to(),
    })?;
    if u32::try_from(text.len()).is_err() {
        return Err(Error { code: "invalid_json", message: "the text is longer than 4 GiB", offset: text.len() });
    }
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// A token's place in the text; for a container, `next` is the node after its last one.
#[derive(Debug, Clone, Copy)]
struct Node {
    kind: Kind,
    start: u32,
    end: u32,
    next: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

fn read(text: &str) -> Result<Vec<Node>, Error> {
    let mut scanner = Scanner::new(text, RULES);
    let mut nodes: Vec<Node> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    while let Some(token) = scanner.next()? {
        let (kind, range) = match token {
            Token::ObjectStart | Token::ArrayStart => {
                open.push(nodes.len());
                (if token == Token::ObjectStart { Kind::Object } else { Kind::Array }, 0..0)
            }
            Token::ObjectEnd | Token::ArrayEnd => {
                let end = index(nodes.len());
                if let Some(node) = open.pop().and_then(|start| nodes.get_mut(start)) {
                    node.next = end;
                }
                continue;
            }
            Token::Key(range) | Token::String(range) => (Kind::String, range),
            Token::Number(range) => {
                let digits = text.get(range.clone()).unwrap_or_default();
                if number::is_integer(digits) && !number::fits(digits, INTEGER_DIGITS_MAX) {
                    let message = "an integer has more than 4,300 digits";
                    return Err(Error { code: "number_out_of_range", message, offset: range.start });
                }
                (Kind::Number, range)
            }
            Token::True => (Kind::True, 0..0),
            Token::False => (Kind::False, 0..0),
            Token::Null => (Kind::Null, 0..0),
        };
        let next = index(nodes.len() + 1);
        nodes.push(Node { kind, start: index(range.start), end: index(range.end), next });
    }
    Ok(nodes)
}

/// [`text`] has refused what does not fit.
fn index(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// A container that is being written.
enum Open {
    Array { next: u32, end: u32 },
    Object { members: std::vec::IntoIter<Member> },
}

struct Member {
    key: u32,
    value: u32,
}

struct Writer<'a> {
    text: &'a str,
    nodes: &'a [Node],
    out: String,
}

impl Writer<'_> {
    fn write(mut self) -> String {
        let mut open: Vec<Open> = Vec::new();
        self.begin(0, &mut open);
        while let Some(container) = open.last_mut() {
            let comma = !self.out.ends_with(['[', '{']);
            match container {
                Open::Array { next, end } if *next < *end => {
                    let place = *next;
                    *next = self.node(place).map_or(*end, |node| node.next);
                    if comma {
                        self.out.push(',');
                    }
                    self.begin(place, &mut open);
                }
                Open::Array { .. } => {
                    self.out.push(']');
                    open.pop();
                }
                Open::Object { members } => match members.next() {
                    Some(member) => {
                        if comma {
                            self.out.push(',');
                        }
                        self.string(member.key);
                        self.out.push(':');
                        self.begin(member.value, &mut open);
                    }
                    None => {
                        self.out.push('}');
                        open.pop();
                    }
                },
            }
        }
        self.out
    }

    fn node(&self, place: u32) -> Option<Node> {
        self.nodes.get(usize::try_from(place).ok()?).copied()
    }

    fn content(&self, place: u32) -> &str {
        let range = self.node(place).map(|node| (usize::try_from(node.start), usize::try_from(node.end)));
        match range {
            Some((Ok(start), Ok(end))) => self.text.get(start..end).unwrap_or_default(),
            _ => "",
        }
    }

    /// Writes a scalar whole, a container as far as its bracket.
    fn begin(&mut self, place: u32, open: &mut Vec<Open>) {
        let Some(node) = self.node(place) else { return };
        match node.kind {
            Kind::Object => {
                self.out.push('{');
                open.push(Open::Object { members: self.members(place + 1, node.next).into_iter() });
            }
            Kind::Array => {
                self.out.push('[');
                open.push(Open::Array { next: place + 1, end: node.next });
            }
            Kind::String => self.string(place),
            Kind::Number => self.number(place),
            Kind::True => self.out.push_str("true"),
            Kind::False => self.out.push_str("false"),
            Kind::Null => self.out.push_str("null"),
        }
    }

    /// The members between two places, sorted by the code points of their keys, the last of equal ones only.
    fn members(&self, from: u32, to: u32) -> Vec<Member> {
        let mut sorted = Vec::new();
        let mut key = from;
        while key < to {
            let value = key + 1;
            sorted.push((ordered_bytes(self.content(key)), Member { key, value }));
            key = self.node(value).map_or(to, |node| node.next);
        }
        sorted.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut members: Vec<Member> = Vec::with_capacity(sorted.len());
        let mut last = None;
        for (text, member) in sorted {
            if last.as_ref() == Some(&text) {
                members.pop();
            }
            members.push(member);
            last = Some(text);
        }
        members
    }

    fn number(&mut self, place: u32) {
        let digits = self.content(place);
        let mut written = String::new();
        match digits {
            "-0" => written.push('0'),
            "NaN" | "Infinity" | "-Infinity" => written.push_str(digits),
            _ if number::is_integer(digits) => written.push_str(digits),
            _ => number::write_python(number::double(digits), &mut written),
        }
        self.out.push_str(&written);
    }

    fn string(&mut self, place: u32) {
        let mut written = std::mem::take(&mut self.out);
        written.push('"');
        let content = self.content(place);
        if content.bytes().all(|byte| matches!(byte, 0x20..=0x7E) && byte != b'\\') {
            written.push_str(content);
        } else {
            code_points(content).for_each(|point| write_character(point, &mut written));
        }
        written.push('"');
        self.out = written;
    }
}

fn write_character(point: u32, out: &mut String) {
    let short = match point {
        0x22 => "\\\"",
        0x5C => "\\\\",
        0x08 => "\\b",
        0x0C => "\\f",
        0x0A => "\\n",
        0x0D => "\\r",
        0x09 => "\\t",
        0x20..=0x7E => return out.extend(char::from_u32(point)),
        _ => "",
    };
    if !short.is_empty() {
        return out.push_str(short);
    }
    match char::from_u32(point) {
        Some(character) => {
            character.encode_utf16(&mut [0; 2]).iter().for_each(|&unit| write_unit(u32::from(unit), out))
        }
        None => write_unit(point, out),
    }
}

fn write_unit(unit: u32, out: &mut String) {
    out.push_str("\\u");
    for shift in [12, 8, 4, 0] {
        out.extend(char::from_digit(unit >> shift & 0xF, 16));
    }
}
