//! CloudEvents 1.0 over HTTP: any event, with a bearer token.
//!
//! Source: <https://github.com/cloudevents/spec>, the core, JSON format, HTTP binding and web hook documents. There is no
//! signature: the `Authorization` header carries the configured token, and nothing else authenticates a message.
//! Received are all three content modes; sent is the structured one, whose body says everything by itself. Vectors:
//! `tests/vectors/cloudevents.json`; the validation handshake (OPTIONS) and the media type are the HTTP edge's to judge.
//!
//! Encoded: `id` is the event's, `source` is `/watchbell`, `type` is `watchbell.security.` and our type, `subject` is the
//! finding, `severity` an extension, and `data` goes out byte for byte as it was posted. Decoded: a type whose part after
//! `.security.` (or else the whole of it) is a type of the form `word.word`, with data that fits it, is an event;
//! everything else is authentic and says nothing to us.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::value::RawValue;

use super::bearer::{self, Tokens};
use super::message::{Events, malformed, unfit};
use super::standard;
use super::{
    Carrier, Credential, Dialect, EncodeError, Exchange, Header, Inbound, Judgement, Message, Outbound, Settings,
};
use crate::json::strict;
use crate::json::tree::{Object, Value};
use crate::percent;
use crate::{Data, Decoded, Event, EventType, Headers, Key, Reason, Refusal, Unverified, Verified};

pub(super) static DIALECT: Dialect = Dialect {
    id: "cloudevents",
    name: "CloudEvents 1.0",
    source: "https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md",
    credential: Credential::BearerToken,
    carrier: Carrier::Http,
    url_is_secret: false,
    secrets: &Tokens,
    inbound: Some(&CloudEvents),
    outbound: Some(&CloudEvents),
};

const SPEC_VERSION: &str = "1.0";
const SOURCE: &str = "/watchbell";
/// Ends what stands before our type in a `type`.
const MARK: &str = ".security.";
const TYPE_PREFIX: &str = "watchbell.security.";
const STRUCTURED: &str = "application/cloudevents";
const BATCH: &str = "application/cloudevents-batch";
/// Deepest nesting of data that stands alone in a body.
const DEPTH_MAX: usize = 64;
/// Most events of one message: they are taken in one commit.
const BATCH_MAX: usize = 10_000;
/// What a message of several events is called.
const BATCH_NAME: &str = "batch";

struct CloudEvents;

impl Inbound for CloudEvents {
    fn verify(&self, request: &Unverified, keys: &[Key], _: Timestamp, _: SignedDuration) -> Result<(), Refusal> {
        bearer::verify(request, keys)
    }

    fn decode(&self, request: &Verified) -> Result<Decoded, Refusal> {
        let mut events = Events::of(DIALECT.id, request);
        let mut unsaid = None;
        let (vendor_event, delivery_id) = match Mode::of(request.headers())? {
            Mode::Batch => {
                let batch: Vec<Members> = read(request.body(), "an array of events")?;
                if batch.len() > BATCH_MAX {
                    return Err(unfit("", "an array of at most 10000 events"));
                }
                for (place, members) in batch.into_iter().enumerate() {
                    let one = One::of_members(members, &format!("/{place}"))?;
                    unsaid = unsaid.or(one.tell(request, &mut events).err());
                }
                (BATCH_NAME.to_owned(), None)
            }
            Mode::Structured => {
                let one = One::of_members(read(request.body(), "an object")?, "")?;
                unsaid = one.tell(request, &mut events).err();
                one.names()
            }
            Mode::Binary => {
                let one = One::of_headers(request)?;
                unsaid = one.tell(request, &mut events).err();
                one.names()
            }
        };
        let silence = events.silence(|| unsaid.unwrap_or_else(|| "the batch is empty".to_owned()));
        Ok(Decoded { vendor_event, vendor_version: None, delivery_id, sent_at: None, events: events.done(), silence })
    }

    fn signed(&self, _: &Unverified) -> Option<Vec<u8>> {
        None
    }

    fn resembles(&self, request: &Unverified) -> bool {
        let mode = Mode::of(request.headers());
        matches!(mode, Ok(Mode::Batch | Mode::Structured)) || request.headers().all("ce-specversion").next().is_some()
    }

    fn payload_invalid_status(&self) -> u16 {
        400
    }
}

/// Where a request keeps the attributes.
enum Mode {
    Batch,
    Structured,
    Binary,
}

impl Mode {
    fn of(headers: &Headers) -> Result<Self, Refusal> {
        let media_type = headers.one("Content-Type")?.unwrap_or_default().to_ascii_lowercase();
        let (mode, format) = if let Some(format) = media_type.strip_prefix(BATCH.as_bytes()) {
            (Self::Batch, format)
        } else if let Some(format) = media_type.strip_prefix(STRUCTURED.as_bytes()) {
            (Self::Structured, format)
        } else {
            return Ok(Self::Binary);
        };
        let is_json =
            format.strip_prefix(b"+json").is_some_and(|rest| matches!(rest.first(), None | Some(b';' | b' ')));
        match is_json {
            true => Ok(mode),
            false => Err(Refusal::new(Reason::HeaderInvalid, "of CloudEvents' formats only JSON is understood")),
        }
    }
}

/// An event's members as they are spelled.
type Members = BTreeMap<String, Box<RawValue>>;

fn read<T: serde::de::DeserializeOwned>(body: &[u8], wanted: &str) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error: serde_json::Error| if error.is_data() { unfit("", wanted) } else { malformed(&error) })
}

/// One event as it was received.
struct One {
    id: String,
    source: String,
    kind: String,
    time: Option<Timestamp>,
    /// The text of `data`; whether it is JSON is seen later.
    data: Option<String>,
}

impl One {
    fn of_members(members: Members, at: &str) -> Result<Self, Refusal> {
        let attribute = |name: &'static str| -> Result<Option<String>, Refusal> {
            match members.get(name).map(|raw| serde_json::from_str::<Option<String>>(raw.get())) {
                None => Ok(None),
                Some(Ok(text)) => Ok(text),
                Some(Err(_)) => Err(unfit(&format!("{at}/{name}"), "text")),
            }
        };
        if members.contains_key("data") && members.contains_key("data_base64") {
            let detail = format!("{at}/data and {at}/data_base64 exclude each other");
            return Err(Refusal::new(Reason::BodyMalformed, detail));
        }
        let data = members.get("data").map(|raw| raw.get().to_owned());
        let missing =
            |name: &str| Refusal::new(Reason::PayloadInvalid, format!("{at}/{name} must be text that is not empty"));
        Self::of_attributes(attribute, data, Reason::PayloadInvalid, missing)
    }

    fn of_headers(request: &Verified) -> Result<Self, Refusal> {
        for (name, value) in request.headers().iter() {
            if name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("ce-")) {
                header_text(name, value)?;
            }
        }
        let attribute = |name: &'static str| -> Result<Option<String>, Refusal> {
            let header = match name {
                "specversion" => "ce-specversion",
                "id" => "ce-id",
                "source" => "ce-source",
                "type" => "ce-type",
                _ => "ce-time",
            };
            request.headers().one(header)?.map(|value| header_text(header, value)).transpose()
        };
        let data = json_of(request)?;
        let missing = |name: &str| {
            Refusal::new(Reason::HeaderMissing, format!("the header ce-{name} is missing or empty: no CloudEvent"))
        };
        Self::of_attributes(attribute, data, Reason::HeaderInvalid, missing)
    }

    fn of_attributes(
        attribute: impl Fn(&'static str) -> Result<Option<String>, Refusal>,
        data: Option<String>,
        invalid: Reason,
        missing: impl Fn(&str) -> Refusal,
    ) -> Result<Self, Refusal> {
        let required =
            |name: &'static str| attribute(name)?.filter(|text| !text.is_empty()).ok_or_else(|| missing(name));
        if required("specversion")? != SPEC_VERSION {
            return Err(Refusal::new(invalid, format!("specversion must be {SPEC_VERSION}")));
        }
        let time = match attribute("time")?.map(|text| text.parse()) {
            None => None,
            Some(Ok(time)) => Some(time),
            Some(Err(_)) => return Err(Refusal::new(invalid, "time must be RFC 3339")),
        };
        Ok(Self { id: required("id")?, source: required("source")?, kind: required("type")?, time, data })
    }

    /// Tells what it says. `Err`: why that is nothing.
    fn tell(&self, request: &Verified, events: &mut Events<'_>) -> Result<(), String> {
        let ours = self.kind.split_once(MARK).map(|(_, rest)| rest).filter(|rest| rest.parse::<EventType>().is_ok());
        let data = self.data.as_ref().and_then(|text| Data::from_text(text.clone()).ok());
        let (event_type, data) = standard::said(ours.unwrap_or(&self.kind), data)?;
        events.push_data(event_type, self.time.unwrap_or(request.received_at()), data);
        Ok(())
    }

    /// Its type, and what tells it from every other event.
    fn names(self) -> (String, Option<String>) {
        (self.kind, Some(format!("{} {}", self.source, self.id)))
    }
}

/// The body of a request that is the data alone, where it is JSON that every reader reads the same way.
///
/// The edge looks only into bodies that their `Content-Type` calls JSON, so that whatever is read here beside them has to
/// be looked at here.
fn json_of(request: &Verified) -> Result<Option<String>, Refusal> {
    let stated = request.headers().one("Content-Type")?.unwrap_or_default().to_ascii_lowercase();
    let kind = stated.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    let is_json = matches!(kind, b"" | b"application/json") || kind.ends_with(b"+json");
    let read = is_json.then(|| strict::check(request.body(), DEPTH_MAX).ok()).flatten();
    Ok(read.map(str::to_owned))
}

/// A header's value: out of its quotes, where an older sender has put it in some, then percent-decoded once.
fn header_text(name: &str, value: &[u8]) -> Result<String, Refusal> {
    let quoted = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let bare = match quoted {
        None => Cow::Borrowed(value),
        Some(inner) => {
            let mut bytes = inner.iter();
            let unescape =
                || bytes.next().and_then(|&byte| if byte == b'\\' { bytes.next().copied() } else { Some(byte) });
            Cow::Owned(std::iter::from_fn(unescape).collect())
        }
    };
    String::from_utf8(percent::decode(&bare))
        .map_err(|_| Refusal::new(Reason::HeaderInvalid, format!("{name} is not percent-encoded UTF-8")))
}

impl Outbound for CloudEvents {
    fn event_name<'a>(&self, event_type: &'a EventType) -> Option<Cow<'a, str>> {
        Some(Cow::Owned(format!("{TYPE_PREFIX}{event_type}")))
    }

    /// The attributes, then `data` as it is.
    fn encode(&self, event: &Event, _: &Settings) -> Result<Vec<u8>, EncodeError> {
        let data = Value::read(event.data.text().as_bytes()).map_err(|error| EncodeError::Data(error.to_string()))?;
        let text = |name: &str| data.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let mut attributes = Object::from([
            ("specversion", SPEC_VERSION.into()),
            ("id", event.id.to_string().into()),
            ("source", SOURCE.into()),
            ("type", format!("{TYPE_PREFIX}{}", event.event_type).into()),
            ("time", event.occurred_at.to_string().into()),
        ]);
        attributes.set_some("subject", text("finding_id"));
        attributes.set_some("severity", text("severity"));
        attributes.set("datacontenttype", "application/json");
        let mut body = Value::Object(attributes).to_text();
        body.pop();
        Ok(format!("{body},\"data\":{}}}", event.data.text()).into_bytes())
    }

    fn headers(&self, _: &Message<'_>, keys: &[Key]) -> Result<Vec<Header>, EncodeError> {
        let content_type = format!("{STRUCTURED}+json; charset=UTF-8");
        Ok(vec![Header { name: "Content-Type", value: content_type }, bearer::header(keys)?])
    }

    fn judge(&self, exchange: &Exchange<'_>) -> Judgement {
        bearer::judge(exchange)
    }
}
