//! The same message again: one event, decided in the commit that accepts it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rstest::rstest;
use serde_json::json;

use super::{AEGIS, PING, SNAPSHOT, STANDARD, Vendor, events, posted, scan, symbiotic, types, with};
use crate::world::World;

const NOW: i64 = 1_800_000_000;

#[rstest]
#[case("snyk", "ping/v0", PING.to_owned())]
#[case("aegis", "", AEGIS.to_owned())]
#[case("bearer-scan", "", scan("completed"))]
#[case("standard", "", STANDARD.to_owned())]
#[case("symbiotic", "", symbiotic(NOW))]
#[case("github", "ping", r#"{"hook_id":7,"zen":"z"}"#.to_owned())]
#[case("cloudevents", "", r#"{"specversion":"1.0","id":"1","source":"/s","type":"acme.done","data":{}}"#.to_owned())]
#[tokio::test]
async fn d11_the_same_message_again_is_one_event(#[case] dialect: &str, #[case] event: &str, #[case] body: String) {
    let world = World::new().await;
    let vendor = Vendor::new(&world, dialect, json!({"max_event_age": "off"})).await;
    let lines = vendor.signed(&world, event, "0ef8ac7e-1b9d-48d9-82eb-2f2355ba2b31", &body);
    let first = vendor.call(&world, &lines, body.as_str()).await;
    assert!(first.status.is_success(), "{}", first.text());
    assert_eq!(first.json().get("duplicate"), None);
    for _ in 0..2 {
        let again = vendor.call(&world, &lines, body.as_str()).await;
        assert_eq!(again.status, first.status, "{}", again.text());
        assert_eq!(again.json()["duplicate"], true);
    }
    assert_eq!(events(&world).await.len(), 1);
    let receipts = vendor.receipts(&world).await;
    let verdicts: Vec<_> = receipts.iter().map(|receipt| receipt["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["duplicate", "duplicate", "accepted"]);
    assert_eq!(receipts[0]["of"], receipts[2]["id"]);
    assert_eq!(receipts[2]["events"][0], events(&world).await[0]["id"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn d11_fifty_at_once_are_one_event() {
    let world = Arc::new(World::new().await);
    let vendor = Vendor::new(&world, "snyk", json!({})).await;
    let lines = vendor.signed(&world, "project_snapshot/v0", "d1", SNAPSHOT);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (world, path, lines) = (Arc::clone(&world), vendor.path.clone(), lines.clone());
        calls.spawn(async move { world.send(posted(&path, &lines, SNAPSHOT)).await.is(200).json() });
    }
    let replies = calls.join_all().await;
    assert_eq!(replies.iter().filter(|reply| reply.get("duplicate").is_none()).count(), 1);
    let mut types = types(&world).await;
    types.sort();
    assert_eq!(types, ["project.snapshot", "vulnerability.created", "vulnerability.critical"]);
}

#[tokio::test]
async fn d12_the_same_signed_body_under_another_id_and_the_same_id_with_another_body() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "snyk", json!({})).await;
    let lines = vendor.signed(&world, "ping/v0", "d1", PING);
    vendor.call(&world, &lines, PING).await.is(200);
    let other =
        with(&with(&lines, "X-Snyk-Transport-ID", Some("d2")), "X-Snyk-Timestamp", Some("2027-01-01T00:00:00Z"));
    assert_eq!(vendor.call(&world, &other, PING).await.is(200).json()["duplicate"], true);
    let body = r#"{"webhookId":"another"}"#;
    assert_eq!(vendor.tell(&world, "ping/v0", "d1", body).await.is(200).json()["duplicate"], true);
    assert_eq!(events(&world).await.len(), 1);
}

#[tokio::test]
async fn an_id_that_is_signed_tells_two_equal_bodies_apart() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "standard", json!({})).await;
    for id in ["msg_1", "msg_2", "msg_1"] {
        vendor.tell(&world, "", id, STANDARD).await.is(200);
    }
    assert_eq!(events(&world).await.len(), 2);
}

#[tokio::test]
async fn d15_symbiotics_canonical_text_counts() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "symbiotic", json!({})).await;
    let body = symbiotic(NOW);
    let lines = vendor.signed(&world, "", "", &body);
    vendor.call(&world, &lines, body.as_str()).await.is(200);
    let value: serde_json::Value = serde_json::from_str(&body).unwrap();
    let spaced = serde_json::to_string_pretty(&value).unwrap();
    let turned = format!(r#"{{"timestamp":{NOW},"data":{},"event":"vulnerability.created"}}"#, value["data"]);
    for again in [spaced, turned] {
        assert_ne!(again, body);
        assert_eq!(vendor.call(&world, &lines, again).await.is(200).json()["duplicate"], true);
    }
    assert_eq!(events(&world).await.len(), 1);
}

#[tokio::test]
async fn sources_do_not_know_each_others_messages() {
    let world = World::new().await;
    for _ in 0..2 {
        let vendor = Vendor::new(&world, "snyk", json!({})).await;
        let reply = vendor.tell(&world, "ping/v0", "d1", PING).await.is(200);
        assert_eq!(reply.json().get("duplicate"), None);
    }
    assert_eq!(events(&world).await.len(), 2);
}

#[tokio::test]
async fn d20_what_was_answered_503_may_come_again() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "standard", json!({})).await;
    let before = world.free_bytes.swap(0, Ordering::Relaxed);
    world.later(2);
    let reply = vendor.tell(&world, "", "msg_1", STANDARD).await.is(503);
    assert_eq!(reply.code(), "storage_full");
    assert!(reply.headers.contains_key("retry-after"));
    // What is refused is refused all the same.
    let lines = with(&vendor.signed(&world, "", "msg_1", STANDARD), "webhook-signature", None);
    vendor.call(&world, &lines, STANDARD).await.is(401);
    world.free_bytes.store(before, Ordering::Relaxed);
    world.later(2);
    let reply = vendor.tell(&world, "", "msg_1", STANDARD).await.is(200);
    assert_eq!(reply.json().get("duplicate"), None, "nothing was left behind");
    assert_eq!(events(&world).await.len(), 1);
}

#[tokio::test]
async fn d21_after_the_window_it_is_new_again() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "snyk", json!({})).await;
    vendor.tell(&world, "ping/v0", "d1", PING).await.is(200);
    world.later(7 * 24 * 3600 - 1);
    assert_eq!(vendor.tell(&world, "ping/v0", "d1", PING).await.is(200).json()["duplicate"], true);
    world.later(2);
    assert_eq!(vendor.tell(&world, "ping/v0", "d1", PING).await.is(200).json().get("duplicate"), None);
    assert_eq!(events(&world).await.len(), 2);
}
