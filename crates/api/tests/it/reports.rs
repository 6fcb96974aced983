//! Completed lessons and announced scans, and the events that follow them.

use serde_json::{Value, json};

use crate::world::World;

async fn events(world: &World) -> Vec<Value> {
    let listed = world.get(&world.path("/events")).await.is(200).json();
    listed["items"].as_array().unwrap().iter().rev().cloned().collect()
}

#[tokio::test]
async fn a_lesson_is_told_once_in_symbiotics_words() {
    let world = World::new().await;
    let secret = json!({"url": "https://hooks.example.com/s", "dialect": "symbiotic"});
    world.post(&world.path("/endpoints"), secret).await.is(201);
    let path = world.path("/trainings");
    let given = json!({"id": "0ef8ac7e-1b9d-48d9-82eb-2f2355ba2b31", "user": {"email": "ada@example.com", "name": "Ada"},
        "training": {"name": "Unencrypted S3 bucket", "id": "s3-1"}, "score": 110,
        "started_at": "2024-10-09T10:02:59Z", "completed_at": "2024-10-09T10:07:07Z"});
    let made = world.post(&path, given.clone()).await.is(201).json();
    assert_eq!(made["id"], "trn_0ef8ac7e-1b9d-48d9-82eb-2f2355ba2b31");
    world.later(5);
    assert_eq!(world.post(&path, given.clone()).await.is(200).json(), made);
    let mut other = given;
    other["score"] = json!(5);
    world.post(&path, other).await.is(409);
    let told = events(&world).await;
    assert_eq!((told.len(), &told[0]["type"]), (1, &json!("training.completed")));
    let data = &told[0]["data"];
    assert_eq!((&data["user"], &data["training"]), (&json!("ada@example.com"), &json!("Unencrypted S3 bucket")));
    assert_eq!((&data["score"], &data["completed_at"]), (&json!(110), &json!("2024-10-09T10:07:07Z")));
    assert_eq!(world.get(&world.path("/deliveries")).await.is(200).json()["items"].as_array().unwrap().len(), 1);
    let short = json!({"user": "bob@example.com", "training": "XSS", "score": 1,
        "started_at": "2024-10-09T10:02:59Z", "completed_at": "2024-10-09T10:07:07Z"});
    let made = world.post(&path, short.clone()).await.is(201).json();
    assert_eq!((&made["user"]["email"], &made["training"]["name"]), (&json!("bob@example.com"), &json!("XSS")));
    assert_eq!(world.get(&format!("{path}/{}", made["id"].as_str().unwrap())).await.is(200).json(), made);
    let listed = world.get(&path).await.is(200).json();
    assert!(listed["items"].as_array().unwrap().contains(&made) && listed["items"].as_array().unwrap().len() == 2);
    for (member, bad) in [
        ("user", json!("")),
        ("user", json!({"mail": "x"})),
        ("score", json!("110")),
        ("completed_at", json!("2024-10-09T10:00:00Z")),
        ("started_at", json!("yesterday")),
        ("id", json!("7")),
    ] {
        let mut given = short.clone();
        given[member] = bad;
        world.post(&path, given).await.is(422);
    }
}

#[tokio::test]
async fn an_announced_scan_is_in_progress_and_then_completed_or_failed() {
    let world = World::new().await;
    let endpoint = json!({"url": "https://hooks.example.com/b", "dialect": "bearer-scan", "bearer_token": "a-token-of-enough-length"});
    world.post(&world.path("/endpoints"), endpoint).await.is(201);
    let project = world.post(&world.path("/projects"), json!({"name": "p"})).await.is(201).json();
    let start = world.path(&format!("/projects/{}/scans/start", project["id"].as_str().unwrap()));
    let run = world.post(&start, json!({"tool": "clamav"})).await.is(201).json();
    assert_eq!((&run["status"], &run["tool"]), (&json!("in_progress"), &json!("clamav")));
    let path = world.path(&format!("/scans/{}", run["id"].as_str().unwrap()));
    assert_eq!(world.get(&path).await.is(200).json(), run);
    world.later(60);
    let details = json!({"details": [{"name": "EICAR"}]});
    let ended = world.post(&format!("{path}/complete"), details.clone()).await.is(200).json();
    assert_eq!((&ended["status"], &ended["threats_found"]), (&json!("completed"), &json!(1)));
    world.post(&format!("{path}/complete"), details).await.is(409);
    world.post(&format!("{path}/fail"), json!({"error": "x"})).await.is(409);

    let id = "0ef8ac7e-1b9d-48d9-82eb-2f2355ba2b31";
    world.later(1);
    world.post(&start, json!({"scan_id": id})).await.is(201);
    world.post(&start, json!({"scan_id": id})).await.is(409);
    let path = world.path(&format!("/scans/{id}"));
    world.post(&format!("{path}/fail"), json!({"error": " "})).await.is(422);
    world.later(1);
    let ended = world.post(&format!("{path}/fail"), json!({"error": "no licence"})).await.is(200).json();
    assert_eq!((&ended["status"], &ended["error"]), (&json!("failed"), &json!("no licence")));
    world.post(&world.path("/projects/prj_0192f0c1-0000-7000-8000-000000000000/scans/start"), json!({})).await.is(404);

    let told = events(&world).await;
    let types: Vec<_> = told.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["scan.started", "scan.completed", "scan.started", "scan.failed"]);
    assert_eq!(told[1]["data"]["details"], json!([{"name": "EICAR"}]));
    assert_eq!((&told[3]["data"]["scan_id"], &told[3]["data"]["error"]), (&json!(id), &json!("no licence")));
    assert_eq!(world.get(&world.path("/deliveries")).await.is(200).json()["items"].as_array().unwrap().len(), 4);
}
