//! What a destination needs beyond one signed POST to the endpoint's URL: settings of its own, another path, a body that
//! holds the key, an answer that must be read, a second request.
//!
//! ```text
//!  encode ──▶ body (kept: the same on every attempt) ──keyed──▶ POST target(path) ──▶ answer
//!                                                                                       │ judge
//!                                             the status decides · failed · refused · gone · ask something else
//! ```

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};

use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::EncodeError;
use crate::Event;
use crate::expression::{Misplaced, Template};

/// What an endpoint is configured with beyond its URL and credential: a JSON object whose members are the dialect's.
/// Holds no secret. Checked by [`Outbound::check_settings`](super::Outbound::check_settings) when it is saved.
#[derive(Clone, Default)]
pub struct Settings(Arc<Kept>);

#[derive(Default)]
struct Kept {
    members: Map<String, Value>,
    template: OnceLock<Result<Template, Misplaced>>,
}

/// The member that holds the template of the bodies, for dialects that take one.
const TEMPLATE: &str = "body";

impl Settings {
    /// Settings with these members.
    pub fn new(members: Map<String, Value>) -> Self {
        Self(Arc::new(Kept { members, template: OnceLock::new() }))
    }

    /// The members.
    pub fn members(&self) -> &Map<String, Value> {
        &self.0.members
    }

    /// The template of the bodies, where there is one: compiled when it is first asked for, once for all who share these
    /// settings.
    pub(super) fn template(&self) -> Option<Result<&Template, &Misplaced>> {
        let document = self.0.members.get(TEMPLATE).filter(|document| !document.is_null())?;
        Some(self.0.template.get_or_init(|| Template::compile(document)).as_ref())
    }

    /// The members as the dialect's own type, which says what each is when it is left out.
    ///
    /// # Errors
    /// When a member is unknown to it or of the wrong type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, SettingsError> {
        serde_path_to_error::deserialize(&self.0.members).map_err(|error| {
            let mut pointer = String::new();
            for segment in error.path() {
                use serde_path_to_error::Segment;
                match segment {
                    Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
                    Segment::Map { key } => pointer.push_str(&format!("/{key}")),
                    Segment::Enum { .. } | Segment::Unknown => {}
                }
            }
            SettingsError { pointer, detail: error.into_inner().to_string() }
        })
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Settings").field(&self.0.members).finish()
    }
}

impl PartialEq for Settings {
    fn eq(&self, other: &Self) -> bool {
        self.0.members == other.0.members
    }
}

/// Settings that a dialect cannot work with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("settings{pointer}: {detail}")]
pub struct SettingsError {
    /// Which member, as a JSON pointer into the settings; empty for the whole.
    pub pointer: String,
    /// What is wrong and what is wanted.
    pub detail: String,
}

impl From<&Misplaced> for SettingsError {
    fn from(misplaced: &Misplaced) -> Self {
        Self { pointer: format!("/{TEMPLATE}{}", misplaced.pointer), detail: misplaced.mistake.to_string() }
    }
}

impl From<SettingsError> for EncodeError {
    fn from(error: SettingsError) -> Self {
        Self::Data(error.to_string())
    }
}

/// How often something may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How many times a second.
    pub per_second: NonZeroU32,
    /// How many times at once.
    pub burst: NonZeroU32,
}

impl Pace {
    /// So often; a zero counts as one.
    pub const fn new(per_second: u32, burst: u32) -> Self {
        const fn at_least_one(count: u32) -> NonZeroU32 {
            match NonZeroU32::new(count) {
                Some(count) => count,
                None => NonZeroU32::MIN,
            }
        }
        Self { per_second: at_least_one(per_second), burst: at_least_one(burst) }
    }
}

/// What has been said to an endpoint in one attempt, and what it answered.
#[derive(Debug, Clone, Copy)]
pub struct Exchange<'a> {
    /// Id of the delivery, as in [`Message`](super::Message); of several at once, the first's.
    pub id: &'a str,
    /// What it is about; of several at once, the first.
    pub event: &'a Event,
    /// The endpoint's.
    pub settings: &'a Settings,
    /// The path of the endpoint's URL with its query.
    pub path: &'a str,
    /// Answers so far, the first request's first. Never empty.
    pub answers: &'a [Answer<'a>],
}

impl<'a> Exchange<'a> {
    /// The answer to the latest request.
    pub fn latest(&self) -> Option<&'a Answer<'a>> {
        self.answers.last()
    }
}

/// One complete answer, its body cut at 64 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The status.
    pub status: u16,
    /// Header lines, names in lower case.
    pub headers: &'a [(String, String)],
    /// The body as it came.
    pub body: &'a [u8],
}

impl<'a> Answer<'a> {
    /// The first header line of this name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(self.body).ok()
    }
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// What its status says: 2xx taken, 410 gone, anything else to be tried again.
    ByStatus,
    /// Not taken; to be tried again.
    Failed {
        /// What the endpoint said, for people.
        detail: String,
        /// How long it wants to be left alone, where it says so by other means than `Retry-After`.
        pause: Option<SignedDuration>,
    },
    /// Not taken, and never will be: this message is given up at once.
    Refused {
        /// What the endpoint said, for people.
        detail: String,
    },
    /// The endpoint is no more: it is disabled, as by a 410.
    Gone {
        /// What the endpoint said, for people.
        detail: String,
    },
    /// Taken, whatever the status says of the request as a whole.
    Taken,
    /// Not done: this is to be sent next, with the headers of the dialect.
    Ask(Request),
    /// As [`Self::Ask`], after a while. An attempt whose time does not last so long has failed.
    AskLater {
        /// How long to wait before.
        wait: SignedDuration,
        /// What to send then.
        request: Request,
    },
}

/// How many deliveries may go out at once, as it stands in settings: 1 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u16")]
pub(super) struct BatchMax(u16);

impl BatchMax {
    pub(super) fn get(self) -> usize {
        self.0.into()
    }
}

impl Default for BatchMax {
    fn default() -> Self {
        Self(1)
    }
}

impl TryFrom<u16> for BatchMax {
    type Error = &'static str;

    fn try_from(given: u16) -> Result<Self, Self::Error> {
        match given {
            1..=1000 => Ok(Self(given)),
            _ => Err("1 to 1000 are wanted"),
        }
    }
}

/// One of several deliveries that go out at once.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// What it is about.
    pub event: &'a Event,
    /// What [`Outbound::encode`](super::Outbound::encode) made of it.
    pub body: &'a [u8],
}

/// How messages of syslog's are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framing {
    /// On a stream: the length before each message (RFC 6587, section 3.4.1); else a line feed behind it.
    pub counts_octets: bool,
    /// Longest datagram, in bytes.
    pub datagram_bytes_max: usize,
}

impl Default for Framing {
    fn default() -> Self {
        Self { counts_octets: true, datagram_bytes_max: 1024 }
    }
}

/// A mail as it is kept until it is sent: the body that a dialect of [`Carrier::Smtp`](super::Carrier::Smtp) makes, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// The sender's address.
    pub from: String,
    /// The recipients' addresses.
    pub to: Vec<String>,
    /// One line.
    pub subject: String,
    /// The text part.
    pub text: String,
    /// The HTML part, everything foreign in it escaped.
    pub html: String,
    /// `Date`.
    pub date: Timestamp,
    /// `Message-ID`, with its angle brackets.
    pub message_id: String,
    /// `In-Reply-To` and `References`, with its angle brackets.
    pub in_reply_to: Option<String>,
}

/// A further request of the same attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, `PUT`.
    pub method: &'static str,
    /// Path and query.
    pub target: String,
    /// The body; empty for none.
    pub body: Vec<u8>,
}
