//! What the body may have been before something changed it on its way here.

use super::{Fault, Finding, layout};

/// Other layouts are tried up to this size.
const RELAYOUT_BYTES_MAX: usize = 8 << 20;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Bodies that may have been signed in place of this one, each made when it is asked for.
pub(super) fn changes(body: &[u8]) -> impl Iterator<Item = (Vec<u8>, Finding)> {
    white_space(body)
        .into_iter()
        .chain(encoded_twice(body))
        .chain(layouts(body))
        .filter(move |(changed, _)| changed.as_slice() != body)
}

fn white_space(body: &[u8]) -> Vec<(Vec<u8>, Finding)> {
    let plain = replace(body, b"\r\n", b"\n");
    let mut changes = vec![
        ([body, b"\n"].concat(), "the signature fits the body with a newline at its end: something took it off"),
        (
            [body, b"\r\n"].concat(),
            "the signature fits the body with a carriage return and newline at its end: something took them off",
        ),
        (
            body.trim_ascii().to_vec(),
            "the signature fits the body without the white space around it: something added it",
        ),
        (
            replace(&plain, b"\n", b"\r\n"),
            "the signature fits the body with CR LF line ends: something turned them into plain newlines, white space \
             that was signed",
        ),
        (
            plain,
            "the signature fits the body with plain newlines: something turned them into CR LF, white space that was signed",
        ),
    ];
    if let Some(rest) = body.strip_suffix(b"\n") {
        let words = "the signature fits the body without the newline at its end: something added one (an editor, \
                     `echo`, a log)";
        changes.insert(0, (rest.strip_suffix(b"\r").unwrap_or(rest).to_vec(), words));
    }
    changes.push(match body.strip_prefix(BOM) {
        Some(rest) => (rest.to_vec(), "the signature fits the body without the byte order mark in front"),
        None => {
            ([BOM, body].concat(), "the signature fits the body with a byte order mark in front: something took it off")
        }
    });
    changes.into_iter().map(|(to, words)| (to, Finding::new(Fault::BodyWhiteSpace, words))).collect()
}

fn encoded_twice(body: &[u8]) -> Option<(Vec<u8>, Finding)> {
    let inner: String = serde_json::from_slice(body).ok()?;
    let words = "the signature fits the text inside: the body was encoded as a JSON string a second time";
    Some((inner.into_bytes(), Finding::new(Fault::BodyEncodedTwice, words)))
}

fn layouts(body: &[u8]) -> impl Iterator<Item = (Vec<u8>, Finding)> {
    let small = Some(body).filter(|body| body.len() <= RELAYOUT_BYTES_MAX);
    small.into_iter().flat_map(layout::all).flat_map(|(text, how)| {
        let words = format!(
            "the signature fits the same JSON written {how}: the body was re-serialised (parsed and written again, which \
             changes white space, escapes or order) before it got here. Verify the raw bytes as they arrive"
        );
        let finding = Finding::new(Fault::BodyReserialised, words);
        // A final newline is often lost or added together with it.
        let with_newline = format!("{text}\n").into_bytes();
        [(text.into_bytes(), finding.clone()), (with_newline, finding)]
    })
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
