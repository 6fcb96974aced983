//! Several events said at once, and bodies by the owner's template.

use proptest::prelude::*;
use serde_json::{Value, json};
use watchbell_wire::dialect::{self, Part};
use watchbell_wire::{Data, Event, EventType, Settings};

use crate::destinations::{event, hostile, outbound, settings, texts, unseen};

fn joined(id: &str, events: &[Event], settings: &Settings) -> Value {
    let outbound = outbound(id);
    let bodies: Vec<Vec<u8>> = events.iter().map(|event| outbound.encode(event, settings).unwrap()).collect();
    let parts: Vec<Part<'_>> = events.iter().zip(&bodies).map(|(event, body)| Part { event, body }).collect();
    serde_json::from_slice(&outbound.join(&parts, settings).unwrap().unwrap()).unwrap()
}

#[test]
fn who_says_that_it_joins_does() {
    let none = Settings::default();
    let mut able = Vec::new();
    for dialect in dialect::ALL {
        let Some(outbound) = dialect.outbound else { continue };
        assert_eq!(outbound.joins(), outbound.join(&[], &none).is_some(), "{}", dialect.id);
        able.extend(outbound.joins().then_some(dialect.id));
    }
    assert_eq!(able, ["splunk_hec", "elastic", "email", "slack", "teams", "http"]);
}

#[test]
fn a_body_is_what_the_template_makes_of_the_event() {
    let template = settings(json!({"body": {
        "text": "${severity}: ${title}", "cvss": "${cvss}", "kind": ["${type}", "${id}"], "static": true,
    }}));
    let event = event("vulnerability.created", json!({"title": "a \"b\" ${x}", "severity": "high", "cvss_score": 9.8}));
    let body = outbound("http").encode(&event, &template).unwrap();
    let said: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(said["text"], "high: a \"b\" ${x}");
    assert_eq!((&said["cvss"], &said["static"]), (&json!(9.8), &json!(true)));
    assert_eq!(said["kind"], json!(["vulnerability.created", event.id.hyphenated().to_string()]));
    assert_eq!(outbound("http").encode(&event, &template).unwrap(), body, "the same on every attempt");
    let both = joined("http", &[event.clone(), event.clone()], &template);
    assert_eq!(both, json!([said, said]));
    assert_eq!(joined("http", std::slice::from_ref(&event), &template), json!([said]), "always an array");
    for id in ["slack", "teams"] {
        let own: Value = serde_json::from_slice(&outbound(id).encode(&event, &Settings::default()).unwrap()).unwrap();
        assert_eq!(joined(id, std::slice::from_ref(&event), &Settings::default()), own, "{id}");
    }
    let plain = joined("http", &[event.clone(), event], &Settings::default());
    assert_eq!((&plain[0]["type"], plain.as_array().unwrap().len()), (&json!("vulnerability.created"), 2));
}

#[test]
fn a_template_without_a_value_says_where() {
    let template = settings(json!({"body": {"deep": {"list": ["x", "at ${ data.score + 1 }"]}}}));
    assert_eq!(outbound("http").check_settings(&template), Ok(()));
    let good = event("scan.started", json!({"scan_id": "s", "score": 3}));
    assert!(outbound("http").encode(&good, &template).is_ok());
    let bad = event("scan.started", json!({"scan_id": "s", "score": "high"}));
    let error = outbound("http").encode(&bad, &template).unwrap_err().to_string();
    assert!(error.contains("settings/body/deep/list/1: line 1, column "), "{error}");
    let sample = (EventType::ScanStarted, Data::from_text(r#"{"score": []}"#.to_owned()).unwrap());
    let compiled = outbound("http").template(&template).unwrap();
    let wrong = compiled.check([(&sample.0, &sample.1)]).unwrap_err();
    assert_eq!(wrong.pointer, "/deep/list/1");
    assert!(wrong.mistake.message.ends_with("on the sample of scan.started"), "{wrong}");
}

#[test]
fn a_template_and_what_it_makes_have_limits() {
    let long = settings(json!({"body": "x".repeat(40_000)}));
    assert_eq!(outbound("http").check_settings(&long).unwrap_err().pointer, "/body");
    let greedy = settings(json!({"body": vec!["${title}${title}"; 40]}));
    assert_eq!(outbound("http").check_settings(&greedy), Ok(()));
    let large = event("vulnerability.created", json!({"title": "t".repeat(50_000)}));
    let error = outbound("http").encode(&large, &greedy).unwrap_err().to_string();
    assert!(error.contains("more texts"), "{error}");
}

#[test]
fn a_digest_counts_names_the_worst_and_leads_on() {
    let base = settings(json!({"link_base": "https://bell.example"}));
    let mut events: Vec<Event> = (0..30)
        .map(|number| event("vulnerability.created", json!({"title": format!("low {number}"), "severity": "low"})))
        .collect();
    events.push(event("vulnerability.created", json!({"title": "bad one", "severity": "critical"})));
    let slack = joined("slack", &events, &base);
    assert_eq!(slack["text"], "🔴 31 events");
    let text = slack["blocks"][2]["text"]["text"].as_str().unwrap();
    let first =
        "🔴 `New vulnerability: bad one` <https://bell.example/events/01926fe4-2b7a-7d10-9c3d-02468ace1357|open>";
    assert!(text.starts_with(first) && text.ends_with("… and 21 more"), "{text}");
    assert_eq!(slack["blocks"][1]["fields"][1]["text"], "*Low*\n`30`");
    let card = joined("teams", &events, &base)["attachments"][0]["content"].clone();
    let mut said = Vec::new();
    texts(&card, &mut said);
    assert!(said.iter().any(|text| text.contains("bad one [open](https://bell.example/events/")), "{card}");
    assert!(said.contains(&"… and 21 more") && said.contains(&"https://bell.example/events"), "{card}");
    let mail = joined(
        "email",
        &events,
        &settings(json!({"from": "a@example.com", "to": ["b@example.com"], "link_base": "https://bell.example"})),
    );
    assert_eq!(mail["subject"], "[critical] 31 security events");
    assert!(mail["text"].as_str().unwrap().contains("1 critical, 30 low"), "{mail}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// I1, I2, I6: whatever stands in the events of a digest, it is what its service takes, and nothing in it is markup.
    #[test]
    fn i1_i2_digests_are_inert_and_fit(titles in prop::collection::vec(hostile(), 2..14), long_base in any::<bool>()) {
        let base = if long_base { format!("https://bell.example/{}", "x".repeat(900)) } else { "https://bell.example".into() };
        let events: Vec<Event> = titles.iter().map(|title| {
            event("vulnerability.created", json!({"title": title, "severity": "high", "component": {"name": title}}))
        }).collect();
        let base = settings(json!({ "link_base": base }));
        let slack = joined("slack", &events, &base);
        let mut said = Vec::new();
        texts(&slack, &mut said);
        for text in said {
            let own = |text: &str| text.starts_with("https://bell.example/");
            let links_are_ours = text.split('<').skip(1).all(own);
            prop_assert!(links_are_ours && !text.contains("@here") && !text.contains(unseen), "{text}");
            prop_assert!(text.encode_utf16().count() <= 3000);
        }
        let teams = joined("teams", &events, &base);
        prop_assert!(teams.to_string().len() < 28_000);
        let mut said = Vec::new();
        texts(&teams["attachments"][0]["content"]["body"], &mut said);
        for text in said {
            prop_assert!(text.matches("](").count() == text.matches("[open](https://bell.example/").count(), "{text}");
            prop_assert!(!text.contains("{{") && !text.contains(unseen), "{text}");
        }
    }
}
