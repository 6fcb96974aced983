//! Rows B12 to B14, B19 and B21 with the binary: what is odd goes out as it came in and rules nobody's terminal, what is
//! large costs little, and tens of thousands of hostile bodies leave the server as it was.
//!
//! Six thousand here, so that it takes seconds; `WATCHBELL_HOSTILE=50000` is the row's own figure.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::{Value, json};
use watchbell_domain::Timestamp;
use watchbell_wire::{Message, Secret, dialect};

use crate::client::{Client, make_endpoint, make_org};
use crate::process::{ADMIN_KEY, Home};
use crate::sink::Sink;
use crate::{TURN, say};

const HOSTILE: usize = 6_000;
/// Before memory is looked at, so that caches are full.
const WARM: usize = 2_000;

/// What a body may cost in memory, in its own size.
const TIMES_MAX: u64 = 20;
/// At a source, where it is kept as a receipt and read as a tree: a million of empty lists are 32 times their text.
const TIMES_AT_A_SOURCE_MAX: u64 = 40;

const EVENTS: &str = "/api/v1/orgs/acme/events";

type Lines = Vec<(String, String)>;

fn line(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn as_operator() -> Lines {
    vec![line("authorization", &format!("Bearer {ADMIN_KEY}")), line("content-type", "application/json")]
}

/// What a vendor that uses Standard Webhooks sets for a body, now.
#[expect(clippy::disallowed_methods, reason = "the server's clock is the machine's")]
fn as_vendor(secret: &str, id: &str, body: &[u8]) -> Lines {
    let standard = dialect::find("standard").unwrap();
    let key = standard.secrets.key(&Secret::new(secret)).unwrap();
    let now = Timestamp::now();
    let message = Message { id, event: "", occurred_at: now, sent_at: now, body };
    let headers = standard.sign(&message, &[key]).unwrap();
    headers.into_iter().map(|header| line(header.name, &header.value)).collect()
}

/// The path and the secret of a source.
async fn make_source(client: &mut Client) -> (String, String) {
    let given = json!({"dialect": "standard", "name": "vendor", "make_secret": true, "rate_limit": "off"});
    let made = client.must_post("/api/v1/orgs/acme/sources", given).await;
    (format!("/in/{}", made["id"].as_str().unwrap()), made["secret"].as_str().unwrap().to_owned())
}

/// Spellings that another reader would change, and text that means something to terminals, chats, sheets and templates.
const ODD: &str = "{ \"n\" : 9007199254740993, \"u\":18446744073709551615,\"l\":123456789012345678901234567890 , \"z\":-0,\
    \"d\":1.10,\"e\":1E5,\t\"b\":1,\"a\":2, \"A\":3,\"\\u00e9\":4,\"e\u{301}\":5, \"s\":\"\\u0061\\/\\u0000\",\
    \"hostile\":\"<script>alert(1)</script>'; DROP TABLE event;-- \\r\\n \\u001b[31m <!channel> =1+1 ${jndi:ldap://x} {{7*7}} \u{202e}\u{200b}\"}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b12_b14_b19_what_is_odd_goes_out_as_it_came_and_is_inert_in_the_log() {
    let home = Home::new("[log]\nlevel = \"debug\"\n");
    let log = home.path().join("log");
    let server = home.start_logging_to(&log);
    let mut sink = Sink::start().await;
    let mut client = Client::new(&server.address);
    make_org(&mut client, "acme").await;
    make_endpoint(&mut client, "acme", json!({"url": format!("{}/take", sink.url), "dialect": "standard"})).await;
    let (source, secret) = make_source(&mut client).await;

    let body = format!("{{\"data\" : {ODD} ,\"type\":\"acme.odd\"}}").into_bytes();
    let vendor = as_vendor(&secret, "msg_1", &body);
    for (path, lines, status) in [(EVENTS, as_operator(), 202), (&source, vendor, 200)] {
        let (answered, answer) = client.post_bytes(path, &lines, body.clone()).await.unwrap();
        assert_eq!(answered, status, "{answer}");
        let arrived = sink.arrivals.recv().await.unwrap();
        let text = String::from_utf8(arrived.body.to_vec()).unwrap();
        assert!(text.contains(&format!("\"data\":{ODD}")), "{path}: {text}");
    }

    // What a log may be told by strangers: paths, header values, names, bodies.
    let escape = "\u{1b}[31m\r\nforged: line";
    let mut telling = as_operator();
    telling.push(line("user-agent", "${jndi:ldap://x} %1b[31m"));
    telling.push(line("idempotency-key", "a b"));
    client.post_bytes("/api/v1/orgs/acme%1b%5b31m%0d%0aforged/events", &telling, body.clone()).await.unwrap();
    client.post_bytes("/in/src_%1b%5b31m%0aforged", &telling, escape.as_bytes().to_vec()).await.unwrap();
    for given in [json!({"type": escape, "data": {}}), json!({"type": "a.b", "data": {}, escape: 1})] {
        assert_eq!(client.post(EVENTS, &given).await.unwrap().0, 422);
    }
    let named = json!({"name": "n\u{1b}[31m", "url": "https://a.example/\u{1b}[31m", "dialect": "standard"});
    client.post("/api/v1/orgs/acme/endpoints", &named).await.unwrap();
    let refused = as_vendor("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_2", b"{}");
    client.post_bytes(&source, &refused, escape.as_bytes().to_vec()).await.unwrap();
    server.kill();
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(!text.is_empty(), "at this level something is logged");
    let inert = |c: char| c == '\n' || !c.is_control();
    assert!(text.chars().all(inert), "{text:?}");
    assert!(text.lines().all(|line| line.starts_with(|c: char| c.is_ascii_digit())), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b10_b11_b13_large_bodies_cost_little() {
    let _turn = TURN.lock().await;
    let home = Home::new("");
    let server = home.start();
    let mut client = Client::new(&server.address);
    make_org(&mut client, "acme").await;
    let (source, secret) = make_source(&mut client).await;
    let keys: Vec<String> = (0..55_000).map(|number| format!("\"k{number}\":1")).collect();
    let data = [
        ("digits", format!("{{\"n\":{}}}", "9".repeat(100_000)), false),
        ("keys", format!("{{{}}}", keys.join(",")), true),
        ("arrays", format!("{{\"a\":[{}[]]}}", "[],".repeat(340_000)), true),
        ("escapes", format!("{{\"s\":\"{}\"}}", "\\u00e4".repeat(170_000)), true),
        ("a long key", format!("{{\"{}\":1}}", "k".repeat(1_000_000)), true),
        ("depth", format!("{{\"a\":{}", "[".repeat(1_000_000)), false),
        ("exponent", format!("{{\"n\":1e{}}}", "9".repeat(100_000)), false),
    ];
    for (what, data, is_taken) in data {
        let body = format!("{{\"type\":\"acme.large\",\"data\":{data}}}").into_bytes();
        let vendor = as_vendor(&secret, &what.replace(' ', "_"), &body);
        for (path, lines, times) in [(EVENTS, as_operator(), TIMES_MAX), (&source, vendor, TIMES_AT_A_SOURCE_MAX)] {
            server.forget_peak();
            let (before, ticks) = (server.resident_kib(), server.ticks());
            let (status, answer) = client.post_bytes(path, &lines, body.clone()).await.unwrap();
            let (grown, ticks) = (server.peak_kib().saturating_sub(before), server.ticks() - ticks);
            assert_eq!(status < 300, is_taken, "{what}: {status} {answer}");
            assert!(status < 500, "{what}: {status} {answer}");
            assert!(ticks < 100, "{what} at {path}: {ticks} ticks of 10 ms");
            let most = times * u64::try_from(body.len()).unwrap() / 1024 + 1024;
            assert!(grown <= most, "{what} at {path}: {grown} KiB for {} bytes", body.len());
        }
    }
}

/// A seeded source of numbers (xorshift).
struct Chance(Cell<u64>);

impl Chance {
    fn below(&self, most: usize) -> usize {
        let mut number = self.0.get();
        number ^= number << 13;
        number ^= number >> 7;
        number ^= number << 17;
        self.0.set(number);
        usize::try_from(number % u64::try_from(most).unwrap()).unwrap()
    }

    /// Something that was a message once.
    fn hostile(&self) -> Vec<u8> {
        const GENUINE: [&str; 4] = [
            r#"{"type":"acme.thing_happened","data":{"n":1,"s":"\u00e4","a":[{"b":null},true,1e5]}}"#,
            r#"{"type":"vulnerability.created","data":{"title":"T","severity":"high","cve_id":"CVE-2026-1","cvss_score":9.8}}"#,
            r#"{"event":"vulnerability.created","timestamp":1800000000,"data":{"pubkey":"p","creator":"a@example.com"}}"#,
            r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"t"}},"results":[{"ruleId":"r","message":{"text":"m"}}]}]}"#,
        ];
        let mut body = GENUINE[self.below(GENUINE.len())].as_bytes().to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(body.len());
            match self.below(7) {
                0 => body[at] = u8::try_from(self.below(256)).unwrap(),
                1 => body.truncate(at + 1),
                2 => body.splice(at..at, b"{[\"\\,:9e".to_vec()).for_each(drop),
                3 => body.extend_from_within(at..),
                4 => body.splice(at..at, "[".repeat(self.below(20_000)).into_bytes()).for_each(drop),
                5 => body.splice(at..at, "9".repeat(self.below(5_000)).into_bytes()).for_each(drop),
                _ => body.splice(at..at, b"\\ud800\\u0000\xff\xed\xa0\x80".to_vec()).for_each(drop),
            }
        }
        body
    }
}

#[expect(clippy::disallowed_methods, reason = "how many is a setting of the test")]
fn hostile() -> usize {
    std::env::var("WATCHBELL_HOSTILE").map_or(HOSTILE, |text| text.parse().expect("WATCHBELL_HOSTILE is a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b21_hostile_bodies_leave_the_server_as_it_was() {
    let _turn = TURN.lock().await;
    let home = Home::new("");
    let server = home.start();
    let mut client = Client::new(&server.address);
    make_org(&mut client, "acme").await;
    client.must_post("/api/v1/orgs/acme/projects", json!({"name": "core"})).await;
    let (source, secret) = make_source(&mut client).await;
    let symbiotic = json!({"dialect": "symbiotic", "name": "s", "make_secret": true, "rate_limit": "off"});
    let symbiotic = client.must_post("/api/v1/orgs/acme/sources", symbiotic).await;
    let symbiotic = format!("/in/{}", symbiotic["id"].as_str().unwrap());

    let (chance, most) = (Chance(Cell::new(21)), hostile());
    let mut answered = BTreeMap::<u16, usize>::new();
    let mut warm = 0;
    for number in 0..most {
        if number == most * WARM / HOSTILE {
            warm = server.resident_kib();
        }
        let body = chance.hostile();
        let (path, lines) = match chance.below(5) {
            0 => (EVENTS, as_operator()),
            1 => ("/api/v1/orgs/acme/projects/core/scans", as_operator()),
            2 => ("/api/v1/verify", as_operator()),
            3 => (source.as_str(), as_vendor(&secret, &format!("msg_{number}"), &body)),
            _ => (symbiotic.as_str(), vec![line("symbioticsec_signature", &"0".repeat(64)), as_operator().remove(1)]),
        };
        let shown = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        // A connection that was closed behind the answer before costs a second try, and no third.
        let answer = match client.post_bytes(path, &lines, body.clone()).await {
            Ok(answer) => Ok(answer),
            Err(()) => client.post_bytes(path, &lines, body).await,
        };
        let (status, answer) = answer.unwrap_or_else(|()| panic!("{path} broke off at {shown}"));
        assert!(status < 500, "{path} {shown}: {status} {answer}");
        *answered.entry(status).or_default() += 1;
    }
    let after = server.resident_kib();
    say(&format!("{most} hostile bodies: {answered:?}; memory {warm} KiB warm, {after} KiB at the end"));
    assert!(after <= warm + warm / 10 + 2048, "{warm} KiB became {after}");
    let (status, event) = client.post(EVENTS, &json!({"type": "acme.last", "data": {}})).await.unwrap();
    assert_eq!((status, event["id"].is_string()), (202, true), "{event}");
    let (_, shown) = client.get("/readyz").await.unwrap();
    assert_eq!(shown, Value::from("ready\n"));
}
