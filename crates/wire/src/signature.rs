//! Making and comparing digests, in the one spelling that most vendors share: lower-case hex of HMAC-SHA256.
//!
//! Lengths are compared first (they are no secret), digests in constant time. Every key is tried, whether an earlier one
//! fitted or not.
//!
//! [`BodyDigest`] is the whole scheme of the vendors that sign nothing but the raw body: Snyk, Aegis, GitHub.

use hmac::Mac as _;
use subtle::{Choice, ConstantTimeEq as _};

use crate::dialect::EncodeError;
use crate::{Headers, Key, Reason, Refusal, Unverified};

/// Bytes of an HMAC-SHA256.
pub(crate) const DIGEST_BYTES: usize = 32;

/// One header with `sha256=` and the lower-case hex HMAC-SHA256 of the raw body; the key is the secret's UTF-8 bytes.
pub(crate) struct BodyDigest {
    /// The header's name in the vendor's casing.
    pub(crate) header: &'static str,
}

impl BodyDigest {
    const PREFIX: &str = "sha256=";

    /// The header's value.
    pub(crate) fn sign(&self, body: &[u8], keys: &[Key]) -> Result<String, EncodeError> {
        sign_hex(Self::PREFIX, body, keys)
    }

    pub(crate) fn verify(&self, request: &Unverified, keys: &[Key]) -> Result<(), Refusal> {
        let given = read_hex(request.headers(), self.header, Self::PREFIX)?;
        verify_hex(&given, request.body(), keys, "the raw body")
    }
}

/// HMAC-SHA256 of the parts in a row; `None` for a key of another kind.
pub(crate) fn digest(key: &Key, parts: &[&[u8]]) -> Option<[u8; DIGEST_BYTES]> {
    let Key::Hmac(prepared) = key else { return None };
    let mut mac = prepared.clone();
    parts.iter().for_each(|part| mac.update(part));
    Some(mac.finalize().into_bytes().into())
}

/// The header value that a sender sets: `prefix` and the digest of `signed` with the first HMAC key.
pub(crate) fn sign_hex(prefix: &str, signed: &[u8], keys: &[Key]) -> Result<String, EncodeError> {
    let made = keys.iter().find_map(|key| digest(key, &[signed]));
    match made {
        Some(digest) => Ok(format!("{prefix}{}", hex::encode(digest))),
        None => Err(EncodeError::Key { wanted: "HMAC-SHA256" }),
    }
}

/// Reads the signature header `name`: `prefix` and 64 lower-case hex digits, given once.
pub(crate) fn read_hex(headers: &Headers, name: &'static str, prefix: &str) -> Result<[u8; DIGEST_BYTES], Refusal> {
    let missing = |detail: String| Err(Refusal::new(Reason::SignatureMissing, detail));
    let value = match headers.one(name)? {
        None => return missing(format!("the header {name} is missing{}", look_alike(headers, name))),
        Some([]) => return missing(format!("the header {name} is empty")),
        Some(value) => value,
    };
    let malformed = |what: String| Refusal::new(Reason::SignatureMalformed, format!("{name}: {what}"));
    let Some(digits) = value.strip_prefix(prefix.as_bytes()) else {
        return Err(malformed(format!("the value must begin with `{prefix}` in lower case, before the digest")));
    };
    let mut digest = [0; DIGEST_BYTES];
    let lower_case = digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if lower_case && hex::decode_to_slice(digits, &mut digest).is_ok() {
        return Ok(digest);
    }
    let place = if prefix.is_empty() { String::new() } else { format!(" after `{prefix}`") };
    Err(malformed(format!("64 lower-case hex digits are wanted{place}; {}", describe(digits))))
}

/// Checks `given` against the digest of `signed` with each key.
pub(crate) fn verify_hex(given: &[u8; DIGEST_BYTES], signed: &[u8], keys: &[Key], what: &str) -> Result<(), Refusal> {
    let mut matched = Choice::from(0);
    for key in keys {
        if let Some(expected) = digest(key, &[signed]) {
            matched |= expected.ct_eq(given);
        }
    }
    if matched.into() {
        return Ok(());
    }
    let detail = format!(
        "the signature does not belong to {what} and this secret: either the secret is another one, or what was signed \
         is not what arrived"
    );
    Err(Refusal::new(Reason::SignatureMismatch, detail))
}

/// Names a header that somebody may have meant: another separator, another digest.
fn look_alike(headers: &Headers, name: &str) -> String {
    let plain = |name: &str| name.to_ascii_lowercase().replace('_', "-");
    let wanted = plain(name);
    let found = headers.iter().find(|(given, _)| plain(given).starts_with(&wanted));
    match found {
        Some((given, _)) if given.len() == name.len() => format!(
            "; a header {given:?} is there, which is not the same name (a proxy may have replaced the underscore)"
        ),
        Some((given, _)) => format!("; a header {given:?} is there, which is not the same name"),
        None => String::new(),
    }
}

fn describe(digits: &[u8]) -> String {
    let hex = digits.iter().all(u8::is_ascii_hexdigit);
    let base64 =
        digits.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_'));
    match digits.len() {
        0 => "the digest is missing".to_owned(),
        64 if hex => "found upper-case digits".to_owned(),
        40 if hex => "found 40, the length of a SHA-1 digest".to_owned(),
        128 if hex => "found 128, the length of a SHA-512 digest".to_owned(),
        count if hex => format!("found {count}"),
        _ if digits.contains(&b'=') && digits.starts_with(b"sha") => {
            "found a prefix, which this header does not have".to_owned()
        }
        44 if base64 => "found what looks like base64".to_owned(),
        count => format!("found {count} bytes that are not all hex digits"),
    }
}
