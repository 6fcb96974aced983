//! Splunk, by its HTTP Event Collector: one JSON object an event, acknowledged where the token demands it.
//!
//! Source: Splunk, "Format events for HTTP Event Collector", "About HTTP Event Collector Indexer Acknowledgment" and
//! "Troubleshoot HTTP Event Collector" (codes), read 2026-11. The members of `event` bear the names of the Common
//! Information Model's Vulnerabilities, with the data of the event as it is beside them.
//!
//! ```text
//!  POST /services/collector/event ─▶ {"text": "Success", "code": 0}                          done
//!                                  ─▶ {"text": "Success", "code": 0, "ackId": 7} ─▶ POST …/ack?channel=… {"acks": [7]}
//!                                                                                 ─▶ {"acks": {"7": true}}   done
//! ```
//!
//! Events go out one after another in one body where several wait. The channel is the id of the delivery, so that another
//! attempt at it speaks on the same channel.

use std::borrow::Cow;

use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::Value as Json;

use super::account::{Account, one_line, with_path};
use super::bearer::Tokens;
use super::message::bare;
use super::{
    Answer, BatchMax, Carrier, Credential, Dialect, EncodeError, Exchange, Header, Judgement, Message, Outbound, Part,
    Request, Settings, SettingsError,
};
use crate::json::tree::{Object, Value};
use crate::{Event, EventType, Key, Severity};

pub(super) static DIALECT: Dialect = Dialect {
    id: "splunk_hec",
    name: "Splunk HTTP Event Collector",
    source: "https://docs.splunk.com/Documentation/Splunk/latest/Data/FormateventsforHTTPEventCollector",
    credential: Credential::SecretGiven,
    carrier: Carrier::Http,
    url_is_secret: false,
    secrets: &Tokens,
    inbound: None,
    outbound: Some(&SplunkHec),
};

const COLLECTOR: &str = "/services/collector";
const EVENT: &str = "/services/collector/event";

/// How long to wait before each question for an acknowledgement; after the last the attempt has failed.
const POLLS: [SignedDuration; 6] = [
    SignedDuration::from_millis(300),
    SignedDuration::from_secs(1),
    SignedDuration::from_secs(2),
    SignedDuration::from_secs(3),
    SignedDuration::from_secs(4),
    SignedDuration::from_secs(5),
];

/// How long an indexer that does not acknowledge is left alone.
const PAUSE: SignedDuration = SignedDuration::from_secs(60);

/// Longest name of an index, source, source type or host.
const NAME_MAX: usize = 255;

/// What an endpoint may say about its events.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HecSettings {
    /// The index; the token's own when absent.
    index: Option<String>,
    /// `source` of the events; `watchbell` when absent.
    source: Option<String>,
    /// `sourcetype` of the events; `watchbell:event` when absent.
    sourcetype: Option<String>,
    /// `host` of the events; the collector's own choice when absent.
    host: Option<String>,
    /// `true`: an event counts as delivered only when an indexer acknowledged it, and a token without acknowledgement
    /// fails. `false`: acknowledgements are not asked for. Absent: asked for where the token has them.
    acknowledge: Option<bool>,
    /// Most events of one request, 1 to 1000: what waits goes out together. 1 when absent.
    batch_max: BatchMax,
}

struct SplunkHec;

impl Outbound for SplunkHec {
    fn event_name<'a>(&self, event_type: &'a EventType) -> Option<Cow<'a, str>> {
        Some(Cow::Borrowed(event_type.as_str()))
    }

    fn encode(&self, event: &Event, settings: &Settings) -> Result<Vec<u8>, EncodeError> {
        let settings: HecSettings = settings.read()?;
        let account = Account::of(event)?;
        let mut body = Object::default();
        body.set("time", epoch(event.occurred_at.as_millisecond()));
        body.set_some("host", settings.host);
        body.set("source", settings.source.unwrap_or_else(|| "watchbell".to_owned()));
        body.set("sourcetype", settings.sourcetype.unwrap_or_else(|| "watchbell:event".to_owned()));
        body.set_some("index", settings.index);
        body.set("event", said(&account));
        body.set("fields", fields(&account));
        Ok(Value::Object(body).to_text().into_bytes())
    }

    fn headers(&self, message: &Message<'_>, keys: &[Key]) -> Result<Vec<Header>, EncodeError> {
        let token = keys.iter().find_map(|key| if let Key::Token(token) = key { Some(token) } else { None });
        let Some(token) = token else {
            return Err(EncodeError::Key { wanted: "a token" });
        };
        Ok(vec![
            Header { name: "Content-Type", value: "application/json".to_owned() },
            Header { name: "Authorization", value: format!("Splunk {}", token.expose()) },
            Header { name: "X-Splunk-Request-Channel", value: bare(message.id).to_owned() },
        ])
    }

    fn check_settings(&self, settings: &Settings) -> Result<(), SettingsError> {
        let read: HecSettings = settings.read()?;
        let names = [
            ("/index", &read.index),
            ("/source", &read.source),
            ("/sourcetype", &read.sourcetype),
            ("/host", &read.host),
        ];
        for (pointer, name) in names {
            let fits = |name: &String| (1..=NAME_MAX).contains(&name.len()) && *name == one_line(name);
            if name.as_ref().is_some_and(|name| !fits(name)) {
                let detail = format!("a name of 1 to {NAME_MAX} bytes in one line is wanted");
                return Err(SettingsError { pointer: pointer.to_owned(), detail });
            }
        }
        Ok(())
    }

    fn target(&self, _: &Event, _: &Settings, path: &str) -> Option<String> {
        with_path(path, EVENT, |path| path.contains(COLLECTOR))
    }

    fn batch_max(&self, settings: &Settings) -> usize {
        settings.read::<HecSettings>().map_or(1, |settings| settings.batch_max.get())
    }

    fn joins(&self) -> bool {
        true
    }

    fn join(&self, parts: &[Part<'_>], _: &Settings) -> Option<Result<Vec<u8>, EncodeError>> {
        let bodies: Vec<&[u8]> = parts.iter().map(|part| part.body).collect();
        Some(Ok(bodies.join(&b'\n')))
    }

    fn judge(&self, exchange: &Exchange<'_>) -> Judgement {
        let acknowledge = exchange.settings.read::<HecSettings>().unwrap_or_default().acknowledge;
        let [first, polls @ ..] = exchange.answers else { return Judgement::ByStatus };
        if first.status != 200 {
            return refusal(first);
        }
        let id = first.json().and_then(|answer| answer.get("ackId")?.as_u64());
        match (id, acknowledge) {
            (_, Some(false)) | (None, None) => Judgement::ByStatus,
            (None, Some(true)) => Judgement::Refused {
                detail: "settings.acknowledge is true, and the token has no indexer acknowledgement".to_owned(),
            },
            (Some(id), None | Some(true)) => acknowledged(exchange, id, polls),
        }
    }

    /// Of several events in one body those before the faulty one are stored.
    fn shares(&self, exchange: &Exchange<'_>, count: usize) -> Option<Vec<Judgement>> {
        let [first] = exchange.answers else { return None };
        let faulty = first.json()?.get("invalid-event-number")?.as_u64()?;
        let faulty = usize::try_from(faulty).ok().filter(|faulty| first.status == 400 && *faulty < count)?;
        let share = |place: usize| match place.cmp(&faulty) {
            std::cmp::Ordering::Less => Judgement::Taken,
            std::cmp::Ordering::Equal => refusal(first),
            std::cmp::Ordering::Greater => {
                Judgement::Failed { detail: "an event before this one was faulty".to_owned(), pause: None }
            }
        };
        Some((0..count).map(share).collect())
    }
}

/// Asks whether the events are indexed; an answer that is no answer is asked for again as well.
fn acknowledged(exchange: &Exchange<'_>, id: u64, polls: &[Answer<'_>]) -> Judgement {
    let is_done = |poll: &Answer<'_>| {
        poll.json().is_some_and(|answer| answer.pointer(&format!("/acks/{id}")) == Some(&Json::Bool(true)))
    };
    if polls.last().is_some_and(is_done) {
        return Judgement::ByStatus;
    }
    let Some(wait) = POLLS.get(polls.len()) else {
        let detail = "no indexer has acknowledged the events in time".to_owned();
        return Judgement::Failed { detail, pause: Some(PAUSE) };
    };
    let before = exchange.path.split_once(COLLECTOR).map_or_else(
        || exchange.path.split('?').next().unwrap_or_default().trim_end_matches('/'),
        |(before, _)| before,
    );
    let request = Request {
        method: "POST",
        target: format!("{before}{COLLECTOR}/ack?channel={}", bare(exchange.id)),
        body: format!("{{\"acks\":[{id}]}}").into_bytes(),
    };
    Judgement::AskLater { wait: *wait, request }
}

/// What a status other than 200 means, in the collector's own words.
fn refusal(answer: &Answer<'_>) -> Judgement {
    let said = answer.json().unwrap_or_default();
    let code = said.get("code").and_then(Json::as_u64);
    let text = one_line(said.get("text").and_then(Json::as_str).unwrap_or_default());
    let detail = match code {
        Some(code) => format!("{text} (code {code})"),
        None => text,
    };
    match answer.status {
        400 => Judgement::Refused { detail },
        // Token disabled, required or invalid: nothing that goes there arrives before somebody sees to it.
        401 | 403 => Judgement::Gone { detail },
        _ if detail.is_empty() => Judgement::ByStatus,
        _ => Judgement::Failed { detail, pause: None },
    }
}

/// Seconds with three digits after the point.
fn epoch(milliseconds: i64) -> Value {
    let sign = if milliseconds < 0 { "-" } else { "" };
    let (seconds, rest) = (milliseconds.unsigned_abs() / 1000, milliseconds.unsigned_abs() % 1000);
    Value::Number(format!("{sign}{seconds}.{rest:03}").into())
}

fn said(account: &Account<'_>) -> Object {
    let event = account.event;
    let mut said = Object::from([
        ("type", event.event_type.as_str().into()),
        ("id", event.id.to_string().into()),
        ("occurred_at", event.occurred_at.to_string().into()),
        ("message", account.headline().into()),
        ("vendor_product", "Watchbell".into()),
        ("signature", account.title().into()),
        ("severity", severity(account.severity).into()),
    ]);
    said.set_some("cve", account.cve());
    said.set_some("cvss", account.score().cloned());
    said.set_some("dest", account.text("resource_path").or_else(|| account.text("project_id")));
    said.set("data", account.data.clone());
    said
}

/// Indexed with the event, for fast searches: flat, texts only.
fn fields(account: &Account<'_>) -> Object {
    let mut fields = Object::from([
        ("event_type", account.event.event_type.as_str().into()),
        ("severity", severity(account.severity).into()),
    ]);
    fields.set_some("cve", account.cve());
    fields.set_some("finding_id", account.is_vulnerability().then(|| account.key()));
    fields
}

/// As the Common Information Model spells it.
const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "informational",
        Severity::Unknown | Severity::Low | Severity::Medium | Severity::High | Severity::Critical => severity.as_str(),
    }
}
