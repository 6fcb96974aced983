//! Each fault is made on a request that verifies, and must be found by its name.

use rstest::rstest;
use watchbell_wire::Message;

use super::*;

const NOW: i64 = 1_700_000_000;
const HEX_SECRET: &str = "6f1ed002ab5595859014ebf0951522d96f1ed002ab5595859014ebf0951522d9";
const BODY: &str =
    r#"{"event":"vulnerability.created","timestamp":1700000000,"data":{"rule_id":"R/1","note":"é","score":1.5}}"#;

struct Sent {
    dialect: &'static Dialect,
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
    let headers = dialect.outbound.expect("is sent").headers(&message, std::slice::from_ref(key)).expect("signs");
    headers.into_iter().map(|header| (header.name, header.value)).collect()
}

fn sent(id: &str) -> Sent {
    let dialect = dialect(id);
    let secret = match id {
        "standard" => Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        _ => Secret::new(HEX_SECRET),
    };
    let key = dialect.secrets.key(&secret).expect("a good secret");
    Sent { dialect, headers: sign(dialect, &key, BODY.as_bytes()), secret, body: BODY.as_bytes().to_vec() }
}

impl Sent {
    fn at(&self, now: i64, check_any_time: bool) -> Result<(), Refused> {
        verify(&Received {
            dialect: self.dialect,
            headers: &self.headers,
            body: &self.body,
            secret: &self.secret,
            now: time(now),
            tolerance: SignedDuration::from_secs(300),
            check_any_time,
        })
    }

    /// Everything that is said about the request now.
    fn said(&self) -> String {
        let refused = self.at(NOW, false).expect_err("is refused");
        assert!(!refused.causes.is_empty(), "no cause: {refused:?}");
        let said = format!("{}\n{}", refused.detail, refused.causes.join("\n"));
        assert!(!said.contains(self.secret.expose()) || self.secret.expose().is_empty(), "shows the secret: {said}");
        said
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

fn signature_header(id: &str) -> &'static str {
    Format::of(dialect(id)).expect("a format").header
}

#[rstest]
fn what_is_right_verifies(#[values("snyk", "symbiotic", "aegis", "bearer-scan", "standard")] id: &str) {
    assert_eq!(sent(id).at(NOW, false), Ok(()));
}

#[test]
fn formats_are_seen_from_signing() {
    let seen: Vec<_> = dialect::ALL
        .iter()
        .filter_map(|dialect| Format::of(dialect))
        .map(|f| (f.header, f.prefix, f.spelling))
        .collect();
    let hex = header::Spelling::Hex;
    let expected = [
        ("X-Hub-Signature", "sha256=", hex),
        ("symbioticsec_signature", "", hex),
        ("X-Aegis-Signature", "sha256=", hex),
        ("Authorization", "Bearer ", header::Spelling::Token),
        ("webhook-signature", "v1,", header::Spelling::Base64),
        ("X-Hub-Signature-256", "sha256=", hex),
        ("Authorization", "Bearer ", header::Spelling::Token),
    ];
    assert_eq!(seen, expected.map(|(name, prefix, spelling)| (name, prefix.to_owned(), spelling)));
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
    let decoded = Key::hmac(
        &base64::Engine::decode(&base64::engine::general_purpose::STANDARD, sent.secret.expose()).expect("base64"),
    );
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
    sent.rewrite(signature_header(id), |name, value| Some((name.to_owned(), value.replace("sha256=", ""))));
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
    sent.rewrite(signature_header(id), |name, value| Some((name.to_owned(), upper(value))));
    assert!(sent.said().contains("in upper-case hex, and lower case is wanted"), "{}", sent.said());
}

#[test]
fn base64_in_place_of_hex() {
    let mut sent = sent("aegis");
    sent.rewrite("X-Aegis-Signature", |name, value| {
        let digest = hex::decode(value.trim_start_matches("sha256=")).expect("hex");
        let spelled = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest);
        Some((name.to_owned(), format!("sha256={spelled}")))
    });
    assert!(sent.said().contains("base64, and hex is wanted"));
}

#[rstest]
fn a_digest_of_sha_1_length(#[values("snyk", "aegis", "symbiotic")] id: &str) {
    let mut sent = sent(id);
    sent.rewrite(signature_header(id), |name, value| {
        let cut = value.len() - 24;
        Some((name.to_owned(), value.get(..cut).expect("ASCII").to_owned()))
    });
    assert!(sent.said().contains("SHA-1"), "{}", sent.said());
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
    let said = sent.said();
    assert!(said.contains("--dialect snyk"), "{said}");
    sent.secret = Secret::new("quite another secret of the receiver");
    assert!(sent.said().contains("X-Hub-Signature, the one of Snyk"), "{}", sent.said());
}

#[test]
fn the_bare_body_where_more_is_signed() {
    let mut sent = sent("standard");
    let key = sent.dialect.secrets.key(&sent.secret).expect("a key");
    let bare = sign(dialect("aegis"), &key, &sent.body);
    let digest = bare.all("X-Aegis-Signature").next().expect("signed").to_vec();
    let digest = hex::decode(digest.strip_prefix(b"sha256=").expect("prefix")).expect("hex");
    let value = format!("v1,{}", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest));
    sent.rewrite("webhook-signature", |name, _| Some((name.to_owned(), value.clone())));
    assert!(sent.said().contains("raw body alone"), "{}", sent.said());
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
#[case(9 * 60 + 20, "9 minutes old")]
#[case(3 * 3600, "3 hours old")]
#[case(-400, "6 minutes in the future")]
fn a_time_too_far_away(#[case] later: i64, #[case] words: &str) {
    let refused = sent("standard").at(NOW + later, false).expect_err("is refused");
    assert!(refused.detail.contains(words), "{refused:?}");
    assert_eq!(refused.causes, [SIGNATURE_IS_RIGHT]);
}

#[test]
fn a_time_inside_the_body_counts_when_asked_for() {
    assert_eq!(sent("symbiotic").at(NOW + 540, false), Ok(()));
    let refused = sent("symbiotic").at(NOW + 540, true).expect_err("is refused");
    assert!(refused.detail.contains("9 minutes old"), "{refused:?}");
}

#[test]
fn milliseconds_where_seconds_are_wanted() {
    let mut sent = sent("standard");
    sent.rewrite("webhook-timestamp", |name, value| Some((name.to_owned(), format!("{value}000"))));
    assert!(sent.said().contains("milliseconds"));
}

#[rstest]
#[case(0, "0 seconds")]
#[case(1, "1 second")]
#[case(59, "59 seconds")]
#[case(60, "1 minute")]
#[case(3600, "1 hour")]
#[case(172_800, "2 days")]
fn lengths_in_words(#[case] secs: i64, #[case] words: &str) {
    assert_eq!(in_words(SignedDuration::from_secs(secs)), words);
}
