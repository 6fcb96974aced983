//! Why a signature does not verify, found by trying.
//!
//! What comes in is a request that a dialect refused. What goes out are causes in ordinary words, each of them *proved*:
//! with the fault undone (the header renamed, the secret hex-decoded, the body written compactly) the request verifies, or
//! the fault can be seen in the request itself (40 digits cannot be SHA-256). Nothing here ever holds the right signature
//! of the request as it stands: trials only ask [`Unverified::verify`] yes or no.

mod body;
mod header;
mod layout;
mod secret;

use jiff::{SignedDuration, Timestamp};
use watchbell_wire::{Dialect, Headers, Key, Reason, Refusal, Secret, Unverified, dialect};

use header::Format;

/// Secrets and bodies are tried in pairs only up to this size: the work is pairs times bytes.
const PAIRED_BODY_BYTES_MAX: usize = 256 << 10;

/// Long enough that no time of sending matters.
const ANY_AGE: SignedDuration = SignedDuration::from_hours(24 * 365 * 200);

/// What was received, and what is known to check it with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received<'a> {
    pub(crate) dialect: &'static Dialect,
    pub(crate) headers: &'a Headers,
    pub(crate) body: &'a [u8],
    pub(crate) secret: &'a Secret,
    pub(crate) now: Timestamp,
    /// How far a signed time of sending may lie from `now`.
    pub(crate) tolerance: SignedDuration,
    /// Whether times that the dialect itself does not judge are held to `tolerance` too.
    pub(crate) check_any_time: bool,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The dialect's reason.
    pub(crate) reason: Reason,
    /// The reason in words.
    pub(crate) detail: String,
    /// What would have to be otherwise, each one tried; empty when nothing tried fits.
    pub(crate) causes: Vec<String>,
}

/// Checks a request; says why, where it is refused.
pub(crate) fn verify(received: &Received<'_>) -> Result<(), Refused> {
    let key = match received.dialect.secrets.key(received.secret) {
        Ok(key) => key,
        Err(error) => {
            let refusal = Refusal::new(Reason::SignatureMismatch, format!("the secret cannot be used: {error}"));
            return Err(explain(received, refusal));
        }
    };
    let request = Unverified::new(received.headers.clone(), received.body);
    let verified = request
        .verify(received.dialect, std::slice::from_ref(&key), received.now, received.tolerance)
        .map_err(|refusal| explain(received, refusal))?;
    if received.check_any_time {
        // A body that cannot be decoded states no time; whether it is a good event is not asked here.
        let sent_at = verified
            .decode()
            .ok()
            .and_then(|decoded| decoded.sent_at.or(decoded.events.first().map(|event| event.occurred_at)));
        if let Some(refused) = sent_at.and_then(|sent_at| too_far(received, sent_at)) {
            return Err(refused);
        }
    }
    Ok(())
}

fn too_far(received: &Received<'_>, sent_at: Timestamp) -> Option<Refused> {
    let age = received.now.duration_since(sent_at);
    if age > received.tolerance {
        return Some(Refused {
            reason: Reason::TimestampStale,
            detail: stale(age, received.tolerance),
            causes: vec![SIGNATURE_IS_RIGHT.to_owned()],
        });
    }
    if age < -received.tolerance {
        return Some(Refused {
            reason: Reason::TimestampFuture,
            detail: ahead(-age, received.tolerance),
            causes: vec![SIGNATURE_IS_RIGHT.to_owned()],
        });
    }
    None
}

const SIGNATURE_IS_RIGHT: &str = "the signature itself is right; only the time is not";

fn explain(received: &Received<'_>, refusal: Refusal) -> Refused {
    let mut causes = Vec::new();
    let mut detail = refusal.detail;
    if let Some(time) = header::time_of_sending(received) {
        if refusal.reason == Reason::TimestampStale {
            detail = stale(received.now.duration_since(time.at), received.tolerance);
        }
        if refusal.reason == Reason::TimestampFuture {
            detail = ahead(time.at.duration_since(received.now), received.tolerance);
        }
        causes.extend(time.remark);
    }
    causes.extend(Trials::of(received).causes(refusal.reason));
    Refused { reason: refusal.reason, detail, causes }
}

fn stale(age: SignedDuration, tolerance: SignedDuration) -> String {
    format!(
        "the message is {} old, and at most {} is allowed: it was held up or replayed, or one of the two clocks is wrong",
        in_words(age),
        in_words(tolerance)
    )
}

fn ahead(by: SignedDuration, tolerance: SignedDuration) -> String {
    format!(
        "the message is dated {} in the future, and at most {} is allowed: one of the two clocks is wrong",
        in_words(by),
        in_words(tolerance)
    )
}

/// `9 minutes`, `3 hours`: whole units, the largest that fits.
pub(crate) fn in_words(length: SignedDuration) -> String {
    let secs = length.as_secs().max(0);
    let (count, unit) = match secs {
        0..60 => (secs, "second"),
        60..3600 => (secs / 60, "minute"),
        3600..172_800 => (secs / 3600, "hour"),
        _ => (secs / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// A change of one part of the request, and what it means when the request verifies with it.
#[derive(Debug, Clone)]
struct Change<T> {
    meaning: String,
    to: T,
}

/// Everything that is tried, and with what.
struct Trials<'a> {
    received: &'a Received<'a>,
    format: Option<Format>,
    headers: Vec<Change<Headers>>,
    secrets: Vec<Change<Key>>,
    bodies: Vec<Change<Vec<u8>>>,
}

impl<'a> Trials<'a> {
    fn of(received: &'a Received<'a>) -> Self {
        let format = Format::of(received.dialect);
        let headers = format.as_ref().map(|format| header::changes(format, received.headers)).unwrap_or_default();
        Self {
            received,
            headers,
            secrets: secret::changes(received.dialect, received.secret),
            bodies: body::changes(received.body),
            format,
        }
    }

    fn causes(&self, reason: Reason) -> Vec<String> {
        let received = self.received;
        let own_key = received.dialect.secrets.key(received.secret).ok();
        if let Some(key) = &own_key
            && fits(received.dialect, received.headers, received.body, key)
        {
            // Only the time was wrong.
            return vec![SIGNATURE_IS_RIGHT.to_owned()];
        }
        let visible = self.format.as_ref().and_then(|format| header::visible_fault(format, received.headers));
        if let Some(found) = self.by_trying(own_key.as_ref()) {
            return found;
        }
        let mut causes: Vec<String> = visible.into_iter().collect();
        causes.extend(self.other_dialect());
        causes.extend(self.other_content());
        if causes.is_empty() && reason == Reason::SignatureMismatch {
            causes.push(format!(
                "none of {} other readings of the secret and {} of the body fits: the secret is another one (was it rotated?), or the \
                 body was changed after signing in a way that cannot be undone (re-serialised by a framework or proxy, cut, re-encoded). \
                 Compare with what the sender has: the body that arrived is {} bytes, SHA-256 {}",
                self.secrets.len(),
                self.bodies.len(),
                received.body.len(),
                body::fingerprint(received.body),
            ));
        }
        causes
    }

    /// One fault, then two at once.
    fn by_trying(&self, own_key: Option<&Key>) -> Option<Vec<String>> {
        let received = self.received;
        let as_given = Change { meaning: String::new(), to: received.headers.clone() };
        let own_key = own_key.map(|key| Change { meaning: String::new(), to: key.clone() });
        let body_as_given = Change { meaning: String::new(), to: received.body.to_vec() };
        let paired = received.body.len() <= PAIRED_BODY_BYTES_MAX;
        for headers in std::iter::once(&as_given).chain(&self.headers) {
            let attempt = |key: &Change<Key>, body: &Change<Vec<u8>>| {
                fits(received.dialect, &headers.to, &body.to, &key.to).then(|| {
                    let meanings = [&headers.meaning, &key.meaning, &body.meaning];
                    meanings.into_iter().filter(|meaning| !meaning.is_empty()).cloned().collect::<Vec<_>>()
                })
            };
            let with_one_body = own_key.iter().chain(&self.secrets).find_map(|key| attempt(key, &body_as_given));
            let with_own_key = || own_key.iter().find_map(|key| self.bodies.iter().find_map(|body| attempt(key, body)));
            let with_both = || {
                let secrets = if paired { self.secrets.as_slice() } else { &[] };
                secrets.iter().find_map(|key| self.bodies.iter().find_map(|body| attempt(key, body)))
            };
            if let Some(meanings) = with_one_body.or_else(with_own_key).or_else(with_both) {
                return Some(meanings);
            }
        }
        None
    }

    /// Whether it is a right message in the format of another dialect.
    fn other_dialect(&self) -> Option<String> {
        let received = self.received;
        let others = || dialect::ALL.iter().copied().filter(|other| *other != received.dialect);
        let verifying = others().find(|other| {
            let key = other.secrets.key(received.secret);
            key.is_ok_and(|key| fits(other, received.headers, received.body, &key))
        });
        if let Some(other) = verifying {
            return Some(format!(
                "the message is in the format of {}, and verifies as that: use --dialect {}",
                other.name, other.id
            ));
        }
        let own = self.format.as_ref()?;
        if received.headers.all(own.header).next().is_some() {
            return None;
        }
        let (other, format) = others()
            .filter_map(|other| Some((other, Format::of(other)?)))
            .find(|(_, format)| format.header != own.header && received.headers.all(format.header).next().is_some())?;
        Some(format!(
            "there is no {} header, but there is {}, the one of {}: another dialect's message? (as {} it does not verify with this secret either)",
            own.header, format.header, other.name, other.id
        ))
    }

    /// Whether the digest is of the bare body where the dialect signs more, or something else.
    fn other_content(&self) -> Option<String> {
        let received = self.received;
        let digest = header::digest(self.format.as_ref()?, received.headers)?;
        let bare = dialect::find("snyk").filter(|bare| *bare != received.dialect)?;
        let bare_format = Format::of(bare)?;
        let headers =
            Headers::from_iter([(bare_format.header, format!("{}{}", bare_format.prefix, hex::encode(digest)))]);
        let own_key = received.dialect.secrets.key(received.secret).ok();
        let fits_bare = own_key
            .iter()
            .chain(self.secrets.iter().map(|change| &change.to))
            .any(|key| fits(bare, &headers, received.body, key));
        fits_bare.then(|| {
            format!(
                "the signature is of the raw body alone, which is not what {} signs (see {})",
                received.dialect.name, received.dialect.source
            )
        })
    }
}

/// Whether a request verifies, whatever its age.
fn fits(dialect: &'static Dialect, headers: &Headers, body: &[u8], key: &Key) -> bool {
    let stated = header::stated_time(dialect, headers).unwrap_or(Timestamp::UNIX_EPOCH);
    Unverified::new(headers.clone(), body).verify(dialect, std::slice::from_ref(key), stated, ANY_AGE).is_ok()
}

#[cfg(test)]
mod tests;
