//! Without a dialect, without a secret, and within limits.

use super::*;

/// A question without a dialect.
fn unknown<'a>(sent: &'a Sent, secrets: &'a [Secret]) -> Diagnosis {
    diagnose(&Question {
        dialect: None,
        settings: &Settings::default(),
        headers: &sent.headers,
        body: &sent.body,
        secrets,
        others: &[],
        now: time(NOW),
        max_age: None,
        work_bytes_max: u64::MAX,
    })
}

#[rstest]
fn a_dialect_is_recognised(#[values("snyk", "symbiotic", "aegis", "standard", "github")] id: &str) {
    let sent = sent(id);
    let told = unknown(&sent, std::slice::from_ref(&sent.secret));
    assert!(told.is_verified && told.dialect == Some(sent.dialect), "{told:?}");
    let wrong = [Secret::new("0123456789abcdef0123456789abcdef")];
    let told = unknown(&sent, &wrong);
    assert!(!told.is_verified && told.dialect == Some(sent.dialect), "{told:?}");
    assert!(told.findings.iter().any(|finding| finding.fault == Fault::DialectRecognised), "{told:?}");
    // Without a secret the form is judged alone.
    let told = unknown(&sent, &[]);
    assert!(!told.is_verified && told.dialect == Some(sent.dialect) && told.reason.is_none(), "{told:?}");
    assert!(told.explanation.contains("without the secret"), "{told:?}");
}

#[rstest]
#[case("bearer-scan", r#"{"scanId":"a","status":"completed","results":{"threatsFound":0},"timestamp":"2023-10-23T14:55:00Z"}"#, ("content-type", "application/json"))]
#[case("cloudevents", "{}", ("content-type", "application/cloudevents+json; charset=UTF-8"))]
#[case("cloudevents", "{}", ("ce-specversion", "1.0"))]
#[case("symbiotic", BODY, ("symbioticsec-signature", "00"))]
#[case("aegis", r#"{"event":"POAM_OVERDUE","timestamp":"2025-12-16T15:30:00Z","data":{}}"#, ("x", "y"))]
#[case("snyk", r#"{"webhookId":"d3cf26b3-2d77-497b-bce2-23b33cc15362"}"#, ("x", "y"))]
#[case("github", r#"{"zen":"a","hook_id":1}"#, ("x", "y"))]
#[case("standard", r#"{"type":"a.b","timestamp":"2025-12-16T15:30:00Z","data":{}}"#, ("x", "y"))]
fn a_dialect_is_recognised_without_its_signature(
    #[case] id: &str,
    #[case] body: &str,
    #[case] (name, value): (&str, &str),
) {
    let headers = Headers::from_iter([(name, value)]);
    let found = recognise::candidates(&headers, body.as_bytes());
    assert_eq!(found.first().map(|candidate| candidate.dialect.id), Some(id), "{found:?}");
}

#[test]
fn without_a_secret_nothing_verifies() {
    let mut sent = sent("snyk");
    let known = sent.dialect.secrets.key(&sent.dialect.secrets.make([0; 32])).expect("a key");
    sent.headers = sign(sent.dialect, &known, &sent.body);
    assert!(!unknown(&sent, &[]).is_verified);
}

#[test]
fn nothing_known_is_said_to_be_nothing_known() {
    let sent = Sent { headers: Headers::from_iter([("x-a", "b")]), body: b"hello".to_vec(), ..sent("snyk") };
    let told = unknown(&sent, &[]);
    assert!(
        told.dialect.is_none() && told.reason.is_none() && told.explanation.contains("none of the formats"),
        "{told:?}"
    );
}

#[test]
fn what_is_verified_is_told() {
    let mut sent = sent("symbiotic");
    sent.body = br#"{"event":"training.completed","timestamp":1700000000,"data":{"user":"a@b.c","training":"t","score":1,"started_at":1,"completed_at":2}}"#.to_vec();
    let key = sent.dialect.secrets.key(&sent.secret).expect("a key");
    sent.headers = sign(sent.dialect, &key, &sent.body);
    let decoded = sent.at(NOW).decoded.expect("is decoded");
    assert_eq!((decoded.vendor_event.as_str(), decoded.events.len()), ("training.completed", 1));
    sent.body.push(b' ');
    assert!(sent.at(NOW).is_verified, "canonical");
    sent.body.push(b'x');
    assert!(sent.at(NOW).decoded.is_none());
}

#[test]
fn the_work_has_a_limit_and_says_so() {
    let mut sent = sent("snyk");
    sent.secret = Secret::new("not the secret that it was signed with");
    sent.body = vec![b' '; 100_000];
    let question = Question {
        dialect: Some(sent.dialect),
        settings: &sent.settings,
        headers: &sent.headers,
        body: &sent.body,
        secrets: std::slice::from_ref(&sent.secret),
        others: &[],
        now: time(NOW),
        max_age: None,
        work_bytes_max: 300_000,
    };
    let told = diagnose(&question);
    assert!(told.findings.iter().any(|finding| finding.fault == Fault::NotAllTried), "{told:?}");
    let all = diagnose(&Question { work_bytes_max: u64::MAX, ..question });
    assert!(all.findings.iter().all(|finding| finding.fault != Fault::NotAllTried), "{all:?}");
}

#[test]
fn codes_are_snake_case_and_differ() {
    let codes: std::collections::BTreeSet<&str> = Fault::ALL.iter().map(|fault| fault.as_str()).collect();
    assert_eq!(codes.len(), Fault::ALL.len());
    assert!(codes.iter().all(|code| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
}

/// A request of GitHub at a receiver of Snyk: the header that looks alike is not the whole truth.
#[test]
fn a_sibling_that_verifies_as_it_stands_is_named_first() {
    let mut github = sent("github");
    github.dialect = dialect("snyk");
    let (said, faults) = github.told();
    assert_eq!(faults.first(), Some(&Fault::DialectOther), "{said}");
    assert!(
        said.contains("this is the format of GitHub security alerts, and verifies as that: use the dialect github"),
        "{said}"
    );
}

#[test]
fn a_secret_that_cannot_be_one_is_the_only_thing_said() {
    let mut sent = sent("snyk");
    sent.secret = Secret::new("");
    let (said, faults) = sent.told();
    assert_eq!(faults, [Fault::SecretUnusable], "{said}");
    assert!(said.contains("the secret is empty") && !said.contains("rotated"), "{said}");
}

#[test]
fn of_a_wrong_token_nothing_is_said_about_the_body() {
    let mut sent = sent("bearer-scan");
    sent.secret = Secret::new("0123456789abcdef0123456789abcdef");
    let (said, faults) = sent.told();
    assert_eq!(faults, [Fault::NothingFits], "{said}");
    assert!(said.contains("the token is another one") && !said.contains("body"), "{said}");
}

#[test]
fn quotes_around_a_token_are_seen_and_tried() {
    let mut sent = sent("bearer-scan");
    sent.rewrite("Authorization", |name, value| Some((name.to_owned(), value.replace("Bearer ", "Bearer \"") + "\"")));
    let (said, faults) = sent.told();
    assert_eq!(faults, [Fault::SignatureSpelling], "{said}");
    assert!(said.contains("the token has quotes"), "{said}");
}

#[test]
fn a_body_that_was_lost_is_said_to_be() {
    let mut sent = sent("snyk");
    sent.body.clear();
    let (said, faults) = sent.told();
    assert_eq!(faults, [Fault::NothingFits], "{said}");
    assert!(said.contains("the body is empty") && !said.contains("rotated"), "{said}");
}

#[test]
fn a_message_that_makes_no_event_is_verified_and_says_why() {
    let mut sent = sent("snyk");
    sent.rewrite("X-Snyk-Event", |name, _| Some((name.to_owned(), "new_thing/v1".to_owned())));
    let told = sent.at(NOW);
    assert!(told.is_verified, "{told:?}");
    assert_eq!(told.findings.first().map(|finding| finding.fault), Some(Fault::SaysNothing), "{told:?}");
    assert!(told.findings[0].detail.contains("new_thing"), "{told:?}");
}

#[test]
fn a_dialect_without_a_prefix_names_none() {
    let mut sent = sent("symbiotic");
    let header = signature_header("symbiotic");
    sent.rewrite(&header, |name, value| Some((name.to_owned(), format!("sha256={value}"))));
    assert!(!sent.said().contains("``"), "{}", sent.said());
}
