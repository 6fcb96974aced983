//! Row H4 with the binary: files cannot grow any more, as on a full disk or beyond a quota; nothing can be written at all, as
//! on a file system that the kernel mounted anew to be read.
//!
//! The limit is the kernel's, on the size of the process's files, and needs no privilege: writes fail in the middle of a
//! commit, and not before SQLite tries. The other is a library that is loaded before the server.

use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::client::{Client, make_endpoint, make_org};
use crate::power::library;
use crate::process::{Home, Process};
use crate::sink::Sink;
use crate::{TURN, say};

const LONGEST: Duration = Duration::from_secs(10);
/// How long no attempt is to be seen.
const WATCHED: Duration = Duration::from_secs(2);

/// More events than this are not in the log's last 64 KiB.
const FIT_MAX: i32 = 32;

/// How much can be written.
#[derive(Clone, Copy)]
enum Room {
    /// A little, so that it ends in the middle of something.
    Little,
    None,
    Enough,
}

fn home() -> Home {
    let often = "\"100ms\", ".repeat(40);
    Home::new(&format!("[delivery]\nretry_schedule = [{often}\"1s\"]\n"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h4_a_full_disk_is_said_and_ends_by_itself() {
    let _turn = TURN.lock().await;
    let home = home();
    let log = home.path().join("data/watchbell.db-wal");
    let written = || std::fs::metadata(&log).unwrap().len();
    is_said_and_ends_by_itself("full disk", &home, home.start_with_limit(), |server, room| {
        server.limit_files(match room {
            Room::Little => Some(written() + (64 << 10)),
            Room::None => Some(written()),
            Room::Enough => None,
        });
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h4_a_file_system_that_is_read_only_is_said_and_ends_by_itself() {
    let _turn = TURN.lock().await;
    let home = home();
    let folder = TempDir::new().unwrap();
    let library = library("readonly", folder.path());
    let sign = folder.path().join("sign");
    let server = home.start_with(&[("LD_PRELOAD", library.as_os_str()), ("WATCHBELL_READONLY", sign.as_os_str())]);
    is_said_and_ends_by_itself("read-only file system", &home, server, |_, room| match room {
        Room::Little | Room::None => std::fs::write(&sign, "").unwrap(),
        Room::Enough => std::fs::remove_file(&sign).unwrap(),
    })
    .await;
}

#[expect(clippy::disallowed_methods, reason = "elapsed time is what is measured")]
async fn is_said_and_ends_by_itself(what: &str, home: &Home, server: Process, give: impl Fn(&Process, Room)) {
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

    give(&server, Room::Little);
    let mut taken = 1;
    let refused = loop {
        match client.post(&events, &event).await.unwrap() {
            (202, _) => taken += 1,
            (_, refused) => break refused,
        }
    };
    assert_eq!(refused["code"], "storage_full", "{refused}");
    assert_eq!(client.retry_after.as_deref(), Some("10"), "{refused}");
    give(&server, Room::None);
    // What was refused may have been written together with outcomes; alone, one more may fit into what the log has.
    let before = taken;
    while client.post(&events, &event).await.unwrap().0 != 503 {
        taken += 1;
        assert!(taken < before + FIT_MAX, "nothing can be written, and it is taken");
    }
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

    give(&server, Room::Enough);
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
    say(&format!("{what}: {taken} taken before; ready again in {back:.1?}, delivering in {gone:.1?}"));
    server.kill();
    home.must_be_sound();
}
