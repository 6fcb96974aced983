//! Percent-encoding, as forms and CloudEvents' headers use it.

use std::fmt::Write as _;

/// Undoes one round. A `%` without two hex digits after it stands for itself.
pub(crate) fn decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, more)) = rest.split_first() {
        let digit = |place: usize| more.get(place).and_then(|&byte| char::from(byte).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                out.extend(u8::try_from(high * 16 + low));
                rest = more.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(first);
                rest = more;
            }
        }
    }
    out
}

/// Encodes every byte of every character that is not `plain`, in upper-case hex.
pub(crate) fn encode(text: &str, plain: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if plain(character) {
            out.push(character);
            continue;
        }
        for byte in character.encode_utf8(&mut [0; 4]).bytes() {
            // Writing to a String cannot fail.
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}
