//! Nothing of one organisation can be seen, changed or even noticed with the key of another.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};
use watchbell_domain::access::Scope;
use watchbell_domain::id::OrgId;

use crate::world::World;

/// What the other organisation has.
struct Theirs {
    org: String,
    ids: Vec<(&'static str, String)>,
}

async fn theirs(world: &World) -> Theirs {
    let org: OrgId = "0192f0c1-0000-7000-8000-0000000000b0".parse().unwrap();
    world.add_org(org, "other").await;
    let path = |rest: &str| format!("/api/v1/orgs/{org}{rest}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let given = json!({"url": "https://b.example.com/", "dialect": "snyk", "secret": "sixteen-bytes-and-more"});
    let endpoint = world.post(&path("/endpoints"), given).await.is(201).json();
    let given = json!({"type": "webhook.ping", "data": {"webhook_id": "d3cf26b3-2d77-497b-bce2-23b33cc15362"}});
    let event = world.post(&path("/events"), given).await.is(202).json();
    let delivery = world.get(&path("/deliveries")).await.is(200).json();
    let project = world.post(&path("/projects"), json!({"name": "p"})).await.is(201).json();
    let key = world.post(&path("/keys"), json!({"name": "k", "scopes": ["events:read"]})).await.is(201).json();
    let replay = world.post(&path("/replays"), json!({"state": "dead_lettered"})).await.is(202).json();
    let erasure = world.post(&path("/erasures"), json!({"text": "nobody"})).await.is(202).json();
    let finding = "0ef8ac7e-1b9d-48d9-82eb-2f2355ba2b31";
    let given = json!({"finding_id": finding, "scheduled_completion_date": "2030-01-01"});
    let item = world.post(&path("/poam-items"), given).await.is(201).json();
    let given = json!({"user": "a@example.com", "training": "t", "score": 1,
        "started_at": "2026-01-01T00:00:00Z", "completed_at": "2026-01-01T00:00:01Z"});
    let training = world.post(&path("/trainings"), given).await.is(201).json();
    let start = path(&format!("/projects/{}/scans/start", project["id"].as_str().unwrap()));
    let scan = world.post(&start, json!({})).await.is(201).json();
    Theirs {
        org: org.to_string(),
        ids: vec![
            ("endpoints", text(&endpoint["id"])),
            ("events", text(&event["id"])),
            ("deliveries", text(&delivery["items"][0]["id"])),
            ("projects", text(&project["id"])),
            ("keys", text(&key["id"])),
            ("replays", text(&replay["id"])),
            ("erasures", text(&erasure["id"])),
            ("poam-items", text(&item["id"])),
            ("trainings", text(&training["id"])),
            ("scans", text(&scan["id"])),
        ],
    }
}

/// A body that a route would take.
fn body_for(path: &str) -> Option<String> {
    let body = match path.rsplit('/').next().unwrap() {
        "replay" if path.contains("/endpoints/") => json!({"since": "2020-01-01T00:00:00Z"}),
        "replays" => json!({"state": "dead_lettered"}),
        "erasures" => json!({"text": "nobody"}),
        "events" => json!({"type": "a.b", "data": {}}),
        "batch" => json!({"events": [{"type": "a.b", "data": {}}]}),
        "endpoints" => json!({"url": "https://a.example.com/", "dialect": "standard"}),
        "keys" => json!({"name": "k", "scopes": ["events:read"]}),
        "projects" => json!({"name": "q"}),
        "poam-items" => {
            json!({"finding_id": "0ef8ac7e-1b9d-48d9-82eb-2f2355ba2b31", "scheduled_completion_date": "2030-01-01"})
        }
        "trainings" => json!({"user": "a@example.com", "training": "t", "score": 1,
            "started_at": "2026-01-01T00:00:00Z", "completed_at": "2026-01-01T00:00:01Z"}),
        "event-types" => json!({"type": "a.b", "description": "d"}),
        "poam-policy" => json!({"rules": []}),
        "fail" => json!({"error": "e"}),
        _ => json!({}),
    };
    Some(body.to_string())
}

/// Every documented operation below an organisation: method and path template.
fn operations() -> Vec<(Method, String)> {
    let contract = serde_json::to_value(watchbell_api::openapi()).unwrap();
    let mut found = Vec::new();
    for (path, item) in contract["paths"].as_object().unwrap() {
        for method in ["get", "post", "patch", "delete", "put"] {
            if path.contains("{org}") && item.get(method).is_some() {
                found.push((method.to_uppercase().parse().unwrap(), path.clone()));
            }
        }
    }
    assert!(found.len() > 25, "{found:?}");
    found
}

#[tokio::test]
async fn every_route_answers_another_organisations_things_like_nothing() {
    let world = World::new().await;
    let theirs = theirs(&world).await;
    world
        .add_key(
            "ours",
            Some(world.org),
            Scope::ALL.iter().copied().filter(|s| *s != Scope::Admin).collect::<Vec<_>>().as_slice(),
        )
        .await;
    let random = "0192f0c1-0000-7000-8000-00000000dead";
    let mut seen = BTreeSet::new();
    for (method, template) in operations() {
        let area = template.split('/').nth(5).unwrap_or_default().to_owned();
        let id = theirs.ids.iter().find(|(name, _)| *name == area);
        let fill = |org: &str, id: &str| template.replace("{org}", org).replace("{id}", id).replace("{type}", "a.b");
        let own_org = world.org.to_string();
        let their_id = id.map_or(random, |(_, id)| id.as_str());
        let mut attempts = vec![fill(&theirs.org, their_id), fill("other", their_id)];
        if template.contains("{id}") {
            attempts.push(fill(&own_org, their_id));
        }
        let nothing = fill(random, random);
        let expected = world.call("ours", method.clone(), &nothing, body_for(&template)).await.is(404);
        for path in attempts {
            let reply = world.call("ours", method.clone(), &path, body_for(&template)).await;
            assert_eq!(reply.status, 404, "{method} {path}: {}", reply.text());
            assert_eq!(reply.without_request_id(), expected.without_request_id(), "{method} {path}");
        }
        seen.insert(area);
    }
    for area in [
        "endpoints",
        "events",
        "deliveries",
        "projects",
        "keys",
        "replays",
        "erasures",
        "poam-items",
        "trainings",
        "scans",
    ] {
        assert!(seen.contains(area), "{area}");
    }
    // Nothing of it had an effect.
    let path = |rest: &str| format!("/api/v1/orgs/{}{rest}", theirs.org);
    for (area, id) in &theirs.ids {
        if *area != "keys" {
            world.get(&path(&format!("/{area}/{id}"))).await.is(200);
        }
    }
    let events = world.get(&path("/events")).await.is(200).json();
    // The ping of the endpoint's creation, the posted one, the lesson's and the scan's.
    assert_eq!(events["items"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn filters_and_cursors_show_nothing_of_others() {
    let world = World::new().await;
    let theirs = theirs(&world).await;
    world.add_key("ours", Some(world.org), &[Scope::EventsRead, Scope::DeliveriesRead]).await;
    let id = |area: &str| theirs.ids.iter().find(|(name, _)| *name == area).unwrap().1.clone();
    for query in [
        format!("/deliveries?endpoint={}", id("endpoints")),
        format!("/deliveries?event={}", id("events")),
        format!("/events?project={}", id("projects")),
    ] {
        let reply = world.call("ours", Method::GET, &world.path(&query), None).await.is(200);
        assert_eq!(reply.json()["items"], json!([]));
    }
    let first = world.get(&format!("/api/v1/orgs/{}/events?limit=1", theirs.org)).await.is(200).json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let path = world.path(&format!("/events?cursor={cursor}"));
    let reply = world.call("ours", Method::GET, &path, None).await.is(400);
    assert_eq!(reply.code(), "cursor_invalid");
    let orgs = world.call("ours", Method::GET, "/api/v1/orgs", None).await.is(200).json();
    assert_eq!(orgs["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn snyks_api_is_walled_as_well() {
    let world = World::new().await;
    let theirs = theirs(&world).await;
    world.add_key("ours", Some(world.org), &[Scope::EndpointsRead, Scope::EndpointsWrite]).await;
    let hook = &theirs.ids[0].1;
    let their_org = theirs.org.strip_prefix("org_").unwrap();
    for (method, path) in [
        (Method::GET, format!("/v1/org/{their_org}/webhooks")),
        (Method::POST, format!("/v1/org/{their_org}/webhooks")),
        (Method::GET, format!("/v1/org/{}/webhooks/{hook}", world.org.bare())),
        (Method::DELETE, format!("/v1/org/{}/webhooks/{hook}", world.org.bare())),
        (Method::POST, format!("/v1/org/{}/webhooks/{hook}/ping", world.org.bare())),
    ] {
        world.call("ours", method, &path, Some("{}".into())).await.is(404);
    }
    world.get(&format!("/v1/org/{their_org}/webhooks/{hook}")).await.is(200);
}
