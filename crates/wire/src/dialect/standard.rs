//! Standard Webhooks 1.0: any event, signed with its id and the time of the attempt.
//!
//! Source: <https://www.standardwebhooks.com>, specification and reference libraries. Signed are
//! `id.timestamp.body`; `v1` is HMAC-SHA256 with the base64-decoded secret, `v1a` is Ed25519, verified strictly.
//! Vectors: `tests/vectors/standard-webhooks.json`, with the reference libraries' known answers.
//!
//! The body is `{"type", "timestamp", "data"}` with `data` byte for byte as it was posted. Received bodies may be
//! anything: what has this shape, a type of the form `word.word` and data that fits a type of ours is an event, everything
//! else is authentic and says nothing to us. With several keys every one signs, and a receiver may hold either.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::message::{Events, quoted};
use super::{Carrier, Credential, Dialect, EncodeError, Header, Inbound, Message, Outbound, Secrets, Settings};
use crate::event::check;
use crate::length::apart;
use crate::signature::digest;
use crate::{
    Data, Decoded, Event, EventType, Headers, Key, Reason, Refusal, Secret, SecretError, Unverified, Verified,
};

pub(super) static DIALECT: Dialect = Dialect {
    id: "standard",
    name: "Standard Webhooks",
    source: "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",
    credential: Credential::SecretGivenOrMade,
    carrier: Carrier::Http,
    url_is_secret: false,
    secrets: &PrefixedSecrets,
    inbound: Some(&Standard),
    outbound: Some(&Standard),
};

const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
pub(super) const SIGNATURE: &str = "webhook-signature";

/// Signatures of one header that are tried; a sender needs one for each secret, and two secrets rotate.
const SIGNATURES_MAX: usize = 10;

pub(super) struct Standard;

/// The three headers, each there once and well formed.
struct Signed<'a> {
    id: &'a str,
    timestamp: &'a str,
    seconds: i64,
    signatures: &'a str,
}

impl<'a> Signed<'a> {
    fn read(headers: &'a Headers) -> Result<Self, Refusal> {
        let (id, timestamp, signatures) = (headers.one(ID)?, headers.one(TIMESTAMP)?, headers.one(SIGNATURE)?);
        let there = |value: Option<&'a [u8]>, name: &str, reason| match value {
            None | Some([]) => Err(Refusal::new(reason, format!("the header {name} is missing or empty"))),
            Some(value) => Ok(std::str::from_utf8(value).unwrap_or("\u{fffd}")),
        };
        let signatures = there(signatures, SIGNATURE, Reason::SignatureMissing)?;
        let id = there(id, ID, Reason::HeaderMissing)?;
        let timestamp = there(timestamp, TIMESTAMP, Reason::TimestampMissing)?;
        check_id(id).map_err(|what| Refusal::new(Reason::HeaderInvalid, what))?;
        let digits = timestamp.bytes().all(|byte| byte.is_ascii_digit());
        match timestamp.parse() {
            Ok(seconds) if digits => Ok(Self { id, timestamp, seconds, signatures }),
            _ => {
                let detail = format!("{TIMESTAMP} must be Unix seconds, a plain decimal integer");
                Err(Refusal::new(Reason::TimestampMalformed, detail))
            }
        }
    }

    fn check_time(&self, now: Timestamp, tolerance: SignedDuration) -> Result<(), Refusal> {
        let age = now.as_second().saturating_sub(self.seconds);
        let refuse = |reason, side: &str| {
            let (age, most) = apart(SignedDuration::from_secs(age.saturating_abs()), tolerance);
            Err(Refusal::new(reason, format!("{TIMESTAMP} is {age} {side}; at most {most} is allowed")))
        };
        if age > tolerance.as_secs() {
            return refuse(Reason::TimestampStale, "old");
        }
        if age < tolerance.as_secs().saturating_neg() {
            return refuse(Reason::TimestampFuture, "ahead");
        }
        Ok(())
    }
}

/// A full stop would make the signed text ambiguous; the rest keeps ids harmless wherever they are shown.
fn check_id(id: &str) -> Result<(), String> {
    let harmless = id.len() <= 256 && id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'.');
    if harmless {
        Ok(())
    } else {
        Err(format!("{ID} must be at most 256 visible ASCII characters without a full stop"))
    }
}

impl Inbound for Standard {
    fn verify(
        &self,
        request: &Unverified,
        keys: &[Key],
        now: Timestamp,
        tolerance: SignedDuration,
    ) -> Result<(), Refusal> {
        let signed = Signed::read(request.headers())?;
        signed.check_time(now, tolerance)?;
        let entries = || signed.signatures.split(' ').filter_map(|entry| entry.split_once(','));
        let mut version_seen = false;
        for key in keys {
            let version = version(key);
            let own = entries().filter(|(given, _)| Some(*given) == version).map(|(_, signature)| signature);
            let mut own = own.take(SIGNATURES_MAX).peekable();
            version_seen |= own.peek().is_some();
            if matches(key, &signed, request.body(), own) {
                return Ok(());
            }
        }
        if !version_seen {
            let detail =
                format!("{SIGNATURE} must hold `v1,` or `v1a,` and a digest in base64, for the kind of secret in use");
            return Err(Refusal::new(Reason::SignatureMalformed, detail));
        }
        let detail = "the signature does not belong to webhook-id, webhook-timestamp, raw body and this secret: either the \
                      secret is another one, or what was signed is not what arrived";
        Err(Refusal::new(Reason::SignatureMismatch, detail))
    }

    fn signed(&self, request: &Unverified) -> Option<Vec<u8>> {
        let signed = Signed::read(request.headers()).ok()?;
        Some(prefix(signed.id, signed.timestamp, request.body()).concat())
    }

    fn mistaken(&self, request: &Unverified) -> Vec<(Vec<u8>, &'static str)> {
        let body = request.body();
        let alone = "the body alone was signed; id, timestamp and body are to be, joined by full stops";
        let mut texts = vec![(body.to_vec(), alone)];
        if let Ok(Signed { id, timestamp, .. }) = Signed::read(request.headers()) {
            let (id, timestamp) = (id.as_bytes(), timestamp.as_bytes());
            texts.push(([timestamp, b".", body].concat(), "timestamp and body were signed, and the id was left out"));
            texts.push(([id, b".", body].concat(), "id and body were signed, and the timestamp was left out"));
            texts.push((
                [id, timestamp, body].concat(),
                "id, timestamp and body were signed without full stops between",
            ));
            texts.push(([timestamp, b".", id, b".", body].concat(), "timestamp and id were signed in the wrong order"));
        }
        texts
    }

    fn resembles(&self, request: &Unverified) -> bool {
        let envelope: Envelope<'_> = serde_json::from_slice(request.body()).unwrap_or_default();
        envelope.data.is_some() && envelope.event_type.and_then(text).is_some_and(|name| name.contains('.'))
    }

    fn decode(&self, request: &Verified) -> Result<Decoded, Refusal> {
        let signed = Signed::read(request.headers())?;
        let sent_at = Timestamp::from_second(signed.seconds).ok();
        let mut events = Events::named(DIALECT.id, signed.id.as_bytes());
        let envelope: Envelope<'_> = serde_json::from_slice(request.body()).unwrap_or_default();
        let vendor_event = envelope.event_type.and_then(text).unwrap_or_default();
        let data = envelope.data.and_then(|data| Data::from_raw(data).ok());
        let silence = match said(&vendor_event, data) {
            Ok((event_type, data)) => {
                let stated = envelope.timestamp.and_then(text).and_then(|text| text.parse().ok());
                events.push_data(event_type, stated.or(sent_at).unwrap_or(request.received_at()), data);
                None
            }
            Err(why) => Some(why),
        };
        let delivery_id = Some(signed.id.to_owned());
        Ok(Decoded { vendor_event, vendor_version: None, delivery_id, sent_at, events: events.done(), silence })
    }
}

/// What a message of this type with this data says to us. `Err`: why it says nothing.
pub(super) fn said(name: &str, data: Option<Data>) -> Result<(EventType, Data), String> {
    let event_type = match name.parse::<EventType>() {
        Ok(event_type) => event_type,
        Err(_) if name.is_empty() => return Err("it has no member `type`, so nothing is made of it".to_owned()),
        Err(_) => {
            let name = quoted(name);
            return Err(format!(
                "its type {name} is none of the form word.word in lower case, so nothing is made of it"
            ));
        }
    };
    let Some(data) = data else {
        return Err(format!("its data is no JSON object, so no {event_type} is made of it"));
    };
    match check(&event_type, &data) {
        Ok(()) => Ok((event_type, data)),
        Err(mismatch) => Err(format!("its data does not fit {event_type}: {mismatch}")),
    }
}

/// The recommended body. Members of other types than recommended are nobody's fault.
#[derive(Default, Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, rename = "type")]
    event_type: Option<&'a RawValue>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

const fn version(key: &Key) -> Option<&'static str> {
    match key {
        Key::Hmac(_) => Some("v1"),
        Key::Ed25519(_) | Key::Ed25519Public(_) => Some("v1a"),
        Key::Token(_) => None,
    }
}

fn matches<'a>(key: &Key, signed: &Signed<'_>, body: &[u8], mut signatures: impl Iterator<Item = &'a str>) -> bool {
    match key {
        Key::Hmac(_) => {
            let Some(expected) = digest(key, &prefix(signed.id, signed.timestamp, body)) else {
                return false;
            };
            let expected = BASE64.encode(expected);
            signatures.any(|given| expected.as_bytes().ct_eq(given.as_bytes()).into())
        }
        Key::Ed25519(signing) => verifies(&signing.verifying_key(), signed, body, signatures),
        Key::Ed25519Public(public) => verifies(public, signed, body, signatures),
        Key::Token(_) => false,
    }
}

fn prefix<'a>(id: &'a str, timestamp: &'a str, body: &'a [u8]) -> [&'a [u8]; 5] {
    [id.as_bytes(), b".", timestamp.as_bytes(), b".", body]
}

/// Strict verification: S below L, no small orders, canonical points.
fn verifies<'a>(
    key: &VerifyingKey,
    signed: &Signed<'_>,
    body: &[u8],
    signatures: impl Iterator<Item = &'a str>,
) -> bool {
    let content = prefix(signed.id, signed.timestamp, body).concat();
    let mut decoded =
        signatures.filter_map(|given| ed25519_dalek::Signature::from_slice(&BASE64.decode(given).ok()?).ok());
    decoded.any(|signature| key.verify_strict(&content, &signature).is_ok())
}

/// Pieces in a row: `data` is not read, so nothing in it can change. The type needs no escaping.
pub(super) fn body(event: &Event) -> Vec<u8> {
    let Event { event_type, occurred_at, data, .. } = event;
    format!(r#"{{"type":"{event_type}","timestamp":"{occurred_at}","data":{}}}"#, data.text()).into_bytes()
}

impl Outbound for Standard {
    fn event_name<'a>(&self, event_type: &'a EventType) -> Option<Cow<'a, str>> {
        Some(Cow::Borrowed(event_type.as_str()))
    }

    fn encode(&self, event: &Event, _: &Settings) -> Result<Vec<u8>, EncodeError> {
        Ok(body(event))
    }

    fn headers(&self, message: &Message<'_>, keys: &[Key]) -> Result<Vec<Header>, EncodeError> {
        check_id(message.id).map_err(EncodeError::Data)?;
        let timestamp = message.sent_at.as_second().to_string();
        let content = prefix(message.id, &timestamp, message.body);
        let mut signatures = Vec::with_capacity(keys.len());
        for key in keys {
            match key {
                Key::Hmac(_) => {
                    signatures.extend(digest(key, &content).map(|digest| format!("v1,{}", BASE64.encode(digest))))
                }
                Key::Ed25519(signing) => {
                    let signature = signing.sign(&content.concat()).to_bytes();
                    signatures.push(format!("v1a,{}", BASE64.encode(signature)));
                }
                Key::Ed25519Public(_) | Key::Token(_) => {}
            }
        }
        if signatures.is_empty() {
            return Err(EncodeError::Key { wanted: "HMAC-SHA256 (whsec_) or Ed25519 (whsk_)" });
        }
        Ok(vec![
            Header { name: "Content-Type", value: "application/json".to_owned() },
            Header { name: ID, value: message.id.to_owned() },
            Header { name: TIMESTAMP, value: timestamp },
            Header { name: SIGNATURE, value: signatures.join(" ") },
        ])
    }
}

/// `whsec_` or nothing: HMAC key. `whsk_`: Ed25519 seed, alone or with its public key behind it. `whpk_`: public key.
pub(super) struct PrefixedSecrets;

const HMAC_PREFIX: &str = "whsec_";

impl PrefixedSecrets {
    /// Whether the secret says that it is a key for HMAC.
    pub(super) fn is_hmac(secret: &Secret) -> bool {
        secret.expose().starts_with(HMAC_PREFIX)
    }

    fn hmac(text: &str) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        decode(text.strip_prefix(HMAC_PREFIX).unwrap_or(text), "whsec_ and base64 with padding")
    }
}

fn decode(text: &str, wanted: &'static str) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let bytes = BASE64.decode(text).map_err(|_| SecretError::Spelling { wanted })?;
    if bytes.is_empty() { Err(SecretError::Empty) } else { Ok(Zeroizing::new(bytes)) }
}

fn signing_key(bytes: &[u8]) -> Result<SigningKey, SecretError> {
    let wanted = "an Ed25519 seed of 32 bytes, alone or followed by the public key that fits it";
    if let Ok(seed) = <&[u8; 32]>::try_from(bytes) {
        return Ok(SigningKey::from_bytes(seed));
    }
    let Ok(pair) = <&[u8; 64]>::try_from(bytes) else {
        return Err(SecretError::Length { bytes: bytes.len(), wanted });
    };
    SigningKey::from_keypair_bytes(pair).map_err(|_| SecretError::Spelling { wanted })
}

impl Secrets for PrefixedSecrets {
    fn key(&self, secret: &Secret) -> Result<Key, SecretError> {
        let text = secret.expose();
        if let Some(private) = text.strip_prefix("whsk_") {
            let bytes = decode(private, "whsk_ and base64 with padding")?;
            return Ok(Key::Ed25519(Box::new(signing_key(&bytes)?)));
        }
        if let Some(public) = text.strip_prefix("whpk_") {
            let bytes = decode(public, "whpk_ and base64 with padding")?;
            let Ok(point) = <&[u8; 32]>::try_from(bytes.as_slice()) else {
                return Err(SecretError::Length { bytes: bytes.len(), wanted: "an Ed25519 public key has 32" });
            };
            let key = VerifyingKey::from_bytes(point).ok().filter(|key| !key.is_weak());
            let Some(key) = key else {
                return Err(SecretError::Spelling { wanted: "an Ed25519 public key" });
            };
            return Ok(Key::Ed25519Public(Box::new(key)));
        }
        Ok(Key::hmac(&Self::hmac(text)?))
    }

    fn check(&self, secret: &Secret) -> Result<Secret, SecretError> {
        let text = secret.expose();
        if text.starts_with("whsk_") || text.starts_with("whpk_") {
            self.key(secret)?;
            return Ok(secret.clone());
        }
        match Self::hmac(text)?.len() {
            24..=64 => Ok(Secret::new(format!("{HMAC_PREFIX}{}", text.strip_prefix(HMAC_PREFIX).unwrap_or(text)))),
            bytes => Err(SecretError::Length { bytes, wanted: "24 to 64 are wanted, in base64" }),
        }
    }

    fn make(&self, random: [u8; 32]) -> Secret {
        Secret::new(format!("{HMAC_PREFIX}{}", BASE64.encode(random)))
    }
}
