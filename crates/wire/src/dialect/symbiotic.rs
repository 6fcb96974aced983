//! Symbiotic: `vulnerability.created`, `vulnerability.remediated`, `training.completed`.
//!
//! Source: Symbiotic Security's documentation, "Webhooks". Signature: `symbioticsec_signature` (with an
//! underscore), the lower-case hex HMAC-SHA256 of the payload's *canonical text* (see [`crate::json::python`]) and not of
//! the bytes received; the key is the hex-decoded signing key. Vectors: `tests/vectors/symbiotic.json`.
//!
//! The canonical text itself goes out as the body, so that receivers verify which hash the raw bytes. `timestamp` is the
//! time of the event, since a body is made once and sent many times. What an event's data does not say is said as empty
//! text: `creator`; `rule_id` falls back to the CVE and then to the first alias, `resource_path` to the component.
//! Without `finding_id` there is no `pubkey`, and the event cannot be said.
//!
//! Decoded: of `data` every member may be absent, but what is there must have the documented type. Members that
//! Symbiotic does not document are kept under their own names.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use super::message::{
    self, Events, Said, bare, malformed, need, object_of, take_integer, take_seconds, take_text, unfit, unknown_event,
};
use super::{Carrier, Credential, Dialect, EncodeError, Header, Inbound, Message, Outbound, Secrets, Settings};
use crate::event::{Component, Training, Vulnerability};
use crate::json::python;
use crate::json::tree::{Object, Value};
use crate::signature::{read_hex, sign_hex, verify_hex};
use crate::{Decoded, Event, EventType, Key, Refusal, Secret, SecretError, Unverified, Verified};

pub(super) static DIALECT: Dialect = Dialect {
    id: "symbiotic",
    name: "Symbiotic",
    source: "Symbiotic Security's documentation, page \"Webhooks\"",
    credential: Credential::SecretGivenOrMade,
    carrier: Carrier::Http,
    url_is_secret: false,
    secrets: &HexSecrets,
    inbound: Some(&Symbiotic),
    outbound: Some(&Symbiotic),
};

const SIGNATURE: &str = "symbioticsec_signature";

struct Symbiotic;

impl Inbound for Symbiotic {
    fn verify(&self, request: &Unverified, keys: &[Key], _: Timestamp, _: SignedDuration) -> Result<(), Refusal> {
        let given = read_hex(request.headers(), SIGNATURE, "")?;
        let canonical = python::canonical(request.body()).map_err(|error| malformed(&error))?;
        verify_hex(&given, canonical.as_bytes(), keys, "the body's canonical text (sorted keys, no blanks, ASCII)")
    }

    fn signed(&self, request: &Unverified) -> Option<Vec<u8>> {
        python::canonical(request.body()).ok().map(String::into_bytes)
    }

    fn mistaken(&self, request: &Unverified) -> Vec<(Vec<u8>, &'static str)> {
        let raw = "the raw body was signed; the canonical text (sorted keys, no blanks, ASCII) is to be signed";
        let mut texts = vec![(request.body().to_vec(), raw)];
        let Ok(canonical) = python::canonical(request.body()) else {
            return texts;
        };
        let compact = |body: &[u8]| Value::read_python(body).map(|value| value.to_text());
        let blanks = "blanks were left behind commas and colons; Python's separators are to be `,` and `:`";
        texts.push((spaced(&canonical).into_bytes(), blanks));
        if let (Ok(sorted), Ok(as_sent)) = (compact(canonical.as_bytes()), compact(request.body())) {
            let default = "json.dumps was called without sort_keys and separators: the keys are to be sorted, and the \
                           separators `,` and `:`";
            texts.push((spaced(&escaped(&as_sent)).into_bytes(), default));
            texts.push((escaped(&as_sent).into_bytes(), "the keys were not sorted"));
            texts.push((sorted.into_bytes(), "characters outside ASCII were not escaped as \\uxxxx"));
            texts.push((as_sent.into_bytes(), "the keys were not sorted, nor what is outside ASCII escaped"));
        }
        texts
    }

    fn resembles(&self, request: &Unverified) -> bool {
        Value::read_python(request.body()).is_ok_and(|body| {
            let is_time = body.get("timestamp").and_then(Value::as_i64).is_some();
            let event = body.get("event").and_then(Value::as_str);
            is_time && body.get("data").is_some() && event.is_some_and(|name| name.contains('.'))
        })
    }

    fn canonical(&self, body: &[u8]) -> Option<String> {
        python::canonical(body).ok()
    }

    fn decode(&self, request: &Verified) -> Result<Decoded, Refusal> {
        let mut body = object_of(Value::read_python(request.body()).map_err(|error| malformed(&error))?)?;
        let Some(Value::String(name)) = body.take("event") else {
            return Err(unfit("/event", "text"));
        };
        let sent_at = take_seconds(&mut body, "timestamp", "")?;
        let fallback = sent_at.unwrap_or(request.received_at());
        let mut events = Events::of(DIALECT.id, request);
        if let Some(said) = EVENTS.iter().find(|said| said.name == name) {
            let Some(Value::Object(data)) = body.take("data") else {
                return Err(unfit("/data", "an object"));
            };
            match said.name {
                TRAINING => decode_training(data, fallback, &mut events)?,
                REMEDIATED => {
                    decode_finding(EventType::VulnerabilityRemediated, "remediated_at", data, fallback, &mut events)?;
                }
                _ => decode_finding(EventType::VulnerabilityCreated, "created_at", data, fallback, &mut events)?,
            }
        }
        let silence = events.silence(|| unknown_event(&name));
        Ok(Decoded {
            vendor_event: name,
            vendor_version: None,
            delivery_id: None,
            sent_at,
            events: events.done(),
            silence,
        })
    }
}

fn decode_finding(
    event_type: EventType,
    time: &str,
    mut data: Object,
    fallback: Timestamp,
    events: &mut Events<'_>,
) -> Result<(), Refusal> {
    let occurred_at = take_seconds(&mut data, time, "/data")?.unwrap_or(fallback);
    let mut finding = Object::default();
    finding.set_some("finding_id", take_text(&mut data, "pubkey", "/data")?);
    for member in ["creator", "rule_id", "resource_path"] {
        finding.set_some(member, take_text(&mut data, member, "/data")?);
    }
    finding.set(if time == "created_at" { "detected_at" } else { time }, occurred_at.to_string());
    events.push(event_type, occurred_at, finding, data)
}

/// A training's data has no member that may be absent in ours, so empty text and zero stand for what is not said.
fn decode_training(mut data: Object, fallback: Timestamp, events: &mut Events<'_>) -> Result<(), Refusal> {
    let completed_at = take_seconds(&mut data, "completed_at", "/data")?.unwrap_or(fallback);
    let started_at = take_seconds(&mut data, "started_at", "/data")?.unwrap_or(completed_at);
    let training = Object::from([
        ("user", take_text(&mut data, "user", "/data")?.unwrap_or_default().into()),
        ("training", take_text(&mut data, "training", "/data")?.unwrap_or_default().into()),
        ("score", take_integer(&mut data, "score", "/data")?.unwrap_or_default().into()),
        ("started_at", started_at.to_string().into()),
        ("completed_at", completed_at.to_string().into()),
    ]);
    events.push(EventType::TrainingCompleted, completed_at, training, data)
}

impl Outbound for Symbiotic {
    fn event_name<'a>(&self, event_type: &'a EventType) -> Option<Cow<'a, str>> {
        Said::name(EVENTS, event_type)
    }

    fn encode(&self, event: &Event, _: &Settings) -> Result<Vec<u8>, EncodeError> {
        let data = Said::encode(EVENTS, event)?;
        let body = Object::from([
            ("event", event.event_type.as_str().into()),
            ("timestamp", event.occurred_at.as_second().into()),
            ("data", data.into()),
        ]);
        canonical(Value::Object(body).to_text().as_bytes()).map(String::into_bytes)
    }

    fn headers(&self, message: &Message<'_>, keys: &[Key]) -> Result<Vec<Header>, EncodeError> {
        let signed = canonical(message.body)?;
        Ok(vec![
            Header { name: "Content-Type", value: "application/json".to_owned() },
            Header { name: SIGNATURE, value: sign_hex("", signed.as_bytes(), keys)? },
        ])
    }
}

fn canonical(body: &[u8]) -> Result<String, EncodeError> {
    python::canonical(body).map_err(|error| EncodeError::Data(format!("the body is not JSON: {error}")))
}

const REMEDIATED: &str = "vulnerability.remediated";
const TRAINING: &str = "training.completed";

const EVENTS: &[Said] = &[
    Said { event_type: EventType::VulnerabilityCreated, name: "vulnerability.created", encode: created },
    Said { event_type: EventType::VulnerabilityRemediated, name: REMEDIATED, encode: remediated },
    Said { event_type: EventType::TrainingCompleted, name: TRAINING, encode: training },
];

fn created(event: &Event) -> Result<Object, EncodeError> {
    let finding: Vulnerability = message::typed(event)?;
    let at = finding.detected_at.unwrap_or(event.occurred_at);
    finding_data(finding, ("created_at", at))
}

fn remediated(event: &Event) -> Result<Object, EncodeError> {
    let finding: Vulnerability = message::typed(event)?;
    let at = finding.remediated_at.unwrap_or(event.occurred_at);
    finding_data(finding, ("remediated_at", at))
}

fn finding_data(finding: Vulnerability, (at_name, at): (&str, Timestamp)) -> Result<Object, EncodeError> {
    let pubkey = need(finding.finding_id, "finding_id")?;
    let rule_id = finding.rule_id.or(finding.cve_id).or_else(|| finding.aliases.into_iter().next());
    let resource_path = finding.resource_path.or_else(|| finding.component.map(component_path));
    Ok(Object::from([
        ("pubkey", bare(&pubkey).into()),
        ("creator", finding.creator.unwrap_or_default().into()),
        ("rule_id", rule_id.unwrap_or_default().into()),
        ("resource_path", resource_path.unwrap_or_default().into()),
        (at_name, at.as_second().into()),
    ]))
}

fn component_path(component: Component) -> String {
    match (component.purl, component.version) {
        (Some(purl), _) => purl,
        (None, Some(version)) => format!("{}@{version}", component.name),
        (None, None) => component.name,
    }
}

fn training(event: &Event) -> Result<Object, EncodeError> {
    let training: Training = message::typed(event)?;
    Ok(Object::from([
        ("started_at", training.started_at.as_second().into()),
        ("completed_at", training.completed_at.as_second().into()),
        ("user", training.user.into()),
        ("training", training.training.into()),
        ("score", training.score.into()),
    ]))
}

/// With a blank behind every comma and colon that stands outside strings, as Python separates by default.
fn spaced(compact: &str) -> String {
    let (mut out, mut in_string, mut escaped) = (String::with_capacity(compact.len() * 2), false, false);
    for character in compact.chars() {
        out.push(character);
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => in_string = !in_string,
            ',' | ':' if !in_string => out.push(' '),
            _ => {}
        }
    }
    out
}

/// With what is not ASCII escaped, as Python does by default. Outside strings JSON has no such characters.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            ' '..='~' => out.push(character),
            _ => character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    out
}

/// Keys spelled in hex, as Python's `bytes.fromhex` reads it: either case, ASCII white space between bytes.
struct HexSecrets;

impl HexSecrets {
    fn bytes(secret: &Secret) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let wanted = "hex digits, two for each byte";
        let blank = |character: char| matches!(character, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c');
        let mut bytes = Zeroizing::new(Vec::new());
        for run in secret.expose().split(blank) {
            let run = hex::decode(run).map(Zeroizing::new).map_err(|_| SecretError::Spelling { wanted })?;
            bytes.extend_from_slice(&run);
        }
        if bytes.is_empty() { Err(SecretError::Empty) } else { Ok(bytes) }
    }
}

impl Secrets for HexSecrets {
    fn key(&self, secret: &Secret) -> Result<Key, SecretError> {
        Ok(Key::hmac(&Self::bytes(secret)?))
    }

    fn check(&self, secret: &Secret) -> Result<Secret, SecretError> {
        let bytes = Self::bytes(secret)?;
        if bytes.len() < message::KEY_BYTES_MIN {
            return Err(SecretError::Length { bytes: bytes.len(), wanted: "at least 16 are wanted, in 32 hex digits" });
        }
        Ok(Secret::new(hex::encode(&*bytes)))
    }

    fn make(&self, random: [u8; 32]) -> Secret {
        Secret::new(hex::encode(random))
    }
}
