//! The event vocabulary: what may happen, and what each event says.
//!
//! An [`Event`] is an immutable fact: id, type, time, data. `data` is kept as the text that was posted, byte for byte,
//! because pass-through dialects send it on unchanged; the typed structs of this module are views of it, read when a
//! dialect needs to say something in a vendor's words. Members the structs do not know are kept in the text.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

mod catalogue;
mod check;
mod project;
mod system;
mod vulnerability;
mod work;

pub(crate) use check::check_value;
pub use check::{Mismatch, check};
pub use project::*;
pub use system::*;
pub use vulnerability::*;
pub use work::*;

/// A fact of one organisation.
#[derive(Debug, Clone)]
pub struct Event {
    /// UUIDv7. Vendors that speak of the event by a GUID get this one.
    pub id: Uuid,
    /// What happened.
    pub event_type: EventType,
    /// When it happened (not when it was told).
    pub occurred_at: Timestamp,
    /// What is said about it: a JSON object.
    pub data: Data,
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
            && self.event_type == other.event_type
            && self.occurred_at == other.occurred_at
            && self.data == other.data
    }
}

/// An event's data: the text of one JSON object, kept byte for byte.
#[derive(Debug, Clone)]
pub struct Data(Box<RawValue>);

/// The same text.
impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Data {
    /// Takes text that is known to be a JSON object (see [`crate::json::strict`]).
    ///
    /// # Errors
    /// When it is not JSON or not an object.
    pub fn from_text(text: String) -> Result<Self, serde_json::Error> {
        Self::object(RawValue::from_string(text)?)
    }

    /// Takes a part of JSON that was read.
    ///
    /// # Errors
    /// When it is not an object.
    pub fn from_raw(raw: &RawValue) -> Result<Self, serde_json::Error> {
        Self::object(raw.to_owned())
    }

    fn object(raw: Box<RawValue>) -> Result<Self, serde_json::Error> {
        if !raw.get().starts_with('{') {
            return Err(serde::de::Error::custom("data is not an object"));
        }
        Ok(Self(raw))
    }

    /// Writes a typed struct as data.
    pub fn from_typed<T: Serialize>(data: &T) -> Self {
        match serde_json::value::to_raw_value(data) {
            Ok(raw) => Self(raw),
            Err(_) => unreachable!("event data structs have text keys and no failing serializers"),
        }
    }

    /// The JSON text.
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// The data with these members in the place of its own of the same names; all others stay as they are.
    #[must_use]
    pub fn with_members(&self, members: &serde_json::Map<String, serde_json::Value>) -> Self {
        let read = |text: &str| crate::json::tree::Value::read(text.as_bytes());
        let Ok(crate::json::tree::Value::Object(mut object)) = read(self.text()) else { return self.clone() };
        for (name, value) in members {
            if let Ok(value) = read(&value.to_string()) {
                object.set(name, value);
            }
        }
        Self::from_text(crate::json::tree::Value::Object(object).to_text()).unwrap_or_else(|_| self.clone())
    }

    /// Reads the data as one of this module's structs.
    ///
    /// # Errors
    /// When a member is missing or of the wrong type.
    pub fn typed<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.text())
    }
}

/// Ours for every vendor's scale. Ordered: `Critical` is the greatest.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nobody said.
    #[default]
    Unknown,
    /// Worth knowing, no risk.
    Info,
    /// Low.
    Low,
    /// Medium (GitHub: moderate).
    Medium,
    /// High.
    High,
    /// Critical.
    Critical,
}

impl Severity {
    /// Every severity, the mildest first.
    pub const ALL: [Self; 6] = [Self::Unknown, Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.as_str() == text)
    }

    /// `critical`, `high`, `medium`, `low`, `info`, `unknown`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

macro_rules! event_types {
    ($( $(#[$doc:meta])* $variant:ident = $text:literal, )+) => {
        /// What happened. The text form is `word.word…` in lower case.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventType {
            $( $(#[$doc])* $variant, )+
            /// A type of the organisation's own catalogue.
            Custom(CustomType),
        }

        impl EventType {
            /// Every type of ours, in catalogue order.
            pub const BUILT_IN: &'static [EventType] = &[$(EventType::$variant),+];

            /// The text form.
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$variant => $text, )+
                    Self::Custom(custom) => &custom.0,
                }
            }
        }

        impl FromStr for EventType {
            type Err = EventTypeError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $( $text => Ok(Self::$variant), )+
                    _ => CustomType::new(text).map(Self::Custom),
                }
            }
        }
    };
}

event_types! {
    /// An endpoint is tried.
    WebhookPing = "webhook.ping",
    /// A known project was tested again.
    ProjectSnapshot = "project.snapshot",
    /// A scan began.
    ScanStarted = "scan.started",
    /// A scan ended.
    ScanCompleted = "scan.completed",
    /// A scan could not be carried out, or its report not be read.
    ScanFailed = "scan.failed",
    /// A scan found so many new vulnerabilities that they are told at once.
    ScanDigest = "scan.digest",
    /// A finding was seen for the first time.
    VulnerabilityCreated = "vulnerability.created",
    /// Told beside `created` when the severity is critical.
    VulnerabilityCritical = "vulnerability.critical",
    /// A finding is gone.
    VulnerabilityRemediated = "vulnerability.remediated",
    /// A finding that was gone is back.
    VulnerabilityReopened = "vulnerability.reopened",
    /// A finding was suppressed, or its risk accepted.
    VulnerabilitySuppressed = "vulnerability.suppressed",
    /// What is known of a finding changed.
    VulnerabilityChanged = "vulnerability.changed",
    /// A plan of action's deadline comes near.
    PoamDeadlineApproaching = "poam.deadline_approaching",
    /// A plan of action's deadline has passed.
    PoamOverdue = "poam.overdue",
    /// A plan of action was carried out.
    PoamCompleted = "poam.completed",
    /// An uploaded document was processed.
    EvidenceCompleted = "evidence.completed",
    /// An uploaded document could not be processed.
    EvidenceFailed = "evidence.failed",
    /// A lesson was completed.
    TrainingCompleted = "training.completed",
    /// An endpoint was disabled.
    EndpointDisabled = "endpoint.disabled",
    /// A delivery was given up.
    DeliveryDeadLettered = "delivery.dead_lettered",
    /// A source that usually calls has fallen quiet.
    SourceSilent = "source.silent",
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for EventType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for EventType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A type of an organisation's own: `word.word…`, words of `a-z 0-9 _` that begin with a letter, at most 128 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomType(String);

impl CustomType {
    /// Longest text form, in characters.
    pub const LENGTH_MAX: usize = 128;

    fn new(text: &str) -> Result<Self, EventTypeError> {
        let is_word = |word: &str| {
            word.starts_with(|c: char| c.is_ascii_lowercase())
                && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        let well_formed = text.len() <= Self::LENGTH_MAX && text.contains('.') && text.split('.').all(is_word);
        if well_formed { Ok(Self(text.to_owned())) } else { Err(EventTypeError) }
    }
}

/// The text is no event type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event type is two or more words of a-z, 0-9 and _ joined by full stops, at most 128 characters")]
pub struct EventTypeError;
