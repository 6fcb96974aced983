//! `/in/{source}`: what vendors call with, what they are told, and what is kept of it.

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};
use watchbell_domain::Timestamp;
use watchbell_wire::{Dialect, Key, Message, Secret, dialect};

use crate::world::{Reply, World};

mod authenticity;
mod bodies;
mod cloudevents;
mod duplicates;
mod receipts;
mod sources;
mod vectors;

/// A source as its vendor knows it.
pub(crate) struct Vendor {
    pub(crate) id: String,
    pub(crate) path: String,
    pub(crate) secret: String,
    pub(crate) dialect: &'static Dialect,
}

pub(crate) type Lines = Vec<(String, String)>;

impl Vendor {
    /// Registers a source; `more` are members of the request.
    pub(crate) async fn new(world: &World, dialect_id: &str, more: Value) -> Self {
        let dialect = dialect::find(dialect_id).unwrap();
        let secret = dialect.secrets.make([7; 32]).expose().to_owned();
        Self::with_secret(world, dialect, secret, more).await
    }

    pub(crate) async fn with_secret(world: &World, dialect: &'static Dialect, secret: String, more: Value) -> Self {
        let is_token = dialect.credential == dialect::Credential::BearerToken;
        let credential = if is_token { "bearer_token" } else { "secret" };
        let mut given = json!({"dialect": dialect.id, "name": "vendor", credential: secret});
        given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = world.post(&world.path("/sources"), given).await.is(201).json();
        let id = made["id"].as_str().unwrap().to_owned();
        let url = made["url"].as_str().unwrap();
        let path = url.strip_prefix("http://localhost:8420").unwrap().to_owned();
        assert_eq!(path, format!("/in/{id}"));
        Self { id, path, secret, dialect }
    }

    pub(crate) fn key(&self) -> Key {
        self.dialect.secrets.key(&Secret::new(self.secret.as_str())).unwrap()
    }

    /// The headers that the vendor sets for a body, at the world's time.
    pub(crate) fn signed(&self, world: &World, event: &str, id: &str, body: &str) -> Lines {
        self.signed_with(&[self.key()], world.now(), event, id, body)
    }

    pub(crate) fn signed_with(&self, keys: &[Key], now: Timestamp, event: &str, id: &str, body: &str) -> Lines {
        let message = Message { id, event, occurred_at: now, sent_at: now, body: body.as_bytes() };
        let headers = self.dialect.sign(&message, keys).unwrap();
        headers.into_iter().map(|header| (header.name.to_owned(), header.value)).collect()
    }

    pub(crate) async fn call(&self, world: &World, lines: &Lines, body: impl Into<Vec<u8>>) -> Reply {
        world.send(posted(&self.path, lines, body)).await
    }

    /// Signs and sends.
    pub(crate) async fn tell(&self, world: &World, event: &str, id: &str, body: &str) -> Reply {
        self.call(world, &self.signed(world, event, id, body), body).await
    }

    pub(crate) async fn receipts(&self, world: &World) -> Vec<Value> {
        let path = world.path(&format!("/receipts?source={}&limit=250", self.id));
        world.get(&path).await.is(200).json()["items"].as_array().unwrap().clone()
    }

    /// The verdict on the latest request.
    pub(crate) async fn verdict(&self, world: &World) -> String {
        let receipts = self.receipts(world).await;
        receipts.first().map(|receipt| receipt["verdict"].as_str().unwrap().to_owned()).unwrap_or_default()
    }
}

pub(crate) fn posted(path: &str, lines: &Lines, body: impl Into<Vec<u8>>) -> Request<Body> {
    let mut request = Request::builder().method(Method::POST).uri(path);
    for (name, value) in lines {
        request = request.header(name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    request.body(Body::from(body.into())).unwrap()
}

/// The same lines with one header changed, taken away, or added.
pub(crate) fn with(lines: &Lines, name: &str, value: Option<&str>) -> Lines {
    let mut changed: Lines = lines.iter().filter(|(given, _)| !given.eq_ignore_ascii_case(name)).cloned().collect();
    changed.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    changed
}

pub(crate) async fn events(world: &World) -> Vec<Value> {
    world.get(&world.path("/events?limit=250")).await.is(200).json()["items"].as_array().unwrap().clone()
}

pub(crate) async fn types(world: &World) -> Vec<String> {
    events(world).await.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

pub(crate) const AEGIS: &str = r#"{"event":"VULNERABILITY_DETECTED","timestamp":"2027-01-15T08:00:00Z","data":{"vulnerabilityId":"0ef8ac7e-1b9d-48d9-82eb-2f2355ba2b31","severity":"HIGH","cveId":"CVE-2026-1","component":{"name":"ms","version":"1.0.0"}}}"#;

pub(crate) const PING: &str = r#"{"webhookId":"d3cf26b3-2d77-497b-bce2-23b33cc15362"}"#;

pub(crate) const SNAPSHOT: &str = r#"{"project":{"id":"af137b96-6966-46c1-826b-2e79ac49bbd9","name":"snyk/goof"},"org":{"id":"a04d9cbd-ae6e-44af-b573-0556b0ad4bd2"},"group":null,"newIssues":[{"id":"npm:ms:20170412","pkgName":"ms","pkgVersions":["0.7.1"],"issueData":{"title":"ReDoS","severity":"critical","identifiers":{"CVE":["CVE-2017-20162"]}}}],"removedIssues":[]}"#;

pub(crate) fn scan(status: &str) -> String {
    json!({"scanId": "abc123", "status": status, "results": {"threatsFound": 0, "details": []},
        "timestamp": "2023-10-23T14:55:00Z"})
    .to_string()
}

pub(crate) fn symbiotic(at: i64) -> String {
    json!({"event": "vulnerability.created", "timestamp": at, "data": {
        "pubkey": "0ef8ac7e-1b9d-48d9-82eb-2f2355ba2b31", "creator": "a@example.com", "rule_id": "AVD-AWS-0088",
        "resource_path": "main.tf", "created_at": at}})
    .to_string()
}

pub(crate) const STANDARD: &str = r#"{"type":"acme.thing_happened","timestamp":"2027-01-15T08:00:00Z","data":{"n":1}}"#;
