//! The services' own libraries judge what is sent, and others' clients send to the [`fakes`](crate::fakes) what they would
//! send: the fakes refuse nothing that is right.
//!
//! Messages of every event type, with hostile text among them, go through the block models of `slack_sdk`, the models of
//! `opsgenie-sdk` and Microsoft's `adaptivecards`, which renders each card with a Markdown processor that is not ours.
//! `apprise`, `pagerduty`, `opsgenie-sdk` and Debian's Alertmanager are the senders. All are installed from their
//! registries into the target folder at the first run; what cannot be installed is said loudly and left out.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::client::{Client, make_endpoint, make_org};
use crate::fakes::pagers::GENIE_KEY;
use crate::fakes::{Fakes, State};
use crate::installs::{Installs, succeeds};
use crate::process::Home;

const ROUTING_KEY: &str = "0123456789abcdef0123456789ABCDEF";
const HOSTILE: &str =
    "<!channel> [bank](https://evil.example) {{DATE(2024-01-01T00:00:00Z)}} **b** _i_ `c` # h <b>x</b> \u{202e}1. one";
const SHOWN: &str =
    "<!channel> [bank](https://evil.example) {{DATE(2024-01-01T00:00:00Z)}} **b** _i_ `c` # h <b>x</b> 1. one";

const JUDGES: Installs = Installs("destinations");

fn python() -> Option<PathBuf> {
    let probe = "import apprise, opsgenie_sdk, pagerduty, slack_sdk";
    JUDGES.python("apprise, opsgenie-sdk, pagerduty and slack_sdk", probe)
}

fn node() -> Option<PathBuf> {
    let probe = "['adaptivecards', 'jsdom', 'markdown-it'].forEach(name => require.resolve(name))";
    JUDGES.node("adaptivecards", probe)
}

/// Debian's Alertmanager: the one that is installed, or its package unpacked, with what it wants to find in `/usr/share`
/// put there for it alone.
fn alertmanager() -> Option<Command> {
    const INSTALLED: &str = "/usr/bin/prometheus-alertmanager";
    if Path::new(INSTALLED).is_file() {
        return Some(Command::new(INSTALLED));
    }
    let folder = JUDGES.folder().join("alertmanager");
    let share = folder.join("usr/share");
    let mut command = Command::new("unshare");
    let script = "mount --bind \"$0\" /usr/share && exec \"$@\"";
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]).arg(&share);
    command.arg(folder.join("usr/bin/prometheus-alertmanager"));
    let works = || {
        let mut version = Command::new("unshare");
        version.args(command.get_args()).arg("--version");
        succeeds(&mut version)
    };
    let get = || {
        std::fs::create_dir_all(&folder).unwrap();
        let script = "apt-get download prometheus-alertmanager && dpkg -x prometheus-alertmanager_*.deb .";
        succeeds(Command::new("sh").args(["-c", script]).current_dir(&folder))
    };
    JUDGES.once("prometheus-alertmanager (Debian)", works, get).map(|()| command)
}

/// The line of JSON that a script prints.
fn seen(command: &mut Command) -> Value {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Has every event type said to Slack, Teams and Opsgenie, and a hostile finding; answers a file of the messages and how
/// many there are of each.
async fn messages(folder: &Path) -> (PathBuf, usize) {
    let home = Home::new("");
    let server = home.start();
    let mut client = Client::new(&server.address);
    make_org(&mut client, "acme").await;
    let mut fakes = Fakes::start().await;
    let (_, listed) = client.get("/api/v1/orgs/acme/event-types").await.unwrap();
    let types: Vec<String> =
        listed["items"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap().to_owned()).collect();
    let types: Vec<_> = types.into_iter().filter(|name| name != "webhook.ping").collect();
    let url = fakes.url.clone();
    for mut wish in [
        json!({"dialect": "slack", "url": format!("{url}/services/T/B/X"), "settings": {"link_base": "https://bell.example.com"}}),
        json!({"dialect": "teams", "url": format!("{url}/workflows/1?sig=x"), "settings": {"link_base": "https://bell.example.com"}}),
        json!({"dialect": "opsgenie", "url": url, "secret": GENIE_KEY}),
    ] {
        (wish["rate_limit"], wish["events"]) = (json!("off"), json!(types));
        make_endpoint(&mut client, "acme", wish).await;
    }
    for name in &types {
        let (_, shown) = client.get(&format!("/api/v1/orgs/acme/event-types/{name}")).await.unwrap();
        let event = json!({"type": name, "data": shown["example"]});
        client.must_post("/api/v1/orgs/acme/events", event).await;
    }
    let hostile =
        json!({"title": HOSTILE, "severity": "low", "component": {"name": HOSTILE}, "cve_id": HOSTILE.repeat(100)});
    client.must_post("/api/v1/orgs/acme/events", json!({"type": "vulnerability.created", "data": hostile})).await;
    // Whether an event makes another beside it is not what is looked at here.
    let count = types.len() + 1;
    let all = |state: &mut State| (state.slack.posted.len() >= count && state.teams.shown.len() >= count).then_some(());
    fakes.until("message for each type", all).await;
    fakes.until("alert", |state| (!state.alerts.created.is_empty()).then_some(())).await;
    let state = fakes.state();
    assert!(state.refused.is_empty(), "{:?}", state.refused);
    let kinds = [("slack", &state.slack.posted), ("teams", &state.teams.shown), ("opsgenie", &state.alerts.created)];
    let lines = kinds.into_iter().flat_map(|(kind, bodies)| {
        bodies.iter().map(move |body| json!({"kind": kind, "body": body}).to_string() + "\n")
    });
    let file = folder.join("messages.jsonl");
    std::fs::write(&file, lines.collect::<String>()).unwrap();
    (file, count)
}

fn at_least(value: &Value, count: usize) -> bool {
    value.as_u64().is_some_and(|passed| passed >= u64::try_from(count).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_vendors_models_take_what_is_sent() {
    let (python, node) = (python(), node());
    if python.is_none() && node.is_none() {
        return;
    }
    let folder = tempfile::TempDir::new().unwrap();
    let (file, count) = messages(folder.path()).await;
    if let Some(python) = python {
        let seen = seen(Command::new(python).arg(JUDGES.scripts().join("check_messages.py")).arg(&file));
        assert!(at_least(&seen["slack"], count) && at_least(&seen["opsgenie"], 1), "{seen}");
    }
    if let Some(node) = node {
        let script = node.join("check_cards.mjs");
        std::fs::copy(JUDGES.scripts().join("check_cards.mjs"), &script).unwrap();
        let seen = seen(Command::new("node").arg(script).arg(&file));
        assert!(at_least(&seen["passed"], count), "{seen}");
        assert!(seen["text"].as_str().unwrap().contains(SHOWN), "it is seen as it is: {}", seen["text"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_senders_are_taken_and_what_they_opened_is_closed() {
    const FINDING: &str = "0ef8ac7e-1b9d-48d9-82eb-2f2355ba2b31";
    let Some(python) = python() else { return };
    let home = Home::new("");
    let server = home.start();
    let mut client = Client::new(&server.address);
    make_org(&mut client, "acme").await;
    let mut fakes = Fakes::start().await;
    let (url, key) = (fakes.url.clone(), format!("watchbell:finding/{FINDING}"));
    let script = JUDGES.scripts().join("senders.py");
    let run = tokio::task::spawn_blocking({
        let (url, key) = (url.clone(), key.clone());
        move || seen(Command::new(python).arg(script).args([url.as_str(), ROUTING_KEY, GENIE_KEY, key.as_str()]))
    });
    let seen = run.await.unwrap();
    assert!(fakes.state().refused.is_empty(), "{:?}", fakes.state().refused);
    for sender in ["apprise slack", "apprise opsgenie", "apprise pagerduty"] {
        assert_eq!(seen[sender], true, "{seen}");
    }
    assert_eq!(fakes.state().alerts.closed, ["other/key:1"]);
    make_endpoint(
        &mut client,
        "acme",
        json!({"dialect": "pagerduty", "url": format!("{url}/v2/enqueue"), "secret": ROUTING_KEY}),
    )
    .await;
    make_endpoint(&mut client, "acme", json!({"dialect": "opsgenie", "url": url, "secret": GENIE_KEY})).await;
    let gone = json!({"type": "vulnerability.remediated", "data": {"finding_id": FINDING, "title": "T"}});
    client.must_post("/api/v1/orgs/acme/events", gone).await;
    let is_closed =
        |state: &mut State| (state.pagerduty.resolved == 1 && state.alerts.closed.contains(&key)).then_some(());
    fakes.until("end of what others opened", is_closed).await;
}

/// A process that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alertmanager_is_taken() {
    let Some(mut alertmanager) = alertmanager() else { return };
    let mut fakes = Fakes::start().await;
    let folder = tempfile::TempDir::new().unwrap();
    let url = &fakes.url;
    let receiver = json!({
        "name": "all",
        "slack_configs": [{"api_url": format!("{url}/services/T/B/X"), "send_resolved": true}],
        "pagerduty_configs": [{"url": format!("{url}/v2/enqueue"), "routing_key": ROUTING_KEY}],
        "opsgenie_configs": [{"api_url": format!("{url}/"), "api_key": GENIE_KEY}],
    });
    let route = json!({"receiver": "all", "group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"});
    let config = folder.path().join("alertmanager.yml");
    // JSON is YAML.
    std::fs::write(&config, json!({"route": route, "receivers": [receiver]}).to_string()).unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let started = alertmanager
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", folder.path().display()))
        .arg(format!("--web.listen-address={free}"))
        .arg("--cluster.listen-address=")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _running = Running(started.unwrap());
    let mut client = Client::new(&free.to_string());
    let alert = |ends_at: Option<&str>| {
        let mut alert = json!({"labels": {"alertname": "LodashOld", "severity": "critical"}, "annotations": {"summary": "<!channel> & co"}});
        if let Some(ends_at) = ends_at {
            alert["endsAt"] = json!(ends_at);
        }
        json!([alert])
    };
    while !matches!(client.post("/api/v2/alerts", &alert(None)).await, Ok((200, _))) {
        tokio::task::yield_now().await;
    }
    let is_open = |state: &mut State| {
        (state.pagerduty.open.len() == 1 && state.alerts.open.len() == 1 && state.slack.posted.len() == 1).then_some(())
    };
    fakes.until("alert everywhere", is_open).await;
    client.must_post("/api/v2/alerts", alert(Some("2024-01-01T00:00:00Z"))).await;
    let is_closed = |state: &mut State| (state.pagerduty.resolved == 1 && state.alerts.closed.len() == 1).then_some(());
    fakes.until("end of it", is_closed).await;
    assert!(fakes.state().refused.is_empty(), "{:?}", fakes.state().refused);
}
