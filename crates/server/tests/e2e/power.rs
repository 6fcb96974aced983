//! A power cut: what was written and not synced is gone.
//!
//! A library that is loaded before the server keeps, of each of its database's files, a copy as it was synced last. After a
//! `kill -9` a server is started on these copies: everything that was acknowledged has to be there.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use crate::TURN;
use crate::client::{Client, make_endpoint, make_org};
use crate::process::Home;
use crate::sink::Sink;

const ROUNDS: u64 = 5;
const EVENTS: u64 = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2_what_was_acknowledged_survives_a_power_cut() {
    let _turn = TURN.lock().await;
    let folder = TempDir::new().unwrap();
    let library = library("power", folder.path());
    let sink = Sink::start().await;
    let mut home = Home::new("");
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let shadow = TempDir::new().unwrap();
        // What was there before was synced when it came.
        copy(&home.path().join("data"), shadow.path(), &["watchbell.db", "watchbell.db-wal"]);
        let server =
            home.start_with(&[("LD_PRELOAD", library.as_os_str()), ("WATCHBELL_SHADOW", shadow.path().as_os_str())]);
        let mut client = Client::new(&server.address);
        if round == 0 {
            make_org(&mut client, "alpha").await;
            let endpoint = json!({"url": format!("{}/alpha", sink.url), "dialect": "standard"});
            make_endpoint(&mut client, "alpha", endpoint).await;
        }
        for number in 0..EVENTS {
            let event = json!({"type": "power.test", "data": {"round": round, "number": number}});
            let (status, answer) = client.post("/api/v1/orgs/alpha/events", &event).await.unwrap();
            assert_eq!(status, 202);
            acknowledged.push(answer["id"].as_str().unwrap().to_owned());
        }
        server.kill();
        let after = Home::new("");
        std::fs::create_dir(after.path().join("data")).unwrap();
        copy(shadow.path(), &after.path().join("data"), &["watchbell.db", "watchbell.db-wal"]);
        copy(&home.path().join("data"), &after.path().join("data"), &["secrets.key"]);
        home = after;
    }
    let server = home.start();
    let mut client = Client::new(&server.address);
    for id in &acknowledged {
        let (status, _) = client.get(&format!("/api/v1/orgs/alpha/events/{id}")).await.unwrap();
        assert_eq!(status, 200, "{id} was acknowledged and is gone");
    }
    server.kill();
    home.must_be_sound();
}

/// The library that stands in `<name>.c` beside this file, made in `folder`.
pub(crate) fn library(name: &str, folder: &Path) -> PathBuf {
    let library = folder.join(format!("{name}.so"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/e2e/{name}.c"));
    let made = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).arg("-ldl").status();
    assert!(made.unwrap().success(), "a C compiler is needed, as for SQLite itself");
    library
}

fn copy(from: &Path, to: &Path, names: &[&str]) {
    for name in names {
        if from.join(name).exists() {
            std::fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}
