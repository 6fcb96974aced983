//! Lists: pages, cursors, filters.

use std::collections::BTreeSet;

use rstest::rstest;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    let world = World::new().await;
    let batch: Vec<_> = (0..23).map(|n| json!({"type": "a.b", "data": {"n": n}})).collect();
    world.post(&world.path("/events/batch"), json!({"events": batch})).await.is(202);
    let mut seen = BTreeSet::new();
    let mut path = world.path("/events?limit=10");
    let mut sizes = Vec::new();
    loop {
        let page = world.get(&path).await.is(200).json();
        let items = page["items"].as_array().unwrap();
        sizes.push(items.len());
        seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = world.path(&format!("/events?limit=10&cursor={cursor}")),
            None => break,
        }
    }
    assert_eq!((sizes, seen.len()), (vec![10, 10, 3], 23));
}

#[rstest]
#[case("cursor=x")]
#[case("cursor=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
#[case("cursor=")]
#[tokio::test]
async fn forged_cursors_are_refused(#[case] query: &str) {
    let world = World::new().await;
    let reply = world.get(&world.path(&format!("/events?{query}"))).await.is(400);
    assert_eq!(reply.code(), "cursor_invalid");
}

#[tokio::test]
async fn a_changed_cursor_or_one_of_another_list_is_refused() {
    let world = World::new().await;
    world.event().await;
    world.event().await;
    let page = world.get(&world.path("/events?limit=1")).await.is(200).json();
    let cursor = page["next_cursor"].as_str().unwrap().to_owned();
    world.get(&world.path(&format!("/deliveries?cursor={cursor}"))).await.is(400);
    let mut changed = cursor.clone().into_bytes();
    changed[3] = if changed[3] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    world.get(&world.path(&format!("/events?cursor={changed}"))).await.is(400);
    world.get(&world.path(&format!("/events?cursor={cursor}"))).await.is(200);
}

#[rstest]
#[case("limit=0")]
#[case("limit=251")]
#[case("limit=1000000000")]
#[case("limit=-1")]
#[case("limit=ten")]
#[case("limit=1&limit=2")]
#[case("since=yesterday")]
#[case("type=Nonsense")]
#[case("project=none")]
#[tokio::test]
async fn senseless_queries_are_refused(#[case] query: &str) {
    let world = World::new().await;
    let reply = world.get(&world.path(&format!("/events?{query}"))).await.is(400);
    assert_eq!(reply.code(), "query_invalid", "{}", reply.text());
    world.get(&world.path("/deliveries?state=lost")).await.is(400);
}

#[tokio::test]
async fn lists_filter_by_time() {
    let world = World::new().await;
    world.event().await;
    world.later(3600);
    world.event().await;
    let count = |query: &'static str| {
        let world = &world;
        async move {
            let reply = world.get(&world.path(query)).await.is(200).json();
            reply["items"].as_array().unwrap().len()
        }
    };
    assert_eq!(count("/events?since=2027-01-15T08:30:00Z").await, 1);
    assert_eq!(count("/events?until=2027-01-15T08:30:00Z").await, 1);
    assert_eq!(count("/events?limit=250").await, 2);
}

#[tokio::test]
async fn organisations_and_projects_have_unique_names() {
    let world = World::new().await;
    let made = world.post("/api/v1/orgs", json!({"name": "Blue Team"})).await.is(201).json();
    assert_eq!(made["slug"], "blue-team");
    world.get("/api/v1/orgs/blue-team").await.is(200);
    assert_eq!(world.post("/api/v1/orgs", json!({"name": "Blue team"})).await.is(409).code(), "conflict");
    let refused = world.post("/api/v1/orgs", json!({"name": "x", "slug": "No Slug"})).await.is(422);
    assert_eq!(refused.json()["errors"][0]["pointer"], "/slug");
    world.post(&world.path("/projects"), json!({"name": "p"})).await.is(201);
    world.post(&world.path("/projects"), json!({"name": "p"})).await.is(409);
    let listed = world.get("/api/v1/orgs").await.is(200).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
}
