//! What the delivery loop and the store have done is seen in `/metrics`.

use serde_json::json;

use crate::client::{Client, make_endpoint, make_org};
use crate::process::Home;
use crate::sink::Sink;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_and_commits_are_shown() {
    let home = Home::new("");
    let server = home.start();
    let mut sink = Sink::start().await;
    let mut client = Client::new(&server.address);
    make_org(&mut client, "acme").await;
    let given = json!({"url": format!("{}/take", sink.url), "dialect": "standard"});
    make_endpoint(&mut client, "acme", given).await;
    let event = json!({"type": "acme.thing_happened", "data": {}});
    client.must_post("/api/v1/orgs/acme/events", event).await;
    sink.arrivals.recv().await.unwrap();
    // It has arrived; that the attempt has ended is counted a moment later.
    let figures = loop {
        let figures = client.text("/metrics").await;
        if figures.contains("watchbell_delivery_attempts_total") {
            break figures;
        }
    };
    assert!(figures.contains("watchbell_delivery_attempts_total{result=\"http_204\"} 1\n"), "{figures}");
    for name in ["leases_lost", "settle_failures", "claim_failures", "panics"] {
        let line = format!("watchbell_delivery_{name}_total 0\n");
        assert!(figures.contains(&line), "{line}{figures}");
    }
    assert!(figures.contains("# TYPE watchbell_deliveries_in_flight gauge\n"), "{figures}");
    let commits = figures.lines().find_map(|line| line.strip_prefix("watchbell_store_commits_total "));
    assert!(commits.unwrap().parse::<u64>().unwrap() >= 5, "{figures}");
    assert!(figures.ends_with("# EOF\n"), "{figures}");
}
