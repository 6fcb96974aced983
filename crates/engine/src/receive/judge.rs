//! Whether a request is what its source sends, and what it says: values in, values out.
//!
//! ```text
//!  headers ─▶ signature or token ─▶ media type ─▶ strict JSON ─▶ decode ─▶ age ─▶ events, and the names it is known again by
//! ```
//!
//! JSON that two readers would read differently is refused however authentic it is. A dialect that signs parsed JSON has
//! read it before it can verify, by the vendor's own rules and within limits; nothing else is done with it until then.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use watchbell_domain::id::SourceId;
use watchbell_domain::receipt::{CLOUDEVENTS, DedupKey, Verdict};
use watchbell_wire::dialect::Credential;
use watchbell_wire::{Decoded, Dialect, Event, Headers, Key, Reason, Refusal, Settings, Unverified, Verified, length};

use super::media::{self, Media};

/// Most signatures of one header, and its longest value.
const SIGNATURES_MAX: usize = 10;
const SIGNATURE_BYTES_MAX: usize = 4096;
const SIGNATURES: &str = "webhook-signature";
/// A signed time may lie ahead by so much, beside what clocks differ by.
const AHEAD_MAX: SignedDuration = SignedDuration::from_mins(5);
/// The dialect whose signature covers the id of the message, and whose bodies may be anything.
const STANDARD: &str = "standard";

/// What a request is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How far a signed time of sending may lie from now.
    pub tolerance: SignedDuration,
    /// How old a signed time in the body may be; `None`: any.
    pub max_event_age: Option<SignedDuration>,
    /// Levels of JSON.
    pub json_depth_max: usize,
}

/// A request that is authentic and well formed.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The vendor's own name of what happened.
    pub vendor_event: String,
    /// What it says. Empty: nothing to us.
    pub events: Vec<Event>,
    /// Why it says nothing to us.
    pub silence: Option<String>,
    /// By what it is known again.
    pub keys: Vec<DedupKey>,
}

/// Why a request is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// As a code.
    pub verdict: Verdict,
    /// In words.
    pub detail: String,
}

impl Refused {
    /// A refusal with its explanation.
    pub fn new(verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { verdict, detail: detail.into() }
    }
}

/// Judges a request of a source of `dialect` that has these keys.
///
/// # Errors
/// The first thing that is wrong.
pub fn judge(
    source: SourceId,
    dialect: &'static Dialect,
    keys: &[Key],
    ((headers, body), settings): ((&Headers, &Bytes), &Settings),
    rules: Rules,
    now: Timestamp,
) -> Result<Judged, Refused> {
    check_signatures(headers)?;
    let request = Unverified::new(headers.clone(), body.clone()).configured(settings.clone());
    let verified = request.verify(dialect, keys, now, rules.tolerance).map_err(|refusal| {
        // What cannot be read has a name of its own for every way of that.
        let unread = (refusal.reason == Reason::BodyMalformed).then(|| check_json(body, rules).err()).flatten();
        unread.unwrap_or_else(|| refused(dialect, refusal))
    })?;
    read(source, dialect, &verified, (headers, body), rules, |decoded| check_age(decoded, rules, now))
}

/// Reads a kept request that somebody vouches for. Neither its signature nor its age is looked at.
///
/// # Errors
/// What cannot be read.
pub fn vouched(
    source: SourceId,
    dialect: &'static Dialect,
    ((headers, body), settings): ((&Headers, &Bytes), &Settings),
    rules: Rules,
    received_at: Timestamp,
) -> Result<Judged, Refused> {
    let request = Unverified::new(headers.clone(), body.clone()).configured(settings.clone());
    let verified = request.vouched(dialect, received_at).map_err(|refusal| refused(dialect, refusal))?;
    read(source, dialect, &verified, (headers, body), rules, |_| Ok(()))
}

/// What can be seen to be wrong before there is a body: for a sender that waits to be told to go on.
///
/// # Errors
/// What is wrong whatever follows.
pub fn judge_head(
    dialect: &'static Dialect,
    keys: &[Key],
    (headers, settings): (&Headers, &Settings),
    rules: Rules,
    now: Timestamp,
) -> Result<(), Refused> {
    check_signatures(headers)?;
    // A signature of an empty body is as wrong as it can be; what is said of it counts only where no body could help.
    let request = Unverified::new(headers.clone(), Bytes::new()).configured(settings.clone());
    let judged = request.verify(dialect, keys, now, rules.tolerance);
    let is_token = dialect.credential == Credential::BearerToken;
    match judged {
        Err(refusal) if is_token || !matches!(refusal.reason, Reason::SignatureMismatch | Reason::BodyMalformed) => {
            Err(refused(dialect, refusal))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

fn read(
    source: SourceId,
    dialect: &'static Dialect,
    verified: &Verified,
    (headers, body): (&Headers, &Bytes),
    rules: Rules,
    check: impl FnOnce(&Decoded) -> Result<(), Refused>,
) -> Result<Judged, Refused> {
    let media = media::of(dialect, headers)
        .map_err(|wanted| Refused::new(Verdict::UnsupportedMediaType, format!("Content-Type must be {wanted}")))?;
    match media {
        Media::Json if dialect.id != STANDARD || is_meant_as_json(body) => check_json(body, rules)?,
        Media::Form => {
            let json = dialect.inbound.map(|inbound| inbound.json(headers, body)).transpose();
            let json = json.map_err(|refusal| refused(dialect, refusal))?.flatten();
            check_json(json.as_deref().unwrap_or_default(), rules)?;
        }
        Media::Json | Media::Opaque => {}
    }
    let decoded = verified.decode().map_err(|refusal| refused(dialect, refusal))?;
    check(&decoded)?;
    let keys = names(source, dialect, decoded.delivery_id.as_deref(), body);
    Ok(Judged { vendor_event: decoded.vendor_event, events: decoded.events, silence: decoded.silence, keys })
}

fn refused(dialect: &Dialect, refusal: Refusal) -> Refused {
    let verdict = Verdict::of_reason(refusal.reason, dialect).unwrap_or(Verdict::PayloadInvalid);
    Refused::new(verdict, refusal.detail)
}

/// Each signature costs a digest of the body.
fn check_signatures(headers: &Headers) -> Result<(), Refused> {
    for line in headers.all(SIGNATURES) {
        if line.len() > SIGNATURE_BYTES_MAX || line.split(|byte| *byte == b' ').count() > SIGNATURES_MAX {
            let detail = format!("{SIGNATURES} may hold 10 signatures in 4096 bytes");
            return Err(Refused::new(Verdict::SignatureMalformed, detail));
        }
    }
    Ok(())
}

/// Whether a body that may be anything begins as JSON does that says something.
fn is_meant_as_json(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
}

fn check_json(body: &[u8], rules: Rules) -> Result<(), Refused> {
    watchbell_wire::json::strict::check(body, rules.json_depth_max).map(drop).map_err(|error| {
        let verdict = Verdict::parse(error.code).unwrap_or(Verdict::InvalidJson);
        Refused::new(verdict, format!("the body is not JSON that everybody reads the same way: {error}"))
    })
}

fn check_age(decoded: &Decoded, rules: Rules, now: Timestamp) -> Result<(), Refused> {
    let (Some(sent_at), Some(age_max)) = (decoded.sent_at, rules.max_event_age) else {
        return Ok(());
    };
    let age = sent_at.duration_until(now);
    if age > age_max {
        let (age, most) = length::apart(age, age_max);
        let detail = format!("the signed time of sending is {sent_at}, {age} ago; at most {most} is allowed");
        return Err(Refused::new(Verdict::TimestampStale, detail));
    }
    if age < -AHEAD_MAX {
        let (ahead, most) = length::apart(-age, AHEAD_MAX);
        let detail = format!("the signed time of sending is {sent_at}, {ahead} ahead; at most {most} is allowed");
        return Err(Refused::new(Verdict::TimestampFuture, detail));
    }
    Ok(())
}

/// By what a message is known again: its id, and what was signed. Most vendors do not sign their ids, so that a message
/// could come again under another. Where the id is signed, or is all that tells two messages apart, it counts alone.
fn names(source: SourceId, dialect: &'static Dialect, delivery_id: Option<&str>, body: &[u8]) -> Vec<DedupKey> {
    let of_body = || match dialect.inbound.and_then(|inbound| inbound.canonical(body)) {
        Some(canonical) => name(source, b"body", canonical.as_bytes()),
        None => name(source, b"body", body),
    };
    let id = delivery_id.map(|id| name(source, b"id", id.as_bytes()));
    match (id, dialect.id) {
        (Some(id), STANDARD | CLOUDEVENTS) => vec![id],
        (Some(id), _) => vec![id, of_body()],
        (None, _) => vec![of_body()],
    }
}

fn name(source: SourceId, kind: &[u8], value: &[u8]) -> DedupKey {
    let digest =
        Sha256::new().chain_update(source.0.as_bytes()).chain_update(kind).chain_update([0]).chain_update(value);
    let mut key = [0; 16];
    key.iter_mut().zip(digest.finalize()).for_each(|(byte, of_digest)| *byte = of_digest);
    DedupKey(key)
}
