//! What the body may have been before something changed it on its way here.

use sha2::{Digest, Sha256};

use super::{Change, layout};

/// Re-layouts are tried up to this size.
const RELAYOUT_BYTES_MAX: usize = 8 << 20;

/// Bodies that may have been signed in place of this one.
pub(super) fn changes(body: &[u8]) -> Vec<Change<Vec<u8>>> {
    let mut changes: Vec<Change<Vec<u8>>> = Vec::new();
    let mut add = |to: Vec<u8>, meaning: String| {
        if to != body && changes.iter().all(|known| known.to != to) {
            changes.push(Change { meaning, to });
        }
    };
    let without_newline = body.strip_suffix(b"\n").map(|rest| rest.strip_suffix(b"\r").unwrap_or(rest));
    if let Some(rest) = without_newline {
        add(rest.to_vec(), "the signature fits the body without the newline at its end: something added one (an editor, `echo`, a log)".to_owned());
    }
    add(
        [body, b"\n"].concat(),
        "the signature fits the body with a newline at its end: something took it off".to_owned(),
    );
    add(
        [body, b"\r\n"].concat(),
        "the signature fits the body with a carriage return and newline at its end: something took them off".to_owned(),
    );
    add(
        body.trim_ascii().to_vec(),
        "the signature fits the body without the white space around it: something added it".to_owned(),
    );
    add(replace(body, b"\r\n", b"\n"), "the signature fits the body with plain newlines: something turned them into CR LF, white space that was signed".to_owned());
    add(replace(&replace(body, b"\r\n", b"\n"), b"\n", b"\r\n"), "the signature fits the body with CR LF line ends: something turned them into plain newlines, white space that was signed".to_owned());
    const BOM: &[u8] = b"\xef\xbb\xbf";
    match body.strip_prefix(BOM) {
        Some(rest) => add(rest.to_vec(), "the signature fits the body without the byte order mark in front".to_owned()),
        None => add(
            [BOM, body].concat(),
            "the signature fits the body with a byte order mark in front: something took it off".to_owned(),
        ),
    }
    if let Ok(inner) = serde_json::from_slice::<String>(body) {
        add(
            inner.into_bytes(),
            "the signature fits the text inside: the body was encoded as a JSON string a second time".to_owned(),
        );
    }
    if body.len() <= RELAYOUT_BYTES_MAX {
        for (text, how) in layout::all(body) {
            let meaning = format!(
                "the signature fits the same JSON written {how}: the body was re-serialised (parsed and written again, which changes white \
                 space, escapes or order) before it got here. Verify the raw bytes as they arrive"
            );
            // A final newline is often lost or added together with it.
            let with_newline = format!("{text}\n").into_bytes();
            add(text.into_bytes(), meaning.clone());
            add(with_newline, meaning);
        }
    }
    changes
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        match rest.strip_prefix(from) {
            Some(after) => {
                out.extend_from_slice(to);
                rest = after;
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

/// SHA-256 of the body, for comparing with what the sender has.
pub(super) fn fingerprint(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}
