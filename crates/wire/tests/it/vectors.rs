//! Every conformance vector, in both directions: a receiver reaches the verdict, a sender computes the signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use watchbell_wire::{Decoded, Dialect, Headers, Key, Message, Refusal, Secret, Unverified, dialect};

#[derive(Deserialize)]
struct File {
    counts: Counts,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Counts {
    total: usize,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    title: String,
    tags: Vec<String>,
    /// Null where the dialect itself has no credential; ours is a token then.
    #[serde(default)]
    secret: Option<String>,
    now: Option<i64>,
    request: Request,
    expect: Expect,
    signing: Option<Value>,
}

#[derive(Deserialize)]
struct Request {
    headers: Vec<(String, String)>,
    body_b64: String,
}

#[derive(Deserialize)]
struct Expect {
    verdict: String,
    reason: Option<String>,
    status: Option<u16>,
    event: Option<String>,
    event_version: Option<String>,
    attributes: Option<Value>,
}

/// Cases that only the HTTP edge can judge: it sees the method and the media type, this crate does not.
const OF_THE_EDGE: &[(&str, &str)] = &[
    ("bearer-054", "method-not-allowed"),
    ("bearer-055", "unsupported-media-type"),
    ("ce-021", "unsupported-media-type"),
];

/// The files' reasons in our words.
fn our_reasons(reason: &str) -> &'static [&'static str] {
    match reason {
        "missing-signature" | "missing-token" => &["signature_missing"],
        "malformed-signature" => &["signature_malformed"],
        "signature-mismatch" => &["signature_mismatch"],
        "bad-token" => &["signature_mismatch", "signature_malformed"],
        "malformed-body" => &["body_malformed"],
        "unsupported-payload" | "invalid-field" => &["payload_invalid"],
        "missing-event" => &["header_missing"],
        "missing-header" => &["header_missing", "timestamp_missing"],
        "malformed-header" => &["header_repeated", "header_invalid"],
        "missing-attribute" => &["payload_invalid", "header_missing"],
        "unsupported-version" => &["payload_invalid", "header_invalid"],
        "malformed-timestamp" => &["timestamp_malformed"],
        "timestamp-too-old" => &["timestamp_stale"],
        "timestamp-too-new" => &["timestamp_future"],
        other => panic!("a reason that nobody has translated: {other}"),
    }
}

fn key(dialect: &Dialect, secret: &str) -> Key {
    dialect.secrets.key(&Secret::new(secret)).expect("vectors hold usable secrets")
}

fn secret(dialect: &Dialect, case: &Case) -> String {
    case.secret.clone().unwrap_or_else(|| dialect.secrets.make([9; 32]).expose().to_owned())
}

fn receive(dialect: &'static Dialect, case: &Case) -> Result<Option<Decoded>, Refusal> {
    let mut headers: Headers = case.request.headers.iter().cloned().collect();
    let secret = secret(dialect, case);
    if case.secret.is_none() {
        headers.push("Authorization", format!("Bearer {secret}"));
    }
    let body = BASE64.decode(&case.request.body_b64).unwrap();
    let now = Timestamp::from_second(case.now.unwrap_or(1_700_000_000)).unwrap();
    let keys = [key(dialect, &secret)];
    let verified = Unverified::new(headers, body).verify(dialect, &keys, now, SignedDuration::from_secs(300))?;
    if case.tags.iter().any(|tag| tag == "signature-only") {
        return Ok(None);
    }
    verified.decode().map(Some)
}

/// What a CloudEvent is known by.
fn check_attributes(decoded: &Decoded, attributes: &Value, id: &str) {
    if let Some(batch) = attributes.as_array() {
        assert_eq!((decoded.vendor_event.as_str(), decoded.events.len()), ("batch", batch.len()), "{id}");
        return;
    }
    assert_eq!(Some(decoded.vendor_event.as_str()), attributes["type"].as_str(), "{id}");
    let known_by = format!("{} {}", attributes["source"].as_str().unwrap(), attributes["id"].as_str().unwrap());
    assert_eq!(decoded.delivery_id, Some(known_by), "{id}");
}

fn check_verdict(dialect: &'static Dialect, case: &Case) {
    let (id, title) = (&case.id, &case.title);
    match (receive(dialect, case), case.expect.reason.as_deref()) {
        (Ok(decoded), None) => {
            assert_eq!(case.expect.verdict, "accept", "{id} {title}");
            if let (Some(decoded), Some(attributes)) = (&decoded, case.expect.attributes.as_ref()) {
                check_attributes(decoded, attributes, id);
            }
            if let (Some(decoded), Some(event)) = (decoded, &case.expect.event) {
                assert_eq!(&decoded.vendor_event, event, "{id} {title}");
                assert_eq!(decoded.vendor_version, case.expect.event_version, "{id} {title}");
                let unknown = case.tags.iter().any(|tag| tag == "unknown-event");
                assert!(!unknown || decoded.events.is_empty(), "{id} {title}");
            }
        }
        (Err(refusal), Some(reason)) => {
            assert_eq!(case.expect.verdict, "reject", "{id} {title}");
            assert!(our_reasons(reason).contains(&refusal.reason.as_str()), "{id} {title}: {reason}, but {refusal:?}");
            if let Some(status) = case.expect.status {
                assert_eq!(refusal.reason.status(dialect), status, "{id} {title}: {refusal:?}");
            }
        }
        (outcome, expected) => panic!("{id} {title}: wanted {expected:?}, got {outcome:?}"),
    }
}

/// The signature that our sender makes for the case's body, id and time.
fn sign(dialect: &'static Dialect, case: &Case, secret: &str) -> String {
    let body = BASE64.decode(&case.request.body_b64).unwrap();
    let header = |name: &str| {
        let found = case.request.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone())
    };
    let id = header("webhook-id").unwrap_or_else(|| "msg_x".to_owned());
    let seconds = header("webhook-timestamp").and_then(|text| text.parse().ok()).unwrap_or(1_700_000_000);
    let sent_at = Timestamp::from_second(seconds).unwrap();
    let message = Message { id: &id, event: "ping/v0", occurred_at: sent_at, sent_at, body: &body };
    let headers = dialect.sign(&message, &[key(dialect, secret)]).unwrap();
    headers.last().unwrap().value.clone()
}

fn check_signing(dialect: &'static Dialect, case: &Case) -> bool {
    let Some(signing) = &case.signing else { return false };
    let text = |name: &str| signing.get(name).and_then(Value::as_str);
    if let Some(canonical) = text("canonical") {
        let body = BASE64.decode(&case.request.body_b64).unwrap();
        assert_eq!(watchbell_wire::json::python::canonical(&body).unwrap(), canonical, "{} {}", case.id, case.title);
    }
    let Some(signature) = text("signature") else {
        return false;
    };
    let secret = text("secret_key").map_or_else(|| secret(dialect, case), str::to_owned);
    assert_eq!(sign(dialect, case, &secret), signature, "{} {}", case.id, case.title);
    true
}

fn run(dialect_id: &str, file: &str, signatures: usize) {
    let dialect = dialect::find(dialect_id).unwrap();
    let file: File = serde_json::from_str(file).unwrap();
    assert_eq!(file.cases.len(), file.counts.total);
    let mut signed = 0;
    // A handshake is an OPTIONS request: the edge's.
    for case in file.cases.iter().filter(|case| !case.tags.iter().any(|tag| tag == "handshake")) {
        if let Some((_, reason)) = OF_THE_EDGE.iter().find(|(id, _)| *id == case.id) {
            assert_eq!(case.expect.reason.as_deref(), Some(*reason), "{}", case.id);
            continue;
        }
        check_verdict(dialect, case);
        signed += usize::from(check_signing(dialect, case));
    }
    assert_eq!(signed, signatures, "signatures reproduced for {dialect_id}");
}

#[test]
fn symbiotic() {
    run("symbiotic", include_str!("../vectors/symbiotic.json"), 118);
}

#[test]
fn snyk() {
    run("snyk", include_str!("../vectors/snyk.json"), 64);
}

#[test]
fn github() {
    run("github", include_str!("../vectors/github.json"), 54);
}

#[test]
fn gitlab() {
    run("gitlab", include_str!("../vectors/gitlab.json"), 12);
}

#[test]
fn cloudevents() {
    run("cloudevents", include_str!("../vectors/cloudevents.json"), 0);
}

#[test]
fn aegis() {
    run("aegis", include_str!("../vectors/aegis.json"), 49);
}

#[test]
fn bearer_scan() {
    run("bearer-scan", include_str!("../vectors/bearer-scan.json"), 0);
}

#[test]
fn standard_webhooks() {
    run("standard", include_str!("../vectors/standard-webhooks.json"), 22);
}
