//! Scan results with a bearer token: one kind of message, in three states.
//!
//! Source: a vendor's document that names no product. There is no signature: the `Authorization` header
//! carries the configured token, and so the order of judgement is token, JSON, members. A member that is wrong is a 400
//! here, as documented, and not a 422. Method and media type are the HTTP edge's to judge. Vectors:
//! `tests/vectors/bearer-scan.json`.
//!
//! Encoded: `results` is always written; `threatsFound` is the data's figure or else the number of details, and for a
//! scan that is not completed 0. Entries of `details` go out and come in as they are.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};

use super::bearer::{self, Tokens};
use super::message::{Events, Said, iso_seconds, malformed, need, object_of, required_text, time_of, typed, unfit};
use super::{
    Carrier, Credential, Dialect, EncodeError, Exchange, Header, Inbound, Judgement, Message, Outbound, Settings,
};
use crate::event::Scan;
use crate::json::tree::{Object, Value};
use crate::{Decoded, Event, EventType, Key, Refusal, Unverified, Verified};

pub(super) static DIALECT: Dialect = Dialect {
    id: "bearer-scan",
    name: "Scan results (bearer token)",
    source: "the vendor's document; the token is RFC 6750's, https://www.rfc-editor.org/rfc/rfc6750",
    credential: Credential::BearerToken,
    carrier: Carrier::Http,
    url_is_secret: false,
    secrets: &Tokens,
    inbound: Some(&BearerScan),
    outbound: Some(&BearerScan),
};

struct BearerScan;

impl Inbound for BearerScan {
    fn verify(&self, request: &Unverified, keys: &[Key], _: Timestamp, _: SignedDuration) -> Result<(), Refusal> {
        bearer::verify(request, keys)
    }

    fn decode(&self, request: &Verified) -> Result<Decoded, Refusal> {
        let mut body = object_of(Value::read(request.body()).map_err(|error| malformed(&error))?)?;
        let scan_id = required_text(&body, "scanId", "")?;
        let status = required_text(&body, "status", "")?;
        let Some(said) = EVENTS.iter().find(|said| said.name == status) else {
            return Err(unfit("/status", "one of completed, in_progress, failed"));
        };
        let occurred_at = time_of(&required_text(&body, "timestamp", "")?, "/timestamp")?;
        let (threats, details) = results(body.take("results"), status == COMPLETED)?;

        let mut scan = Object::from([("scan_id", scan_id.into())]);
        scan.set_some("threats_found", threats);
        scan.set("details", details);
        for read in ["scanId", "status", "timestamp"] {
            body.take(read);
        }
        let mut events = Events::of(DIALECT.id, request);
        events.push(said.event_type.clone(), occurred_at, scan, body)?;
        Ok(Decoded {
            vendor_event: status,
            vendor_version: None,
            delivery_id: None,
            sent_at: None,
            events: events.done(),
            silence: None,
        })
    }

    fn signed(&self, _: &Unverified) -> Option<Vec<u8>> {
        None
    }

    fn resembles(&self, request: &Unverified) -> bool {
        Value::read(request.body()).is_ok_and(|body| body.get("scanId").is_some() && body.get("status").is_some())
    }

    fn payload_invalid_status(&self) -> u16 {
        400
    }
}

fn results(results: Option<Value>, completed: bool) -> Result<(Option<u64>, Value), Refusal> {
    let mut results = match results {
        Some(Value::Object(results)) => results,
        None | Some(Value::Null) if !completed => return Ok((None, Vec::new().into())),
        _ => return Err(unfit("/results", "an object")),
    };
    let threats = match results.take("threatsFound") {
        None | Some(Value::Null) if !completed => None,
        found => match found.as_ref().and_then(Value::as_i64).map(u64::try_from) {
            Some(Ok(count)) => Some(count),
            _ => return Err(unfit("/results/threatsFound", "an integer of 0 or more")),
        },
    };
    match results.take("details") {
        None | Some(Value::Null) => Ok((threats, Vec::new().into())),
        Some(details @ Value::Array(_)) => Ok((threats, details)),
        Some(_) => Err(unfit("/results/details", "an array")),
    }
}

const COMPLETED: &str = "completed";

const EVENTS: &[Said] = &[
    Said { event_type: EventType::ScanStarted, name: "in_progress", encode: unfinished },
    Said { event_type: EventType::ScanCompleted, name: COMPLETED, encode: completed },
    Said { event_type: EventType::ScanFailed, name: "failed", encode: unfinished },
];

impl Outbound for BearerScan {
    fn event_name<'a>(&self, event_type: &'a EventType) -> Option<Cow<'a, str>> {
        Said::name(EVENTS, event_type)
    }

    fn encode(&self, event: &Event, _: &Settings) -> Result<Vec<u8>, EncodeError> {
        let results = Said::encode(EVENTS, event)?;
        let scan: Scan = typed(event)?;
        let scan_id = need(Some(scan.scan_id).filter(|id| !id.is_empty()), "scan_id")?;
        let body = Object::from([
            ("scanId", scan_id.into()),
            ("status", self.event_name(&event.event_type).unwrap_or_default().into_owned().into()),
            ("results", results.into()),
            ("timestamp", iso_seconds(event.occurred_at).into()),
        ]);
        Ok(Value::Object(body).to_text().into_bytes())
    }

    fn headers(&self, _: &Message<'_>, keys: &[Key]) -> Result<Vec<Header>, EncodeError> {
        Ok(vec![Header { name: "Content-Type", value: "application/json".to_owned() }, bearer::header(keys)?])
    }

    fn judge(&self, exchange: &Exchange<'_>) -> Judgement {
        bearer::judge(exchange)
    }
}

fn completed(event: &Event) -> Result<Object, EncodeError> {
    let (threats, details) = figures(event)?;
    let counted =
        details.as_ref().and_then(Value::as_array).map(<[Value]>::len).and_then(|count| u64::try_from(count).ok());
    Ok(results_of(need(threats.or(counted), "threats_found")?, details))
}

fn unfinished(event: &Event) -> Result<Object, EncodeError> {
    let (threats, details) = figures(event)?;
    Ok(results_of(threats.unwrap_or_default(), details))
}

/// The figure, and the details in the spelling that was posted.
fn figures(event: &Event) -> Result<(Option<u64>, Option<Value>), EncodeError> {
    let scan: Scan = typed(event)?;
    let data = Value::read(event.data.text().as_bytes()).map_err(|error| EncodeError::Data(error.to_string()))?;
    Ok((scan.threats_found, data.get("details").filter(|details| details.as_array().is_some()).cloned()))
}

fn results_of(threats: u64, details: Option<Value>) -> Object {
    Object::from([("threatsFound", threats.into()), ("details", details.unwrap_or_else(|| Vec::new().into()))])
}
