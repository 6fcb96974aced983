//! Everything that is tried, and in which order: the likely first, one fault before two.

use std::cell::Cell;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq as _;

use super::header::{self, Given};
use super::secret::{self, Guess, Reader};
use super::{Fault, Finding, ONLY_TIME, Question, body, recognise, verified};
use crate::dialect::Scheme;
use crate::signature::digest;
use crate::{Dialect, Key, Reason, Unverified, dialect};

/// What a trial costs beside its bytes.
const TRIAL_BYTES: u64 = 256;

/// A text that may have been signed.
struct Signed {
    bytes: Vec<u8>,
    /// What is wrong when it fits; `None`: it is the right one.
    fault: Option<Finding>,
}

/// The trials of one request.
pub(super) struct Trials<'a> {
    question: &'a Question<'a>,
    dialect: &'static Dialect,
    scheme: Option<&'a Scheme>,
    reader: Reader<'a>,
    given: Option<Given>,
    work_left: Cell<u64>,
    is_cut_short: Cell<bool>,
}

impl<'a> Trials<'a> {
    pub(super) fn new(question: &'a Question<'a>, dialect: &'static Dialect, scheme: Option<&'a Scheme>) -> Self {
        let given = scheme.and_then(|scheme| header::read(scheme, question.headers));
        let work_left = Cell::new(question.work_bytes_max);
        let reader = Reader::new(question, dialect);
        Self { question, dialect, scheme, reader, given, work_left, is_cut_short: Cell::new(false) }
    }

    /// What would have to be otherwise.
    pub(super) fn findings(&self, reason: Reason) -> Vec<Finding> {
        let found = self.given.as_ref().and_then(|given| match &given.token {
            Some(token) => self.by_token(given, token),
            None => self.by_signature(given),
        });
        if let Some(mut found) = found {
            // Under the name that it has it may be right as it stands, in another format.
            if found.iter().any(|finding| finding.fault == Fault::HeaderName) {
                found.splice(0..0, self.verifies_as());
            }
            return match found.is_empty() {
                // Everything fits as it stands: what was refused is the time, or a header that is not signed.
                true if matches!(reason, Reason::TimestampStale | Reason::TimestampFuture) => {
                    vec![Finding::new(Fault::TimeOnly, ONLY_TIME)]
                }
                _ => found,
            };
        }
        let mut findings: Vec<Finding> = self.unusable().into_iter().collect();
        findings.extend(self.given.as_ref().and_then(|given| header::visible_fault(given, self.is_sha512())));
        findings.extend(self.other_dialect());
        if findings.is_empty() {
            findings.extend(self.given.iter().flat_map(|given| given.faults.iter().cloned()));
        }
        if findings.is_empty() && reason == Reason::SignatureMismatch && !self.question.secrets.is_empty() {
            findings.push(self.nothing_fits());
        }
        if self.is_cut_short.get() {
            let detail = "the body is so large that not every reading of secret and body was tried: \
                          `watchbell verify` on the command line tries them all";
            findings.push(Finding::new(Fault::NotAllTried, detail));
        }
        findings
    }

    fn by_token(&self, given: &Given, token: &str) -> Option<Vec<Finding>> {
        let fits = |guess: &Guess| match &guess.key {
            Key::Token(expected) => expected.expose().as_bytes().ct_eq(token.as_bytes()).into(),
            Key::Hmac(_) | Key::Ed25519(_) | Key::Ed25519Public(_) => false,
        };
        let guess = self.own().chain(self.others()).find(fits)?;
        Some(given.faults.iter().cloned().chain(guess.fault).collect())
    }

    fn own(&self) -> impl Iterator<Item = Guess> {
        self.question.secrets.iter().flat_map(|secret| secret::guesses(&self.reader, secret))
    }

    fn others(&self) -> impl Iterator<Item = Guess> {
        self.question.others.iter().flat_map(|other| secret::of_other(&self.reader, other))
    }

    /// One fault, then two at once.
    fn by_signature(&self, given: &Given) -> Option<Vec<Finding>> {
        let all: Vec<Guess> = self.own().chain(self.others()).collect();
        let (right, wrong): (Vec<&Guess>, Vec<&Guess>) = all.iter().partition(|guess| guess.fault.is_none());
        let request = self.question.request(self.dialect, &given.headers, Bytes::copy_from_slice(self.question.body));
        let plain = self.plain(&request).map(|bytes| Signed { bytes, fault: None });
        if let Some(plain) = &plain {
            let keyed = right.iter().chain(&wrong).find_map(|guess| self.attempt(given, guess, plain));
            let found = keyed.or_else(|| self.unkeyed(given, plain));
            if found.is_some() || self.question.body.is_empty() {
                return found;
            }
        }
        for guesses in [&right, &wrong] {
            let found = self.texts(given, &request).find_map(|text| {
                self.unkeyed(given, &text)
                    .or_else(|| guesses.iter().find_map(|guess| self.attempt(given, guess, &text)))
            });
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn plain(&self, request: &Unverified) -> Option<Vec<u8>> {
        self.dialect.inbound?.signed(request)
    }

    /// What may have been signed in place of what should be; each is made when its turn comes.
    fn texts<'t>(&'t self, given: &'t Given, request: &'t Unverified) -> impl Iterator<Item = Signed> + 't {
        let words = |bytes: Vec<u8>, words: &str| Signed {
            bytes,
            fault: Some(Finding::new(
                Fault::SignedContent,
                format!("the signature fits, but of something else: {words}"),
            )),
        };
        let mistaken = self.dialect.inbound.map(|inbound| inbound.mistaken(request)).unwrap_or_default();
        let mistaken = mistaken.into_iter().map(move |(bytes, what)| words(bytes, what));
        let empty = "an empty body was signed: the sender read the body before it signed it";
        let right = self.plain(request);
        let changed = body::changes(self.question.body).filter_map(move |(bytes, fault)| {
            let changed = self.question.request(self.dialect, &given.headers, bytes.into());
            let bytes = self.plain(&changed)?;
            // A dialect that signs a canonical text does not see most changes.
            (right.as_ref() != Some(&bytes)).then_some(Signed { bytes, fault: Some(fault) })
        });
        std::iter::once(words(Vec::new(), empty)).chain(mistaken).chain(changed)
    }

    /// Whether the given digest is that of the text and key, made with any algorithm.
    fn attempt(&self, given: &Given, guess: &Guess, text: &Signed) -> Option<Vec<Finding>> {
        self.work(&text.bytes)?;
        let wanted = if self.is_sha512() { Algorithm::Sha512 } else { Algorithm::Sha256 };
        let made = given.digests.iter().find_map(|digest| algorithm(digest, guess, &text.bytes))?;
        let faults = [made.fault(wanted), guess.fault.clone(), text.fault.clone()];
        Some(given.faults.iter().cloned().chain(faults.into_iter().flatten()).collect())
    }

    /// Whether it is a hash without any key.
    fn unkeyed(&self, given: &Given, text: &Signed) -> Option<Vec<Finding>> {
        self.work(&text.bytes)?;
        let hash = Sha256::digest(&text.bytes);
        let fits = given.digests.iter().any(|digest| digest.as_slice() == hash.as_slice());
        let detail = "this is a plain SHA-256 of what was sent, made without any secret: everybody could make it. \
                      HMAC-SHA256 with the secret as the key is wanted";
        fits.then(|| vec![Finding::new(Fault::SignatureAlgorithm, detail)])
    }

    fn is_sha512(&self) -> bool {
        self.scheme.is_some_and(|scheme| scheme.is_sha512)
    }

    /// Counts a trial; `None`: there were enough.
    fn work(&self, text: &[u8]) -> Option<()> {
        let cost = TRIAL_BYTES.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX));
        let left = self.work_left.get().checked_sub(cost);
        self.is_cut_short.set(left.is_none());
        left.map(|left| self.work_left.set(left))
    }

    /// Why none of the secrets can be one.
    fn unusable(&self) -> Option<Finding> {
        let (keys, unusable) = super::keys(self.question, self.dialect);
        unusable.filter(|_| keys.is_empty())
    }

    /// Whether it is a right message in the format of another dialect.
    fn verifies_as(&self) -> Option<Finding> {
        let others = || dialect::ALL.iter().copied().filter(|other| *other != self.dialect);
        let any_time = |other: &&'static Dialect| match verified(self.question, other) {
            Ok(_) => true,
            // As judged behind the signature or before it, the time says nothing about the format.
            Err(refusal) => matches!(refusal.reason, Reason::TimestampStale | Reason::TimestampFuture),
        };
        let other = others().find(any_time)?;
        let detail = format!("this is {}, and verifies as that: use the dialect {}", format_of(other), other.id);
        Some(Finding::new(Fault::DialectOther, detail))
    }

    /// Whether it is a message in the format of another dialect, right or not.
    fn other_dialect(&self) -> Option<Finding> {
        if let Some(verifies) = self.verifies_as() {
            return Some(verifies);
        }
        let own = self.scheme?;
        if self.question.headers.all(&own.header).next().is_some() {
            return None;
        }
        let likely = recognise::candidates(self.question.headers, self.question.body).into_iter().next()?;
        if likely.dialect == self.dialect {
            return None;
        }
        let detail = format!(
            "there is no {} header, and this looks like {}: {} (as {} it does not verify with this secret either)",
            own.header,
            format_of(likely.dialect),
            likely.evidence.join("; "),
            likely.dialect.id
        );
        Some(Finding::new(Fault::DialectOther, detail))
    }

    fn nothing_fits(&self) -> Finding {
        let body = self.question.body;
        let is_token = self.given.as_ref().is_some_and(|given| given.token.is_some());
        let detail = if is_token {
            "nothing that was tried fits: the token is another one (was it rotated?), and not the right one with white \
             space, quotes or other capitals"
                .to_owned()
        } else if body.is_empty() {
            "the body is empty, and the signature is not that of an empty body: it was lost before it got here (something \
             read it already, or only the headers were kept)"
                .to_owned()
        } else {
            format!(
                "nothing that was tried fits, neither another reading of the secret nor of the body: the secret is another \
                 one (was it rotated?), or the body was changed after signing in a way that cannot be undone (re-serialised \
                 by a framework or proxy, cut, re-encoded). Compare with what the sender has: the body that arrived is {} \
                 bytes, SHA-256 {}",
                body.len(),
                hex::encode(Sha256::digest(body)),
            )
        };
        Finding::new(Fault::NothingFits, detail)
    }
}

/// `Snyk's format`, `the format of Standard Webhooks`.
fn format_of(dialect: &Dialect) -> String {
    match dialect.name.ends_with('s') {
        true => format!("the format of {}", dialect.name),
        false => format!("{}'s format", dialect.name),
    }
}

/// What a signature was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Ed25519,
    Sha1,
    Sha256,
    Sha512,
}

impl Algorithm {
    fn fault(self, wanted: Self) -> Option<Finding> {
        if self == wanted || self == Self::Ed25519 {
            return None;
        }
        let ((name, digits), (wanted, wanted_digits)) = (self.words(), wanted.words());
        let detail = format!(
            "this is an HMAC-{name} signature ({digits} hex digits), made with the right kind of key; HMAC-{} ({wanted_digits}) \
             is wanted",
            wanted.replace('-', "")
        );
        Some(Finding::new(Fault::SignatureAlgorithm, detail))
    }

    fn words(self) -> (&'static str, usize) {
        match self {
            Self::Ed25519 => ("Ed25519", 128),
            Self::Sha1 => ("SHA-1", 40),
            Self::Sha256 => ("SHA-256", 64),
            Self::Sha512 => ("SHA-512", 128),
        }
    }
}

/// By its length a digest says which it may be.
fn algorithm(given: &[u8], guess: &Guess, text: &[u8]) -> Option<Algorithm> {
    let verifying = match &guess.key {
        Key::Ed25519(key) => Some(key.verifying_key()),
        Key::Ed25519Public(key) => Some(**key),
        Key::Hmac(_) | Key::Token(_) => None,
    };
    if let Some(key) = verifying {
        let signature = ed25519_dalek::Signature::from_slice(given).ok()?;
        return key.verify_strict(text, &signature).is_ok().then_some(Algorithm::Ed25519);
    }
    let (made, algorithm) = match given.len() {
        20 => (hmac::<Hmac<Sha1>>(guess, text)?, Algorithm::Sha1),
        64 => (hmac::<Hmac<Sha512>>(guess, text)?, Algorithm::Sha512),
        _ => (digest(&guess.key, &[text])?.to_vec(), Algorithm::Sha256),
    };
    bool::from(made.ct_eq(given)).then_some(algorithm)
}

fn hmac<M: Mac + KeyInit>(guess: &Guess, text: &[u8]) -> Option<Vec<u8>> {
    let mut mac = <M as KeyInit>::new_from_slice(guess.bytes.as_ref()?).ok()?;
    mac.update(text);
    Some(mac.finalize().into_bytes().to_vec())
}
