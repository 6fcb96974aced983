//! A JSON value as the dialects read and change it: member order kept, numbers as text.
//!
//! `serde_json::Value` would round large integers, re-spell fractions and refuse half a surrogate pair, all of which a
//! body may hold whose signature is right. A tree is at most [`DEPTH_MAX`] deep, so walking it may recurse.

use super::Error;
use super::number;
use super::scan::{Rules, Scanner, Token, unescape};

/// Deepest nesting.
pub(crate) const DEPTH_MAX: usize = super::python::DEPTH_MAX;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// The number's text; a JSON number, never `NaN`.
    Number(Box<str>),
    String(String),
    Array(Vec<Value>),
    Object(Object),
}

/// Members in the order of the text. No key is there twice: the last value has won, in the first one's place.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Object(Vec<(String, Value)>);

impl Value {
    /// Reads UTF-8 JSON. Lone surrogates become U+FFFD, the last of duplicate keys wins.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Error> {
        let text = super::python::text(bytes)?;
        if text.len() < bytes.len() {
            return Err(Error { code: "invalid_json", message: "the text begins with a byte order mark", offset: 0 });
        }
        build(text, Rules { depth_max: DEPTH_MAX, lone_surrogates: true, non_finite: false })
    }

    /// Reads what Python reads; `NaN` and the infinities, which no JSON can say, become null.
    pub(crate) fn read_python(bytes: &[u8]) -> Result<Self, Error> {
        build(super::python::text(bytes)?, super::python::RULES)
    }

    pub(crate) fn as_object(&self) -> Option<&Object> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// An integer that fits.
    pub(crate) fn as_i64(&self) -> Option<i64> {
        if let Self::Number(number) = self { number.parse().ok() } else { None }
    }

    pub(crate) fn as_f64(&self) -> Option<f64> {
        if let Self::Number(number) = self {
            Some(number::double(number)).filter(|value| value.is_finite())
        } else {
            None
        }
    }

    pub(crate) fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    /// The member of an object; `None` for everything else.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.as_object()?.get(key)
    }

    /// Compact text: order and number texts as read, characters raw.
    pub(crate) fn to_text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(number) => out.push_str(number),
            Self::String(text) => write_string(text, out),
            Self::Array(items) => {
                out.push('[');
                for (place, item) in items.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(object) => {
                out.push('{');
                for (place, (key, value)) in object.0.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    write_string(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

impl Object {
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(given, _)| given == key).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.0.iter_mut().find(|(given, _)| given == key).map(|(_, value)| value)
    }

    /// Takes a member out.
    pub(crate) fn take(&mut self, key: &str) -> Option<Value> {
        let place = self.0.iter().position(|(given, _)| given == key)?;
        Some(self.0.remove(place).1)
    }

    /// Puts a member at the end, or its value in its place where it is there already.
    pub(crate) fn set(&mut self, key: &str, value: impl Into<Value>) {
        let value = value.into();
        match self.get_mut(key) {
            Some(place) => *place = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    /// As [`set`](Self::set), where there is a value.
    pub(crate) fn set_some(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set(key, value);
        }
    }

    /// Adds those members of `other` whose keys are free.
    pub(crate) fn keep(&mut self, other: Self) {
        for (key, value) in other.0 {
            if self.get(&key).is_none() {
                self.0.push((key, value));
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    fn from_members(mut members: Vec<(String, Value)>) -> Self {
        let mut order: Vec<usize> = (0..members.len()).collect();
        order.sort_by(|&one, &other| key_at(&members, one).cmp(key_at(&members, other)));
        let twice = order.iter().zip(order.iter().skip(1)).any(|(&a, &b)| key_at(&members, a) == key_at(&members, b));
        if twice {
            let mut last_wins: Vec<(usize, usize)> = Vec::with_capacity(order.len());
            for place in order {
                match last_wins.last_mut() {
                    Some((first, last)) if key_at(&members, *first) == key_at(&members, place) => *last = place,
                    _ => last_wins.push((place, place)),
                }
            }
            last_wins.sort_unstable();
            let mut taken: Vec<Option<(String, Value)>> = members.into_iter().map(Some).collect();
            members = last_wins.into_iter().filter_map(|(_, last)| taken.get_mut(last)?.take()).collect();
        }
        members.shrink_to_fit();
        Self(members)
    }
}

fn key_at(members: &[(String, Value)], place: usize) -> &str {
    members.get(place).map_or("", |(key, _)| key)
}

impl<const N: usize> From<[(&str, Value); N]> for Object {
    fn from(members: [(&str, Value); N]) -> Self {
        Self(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number.to_string().into())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number.to_string().into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::Array(items)
    }
}

/// A container that is being read.
enum Open {
    Array(Vec<Value>),
    Object(Vec<(String, Value)>, String),
}

fn build(text: &str, rules: Rules) -> Result<Value, Error> {
    let mut scanner = Scanner::new(text, rules);
    let mut open: Vec<Open> = Vec::new();
    let mut root = Value::Null;
    while let Some(token) = scanner.next()? {
        let piece = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
        let value = match token {
            Token::ArrayStart => {
                open.push(Open::Array(Vec::new()));
                continue;
            }
            Token::ObjectStart => {
                open.push(Open::Object(Vec::new(), String::new()));
                continue;
            }
            Token::Key(range) => {
                if let Some(Open::Object(_, key)) = open.last_mut() {
                    *key = unescape(piece(range)).into_owned();
                }
                continue;
            }
            Token::ArrayEnd | Token::ObjectEnd => match open.pop() {
                Some(Open::Array(mut items)) => {
                    // Growing doubles; many small containers would take several times their size.
                    items.shrink_to_fit();
                    Value::Array(items)
                }
                Some(Open::Object(members, _)) => Value::Object(Object::from_members(members)),
                None => Value::Null,
            },
            Token::String(range) => Value::String(unescape(piece(range)).into_owned()),
            Token::Number(range) => match piece(range) {
                "NaN" | "Infinity" | "-Infinity" => Value::Null,
                number => Value::Number(number.into()),
            },
            Token::True => Value::Bool(true),
            Token::False => Value::Bool(false),
            Token::Null => Value::Null,
        };
        match open.last_mut() {
            Some(Open::Array(items)) => items.push(value),
            Some(Open::Object(members, key)) => members.push((std::mem::take(key), value)),
            None => root = value,
        }
    }
    Ok(root)
}

/// As `JSON.stringify` writes it, which is the shortest that all readers take.
pub(super) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' => {
                out.push_str("\\u00");
                out.push(if character < '\u{10}' { '0' } else { '1' });
                out.extend(char::from_digit(u32::from(character) & 0xF, 16));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}
