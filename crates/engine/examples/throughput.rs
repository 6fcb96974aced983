//! What a delivery costs without a store: claim, encode, sign, send over keep-alive HTTP, settle.
//!
//! `cargo run --release --example throughput [deliveries] [endpoints]` prints deliveries per second and the CPU time of the
//! sending process. The endpoints are another process, so that their cost is not counted.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::unimplemented,
    clippy::disallowed_methods,
    reason = "a measurement, not a part"
)]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::io::{BufRead, BufReader};
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use watchbell_domain::audit::Deed;
use watchbell_domain::delivery::{Attempt, Delivery, Lease, StateKind};
use watchbell_domain::endpoint::{Endpoint, EndpointPolicy, EndpointSecret, EndpointState, Transport};
use watchbell_domain::id::{DeliveryId, EndpointId, OrgId};
use watchbell_domain::port::testing::SeededEntropy;
use watchbell_domain::port::*;
use watchbell_engine::delivery::{Handle, Observer, Options, Parts, Service};
use watchbell_engine::net::client::{Client, Limits};
use watchbell_engine::net::connector::{Connector, TcpDial};
use watchbell_engine::net::guard::EgressPolicy;
use watchbell_engine::net::resolver::{DnsResolver, Options as DnsOptions};
use watchbell_engine::net::tls::Tls;
use watchbell_wire::dialect::{Carrier, Credential, EncodeError, Outbound, Secrets};
use watchbell_wire::event::Data;
use watchbell_wire::{Dialect, Event, EventType, Header, Key, Message, Secret, SecretError, Settings};

#[derive(Debug)]
struct RealClock(Instant);

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> SignedDuration {
        self.0.elapsed().try_into().unwrap()
    }

    fn sleep(&self, wait: SignedDuration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(wait.try_into().unwrap_or_default()))
    }
}

static DIALECT: Dialect = Dialect {
    id: "measured",
    name: "measured",
    source: "",
    credential: Credential::SecretGiven,
    carrier: Carrier::Http,
    url_is_secret: false,
    secrets: &Measured,
    inbound: None,
    outbound: Some(&Measured),
};

/// As much work as the real ones: HMAC-SHA256 over the body, hex, five headers.
struct Measured;

impl Secrets for Measured {
    fn key(&self, secret: &Secret) -> Result<Key, SecretError> {
        Ok(Key::hmac(secret.expose().as_bytes()))
    }

    fn check(&self, secret: &Secret) -> Result<Secret, SecretError> {
        Ok(secret.clone())
    }

    fn make(&self, random: [u8; 32]) -> Secret {
        Secret::new(hex::encode(random))
    }
}

impl Outbound for Measured {
    fn event_name<'a>(&self, event_type: &'a EventType) -> Option<std::borrow::Cow<'a, str>> {
        Some(event_type.as_str().into())
    }

    fn encode(&self, event: &Event, _: &Settings) -> Result<Vec<u8>, EncodeError> {
        Ok(event.data.text().as_bytes().to_vec())
    }

    fn headers(&self, message: &Message<'_>, keys: &[Key]) -> Result<Vec<Header>, EncodeError> {
        let signature = match keys.first() {
            Some(Key::Hmac(mac)) => sign(mac.clone(), message.body),
            _ => return Err(EncodeError::Key { wanted: "HMAC" }),
        };
        let line = |name, value| Header { name, value };
        Ok(vec![
            line("Content-Type", "application/json".to_owned()),
            line("X-Snyk-Event", message.event.to_owned()),
            line("X-Snyk-Transport-ID", message.id.to_owned()),
            line("X-Snyk-Timestamp", message.sent_at.to_string()),
            line("X-Hub-Signature", signature),
        ])
    }
}

fn sign(mut mac: impl sha2::digest::FixedOutput, body: &[u8]) -> String {
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize_fixed()))
}

/// Hands out deliveries until so many are delivered.
#[derive(Debug)]
struct Endless {
    endpoints: BTreeMap<EndpointId, Arc<Endpoint>>,
    event: Arc<Event>,
    left: AtomicU64,
    unsettled: AtomicU64,
    failed: AtomicU64,
    done: CancellationToken,
}

impl DeliveryStore for Endless {
    fn due_endpoints(&self) -> Pending<'_, Vec<DueEndpoint>> {
        let due = self.endpoints.values().map(|endpoint| DueEndpoint {
            org_id: endpoint.org_id,
            endpoint_id: endpoint.id,
            due_at: Timestamp::UNIX_EPOCH,
            flow: endpoint.policy.flow(),
        });
        let due = due.collect();
        Box::pin(async { Ok(due) })
    }

    fn claim(&self, claims: Vec<Claim>, now: Timestamp, _: SignedDuration) -> Pending<'_, Vec<Claimed>> {
        let take = |claim: Claim| {
            let left = |left: u64| Some(left.saturating_sub(claim.limit.into()));
            let before = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).unwrap();
            let count = before.min(claim.limit.into());
            let deliveries = (0..count).map(|number| ClaimedDelivery {
                id: DeliveryId(Uuid::from_u64_pair(before, number)),
                lease: Lease(1),
                attempt_number: 1,
                attempts_counted: 0,
                latest_results: Vec::new(),
                event: Arc::clone(&self.event),
                hops: 0,
                body: None,
            });
            Some(Claimed {
                endpoint: Arc::clone(self.endpoints.get(&claim.endpoint_id)?),
                deliveries: deliveries.collect(),
                next_due_at: (before > count).then_some(now),
            })
        };
        let claimed = claims.into_iter().filter_map(take).collect();
        Box::pin(async { Ok(claimed) })
    }

    fn settle(&self, settlements: Arc<[Settlement]>) -> Pending<'_, Vec<Result<Settled, StoreError>>> {
        for settlement in settlements.iter() {
            if settlement.next != Next::Delivered {
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
            if self.unsettled.fetch_sub(1, Ordering::Relaxed) == 1 {
                self.done.cancel();
            }
        }
        Box::pin(async move { Ok(settlements.iter().map(|_| Ok(Settled { state: StateKind::Delivered })).collect()) })
    }

    fn weights(&self) -> Pending<'_, Vec<(OrgId, u32)>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn hand_over(&self, _: Arc<dyn Taker>) {}

    fn delivery(&self, _: OrgId, _: DeliveryId) -> Pending<'_, Option<(Delivery, Vec<Attempt>)>> {
        unimplemented!()
    }

    fn deliveries(&self, _: OrgId, _: DeliveryFilter, _: PageRequest) -> Pending<'_, Page<(Delivery, Vec<Attempt>)>> {
        unimplemented!()
    }

    fn retry_now(&self, _: OrgId, _: DeliveryId, _: Timestamp, _: Option<Deed>) -> Pending<'_, Option<Delivery>> {
        unimplemented!()
    }

    fn cancel(&self, _: OrgId, _: DeliveryId, _: Timestamp, _: Option<Deed>) -> Pending<'_, Option<Delivery>> {
        unimplemented!()
    }

    fn replay(&self, _: Replay, _: Terms) -> Pending<'_, Written<Vec<Delivery>>> {
        unimplemented!()
    }

    fn count_deliveries(&self, _: OrgId) -> Pending<'_, Vec<(StateKind, u64)>> {
        unimplemented!()
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|argument| argument == "sink") {
        return sink();
    }
    let number = |at: usize, default| arguments.get(at).map_or(default, |text| text.parse().unwrap());
    let (deliveries, endpoints) = (number(0, 200_000), number(1, 8));
    let mut child = Command::new(std::env::current_exe().unwrap()).arg("sink").stdout(Stdio::piped()).spawn().unwrap();
    let mut address = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut address).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(measure(deliveries, endpoints, address.trim()));
    child.kill().unwrap();
    child.wait().unwrap();
}

async fn measure(deliveries: u64, endpoints: u64, address: &str) {
    let clock: Arc<dyn Clock> = Arc::new(RealClock(Instant::now()));
    let store = Arc::new(store(deliveries, endpoints, &format!("http://{address}/hook"), clock.now()));
    let (_handle, woken) = Handle::channel();
    let parts = Parts {
        store: Arc::clone(&store) as _,
        client: Arc::new(client(&clock)),
        clock,
        entropy: Arc::new(SeededEntropy::new(1)),
        observer: Arc::new(Observer::default()),
    };
    let options = Options { max_in_flight: 64, ..Options::default() };
    let service = Service::new(options, parts, woken).unwrap();
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    service.run(store.done.clone()).await;
    let (took, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let count = f64::from(u32::try_from(deliveries).unwrap());
    println!(
        "{deliveries} deliveries of 1 KiB to {endpoints} endpoints, 64 in flight: {:.0}/s, {:.4} CPU s per 1000, {} failed",
        count / took,
        cpu / count * 1000.0,
        store.failed.load(Ordering::Relaxed)
    );
}

fn store(deliveries: u64, endpoints: u64, url: &str, now: Timestamp) -> Endless {
    let endpoint = |number| Endpoint {
        id: EndpointId(Uuid::from_u64_pair(1, number)),
        org_id: OrgId(Uuid::from_u64_pair(2, number)),
        url: url.to_owned(),
        dialect: &DIALECT,
        description: None,
        events: None,
        state: EndpointState::Active,
        secrets: vec![EndpointSecret {
            text: Secret::new("a-secret-of-thirty-two-characters"),
            created_at: now,
            expires_at: None,
        }],
        headers: Vec::new(),
        settings: Settings::default(),
        transport: Transport::default(),
        policy: EndpointPolicy { max_in_flight: Some(64), ..EndpointPolicy::default() },
        not_before: None,
        created_at: now,
        updated_at: now,
    };
    let endpoints = (0..endpoints).map(|number| Arc::new(endpoint(number)));
    let data = format!(r#"{{"title":"{}"}}"#, "x".repeat(1024 - 12));
    Endless {
        endpoints: endpoints.map(|endpoint| (endpoint.id, endpoint)).collect(),
        event: Arc::new(Event {
            id: Uuid::nil(),
            event_type: EventType::VulnerabilityCreated,
            occurred_at: now,
            data: Data::from_text(data).unwrap(),
        }),
        left: AtomicU64::new(deliveries),
        unsettled: AtomicU64::new(deliveries),
        failed: AtomicU64::new(0),
        done: CancellationToken::new(),
    }
}

fn client(clock: &Arc<dyn Clock>) -> Client {
    let policy =
        EgressPolicy { allow: vec!["127.0.0.0/8".parse().unwrap()], allow_http: true, ..EgressPolicy::default() };
    let dns = DnsOptions { servers: vec!["127.0.0.1:9".parse().unwrap()], timeout: SignedDuration::from_secs(3) };
    let resolver = Arc::new(DnsResolver::new(&dns, Arc::clone(clock)).unwrap());
    let tls = Tls::new(None, Arc::clone(clock)).unwrap();
    let connector = Connector::new(policy, resolver, Arc::new(TcpDial), tls, Arc::clone(clock));
    let limits = Limits { idle_per_peer_max: 64, ..Limits::default() };
    Client::new(connector, Arc::clone(clock), limits)
}

/// User and system time of this process so far.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let ticks: f64 = stat.split_whitespace().skip(13).take(2).map(|field| field.parse::<f64>().unwrap()).sum();
    ticks / 100.0
}

/// Endpoints that say 200 to everything.
fn sink() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let serve =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(ok));
            tokio::spawn(serve);
        }
    });
}

async fn ok(mut request: http::Request<hyper::body::Incoming>) -> Result<http::Response<Full<Bytes>>, Infallible> {
    while request.frame().await.is_some() {}
    Ok(http::Response::new(Bytes::from_static(b"ok").into()))
}
