//! Rows B as far as receiving differs from the event API: refused bodies are refused after the signature, kept, and told.

use axum::body::{Body, Bytes};
use http::header;
use rstest::rstest;
use serde_json::json;
use watchbell_domain::port::Entropy as _;
use watchbell_domain::port::testing::SeededEntropy;

use super::{AEGIS, SNAPSHOT, STANDARD, Vendor, events, posted, scan, symbiotic, with};
use crate::world::World;

#[tokio::test]
async fn b1_b2_the_limit_and_one_byte_more() {
    let world = World::with(|options| options.bodies.ingress_bytes_max = 2000).await;
    let vendor = Vendor::new(&world, "standard", json!({})).await;
    let sized = |bytes: usize| {
        let frame = r#"{"type":"a.b","data":{"s":""}}"#.len();
        format!(r#"{{"type":"a.b","data":{{"s":"{}"}}}}"#, "x".repeat(bytes - frame))
    };
    vendor.tell(&world, "", "msg_1", &sized(2000)).await.is(200);
    let reply = vendor.tell(&world, "", "msg_2", &sized(2001)).await.is(413);
    assert_eq!(reply.code(), "body_too_large");
    let announced = with(&vendor.signed(&world, "", "msg_3", "{}"), "Content-Length", Some("2001"));
    let mut request = posted(&vendor.path, &announced, "");
    *request.body_mut() = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
    let reply = world.send(request).await.is(413);
    assert_eq!(reply.headers[header::CONNECTION], "close");
    assert_eq!(vendor.verdict(&world).await, "body_too_large");
    assert_eq!(events(&world).await.len(), 1);
}

#[rstest]
#[case::blanks_in_front(b" \n {", "invalid_json")]
#[case::cut(b"{\"type\":\"a.b\"", "invalid_json")]
#[case::nan(b"{\"n\":NaN}", "invalid_json")]
#[case::two(b"{} {}", "invalid_json")]
#[case::bom(b"\xef\xbb\xbf{}", "invalid_json")]
#[case::latin1(b"{\"s\":\"\xe4\"}", "invalid_utf8")]
#[case::surrogate(b"{\"s\":\"\\ud800\"}", "invalid_unicode")]
#[case::twice(b"{\"a\":1,\"\\u0061\":2}", "duplicate_key")]
#[case::overflow(b"{\"n\":1e400}", "number_out_of_range")]
#[tokio::test]
async fn b3_to_b11_what_is_no_json_for_everybody(
    #[values("standard", "aegis", "symbiotic")] dialect: &str,
    #[case] body: &[u8],
    #[case] code: &str,
) {
    let world = World::new().await;
    let vendor = Vendor::new(&world, dialect, json!({})).await;
    let sign = |body: &[u8]| {
        let (occurred_at, sent_at) = (world.now(), world.now());
        let message = watchbell_wire::Message { id: "msg_1", event: "", occurred_at, sent_at, body };
        vendor.dialect.sign(&message, &[vendor.key()])
    };
    // What Python cannot read Symbiotic cannot sign.
    let (headers, is_signed) = match sign(body) {
        Ok(headers) => (headers, true),
        Err(_) => (sign(b"{}").unwrap(), false),
    };
    let lines = headers.into_iter().map(|header| (header.name.to_owned(), header.value)).collect();
    let reply = vendor.call(&world, &lines, body).await.is(400);
    assert_eq!((reply.code(), vendor.verdict(&world).await), (code.to_owned(), code.to_owned()));
    // Nobody who cannot sign learns what is wrong with a body, where that can be told apart.
    if is_signed {
        let zeros = "0".repeat(64);
        let lines = with(&lines, "webhook-signature", Some("v1,AAAA"));
        let lines = with(&lines, "X-Aegis-Signature", Some(&format!("sha256={zeros}")));
        let lines = with(&lines, "symbioticsec_signature", Some(&zeros));
        assert_eq!(vendor.call(&world, &lines, body).await.is(401).code(), "signature_invalid");
    }
}

#[rstest]
#[case::empty("")]
#[case::text("a.b.c")]
#[case::number("7")]
#[tokio::test]
async fn b3_standard_webhooks_may_say_anything_and_others_may_not(#[case] body: &str) {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "standard", json!({})).await;
    vendor.tell(&world, "", "msg_1", body).await.is(200);
    assert_eq!(vendor.verdict(&world).await, "unknown_event");
    let vendor = Vendor::new(&world, "aegis", json!({})).await;
    assert!([400, 422].contains(&vendor.tell(&world, "", "", body).await.status.as_u16()));
}

#[tokio::test]
async fn b8_in_a_form_as_well() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "github", json!({})).await;
    let form = |json: &str| format!("payload={json}");
    for (json, status) in [(r#"{"hook_id":7}"#, 200), (r#"{"hook_id":7,"hook_id":8}"#, 400), ("no", 400)] {
        let body = form(json);
        let lines = vendor.signed(&world, "ping", &format!("d{}", json.len()), &body);
        let lines = with(&lines, "Content-Type", Some("application/x-www-form-urlencoded"));
        vendor.call(&world, &lines, body).await.is(status);
    }
}

#[tokio::test]
async fn b10_depth() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "standard", json!({})).await;
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    vendor.tell(&world, "", "msg_1", &nested(64)).await.is(200);
    for depth in [65, 1_000, 500_000] {
        let reply = vendor.tell(&world, "", "msg_2", &nested(depth)).await.is(400);
        assert_eq!(reply.code(), "json_too_deep", "{depth}");
    }
    assert_eq!(vendor.tell(&world, "", "msg_2", &"[".repeat(500_000)).await.is(400).code(), "json_too_deep");
}

#[tokio::test]
async fn b12_b14_data_goes_on_byte_for_byte() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "standard", json!({})).await;
    let data = "{ \"n\" : 9007199254740993,\"m\":1.10, \"e\":1E5,\"z\":-0, \"k\":\"\\u00e4\",\"K\":1 }";
    let body = format!(r#"{{"type":"acme.numbers","data":{data}}}"#);
    vendor.tell(&world, "", "msg_1", &body).await.is(200);
    let id = events(&world).await[0]["id"].as_str().unwrap().to_owned();
    let shown = world.get(&world.path(&format!("/events/{id}"))).await.is(200).text();
    assert!(shown.contains(data), "{shown}");
}

#[rstest]
#[case::absent(None)]
#[case::text(Some("text/plain"))]
#[case::form(Some("application/x-www-form-urlencoded"))]
#[case::multipart(Some("multipart/form-data; boundary=x"))]
#[case::utf16(Some("application/json; charset=utf-16"))]
#[tokio::test]
async fn b16_c17_media_types(#[case] media_type: Option<&str>) {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "aegis", json!({"max_event_age": "off"})).await;
    let lines = with(&vendor.signed(&world, "", "", AEGIS), "Content-Type", media_type);
    let reply = vendor.call(&world, &lines, AEGIS).await.is(415);
    assert_eq!(reply.code(), "unsupported_media_type");
    assert!(reply.text().contains("Content-Type must be "), "{}", reply.text());
    assert!(!reply.text().contains("that the dialect has"), "{}", reply.text());
    assert_eq!(vendor.verdict(&world).await, "unsupported_media_type");
    let unsigned = with(&lines, "X-Aegis-Signature", None);
    vendor.call(&world, &unsigned, AEGIS).await.is(401);
}

#[rstest]
#[case("gzip")]
#[case("deflate")]
#[case("gzip, gzip")]
#[case("aes")]
#[tokio::test]
async fn b17_b18_coded_bodies(#[case] coding: &str) {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "standard", json!({})).await;
    let lines = with(&vendor.signed(&world, "", "msg_1", STANDARD), "Content-Encoding", Some(coding));
    assert_eq!(vendor.call(&world, &lines, STANDARD).await.is(415).code(), "unsupported_encoding");
    let plain = with(&lines, "Content-Encoding", Some("identity"));
    vendor.call(&world, &plain, STANDARD).await.is(200);
}

#[tokio::test]
async fn b15_b19_payloads_that_are_none_and_values_that_are_anything() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "aegis", json!({"max_event_age": "off"})).await;
    for (body, pointer) in [
        ("[]", ""),
        (r#"{"event":7}"#, "/event"),
        (r#"{"event":"VULNERABILITY_DETECTED"}"#, "/data"),
        (r#"{"event":"VULNERABILITY_DETECTED","timestamp":"2025-02-30T00:00:00Z","data":{}}"#, "/timestamp"),
        (r#"{"event":"VULNERABILITY_DETECTED","data":{"cvssScore":"high"}}"#, "/data/cvssScore"),
    ] {
        let reply = vendor.tell(&world, "", "", body).await.is(422);
        assert_eq!(reply.code(), "payload_invalid", "{body}");
        assert!(reply.json()["error"].as_str().unwrap().contains(pointer), "{body}: {}", reply.text());
    }
    let hostile =
        "<script>alert(1)</script>'; DROP TABLE event;-- \\r\\n\\u001b[31m <!channel> ${jndi:x} {{7*7}} \\u202e";
    let body = AEGIS.replace("ms", hostile);
    vendor.tell(&world, "", "", &body).await.is(200);
    let unknown = r#"{"event":"SOMETHING_ELSE","data":{}}"#;
    vendor.tell(&world, "", "", unknown).await.is(200);
    assert_eq!(vendor.verdict(&world).await, "unknown_event");
    assert_eq!(events(&world).await.len(), 1);
}

/// A genuine message with bytes changed, cut or doubled, signed anew as far as that can be done.
#[rstest]
#[case("snyk", "project_snapshot/v0", SNAPSHOT.to_owned())]
#[case("symbiotic", "", symbiotic(1_800_000_000))]
#[case("aegis", "", AEGIS.to_owned())]
#[case("bearer-scan", "", scan("completed"))]
#[case("standard", "", STANDARD.to_owned())]
#[case("github", "dependabot_alert", r#"{"action":"created","alert":{"number":1},"repository":{"full_name":"a/b"}}"#.to_owned())]
#[case("cloudevents", "", r#"{"specversion":"1.0","id":"1","source":"/s","type":"acme.done","data":{}}"#.to_owned())]
#[tokio::test]
async fn b21_whatever_comes_is_answered(#[case] dialect: &str, #[case] event: &str, #[case] genuine: String) {
    let world = World::with(|options| options.receive.rate_limit = None).await;
    let vendor = Vendor::new(&world, dialect, json!({"max_event_age": "off"})).await;
    let chance = SeededEntropy::new(21);
    let below = |most: usize| {
        let mut bytes = [0; 8];
        chance.fill(&mut bytes);
        usize::try_from(u64::from_be_bytes(bytes) % u64::try_from(most).unwrap()).unwrap()
    };
    for _ in 0..150 {
        let mut body = genuine.clone().into_bytes();
        for _ in 0..=below(3) {
            let at = below(body.len());
            match below(4) {
                0 => body[at] = u8::try_from(below(256)).unwrap(),
                1 => body.truncate(at + 1),
                2 => body.splice(at..at, b"{[\"\\,:9e".to_vec()).for_each(drop),
                _ => body.extend_from_within(at..),
            }
        }
        let (occurred_at, sent_at) = (world.now(), world.now());
        let message = watchbell_wire::Message { id: "1", event, occurred_at, sent_at, body: &body };
        let headers = vendor.dialect.sign(&message, &[vendor.key()]).unwrap_or_default();
        let lines = headers.into_iter().map(|header| (header.name.to_owned(), header.value)).collect();
        let reply = vendor.call(&world, &lines, body.as_slice()).await;
        assert!(reply.status.as_u16() < 500, "{}: {}", String::from_utf8_lossy(&body), reply.text());
    }
}
