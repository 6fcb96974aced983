//! A node whose clock, chance and connections are the test's; everything else is real.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use watchbell_domain::delivery::{Attempt, Delivery, StateKind};
use watchbell_domain::endpoint::{Endpoint, EndpointPolicy, EndpointSecret, EndpointState, Transport};
use watchbell_domain::event::NewEvent;
use watchbell_domain::id::{DeliveryId, EndpointId, EventId, OrgId};
use watchbell_domain::org::Org;
use watchbell_domain::port::testing::{ManualClock, SeededEntropy};
use watchbell_domain::port::{
    Acceptance, Clock, DeliveryIds, DeliveryStore, EndpointCreation, EndpointStore, Entropy, EventStore, OrgStore,
    Terms, Written,
};
use watchbell_engine::delivery::{Handle, Observer, Options, Parts, Service};
use watchbell_engine::net::client::{Client, Limits};
use watchbell_engine::net::connector::{Connector, Dial, Dialled, Dialling};
use watchbell_engine::net::guard::{AllowRule, EgressPolicy};
use watchbell_engine::net::resolver::{Lookup, Resolver};
use watchbell_engine::net::tls::Tls;
use watchbell_store::seal::{SealingKey, SealingKeys};
use watchbell_store::sqlite::{FileSystem, OpenOptions, SqliteStore, Threads};
use watchbell_wire::{Data, Event, Secret, dialect};

/// The times of a test begin here.
pub(crate) fn start_of_time() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// One request as the endpoint got it.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) at: Timestamp,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// An endpoint that answers with the statuses it was given, in order; the last for ever. `None`: it never answers.
#[derive(Debug, Clone)]
struct Script {
    clock: ManualClock,
    statuses: Arc<Mutex<Vec<Option<u16>>>>,
    tell: mpsc::UnboundedSender<Arrival>,
}

impl Script {
    #[expect(clippy::disallowed_methods, reason = "the body is limited")]
    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, 1 << 20).collect().await.unwrap().to_bytes();
        self.tell.send(Arrival { at: self.clock.now(), headers: head.headers, body }).unwrap();
        let status = {
            let mut statuses = self.statuses.lock().unwrap();
            if statuses.len() > 1 { statuses.remove(0) } else { statuses[0] }
        };
        let Some(status) = status else {
            return std::future::pending().await;
        };
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        Ok(response)
    }
}

impl Dial for Script {
    fn dial(&self, address: SocketAddr) -> Dialling<'_> {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let script = self.clone();
        let service = service_fn(move |request| script.clone().answer(request));
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(far), service));
        Box::pin(async move { Ok(Dialled { stream: Box::new(near), peer: address }) })
    }
}

/// Nothing here has a name.
#[derive(Debug)]
struct NoNames;

impl Resolver for NoNames {
    fn resolve<'a>(&'a self, name: &'a str) -> Lookup<'a> {
        unreachable!("{name} was looked up")
    }
}

/// A running node with one organisation and one endpoint.
pub(crate) struct Node {
    pub(crate) clock: ManualClock,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) arrivals: mpsc::UnboundedReceiver<Arrival>,
    pub(crate) org: OrgId,
    entropy: Arc<SeededEntropy>,
    handle: Handle,
    service: JoinHandle<()>,
    stop: CancellationToken,
}

impl Node {
    /// A node on the store in `folder` whose endpoint answers with `statuses`.
    pub(crate) async fn start(folder: &Path, clock: ManualClock, statuses: Vec<Option<u16>>) -> Self {
        let entropy = Arc::new(SeededEntropy::new(7));
        let store = SqliteStore::open(OpenOptions {
            directory: folder.to_owned(),
            keys: SealingKeys::new(SealingKey::from_bytes([7; 32]), Vec::new()),
            entropy: entropy.clone(),
            clock: Arc::new(clock.clone()),
            find_dialect: dialect::find,
            threads: Threads::Inline,
            min_free_bytes: 0,
            free_space: Arc::new(FileSystem),
            longest_wait: SignedDuration::from_hours(27),
            disable_after: Some(SignedDuration::from_hours(120)),
        })
        .unwrap();
        let store = Arc::new(store);
        let (tell, arrivals) = mpsc::unbounded_channel();
        let script = Script { clock: clock.clone(), statuses: Arc::new(Mutex::new(statuses)), tell };
        let (handle, service, stop) = spawn_service(store.clone(), script, clock.clone(), entropy.clone());
        let org = OrgId(uuid::Uuid::from_u128(1));
        Self { clock, store, arrivals, org, entropy, handle, service, stop }
    }

    /// Makes the organisation and its endpoint.
    pub(crate) async fn set_up(&self) -> EndpointId {
        let now = self.clock.now();
        let org = Org { id: self.org, slug: "acme".to_owned(), name: "Acme".to_owned(), weight: 1, created_at: now };
        let _ = self.store.create_org(org, Terms::default()).await.unwrap();
        let standard = dialect::find("standard").unwrap();
        let endpoint = Endpoint {
            id: EndpointId::make(now, &*self.entropy),
            org_id: self.org,
            url: "http://10.0.0.1/hook".to_owned(),
            dialect: standard,
            description: None,
            events: None,
            state: EndpointState::Active,
            secrets: vec![EndpointSecret { text: standard.secrets.make([9; 32]), created_at: now, expires_at: None }],
            headers: vec![("X-Team".to_owned(), Secret::new("blue"))],
            settings: watchbell_wire::Settings::default(),
            transport: Transport::default(),
            policy: EndpointPolicy::default(),
            not_before: None,
            created_at: now,
            updated_at: now,
        };
        let id = endpoint.id;
        let _ =
            self.store.create_endpoint(EndpointCreation { endpoint, greeting: None }, Terms::default()).await.unwrap();
        id
    }

    /// Accepts an event and answers its one delivery.
    pub(crate) async fn accept(&self) -> DeliveryId {
        let now = self.clock.now();
        let event = Event {
            id: EventId::make(now, &*self.entropy).0,
            event_type: "simulation.test".parse().unwrap(),
            occurred_at: now,
            data: Data::from_text(r#"{"n": 1.10}"#.to_owned()).unwrap(),
        };
        let mut seed = [0; 32];
        self.entropy.fill(&mut seed);
        let acceptance = Acceptance {
            org_id: self.org,
            events: vec![NewEvent::of(event, None)],
            accepted_at: now,
            delivery_ids: DeliveryIds { seed },
        };
        let Written::Fresh(accepted) = self.store.accept(acceptance, None).await.unwrap() else { unreachable!() };
        let (delivery, endpoint) = accepted[0].deliveries[0];
        self.handle.wake(self.org, [endpoint]);
        delivery
    }

    /// The delivery once no attempt is under way.
    pub(crate) async fn settled(&self, id: DeliveryId) -> (Delivery, Vec<Attempt>) {
        loop {
            let found = self.store.delivery(self.org, id).await.unwrap().unwrap();
            if found.0.state.kind() != StateKind::Sending {
                return found;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Moves time to `at`.
    pub(crate) fn advance_to(&self, at: Timestamp) {
        let wait = self.clock.now().duration_until(at);
        self.clock.advance(wait.max(SignedDuration::ZERO));
    }

    /// Ends the node as an operator does.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.service.await.unwrap();
    }
}

fn spawn_service(
    store: Arc<SqliteStore>,
    script: Script,
    clock: ManualClock,
    entropy: Arc<SeededEntropy>,
) -> (Handle, JoinHandle<()>, CancellationToken) {
    let clock: Arc<dyn Clock> = Arc::new(clock);
    let policy = EgressPolicy {
        allow: vec![AllowRule { net: "10.0.0.0/8".parse().unwrap(), port: None }],
        allow_http: true,
        ..EgressPolicy::default()
    };
    let tls = Tls::new(None, clock.clone()).unwrap();
    let connector = Connector::new(policy, Arc::new(NoNames), Arc::new(script), tls, clock.clone());
    let client = Arc::new(Client::new(connector, clock.clone(), Limits::default()));
    let (handle, woken) = Handle::channel();
    let parts = Parts { store, client, clock, entropy, observer: Arc::new(Observer::default()) };
    let service = Service::new(Options::default(), parts, woken).unwrap();
    let stop = CancellationToken::new();
    (handle, tokio::spawn(service.run(stop.clone())), stop)
}
