//! What reading and weighing a large SARIF report takes, each apart: `cargo run --release -p watchbell-domain --example
//! report -- 200000`. The whole path is `watchbell bench report`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a bench that cannot go on ends; elapsed time is what it measures"
)]

use std::io::{BufWriter, Write};
use std::time::Instant;

use watchbell_domain::Timestamp;
use watchbell_domain::id::{OrgId, ProjectId, ScanId};
use watchbell_domain::org::{Org, Project};
use watchbell_domain::port::testing::SeededEntropy;
use watchbell_domain::port::{Coverage, ProjectState};
use watchbell_domain::scan;
use watchbell_domain::snapshot::{self, ScanFacts};

fn main() {
    let findings: u64 = std::env::args().nth(1).map_or(200_000, |text| text.parse().unwrap());
    let mut file = tempfile::tempfile().unwrap();
    generate(&mut file, findings);
    let megabytes = file.metadata().unwrap().len() as f64 / 1e6;
    say("generated", findings, None);
    let began = Instant::now();
    let report = scan::read_from(&file, None).unwrap();
    assert_eq!(u64::try_from(report.observations.len()).unwrap(), findings);
    say(&format!("{megabytes:.0} MB read"), findings, Some(began));

    let entropy = SeededEntropy::new(1);
    let at: Timestamp = "2026-03-01T08:00:00Z".parse().unwrap();
    let org = Org { id: OrgId::make(at, &entropy), slug: "a".into(), name: "A".into(), weight: 1, created_at: at };
    let project = Project {
        id: ProjectId::make(at, &entropy),
        org_id: org.id,
        name: "p".into(),
        created_at: at,
        version: 1,
        last_scan_at: Some(at),
        owner: None,
        labels: std::collections::BTreeMap::new(),
    };
    let facts = ScanFacts { scan_id: ScanId::make(at, &entropy), received_at: at, scanned_at: None, partial: false };
    let began = Instant::now();
    let mut known = ProjectState {
        project: project.clone(),
        group: None,
        statements: Vec::new(),
        findings: Vec::new(),
        coverage: Coverage::default(),
    };
    let outcome = snapshot::weigh(&org, known, report, facts, &entropy);
    let events = outcome.acceptance.events.len();
    let bytes: usize = outcome.acceptance.events.iter().map(|new| new.event.data.text().len()).sum();
    say(&format!("weighed, all new: {events} events, {:.0} MB of data", bytes as f64 / 1e6), findings, Some(began));
    known = ProjectState {
        project,
        group: None,
        statements: Vec::new(),
        findings: outcome.findings,
        coverage: outcome.coverage,
    };
    drop((outcome.acceptance, outcome.history));
    let report = scan::read_from(&file, None).unwrap();
    say("read again", findings, None);
    let began = Instant::now();
    let again = snapshot::weigh(&org, known, report, facts, &entropy);
    say(&format!("weighed again: {} events", again.acceptance.events.len()), findings, Some(began));
}

/// What was done, how long it took, and how much memory there was at most.
fn say(what: &str, findings: u64, began: Option<Instant>) {
    let took = began.map_or(0.0, |began| began.elapsed().as_secs_f64());
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("?").trim().to_owned();
    println!("{what}: {took:.2} s, {:.1} µs a finding, peak {peak}", took * 1e6 / findings as f64);
}

fn generate(file: &mut std::fs::File, findings: u64) {
    let mut out = BufWriter::new(file);
    let filling = "the value comes from outside and is used as it is; ".repeat(12);
    out.write_all(br#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"bench","rules":["#).unwrap();
    for rule in 0..200 {
        let comma = if rule > 0 { "," } else { "" };
        write!(out, r#"{comma}{{"id":"R{rule}","properties":{{"security-severity":"{}.5"}}}}"#, rule % 10).unwrap();
    }
    out.write_all(br#"]}},"results":["#).unwrap();
    for result in 0..findings {
        let comma = if result > 0 { "," } else { "" };
        let (rule, file, line) = (result % 200, result % 4999, result / 4999 + 1);
        write!(
            out,
            r#"{comma}{{"ruleIndex":{rule},"partialFingerprints":{{"primaryLocationLineHash":"{result:016x}:1"}},"locations":[{{"physicalLocation":{{"artifactLocation":{{"uri":"src/file{file}.py"}},"region":{{"startLine":{line}}}}}}}],"message":{{"text":"{filling}{result}"}}}}"#
        )
        .unwrap();
    }
    out.write_all(b"]}]}").unwrap();
    out.flush().unwrap();
}
