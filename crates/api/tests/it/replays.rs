//! Replays as jobs: tried, begun, watched, cancelled. The loop that carries them out is not here: the test makes a step.

use http::{Method, header};
use serde_json::{Value, json};
use watchbell_domain::port::{Clock, DeliveryIds, ReplayStep};

use crate::world::{ROOT, World, request};

/// So many deliveries to one endpoint that have all ended: cancelled.
async fn cancelled(world: &World, count: usize) -> Value {
    let endpoint = world.endpoint().await;
    let events: Vec<_> = (0..count).map(|n| json!({"type": "acme.thing_happened", "data": {"n": n}})).collect();
    world.post(&world.path("/events/batch"), json!({"events": events})).await;
    let mut cursor = String::new();
    loop {
        let page = world.get(&world.path(&format!("/deliveries?state=pending&limit=250{cursor}"))).await.is(200).json();
        for delivery in page["items"].as_array().unwrap() {
            let id = delivery["id"].as_str().unwrap().parse().unwrap();
            world.store.cancel(world.org, id, world.clock.now(), None).await.unwrap().unwrap();
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    world.later(1);
    endpoint
}

async fn step(world: &World, replay: &Value, made: u32) {
    let step = ReplayStep {
        org_id: world.org,
        id: replay["id"].as_str().unwrap().parse().unwrap(),
        looked_at: 1000,
        made,
        now: world.clock.now(),
        delivery_ids: DeliveryIds { seed: [u8::try_from(made).unwrap(); 32] },
    };
    world.store.advance_replay(step).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_replay_is_tried_begun_watched_and_cancelled() {
    let world = World::new().await;
    let endpoint = cancelled(&world, 12).await;
    let replays = world.path("/replays");
    let which = json!({"endpoint": endpoint["id"], "reason": "requested", "event_type": "acme.thing_happened"});
    let mut dry = which.clone();
    dry["dry_run"] = json!(true);
    let dry = world.post(&replays, dry).await.is(200).json();
    assert_eq!((&dry["dry_run"], &dry["matched"], &dry["complete"]), (&json!(true), &json!(12), &json!(true)));
    assert_eq!(dry["sample"].as_array().unwrap().len(), 10);
    assert_eq!(world.get(&replays).await.is(200).json()["items"], json!([]));

    let begun = world.post(&replays, which).await.is(202).json();
    let path = format!("{replays}/{}", begun["id"].as_str().unwrap());
    assert_eq!(world.get(&path).await.is(200).json(), begun);
    let of = |replay: &Value| ["state", "rate", "matched", "made", "looked_at"].map(|name| replay[name].clone());
    assert_eq!(of(&begun), [json!("running"), json!(100), json!(12), json!(0), json!(0)]);
    assert_eq!((&begun["filter"]["reason"], &begun["filter"]["state"]), (&json!("requested"), &Value::Null));
    step(&world, &begun, 5).await;
    assert_eq!(world.get(&path).await.is(200).json()["made"], 5);
    let cancelled = world.call(ROOT, Method::POST, &format!("{path}/cancel"), None).await.is(200).json();
    assert_eq!((&cancelled["state"], &cancelled["made"]), (&json!("cancelled"), &json!(5)));
    assert_eq!(world.call(ROOT, Method::POST, &format!("{path}/cancel"), None).await.is(409).code(), "conflict");
    step(&world, &begun, 7).await;
    assert_eq!(world.get(&path).await.is(200).json(), cancelled);
    assert_eq!(world.get(&replays).await.is(200).json()["items"], json!([cancelled]));
}

#[tokio::test]
async fn the_same_key_is_the_same_replay() {
    let world = World::new().await;
    cancelled(&world, 3).await;
    let replays = world.path("/replays");
    let send = async || {
        let body = json!({"state": "cancelled"}).to_string();
        let mut request = request(ROOT, Method::POST, &replays, Some(body));
        request.headers_mut().insert(header::HeaderName::from_static("idempotency-key"), "k".parse().unwrap());
        world.send(request).await.is(202).json()
    };
    let first = send().await;
    world.later(5);
    assert_eq!(send().await, first);
    assert_eq!(world.get(&replays).await.is(200).json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_large_window_becomes_a_job_and_a_small_one_is_repeated_at_once() {
    let world = World::new().await;
    let endpoint = cancelled(&world, 260).await;
    let window = world.path(&format!("/endpoints/{}/replay", endpoint["id"].as_str().unwrap()));
    let since = json!({"since": "2020-01-01T00:00:00Z"});
    let large = world.post(&window, since.clone()).await.is(202).json();
    assert_eq!((&large["matched"], &large["deliveries"]), (&json!(260), &Value::Null));
    let job = world.path(&format!("/replays/{}", large["replay"].as_str().unwrap()));
    assert_eq!(world.get(&job).await.is(200).json()["matched"], 260);
    let mut small = since;
    small["limit"] = json!(20);
    let small = world.post(&window, small).await.is(202).json();
    assert_eq!((small["deliveries"].as_array().unwrap().len(), &small["replay"]), (20, &Value::Null));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let world = World::new().await;
    for bad in [
        json!({}),
        json!({"dry_run": true}),
        json!({"state": "pending"}),
        json!({"reason": "boredom"}),
        json!({"event_type": "Not A Type"}),
        json!({"state": "delivered", "rate": 0}),
        json!({"state": "delivered", "rate": 1001}),
        json!({"state": "delivered", "limit": 0}),
        json!({"endpoint": "ep_0192f0c1-0000-7000-8000-00000000dead"}),
        json!({"since": "2020-01-01T00:00:00Z", "until": "2019-01-01T00:00:00Z"}),
        json!({"state": "delivered", "foo": 1}),
    ] {
        world.post(&world.path("/replays"), bad).await.is(422);
    }
}
