//! Receipts: the requests of a source, each kept with what became of it and why.

use std::net::IpAddr;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use watchbell_wire::dialect::Credential;
use watchbell_wire::{Dialect, Headers, Reason};

use crate::id::{EventId, OrgId, ReceiptId, SourceId};

/// A request of a source as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Which.
    pub id: ReceiptId,
    /// Whose.
    pub org_id: OrgId,
    /// Of which source. Outlives it.
    pub source_id: SourceId,
    /// When its head was complete.
    pub received_at: Timestamp,
    /// Where it came from, as far as proxies are believed.
    pub address: Option<IpAddr>,
    /// What was sent, tokens masked.
    pub request: KeptRequest,
    /// What became of it.
    pub verdict: Verdict,
    /// The HTTP status it was answered with.
    pub status: u16,
    /// Why it was refused, for its owner. The sender is told less.
    pub detail: Option<String>,
    /// The vendor's own name of what happened, once that was read.
    pub vendor_event: Option<String>,
    /// The events it made.
    pub events: Vec<EventId>,
    /// The receipt that this one repeats: a duplicate's first, or what was accepted or replayed by hand.
    pub of: Option<ReceiptId>,
}

/// A request without what nobody may read of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeptRequest {
    /// `POST`
    pub method: String,
    /// Header lines in their order; values of credentials are masked.
    pub headers: Headers,
    /// The body as received. Empty where it was not read, or is the same as the first one's.
    pub body: Bytes,
    /// Bytes the body had, where that is known.
    pub body_bytes: Option<u64>,
}

macro_rules! verdicts {
    ($( $(#[$doc:meta])* $variant:ident = $text:literal, $kind:ident; )+) => {
        /// What became of a request. The text form is the stable code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Verdict { $( $(#[$doc])* $variant, )+ }

        impl Verdict {
            /// Every verdict.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The text form.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $text, )+ }
            }

            /// Reads the text form.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $( $text => Some(Self::$variant), )+ _ => None }
            }

            /// Which kind it is.
            pub const fn kind(self) -> Kind {
                match self { $( Self::$variant => Kind::$kind, )+ }
            }
        }
    };
}

/// What a receipt is kept for, and so for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// It was authentic and new.
    Taken,
    /// It had been taken before.
    Repeated,
    /// It was refused.
    Refused,
}

verdicts! {
    /// Authentic and new: its events are accepted.
    Accepted = "accepted", Taken;
    /// Authentic and new, of an event that says nothing to us: kept, and nothing made of it.
    UnknownEvent = "unknown_event", Taken;
    /// Authentic, and was here before.
    Duplicate = "duplicate", Repeated;
    /// No signature.
    SignatureMissing = "signature_missing", Refused;
    /// A signature in another spelling.
    SignatureMalformed = "signature_malformed", Refused;
    /// A signature of something else, or by another secret.
    SignatureMismatch = "signature_mismatch", Refused;
    /// No token.
    AuthMissing = "auth_missing", Refused;
    /// A token in another spelling.
    AuthMalformed = "auth_malformed", Refused;
    /// Another token.
    AuthInvalid = "auth_invalid", Refused;
    /// A header that must be there is not.
    HeaderMissing = "header_missing", Refused;
    /// A header holds what it cannot hold, or is given twice.
    HeaderInvalid = "header_invalid", Refused;
    /// No time of sending.
    TimestampMissing = "timestamp_missing", Refused;
    /// The time of sending is none.
    TimestampMalformed = "timestamp_malformed", Refused;
    /// The signed time is too long ago.
    TimestampStale = "timestamp_stale", Refused;
    /// The signed time lies ahead.
    TimestampFuture = "timestamp_future", Refused;
    /// The body is not JSON.
    InvalidJson = "invalid_json", Refused;
    /// The body is not UTF-8.
    InvalidUtf8 = "invalid_utf8", Refused;
    /// A string holds half a surrogate pair.
    InvalidUnicode = "invalid_unicode", Refused;
    /// A member is given twice.
    DuplicateKey = "duplicate_key", Refused;
    /// The JSON is nested too deeply.
    JsonTooDeep = "json_too_deep", Refused;
    /// A number overflows a double.
    NumberOutOfRange = "number_out_of_range", Refused;
    /// JSON, but not what the vendor sends.
    PayloadInvalid = "payload_invalid", Refused;
    /// Not a media type of the dialect.
    UnsupportedMediaType = "unsupported_media_type", Refused;
    /// A coded body.
    UnsupportedEncoding = "unsupported_encoding", Refused;
    /// More body than we take.
    BodyTooLarge = "body_too_large", Refused;
    /// The body did not come in time.
    BodyTimeout = "body_timeout", Refused;
    /// Not a POST.
    MethodNotAllowed = "method_not_allowed", Refused;
    /// The event goes round in circles.
    LoopDetected = "loop_detected", Refused;
    /// It came from where it may not come from.
    SourceIpForbidden = "source_ip_forbidden", Refused;
    /// More requests than the source may send.
    RateLimited = "rate_limited", Refused;
    /// The source is paused.
    Paused = "paused", Refused;
}

impl Verdict {
    /// The verdict on what `wire` refused. `None`: it has a name of its own for a broken body.
    pub fn of_reason(reason: Reason, dialect: &Dialect) -> Option<Self> {
        let is_token = dialect.credential == Credential::BearerToken;
        Some(match reason {
            Reason::SignatureMissing if is_token => Self::AuthMissing,
            Reason::SignatureMalformed if is_token => Self::AuthMalformed,
            Reason::SignatureMismatch if is_token => Self::AuthInvalid,
            Reason::SignatureMissing => Self::SignatureMissing,
            Reason::SignatureMalformed => Self::SignatureMalformed,
            Reason::SignatureMismatch => Self::SignatureMismatch,
            Reason::HeaderMissing => Self::HeaderMissing,
            Reason::HeaderInvalid | Reason::HeaderRepeated => Self::HeaderInvalid,
            Reason::TimestampMissing => Self::TimestampMissing,
            Reason::TimestampMalformed => Self::TimestampMalformed,
            Reason::TimestampStale => Self::TimestampStale,
            Reason::TimestampFuture => Self::TimestampFuture,
            Reason::BodyMalformed => Self::InvalidJson,
            Reason::PayloadInvalid => Self::PayloadInvalid,
            _ => return None,
        })
    }

    /// Whether the sender did not prove who it is. What it is told is the same for all of these.
    pub const fn is_unproven(self) -> bool {
        matches!(
            self,
            Self::SignatureMissing
                | Self::SignatureMalformed
                | Self::SignatureMismatch
                | Self::AuthMissing
                | Self::AuthMalformed
                | Self::AuthInvalid
        )
    }

    /// The HTTP status that a request of `dialect` is answered with.
    pub fn status(self, dialect: &Dialect) -> u16 {
        match self {
            Self::Accepted | Self::UnknownEvent | Self::Duplicate if dialect.id == CLOUDEVENTS => 202,
            Self::Accepted | Self::UnknownEvent | Self::Duplicate => 200,
            Self::PayloadInvalid => Reason::PayloadInvalid.status(dialect),
            Self::SignatureMissing
            | Self::SignatureMalformed
            | Self::SignatureMismatch
            | Self::AuthMissing
            | Self::AuthMalformed
            | Self::AuthInvalid
            | Self::TimestampMissing
            | Self::TimestampMalformed
            | Self::TimestampStale
            | Self::TimestampFuture => 401,
            Self::HeaderMissing
            | Self::HeaderInvalid
            | Self::InvalidJson
            | Self::InvalidUtf8
            | Self::InvalidUnicode
            | Self::DuplicateKey
            | Self::JsonTooDeep
            | Self::NumberOutOfRange => 400,
            Self::SourceIpForbidden => 403,
            Self::MethodNotAllowed => 405,
            Self::BodyTimeout => 408,
            Self::BodyTooLarge => 413,
            Self::UnsupportedMediaType | Self::UnsupportedEncoding => 415,
            Self::LoopDetected => 422,
            Self::RateLimited => 429,
            Self::Paused => 503,
        }
    }
}

/// The dialect whose receivers answer 202, and whose senders ask before they send.
pub const CLOUDEVENTS: &str = "cloudevents";

/// By what a request is known again: a digest of its source and of one of its names, such as its delivery id or its body.
/// A name that was taken within the window makes the request a duplicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DedupKey(pub [u8; 16]);

/// How much of a source's receipts is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ring {
    /// Receipts of requests that were refused, and as many of those that were repeated.
    pub count_max: u32,
    /// Bytes of each of the two.
    pub bytes_max: u64,
}

impl Default for Ring {
    fn default() -> Self {
        Self { count_max: 1000, bytes_max: 16 << 20 }
    }
}

/// How long a request is known again, unless told otherwise.
pub const DEDUP_WINDOW: SignedDuration = SignedDuration::from_hours(7 * 24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_read_back_and_every_refusal_has_a_status() {
        let dialect = watchbell_wire::dialect::find("standard").unwrap();
        for verdict in Verdict::ALL {
            assert_eq!(Verdict::parse(verdict.as_str()), Some(*verdict));
            let is_good = (200..300).contains(&verdict.status(dialect));
            assert_eq!(is_good, verdict.kind() != Kind::Refused, "{verdict:?}");
            assert!(!verdict.is_unproven() || verdict.status(dialect) == 401, "{verdict:?}");
        }
    }

    #[test]
    fn what_wire_refuses_is_answered_as_wire_says() {
        for dialect in watchbell_wire::dialect::ALL {
            for reason in [
                Reason::SignatureMissing,
                Reason::SignatureMalformed,
                Reason::SignatureMismatch,
                Reason::HeaderMissing,
                Reason::HeaderInvalid,
                Reason::HeaderRepeated,
                Reason::TimestampMissing,
                Reason::TimestampMalformed,
                Reason::TimestampStale,
                Reason::TimestampFuture,
                Reason::BodyMalformed,
                Reason::PayloadInvalid,
            ] {
                let verdict = Verdict::of_reason(reason, dialect).unwrap();
                assert_eq!(verdict.status(dialect), reason.status(dialect), "{reason:?} of {dialect:?}");
            }
        }
    }
}
