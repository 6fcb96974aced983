//! Documents are kept as they are, an organisation's apart from all others'; advisories are everybody's, and an operator's.

use std::sync::atomic::Ordering;

use axum::body::Body;
use http::{Method, Request, header};
use serde_json::{Value, json};
use watchbell_domain::access::Scope;

use crate::world::{MIN_FREE_BYTES, ROOT, Reply, World};

const MIB: usize = 1024 * 1024;

async fn upload(world: &World, query: &str, body: Vec<u8>, key: Option<&str>) -> Reply {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(world.path(&format!("/evidence{query}")))
        .header(header::AUTHORIZATION, format!("Bearer {ROOT}"))
        .header(header::CONTENT_TYPE, "text/html");
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    world.send(request.body(Body::from(body)).unwrap()).await
}

fn id(evidence: &Value) -> &str {
    evidence["id"].as_str().unwrap()
}

/// Files below a folder.
fn files(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

#[tokio::test]
async fn a_document_comes_back_byte_for_byte_and_goes_with_its_last_copy() {
    let world = World::new().await;
    // Several blocks of the spool, and no text.
    let body: Vec<u8> = (0..3 * MIB + 7).map(|n| u8::try_from(n * n % 251).unwrap()).collect();
    let first = upload(&world, "?file_name=a%20b.bin", body.clone(), None).await.is(202).json();
    assert_eq!((&first["state"], &first["file_name"]), (&json!("pending"), &json!("a b.bin")));
    assert_eq!((&first["bytes"], &first["media_type"]), (&json!(body.len()), &json!("text/html")));
    let second = upload(&world, "?file_name=copy", body.clone(), None).await.is(202).json();
    assert_eq!(first["sha256"], second["sha256"]);
    assert_eq!((files(&world.folder("evidence")), files(&world.folder("spool"))), (1, 0));

    let path = |evidence: &Value, rest: &str| world.path(&format!("/evidence/{}{rest}", id(evidence)));
    let content = world.get(&path(&first, "/content")).await.is(200);
    assert_eq!(content.body, body);
    assert_eq!(content.headers[header::CONTENT_TYPE], "application/octet-stream", "never as what it says it is");
    assert_eq!(content.headers[header::CONTENT_DISPOSITION], "attachment");
    let listed = world.get(&world.path("/evidence")).await.is(200).json();
    let ids: Vec<&str> = listed["items"].as_array().unwrap().iter().map(id).collect();
    assert_eq!(ids, [id(&second), id(&first)]);

    world.delete(&path(&first, "")).await.is(204);
    world.delete(&path(&first, "")).await.is(404);
    world.get(&path(&second, "/content")).await.is(200);
    world.delete(&path(&second, "")).await.is(204);
    assert_eq!(files(&world.folder("evidence")), 0);
}

#[tokio::test]
async fn an_upload_is_done_once() {
    let world = World::new().await;
    let first = upload(&world, "?file_name=a", b"one".to_vec(), Some("k")).await.is(202);
    let again = upload(&world, "?file_name=a", b"one".to_vec(), Some("k")).await.is(202);
    assert_eq!(first.json(), again.json());
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let other = upload(&world, "?file_name=a", b"two".to_vec(), Some("k")).await.is(409);
    assert_eq!(other.code(), "idempotency_conflict");
    assert_eq!(files(&world.folder("evidence")), 1, "what was refused left nothing");
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_leaves_nothing() {
    let world = World::with(|options| options.bodies.evidence_bytes_max = 2 * 1024 * 1024).await;
    let code = async |query: &str, body: Vec<u8>| upload(&world, query, body, None).await.code();
    assert_eq!(code("", b"x".to_vec()).await, "query_invalid");
    assert_eq!(code("?file_name=", b"x".to_vec()).await, "query_invalid");
    assert_eq!(code("?file_name=a%00b", b"x".to_vec()).await, "query_invalid");
    assert_eq!(code("?file_name=a&project=none", b"x".to_vec()).await, "not_found");
    assert_eq!(code("?file_name=a", vec![0; 2 * MIB + 1]).await, "body_too_large");
    world.free_bytes.store(MIN_FREE_BYTES - 1, Ordering::Relaxed);
    world.later(1);
    assert_eq!(code("?file_name=a", b"x".to_vec()).await, "storage_full");
    assert_eq!((files(&world.folder("evidence")), files(&world.folder("spool"))), (0, 0));
}

#[tokio::test]
async fn a_scan_leaves_nothing_in_the_spool() {
    let world = World::new().await;
    let project = world.post(&world.path("/projects"), json!({"name": "p"})).await.is(201).json();
    let path = world.path(&format!("/projects/{}/scans", id(&project)));
    world.post_text(&path, r#"{"version": "2.1.0", "runs": []}"#).await.is(422);
    world.post_text(&path, r#"{"runs": [{"tool": {"driver": {"name": "t"}}, "results": []}]}"#).await.is(201);
    assert_eq!(files(&world.folder("spool")), 0);
}

#[tokio::test]
async fn scopes_are_asked_for() {
    let world = World::new().await;
    world.add_key("reads", Some(world.org), &[Scope::EvidenceRead]).await;
    world.add_key("other", Some(world.org), &[Scope::ProjectsWrite]).await;
    let made = upload(&world, "?file_name=a", b"x".to_vec(), None).await.is(202).json();
    let path = world.path(&format!("/evidence/{}", id(&made)));
    world.call("reads", Method::GET, &path, None).await.is(200);
    world.call("reads", Method::DELETE, &path, None).await.is(403);
    world.call("other", Method::GET, &path, None).await.is(403);
    world.call("other", Method::POST, &world.path("/evidence?file_name=a"), Some("x".into())).await.is(403);
}

#[tokio::test]
async fn advisories_are_brought_in_by_operators_and_read_by_all() {
    let world = World::new().await;
    world.add_key("ours", Some(world.org), &[Scope::EventsRead]).await;
    let document = json!({"id": "PYSEC-1", "modified": "2026-01-01T00:00:00Z", "aliases": ["CVE-2026-0001"],
        "affected": [{"package": {"ecosystem": "PyPI", "name": "PyYAML"}, "versions": ["5.3.1"]}]});
    let given = json!({"advisories": [document, {"id": "no time"}, 7]});
    let path = "/api/v1/advisories";
    world.call("ours", Method::POST, path, Some(given.to_string())).await.is(403);
    world.call("", Method::GET, path, None).await.is(401);
    let done = world.post(path, given.clone()).await.is(200).json();
    assert_eq!((&done["added"], &done["unfit"]), (&json!(1), &json!(2)), "{done}");
    assert_eq!(world.post(path, given).await.is(200).json()["unchanged"], 1);
    let listed = world.call("ours", Method::GET, &format!("{path}?ecosystem=PyPI"), None).await.is(200).json();
    assert_eq!(listed["items"][0]["packages"], json!(["PyPI/pyyaml"]));
    let stats = world.call("ours", Method::GET, &format!("{path}/stats"), None).await.is(200).json();
    assert_eq!((&stats["advisories"], &stats["ecosystems"][0]["ecosystem"]), (&json!(1), &json!("PyPI")));
    world.call("ours", Method::GET, &format!("{path}/PYSEC-1"), None).await.is(200);
    world.call("ours", Method::GET, &format!("{path}/PYSEC-2"), None).await.is(404);
    assert_eq!(world.get(&format!("{path}?limit=0")).await.is(400).code(), "query_invalid");
}
