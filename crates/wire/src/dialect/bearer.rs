//! A bearer token in the `Authorization` header (RFC 6750): what authenticates the dialects that sign nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::{Choice, ConstantTimeEq as _};

use super::message::KEY_BYTES_MIN;
use super::{EncodeError, Exchange, Header, Judgement, Secrets};
use crate::{Headers, Key, Reason, Refusal, Secret, SecretError, Unverified};

const AUTHORIZATION: &str = "Authorization";

/// Whether the request carries one of the tokens.
pub(super) fn verify(request: &Unverified, keys: &[Key]) -> Result<(), Refusal> {
    let given = token(request.headers())?;
    let mut matched = Choice::from(0);
    for key in keys {
        if let Key::Token(expected) = key {
            // Slices of different lengths are unequal at once; the length is no secret.
            matched |= expected.expose().as_bytes().ct_eq(given);
        }
    }
    if matched.into() {
        return Ok(());
    }
    Err(Refusal::new(Reason::SignatureMismatch, "the bearer token is not the one that was agreed on"))
}

/// The header with the first token.
pub(super) fn header(keys: &[Key]) -> Result<Header, EncodeError> {
    let token = keys.iter().find_map(|key| if let Key::Token(token) = key { Some(token) } else { None });
    let Some(token) = token else {
        return Err(EncodeError::Key { wanted: "a bearer token" });
    };
    Ok(Header { name: AUTHORIZATION, value: format!("Bearer {}", token.expose()) })
}

/// A receiver's refusal of the token or of the message does not change by asking again.
pub(super) fn judge(exchange: &Exchange<'_>) -> Judgement {
    match exchange.latest().map(|answer| answer.status) {
        Some(status @ (400 | 401)) => Judgement::Refused { detail: format!("the receiver refused with {status}") },
        _ => Judgement::ByStatus,
    }
}

/// The token of exactly one `Authorization: Bearer …`, scheme in any letter case, one space or more.
fn token(headers: &Headers) -> Result<&[u8], Refusal> {
    let missing = |detail| Refusal::new(Reason::SignatureMissing, detail);
    let value = headers.one(AUTHORIZATION).map_err(|refusal| {
        // A second header is answered as a wrong token: an outsider learns nothing from it.
        Refusal::new(Reason::SignatureMalformed, refusal.detail)
    })?;
    let Some(value) = value else {
        return Err(missing("the header Authorization is missing"));
    };
    let wanted = "the header Authorization must hold `Bearer`, a space and the token";
    match value.split_at_checked(6) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(b"bearer") && rest.starts_with(b" ") => {
            match rest.trim_ascii_start() {
                [] => Err(missing("the header Authorization holds no token")),
                // A tab is no space, and trimming has taken tabs along.
                token if rest.iter().take(rest.len() - token.len()).all(|&byte| byte == b' ') => Ok(token),
                _ => Err(missing(wanted)),
            }
        }
        _ => Err(missing(wanted)),
    }
}

/// Tokens of RFC 6750: letters, digits, `-._~+/`, then `=`.
pub(super) struct Tokens;

impl Secrets for Tokens {
    fn key(&self, secret: &Secret) -> Result<Key, SecretError> {
        let text = secret.expose();
        if text.is_empty() {
            return Err(SecretError::Empty);
        }
        let symbol = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        let unpadded = text.trim_end_matches('=');
        if unpadded.is_empty() || !unpadded.bytes().all(symbol) {
            return Err(SecretError::Spelling { wanted: "a bearer token: letters, digits and -._~+/, then = signs" });
        }
        Ok(Key::Token(secret.clone()))
    }

    fn check(&self, secret: &Secret) -> Result<Secret, SecretError> {
        self.key(secret)?;
        match secret.expose().len() {
            bytes if bytes < KEY_BYTES_MIN => Err(SecretError::Length { bytes, wanted: "at least 16 are wanted" }),
            _ => Ok(secret.clone()),
        }
    }

    fn make(&self, random: [u8; 32]) -> Secret {
        Secret::new(URL_SAFE_NO_PAD.encode(random))
    }
}
