//! JSON's grammar as a stream of tokens, without recursion and without values.
//!
//! Comes in: UTF-8 text and [`Rules`]. Goes out: [`Token`]s that point into the text. May fail: at the first byte that
//! does not fit. Source: RFC 8259; where Python's `json` is laxer, a rule says so.

use std::borrow::Cow;
use std::ops::Range;

use super::Error;

/// In what readers differ.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Deepest nesting; a container at this depth is accepted.
    pub(super) depth_max: usize,
    /// Half of a surrogate pair may stand alone, as an escape.
    pub(super) lone_surrogates: bool,
    /// `NaN`, `Infinity` and `-Infinity` are numbers, as Python reads them.
    pub(super) non_finite: bool,
}

/// A piece of the text. Ranges of keys and strings are what stands between the quotes, escapes and all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    ObjectStart,
    ObjectEnd,
    ArrayStart,
    ArrayEnd,
    Key(Range<usize>),
    String(Range<usize>),
    Number(Range<usize>),
    True,
    False,
    Null,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    ValueOrArrayEnd,
    Key,
    KeyOrObjectEnd,
    CommaOrEnd,
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Array,
    Object,
}

/// Reads one JSON text from start to end.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    open: Vec<Container>,
    expect: Expect,
    rules: Rules,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str, rules: Rules) -> Self {
        Self { bytes: text.as_bytes(), at: 0, open: Vec::new(), expect: Expect::Value, rules }
    }

    /// The next token; `None` after the one value that a text holds.
    pub(super) fn next(&mut self) -> Result<Option<Token>, Error> {
        loop {
            self.skip_blank();
            let Some(byte) = self.peek() else {
                let complete = self.expect == Expect::Nothing;
                return if complete { Ok(None) } else { Err(self.invalid("the text ends before the value does")) };
            };
            match self.expect {
                Expect::Nothing => return Err(self.invalid("there is text after the value")),
                Expect::Value => return self.value(byte).map(Some),
                Expect::ValueOrArrayEnd if byte == b']' => return self.close(Container::Array).map(Some),
                Expect::ValueOrArrayEnd => return self.value(byte).map(Some),
                Expect::KeyOrObjectEnd if byte == b'}' => return self.close(Container::Object).map(Some),
                Expect::Key | Expect::KeyOrObjectEnd => return self.key(byte).map(Some),
                Expect::CommaOrEnd => match (byte, self.open.last()) {
                    (b',', Some(Container::Array)) => self.step_over(Expect::Value),
                    (b',', Some(Container::Object)) => self.step_over(Expect::Key),
                    (b']', Some(Container::Array)) => return self.close(Container::Array).map(Some),
                    (b'}', Some(Container::Object)) => return self.close(Container::Object).map(Some),
                    _ => return Err(self.invalid("a comma or the end of the list or object is missing")),
                },
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn step_over(&mut self, expect: Expect) {
        self.at += 1;
        self.expect = expect;
    }

    fn skip_blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn invalid(&self, message: &'static str) -> Error {
        Error { code: "invalid_json", message, offset: self.at }
    }

    fn value(&mut self, byte: u8) -> Result<Token, Error> {
        match byte {
            b'{' => self.open(Container::Object),
            b'[' => self.open(Container::Array),
            b'"' => {
                let content = self.string()?;
                self.after_value();
                Ok(Token::String(content))
            }
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word(b"true", Token::True),
            b'f' => self.word(b"false", Token::False),
            b'n' => self.word(b"null", Token::Null),
            b'N' if self.rules.non_finite => self.non_finite(b"NaN"),
            b'I' if self.rules.non_finite => self.non_finite(b"Infinity"),
            _ => Err(self.invalid("no JSON value begins like this")),
        }
    }

    fn open(&mut self, container: Container) -> Result<Token, Error> {
        if self.open.len() >= self.rules.depth_max {
            return Err(Error { code: "json_too_deep", message: "the nesting is too deep", offset: self.at });
        }
        self.open.push(container);
        match container {
            Container::Array => {
                self.step_over(Expect::ValueOrArrayEnd);
                Ok(Token::ArrayStart)
            }
            Container::Object => {
                self.step_over(Expect::KeyOrObjectEnd);
                Ok(Token::ObjectStart)
            }
        }
    }

    fn close(&mut self, container: Container) -> Result<Token, Error> {
        self.at += 1;
        self.open.pop();
        self.after_value();
        Ok(match container {
            Container::Array => Token::ArrayEnd,
            Container::Object => Token::ObjectEnd,
        })
    }

    fn after_value(&mut self) {
        self.expect = if self.open.is_empty() { Expect::Nothing } else { Expect::CommaOrEnd };
    }

    fn key(&mut self, byte: u8) -> Result<Token, Error> {
        if byte != b'"' {
            return Err(self.invalid("a key in double quotes is missing"));
        }
        let content = self.string()?;
        self.skip_blank();
        if self.peek() != Some(b':') {
            return Err(self.invalid("the colon after a key is missing"));
        }
        self.step_over(Expect::Value);
        Ok(Token::Key(content))
    }

    fn word(&mut self, word: &'static [u8], token: Token) -> Result<Token, Error> {
        if !self.rest().starts_with(word) {
            return Err(self.invalid("no JSON value begins like this"));
        }
        self.at += word.len();
        self.after_value();
        Ok(token)
    }

    fn non_finite(&mut self, word: &'static [u8]) -> Result<Token, Error> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        self.word(word, Token::Null)?;
        Ok(Token::Number(start..self.at))
    }

    fn number(&mut self) -> Result<Token, Error> {
        if self.rules.non_finite && self.rest().starts_with(b"-I") {
            return self.non_finite(b"Infinity");
        }
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        self.after_value();
        Ok(Token::Number(start..self.at))
    }

    fn digits(&mut self) -> Result<(), Error> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.invalid("a digit is missing"));
        }
        self.at += count;
        Ok(())
    }

    /// From the opening quote to behind the closing one; answers what is between them.
    fn string(&mut self) -> Result<Range<usize>, Error> {
        self.at += 1;
        let start = self.at;
        loop {
            let plain = self.rest().iter().take_while(|&&byte| byte != b'"' && byte != b'\\' && byte >= 0x20).count();
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(start..self.at - 1);
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.invalid("a control character stands unescaped in a string")),
                None => return Err(self.invalid("a string has no end")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Error> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => {
                let Some(unit) = hex4(self.rest()) else {
                    return Err(self.invalid("four hex digits are missing after \\u"));
                };
                let next = self.bytes.get(self.at + 6..).and_then(hex4);
                let paired = is_high(unit) && next.is_some_and(is_low);
                if (is_high(unit) || is_low(unit)) && !paired && !self.rules.lone_surrogates {
                    let message = "half of a surrogate pair stands alone";
                    return Err(Error { code: "invalid_unicode", message, offset: self.at });
                }
                self.at += if paired { 12 } else { 6 };
                Ok(())
            }
            _ => Err(self.invalid("JSON has no such escape")),
        }
    }
}

/// The code unit of a `\uXXXX` at the start of `bytes`.
fn hex4(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0_u16, |unit, &digit| {
        let value = char::from(digit).to_digit(16)?;
        Some(unit << 4 | u16::try_from(value).ok()?)
    })
}

const fn is_high(unit: u16) -> bool {
    matches!(unit, 0xD800..=0xDBFF)
}

const fn is_low(unit: u16) -> bool {
    matches!(unit, 0xDC00..=0xDFFF)
}

/// The code points of a scanned string; a lone surrogate is its own number.
pub(super) fn code_points(content: &str) -> impl Iterator<Item = u32> {
    let mut rest = content;
    std::iter::from_fn(move || {
        let mut chars = rest.chars();
        let first = chars.next()?;
        if first != '\\' {
            rest = chars.as_str();
            return Some(u32::from(first));
        }
        let (point, length) = unescape_one(rest);
        rest = rest.get(length..).unwrap_or_default();
        Some(point)
    })
}

/// The code point of the escape that `text` begins with, and the escape's length. The scanner has seen that it is one.
fn unescape_one(text: &str) -> (u32, usize) {
    let bytes = text.as_bytes();
    let simple = match bytes.get(1) {
        Some(b'b') => 0x08,
        Some(b'f') => 0x0C,
        Some(b'n') => 0x0A,
        Some(b'r') => 0x0D,
        Some(b't') => 0x09,
        Some(b'u') => {
            let high = hex4(bytes).unwrap_or(0xFFFD);
            let low = bytes.get(6..).and_then(hex4).filter(|&unit| is_high(high) && is_low(unit));
            return match low {
                Some(low) => (0x1_0000 + ((u32::from(high) - 0xD800) << 10) + (u32::from(low) - 0xDC00), 12),
                None => (u32::from(high), 6),
            };
        }
        Some(&other) => u32::from(other),
        None => 0xFFFD,
    };
    (simple, 2)
}

/// A scanned string as text; what is no character (a lone surrogate) becomes U+FFFD.
pub(super) fn unescape(content: &str) -> Cow<'_, str> {
    if !content.contains('\\') {
        return Cow::Borrowed(content);
    }
    Cow::Owned(code_points(content).map(|point| char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
}

/// A scanned string as bytes whose order is the order of code points: UTF-8, in which a lone surrogate takes the three
/// bytes that its number would take.
pub(super) fn ordered_bytes(content: &str) -> Cow<'_, [u8]> {
    if !content.contains('\\') {
        return Cow::Borrowed(content.as_bytes());
    }
    let mut bytes = Vec::with_capacity(content.len());
    for point in code_points(content) {
        match char::from_u32(point) {
            Some(character) => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            None => {
                let [_, _, high, low] = point.to_be_bytes();
                bytes.extend([0xE0 | high >> 4, 0x80 | (high & 0x0F) << 2 | low >> 6, 0x80 | low & 0x3F]);
            }
        }
    }
    Cow::Owned(bytes)
}
