//! One life of a node: the real store on real files, the real loop, a network and a clock of ours.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use jiff::SignedDuration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use watchbell_domain::delivery::{Attempt, Delivery};
use watchbell_domain::endpoint::Endpoint;
use watchbell_domain::event::AcceptedEvent;
use watchbell_domain::id::OrgId;
use watchbell_domain::port::testing::SeededEntropy;
use watchbell_domain::port::{
    Clock, DeliveryFilter, DeliveryStore, EndpointStore, EventFilter, EventStore, Page, PageRequest, StoreError,
};
use watchbell_engine::delivery::{Handle, Observer, Options, Parts, Service};
use watchbell_engine::net::client::{Client, Limits};
use watchbell_engine::net::connector::Connector;
use watchbell_engine::net::guard::{AllowRule, EgressPolicy};
use watchbell_engine::net::tls::Tls;
use watchbell_store::seal::{SealingKey, SealingKeys};
use watchbell_store::sqlite::{OpenError, OpenOptions, SqliteStore, Threads};
use watchbell_wire::dialect;

use crate::clock::SimClock;
use crate::faults::{Disk, Faults, MIN_FREE_BYTES};
use crate::net::Net;

/// Entries of a page; small, so that there are several.
const PAGE: u16 = 50;

/// An endpoint that fails for so long is disabled.
pub const DISABLE_AFTER: SignedDuration = SignedDuration::from_mins(5);

/// How the simulated nodes deliver: short enough that a world ends within virtual hours.
pub fn options() -> Options {
    let schedule = [0, 2, 10, 60, 300, 900];
    Options {
        retry_schedule: schedule.map(SignedDuration::from_secs).to_vec(),
        retry_after_max: SignedDuration::from_mins(10),
        timeout: SignedDuration::from_secs(5),
        max_in_flight: 16,
        max_in_flight_per_org: 8,
        max_in_flight_per_endpoint: 4,
        lease: SignedDuration::from_secs(20),
        ..Options::default()
    }
}

fn limits() -> Limits {
    Limits {
        connect_timeout: SignedDuration::from_secs(2),
        body_timeout: SignedDuration::from_secs(2),
        ..Limits::default()
    }
}

/// Where the simulated network may be reached.
pub fn egress() -> EgressPolicy {
    EgressPolicy {
        allow: vec![AllowRule { net: "10.0.0.0/8".parse().unwrap(), port: None }],
        allow_http: true,
        ..EgressPolicy::default()
    }
}

/// Nothing here speaks TLS; the roots of trust, which the client wants all the same, are read once.
static TLS: LazyLock<Tls> = LazyLock::new(|| Tls::new(None, Arc::new(SimClock::new())).unwrap());

/// A running node.
#[derive(Debug)]
pub struct Node {
    /// Its store.
    pub store: Arc<SqliteStore>,
    /// Its loop's ear.
    pub wake: Handle,
    /// Its chance.
    pub entropy: Arc<SeededEntropy>,
    /// Its time.
    pub clock: SimClock,
    /// Whether it takes requests.
    pub open: std::sync::atomic::AtomicBool,
    stop: CancellationToken,
}

impl Node {
    /// Opens the store in `folder` and begins to deliver.
    pub fn start(
        folder: &Path,
        seed: u64,
        clock: &SimClock,
        faults: &Arc<Faults>,
        net: &Arc<Net>,
    ) -> Result<(Self, JoinHandle<()>), OpenError> {
        let entropy = Arc::new(SeededEntropy::new(seed));
        let store = SqliteStore::open(OpenOptions {
            directory: folder.to_owned(),
            keys: SealingKeys::new(SealingKey::from_bytes([7; 32]), Vec::new()),
            entropy: entropy.clone(),
            clock: Arc::new(clock.clone()),
            find_dialect: dialect::find,
            threads: Threads::Inline,
            min_free_bytes: MIN_FREE_BYTES,
            free_space: Arc::new(Disk(Arc::clone(faults))),
            longest_wait: SignedDuration::from_hours(27),
            disable_after: Some(DISABLE_AFTER),
        })?;
        let store = Arc::new(store);
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let connector = Connector::new(egress(), net.clone(), net.clone(), TLS.clone(), shared.clone());
        let client = Arc::new(Client::new(connector, shared.clone(), limits()));
        let (wake, woken) = Handle::channel();
        let observer = Arc::new(Observer::default());
        let parts = Parts { store: store.clone(), client, clock: shared, entropy: entropy.clone(), observer };
        let service = Service::new(options(), parts, woken).unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn(service.run(stop.clone()));
        let open = true.into();
        Ok((Self { store, wake, entropy, clock: clock.clone(), open, stop }, running))
    }

    /// Asks the loop to end, as an operator does.
    pub fn stop(&self) {
        self.open.store(false, std::sync::atomic::Ordering::Relaxed);
        self.stop.cancel();
    }

    /// Every delivery of an organisation with its attempts, oldest first.
    pub async fn deliveries(&self, org: OrgId) -> Result<Vec<(Delivery, Vec<Attempt>)>, StoreError> {
        let mut all = Vec::new();
        let mut before = None;
        loop {
            let page = PageRequest { before, limit: PAGE };
            let Page { items, more } = self.store.deliveries(org, DeliveryFilter::default(), page).await?;
            before = items.last().map(|(delivery, _)| delivery.id.0);
            all.extend(items);
            if !more {
                all.reverse();
                return Ok(all);
            }
        }
    }

    /// Every event of an organisation, oldest first.
    pub async fn events(&self, org: OrgId) -> Result<Vec<AcceptedEvent>, StoreError> {
        let mut all = Vec::new();
        let mut before = None;
        loop {
            let page = PageRequest { before, limit: PAGE };
            let Page { items, more } = self.store.events(org, EventFilter::default(), page).await?;
            before = items.last().map(|event| event.event.id);
            all.extend(items);
            if !more {
                all.reverse();
                return Ok(all);
            }
        }
    }

    /// Every endpoint of an organisation.
    pub async fn endpoints(&self, org: OrgId) -> Result<Vec<Endpoint>, StoreError> {
        let page = PageRequest { before: None, limit: 250 };
        self.store.endpoints(org, page).await.map(|page| page.items)
    }
}
