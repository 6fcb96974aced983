//! Each vendor's example payloads: read, and, where we send the like, written again as the same JSON value.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use watchbell_wire::{Decoded, Dialect, EventType, Headers, Message, Settings, Unverified, dialect};

/// Signs `body` as a sender of `dialect` would and receives it.
fn receive(dialect: &'static Dialect, event: &str, body: &[u8]) -> Decoded {
    let now: Timestamp = "2024-10-09T08:48:00Z".parse().unwrap();
    let keys = [dialect.secrets.key(&dialect.secrets.make([9; 32])).unwrap()];
    let message = Message { id: "01926fe4-2c1f-7cc0-8f4b-6f3c5a1e9b7d", event, occurred_at: now, sent_at: now, body };
    let headers: Headers =
        dialect.sign(&message, &keys).unwrap().into_iter().map(|line| (line.name, line.value)).collect();
    let verified =
        Unverified::new(headers, body.to_vec()).verify(dialect, &keys, now, SignedDuration::from_mins(5)).unwrap();
    verified.decode().unwrap()
}

fn load(path: &str) -> (Vec<u8>, Value) {
    let bytes = std::fs::read(format!("{}/tests/payloads/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let value: Value = serde_json::from_slice(&bytes).unwrap();
    (bytes, value)
}

/// The vendor's messages that say something to us, by the vendor's event, for a dialect that is received only.
pub(crate) fn of_vendor(dialect: &Dialect) -> Vec<(String, Vec<u8>)> {
    let said = match dialect.id {
        "github" => GITHUB,
        "gitlab" => GITLAB,
        "custom" => CUSTOM,
        other => panic!("no payloads of {other}"),
    };
    let told = said.iter().filter(|(_, told)| !told.is_empty());
    told.map(|(name, told)| {
        // A format of its own is called what its body says.
        let event = if dialect.id == "custom" { told[0] } else { name.split('.').next().unwrap() };
        (event.to_owned(), load(&format!("{}/{name}.json", dialect.id)).0)
    })
    .collect()
}

const GITLAB: &[(&str, &[&str])] = &[
    ("vulnerability.detected", &["vulnerability.created"]),
    ("vulnerability.confirmed", &["vulnerability.changed"]),
    ("vulnerability.dismissed", &["vulnerability.suppressed"]),
    ("vulnerability.resolved", &["vulnerability.remediated"]),
    ("vulnerability.sast", &["vulnerability.created"]),
    ("vulnerability.container", &["vulnerability.created"]),
];

const CUSTOM: &[(&str, &[&str])] = &[("finding", &["vulnerability.created"])];

#[test]
fn gitlab_vulnerabilities_become_our_events() {
    let dialect = dialect::find("gitlab").unwrap();
    let mut all = String::new();
    for (name, told) in GITLAB {
        let (bytes, _) = load(&format!("gitlab/{name}.json"));
        let decoded = receive(dialect, "vulnerability", &bytes);
        assert_eq!(&types(&decoded), told, "{name}");
        assert_eq!(decoded.delivery_id.as_deref(), Some("01926fe4-2c1f-7cc0-8f4b-6f3c5a1e9b7d"));
        for event in &decoded.events {
            all += &format!("{name}: {} {} {}\n", event.occurred_at, event.event_type, event.data.text());
        }
    }
    insta::assert_snapshot!("gitlab_decoded", all);
}

const GITHUB: &[(&str, &[&str])] = &[
    ("ping", &["webhook.ping"]),
    ("dependabot_alert.created", &["vulnerability.created"]),
    ("dependabot_alert.reintroduced", &["vulnerability.reopened"]),
    ("dependabot_alert.fixed", &["vulnerability.remediated"]),
    ("dependabot_alert.dismissed", &["vulnerability.suppressed"]),
    ("dependabot_alert.auto_dismissed", &["vulnerability.suppressed"]),
    ("code_scanning_alert.created", &["vulnerability.created"]),
    ("code_scanning_alert.appeared_in_branch", &[]),
    ("code_scanning_alert.fixed", &["vulnerability.remediated"]),
    ("code_scanning_alert.closed_by_user", &["vulnerability.suppressed"]),
    ("code_scanning_alert.reopened", &["vulnerability.reopened"]),
    ("secret_scanning_alert.created", &["vulnerability.created"]),
    ("secret_scanning_alert.publicly_leaked", &["vulnerability.changed"]),
    ("secret_scanning_alert.resolved", &["vulnerability.remediated"]),
    ("secret_scanning_alert.reopened", &["vulnerability.reopened"]),
    ("secret_scanning_alert_location.created", &[]),
];

#[test]
fn github_alerts_become_our_events() {
    let dialect = dialect::find("github").unwrap();
    let mut all = String::new();
    for (name, told) in GITHUB {
        let (bytes, _) = load(&format!("github/{name}.json"));
        let decoded = receive(dialect, name.split('.').next().unwrap(), &bytes);
        assert_eq!(&types(&decoded), told, "{name}");
        for event in &decoded.events {
            all += &format!("{name}: {} {} {}\n", event.occurred_at, event.event_type, event.data.text());
        }
    }
    insta::assert_snapshot!("github_decoded", all);
}

/// The event header is not signed: an alert of one kind under the name of another is told apart or harmless.
#[test]
fn a_github_body_must_fit_the_event_that_the_header_claims() {
    let dialect = dialect::find("github").unwrap();
    let keys = [dialect.secrets.key(&dialect.secrets.make([9; 32])).unwrap()];
    let alert = |members: &str| {
        format!(r#"{{"action":"created","alert":{{"number":1{members}}},"repository":{{"full_name":"a/b"}}}}"#)
    };
    let claims = [
        ("dependabot_alert", r#"{"zen":"x","hook_id":1}"#.to_owned()),
        ("dependabot_alert", r#"{"action":"created","alert":{},"repository":{"full_name":"a/b"}}"#.to_owned()),
        ("ping", alert("")),
        ("dependabot_alert", alert(r#","rule":{"id":"r"}"#)),
        ("code_scanning_alert", alert(r#","secret_type":"aws""#)),
        ("secret_scanning_alert", alert(r#","security_advisory":{}"#)),
    ];
    for (event, body) in claims {
        let now = Timestamp::UNIX_EPOCH;
        let message = Message { id: "i", event, occurred_at: now, sent_at: now, body: body.as_bytes() };
        let headers = dialect.sign(&message, &keys).unwrap();
        let headers: Headers = headers.into_iter().map(|line| (line.name, line.value)).collect();
        let verified =
            Unverified::new(headers, body.clone()).verify(dialect, &keys, now, SignedDuration::ZERO).unwrap();
        let refusal = verified.decode().unwrap_err();
        assert_eq!((refusal.reason.as_str(), refusal.reason.status(dialect)), ("payload_invalid", 422), "{body}");
    }
}

/// A leaked secret that stands in an alert goes no further.
#[test]
fn a_secret_in_a_github_alert_is_dropped() {
    let dialect = dialect::find("github").unwrap();
    let (_, mut value) = load("github/secret_scanning_alert.created.json");
    value["alert"]["secret"] = "hunter2-hunter2".into();
    let decoded = receive(dialect, "secret_scanning_alert", &serde_json::to_vec(&value).unwrap());
    assert_eq!(types(&decoded), ["vulnerability.created"]);
    assert!(!decoded.events[0].data.text().contains("hunter2"));
}

/// Nor into what is kept of the request, in whichever spelling it came, and nothing else of it changes.
#[test]
fn a_secret_in_a_github_alert_is_not_kept() {
    let inbound = dialect::find("github").unwrap().inbound.unwrap();
    let of = |content_type: &str, body: &str| {
        let headers: Headers = [("Content-Type", content_type)].into_iter().collect();
        inbound.redacted(&headers, body.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap())
    };
    let json = |secret: &str| format!(r#"{{"secret":"no", "alert": {{"number":1, "secret" : "{secret}"}}}}"#);
    assert_eq!(of("application/json", &json("hunter2é")), Some(json("*********")));
    assert_eq!(of("application/json", r#"{"alert":{"number":1},"secret":"no"}"#), None);
    assert_eq!(of("application/json", "no JSON"), None);
    let form = |secret: &str| format!("a=%22&payload=%7B%22alert%22%3A%7B%22secret%22%3A%22{secret}%22%7D%7D&b=+");
    assert_eq!(of("application/x-www-form-urlencoded", &form("hun+ter%32")), Some(form("**********")));
    assert_eq!(of("application/x-www-form-urlencoded", "payload=%7B%7D"), None);
}

fn encode(dialect: &Dialect, decoded: &Decoded) -> Value {
    let event = decoded.events.first().unwrap();
    serde_json::from_slice(&dialect.outbound.unwrap().encode(event, &Settings::default()).unwrap()).unwrap()
}

fn types(decoded: &Decoded) -> Vec<&str> {
    decoded.events.iter().map(|event| event.event_type.as_str()).collect()
}

#[test]
fn payloads_come_back_as_they_were() {
    let cases = [
        ("symbiotic", "symbiotic/vulnerability.created.json", "vulnerability.created"),
        ("symbiotic", "symbiotic/vulnerability.remediated.json", "vulnerability.remediated"),
        ("symbiotic", "symbiotic/training.completed.json", "training.completed"),
        ("aegis", "aegis/VULNERABILITY_DETECTED.json", "vulnerability.created"),
        ("aegis", "aegis/CRITICAL_VULNERABILITY_DISCOVERED.json", "vulnerability.critical"),
        ("aegis", "aegis/POAM_DEADLINE_APPROACHING.json", "poam.deadline_approaching"),
        ("aegis", "aegis/POAM_OVERDUE.json", "poam.overdue"),
        ("aegis", "aegis/EVIDENCE_COMPLETED.json", "evidence.completed"),
        ("bearer-scan", "bearer-scan/completed-clean.json", "scan.completed"),
        ("bearer-scan", "bearer-scan/completed-threats.json", "scan.completed"),
        ("bearer-scan", "bearer-scan/in-progress.json", "scan.started"),
        ("bearer-scan", "bearer-scan/failed.json", "scan.failed"),
    ];
    for (id, path, event_type) in cases {
        let dialect = dialect::find(id).unwrap();
        let (bytes, value) = load(path);
        let decoded = receive(dialect, "", &bytes);
        assert_eq!(types(&decoded), [event_type], "{path}");
        assert_eq!(encode(dialect, &decoded), value, "{path}");
    }
}

#[test]
fn standard_payloads_keep_their_data() {
    let dialect = dialect::find("standard").unwrap();
    for (path, event_type) in [
        ("standard-webhooks/vulnerability.created.json", "vulnerability.created"),
        ("standard-webhooks/vulnerability.resolved.thin.json", "vulnerability.resolved"),
    ] {
        let (bytes, mut value) = load(path);
        let decoded = receive(dialect, "", &bytes);
        assert_eq!(types(&decoded), [event_type], "{path}");
        let mut again = encode(dialect, &decoded);
        // The same instant in our spelling, which leaves out a fraction of zero.
        let instant = |value: &mut Value| value["timestamp"].take().as_str().unwrap().parse::<Timestamp>().unwrap();
        assert_eq!(instant(&mut again), instant(&mut value), "{path}");
        assert_eq!(again, value, "{path}");
    }
}

/// Every member of `part` is in `whole`, with the same value.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|found| contains(found, value)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(found, value)| contains(found, value))
        }
        (whole, part) => whole == part,
    }
}

fn snyk(name: &str) -> (Decoded, Value, Value) {
    let dialect = dialect::find("snyk").unwrap();
    let (bytes, value) = load(&format!("snyk/{name}.json"));
    let decoded = receive(dialect, &format!("{}/v0", name.split('.').next().unwrap()), &bytes);
    let again = encode(dialect, &decoded);
    (decoded, value, again)
}

#[test]
fn snyk_payloads_come_back_with_every_documented_member() {
    for exact in ["ping", "project_snapshot.documented-shape"] {
        let (_, value, again) = snyk(exact);
        assert_eq!(again, value, "{exact}");
    }
    let (_, documented, _) = snyk("project_snapshot.documented-shape");
    let mut paths = BTreeSet::new();
    pointers(&documented, String::new(), &mut paths);
    for name in
        ["both", "container", "license-and-malicious", "minimal-legacy", "new-issues", "no-change", "removed-issues"]
    {
        let (_, value, again) = snyk(&format!("project_snapshot.{name}"));
        assert!(contains(&again, &value), "{name}: {again}");
        for path in &paths {
            let issues_found = again["newIssues"].as_array().is_some_and(|issues| !issues.is_empty());
            if !path.starts_with("/newIssues/0") || issues_found {
                assert!(again.pointer(path).is_some(), "{name} lacks {path}");
            }
        }
    }
}

/// The pointers to all members, as far as the document fixes their names.
fn pointers(value: &Value, at: String, paths: &mut BTreeSet<String>) {
    let open = [
        "importingUser",
        "tags",
        "factors",
        "patches",
        "criticality",
        "environment",
        "lifecycle",
        "pkgVersions",
        "credit",
        "CWE",
        "vulnerable",
        "ALTERNATIVE",
    ];
    paths.insert(at.clone());
    if open.iter().any(|name| at.ends_with(name)) {
        return;
    }
    match value {
        Value::Object(members) => members.iter().for_each(|(key, value)| pointers(value, format!("{at}/{key}"), paths)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(place, value)| pointers(value, format!("{at}/{place}"), paths))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn a_snapshot_is_also_what_it_found() {
    let (decoded, value, _) = snyk("project_snapshot.both");
    let count = |list: &str| value[list].as_array().unwrap().len();
    assert_eq!(decoded.events.len(), 1 + count("newIssues") + count("removedIssues"));
    insta::assert_snapshot!(
        "snyk_snapshot_decoded",
        decoded
            .events
            .iter()
            .skip(1)
            .map(|event| format!("{} {} {}\n", event.id, event.event_type, event.data.text()))
            .collect::<String>()
    );
    assert_eq!(types(&snyk("project_snapshot.no-change").0), ["project.snapshot"]);
    // An ignored issue opens suppressed.
    let (decoded, ..) = snyk("project_snapshot.license-and-malicious");
    assert_eq!(types(&decoded), ["project.snapshot", "vulnerability.suppressed", "vulnerability.created"]);
    for event in &decoded.events {
        watchbell_wire::event::check(&event.event_type, &event.data).unwrap();
    }
}

#[test]
fn an_issue_in_both_lists_stays_open() {
    let dialect = dialect::find("snyk").unwrap();
    let body = br#"{"project":{"id":"p","name":"n"},"org":{"id":"o"},"newIssues":[{"id":"A"}],"removedIssues":[{"id":"A"},{"id":"B"}]}"#;
    let decoded = receive(dialect, "project_snapshot/v0", body);
    assert_eq!(types(&decoded), ["project.snapshot", "vulnerability.created", "vulnerability.remediated"]);
    // One key, one id: the removal of a later snapshot names the finding that was opened.
    let again =
        receive(dialect, "project_snapshot/v0", &String::from_utf8_lossy(body).replace("\"n\"", "\"m\"").into_bytes());
    let id =
        |decoded: &Decoded, place: usize| decoded.events[place].data.typed::<Value>().unwrap()["finding_id"].clone();
    assert_eq!(id(&decoded, 1), id(&again, 1));
    assert_ne!(id(&decoded, 1), id(&decoded, 2));
    assert_ne!(decoded.events[0].id, again.events[0].id);
}

#[test]
fn ids_of_events_depend_on_the_message_alone() {
    let dialect = dialect::find("symbiotic").unwrap();
    let (bytes, _) = load("symbiotic/vulnerability.created.json");
    let (one, other) = (receive(dialect, "", &bytes), receive(dialect, "", &bytes));
    assert_eq!(one, other);
    assert_eq!(one.events[0].id.get_version_num(), 8);
    assert_eq!(one.events[0].event_type, EventType::VulnerabilityCreated);
}

#[test]
fn what_symbiotic_does_not_document_is_kept() {
    let dialect = dialect::find("symbiotic").unwrap();
    let body = br#"{"event":"vulnerability.created","timestamp":1,"data":{"pubkey":"k","big":123456789012345678901234567890,"nan":NaN}}"#;
    let decoded = receive(dialect, "", body);
    let text = decoded.events[0].data.text();
    assert!(text.contains(r#""big":123456789012345678901234567890"#) && text.contains(r#""nan":null"#), "{text}");
}

#[test]
fn a_kept_member_never_spoils_the_event() {
    let dialect = dialect::find("symbiotic").unwrap();
    let body = br#"{"event":"vulnerability.created","timestamp":1,"data":{"pubkey":"k","severity":"HIGH!","title":"t","component":[]}}"#;
    let decoded = receive(dialect, "", body);
    let text = decoded.events[0].data.text();
    assert!(text.contains(r#""title":"t""#) && !text.contains("HIGH!") && !text.contains("component"), "{text}");
}

#[test]
fn a_snapshot_is_not_lost_for_a_member_we_can_do_without() {
    let dialect = dialect::find("snyk").unwrap();
    let body = br#"{"project":{"id":"p","name":"n"},"org":{"id":"o","name":null},"group":[],"removedIssues":null,
        "newIssues":[{"id":"A","pkgVersions":null,"isPatched":"no","issueData":{"cvssScore":"9","identifiers":null}}]}"#;
    let decoded = receive(dialect, "project_snapshot/v0", body);
    assert_eq!(types(&decoded), ["project.snapshot", "vulnerability.created"]);
    let snapshot: watchbell_wire::event::ProjectSnapshot = decoded.events[0].data.typed().unwrap();
    assert_eq!(snapshot.new_issues[0].id, "A");
    encode(dialect, &decoded);
}

#[test]
fn a_standard_message_that_does_not_fit_its_type_says_nothing() {
    let dialect = dialect::find("standard").unwrap();
    let body = br#"{"type":"vulnerability.created","timestamp":"2024-10-09T08:47:57Z","data":{"severity":5}}"#;
    let decoded = receive(dialect, "", body);
    assert_eq!((decoded.vendor_event.as_str(), decoded.events.len()), ("vulnerability.created", 0));
}
