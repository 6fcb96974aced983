//! The same JSON in the layouts that common serializers write.

use crate::json::{javascript, python};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// How a serializer writes.
#[derive(Debug, Clone, Copy)]
struct Style {
    /// Between members and entries.
    item: &'static str,
    /// Between key and value.
    colon: &'static str,
    /// Spaces of one level; `None`: all on one line.
    indent: Option<usize>,
    /// Members sorted by key.
    sorted: bool,
    /// Characters beyond ASCII as `\uXXXX`.
    ascii: bool,
    /// `/` as `\/`.
    slashes: bool,
}

const COMPACT: Style = Style { item: ",", colon: ":", indent: None, sorted: false, ascii: false, slashes: false };

/// Every layout of `body`, with its name in words, each written when its turn comes; empty when it is not JSON.
pub(super) fn all(body: &[u8]) -> impl Iterator<Item = (String, String)> {
    let text = std::str::from_utf8(body).ok();
    // serde_json refuses nesting beyond 128, so that the recursion below is bounded.
    let tree = text.and_then(Node::read);
    let written = tree.into_iter().flat_map(|tree| styles().map(move |(style, how)| (tree.write(style), how)));
    let javascript = std::iter::once_with(move || javascript::restringify(text?).ok()).flatten();
    let python = std::iter::once_with(move || python::canonical(body).ok()).flatten();
    written
        .chain(javascript.map(|text| (text, "as JavaScript's JSON.stringify writes it".to_owned())))
        .chain(python.map(|text| (text, "as Python's json.dumps with sorted keys writes it".to_owned())))
}

fn styles() -> impl Iterator<Item = (Style, String)> {
    let layouts = [
        (COMPACT, "compactly, as JSON.stringify does"),
        (
            Style { item: ", ", colon: ": ", ..COMPACT },
            "on one line with a space after each comma and colon (Python's default)",
        ),
        (Style { colon: ": ", indent: Some(2), ..COMPACT }, "indented by two spaces"),
        (Style { colon: ": ", indent: Some(4), ..COMPACT }, "indented by four spaces"),
        (Style { item: ",", colon: ": ", ..COMPACT }, "with a space after each colon"),
    ];
    let characters = [(false, ""), (true, ", characters beyond ASCII escaped")];
    let orders = [(false, ""), (true, ", members sorted")];
    let styles = layouts.into_iter().flat_map(move |(style, how)| {
        characters.into_iter().flat_map(move |(ascii, characters)| {
            orders.map(|(sorted, order)| (Style { ascii, sorted, ..style }, format!("{how}{characters}{order}")))
        })
    });
    let php = [false, true].map(|ascii| Style { slashes: true, ascii, ..COMPACT });
    styles.chain(php.map(|style| (style, "compactly with escaped slashes (PHP's default)".to_owned())))
}

/// A JSON value whose members keep their order and whose numbers keep their text.
enum Node {
    /// A number, `true`, `false` or `null`, as it stands.
    Plain(String),
    Text(String),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    fn read(text: &str) -> Option<Self> {
        let text = text.trim_matches([' ', '\t', '\n', '\r']);
        match text.as_bytes().first()? {
            b'{' => {
                let Members(members) = serde_json::from_str(text).ok()?;
                let read = |(key, value): (String, Box<RawValue>)| Some((key, Self::read(value.get())?));
                members.into_iter().map(read).collect::<Option<_>>().map(Self::Object)
            }
            b'[' => {
                let items: Vec<Box<RawValue>> = serde_json::from_str(text).ok()?;
                items.iter().map(|item| Self::read(item.get())).collect::<Option<_>>().map(Self::Array)
            }
            b'"' => serde_json::from_str(text).ok().map(Self::Text),
            _ => serde_json::from_str::<&RawValue>(text).ok().map(|raw| Self::Plain(raw.get().to_owned())),
        }
    }

    fn write(&self, style: Style) -> String {
        let mut out = String::new();
        self.write_to(&mut out, style, 0);
        out
    }

    fn write_to(&self, out: &mut String, style: Style, level: usize) {
        match self {
            Self::Plain(text) => out.push_str(text),
            Self::Text(text) => write_text(out, style, text),
            Self::Array(items) => {
                out.push('[');
                for (place, item) in items.iter().enumerate() {
                    begin(out, style, level, place);
                    item.write_to(out, style, level + 1);
                }
                end(out, style, level, items.is_empty());
                out.push(']');
            }
            Self::Object(members) => {
                let mut order: Vec<&(String, Self)> = members.iter().collect();
                if style.sorted {
                    order.sort_by(|a, b| a.0.cmp(&b.0));
                }
                out.push('{');
                for (place, (key, value)) in order.into_iter().enumerate() {
                    begin(out, style, level, place);
                    write_text(out, style, key);
                    out.push_str(style.colon);
                    value.write_to(out, style, level + 1);
                }
                end(out, style, level, members.is_empty());
                out.push('}');
            }
        }
    }
}

fn begin(out: &mut String, style: Style, level: usize, place: usize) {
    if place > 0 {
        out.push_str(style.item);
    }
    new_line(out, style, level + 1);
}

fn end(out: &mut String, style: Style, level: usize, empty: bool) {
    if !empty {
        new_line(out, style, level);
    }
}

fn new_line(out: &mut String, style: Style, level: usize) {
    if let Some(spaces) = style.indent {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', spaces * level));
    }
}

fn write_text(out: &mut String, style: Style, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '/' if style.slashes => out.push_str("\\/"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' || (style.ascii && !c.is_ascii()) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// An object's members in the order of the text.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}
