//! `serve` as a service manager sees it: what it prints first, how it ends.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::{run, watchbell};

/// A running `watchbell serve`; killed when dropped.
struct Server {
    child: Child,
    url: String,
    /// What it printed up to the URL.
    said: String,
}

impl Server {
    fn start(data: &Path, admin_key: Option<&str>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchbell"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).env_clear();
        if let Some(key) = admin_key {
            command.env("WATCHBELL_ADMIN_KEY", key);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
        let mut said = String::new();
        let url = loop {
            let line = lines.next().expect("it says where it listens").expect("text");
            said.push_str(&line);
            said.push('\n');
            if let Some(url) = line.split(' ').find(|word| word.starts_with("http://")) {
                break url.to_owned();
            }
        };
        Self { child, url, said }
    }

    fn signal(&self, name: &str) {
        let status = Command::new("/bin/kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    fn end(mut self) -> Option<i32> {
        self.signal("TERM");
        self.child.wait().expect("it ends").code()
    }

    /// The status that a command with this key ends with.
    fn list_with(&self, key: &str) -> i32 {
        run(&["endpoint", "list", "--url", &self.url, "--key", key], b"").0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Starts one that is expected not to come up.
fn refused(data: &Path, more: &[&str]) -> (i32, String) {
    let mut command = watchbell();
    command.args(["serve", "--data"]).arg(data).args(more);
    if !more.contains(&"--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    command.timeout(Duration::from_secs(30));
    let output = command.output().expect("the binary runs");
    (output.status.code().expect("a status"), String::from_utf8(output.stderr).expect("UTF-8"))
}

#[test]
fn the_first_start_shows_a_key_that_works_and_no_later_one_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let server = Server::start(&data, None);
    let key = server.said.split_whitespace().find(|word| word.starts_with("wb_")).expect("a key is shown").to_owned();
    assert_eq!(server.list_with(&key), 0);
    assert_eq!(server.list_with("wb_another"), 1);
    assert_eq!(server.end(), Some(0));

    let server = Server::start(&data, None);
    assert!(!server.said.contains("wb_"), "{}", server.said);
    assert_eq!(server.list_with(&key), 0, "the key of the first start still works");
    assert_eq!(server.end(), Some(0));

    let server = Server::start(&data, Some("an-administrator's-key-of-40-characters!"));
    assert_eq!(server.list_with("an-administrator's-key-of-40-characters!"), 0);
    assert_eq!(server.list_with(&key), 1, "the variable changed the first key");
}

#[test]
fn a_weak_admin_key_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = watchbell();
    command.args(["serve", "--data"]).arg(folder.path().join("data")).env("WATCHBELL_ADMIN_KEY", "short");
    let output = command.output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(stderr.contains("32 characters") && !stderr.contains("short "), "{stderr}");
}

#[test]
fn one_process_has_the_data() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let server = Server::start(&data, None);
    let (status, stderr) = refused(&data, &[]);
    assert_eq!(status, 75, "{stderr}");
    assert!(stderr.contains("in use by another process"), "{stderr}");
    assert_eq!(server.end(), Some(0));
}

#[test]
fn a_damaged_database_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    assert_eq!(Server::start(&data, None).end(), Some(0));
    let database = data.join("watchbell.db");
    let damaged = b"this is no database ".repeat(1000);
    std::fs::write(&database, &damaged).expect("written");
    let (status, stderr) = refused(&data, &[]);
    assert_eq!(status, 74, "{stderr}");
    assert_eq!(stderr.lines().filter(|line| line.starts_with("error:")).count(), 1, "{stderr}");
    assert!(std::fs::read(&database).expect("read") == damaged, "the file was changed");
}

#[test]
fn a_key_file_that_is_missing_or_open_to_others_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    assert_eq!(Server::start(&data, None).end(), Some(0));
    let key_file = data.join("secrets.key");
    std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o644)).expect("set");
    assert_eq!(refused(&data, &[]).0, 78);
    std::fs::remove_file(&key_file).expect("removed");
    let (status, stderr) = refused(&data, &[]);
    assert_eq!(status, 78, "{stderr}");
    assert!(!key_file.exists(), "a new key was made");
    let key_of_another = format!("wbk1_{}\n", "ab".repeat(32));
    std::fs::write(&key_file, key_of_another).expect("written");
    std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o600)).expect("set");
    assert_eq!(refused(&data, &[]).0, 78);
}

#[test]
fn a_wrong_setting_is_a_usage_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let (status, stderr) = refused(&data, &["--set", "egress.extra_ca_file=/nonexistent.pem"]);
    assert_eq!(status, 2, "{stderr}");
    assert!(stderr.contains("egress.extra_ca_file"), "{stderr}");
    let (status, stderr) = refused(&data, &["--set", "delivery.timeout=2m"]);
    assert_eq!(status, 2, "{stderr}");
    assert!(stderr.contains("storage.lease"), "{stderr}");
}

#[test]
fn an_address_that_is_taken_is_a_failure_with_advice() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = taken.local_addr().expect("an address").to_string();
    let (status, stderr) = refused(&folder.path().join("data"), &["--listen", &address]);
    assert_eq!(status, 1, "{stderr}");
    assert!(stderr.contains(&address) && stderr.contains("--listen"), "{stderr}");
}

#[test]
fn sigint_ends_it_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Server::start(&folder.path().join("data"), None);
    server.signal("INT");
    assert_eq!(server.child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Server::start(&folder.path().join("data"), None);
    // A request that is never completed keeps the first signal busy for seconds.
    let address = server.url.trim_start_matches("http://").to_owned();
    let mut held = std::net::TcpStream::connect(address).expect("connected");
    let request = "POST /api/v1/orgs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer x\r\ncontent-length: 10\r\n";
    std::io::Write::write_all(&mut held, request.as_bytes()).expect("sent");
    server.signal("TERM");
    server.signal("TERM");
    let status = server.child.wait().expect("it ends").code();
    // Both signals may be taken as one, when they arrive together; then it ends in order.
    assert!(matches!(status, Some(130 | 0)), "{status:?}");
    held.read_to_end(&mut Vec::new()).ok();
}

#[test]
fn doctor_finds_nothing_wrong_with_a_good_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let key = "an-administrator's-key-of-40-characters!";
    let server = Server::start(&data, Some(key));
    let (status, stdout, stderr) = run(&["doctor", "--url", &server.url, "--key", key, "--json"], b"");
    assert_eq!(status, 0, "{stdout}{stderr}");
    let checks: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(checks["checks"].as_array().expect("checks").len(), 4, "{stdout}");
    assert!(!stdout.contains("\"warn\"") && !stdout.contains("\"fail\""), "{stdout}");

    let (status, stdout, _) = run(&["doctor", "--url", &server.url, "--key", "wrong"], b"");
    assert_eq!(status, 1);
    assert!(stdout.contains("fail  the server does not know the key"), "{stdout}");

    let setting = format!("storage.data={}", data.display());
    let (status, stdout, _) = run(&["doctor", "--local", "--set", &setting], b"");
    assert_eq!(status, 0, "{stdout}");
    assert!(stdout.contains("a server is running on the data directory"), "{stdout}");
}

#[test]
fn a_user_works_from_the_command_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = "an-administrator's-key-of-40-characters!";
    let server = Server::start(&folder.path().join("data"), Some(key));
    let user = |args: &[&str]| {
        let (status, stdout, stderr) =
            run(&[args, &["--url", &server.url, "--key", key, "--json"]].concat(), b"{\"ok\": 1.0}");
        assert_eq!(status, 0, "{args:?}: {stdout}{stderr}");
        serde_json::from_str::<Value>(&stdout).expect("JSON")
    };
    let endpoint = user(&[
        "endpoint",
        "create",
        "https://example.com/hook",
        "--dialect",
        "standard",
        "--events",
        "build.finished",
    ]);
    let id = endpoint["id"].as_str().expect("an id");
    assert!(endpoint["secret"].as_str().is_some_and(|secret| secret.starts_with("whsec_")));
    user(&["endpoint", "pause", id]);
    let event = user(&["send", "build.finished", "--data", "-", "--idempotency-key", "k1"]);
    assert_eq!(user(&["send", "build.finished", "--data", "-", "--idempotency-key", "k1"])["id"], event["id"]);
    let deliveries = user(&["delivery", "list", "--endpoint", id]);
    assert_eq!(deliveries["items"][0]["state"], "held");
    let shown = user(&["event", "show", event["id"].as_str().expect("an id")]);
    assert_eq!(shown["data"].to_string(), "{\"ok\":1.0}");
    user(&["delivery", "cancel", deliveries["items"][0]["id"].as_str().expect("an id")]);
    assert_eq!(user(&["replay", "--endpoint", id, "--since", "2020-01-01T00:00:00Z"])["matched"], 1);
    let replayed = user(&["replay", "--endpoint", id, "--reason", "requested", "--yes"]);
    assert_eq!((&replayed["state"], &replayed["made"]), (&"finished".into(), &1.into()));
    assert_eq!(user(&["replay", "show", replayed["id"].as_str().expect("an id")]), replayed);
    let repeat = user(&["delivery", "list", "--endpoint", id, "--state", "held"]);
    assert_eq!(repeat["items"][0]["replay_of"], deliveries["items"][0]["id"]);
    let erased = user(&["event", "erase", event["id"].as_str().expect("an id"), "--yes"]);
    assert_eq!(erased["cancelled"], 1);
    let search = user(&["event", "erase", "--text", "nobody at all", "--yes"]);
    assert_eq!(user(&["event", "erase", "--show", search["id"].as_str().expect("an id")])["erased"], 0);
    user(&["endpoint", "rotate-secret", id]);
    user(&["endpoint", "update", id, "--to", "https://example.com/new"]);
    assert_eq!(user(&["endpoint", "show", id])["url"], "https://example.com/new");
    let password = folder.path().join("password");
    std::fs::write(&password, "a long password\n").expect("a file");
    let password = password.to_str().expect("a path");
    let limits = ["--max-attempts", "3", "--rate-limit", "5/s", "--ordered", "project", "--http-version", "http1"];
    let auth = ["--auth", "basic", "--auth-user", "watch", "--auth-secret-file", password];
    user(&[&["endpoint", "update", id], &limits[..], &auth[..]].concat());
    let shown = user(&["endpoint", "show", id]);
    let kept = ["max_attempts", "rate_limit", "ordered", "http_version"].map(|name| shown[name].clone());
    assert_eq!(kept, [json!(3), json!("5/s burst 20"), json!("project"), json!("http1")]);
    assert_eq!(shown["auth"], json!({"type": "basic", "username": "watch", "password": "[redacted]"}));
    assert_eq!(user(&["endpoint", "update", id, "--auth", "none"])["auth"], Value::Null);
    let made = user(&["key", "create", "--name", "reader", "--scopes", "events:read"]);
    assert_eq!(user(&["key", "list"])["items"].as_array().expect("keys").len(), 1);
    user(&["key", "revoke", made["id"].as_str().expect("an id")]);
    user(&["endpoint", "delete", id]);
    assert_eq!(user(&["endpoint", "list"])["items"].as_array().expect("endpoints").len(), 0);
    assert!(user(&["event", "types"])["items"].as_array().expect("types").len() > 10);

    let (status, stdout, _) = run(&["event", "list", "--url", &server.url, "--key", key], b"");
    assert_eq!(status, 0);
    assert!(stdout.starts_with("ID") && stdout.contains("build.finished"), "{stdout}");
}

#[test]
fn a_scan_says_what_changed() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = "an-administrator's-key-of-40-characters!";
    let server = Server::start(&folder.path().join("data"), Some(key));
    let user = |args: &[&str]| {
        let (status, stdout, stderr) = run(&[args, &["--url", &server.url, "--key", key, "--json"]].concat(), b"");
        assert_eq!(status, 0, "{args:?}: {stdout}{stderr}");
        serde_json::from_str::<Value>(&stdout).expect("JSON")
    };
    let report = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/webshop/reports/before/bandit.sarif");
    let scanned = user(&["scan", report, "--project", "webshop"]);
    assert_eq!(scanned["scan"]["findings_new"], 7);
    let created =
        scanned["events"].as_array().expect("events").iter().filter(|event| event["type"] == "vulnerability.created");
    assert_eq!(created.count(), 7);
    assert_eq!(user(&["scan", report, "--project", "webshop"])["scan"]["findings_new"], 0);
}
