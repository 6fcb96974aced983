//! What holds for every dialect, now and whenever one is added.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::{SignedDuration, Timestamp, ToSpan};
use uuid::Uuid;
use watchbell_wire::diagnosis::{Question, diagnose};
use watchbell_wire::dialect::Credential;
use watchbell_wire::{Dialect, Event, EventType, Headers, Key, Message, Reason, Secret, Settings, Unverified, dialect};

use super::payloads;

const TOLERANCE: SignedDuration = SignedDuration::from_secs(300);

fn now() -> Timestamp {
    "2024-10-09T08:48:00Z".parse().unwrap()
}

fn secret(dialect: &Dialect, seed: u8) -> Secret {
    dialect.secrets.make([seed; 32])
}

fn key(dialect: &Dialect, seed: u8) -> Key {
    dialect.secrets.key(&secret(dialect, seed)).unwrap()
}

/// The dialects that are received.
fn received() -> impl Iterator<Item = &'static Dialect> {
    dialect::ALL.iter().copied().filter(|dialect| dialect.inbound.is_some())
}

/// One message of every event that the dialect has, with its name there; of a dialect that we do not send, the vendor's.
fn bodies(dialect: &'static Dialect) -> Vec<(String, Vec<u8>)> {
    let Some(outbound) = dialect.outbound else {
        return payloads::of_vendor(dialect);
    };
    let types =
        EventType::BUILT_IN.iter().filter_map(|event_type| Some((event_type, outbound.event_name(event_type)?)));
    types
        .map(|(event_type, name)| {
            let data = event_type.sample().unwrap();
            let event = Event { id: Uuid::nil(), event_type: event_type.clone(), occurred_at: now(), data };
            (name.into_owned(), outbound.encode(&event, &Settings::default()).unwrap())
        })
        .collect()
}

/// The same, signed with `keys`.
fn messages(dialect: &'static Dialect, keys: &[Key]) -> Vec<(Headers, Vec<u8>)> {
    let signed = bodies(dialect).into_iter().map(|(name, body)| {
        let message = Message { id: "msg_1", event: &name, occurred_at: now(), sent_at: now(), body: &body };
        let headers = dialect.sign(&message, keys).unwrap();
        (headers.into_iter().map(|line| (line.name, line.value)).collect(), body)
    });
    signed.collect()
}

fn verify(
    dialect: &'static Dialect,
    headers: &Headers,
    body: &[u8],
    keys: &[Key],
    at: Timestamp,
) -> Result<(), Reason> {
    let request = Unverified::new(headers.clone(), body.to_vec());
    request.verify(dialect, keys, at, TOLERANCE).map(|_| ()).map_err(|refusal| refusal.reason)
}

fn is_bearer(dialect: &Dialect) -> bool {
    dialect.credential == Credential::BearerToken
}

/// Whether the dialect's credential depends on the body at all; a bearer token does not.
fn signs_body(dialect: &Dialect) -> bool {
    !matches!(dialect.id, "bearer-scan" | "cloudevents" | "gitlab")
}

#[test]
fn what_is_signed_verifies_and_decodes_to_what_was_said() {
    for dialect in received() {
        let keys = [key(dialect, 1)];
        for ((name, _), (headers, body)) in bodies(dialect).into_iter().zip(messages(dialect, &keys)) {
            let verified = Unverified::new(headers, body).verify(dialect, &keys, now(), TOLERANCE).unwrap();
            let decoded = verified.decode().unwrap();
            assert_eq!(name.split('/').next().unwrap(), decoded.vendor_event, "{dialect:?}");
            let event = decoded.events.first().unwrap();
            if let Some(outbound) = dialect.outbound {
                assert_eq!(outbound.event_name(&event.event_type).unwrap(), name, "{dialect:?}");
            }
            watchbell_wire::event::check(&event.event_type, &event.data).unwrap();
        }
    }
}

#[test]
fn a_flipped_bit_in_the_body_fails() {
    for dialect in received().filter(|dialect| signs_body(dialect)) {
        let keys = [key(dialect, 1)];
        for (headers, body) in messages(dialect, &keys) {
            // Every bit of the first bytes, then one bit of every byte in turn.
            for (place, bit) in (0..8)
                .flat_map(|place| (0..8).map(move |bit| (place, bit)))
                .chain((8..body.len()).map(|place| (place, place % 8)))
            {
                let mut changed = body.clone();
                changed[place] ^= 1 << bit;
                let outcome = verify(dialect, &headers, &changed, &keys, now());
                assert!(outcome.is_err(), "{dialect:?}: byte {place}, bit {bit} of {}", String::from_utf8_lossy(&body));
            }
        }
    }
}

#[test]
fn a_flipped_bit_in_the_credential_fails() {
    for dialect in received() {
        let keys = [key(dialect, 1)];
        let (headers, body) = messages(dialect, &keys).swap_remove(0);
        let (name, value) = headers.iter().last().map(|(name, value)| (name.to_owned(), value.to_vec())).unwrap();
        for place in 0..value.len() * 8 {
            let mut changed = value.clone();
            changed[place / 8] ^= 1 << (place % 8);
            if value.starts_with(b"Bearer ") && changed[..6].eq_ignore_ascii_case(b"bearer") && place / 8 < 6 {
                continue; // another letter case of the scheme is the same scheme
            }
            let with_change: Headers = headers
                .iter()
                .map(|(given, old)| (given.to_owned(), if given == name { changed.clone() } else { old.to_vec() }))
                .collect();
            let outcome = verify(dialect, &with_change, &body, &keys, now());
            assert!(outcome.is_err(), "{dialect:?}: bit {place} of {}", String::from_utf8_lossy(&changed));
        }
    }
}

#[test]
fn another_secret_fails_and_so_does_none() {
    for dialect in received() {
        let (headers, body) = messages(dialect, &[key(dialect, 1)]).swap_remove(0);
        assert_eq!(
            verify(dialect, &headers, &body, &[key(dialect, 2)], now()),
            Err(Reason::SignatureMismatch),
            "{dialect:?}"
        );
        assert!(verify(dialect, &headers, &body, &[], now()).is_err(), "{dialect:?}");
        assert!(verify(dialect, &Headers::default(), &body, &[key(dialect, 1)], now()).is_err(), "{dialect:?}");
    }
}

#[test]
fn both_secrets_pass_during_a_rotation() {
    for dialect in received() {
        let (old, new) = (key(dialect, 1), key(dialect, 2));
        // The receiver holds both, the sender either.
        for sender in [&old, &new] {
            let (headers, body) = messages(dialect, std::slice::from_ref(sender)).swap_remove(0);
            assert_eq!(verify(dialect, &headers, &body, &[new.clone(), old.clone()], now()), Ok(()), "{dialect:?}");
        }
        // The sender holds both, the receiver the first; where a header carries several signatures, either.
        let (headers, body) = messages(dialect, &[new.clone(), old.clone()]).swap_remove(0);
        assert_eq!(verify(dialect, &headers, &body, std::slice::from_ref(&new), now()), Ok(()), "{dialect:?}");
        let with_old = verify(dialect, &headers, &body, std::slice::from_ref(&old), now());
        assert_eq!(with_old.is_ok(), dialect.id == "standard", "{dialect:?}");
    }
}

#[test]
fn a_stale_time_fails_where_the_attempt_is_signed() {
    let dialect = dialect::find("standard").unwrap();
    let keys = [key(dialect, 1)];
    let (headers, body) = messages(dialect, &keys).swap_remove(0);
    let at = |seconds: i64| verify(dialect, &headers, &body, &keys, now() + seconds.seconds());
    assert_eq!((at(300), at(301)), (Ok(()), Err(Reason::TimestampStale)));
    assert_eq!((at(-300), at(-301)), (Ok(()), Err(Reason::TimestampFuture)));
}

/// The dialects that sign their time inside the body hand it out, so that the edge can judge its age; the others do not.
#[test]
fn only_signed_times_are_times_of_sending() {
    for dialect in received() {
        let keys = [key(dialect, 1)];
        let (headers, body) = messages(dialect, &keys).swap_remove(0);
        let decoded =
            Unverified::new(headers, body).verify(dialect, &keys, now(), TOLERANCE).unwrap().decode().unwrap();
        let signed = matches!(dialect.id, "symbiotic" | "aegis" | "standard");
        assert_eq!(decoded.sent_at, signed.then(now), "{dialect:?}");
    }
}

#[test]
fn a_repeated_credential_is_refused() {
    for dialect in received() {
        let keys = [key(dialect, 1)];
        let (mut headers, body) = messages(dialect, &keys).swap_remove(0);
        let (name, value) = headers.iter().last().map(|(name, value)| (name.to_uppercase(), value.to_vec())).unwrap();
        headers.push(name, value);
        let reason = verify(dialect, &headers, &body, &keys, now()).unwrap_err();
        assert_eq!(reason.status(dialect), if is_bearer(dialect) { 401 } else { 400 }, "{dialect:?}");
    }
}

#[test]
fn secrets_and_right_signatures_are_never_told() {
    for dialect in received() {
        let (headers, body) = messages(dialect, &[key(dialect, 1)]).swap_remove(0);
        let right = headers.iter().last().map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap();
        let mut changed = body.clone();
        changed.push(b' ');
        let wrong =
            Unverified::new(headers, changed).verify(dialect, &[key(dialect, 2)], now(), TOLERANCE).unwrap_err();
        let told = format!("{wrong} {wrong:?} {:?} {:?}", secret(dialect, 1), key(dialect, 1));
        assert!(!told.contains(secret(dialect, 1).expose()) && !told.contains(&right), "{dialect:?}: {told}");
        let digest = right.rsplit(['=', ',', ' ']).find(|piece| !piece.is_empty()).unwrap();
        assert!(!told.contains(digest), "{dialect:?}: {told}");
    }
}

#[test]
fn ids_with_a_full_stop_are_neither_made_nor_taken() {
    let dialect = dialect::find("standard").unwrap();
    let message = Message { id: "a.b", event: "x.y", occurred_at: now(), sent_at: now(), body: b"{}" };
    assert!(dialect.outbound.unwrap().headers(&message, &[key(dialect, 1)]).is_err());
}

#[test]
fn refusals_explain_what_somebody_did_wrong() {
    let cases = [
        ("symbiotic", "symbioticsec-signature", "ab".repeat(32), "underscore"),
        ("symbiotic", "symbioticsec_signature", format!("sha256={}", "ab".repeat(32)), "prefix"),
        ("snyk", "X-Hub-Signature", "ab".repeat(32), "sha256="),
        ("snyk", "X-Hub-Signature", format!("sha256={}", "ab".repeat(20)), "SHA-1"),
        ("snyk", "X-Hub-Signature", format!("sha256={}", "AB".repeat(32)), "upper-case"),
        ("aegis", "X-Aegis-Signature", format!("sha256={}=", "abcdefghij".repeat(4) + "abc"), "base64"),
        ("github", "X-Hub-Signature", format!("sha1={}", "ab".repeat(20)), "SHA-1"),
        ("github", "X-Hub-Signature-256", format!("sha1={}", "ab".repeat(20)), "sha256="),
        ("snyk", "X-Hub-Signature-256", format!("sha256={}", "ab".repeat(32)), "X-Hub-Signature-256"),
    ];
    for (id, name, value, word) in cases {
        let dialect = dialect::find(id).unwrap();
        let headers: Headers = [(name, value)].into_iter().collect();
        let refusal = Unverified::new(headers, "{}").verify(dialect, &[key(dialect, 1)], now(), TOLERANCE).unwrap_err();
        assert!(refusal.detail.contains(word), "{id} {name}: {}", refusal.detail);
    }
}

/// What is wrong with a message that was signed by someone who made one of the usual mistakes.
#[test]
fn usual_mistakes_are_named() {
    let vectors = [
        (
            "snyk",
            include_str!("../vectors/snyk.json"),
            vec![("snyk-051", "newline"), ("snyk-052", "re-serialised"), ("snyk-057", "hex"), ("snyk-058", "sorted")],
        ),
        (
            "aegis",
            include_str!("../vectors/aegis.json"),
            vec![("aegis-040", "newline"), ("aegis-041", "re-serialised")],
        ),
        (
            "github",
            include_str!("../vectors/github.json"),
            vec![("gh-046", "newline"), ("gh-047", "re-serialised"), ("gh-053", "inside the form")],
        ),
        (
            "symbiotic",
            include_str!("../vectors/symbiotic.json"),
            vec![
                ("sym-089", "hex"),
                ("sym-094", "raw body"),
                ("sym-095", "raw body"),
                ("sym-096", "blanks"),
                ("sym-097", "escaped"),
            ],
        ),
        (
            "standard",
            include_str!("../vectors/standard-webhooks.json"),
            vec![("sw-035", "re-serialised"), ("sw-037", "base64"), ("sw-038", "body alone")],
        ),
    ];
    for (id, file, cases) in vectors {
        let dialect = dialect::find(id).unwrap();
        let file: serde_json::Value = serde_json::from_str(file).unwrap();
        for (case_id, word) in cases {
            let case = file["cases"].as_array().unwrap().iter().find(|case| case["id"] == case_id).unwrap();
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            let lines = case["request"]["headers"].as_array().unwrap().iter();
            let headers: Headers = lines.map(|line| (text(&line[0]), text(&line[1]))).collect();
            let body = BASE64.decode(text(&case["request"]["body_b64"])).unwrap();
            let secret = Secret::new(text(&case["secret"]));
            let now = Timestamp::from_second(case["now"].as_i64().unwrap_or_default()).unwrap();
            let words = explained(dialect, &headers, &body, &secret, now);
            assert!(words.contains(word), "{case_id} {}: {words}", case["title"]);
            assert!(!words.contains(secret.expose()));
        }
        // Nothing usual about another secret.
        let (headers, body) = messages(dialect, &[key(dialect, 1)]).swap_remove(0);
        let words = explained(dialect, &headers, &body, &secret(dialect, 2), now());
        assert!(words.contains("nothing that was tried fits"), "{id}: {words}");
    }
}

fn explained(dialect: &'static Dialect, headers: &Headers, body: &[u8], secret: &Secret, now: Timestamp) -> String {
    let told = diagnose(&Question {
        dialect: Some(dialect),
        settings: &Settings::default(),
        headers,
        body,
        secrets: std::slice::from_ref(secret),
        others: &[],
        now,
        max_age: None,
        work_bytes_max: u64::MAX,
    });
    assert!(!told.is_verified);
    told.findings.into_iter().map(|finding| finding.detail).collect::<Vec<_>>().join("; ")
}
