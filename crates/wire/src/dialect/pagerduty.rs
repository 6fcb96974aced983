//! PagerDuty Events API v2: what opens is a trigger, what ends it a resolve with the same `dedup_key`.
//!
//! Source: <https://developer.pagerduty.com/docs/events-api-v2/overview>. The routing key is the credential and stands in
//! the body, where it is put when the body goes out: what is kept is without it. A resolve must bear the routing key of
//! its trigger; one that finds no alert is dropped by PagerDuty, and so is no failure.

use std::borrow::Cow;

use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::opaque::{Opaque, token};
use super::told::{self, Act, Told, cut};
use super::{
    Carrier, Credential, Dialect, EncodeError, Exchange, Header, Judgement, Message, Outbound, Pace, Request, Secrets,
    Settings, SettingsError,
};
use crate::{Event, EventType, Key, Secret, SecretError, Severity};

pub(super) static DIALECT: Dialect = Dialect {
    id: "pagerduty",
    name: "PagerDuty",
    source: "https://developer.pagerduty.com/docs/events-api-v2/overview",
    credential: Credential::SecretGiven,
    carrier: Carrier::Http,
    url_is_secret: false,
    secrets: &RoutingKeys,
    inbound: None,
    outbound: Some(&PagerDuty),
};

/// What an endpoint of PagerDuty may set.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Members {
    /// Where links to events begin: `https://watchbell.example.com/api/v1/orgs/acme`. None: alerts have no link.
    link_base: Option<told::LinkBase>,
    /// What stands as `source` of an alert, the system that is affected. The project or component when left out.
    source: Option<String>,
    /// What stands as `group`.
    group: Option<String>,
}

const DEDUP_KEY_UNITS_MAX: usize = 255;
const SUMMARY_UNITS_MAX: usize = 1024;
/// Ours: the vendor's limit is 512 KB for the whole.
const DETAIL_UNITS_MAX: usize = 2000;
const NAME_UNITS_MAX: usize = 255;
const PAUSE_MIN: SignedDuration = SignedDuration::from_secs(30);
const ROUTING_KEY: &str = "routing_key";
const ROUTING_KEY_LENGTH: usize = 32;

struct PagerDuty;

impl Outbound for PagerDuty {
    fn event_name<'a>(&self, event_type: &'a EventType) -> Option<Cow<'a, str>> {
        Some(event_type.as_str().into())
    }

    fn is_wanted(&self, event_type: &EventType) -> bool {
        told::is_matter(event_type)
    }

    fn encode(&self, event: &Event, settings: &Settings) -> Result<Vec<u8>, EncodeError> {
        let members: Members = settings.read()?;
        let told = Told::of(event, members.link_base.as_ref())?;
        let key = dedup_key(&told.key);
        let body = match told.act {
            Act::Closes => json!({"event_action": "resolve", "dedup_key": key}),
            Act::Opens | Act::Changes | Act::Tells | Act::Tests => trigger(&told, &key, &members),
        };
        Ok(body.to_string().into_bytes())
    }

    fn headers(&self, _: &Message<'_>, _: &[Key]) -> Result<Vec<Header>, EncodeError> {
        Ok(vec![Header { name: "Content-Type", value: "application/json".to_owned() }])
    }

    fn check_settings(&self, settings: &Settings) -> Result<(), SettingsError> {
        settings.read::<Members>().map(|_| ())
    }

    fn pace(&self) -> Option<Pace> {
        Some(Pace::new(2, 4))
    }

    fn keyed<'a>(&self, body: &'a [u8], keys: &[Key]) -> Result<Cow<'a, [u8]>, EncodeError> {
        let key = token(keys, "a routing key")?;
        let mut body: Map<String, Value> =
            serde_json::from_slice(body).map_err(|error| EncodeError::Data(error.to_string()))?;
        body.insert(ROUTING_KEY.to_owned(), key.into());
        Ok(Cow::Owned(Value::Object(body).to_string().into_bytes()))
    }

    fn judge(&self, exchange: &Exchange<'_>) -> Judgement {
        let Some(answer) = exchange.latest() else { return Judgement::ByStatus };
        let detail = told::answered("PagerDuty", answer);
        match answer.status {
            400 | 413 => Judgement::Refused { detail },
            // The vendor names no such answer: whatever says so says it of the key or the address.
            401 | 403 | 404 => Judgement::Refused { detail },
            429 => Judgement::Failed { detail, pause: Some(PAUSE_MIN) },
            200..=299 => next(exchange).map_or(Judgement::ByStatus, Judgement::Ask),
            _ => Judgement::ByStatus,
        }
    }
}

/// What follows once as many requests were taken as there are answers: the alert of a test is resolved again, and so are
/// those that turned out to be the one that ended.
fn next(exchange: &Exchange<'_>) -> Option<Request> {
    let told = Told::of(exchange.event, None).ok()?;
    let key = told.also_closed().nth(exchange.answers.len().checked_sub(1)?)?.to_owned();
    let body = json!({"event_action": "resolve", "dedup_key": dedup_key(&key)});
    Some(Request { method: "POST", target: exchange.path.to_owned(), body: body.to_string().into_bytes() })
}

fn trigger(told: &Told, key: &str, members: &Members) -> Value {
    let details = told.facts.iter().map(|fact| (cut(&fact.name, NAME_UNITS_MAX), cut(&fact.value, DETAIL_UNITS_MAX)));
    let mut details: Map<String, Value> = details.map(|(name, value)| (name, value.into())).collect();
    if !told.list.is_empty() {
        let lines = told.list.iter().map(|listed| format!("{}: {}", listed.severity.as_str(), listed.text));
        let lines: Vec<_> = lines.map(|line| cut(&line, DETAIL_UNITS_MAX)).chain(told.more()).collect();
        details.insert("Worst".to_owned(), lines.into());
    }
    if let Some(severity) = told.severity {
        details.insert("Severity".to_owned(), severity.as_str().into());
    }
    let found_in = || told.fact("Project").or_else(|| told.fact("Component")).unwrap_or("watchbell");
    let source = members.source.as_deref().unwrap_or_else(found_in);
    let mut payload = json!({
        "summary": cut(&told.headline(), SUMMARY_UNITS_MAX),
        "source": cut(&told::line(source), NAME_UNITS_MAX),
        "severity": severity(told.grade()),
        "timestamp": told.occurred_at.to_string(),
        "class": told.event_type,
        "custom_details": details,
    });
    if let Some(payload) = payload.as_object_mut() {
        let texts = [("component", told.fact("Component")), ("group", members.group.as_deref())];
        for (name, text) in texts.into_iter().filter_map(|(name, text)| Some((name, text?))) {
            payload.insert(name.to_owned(), cut(&told::line(text), NAME_UNITS_MAX).into());
        }
    }
    let mut body = json!({"event_action": "trigger", "dedup_key": key, "payload": payload, "client": "Watchbell"});
    if let (Some(link), Some(body)) = (&told.link, body.as_object_mut()) {
        body.insert("client_url".to_owned(), link.as_str().into());
        body.insert("links".to_owned(), json!([{"href": link, "text": "Open in Watchbell"}]));
    }
    body
}

const fn severity(ours: Severity) -> &'static str {
    match ours {
        Severity::Critical => "critical",
        Severity::High => "error",
        Severity::Medium | Severity::Low | Severity::Unknown => "warning",
        Severity::Info => "info",
    }
}

/// The key, or its SHA-256 where it is too long.
fn dedup_key(key: &str) -> String {
    match key.encode_utf16().count() <= DEDUP_KEY_UNITS_MAX {
        true => key.to_owned(),
        false => hex::encode(Sha256::digest(key)),
    }
}

/// Integration keys: 32 letters and digits.
struct RoutingKeys;

impl Secrets for RoutingKeys {
    fn key(&self, secret: &Secret) -> Result<Key, SecretError> {
        Opaque.key(secret)
    }

    fn check(&self, secret: &Secret) -> Result<Secret, SecretError> {
        let text = secret.expose();
        if text.len() != ROUTING_KEY_LENGTH || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(SecretError::Spelling { wanted: "a routing key of PagerDuty: 32 letters and digits" });
        }
        Ok(secret.clone())
    }

    fn make(&self, random: [u8; 32]) -> Secret {
        Opaque.make(random)
    }
}
