//! Erasing over the API: by id, by subject, by those who may.

use http::Method;
use serde_json::json;
use watchbell_domain::access::Scope;
use watchbell_domain::port::Clock;

use crate::world::{ROOT, World};

#[tokio::test]
async fn an_event_is_erased_by_those_who_may() {
    let world = World::new().await;
    world.endpoint().await;
    let event = world.event().await;
    let path = world.path(&format!("/events/{}", event["id"].as_str().unwrap()));
    let erase = format!("{path}/erase");
    world.add_key("writer", Some(world.org), &[Scope::EventsRead, Scope::EventsWrite]).await;
    assert_eq!(world.call("writer", Method::POST, &erase, None).await.is(403).code(), "forbidden");
    world.add_key("eraser", Some(world.org), &[Scope::EventsErase]).await;
    let erased = world.call("eraser", Method::POST, &erase, None).await.is(200).json();
    assert_eq!((&erased["event_id"], &erased["cancelled"]), (&event["id"], &json!(1)));
    world.later(5);
    let again = world.call(ROOT, Method::POST, &erase, None).await.is(200).json();
    assert_eq!((&again["erased_at"], &again["cancelled"]), (&erased["erased_at"], &json!(0)));
    let after = world.get(&path).await.is(200).json();
    assert_eq!((&after["data"], &after["erased_at"]), (&json!({}), &erased["erased_at"]));
    assert_eq!(
        (&after["deliveries"][0]["state"], &after["deliveries"][0]["reason"]),
        (&json!("cancelled"), &json!("erased"))
    );
    let missing = world.path("/events/evt_0192f0c1-0000-7000-8000-00000000dead/erase");
    world.call(ROOT, Method::POST, &missing, None).await.is(404);
}

#[tokio::test]
async fn a_subject_is_looked_for_in_the_background_and_never_shown() {
    let world = World::new().await;
    world.event().await;
    let erasures = world.path("/erasures");
    let begun = world.post(&erasures, json!({"pointer": "/n", "value": 1})).await.is(202);
    assert!(!begun.text().contains("pointer"));
    let begun = begun.json();
    assert_eq!((&begun["state"], &begun["erased"]), (&json!("running"), &json!(0)));
    let id = begun["id"].as_str().unwrap();
    world.store.advance_erasure(world.org, id.parse().unwrap(), 100, world.clock.now()).await.unwrap();
    let ended = world.get(&format!("{erasures}/{id}")).await.is(200).json();
    assert_eq!((&ended["state"], &ended["erased"], &ended["looked_at"]), (&json!("finished"), &json!(1), &json!(1)));
    assert_eq!(world.get(&erasures).await.is(200).json()["items"], json!([ended]));
    for bad in [
        json!({}),
        json!({"pointer": "/n"}),
        json!({"value": 1}),
        json!({"pointer": "n", "value": 1}),
        json!({"text": "abc"}),
        json!({"text": "abcd", "pointer": "/n", "value": 1}),
    ] {
        world.post(&erasures, bad).await.is(422);
    }
    world.post(&erasures, json!({"pointer": "/n", "value": null})).await.is(202);
}
