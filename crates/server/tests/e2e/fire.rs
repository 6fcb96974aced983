//! Rows H1 and H16: every named fail point of the binary, killed, panicking, failing and slow.
//!
//! A server is started whose point does it once, and is asked to take six events for an endpoint that refuses each
//! delivery once: by its API, and by a source in turns. Requests that are not answered 2xx are repeated, under their key or
//! as the same message; a server that ended is started again. Then each event is there once and delivered. At the end every delivery is as it was seen, and the database is sound.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use watchbell_domain::failpoint::POINTS;
use watchbell_wire::{Message, Secret, dialect};

use crate::client::{Client, Raw, make_endpoint, make_org};
use crate::process::{Home, Process};
use crate::say;
use crate::sink::Sink;

const EVENTS: usize = 6;
/// At once.
const SERVERS: usize = 5;
/// What the sources' vendor signs with.
const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
/// A claim that was lost comes back with its lease, which is as short as it may be.
const CONFIG: &str = "[delivery]
retry_schedule = [\"0s\", \"20ms\", \"100ms\", \"1s\", \"1s\", \"1s\"]
timeout = \"1s\"
connect_timeout = \"1s\"
body_timeout = \"1s\"

[storage]
lease = \"13s\"
";
const LONGEST: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h1_killed_at_every_point() {
    let ended = pass_all("kill").await;
    assert_eq!(ended.len(), POINTS.len(), "each is passed, and kills: {ended:?}");
}

/// What panics inside a request or an attempt harms nothing else, and a delivery loop that panics begins anew. Only a start
/// that panics ends the process, to be started again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h16_panicking_at_every_point() {
    let ended = pass_all("panic").await;
    let expected: Vec<&str> = POINTS.iter().map(|(point, _)| *point).filter(is_at_start).collect();
    assert_eq!(ended, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h1_failing_at_every_point() {
    let ended = pass_all("error").await;
    assert!(ended.iter().all(is_at_start), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h1_slow_at_every_point() {
    assert_eq!(pass_all("delay(300ms)").await, Vec::<&str>::new());
}

fn is_at_start(point: &&str) -> bool {
    point.starts_with("store.migrate") || *point == "store.release.before"
}

/// At which passage: not one of the start, where there are others.
fn passage(point: &str) -> u32 {
    match point {
        "store.unit" | "store.commit.before" | "store.commit.after" => 4,
        "store.accept" | "engine.send" | "net.read" | "net.write" => 2,
        _ => 1,
    }
}

/// The points at which the server ended. Most of the time goes by while leases run out, so several servers share the points.
async fn pass_all(action: &'static str) -> Vec<&'static str> {
    let share = POINTS.len().div_ceil(SERVERS);
    let shares: Vec<_> = POINTS.chunks(share).map(|points| tokio::spawn(pass(points, action))).collect();
    let mut ended = Vec::new();
    for share in shares {
        ended.extend(share.await.unwrap());
    }
    say(&format!("{action} at {} points: nothing lost, the server ended at {}", POINTS.len(), ended.len()));
    ended
}

async fn pass(points: &[(&'static str, &str)], action: &str) -> Vec<&'static str> {
    let home = Home::new(CONFIG);
    let sink = Sink::start().await;
    let server = home.start();
    let mut client = Client::new(&server.address);
    let mut sources = BTreeMap::new();
    for (point, _) in points {
        let org = make_org(&mut client, &slug(point)).await;
        let given = json!({"dialect": "standard", "name": "vendor", "secret": SECRET});
        let source = client.must_post(&format!("/api/v1/orgs/{org}/sources"), given).await;
        sources.insert(slug(point), format!("/in/{}", source["id"].as_str().unwrap()));
        let url = format!("{}/again/{org}", sink.url);
        make_endpoint(&mut client, &org, json!({"url": url, "dialect": "standard"})).await;
    }
    server.kill();

    let (mut ended, mut seen) = (Vec::new(), BTreeMap::new());
    for (point, _) in points {
        let passing = Passing::start(&home, point, action, sources[&slug(point)].clone());
        let passed = tokio::time::timeout(LONGEST, passing.into_end()).await;
        assert!(passed.is_ok(), "{point}={action}: not everything is delivered in {LONGEST:?}");
        let passed = passed.unwrap();
        seen.insert(slug(point), passed.deliveries);
        if passed.has_ended {
            ended.push(*point);
        }
    }

    let server = home.start();
    let mut client = Client::new(&server.address);
    for (org, before) in &seen {
        assert_eq!(&deliveries(&mut client, org).await.unwrap(), before, "{org}: an ended delivery has changed");
    }
    server.kill();
    home.must_be_sound();
    ended
}

fn slug(point: &str) -> String {
    point.replace('.', "-")
}

/// Id and state.
type States = BTreeMap<String, String>;

async fn deliveries(client: &mut Client, org: &str) -> Option<States> {
    let Ok((200, list)) = client.get(&format!("/api/v1/orgs/{org}/deliveries?limit=100")).await else {
        return None;
    };
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    Some(list["items"].as_array()?.iter().map(|item| (text(&item["id"]), text(&item["state"]))).collect())
}

struct Passing<'h> {
    home: &'h Home,
    org: String,
    /// Where its source is called.
    source: String,
    must_end: bool,
    has_ended: bool,
    server: Process,
    client: Client,
}

struct Passed {
    has_ended: bool,
    deliveries: States,
}

impl<'h> Passing<'h> {
    fn start(home: &'h Home, point: &str, action: &str, source: String) -> Self {
        let armed = home.start_armed(&format!("{point}={action}:{}", passage(point)));
        let has_ended = armed.is_none();
        let server = armed.unwrap_or_else(|| home.start());
        let client = Client::new(&server.address);
        Self { home, org: slug(point), source, must_end: action == "kill", has_ended, server, client }
    }

    async fn into_end(mut self) -> Passed {
        let path = format!("/api/v1/orgs/{}/events", self.org);
        for number in 0..EVENTS {
            let event = json!({"type": "fire.test", "data": {"number": number}});
            if number % 2 == 1 {
                while self.call(number, &event.to_string()).await != Some(200) {
                    self.see_to_it().await;
                }
                continue;
            }
            while !matches!(self.client.post_once(&path, &format!("key-{number}"), &event).await, Ok((202, _))) {
                self.see_to_it().await;
            }
        }
        loop {
            self.see_to_it().await;
            let Some(deliveries) = deliveries(&mut self.client, &self.org).await else { continue };
            assert_eq!(deliveries.len(), EVENTS, "an acknowledged event is lost, or there twice");
            let delivered = deliveries.values().filter(|state| *state == "delivered").count();
            if delivered == EVENTS && (self.has_ended || !self.must_end) {
                self.server.kill();
                return Passed { has_ended: self.has_ended, deliveries };
            }
        }
    }

    /// The source's vendor says so, under the same id each time.
    async fn call(&self, number: usize, body: &str) -> Option<u16> {
        let standard = dialect::find("standard").unwrap();
        #[expect(clippy::disallowed_methods, reason = "the server reads the real clock too")]
        let now = jiff::Timestamp::now();
        let id = format!("msg_{number}");
        let message = Message { id: &id, event: "fire.test", occurred_at: now, sent_at: now, body: body.as_bytes() };
        let key = standard.secrets.key(&Secret::new(SECRET)).unwrap();
        let headers = standard.sign(&message, &[key]).unwrap();
        let lines: Vec<(&str, &str)> = headers.iter().map(|header| (header.name, header.value.as_str())).collect();
        Raw::new(&self.server.address).try_post(&self.source, &lines, body).await.ok().map(|(status, _)| status)
    }

    /// Starts the server again when it has ended.
    async fn see_to_it(&mut self) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        if self.server.has_ended() {
            self.has_ended = true;
            self.server = self.home.start();
            self.client = Client::new(&self.server.address);
        }
    }
}
