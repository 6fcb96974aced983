//! What is received in one dialect and sent in another loses nothing that the other can say: every real payload, every pair.
//!
//! "Can say" is the table below: our members that a message of the dialect has a place for. What goes out is received again
//! and compared member by member with what came in.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use watchbell_wire::{Decoded, Dialect, Event, Headers, Message, Settings, Unverified, dialect};

fn now() -> Timestamp {
    "2025-01-08T00:47:00Z".parse().unwrap()
}

fn receive(dialect: &'static Dialect, event: &str, occurred_at: Timestamp, body: &[u8]) -> Decoded {
    let keys = [dialect.secrets.key(&dialect.secrets.make([9; 32])).unwrap()];
    let id = "01926fe4-2c1f-7cc0-8f4b-6f3c5a1e9b7d";
    let message = Message { id, event, occurred_at, sent_at: now(), body };
    let headers: Headers =
        dialect.sign(&message, &keys).unwrap().into_iter().map(|line| (line.name, line.value)).collect();
    let verified =
        Unverified::new(headers, body.to_vec()).verify(dialect, &keys, now(), SignedDuration::from_mins(5)).unwrap();
    verified.decode().unwrap()
}

/// Every payload file, with its dialect and the name that the vendor's headers give the event.
fn payloads() -> Vec<(&'static Dialect, String, String, Vec<u8>)> {
    let root = format!("{}/tests/payloads", env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    for dialect in dialect::ALL.iter().filter(|dialect| dialect.inbound.is_some()) {
        let folder = if dialect.id == "standard" { "standard-webhooks" } else { dialect.id };
        let Ok(files) = std::fs::read_dir(format!("{root}/{folder}")) else { continue };
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        for path in files {
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let first = stem.split('.').next().unwrap();
            let event = match dialect.id {
                "snyk" => format!("{first}/v0"),
                _ => first.to_owned(),
            };
            all.push((*dialect, format!("{folder}/{stem}"), event, std::fs::read(&path).unwrap()));
        }
    }
    all
}

/// Our members that a message of the dialect has a place for, as they come back. Other dialects carry the data as it is.
fn sayable(dialect: &Dialect, event_type: &str) -> Option<&'static [&'static str]> {
    let is_finding = event_type.starts_with("vulnerability.");
    Some(match (dialect.id, event_type) {
        ("symbiotic", "vulnerability.created") => &["finding_id", "creator", "rule_id", "resource_path", "detected_at"],
        ("symbiotic", _) if is_finding => &["finding_id", "creator", "rule_id", "resource_path", "remediated_at"],
        ("symbiotic", _) => &["user", "training", "score", "started_at", "completed_at"],
        ("aegis", _) if is_finding => &["finding_id", "severity", "cve_id", "cvss_score", "component", "project_id"],
        ("aegis", "evidence.completed") => {
            &["evidence_id", "file_name", "vulnerabilities_found", "critical_count", "high_count"]
        }
        ("aegis", "poam.deadline_approaching") => {
            &["poam_id", "finding_id", "cve_id", "scheduled_completion_date", "days_remaining"]
        }
        ("aegis", _) => &["poam_id", "finding_id", "cve_id", "scheduled_completion_date", "days_overdue"],
        ("bearer-scan", _) => &["scan_id", "threats_found", "details"],
        ("snyk", "webhook.ping") => &["webhook_id"],
        ("snyk", _) => &["project", "org", "newIssues", "removedIssues"],
        ("standard" | "cloudevents", _) => return None,
        (other, _) => panic!("what {other} can say of {event_type} is not in the table"),
    })
}

/// Times to the second, which is all that some dialects have; numbers by their value.
fn plain(value: &Value) -> Value {
    match value {
        Value::String(text) => match text.parse::<Timestamp>() {
            Ok(at) => at.as_second().into(),
            Err(_) => value.clone(),
        },
        Value::Number(number) => number.as_f64().map_or(value.clone(), Value::from),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => value.clone(),
    }
}

/// Everything that `said` says stands in `again` too, which may say more: a document's example has every member.
fn says_all(said: &Value, again: &Value) -> bool {
    match (said, again) {
        (Value::Object(said), Value::Object(again)) => said
            .iter()
            .all(|(name, value)| value.is_null() || again.get(name).is_some_and(|other| says_all(value, other))),
        (Value::Array(said), Value::Array(again)) => {
            said.len() == again.len() && said.iter().zip(again).all(|(said, again)| says_all(said, again))
        }
        _ => plain(said) == plain(again),
    }
}

fn empty(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("") || value.as_array().is_some_and(Vec::is_empty)
}

#[test]
fn what_comes_in_as_one_goes_out_as_another_and_loses_nothing_that_it_can_say() {
    let mut pairs: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (from, name, event, body) in payloads() {
        let decoded = receive(from, &event, now(), &body);
        for event in decoded.events.into_iter().map(accepted) {
            let event = &event;
            for to in dialect::ALL.iter().copied() {
                let Some(outbound) = to.outbound else { continue };
                let Some(said_as) = outbound.event_name(&event.event_type) else { continue };
                if to.inbound.is_none() || outbound.check_settings(&Settings::default()).is_err() {
                    continue; // A destination: its own tests read what it sends.
                }
                let body = outbound.encode(event, &Settings::default());
                let body = body.unwrap_or_else(|error| panic!("{name} as {}: {error}", to.id));
                let again = receive(to, &said_as, event.occurred_at, &body);
                let again = again.events.first().unwrap_or_else(|| panic!("{name} as {} is nothing", to.id));
                compare(&name, event, to, again);
                *pairs.entry((from.id, to.id)).or_default() += 1;
            }
        }
    }
    let met: Vec<String> = pairs.keys().map(|(from, to)| format!("{from} → {to}")).collect();
    // Every dialect with payloads meets the two that carry everything, and those with a word for it meet the others.
    for from in ["aegis", "bearer-scan", "custom", "github", "gitlab", "snyk", "standard", "symbiotic"] {
        for to in ["standard", "cloudevents"] {
            assert!(pairs.contains_key(&(from, to)), "{from} → {to}: {met:?}");
        }
    }
    for pair in [
        ("github", "symbiotic"),
        ("github", "aegis"),
        ("gitlab", "symbiotic"),
        ("snyk", "aegis"),
        ("aegis", "symbiotic"),
    ] {
        assert!(pairs.contains_key(&pair), "{pair:?}: {met:?}");
    }
}

/// A finding without an id is given one when its event is accepted.
fn accepted(event: Event) -> Event {
    let said: Value = event.data.typed().unwrap();
    if !event.event_type.as_str().starts_with("vulnerability.") || !said["finding_id"].is_null() {
        return event;
    }
    let made = serde_json::json!({"finding_id": "0190a000-0000-7000-8000-000000000001"});
    Event { data: event.data.with_members(made.as_object().unwrap()), ..event }
}

fn compare(name: &str, event: &Event, to: &Dialect, again: &Event) {
    assert_eq!(again.event_type, event.event_type, "{name} as {}", to.id);
    // The time of Symbiotic's message is that of the finding, which is compared below.
    if to.id != "symbiotic" {
        assert_eq!(again.occurred_at.as_second(), event.occurred_at.as_second(), "{name} as {}: time", to.id);
    }
    let (said, heard): (Value, Value) = (event.data.typed().unwrap(), again.data.typed().unwrap());
    let Some(members) = sayable(to, event.event_type.as_str()) else {
        assert_eq!(said, heard, "{name} as {}", to.id);
        return;
    };
    for member in members {
        let mut value = said[*member].clone();
        // Of a component the document of Aegis has name and version.
        if let (Value::Object(component), "aegis") = (&mut value, to.id) {
            component.retain(|name, _| name != "purl");
        }
        assert!(
            empty(&value) || says_all(&value, &heard[*member]),
            "{name} as {}: {member} was {value}, and is {}",
            to.id,
            heard[*member]
        );
    }
}
