//! Where a dialect puts its signature, and what may have become of it there.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use jiff::Timestamp;

use super::{Fault, Finding, Question, shown};
use crate::dialect::Scheme;
use crate::dialect::scheme::{List, Spelling, Unit};
use crate::length::in_words;
use crate::{Dialect, Header, Headers, Key, Message};

/// Digits of an HMAC-SHA256 in hex.
const SHA256_DIGITS: usize = 64;
/// Digits of SHA-1 in hex.
const SHA1_DIGITS: usize = 40;
/// Digits of SHA-512 in hex.
const SHA512_DIGITS: usize = 128;

/// The dialect whose signatures are as settings say.
const CUSTOM: &str = "custom";

/// Signatures of one request that are looked at; two secrets need two.
const SIGNATURES_MAX: usize = 10;

/// The headers of a message that says nothing.
pub(super) fn probe(dialect: &'static Dialect, random: u8) -> Option<(Vec<Header>, Key)> {
    let key = dialect.secrets.key(&dialect.secrets.make([random; 32])).ok()?;
    let time = Timestamp::UNIX_EPOCH;
    let message = Message { id: "probe", event: "probe", occurred_at: time, sent_at: time, body: b"{}" };
    Some((dialect.sign(&message, std::slice::from_ref(&key)).ok()?, key))
}

/// How a dialect is signed, seen from two messages signed with two secrets: what differs is the signature.
pub(super) fn scheme_of(dialect: &'static Dialect) -> Option<Scheme> {
    // What is not received has no receiver to explain anything to.
    dialect.inbound?;
    // How a dialect by configuration signs stands in a source's settings, which are not known here.
    if dialect.id == CUSTOM {
        return None;
    }
    let ((one, key), (other, _)) = (probe(dialect, 0x5a)?, probe(dialect, 0xc3)?);
    let (signature, _) = one.into_iter().zip(other).find(|(one, other)| one.value != other.value)?;
    let known = ["sha256=", "v1,", "Bearer "];
    let prefix = known.into_iter().find(|prefix| signature.value.starts_with(prefix)).unwrap_or_default();
    let rest = signature.value.strip_prefix(prefix).unwrap_or_default();
    let spelling = match key {
        Key::Token(_) => Spelling::Token,
        Key::Hmac(_) | Key::Ed25519(_) | Key::Ed25519Public(_) if rest.len() == SHA256_DIGITS => Spelling::Hex,
        Key::Hmac(_) | Key::Ed25519(_) | Key::Ed25519Public(_) => Spelling::Base64,
    };
    let (header, prefix) = (signature.name.to_owned(), prefix.to_owned());
    Some(Scheme { header, prefix, spelling, is_sha512: false, configured: None })
}

/// What stands where the signature should be, read as leniently as can be.
#[derive(Debug)]
pub(super) struct Given {
    /// The header lines, under the names that are wanted.
    pub(super) headers: Headers,
    /// Digests in whatever spelling.
    pub(super) digests: Vec<Vec<u8>>,
    /// The token, in the dialects that sign nothing.
    pub(super) token: Option<String>,
    /// What had to be overlooked to read it.
    pub(super) faults: Vec<Finding>,
    /// What is wrong with it that cannot be overlooked.
    pub(super) broken: Option<Finding>,
}

/// Reads it; `None`: nothing of the kind is there.
pub(super) fn read(scheme: &Scheme, headers: &Headers) -> Option<Given> {
    let mut given =
        Given { headers: headers.clone(), digests: Vec::new(), token: None, faults: Vec::new(), broken: None };
    if headers.all(&scheme.header).next().is_none() {
        let (lines, fault) = renamed_alike(scheme, headers)?;
        given.headers = lines;
        given.faults.push(fault);
    }
    let values: Vec<String> =
        given.headers.all(&scheme.header).filter_map(|value| String::from_utf8(value.to_vec()).ok()).collect();
    if values.len() > 1 {
        let detail = format!("the header {} is there {} times, and once is wanted", scheme.header, values.len());
        given.faults.push(Finding::new(Fault::HeaderRepeated, detail));
    }
    let list = scheme.configured.as_ref().and_then(|configured| configured.entries.as_ref());
    for value in values.iter().take(SIGNATURES_MAX) {
        match (scheme.spelling, list) {
            (spelling, Some(list)) => {
                for entry in entries(list, scheme, value, &mut given).take(SIGNATURES_MAX) {
                    match spelling {
                        Spelling::Token => read_token(scheme, entry, &mut given),
                        Spelling::Hex | Spelling::Base64 => read_digest(scheme, entry, &mut given),
                    }
                }
            }
            (Spelling::Token, None) => read_token(scheme, value, &mut given),
            (Spelling::Hex, None) => read_digest(scheme, value, &mut given),
            (Spelling::Base64, None) => {
                for entry in value.split_ascii_whitespace().take(SIGNATURES_MAX) {
                    read_digest(scheme, entry, &mut given);
                }
            }
        }
    }
    Some(given)
}

/// The values of a list that are signatures.
fn entries<'v>(list: &List, scheme: &Scheme, value: &'v str, given: &mut Given) -> std::vec::IntoIter<&'v str> {
    let all: Vec<(&str, &str)> = value
        .split(list.separator.as_str())
        .filter_map(|entry| entry.trim().split_once(list.assign.as_str()))
        .map(|(name, value)| (name.trim(), value.trim()))
        .collect();
    let found: Vec<&str> = all.iter().filter(|(name, _)| *name == list.name).map(|(_, value)| *value).collect();
    if found.is_empty() {
        let names: Vec<String> = all.iter().take(SIGNATURES_MAX).map(|(name, _)| shown(name)).collect();
        let there = if names.is_empty() { "no entries at all".to_owned() } else { names.join(", ") };
        let detail = format!("the header {} has no entry {}; there are: {there}", scheme.header, list.name);
        given.broken.get_or_insert(Finding::new(Fault::SignaturePrefix, detail));
    }
    found.into_iter()
}

fn read_token(scheme: &Scheme, value: &str, given: &mut Given) {
    let bare = unquoted(value, "token", given);
    if scheme.configured.is_some() {
        let token = match bare.strip_prefix(scheme.prefix.trim_end()) {
            Some(token) => token,
            None => {
                let detail = format!("the header {} lacks `{}` before the token", scheme.header, scheme.prefix);
                given.faults.push(Finding::new(Fault::SignaturePrefix, detail));
                bare.rsplit([' ', '=']).next().unwrap_or_default()
            }
        };
        given.token.get_or_insert_with(|| token.trim().to_owned());
        return;
    }
    let (scheme_word, token) = bare.split_once([' ', '\t']).unwrap_or(("", bare));
    let token = if token.len() < bare.len() { unquoted(token.trim(), "token", given) } else { token };
    if !scheme.prefix.is_empty() && !scheme_word.eq_ignore_ascii_case(scheme.prefix.trim_end()) {
        let detail = match scheme_word {
            "" => "the Authorization header lacks the word Bearer before the token".to_owned(),
            other => format!("the Authorization header has the scheme {}, and lacks the word Bearer", shown(other)),
        };
        given.faults.push(Finding::new(Fault::SignaturePrefix, detail));
    }
    given.token.get_or_insert_with(|| token.trim().to_owned());
}

fn read_digest(scheme: &Scheme, value: &str, given: &mut Given) {
    let bare = unquoted(value, "signature", given);
    let (marks, rest) = marks(bare, &scheme.prefix);
    if scheme.spelling == Spelling::Base64 && marks.first() == Some(&"v1a,") {
        // Another kind of key; nothing is wrong with it.
        given.digests.extend(base64_of(rest));
        return;
    }
    let is_in_full = bare.starts_with(&scheme.prefix);
    let fault = match marks.as_slice() {
        [] if !scheme.prefix.is_empty() => {
            Some(format!("the signature lacks the `{}` prefix before the digest", scheme.prefix))
        }
        [mark] if scheme.prefix.is_empty() => {
            Some(format!("the signature has a prefix (`{mark}`), and none is wanted"))
        }
        [mark, again, ..] => Some(format!(
            "the prefix is there twice (`{mark}{again}`): something added `{}` to a value that had it",
            scheme.prefix
        )),
        [mark] if !is_in_full => Some(format!("the signature begins with `{mark}`, and `{}` is wanted", scheme.prefix)),
        [] | [_] => None,
    };
    given.faults.extend(fault.map(|detail| Finding::new(Fault::SignaturePrefix, detail)));
    let is_hex = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex && [SHA1_DIGITS, SHA256_DIGITS, SHA512_DIGITS].contains(&rest.len()) {
        if scheme.spelling == Spelling::Base64 {
            let detail = "the signature is spelled in hex, and base64 is wanted";
            given.faults.push(Finding::new(Fault::SignatureSpelling, detail));
        } else if rest.bytes().any(|byte| byte.is_ascii_uppercase()) {
            let detail = "the signature is in upper-case hex, and lower case is wanted";
            given.faults.push(Finding::new(Fault::SignatureSpelling, detail));
        }
        given.digests.extend(hex::decode(rest));
    } else if let Some(digest) = base64_of(rest).filter(|digest| [20, 32, 64].contains(&digest.len())) {
        if scheme.spelling == Spelling::Hex {
            let detail = "the signature is spelled in base64, and hex is wanted";
            given.faults.push(Finding::new(Fault::SignatureSpelling, detail));
        }
        given.digests.push(digest);
    } else if is_hex {
        let wanted = if scheme.is_sha512 { SHA512_DIGITS } else { SHA256_DIGITS };
        let detail = format!(
            "the signature has {} hex digits where {wanted} are wanted: it was cut or is something else",
            rest.len()
        );
        given.broken.get_or_insert(Finding::new(Fault::SignatureLength, detail));
    }
}

fn unquoted<'v>(value: &'v str, what: &str, given: &mut Given) -> &'v str {
    let bare = value.trim().trim_matches(['"', '\'']);
    if bare.len() != value.len() {
        let detail = format!("the {what} has quotes or white space around it");
        let fault = Finding::new(Fault::SignatureSpelling, detail);
        if !given.faults.contains(&fault) {
            given.faults.push(fault);
        }
    }
    bare
}

/// Takes off `sha256=`, `SHA1=`, `v1=`, `v1,`, and what is wanted, however often they are there.
fn marks<'v>(value: &'v str, prefix: &str) -> (Vec<&'v str>, &'v str) {
    const MARKS: [&str; 7] = ["sha256=", "sha1=", "sha512=", "sha-256=", "v1a,", "v1,", "v1="];
    let (mut found, mut rest) = (Vec::new(), value);
    let all = || std::iter::once(prefix).filter(|prefix| !prefix.is_empty()).chain(MARKS);
    while let Some((mark, after)) = all().find_map(|mark| {
        let (start, after) = rest.split_at_checked(mark.len())?;
        start.eq_ignore_ascii_case(mark).then_some((start, after))
    }) {
        found.push(mark);
        rest = after;
    }
    (found, rest)
}

fn base64_of(text: &str) -> Option<Vec<u8>> {
    [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD].iter().find_map(|engine| engine.decode(text).ok())
}

/// What can be said of a signature that fits nothing.
pub(super) fn visible_fault(given: &Given, is_sha512: bool) -> Option<Finding> {
    if let Some(broken) = &given.broken {
        return Some(broken.clone());
    }
    let (wanted, digits) = if is_sha512 { ("SHA-512", SHA512_DIGITS) } else { ("SHA-256", SHA256_DIGITS) };
    match given.digests.first()?.len() {
        20 => Some(Finding::new(
            Fault::SignatureLength,
            format!(
                "the signature has {SHA1_DIGITS} hex digits, the length of SHA-1; {wanted} is wanted, which has \
                 {digits}: the sender signs with the wrong algorithm, or the value is a printed example"
            ),
        )),
        64 if !is_sha512 => Some(Finding::new(
            Fault::SignatureLength,
            "the signature has the length of SHA-512 (128 hex digits); SHA-256 is wanted, which has 64",
        )),
        32 if is_sha512 => Some(Finding::new(
            Fault::SignatureLength,
            "the signature has the length of SHA-256 (64 hex digits); SHA-512 is wanted, which has 128",
        )),
        _ => None,
    }
}

/// The header under a name that differs only in its separators, under another prefix of the same scheme, or a sibling's.
fn renamed_alike(scheme: &Scheme, headers: &Headers) -> Option<(Headers, Finding)> {
    let letters = |name: &str| {
        name.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase()).collect::<Vec<_>>()
    };
    let wanted = letters(&scheme.header);
    let alike = headers.iter().find(|(name, _)| letters(name) == wanted).map(|(name, _)| name.to_owned());
    // `X-Hub-Signature` for `X-Hub-Signature-256`, and the other way round.
    let sibling = || {
        let is_sibling =
            |name: &[u8]| name.len() >= 12 && name != wanted && (name.starts_with(&wanted) || wanted.starts_with(name));
        headers.iter().find(|(name, _)| is_sibling(&letters(name))).map(|(name, _)| name.to_owned())
    };
    if let Some(found) = alike.or_else(sibling) {
        let underscore = match scheme.header.contains('_') && letters(&found) == wanted {
            true => ": a proxy dropped or replaced the underscore (nginx: underscores_in_headers on)",
            false => "",
        };
        let detail = format!("the header is called {}, and {} is wanted{underscore}", shown(&found), scheme.header);
        let lines = headers.iter().map(|(name, value)| match name == found {
            true => (scheme.header.to_owned(), value.to_vec()),
            false => (name.to_owned(), value.to_vec()),
        });
        return Some((lines.collect(), Finding::new(Fault::HeaderName, detail)));
    }
    let family = scheme.header.strip_prefix("webhook-")?;
    let other = headers
        .iter()
        .find_map(|(name, _)| name.to_ascii_lowercase().strip_suffix(&format!("-{family}")).map(str::to_owned))?;
    let lines = headers.iter().map(|(name, value)| {
        let lower = name.to_ascii_lowercase();
        let renamed = lower.strip_prefix(&format!("{other}-")).map(|rest| format!("webhook-{rest}"));
        (renamed.unwrap_or_else(|| name.to_owned()), value.to_vec())
    });
    let detail = format!("the headers begin with {}-, and webhook- is wanted", shown(&other));
    Some((lines.collect(), Finding::new(Fault::HeaderName, detail)))
}

/// Headers in another letter case than the vendor's, all lower case excepted: that is what HTTP/2 and many frameworks
/// make of every name.
pub(super) fn recased(dialect: &'static Dialect, scheme: Option<&Scheme>, headers: &Headers) -> Vec<Finding> {
    let wanted: Vec<String> = match scheme.filter(|scheme| scheme.configured.is_some()) {
        Some(configured) => vec![configured.header.clone()],
        None => {
            let headers = probe(dialect, 0x5a).map(|(headers, _)| headers).unwrap_or_default();
            headers.into_iter().map(|header| header.name.to_owned()).collect()
        }
    };
    let common = ["content-type", "user-agent", "authorization"];
    let of_vendor = wanted.iter().filter(|name| !common.contains(&name.to_ascii_lowercase().as_str()));
    let is_recased = |given: &str, name: &str| {
        given.eq_ignore_ascii_case(name) && given != name && given != name.to_ascii_lowercase()
    };
    of_vendor
        .filter_map(|name| headers.iter().find(|(given, _)| is_recased(given, name)).map(|(given, _)| (given, name)))
        .map(|(given, name)| {
            let detail = format!(
                "the header {name} arrived as {}: a proxy wrote its name with other letters. Watchbell takes it, and a \
                 receiver that looks for the exact name does not find it",
                shown(given)
            );
            Finding::new(Fault::HeaderCase, detail)
        })
        .collect()
}

/// A time of sending that a header states.
pub(super) struct Stated {
    pub(super) at: Timestamp,
    /// What is odd about it.
    pub(super) odd: Option<Finding>,
}

/// The header with the signed time of sending, in the dialect that has one whatever the settings are.
const TIME_HEADER: &str = "webhook-timestamp";

pub(super) fn time_of_sending(question: &Question<'_>, scheme: Option<&Scheme>) -> Option<Stated> {
    let configured = scheme.and_then(|scheme| scheme.configured.as_ref());
    let (name, text, unit) = match configured {
        Some(configured) => {
            let (text, unit) = configured.time.as_ref()?;
            ("the signed time", text.as_str(), *unit)
        }
        None => {
            let text = std::str::from_utf8(question.headers.all(TIME_HEADER).next()?).ok()?;
            (TIME_HEADER, text, Unit::Seconds)
        }
    };
    let number = text.parse::<i64>().ok().filter(|number| *number >= 0);
    let in_millis = number.filter(|_| text.len() == 13).and_then(|number| Timestamp::from_millisecond(number).ok());
    let in_seconds = number.filter(|_| text.len() != 13).and_then(|number| Timestamp::from_second(number).ok());
    let (at, is, wanted) = match (unit, in_millis, in_seconds) {
        (Unit::Seconds, Some(at), _) => (at, "milliseconds", "seconds are"),
        (Unit::Millis, None, Some(at)) => (at, "seconds", "milliseconds are"),
        (Unit::Iso, Some(at), _) => (at, "milliseconds", "ISO 8601 is"),
        (Unit::Iso, None, Some(at)) => (at, "seconds", "ISO 8601 is"),
        (Unit::Seconds | Unit::Millis, _, _) => return in_seconds.or(in_millis).map(|at| Stated { at, odd: None }),
        (Unit::Iso, None, None) => return text.parse().ok().map(|at| Stated { at, odd: None }),
    };
    let age = in_words(question.now.duration_since(at));
    let detail = format!("{name} is in {is}; {wanted} wanted (read as {is} it is {age} old)");
    Some(Stated { at, odd: Some(Finding::new(Fault::TimeUnit, detail)) })
}
