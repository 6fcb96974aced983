//! Row H15 with the binary: little memory.
//!
//! The limit is the kernel's, on what the process may write to of its own, and there is no swap behind it: an allocation
//! beyond it fails, which ends a process of ours at once. So there must not be one: more than a hundred clients send a megabyte
//! each, and whoever would be too much is refused.

use serde_json::json;

use crate::client::{Client, make_endpoint, make_org};
use crate::process::Home;
use crate::sink::Sink;
use crate::{TURN, say};

const CLIENTS: usize = 120;
/// Beyond what the idle server has.
const ROOM_BYTES: u64 = 128 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h15_more_than_memory_holds_is_refused_and_costs_nothing_that_was_taken() {
    let _turn = TURN.lock().await;
    let home = Home::new("[server]\nmax_body_memory = \"64MiB\"\n");
    let server = home.start();
    let mut sink = Sink::start().await;
    let mut client = Client::new(&server.address);
    let org = make_org(&mut client, "acme").await;
    let endpoint = json!({"url": format!("{}/take", sink.url), "dialect": "standard"});
    make_endpoint(&mut client, &org, endpoint).await;
    let events = format!("/api/v1/orgs/{org}/events");
    let event = json!({"type": "memory.test", "data": {"text": "x".repeat(1_000_000)}});
    client.must_post(&events, event.clone()).await;
    server.limit_memory(server.data_bytes() + ROOM_BYTES);

    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let (mut client, events, event) = (Client::new(&server.address), events.clone(), event.clone());
        crowd.spawn(async move { client.post(&events, &event).await });
    }
    let (mut taken, mut refused) = (1, 0);
    while let Some(answer) = crowd.join_next().await {
        match answer.unwrap() {
            Ok((202, _)) => taken += 1,
            Ok((429 | 503, _)) => refused += 1,
            Ok((status, answer)) => panic!("{status} {answer}"),
            // Refused by its head, and closed while it was still being sent.
            Err(()) => refused += 1,
        }
    }
    client.must_post(&events, json!({"type": "memory.last", "data": {}})).await;
    for _ in 0..=taken {
        sink.arrivals.recv().await.unwrap();
    }
    assert!(refused > 0, "the limit was never felt: {taken} taken");
    say(&format!(
        "little memory: of {CLIENTS} megabytes at once {} were taken and delivered, {refused} refused",
        taken - 1
    ));
}
