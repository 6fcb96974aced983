//! Destinations that tell people: what opens is closed by the same key, foreign text is inert, each vendor's limits hold,
//! and its answers are understood.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use uuid::Uuid;
use watchbell_wire::dialect::{Answer, Exchange, Judgement, Outbound, Request};
use watchbell_wire::{Data, Event, EventType, Secret, Settings, dialect};

/// Those whose text is looked at here.
const TOLD: [&str; 7] = ["slack", "teams", "pagerduty", "opsgenie", "jsm", "jira", "http"];

pub(crate) fn outbound(id: &str) -> &'static dyn Outbound {
    dialect::find(id).unwrap().outbound.unwrap()
}

pub(crate) fn settings(members: Value) -> Settings {
    Settings::new(members.as_object().unwrap().clone())
}

pub(crate) fn event(event_type: &str, data: Value) -> Event {
    Event {
        id: Uuid::from_u128(0x0192_6fe4_2b7a_7d10_9c3d_0246_8ace_1357),
        event_type: event_type.parse().unwrap(),
        occurred_at: "2024-10-09T08:47:57.975Z".parse::<Timestamp>().unwrap(),
        data: Data::from_text(data.to_string()).unwrap(),
    }
}

fn body(id: &str, event: &Event, settings: &Settings) -> Value {
    serde_json::from_slice(&outbound(id).encode(event, settings).unwrap()).unwrap()
}

/// What becomes of a delivery whose requests are answered so; bodies are JSON or text.
fn judged(id: &str, event: &Event, settings: &Settings, path: &str, answers: &[(u16, &str)]) -> Judgement {
    let headers = [("x-ratelimit-period-in-sec".to_owned(), "60".to_owned())];
    let answers: Vec<_> = answers
        .iter()
        .map(|(status, body)| Answer { status: *status, headers: &headers, body: body.as_bytes() })
        .collect();
    outbound(id).judge(&Exchange { id: "msg_1", event, settings, path, answers: &answers })
}

const FINDING: &str = "0ef8ac7e-1b9d-48d9-82eb-2f2355ba2b31";

fn finding(event_type: &str) -> Event {
    event(event_type, json!({"finding_id": FINDING, "title": "T", "severity": "high"}))
}

#[test]
fn what_opened_is_closed_by_the_same_key() {
    let none = Settings::default();
    let poam =
        |event_type: &str| event(event_type, json!({"poam_id": "567e8901", "scheduled_completion_date": "2024-10-16"}));
    for (opens, closes) in [
        (finding("vulnerability.created"), finding("vulnerability.remediated")),
        (finding("vulnerability.reopened"), finding("vulnerability.suppressed")),
        (finding("vulnerability.critical"), finding("vulnerability.remediated")),
        (poam("poam.deadline_approaching"), poam("poam.completed")),
        (poam("poam.overdue"), poam("poam.completed")),
    ] {
        let (opened, closed) = (body("pagerduty", &opens, &none), body("pagerduty", &closes, &none));
        assert_eq!((&opened["event_action"], &closed["event_action"]), (&json!("trigger"), &json!("resolve")));
        assert_eq!(opened["dedup_key"], closed["dedup_key"]);
        let alias = body("opsgenie", &opens, &none)["alias"].as_str().unwrap().to_owned();
        let escaped = alias.replace(':', "%3A").replace('/', "%2F");
        for (id, base) in [("opsgenie", "/v2/alerts"), ("jsm", "/jsm/ops/integration/v2/alerts")] {
            for path in ["/", base] {
                assert_eq!(outbound(id).target(&opens, &none, path).as_deref(), Some(base));
                let target = outbound(id).target(&closes, &none, path);
                assert_eq!(target.unwrap(), format!("{base}/{escaped}/close?identifierType=alias"));
            }
        }
        assert_eq!(body("jira", &opens, &none)["jql"], body("jira", &closes, &none)["jql"]);
    }
    // Whose id is whose: no two matters share a key, and ids with our prefix are the bare ones.
    let prefixed = event("vulnerability.created", json!({"finding_id": format!("fnd_{FINDING}"), "title": "T"}));
    let key = |event: &Event| body("pagerduty", event, &none)["dedup_key"].clone();
    assert_eq!(key(&prefixed), key(&finding("vulnerability.created")));
    assert_ne!(key(&poam("poam.overdue")), key(&finding("vulnerability.created")));
}

#[test]
fn long_keys_stay_keys() {
    let long = json!({"finding_id": "x".repeat(600), "title": "T"});
    let (opens, closes) = (event("vulnerability.created", long.clone()), event("vulnerability.remediated", long));
    let none = Settings::default();
    let key = body("pagerduty", &opens, &none)["dedup_key"].as_str().unwrap().to_owned();
    assert_eq!(key.len(), 64);
    assert_eq!(body("pagerduty", &closes, &none)["dedup_key"], key);
    let alias = body("opsgenie", &opens, &none)["alias"].as_str().unwrap().to_owned();
    assert!(outbound("opsgenie").target(&closes, &none, "/").unwrap().contains(&alias));
}

#[test]
fn severities_are_the_services_own() {
    let table = [
        ("critical", "critical", "P1"),
        ("high", "error", "P2"),
        ("medium", "warning", "P3"),
        ("low", "warning", "P4"),
        ("info", "info", "P5"),
        ("unknown", "warning", "P3"),
    ];
    for (ours, pagerduty, opsgenie) in table {
        let event = event("vulnerability.created", json!({"finding_id": FINDING, "title": "T", "severity": ours}));
        assert_eq!(body("pagerduty", &event, &Settings::default())["payload"]["severity"], pagerduty);
        assert_eq!(body("opsgenie", &event, &Settings::default())["priority"], opsgenie);
    }
}

#[test]
fn findings_that_were_one_are_closed_together_and_a_test_closes_itself() {
    let merged = json!({"finding_id": FINDING, "title": "T", "merged_finding_ids": ["a", "b", FINDING]});
    let gone = event("vulnerability.remediated", merged);
    let none = Settings::default();
    let Judgement::Ask(Request { method: "POST", target, body }) =
        judged("opsgenie", &gone, &none, "/v2/alerts", &[(202, "{}")])
    else {
        panic!("a is closed next")
    };
    assert_eq!(target, "/v2/alerts/watchbell%3Afinding%2Fa/close?identifierType=alias");
    assert!(String::from_utf8(body).unwrap().contains("\"source\":\"Watchbell\""));
    let Judgement::Ask(Request { body, .. }) = judged("pagerduty", &gone, &none, "/v2/enqueue", &[(202, ""); 2]) else {
        panic!("b is closed next")
    };
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body, json!({"event_action": "resolve", "dedup_key": "watchbell:finding/b"}));
    assert_eq!(judged("pagerduty", &gone, &none, "/v2/enqueue", &[(202, ""); 3]), Judgement::ByStatus);
    let ping = event("webhook.ping", json!({}));
    assert!(matches!(judged("pagerduty", &ping, &none, "/", &[(202, "")]), Judgement::Ask(_)));
    assert_eq!(judged("pagerduty", &ping, &none, "/", &[(202, ""); 2]), Judgement::ByStatus);
    assert_eq!(judged("opsgenie", &finding("vulnerability.created"), &none, "/", &[(202, "")]), Judgement::ByStatus);
}

#[test]
fn the_routing_key_is_in_what_goes_out_alone() {
    let pagerduty = dialect::find("pagerduty").unwrap();
    let kept = outbound("pagerduty").encode(&finding("vulnerability.created"), &Settings::default()).unwrap();
    let key = pagerduty.secrets.key(&Secret::new("0123456789abcdef0123456789ABCDEF")).unwrap();
    let sent: Map<String, Value> =
        serde_json::from_slice(&outbound("pagerduty").keyed(&kept, &[key]).unwrap()).unwrap();
    assert_eq!(sent["routing_key"], "0123456789abcdef0123456789ABCDEF");
    assert!(!String::from_utf8(kept).unwrap().contains("routing_key"));
    assert!(outbound("pagerduty").keyed(b"{}", &[]).is_err());
    for wrong in ["0123456789abcdef", "0123456789abcdef0123456789abcde!"] {
        assert!(pagerduty.secrets.check(&Secret::new(wrong)).is_err());
    }
}

#[test]
fn i5_answers_are_understood() {
    let event = finding("vulnerability.created");
    let cases = [
        ("slack", "/services/a", 200, "ok", "status"),
        ("slack", "/services/a", 400, "invalid_blocks", "refused"),
        ("slack", "/services/a", 403, "action_prohibited", "gone"),
        ("slack", "/services/a", 404, "no_service", "gone"),
        ("slack", "/services/a", 410, "channel_is_archived", "gone"),
        ("slack", "/services/a", 429, "", "status"),
        ("slack", "/services/a", 500, "rollup_error", "status"),
        ("teams", "/workflows/a", 202, "", "status"),
        ("teams", "/workflows/a", 200, "a flow's own words", "status"),
        ("teams", "/workflows/a", 400, "InvalidRequestContent", "refused"),
        ("teams", "/workflows/a", 401, "", "gone"),
        ("teams", "/workflows/a", 403, "", "gone"),
        ("teams", "/workflows/a", 404, "WorkflowNotFound", "gone"),
        ("teams", "/workflows/a", 429, "", "status"),
        ("teams", "/webhookb2/a", 200, "1", "status"),
        ("teams", "/webhookb2/a", 200, "Webhook message delivery failed with error: 429", "failed"),
        ("pagerduty", "/v2/enqueue", 202, "", "status"),
        ("pagerduty", "/v2/enqueue", 400, r#"{"errors":["'summary' is missing"]}"#, "refused"),
        ("pagerduty", "/v2/enqueue", 429, "", "failed after 30"),
        ("pagerduty", "/v2/enqueue", 500, "", "status"),
        ("opsgenie", "/v2/alerts", 202, "{}", "status"),
        ("opsgenie", "/v2/alerts", 401, "{}", "refused"),
        ("opsgenie", "/v2/alerts", 422, r#"{"errors":{"message":"too long"}}"#, "refused"),
        ("opsgenie", "/v2/alerts", 429, "{}", "failed after 60"),
        ("opsgenie", "/v2/alerts", 503, "", "status"),
        ("jira", "/", 401, "", "refused"),
        ("jira", "/", 400, r#"{"errorMessages":["Error in the JQL Query"]}"#, "refused"),
        ("jira", "/", 429, "", "status"),
        ("http", "/", 404, "", "status"),
    ];
    for (id, path, status, said, expected) in cases {
        let judgement = judged(id, &event, &settings(json!({})), path, &[(status, said)]);
        let (kind, detail) = match judgement {
            Judgement::ByStatus => ("status".to_owned(), None),
            Judgement::Failed { detail, pause } => {
                let after = pause.map(|pause: SignedDuration| format!(" after {}", pause.as_secs()));
                (format!("failed{}", after.unwrap_or_default()), Some(detail))
            }
            Judgement::Refused { detail } => ("refused".to_owned(), Some(detail)),
            Judgement::Gone { detail } => ("gone".to_owned(), Some(detail)),
            Judgement::Taken => ("taken".to_owned(), None),
            Judgement::Ask(request) | Judgement::AskLater { request, .. } => (format!("{request:?}"), None),
        };
        assert_eq!(kind, expected, "{id} {status} {said}");
        let quotes = detail.is_none_or(|detail| detail.contains(said) && detail.contains(&status.to_string()));
        assert!(quotes, "{id} {status}: the answer is quoted");
    }
}

#[test]
fn settings_are_checked() {
    let bad = [
        ("slack", json!({"link_base": "http://a.example"}), "/link_base"),
        ("slack", json!({"channel": "#x"}), "/channel"),
        ("teams", json!({"link_base": 5}), "/link_base"),
        ("pagerduty", json!({"group": 5}), "/group"),
        ("opsgenie", json!({"responders": [{"type": "robot", "id": "x"}]}), "/responders/0/type"),
        ("opsgenie", json!({"responders": [{"type": "team"}]}), "/responders/0"),
        ("opsgenie", json!({"responders": [{"type": "user", "name": "x"}]}), "/responders/0"),
        ("jsm", json!({"tags": [""]}), "/tags"),
        ("jira", json!({}), "/project"),
        ("jira", json!({"project": "A\" OR project = \"B"}), "/project"),
        ("jira", json!({"project": "SEC", "labels": ["two words"]}), "/labels"),
        ("jira", json!({"project": "SEC", "priorities": {"urgent": "High"}}), "/priorities"),
        ("http", json!({"method": "GET"}), "/method"),
        ("http", json!({"content_type": "a/b\r\nX: y"}), "/content_type"),
        ("http", json!({"body": {"text": ["${ titel }"]}}), "/body/text/0"),
        ("http", json!({"body": {"who": "by ${ project.name }"}}), "/body/who"),
    ];
    for (id, members, pointer) in bad {
        let error = outbound(id).check_settings(&settings(members.clone())).unwrap_err();
        assert_eq!(error.pointer, pointer, "{id} {members}: {error}");
    }
    let good = [
        ("slack", json!({"link_base": "https://a.example/x"})),
        (
            "opsgenie",
            json!({"responders": [{"type": "team", "name": "x"}, {"type": "user", "username": "a@b.example"}]}),
        ),
        (
            "jira",
            json!({"project": "SEC", "labels": ["x"], "priorities": {"critical": "Highest"}, "close_transition": ""}),
        ),
        ("http", json!({"body": null})),
        ("http", json!({"method": "PUT", "content_type": "application/vnd.acme+json; charset=utf-8"})),
    ];
    for (id, members) in good {
        assert_eq!(outbound(id).check_settings(&settings(members.clone())), Ok(()), "{id} {members}");
    }
}

#[test]
fn who_names_no_events_is_not_told_twice() {
    let wanted = |id: &str, event_type: &str| outbound(id).is_wanted(&event_type.parse().unwrap());
    for id in TOLD.into_iter().filter(|id| *id != "http") {
        assert!(wanted(id, "vulnerability.created") && wanted(id, "vulnerability.remediated"), "{id}");
        assert!(!wanted(id, "vulnerability.critical"), "{id}");
    }
    assert!(wanted("slack", "training.completed") && !wanted("pagerduty", "training.completed"));
    assert!(!wanted("jira", "scan.failed") && wanted("opsgenie", "scan.failed") && wanted("http", "scan.started"));
    assert!(
        EventType::BUILT_IN
            .iter()
            .all(|event_type| TOLD.iter().all(|id| outbound(id).event_name(event_type).is_some()))
    );
}

const SEC: &str = r#"{"project": "SEC"}"#;

/// Jira's next request after these answers: method, target, body.
fn next(event: &Event, answers: &[(u16, &str)]) -> Option<(&'static str, String, Value)> {
    let settings = settings(serde_json::from_str(SEC).unwrap());
    match judged("jira", event, &settings, "/", answers) {
        Judgement::Ask(Request { method, target, body }) => {
            Some((method, target, serde_json::from_slice(&body).unwrap_or_default()))
        }
        Judgement::ByStatus => None,
        other @ (Judgement::Failed { .. }
        | Judgement::Refused { .. }
        | Judgement::Gone { .. }
        | Judgement::Taken
        | Judgement::AskLater { .. }) => panic!("{other:?}"),
    }
}

#[test]
fn jira_makes_an_issue_once_comments_and_ends_it() {
    const NONE: (u16, &str) = (200, r#"{"issues":[]}"#);
    const OPEN: (u16, &str) =
        (200, r#"{"issues":[{"key":"SEC-7","fields":{"status":{"statusCategory":{"key":"new"}}}}]}"#);
    const DONE: (u16, &str) =
        (200, r#"{"issues":[{"key":"SEC-7","fields":{"status":{"statusCategory":{"key":"done"}}}}]}"#);
    const MINE: (u16, &str) = (
        200,
        r#"{"issues":[{"key":"SEC-7","fields":{"status":{"statusCategory":{"key":"new"}}},
        "properties":{"watchbell":{"event":"01926fe4-2b7a-7d10-9c3d-02468ace1357"}}}]}"#,
    );
    const SILENCE: (u16, &str) = (200, r#"{"comments":[]}"#);
    const SAID: (u16, &str) =
        (200, r#"{"comments":[{"body":"Watchbell, event 01926fe4-2b7a-7d10-9c3d-02468ace1357"}]}"#);
    const WAYS: (u16, &str) = (
        200,
        r#"{"transitions":[{"id":"1","to":{"statusCategory":{"key":"new"}}},
        {"id":"31","to":{"statusCategory":{"key":"done"}}}]}"#,
    );
    let (opens, closes) = (finding("vulnerability.created"), finding("vulnerability.remediated"));

    let (method, target, issue) = next(&opens, &[NONE]).unwrap();
    assert_eq!((method, target.as_str()), ("POST", "/rest/api/3/issue"));
    assert_eq!(issue["fields"]["project"], json!({"key": "SEC"}));
    assert_eq!(issue["properties"][0]["value"]["event"], "01926fe4-2b7a-7d10-9c3d-02468ace1357");
    let label = issue["fields"]["labels"][0].as_str().unwrap();
    assert!(body("jira", &closes, &settings(json!({"project": "SEC"})))["jql"].as_str().unwrap().contains(label));
    assert_eq!(next(&opens, &[NONE, (201, "{}")]), None);
    // From the start again after a break: it knows its own issue.
    assert_eq!(next(&opens, &[MINE]), None);
    // Another event about a matter whose issue is done makes a new one.
    assert_eq!(next(&opens, &[DONE]).unwrap().1, "/rest/api/3/issue");

    let comments = "/rest/api/3/issue/SEC-7/comment";
    assert_eq!(next(&closes, &[NONE]), None);
    assert_eq!(next(&closes, &[DONE]), None);
    let (method, target, _) = next(&closes, &[OPEN]).unwrap();
    assert_eq!((method, target.as_str()), ("GET", "/rest/api/3/issue/SEC-7/comment?orderBy=-created&maxResults=50"));
    let (method, target, comment) = next(&closes, &[OPEN, SILENCE]).unwrap();
    assert_eq!((method, target.as_str()), ("POST", comments));
    assert!(comment.to_string().contains("01926fe4-2b7a-7d10-9c3d-02468ace1357"), "a comment names its event");
    let transitions = "/rest/api/3/issue/SEC-7/transitions".to_owned();
    for so_far in [vec![OPEN, SILENCE, (201, "{}")], vec![OPEN, SAID]] {
        assert_eq!(next(&closes, &so_far), Some(("GET", transitions.clone(), Value::Null)));
        let so_far = [so_far, vec![WAYS]].concat();
        assert_eq!(next(&closes, &so_far), Some(("POST", transitions.clone(), json!({"transition": {"id": "31"}}))));
        assert_eq!(next(&closes, &[so_far, vec![(204, "")]].concat()), None);
    }
    let no_way = judged(
        "jira",
        &closes,
        &settings(json!({"project": "SEC", "close_transition": "Ship"})),
        "/",
        &[OPEN, SAID, WAYS],
    );
    assert!(matches!(no_way, Judgement::Refused { .. }));
}

/// Every text in a value.
pub(crate) fn texts<'a>(value: &'a Value, out: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => out.push(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, out)),
        Value::Object(members) => members.values().for_each(|member| texts(member, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

pub(crate) fn unseen(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{ad}')
        || (character.is_control() && character != '\n')
}

pub(crate) fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "<!channel>",
        "<!subteam^S1>",
        "@here",
        "<https://evil.example|bank>",
        "[bank](https://evil.example)",
        "{{7*7}}",
        "${jndi:ldap://x}",
        "\u{202e}exe",
        "\u{200b}",
        "\u{1b}[31m",
        "\r\nX: y",
        "\0",
        "*b* _i_ ~s~ `c`",
        "&lt;",
        "\"}],\"x\":[{\"",
        "<at>Everyone</at>",
        "<script>",
        "# head",
        "1. one",
        "- two",
        "|a|b|",
        "=cmd()",
        "🦁",
        "日本",
        "ß",
        "x",
        " ",
    ]);
    prop::collection::vec(pieces, 0..400).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// I1–I3: whatever stands in a finding, each message is what its service takes, and nothing in it is markup.
    #[test]
    fn i1_i2_i3_foreign_text_is_inert_and_fits(text in hostile(), other in hostile(), closes in any::<bool>()) {
        let event_type = if closes { "vulnerability.remediated" } else { "vulnerability.created" };
        let event = event(event_type, json!({
            "finding_id": other, "title": text, "severity": "high", "component": {"name": other, "version": text},
            "cve_id": other, "aliases": [text, other], "resource_path": text, "rule_id": other, "creator": text, "reason": other,
        }));
        for id in TOLD {
            let said = body(id, &event, &settings(json!({"link_base": "https://bell.example"}).as_object().filter(|_| id != "http").map_or(json!({}), |it| json!(it))));
            let mut all = Vec::new();
            texts(&said, &mut all);
            if id != "http" {
                prop_assert!(all.iter().all(|text| !text.contains(unseen)), "{id}: {said}");
            }
            match id {
                "slack" => for text in all {
                    prop_assert!(!text.replace("<https://bell.example/events/01926fe4-2b7a-7d10-9c3d-02468ace1357|Open in Watchbell>", "").contains(['<', '>']), "{text}");
                    prop_assert!(!text.contains("@here"));
                    prop_assert!(text.encode_utf16().count() <= 3900);
                },
                "teams" => {
                    prop_assert!(said.to_string().len() < 27_000);
                    let card = &said["attachments"][0]["content"];
                    let mut shown = Vec::new();
                    texts(&card["body"], &mut shown); texts(&card["fallbackText"], &mut shown);
                    prop_assert!(shown.iter().all(|text| !text.contains("](") && !text.contains("{{")), "{said}");
                }
                "pagerduty" => {
                    prop_assert!(said["dedup_key"].as_str().unwrap().encode_utf16().count() <= 255);
                    prop_assert!(closes || said["payload"]["summary"].as_str().unwrap().encode_utf16().count() <= 1024);
                }
                "opsgenie" | "jsm" => for (member, max) in [("message", 130), ("alias", 512), ("description", 15_000), ("entity", 512), ("note", 25_000)] {
                    prop_assert!(said[member].as_str().unwrap_or_default().encode_utf16().count() <= max);
                },
                _ => {}
            }
        }
    }
}
