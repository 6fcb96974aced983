//! Each fault is made on a request that verifies, and must be found by its name.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use rstest::rstest;

use super::*;
use crate::dialect::scheme::Spelling;
use crate::{Message, dialect};

mod configured;
mod recognised;

const NOW: i64 = 1_700_000_000;
const HEX_SECRET: &str = "6f1ed002ab5595859014ebf0951522d96f1ed002ab5595859014ebf0951522d9";
const BODY: &str =
    r#"{"event":"vulnerability.created","timestamp":1700000000,"data":{"rule_id":"R/1","note":"é","score":1.5}}"#;

struct Sent {
    dialect: &'static Dialect,
    settings: Settings,
    secret: Secret,
    headers: Headers,
    body: Vec<u8>,
}

fn time(secs: i64) -> Timestamp {
    Timestamp::from_second(secs).expect("a time")
}

fn dialect(id: &str) -> &'static Dialect {
    dialect::find(id).expect("a dialect")
}

fn sign(dialect: &'static Dialect, key: &Key, body: &[u8]) -> Headers {
    let message = Message { id: "msg_1", event: "ping/v0", occurred_at: time(NOW), sent_at: time(NOW), body };
    let headers = dialect.sign(&message, std::slice::from_ref(key)).expect("signs");
    headers.into_iter().map(|header| (header.name, header.value)).collect()
}

fn sent(id: &str) -> Sent {
    let dialect = dialect(id);
    let secret = match id {
        "standard" => Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        _ => Secret::new(HEX_SECRET),
    };
    let key = dialect.secrets.key(&secret).expect("a good secret");
    let settings = Settings::default();
    Sent { dialect, settings, headers: sign(dialect, &key, BODY.as_bytes()), secret, body: BODY.as_bytes().to_vec() }
}

impl Sent {
    fn ask(&self, now: i64, max_age: Option<SignedDuration>, others: &[Other]) -> Diagnosis {
        diagnose(&Question {
            dialect: Some(self.dialect),
            settings: &self.settings,
            headers: &self.headers,
            body: &self.body,
            secrets: std::slice::from_ref(&self.secret),
            others,
            now: time(now),
            max_age,
            work_bytes_max: u64::MAX,
        })
    }

    fn at(&self, now: i64) -> Diagnosis {
        self.ask(now, None, &[])
    }

    /// Everything that is said about the request now, and the faults.
    fn told(&self) -> (String, Vec<Fault>) {
        let told = self.at(NOW);
        assert!(!told.is_verified && told.decoded.is_none(), "{told:?}");
        assert!(!told.findings.is_empty(), "nothing found: {told:?}");
        let details = told.findings.iter().map(|finding| finding.detail.as_str()).collect::<Vec<_>>().join("\n");
        let said = format!("{}\n{details}", told.explanation);
        assert!(!said.contains(self.secret.expose()) || self.secret.expose().is_empty(), "shows the secret: {said}");
        (said, told.findings.iter().map(|finding| finding.fault).collect())
    }

    fn said(&self) -> String {
        self.told().0
    }

    /// Signs `text` with HMAC of another hash, and puts the digits where the signature is.
    fn sign_with<M: Mac + KeyInit>(&mut self, key: &[u8], text: &[u8]) {
        let mut mac = <M as KeyInit>::new_from_slice(key).expect("a key");
        mac.update(text);
        let digits = hex::encode(mac.finalize().into_bytes());
        let scheme = scheme_of(self.dialect).expect("a scheme");
        self.rewrite(&scheme.header, |name, _| Some((name.to_owned(), format!("{}{digits}", scheme.prefix))));
    }

    fn rewrite(&mut self, name: &str, new: impl Fn(&str, &str) -> Option<(String, String)>) {
        let lines = self.headers.iter().filter_map(|(given, value)| {
            let value = std::str::from_utf8(value).expect("text");
            match given.eq_ignore_ascii_case(name) {
                true => new(given, value),
                false => Some((given.to_owned(), value.to_owned())),
            }
        });
        self.headers = lines.collect();
    }

    fn rename(&mut self, from: &str, to: &str) {
        self.rewrite(from, |_, value| Some((to.to_owned(), value.to_owned())));
    }
}

fn spelled(digest: impl AsRef<[u8]>) -> String {
    STANDARD.encode(digest)
}

fn signature_header(id: &str) -> String {
    scheme_of(dialect(id)).expect("a scheme").header
}

#[rstest]
fn what_is_right_verifies(#[values("snyk", "symbiotic", "aegis", "bearer-scan", "standard")] id: &str) {
    let told = sent(id).at(NOW);
    assert!(
        told.is_verified
            && told.reason.is_none()
            && told.findings.iter().all(|f| matches!(f.fault, Fault::Payload | Fault::SaysNothing)),
        "{told:?}"
    );
}

#[test]
fn formats_are_seen_from_signing() {
    let seen: Vec<_> = dialect::ALL
        .iter()
        .filter_map(|dialect| scheme_of(dialect))
        .map(|scheme| (scheme.header, scheme.prefix, scheme.spelling))
        .collect();
    let hex = Spelling::Hex;
    let expected = [
        ("X-Hub-Signature", "sha256=", hex),
        ("symbioticsec_signature", "", hex),
        ("X-Aegis-Signature", "sha256=", hex),
        ("Authorization", "Bearer ", Spelling::Token),
        ("webhook-signature", "v1,", Spelling::Base64),
        ("X-Hub-Signature-256", "sha256=", hex),
        ("X-Gitlab-Token", "", Spelling::Token),
        ("Authorization", "Bearer ", Spelling::Token),
    ];
    assert_eq!(seen, expected.map(|(header, prefix, spelling)| (header.to_owned(), prefix.to_owned(), spelling)));
}

#[rstest]
#[case("snyk", "hex-decoded")]
#[case("aegis", "hex-decoded")]
#[case("symbiotic", "taken as text")]
fn a_secret_read_the_other_way(#[case] id: &str, #[case] word: &str) {
    let mut sent = sent(id);
    let other =
        if word == "hex-decoded" { hex::decode(HEX_SECRET).expect("hex") } else { HEX_SECRET.as_bytes().to_vec() };
    sent.headers = sign(sent.dialect, &Key::hmac(&other), &sent.body);
    assert!(sent.said().contains(word), "{}", sent.said());
}

#[test]
fn a_secret_that_was_base64_decoded() {
    let mut sent = sent("snyk");
    sent.secret = Secret::new("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let decoded = Key::hmac(&STANDARD.decode(sent.secret.expose()).expect("base64"));
    sent.headers = sign(sent.dialect, &decoded, &sent.body);
    assert!(sent.said().contains("base64-decoded"));
}

#[test]
fn a_standard_secret_that_was_taken_as_text() {
    let mut sent = sent("standard");
    sent.headers = sign(sent.dialect, &Key::hmac(sent.secret.expose().as_bytes()), &sent.body);
    let said = sent.said();
    assert!(said.contains("taken as text") && said.contains("base64-decodes the secret first"), "{said}");
}

#[rstest]
#[case("\n")]
#[case(" ")]
#[case("\r\n")]
fn white_space_in_the_secret_file(#[case] tail: &str, #[values("snyk", "aegis", "bearer-scan")] id: &str) {
    let mut sent = sent(id);
    sent.secret = Secret::new(format!("{HEX_SECRET}{tail}"));
    let said = sent.said();
    assert!(said.contains("white space") && said.contains("newline"), "{said}");
}

#[test]
fn a_newline_in_the_senders_secret() {
    let mut sent = sent("snyk");
    sent.headers = sign(sent.dialect, &Key::hmac(format!("{HEX_SECRET}\n").as_bytes()), &sent.body);
    assert!(sent.said().contains("final newline"));
}

#[rstest]
#[case(&[BODY.as_bytes(), b"\n"].concat(), "newline at its end")]
#[case(&[b" ".as_slice(), BODY.as_bytes(), b" "].concat(), "white space")]
#[case(&[b"\xef\xbb\xbf".as_slice(), BODY.as_bytes()].concat(), "byte order mark")]
fn a_body_that_grew(#[case] body: &[u8], #[case] word: &str, #[values("snyk", "aegis", "standard")] id: &str) {
    let mut sent = sent(id);
    sent.body = body.to_vec();
    assert!(sent.said().contains(word), "{}", sent.said());
}

#[test]
fn a_body_that_lost_its_newline() {
    let mut sent = sent("aegis");
    let key = sent.dialect.secrets.key(&sent.secret).expect("a key");
    sent.headers = sign(sent.dialect, &key, &[BODY.as_bytes(), b"\n"].concat());
    assert!(sent.said().contains("newline at its end"));
}

#[rstest]
#[case::pretty(
    "{\n  \"event\": \"e\",\n  \"data\": {\n    \"b\": [\n      1.0,\n      2\n    ],\n    \"a\": \"\\u00e9/\"\n  }\n}"
)]
#[case::python("{\"event\": \"e\", \"data\": {\"b\": [1.0, 2], \"a\": \"\\u00e9/\"}}")]
#[case::compact("{\"event\":\"e\",\"data\":{\"b\":[1.0,2],\"a\":\"é/\"}}")]
#[case::php("{\"event\":\"e\",\"data\":{\"b\":[1.0,2],\"a\":\"\\u00e9\\/\"}}")]
#[case::pretty4(
    "{\n    \"event\": \"e\",\n    \"data\": {\n        \"b\": [\n            1.0,\n            2\n        ],\n        \"a\": \"é/\"\n    }\n}"
)]
fn a_body_that_was_written_again(
    #[case] signed: &str,
    #[values(
        "{\"event\":\"e\",\"data\":{\"b\":[1.0,2],\"a\":\"é/\"}}",
        "{ \"event\" : \"e\", \"data\" : { \"b\" : [1.0, 2], \"a\" : \"\\u00e9/\" } }",
        "{\n\t\"event\": \"e\",\n\t\"data\": {\"b\": [1.0, 2], \"a\": \"é/\"}\n}"
    )]
    arrived: &str,
) {
    if signed == arrived {
        return;
    }
    let mut sent = sent("aegis");
    let key = sent.dialect.secrets.key(&sent.secret).expect("a key");
    sent.headers = sign(sent.dialect, &key, signed.as_bytes());
    sent.body = arrived.as_bytes().to_vec();
    assert!(sent.said().contains("the same JSON written"), "{}", sent.said());
}

#[test]
fn two_faults_at_once() {
    let mut sent = sent("snyk");
    sent.headers = sign(sent.dialect, &Key::hmac(&hex::decode(HEX_SECRET).expect("hex")), BODY.as_bytes());
    sent.body = [BODY.as_bytes(), b"\n"].concat();
    sent.rewrite("X-Hub-Signature", |name, value| Some((name.to_owned(), value.replace("sha256=", ""))));
    let said = sent.said();
    for word in ["hex-decoded", "newline at its end", "`sha256=` prefix"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[rstest]
fn a_prefix_that_is_missing(#[values("snyk", "aegis")] id: &str) {
    let mut sent = sent(id);
    sent.rewrite(&signature_header(id), |name, value| Some((name.to_owned(), value.replace("sha256=", ""))));
    assert!(sent.said().contains("lacks the `sha256=` prefix"));
}

#[test]
fn a_prefix_that_is_too_many() {
    let mut sent = sent("symbiotic");
    sent.rewrite("symbioticsec_signature", |name, value| Some((name.to_owned(), format!("sha256={value}"))));
    assert!(sent.said().contains("prefix"));
}

#[rstest]
fn upper_case_hex(#[values("snyk", "symbiotic", "aegis")] id: &str) {
    let mut sent = sent(id);
    let upper = |value: &str| value.to_ascii_uppercase().replace("SHA256=", "sha256=");
    sent.rewrite(&signature_header(id), |name, value| Some((name.to_owned(), upper(value))));
    assert!(sent.said().contains("in upper-case hex, and lower case is wanted"), "{}", sent.said());
}

#[test]
fn base64_in_place_of_hex() {
    let mut sent = sent("aegis");
    sent.rewrite("X-Aegis-Signature", |name, value| {
        let digest = hex::decode(value.trim_start_matches("sha256=")).expect("hex");
        Some((name.to_owned(), format!("sha256={}", spelled(digest))))
    });
    assert!(sent.said().contains("base64, and hex is wanted"));
}

#[rstest]
fn a_digest_of_sha_1_length(#[values("snyk", "aegis", "symbiotic")] id: &str) {
    let mut sent = sent(id);
    sent.rewrite(&signature_header(id), |name, value| {
        let cut = value.len() - 24;
        Some((name.to_owned(), value.get(..cut).expect("ASCII").to_owned()))
    });
    // Cut to that length, it is no SHA-1 of anything.
    let (said, faults) = sent.told();
    assert!(said.contains("SHA-1"), "{said}");
    assert_eq!(faults, [Fault::SignatureLength]);
}

#[rstest]
#[case("symbioticsec-signature")]
#[case("symbioticsecsignature")]
fn an_underscore_that_was_lost(#[case] name: &str) {
    let mut sent = sent("symbiotic");
    sent.rename("symbioticsec_signature", name);
    assert!(sent.said().contains("underscore"));
}

#[test]
fn another_prefix_of_the_standard_headers() {
    let mut sent = sent("standard");
    for part in ["id", "timestamp", "signature"] {
        sent.rename(&format!("webhook-{part}"), &format!("svix-{part}"));
    }
    assert!(sent.said().contains("begin with svix-"), "{}", sent.said());
}

#[test]
fn a_token_without_its_scheme() {
    let mut sent = sent("bearer-scan");
    sent.rewrite("Authorization", |name, value| Some((name.to_owned(), value.replace("Bearer ", ""))));
    assert!(sent.said().contains("lacks the word Bearer"));
}

#[test]
fn another_dialects_message() {
    let mut sent = sent("snyk");
    sent.dialect = dialect("aegis");
    let (said, faults) = sent.told();
    assert!(said.contains("this is Snyk's format") && said.contains("dialect snyk"), "{said}");
    assert_eq!(faults, [Fault::DialectOther]);
    sent.secret = Secret::new("quite another secret of the receiver");
    assert!(sent.said().contains("looks like Snyk's format"), "{}", sent.said());
}

#[test]
fn the_bare_body_where_more_is_signed() {
    let mut sent = sent("standard");
    let key = sent.dialect.secrets.key(&sent.secret).expect("a key");
    let bare = sign(dialect("aegis"), &key, &sent.body);
    let digest = bare.all("X-Aegis-Signature").next().expect("signed").to_vec();
    let digest = hex::decode(digest.strip_prefix(b"sha256=").expect("prefix")).expect("hex");
    let value = format!("v1,{}", spelled(digest));
    sent.rewrite("webhook-signature", |name, _| Some((name.to_owned(), value.clone())));
    assert!(sent.said().contains("the body alone was signed"), "{}", sent.said());
}

#[test]
fn a_wrong_secret_says_what_was_tried() {
    let mut sent = sent("snyk");
    sent.secret = Secret::new("not the secret that it was signed with");
    let said = sent.said();
    assert!(said.contains("secret is another one") && said.contains("re-serialised"), "{said}");
    let right = sign(sent.dialect, &sent.dialect.secrets.key(&sent.secret).expect("a key"), &sent.body);
    let right = std::str::from_utf8(right.all("X-Hub-Signature").next().expect("signed")).expect("text").to_owned();
    assert!(!said.contains(right.trim_start_matches("sha256=")), "shows the right signature");
}

#[rstest]
#[case(9 * 60 + 20, "9 minutes old", Reason::TimestampStale)]
#[case(3 * 3600, "3 hours old", Reason::TimestampStale)]
#[case(-400, "6 minutes in the future", Reason::TimestampFuture)]
fn a_time_too_far_away(#[case] later: i64, #[case] words: &str, #[case] reason: Reason) {
    let told = sent("standard").at(NOW + later);
    assert!(told.explanation.contains(words), "{told:?}");
    assert_eq!((told.is_verified, told.reason), (false, Some(reason)));
    assert_eq!(told.findings.iter().map(|finding| finding.fault).collect::<Vec<_>>(), [Fault::TimeOnly]);
}

#[test]
fn a_time_inside_the_body_counts_when_asked_for() {
    assert!(sent("symbiotic").at(NOW + 540).is_verified);
    let told = sent("symbiotic").ask(NOW + 540, Some(TOLERANCE), &[]);
    assert!(told.explanation.contains("9 minutes old") && !told.is_verified && told.decoded.is_none(), "{told:?}");
}

#[test]
fn milliseconds_where_seconds_are_wanted() {
    let mut sent = sent("standard");
    sent.rewrite("webhook-timestamp", |name, value| Some((name.to_owned(), format!("{value}000"))));
    assert!(sent.said().contains("milliseconds"));
}

#[test]
fn another_of_the_receivers_secrets() {
    let mut sent = sent("snyk");
    let other = Other {
        name: "the endpoint ep_1".to_owned(),
        dialect: dialect("aegis"),
        secret: std::mem::replace(&mut sent.secret, Secret::new("the secret that should have been used")),
    };
    let told = sent.ask(NOW, None, std::slice::from_ref(&other));
    assert_eq!(told.findings.iter().map(|finding| finding.fault).collect::<Vec<_>>(), [Fault::SecretOther]);
    assert!(told.findings[0].detail.contains("the secret of the endpoint ep_1"), "{told:?}");
    assert!(!format!("{told:?}").contains(other.secret.expose()));
    // Whoever may not see it is not told.
    assert!(!sent.said().contains("ep_1"));
}

#[rstest]
fn a_real_sha_1_signature(#[values("snyk", "aegis", "github")] id: &str) {
    let mut sent = sent(id);
    sent.sign_with::<Hmac<sha1::Sha1>>(HEX_SECRET.as_bytes(), BODY.as_bytes());
    let (said, faults) = sent.told();
    assert!(said.contains("HMAC-SHA-1") && said.contains("40 hex digits"), "{said}");
    assert_eq!(faults, [Fault::SignatureAlgorithm]);
}

#[test]
fn a_sha_1_signature_under_githubs_older_header() {
    let mut sent = sent("github");
    sent.sign_with::<Hmac<sha1::Sha1>>(HEX_SECRET.as_bytes(), BODY.as_bytes());
    sent.rewrite("X-Hub-Signature-256", |_, value| {
        Some(("X-Hub-Signature".to_owned(), value.replace("sha256=", "sha1=")))
    });
    let (said, faults) = sent.told();
    assert_eq!(faults, [Fault::HeaderName, Fault::SignaturePrefix, Fault::SignatureAlgorithm], "{said}");
}

#[test]
fn a_real_sha_512_signature_with_a_decoded_secret() {
    let mut sent = sent("aegis");
    let key = hex::decode(HEX_SECRET).expect("hex");
    sent.sign_with::<Hmac<sha2::Sha512>>(&key, BODY.as_bytes());
    let (said, faults) = sent.told();
    assert!(said.contains("HMAC-SHA-512") && said.contains("hex-decoded"), "{said}");
    assert_eq!(faults, [Fault::SignatureAlgorithm, Fault::SecretDecoding]);
}

#[test]
fn a_hash_without_any_secret() {
    use sha2::Digest as _;
    let mut sent = sent("snyk");
    let value = format!("sha256={}", hex::encode(sha2::Sha256::digest(BODY)));
    sent.rewrite("X-Hub-Signature", |name, _| Some((name.to_owned(), value.clone())));
    assert!(sent.said().contains("plain SHA-256"), "{}", sent.said());
}

#[test]
fn an_empty_body_was_signed() {
    let mut sent = sent("snyk");
    let key = sent.dialect.secrets.key(&sent.secret).expect("a key");
    sent.headers = sign(sent.dialect, &key, b"");
    assert!(sent.said().contains("empty body"), "{}", sent.said());
}

#[rstest]
fn a_prefix_that_is_there_twice(#[values("snyk", "aegis")] id: &str) {
    let mut sent = sent(id);
    sent.rewrite(&signature_header(id), |name, value| Some((name.to_owned(), format!("sha256={value}"))));
    let (said, faults) = sent.told();
    assert!(said.contains("prefix is there twice"), "{said}");
    assert_eq!(faults, [Fault::SignaturePrefix]);
}

#[rstest]
#[case("snyk", "SHA256=")]
#[case("aegis", "sha1=")]
fn another_prefix(#[case] id: &str, #[case] prefix: &str) {
    let mut sent = sent(id);
    sent.rewrite(&signature_header(id), |name, value| Some((name.to_owned(), value.replace("sha256=", prefix))));
    assert!(sent.said().contains(&format!("begins with `{prefix}`, and `sha256=` is wanted")), "{}", sent.said());
}

#[test]
#[expect(clippy::string_slice, reason = "hex digits")]
fn a_signature_that_was_cut() {
    let mut sent = sent("snyk");
    sent.rewrite("X-Hub-Signature", |name, value| Some((name.to_owned(), value[..value.len() - 1].to_owned())));
    let (said, faults) = sent.told();
    assert!(said.contains("63 hex digits where 64 are wanted"), "{said}");
    assert_eq!(faults, [Fault::SignatureLength]);
}

#[rstest]
#[case("timestamp and body were signed", "1700000000.", "")]
#[case("id and body were signed", "msg_1.", "")]
#[case("without full stops", "msg_11700000000", "")]
#[case("wrong order", "1700000000.msg_1.", "")]
#[case("re-serialised", "msg_1.1700000000.", " ")]
fn what_standard_webhooks_sign(#[case] words: &str, #[case] before: &str, #[case] behind: &str) {
    let mut sent = sent("standard");
    let key = sent.dialect.secrets.key(&sent.secret).expect("a key");
    let body = if behind.is_empty() { BODY.to_owned() } else { BODY.replace(',', ", ").replace(':', ": ") };
    let made = crate::signature::digest(&key, &[before.as_bytes(), body.as_bytes()]).expect("made");
    sent.rewrite("webhook-signature", |name, _| Some((name.to_owned(), format!("v1,{}", spelled(made)))));
    assert!(sent.said().contains(words), "{}", sent.said());
}

#[rstest]
#[case("json.dumps was called without", r#"{"event": "vulnerability.created", "timestamp": 1700000000, "data": {"rule_id": "R/1", "note": "\u00e9", "score": 1.5}}"#)]
#[case(
    "the keys were not sorted",
    r#"{"event":"vulnerability.created","timestamp":1700000000,"data":{"rule_id":"R/1","note":"\u00e9","score":1.5}}"#
)]
#[case("raw body was signed", BODY)]
fn what_symbiotic_does_not_sign(#[case] words: &str, #[case] signed: &str) {
    let mut sent = sent("symbiotic");
    let key = sent.dialect.secrets.key(&sent.secret).expect("a key");
    let made = crate::signature::digest(&key, &[signed.as_bytes()]).expect("made");
    sent.rewrite("symbioticsec_signature", |name, _| Some((name.to_owned(), hex::encode(made))));
    assert!(sent.said().contains(words), "{}", sent.said());
}

#[rstest]
#[case("symbiotic", "symbioticsec_signature", "Symbioticsec_signature")]
#[case("snyk", "X-Snyk-Transport-ID", "X-Snyk-Transport-Id")]
#[case("github", "X-GitHub-Event", "X-Github-Event")]
#[case("standard", "webhook-id", "Webhook-Id")]
fn a_proxy_that_writes_names_with_capitals(#[case] id: &str, #[case] name: &str, #[case] recased: &str) {
    let mut sent = sent(id);
    sent.rename(name, recased);
    let told = sent.at(NOW);
    assert!(told.is_verified, "{told:?}");
    let found = told.findings.iter().find(|finding| finding.fault == Fault::HeaderCase).expect("is told");
    assert!(found.detail.contains(&format!("the header {name} arrived as {recased}")), "{found:?}");
    // Lower case is what HTTP/2 makes of every name.
    sent.rename(name, &name.to_ascii_lowercase());
    assert!(sent.at(NOW).findings.iter().all(|finding| finding.fault != Fault::HeaderCase));
}

#[test]
fn a_header_that_a_proxy_doubled() {
    let mut sent = sent("snyk");
    let value = sent.headers.all("X-Hub-Signature").next().expect("signed").to_vec();
    sent.headers.push("X-Hub-Signature", value);
    assert!(sent.said().contains("is there 2 times"), "{}", sent.said());
}

#[rstest]
#[case("whsec_not base64 at all!", "standard")]
#[case("zz this is none zz", "symbiotic")]
fn a_secret_that_is_none(#[case] secret: &str, #[case] id: &str) {
    let mut sent = sent(id);
    sent.headers = sign(sent.dialect, &Key::hmac(secret.as_bytes()), &sent.body);
    sent.secret = Secret::new(secret);
    let (said, faults) = sent.told();
    assert!(said.contains("cannot be used") && said.contains("taken as text"), "{said}");
    assert_eq!(faults, [Fault::SecretDecoding]);
}

#[test]
fn a_bearer_token_with_another_scheme() {
    let mut sent = sent("bearer-scan");
    sent.rewrite("Authorization", |name, value| Some((name.to_owned(), value.replace("Bearer", "token"))));
    assert!(sent.said().contains("has the scheme token"), "{}", sent.said());
}
