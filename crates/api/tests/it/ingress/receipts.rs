//! What is kept of requests, and what becomes of it by hand.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use watchbell_domain::access::Scope;
use watchbell_domain::port::testing::SeededEntropy;
use watchbell_engine::upkeep::{receipts as forgetting, silence};

use super::{AEGIS, PING, SNAPSHOT, STANDARD, Vendor, events, scan, types, with};
use crate::world::World;

#[tokio::test]
async fn a_receipt_tells_its_owner_all_but_secrets() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "bearer-scan", json!({})).await;
    let body = scan("completed");
    let lines = with(&vendor.signed(&world, "", "", &body), "Cookie", Some("session=hush-hush"));
    let told = vendor.call(&world, &lines, body.as_str()).await.is(200).json();
    assert_eq!(told["message"], "Scan results received successfully.");
    let id = told["receipt_id"].as_str().unwrap();
    let receipt = world.get(&world.path(&format!("/receipts/{id}"))).await.is(200);
    assert!(!receipt.text().contains(&vendor.secret) && !receipt.text().contains("hush-hush"));
    let receipt = receipt.json();
    assert_eq!(receipt["body"], body.as_str());
    assert_eq!((&receipt["verdict"], &receipt["vendor_event"]), (&json!("accepted"), &json!("completed")));
    assert_eq!(
        (&receipt["method"], &receipt["address"], &receipt["status"]),
        (&json!("POST"), &json!("192.0.2.1"), &json!(200))
    );
    let authorization = json!({"name": "authorization", "value": "Bearer ****"});
    assert!(receipt["headers"].as_array().unwrap().contains(&authorization), "{receipt}");
    assert_eq!(receipt["events"], json!([events(&world).await[0]["id"]]));
    let listed = vendor.receipts(&world).await.remove(0);
    assert_eq!((listed.get("body"), &listed["body_bytes"]), (None, &json!(body.len())));
}

#[tokio::test]
async fn what_says_nothing_to_us_tells_its_owner_why() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "standard", json!({})).await;
    vendor.tell(&world, "", "msg_1", r#"{"hello":1}"#).await.is(200);
    let receipt = vendor.receipts(&world).await.remove(0);
    assert_eq!(receipt["verdict"], "unknown_event");
    assert!(receipt["detail"].as_str().is_some_and(|detail| detail.contains("type")), "{receipt}");
}

/// GitHub sends the secret that it found. Nobody but its finder is to have it.
#[tokio::test]
async fn a_secret_that_a_scan_found_is_not_kept() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "github", json!({})).await;
    let alert = json!({"number": 1, "state": "open", "secret_type": "aws", "secret": "AKIA-hush-hush",
        "html_url": "https://example.com/1", "created_at": "2027-01-15T08:00:00Z"});
    let body = json!({"action": "created", "alert": alert, "repository": {"full_name": "acme/shop"}}).to_string();
    let told = vendor.tell(&world, "secret_scanning_alert", "d1", &body).await.is(200).json();
    let id = told["receipt_id"].as_str().unwrap();
    let receipt = world.get(&world.path(&format!("/receipts/{id}"))).await.is(200);
    assert!(!receipt.text().contains("hush-hush"), "{}", receipt.text());
    let receipt = receipt.json();
    assert_eq!(receipt["body"].as_str().map(str::len), Some(body.len()));
    // A refused one is kept as well.
    let wrong = with(&vendor.signed(&world, "secret_scanning_alert", "d2", &body), "X-Hub-Signature-256", None);
    vendor.call(&world, &wrong, body.as_str()).await.is(401);
    let id = vendor.receipts(&world).await.remove(0)["id"].as_str().unwrap().to_owned();
    assert!(!world.get(&world.path(&format!("/receipts/{id}"))).await.is(200).text().contains("hush-hush"));
}

#[tokio::test]
async fn what_is_refused_says_why_to_its_owner_alone() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "snyk", json!({})).await;
    let lines = with(&vendor.signed(&world, "ping/v0", "d1", PING), "X-Hub-Signature", Some("sha1=00"));
    let told = vendor.call(&world, &lines, PING).await.is(401).text();
    let receipt = vendor.receipts(&world).await.remove(0);
    let detail = receipt["detail"].as_str().unwrap();
    assert!(detail.contains("sha256="), "{detail}");
    assert!(!told.contains("sha256") && !told.contains("rcp_"), "{told}");
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let world = World::new().await;
    let one = Vendor::new(&world, "snyk", json!({})).await;
    let other = Vendor::new(&world, "standard", json!({})).await;
    for n in 0..3 {
        one.tell(&world, "ping/v0", &format!("d{n}"), &format!(r#"{{"webhookId":"{n}"}}"#)).await.is(200);
        one.call(&world, &Vec::new(), "{}").await.is(401);
        other.tell(&world, "", &format!("msg_{n}"), STANDARD).await.is(200);
        other.tell(&world, "", &format!("msg_{n}"), STANDARD).await.is(200);
        world.later(1);
    }
    let list = async |query: &str| -> Vec<(String, String)> {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = world.get(&world.path(&format!("/receipts?limit=2{query}{cursor}"))).await.is(200).json();
            let text = |receipt: &Value, name: &str| receipt[name].as_str().unwrap().to_owned();
            let items = page["items"].as_array().unwrap();
            found.extend(items.iter().map(|receipt| (text(receipt, "source_id"), text(receipt, "verdict"))));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return found,
            }
        }
    };
    assert_eq!(list("").await.len(), 12);
    let of_one = list(&format!("&source={}", one.id)).await;
    assert!(of_one.len() == 6 && of_one.iter().all(|(source, _)| *source == one.id));
    assert_eq!(of_one.iter().filter(|(_, verdict)| verdict == "signature_missing").count(), 3);
    assert_eq!(list("&verdict=duplicate").await, vec![(other.id.clone(), "duplicate".to_owned()); 3]);
    let missing = list(&format!("&source={}&verdict=signature_missing", one.id)).await;
    assert_eq!(missing.len(), 3);
    assert_eq!(list(&format!("&source={}&verdict=signature_missing", other.id)).await, []);
    world.get(&world.path("/receipts?verdict=nonsense")).await.is(400);
}

#[tokio::test]
async fn a_flood_of_refusals_is_counted_and_not_kept() {
    let world = World::with(|options| {
        options.receive.ring.count_max = 20;
        options.receive.rate_limit = None;
    })
    .await;
    let vendor = Vendor::new(&world, "standard", json!({})).await;
    vendor.tell(&world, "", "msg_0", STANDARD).await.is(200);
    for _ in 0..600 {
        vendor.call(&world, &Vec::new(), "{}").await.is(401);
    }
    let receipts = vendor.receipts(&world).await;
    let refused = receipts.iter().filter(|receipt| receipt["verdict"] == "signature_missing").count();
    assert_eq!(refused, 20, "as many as the ring holds");
    assert_eq!(receipts.len(), 21, "what was taken stays");
    let metrics = world.get("/metrics").await.is(200).text();
    let line = "watchbell_receipts_total{dialect=\"standard\",verdict=\"signature_missing\"} 600";
    assert!(metrics.contains(line), "{metrics}");
    // Large ones weigh more.
    world.later(60);
    let large = "x".repeat(4 << 20);
    for _ in 0..5 {
        vendor.call(&world, &Vec::new(), large.as_str()).await.is(401);
    }
    let listed = vendor.receipts(&world).await;
    assert_eq!(listed.iter().filter(|receipt| receipt["body_bytes"] == 4 << 20).count(), 1);
    vendor.tell(&world, "", "msg_1", STANDARD).await.is(200);
}

#[tokio::test]
async fn what_was_refused_is_accepted_by_hand() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "snyk", json!({})).await;
    let lines = vendor.signed(&world, "project_snapshot/v0", "d1", SNAPSHOT);
    let wrong = with(&lines, "X-Hub-Signature", Some(&format!("sha256={}", "0".repeat(64))));
    vendor.call(&world, &wrong, SNAPSHOT).await.is(401);
    let refused = vendor.receipts(&world).await.remove(0);
    let path = world.path(&format!("/receipts/{}/accept", refused["id"].as_str().unwrap()));
    world.add_key("writer", Some(world.org), &[Scope::SourcesWrite, Scope::EventsWrite]).await;
    world.call("writer", Method::POST, &path, Some("{}".to_owned())).await.is(403);
    let again = world.post(&path.replace("/accept", "/replay"), json!({})).await.is(409);
    assert_eq!(again.code(), "receipt_state");
    let taken = world.post(&path, json!({})).await.is(200).json();
    assert_eq!((&taken["of"], taken["events"].as_array().unwrap().len()), (&refused["id"], 3));
    assert_eq!(types(&world).await.len(), 3);
    let receipt = vendor.receipts(&world).await.remove(0);
    assert_eq!((&receipt["verdict"], &receipt["of"]), (&json!("accepted"), &refused["id"]));
    assert!(receipt["detail"].as_str().unwrap().contains("by hand"));
    assert_eq!(world.post(&path, json!({})).await.is(409).code(), "receipt_state", "once is enough");
    assert_eq!(types(&world).await.len(), 3);
    // What the vendor sends of its own is the same message.
    assert_eq!(vendor.call(&world, &lines, SNAPSHOT).await.is(200).json()["duplicate"], true);
    let audit = world.get(&world.path("/audit?action=receipt.accept")).await.is(200).json();
    assert_eq!(audit["items"][0]["subject"], refused["id"]);
}

#[tokio::test]
async fn what_cannot_be_read_is_not_accepted() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "aegis", json!({})).await;
    vendor.call(&world, &Vec::new(), "no json").await.is(401);
    let refused = vendor.receipts(&world).await.remove(0);
    let path = world.path(&format!("/receipts/{}/accept", refused["id"].as_str().unwrap()));
    assert_eq!(world.post(&path, json!({})).await.is(422).code(), "receipt_unreadable");
    // A body that was not read cannot be taken.
    let announced = vec![("Content-Length".to_owned(), "6000000".to_owned())];
    vendor.call(&world, &announced, "").await.is(413);
    let refused = vendor.receipts(&world).await.remove(0);
    let path = world.path(&format!("/receipts/{}/accept", refused["id"].as_str().unwrap()));
    assert_eq!(world.post(&path, json!({})).await.is(409).code(), "receipt_state");
    world.delete(&world.path(&format!("/sources/{}", vendor.id))).await.is(204);
    assert_eq!(world.post(&path, json!({})).await.is(409).code(), "receipt_state");
    assert_eq!(events(&world).await.len(), 0);
}

#[tokio::test]
async fn what_was_taken_makes_its_events_anew() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "aegis", json!({"max_event_age": "off"})).await;
    vendor.tell(&world, "", "", AEGIS).await.is(200);
    let first = vendor.receipts(&world).await.remove(0);
    let path = world.path(&format!("/receipts/{}/replay", first["id"].as_str().unwrap()));
    let taken = world.post(&path, json!({})).await.is(200).json();
    assert_eq!(taken["of"], first["id"]);
    assert_ne!(taken["events"], first["events"]);
    assert_eq!(types(&world).await, ["vulnerability.created"; 2]);
    assert_eq!(world.post(&path.replace("/replay", "/accept"), json!({})).await.is(409).code(), "receipt_state");
    // The vendor's own repetition still is one.
    assert_eq!(vendor.tell(&world, "", "", AEGIS).await.is(200).json()["duplicate"], true);
}

#[tokio::test]
async fn a_source_that_falls_silent_is_told_of_once() {
    const DAY: i64 = 24 * 3600;
    let world = World::new().await;
    let vendor = Vendor::new(&world, "standard", json!({})).await;
    let parts = silence::Parts {
        sources: Arc::clone(&world.store) as _,
        clock: Arc::new(world.clock.clone()),
        entropy: Arc::new(SeededEntropy::new(3)),
    };
    let service = silence::Service::new(silence::Options::default(), parts);
    for day in 0..4 {
        vendor.tell(&world, "", &format!("msg_{day}"), STANDARD).await.is(200);
        assert_eq!(service.step().await, Ok(0));
        world.later(DAY);
    }
    world.later(DAY - 3600);
    assert_eq!(service.step().await, Ok(0), "its longest pause was a day");
    world.later(3600);
    assert_eq!(service.step().await, Ok(1));
    assert_eq!(service.step().await, Ok(0));
    let told = events(&world).await.remove(0);
    assert_eq!((&told["type"], &told["data"]["source_id"]), (&json!("source.silent"), &json!(vendor.id)));
    vendor.tell(&world, "", "msg_again", STANDARD).await.is(200);
    assert_eq!(service.step().await, Ok(0));
}

#[tokio::test]
async fn receipts_go_by_age_and_what_they_made_stays() {
    let world = World::new().await;
    let vendor = Vendor::new(&world, "standard", json!({})).await;
    vendor.tell(&world, "", "msg_1", STANDARD).await.is(200);
    vendor.call(&world, &Vec::new(), "{}").await.is(401);
    let service = forgetting::Service::new(
        forgetting::Options::default(),
        Arc::clone(&world.store) as _,
        Arc::new(world.clock.clone()),
    );
    world.later(29 * 24 * 3600);
    assert_eq!(service.step().await.unwrap().receipts, 0);
    world.later(24 * 3600);
    assert_eq!(service.step().await.unwrap().receipts, 2);
    assert_eq!(vendor.receipts(&world).await, Vec::<Value>::new());
    assert_eq!(events(&world).await.len(), 1);
}
