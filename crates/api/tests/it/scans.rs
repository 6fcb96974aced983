//! Scanners' reports become findings and events.

use axum::body::Body;
use http::{Method, Request, header};
use serde_json::{Value, json};

use crate::world::{ROOT, Reply, World};

const BEFORE: &str = include_str!("../../../../examples/webshop/reports/before/bandit.sarif");
const AFTER: &str = include_str!("../../../../examples/webshop/reports/after/bandit.sarif");

async fn project(world: &World) -> String {
    let made = world.post(&world.path("/projects"), json!({"name": "web shop"})).await.is(201).json();
    made["id"].as_str().unwrap().to_owned()
}

async fn scan(world: &World, project: &str, report: &str, key: Option<&str>) -> Reply {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(world.path(&format!("/projects/{project}/scans")))
        .header(header::AUTHORIZATION, format!("Bearer {ROOT}"));
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    world.send(request.body(Body::from(report.to_owned())).unwrap()).await
}

async fn findings(world: &World, project: &str, query: &str) -> Vec<Value> {
    let listed = world.get(&world.path(&format!("/projects/{project}/findings{query}"))).await.is(200).json();
    listed["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn two_reports_open_and_close_findings() {
    let world = World::new().await;
    let project = project(&world).await;
    let first = scan(&world, &project, BEFORE, None).await.is(201).json();
    assert_eq!((&first["status"], &first["tool"]), (&json!("completed"), &json!("bandit")));
    let open = findings(&world, &project, "?status=open").await;
    assert_eq!(first["findings_new"], open.len());
    assert!(!open.is_empty());
    world.later(60);
    let second = scan(&world, &project, AFTER, None).await.is(201).json();
    let gone = findings(&world, &project, "?status=remediated").await;
    assert_eq!(second["findings_removed"], gone.len());
    let snapshots = world.get(&world.path("/events?type=project.snapshot")).await.is(200).json();
    assert_eq!(snapshots["items"].as_array().unwrap().len(), 1);
    let shown = world.get(&world.path(&format!("/projects/{project}"))).await.is(200).json();
    assert_eq!(shown["last_scan_at"], second["received_at"]);
    findings(&world, &project, "?limit=1").await;
    world.get(&world.path(&format!("/projects/{project}/findings?status=lost"))).await.is(400);
}

#[tokio::test]
async fn a_broken_report_is_refused_and_told() {
    let world = World::new().await;
    let project = project(&world).await;
    scan(&world, &project, BEFORE, None).await.is(201);
    let before = findings(&world, &project, "").await;
    for broken in ["", "{", "{}", "<xml/>", "[]"] {
        let reply = scan(&world, &project, broken, None).await.is(422);
        assert_eq!(reply.code(), "report_invalid");
    }
    assert_eq!(findings(&world, &project, "").await, before);
    let failed = world.get(&world.path("/events?type=scan.failed")).await.is(200).json();
    assert_eq!(failed["items"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn a_repeated_scan_is_applied_once() {
    let world = World::new().await;
    let project = project(&world).await;
    let first = scan(&world, &project, BEFORE, Some("k")).await.is(201);
    let again = scan(&world, &project, BEFORE, Some("k")).await.is(201);
    assert_eq!(first.body, again.body);
    let scans = world.get(&world.path("/events?type=scan.completed")).await.is(200).json();
    assert_eq!(scans["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_report_for_no_project_is_404() {
    let world = World::new().await;
    scan(&world, "prj_0192f0c1-0000-7000-8000-000000000000", BEFORE, None).await.is(404);
}
