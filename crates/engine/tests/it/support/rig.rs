//! A running delivery loop on a manual clock, and a client alone.

use std::sync::Arc;

use http::HeaderValue;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use watchbell_domain::delivery::StateKind;
use watchbell_domain::endpoint::{Endpoint, EndpointPolicy, EndpointSecret, EndpointState, Transport};
use watchbell_domain::id::{DeliveryId, EndpointId, OrgId};
use watchbell_domain::port::testing::{ManualClock, SeededEntropy};
use watchbell_domain::port::{Clock, Entropy, Settlement};
use watchbell_engine::delivery::{Handle, Observer, Options, Parts, Supervised};
use watchbell_engine::net::client::{Client, Exchange, Limits, Outgoing};
use watchbell_engine::net::connector::{Connector, TcpDial};
use watchbell_engine::net::guard::EgressPolicy;
use watchbell_engine::net::mask::Mask;
use watchbell_engine::net::resolver::{DnsResolver, Options as DnsOptions, Resolver};
use watchbell_engine::net::tls::Tls;
use watchbell_wire::event::Data;
use watchbell_wire::{Event, EventType, Secret};

use super::dialect::DIALECT;
use super::store::{MemoryStore, Row};

pub(crate) const SECRET: &str = "a-secret-of-the-endpoint";

pub(crate) fn start_of_time() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

/// Loopback is open, plain HTTP too.
pub(crate) fn open_policy() -> EgressPolicy {
    EgressPolicy {
        allow: ["127.0.0.0/8", "::1"].map(|rule| rule.parse().unwrap()).to_vec(),
        allow_http: true,
        ..EgressPolicy::default()
    }
}

pub(crate) struct Net {
    pub clock: ManualClock,
    pub policy: EgressPolicy,
    pub limits: Limits,
    pub extra_ca: Option<String>,
    pub resolver: Option<Arc<dyn Resolver>>,
    pub proxy: Option<String>,
}

impl Net {
    pub(crate) fn new() -> Self {
        Self {
            clock: ManualClock::at(start_of_time()),
            policy: open_policy(),
            limits: Limits::default(),
            extra_ca: None,
            resolver: None,
            proxy: None,
        }
    }

    pub(crate) fn client(&self) -> Client {
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let nowhere =
            DnsOptions { servers: vec!["127.0.0.1:9".parse().unwrap()], timeout: SignedDuration::from_secs(3) };
        let resolver = match &self.resolver {
            Some(resolver) => Arc::clone(resolver),
            None => Arc::new(DnsResolver::new(&nowhere, Arc::clone(&clock)).unwrap()),
        };
        let tls = Tls::new(self.extra_ca.as_ref().map(String::as_bytes), Arc::clone(&clock)).unwrap();
        let connector = Connector::new(self.policy.clone(), resolver, Arc::new(TcpDial), tls, Arc::clone(&clock));
        let proxy = self.proxy.as_deref().map(|proxy| proxy.parse().unwrap());
        Client::new(connector.through(proxy), clock, self.limits.clone())
    }
}

/// One exchange over a peer of its own.
pub(crate) async fn post(client: &Client, url: &str, body: &str) -> Exchange {
    let peer = client.peer(url).unwrap();
    post_to(client, &peer, body).await
}

pub(crate) async fn post_to(client: &Client, peer: &watchbell_engine::net::client::Peer, body: &str) -> Exchange {
    let mask = Mask::new([Secret::new(SECRET)]);
    let outgoing = Outgoing {
        method: http::Method::POST,
        target: None,
        headers: vec![("X-Snyk-Transport-ID", HeaderValue::from_static("one"))],
        body: body.to_owned().into(),
        timeout: SignedDuration::from_secs(20),
        mask: &mask,
    };
    client.send(peer, outgoing, &CancellationToken::new()).await.0
}

pub(crate) struct Rig {
    pub clock: ManualClock,
    pub store: Arc<MemoryStore>,
    pub handle: Handle,
    pub observer: Arc<Observer>,
    pub shutdown: CancellationToken,
    pub running: JoinHandle<()>,
    pub settlements: mpsc::UnboundedReceiver<Settlement>,
    entropy: SeededEntropy,
}

pub(crate) fn options() -> Options {
    Options { retry_schedule: [0, 5, 300, 1800].map(SignedDuration::from_secs).to_vec(), ..Options::default() }
}

impl Rig {
    pub(crate) fn start(options: Options) -> Self {
        Self::on(Net::new(), options)
    }

    /// On a network of the test's.
    pub(crate) fn on(net: Net, options: Options) -> Self {
        let (store, settlements) = MemoryStore::new();
        let store = Arc::new(store);
        let (handle, woken) = Handle::channel();
        let observer = Arc::new(Observer::default());
        let parts = Parts {
            store: Arc::clone(&store) as _,
            client: Arc::new(net.client()),
            clock: Arc::new(net.clock.clone()),
            entropy: Arc::new(SeededEntropy::new(7)),
            observer: Arc::clone(&observer),
        };
        let service = Supervised::new(options, parts, woken).unwrap();
        let shutdown = CancellationToken::new();
        Self {
            clock: net.clock,
            store,
            handle,
            observer,
            running: tokio::spawn(service.run(shutdown.clone())),
            shutdown,
            settlements,
            entropy: SeededEntropy::new(1),
        }
    }

    pub(crate) fn endpoint(&self, org: OrgId, url: &str) -> EndpointId {
        self.endpoint_with(org, url, |_| {})
    }

    pub(crate) fn endpoint_with(&self, org: OrgId, url: &str, change: impl FnOnce(&mut Endpoint)) -> EndpointId {
        let now = self.clock.now();
        let id = EndpointId::make(now, &self.entropy);
        let mut endpoint = Endpoint {
            id,
            org_id: org,
            url: url.to_owned(),
            dialect: &DIALECT,
            description: None,
            events: None,
            state: EndpointState::Active,
            secrets: vec![EndpointSecret { text: Secret::new(SECRET), created_at: now, expires_at: None }],
            headers: Vec::new(),
            settings: watchbell_wire::Settings::default(),
            transport: Transport::default(),
            policy: EndpointPolicy::default(),
            not_before: None,
            created_at: now,
            updated_at: now,
        };
        change(&mut endpoint);
        self.store.tables().endpoints.insert(id, Arc::new(endpoint));
        id
    }

    pub(crate) fn deliver(&self, endpoint: EndpointId, data: &str) -> DeliveryId {
        self.deliver_type(endpoint, EventType::VulnerabilityCreated, data)
    }

    pub(crate) fn deliver_type(&self, endpoint: EndpointId, event_type: EventType, data: &str) -> DeliveryId {
        let id = self.add(endpoint, event_type, data);
        let org = self.store.tables().endpoints[&endpoint].org_id;
        self.handle.wake(org, [endpoint]);
        id
    }

    /// Puts a delivery into the store and says nothing about it.
    pub(crate) fn add(&self, endpoint: EndpointId, event_type: EventType, data: &str) -> DeliveryId {
        let now = self.clock.now();
        let id = DeliveryId::make(now, &self.entropy);
        let mut event_id = [0; 16];
        self.entropy.fill(&mut event_id);
        let event = Event {
            id: Uuid::from_bytes(event_id),
            event_type,
            occurred_at: now,
            data: Data::from_text(data.to_owned()).unwrap(),
        };
        let row = Row {
            endpoint,
            event: Arc::new(event),
            state: StateKind::Pending,
            due_at: now,
            lease: 0,
            lease_until: now,
            counted: 0,
            attempts: Vec::new(),
            hops: 0,
            body: None,
        };
        self.store.tables().rows.insert(id, row);
        id
    }

    pub(crate) async fn settled(&mut self) -> Settlement {
        self.settlements.recv().await.unwrap()
    }

    pub(crate) fn state(&self, delivery: DeliveryId) -> StateKind {
        self.store.tables().rows[&delivery].state
    }

    /// Moves time on to a moment.
    pub(crate) fn advance_to(&self, at: Timestamp) {
        self.clock.advance(self.clock.now().duration_until(at));
    }
}

/// Lets everything that can run without the clock run.
pub(crate) async fn settle_down() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

pub(crate) fn org(number: u128) -> OrgId {
    OrgId(Uuid::from_u128(number))
}
