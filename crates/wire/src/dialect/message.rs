//! What the dialects share when they read and write messages: members by their pointer, times, bare ids, ids of events.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

use super::{EncodeError, Secrets};
use crate::event::check;
use crate::json::tree::{Object, Value};
use crate::{Data, Event, EventType, Key, Reason, Refusal, Secret, SecretError, Severity, Verified};

/// The id of the event number `index` of a received message, where `name` is the SHA-256 of what names it: its body, or its
/// id where that is signed.
///
/// Decoding has no chance to draw from, so the id is a UUID version 8 (RFC 9562) made of the first 128 bits of
/// `SHA-256(dialect id, 0x00, name, index as 8 bytes, big-endian)`. The same message gives the same ids, for
/// every receiver of it: whoever keeps events of several receivers mixes in which one it was.
fn event_id(dialect: &str, name: &[u8; 32], index: usize) -> Uuid {
    let index = u64::try_from(index).unwrap_or(u64::MAX).to_be_bytes();
    named_id(&[dialect.as_bytes(), &[0], name, &index])
}

/// A UUID version 8 out of a name in parts, for vendors' keys that are no UUIDs.
pub(super) fn named_id(parts: &[&[u8]]) -> Uuid {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    let digest: [u8; 32] = hasher.finalize().into();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(byte, of_digest)| *byte = of_digest);
    Builder::from_custom_bytes(bytes).into_uuid()
}

/// An event that a dialect can say: its name there, and how its body (or the body's `data`) is made.
pub(super) struct Said {
    pub(super) event_type: EventType,
    pub(super) name: &'static str,
    pub(super) encode: fn(&Event) -> Result<Object, EncodeError>,
}

impl Said {
    pub(super) fn name(table: &'static [Self], event_type: &EventType) -> Option<Cow<'static, str>> {
        table.iter().find(|said| said.event_type == *event_type).map(|said| Cow::Borrowed(said.name))
    }

    pub(super) fn encode(table: &'static [Self], event: &Event) -> Result<Object, EncodeError> {
        match table.iter().find(|said| said.event_type == event.event_type) {
            Some(said) => (said.encode)(event),
            None => Err(EncodeError::NoSuchEvent(event.event_type.clone())),
        }
    }
}

/// Gathers the events of one message.
pub(super) struct Events<'a> {
    dialect: &'static str,
    /// What names the message.
    name: &'a [u8],
    /// Of the name, once there is an event: there may be thousands of one body.
    digest: OnceCell<[u8; 32]>,
    events: Vec<Event>,
}

impl<'a> Events<'a> {
    pub(super) fn of(dialect: &'static str, request: &'a Verified) -> Self {
        Self::named(dialect, request.body())
    }

    /// Those of a message that has a name of its own, which is signed.
    pub(super) fn named(dialect: &'static str, name: &'a [u8]) -> Self {
        Self { dialect, name, digest: OnceCell::new(), events: Vec::new() }
    }

    /// Adds an event. `kept` are the vendor's members that we do not know, under their own names; one that bears a name
    /// of ours and does not fit it is left out, so that every decoded event can be read as what its type says.
    pub(super) fn push(
        &mut self,
        event_type: EventType,
        occurred_at: Timestamp,
        mut data: Object,
        kept: Object,
    ) -> Result<(), Refusal> {
        let mut names: BTreeSet<String> = kept.iter().map(|(name, _)| name.to_owned()).collect();
        names.retain(|name| data.get(name).is_none());
        data.keep(kept);
        let mut data = Value::Object(data);
        loop {
            let text = Data::from_text(data.to_text()).map_err(|error| malformed(&error))?;
            let Err(mismatch) = check(&event_type, &text) else {
                self.push_data(event_type, occurred_at, text);
                return Ok(());
            };
            let member = mismatch.pointer.split('/').nth(1).unwrap_or_default();
            let Value::Object(members) = &mut data else {
                return Err(unfit("", "an object"));
            };
            if !names.remove(member) || members.take(member).is_none() {
                return Err(Refusal::new(Reason::PayloadInvalid, mismatch.to_string()));
            }
        }
    }

    /// Adds an event whose data is known to fit.
    pub(super) fn push_data(&mut self, event_type: EventType, occurred_at: Timestamp, data: Data) {
        let digest = self.digest.get_or_init(|| Sha256::digest(self.name).into());
        let id = event_id(self.dialect, digest, self.events.len());
        self.events.push(Event { id, event_type, occurred_at, data });
    }

    pub(super) fn done(self) -> Vec<Event> {
        self.events
    }

    /// Why nothing was gathered, where that is so.
    pub(super) fn silence(&self, why: impl FnOnce() -> String) -> Option<String> {
        self.events.is_empty().then(why)
    }
}

/// Why an event of this name makes none of ours.
pub(super) fn unknown_event(name: &str) -> String {
    format!("{} is no event that is known here, and nothing is made of it", quoted(name))
}

/// A piece of a message as it may be shown in a sentence.
pub(super) fn quoted(text: &str) -> String {
    const SHOWN_MAX: usize = 60;
    let mut shown: String = text.chars().take(SHOWN_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

/// The body is not JSON.
pub(super) fn malformed(error: &impl fmt::Display) -> Refusal {
    Refusal::new(Reason::BodyMalformed, format!("the body is not JSON: {error}"))
}

/// A member is missing or of the wrong type; `pointer` is a JSON pointer.
pub(super) fn unfit(pointer: &str, wanted: &str) -> Refusal {
    let what = if pointer.is_empty() { "the body" } else { pointer };
    Refusal::new(Reason::PayloadInvalid, format!("{what} must be {wanted}"))
}

/// The members of an object.
pub(super) fn object_of(value: Value) -> Result<Object, Refusal> {
    match value {
        Value::Object(object) => Ok(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Refusal::new(Reason::PayloadInvalid, "the body must be a JSON object"))
        }
    }
}

/// A member that must be there, and be text with something in it.
pub(super) fn required_text(object: &Object, key: &str, at: &str) -> Result<String, Refusal> {
    match object.get(key).and_then(Value::as_str) {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(unfit(&format!("{at}/{key}"), "text that is not empty")),
    }
}

/// Takes a member that may be absent or null but must be text otherwise.
pub(super) fn take_text(object: &mut Object, key: &str, at: &str) -> Result<Option<String>, Refusal> {
    match object.take(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(unfit(&format!("{at}/{key}"), "text")),
    }
}

/// Takes a member that may be absent or null but must be an integer otherwise.
pub(super) fn take_integer(object: &mut Object, key: &str, at: &str) -> Result<Option<i64>, Refusal> {
    match object.take(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_i64() {
            Some(number) => Ok(Some(number)),
            None => Err(unfit(&format!("{at}/{key}"), "an integer")),
        },
    }
}

/// Takes a member that may be absent or null but must be Unix seconds of the years 1970 to 9999 otherwise.
pub(super) fn take_seconds(object: &mut Object, key: &str, at: &str) -> Result<Option<Timestamp>, Refusal> {
    let wanted = || unfit(&format!("{at}/{key}"), "integer Unix seconds");
    match take_integer(object, key, at).map_err(|_| wanted())? {
        None => Ok(None),
        Some(seconds) if seconds < 0 => Err(wanted()),
        Some(seconds) => Timestamp::from_second(seconds).map(Some).map_err(|_| wanted()),
    }
}

/// Text that is a time with its zone.
pub(super) fn time_of(text: &str, pointer: &str) -> Result<Timestamp, Refusal> {
    text.parse().map_err(|_| unfit(pointer, "an ISO 8601 time with a zone"))
}

/// `2025-12-16T15:30:00Z`: UTC, whole seconds.
pub(super) fn iso_seconds(time: Timestamp) -> String {
    format!("{time:.0}")
}

/// An id without our type prefix: `fnd_0190…` becomes `0190…`. Ids that are no prefixed UUID stay as they are.
pub(super) fn bare(id: &str) -> &str {
    match id.split_once('_') {
        Some((prefix, uuid))
            if prefix.bytes().all(|byte| byte.is_ascii_lowercase()) && Uuid::try_parse(uuid).is_ok() =>
        {
            uuid
        }
        _ => id,
    }
}

/// A severity by the names that Snyk, GitHub and GitLab share.
pub(super) fn severity_named(text: &str) -> Severity {
    match text.to_ascii_lowercase().as_str() {
        "critical" => Severity::Critical,
        "high" => Severity::High,
        "medium" | "moderate" => Severity::Medium,
        "low" => Severity::Low,
        "info" | "none" => Severity::Info,
        _ => Severity::Unknown,
    }
}

/// The member of an object that is an object.
pub(super) fn member<'a>(object: &'a Object, key: &str) -> Option<&'a Object> {
    object.get(key).and_then(Value::as_object)
}

/// The member of an object that is text with something in it.
pub(super) fn text<'a>(object: &'a Object, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Reads an event's data for encoding.
pub(super) fn typed<T: serde::de::DeserializeOwned>(event: &Event) -> Result<T, EncodeError> {
    event.data.typed().map_err(|error| EncodeError::Data(error.to_string()))
}

/// The data's member that a dialect cannot do without.
pub(super) fn need<T>(value: Option<T>, member: &str) -> Result<T, EncodeError> {
    value.ok_or_else(|| EncodeError::Data(format!("{member} is missing")))
}

/// A header value that is copied into ids, logs and requests: visible ASCII, not too long.
pub(super) fn plain_header(value: &[u8], name: &str) -> Result<String, Refusal> {
    let plain = value.len() <= 256 && value.iter().all(u8::is_ascii_graphic);
    match std::str::from_utf8(value) {
        Ok(text) if plain => Ok(text.to_owned()),
        _ => Err(Refusal::new(Reason::HeaderInvalid, format!("{name} must be at most 256 visible ASCII characters"))),
    }
}

/// Secrets that are used as the text they are: Snyk, Aegis, GitHub.
pub(super) struct TextSecrets;

/// Shortest key that may be configured.
pub(super) const KEY_BYTES_MIN: usize = 16;

impl Secrets for TextSecrets {
    fn key(&self, secret: &Secret) -> Result<Key, SecretError> {
        match secret.expose() {
            "" => Err(SecretError::Empty),
            text => Ok(Key::hmac(text.as_bytes())),
        }
    }

    fn check(&self, secret: &Secret) -> Result<Secret, SecretError> {
        match secret.expose().len() {
            0 => Err(SecretError::Empty),
            bytes if bytes < KEY_BYTES_MIN => Err(SecretError::Length { bytes, wanted: "at least 16 are wanted" }),
            _ => Ok(secret.clone()),
        }
    }

    fn make(&self, random: [u8; 32]) -> Secret {
        Secret::new(hex::encode(random))
    }
}
