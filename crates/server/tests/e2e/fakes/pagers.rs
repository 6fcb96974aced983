//! PagerDuty, and Opsgenie with Jira Service Management.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Call, Reply, has_only, is_text};

/// PagerDuty's events: `POST /v2/enqueue`.
#[derive(Default)]
pub(crate) struct PagerDuty {
    /// Open alerts by routing key and deduplication key.
    pub(crate) open: BTreeMap<(String, String), Value>,
    /// How many were resolved.
    pub(crate) resolved: usize,
    /// Everything that was taken.
    pub(crate) events: Vec<Value>,
    pub(crate) says: Option<u16>,
}

impl PagerDuty {
    pub(super) fn take(&mut self, call: &Call) -> Reply {
        if let Some(status) = self.says {
            return Reply::text(status, "");
        }
        let Some(event) = call.json().filter(|_| call.method == http::Method::POST) else {
            return invalid("Event object is invalid: not JSON");
        };
        if let Some(fault) = fault_of(&event) {
            return invalid(fault);
        }
        let key = event["dedup_key"].as_str().map_or_else(|| format!("made-{}", self.events.len()), str::to_owned);
        let place = (event["routing_key"].as_str().unwrap().to_owned(), key.clone());
        match event["event_action"].as_str() {
            Some("resolve") => self.resolved += usize::from(self.open.remove(&place).is_some()),
            Some("trigger") => {
                self.open.entry(place).or_insert_with(|| event["payload"].clone());
            }
            _ => {}
        }
        self.events.push(event);
        Reply::json(202, &json!({"status": "success", "message": "Event processed", "dedup_key": key}))
    }
}

fn invalid(fault: &str) -> Reply {
    Reply::json(400, &json!({"status": "invalid event", "message": "Event object is invalid", "errors": [fault]}))
}

fn fault_of(event: &Value) -> Option<&'static str> {
    let members = ["routing_key", "event_action", "dedup_key", "payload", "links", "images", "client", "client_url"];
    if !has_only(event, &members) {
        return Some("an unknown member");
    }
    if !is_text(&event["routing_key"], 32..=32) {
        return Some("'routing_key' is missing or blank");
    }
    if !event["dedup_key"].is_null() && !is_text(&event["dedup_key"], 1..=255) {
        return Some("'dedup_key' is too long");
    }
    match event["event_action"].as_str() {
        Some("acknowledge" | "resolve") => event["dedup_key"].is_null().then_some("'dedup_key' is missing"),
        Some("trigger") => {
            let payload = &event["payload"];
            let severities = ["critical", "error", "warning", "info"];
            let known = ["summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"];
            let time = payload["timestamp"].as_str();
            let faults = [
                (!has_only(payload, &known), "an unknown member of 'payload'"),
                (!is_text(&payload["summary"], 1..=1024), "'payload.summary' is missing, blank or too long"),
                (!is_text(&payload["source"], 1..=usize::MAX), "'payload.source' is missing or blank"),
                (
                    !payload["severity"].as_str().is_some_and(|it| severities.contains(&it)),
                    "'payload.severity' is invalid",
                ),
                (time.is_some_and(|time| time.parse::<jiff::Timestamp>().is_err()), "'payload.timestamp' is invalid"),
            ];
            faults.into_iter().find(|(is_so, _)| *is_so).map(|(_, fault)| fault)
        }
        _ => Some("'event_action' is missing or invalid"),
    }
}

/// Alerts: `POST …/v2/alerts`, `POST …/v2/alerts/{alias}/close?identifierType=alias`.
#[derive(Default)]
pub(crate) struct Alerts {
    /// Open alerts by their alias, with their count.
    pub(crate) open: BTreeMap<String, (u32, Value)>,
    /// Aliases that were closed while open.
    pub(crate) closed: Vec<String>,
    /// Alerts as they were created.
    pub(crate) created: Vec<Value>,
}

/// A key, as Opsgenie makes them.
pub(crate) const GENIE_KEY: &str = "11111111-2222-3333-4444-555555555555";

impl Alerts {
    pub(super) fn take(&mut self, call: &Call) -> Reply {
        let said = |status, message: &str| {
            Reply::json(
                status,
                &json!({"message": message, "took": 0.001, "requestId": "00000000-0000-4000-8000-000000000000"}),
            )
        };
        if call.header("authorization") != format!("GenieKey {GENIE_KEY}") {
            return said(401, "Could not authenticate");
        }
        let Some(body) = call.json().filter(|_| call.method == http::Method::POST) else {
            return said(400, "Request body is not processable");
        };
        let (_, after) = call.path.split_once("/v2/alerts").unwrap();
        let done = Reply::json(
            202,
            &json!({"result": "Request will be processed", "took": 0.302, "requestId": "43a29c5c-3dbf-4fa4-9c26-f4f71023e120"}),
        );
        match after.split('/').collect::<Vec<_>>()[..] {
            [""] => match fault_of_alert(&body) {
                Some((member, fault)) => {
                    Reply::json(422, &json!({"message": "Request body is not processable", "errors": {member: fault}}))
                }
                None => {
                    let alias = body["alias"].as_str().unwrap_or_default().to_owned();
                    self.open.entry(alias).or_insert_with(|| (0, body.clone())).0 += 1;
                    self.created.push(body);
                    done
                }
            },
            ["", alias, "close"] => {
                let by_alias = call.query.split('&').any(|pair| pair == "identifierType=alias");
                if !by_alias || !has_only(&body, &["user", "source", "note"]) {
                    return said(422, "identifierType must be alias");
                }
                let alias = percent_decoded(alias);
                if self.open.remove(&alias).is_some() {
                    self.closed.push(alias);
                }
                done
            }
            _ => said(404, "no such path"),
        }
    }
}

fn fault_of_alert(alert: &Value) -> Option<(&'static str, &'static str)> {
    let limits = [
        ("message", 130),
        ("alias", 512),
        ("description", 15_000),
        ("entity", 512),
        ("source", 100),
        ("user", 100),
        ("note", 25_000),
    ];
    let members = ["responders", "visibleTo", "actions", "tags", "details", "priority"];
    let known = |name: &String| members.contains(&name.as_str()) || limits.iter().any(|(known, _)| known == name);
    if !alert.as_object().unwrap().keys().all(known) {
        return Some(("body", "an unknown member"));
    }
    if !is_text(&alert["message"], 1..=130) {
        return Some(("message", "Message can not be empty or longer than 130"));
    }
    let too_long = limits.iter().find(|(name, max)| !alert[*name].is_null() && !is_text(&alert[*name], 0..=*max));
    if let Some((name, _)) = too_long {
        return Some((*name, "too long"));
    }
    let tags = alert["tags"].as_array().cloned().unwrap_or_default();
    if tags.len() > 20 || !tags.iter().all(|tag| is_text(tag, 1..=50)) {
        return Some(("tags", "at most 20 of 50 characters"));
    }
    let details = alert["details"].as_object().cloned().unwrap_or_default();
    let length: usize = details
        .iter()
        .map(|(name, value)| name.len() + value.as_str().map_or(9999, |it| it.encode_utf16().count()))
        .sum();
    if length > 8000 {
        return Some(("details", "texts of at most 8000 characters in total"));
    }
    let priorities = ["P1", "P2", "P3", "P4", "P5"];
    let priority = alert["priority"].as_str();
    (!alert["priority"].is_null() && !priority.is_some_and(|priority| priorities.contains(&priority)))
        .then_some(("priority", "should be one of [ P1, P2, P3, P4, P5 ]"))
}

pub(super) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, more)) = rest.split_first() {
        let escaped =
            (first == b'%').then(|| u8::from_str_radix(std::str::from_utf8(&more[..2]).unwrap(), 16).unwrap());
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &more[2..] } else { more };
    }
    String::from_utf8(bytes).unwrap()
}
