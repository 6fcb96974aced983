//! The dialect by configuration: what is wrong is found by what the settings say.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Sha256, Sha512};

use super::*;

const SECRET: &str = "6f1ed002ab5595859014ebf0951522d96f1ed002ab5595859014ebf0951522d9";
const SAID: &str = r#"{"type":"vulnerability.created","title":"T","note":"é"}"#;

fn hmac<M: Mac + KeyInit>(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("a key");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn sha256(key: impl AsRef<[u8]>, text: &str) -> String {
    hex::encode(hmac::<Hmac<Sha256>>(key.as_ref(), text))
}

/// A request as it would be with these settings.
fn custom(auth: Value, lines: &[(&str, String)]) -> Sent {
    let Value::Object(members) = json!({"auth": auth}) else { unreachable!("an object") };
    let settings = Settings::new(members);
    let dialect = dialect("custom");
    dialect.inbound.expect("received").check_settings(&settings).expect("settings that do");
    let headers = lines.iter().map(|(name, value)| (*name, value.clone())).collect();
    Sent { dialect, settings, secret: Secret::new(SECRET), headers, body: SAID.as_bytes().to_vec() }
}

/// Like Stripe's: a list with a time.
fn listed(key: impl AsRef<[u8]>, at: &str, text: &str) -> Sent {
    let auth = json!({"header": "Acme-Signature", "signed": "{timestamp}.{body}",
        "entries": {"separator": ",", "assign": "=", "name": "v1", "timestamp": "t"}});
    custom(auth, &[("Acme-Signature", format!("t={at},v1={}", sha256(key, text)))])
}

fn timed() -> String {
    format!("{NOW}.{SAID}")
}

#[test]
fn what_is_right_by_the_settings_verifies_and_is_read_by_them() {
    let told = listed(SECRET, &NOW.to_string(), &timed()).at(NOW);
    assert!(told.is_verified && told.findings.is_empty(), "{told:?}");
    assert_eq!(told.decoded.expect("read").events[0].event_type.as_str(), "vulnerability.created");
    // The settings are those of this format: as another one it is judged without them.
    let mut sent = listed(SECRET, &NOW.to_string(), &timed());
    sent.dialect = dialect("snyk");
    assert!(!sent.at(NOW).is_verified);
}

#[rstest]
#[case::the_time("t=1700000000,v1=")]
#[case::spaces("t=1700000000, v1=")]
fn a_body_that_was_written_again_under_a_time(#[case] beginning: &str) {
    let mut sent = listed(SECRET, &NOW.to_string(), &timed());
    let digits = sha256(SECRET, &timed());
    sent.rewrite("Acme-Signature", |name, _| Some((name.to_owned(), format!("{beginning}{digits}"))));
    sent.body = SAID.replace(':', ": ").into_bytes();
    assert_eq!(sent.told().1, [Fault::BodyReserialised]);
}

#[test]
fn the_body_alone_was_signed() {
    let sent = listed(SECRET, &NOW.to_string(), SAID);
    let (said, faults) = sent.told();
    assert_eq!(faults, [Fault::SignedContent]);
    assert!(said.contains("the body alone"), "{said}");
}

#[test]
fn the_time_is_off_and_nothing_else() {
    let told = listed(SECRET, &NOW.to_string(), &timed()).at(NOW + 9 * 60);
    assert_eq!((told.reason, told.findings[0].fault), (Some(Reason::TimestampStale), Fault::TimeOnly), "{told:?}");
    assert!(told.explanation.contains("9 minutes old"), "{told:?}");
}

#[test]
fn the_time_is_in_another_unit() {
    let millis = format!("{NOW}000");
    let sent = listed(SECRET, &millis, &format!("{millis}.{SAID}"));
    let (said, faults) = sent.told();
    assert_eq!(faults, [Fault::TimeUnit]);
    assert!(said.contains("the signed time is in milliseconds; seconds are wanted"), "{said}");
}

#[test]
fn an_entry_of_another_name() {
    let mut sent = listed(SECRET, &NOW.to_string(), &timed());
    sent.rewrite("Acme-Signature", |name, value| Some((name.to_owned(), value.replace("v1=", "v0="))));
    let (said, faults) = sent.told();
    assert_eq!(faults, [Fault::SignaturePrefix]);
    assert!(said.contains("has no entry v1; there are: t, v0"), "{said}");
}

fn plain(auth: Value, value: String) -> Sent {
    let mut auth = auth;
    auth["header"] = json!("X-Acme-Signature");
    custom(auth, &[("X-Acme-Signature", value)])
}

#[test]
fn a_prefix_of_the_settings_own() {
    let auth = json!({"prefix": "v0="});
    assert!(plain(auth.clone(), format!("v0={}", sha256(SECRET, SAID))).at(NOW).is_verified);
    let (said, faults) = plain(auth.clone(), sha256(SECRET, SAID)).told();
    assert_eq!(faults, [Fault::SignaturePrefix]);
    assert!(said.contains("lacks the `v0=` prefix"), "{said}");
    let (said, _) = plain(auth, format!("sha256={}", sha256(SECRET, SAID))).told();
    assert!(said.contains("begins with `sha256=`, and `v0=` is wanted"), "{said}");
}

#[test]
fn a_secret_read_otherwise_than_the_settings_say() {
    let decoded = hex::decode(SECRET).expect("hex");
    let by_hex = json!({"key": "hex"});
    let value = |key: &[u8]| format!("sha256={}", sha256(key, SAID));
    assert!(plain(by_hex.clone(), value(&decoded)).at(NOW).is_verified);
    let (said, faults) = plain(by_hex.clone(), value(SECRET.as_bytes())).told();
    assert_eq!(faults, [Fault::SecretDecoding]);
    assert!(said.contains("by the settings the key is written in the secret in hex"), "{said}");
    let (said, faults) = plain(json!({}), value(&decoded)).told();
    assert_eq!(faults, [Fault::SecretDecoding]);
    assert!(said.contains("hex-decoded") && said.contains("is the secret's text as it stands"), "{said}");
    let mut sent = plain(by_hex, value(b"something that is no hex"));
    sent.secret = Secret::new("something that is no hex");
    assert!(sent.said().contains("the secret cannot be used: by the settings the key is written in the secret in hex"));
    assert!(sent.told().1.contains(&Fault::SecretDecoding));
}

#[test]
fn another_algorithm_than_the_settings_say() {
    let sha512 = json!({"kind": "hmac-sha512", "prefix": ""});
    let right = hex::encode(hmac::<Hmac<Sha512>>(SECRET.as_bytes(), SAID));
    assert!(plain(sha512.clone(), right.clone()).at(NOW).is_verified);
    let (said, faults) = plain(sha512.clone(), sha256(SECRET, SAID)).told();
    assert_eq!(faults, [Fault::SignatureAlgorithm]);
    assert!(said.contains("HMAC-SHA-256") && said.contains("HMAC-SHA512 (128) is wanted"), "{said}");
    let (_, faults) = plain(json!({"prefix": ""}), right).told();
    assert_eq!(faults, [Fault::SignatureAlgorithm]);
    let (said, faults) = plain(sha512, "ab".repeat(32)).told();
    assert_eq!(faults, [Fault::SignatureLength]);
    assert!(said.contains("SHA-512 is wanted"), "{said}");
}

#[test]
fn two_faults_and_a_header_of_another_name() {
    let mut sent = plain(json!({"encoding": "base64"}), format!("sha256={}", sha256(SECRET, &format!("{SAID}\n"))));
    sent.rename("X-Acme-Signature", "X-AcmeSignature");
    let (said, faults) = sent.told();
    assert_eq!(faults, [Fault::HeaderName, Fault::SignatureSpelling, Fault::BodyWhiteSpace]);
    assert!(said.contains("spelled in hex, and base64 is wanted"), "{said}");
}

#[test]
fn a_token_of_the_settings_own() {
    let auth = json!({"kind": "token", "prefix": "Token "});
    assert!(plain(auth.clone(), format!("Token {SECRET}")).at(NOW).is_verified);
    let (said, faults) = plain(auth.clone(), SECRET.to_owned()).told();
    assert_eq!(faults, [Fault::SignaturePrefix]);
    assert!(said.contains("lacks `Token ` before the token"), "{said}");
    let mut sent = plain(auth, format!("Token {SECRET}"));
    sent.secret = Secret::new(format!("{SECRET}\n"));
    assert_eq!(sent.told().1, [Fault::SecretSpelling]);
}

#[test]
fn another_sources_secret() {
    let sent = listed("another-secret-of-ours-0123", &NOW.to_string(), &timed());
    let other = Other {
        name: "the source billing".to_owned(),
        dialect: sent.dialect,
        secret: Secret::new("another-secret-of-ours-0123"),
    };
    let told = sent.ask(NOW, None, &[other]);
    assert_eq!(told.findings[0].fault, Fault::SecretOther, "{told:?}");
    assert!(told.findings[0].detail.contains("the source billing"));
}
