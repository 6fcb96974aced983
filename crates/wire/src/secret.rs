//! What authenticates a message: the text as it is configured, and the key made of it.

use std::fmt;

use hmac::{Hmac, KeyInit};
use sha2::Sha256;
use zeroize::Zeroizing;

/// A credential as text, exactly as configured: `whsec_…`, hex, a token. Wiped on drop, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text as it is, without trimming.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself. The name is long so that its uses are easy to find.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `••••last4`: what may be shown after the secret was shown once. Short secrets show nothing of themselves.
    pub fn masked(&self) -> String {
        let tail: String = match self.0.chars().count() {
            count if count >= 16 => self.0.chars().skip(count - 4).collect(),
            _ => String::new(),
        };
        format!("••••{tail}")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A key ready for use, made from a [`Secret`] by the dialect's rule (hex-decoded, base64-decoded, or the text itself).
#[derive(Clone)]
pub enum Key {
    /// HMAC-SHA256 with its key schedule already computed.
    Hmac(Hmac<Sha256>),
    /// Ed25519, able to sign (and to verify).
    Ed25519(Box<ed25519_dalek::SigningKey>),
    /// Ed25519, able to verify only.
    Ed25519Public(Box<ed25519_dalek::VerifyingKey>),
    /// A bearer token, compared and never used as a key.
    Token(Secret),
}

impl Key {
    /// An HMAC-SHA256 key of any length, as RFC 2104 allows. Whether a length is acceptable is the dialect's rule.
    pub fn hmac(key: &[u8]) -> Self {
        match Hmac::<Sha256>::new_from_slice(key) {
            Ok(mac) => Self::Hmac(mac),
            Err(_) => unreachable!("HMAC takes a key of any length"),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hmac(_) => "Key::Hmac([redacted])",
            Self::Ed25519(_) => "Key::Ed25519([redacted])",
            Self::Ed25519Public(_) => "Key::Ed25519Public",
            Self::Token(_) => "Key::Token([redacted])",
        })
    }
}

/// Why a text cannot be used as a dialect's secret. The message says what is wanted; it never repeats the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The text is empty.
    #[error("the secret is empty")]
    Empty,
    /// The text, or the key it decodes to, has the wrong length.
    #[error("the secret has {bytes} bytes; {wanted}")]
    Length {
        /// Bytes of the key found.
        bytes: usize,
        /// What is wanted, in words.
        wanted: &'static str,
    },
    /// The text is not in the dialect's spelling.
    #[error("the secret is not {wanted}")]
    Spelling {
        /// What is wanted, in words.
        wanted: &'static str,
    },
}
