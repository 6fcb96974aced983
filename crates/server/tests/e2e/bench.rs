//! `watchbell bench` on the built binary: its figures belong together, and a run in which something is missing fails.

use std::process::{Command, Output};

use serde_json::Value;

use crate::TURN;

fn bench(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_watchbell")).args(args).output().expect("the binary runs")
}

fn figures(args: &[&str]) -> Value {
    let output = bench(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

#[tokio::test]
async fn what_goes_in_comes_out() {
    let _turn = TURN.lock().await;
    for more in [["--batch", "7"].as_slice(), &["--tls", "--floor-seconds", "0.1"]] {
        let folder = tempfile::tempdir().unwrap();
        let given = ["bench", "deliver", "--json", "--events", "300", "--fanout", "2", "--data-dir"];
        let data_dir = folder.path().to_str().unwrap();
        let report = figures(&[&given, [data_dir].as_slice(), more].concat());
        let number = |pointer: &str| {
            report.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("{pointer} in {report:#}"))
        };
        // 300 events in batches of 7 are 43 batches.
        let events = if more.contains(&"--batch") { 301.0 } else { 300.0 };
        assert_eq!(
            [number("/accepted"), number("/expected"), number("/arrived")],
            [events, events * 2.0, events * 2.0]
        );
        assert_eq!(number("/duplicates"), 0.0);
        assert!(number("/server_delivered") >= number("/arrived"));
        assert!(number("/signatures_verified") > 0.0);
        for spread in ["ingest_ms", "arrival_ms"] {
            let [p50, p90, p99, max] = ["p50", "p90", "p99", "max"].map(|name| number(&format!("/{spread}/{name}")));
            assert!(0.0 < p50 && p50 <= p90 && p90 <= p99 && p99 <= max, "{spread} in {report:#}");
        }
        let rate = number("/arrived") / number("/deliveries_per_s");
        assert!(rate <= number("/elapsed_s") * 1.001, "{report:#}");
        assert!(number("/memory_mb/peak") >= number("/memory_mb/after"));
        assert!(number("/cold_start_ms") > 0.0 && number("/server_cpu_s_per_1000") > 0.0);
        let straight = if more.contains(&"--tls") { "direct_tls" } else { "direct" };
        let floor = number(&format!("/floor/{straight}/per_s"));
        assert!((number("/ratio/accepted_per_s") - number("/accepted_per_s") / floor).abs() < 1e-9);
        let floor = number("/floor/delivery_cpu_s_per_1000");
        assert!((number("/ratio/server_cpu") - number("/server_cpu_s_per_1000") / floor).abs() < 1e-9);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    }
}

#[tokio::test]
async fn an_open_loop_beside_an_endpoint_that_hangs() {
    let _turn = TURN.lock().await;
    let given = ["bench", "deliver", "--json", "--no-floor", "--rate", "50", "--seconds", "1", "--fanout", "3"];
    // Two at a time: the first arrivals at the hanging endpoint keep all others away from it.
    let report =
        figures(&[given.as_slice(), &["--hang", "1", "--max-in-flight", "2", "--connections", "4", "--kill"]].concat());
    assert_eq!([&report["accepted"], &report["expected"], &report["arrived"]], [50, 100, 100]);
    assert!(report["floor"].is_null() && report["ratio"].is_null());
    // Killed with two in flight: the next process tries again.
    let [ready, delivery] = ["ready", "delivery"].map(|name| report["restart_ms"][name].as_f64().unwrap());
    assert!(0.0 < ready && 0.0 < delivery, "{report:#}");
}

#[tokio::test]
async fn receipts_beside_events() {
    let _turn = TURN.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().to_str().unwrap();
    let given = ["bench", "receive", "--json", "--events", "120", "--rounds", "3", "--connections", "4"];
    let figures = figures(&[&given, ["--data-dir", data_dir].as_slice()].concat());
    for side in ["events", "receipts"] {
        assert_eq!(figures[side]["accepted"], 120, "{figures:#}");
        assert!(figures[side]["per_s"].as_f64().unwrap() > 0.0, "{figures:#}");
    }
    for ratios in ["to_events", "to_repeatable_events"] {
        assert!(figures[ratios]["time"].as_f64().unwrap() > 0.0, "{figures:#}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
}

/// The server trusts another authority than the sink's, so that nothing is delivered: the run says how much is missing.
#[tokio::test]
async fn a_delivery_that_does_not_arrive_is_a_failure() {
    let _turn = TURN.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other-ca.pem");
    let certificate = rcgen::generate_simple_self_signed(vec!["ca.example".to_owned()]).unwrap();
    std::fs::write(&other, certificate.cert.pem()).unwrap();
    let setting = format!("egress.extra_ca_file={}", other.display());
    let said = failure(&["--tls", "--timeout", "0.5", "--set", &setting]);
    assert!(said.contains("4 of 4 events accepted and 0 of 4 deliveries arrived: 4 are missing"), "{said}");
}

#[tokio::test]
async fn an_event_that_is_refused_is_a_failure() {
    let _turn = TURN.lock().await;
    let said = failure(&["--set", "api.max_event_bytes=1024"]);
    assert!(said.contains("did not accept an event: HTTP/1.1 413"), "{said}");
}

/// What a run that fails says. It leaves nothing behind.
fn failure(more: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().to_str().unwrap();
    let given = ["bench", "deliver", "--no-floor", "--events", "8", "--connections", "1", "--data-dir", data_dir];
    let output = bench(&[given.as_slice(), more].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    said
}
