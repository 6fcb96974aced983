//! Where a dialect puts its signature, and what may have become of it there.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use jiff::Timestamp;

use super::{Fault, Finding, Question, in_words, shown};
use crate::{Dialect, Header, Headers, Key, Message};

/// Digits of an HMAC-SHA256 in hex.
const SHA256_DIGITS: usize = 64;
/// Digits of SHA-1 in hex.
const SHA1_DIGITS: usize = 40;
/// Digits of SHA-512 in hex.
const SHA512_DIGITS: usize = 128;

/// Signatures of one request that are looked at; two secrets need two.
const SIGNATURES_MAX: usize = 10;

/// A dialect's signature header.
#[derive(Debug)]
pub(super) struct Format {
    /// Its name.
    pub(super) header: &'static str,
    /// What stands before the digest or token: `sha256=`, `v1,`, `Bearer `.
    pub(super) prefix: &'static str,
    /// How the rest is spelled.
    pub(super) spelling: Spelling,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    Hex,
    Base64,
    Token,
}

/// The headers of a message that says nothing.
pub(super) fn probe(dialect: &'static Dialect, random: u8) -> Option<(Vec<Header>, Key)> {
    let key = dialect.secrets.key(&dialect.secrets.make([random; 32])).ok()?;
    let time = Timestamp::UNIX_EPOCH;
    let message = Message { id: "probe", event: "probe", occurred_at: time, sent_at: time, body: b"{}" };
    Some((dialect.sign(&message, std::slice::from_ref(&key)).ok()?, key))
}

impl Format {
    /// Seen from two messages signed with two secrets: what differs is the signature.
    pub(super) fn of(dialect: &'static Dialect) -> Option<Self> {
        // What is not received has no receiver to explain anything to.
        dialect.inbound?;
        // How a dialect by configuration signs stands in a source's settings, which are not known here.
        if dialect.id == "custom" {
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
        Some(Self { header: signature.name, prefix, spelling })
    }
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
pub(super) fn read(format: &Format, headers: &Headers) -> Option<Given> {
    let mut given =
        Given { headers: headers.clone(), digests: Vec::new(), token: None, faults: Vec::new(), broken: None };
    if headers.all(format.header).next().is_none() {
        let (lines, fault) = renamed_alike(format, headers)?;
        given.headers = lines;
        given.faults.push(fault);
    }
    let values: Vec<String> =
        given.headers.all(format.header).filter_map(|value| String::from_utf8(value.to_vec()).ok()).collect();
    if values.len() > 1 {
        let detail = format!("the header {} is there {} times, and once is wanted", format.header, values.len());
        given.faults.push(Finding::new(Fault::HeaderRepeated, detail));
    }
    for value in values.iter().take(SIGNATURES_MAX) {
        match format.spelling {
            Spelling::Token => read_token(format, value, &mut given),
            Spelling::Hex => read_digest(format, value, &mut given),
            Spelling::Base64 => {
                for entry in value.split_ascii_whitespace().take(SIGNATURES_MAX) {
                    read_digest(format, entry, &mut given);
                }
            }
        }
    }
    Some(given)
}

fn read_token(format: &Format, value: &str, given: &mut Given) {
    let bare = unquoted(value, given);
    let (scheme, token) = bare.split_once([' ', '\t']).unwrap_or(("", bare));
    if !format.prefix.is_empty() && !scheme.eq_ignore_ascii_case(format.prefix.trim_end()) {
        let detail = match scheme {
            "" => "the Authorization header lacks the word Bearer before the token".to_owned(),
            other => format!("the Authorization header has the scheme {}, and lacks the word Bearer", shown(other)),
        };
        given.faults.push(Finding::new(Fault::SignaturePrefix, detail));
    }
    given.token.get_or_insert_with(|| token.trim().to_owned());
}

fn read_digest(format: &Format, value: &str, given: &mut Given) {
    let bare = unquoted(value, given);
    let (marks, rest) = marks(bare);
    if format.spelling == Spelling::Base64 && marks.first() == Some(&"v1a,") {
        // Another kind of key; nothing is wrong with it.
        given.digests.extend(base64_of(rest));
        return;
    }
    let is_in_full = bare.starts_with(format.prefix);
    let fault = match marks.as_slice() {
        [] if !format.prefix.is_empty() => {
            Some(format!("the signature lacks the `{}` prefix before the digest", format.prefix))
        }
        [mark] if format.prefix.is_empty() => {
            Some(format!("the signature has a prefix (`{mark}`), and none is wanted"))
        }
        [mark, again, ..] => Some(format!(
            "the prefix is there twice (`{mark}{again}`): something added `{}` to a value that had it",
            format.prefix
        )),
        [mark] if !is_in_full => Some(format!("the signature begins with `{mark}`, and `{}` is wanted", format.prefix)),
        [] | [_] => None,
    };
    given.faults.extend(fault.map(|detail| Finding::new(Fault::SignaturePrefix, detail)));
    let is_hex = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex && [SHA1_DIGITS, SHA256_DIGITS, SHA512_DIGITS].contains(&rest.len()) {
        if format.spelling == Spelling::Base64 {
            let detail = "the signature is spelled in hex, and base64 is wanted";
            given.faults.push(Finding::new(Fault::SignatureSpelling, detail));
        } else if rest.bytes().any(|byte| byte.is_ascii_uppercase()) {
            let detail = "the signature is in upper-case hex, and lower case is wanted";
            given.faults.push(Finding::new(Fault::SignatureSpelling, detail));
        }
        given.digests.extend(hex::decode(rest));
    } else if let Some(digest) = base64_of(rest).filter(|digest| [20, 32, 64].contains(&digest.len())) {
        if format.spelling == Spelling::Hex {
            let detail = "the signature is spelled in base64, and hex is wanted";
            given.faults.push(Finding::new(Fault::SignatureSpelling, detail));
        }
        given.digests.push(digest);
    } else if is_hex {
        let detail = format!(
            "the signature has {} hex digits where {SHA256_DIGITS} are wanted: it was cut or is something else",
            rest.len()
        );
        given.broken.get_or_insert(Finding::new(Fault::SignatureLength, detail));
    }
}

fn unquoted<'v>(value: &'v str, given: &mut Given) -> &'v str {
    let bare = value.trim().trim_matches(['"', '\'']);
    if bare.len() != value.len() {
        let detail = "the signature has quotes or white space around it";
        given.faults.push(Finding::new(Fault::SignatureSpelling, detail));
    }
    bare
}

/// Takes off `sha256=`, `SHA1=`, `v1=`, `v1,`, however often they are there.
fn marks(value: &str) -> (Vec<&str>, &str) {
    const MARKS: [&str; 7] = ["sha256=", "sha1=", "sha512=", "sha-256=", "v1a,", "v1,", "v1="];
    let (mut found, mut rest) = (Vec::new(), value);
    while let Some((mark, after)) = MARKS.iter().find_map(|mark| {
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
pub(super) fn visible_fault(given: &Given) -> Option<Finding> {
    if let Some(broken) = &given.broken {
        return Some(broken.clone());
    }
    match given.digests.first()?.len() {
        20 => Some(Finding::new(
            Fault::SignatureLength,
            format!(
                "the signature has {SHA1_DIGITS} hex digits, the length of SHA-1; SHA-256 is wanted, which has \
                 {SHA256_DIGITS}: the sender signs with the wrong algorithm, or the value is a printed example"
            ),
        )),
        64 => Some(Finding::new(
            Fault::SignatureLength,
            "the signature has the length of SHA-512 (128 hex digits); SHA-256 is wanted, which has 64",
        )),
        _ => None,
    }
}

/// The header under a name that differs only in its separators, under another prefix of the same scheme, or a sibling's.
fn renamed_alike(format: &Format, headers: &Headers) -> Option<(Headers, Finding)> {
    let letters = |name: &str| {
        name.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase()).collect::<Vec<_>>()
    };
    let wanted = letters(format.header);
    let alike = headers.iter().find(|(name, _)| letters(name) == wanted).map(|(name, _)| name.to_owned());
    // `X-Hub-Signature` for `X-Hub-Signature-256`, and the other way round.
    let sibling = || {
        let is_sibling =
            |name: &[u8]| name.len() >= 12 && name != wanted && (name.starts_with(&wanted) || wanted.starts_with(name));
        headers.iter().find(|(name, _)| is_sibling(&letters(name))).map(|(name, _)| name.to_owned())
    };
    if let Some(found) = alike.or_else(sibling) {
        let underscore = match format.header.contains('_') && letters(&found) == wanted {
            true => ": a proxy dropped or replaced the underscore (nginx: underscores_in_headers on)",
            false => "",
        };
        let detail = format!("the header is called {}, and {} is wanted{underscore}", shown(&found), format.header);
        let lines = headers.iter().map(|(name, value)| match name == found {
            true => (format.header.to_owned(), value.to_vec()),
            false => (name.to_owned(), value.to_vec()),
        });
        return Some((lines.collect(), Finding::new(Fault::HeaderName, detail)));
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
    let detail = format!("the headers begin with {}-, and webhook- is wanted", shown(&other));
    Some((lines.collect(), Finding::new(Fault::HeaderName, detail)))
}

/// Headers in another letter case than the vendor's, all lower case excepted: that is what HTTP/2 and many frameworks
/// make of every name.
pub(super) fn recased(dialect: &'static Dialect, headers: &Headers) -> Vec<Finding> {
    let Some((wanted, _)) = probe(dialect, 0x5a) else {
        return Vec::new();
    };
    let common = ["content-type", "user-agent", "authorization"];
    let of_vendor = wanted.iter().filter(|header| !common.contains(&header.name.to_ascii_lowercase().as_str()));
    let is_recased = |given: &str, name: &str| {
        given.eq_ignore_ascii_case(name) && given != name && given != name.to_ascii_lowercase()
    };
    of_vendor
        .filter_map(|header| {
            headers.iter().find(|(given, _)| is_recased(given, header.name)).map(|(given, _)| (given, header))
        })
        .map(|(given, header)| {
            let detail = format!(
                "the header {} arrived as {}: a proxy wrote its name with other letters. Watchbell takes it, and a \
                 receiver that looks for the exact name does not find it",
                header.name,
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

/// The header with the signed time of sending, in the dialects that have one.
const TIME_HEADER: &str = "webhook-timestamp";

pub(super) fn time_of_sending(question: &Question<'_>) -> Option<Stated> {
    let digits = std::str::from_utf8(question.headers.all(TIME_HEADER).next()?).ok()?;
    let number: i64 = digits.parse().ok()?;
    let in_millis = Timestamp::from_millisecond(number).ok().filter(|_| digits.len() == 13);
    if let Some(at) = in_millis {
        let age = in_words(question.now.duration_since(at));
        let detail =
            format!("{TIME_HEADER} is in milliseconds; seconds are wanted (read as milliseconds it is {age} old)");
        return Some(Stated { at, odd: Some(Finding::new(Fault::TimeUnit, detail)) });
    }
    Timestamp::from_second(number).ok().map(|at| Stated { at, odd: None })
}
