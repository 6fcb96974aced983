//! One of ten endpoints hangs: the other nine do not notice.
//!
//! One organisation, ten endpoints, an open loop of events. First all ten answer; then a tenth that never answers takes
//! the place of the last. Both distributions of accept-to-arrival are printed; the healthy nine may lose 50 ms at the
//! p99, or a fifth, whichever is more (a loaded machine is no reason to fail).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Client, make_endpoint, make_org};
use crate::process::{Home, Process};
use crate::sink::Sink;
use crate::{TURN, say};

const ENDPOINTS: usize = 10;
const EVENTS: u64 = 500;
const EVENTS_PER_SECOND: u64 = 100;
const ARRIVAL_MAX: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nine_do_not_notice_that_the_tenth_hangs() {
    let _turn = TURN.lock().await;
    let home = Home::new("");
    let server = home.start();
    let mut sink = Sink::start().await;
    let healthy = measure(&server, &mut sink, "healthy", false).await;
    let beside = measure(&server, &mut sink, "beside", true).await;
    let ratio = beside.p99.as_secs_f64() / healthy.p99.as_secs_f64();
    say(&format!(
        "isolation: nine endpoints p50 {:.2} ms, p99 {:.2} ms; beside one that hangs p50 {:.2} ms, p99 {:.2} ms; p99 \
         ratio {ratio:.2}",
        millis(healthy.p50),
        millis(healthy.p99),
        millis(beside.p50),
        millis(beside.p99),
    ));
    assert!(ratio <= 1.2 || beside.p99 <= healthy.p99 + Duration::from_millis(50));
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

struct Distribution {
    p50: Duration,
    p99: Duration,
}

#[expect(clippy::disallowed_methods, reason = "elapsed time is what is measured")]
async fn measure(server: &Process, sink: &mut Sink, org: &str, one_hangs: bool) -> Distribution {
    let mut client = Client::new(&server.address);
    make_org(&mut client, org).await;
    let healthy = if one_hangs { ENDPOINTS - 1 } else { ENDPOINTS };
    for number in 0..ENDPOINTS {
        let folder = if number < healthy { "take" } else { "hang" };
        let url = format!("{}/{folder}/{org}/{number}", sink.url);
        make_endpoint(&mut client, org, json!({"url": url, "dialect": "standard"})).await;
    }

    let path = format!("/api/v1/orgs/{org}/events");
    let mut sent = BTreeMap::new();
    let mut waits = Vec::new();
    let mut ticks = tokio::time::interval(Duration::from_micros(1_000_000 / EVENTS_PER_SECOND));
    for number in 0..EVENTS {
        ticks.tick().await;
        sent.insert(number, Instant::now());
        client.must_post(&path, json!({"type": "isolation.test", "data": {"number": number}})).await;
    }
    let wanted = usize::try_from(EVENTS).unwrap() * (ENDPOINTS - 1);
    let everything = async {
        while waits.len() < wanted {
            let arrival = sink.arrivals.recv().await.unwrap();
            // The ninth healthy endpoint of the first run is left out, so that both runs count the same nine.
            if !arrival.path.starts_with(&format!("/take/{org}/")) || arrival.path.ends_with("/9") {
                continue;
            }
            let body: Value = serde_json::from_slice(&arrival.body).unwrap();
            waits.push(arrival.at - sent[&body["data"]["number"].as_u64().unwrap()]);
        }
    };
    tokio::time::timeout(ARRIVAL_MAX, everything).await.expect("all nine get everything");
    waits.sort();
    Distribution { p50: waits[waits.len() / 2], p99: waits[waits.len() * 99 / 100] }
}
