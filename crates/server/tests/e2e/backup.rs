//! A backup taken beside a running server under load, and put back elsewhere.

use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::TURN;
use crate::client::{Client, make_endpoint, make_org};
use crate::process::{Home, binary};
use crate::sink::Sink;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn run(home: &Home, args: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command
        .args(args)
        .arg("--data")
        .arg(home.path().join("data"))
        .arg("--config")
        .arg(home.path().join("watchbell.toml"));
    command.output().unwrap()
}

fn json_of(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
async fn h17_a_backup_beside_a_running_server_holds_what_was_accepted_and_no_secret() {
    let _turn = TURN.lock().await;
    let home = Home::new("");
    let sink = Sink::start().await;
    let server = home.start();
    let mut client = Client::new(&server.address);
    make_org(&mut client, "alpha").await;
    let endpoint = json!({"url": format!("{}/alpha", sink.url), "dialect": "standard", "secret": SECRET});
    make_endpoint(&mut client, "alpha", endpoint).await;
    let event = json!({"type": "backup.test", "data": {"before": true}});
    let mut before = Vec::new();
    for _ in 0..50 {
        let (status, answer) = client.post("/api/v1/orgs/alpha/events", &event).await.unwrap();
        assert_eq!(status, 202);
        before.push(answer["id"].as_str().unwrap().to_owned());
    }
    let document = json!({"kept": "as it was uploaded"});
    let (status, evidence) = client.post("/api/v1/orgs/alpha/evidence?file_name=a.json", &document).await.unwrap();
    assert_eq!(status, 202, "{evidence}");
    let goes_on = Arc::new(AtomicBool::new(true));
    let (address, more) = (server.address.clone(), Arc::clone(&goes_on));
    let posting = tokio::spawn(async move {
        let mut client = Client::new(&address);
        let mut accepted = 0;
        while more.load(Ordering::Relaxed) {
            let event = json!({"type": "backup.test", "data": {"before": false}});
            let (status, _) = client.post("/api/v1/orgs/alpha/events", &event).await.unwrap();
            assert_eq!(status, 202, "nobody waits for a backup");
            accepted += 1;
        }
        accepted
    });
    let file = home.path().join("backup.db");
    let path = file.to_str().unwrap().to_owned();
    let said = {
        let (home, path) = (&home, &path);
        json_of(&tokio::task::block_in_place(|| run(home, &["backup", path, "--json"])))
    };
    assert_eq!(said["bytes"].as_u64(), Some(file.metadata().unwrap().len()));
    assert_eq!(said["documents"], 1, "{said}");
    goes_on.store(false, Ordering::Relaxed);
    assert!(posting.await.unwrap() > 0);
    server.kill();

    let bytes = std::fs::read(&file).unwrap();
    let key = std::fs::read_to_string(home.path().join("data/secrets.key")).unwrap();
    for secret in [SECRET, key.trim(), crate::process::ADMIN_KEY] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "in clear: {secret}");
    }
    assert!(!run(&home, &["backup", &path]).status.success(), "what is there is not written over");

    let other = Home::new("");
    assert_eq!(run(&other, &["restore", &path]).status.code(), Some(78), "without the key there is nothing to restore");
    let wrong = other.path().join("wrong.key");
    std::fs::write(&wrong, format!("wbk1_{}\n", "7".repeat(64))).unwrap();
    std::fs::set_permissions(&wrong, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let with_wrong = run(&other, &["restore", &path, "--key-file", wrong.to_str().unwrap()]);
    assert_eq!(with_wrong.status.code(), Some(78));
    assert!(!other.path().join("data/watchbell.db").exists());
    let key_file = home.path().join("data/secrets.key");
    json_of(&run(&other, &["restore", &path, "--key-file", key_file.to_str().unwrap(), "--json"]));
    assert!(!run(&other, &["restore", &path]).status.success(), "a database that is there is not written over");
    other.must_be_sound();

    let server = other.start();
    let mut client = Client::new(&server.address);
    for id in before {
        let (status, shown) = client.get(&format!("/api/v1/orgs/alpha/events/{id}")).await.unwrap();
        assert_eq!((status, &shown["data"]["before"]), (200, &json!(true)));
    }
    let content = format!("/api/v1/orgs/alpha/evidence/{}/content", evidence["id"].as_str().unwrap());
    assert_eq!(client.get(&content).await.unwrap(), (200, document), "the documents are there as well");
    // The restored secret signs: the endpoint can be read and used.
    let (status, _) = client.post("/api/v1/orgs/alpha/events", &event).await.unwrap();
    assert_eq!(status, 202);
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let third = Home::new("");
    let cut = run(&third, &["restore", &path, "--key-file", key_file.to_str().unwrap()]);
    assert_eq!(cut.status.code(), Some(74), "{}", String::from_utf8_lossy(&cut.stderr));
}
