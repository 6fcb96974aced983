//! `POST …/verify`: the verdict, the reasons, and what is not said.

use http::Method;
use serde_json::{Value, json};
use watchbell_domain::access::Scope;

use crate::world::{World, non_zero};

const SECRET: &str = "a8be22bb7bed43a3ac24de3580093560";
const BODY: &str = r#"{"webhookId":"d3cf26b3-2d77-497b-bce2-23b33cc15362"}"#;
const SIGNATURE: &str = "sha256=d5ca4bacc32bac605a08061007d5249dc59e05cae6bd00ba0c6a0276acf69aeb";

fn question(body: &str, secret: &str) -> Value {
    json!({
        "dialect": "snyk",
        "headers": [["X-Snyk-Event", "ping/v0"], ["X-Snyk-Transport-ID", "998fe884"], ["X-Hub-Signature", SIGNATURE]],
        "body": body,
        "secret": secret,
    })
}

fn faults(told: &Value) -> Vec<&str> {
    told["findings"].as_array().unwrap().iter().map(|finding| finding["fault"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_genuine_message_is_told_of() {
    let world = World::new().await;
    for path in ["/api/v1/verify".to_owned(), world.path("/verify")] {
        let told = world.post(&path, question(BODY, SECRET)).await.is(200).json();
        assert_eq!(
            (&told["verified"], &told["dialect"], &told["reason"]),
            (&json!(true), &json!("snyk"), &Value::Null)
        );
        let decoded = &told["decoded"];
        assert_eq!((&decoded["vendor_event"], &decoded["delivery_id"]), (&json!("ping"), &json!("998fe884")));
        assert_eq!(decoded["events"][0]["type"], "webhook.ping");
        assert_eq!(decoded["events"][0]["data"]["webhook_id"], "d3cf26b3-2d77-497b-bce2-23b33cc15362");
    }
}

#[tokio::test]
async fn the_same_in_other_words() {
    let world = World::new().await;
    let mut given = question("", SECRET);
    given["headers"] = json!({"x-hub-signature": SIGNATURE, "X-SNYK-EVENT": "ping/v0"});
    given["body_base64"] = json!("eyJ3ZWJob29rSWQiOiJkM2NmMjZiMy0yZDc3LTQ5N2ItYmNlMi0yM2IzM2NjMTUzNjIifQ==");
    let members = given.as_object_mut().unwrap();
    members.remove("body");
    members.remove("dialect");
    let told = world.post("/api/v1/verify", given).await.is(200).json();
    assert_eq!((&told["verified"], &told["dialect"]), (&json!(true), &json!("snyk")));
    assert!(faults(&told).contains(&"dialect_recognised"), "{told}");
}

#[tokio::test]
async fn a_refused_one_is_explained_and_neither_secret_nor_signature_shown() {
    let world = World::new().await;
    let spaced = BODY.replace(':', ": ");
    let told = world.post("/api/v1/verify", question(&spaced, SECRET)).await.is(200);
    let text = told.text();
    let told = told.json();
    assert_eq!((&told["verified"], &told["reason"]), (&json!(false), &json!("signature_mismatch")));
    assert_eq!(faults(&told), ["body_reserialised"]);
    assert_eq!(told["decoded"], Value::Null);
    assert!(!text.contains(SECRET) && !text.contains("d5ca4bac"), "{text}");
    let told = world.post("/api/v1/verify", question(BODY, &format!("{SECRET}\n"))).await.is(200).json();
    assert_eq!(faults(&told), ["secret_spelling"]);
    let mut without = question(BODY, "");
    without.as_object_mut().unwrap().remove("secret");
    let told = world.post("/api/v1/verify", without).await.is(200).json();
    assert_eq!((&told["verified"], &told["reason"]), (&json!(false), &Value::Null));
}

#[tokio::test]
async fn an_endpoints_secret_is_used_and_another_one_named() {
    let world = World::new().await;
    let make = async |secret: &str| {
        let given = json!({"url": "https://a.example.com/", "dialect": "snyk", "secret": secret});
        world.post(&world.path("/endpoints"), given).await.is(201).json()["id"].as_str().unwrap().to_owned()
    };
    let (right, wrong) = (make(SECRET).await, make("another-secret-of-ours-0123").await);
    let asked = |endpoint: &str| {
        let mut given = question(BODY, "");
        given.as_object_mut().unwrap().remove("secret");
        given["endpoint"] = json!(endpoint);
        given
    };
    let told = world.post(&world.path("/verify"), asked(&right)).await.is(200).json();
    assert_eq!(told["verified"], true);
    let told = world.post(&world.path("/verify"), asked(&wrong)).await.is(200).json();
    assert_eq!(faults(&told), ["secret_other"]);
    assert!(told["findings"][0]["detail"].as_str().unwrap().contains(&right), "{told}");

    // Whoever may not see endpoints is not told, and may not ask.
    world.add_key("sources", Some(world.org), &[Scope::SourcesRead]).await;
    let ask =
        async |given: Value| world.call("sources", Method::POST, &world.path("/verify"), Some(given.to_string())).await;
    let told = ask(question(BODY, "another-secret-of-ours-0123")).await.is(200).json();
    assert_eq!(faults(&told), ["nothing_fits"]);
    assert_eq!(ask(asked(&right)).await.is(403).code(), "forbidden");

    for (member, value) in [
        ("endpoint", "ep_0192f0c1-0000-7000-8000-00000000dead"),
        ("endpoint", "nonsense"),
        ("source", "src_0192f0c1-0000-7000-8000-00000000dead"),
    ] {
        let mut given = asked(&right);
        given.as_object_mut().unwrap().remove("endpoint");
        given[member] = json!(value);
        let refused = world.post(&world.path("/verify"), given).await.is(422).json();
        assert_eq!(refused["errors"][0]["pointer"], format!("/{member}"));
    }
    world.post("/api/v1/verify", asked(&right)).await.is(422);
}

#[tokio::test]
async fn a_sources_secret_is_used_and_another_one_named() {
    let world = World::new().await;
    let make = async |name: &str, secret: &str| {
        let given = json!({"dialect": "snyk", "name": name, "secret": secret});
        world.post(&world.path("/sources"), given).await.is(201).json()["id"].as_str().unwrap().to_owned()
    };
    let (right, wrong) = (make("right", SECRET).await, make("wrong", "another-secret-of-ours-0123").await);
    let asked = |source: &str| {
        let mut given = question(BODY, "");
        given.as_object_mut().unwrap().remove("secret");
        given.as_object_mut().unwrap().remove("dialect");
        given["source"] = json!(source);
        given
    };
    let told = world.post(&world.path("/verify"), asked(&right)).await.is(200).json();
    assert_eq!((&told["verified"], &told["dialect"]), (&json!(true), &json!("snyk")));
    let told = world.post(&world.path("/verify"), asked(&wrong)).await.is(200).json();
    assert_eq!(faults(&told), ["secret_other"]);
    assert!(told["findings"][0]["detail"].as_str().unwrap().contains("the source right"), "{told}");
    world.post("/api/v1/verify", asked(&right)).await.is(422);
}

/// The signature is HMAC-SHA256, over `v0:1800000000:` and the body, made with Python's `hmac`.
const SLACKISH: &str = "9d426c5dfb0260bc73ee8f6b1adce7f42a646c009355fe4736ae9369682eb55d";

fn custom(body: &str, given: Value) -> Value {
    let mut question = json!({
        "headers": [["X-Acme-Signature", format!("v0={SLACKISH}")], ["X-Acme-Time", "1800000000"]],
        "body": body,
    });
    question.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
    question
}

fn custom_settings() -> Value {
    json!({
        "auth": {"header": "X-Acme-Signature", "prefix": "v0=", "signed": "v0:{timestamp}:{body}",
                 "timestamp_header": "X-Acme-Time"},
        "event": {"pointer": "/what", "values": {"new": "vulnerability.created"}},
        "members": {"title": "/name"},
        "make_projects": false
    })
}

const CUSTOM_BODY: &str = r#"{"what":"new","name":"Bad"}"#;

#[tokio::test]
async fn a_dialect_by_configuration_is_judged_by_its_settings() {
    let world = World::new().await;
    let given = json!({"dialect": "custom", "secret": SECRET, "settings": custom_settings()});
    for path in ["/api/v1/verify".to_owned(), world.path("/verify")] {
        let told = world.post(&path, custom(CUSTOM_BODY, given.clone())).await.is(200).json();
        assert_eq!((&told["verified"], &told["dialect"]), (&json!(true), &json!("custom")), "{told}");
        let event = &told["decoded"]["events"][0];
        assert_eq!((&event["type"], &event["data"]["title"]), (&json!("vulnerability.created"), &json!("Bad")));
        let spaced = CUSTOM_BODY.replace(':', ": ");
        let told = world.post(&path, custom(&spaced, given.clone())).await.is(200).json();
        assert_eq!((&told["reason"], faults(&told)), (&json!("signature_mismatch"), vec!["body_reserialised"]));
        let without = json!({"dialect": "custom", "secret": SECRET});
        let told = world.post(&path, custom(CUSTOM_BODY, without)).await.is(200).json();
        assert_eq!(told["reason"], "signature_missing", "by the format without settings: {told}");
    }
    for (settings, pointer) in [
        (json!({"auth": {"kind": "hmac-sha1"}}), "/settings/auth/kind"),
        (json!({"auth": {"nonsense": 1}}), "/settings/auth"),
        (json!({"project": 7}), "/settings/project"),
    ] {
        let given = custom("{}", json!({"dialect": "custom", "secret": SECRET, "settings": settings}));
        let refused = world.post("/api/v1/verify", given).await.is(422).json();
        assert!(refused["errors"][0]["pointer"].as_str().unwrap().starts_with(pointer), "{refused}");
    }
    let of_nothing = custom("{}", json!({"secret": SECRET, "settings": {}}));
    let refused = world.post("/api/v1/verify", of_nothing).await.is(422).json();
    assert_eq!(refused["errors"][0]["pointer"], "/settings");
}

#[tokio::test]
async fn a_custom_source_brings_its_settings() {
    let world = World::new().await;
    let make = async |name: &str, secret: &str, settings: Value| {
        let given = json!({"dialect": "custom", "name": name, "secret": secret, "settings": settings});
        world.post(&world.path("/sources"), given).await.is(201).json()["id"].as_str().unwrap().to_owned()
    };
    let right = make("right", SECRET, custom_settings()).await;
    let wrong = make("wrong", "another-secret-of-ours-0123", custom_settings()).await;
    let old = make("old", SECRET, json!({"auth": {"header": "X-Acme-Signature"}})).await;
    let ask = async |given: Value| world.post(&world.path("/verify"), custom(CUSTOM_BODY, given)).await.is(200).json();
    let told = ask(json!({"source": right})).await;
    assert_eq!((&told["verified"], &told["decoded"]["vendor_event"]), (&json!(true), &json!("new")), "{told}");
    let told = ask(json!({"source": wrong})).await;
    assert_eq!(faults(&told), ["secret_other"]);
    let told = ask(json!({"source": old})).await;
    assert_eq!(told["reason"], "signature_malformed", "{told}");
    // New settings are tried on a source before they are saved.
    let told = ask(json!({"source": old, "settings": custom_settings()})).await;
    assert_eq!(told["verified"], true, "{told}");
    let told = ask(json!({"source": right, "dialect": "snyk"})).await;
    assert_eq!((&told["verified"], &told["dialect"]), (&json!(false), &json!("snyk")));
}

#[tokio::test]
async fn what_is_no_question_is_refused() {
    let world = World::new().await;
    let long = "x".repeat(1024 * 1024 + 1);
    let lines: Vec<[&str; 2]> = vec![["a", "b"]; 101];
    for (change, pointer) in [
        (json!({"dialect": "none"}), "/dialect"),
        (json!({"body_base64": "eA=="}), "/body_base64"),
        (json!({"body": null, "body_base64": "?"}), "/body_base64"),
        (json!({"body": long}), "/body"),
        (json!({"headers": lines}), "/headers"),
        (json!({"headers": [["a", "b".repeat(40_000)]]}), "/headers"),
        (json!({"secret": "x".repeat(5000)}), "/secret"),
        (json!({"endpoint": "ep_0192f0c1-0000-7000-8000-00000000dead"}), ""),
    ] {
        let mut given = question(BODY, SECRET);
        for (name, value) in change.as_object().unwrap() {
            given[name] = value.clone();
        }
        let refused = world.post(&world.path("/verify"), given).await.is(422).json();
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{refused}");
    }
    let huge = format!("{{\"body\":\"{}\"}}", "x".repeat(3 * 1024 * 1024));
    assert_eq!(world.post_text("/api/v1/verify", huge).await.is(413).code(), "body_too_large");
}

#[tokio::test]
async fn a_key_asks_so_often_and_no_more() {
    let world = World::with(|options| {
        options.rate_limit = Some(watchbell_api::limits::RateLimit { per_second: non_zero(999), burst: non_zero(999) });
    })
    .await;
    for _ in 0..30 {
        world.post("/api/v1/verify", question(BODY, SECRET)).await.is(200);
    }
    let refused = world.post("/api/v1/verify", question(BODY, SECRET)).await.is(429);
    assert_eq!((refused.code().as_str(), refused.headers["retry-after"].to_str().unwrap()), ("rate_limited", "1"));
    world.later(1);
    world.post("/api/v1/verify", question(BODY, SECRET)).await.is(200);
}

#[tokio::test]
async fn the_clock_and_the_age_are_given() {
    let world = World::new().await;
    let given = |now: &str, max_age: Value| {
        json!({
            "dialect": "standard",
            "headers": {
                "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
                "webhook-timestamp": "1614265330",
                "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            },
            "body": "{\"test\": 2432232314}",
            "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "now": now,
            "max_age": max_age,
        })
    };
    let ask = async |given: Value| world.post("/api/v1/verify", given).await.is(200).json();
    assert_eq!(ask(given("2021-02-25T15:02:10Z", Value::Null)).await["verified"], true);
    let late = ask(given("2021-02-25T15:11:15Z", Value::Null)).await;
    assert_eq!((&late["reason"], faults(&late)), (&json!("timestamp_stale"), vec!["time_only"]));
    assert!(late["explanation"].as_str().unwrap().contains("9 minutes old"), "{late}");
    assert_eq!(ask(given("2021-02-25T15:11:15Z", json!("10m"))).await["verified"], true);
}

/// What is wrong with a question is said in the words of whoever asks it.
#[tokio::test]
async fn a_question_that_cannot_be_read_is_told_what_is_wanted() {
    let world = World::new().await;
    for (member, value, wanted) in [
        ("headers", json!({"X-Hub-Signature": ["a", "b"]}), "[[\"Name\", \"value\"], …]"),
        ("now", json!("yesterday"), "2026-01-02T03:04:05Z"),
        ("dialect", json!("snyc"), "there are snyk, symbiotic"),
    ] {
        let mut given = question(BODY, SECRET);
        given[member] = value;
        let told = world.post("/api/v1/verify", given).await.is(422).json();
        assert_eq!(told["errors"][0]["pointer"], format!("/{member}"), "{told}");
        let detail = told["detail"].as_str().unwrap();
        assert!(detail.contains(wanted) && !detail.contains("GivenHeaders") && !detail.contains("splunk"), "{detail}");
    }
    let told = world.get(&world.path("/receipts?source=snyk")).await.is(400).json();
    assert_eq!(told["detail"], "source: not an id: wanted src_ and a UUID, or the UUID alone");
}

/// A secret that is none is the whole reason.
#[tokio::test]
async fn an_empty_secret_is_the_whole_reason() {
    let world = World::new().await;
    let told = world.post("/api/v1/verify", question(BODY, "")).await.is(200).json();
    assert_eq!(faults(&told), ["secret_unusable"]);
}
