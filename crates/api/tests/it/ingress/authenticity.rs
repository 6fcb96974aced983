//! Rows C5, C6 and D: who may call, and what nobody learns from being refused.

use axum::body::Body;
use http::{Method, Request, header};
use jiff::SignedDuration;
use rstest::rstest;
use serde_json::{Value, json};
use watchbell_api::auth::Peer;
use watchbell_wire::{Secret, dialect};

use super::{AEGIS, PING, SNAPSHOT, STANDARD, Vendor, events, posted, scan, symbiotic, with};
use crate::world::{Reply, World};

const NOW: i64 = 1_800_000_000;

/// What a sender can tell two answers apart by.
fn told(reply: &Reply) -> (u16, Value, Vec<String>) {
    let names = reply.headers.keys().map(ToString::to_string).filter(|name| name != "x-request-id").collect();
    (reply.status.as_u16(), reply.without_request_id(), names)
}

#[rstest]
#[case::absent(None, "signature_missing")]
#[case::empty(Some(""), "signature_missing")]
#[case::nothing_behind_the_prefix(Some("sha256="), "signature_malformed")]
#[case::sha1(Some("sha1=da39a3ee5e6b4b0d3255bfef95601890afd80709"), "signature_malformed")]
#[case::upper_case(
    Some("sha256=D5CA4BACC32BAC605A08061007D5249DC59E05CAE6BD00BA0C6A0276ACF69AEB"),
    "signature_malformed"
)]
#[case::too_long(
    Some("sha256=d5ca4bacc32bac605a08061007d5249dc59e05cae6bd00ba0c6a0276acf69aebd5"),
    "signature_malformed"
)]
#[case::no_hex(Some("sha256=zzca4bacc32bac605a08061007d5249dc59e05cae6bd00ba0c6a0276acf69aeb"), "signature_malformed")]
#[case::list(Some("sha256=00, sha256=11"), "signature_malformed")]
#[case::wrong(Some("sha256=d5ca4bacc32bac605a08061007d5249dc59e05cae6bd00ba0c6a0276acf69aeb"), "signature_mismatch")]
#[tokio::test]
async fn d1_d2_the_same_answer_whatever_is_wrong(#[case] signature: Option<&str>, #[case] verdict: &str) {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "snyk", json!({})).await;
    let lines = vendor.signed(&world, "ping/v0", "d1", PING);
    let reference = vendor.call(&world, &with(&lines, "X-Hub-Signature", Some("sha256=0")), PING).await.is(401);
    let reply = vendor.call(&world, &with(&lines, "X-Hub-Signature", signature), PING).await.is(401);
    assert_eq!(told(&reply), told(&reference));
    assert_eq!(reply.code(), "signature_invalid");
    assert_eq!(vendor.verdict(&world).await, verdict);
    assert_eq!(events(&world).await.len(), 0);
}

#[tokio::test]
async fn d2_another_sources_key_and_d3_a_changed_body() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "aegis", json!({"max_event_age": "off"})).await;
    let other = dialect::find("aegis").unwrap();
    let other = Vendor::with_secret(&world, other, "another-sources-secret".to_owned(), json!({})).await;
    let mut refused = vec![vendor.call(&world, &other.signed(&world, "", "", AEGIS), AEGIS).await];
    let lines = vendor.signed(&world, "", "", AEGIS);
    let value: Value = serde_json::from_str(AEGIS).unwrap();
    for body in [format!("{AEGIS}\n"), AEGIS.replace("HIGH", "LOW"), value.to_string(), String::new()] {
        refused.push(vendor.call(&world, &lines, body).await);
    }
    // Of a body that is not sent, and a plain hash.
    refused.push(vendor.call(&world, &vendor.signed(&world, "", "", ""), AEGIS).await);
    for reply in &refused {
        assert_eq!(told(reply), told(&refused[0]));
        assert_eq!(reply.status, 401);
    }
    let receipts = vendor.receipts(&world).await;
    assert!(receipts.iter().all(|receipt| receipt["verdict"] == "signature_mismatch"), "{receipts:?}");
    vendor.call(&world, &lines, AEGIS).await.is(200);
}

#[rstest]
#[case::on_the_edge(-300, 200, "accepted")]
#[case::on_the_other(300, 200, "accepted")]
#[case::old(-301, 401, "timestamp_stale")]
#[case::ahead(301, 401, "timestamp_future")]
#[tokio::test]
async fn d5_a_signed_time_of_sending(#[case] offset: i64, #[case] status: u16, #[case] verdict: &str) {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "standard", json!({})).await;
    let at = world.now() + SignedDuration::from_secs(offset);
    let lines = vendor.signed_with(&[vendor.key()], at, "", "msg_1", STANDARD);
    let reply = vendor.call(&world, &lines, STANDARD).await.is(status);
    assert_eq!(vendor.verdict(&world).await, verdict);
    if status == 401 {
        assert_eq!(reply.code(), verdict);
    }
}

#[rstest]
#[case("webhook-timestamp", None, 401, "timestamp_missing")]
#[case("webhook-timestamp", Some(""), 401, "timestamp_missing")]
#[case("webhook-timestamp", Some("soon"), 401, "timestamp_malformed")]
#[case("webhook-timestamp", Some("1800000000.0"), 401, "timestamp_malformed")]
#[case("webhook-timestamp", Some("0x6b49d200"), 401, "timestamp_malformed")]
#[case("webhook-timestamp", Some("-9223372036854775808"), 401, "timestamp_malformed")]
#[case("webhook-timestamp", Some("9223372036854775808"), 401, "timestamp_malformed")]
#[case("webhook-timestamp", Some("9223372036854775807"), 401, "timestamp_future")]
#[case("webhook-timestamp", Some("1800000000000"), 401, "timestamp_future")]
#[case("webhook-timestamp", Some("１８００００００００"), 401, "timestamp_malformed")]
#[case("webhook-id", None, 400, "header_missing")]
#[case("webhook-id", Some("a.b"), 400, "header_invalid")]
#[case("webhook-id", Some("a b"), 400, "header_invalid")]
#[case("webhook-id", Some("\u{e4}"), 400, "header_invalid")]
#[tokio::test]
async fn d6_d7_c5_times_and_ids_that_are_none(
    #[case] name: &str,
    #[case] value: Option<&str>,
    #[case] status: u16,
    #[case] verdict: &str,
) {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "standard", json!({})).await;
    let lines = with(&vendor.signed(&world, "", "msg_1", STANDARD), name, value);
    let reply = vendor.call(&world, &lines, STANDARD).await.is(status);
    assert_eq!((reply.code(), vendor.verdict(&world).await), (verdict.to_owned(), verdict.to_owned()));
}

#[tokio::test]
async fn d7_an_id_without_end() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "standard", json!({})).await;
    let id = "m".repeat(257);
    let lines = with(&vendor.signed(&world, "", "msg_1", STANDARD), "webhook-id", Some(&id));
    assert_eq!(vendor.call(&world, &lines, STANDARD).await.is(400).code(), "header_invalid");
}

#[rstest]
#[case("snyk", "X-Hub-Signature")]
#[case("snyk", "X-Snyk-Transport-ID")]
#[case("snyk", "X-Snyk-Event")]
#[case("standard", "webhook-id")]
#[case("standard", "webhook-timestamp")]
#[case("standard", "webhook-signature")]
#[case("github", "X-GitHub-Delivery")]
#[tokio::test]
async fn c6_a_header_that_decides_is_given_once(#[case] dialect: &str, #[case] name: &str) {
    let world = World::new().await;
    let vendor = Vendor::new(&world, dialect, json!({})).await;
    let (event, body) = match dialect {
        "standard" => ("", STANDARD),
        "github" => ("ping", "{}"),
        _ => ("ping/v0", PING),
    };
    let mut lines = vendor.signed(&world, event, "d1", body);
    let again = lines.iter().find(|(given, _)| given == name).unwrap().clone();
    lines.push(again);
    assert_eq!(vendor.call(&world, &lines, body).await.is(400).code(), "header_invalid");
    assert_eq!(vendor.verdict(&world).await, "header_invalid");
}

#[tokio::test]
async fn d8_signatures_are_not_tried_without_end() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "standard", json!({})).await;
    let lines = vendor.signed(&world, "", "msg_1", STANDARD);
    let right = lines.iter().find(|(name, _)| name == "webhook-signature").unwrap().1.clone();
    let wrong = format!("v1,{}", "A".repeat(43) + "=");
    let many = |count: usize| format!("{}{right}", format!("{wrong} ").repeat(count - 1));
    vendor.call(&world, &with(&lines, "webhook-signature", Some(&many(10))), STANDARD).await.is(200);
    vendor.call(&world, &with(&lines, "webhook-signature", Some(&many(11))), STANDARD).await.is(401);
    assert_eq!(vendor.verdict(&world).await, "signature_malformed");
    vendor.call(&world, &with(&lines, "webhook-signature", Some(&many(5000))), STANDARD).await.is(401);
    let long = format!("v1,{}", "A".repeat(5000));
    vendor.call(&world, &with(&lines, "webhook-signature", Some(&long)), STANDARD).await.is(401);
}

#[tokio::test]
async fn d9_ed25519_by_the_configured_key_alone() {
    let world = World::new().await;
    let dialect = dialect::find("standard").unwrap();
    let private = Secret::new(format!("whsk_{}", {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode([5; 32])
    }));
    let vendor = Vendor::with_secret(&world, dialect, private.expose().to_owned(), json!({})).await;
    let lines = vendor.signed(&world, "", "msg_1", STANDARD);
    assert!(lines.iter().any(|(_, value)| value.starts_with("v1a,")));
    vendor.call(&world, &lines, STANDARD).await.is(200);
    let hmac = dialect.secrets.key(&dialect.secrets.make([7; 32])).unwrap();
    let other = vendor.signed_with(&[hmac], world.now(), "", "msg_2", STANDARD);
    vendor.call(&world, &other, STANDARD).await.is(401);
    let labelled = with(&lines, "webhook-signature", Some("v1,AAAA"));
    vendor.call(&world, &labelled, STANDARD).await.is(401);
}

#[tokio::test]
async fn d13_the_body_fits_the_event_that_the_header_claims() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "snyk", json!({})).await;
    for (claimed, body) in [("project_snapshot/v0", PING), ("ping/v0", SNAPSHOT)] {
        let reply = vendor.tell(&world, claimed, "d1", body).await.is(422);
        assert_eq!(reply.code(), "payload_invalid", "{claimed}");
    }
    vendor.tell(&world, "project_snapshot/v0", "d1", SNAPSHOT).await.is(200);
    assert_eq!(events(&world).await.len(), 3);
}

#[rstest]
#[case("symbiotic", -24 * 3600 - 1, 401, "timestamp_stale")]
#[case("symbiotic", -24 * 3600, 200, "accepted")]
#[case("symbiotic", 300, 200, "accepted")]
#[case("symbiotic", 301, 401, "timestamp_future")]
#[case("aegis", -24 * 3600 - 1, 401, "timestamp_stale")]
#[case("aegis", -24 * 3600, 200, "accepted")]
#[case("aegis", 301, 401, "timestamp_future")]
#[tokio::test]
async fn d14_a_signed_time_in_the_body(
    #[case] dialect: &str,
    #[case] offset: i64,
    #[case] status: u16,
    #[case] verdict: &str,
) {
    let world = World::new().await;
    let body = match dialect {
        "symbiotic" => symbiotic(NOW + offset),
        _ => {
            let at = world.now() + SignedDuration::from_secs(offset);
            AEGIS.replace("2027-01-15T08:00:00Z", &format!("{at:.0}"))
        }
    };
    let vendor = Vendor::new(&world, dialect, json!({})).await;
    vendor.tell(&world, "", "", &body).await.is(status);
    assert_eq!(vendor.verdict(&world).await, verdict);
    let vendor = Vendor::new(&world, dialect, json!({"max_event_age": "off"})).await;
    vendor.tell(&world, "", "", &body).await.is(200);
}

#[rstest]
#[case::absent(None, "auth_missing")]
#[case::empty(Some("Bearer "), "auth_missing")]
#[case::wrong(Some("Bearer wrong-token-of-some-length"), "auth_invalid")]
#[case::prefix(Some("Bearer BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBw"), "auth_invalid")]
#[case::list(Some("Bearer a, Bearer b"), "auth_invalid")]
#[tokio::test]
async fn d16_tokens(#[case] authorization: Option<&str>, #[case] verdict: &str) {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "bearer-scan", json!({})).await;
    let body = scan("completed");
    let lines = vendor.signed(&world, "", "", &body);
    let reference = vendor.call(&world, &with(&lines, "Authorization", Some("Basic YTpi")), body.as_str()).await;
    let reply = vendor.call(&world, &with(&lines, "Authorization", authorization), body.as_str()).await.is(401);
    assert_eq!(told(&reply), told(&reference));
    assert_eq!(reply.headers[header::WWW_AUTHENTICATE], "Bearer");
    assert!(reply.json()["error"].is_string());
    assert_eq!(vendor.verdict(&world).await, verdict);
    // In the query it is neither believed nor kept.
    let path = format!("{}?access_token={}&token={}", vendor.path, vendor.secret, vendor.secret);
    let reply = world.send(posted(&path, &with(&lines, "Authorization", None), body.as_str())).await.is(401);
    let kept = world.get(&world.path("/receipts")).await.is(200).text();
    assert!(!reply.text().contains(&vendor.secret) && !kept.contains(&vendor.secret));
}

#[tokio::test]
async fn d16_two_authorizations_are_malformed() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "bearer-scan", json!({})).await;
    let body = scan("completed");
    let mut lines = vendor.signed(&world, "", "", &body);
    lines.extend(lines.clone().into_iter().filter(|(name, _)| name == "Authorization"));
    vendor.call(&world, &lines, body.as_str()).await.is(401);
    assert_eq!(vendor.verdict(&world).await, "auth_malformed");
}

#[tokio::test]
async fn d17_c16_from_the_addresses_it_may_come_from() {
    let world = World::new().await;
    let vendor =
        Vendor::new(&world, "aegis", json!({"allowed_ips": ["198.51.100.0/24"], "max_event_age": "off"})).await;
    let lines = with(&vendor.signed(&world, "", "", AEGIS), "X-Forwarded-For", Some("198.51.100.7"));
    // The body is never asked for.
    let unread = futures_util::stream::poll_fn(|_| -> std::task::Poll<Option<Result<bytes::Bytes, std::io::Error>>> {
        panic!("the body is read")
    });
    let mut request = posted(&vendor.path, &lines, "");
    *request.body_mut() = Body::from_stream(unread);
    let reply = world.send(request).await.is(403);
    assert_eq!(reply.code(), "source_ip_forbidden");
    let receipt = vendor.receipts(&world).await.remove(0);
    assert_eq!((&receipt["verdict"], &receipt["address"]), (&json!("source_ip_forbidden"), &json!("192.0.2.1")));
    let mut request = posted(&vendor.path, &lines, AEGIS);
    request.headers_mut().insert(header::HOST, "watchbell.test".parse().unwrap());
    request.extensions_mut().insert(Peer("198.51.100.7:1".parse().unwrap()));
    let response = tower::ServiceExt::oneshot(world.router.clone(), request).await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn d19_one_source_too_often_and_the_others_not() {
    let world = World::new().await;
    let often = Vendor::new(&world, "standard", json!({"rate_limit": "1/s burst 3"})).await;
    let other = Vendor::new(&world, "standard", json!({})).await;
    for n in 0..3 {
        often.tell(&world, "", &format!("msg_{n}"), STANDARD).await.is(200);
    }
    let reply = often.tell(&world, "", "msg_3", STANDARD).await.is(429);
    assert_eq!((reply.code(), &reply.headers["retry-after"]), ("rate_limited".to_owned(), &http::HeaderValue::from(1)));
    assert_eq!(often.verdict(&world).await, "rate_limited");
    other.tell(&world, "", "msg_3", STANDARD).await.is(200);
    world.later(1);
    often.tell(&world, "", "msg_3", STANDARD).await.is(200);
    assert_eq!(events(&world).await.len(), 5, "what was answered 429 is not there, and came again");
}

#[tokio::test]
async fn a21_what_goes_round_in_circles_is_refused() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "standard", json!({})).await;
    let lines = vendor.signed(&world, "", "msg_1", STANDARD);
    let hops = |count: &str| with(&lines, "webhook-hops", Some(count));
    assert_eq!(vendor.call(&world, &hops("6"), STANDARD).await.is(422).code(), "loop_detected");
    assert_eq!(vendor.verdict(&world).await, "loop_detected");
    assert_eq!(vendor.call(&world, &hops("x"), STANDARD).await.is(400).code(), "header_invalid");
    vendor.call(&world, &hops("5"), STANDARD).await.is(200);
}

#[tokio::test]
async fn c11_who_waits_for_leave_to_send_is_told_what_is_wrong_already() {
    let world = World::new().await;
    let snyk = Vendor::new(&world, "snyk", json!({})).await;
    let tokens = Vendor::new(&world, "bearer-scan", json!({})).await;
    for (vendor, lines, status) in [
        (&snyk, vec![("Expect".to_owned(), "100-continue".to_owned())], 401),
        (
            &tokens,
            vec![
                ("Expect".to_owned(), "100-continue".to_owned()),
                ("Authorization".to_owned(), "Bearer no".to_owned()),
            ],
            401,
        ),
        (
            &snyk,
            vec![("Expect".to_owned(), "100-continue".to_owned()), ("Content-Length".to_owned(), "6000000".to_owned())],
            413,
        ),
    ] {
        let unread =
            futures_util::stream::poll_fn(|_| -> std::task::Poll<Option<Result<bytes::Bytes, std::io::Error>>> {
                panic!("the body is read")
            });
        let mut request = posted(&vendor.path, &lines, "");
        *request.body_mut() = Body::from_stream(unread);
        world.send(request).await.is(status);
    }
    // Who is who it says goes on.
    let mut lines = snyk.signed(&world, "ping/v0", "d1", PING);
    lines.push(("Expect".to_owned(), "100-continue".to_owned()));
    snyk.call(&world, &lines, PING).await.is(200);
}

#[rstest]
#[case(Method::GET)]
#[case(Method::PUT)]
#[case(Method::DELETE)]
#[case(Method::PATCH)]
#[case(Method::OPTIONS)]
#[case(Method::TRACE)]
#[tokio::test]
async fn c13_c17_other_methods(#[case] method: Method) {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "github", json!({})).await;
    let request = Request::builder().method(method).uri(&vendor.path).header("Origin", "https://evil.example");
    let reply = world.send(request.body(Body::empty()).unwrap()).await.is(405);
    assert_eq!(reply.headers[header::ALLOW], "POST");
    assert!(!reply.headers.keys().any(|name| name.as_str().starts_with("access-control")));
    assert_eq!(vendor.verdict(&world).await, "method_not_allowed");
}
