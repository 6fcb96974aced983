//! Advisories are brought in, a bill of materials is uploaded, and what is in it is told.
//!
//! The bill of materials was made by cyclonedx-py 7.5.0 from `examples/webshop/before/requirements.txt`; the advisories are
//! written by hand in the shapes of PyPA's, GitHub's and RustSec's databases.

use std::path::Path;

use serde_json::{Value, json};

use crate::client::{Client, make_endpoint, make_org};
use crate::process::{ADMIN_KEY, Home};
use crate::sink::Sink;

fn data(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// Runs a command against a server; its JSON.
async fn run(address: &str, arguments: &[&str], file: &Path) -> Value {
    let url = format!("http://{address}");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_watchbell"));
    command.args(arguments).arg(file).args(["--json", "--url", &url, "--org", "acme"]);
    command.env("WATCHBELL_KEY", ADMIN_KEY);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bill_of_materials_is_matched_and_what_is_found_is_told() {
    let home = Home::new("");
    let server = home.start();
    let mut sink = Sink::start().await;
    let mut client = Client::new(&server.address);
    make_org(&mut client, "acme").await;
    let given = json!({"url": format!("{}/take", sink.url), "dialect": "standard", "events": ["evidence.completed"]});
    make_endpoint(&mut client, "acme", given).await;

    let figures = run(&server.address, &["advisories", "import"], &data("advisories")).await;
    assert_eq!((&figures["added"], &figures["unfit"]), (&json!(3), &json!(0)), "{figures}");
    let again = run(&server.address, &["advisories", "import"], &data("advisories")).await;
    assert_eq!((&again["added"], &again["unchanged"]), (&json!(0), &json!(4)), "{again}");

    let sbom = data("sbom.cdx.json");
    client.must_post("/api/v1/orgs/acme/projects", json!({"name": "shop"})).await;
    let evidence = run(&server.address, &["evidence", "add", "--project", "shop"], &sbom).await;
    assert_eq!(evidence["state"], "completed", "{evidence}");
    assert_eq!((&evidence["components"], &evidence["vulnerabilities_found"]), (&json!(3), &json!(2)));

    let arrival = sink.arrivals.recv().await.unwrap();
    let told: Value = serde_json::from_slice(&arrival.body).unwrap();
    assert_eq!(told["type"], "evidence.completed", "{told}");
    let data = &told["data"];
    assert_eq!(data["file_name"], "sbom.cdx.json");
    assert_eq!(
        (&data["vulnerabilities_found"], &data["critical_count"], &data["high_count"]),
        (&json!(2), &json!(0), &json!(2))
    );

    // It was weighed as a scan as well.
    let (_, projects) = client.get("/api/v1/orgs/acme/projects").await.unwrap();
    let project = projects["items"][0]["id"].as_str().unwrap().to_owned();
    let (_, findings) = client.get(&format!("/api/v1/orgs/acme/projects/{project}/findings")).await.unwrap();
    let mut found: Vec<&str> =
        findings["items"].as_array().unwrap().iter().map(|it| it["cve_id"].as_str().unwrap()).collect();
    found.sort_unstable();
    assert_eq!(found, ["CVE-2018-1000656", "CVE-2019-10906"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_uploaded_before_a_kill_is_read_after_it() {
    let home = Home::new("");
    let server = home.start();
    let mut client = Client::new(&server.address);
    make_org(&mut client, "acme").await;
    let address = server.address.clone();
    let evidence = run(&address, &["evidence", "add", "--no-wait"], &data("sbom.cdx.json")).await;
    server.kill();
    std::fs::write(home.path().join("data/spool/left"), "by the process before").unwrap();
    let server = home.start();
    let mut client = Client::new(&server.address);
    let path = format!("/api/v1/orgs/acme/evidence/{}", evidence["id"].as_str().unwrap());
    loop {
        let (_, evidence) = client.get(&path).await.unwrap();
        if evidence["state"] == "completed" {
            assert_eq!(evidence["components"], 3);
            break;
        }
    }
    assert_eq!(std::fs::read_dir(home.path().join("data/spool")).unwrap().count(), 0);
}
