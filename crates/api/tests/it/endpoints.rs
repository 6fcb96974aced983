//! Endpoints: whose credential is whose, what is shown, what may be changed.

use http::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::world::{ROOT, Reply, World};

const SECRET: &str = "correct-horse-battery";

async fn create(world: &World, more: Value) -> Reply {
    let mut given = json!({"url": "https://hooks.example.com/in"});
    given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.post(&world.path("/endpoints"), given).await
}

fn id_path(world: &World, endpoint: &Value, rest: &str) -> String {
    world.path(&format!("/endpoints/{}{rest}", endpoint["id"].as_str().unwrap()))
}

#[rstest]
#[case::snyk_given("snyk", json!({"secret": SECRET}), true)]
#[case::aegis_given("aegis", json!({"secret": SECRET}), true)]
#[case::aegis_made("aegis", json!({}), true)]
#[case::standard_made("standard", json!({}), true)]
#[case::symbiotic_made("symbiotic", json!({}), true)]
#[case::bearer("bearer-scan", json!({"bearer_token": SECRET}), false)]
#[tokio::test]
async fn a_secret_is_shown_at_creation_and_masked_ever_after(
    #[case] dialect: &str,
    #[case] mut given: Value,
    #[case] is_shown: bool,
) {
    let world = World::new().await;
    given["dialect"] = json!(dialect);
    let made = create(&world, given).await.is(201).json();
    let shown = world.get(&id_path(&world, &made, "")).await.is(200);
    let member = if is_shown { "secret" } else { "bearer_token" };
    let secret = made[member].as_str().unwrap().to_owned();
    assert_eq!(secret.starts_with('•'), !is_shown);
    let masked = shown.json()[member].as_str().unwrap().to_owned();
    assert!(masked.starts_with("••••") && masked.chars().count() == 8, "{masked}");
    assert_eq!(shown.text().contains(&secret), !is_shown);
    let listed = world.get(&world.path("/endpoints")).await.is(200).text();
    assert!(!listed.contains(SECRET));
}

#[rstest]
#[case::snyk_without("snyk", json!({}), "/secret")]
#[case::snyk_short("snyk", json!({"secret": "fifteen-bytes!!"}), "/secret")]
#[case::snyk_empty("snyk", json!({"secret": ""}), "/secret")]
#[case::symbiotic_given("symbiotic", json!({"secret": SECRET}), "/secret")]
#[case::bearer_without("bearer-scan", json!({}), "/bearer_token")]
#[case::bearer_secret("bearer-scan", json!({"secret": SECRET}), "/secret")]
#[case::bearer_short("bearer-scan", json!({"bearer_token": "short"}), "/bearer_token")]
#[case::aegis_token("aegis", json!({"bearer_token": SECRET}), "/bearer_token")]
#[case::standard_misspelled("standard", json!({"secret": "whsec_not base64 at all!"}), "/secret")]
#[tokio::test]
async fn credentials_follow_the_dialect(#[case] dialect: &str, #[case] mut given: Value, #[case] pointer: &str) {
    let world = World::new().await;
    given["dialect"] = json!(dialect);
    let reply = create(&world, given).await.is(422);
    assert_eq!(reply.code(), "secret_invalid");
    assert_eq!(reply.json()["errors"][0]["pointer"], pointer);
    assert!(!reply.text().contains(SECRET));
}

#[rstest]
#[case::dialect(json!({"dialect": "carrier-pigeon"}), "/dialect")]
#[case::no_dialect(json!({}), "")]
#[case::snyk_events(json!({"dialect": "snyk", "secret": SECRET, "events": ["webhook.ping"]}), "/events")]
#[case::no_events(json!({"dialect": "standard", "events": []}), "/events")]
#[case::unknown(json!({"dialect": "standard", "events": ["scan.completed", "Nonsense"]}), "/events/1")]
#[case::unsaid(json!({"dialect": "aegis", "events": ["scan.completed"]}), "/events/0")]
#[case::schedule(json!({"dialect": "standard", "retry": {"schedule": []}}), "/retry/schedule")]
#[case::duration(json!({"dialect": "standard", "retry": {"schedule": ["soon"]}}), "/retry/schedule/0")]
#[case::timeout(json!({"dialect": "standard", "timeout": "1h"}), "/timeout")]
#[case::in_flight(json!({"dialect": "standard", "max_in_flight": 0}), "/max_in_flight")]
#[case::attempts(json!({"dialect": "standard", "max_attempts": 0}), "/max_attempts")]
#[case::rate(json!({"dialect": "standard", "rate_limit": "50 a day"}), "/rate_limit")]
#[case::ordered(json!({"dialect": "standard", "ordered": "yes"}), "/ordered")]
#[case::version(json!({"dialect": "standard", "http_version": "http3"}), "/http_version")]
#[case::auth(json!({"dialect": "standard", "auth": {"type": "digest"}}), "/auth/type")]
#[case::auth_member(json!({"dialect": "standard", "auth": {"type": "bearer", "token": "t", "realm": "r"}}), "/auth")]
#[case::colon(json!({"dialect": "standard", "auth": {"type": "basic", "username": "a:b", "password": "p"}}), "/auth/username")]
#[case::line(json!({"dialect": "standard", "auth": {"type": "basic", "username": "a", "password": "p\r\nX: y"}}), "/auth/password")]
#[case::token(json!({"dialect": "standard", "auth": {"type": "bearer", "token": "a b"}}), "/auth/token")]
#[case::sent_back(json!({"dialect": "standard", "auth": {"type": "bearer", "token": "[redacted]"}}), "/auth/token")]
#[case::token_url(json!({"dialect": "standard", "auth": oauth2("https://10.0.0.1/token")}), "/auth/token_url")]
#[case::plain_token_url(json!({"dialect": "standard", "auth": oauth2("http://id.example.com/token")}), "/auth/token_url")]
#[case::both(json!({"dialect": "standard", "auth": {"type": "bearer", "token": "t"}, "headers": {"authorization": "x"}}), "/auth")]
#[case::dialects_own(json!({"dialect": "bearer-scan", "bearer_token": SECRET, "auth": {"type": "bearer", "token": "t"}}), "/auth")]
#[case::no_pem(json!({"dialect": "standard", "tls": {"ca_pem": "trust me"}}), "/tls/ca_pem")]
#[case::no_key(json!({"dialect": "standard", "tls": {"client_certificate_pem": "x"}}), "/tls/client_key_pem")]
#[case::no_certificate(json!({"dialect": "standard", "tls": {"client_key_pem": "x"}}), "/tls/client_certificate_pem")]
#[case::member(json!({"dialect": "standard", "secert": "x"}), "/secert")]
#[tokio::test]
async fn what_does_not_fit_is_named(#[case] given: Value, #[case] pointer: &str) {
    let world = World::new().await;
    let reply = create(&world, given).await.is(422);
    assert_eq!(reply.json()["errors"][0]["pointer"], pointer, "{}", reply.text());
}

#[rstest]
#[case("https://127.0.0.1/", "endpoint_url_forbidden")]
#[case("https://0x7f000001/", "endpoint_url_forbidden")]
#[case("https://[::ffff:10.0.0.1]/", "endpoint_url_forbidden")]
#[case("https://localhost/", "endpoint_url_forbidden")]
#[case("http://hooks.example.com/", "endpoint_url_scheme")]
#[case("https://hooks.example.com:22/", "endpoint_url_port")]
#[case("https://user@hooks.example.com/", "endpoint_url_invalid")]
#[case("https:hooks.example.com", "endpoint_url_invalid")]
#[case("", "endpoint_url_invalid")]
#[tokio::test]
async fn forbidden_urls_are_refused_on_create_and_change(#[case] url: &str, #[case] code: &str) {
    let world = World::new().await;
    let given = json!({"url": url, "dialect": "standard"});
    let reply = world.post(&world.path("/endpoints"), given).await.is(422);
    assert_eq!(reply.code(), code, "{}", reply.text());
    let endpoint = world.endpoint().await;
    let change = json!({"url": url, "rotate_secret": true});
    let reply = world.patch(&id_path(&world, &endpoint, ""), change).await.is(422);
    assert_eq!(reply.code(), code);
}

#[tokio::test]
async fn headers_are_judged_and_masked() {
    let world = World::new().await;
    let given = json!({"dialect": "standard", "headers": {"X-Tenant": "blue-and-very-secret"}});
    let made = create(&world, given).await.is(201).json();
    assert_eq!(made["headers"], json!({"X-Tenant": "••••cret"}));
    for headers in [json!({"Host": "a"}), json!({"webhook-id": "a"}), json!({"X-A": "a\r\nB: c"})] {
        let reply = create(&world, json!({"dialect": "standard", "headers": headers})).await.is(422);
        assert_eq!(reply.code(), "header_forbidden");
    }
}

#[tokio::test]
async fn policy_is_kept_as_given() {
    let world = World::new().await;
    let policy = json!({"dialect": "standard", "timeout": "5s", "max_in_flight": 3,
        "retry": {"schedule": ["0s", "250ms", "5s", "24h"]}});
    let made = create(&world, policy).await.is(201).json();
    assert_eq!(made["retry"]["schedule"], json!(["0s", "250ms", "5s", "24h"]));
    assert_eq!((&made["timeout"], &made["max_in_flight"]), (&json!("5s"), &json!(3)));
    let change = json!({"retry": null, "timeout": null, "description": "ours"});
    let changed = world.patch(&id_path(&world, &made, ""), change).await.is(200).json();
    assert_eq!((&changed["retry"], &changed["timeout"]), (&Value::Null, &Value::Null));
    assert_eq!((&changed["max_in_flight"], &changed["description"]), (&json!(3), &json!("ours")));
}

fn oauth2(token_url: &str) -> Value {
    json!({"type": "oauth2", "token_url": token_url, "client_id": "watch", "client_secret": SECRET})
}

#[tokio::test]
async fn limits_and_order_are_kept_as_given() {
    let world = World::new().await;
    let plain = create(&world, json!({"dialect": "standard"})).await.is(201).json();
    let of = |endpoint: &Value| {
        ["max_attempts", "rate_limit", "ordered", "auth", "tls", "http_version"].map(|name| endpoint[name].clone())
    };
    assert_eq!(of(&plain), [Value::Null, Value::Null, json!(false), Value::Null, Value::Null, json!("auto")]);
    let given = json!({"dialect": "standard", "max_attempts": 3, "rate_limit": "5/s burst 2", "ordered": "project",
        "http_version": "http2"});
    let made = create(&world, given).await.is(201).json();
    let set = [json!(3), json!("5/s burst 2"), json!("project"), Value::Null, Value::Null, json!("http2")];
    assert_eq!(of(&made), set);
    let path = id_path(&world, &made, "");
    let renamed = world.patch(&path, json!({"description": "ours"})).await.is(200).json();
    assert_eq!(of(&renamed), set);
    let change = json!({"max_attempts": null, "rate_limit": "off", "ordered": true, "http_version": "auto"});
    world.patch(&path, change).await.is(200);
    let changed = world.get(&path).await.is(200).json();
    assert_eq!(of(&changed), [Value::Null, Value::Null, json!(true), Value::Null, Value::Null, json!("auto")]);
}

#[tokio::test]
async fn credentials_for_the_connection_go_in_and_never_come_out() {
    let world = World::new().await;
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem();
    let tls =
        json!({"client_certificate_pem": certificate, "client_key_pem": key.serialize_pem(), "ca_pem": certificate});
    let auths = [
        (json!({"type": "basic", "username": "watch", "password": SECRET}), "password"),
        (json!({"type": "bearer", "token": SECRET}), "token"),
        (oauth2("https://id.example.com/token"), "client_secret"),
    ];
    let kept = key.serialize_pem();
    for (auth, secret) in auths {
        let given = json!({"dialect": "standard", "auth": auth, "tls": tls});
        let made = create(&world, given).await.is(201);
        let path = id_path(&world, &made.json(), "");
        let listed = world.get(&world.path("/endpoints")).await.is(200);
        for reply in [&made, &world.get(&path).await.is(200), &listed] {
            assert!(!reply.text().contains(SECRET) && !reply.text().contains(kept.lines().nth(1).unwrap()));
        }
        let shown = made.json();
        assert_eq!((&shown["auth"]["type"], &shown["auth"][secret]), (&auth["type"], &json!("[redacted]")));
        assert_eq!(shown["tls"]["client_key_pem"], "[redacted]");
        assert_eq!(shown["tls"]["client_certificate_pem"], tls["client_certificate_pem"]);

        // They belong to the host they were entered for.
        let mut change = json!({"url": "https://elsewhere.example.net/in", "rotate_secret": true});
        for (member, value) in [("auth", Value::Null), ("tls", Value::Null)] {
            let reply = world.patch(&path, change.clone()).await.is(422);
            assert_eq!(reply.code(), "endpoint_secret_required", "{member}");
            change[member] = value;
        }
        let moved = world.patch(&path, change).await.is(200).json();
        assert_eq!((&moved["auth"], &moved["tls"]), (&Value::Null, &Value::Null));
    }
}

#[tokio::test]
async fn another_host_needs_another_secret() {
    let world = World::new().await;
    let endpoint = world.endpoint().await;
    let path = id_path(&world, &endpoint, "");
    let reply = world.patch(&path, json!({"url": "https://elsewhere.example.net/in"})).await.is(422);
    assert_eq!(reply.code(), "endpoint_secret_required");
    // Somebody else may listen at another port.
    let port = json!({"url": "https://hooks.example.com:8443/in"});
    world.patch(&path, port).await.is(422);
    // The same host may have another path.
    world.patch(&path, json!({"url": "https://hooks.example.com/other"})).await.is(200);
    let change = json!({"url": "https://elsewhere.example.net/in", "rotate_secret": true});
    let changed = world.patch(&path, change).await.is(200).json();
    assert_ne!(changed["secret"], endpoint["secret"]);
    // The old secret is gone at once, without overlap.
    assert_eq!(changed["secrets"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn another_host_needs_its_headers_again() {
    let world = World::new().await;
    let given = json!({"dialect": "standard", "headers": {"X-Token": "a-very-secret-value"}});
    let endpoint = create(&world, given).await.is(201).json();
    let path = id_path(&world, &endpoint, "");
    let mut change = json!({"url": "https://elsewhere.example.net/in", "rotate_secret": true});
    let reply = world.patch(&path, change.clone()).await.is(422);
    assert_eq!(reply.code(), "endpoint_secret_required");
    change["headers"] = json!({});
    world.patch(&path, change).await.is(200);
}

#[tokio::test]
async fn a_rotated_secret_stays_valid_for_a_while() {
    let world = World::new().await;
    let endpoint = world.endpoint().await;
    let path = id_path(&world, &endpoint, "/rotate-secret");
    let rotated = world.call(ROOT, Method::POST, &path, None).await.is(200).json();
    assert_ne!(rotated["secret"], endpoint["secret"]);
    let secrets = rotated["secrets"].as_array().unwrap();
    assert_eq!(secrets.len(), 2);
    assert_eq!(secrets[1]["expires_at"], "2027-01-16T08:00:00Z");
    world.later(24 * 3600);
    let shown = world.get(&id_path(&world, &endpoint, "")).await.is(200).json();
    assert_eq!(shown["secrets"].as_array().unwrap().len(), 1);

    let at_once = world.post(&path, json!({"overlap": "0s"})).await.is(200).json();
    assert_eq!(at_once["secrets"].as_array().unwrap().len(), 1);
    world.post(&path, json!({"overlap": "721h"})).await.is(422);
    world.post(&path, json!({"overlap": "-1s"})).await.is(422);
}

#[tokio::test]
async fn pausing_holds_and_resuming_releases() {
    let world = World::new().await;
    let endpoint = world.endpoint().await;
    let call = |what: &str| {
        let path = id_path(&world, &endpoint, what);
        let world = &world;
        async move { world.call(ROOT, Method::POST, &path, None).await.is(200).json() }
    };
    assert_eq!(call("/pause").await["state"], "paused");
    assert_eq!(call("/pause").await["state"], "paused");
    world.event().await;
    let held = world.get(&world.path("/deliveries?state=held")).await.is(200).json();
    assert_eq!(held["items"].as_array().unwrap().len(), 1);
    assert_eq!(call("/resume").await["state"], "active");
    let counts = world.get(&world.path("/deliveries/counts")).await.is(200).json();
    assert_eq!((&counts["states"]["held"], &counts["states"]["pending"]), (&json!(0), &json!(1)));
}

#[tokio::test]
async fn every_dialect_can_be_pinged() {
    let world = World::new().await;
    let cases = [
        ("snyk", json!({"secret": SECRET}), "webhook.ping"),
        ("symbiotic", json!({}), "vulnerability.created"),
        ("aegis", json!({}), "vulnerability.created"),
        ("bearer-scan", json!({"bearer_token": SECRET}), "scan.completed"),
        ("standard", json!({}), "webhook.ping"),
    ];
    for (dialect, mut given, event_type) in cases {
        given["dialect"] = json!(dialect);
        let endpoint = create(&world, given).await.is(201).json();
        let path = id_path(&world, &endpoint, "/ping");
        let pinged = world.call(ROOT, Method::POST, &path, None).await.is(202).json();
        assert_eq!(pinged["type"], event_type, "{dialect}");
        let event = pinged["event_id"].as_str().unwrap();
        let event = world.get(&world.path(&format!("/events/{event}"))).await.is(200).json();
        let deliveries = event["deliveries"].as_array().unwrap();
        assert_eq!(deliveries.len(), 1, "{dialect}");
        assert_eq!(deliveries[0]["endpoint_id"], endpoint["id"]);
    }
}

#[tokio::test]
async fn a_deleted_endpoint_is_gone_and_its_deliveries_cancelled() {
    let world = World::new().await;
    let endpoint = world.endpoint().await;
    world.event().await;
    let path = id_path(&world, &endpoint, "");
    world.delete(&path).await.is(204);
    world.delete(&path).await.is(404);
    world.get(&path).await.is(404);
    let listed = world.get(&world.path("/deliveries")).await.is(200).json();
    assert_eq!(listed["items"][0]["reason"], "endpoint_deleted");
}

#[tokio::test]
async fn credentials_in_a_url_are_masked() {
    let world = World::new().await;
    let given = json!({"url": "https://hooks.example.com/in?a=1&token=deadbeef", "dialect": "standard"});
    let made = world.post(&world.path("/endpoints"), given).await.is(201);
    assert!(!made.text().contains("deadbeef"));
    assert_eq!(made.json()["url"], "https://hooks.example.com/in?a=1&token=****");
}
