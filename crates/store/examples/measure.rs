//! Measures the store: `cargo run --release -p watchbell-store --example measure [DIRECTORY]`.
//!
//! Prints, for each scene, how much was done a second and what a thousand cost in processor seconds. The directory should
//! be on the disk that is asked about; without one it is a temporary directory.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measuring tool, run by hand")]
#![expect(clippy::disallowed_methods, reason = "real time is what is measured")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use watchbell_domain::delivery::{Attempt, AttemptResult, Response};
use watchbell_domain::endpoint::{Endpoint, EndpointPolicy, EndpointSecret, EndpointState, Transport};
use watchbell_domain::event::NewEvent;
use watchbell_domain::id::{EndpointId, EventId, OrgId};
use watchbell_domain::org::Org;
use watchbell_domain::port::testing::{ManualClock, SeededEntropy};
use watchbell_domain::port::{
    Acceptance, Claim, DeliveryIds, DeliveryStore, EndpointCreation, EndpointStore, Entropy, EventStore, Next,
    OrgStore, Settlement, Terms,
};
use watchbell_domain::{SignedDuration, Timestamp};
use watchbell_store::conformance::dialects;
use watchbell_store::seal::{SealingKey, SealingKeys};
use watchbell_store::sqlite::{FileSystem, OpenOptions, SqliteStore, Threads};
use watchbell_wire::{Data, Event, EventType, Secret};

const CALLERS: usize = 64;
const LEASE: SignedDuration = SignedDuration::from_secs(60);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let temporary = tempfile::tempdir().unwrap();
    let root = std::env::args().nth(1).map_or_else(|| temporary.path().to_owned(), Into::into);
    let count = |fallback: u64| std::env::args().nth(2).map_or(fallback, |text| text.parse().unwrap());
    for (fan_out, events) in [(1, count(100_000)), (10, count(100_000) / 5)] {
        let bench = Bench::open(&root.join(format!("fan-out-{fan_out}")), fan_out).await;
        bench.accept(events).await;
        bench.deliver().await;
    }
    let bench = Bench::open(&root.join("backlog"), 1000).await;
    bench.accept(count(100_000) / 100).await;
    bench.backlog().await;
}

struct Bench {
    store: Arc<SqliteStore>,
    entropy: Arc<SeededEntropy>,
    org: OrgId,
    endpoints: Vec<EndpointId>,
    data: Arc<str>,
}

impl Bench {
    async fn open(directory: &Path, endpoints: usize) -> Self {
        let entropy = Arc::new(SeededEntropy::new(1));
        let options = OpenOptions {
            directory: directory.to_owned(),
            keys: SealingKeys::new(SealingKey::make(&*entropy), Vec::new()),
            entropy: Arc::clone(&entropy) as Arc<dyn Entropy>,
            clock: Arc::new(ManualClock::at(Timestamp::now())),
            find_dialect: dialects::find,
            threads: Threads::default(),
            min_free_bytes: 0,
            free_space: Arc::new(FileSystem),
            longest_wait: SignedDuration::from_hours(27),
            disable_after: Some(SignedDuration::from_hours(120)),
        };
        let store = Arc::new(SqliteStore::open(options).unwrap());
        let now = Timestamp::now();
        let org = OrgId::make(now, &*entropy);
        let row = Org { id: org, slug: "acme".into(), name: "Acme".into(), weight: 1, created_at: now };
        drop(store.create_org(row, Terms::default()).await.unwrap());
        let mut bench = Self { store, entropy, org, endpoints: Vec::new(), data: "".into() };
        for _ in 0..endpoints {
            let endpoint = bench.endpoint(now);
            bench.endpoints.push(endpoint.id);
            let creation = EndpointCreation { endpoint, greeting: None };
            drop(bench.store.create_endpoint(creation, Terms::default()).await.unwrap());
        }
        let description = "x".repeat(700);
        bench.data = format!("{{\"finding_id\":\"f\",\"title\":\"t\",\"description\":\"{description}\"}}").into();
        bench
    }

    fn endpoint(&self, now: Timestamp) -> Endpoint {
        let text = Secret::new("whsec_0123456789abcdef0123456789abcdef");
        Endpoint {
            id: EndpointId::make(now, &*self.entropy),
            org_id: self.org,
            url: "https://example.test/hook".into(),
            dialect: &dialects::ALL,
            description: None,
            events: None,
            state: EndpointState::Active,
            secrets: vec![EndpointSecret { text, created_at: now, expires_at: None }],
            headers: Vec::new(),
            settings: watchbell_wire::Settings::default(),
            transport: Transport::default(),
            policy: EndpointPolicy::default(),
            not_before: None,
            created_at: now,
            updated_at: now,
        }
    }

    async fn accept(&self, events: u64) {
        let left = Arc::new(AtomicU64::new(events));
        let before = (Instant::now(), cpu_seconds(), self.store.stats());
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..CALLERS {
            let (store, entropy, data) = (Arc::clone(&self.store), Arc::clone(&self.entropy), Arc::clone(&self.data));
            let (org, left) = (self.org, Arc::clone(&left));
            callers.spawn(async move {
                let mut waits = Vec::new();
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                    let acceptance = acceptance(org, &data, &*entropy);
                    let began = Instant::now();
                    drop(store.accept(acceptance, None).await.unwrap());
                    waits.push(began.elapsed().as_micros());
                }
                waits
            });
        }
        let mut waits = callers.join_all().await.concat();
        waits.sort_unstable();
        let rank = |share: usize| waits.get(waits.len() * share / 1000).copied().unwrap_or_default();
        let fan_out = self.endpoints.len();
        report(&format!("accept, fan-out {fan_out}"), events, &before, &self.store);
        println!("    p50 {} µs, p99 {} µs, p99.9 {} µs", rank(500), rank(990), rank(999));
    }

    /// Claims and settles everything, a few hundred a claim, all settles of a claim together.
    async fn deliver(&self) {
        let before = (Instant::now(), cpu_seconds(), self.store.stats());
        let mut done = 0;
        loop {
            let now = Timestamp::now();
            let claim = |endpoint: &EndpointId| Claim {
                org_id: self.org,
                endpoint_id: *endpoint,
                limit: 256,
                retries: u32::MAX,
            };
            let claims = self.endpoints.iter().map(claim).collect();
            let claimed = self.store.claim(claims, now, LEASE).await.unwrap();
            let mut settlements = Vec::new();
            for claimed in claimed {
                for taken in claimed.deliveries {
                    let response =
                        Response { status: 200, headers: Vec::new(), body: b"ok".to_vec(), truncated: false };
                    settlements.push(Settlement {
                        org_id: self.org,
                        delivery_id: taken.id,
                        endpoint_id: claimed.endpoint.id,
                        lease: taken.lease,
                        attempt: Some(Attempt {
                            number: taken.attempt_number,
                            started_at: now,
                            duration: SignedDuration::from_millis(3),
                            result: AttemptResult::Http(200),
                            response: Some(response),
                            detail: None,
                        }),
                        next: Next::Delivered,
                        body: None,
                        settled_at: now,
                    });
                }
            }
            let settled = self.store.settle(settlements.into()).await.unwrap().len();
            let settled = u64::try_from(settled).unwrap();
            if settled == 0 {
                break;
            }
            done += settled;
        }
        report(&format!("claim + settle, {} endpoints", self.endpoints.len()), done, &before, &self.store);
    }

    /// With a large backlog: what is due, and a claim.
    async fn backlog(&self) {
        for round in 0..3 {
            let began = Instant::now();
            let due = self.store.due_endpoints().await.unwrap();
            println!("due_endpoints {round}: {} endpoints in {:?}", due.len(), began.elapsed());
        }
        for limit in [1, 16, 256] {
            let claims = self.endpoints.iter().take(4).map(|id| Claim {
                org_id: self.org,
                endpoint_id: *id,
                limit,
                retries: u32::MAX,
            });
            let began = Instant::now();
            let claimed = self.store.claim(claims.collect(), Timestamp::now(), LEASE).await.unwrap();
            let taken: usize = claimed.iter().map(|claimed| claimed.deliveries.len()).sum();
            println!("claim of {taken} from 4 endpoints in {:?}", began.elapsed());
        }
        let Some(first) = self.endpoints.first() else { return };
        let seen = self.store.endpoint(self.org, *first).await.unwrap().unwrap();
        let paused = Endpoint { state: EndpointState::Paused { since: Timestamp::now() }, ..seen.clone() };
        let began = Instant::now();
        drop(self.store.update_endpoint(seen, paused, Terms::default()).await.unwrap());
        println!("pause of an endpoint in {:?}", began.elapsed());
        let began = Instant::now();
        let counts = self.store.count_deliveries(self.org).await.unwrap();
        println!("count_deliveries {counts:?} in {:?}", began.elapsed());
        println!("memory: {}", memory());
    }
}

fn acceptance(org: OrgId, data: &str, entropy: &dyn Entropy) -> Acceptance {
    let now = Timestamp::now();
    let mut seed = [0; 32];
    entropy.fill(&mut seed);
    let event = Event {
        id: EventId::make(now, entropy).0,
        event_type: EventType::VulnerabilityCreated,
        occurred_at: now,
        data: Data::from_text(data.to_owned()).unwrap(),
    };
    let events = vec![NewEvent::of(event, None)];
    Acceptance { org_id: org, events, accepted_at: now, delivery_ids: DeliveryIds { seed } }
}

fn report(what: &str, done: u64, before: &(Instant, f64, watchbell_store::sqlite::Stats), store: &SqliteStore) {
    let seconds = before.0.elapsed().as_secs_f64();
    let (cpu, stats) = (cpu_seconds() - before.1, store.stats());
    let (commits, units) = (stats.commits - before.2.commits, stats.units - before.2.units);
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let (rate, cost, group) =
        (done as f64 / seconds, cpu / (done as f64 / 1000.0), units as f64 / commits.max(1) as f64);
    println!("{what}: {done} in {seconds:.2} s = {rate:.0}/s, {cost:.4} CPU s / 1000, {group:.1} units a commit");
    println!("    {} checkpoints beside the writer", stats.checkpoints - before.2.checkpoints);
}

/// Of this process, user and system.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit_once(") ").unwrap().1;
    let ticks = after_name.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap());
    ticks.sum::<f64>() / 100.0
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let lines = status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"));
    lines.map(|line| line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
}
