//! Why does a signature not fit? The usual mistakes, tried one after the other.
//!
//! For a person who holds the secret and debugs a sender: another spelling of the key, another text under it. Only the
//! name of the mistake comes out, never a digest. Nothing that was found this way makes a message authentic.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use subtle::ConstantTimeEq as _;

use crate::json::tree::Value;
use crate::json::{javascript, python};
use crate::signature::{DIGEST_BYTES, digest};
use crate::{Key, Secret};

/// A way in which the key may have been taken from the secret, and the words for it.
pub(crate) type KeyGuess = (Vec<u8>, &'static str);

/// What may have been signed, and the words for it.
pub(crate) type TextGuess = (Vec<u8>, &'static str);

/// Tries every key guess with every text guess, the right ones (empty words) included, and names the first that fits.
pub(crate) fn mistake(given: &[u8; DIGEST_BYTES], keys: &[KeyGuess], texts: &[TextGuess]) -> Option<String> {
    let guesses = keys.iter().flat_map(|key| texts.iter().map(move |text| (key, text)));
    let fits = |((key, _), (text, _)): &(&KeyGuess, &TextGuess)| {
        digest(&Key::hmac(key), &[text]).is_some_and(|expected| expected.ct_eq(given).into())
    };
    let ((_, key), (_, text)) = guesses.into_iter().find(fits)?;
    let words: Vec<_> = [*key, *text].into_iter().filter(|words| !words.is_empty()).collect();
    if words.is_empty() { None } else { Some(words.join("; and ")) }
}

/// The secret's text, without the white space around it, and decoded from hex and base64.
pub(crate) fn text_keys(secret: &Secret) -> Vec<KeyGuess> {
    let text = secret.expose();
    let mut keys = vec![(text.as_bytes().to_vec(), "")];
    if text.trim() != text {
        keys.push((
            text.trim().as_bytes().to_vec(),
            "the secret has white space around it here, and has none at the sender",
        ));
    }
    keys.push((format!("{text}\n").into_bytes(), "the sender's secret has a newline at its end"));
    if let Ok(key) = hex::decode(text.trim()) {
        keys.push((key, "the sender decoded the secret from hex; the key is the secret's text"));
    }
    if let Ok(key) = BASE64.decode(text.trim()) {
        keys.push((key, "the sender decoded the secret from base64; the key is the secret's text"));
    }
    keys
}

/// The body as it is, as something on the way may have received it, and as the wrong code may have signed it.
pub(crate) fn body_texts(body: &[u8]) -> Vec<TextGuess> {
    let mut texts = vec![(body.to_vec(), "")];
    if body.trim_ascii() != body {
        let words = "the body has white space at its ends (such as a final newline) that was not signed";
        texts.push((body.trim_ascii().to_vec(), words));
    }
    texts.push(([body, b"\n"].concat(), "a final newline was signed that did not arrive"));
    if let Some(compact) = std::str::from_utf8(body).ok().and_then(|text| javascript::restringify(text).ok()) {
        let words = "the body was re-serialised: the signature fits its compact JSON; sign and verify the raw bytes";
        texts.push((compact.into_bytes(), words));
    }
    // The same with numbers as they are spelled: JavaScript would make 0 of 0.0.
    if let Ok(value) = Value::read(body) {
        let words = "the body was re-serialised: the signature fits its compact JSON; sign and verify the raw bytes";
        texts.push((value.to_text().into_bytes(), words));
    }
    if let Ok(canonical) = python::canonical(body) {
        let words = "the signature fits sorted, ASCII-only JSON of the body; the raw bytes are to be signed";
        texts.push((canonical.into_bytes(), words));
    }
    if let Some(pretty) = pretty(body) {
        texts.push((pretty, "the body was re-serialised: the signature fits its indented JSON"));
    }
    texts
}

fn pretty(body: &[u8]) -> Option<Vec<u8>> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    serde_json::to_vec_pretty(&value).ok()
}
