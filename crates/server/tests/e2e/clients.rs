//! Clients that are not ours work unchanged: `gql` and `graphql-request` against `/graphql`, `pysnyk` and
//! `snyk-api-ts-client` against Snyk's API; and the console in a real browser.
//!
//! They are installed from their registries into the target folder at the first run. What cannot be installed is said
//! loudly and left out.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::client::{Client, make_org};
use crate::installs::Installs;
use crate::process::{ADMIN_KEY, Home};
use crate::say;

const CLIENTS: Installs = Installs("clients");

/// Python with the clients.
fn python() -> Option<PathBuf> {
    CLIENTS.python("gql and pysnyk", "import gql, requests_toolbelt, snyk")
}

/// A folder in which Node finds the clients.
fn node() -> Option<PathBuf> {
    let probe = "require('snyk-api-ts-client');require.resolve('graphql-request')";
    CLIENTS.node("graphql-request and snyk-api-ts-client", probe)
}

/// The line of JSON that a script prints.
fn seen(command: &mut Command) -> Value {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let last = serde_json::from_str(text.lines().last().unwrap_or_default());
    assert!(last.is_ok(), "{text}{errors}");
    last.unwrap()
}

/// A script of Node's stands beside what it requires.
fn placed(folder: &Path, script: &str) -> PathBuf {
    let place = folder.join(script);
    std::fs::copy(CLIENTS.scripts().join(script), &place).unwrap();
    place
}

fn check_webhook(made: &Value) {
    assert_eq!(made["url"], "https://your-app.com/webhooks/aegis");
    assert_eq!(made["events"].as_array().unwrap().len(), 3);
    assert_eq!((&made["secret"], &made["active"]), (&json!("your-webhook-secret"), &json!(true)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gql_registers_webhooks_as_aegis_documents_it() {
    let Some(python) = python() else { return };
    let home = Home::new("");
    let server = home.start();
    make_org(&mut Client::new(&server.address), "acme").await;
    let seen = seen(Command::new(python).arg(CLIENTS.scripts().join("gql_client.py")).args([
        &server.address,
        ADMIN_KEY,
        "acme",
    ]));
    check_webhook(&seen["made"]);
    assert_eq!(seen["listed"].as_array().unwrap().len(), 2);
    assert_eq!(seen["seen"].as_array().unwrap().len(), 2, "{seen}");
    assert_eq!((&seen["refused"], &seen["deleted"]), (&json!("VALIDATION_ERROR"), &json!(true)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn graphql_request_registers_webhooks_as_aegis_documents_it() {
    let Some(node) = node() else { return };
    let home = Home::new("");
    let server = home.start();
    make_org(&mut Client::new(&server.address), "acme").await;
    let script = placed(&node, "graphql_request.mjs");
    let seen = seen(Command::new("node").arg(script).args([&server.address, ADMIN_KEY, "acme"]));
    check_webhook(&seen["made"]);
    assert_eq!(seen["listed"][0]["id"], seen["made"]["id"]);
    assert_eq!(seen["posted"]["event"]["data"]["title"], "T");
    assert_eq!(
        (&seen["refused"], &seen["stranger"]),
        (&json!("VALIDATION_ERROR"), &json!([401, "AUTHENTICATION_ERROR"]))
    );
}

/// What both clients of Snyk's API see.
fn check_snyk(seen: &Value) {
    let id = &seen["made"]["id"];
    let hook = json!({"id": id, "url": "https://my.app.com/webhook-handler/snyk123"});
    assert_eq!((&seen["made"], &seen["shown"]), (&hook, &hook));
    assert_eq!((&seen["listed"]["total"], &seen["listed"]["results"][0]), (&json!(1), &hook));
    assert!(!seen["gone"].is_null(), "{seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pysnyk_registers_webhooks_as_snyk_documents_it() {
    let Some(python) = python() else { return };
    let home = Home::new("");
    let server = home.start();
    let org = Client::new(&server.address).must_post("/api/v1/orgs", json!({"name": "acme"})).await;
    let bare = org["id"].as_str().unwrap().trim_start_matches("org_").to_owned();
    let seen = seen(Command::new(python).arg(CLIENTS.scripts().join("pysnyk_client.py")).args([
        &server.address,
        ADMIN_KEY,
        &bare,
    ]));
    check_snyk(&seen);
    assert_eq!((&seen["gone"], &seen["refused"]), (&json!(404), &json!(400)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snyk_api_ts_client_registers_webhooks_as_snyk_documents_it() {
    let Some(node) = node() else { return };
    let home = Home::new("");
    let server = home.start();
    let org = Client::new(&server.address).must_post("/api/v1/orgs", json!({"name": "acme"})).await;
    let bare = org["id"].as_str().unwrap().trim_start_matches("org_").to_owned();
    let script = placed(&node, "snyk_client.cjs");
    // By name: the client puts `api.` in front of the host, which no address can bear.
    let port = server.address.rsplit(':').next().unwrap();
    let api = format!("http://localhost:{port}/v1");
    let seen = seen(Command::new("node").arg(script).arg(bare).env("SNYK_API", api).env("SNYK_TOKEN", ADMIN_KEY));
    check_snyk(&seen);
}

/// Debian's Chromium, or another. `None`, said loudly, where there is none.
fn chromium() -> Option<&'static str> {
    let found = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
    let found = found.into_iter().find(|path| Path::new(path).exists());
    if found.is_none() {
        say(
            "SKIPPED: there is no Chromium (Debian: apt-get install chromium), so the console was not tried in a browser",
        );
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_console_works_in_a_browser() {
    let (Some(chromium), Some(node)) = (chromium(), node()) else { return };
    let home = Home::new("");
    let server = home.start();
    make_org(&mut Client::new(&server.address), "acme").await;
    let script = placed(&node, "console.mjs");
    let seen = seen(Command::new("node").arg(script).args([&server.address, ADMIN_KEY, chromium]));
    assert!(seen["schema"].as_str().unwrap().contains("Mutation"), "{seen}");
    assert!(seen["answer"].as_str().unwrap().contains("deliveryCounts"), "{seen}");
    assert!(seen["hint"].as_str().unwrap().starts_with("endpoint"), "{seen}");
    assert!(seen["taken"].as_str().unwrap().contains("{ org { endpoint"), "{seen}");
    assert_eq!(seen["browsed"], "type Mutation");
    assert_eq!((&seen["images"], &seen["stored"], &seen["overflows"]), (&json!(0), &json!(0), &json!(false)), "{seen}");
    assert_eq!(seen["stranger"], "the schema is shown to who has a valid API key");
    assert_eq!(seen["faults"], json!([]));
}
