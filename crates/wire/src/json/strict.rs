//! Is this text JSON that every reader reads the same way?
//!
//! One pass over the bytes, no tree, no recursion: duplicate keys (also after unescaping), lone surrogates, numbers that
//! overflow a double, invalid UTF-8, a byte order mark, nesting beyond a limit are all refused with the place.
//!
//! Integers are no doubles to those who send large ones, so they may have up to [`INTEGER_DIGITS_MAX`] digits, although
//! some readers would round them.

use std::borrow::Cow;

use super::scan::{Rules, Scanner, Token, ordered_bytes};

pub use super::Error;

/// Longest integer, in digits; Python's own limit.
pub const INTEGER_DIGITS_MAX: usize = 4_300;

/// Checks `bytes` and answers them as text. Time (but for the sorting of keys) and memory are linear in the input.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(bytes: &[u8], depth_max: usize) -> Result<&str, Error> {
    let text = std::str::from_utf8(bytes).map_err(|error| Error {
        code: "invalid_utf8",
        message: "the text is not UTF-8",
        offset: error.valid_up_to(),
    })?;
    if text.starts_with('\u{feff}') {
        return Err(Error { code: "invalid_json", message: "the text begins with a byte order mark", offset: 0 });
    }
    let mut scanner = Scanner::new(text, Rules { depth_max, lone_surrogates: false, non_finite: false });
    let mut keys = OpenKeys { text, spans: Vec::new(), starts: Vec::new(), sorted: Vec::new() };
    while let Some(token) = scanner.next()? {
        match token {
            Token::ObjectStart => keys.starts.push(keys.spans.len()),
            Token::Key(content) => keys.spans.push((content.start, content.end)),
            Token::ObjectEnd => keys.close()?,
            Token::Number(range) => {
                let number = text.get(range.clone()).unwrap_or_default();
                if !super::number::fits(number, INTEGER_DIGITS_MAX) {
                    let message = "a number is out of range";
                    return Err(Error { code: "number_out_of_range", message, offset: range.start });
                }
            }
            Token::ArrayStart | Token::ArrayEnd | Token::String(_) | Token::True | Token::False | Token::Null => {}
        }
    }
    Ok(text)
}

/// The keys of all objects that are not closed yet, each object's behind those of the object around it.
struct OpenKeys<'a> {
    text: &'a str,
    spans: Vec<(usize, usize)>,
    starts: Vec<usize>,
    /// Kept for its room alone.
    sorted: Vec<(Cow<'a, [u8]>, usize)>,
}

impl OpenKeys<'_> {
    /// Sorting at the end costs a small object nothing and a large one no hash table.
    fn close(&mut self) -> Result<(), Error> {
        let start = self.starts.pop().unwrap_or_default();
        if self.spans.len() - start > 1 {
            let own = self.spans.get(start..).unwrap_or_default();
            let text = self.text;
            let key = |&(from, to): &(usize, usize)| (ordered_bytes(text.get(from..to).unwrap_or_default()), from);
            self.sorted.clear();
            self.sorted.extend(own.iter().map(key));
            self.sorted.sort_unstable();
            let neighbours = self.sorted.iter().zip(self.sorted.iter().skip(1));
            let twice = neighbours.into_iter().find(|((one, _), (next, _))| one == next);
            if let Some((_, (_, offset))) = twice {
                let message = "an object has a key twice";
                return Err(Error { code: "duplicate_key", message, offset: *offset });
            }
        }
        self.spans.truncate(start);
        Ok(())
    }
}
