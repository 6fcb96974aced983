//! Every event type has an example that fits its schema and its check, and says the same in every dialect for ever.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use uuid::Uuid;
use watchbell_wire::event::{Mismatch, check};
use watchbell_wire::{Data, Event, EventType, Message, Secret, Settings, dialect};

fn sample(event_type: &EventType) -> Event {
    Event {
        id: Uuid::from_u128(0x0192_6fe4_2b7a_7d10_9c3d_0246_8ace_1357),
        event_type: event_type.clone(),
        occurred_at: "2024-10-09T08:47:57.975Z".parse::<Timestamp>().unwrap(),
        data: event_type.sample().unwrap(),
    }
}

#[test]
fn samples_fit_their_schema_and_check() {
    for event_type in EventType::BUILT_IN {
        let data = event_type.sample().unwrap();
        check(event_type, &data).unwrap_or_else(|mismatch| panic!("{event_type}: {mismatch}"));
        let schema = event_type.schema().unwrap();
        let instance = data.typed().unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let faults: Vec<_> = validator.iter_errors(&instance).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{event_type}: {faults:?}");
        assert!(event_type.description().unwrap().ends_with('.'));
    }
}

#[test]
fn schemas() {
    let schemas: BTreeMap<_, _> =
        EventType::BUILT_IN.iter().map(|event_type| (event_type.as_str(), event_type.schema().unwrap())).collect();
    insta::with_settings!({sort_maps => true}, { insta::assert_json_snapshot!("schemas", schemas) });
}

/// Names, headers and bodies of every event in every dialect. A change here is a change on the wire.
#[test]
fn every_event_in_every_dialect() {
    for dialect in dialect::ALL {
        let Some(outbound) = dialect.outbound else { continue };
        let secret = dialect.secrets.make([7; 32]);
        let keys = [dialect.secrets.key(&secret).unwrap()];
        let mut all = String::new();
        for event_type in EventType::BUILT_IN {
            let event = sample(event_type);
            let said = match outbound.event_name(event_type) {
                None => {
                    assert!(outbound.encode(&event, &Settings::default()).is_err(), "{dialect:?} {event_type}");
                    "no such event\n".to_owned()
                }
                Some(name) => {
                    let body = outbound.encode(&event, &Settings::default()).unwrap();
                    assert_eq!(
                        body,
                        outbound.encode(&event, &Settings::default()).unwrap(),
                        "encoding is a pure function"
                    );
                    let message = Message {
                        id: "dlv_01926fe4-2c1f-7cc0-8f4b-6f3c5a1e9b7d",
                        event: &name,
                        occurred_at: event.occurred_at,
                        sent_at: "2024-10-09T08:48:00.9Z".parse().unwrap(),
                        body: &body,
                    };
                    let mut text = format!("{name}\n\n");
                    for header in outbound.headers(&message, &keys).unwrap() {
                        writeln!(text, "{}: {}", header.name, header.value).unwrap();
                    }
                    text + "\n" + std::str::from_utf8(&body).unwrap() + "\n"
                }
            };
            writeln!(all, "=== {event_type}: {said}").unwrap();
        }
        insta::assert_snapshot!(format!("dialect_{}", dialect.id), all);
    }
}

#[test]
fn a_custom_type_goes_through_standard_byte_for_byte() {
    let event_type: EventType = "acme.build_done".parse().unwrap();
    let posted = "{\"z\": 1.10,\n \"a\": 123456789012345678901234567890, \"e\": \"\\u00e9\"}";
    let data = Data::from_text(posted.to_owned()).unwrap();
    let event = Event { data, ..sample(&EventType::WebhookPing) };
    let event = Event { event_type, ..event };
    let standard = dialect::find("standard").unwrap().outbound.unwrap();
    let body = String::from_utf8(standard.encode(&event, &Settings::default()).unwrap()).unwrap();
    assert_eq!(body, format!(r#"{{"type":"acme.build_done","timestamp":"2024-10-09T08:47:57.975Z","data":{posted}}}"#));
    let cloudevents = dialect::find("cloudevents").unwrap().outbound.unwrap();
    let body = String::from_utf8(cloudevents.encode(&event, &Settings::default()).unwrap()).unwrap();
    assert!(body.contains(r#""type":"watchbell.security.acme.build_done""#), "{body}");
    assert!(body.ends_with(&format!(r#","data":{posted}}}"#)), "{body}");
    let vendors = dialect::ALL.iter().filter(|dialect| dialect.inbound.is_some());
    for dialect in vendors.filter(|dialect| !["standard", "cloudevents"].contains(&dialect.id)) {
        assert!(dialect.outbound.is_none_or(|outbound| outbound.event_name(&event.event_type).is_none()));
    }
}

#[test]
fn check_names_the_member_by_pointer() {
    let cases = [
        ("vulnerability.created", r#"{"severity":"HIGH"}"#, "/severity"),
        ("vulnerability.created", r#"{"component":{"name":5}}"#, "/component/name"),
        ("vulnerability.created", r#"{"component":["lodash"]}"#, "/component"),
        ("vulnerability.created", r#"{"aliases":["a",5]}"#, "/aliases/1"),
        ("vulnerability.created", r#"{"detected_at":-1}"#, "/detected_at"),
        ("vulnerability.created", r#"{"detected_at":100000000000000000}"#, "/detected_at"),
        ("vulnerability.created", r#"{"detected_at":"2025-02-30T00:00:00Z"}"#, "/detected_at"),
        ("vulnerability.created", r#"{"detected_at":"10000-01-01T00:00:00Z"}"#, "/detected_at"),
        ("vulnerability.created", r#"{"detected_at":"2025-01-01T00:00:00"}"#, "/detected_at"),
        ("poam.overdue", r#"{"poam_id":"x","scheduled_completion_date":"2025-02-30"}"#, "/scheduled_completion_date"),
        ("poam.overdue", r#"{"scheduled_completion_date":"2025-02-03"}"#, "/poam_id"),
        ("scan.completed", r#"{"scan_id":"x","threats_found":-1}"#, "/threats_found"),
        ("scan.completed", r#"{"scan_id":""}"#, "/scan_id"),
        ("training.completed", r#"{"user":"a","training":"b"}"#, "/score"),
        ("project.snapshot", r#"{"project":{"id":"a"},"org":{"id":"b"},"newIssues":[]}"#, "/project/name"),
        ("project.snapshot", r#"{"project":{"id":"a","name":"b"},"org":{"id":"b"},"newIssues":{}}"#, "/newIssues"),
        ("evidence.completed", r#"{"evidence_id":5}"#, "/evidence_id"),
    ];
    for (event_type, data, pointer) in cases {
        let data = Data::from_text(data.to_owned()).unwrap();
        let mismatch: Mismatch = check(&event_type.parse().unwrap(), &data).unwrap_err();
        assert_eq!(mismatch.pointer, pointer, "{event_type} {}: {mismatch}", data.text());
        assert!(!mismatch.message.contains(" at line "), "{mismatch}");
    }
}

#[test]
fn unknown_members_are_nobodys_business() {
    let data = Data::from_text(r#"{"severity":"low","x":{"1e999":[1e999]},"y":1234567890123456789012345}"#.to_owned())
        .unwrap();
    check(&EventType::VulnerabilityCreated, &data).unwrap();
    check(&"acme.thing".parse().unwrap(), &data).unwrap();
}

#[test]
fn missing_data_is_named_and_no_panic() {
    let cases = [
        ("symbiotic", "vulnerability.created", r#"{"title":"x"}"#, "finding_id"),
        ("aegis", "vulnerability.created", r#"{"title":"x"}"#, "finding_id"),
        ("aegis", "poam.overdue", r#"{"poam_id":"x","scheduled_completion_date":"2024-10-16"}"#, "days_overdue"),
        ("aegis", "evidence.completed", r#"{"file_name":"x"}"#, "evidence_id"),
        ("bearer-scan", "scan.completed", r#"{"threats_found":1}"#, "scan_id"),
        ("snyk", "webhook.ping", r#"{}"#, "webhook_id"),
        ("snyk", "project.snapshot", r#"{"project":{"id":"x","name":"y"},"newIssues":[]}"#, "/org/id"),
    ];
    for (dialect, event_type, data, member) in cases {
        let event_type: EventType = event_type.parse().unwrap();
        let event = Event { data: Data::from_text(data.to_owned()).unwrap(), ..sample(&event_type) };
        let error = dialect::find(dialect).unwrap().outbound.unwrap().encode(&event, &Settings::default()).unwrap_err();
        assert!(error.to_string().contains(member), "{dialect} {event_type}: {error}");
    }
}

#[test]
fn prefixes_of_ours_stay_with_us() {
    let data = r#"{"finding_id":"fnd_0ef8ac7e-1b9d-48d9-82eb-2f2355ba2b31","project_id":"prj_123e4567-e89b-12d3-a456-426614174000"}"#;
    let event = Event { data: Data::from_text(data.to_owned()).unwrap(), ..sample(&EventType::VulnerabilityCreated) };
    for id in ["symbiotic", "aegis"] {
        let body = dialect::find(id).unwrap().outbound.unwrap().encode(&event, &Settings::default()).unwrap();
        let body = String::from_utf8(body).unwrap();
        assert!(body.contains(r#":"0ef8ac7e-1b9d-48d9-82eb-2f2355ba2b31""#), "{body}");
        assert!(!body.contains("fnd_") && !body.contains("prj_"), "{body}");
    }
}

#[test]
fn days_are_counted_where_nobody_gave_them() {
    let data = r#"{"poam_id":"x","scheduled_completion_date":"2024-10-16"}"#;
    let event =
        Event { data: Data::from_text(data.to_owned()).unwrap(), ..sample(&EventType::PoamDeadlineApproaching) };
    let aegis = dialect::find("aegis").unwrap().outbound.unwrap();
    let body = String::from_utf8(aegis.encode(&event, &Settings::default()).unwrap()).unwrap();
    assert!(body.contains(r#""daysRemaining":7"#), "{body}");
    let late =
        Event { event_type: EventType::PoamOverdue, occurred_at: "2024-10-18T23:59:59Z".parse().unwrap(), ..event };
    let body = String::from_utf8(aegis.encode(&late, &Settings::default()).unwrap()).unwrap();
    assert!(body.contains(r#""daysOverdue":2"#), "{body}");
}

#[test]
fn secrets_are_judged_by_each_dialects_rule() {
    let good = [
        ("snyk", "sixteen bytes ok", "sixteen bytes ok"),
        ("aegis", " not trimmed at all ", " not trimmed at all "),
        ("symbiotic", "00 11 22 33 44 55 66 77 88 99 AA BB CC DD EE FF\n", "00112233445566778899aabbccddeeff"),
        ("bearer-scan", "abcDEF0123-._~+/==", "abcDEF0123-._~+/=="),
        ("standard", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ];
    for (dialect, given, normal) in good {
        let secrets = dialect::find(dialect).unwrap().secrets;
        assert_eq!(secrets.check(&Secret::new(given)).unwrap().expose(), normal, "{dialect}");
    }
    let bad = [
        ("snyk", ""),
        ("snyk", "fifteen bytes.."),
        ("aegis", "short"),
        ("symbiotic", ""),
        ("symbiotic", " \n"),
        ("symbiotic", "00112233445566778899aabbccddee"),
        ("symbiotic", "0 0112233445566778899aabbccddeeff"),
        ("symbiotic", "zz112233445566778899aabbccddeeff"),
        ("bearer-scan", "has a blank in it"),
        ("bearer-scan", "================"),
        ("bearer-scan", "abc=defghijklmnopqr"),
        ("bearer-scan", "tooshort"),
        ("standard", ""),
        ("standard", "whsec_"),
        ("standard", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS"),
        ("standard", "whsec_AAAA"),
        ("standard", "whsk_AAAA"),
        ("standard", "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvw=="),
        ("standard", "whpk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    ];
    for (dialect, given) in bad {
        let error = dialect::find(dialect).unwrap().secrets.check(&Secret::new(given)).unwrap_err();
        assert!(given.is_empty() || !error.to_string().contains(given), "{dialect}: {error}");
    }
    for dialect in dialect::ALL {
        let made = dialect.secrets.make([0xA7; 32]);
        assert_eq!(dialect.secrets.check(&made).unwrap(), made, "{dialect:?}");
        dialect.secrets.key(&made).unwrap();
    }
}
