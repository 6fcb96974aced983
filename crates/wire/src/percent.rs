//! Percent-encoding, as forms and CloudEvents' headers use it.

use std::fmt::Write as _;

/// Undoes one round. A `%` without two hex digits after it stands for itself.
pub(crate) fn decode(text: &[u8]) -> Vec<u8> {
    bytes(text).map(|(byte, _)| byte).collect()
}

/// The bytes that a text stands for, each with how many bytes of the text say it: one or three.
pub(crate) fn bytes(text: &[u8]) -> impl Iterator<Item = (u8, usize)> + '_ {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (&first, more) = rest.split_first()?;
        let digit = |place: usize| more.get(place).and_then(|&byte| char::from(byte).to_digit(16));
        let coded = match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => u8::try_from(high * 16 + low).ok(),
            _ => None,
        };
        let (byte, length) = coded.map_or((first, 1), |byte| (byte, 3));
        rest = rest.get(length..).unwrap_or_default();
        Some((byte, length))
    })
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
