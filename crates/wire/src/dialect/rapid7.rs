//! Rapid7 InsightIDR and InsightOps: custom logs by HTTP, one flat JSON object an event.
//!
//! Source: Rapid7, "Webhook" event source and "Custom Logs", read 2026-11. The log token in the URL's path is the
//! credential: `https://eu.webhook.logs.insight.rapid7.com/v1/noformat/<token>`. Nested members of the data are written
//! flat, their names joined by `_`; lists stay text.

use std::borrow::Cow;

use super::account::Account;
use super::bearer::Tokens;
use super::{Carrier, Credential, Dialect, EncodeError, Exchange, Header, Judgement, Message, Outbound, Settings};
use crate::json::tree::{Object, Value};
use crate::{Event, EventType, Key};

pub(super) static DIALECT: Dialect = Dialect {
    id: "rapid7",
    name: "Rapid7 custom logs",
    source: "https://docs.rapid7.com/insightidr/custom-logs/",
    credential: Credential::None,
    carrier: Carrier::Http,
    url_is_secret: true,
    secrets: &Tokens,
    inbound: None,
    outbound: Some(&Rapid7),
};

/// Most members of one object; the rest of the data stays untold.
const MEMBERS_MAX: usize = 256;

struct Rapid7;

impl Outbound for Rapid7 {
    fn event_name<'a>(&self, event_type: &'a EventType) -> Option<Cow<'a, str>> {
        Some(Cow::Borrowed(event_type.as_str()))
    }

    fn encode(&self, event: &Event, _: &Settings) -> Result<Vec<u8>, EncodeError> {
        let account = Account::of(event)?;
        let mut flat = Object::from([
            ("timestamp", event.occurred_at.to_string().into()),
            ("source", "watchbell".into()),
            ("event_id", event.id.to_string().into()),
            ("event_type", event.event_type.as_str().into()),
            ("message", account.headline().into()),
            ("severity", account.severity.as_str().into()),
            ("key", account.key().into()),
        ]);
        for (name, value) in account.data.iter() {
            flatten(name, value, &mut flat);
        }
        Ok(Value::Object(flat).to_text().into_bytes())
    }

    fn headers(&self, _: &Message<'_>, _: &[Key]) -> Result<Vec<Header>, EncodeError> {
        Ok(vec![Header { name: "Content-Type", value: "application/json".to_owned() }])
    }

    fn judge(&self, exchange: &Exchange<'_>) -> Judgement {
        match exchange.latest().map(|answer| answer.status) {
            Some(status @ (400 | 413)) => Judgement::Refused { detail: format!("the log refused it with {status}") },
            Some(status @ (401 | 403 | 404)) => Judgement::Gone { detail: format!("there is no such log ({status})") },
            _ => Judgement::ByStatus,
        }
    }
}

/// What we say of the event stands: a member of the data never takes its place.
fn flatten(name: &str, value: &Value, into: &mut Object) {
    match value {
        Value::Object(members) => {
            for (inner, value) in members.iter() {
                flatten(&format!("{name}_{inner}"), value, into);
            }
        }
        _ if into.get(name).is_some() || into.iter().count() >= MEMBERS_MAX => {}
        Value::Array(_) => into.set(name, value.to_text()),
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => into.set(name, value.clone()),
    }
}
