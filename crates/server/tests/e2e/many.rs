//! Rows H13 and G2: very many deliveries wait, then all are due at once.
//!
//! Twenty thousand here, so that it takes seconds; `WATCHBELL_MANY=1000000` with a release build in `WATCHBELL_BINARY` is the
//! row's own figure. Meanwhile an endpoint that is well gets what it is sent as before, memory stays where it was, and what
//! is due goes out in the order in which it was accepted.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Client, make_endpoint, make_org};
use crate::process::Home;
use crate::sink::{Arrival, Sink};
use crate::{TURN, say};

const MANY: u64 = 20_000;
/// Events of one request.
const BATCH: u64 = 500;
/// Events to the endpoint that is well, each sent when the one before has arrived.
const PROBES: u64 = 200;
/// What may be added to idle.
const GROWTH_KIB_MAX: u64 = 64 << 10;
/// How far from its place in the order of acceptance a delivery may arrive: ten are in flight at once, and one connection is
/// faster than the next.
const STRAY_MAX: u64 = 64;
const LONGEST: Duration = Duration::from_mins(30);

#[expect(clippy::disallowed_methods, reason = "how many is a setting of the test")]
fn many() -> u64 {
    std::env::var("WATCHBELL_MANY").map_or(MANY, |text| text.parse().expect("WATCHBELL_MANY is a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h13_g2_many_that_wait_and_fall_due_at_once_harm_nobody() {
    let _turn = TURN.lock().await;
    let many = many();
    let home = Home::new("");
    let server = home.start();
    let mut sink = Sink::start().await;
    let mut client = Client::new(&server.address);
    let org = make_org(&mut client, "acme").await;
    let to = |path: &str, event: &str| json!({"url": format!("{}/{path}", sink.url), "dialect": "standard", "events": [event], "max_in_flight": 10});
    let busy = make_endpoint(&mut client, &org, to("busy", "many.waits")).await["id"].as_str().unwrap().to_owned();
    make_endpoint(&mut client, &org, to("well", "many.probe")).await;
    let endpoint = format!("/api/v1/orgs/{org}/endpoints/{busy}");
    client.must_post(&format!("{endpoint}/pause"), json!({})).await;

    let before = probe(&mut client, &mut sink, &org).await;
    let idle = server.resident_kib();
    for first in (0..many).step_by(usize::try_from(BATCH).unwrap()) {
        let events: Vec<Value> = (first..many.min(first + BATCH))
            .map(|number| json!({"type": "many.waits", "data": {"number": number}}))
            .collect();
        client.must_post(&format!("/api/v1/orgs/{org}/events/batch"), json!({"events": events})).await;
    }
    let waiting = probe(&mut client, &mut sink, &org).await;
    let held = server.resident_kib();

    client.must_post(&format!("{endpoint}/resume"), json!({})).await;
    let due = probe(&mut client, &mut sink, &org).await;
    let mut next = due.arrived;
    let mut farthest = due.farthest;
    let everything = async {
        while next < many {
            let arrival = sink.arrivals.recv().await.unwrap();
            farthest = farthest.max(number(&arrival).abs_diff(next));
            next += 1;
        }
    };
    tokio::time::timeout(LONGEST, everything).await.expect("all arrive");
    let peak = server.peak_kib();
    say(&format!(
        "{many} waiting: accepted in p99 {:.1} ms before, {:.1} ms while they wait, {:.1} ms while all are due; arrived in \
         {:.1}, {:.1}, {:.1} ms; memory {} MiB idle, {} while they wait, {} at its peak; at most {farthest} places out of \
         order",
        before.accepted,
        waiting.accepted,
        due.accepted,
        before.delivered,
        waiting.delivered,
        due.delivered,
        idle >> 10,
        held >> 10,
        peak >> 10,
    ));
    assert!(farthest <= STRAY_MAX, "{farthest} places out of order");
    assert!(peak <= idle + GROWTH_KIB_MAX, "{idle} KiB became {peak}");
    for other in [&waiting, &due] {
        assert!(is_as_good(other.accepted, before.accepted, 1.5) && is_as_good(other.delivered, before.delivered, 1.2));
    }
}

/// A loaded machine is no reason to fail.
fn is_as_good(figure: f64, before: f64, factor: f64) -> bool {
    figure <= before * factor || figure <= before + 50.0
}

/// What an endpoint that is well saw: 99th percentiles in milliseconds. And of the others, what came meanwhile.
struct Seen {
    accepted: f64,
    delivered: f64,
    arrived: u64,
    farthest: u64,
}

#[expect(clippy::disallowed_methods, reason = "elapsed time is what is measured")]
async fn probe(client: &mut Client, sink: &mut Sink, org: &str) -> Seen {
    let (mut accepted, mut delivered) = (Vec::new(), Vec::new());
    let mut seen = Seen { accepted: 0.0, delivered: 0.0, arrived: 0, farthest: 0 };
    for number_of_probe in 0..PROBES {
        let begun = Instant::now();
        let event = json!({"type": "many.probe", "data": {"number": number_of_probe}});
        client.must_post(&format!("/api/v1/orgs/{org}/events"), event).await;
        accepted.push(begun.elapsed());
        loop {
            let arrival = sink.arrivals.recv().await.unwrap();
            if arrival.path == "/well" {
                assert_eq!(number(&arrival), number_of_probe);
                delivered.push(arrival.at - begun);
                break;
            }
            seen.farthest = seen.farthest.max(number(&arrival).abs_diff(seen.arrived));
            seen.arrived += 1;
        }
    }
    (seen.accepted, seen.delivered) = (p99(accepted), p99(delivered));
    seen
}

fn p99(mut durations: Vec<Duration>) -> f64 {
    durations.sort();
    durations[durations.len() * 99 / 100].as_secs_f64() * 1_000.0
}

fn number(arrival: &Arrival) -> u64 {
    let body: Value = serde_json::from_slice(&arrival.body).unwrap();
    body["data"]["number"].as_u64().unwrap()
}
