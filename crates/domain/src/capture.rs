//! Capture inboxes: an address of our own that keeps and explains whatever is sent to it.
//!
//! ```text
//!  somebody's webhook ──▶ /capture/{token} ──▶ Captured 1, 2, 3 … (the oldest make way) ──▶ looked at, verified, forwarded
//! ```
//!
//! The token in the path lets write and nothing else; reading takes a key of the organisation. Everything has a bound:
//! inboxes of an organisation, requests and bytes of an inbox, the age of both.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use crate::id::{CaptureId, CapturedId, OrgId};

/// Most inboxes of one organisation, unless the operator says otherwise.
pub const INBOXES_MAX: u32 = 50;
/// Longest wait before an answer.
pub const DELAY_MAX: SignedDuration = SignedDuration::from_secs(30);
/// How long an inbox lives, unless it is said.
pub const TTL: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The longest it may, unless the operator says otherwise.
pub const TTL_MAX: SignedDuration = SignedDuration::from_hours(30 * 24);
/// The shortest.
pub const TTL_MIN: SignedDuration = SignedDuration::from_mins(1);
/// How long a request is kept at most, however long its inbox lives, unless the operator says otherwise.
pub const REQUEST_AGE_MAX: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How much an inbox keeps: beyond it the oldest requests make way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Requests.
    pub requests: u32,
    /// Bytes of their heads and bodies together.
    pub bytes: u64,
}

impl Default for Keep {
    fn default() -> Self {
        Self { requests: 500, bytes: 16 * 1024 * 1024 }
    }
}

/// What stands in an inbox's path: 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InboxToken(pub [u8; 16]);

impl std::fmt::Debug for InboxToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InboxToken([redacted])")
    }
}

impl InboxToken {
    /// As it stands in the path: 32 lower-case hex digits.
    pub fn text(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads a piece of a path; whatever is no token names nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let is_lower = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = u128::from_str_radix(text, 16).ok().filter(|_| is_lower && text.len() == 32)?;
        Some(Self(number.to_be_bytes()))
    }
}

/// An inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbox {
    /// Its id.
    pub id: CaptureId,
    /// Whose it is.
    pub org_id: OrgId,
    /// What stands in its path.
    pub token: InboxToken,
    /// Its name, unique in the organisation.
    pub name: String,
    /// What every request is answered.
    pub answer: CaptureAnswer,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it goes, with everything in it.
    pub expires_at: Timestamp,
}

/// What an inbox answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureAnswer {
    /// Status.
    pub status: u16,
    /// Header lines.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: String,
    /// How long the sender waits for it.
    pub delay: SignedDuration,
}

impl Default for CaptureAnswer {
    fn default() -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { status: 200, headers, body: "{}".to_owned(), delay: SignedDuration::ZERO }
    }
}

/// A request that was sent to an inbox, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// Its id.
    pub id: CapturedId,
    /// Whose.
    pub org_id: OrgId,
    /// Where it was sent.
    pub inbox_id: CaptureId,
    /// Counts the inbox's requests from 1, in the order in which they were written down; 0 before that.
    pub number: u64,
    /// When it was complete, or given up.
    pub received_at: Timestamp,
    /// Method.
    pub method: String,
    /// The whole path.
    pub path: String,
    /// What stands behind the question mark.
    pub query: Option<String>,
    /// `HTTP/1.1`.
    pub version: String,
    /// Header lines, with the letters and in the order in which they came.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, or its beginning. Lists leave it out.
    pub body: Vec<u8>,
    /// How long the body was, as far as it was read.
    pub body_bytes: u64,
    /// Whether `body` is all of it: it was not cut off, and it ended well.
    pub is_whole: bool,
    /// Where it came from.
    pub address: Option<IpAddr>,
}

impl Captured {
    /// What it counts towards [`Keep::bytes`].
    pub fn kept_bytes(&self) -> u64 {
        let lines = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        let head = self.method.len() + self.path.len() + self.query.as_ref().map_or(0, String::len);
        u64::try_from(head + lines + self.body.len()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_one_spelling() {
        let token = InboxToken([0xab; 16]);
        assert_eq!(InboxToken::parse(&token.text()), Some(token));
        for none in ["", "ab", &token.text().to_uppercase(), &format!("{}0", token.text()), &"+".repeat(32)] {
            assert_eq!(InboxToken::parse(none), None, "{none}");
        }
        assert!(!format!("{token:?}").contains("ab"));
    }
}
