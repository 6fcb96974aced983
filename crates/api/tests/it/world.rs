//! A node of the edge over a store in a temporary directory, with time and chance in the test's hand.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tower::ServiceExt;
use watchbell_api::auth::Peer;
use watchbell_api::metrics::{Metrics, Requests};
use watchbell_api::{Edge, Options, Parts};
use watchbell_domain::access::{ApiKey, KeyHash, Scope};
use watchbell_domain::id::{KeyId, OrgId};
use watchbell_domain::member::Role;
use watchbell_domain::org::Org;
use watchbell_domain::port::testing::{ManualClock, SeededEntropy};
use watchbell_domain::port::{Clock, OrgStore, Store, Terms};
use watchbell_domain::{SignedDuration, Timestamp};
use watchbell_engine::delivery::Handle;
use watchbell_engine::evidence::Content;
use watchbell_engine::net::guard::EgressPolicy;
use watchbell_engine::spool::Spool;
use watchbell_store::seal::{SealingKey, SealingKeys};
use watchbell_store::sqlite::{FreeSpace, OpenOptions, SqliteStore, Threads};

/// Reaches every organisation.
pub(crate) const ROOT: &str = "root-key-of-at-least-thirty-two-characters";

/// With less, nothing is added.
pub(crate) const MIN_FREE_BYTES: u64 = 1000;

/// A disk that has what it is told to have.
#[derive(Debug)]
struct Disk(Arc<AtomicU64>);

impl FreeSpace for Disk {
    fn free_bytes(&self, _: &Path) -> std::io::Result<u64> {
        Ok(self.0.load(Ordering::Relaxed))
    }
}

pub(crate) struct World {
    pub(crate) edge: Edge,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: ManualClock,
    pub(crate) org: OrgId,
    /// The loop's end: hints go nowhere here.
    _woken: Box<dyn std::any::Any + Send + Sync>,
    /// How often the clock may still be read before it panics.
    pub(crate) blows_after: Arc<AtomicI64>,
    /// What the disk has left.
    pub(crate) free_bytes: Arc<AtomicU64>,
    pub(crate) router: Router,
    directory: tempfile::TempDir,
}

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Fails with the whole answer unless the status is this.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }

    /// The body without what names this one request.
    pub(crate) fn without_request_id(&self) -> Value {
        let mut body = self.json();
        body.as_object_mut().unwrap().remove("request_id").unwrap();
        body
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let entropy = Arc::new(SeededEntropy::new(7));
        let clock = ManualClock::at(Timestamp::from_second(1_800_000_000).unwrap());
        let free_bytes = Arc::new(AtomicU64::new(u64::MAX));
        let store = SqliteStore::open(OpenOptions {
            directory: directory.path().to_owned(),
            keys: SealingKeys::new(SealingKey::make(&*entropy), Vec::new()),
            entropy: Arc::clone(&entropy) as _,
            clock: Arc::new(clock.clone()),
            find_dialect: watchbell_wire::dialect::find,
            threads: Threads::Inline,
            min_free_bytes: MIN_FREE_BYTES,
            free_space: Arc::new(Disk(Arc::clone(&free_bytes))),
            longest_wait: SignedDuration::from_hours(27),
            disable_after: Some(SignedDuration::from_hours(120)),
        });
        let store: Arc<dyn Store> = Arc::new(store.unwrap());
        let (wake, woken) = Handle::channel();
        let blows_after = Arc::new(AtomicI64::new(i64::MAX));
        let mut registry = Registry::default();
        let requests = Requests::register(&mut registry);
        let mut options = Options::new([9; 32]);
        change(&mut options);
        let parts = Parts {
            store: Arc::clone(&store),
            clock: Arc::new(Fuse { clock: clock.clone(), blows_after: Arc::clone(&blows_after) }),
            entropy: Arc::clone(&entropy) as _,
            wake,
            spool: Spool::open(directory.path().join("spool")).unwrap(),
            content: Arc::new(Content::open(directory.path().join("evidence")).unwrap()),
            egress: Arc::new(EgressPolicy::default()),
            metrics: Metrics::new(requests, Arc::new(registry)),
        };
        let edge = Edge::new(parts, options);
        let org = OrgId::make(clock.now(), &*entropy);
        let router = edge.router();
        let world =
            Self { edge, store, clock, org, _woken: Box::new(woken), blows_after, free_bytes, router, directory };
        world.add_key(ROOT, None, &[Scope::Admin]).await;
        world.add_org(org, "acme").await;
        world
    }

    pub(crate) async fn add_org(&self, id: OrgId, slug: &str) {
        let org = Org { id, slug: slug.into(), name: slug.into(), weight: 1, created_at: self.clock.now() };
        drop(OrgStore::create_org(&*self.store, org, Terms::default()).await.unwrap());
    }

    pub(crate) async fn add_key(&self, text: &str, org: Option<OrgId>, scopes: &[Scope]) -> KeyId {
        let entropy = SeededEntropy::new(u64::from(KeyHash::of(text).0[0]) << 8 | u64::from(KeyHash::of(text).0[1]));
        let key = ApiKey {
            id: KeyId::make(self.clock.now(), &entropy),
            org_id: org,
            name: text.into(),
            scopes: scopes.iter().copied().collect(),
            hash: KeyHash::of(text),
            created_at: self.clock.now(),
            expires_at: None,
            revoked_at: None,
            group_id: None,
            member: None,
            last_used_at: None,
        };
        let id = key.id;
        match org {
            Some(org) => drop(self.store.create_key(org, key, Terms::default()).await.unwrap()),
            None => self.store.set_root_key(key, None).await.unwrap(),
        }
        id
    }

    /// Somebody who has taken an invitation: id and key.
    pub(crate) async fn member(&self, email: &str, role: Role) -> (String, String) {
        let given = json!({"email": email, "role": role.as_str()});
        let invited = self.post(&self.path("/members"), given).await.is(201).json();
        let taken = json!({"token": invited["invitation"]}).to_string();
        let joined = self.call("", Method::POST, "/api/v1/invitations/accept", Some(taken)).await.is(201).json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&invited["id"]), text(&joined["key"]["key"]))
    }

    /// A folder of the data directory.
    pub(crate) fn folder(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    /// A path below the world's organisation.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/api/v1/orgs/{}{rest}", self.org)
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let (mut parts, body) = request.into_parts();
        parts.headers.entry(header::HOST).or_insert("watchbell.test".parse().unwrap());
        let peer: SocketAddr = "192.0.2.1:4711".parse().unwrap();
        parts.extensions.insert(Peer(peer));
        let response = self.router.clone().oneshot(Request::from_parts(parts, body)).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, 64 * 1024 * 1024).collect().await.unwrap().to_bytes();
        Reply { status: parts.status, headers: parts.headers, body: body.to_vec() }
    }

    pub(crate) async fn call(&self, key: &str, method: Method, path: &str, body: Option<String>) -> Reply {
        self.send(request(key, method, path, body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call(ROOT, Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.call(ROOT, Method::POST, path, Some(body.to_string())).await
    }

    pub(crate) async fn post_text(&self, path: &str, body: impl Into<String>) -> Reply {
        self.call(ROOT, Method::POST, path, Some(body.into())).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Reply {
        self.call(ROOT, Method::PATCH, path, Some(body.to_string())).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.call(ROOT, Method::DELETE, path, None).await
    }

    /// An endpoint of the dialect `standard`.
    pub(crate) async fn endpoint(&self) -> Value {
        let given = json!({"url": "https://hooks.example.com/in", "dialect": "standard"});
        self.post(&self.path("/endpoints"), given).await.is(201).json()
    }

    /// A posted event that every `standard` endpoint gets.
    pub(crate) async fn event(&self) -> Value {
        let given = json!({"type": "acme.thing_happened", "data": {"n": 1}});
        self.post(&self.path("/events"), given).await.is(202).json()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn later(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }
}

/// A clock that panics when it is read too often: the way to a panic inside a handler.
#[derive(Debug)]
struct Fuse {
    clock: ManualClock,
    blows_after: Arc<AtomicI64>,
}

impl Clock for Fuse {
    fn now(&self) -> Timestamp {
        assert!(self.blows_after.fetch_sub(1, Ordering::Relaxed) > 0, "the fuse blows");
        self.clock.now()
    }

    fn monotonic(&self) -> SignedDuration {
        self.clock.monotonic()
    }

    fn sleep(&self, wait: SignedDuration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.clock.sleep(wait)
    }
}

pub(crate) fn request(key: &str, method: Method, path: &str, body: Option<String>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if !key.is_empty() {
        request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
    }
    if body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    request.body(body.map_or_else(Body::empty, Body::from)).unwrap()
}

pub(crate) fn non_zero(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}
