//! How requests of a dialect are signed, as far as somebody has to know who explains why one is refused.
//!
//! Most dialects are seen from what they sign. One by configuration says it itself, by the settings of its receiver:
//! [`Inbound::scheme`](super::Inbound::scheme).

/// Where a signature or token stands, and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheme {
    /// The header's name.
    pub header: String,
    /// What stands before the digest or token: `sha256=`, `v1,`, `Bearer `.
    pub prefix: String,
    /// How the rest is spelled.
    pub spelling: Spelling,
    /// SHA-512 is wanted, and not SHA-256.
    pub is_sha512: bool,
    /// What the receiver's settings say beyond that; `None`: the dialect itself says it.
    pub configured: Option<Configured>,
}

/// How a digest or token is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// Lower-case hexadecimal digits.
    Hex,
    /// Base64.
    Base64,
    /// The secret itself.
    Token,
}

/// What settings say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configured {
    /// How the key is written in the secret, in words.
    pub key: &'static str,
    /// The header is a list.
    pub entries: Option<List>,
    /// The signed time as the request states it, where one is wanted and stated.
    pub time: Option<(String, Unit)>,
}

/// A header that is a list of names and values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Between its entries.
    pub separator: String,
    /// Between an entry's name and its value.
    pub assign: String,
    /// The name of a signature.
    pub name: String,
}

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
    /// ISO 8601.
    Iso,
}
