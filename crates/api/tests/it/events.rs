//! Events: accepted, completed, batched, followed, replayed.

use http::Method;
use serde_json::{Value, json};

use crate::world::{ROOT, World, request};

#[tokio::test]
async fn an_accepted_event_has_a_delivery() {
    let world = World::new().await;
    let endpoint = world.endpoint().await;
    let event = world.event().await;
    assert_eq!(event["type"], "acme.thing_happened");

    let id = event["id"].as_str().unwrap();
    assert!(id.starts_with("evt_"));
    let bare = id.strip_prefix("evt_").unwrap();
    let shown = world.get(&world.path(&format!("/events/{id}"))).await.is(200).json();
    assert_eq!(shown["deliveries"][0]["endpoint_id"], endpoint["id"]);
    assert_eq!(shown["deliveries"][0]["state"], "pending");
    assert_eq!(shown["deliveries"][0]["attempts"], json!([]));
    let by_slug = world.get(&format!("/api/v1/orgs/acme/events/{bare}")).await.is(200).json();
    assert_eq!(shown, by_slug);
}

#[tokio::test]
async fn who_does_not_get_an_event_is_said_with_the_reason() {
    let world = World::new().await;
    let given = json!({"url": "https://a.example.com/", "dialect": "aegis"});
    let aegis = world.post(&world.path("/endpoints"), given).await.is(201).json();
    let given = json!({"url": "https://b.example.com/", "dialect": "standard", "events": ["scan.failed"]});
    let other = world.post(&world.path("/endpoints"), given).await.is(201).json();
    let id = world.event().await["id"].as_str().unwrap().to_owned();
    let event = world.get(&world.path(&format!("/events/{id}"))).await.is(200).json();
    let mut skipped: Vec<_> = event["skipped"].as_array().unwrap().iter().collect();
    skipped.sort_by_key(|skip| skip["reason"].to_string());
    assert_eq!(skipped[0], &json!({"endpoint_id": aegis["id"], "reason": "dialect_has_no_such_event"}));
    assert_eq!(skipped[1], &json!({"endpoint_id": other["id"], "reason": "not_subscribed"}));
    assert_eq!(event["deliveries"], json!([]));
}

#[tokio::test]
async fn a_critical_finding_is_told_twice() {
    let world = World::new().await;
    let given = json!({"type": "vulnerability.created", "data": {"severity": "critical", "title": "T"}});
    let accepted = world.post(&world.path("/events"), given).await.is(202).json();
    let listed = world.get(&world.path("/events")).await.is(200).json();
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    let find = |id: &Value| items.iter().find(|item| item["id"] == *id).unwrap();
    let (created, critical) = (find(&accepted["id"]), find(&accepted["critical_id"]));
    assert_eq!(critical["type"], "vulnerability.critical");
    assert_eq!(created["data"], critical["data"]);
    assert_eq!(created["data"]["finding_id"].as_str().unwrap().len(), 36);
    let filtered = world.get(&world.path("/events?type=vulnerability.critical")).await.is(200).json();
    assert_eq!(filtered["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn every_type_of_the_catalogue_can_be_posted() {
    let world = World::new().await;
    let types = world.get(&world.path("/event-types")).await.is(200).json();
    for entry in types["items"].as_array().unwrap() {
        let name = entry["type"].as_str().unwrap();
        let one = world.get(&world.path(&format!("/event-types/{name}"))).await.is(200).json();
        // The list leaves the long examples out.
        let mut brief = one.clone();
        for dialect in brief["dialects"].as_array_mut().unwrap() {
            assert!(dialect.as_object_mut().unwrap().remove("body").is_some(), "{name}");
        }
        assert_eq!(&brief, entry);
        let given = json!({"type": name, "data": entry["example"]});
        world.post(&world.path("/events"), given).await.is(202);
    }
    world.get(&world.path("/event-types/no.such")).await.is(404);
}

#[tokio::test]
async fn a_batch_has_an_outcome_for_every_item() {
    let world = World::new().await;
    world.endpoint().await;
    let batch = json!({"events": [
        {"type": "a.b", "data": {}},
        {"type": "Nonsense", "data": {}},
        {"type": "vulnerability.created", "data": {"severity": "grave"}},
        {"type": "a.c", "data": {}, "occurred_at": "2026-01-01T00:00:00Z"},
        17,
    ]});
    let answer = world.post(&world.path("/events/batch"), batch).await.is(202).json();
    assert_eq!((&answer["accepted"], &answer["refused"]), (&json!(2), &json!(3)));
    let items = answer["items"].as_array().unwrap();
    let statuses: Vec<_> = items.iter().map(|item| item["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [202, 422, 422, 202, 422]);
    assert_eq!(items[2]["errors"][0]["pointer"], "/data/severity");
    assert_eq!(items[3]["occurred_at"], "2026-01-01T00:00:00Z");
    for index in [0, 3] {
        let id = items[index]["id"].as_str().unwrap();
        world.get(&world.path(&format!("/events/{id}"))).await.is(200);
    }
    let many: Vec<_> = (0..1000).map(|n| json!({"type": "a.b", "data": {"n": n}})).collect();
    world.post(&world.path("/events/batch"), json!({"events": many})).await.is(202);
    let more: Vec<_> = (0..1001).map(|n| json!({"type": "a.b", "data": {"n": n}})).collect();
    world.post(&world.path("/events/batch"), json!({"events": more})).await.is(422);
    world.post(&world.path("/events/batch"), json!({"events": []})).await.is(422);
}

#[tokio::test]
async fn an_event_can_name_its_project_by_id_or_name() {
    let world = World::new().await;
    let project = world.post(&world.path("/projects"), json!({"name": "web shop"})).await.is(201).json();
    for name in [&project["id"], &project["name"]] {
        let given = json!({"type": "a.b", "data": {}, "project": name});
        world.post(&world.path("/events"), given).await.is(202);
    }
    let path = world.path(&format!("/events?project={}", project["id"].as_str().unwrap()));
    let listed = world.get(&path).await.is(200).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    assert_eq!(listed["items"][0]["project_id"], project["id"]);
}

#[tokio::test]
async fn a_delivery_can_be_counted_retried_cancelled_and_repeated() {
    let world = World::new().await;
    let endpoint = world.endpoint().await;
    let event = world.event().await;
    let counts = world.get(&world.path("/deliveries/counts")).await.is(200).json();
    assert_eq!((&counts["undelivered"], &counts["states"]["pending"]), (&json!(1), &json!(1)));
    assert_eq!(counts["states"]["dead_lettered"], 0);

    let filter = format!(
        "/deliveries?state=pending&endpoint={}&event={}",
        endpoint["id"].as_str().unwrap(),
        event["id"].as_str().unwrap()
    );
    let listed = world.get(&world.path(&filter)).await.is(200).json();
    let id = listed["items"][0]["id"].as_str().unwrap().to_owned();
    let path = |rest: &str| world.path(&format!("/deliveries/{id}{rest}"));
    assert_eq!(world.get(&path("")).await.is(200).json(), listed["items"][0]);

    let call = |path: String| world.call(ROOT, Method::POST, Box::leak(path.into_boxed_str()), None);
    assert_eq!(call(path("/retry")).await.is(200).json()["state"], "pending");
    let cancelled = call(path("/cancel")).await.is(200).json();
    assert_eq!((&cancelled["state"], &cancelled["reason"]), (&json!("cancelled"), &json!("requested")));
    assert_eq!(call(path("/cancel")).await.is(409).code(), "delivery_state");

    // What has ended is repeated, never changed.
    let repeated = call(path("/retry")).await.is(202).json();
    let new = repeated["deliveries"][0].as_str().unwrap();
    let new = world.get(&world.path(&format!("/deliveries/{new}"))).await.is(200).json();
    assert_eq!((&new["replay_of"], &new["state"]), (&json!(id), &json!("pending")));
    assert_eq!(world.get(&path("")).await.is(200).json()["state"], "cancelled");

    // Nothing is promised to an endpoint that is gone.
    let gone = world.path(&format!("/endpoints/{}", endpoint["id"].as_str().unwrap()));
    world.call(ROOT, Method::DELETE, &gone, None).await.is(204);
    assert_eq!(call(path("/retry")).await.is(409).code(), "delivery_state");
}

#[tokio::test]
async fn an_event_and_a_window_can_be_replayed() {
    let world = World::new().await;
    let endpoint = world.endpoint().await;
    let event = world.event().await;
    let path = world.path(&format!("/events/{}/replay", event["id"].as_str().unwrap()));
    let replayed = world.call(ROOT, Method::POST, &path, None).await.is(202).json();
    assert_eq!((&replayed["matched"], replayed["deliveries"].as_array().unwrap().len()), (&json!(1), 1));

    let window = world.path(&format!("/endpoints/{}/replay", endpoint["id"].as_str().unwrap()));
    let dry = json!({"since": "2020-01-01T00:00:00Z", "dry_run": true});
    let nothing_ended = world.post(&window, dry.clone()).await.is(200).json();
    assert_eq!(nothing_ended["matched"], 0);
    let id = replayed["deliveries"][0].as_str().unwrap();
    let cancel = world.path(&format!("/deliveries/{id}/cancel"));
    world.call(ROOT, Method::POST, &cancel, None).await.is(200);
    world.later(1);
    let one_ended = world.post(&window, dry).await.is(200).json();
    assert_eq!(one_ended, json!({"dry_run": true, "matched": 1}));
    let real = world.post(&window, json!({"since": "2020-01-01T00:00:00Z"})).await.is(202).json();
    assert_eq!(real["deliveries"].as_array().unwrap().len(), 1);
    for bad in [
        json!({"since": "2020-01-01T00:00:00Z", "state": "pending"}),
        json!({"since": "2020-01-01T00:00:00Z", "until": "2019-01-01T00:00:00Z"}),
        json!({"since": "2020-01-01T00:00:00Z", "limit": 0}),
        json!({}),
    ] {
        world.post(&window, bad).await.is(422);
    }
}

#[tokio::test]
async fn a21_an_event_that_goes_round_in_circles_is_refused() {
    let world = World::new().await;
    let post = async |path: &str, hops: &[&str]| {
        let one = json!({"type": "acme.thing_happened", "data": {}});
        let body = if path == "/events" { one } else { json!({"events": [one]}) };
        let mut given = request(ROOT, Method::POST, &world.path(path), Some(body.to_string()));
        for count in hops {
            given.headers_mut().append("webhook-hops", count.parse().unwrap());
        }
        world.send(given).await
    };
    for path in ["/events", "/events/batch"] {
        for fine in ["0", "1", "5"] {
            post(path, &[fine]).await.is(202);
        }
        for round in ["6", "255", "256", "999999999"] {
            assert_eq!(post(path, &[round]).await.is(422).code(), "loop_detected", "{round}");
        }
        for odd in [&["x"][..], &[""], &["-1"], &["1.5"], &["1", "1"], &["9999999999"]] {
            assert_eq!(post(path, odd).await.is(400).code(), "header_invalid", "{odd:?}");
        }
    }
}
