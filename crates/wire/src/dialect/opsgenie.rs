//! Opsgenie, and Jira Service Management, which took its alerts over with the same scheme: what opens makes an alert,
//! what ends it closes the alert of the same alias.
//!
//! Source: <https://docs.opsgenie.com/docs/alert-api>, and
//! <https://support.atlassian.com/jira-service-management-cloud/docs/set-up-an-api-integration/>. The endpoint's URL is
//! where alerts are made: `https://api.opsgenie.com/v2/alerts` (or `api.eu.opsgenie.com`), and
//! `https://api.atlassian.com/jsm/ops/integration/v2/alerts`. An address without path stands for `/v2/alerts` there.
//!
//! While an alert with an alias is open, another creation only counts it up; closing what is not there does nothing.
//! Both answer 202 before they have done anything: what became of it is theirs to know.

use std::borrow::Cow;

use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::opaque::{Opaque, token};
use super::told::{self, Act, Told, cut};
use super::{
    Answer, Carrier, Credential, Dialect, EncodeError, Exchange, Header, Judgement, Message, Outbound, Pace, Request,
    Settings, SettingsError,
};
use crate::{Event, EventType, Key, Severity, percent};

pub(super) static DIALECT: Dialect = Dialect {
    id: "opsgenie",
    name: "Opsgenie",
    source: "https://docs.opsgenie.com/docs/alert-api",
    credential: Credential::SecretGiven,
    carrier: Carrier::Http,
    url_is_secret: false,
    secrets: &Opaque,
    inbound: None,
    outbound: Some(&Alerts { who: "Opsgenie", path: "/v2/alerts" }),
};

/// What an endpoint of Opsgenie or Jira Service Management may set.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Members {
    /// Where links to events begin: `https://watchbell.example.com/api/v1/orgs/acme`. None: alerts have no link.
    link_base: Option<told::LinkBase>,
    /// Who is told: `{"type": "team", "name": "appsec"}`. At most 50.
    responders: Vec<Responder>,
    /// Labels of every alert, beside the event's type and severity. At most 18.
    tags: Vec<String>,
    /// What an alert is about, where it should not be the component.
    entity: Option<String>,
}

/// Somebody who is told of an alert.
#[derive(Debug, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
struct Responder {
    #[serde(rename = "type")]
    kind: ResponderKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Of a team, an escalation or a schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Of a user: the mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    username: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum ResponderKind {
    Team,
    User,
    Escalation,
    Schedule,
}

const MESSAGE_UNITS_MAX: usize = 130;
const ALIAS_UNITS_MAX: usize = 512;
const DESCRIPTION_UNITS_MAX: usize = 15_000;
const TAGS_MAX: usize = 20;
const TAG_UNITS_MAX: usize = 50;
const DETAILS_UNITS_MAX: usize = 8000;
const ENTITY_UNITS_MAX: usize = 512;
const RESPONDERS_MAX: usize = 50;
/// Ours.
const DETAIL_UNITS_MAX: usize = 1000;
/// As `source` and `user` of everything.
const WHO_WE_ARE: &str = "Watchbell";

/// One of the two services.
pub(super) struct Alerts {
    pub(super) who: &'static str,
    /// Where alerts are made unless the endpoint's URL says it.
    pub(super) path: &'static str,
}

impl Outbound for Alerts {
    fn event_name<'a>(&self, event_type: &'a EventType) -> Option<Cow<'a, str>> {
        Some(event_type.as_str().into())
    }

    fn is_wanted(&self, event_type: &EventType) -> bool {
        told::is_matter(event_type)
    }

    fn encode(&self, event: &Event, settings: &Settings) -> Result<Vec<u8>, EncodeError> {
        let members: Members = settings.read()?;
        let told = Told::of(event, members.link_base.as_ref())?;
        let body = match told.act {
            Act::Closes => end(&told),
            Act::Opens | Act::Changes | Act::Tells | Act::Tests => alert(&told, &members)?,
        };
        Ok(body.to_string().into_bytes())
    }

    fn headers(&self, _: &Message<'_>, keys: &[Key]) -> Result<Vec<Header>, EncodeError> {
        let key = token(keys, "an integration key")?;
        Ok(vec![
            Header { name: "Content-Type", value: "application/json".to_owned() },
            Header { name: "Authorization", value: format!("GenieKey {key}") },
        ])
    }

    fn check_settings(&self, settings: &Settings) -> Result<(), SettingsError> {
        let members: Members = settings.read()?;
        let wrong = |pointer: String, detail: &str| Err(SettingsError { pointer, detail: detail.to_owned() });
        if members.responders.len() > RESPONDERS_MAX {
            return wrong("/responders".to_owned(), "there are at most 50 responders");
        }
        for (place, responder) in members.responders.iter().enumerate() {
            let by_name = match responder.kind {
                ResponderKind::User => &responder.username,
                ResponderKind::Team | ResponderKind::Escalation | ResponderKind::Schedule => &responder.name,
            };
            if [&responder.id, &responder.name, &responder.username].into_iter().flatten().count() != 1
                || (responder.id.is_none() && by_name.is_none())
            {
                let detail = "a responder has an id, or a name (a user: a username), and only one of them";
                return wrong(format!("/responders/{place}"), detail);
            }
        }
        let too_long = |tag: &String| tag.is_empty() || tag.encode_utf16().count() > TAG_UNITS_MAX;
        if members.tags.len() > TAGS_MAX - 2 || members.tags.iter().any(too_long) {
            return wrong("/tags".to_owned(), "there are at most 18 tags of 1 to 50 characters");
        }
        Ok(())
    }

    fn pace(&self) -> Option<Pace> {
        Some(Pace::new(5, 20))
    }

    fn target(&self, event: &Event, _: &Settings, path: &str) -> Option<String> {
        // An event that cannot be told was refused by `encode`.
        let told = Told::of(event, None).ok()?;
        Some(match told.act {
            Act::Closes => self.closing(path, &told.key),
            Act::Opens | Act::Changes | Act::Tells | Act::Tests => self.base(path).into_owned(),
        })
    }

    fn judge(&self, exchange: &Exchange<'_>) -> Judgement {
        let Some(answer) = exchange.latest() else { return Judgement::ByStatus };
        let detail = told::answered(self.who, answer);
        match answer.status {
            // The key, or what it may do, is wrong until somebody changes the endpoint.
            400 | 401 | 403 | 404 | 413 | 422 => Judgement::Refused { detail },
            429 => Judgement::Failed { detail, pause: period(answer) },
            200..=299 => self.next(exchange).map_or(Judgement::ByStatus, Judgement::Ask),
            _ => Judgement::ByStatus,
        }
    }
}

impl Alerts {
    fn base<'a>(&self, path: &'a str) -> Cow<'a, str> {
        match path.trim_end_matches('/') {
            "" => Cow::Owned(self.path.to_owned()),
            path => Cow::Borrowed(path),
        }
    }

    fn closing(&self, path: &str, key: &str) -> String {
        let plain = |character: char| character.is_ascii_alphanumeric() || "-._~".contains(character);
        let alias = percent::encode(&alias(key), plain);
        format!("{}/{alias}/close?identifierType=alias", self.base(path))
    }

    /// What follows once as many requests were taken as there are answers: the alert of a test is closed again, and so are
    /// those that turned out to be the one that ended.
    fn next(&self, exchange: &Exchange<'_>) -> Option<Request> {
        let told = Told::of(exchange.event, None).ok()?;
        let key = told.also_closed().nth(exchange.answers.len().checked_sub(1)?)?;
        let target = self.closing(exchange.path, key);
        Some(Request { method: "POST", target, body: end(&told).to_string().into_bytes() })
    }
}

/// How long we are kept out.
fn period(answer: &Answer<'_>) -> Option<SignedDuration> {
    let seconds = answer.header("x-ratelimit-period-in-sec")?.trim().parse::<u32>().ok()?;
    Some(SignedDuration::from_secs(seconds.into()))
}

fn end(told: &Told) -> Value {
    json!({"source": WHO_WE_ARE, "user": WHO_WE_ARE, "note": cut(&told.headline(), DETAIL_UNITS_MAX)})
}

fn alert(told: &Told, members: &Members) -> Result<Value, EncodeError> {
    let responders = serde_json::to_value(&members.responders).map_err(|error| EncodeError::Data(error.to_string()))?;
    let mut tags = vec![cut(&told.event_type, TAG_UNITS_MAX)];
    tags.extend(told.severity.map(|severity| severity.as_str().to_owned()));
    tags.extend(members.tags.iter().map(|tag| cut(&told::line(tag), TAG_UNITS_MAX)));
    let mut alert = json!({
        "message": cut(&told.headline(), MESSAGE_UNITS_MAX),
        "alias": alias(&told.key),
        "description": cut(&description(told), DESCRIPTION_UNITS_MAX),
        "tags": tags,
        "details": details(told),
        "source": WHO_WE_ARE,
        "user": WHO_WE_ARE,
        "priority": priority(told.grade()),
    });
    if let Some(alert) = alert.as_object_mut() {
        if let Some(entity) = members.entity.as_deref().or_else(|| told.fact("Component")) {
            alert.insert("entity".to_owned(), cut(&told::line(entity), ENTITY_UNITS_MAX).into());
        }
        if !members.responders.is_empty() {
            alert.insert("responders".to_owned(), responders);
        }
    }
    Ok(alert)
}

fn description(told: &Told) -> String {
    let mut lines = vec![told.headline(), String::new()];
    lines.extend(told.facts.iter().map(|fact| format!("{}: {}", fact.name, fact.value)));
    lines.extend(told.list.iter().map(|listed| format!("{}: {}", listed.severity.as_str(), listed.text)));
    lines.extend(told.more());
    lines.extend(told.link.clone());
    lines.join("\n")
}

/// The facts as far as there is room for all of them.
fn details(told: &Told) -> Map<String, Value> {
    let mut room = DETAILS_UNITS_MAX;
    let mut details = Map::new();
    let link = told.link.iter().map(|link| (Cow::Borrowed("Link"), link.clone()));
    let facts = told.facts.iter().map(|fact| (fact.name.clone(), cut(&fact.value, DETAIL_UNITS_MAX)));
    for (name, value) in link.chain(facts) {
        let name = cut(&name, TAG_UNITS_MAX);
        let units = name.encode_utf16().count() + value.encode_utf16().count();
        let Some(left) = room.checked_sub(units) else { break };
        room = left;
        details.insert(name, value.into());
    }
    details
}

/// The key; of one that is too long as much as tells it from others.
fn alias(key: &str) -> String {
    use sha2::{Digest as _, Sha256};
    match key.encode_utf16().count() <= ALIAS_UNITS_MAX {
        true => key.to_owned(),
        false => hex::encode(Sha256::digest(key)),
    }
}

const fn priority(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "P1",
        Severity::High => "P2",
        Severity::Medium | Severity::Unknown => "P3",
        Severity::Low => "P4",
        Severity::Info => "P5",
    }
}
