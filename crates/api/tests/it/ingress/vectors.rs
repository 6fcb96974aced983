//! Every conformance vector over HTTP. Where the edge is stricter than the dialect's own verification, the vector says so.

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderValue, Request};
use rstest::rstest;
use serde_json::{Value, json};
use watchbell_domain::Timestamp;
use watchbell_wire::dialect;

use super::Vendor;
use crate::world::{Reply, World};

fn tagged(case: &Value, tag: &str) -> bool {
    case["tags"].as_array().unwrap().iter().any(|one| one == tag)
}

async fn send(world: &World, vendor: &Vendor, case: &Value) -> Option<Reply> {
    let method = case["request"]["method"].as_str().unwrap_or("POST");
    let mut request = Request::builder().method(method).uri(&vendor.path);
    for line in case["request"]["headers"].as_array().unwrap() {
        // What is no header value never gets as far as here: the server refuses the head.
        let value = HeaderValue::from_bytes(line[1].as_str().unwrap().as_bytes()).ok()?;
        request = request.header(line[0].as_str().unwrap(), value);
    }
    if case["secret"].is_null() && method == "POST" {
        request = request.header("Authorization", format!("Bearer {}", vendor.secret));
    }
    let body = BASE64.decode(case["request"]["body_b64"].as_str().unwrap()).unwrap();
    Some(world.send(request.body(Body::from(body)).unwrap()).await)
}

async fn vendor(world: &World, dialect_id: &str, case: &Value) -> Vendor {
    let dialect = dialect::find(dialect_id).unwrap();
    let made = || dialect.secrets.make([9; 32]).expose().to_owned();
    let secret = case["secret"].as_str().map_or_else(made, str::to_owned);
    let mut more = json!({"max_event_age": "off", "rate_limit": "off"});
    if tagged(case, "handshake") {
        let mut settings = json!({"allowed_origins": case["expect"]["allow"]});
        if !case["expect"]["rate"].is_null() {
            settings["allowed_rate"] = case["expect"]["rate"].clone();
        }
        more["settings"] = settings;
    }
    Vendor::with_secret(world, dialect, secret, more).await
}

/// Statuses that may be answered.
fn wanted(case: &Value) -> Vec<u16> {
    let expect = &case["expect"];
    let accepts = expect["verdict"] == "accept";
    let stated = [&expect["ingress_status"], &expect["status"]].into_iter().find_map(Value::as_u64);
    let mut wanted: Vec<u16> = stated.into_iter().map(|status| u16::try_from(status).unwrap()).collect();
    if tagged(case, "nul") {
        wanted.push(400);
    }
    if wanted.is_empty() {
        // Of the signature alone: what it signs may be anything.
        wanted = if accepts { vec![200, 400, 415, 422] } else { (400..500).collect() };
    }
    wanted
}

#[rstest]
#[case("symbiotic", include_str!("../../../../wire/tests/vectors/symbiotic.json"))]
#[case("snyk", include_str!("../../../../wire/tests/vectors/snyk.json"))]
#[case("github", include_str!("../../../../wire/tests/vectors/github.json"))]
#[case("aegis", include_str!("../../../../wire/tests/vectors/aegis.json"))]
#[case("bearer-scan", include_str!("../../../../wire/tests/vectors/bearer-scan.json"))]
#[case("standard", include_str!("../../../../wire/tests/vectors/standard-webhooks.json"))]
#[case("cloudevents", include_str!("../../../../wire/tests/vectors/cloudevents.json"))]
#[tokio::test]
async fn every_vector_is_answered_as_it_says(#[case] dialect_id: &str, #[case] file: &str) {
    let world = World::with(|options| options.rate_limit = None).await;
    let file: Value = serde_json::from_str(file).unwrap();
    let (mut sent, mut wrong) = (0, Vec::new());
    for case in file["cases"].as_array().unwrap() {
        // A secret as short as that cannot be configured.
        if tagged(case, "weak-secret") {
            continue;
        }
        if let Some(now) = case["now"].as_i64() {
            world.clock.set_wall(Timestamp::from_second(now).unwrap());
        }
        let vendor = vendor(&world, dialect_id, case).await;
        let Some(reply) = send(&world, &vendor, case).await else { continue };
        sent += 1;
        let (status, id) = (reply.status.as_u16(), case["id"].as_str().unwrap());
        if !wanted(case).contains(&status) {
            wrong.push(format!("{id} {}: {status}, wanted {:?}: {}", case["title"], wanted(case), reply.text()));
            continue;
        }
        if let Some(headers) = case["expect"]["response_headers"].as_object() {
            for name in ["WebHook-Allowed-Origin", "WebHook-Allowed-Rate"] {
                let given = reply.headers.get(name).map(|value| value.to_str().unwrap());
                assert_eq!(given, headers.get(name).and_then(Value::as_str), "{id}: {name}");
            }
            assert_eq!(reply.headers["allow"], "POST", "{id}");
            continue;
        }
        if let Some(key) = case["expect"]["response_key"].as_str() {
            assert!(reply.json()[key].is_string(), "{id}: {}", reply.text());
        }
        let receipts = vendor.receipts(&world).await;
        assert_eq!(receipts.len(), 1, "{id}");
        assert_eq!(receipts[0]["status"], status, "{id}");
        if status >= 400 {
            assert!(reply.json()["error"].is_string(), "{id}: {}", reply.text());
            assert!(receipts[0]["detail"].is_string(), "{id}: {}", receipts[0]);
        }
        if status == 200 && tagged(case, "unknown-event") {
            assert_eq!(receipts[0]["verdict"], "unknown_event", "{id}");
        }
        // What is refused is refused in time for others.
        world.later(60);
    }
    assert!(wrong.is_empty(), "{} of {sent}:\n{}", wrong.len(), wrong.join("\n"));
    let total = file["cases"].as_array().unwrap().len();
    assert!(sent * 10 >= total * 9, "{sent} of {total} were sent");
}
