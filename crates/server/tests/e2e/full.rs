//! Row H4 with the binary: files cannot grow any more, as on a full disk or beyond a quota.
//!
//! The limit is the kernel's, on the size of the process's files, and needs no privilege: writes fail in the middle of a
//! commit, and not before SQLite tries.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Client, make_endpoint, make_org};
use crate::process::Home;
use crate::sink::Sink;
use crate::{TURN, say};

const LONGEST: Duration = Duration::from_secs(10);
/// How long no attempt is to be seen.
const WATCHED: Duration = Duration::from_secs(2);

#[expect(clippy::disallowed_methods, reason = "elapsed time is what is measured")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h4_a_full_disk_is_said_and_ends_by_itself() {
    let _turn = TURN.lock().await;
    let often = "\"100ms\", ".repeat(40);
    let home = Home::new(&format!("[delivery]\nretry_schedule = [{often}\"1s\"]\n"));
    let server = home.start_with_limit();
    let mut sink = Sink::start().await;
    let mut client = Client::new(&server.address);
    let org = make_org(&mut client, "acme").await;
    let endpoint = |path: &str| json!({"url": format!("{}/{path}", sink.url), "dialect": "standard"});
    make_endpoint(&mut client, &org, endpoint("take")).await;
    make_endpoint(&mut client, &org, endpoint("down")).await;
    let events = format!("/api/v1/orgs/{org}/events");
    let event = json!({"type": "full.test", "data": {"text": "x".repeat(2000)}});
    client.must_post(&events, event.clone()).await;
    // A delivery that is tried ten times a second is under way.
    while sink.arrivals.recv().await.unwrap().path != "/down" {}

    let log = home.path().join("data/watchbell.db-wal");
    server.limit_files(Some(std::fs::metadata(&log).unwrap().len() + (64 << 10)));
    let mut taken = 1;
    let refused = loop {
        match client.post(&events, &event).await.unwrap() {
            (202, _) => taken += 1,
            (_, refused) => break refused,
        }
    };
    assert_eq!(refused["code"], "storage_full", "{refused}");
    assert_eq!(client.retry_after.as_deref(), Some("10"), "{refused}");
    server.limit_files(Some(std::fs::metadata(&log).unwrap().len()));
    assert_eq!(client.post(&events, &event).await.unwrap().0, 503);
    assert_eq!(client.get("/readyz").await.unwrap().0, 503);
    assert_eq!(client.get("/healthz").await.unwrap().0, 200);
    // What was being sent ends. What was sent cannot be written down, and so nothing more is sent.
    tokio::time::sleep(WATCHED).await;
    while sink.arrivals.try_recv().is_ok() {}
    tokio::time::sleep(WATCHED).await;
    let mut attempts = 0;
    while sink.arrivals.try_recv().is_ok() {
        attempts += 1;
    }
    assert_eq!(attempts, 0, "attempts whose outcome cannot be written");

    server.limit_files(None);
    let begun = Instant::now();
    while client.post(&events, &event).await.unwrap().0 != 202 || client.get("/readyz").await.unwrap().0 != 200 {
        assert!(begun.elapsed() < LONGEST, "it does not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let back = begun.elapsed();
    client.must_post(&events, json!({"type": "full.last", "data": {}})).await;
    let arrived =
        async { while !sink.arrivals.recv().await.unwrap().body.windows(9).any(|window| window == b"full.last") {} };
    tokio::time::timeout(LONGEST, arrived).await.expect("it is delivered again");
    let gone = begun.elapsed();
    say(&format!("full disk: {taken} taken before; ready again in {back:.1?}, delivering in {gone:.1?}"));
    server.kill();
    home.must_be_sound();
}
