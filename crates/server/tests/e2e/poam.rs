//! Plans of action on the binary: an item that is overdue when it is made rings within 25 seconds, also after `kill -9`;
//! the scan that no longer sees its finding completes it. What is exported is OSCAL to NIST's own model.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Client, make_endpoint, make_org};
use crate::process::Home;
use crate::say;
use crate::sink::Sink;

const LONGEST: Duration = Duration::from_secs(25);

/// A report with this rule's finding, or none.
fn report(is_there: bool) -> Value {
    let result = json!({"ruleId": "B602", "level": "error", "message": {"text": "shell"},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": "shop.py"},
            "region": {"startLine": 3, "snippet": {"text": "call(x, shell=True)"}}}}]});
    let results = if is_there { json!([result]) } else { json!([]) };
    json!({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "bandit", "rules": [{"id": "B602"}]}}, "results": results}]})
}

/// The next webhook of this type, as its data.
async fn next(sink: &mut Sink, event_type: &str) -> Value {
    let arrived = async {
        loop {
            let arrival = sink.arrivals.recv().await.expect("the sink lives");
            let body: Value = serde_json::from_slice(&arrival.body).unwrap();
            if body["type"] == event_type {
                return body["data"].clone();
            }
        }
    };
    let arrived = tokio::time::timeout(LONGEST, arrived).await;
    assert!(arrived.is_ok(), "no {event_type} in {LONGEST:?}");
    arrived.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overdue_item_rings_at_once_and_remediation_completes_it() {
    let home = Home::new("");
    let mut sink = Sink::start().await;
    let server = home.start();
    let mut client = Client::new(&server.address);
    make_org(&mut client, "acme").await;
    make_endpoint(&mut client, "acme", json!({"url": sink.url, "dialect": "standard"})).await;
    let project = client.must_post("/api/v1/orgs/acme/projects", json!({"name": "shop"})).await;
    let scans = format!("/api/v1/orgs/acme/projects/{}/scans", project["id"].as_str().unwrap());
    client.must_post(&scans, report(true)).await;
    let found = next(&mut sink, "vulnerability.created").await;

    let items = "/api/v1/orgs/acme/poam-items";
    let given = json!({"finding_id": found["finding_id"], "scheduled_completion_date": "2020-02-29"});
    let item = client.must_post(items, given).await;
    assert_eq!(item["status"], "overdue");
    // Killed before, while or after it rings: it rings once.
    server.kill();
    let server = home.start();
    let mut client = Client::new(&server.address);
    let rung = next(&mut sink, "poam.overdue").await;
    assert_eq!(format!("poam_{}", rung["poam_id"].as_str().unwrap()), item["id"].as_str().unwrap());
    assert_eq!((&rung["finding_id"], &rung["scheduled_completion_date"]), (&found["finding_id"], &json!("2020-02-29")));
    assert!(rung["days_overdue"].as_i64().unwrap() > 2_000);

    client.must_post(&scans, report(false)).await;
    let completed = next(&mut sink, "poam.completed").await;
    assert_eq!(completed["poam_id"], rung["poam_id"]);
    let path = format!("{items}/{}", item["id"].as_str().unwrap());
    let (status, now) = client.get(&path).await.unwrap();
    assert_eq!((status, &now["status"]), (200, &json!("completed")));
    let (_, events) = client.get("/api/v1/orgs/acme/events?type=poam.overdue").await.unwrap();
    assert_eq!(events["items"].as_array().unwrap().len(), 1, "rung twice");

    let milestones = json!([{"title": "Test", "due": "2030-01-15"}, {"title": "Ship", "due": "2030-02-01T12:00:00Z"}]);
    let given = json!({"finding_id": "0ef8ac7e-1b9d-48d9-82eb-2f2355ba2b31", "title": "a <b> & \"c\"\n".trim(),
        "scheduled_completion_date": "2030-02-28", "owner": "ada@example.com", "notes": "two\nlines", "milestones": milestones});
    client.must_post(items, given).await;
    let (status, plan) = client.get(&format!("{items}/export?format=oscal")).await.unwrap();
    assert_eq!(status, 200, "{plan}");
    let file = home.path().join("poam.json");
    std::fs::write(&file, plan.to_string()).unwrap();
    read_by_trestle(&file);
}

/// NIST's model, as another reader has it: compliance-trestle, of the Python that `WATCHBELL_TRESTLE_PYTHON` names.
fn read_by_trestle(file: &std::path::Path) {
    let python = std::env::var_os("WATCHBELL_TRESTLE_PYTHON").unwrap_or_else(|| "python3".into());
    let script = "import sys, trestle.oscal.poam as poam, pathlib\n\
        plan = poam.PlanOfActionAndMilestones.oscal_read(pathlib.Path(sys.argv[1]))\n\
        print('read', len(plan.poam_items), len(plan.risks), len(plan.risks[0].remediations[0].tasks))";
    let read = Command::new(&python).args(["-c", script]).arg(file).output();
    let Ok(read) = read else {
        say(&format!("SKIPPED: {} is not there, so nobody else has read the OSCAL export", python.display()));
        return;
    };
    let problem = String::from_utf8_lossy(&read.stderr).into_owned();
    if problem.contains("No module named 'trestle'") {
        say(&format!(
            "SKIPPED: {} has no compliance-trestle (pip install compliance-trestle, and name its Python in \
             WATCHBELL_TRESTLE_PYTHON), so nobody else has read the OSCAL export",
            python.display()
        ));
        return;
    }
    assert_eq!(String::from_utf8_lossy(&read.stdout).trim(), "read 2 2 2", "{problem}");
}
