//! Why a request is refused, found by trying.
//!
//! ```text
//!  Question { headers, body, secrets } ──▶ diagnose ──▶ Diagnosis { verified?, dialect, explanation, findings, decoded }
//! ```
//!
//! What comes in is a request and what should fit it. What goes out is the verdict, and for a refused one what would have to
//! be otherwise. Each finding is *proved*: with the fault undone (the header renamed, the secret hex-decoded, the body
//! written compactly) the signature fits, or the fault can be seen in the request itself (40 digits cannot be SHA-256). A
//! digest is computed to be compared and dropped: no answer holds a secret or a right signature, and nothing that is found
//! this way makes a message authentic.
//!
//! The work is bounded by [`Question::work_bytes_max`], counted in bytes that are hashed.
//!
//! *To add a diagnosis*: a variant of [`Fault`], a reading in `header`, `secret` or `body` (or a dialect's own in
//! [`Inbound::mistaken`](crate::dialect::Inbound::mistaken)), and a test that makes the fault.

mod body;
mod header;
mod layout;
mod recognise;
mod secret;
mod trials;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use crate::dialect::Scheme;
use crate::length::apart;
use crate::{Decoded, Dialect, Headers, Key, Reason, Refusal, Secret, Settings, Unverified, Verified};
use header::scheme_of;
use secret::Reader;
use trials::Trials;

/// How far a signed time of sending may lie from now, unless it is said.
pub const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// A request, and what it is to be checked with.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The format it should have; `None`: whichever it looks like.
    pub dialect: Option<&'static Dialect>,
    /// What the receiver is configured with beyond the secret, in that format.
    pub settings: &'a Settings,
    /// The header lines as they arrived.
    pub headers: &'a Headers,
    /// The body as it arrived.
    pub body: &'a [u8],
    /// Each of them may fit; without any only the form is looked at.
    pub secrets: &'a [Secret],
    /// Others that the sender may have taken by mistake.
    pub others: &'a [Other],
    /// The receiver's clock.
    pub now: Timestamp,
    /// How far the time that the message states may lie from `now`. `None`: [`TOLERANCE`] where the dialect signs its
    /// time of sending, and any elsewhere.
    pub max_age: Option<SignedDuration>,
    /// How much may be hashed for it.
    pub work_bytes_max: u64,
}

impl Question<'_> {
    /// A request of `dialect`; the settings are those of the format that was asked for, and of no other.
    fn request(&self, dialect: &'static Dialect, headers: &Headers, body: Bytes) -> Unverified {
        let request = Unverified::new(headers.clone(), body);
        if self.dialect == Some(dialect) { request.configured(self.settings.clone()) } else { request }
    }

    fn as_given(&self, dialect: &'static Dialect) -> Unverified {
        self.request(dialect, self.headers, Bytes::copy_from_slice(self.body))
    }

    /// How requests are signed by the settings, in a format that has such.
    fn configured(&self, dialect: &'static Dialect) -> Option<Scheme> {
        let inbound = dialect.inbound.filter(|_| self.dialect == Some(dialect))?;
        inbound.scheme(&self.as_given(dialect))
    }

    /// How requests are signed.
    fn scheme(&self, dialect: &'static Dialect) -> Option<Scheme> {
        self.configured(dialect).or_else(|| scheme_of(dialect))
    }
}

/// A secret of something else.
#[derive(Debug, Clone)]
pub struct Other {
    /// What it is the secret of, as the reader knows it: `the endpoint ep_…`.
    pub name: String,
    /// How it is spelled.
    pub dialect: &'static Dialect,
    /// The secret.
    pub secret: Secret,
}

/// What became of it.
#[derive(Debug, Clone)]
pub struct Diagnosis {
    /// Whether the request comes from a holder of one of the secrets, and in time.
    pub is_verified: bool,
    /// The format that it was judged by.
    pub dialect: Option<&'static Dialect>,
    /// The dialect's reason; `None` when verified, or when it cannot be judged (no secret, no dialect).
    pub reason: Option<Reason>,
    /// The verdict in a sentence.
    pub explanation: String,
    /// What is wrong or odd, the most likely first; empty when nothing that was tried fits.
    pub findings: Vec<Finding>,
    /// What a verified message says.
    pub decoded: Option<Decoded>,
}

/// Something that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing.
    pub fault: Fault,
    /// In words.
    pub detail: String,
}

impl Finding {
    fn new(fault: Fault, detail: impl Into<String>) -> Self {
        Self { fault, detail: detail.into() }
    }
}

macro_rules! faults {
    ($( $(#[$doc:meta])* $variant:ident = $text:literal, )+) => {
        /// Kinds of findings, each with its stable code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Fault { $( $(#[$doc])* $variant, )+ }

        impl Fault {
            /// Every kind.
            pub const ALL: &'static [Fault] = &[$(Fault::$variant),+];

            /// The stable code, `snake_case`.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $text, )+ }
            }
        }
    };
}

faults! {
    /// It was signed with the secret of something else.
    SecretOther = "secret_other",
    /// The secret was decoded, or was not, against the dialect's rule.
    SecretDecoding = "secret_decoding",
    /// White space, quotes, letter case or a prefix of the secret differ.
    SecretSpelling = "secret_spelling",
    /// The secret is none of this dialect.
    SecretUnusable = "secret_unusable",
    /// The signature's header has another name.
    HeaderName = "header_name",
    /// A header's name has another letter case than the vendor's.
    HeaderCase = "header_case",
    /// A header that decides is there more than once.
    HeaderRepeated = "header_repeated",
    /// The signature's prefix is missing, wrong, doubled or too much.
    SignaturePrefix = "signature_prefix",
    /// The signature is spelled otherwise: upper case, base64 for hex, quotes around it.
    SignatureSpelling = "signature_spelling",
    /// The signature has the wrong length.
    SignatureLength = "signature_length",
    /// The signature was made with another algorithm.
    SignatureAlgorithm = "signature_algorithm",
    /// Something else was signed than this dialect signs.
    SignedContent = "signed_content",
    /// The body was parsed and written again.
    BodyReserialised = "body_reserialised",
    /// White space of the body was added or taken off.
    BodyWhiteSpace = "body_white_space",
    /// The body was encoded as a JSON string once more.
    BodyEncodedTwice = "body_encoded_twice",
    /// Verified as another dialect, or looks like another's.
    DialectOther = "dialect_other",
    /// No dialect was asked for, and this is the one.
    DialectRecognised = "dialect_recognised",
    /// The signature is right, the time is not.
    TimeOnly = "time_only",
    /// The time is in another unit.
    TimeUnit = "time_unit",
    /// Authentic, and yet no message of the dialect.
    Payload = "payload",
    /// Authentic, and nothing is made of it here.
    SaysNothing = "says_nothing",
    /// Nothing that was tried fits.
    NothingFits = "nothing_fits",
    /// The body is so large that not everything was tried.
    NotAllTried = "not_all_tried",
}

/// Checks a request; says why, where it is refused.
pub fn diagnose(question: &Question<'_>) -> Diagnosis {
    if let Some(dialect) = question.dialect {
        return judge(question, dialect);
    }
    let candidates = recognise::candidates(question.headers, question.body);
    let verifying = candidates.iter().find(|candidate| verified(question, candidate.dialect).is_ok());
    let Some(likely) = verifying.or(candidates.first()) else {
        return Diagnosis {
            is_verified: false,
            dialect: None,
            reason: None,
            explanation:
                "this looks like none of the formats that are known here: no header and no member of the body \
                          is one of theirs"
                    .to_owned(),
            findings: Vec::new(),
            decoded: None,
        };
    };
    let mut diagnosis = judge(question, likely.dialect);
    let detail = format!("this looks like {}: {}", likely.dialect.name, likely.evidence.join("; "));
    diagnosis.findings.push(Finding::new(Fault::DialectRecognised, detail));
    diagnosis
}

/// The keys that the secrets stand for, and why the first one that is none is none.
fn keys(question: &Question<'_>, dialect: &'static Dialect) -> (Vec<Key>, Option<Finding>) {
    let mut unusable = None;
    let mut keys = Vec::new();
    let reader = Reader::new(question, dialect);
    for secret in question.secrets {
        match dialect.secrets.key(secret) {
            Ok(_) if reader.key(secret).is_none() => {
                let detail = format!("the secret cannot be used: {}, and it is not", reader.rule());
                unusable.get_or_insert(Finding::new(Fault::SecretUnusable, detail));
            }
            Ok(key) => keys.push(key),
            Err(error) => {
                let detail = format!("the secret cannot be used for {}: {error}", dialect.name);
                unusable.get_or_insert(Finding::new(Fault::SecretUnusable, detail));
            }
        }
    }
    (keys, unusable)
}

fn verified(question: &Question<'_>, dialect: &'static Dialect) -> Result<Verified, Refusal> {
    let (keys, unusable) = keys(question, dialect);
    if keys.is_empty() {
        let refusal = form(question, dialect);
        return Err(match unusable {
            // Nothing was compared, so a mismatch would say too much.
            Some(unusable) if refusal.reason == Reason::SignatureMismatch => {
                Refusal::new(refusal.reason, unusable.detail)
            }
            _ => refusal,
        });
    }
    question.as_given(dialect).verify(dialect, &keys, question.now, question.max_age.unwrap_or(TOLERANCE))
}

/// What is wrong with the form alone. Judged with a key that everybody knows, so what it verifies is nothing.
fn form(question: &Question<'_>, dialect: &'static Dialect) -> Refusal {
    let keys: Vec<Key> = dialect.secrets.key(&dialect.secrets.make([0; 32])).into_iter().collect();
    let judged = question.as_given(dialect).verify(dialect, &keys, question.now, question.max_age.unwrap_or(TOLERANCE));
    judged.err().unwrap_or_else(|| Refusal::new(Reason::SignatureMismatch, "the key is one that everybody knows"))
}

fn judge(question: &Question<'_>, dialect: &'static Dialect) -> Diagnosis {
    match verified(question, dialect) {
        Ok(verified) => accepted(question, dialect, &verified),
        Err(refusal) => refused(question, dialect, refusal),
    }
}

fn accepted(question: &Question<'_>, dialect: &'static Dialect, verified: &Verified) -> Diagnosis {
    let mut diagnosis = Diagnosis {
        is_verified: true,
        dialect: Some(dialect),
        reason: None,
        explanation: format!("verified: a genuine message of {}", dialect.name),
        findings: header::recased(dialect, question.scheme(dialect).as_ref(), question.headers),
        decoded: None,
    };
    match verified.decode() {
        Err(refusal) => {
            diagnosis.explanation = format!("verified: the sender knows the secret; but {}", refusal.detail);
            diagnosis.findings.push(Finding::new(Fault::Payload, refusal.detail));
        }
        Ok(decoded) => {
            let sent_at = decoded.sent_at.or(decoded.events.first().map(|event| event.occurred_at));
            if let (Some(max_age), Some(sent_at)) = (question.max_age, sent_at)
                && let Some((reason, explanation)) = too_far(question.now, sent_at, max_age)
            {
                diagnosis.is_verified = false;
                diagnosis.reason = Some(reason);
                diagnosis.explanation = explanation;
                diagnosis.findings.insert(0, Finding::new(Fault::TimeOnly, ONLY_TIME));
                return diagnosis;
            }
            if let Some(why) = &decoded.silence {
                diagnosis
                    .findings
                    .push(Finding::new(Fault::SaysNothing, format!("it is acknowledged and kept, but {why}")));
            }
            diagnosis.decoded = Some(decoded);
        }
    }
    diagnosis
}

const ONLY_TIME: &str = "the signature itself is right; only the time is not";

fn too_far(now: Timestamp, sent_at: Timestamp, most: SignedDuration) -> Option<(Reason, String)> {
    let age = now.duration_since(sent_at);
    if age > most {
        let (age, most) = apart(age, most);
        let words = format!(
            "the message is {age} old, and at most {most} is allowed: it was held up or replayed, or one of the two clocks \
             is wrong"
        );
        return Some((Reason::TimestampStale, words));
    }
    if age < -most {
        let (age, most) = apart(-age, most);
        let words = format!(
            "the message is dated {age} in the future, and at most {most} is allowed: one of the two clocks is wrong"
        );
        return Some((Reason::TimestampFuture, words));
    }
    None
}

fn refused(question: &Question<'_>, dialect: &'static Dialect, refusal: Refusal) -> Diagnosis {
    let scheme = question.scheme(dialect);
    let mut findings = Vec::new();
    let mut explanation = refusal.detail;
    if let Some(time) = header::time_of_sending(question, scheme.as_ref()) {
        let is_of_time = matches!(refusal.reason, Reason::TimestampStale | Reason::TimestampFuture);
        if let Some((_, words)) = too_far(question.now, time.at, question.max_age.unwrap_or(TOLERANCE))
            && is_of_time
        {
            explanation = words;
        }
        findings.extend(time.odd);
    }
    let trials = Trials::new(question, dialect, scheme.as_ref());
    findings.extend(trials.findings(refusal.reason));
    findings.extend(header::recased(dialect, scheme.as_ref(), question.headers));
    let mut reason = Some(refusal.reason);
    if question.secrets.is_empty() && refusal.reason == Reason::SignatureMismatch {
        reason = None;
        "the form is right; whether the signature is cannot be said without the secret".clone_into(&mut explanation);
    }
    Diagnosis { is_verified: false, dialect: Some(dialect), reason, explanation, findings, decoded: None }
}

/// A piece of the request as it may be shown: short, and nothing that a terminal would obey.
fn shown(text: &str) -> String {
    const SHOWN_MAX: usize = 60;
    text.chars().take(SHOWN_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests;
