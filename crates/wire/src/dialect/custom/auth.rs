//! How a request proves who sent it, as its receiver's settings say.
//!
//! ```json
//! {"kind": "hmac-sha256", "header": "Stripe-Signature", "encoding": "hex", "signed": "{timestamp}.{body}",
//!  "entries": {"separator": ",", "assign": "=", "name": "v1", "timestamp": "t"}, "tolerance": "5m"}
//! ```
//!
//! | member | meaning | left out |
//! |---|---|---|
//! | `kind` | `hmac-sha256`, `hmac-sha512`, or `token`: the header holds the secret itself | `hmac-sha256` |
//! | `header` | where signature or token stand | `X-Signature` |
//! | `prefix` | what stands before it | `sha256=`; with `entries`, or of a token, nothing |
//! | `encoding` | `hex` (lower case) or `base64` | `hex` |
//! | `entries` | the header is a list: what parts its entries, and an entry's name from its value; which name is a signature, and which the time | one value |
//! | `signed` | `{body}`, and what else is signed: `{id}`, `{timestamp}`, and text between | `{body}` |
//! | `id_header`, `timestamp_header` | where those stand | – |
//! | `timestamp` | how the time is written: `unix`, `unix_ms`, `iso` | `unix` |
//! | `tolerance` | how far the time may lie from now | the receiver's |
//! | `key`, `key_prefix` | how the key is written in the secret: `text`, `hex`, `base64`, behind a prefix such as `whsec_` | `text` |
//!
//! SHA-1 is refused: what it proves is too little. A time that is not signed proves nothing, so it must stand in `signed`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use sha2::{Sha256, Sha512};
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::Zeroizing;

use crate::dialect::EncodeError;
use crate::dialect::message::plain_header;
use crate::length::apart;
use crate::{Headers, Key, Reason, Refusal, Secret, Unverified};

/// The header of the format without settings.
pub(super) const HEADER: &str = "X-Signature";
pub(super) const PREFIX: &str = "sha256=";
/// Most signatures of one header that are tried.
const SIGNATURES_MAX: usize = 10;

/// How a header that is a list is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entries {
    pub(super) separator: String,
    pub(super) assign: String,
    pub(super) name: String,
    pub(super) timestamp: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sha256,
    Sha512,
    Token,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Text,
    Hex,
    Base64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    Unix,
    UnixMillis,
    Iso,
}

pub(super) enum Piece {
    Text(String),
    Id,
    Timestamp,
    Body,
}

pub(super) struct Auth {
    pub(super) kind: Kind,
    pub(super) header: String,
    pub(super) prefix: String,
    pub(super) encoding: Encoding,
    pub(super) entries: Option<Entries>,
    pub(super) signed: Vec<Piece>,
    pub(super) id_header: Option<String>,
    pub(super) timestamp_header: Option<String>,
    pub(super) clock: Clock,
    pub(super) tolerance: Option<SignedDuration>,
    pub(super) key: Encoding,
    pub(super) key_prefix: String,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            kind: Kind::Sha256,
            header: HEADER.to_owned(),
            prefix: PREFIX.to_owned(),
            encoding: Encoding::Hex,
            entries: None,
            signed: vec![Piece::Body],
            id_header: None,
            timestamp_header: None,
            clock: Clock::Unix,
            tolerance: None,
            key: Encoding::Text,
            key_prefix: String::new(),
        }
    }
}

impl Auth {
    pub(super) fn verify(
        &self,
        request: &Unverified,
        keys: &[Key],
        now: Timestamp,
        tolerance: SignedDuration,
    ) -> Result<(), Refusal> {
        let headers = request.headers();
        let value = one(headers, &self.header)?.filter(|value| !value.is_empty()).ok_or_else(|| {
            Refusal::new(Reason::SignatureMissing, format!("the header {} is missing or empty", self.header))
        })?;
        let given = self.given(value)?;
        let id = self.id(headers)?;
        let time = self.time(headers, value)?;
        if let Some((_, at)) = time {
            check_time(at, now, self.tolerance.unwrap_or(tolerance))?;
        }
        let mut matched = Choice::from(0);
        for key in keys {
            let Some(expected) = self.expected(key, id.as_deref(), time.map(|(text, _)| text), request.body()) else {
                continue;
            };
            for given in &given {
                matched |= expected.ct_eq(given);
            }
        }
        if matched.into() {
            return Ok(());
        }
        let detail = match self.kind {
            Kind::Token => format!("{} is not the token that was agreed on", self.header),
            Kind::Sha256 | Kind::Sha512 => format!(
                "the signature does not belong to {} and this secret: either the secret is another one, or what was signed \
                 is not what arrived",
                self.text_of()
            ),
        };
        Err(Refusal::new(Reason::SignatureMismatch, detail))
    }

    /// The signatures, or tokens, of the header, as they stand.
    fn given<'a>(&'a self, value: &'a [u8]) -> Result<Vec<&'a [u8]>, Refusal> {
        let malformed = |what: String| Refusal::new(Reason::SignatureMalformed, format!("{}: {what}", self.header));
        let text = std::str::from_utf8(value).map_err(|_| malformed("the value is not ASCII".to_owned()))?;
        let entries: Vec<&str> = match &self.entries {
            None => vec![text],
            Some(entries) => self.entries_named(text, &entries.name).take(SIGNATURES_MAX).collect(),
        };
        if entries.is_empty() {
            return Err(malformed("there is no entry of the name that the settings want".to_owned()));
        }
        let stripped: Vec<&str> = entries.iter().filter_map(|entry| entry.strip_prefix(self.prefix.as_str())).collect();
        if stripped.is_empty() {
            return Err(malformed(format!("the value must begin with `{}`", self.prefix)));
        }
        let wanted = match (self.kind, self.encoding) {
            (Kind::Token, _) | (_, Encoding::Text) => None,
            (Kind::Sha256, Encoding::Hex) => Some((64, "64 lower-case hex digits")),
            (Kind::Sha512, Encoding::Hex) => Some((128, "128 lower-case hex digits")),
            (Kind::Sha256, Encoding::Base64) => Some((44, "44 characters of base64")),
            (Kind::Sha512, Encoding::Base64) => Some((88, "88 characters of base64")),
        };
        if let Some((length, words)) = wanted
            && stripped.iter().all(|entry| entry.len() != length)
        {
            let found = stripped.first().map_or(0, |entry| entry.len());
            let sha1 = if matches!(found, 40 | 28) { ", the length of a SHA-1 digest" } else { "" };
            return Err(malformed(format!("{words} are wanted; found {found}{sha1}")));
        }
        Ok(stripped.into_iter().map(str::as_bytes).collect())
    }

    fn entries_named<'a>(&'a self, text: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
        let parts = self.entries.as_ref().map(|entries| (entries.separator.as_str(), entries.assign.as_str()));
        parts.into_iter().flat_map(move |(separator, assign)| {
            let pairs = text.split(separator).filter_map(move |entry| entry.trim().split_once(assign));
            pairs.filter(move |(given, _)| *given == name).map(|(_, value)| value)
        })
    }

    /// The signed id. What follows it in the signed text must not be in it, or one text had two readings.
    pub(super) fn id(&self, headers: &Headers) -> Result<Option<String>, Refusal> {
        let Some(name) = &self.id_header else { return Ok(None) };
        let value = one(headers, name)?.filter(|value| !value.is_empty());
        let value =
            value.ok_or_else(|| Refusal::new(Reason::HeaderMissing, format!("the header {name} is missing")))?;
        let id = plain_header(value, name)?;
        let mut pieces = self.signed.iter().skip_while(|piece| !matches!(piece, Piece::Id)).skip(1);
        match pieces.next() {
            Some(Piece::Text(next)) if id.contains(next.as_str()) => {
                Err(Refusal::new(Reason::HeaderInvalid, format!("{name} must not contain {next:?}")))
            }
            _ => Ok(Some(id)),
        }
    }

    /// The signed time as it stands.
    pub(super) fn time_text<'a>(&'a self, headers: &'a Headers, value: &'a [u8]) -> Result<Option<&'a str>, Refusal> {
        let missing = || Refusal::new(Reason::TimestampMissing, "the signed time is missing");
        match (&self.timestamp_header, self.entries.as_ref().and_then(|entries| entries.timestamp.as_ref())) {
            (Some(name), _) => {
                let value = one(headers, name)?.filter(|value| !value.is_empty()).ok_or_else(missing)?;
                Ok(Some(std::str::from_utf8(value).unwrap_or_default()))
            }
            (None, Some(name)) => {
                let mut times = self.entries_named(std::str::from_utf8(value).unwrap_or_default(), name);
                let time = times.next().ok_or_else(missing)?;
                if times.next().is_some() {
                    return Err(Refusal::new(Reason::HeaderRepeated, "the signed time is given more than once"));
                }
                Ok(Some(time))
            }
            (None, None) => Ok(None),
        }
    }

    /// The signed time as it stands, and read.
    fn time<'a>(&'a self, headers: &'a Headers, value: &'a [u8]) -> Result<Option<(&'a str, Timestamp)>, Refusal> {
        let Some(text) = self.time_text(headers, value)? else { return Ok(None) };
        let digits = || text.parse::<i64>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        let at = match self.clock {
            Clock::Unix => digits().and_then(|seconds| Timestamp::from_second(seconds).ok()),
            Clock::UnixMillis => digits().and_then(|millis| Timestamp::from_millisecond(millis).ok()),
            Clock::Iso => text.parse().ok(),
        };
        let wanted = match self.clock {
            Clock::Unix => "Unix seconds",
            Clock::UnixMillis => "Unix milliseconds",
            Clock::Iso => "an ISO 8601 time with a zone",
        };
        let malformed = || Refusal::new(Reason::TimestampMalformed, format!("the signed time must be {wanted}"));
        at.map(|at| Some((text, at))).ok_or_else(malformed)
    }

    pub(super) fn sent_at(&self, headers: &Headers) -> Option<Timestamp> {
        let value = one(headers, &self.header).ok()??;
        self.time(headers, value).ok()?.map(|(_, at)| at)
    }

    /// What the header would hold, behind its prefix.
    fn expected(&self, key: &Key, id: Option<&str>, time: Option<&str>, body: &[u8]) -> Option<Vec<u8>> {
        let Key::Token(secret) = key else { return None };
        if self.kind == Kind::Token {
            return Some(secret.expose().as_bytes().to_vec());
        }
        let key = self.key_bytes(secret)?;
        let parts = self.signed.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_bytes(),
            Piece::Id => id.unwrap_or_default().as_bytes(),
            Piece::Timestamp => time.unwrap_or_default().as_bytes(),
            Piece::Body => body,
        });
        let digest = match self.kind {
            Kind::Sha512 => mac::<Hmac<Sha512>>(&key, parts)?,
            Kind::Sha256 | Kind::Token => mac::<Hmac<Sha256>>(&key, parts)?,
        };
        Some(match self.encoding {
            Encoding::Base64 => BASE64.encode(digest).into_bytes(),
            Encoding::Hex | Encoding::Text => hex::encode(digest).into_bytes(),
        })
    }

    /// What the secret stands for; `None`: it is not written as the settings say.
    pub(super) fn key_bytes(&self, secret: &Secret) -> Option<Zeroizing<Vec<u8>>> {
        let text = secret.expose();
        let text = text.strip_prefix(self.key_prefix.as_str()).unwrap_or(text);
        let bytes = match self.key {
            Encoding::Text => Some(text.as_bytes().to_vec()),
            Encoding::Hex => hex::decode(text).ok(),
            Encoding::Base64 => BASE64.decode(text).ok(),
        };
        bytes.filter(|bytes| !bytes.is_empty()).map(Zeroizing::new)
    }

    pub(super) fn credential_header(&self) -> Option<String> {
        (self.kind == Kind::Token).then(|| self.header.clone())
    }

    pub(super) fn sign(&self, body: &[u8], keys: &[Key]) -> Result<String, EncodeError> {
        let digest = keys.iter().find_map(|key| self.expected(key, None, None, body));
        let digest = digest.and_then(|digest| String::from_utf8(digest).ok());
        digest.map(|digest| format!("{}{digest}", self.prefix)).ok_or(EncodeError::Key { wanted: "a secret" })
    }

    /// What is signed, in words.
    fn text_of(&self) -> String {
        let pieces = self.signed.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Id => "{id}",
            Piece::Timestamp => "{timestamp}",
            Piece::Body => "{body}",
        });
        pieces.collect()
    }
}

fn mac<'a, M: Mac + KeyInit>(key: &[u8], parts: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut mac = <M as KeyInit>::new_from_slice(key).ok()?;
    parts.for_each(|part| mac.update(part));
    Some(mac.finalize().into_bytes().to_vec())
}

fn check_time(at: Timestamp, now: Timestamp, tolerance: SignedDuration) -> Result<(), Refusal> {
    let age = at.duration_until(now);
    if age > tolerance {
        let (age, most) = apart(age, tolerance);
        let detail = format!("the signed time is {age} old; at most {most} is allowed");
        return Err(Refusal::new(Reason::TimestampStale, detail));
    }
    if age < -tolerance {
        let (ahead, most) = apart(-age, tolerance);
        let detail = format!("the signed time is {ahead} ahead; at most {most} is allowed");
        return Err(Refusal::new(Reason::TimestampFuture, detail));
    }
    Ok(())
}

/// The one value of a header by a name that the settings say.
pub(super) fn one<'a>(headers: &'a Headers, name: &'a str) -> Result<Option<&'a [u8]>, Refusal> {
    let mut values = headers.all(name);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Refusal::new(Reason::HeaderRepeated, format!("{name} is given more than once"))),
        (value, None) => Ok(value),
    }
}
