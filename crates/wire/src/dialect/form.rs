//! JSON in a field of a form, as hooks of GitHub may have it: `payload=%7B…%7D`.

use std::ops::Range;

use crate::json::place;
use crate::{Headers, Reason, Refusal, percent};

const MEDIA_TYPE: &[u8] = b"application/x-www-form-urlencoded";
const PAYLOAD: &[u8] = b"payload=";

/// The JSON of a message: the body, or the form's field `payload`.
pub(super) fn payload(headers: &Headers, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let Some(field) = form_field(headers, body)? else { return Ok(body.to_vec()) };
    let spaced = body.get(field).unwrap_or_default().iter().map(|&byte| if byte == b'+' { b' ' } else { byte });
    Ok(percent::decode(&spaced.collect::<Vec<u8>>()))
}

/// Where the value of the field `payload` stands; `None`: the body is no form.
fn form_field(headers: &Headers, body: &[u8]) -> Result<Option<Range<usize>>, Refusal> {
    let media_type = headers.one("Content-Type")?.unwrap_or_default();
    if !media_type.get(..MEDIA_TYPE.len()).is_some_and(|start| start.eq_ignore_ascii_case(MEDIA_TYPE)) {
        return Ok(None);
    }
    let mut start = 0;
    let mut found = Vec::new();
    for field in body.split(|&byte| byte == b'&') {
        if field.starts_with(PAYLOAD) {
            found.push(start + PAYLOAD.len()..start + field.len());
        }
        start += field.len() + 1;
    }
    match found.as_slice() {
        [field] => Ok(Some(field.clone())),
        _ => Err(Refusal::new(Reason::BodyMalformed, "a form must have the field `payload` once")),
    }
}

/// The body with every character of the string at `path` of its JSON made a `*`; `None`: there is none.
pub(super) fn redacted(headers: &Headers, body: &[u8], path: &[&str]) -> Option<Vec<u8>> {
    let payload = payload(headers, body).ok()?;
    let hidden = place::strings_at(std::str::from_utf8(&payload).ok()?, path);
    if hidden.is_empty() {
        return None;
    }
    let field = form_field(headers, body).ok()?;
    // How many bytes of the body say each byte of the payload.
    let lengths: Vec<usize> = match &field {
        None => vec![1; payload.len()],
        Some(field) => percent::bytes(body.get(field.clone())?).map(|(_, length)| length).collect(),
    };
    let mut redacted = body.to_vec();
    let mut at = field.map_or(0, |field| field.start);
    for (number, length) in lengths.into_iter().enumerate() {
        if hidden.iter().any(|place| place.contains(&number)) {
            redacted.get_mut(at..at + length)?.fill(b'*');
        }
        at += length;
    }
    Some(redacted)
}
