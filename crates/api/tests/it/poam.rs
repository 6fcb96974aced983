//! Plans of action over the API.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use watchbell_domain::SignedDuration;
use watchbell_domain::access::Scope;
use watchbell_domain::port::{Clock, RingStep};
use watchbell_engine::upkeep::poam::{Options, Service};

use crate::world::{ROOT, World};

const FINDING: &str = "0ef8ac7e-1b9d-48d9-82eb-2f2355ba2b31";

/// The world's clock stands on 2027-01-15, 08:00 UTC.
async fn item(world: &World, given: Value) -> Value {
    world.post(&world.path("/poam-items"), given).await.is(201).json()
}

async fn put(world: &World, path: &str, body: Value) -> crate::world::Reply {
    world.call(ROOT, Method::PUT, path, Some(body.to_string())).await
}

async fn ring(world: &World) {
    world.store.ring(RingStep { now: world.clock.now(), limit: 100 }).await.unwrap();
}

async fn told(world: &World) -> Vec<Value> {
    let events = world.get(&world.path("/events")).await.is(200).json();
    let poam = |event: &&Value| event["type"].as_str().unwrap().starts_with("poam.");
    events["items"].as_array().unwrap().iter().rev().filter(poam).cloned().collect()
}

#[tokio::test]
async fn a_plan_is_made_changed_rung_and_cancelled() {
    let world = World::new().await;
    let given = json!({"finding_id": FINDING, "scheduled_completion_date": "2027-01-20", "title": "Upgrade lodash",
        "owner": "ada@example.com", "milestones": [{"title": "Test", "due": "2027-01-18"}]});
    let made = item(&world, given).await;
    assert_eq!(
        (&made["status"], &made["origin"], &made["title"]),
        (&json!("open"), &json!("api"), &json!("Upgrade lodash"))
    );
    assert_eq!((&made["deadline_at"], &made["days_remaining"]), (&json!("2027-01-21T00:00:00Z"), &json!(5)));
    assert_eq!(made["finding_id"], format!("fnd_{FINDING}"));
    let path = world.path(&format!("/poam-items/{}", made["id"].as_str().unwrap()));
    assert_eq!(world.get(&path).await.is(200).json(), made);
    assert_eq!(world.get(&world.path("/poam-items?status=open")).await.is(200).json()["items"], json!([made]));
    ring(&world).await;
    let rung = told(&world).await;
    assert_eq!((rung.len(), &rung[0]["type"]), (1, &json!("poam.deadline_approaching")));
    let data = &rung[0]["data"];
    assert_eq!(format!("poam_{}", data["poam_id"].as_str().unwrap()), made["id"].as_str().unwrap());
    assert_eq!((&data["finding_id"], &data["days_remaining"]), (&json!(FINDING), &json!(5)));
    assert_eq!((&data["scheduled_completion_date"], &data["title"]), (&json!("2027-01-20"), &json!("Upgrade lodash")));

    world.later(1);
    let change = json!({"scheduled_completion_date": "2027-01-14T12:00:00Z", "owner": null, "notes": "late"});
    let changed = world.patch(&path, change).await.is(200).json();
    assert_eq!(
        (&changed["status"], &changed["owner"], &changed["notes"]),
        (&json!("overdue"), &Value::Null, &json!("late"))
    );
    assert_eq!((&changed["days_overdue"], &changed["milestones"]), (&json!(1), &made["milestones"]));
    ring(&world).await;
    assert_eq!(told(&world).await[1]["data"]["days_overdue"], 1);
    world.later(1);
    let cancelled = world.delete(&path).await.is(200).json();
    assert_eq!((&cancelled["status"], &cancelled["days_overdue"]), (&json!("cancelled"), &Value::Null));
    world.later(86_400);
    ring(&world).await;
    assert_eq!(told(&world).await.len(), 2);
    let open = world.patch(&path, json!({"status": "open"})).await.is(200).json();
    assert_eq!(open["status"], "overdue");
    let done = world.patch(&path, json!({"status": "completed"})).await.is(200).json();
    assert_eq!((&done["status"], &done["completed_by"]), (&json!("completed"), &json!("hand")));
    assert_eq!(told(&world).await[2]["type"], "poam.completed");
    world.delete(&path).await.is(409);
}

/// Days pass in no time: the loop rings each thing once, also when it is stopped and started, and when the clock is set.
#[tokio::test]
async fn the_loop_rings_in_virtual_days() {
    let world = World::new().await;
    let start = || {
        let clock = Arc::new(world.clock.clone());
        let service = Service::new(Options::default(), Arc::clone(&world.store) as _, clock);
        let stop = CancellationToken::new();
        (tokio::spawn(service.run(stop.clone())), stop)
    };
    let later = async |by: SignedDuration| {
        world.clock.advance(by);
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    };
    let (running, stop) = start();
    let given = |date: &str| json!({"finding_id": FINDING, "scheduled_completion_date": date});
    item(&world, given("2027-01-17")).await;
    item(&world, given("2027-01-01")).await;
    later(SignedDuration::from_secs(1)).await;
    // In the order of the looks; what one look told, sorted.
    let days = async |from: usize| {
        let told = told(&world).await;
        let days = |event: &Value| {
            let data = &event["data"];
            data["days_remaining"].as_i64().unwrap_or_else(|| -data["days_overdue"].as_i64().unwrap())
        };
        let mut days: Vec<i64> = told[from..].iter().map(days).collect();
        days.sort_unstable();
        days
    };
    assert_eq!(days(0).await, [-14, 2], "both within a second");
    for _ in 0..24 {
        later(SignedDuration::from_hours(1)).await;
    }
    assert_eq!(days(2).await, [-15], "a day has passed for one");
    stop.cancel();
    running.await.unwrap();
    world.clock.advance(SignedDuration::from_hours(72));
    let (running, stop) = start();
    later(SignedDuration::from_secs(1)).await;
    assert_eq!(days(3).await, [-18, -2], "each once for what it slept through");
    let now = world.clock.now();
    world.clock.set_wall(now - SignedDuration::from_hours(48));
    later(SignedDuration::from_secs(2)).await;
    world.clock.set_wall(now);
    later(SignedDuration::from_secs(2)).await;
    assert_eq!(days(0).await.len(), 5, "none twice");
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_posted_remediation_completes_the_plan() {
    let world = World::new().await;
    let made = item(&world, json!({"finding_id": FINDING, "scheduled_completion_date": "2027-03-01"})).await;
    let said = json!({"type": "vulnerability.remediated", "data": {"finding_id": FINDING, "severity": "high"}});
    world.post(&world.path("/events"), said).await.is(202);
    let path = world.path(&format!("/poam-items/{}", made["id"].as_str().unwrap()));
    let now = world.get(&path).await.is(200).json();
    assert_eq!((&now["status"], &now["completed_by"]), (&json!("completed"), &json!("remediation")));
}

#[tokio::test]
async fn what_does_not_fit_is_named() {
    let world = World::new().await;
    let path = world.path("/poam-items");
    for (given, pointer) in [
        (json!({"finding_id": "x", "scheduled_completion_date": "2027-01-20"}), "/finding_id"),
        (json!({"finding_id": FINDING, "scheduled_completion_date": "soon"}), "/scheduled_completion_date"),
        (json!({"finding_id": FINDING, "scheduled_completion_date": "2027-02-30"}), "/scheduled_completion_date"),
        (json!({"finding_id": FINDING, "scheduled_completion_date": "2027-01-20", "title": " "}), "/title"),
        (
            json!({"finding_id": FINDING, "scheduled_completion_date": "2027-01-20",
            "milestones": [{"title": "a", "due": "2027"}]}),
            "/milestones/0/due",
        ),
    ] {
        let reply = world.post(&path, given).await.is(422);
        assert_eq!(reply.json()["errors"][0]["pointer"], pointer, "{}", reply.text());
    }
    let made = item(&world, json!({"finding_id": FINDING, "scheduled_completion_date": "2027-01-20"})).await;
    let path = world.path(&format!("/poam-items/{}", made["id"].as_str().unwrap()));
    world.patch(&path, json!({"status": "overdue"})).await.is(422);
    world.patch(&path, json!({"status": "lost"})).await.is(422);
    world.get(&world.path("/poam-items?status=lost")).await.is(400);
    world.get(&world.path("/poam-items?finding=x")).await.is(400);
}

#[tokio::test]
async fn settings_and_policy_are_kept_and_checked() {
    let world = World::new().await;
    let (settings, policy) = (world.path("/settings"), world.path("/poam-policy"));
    let default = json!({"time_zone": "UTC", "lead_times": ["30d", "7d", "1d"], "overdue": "daily"});
    assert_eq!(world.get(&settings).await.is(200).json(), default);
    let given = json!({"time_zone": "europe/berlin", "lead_times": ["12h"], "overdue": "once"});
    let kept = put(&world, &settings, given).await.is(200).json();
    assert_eq!(kept, json!({"time_zone": "Europe/Berlin", "lead_times": ["12h"], "overdue": "once"}));
    assert_eq!(world.get(&settings).await.is(200).json(), kept);
    for bad in [
        json!({"time_zone": "Mars/Olympus"}),
        json!({"lead_times": ["1w"]}),
        json!({"lead_times": ["1d", "24h"]}),
        json!({"overdue": "hourly"}),
        json!({"leads": []}),
    ] {
        put(&world, &settings, bad).await.is(422);
    }
    assert_eq!(world.get(&policy).await.is(200).json(), json!({"rules": []}));
    let given =
        json!({"rules": [{"severity": "critical", "days": 3}, {"severity": "high", "days": 30, "cvss_min": 9.0}]});
    put(&world, &policy, given.clone()).await.is(200);
    assert_eq!(world.get(&policy).await.is(200).json()["rules"][1]["cvss_min"], 9.0);
    for bad in [
        json!({"days": 4_000}),
        json!({"days": 1, "cvss_min": 11}),
        json!({"days": 1, "component_type": "a b"}),
        json!({}),
    ] {
        put(&world, &policy, json!({"rules": [bad]})).await.is(422);
    }
    // What is posted as new gets a plan, due in the organisation's own days.
    let said =
        json!({"type": "vulnerability.created", "data": {"finding_id": FINDING, "severity": "critical", "title": "t"}});
    world.post(&world.path("/events"), said).await.is(202);
    let items = world.get(&world.path(&format!("/poam-items?finding=fnd_{FINDING}"))).await.is(200).json();
    let item = &items["items"][0];
    assert_eq!((&item["scheduled_completion_date"], &item["origin"]), (&json!("2027-01-18"), &json!("policy")));
    assert_eq!(item["deadline_at"], "2027-01-18T23:00:00Z");
}

#[tokio::test]
async fn the_catalogue_of_exploited_vulnerabilities_is_the_operators() {
    let world = World::new().await;
    assert_eq!(world.get("/api/v1/kev").await.is(200).json()["count"], 0);
    let given = json!({"title": "CISA Catalog", "catalogVersion": "2027.01.15", "count": 2, "vulnerabilities": [
        {"cveID": "CVE-2021-44228", "vendorProject": "Apache"}, {"cveID": "CVE-2019-19781"}]});
    world.add_key("ours", Some(world.org), &[Scope::ProjectsWrite]).await;
    world.call("ours", Method::PUT, "/api/v1/kev", Some(given.to_string())).await.is(403);
    let kept = put(&world, "/api/v1/kev", given).await.is(200).json();
    assert_eq!((&kept["count"], &kept["version"]), (&json!(2), &json!("2027.01.15")));
    assert_eq!(world.call("ours", Method::GET, "/api/v1/kev", None).await.is(200).json(), kept);
    put(&world, "/api/v1/kev", json!({"vulnerabilities": [{"cveID": "CVE-21-1"}]})).await.is(422);
    put(&world, "/api/v1/kev", json!([])).await.is(422);
}

#[tokio::test]
async fn exports_are_downloads_of_every_item() {
    let world = World::new().await;
    let export = |format: &str| world.path(&format!("/poam-items/export?format={format}"));
    assert_eq!(world.get(&export("oscal")).await.is(409).code(), "conflict");
    world.get(&export("xlsx")).await.is(400);
    for _ in 0..3 {
        item(&world, json!({"finding_id": FINDING, "scheduled_completion_date": "2027-01-20", "title": "=1+1"})).await;
    }
    let table = world.get(&export("csv")).await.is(200);
    assert_eq!(table.headers["content-disposition"], "attachment; filename=\"poam.csv\"");
    assert_eq!(table.text().lines().filter(|line| line.contains(",'=1+1,")).count(), 3, "{}", table.text());
    let plan = world.get(&export("oscal")).await.is(200).json();
    assert_eq!(plan["plan-of-action-and-milestones"]["poam-items"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_key_that_only_reads_plans_nothing() {
    let world = World::new().await;
    let scopes = [Scope::PoamRead, Scope::ProjectsRead, Scope::ProjectsWrite];
    world.add_key("reader", Some(world.org), &scopes).await;
    let given = json!({"finding_id": FINDING, "scheduled_completion_date": "2027-01-20"}).to_string();
    world.call("reader", Method::POST, &world.path("/poam-items"), Some(given)).await.is(403);
    for path in ["/settings", "/poam-policy"] {
        world.call("reader", Method::PUT, &world.path(path), Some("{\"rules\":[]}".into())).await.is(403);
    }
    world.call("reader", Method::GET, &world.path("/poam-items"), None).await.is(200);
    world.add_key("scanner", Some(world.org), &[Scope::ProjectsRead, Scope::ProjectsWrite]).await;
    for path in ["/poam-items", "/poam-items/export?format=csv", "/settings", "/poam-policy"] {
        world.call("scanner", Method::GET, &world.path(path), None).await.is(403);
    }
}
