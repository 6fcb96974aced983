//! The vendors' own way of verifying accepts what the server sends: Python for Symbiotic, Node for Snyk and Aegis.
//!
//! The events carry what makes signatures differ between languages: text outside ASCII, an emoji, a fraction that is
//! whole, a slash, control characters.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::client::{Client, make_endpoint, make_org};
use crate::process::Home;
use crate::say;

const HARD_TEXT: &str = "Schwäche in \u{1F600} a/b \\ \" <&> \u{7f}\u{2028}\tEnde";

/// A vendor's receiver in another language; it prints a line for each webhook.
struct Receiver {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    url: String,
}

impl Receiver {
    /// `None`, said loudly, when the language is not installed.
    fn start(program: &str, script: &str, secret_file: &std::path::Path) -> Option<Self> {
        let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/vendors").join(script);
        let started = Command::new(program).arg(script).arg(secret_file).stdout(Stdio::piped()).spawn();
        let Ok(mut child) = started else {
            say(&format!("SKIPPED: {program} is not installed, so its vendor's verification was not tried"));
            return None;
        };
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap();
        Some(Self { child, lines, url: format!("http://127.0.0.1:{port}") })
    }

    fn next_line(&mut self) -> String {
        self.lines.next().expect("the receiver lives").unwrap()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn vulnerability() -> Value {
    json!({"type": "vulnerability.created", "data": {
        "title": HARD_TEXT, "severity": "high", "cve_id": "CVE-2019-10744", "cvss_score": 9.0, "rule_id": "AVD-AWS-0088",
        "resource_path": HARD_TEXT, "creator": "developer@example.com", "detected_at": "2024-10-09T08:47:57Z",
        "component": {"name": "löwe", "version": "1.0"}, "project_id": "123e4567-e89b-12d3-a456-426614174000",
    }})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_as_symbiotic_documents_it() {
    let home = Home::new("");
    let secret_file = home.path().join("secret");
    let Some(mut receiver) = Receiver::start("python3", "receive.py", &secret_file) else {
        return;
    };
    let server = home.start();
    let mut client = Client::new(&server.address);
    make_org(&mut client, "acme").await;
    let endpoint = make_endpoint(&mut client, "acme", json!({"url": receiver.url, "dialect": "symbiotic"})).await;
    std::fs::write(&secret_file, endpoint["secret"].as_str().unwrap()).unwrap();

    client.must_post("/api/v1/orgs/acme/events", vulnerability()).await;
    assert_eq!(receiver.next_line(), "verified vulnerability.created");
    let training = json!({"type": "training.completed", "data": {"user": "a@example.com", "training": HARD_TEXT,
        "score": 110, "started_at": "2024-10-09T08:00:00Z", "completed_at": "2024-10-09T08:47:57Z"}});
    client.must_post("/api/v1/orgs/acme/events", training).await;
    assert_eq!(receiver.next_line(), "verified training.completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_as_snyk_documents_it() {
    let home = Home::new("");
    let secret_file = home.path().join("secret");
    let secret = "a8be22bb7bed43a3ac24de3580093560";
    std::fs::write(&secret_file, secret).unwrap();
    let Some(mut receiver) = Receiver::start("node", "receive.js", &secret_file) else {
        return;
    };
    let server = home.start();
    let mut client = Client::new(&server.address);
    let org = client.must_post("/api/v1/orgs", json!({"name": "acme", "slug": "acme"})).await;
    let bare = org["id"].as_str().unwrap().trim_start_matches("org_").to_owned();

    // Snyk's own API: plain HTTP goes to addresses that the operator opened, and to no name.
    let hooks = format!("/v1/org/{bare}/webhooks");
    let named = json!({"url": "http://hooks.example.com/snyk", "secret": secret});
    let refused = client.post(&hooks, &named).await.unwrap();
    assert_eq!(refused.0, 400, "{}", refused.1);
    // The creation sends a ping by itself.
    let url = format!("{}/snyk", receiver.url);
    client.must_post(&hooks, json!({"url": url, "secret": secret})).await;
    assert_eq!(receiver.next_line(), "verified ping/v0");

    let issue = json!({"id": "npm:ms:20170412", "issueType": "vuln", "pkgName": "ms", "pkgVersions": ["1.0.0"],
        "issueData": {"id": "npm:ms:20170412", "title": HARD_TEXT, "severity": "low", "cvssScore": 3.0, "url": "https://example.com/a/b"}});
    let snapshot = json!({"type": "project.snapshot", "data": {
        "project": {"name": HARD_TEXT, "id": "af137b96-6966-46c1-826b-2e79ac49bbd9", "totalDependencies": 42.0},
        "org": {"name": "My Org", "id": "a04d9cbd-ae6e-44af-b573-0556b0ad4bd2"}, "group": null,
        "newIssues": [issue], "removedIssues": []}});
    client.must_post("/api/v1/orgs/acme/events", snapshot).await;
    assert_eq!(receiver.next_line(), "verified project_snapshot/v0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_as_aegis_documents_it() {
    let home = Home::new("");
    let secret_file = home.path().join("secret");
    let secret = "your-webhook-secret";
    std::fs::write(&secret_file, secret).unwrap();
    let Some(mut receiver) = Receiver::start("node", "receive.js", &secret_file) else {
        return;
    };
    let server = home.start();
    let mut client = Client::new(&server.address);
    make_org(&mut client, "acme").await;
    let url = format!("{}/aegis", receiver.url);
    make_endpoint(&mut client, "acme", json!({"url": url, "dialect": "aegis", "secret": secret})).await;
    client.must_post("/api/v1/orgs/acme/events", vulnerability()).await;
    assert_eq!(receiver.next_line(), "verified VULNERABILITY_DETECTED");
}
