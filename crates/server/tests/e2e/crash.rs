//! `kill -9` at random moments under load, again and again on one store; and asked to end under the same load.
//!
//! A round is as cheap as can be: a start, a few events, the end of it. Every tenth looks around.
//!
//! Asserted after the last restart: every event that was answered 2xx arrived (at least once) at its own organisation's
//! endpoint and nowhere else; every delivery that was seen in a terminal state is still in it. `WATCHBELL_CRASH_ROUNDS`
//! sets the number of rounds. The moments come from a seed, `WATCHBELL_CRASH_SEED`, which is printed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};

use crate::client::{Client, make_endpoint, make_org};
use crate::process::{Home, Process};
use crate::sink::{Arrival, Sink};
use crate::{TURN, say};

const ORGS: [&str; 2] = ["alpha", "beta"];
const POSTERS_PER_ORG: usize = 4;
const ROUNDS: u64 = 100;
/// Rounds after which what was seen is looked at again.
const GROUP: u64 = 10;
/// A round ends once so many events were acknowledged, or fewer.
const EVENTS_MAX: u64 = 40;
/// Everything acknowledged has arrived within this time after the last restart, or the test fails.
const LAST_ARRIVAL: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_kill_9() {
    let _turn = TURN.lock().await;
    let rounds = setting("WATCHBELL_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let seed = setting("WATCHBELL_CRASH_SEED").unwrap_or(20_261_122);
    let mut chance = Chance(seed);
    // Retries soon: an attempt that the kill interrupted is repeated within the test.
    let home = Home::new("[delivery]\nretry_schedule = [\"0s\", \"100ms\", \"1s\", \"1s\", \"1s\"]\n");
    let mut sink = Sink::start().await;
    let mut seen = Seen::default();

    let server = home.start();
    set_up(&server, &sink.url).await;
    server.kill();

    let mut acknowledged = BTreeSet::new();
    #[expect(clippy::disallowed_methods, reason = "told, not judged by")]
    let begun = std::time::Instant::now();
    for round in 0..rounds {
        let server = home.start();
        if round % GROUP == 0 {
            check_terminal(&server, seen.recent.drain(..)).await;
        }
        let moment = 1 + chance.next() % EVENTS_MAX;
        let load = Load::start(&server, round, moment);
        load.moment_reached().await;
        if round % GROUP == GROUP - 1 {
            record_terminal(&server, &mut seen).await;
        }
        server.kill();
        acknowledged.extend(load.acknowledged().await);
    }
    let each = begun.elapsed().as_secs_f64() / f64::from(u32::try_from(rounds).unwrap());

    home.must_be_sound();
    let server = home.start();
    let arrived = wait_for(&acknowledged, &mut sink.arrivals).await;
    // Each was looked at after the next start; now all of them, through every later one.
    check_terminal(&server, seen.terminal.iter().cloned()).await;
    let lost = acknowledged.iter().filter(|key| !arrived.contains_key(*key)).count();
    let unacknowledged = arrived.keys().filter(|key| !acknowledged.contains(*key)).count();
    let duplicates: u64 = arrived.values().map(|times| times - 1).sum();
    say(&format!(
        "kill -9: {rounds} rounds of {each:.2} s (seed {seed}), {} events acknowledged, {lost} lost, 0 delivered to a wrong \
         organisation, {duplicates} repeated, {unacknowledged} delivered though not acknowledged, {} terminal states \
         looked at again, 0 changed",
        acknowledged.len(),
        seen.terminal.len(),
    ));
    assert_eq!(lost, 0);
}

/// What runs may finish, what hangs is interrupted after the grace, nobody is let in any more, and the end is a good one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h11_asked_to_end_under_load_it_loses_nothing() {
    const HANGING: &str = "hang/gamma";
    let _turn = TURN.lock().await;
    let home = Home::new("[shutdown]\ngrace = \"2s\"\n\n[delivery]\nretry_schedule = [\"0s\", \"100ms\", \"1s\"]\n");
    let mut sink = Sink::start().await;
    let server = home.start();
    set_up(&server, &sink.url).await;
    let mut client = Client::new(&server.address);
    make_org(&mut client, "gamma").await;
    let endpoint = json!({"url": format!("{}/{HANGING}", sink.url), "dialect": "standard"});
    make_endpoint(&mut client, "gamma", endpoint).await;
    let event = json!({"type": "crash.test", "data": {"org": HANGING, "number": 0}});
    client.must_post("/api/v1/orgs/gamma/events", event).await;
    let mut arrived = BTreeSet::new();
    while !arrived.contains(&format!("/{HANGING}")) {
        arrived.insert(sink.arrivals.recv().await.unwrap().path);
    }

    let load = Load::start(&server, 0, EVENTS_MAX);
    load.moment_reached().await;
    let mut late = Client::new(&server.address);
    server.terminate();
    let mut acknowledged: BTreeSet<Key> = load.acknowledged().await.into_iter().collect();
    assert!(!matches!(late.get("/readyz").await, Ok((200, _))), "it says that it is ready while it ends");
    assert_eq!(server.code_within(Duration::from_secs(4)).await, Some(0), "the grace and two seconds");
    home.must_be_sound();

    let server = home.start();
    acknowledged.insert((HANGING.to_owned(), 0));
    let arrived = wait_for(&acknowledged, &mut sink.arrivals).await;
    let lost = acknowledged.iter().filter(|key| !arrived.contains_key(*key)).count();
    say(&format!("SIGTERM: {} events acknowledged, {lost} lost", acknowledged.len()));
    assert_eq!(lost, 0);
    let mut client = Client::new(&server.address);
    let (_, list) = client.get("/api/v1/orgs/gamma/deliveries").await.unwrap();
    let id = list["items"][0]["id"].as_str().unwrap();
    let (_, delivery) = client.get(&format!("/api/v1/orgs/gamma/deliveries/{id}")).await.unwrap();
    assert_eq!(delivery["attempts"][0]["result"], "interrupted", "{delivery:#}");
    server.kill();
}

/// The first start makes the schema, the first organisation and the first key: killed anywhere in it, the next one does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h10_killed_in_the_middle_of_its_first_start() {
    let _turn = TURN.lock().await;
    for step in 0..12 {
        let home = Home::new("");
        home.kill_at(step * 16 * 1024);
        let server = home.start();
        let mut client = Client::new(&server.address);
        make_org(&mut client, "alpha").await;
        let event = json!({"type": "crash.test", "data": {}});
        assert_eq!(client.post("/api/v1/orgs/alpha/events", &event).await.unwrap().0, 202);
        server.kill();
        home.must_be_sound();
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var_os(name)?.to_str()?.parse().ok()
}

/// An event of the load: its organisation and its number.
type Key = (String, u64);

async fn set_up(server: &Process, sink: &str) {
    let mut client = Client::new(&server.address);
    for org in ORGS {
        make_org(&mut client, org).await;
        make_endpoint(&mut client, org, json!({"url": format!("{sink}/{org}"), "dialect": "standard"})).await;
    }
}

/// Posters that send events until the server dies.
struct Load {
    moment: u64,
    count: Arc<AtomicU64>,
    reached: Arc<Notify>,
    posters: Vec<tokio::task::JoinHandle<Vec<Key>>>,
}

impl Load {
    fn start(server: &Process, round: u64, moment: u64) -> Self {
        let count = Arc::new(AtomicU64::new(0));
        let reached = Arc::new(Notify::new());
        let numbers = Arc::new(AtomicU64::new(round * 1_000_000));
        let mut posters = Vec::new();
        for org in ORGS {
            for _ in 0..POSTERS_PER_ORG {
                let (count, reached, numbers) = (Arc::clone(&count), Arc::clone(&reached), Arc::clone(&numbers));
                let mut client = Client::new(&server.address);
                posters.push(tokio::spawn(async move {
                    let path = format!("/api/v1/orgs/{org}/events");
                    let mut acknowledged = Vec::new();
                    loop {
                        let number = numbers.fetch_add(1, Ordering::Relaxed);
                        let event = json!({"type": "crash.test", "data": {"org": org, "number": number}});
                        let Ok((status, answer)) = client.post(&path, &event).await else {
                            return acknowledged;
                        };
                        assert_eq!(status, 202, "{answer}");
                        acknowledged.push((org.to_owned(), number));
                        if count.fetch_add(1, Ordering::Relaxed) + 1 == moment {
                            reached.notify_one();
                        }
                    }
                }));
            }
        }
        Self { moment, count, reached, posters }
    }

    async fn moment_reached(&self) {
        while self.count.load(Ordering::Relaxed) < self.moment {
            self.reached.notified().await;
        }
    }

    async fn acknowledged(self) -> Vec<Key> {
        let mut all = Vec::new();
        for poster in self.posters {
            all.extend(poster.await.unwrap());
        }
        all
    }
}

/// Organisation, id and state of a delivery that has ended.
type Ended = (String, String, String);

/// Terminal states as they were seen before a kill.
#[derive(Default)]
struct Seen {
    terminal: BTreeSet<Ended>,
    /// Those before the last kill.
    recent: Vec<Ended>,
}

async fn record_terminal(server: &Process, seen: &mut Seen) {
    let mut client = Client::new(&server.address);
    for org in ORGS {
        let path = format!("/api/v1/orgs/{org}/deliveries?state=delivered&limit=10");
        let Ok((200, list)) = client.get(&path).await else {
            continue;
        };
        for delivery in list["items"].as_array().into_iter().flatten() {
            let text = |field: &str| delivery[field].as_str().unwrap().to_owned();
            seen.recent.push((org.to_owned(), text("id"), text("state")));
        }
    }
    seen.terminal.extend(seen.recent.iter().cloned());
}

async fn check_terminal(server: &Process, ended: impl Iterator<Item = Ended>) {
    let mut client = Client::new(&server.address);
    for (org, id, state) in ended {
        let (status, delivery) = client.get(&format!("/api/v1/orgs/{org}/deliveries/{id}")).await.unwrap();
        assert_eq!((status, delivery["state"].as_str()), (200, Some(state.as_str())), "{id} has changed");
    }
}

/// Counts arrivals until everything acknowledged is there; the wrong organisation fails at once.
async fn wait_for(wanted: &BTreeSet<Key>, arrivals: &mut mpsc::UnboundedReceiver<Arrival>) -> BTreeMap<Key, u64> {
    let mut arrived = BTreeMap::new();
    let mut missing = wanted.clone();
    let everything = async {
        while !missing.is_empty() {
            let arrival = arrivals.recv().await.unwrap();
            let body: Value = serde_json::from_slice(&arrival.body).unwrap();
            let org = body["data"]["org"].as_str().unwrap().to_owned();
            assert_eq!(arrival.path, format!("/{org}"), "delivered to a wrong organisation");
            assert_eq!(arrival.headers.get_all("webhook-id").iter().count(), 1);
            let key = (org, body["data"]["number"].as_u64().unwrap());
            missing.remove(&key);
            *arrived.entry(key).or_insert(0) += 1;
        }
    };
    if tokio::time::timeout(LAST_ARRIVAL, everything).await.is_err() {
        say(&format!(
            "{} acknowledged events have not arrived: {:?}",
            missing.len(),
            missing.iter().take(5).collect::<Vec<_>>()
        ));
    }
    arrived
}

/// SplitMix64: a seed gives the same moments again.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
