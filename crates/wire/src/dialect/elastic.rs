//! Elasticsearch: documents of the Elastic Common Schema into a data stream, by the bulk API.
//!
//! Source: Elastic, "Bulk API", "Data streams", "Elastic Common Schema" 8.11, read 2026-11. A document's `_id` is the id of
//! its event: what was stored already answers 409, which is as good as stored. What the schema has no place for stands
//! under `watchbell.`, never beside the schema's own members.
//!
//! ```text
//!  {"create":{"_index":"logs-watchbell.events-default","_id":"0192…"}}
//!  {"@timestamp":"2024-10-09T08:47:57.975Z","ecs":{"version":"8.11.0"},…}
//! ```
//!
//! The credential is an API key as Elastic shows it (base64 of `id:key`), or the endpoint's `auth` with a user's name.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value as Json;

use super::account::{Account, Phase, one_line, with_path};
use super::bearer::Tokens;
use super::{
    Answer, BatchMax, Carrier, Credential, Dialect, EncodeError, Exchange, Header, Judgement, Message, Outbound, Part,
    Settings, SettingsError,
};
use crate::json::tree::{Object, Value};
use crate::{Event, EventType, Key, Severity};

pub(super) static DIALECT: Dialect = Dialect {
    id: "elastic",
    name: "Elasticsearch (ECS)",
    source: "https://www.elastic.co/guide/en/elasticsearch/reference/current/docs-bulk.html",
    credential: Credential::SecretOptional,
    carrier: Carrier::Http,
    url_is_secret: false,
    secrets: &Tokens,
    inbound: None,
    outbound: Some(&Elastic),
};

const BULK: &str = "/_bulk";
const ECS_VERSION: &str = "8.11.0";

/// Longest name of a data set or namespace, in bytes.
const NAME_MAX: usize = 100;

/// Where the documents go: `logs-<dataset>-<namespace>`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ElasticSettings {
    /// The data set; `watchbell.events` when absent.
    dataset: String,
    /// The namespace; `default` when absent.
    namespace: String,
    /// Most events of one request, 1 to 1000: what waits goes out together. 1 when absent.
    batch_max: BatchMax,
}

impl Default for ElasticSettings {
    fn default() -> Self {
        Self { dataset: "watchbell.events".to_owned(), namespace: "default".to_owned(), batch_max: BatchMax::default() }
    }
}

struct Elastic;

impl Outbound for Elastic {
    fn event_name<'a>(&self, event_type: &'a EventType) -> Option<Cow<'a, str>> {
        Some(Cow::Borrowed(event_type.as_str()))
    }

    fn encode(&self, event: &Event, settings: &Settings) -> Result<Vec<u8>, EncodeError> {
        let settings: ElasticSettings = settings.read()?;
        let account = Account::of(event)?;
        let index = format!("logs-{}-{}", settings.dataset, settings.namespace);
        let place = Object::from([("_index", index.into()), ("_id", event.id.to_string().into())]);
        let action = Value::Object(Object::from([("create", place.into())]));
        let document = Value::Object(document(&account, &settings));
        Ok(format!("{}\n{}\n", action.to_text(), document.to_text()).into_bytes())
    }

    fn headers(&self, _: &Message<'_>, keys: &[Key]) -> Result<Vec<Header>, EncodeError> {
        let mut headers = vec![Header { name: "Content-Type", value: "application/x-ndjson".to_owned() }];
        let key = keys.iter().find_map(|key| if let Key::Token(token) = key { Some(token) } else { None });
        headers.extend(key.map(|key| Header { name: "Authorization", value: format!("ApiKey {}", key.expose()) }));
        Ok(headers)
    }

    fn check_settings(&self, settings: &Settings) -> Result<(), SettingsError> {
        let read: ElasticSettings = settings.read()?;
        for (pointer, name) in [("/dataset", &read.dataset), ("/namespace", &read.namespace)] {
            let symbol = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._".contains(&byte);
            if !(1..=NAME_MAX).contains(&name.len()) || !name.bytes().all(symbol) {
                let detail = format!("1 to {NAME_MAX} of a-z, 0-9, full stop and underscore are wanted");
                return Err(SettingsError { pointer: pointer.to_owned(), detail });
            }
        }
        Ok(())
    }

    fn target(&self, _: &Event, _: &Settings, path: &str) -> Option<String> {
        with_path(path, BULK, |path| path.ends_with(BULK))
    }

    fn batch_max(&self, settings: &Settings) -> usize {
        settings.read::<ElasticSettings>().map_or(1, |settings| settings.batch_max.get())
    }

    fn joins(&self) -> bool {
        true
    }

    fn join(&self, parts: &[Part<'_>], _: &Settings) -> Option<Result<Vec<u8>, EncodeError>> {
        Some(Ok(parts.iter().flat_map(|part| part.body).copied().collect()))
    }

    fn judge(&self, exchange: &Exchange<'_>) -> Judgement {
        let Some(answer) = exchange.latest() else { return Judgement::ByStatus };
        match answer.status {
            200..=299 => match items(answer).as_slice() {
                [] => Judgement::Failed { detail: "the answer names no item".to_owned(), pause: None },
                [item, ..] => item.clone(),
            },
            400 | 413 => Judgement::Refused { detail: reason(&answer.json().unwrap_or_default()) },
            // No such key, or one that may not write there.
            401 | 403 => Judgement::Gone { detail: reason(&answer.json().unwrap_or_default()) },
            _ => Judgement::ByStatus,
        }
    }

    fn shares(&self, exchange: &Exchange<'_>, count: usize) -> Option<Vec<Judgement>> {
        let answer = exchange.latest().filter(|answer| (200..=299).contains(&answer.status))?;
        let mut shares = items(answer);
        let unnamed = || Judgement::Failed { detail: "the answer does not name this item".to_owned(), pause: None };
        shares.resize_with(count, unnamed);
        Some(shares)
    }

    fn is_too_large(&self, answer: &Answer<'_>) -> bool {
        answer.status == 413
    }
}

/// What became of each document.
fn items(answer: &Answer<'_>) -> Vec<Judgement> {
    let answer = answer.json().unwrap_or_default();
    let items = answer.get("items").and_then(Json::as_array).into_iter().flatten();
    let item = |item: &Json| {
        let done = item.as_object().and_then(|item| item.values().next()).unwrap_or(&Json::Null);
        match done.get("status").and_then(Json::as_u64) {
            Some(200..=299 | 409) => Judgement::Taken,
            Some(status @ (429 | 500..=599)) => {
                Judgement::Failed { detail: format!("{status}: {}", reason(done)), pause: None }
            }
            Some(status) => Judgement::Refused { detail: format!("{status}: {}", reason(done)) },
            None => Judgement::Failed { detail: "the answer does not say what became of it".to_owned(), pause: None },
        }
    };
    items.map(item).collect()
}

/// `mapper_parsing_exception: failed to parse field …`
fn reason(answer: &Json) -> String {
    let error = answer.get("error").unwrap_or(&Json::Null);
    let text = |name: &str| error.get(name).and_then(Json::as_str).unwrap_or_default();
    match error.as_str() {
        Some(error) => one_line(error),
        None => one_line(&format!("{}: {}", text("type"), text("reason"))),
    }
}

fn document(account: &Account<'_>, settings: &ElasticSettings) -> Object {
    let event = account.event;
    let time = |time: jiff::Timestamp| time.to_string();
    let mut document = Object::from([
        ("@timestamp", time(event.occurred_at).into()),
        ("ecs", Object::from([("version", ECS_VERSION.into())]).into()),
        ("message", account.headline().into()),
    ]);
    let stream = [
        ("type", "logs".into()),
        ("dataset", (&*settings.dataset).into()),
        ("namespace", (&*settings.namespace).into()),
    ];
    document.set("data_stream", Object::from(stream));
    document.set("event", about(account, settings));
    let observer = [("vendor", "Watchbell".into()), ("product", "Watchbell".into()), ("type", "scanner".into())];
    document.set("observer", Object::from(observer));
    if account.is_vulnerability() {
        document.set("vulnerability", vulnerability(account));
    }
    if let Some((name, version, purl)) = account.component() {
        let mut package = Object::from([("name", name.into())]);
        package.set_some("version", version);
        let kind = purl.and_then(|purl| purl.strip_prefix("pkg:")?.split('/').next());
        package.set_some("type", kind);
        document.set("package", package);
    }
    if let Some(rule) = account.text("rule_id") {
        document.set("rule", Object::from([("id", rule.into())]));
    }
    if let Some(path) = account.text("resource_path") {
        document.set("file", Object::from([("path", path.into())]));
    }
    let user = account.text("creator").or_else(|| account.text("user")).or_else(|| account.text("owner"));
    if let Some(user) = user {
        document.set("related", Object::from([("user", vec![Value::from(user)].into())]));
    }
    let labels = [("project_id", account.text("project_id")), ("finding_id", account.text("finding_id"))];
    let mut said = Object::default();
    labels.into_iter().for_each(|(name, value)| said.set_some(name, value));
    if said.iter().next().is_some() {
        document.set("labels", said);
    }
    let ours = [("type", event.event_type.as_str().into()), ("key", account.key().into())];
    document.set("watchbell", Object::from(ours));
    document
}

fn about(account: &Account<'_>, settings: &ElasticSettings) -> Object {
    let event = account.event;
    let category = match account.is_vulnerability() {
        true => Some(vec![Value::from("vulnerability")]),
        false => None,
    };
    let kind = match account.phase {
        Phase::Opened | Phase::Changed => "alert",
        Phase::SetAside | Phase::Closed | Phase::Happened => "event",
    };
    // Vulnerabilities are alerts whatever becomes of them: one search finds the whole story.
    let kind = if account.is_vulnerability() { "alert" } else { kind };
    let mut said = Object::from([("id", event.id.to_string().into()), ("kind", kind.into())]);
    said.set_some("category", category);
    said.set("type", vec![Value::from("info")]);
    said.set("action", event.event_type.as_str());
    said.set("dataset", &*settings.dataset);
    said.set("severity", severity(account.severity));
    said.set_some("created", account.time("detected_at").map(|time| time.to_string()));
    said.set_some("end", account.time("remediated_at").map(|time| time.to_string()));
    said.set_some("reason", account.text("reason"));
    said.set_some("url", account.url());
    // A text, and no object: members of foreign names would make fields without end.
    said.set("original", event.data.text());
    said
}

fn vulnerability(account: &Account<'_>) -> Object {
    let mut said = Object::default();
    let cve = account.cve();
    said.set_some("id", cve.or_else(|| account.aliases().next()).or_else(|| account.text("rule_id")));
    said.set_some("enumeration", cve.map(|_| "CVE"));
    said.set("severity", account.severity.as_str());
    said.set("description", account.title());
    if let Some(score) = account.score() {
        said.set("classification", "CVSS");
        let mut numbers = Object::from([("base", score.clone())]);
        numbers.set_some("version", account.cvss().map(|cvss| cvss.version.to_owned()));
        said.set("score", numbers);
    }
    said.set_some("reference", account.url());
    let scanner = account.text("tool").map(|tool| Object::from([("vendor", tool.into())]));
    said.set_some("scanner", scanner);
    said.set("report_id", account.key());
    said
}

/// The table of severities (ECS `event.severity`).
const fn severity(severity: Severity) -> i64 {
    match severity {
        Severity::Critical => 99,
        Severity::High => 73,
        Severity::Medium => 47,
        Severity::Low => 21,
        Severity::Info => 1,
        Severity::Unknown => 0,
    }
}
