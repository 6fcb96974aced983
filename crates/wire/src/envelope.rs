//! A received request on its way to becoming events: [`Unverified`] → [`Verified`] → [`Decoded`].

use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;

use crate::dialect::{Dialect, Inbound};
use crate::{Event, Key, Settings};

/// Header lines as received, in order, repetitions kept. Names compare without regard to case.
///
/// They lie one behind the other: a request has a dozen, and is kept, judged and stored with them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    names: String,
    values: Vec<u8>,
    /// Where each line's name and value end.
    ends: Vec<(usize, usize)>,
}

impl Headers {
    /// Room for so many lines, of so many bytes together.
    pub fn with_capacity(lines: usize, bytes: usize) -> Self {
        Self { names: String::with_capacity(bytes), values: Vec::with_capacity(bytes), ends: Vec::with_capacity(lines) }
    }

    /// Adds one header line.
    pub fn push(&mut self, name: impl AsRef<str>, value: impl AsRef<[u8]>) {
        self.names.push_str(name.as_ref());
        self.values.extend_from_slice(value.as_ref());
        self.ends.push((self.names.len(), self.values.len()));
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Every value of `name`, in the order received.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Every line, in the order received.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let starts = std::iter::once(&(0, 0)).chain(&self.ends);
        starts.zip(&self.ends).map(|(start, end)| {
            let name = self.names.get(start.0..end.0).unwrap_or_default();
            (name, self.values.get(start.1..end.1).unwrap_or_default())
        })
    }

    /// The one value of `name`: `Ok(None)` when absent, an error when the line is repeated.
    pub fn one<'a>(&'a self, name: &'static str) -> Result<Option<&'a [u8]>, Refusal> {
        let mut values = self.all(name);
        let first = values.next();
        match values.next() {
            None => Ok(first),
            Some(_) => Err(Refusal::new(Reason::HeaderRepeated, format!("{name} is given more than once"))),
        }
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, value)| (name, value.escape_ascii().to_string()))).finish()
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(lines: I) -> Self {
        let mut headers = Self::default();
        lines.into_iter().for_each(|(name, value)| headers.push(name, value));
        headers
    }
}

/// A request as it came off the network. Nothing in it may be believed yet.
#[derive(Debug, Clone)]
pub struct Unverified {
    headers: Headers,
    body: Bytes,
    settings: Settings,
}

impl Unverified {
    /// Takes the header lines and the body bytes exactly as received.
    pub fn new(headers: Headers, body: impl Into<Bytes>) -> Self {
        Self { headers, body: body.into(), settings: Settings::default() }
    }

    /// With what its receiver was configured with beyond the secret, for dialects that want to know more.
    #[must_use]
    pub fn configured(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    /// What its receiver was configured with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Checks the request's authenticity in `dialect` with any of `keys` (two are valid during a rotation).
    ///
    /// `now` is the receiver's clock, used by the dialects that sign their time of sending; `tolerance` is how far that
    /// time may lie from `now` on either side. What the vendor's own verification code accepts is accepted here.
    ///
    /// # Errors
    /// [`Refusal`] with the reason in words. It never contains the right signature.
    pub fn verify(
        self,
        dialect: &'static Dialect,
        keys: &[Key],
        now: Timestamp,
        tolerance: jiff::SignedDuration,
    ) -> Result<Verified, Refusal> {
        let Some(inbound) = dialect.inbound else {
            return Err(Refusal::new(Reason::Unsupported, format!("{} is never received", dialect.name)));
        };
        inbound.verify(&self, keys, now, tolerance)?;
        Ok(Verified { inbound, headers: self.headers, body: self.body, settings: self.settings, received_at: now })
    }

    /// Takes the request for authentic on somebody's word, without a look at its signature: for one that was refused and
    /// that its owner knows better about. Nothing that comes off the network may go this way by itself.
    ///
    /// # Errors
    /// When the dialect is never received.
    pub fn vouched(self, dialect: &'static Dialect, received_at: Timestamp) -> Result<Verified, Refusal> {
        let Some(inbound) = dialect.inbound else {
            return Err(Refusal::new(Reason::Unsupported, format!("{} is never received", dialect.name)));
        };
        Ok(Verified { inbound, headers: self.headers, body: self.body, settings: self.settings, received_at })
    }

    /// The header lines.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The body bytes.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// A request whose sender is known to hold the secret, or that somebody vouches for. [`Unverified::verify`] makes one, and
/// [`Unverified::vouched`].
pub struct Verified {
    inbound: &'static dyn Inbound,
    headers: Headers,
    body: Bytes,
    settings: Settings,
    received_at: Timestamp,
}

impl Verified {
    /// Reads what the message says.
    ///
    /// # Errors
    /// [`Refusal`] when the body is not the dialect's JSON or lacks a required member. An unknown event name is no
    /// error: `events` is then empty.
    pub fn decode(&self) -> Result<Decoded, Refusal> {
        self.inbound.decode(self)
    }

    /// The header lines.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The body bytes that were verified.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// What its receiver was configured with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The receiver's clock at verification: the time of an event whose message states none.
    pub fn received_at(&self) -> Timestamp {
        self.received_at
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").field("body_bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// What a verified message says, in our words.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The vendor's own name of the event, without version: `project_snapshot`, `VULNERABILITY_DETECTED`, `completed`.
    pub vendor_event: String,
    /// The vendor's version of the payload, where it has one: `v0`.
    pub vendor_version: Option<String>,
    /// The vendor's id of this delivery, where it has one; the same on every attempt.
    pub delivery_id: Option<String>,
    /// Time of sending, where the dialect states one **and** its signature covers it: what a maximum age is judged by.
    /// Snyk's time header is not signed and the bearer dialect signs nothing, so theirs is `None`.
    pub sent_at: Option<Timestamp>,
    /// The message as our events. Empty for an event name we do not know.
    pub events: Vec<Event>,
    /// Why there are no events, in words for whoever configured the receiver; `None` where there are some.
    pub silence: Option<String>,
}

/// A refused message: the reason, and what was found and wanted in words a sender's developer understands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// The reason as a stable code.
    pub reason: Reason,
    /// What was found and what was wanted. Holds no secret and no right signature.
    pub detail: String,
}

impl Refusal {
    /// A refusal with its explanation.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// Why a message was refused. `as_str` is the stable code, `status` what a receiver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// No signature or token at all.
    SignatureMissing,
    /// A signature, but not in the dialect's spelling.
    SignatureMalformed,
    /// A well-formed signature that does not belong to this body and secret, or a wrong token.
    SignatureMismatch,
    /// A required header other than the signature is absent.
    HeaderMissing,
    /// A header holds what it may not hold.
    HeaderInvalid,
    /// A header that decides is given more than once.
    HeaderRepeated,
    /// The signed time is absent.
    TimestampMissing,
    /// The signed time is no time.
    TimestampMalformed,
    /// The signed time is too long ago.
    TimestampStale,
    /// The signed time lies too far ahead.
    TimestampFuture,
    /// The body is not JSON.
    BodyMalformed,
    /// JSON, but the wrong top level, or a required member is missing or of the wrong type.
    PayloadInvalid,
    /// The dialect cannot be received.
    Unsupported,
}

impl Reason {
    /// The stable code, `snake_case`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignatureMissing => "signature_missing",
            Self::SignatureMalformed => "signature_malformed",
            Self::SignatureMismatch => "signature_mismatch",
            Self::HeaderMissing => "header_missing",
            Self::HeaderInvalid => "header_invalid",
            Self::HeaderRepeated => "header_repeated",
            Self::TimestampMissing => "timestamp_missing",
            Self::TimestampMalformed => "timestamp_malformed",
            Self::TimestampStale => "timestamp_stale",
            Self::TimestampFuture => "timestamp_future",
            Self::BodyMalformed => "body_malformed",
            Self::PayloadInvalid => "payload_invalid",
            Self::Unsupported => "unsupported",
        }
    }

    /// The HTTP status that a receiver of `dialect` answers.
    pub fn status(self, dialect: &Dialect) -> u16 {
        match (dialect.inbound, self) {
            (Some(inbound), Self::PayloadInvalid) => inbound.payload_invalid_status(),
            (_, Self::PayloadInvalid) => 422,
            (_, Self::Unsupported) => 404,
            (_, Self::HeaderMissing | Self::HeaderInvalid | Self::HeaderRepeated | Self::BodyMalformed) => 400,
            (
                _,
                Self::SignatureMissing
                | Self::SignatureMalformed
                | Self::SignatureMismatch
                | Self::TimestampMissing
                | Self::TimestampMalformed
                | Self::TimestampStale
                | Self::TimestampFuture,
            ) => 401,
        }
    }
}
