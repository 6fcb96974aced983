//! Libraries that are not ours sign what a source takes, and take what an endpoint is sent: `standardwebhooks` in Python,
//! JavaScript and Rust, `svix` in two of them, `@octokit/webhooks`, and Debian's `webhook`.
//!
//! They are installed from their registries into the target folder at the first run. What cannot be installed is said
//! loudly and left out.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use http::HeaderMap;
use serde_json::{Value, json};
use watchbell_wire::{Message, Secret, dialect};

use crate::client::{Client, make_endpoint, make_org};
use crate::installs::Installs;
use crate::process::{Home, Process};
use crate::say;
use crate::sink::{Arrival, Sink};

const SENDERS: Installs = Installs("senders");

/// Python with the libraries.
fn python() -> Option<PathBuf> {
    SENDERS.python("standardwebhooks and svix", "import standardwebhooks, svix.webhooks")
}

/// The script for Node, beside its libraries.
fn node() -> Option<PathBuf> {
    let probe = "import('@octokit/webhooks').then(() => { require('svix'); require('standardwebhooks') })\
                 .catch(() => process.exit(1))";
    let folder = SENDERS.node("standardwebhooks, svix and @octokit/webhooks", probe)?;
    let script = folder.join("senders.mjs");
    std::fs::copy(SENDERS.scripts().join("senders.mjs"), &script).unwrap();
    Some(script)
}

/// The line of JSON that a script prints.
fn seen(command: &mut Command, input: &Value) -> Value {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

struct Stage {
    _home: Home,
    server: Process,
    client: Client,
}

impl Stage {
    async fn new() -> Self {
        let home = Home::new("");
        let server = home.start();
        let mut client = Client::new(&server.address);
        make_org(&mut client, "acme").await;
        Self { _home: home, server, client }
    }

    /// A source's URL and secret.
    async fn source(&mut self, dialect: &str) -> (String, String) {
        let given = json!({"dialect": dialect, "name": dialect, "make_secret": true});
        let made = self.client.must_post("/api/v1/orgs/acme/sources", given).await;
        let (url, secret) = (made["url"].as_str().unwrap(), made["secret"].as_str().unwrap());
        assert!(url.starts_with(&format!("http://{}/in/src_", self.server.address)), "{url}");
        (url.to_owned(), secret.to_owned())
    }

    async fn verdicts(&mut self) -> Vec<String> {
        let (_, list) = self.client.get("/api/v1/orgs/acme/receipts").await.unwrap();
        let verdict = |receipt: &Value| receipt["verdict"].as_str().unwrap().to_owned();
        list["items"].as_array().unwrap().iter().map(verdict).collect()
    }
}

/// New, again, forged.
fn check(answers: &Value) {
    assert_eq!(answers[0][0], 200, "{answers}");
    assert_eq!((&answers[1][0], &answers[1][1]["duplicate"]), (&json!(200), &json!(true)), "{answers}");
    assert_eq!(answers[2][0], 401, "{answers}");
}

/// What an endpoint of the dialect `standard` was sent, and its secret.
async fn delivered(stage: &mut Stage) -> (Arrival, String) {
    let mut sink = Sink::start().await;
    let endpoint = make_endpoint(&mut stage.client, "acme", json!({"url": sink.url, "dialect": "standard"})).await;
    let event = json!({"type": "acme.delivered", "data": {"text": "Schwäche \u{1f600}"}});
    stage.client.must_post("/api/v1/orgs/acme/events", event).await;
    (sink.arrivals.recv().await.unwrap(), endpoint["secret"].as_str().unwrap().to_owned())
}

fn as_json(arrival: &Arrival) -> Value {
    let headers: serde_json::Map<String, Value> =
        arrival.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().into())).collect();
    json!({"headers": headers, "body": std::str::from_utf8(&arrival.body).unwrap()})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pythons_standard_webhooks_and_svix() {
    let Some(python) = python() else { return };
    let mut stage = Stage::new().await;
    let (url, secret) = stage.source("standard").await;
    let script = SENDERS.scripts().join("standard.py");
    let sent = seen(Command::new(&python).arg(&script).args(["send", &url, &secret]), &json!({}));
    check(&sent["standardwebhooks"]);
    check(&sent["svix"]);
    let (arrival, secret) = delivered(&mut stage).await;
    let verified = seen(Command::new(&python).arg(&script).args(["verify", &secret]), &as_json(&arrival));
    assert_eq!(verified, json!({"standardwebhooks": "verified", "svix": "verified"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn javascripts_standard_webhooks_svix_and_octokit() {
    let Some(script) = node() else { return };
    let mut stage = Stage::new().await;
    let (url, secret) = stage.source("standard").await;
    let run = |arguments: &[&str], input: &Value| seen(Command::new("node").arg(&script).args(arguments), input);
    let sent = run(&["send", &url, &secret], &json!({}));
    check(&sent["standardwebhooks"]);
    check(&sent["svix"]);
    let (url, secret) = stage.source("github").await;
    check(&run(&["github", &url, &secret], &json!({})));
    assert_eq!(stage.verdicts().await.iter().filter(|verdict| *verdict == "signature_mismatch").count(), 3);
    let (arrival, secret) = delivered(&mut stage).await;
    let verified = run(&["verify", &secret], &as_json(&arrival));
    assert_eq!(verified, json!({"standardwebhooks": "verified", "svix": "verified"}));
    // What stands in for GitHub here signs as GitHub does.
    let github = dialect::find("github").unwrap();
    let secret = github.secrets.make([3; 32]);
    let (at, body) = (jiff::Timestamp::UNIX_EPOCH, "{\"text\":\"Schwäche\"}");
    let message = Message { id: "1", event: "ping", occurred_at: at, sent_at: at, body: body.as_bytes() };
    let headers = github.sign(&message, &[github.secrets.key(&secret).unwrap()]).unwrap();
    let signature = &headers.iter().find(|header| header.name == "X-Hub-Signature-256").unwrap().value;
    let judged = run(&["octokit", secret.expose()], &json!({"signature": signature, "body": body}));
    assert_eq!(judged, json!([true, false]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rusts_standard_webhooks() {
    let mut stage = Stage::new().await;
    let (url, secret) = stage.source("standard").await;
    let library = standardwebhooks::Webhook::new(&secret).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the server reads the real clock too")]
    let now = jiff::Timestamp::now().as_second();
    let body = json!({"type": "acme.sent", "data": {"text": "Schwäche \u{1f600}"}}).to_string();
    let signature = library.sign("msg_rust", now, body.as_bytes()).unwrap();
    let client = crate::client::Raw::new(&stage.server.address);
    let path = url.split_once("/in/").map(|(_, id)| format!("/in/{id}")).unwrap();
    let mut answers = Vec::new();
    for id in ["msg_rust", "msg_rust", "msg_forged"] {
        let lines = [
            ("content-type", "application/json"),
            ("webhook-id", id),
            ("webhook-timestamp", &now.to_string()),
            ("webhook-signature", &signature),
        ];
        let (status, answer) = client.post(&path, &lines, &body).await;
        answers.push(json!([status, answer]));
    }
    check(&json!(answers));
    let (arrival, secret) = delivered(&mut stage).await;
    let headers: HeaderMap = arrival.headers.clone();
    standardwebhooks::Webhook::new(&secret).unwrap().verify(&arrival.body, &headers).unwrap();
}

/// Debian's `webhook`, a receiver that is told its rules by a file. Ended when dropped.
struct DebiansWebhook {
    child: Child,
    url: String,
}

impl DebiansWebhook {
    /// `None`, said loudly, where it is not installed.
    fn start(folder: &Path, rules: &Value) -> Option<Self> {
        let hooks = folder.join("hooks.json");
        std::fs::write(&hooks, rules.to_string()).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let started = Command::new("webhook")
            .args(["-ip", "127.0.0.1", "-port", &port.to_string(), "-hooks"])
            .arg(&hooks)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = started else {
            say("SKIPPED: webhook is not installed (Debian: apt-get install webhook), so it was not tried");
            return None;
        };
        Some(Self { child, url: format!("http://127.0.0.1:{port}/hooks") })
    }
}

impl Drop for DebiansWebhook {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn debians_webhook_takes_what_endpoints_are_sent() {
    let secret = Secret::new("a-secret-of-enough-bytes");
    let folder = tempfile::tempdir().unwrap();
    let hook = |id: &str, header: &str| {
        json!({"id": id, "execute-command": "/bin/true", "trigger-rule-mismatch-http-response-code": 403,
            "trigger-rule": {"match": {"type": "payload-hmac-sha256", "secret": secret.expose(),
                "parameter": {"source": "header", "name": header}}}})
    };
    let rules = json!([hook("snyk", "X-Hub-Signature"), hook("aegis", "X-Aegis-Signature")]);
    let Some(receiver) = DebiansWebhook::start(folder.path(), &rules) else { return };
    let mut stage = Stage::new().await;
    for dialect in ["snyk", "aegis"] {
        let url = format!("{}/{dialect}", receiver.url);
        let given = json!({"url": url, "dialect": dialect, "secret": secret.expose()});
        let endpoint = make_endpoint(&mut stage.client, "acme", given).await;
        stage
            .client
            .must_post(&format!("/api/v1/orgs/acme/endpoints/{}/ping", endpoint["id"].as_str().unwrap()), json!({}))
            .await;
        let path =
            format!("/api/v1/orgs/acme/deliveries?endpoint={}&state=delivered", endpoint["id"].as_str().unwrap());
        loop {
            let (_, list) = stage.client.get(&path).await.unwrap();
            if !list["items"].as_array().unwrap().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
