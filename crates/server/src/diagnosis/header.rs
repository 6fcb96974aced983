//! Where a dialect puts its signature, and what may have become of it there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use watchbell_wire::{Dialect, Headers, Message};

use super::{Change, Received, in_words};

/// Digits of an HMAC-SHA256 in hex.
const SHA256_DIGITS: usize = 64;
/// Digits of SHA-1 in hex.
const SHA1_DIGITS: usize = 40;

/// A dialect's signature header.
pub(super) struct Format {
    /// Its name.
    pub(super) header: &'static str,
    /// What stands before the digest or token: `sha256=`, `v1,`, `Bearer `.
    pub(super) prefix: String,
    /// How the rest is spelled.
    pub(super) spelling: Spelling,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    Hex,
    Base64,
    Token,
}

impl Format {
    /// Seen from two messages signed with two secrets: what differs is the signature.
    pub(super) fn of(dialect: &'static Dialect) -> Option<Self> {
        // What nobody receives nobody verifies.
        dialect.inbound?;
        let sign = |random: u8| {
            let key = dialect.secrets.key(&dialect.secrets.make([random; 32])).ok()?;
            let time = Timestamp::UNIX_EPOCH;
            let message = Message { id: "probe", event: "probe", occurred_at: time, sent_at: time, body: b"{}" };
            dialect.sign(&message, &[key]).ok()
        };
        let (one, other) = (sign(0x5a)?, sign(0xc3)?);
        let (signature, other) = one.into_iter().zip(other).find(|(one, other)| one.value != other.value)?;
        let known = ["sha256=", "v1,", "Bearer "];
        let prefix = known.into_iter().find(|prefix| signature.value.starts_with(prefix)).unwrap_or_default();
        let rest = signature.value.strip_prefix(prefix).unwrap_or_default();
        let spelling = match prefix {
            "Bearer " => Spelling::Token,
            _ if rest.len() == SHA256_DIGITS && other.value.len() == signature.value.len() => Spelling::Hex,
            _ => Spelling::Base64,
        };
        Some(Self { header: signature.name, prefix: prefix.to_owned(), spelling })
    }
}

/// The digest that the request carries, in whatever spelling.
pub(super) fn digest(format: &Format, headers: &Headers) -> Option<[u8; 32]> {
    let value = text_of(headers, format.header)?;
    let bare = bare_signature(format, value);
    let decoded = if bare.len() == SHA256_DIGITS { hex::decode(bare).ok()? } else { STANDARD.decode(bare).ok()? };
    decoded.try_into().ok()
}

/// Headers with their signature header put right, with what was wrong.
pub(super) fn changes(format: &Format, headers: &Headers) -> Vec<Change<Headers>> {
    let mut changes = Vec::new();
    let mut renamed = headers.clone();
    let mut meaning = Vec::new();
    if headers.all(format.header).next().is_none() {
        if let Some((lines, what)) = renamed_alike(format, headers) {
            renamed = lines;
            meaning.push(what);
            changes.push(Change { meaning: meaning.join("; "), to: renamed.clone() });
        } else {
            return changes;
        }
    }
    if let Some((value, faults)) = text_of(&renamed, format.header).and_then(|value| respelled(format, value)) {
        let lines = renamed.iter().map(|(name, given)| match name.eq_ignore_ascii_case(format.header) {
            true => (name.to_owned(), value.clone().into_bytes()),
            false => (name.to_owned(), given.to_vec()),
        });
        meaning.extend(faults);
        changes.push(Change { meaning: meaning.join("; "), to: lines.collect() });
    }
    changes
}

/// A fault that can be seen without trying anything.
pub(super) fn visible_fault(format: &Format, headers: &Headers) -> Option<String> {
    let value = text_of(headers, format.header)?;
    if format.spelling != Spelling::Hex {
        return None;
    }
    let bare = strip_algorithm(value.trim().trim_matches(['"', '\'']));
    let is_hex = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
    match bare.len() {
        SHA1_DIGITS if is_hex => Some(format!(
            "the signature has {SHA1_DIGITS} hex digits, the length of SHA-1; SHA-256 is wanted, which has {SHA256_DIGITS}: the sender signs with \
             the wrong algorithm, or the value is a printed example"
        )),
        128 if is_hex => {
            Some("the signature has 128 hex digits, the length of SHA-512; SHA-256 is wanted, which has 64".to_owned())
        }
        count if is_hex && count != SHA256_DIGITS => Some(format!(
            "the signature has {count} hex digits where {SHA256_DIGITS} are wanted: it was cut or is something else"
        )),
        SHA256_DIGITS if is_hex && bare.bytes().any(|byte| byte.is_ascii_uppercase()) => Some(
            "the signature is in upper-case hex; lower case is wanted (and in lower case it does not fit either)"
                .to_owned(),
        ),
        _ if is_hex && !value.trim().starts_with(format.prefix.as_str()) => {
            Some(format!("the signature lacks its `{}` prefix (and with it does not fit either)", format.prefix))
        }
        _ => None,
    }
}

/// A time of sending that a header states.
pub(super) struct Stated {
    pub(super) at: Timestamp,
    /// What is odd about it.
    pub(super) remark: Option<String>,
}

/// The header with the signed time of sending, in the dialects that have one.
const TIME_HEADER: &str = "webhook-timestamp";

pub(super) fn time_of_sending(received: &Received<'_>) -> Option<Stated> {
    let digits = text_of(received.headers, TIME_HEADER)?;
    let number: i64 = digits.parse().ok()?;
    let at = Timestamp::from_second(number).ok();
    let in_millis = Timestamp::from_millisecond(number).ok().filter(|_| digits.len() == 13);
    if let Some(at) = in_millis {
        let age = in_words(received.now.duration_since(at));
        let remark =
            format!("{TIME_HEADER} is in milliseconds; seconds are wanted (read as milliseconds it is {age} old)");
        return Some(Stated { at, remark: Some(remark) });
    }
    at.map(|at| Stated { at, remark: None })
}

/// The time that a trial takes as now, so that only the signature is judged.
pub(super) fn stated_time(_: &'static Dialect, headers: &Headers) -> Option<Timestamp> {
    Timestamp::from_second(text_of(headers, TIME_HEADER)?.parse().ok()?).ok()
}

fn text_of<'a>(headers: &'a Headers, name: &'a str) -> Option<&'a str> {
    std::str::from_utf8(headers.all(name).next()?).ok()
}

/// The header under a name that differs only in its separators, or under another prefix of the same scheme.
fn renamed_alike(format: &Format, headers: &Headers) -> Option<(Headers, String)> {
    let letters = |name: &str| {
        name.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase()).collect::<Vec<_>>()
    };
    let wanted = letters(format.header);
    let alike = headers.iter().find(|(name, _)| letters(name) == wanted).map(|(name, _)| name.to_owned());
    if let Some(alike) = alike {
        let underscore = match format.header.contains('_') {
            true => ": a proxy dropped or replaced the underscore (nginx: underscores_in_headers on)",
            false => "",
        };
        let what = format!("the header is called {alike}, and {} is wanted{underscore}", format.header);
        let lines = headers.iter().map(|(name, value)| match name == alike {
            true => (format.header.to_owned(), value.to_vec()),
            false => (name.to_owned(), value.to_vec()),
        });
        return Some((lines.collect(), what));
    }
    let family = format.header.strip_prefix("webhook-")?;
    let other = headers
        .iter()
        .find_map(|(name, _)| name.to_ascii_lowercase().strip_suffix(&format!("-{family}")).map(str::to_owned))?;
    let lines = headers.iter().map(|(name, value)| {
        let lower = name.to_ascii_lowercase();
        let renamed = lower.strip_prefix(&format!("{other}-")).map(|rest| format!("webhook-{rest}"));
        (renamed.unwrap_or_else(|| name.to_owned()), value.to_vec())
    });
    Some((lines.collect(), format!("the headers begin with {other}-, and webhook- is wanted")))
}

/// The value in the dialect's spelling, and what was wrong; `None` when nothing can be put right.
fn respelled(format: &Format, value: &str) -> Option<(String, Vec<String>)> {
    let mut faults = Vec::new();
    let mut bare = value.trim().trim_matches(['"', '\'']);
    if bare.len() != value.len() {
        faults.push("the signature has quotes or white space around it".to_owned());
    }
    if format.spelling == Spelling::Token {
        let token = bare.rsplit(' ').next().unwrap_or(bare);
        if !bare.starts_with("Bearer ") {
            faults.push("the Authorization header lacks the word Bearer before the token".to_owned());
        }
        return (!faults.is_empty()).then(|| (format!("{}{token}", format.prefix), faults));
    }
    let stripped = strip_algorithm(bare);
    if format.prefix.is_empty() && stripped.len() != bare.len() {
        faults.push("the signature has a prefix (sha256=), and none is wanted".to_owned());
    } else if !format.prefix.is_empty() && !bare.starts_with(format.prefix.as_str()) {
        faults.push(format!("the signature lacks the `{}` prefix before the digest", format.prefix));
    }
    bare = stripped;
    let respelled = match format.spelling {
        Spelling::Hex if bare.len() == SHA256_DIGITS && bare.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            if bare.bytes().any(|byte| byte.is_ascii_uppercase()) {
                faults.push("the signature is in upper-case hex, and lower case is wanted".to_owned());
            }
            bare.to_ascii_lowercase()
        }
        Spelling::Hex => {
            let digest = STANDARD.decode(bare).ok().filter(|digest| digest.len() == 32)?;
            faults.push("the signature is spelled in base64, and hex is wanted".to_owned());
            hex::encode(digest)
        }
        Spelling::Base64 if bare.len() == SHA256_DIGITS && hex::decode(bare).is_ok() => {
            faults.push("the signature is spelled in hex, and base64 is wanted".to_owned());
            STANDARD.encode(hex::decode(bare).ok()?)
        }
        Spelling::Base64 | Spelling::Token => bare.to_owned(),
    };
    (!faults.is_empty()).then(|| (format!("{}{respelled}", format.prefix), faults))
}

fn bare_signature<'a>(format: &Format, value: &'a str) -> &'a str {
    let value = value.trim().trim_matches(['"', '\'']);
    let first = value.split(' ').next().unwrap_or(value);
    strip_algorithm(first.strip_prefix(format.prefix.as_str()).unwrap_or(first))
}

/// Takes off `sha256=`, `SHA1=`, `v1=`, `v1,`.
fn strip_algorithm(value: &str) -> &str {
    let marks = ["sha256=", "sha1=", "sha512=", "v1,", "v1="];
    let mark =
        marks.into_iter().find(|mark| value.get(..mark.len()).is_some_and(|start| start.eq_ignore_ascii_case(mark)));
    mark.and_then(|mark| value.get(mark.len()..)).unwrap_or(value)
}
