//! `capture` and `listen`: a real server, real processes, a receiver that keeps the bytes it gets.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::process::{ADMIN_KEY, Home, binary};

/// The command with the server's address and key.
fn command(address: &str, args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(args).args(["--url", &format!("http://{address}"), "--key", ADMIN_KEY]).stdin(Stdio::null());
    command
}

fn run(address: &str, args: &[&str]) -> Output {
    command(address, args).output().unwrap()
}

fn json(address: &str, args: &[&str]) -> Value {
    let done = run(address, &[args, &["--json"]].concat());
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

/// The path of an inbox's address.
fn path_of(inbox: &Value) -> String {
    let url = inbox["url"].as_str().unwrap();
    url.split_once("/capture/").map(|(_, token)| format!("/capture/{token}")).unwrap()
}

/// A developer's server: keeps every request's bytes, answers 500 below `/hook/broken` and 204 elsewhere.
async fn receiver() -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://localhost:{}/hook", listener.local_addr().unwrap().port());
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move {
                let mut bytes = Vec::new();
                while !is_whole(&bytes) && stream.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {}
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let status = if text.contains(" /hook/broken ") { "500 Broken" } else { "204 No Content" };
                stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).await.ok();
                tell.send(text).ok();
            });
        }
    });
    (url, told)
}

fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    length.is_some_and(|length| body.len() >= length.parse::<usize>().unwrap())
}

/// Passes connections on to a server that may move.
async fn relay() -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let to = Arc::<Mutex<String>>::default();
    let target = Arc::clone(&to);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let to = target.lock().unwrap().clone();
            tokio::spawn(async move {
                if let Ok(mut server) = TcpStream::connect(to).await {
                    copy_bidirectional(&mut stream, &mut server).await.ok();
                }
            });
        }
    });
    (address, to)
}

/// `watchbell listen`, killed when dropped; what it prints comes by line.
struct Listening {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Listening {
    fn start(address: &str, args: &[&str]) -> Self {
        let mut child = command(address, args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let output = child.stdout.take().unwrap();
        let (tell, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).all(|line| tell.send(line).is_ok());
        });
        Self { child, lines }
    }

    async fn line(&mut self) -> String {
        self.lines.recv().await.expect("it goes on listening")
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Sends bytes and reads the status line of what comes back.
async fn send(address: &str, text: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut bytes = vec![0; 4096];
    let count = stream.read(&mut bytes).await.unwrap();
    String::from_utf8_lossy(&bytes[..count]).lines().next().unwrap_or_default().to_owned()
}

fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: hub\r\nX-hUb-Event: one\r\nAuthorization: Bearer t0ken-of-a-vendor\r\nsymbioticsec_signature: ab\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_captured_reaches_the_developer_as_it_came() {
    let home = Home::new("");
    let server = home.start();
    let made = json(&server.address, &["capture", "create", "--name", "debug", "--status", "202"]);
    let path = path_of(&made);
    assert_eq!(send(&server.address, &post(&path, "old")).await, "HTTP/1.1 202 Accepted");
    assert_eq!(send(&server.address, &post(&path, "{\"a\": 1}")).await, "HTTP/1.1 202 Accepted");

    let (forward, mut received) = receiver().await;
    let args = ["listen", "--capture", "debug", "--forward", &forward, "--last", "1"];
    let mut listening = Listening::start(&server.address, &args);
    // What was there before: the last one of two, with every letter.
    let first = received.recv().await.unwrap();
    let (head, body) = first.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "{\"a\": 1}");
    let lines: Vec<&str> = head.lines().collect();
    assert_eq!(lines[0], "POST /hook HTTP/1.1");
    assert_eq!(
        lines[2..5],
        ["X-hUb-Event: one", "Authorization: Bearer t0ken-of-a-vendor", "symbioticsec_signature: ab"]
    );
    let line = listening.line().await;
    assert!(line.starts_with("#2 ") && line.contains("POST /hook 8 B → 204 No Content"), "{line}");

    // What comes from now on, at once; an answer of 500 is shown and not tried again.
    assert_eq!(send(&server.address, &post(&format!("{path}/broken"), "x")).await, "HTTP/1.1 202 Accepted");
    assert!(received.recv().await.unwrap().starts_with("POST /hook/broken HTTP/1.1\r\n"));
    assert!(listening.line().await.contains("→ 500 Broken"));
    assert_eq!(send(&server.address, &post(&format!("{path}/c?x=1"), "x")).await, "HTTP/1.1 202 Accepted");
    assert!(received.recv().await.unwrap().starts_with("POST /hook/c?x=1 HTTP/1.1\r\n"));
    server.kill();
}

/// The server is killed and started again elsewhere; what came meanwhile, and before the kill, comes once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_away_loses_nothing() {
    let home = Home::new("");
    let server = home.start();
    let (address, to) = relay().await;
    to.lock().unwrap().clone_from(&server.address);
    let made = json(&address, &["capture", "create", "--name", "debug"]);
    let path = path_of(&made);
    let (forward, mut received) = receiver().await;
    let mut listening =
        Listening::start(&address, &["listen", "--capture", "debug", "--forward", &forward, "--json", "--last", "9"]);
    send(&address, &post(&path, "1")).await;
    assert!(received.recv().await.unwrap().ends_with("\r\n\r\n1"));
    server.kill();
    let server = home.start();
    // Sent before the listener finds the server again.
    send(&server.address, &post(&path, "2")).await;
    to.lock().unwrap().clone_from(&server.address);
    send(&address, &post(&path, "3")).await;
    for body in ["2", "3"] {
        assert!(received.recv().await.unwrap().ends_with(&format!("\r\n\r\n{body}")));
    }
    for number in 1..=3 {
        let line: Value = serde_json::from_str(&listening.line().await).unwrap();
        assert_eq!((&line["number"], &line["status"]), (&number.into(), &204.into()));
    }
    server.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_makes_shows_explains_and_deletes() {
    let home = Home::new("");
    let server = home.start();
    let address = server.address.as_str();
    let made =
        json(address, &["capture", "create", "--name", "debug", "--header", "X-A: b", "--body", "hi", "--ttl", "1h"]);
    let path = path_of(&made);
    let nothing = run(address, &["capture", "show", "debug", "last"]);
    assert!(!nothing.status.success() && String::from_utf8_lossy(&nothing.stderr).contains("nothing was sent"));

    let body = r#"{"webhookId":"d3cf26b3-2d77-497b-bce2-23b33cc15362"}"#;
    let sent = format!(
        "POST {path} HTTP/1.1\r\nHost: hub\r\nX-Snyk-Event: ping/v0\r\nX-Hub-Signature: sha256=d5ca4bacc32bac605a08061007d5249dc59e05cae6bd00ba0c6a0276acf69aeb\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(send(address, &sent).await, "HTTP/1.1 200 OK");
    let shown = run(address, &["capture", "show", "debug", "last"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("X-Hub-Signature: sha256=d5ca") && shown.contains(body), "{shown}");
    let listed = run(address, &["capture", "show", "debug"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("POST"));

    let secret = home.path().join("secret");
    std::fs::write(&secret, "a8be22bb7bed43a3ac24de3580093560\n").unwrap();
    let args = ["capture", "verify", "debug", "--secret-file", secret.to_str().unwrap()];
    let told = run(address, &args);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    assert!(String::from_utf8_lossy(&told.stdout).contains("genuine message of Snyk"));
    std::fs::write(&secret, "a8be22bb7bed43a3ac24de3580093560 \n").unwrap();
    let told = run(address, &args);
    assert_eq!(told.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&told.stdout).contains("white space"));

    // A request by the number that it is shown under, and a source by its name.
    assert!(run(address, &["capture", "show", "debug", "1"]).status.success());
    let none = run(address, &["capture", "show", "debug", "#7"]);
    assert!(String::from_utf8_lossy(&none.stderr).contains("no request number 7"), "{none:?}");
    std::fs::write(&secret, "a8be22bb7bed43a3ac24de3580093560\n").unwrap();
    let file = secret.to_str().unwrap();
    let named = ["--dialect", "snyk", "--name", "snyk-eu", "--secret-file", file];
    assert!(run(address, &[&["source", "create"], named.as_slice()].concat()).status.success());
    assert!(run(address, &["capture", "verify", "debug", "1", "--source", "snyk-eu"]).status.success());
    assert!(run(address, &["receipt", "list", "--source", "snyk-eu"]).status.success());
    assert!(run(address, &["source", "pause", "snyk-eu"]).status.success());
    assert_eq!(json(address, &["source", "show", "snyk-eu"])["state"], "paused");
    let unknown = run(address, &["source", "show", "snyk-us"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("source list"), "{unknown:?}");

    // Only to this machine, unless it is said.
    let elsewhere = run(address, &["listen", "--capture", "debug", "--forward", "http://192.0.2.1/"]);
    assert_eq!(elsewhere.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&elsewhere.stderr).contains("--allow-any"));
    let unknown = run(address, &["listen", "--capture", "none", "--forward", "http://127.0.0.1:1/"]);
    assert_eq!(unknown.status.code(), Some(1));

    assert!(run(address, &["capture", "delete", "debug"]).status.success());
    assert_eq!(send(address, &sent).await, "HTTP/1.1 404 Not Found");
    server.kill();
}

/// Accepted and refused requests of a source alike, each once, from the last one on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sources_receipts_reach_the_developer_too() {
    let home = Home::new("");
    let server = home.start();
    let address = server.address.as_str();
    let secret = home.path().join("secret");
    std::fs::write(&secret, "a8be22bb7bed43a3ac24de3580093560\n").unwrap();
    let file = secret.to_str().unwrap();
    let args = ["source", "create", "--dialect", "snyk", "--name", "snyk", "--secret-file", file];
    let made = json(address, &args);
    let path = format!("/in/{}", made["id"].as_str().unwrap());
    let body = r#"{"webhookId":"d3cf26b3-2d77-497b-bce2-23b33cc15362"}"#;
    let sent = |id: &str, signature: &str| {
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: hub\r\nContent-Type: application/json\r\nX-Snyk-Event: ping/v0\r\n");
        format!(
            "{head}X-Snyk-Transport-ID: {id}\r\nX-Hub-Signature: {signature}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let right = "sha256=d5ca4bacc32bac605a08061007d5249dc59e05cae6bd00ba0c6a0276acf69aeb";
    assert!(send(address, &sent("old", right)).await.starts_with("HTTP/1.1 200"));
    let (forward, mut received) = receiver().await;
    let args = ["listen", "--source", "snyk", "--forward", &forward, "--last", "1", "--json"];
    let mut listening = Listening::start(address, &args);
    let first = received.recv().await.unwrap();
    assert!(first.starts_with("POST /hook HTTP/1.1\r\n") && first.ends_with(body), "{first}");
    assert!(first.contains("\r\nX-Snyk-Transport-ID: old\r\n"), "names keep their letters: {first}");
    let wrong = right.replace('d', "e");
    assert!(send(address, &sent("forged", &wrong)).await.starts_with("HTTP/1.1 401"));
    assert!(received.recv().await.unwrap().contains("X-Snyk-Transport-ID: forged"));
    assert!(send(address, &sent("old", right)).await.starts_with("HTTP/1.1 200"));
    assert!(received.recv().await.unwrap().ends_with(body), "a duplicate has its first's body");
    for verdict in ["accepted", "signature_mismatch", "duplicate"] {
        let line: Value = serde_json::from_str(&listening.line().await).unwrap();
        assert_eq!((&line["verdict"], &line["status"]), (&verdict.into(), &204.into()));
    }
    let refused = json(address, &["receipt", "list", "--source", "snyk", "--verdict", "signature_mismatch"]);
    let shown = run(address, &["receipt", "show", refused["items"][0]["id"].as_str().unwrap()]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.starts_with("signature_mismatch answered 401"), "{shown}");
    assert!(shown.contains("\nwhy: the signature does not belong to"), "{shown}");
    assert!(shown.contains("\nX-Snyk-Transport-ID: forged\n") && shown.trim_end().ends_with(body), "{shown}");
    server.kill();
}

/// Of a long body some is kept: what is forwarded in its place is said to be cut. And more than a page of what came before
/// is brought.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cut_is_said_to_be_and_the_last_are_as_many_as_asked_for() {
    let home = Home::new("[capture]\nmax_body_bytes = 1024\n");
    let server = home.start();
    let address = server.address.as_str();
    let path = path_of(&json(address, &["capture", "create", "--name", "debug"]));
    send(address, &post(&path, "0123456789")).await;
    send(address, &post(&path, &"x".repeat(2000))).await;
    let (forward, mut received) = receiver().await;
    let args = ["listen", "--capture", "debug", "--forward", &forward, "--last", "2"];
    let mut listening = Listening::start(address, &args);
    assert!(!listening.line().await.contains("cut"));
    let line = listening.line().await;
    assert!(line.contains("2000 B") && line.contains("cut: 1024 B"), "{line}");
    assert!(received.recv().await.unwrap().ends_with("0123456789"));

    let args = ["source", "create", "--dialect", "snyk", "--name", "snyk", "--make-secret"];
    let path = format!("/in/{}", json(address, &args)["id"].as_str().unwrap());
    for _ in 0..60 {
        assert!(send(address, &post(&path, "{}")).await.starts_with("HTTP/1.1 4"));
    }
    let args = ["listen", "--source", "snyk", "--forward", &forward, "--last", "60"];
    let mut listening = Listening::start(address, &args);
    for _ in 0..60 {
        assert!(listening.line().await.contains("POST /hook"));
    }
    server.kill();
}
