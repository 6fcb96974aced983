//! The dialect by configuration: told to be one that we know, it passes that one's vectors; and what it is told wrongly it
//! refuses, with a pointer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use watchbell_wire::{Decoded, Headers, Key, Refusal, Secret, Settings, Unverified, dialect};

const TOLERANCE: SignedDuration = SignedDuration::from_secs(300);

fn settings(value: &Value) -> Settings {
    Settings::new(value.as_object().unwrap().clone())
}

fn check(value: &Value) -> Result<(), (String, String)> {
    let inbound = dialect::find("custom").unwrap().inbound.unwrap();
    inbound.check_settings(&settings(value)).map_err(|error| (error.pointer, error.detail))
}

fn key(secret: &str) -> Key {
    dialect::find("custom").unwrap().secrets.key(&Secret::new(secret)).unwrap()
}

fn receive(given: &Value, secret: &str, headers: &[(&str, &str)], body: &[u8], now: i64) -> Result<Decoded, Refusal> {
    check(given).unwrap();
    let headers: Headers = headers.iter().copied().collect();
    let request = Unverified::new(headers, body.to_vec()).configured(settings(given));
    let now = Timestamp::from_second(now).unwrap();
    request.verify(dialect::find("custom").unwrap(), &[key(secret)], now, TOLERANCE)?.decode()
}

/// Verdict and reason of every case of a vendor's vectors whose signature decides.
fn passes(file: &str, given: &Value) -> (usize, usize) {
    check(given).unwrap();
    let file: Value = serde_json::from_str(file).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for case in file["cases"].as_array().unwrap() {
        let (id, reason) = (&case["id"], case["expect"]["reason"].as_str());
        let body = BASE64.decode(case["request"]["body_b64"].as_str().unwrap()).unwrap();
        let lines = case["request"]["headers"].as_array().unwrap();
        let headers: Headers =
            lines.iter().map(|line| (line[0].as_str().unwrap(), line[1].as_str().unwrap())).collect();
        let Some(secret) =
            case["secret"].as_str().filter(|secret| !secret.starts_with("whsk_") && !secret.starts_with("whpk_"))
        else {
            continue;
        };
        let now = Timestamp::from_second(case["now"].as_i64().unwrap_or(1_700_000_000)).unwrap();
        let request = Unverified::new(headers, body.to_vec()).configured(settings(given));
        let outcome = request.verify(dialect::find("custom").unwrap(), &[key(secret)], now, TOLERANCE);
        let is_of_the_signature = reason.is_some_and(|reason| {
            matches!(
                reason,
                "missing-signature"
                    | "malformed-signature"
                    | "signature-mismatch"
                    | "timestamp-too-old"
                    | "timestamp-too-new"
                    | "malformed-timestamp"
            )
        });
        match (case["expect"]["verdict"].as_str().unwrap(), outcome) {
            ("accept", Ok(_)) => accepted += 1,
            ("reject", Err(_)) if is_of_the_signature => refused += 1,
            // What it refuses for another reason is the other dialect's reading.
            ("reject", _) if !is_of_the_signature => {}
            (verdict, outcome) => panic!("{id}: {verdict} wanted, {reason:?}, got {outcome:?}"),
        }
    }
    (accepted, refused)
}

#[test]
fn told_to_be_snyk_it_passes_snyks_vectors() {
    let given = json!({"auth": {"header": "X-Hub-Signature", "prefix": "sha256="}});
    let (accepted, refused) = passes(include_str!("../vectors/snyk.json"), &given);
    assert!(accepted >= 25 && refused >= 15, "{accepted} {refused}");
}

#[test]
fn told_to_be_github_it_passes_githubs_vectors() {
    let given = json!({"auth": {"header": "X-Hub-Signature-256"}});
    let (accepted, refused) = passes(include_str!("../vectors/github.json"), &given);
    assert!(accepted >= 20 && refused >= 10, "{accepted} {refused}");
}

#[test]
fn told_to_be_standard_webhooks_it_passes_their_vectors() {
    let given = json!({"auth": {
        "header": "webhook-signature", "encoding": "base64", "signed": "{id}.{timestamp}.{body}",
        "entries": {"separator": " ", "assign": ",", "name": "v1"},
        "id_header": "webhook-id", "timestamp_header": "webhook-timestamp", "key": "base64", "key_prefix": "whsec_"
    }});
    let (accepted, refused) = passes(include_str!("../vectors/standard-webhooks.json"), &given);
    assert!(accepted >= 8 && refused >= 8, "{accepted} {refused}");
}

/// Stripe's scheme; the signatures were made with Python's `hmac`.
#[test]
fn told_to_be_like_stripe_it_reads_a_list_with_a_time() {
    let given = json!({
        "auth": {"header": "Stripe-Signature", "signed": "{timestamp}.{body}",
                 "entries": {"separator": ",", "assign": "=", "name": "v1", "timestamp": "t"}},
        "event": {"values": {"alert.open": "vulnerability.created"}},
        "members": {"title": "/data/name", "finding_id": "/data/id"}
    });
    let body = br#"{"type":"alert.open","data":{"id":"al_1","name":"x"}}"#;
    let (secret, now) = ("whsec_stripe_like_test_secret", 1_700_000_000);
    let header = |signature: &str| format!("t=1700000000,v1={},v1={signature},v0=aa", "0".repeat(64));
    let signature = STRIPE;
    let decoded = receive(&given, secret, &[("Stripe-Signature", &header(signature))], body, now).unwrap();
    assert_eq!(decoded.events[0].event_type.as_str(), "vulnerability.created");
    assert_eq!(decoded.sent_at.map(|at| at.as_second()), Some(now));
    let reason =
        |headers: &[(&str, &str)], now| receive(&given, secret, headers, body, now).unwrap_err().reason.as_str();
    let (good, other) = (header(signature), header(&"0".repeat(64)));
    assert_eq!(reason(&[("Stripe-Signature", &good)], now + 301), "timestamp_stale");
    assert_eq!(reason(&[("Stripe-Signature", &good)], now - 301), "timestamp_future");
    assert_eq!(reason(&[("Stripe-Signature", &other)], now), "signature_mismatch");
    assert_eq!(reason(&[("Stripe-Signature", &good.replace("t=", "x="))], now), "timestamp_missing");
    assert_eq!(
        reason(&[("Stripe-Signature", &good.replace("t=1700000000", "t=1700000001"))], now),
        "signature_mismatch"
    );
    assert_eq!(reason(&[("Stripe-Signature", &good.replace("t=", "t=soon,t="))], now), "header_repeated");
    assert_eq!(reason(&[("Stripe-Signature", "t=1700000000")], now), "signature_malformed");
    assert_eq!(reason(&[], now), "signature_missing");
}

const STRIPE: &str = "f457a8158f7dc1a89a6daacb42e5a63c31a21212d8f32ab31b54731bc853e3ac";
const SHA512: &str = "Q7ygnrnTXh6w+6hWuGlqrDQ+yPELGefX4rSGHlwkWz4XGL1OVYeRDEjefcb0J2qYmfRgFWKBnk1aZYOfYWBN3Q==";

#[test]
fn sha512_and_tokens_prove_it_too() {
    let body = br#"{"type":"vulnerability.created","cve_id":"CVE-2024-1","component":{"name":"a"}}"#;
    let secret = "sixteen-bytes-and-more";
    let given = json!({"auth": {"kind": "hmac-sha512", "header": "X-Sig", "encoding": "base64"}});
    assert!(receive(&given, secret, &[("X-Sig", SHA512)], body, 0).is_ok());
    assert!(receive(&given, "sixteen-bytes-and-less", &[("X-Sig", SHA512)], body, 0).is_err());
    let token = json!({"auth": {"kind": "token", "header": "X-Api-Token", "prefix": "Token "}});
    assert!(receive(&token, secret, &[("x-api-token", "Token sixteen-bytes-and-more")], body, 0).is_ok());
    for wrong in ["sixteen-bytes-and-more", "Token sixteen-bytes-and-morf", "Token ", "token sixteen-bytes-and-more"] {
        assert!(receive(&token, secret, &[("X-Api-Token", wrong)], body, 0).is_err(), "{wrong}");
    }
}

#[test]
fn a_mapping_reads_any_shape() {
    let given = json!({
        "auth": {"kind": "token", "header": "X-Token"},
        "event": {"pointer": "/state", "values": {"new": "vulnerability.created", "fixed": "vulnerability.remediated"}},
        "id": {"pointer": "/batch"}, "occurred_at": "#/sent", "each": "/issues",
        "members": {
            "finding_id": "/key", "title": "/name", "severity": {"pointer": "/level", "values": {"5": "critical"}, "default": "low"},
            "component.name": "/pkg/0", "component.version": "/pkg/1", "aliases": "/cve", "cvss_score": "/score",
            "repository": "#/repo~1name", "tool": {"value": "acme-scan"}, "detected_at": "/since"
        }
    });
    let body = json!({
        "batch": 71, "sent": 1_700_000_000, "repo/name": "acme/pay",
        "issues": [
            {"state": "new", "key": 7, "name": "Bad", "level": 5, "pkg": ["lodash", "4.17.1"], "cve": "CVE-2021-1", "score": "9.8",
             "since": "2023-11-01T00:00:00Z", "owner": {"team": "web"}},
            {"state": "fixed", "key": "8", "level": 2},
            {"state": "seen", "key": "9"}
        ]
    });
    let decoded = receive(
        &given,
        "sixteen-bytes-and-more",
        &[("X-Token", "sixteen-bytes-and-more")],
        body.to_string().as_bytes(),
        5,
    )
    .unwrap();
    assert_eq!((decoded.vendor_event.as_str(), decoded.delivery_id.as_deref()), ("new", Some("71")));
    let types: Vec<_> = decoded.events.iter().map(|event| event.event_type.as_str()).collect();
    assert_eq!(types, ["vulnerability.created", "vulnerability.remediated"]);
    let first: Value = decoded.events[0].data.typed().unwrap();
    assert_eq!(decoded.events[0].occurred_at.as_second(), 1_700_000_000);
    assert_eq!(first["finding_key"], "7");
    assert_eq!(first["severity"], "critical");
    assert_eq!(first["component"], json!({"name": "lodash", "version": "4.17.1"}));
    assert_eq!((&first["aliases"], &first["cvss_score"]), (&json!(["CVE-2021-1"]), &json!(9.8)));
    assert_eq!((&first["repository"], &first["tool"]), (&json!("acme/pay"), &json!("acme-scan")));
    assert_eq!(first["owner"], json!({"team": "web"}), "what nobody mapped is kept");
    let second: Value = decoded.events[1].data.typed().unwrap();
    assert_eq!(second["severity"], "low");
}

#[test]
fn what_does_not_fit_is_refused_with_its_pointer() {
    let given = json!({"auth": {"kind": "token", "header": "X-Token"}, "members": {"severity": "/level", "detected_at": "/since"}});
    let refused = |body: Value| {
        let headers = [("X-Token", "sixteen-bytes-and-more")];
        receive(&given, "sixteen-bytes-and-more", &headers, body.to_string().as_bytes(), 0).unwrap_err()
    };
    for (body, words) in [
        (json!({"type": "vulnerability.created", "level": 5}), "/severity"),
        (json!({"type": "vulnerability.created", "since": "monday"}), "/detected_at"),
        (json!({"kind": "vulnerability.created"}), "/type"),
    ] {
        let refusal = refused(body);
        assert_eq!(refusal.reason.as_str(), "payload_invalid");
        assert!(refusal.detail.contains(words), "{}", refusal.detail);
    }
    assert_eq!(refused(json!([])).reason.as_str(), "payload_invalid");
}

#[test]
fn settings_are_checked_with_a_pointer_at_the_mistake() {
    for (given, pointer) in [
        (json!({"auth": {"kind": "hmac-sha1"}}), "/auth/kind"),
        (json!({"auth": {"kind": "rsa"}}), "/auth/kind"),
        (json!({"auth": {"header": "X Sig"}}), "/auth/header"),
        (json!({"auth": {"encoding": "base32"}}), "/auth/encoding"),
        (json!({"auth": {"signed": "{timestamp}.{body}"}}), "/auth/timestamp_header"),
        (json!({"auth": {"timestamp_header": "X-Time"}}), "/auth/signed"),
        (json!({"auth": {"signed": "{id}.{body}"}}), "/auth/id_header"),
        (json!({"auth": {"signed": "{id}{body}", "id_header": "X-Id"}}), "/auth/signed"),
        (json!({"auth": {"signed": "body"}}), "/auth/signed"),
        (json!({"auth": {"signed": "{body}{body}"}}), "/auth/signed"),
        (json!({"auth": {"signed": "{url}{body}"}}), "/auth/signed"),
        (json!({"auth": {"kind": "token", "signed": "{body}"}}), "/auth/signed"),
        (json!({"auth": {"tolerance": "a while"}}), "/auth/tolerance"),
        (json!({"auth": {"key": "base58"}}), "/auth/key"),
        (json!({"auth": {"secret": "x"}}), "/auth/secret"),
        (json!({"event": {"pointer": "type"}}), "/event/pointer"),
        (json!({"event": {"pointer": "/a", "header": "B"}}), "/event"),
        (json!({"event": {"values": {"a": "Not A Type"}}}), "/event/values/a"),
        (json!({"event": {"default": "!"}}), "/event/default"),
        (json!({"members": {"Title": "/t"}}), "/members/Title"),
        (json!({"members": {"title": "t"}}), "/members/title"),
        (json!({"members": {"title": {"pointer": "/t", "value": 1}}}), "/members/title"),
        (json!({"each": "issues"}), "/each"),
        (json!({"mapping": {}}), "/mapping"),
    ] {
        let (at, detail) = check(&given).unwrap_err();
        assert_eq!(at, pointer, "{given}: {detail}");
    }
    assert_eq!(check(&json!({})), Ok(()));
    let (_, detail) = check(&json!({"auth": {"kind": "hmac-sha1"}})).unwrap_err();
    assert!(detail.contains("SHA-1"), "{detail}");
}
