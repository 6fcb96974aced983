//! From two scans to events.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use watchbell_domain::finding::{Finding, FindingStatus};
use watchbell_domain::port::ScanOutcome;
use watchbell_domain::scan::{self, Report, ReportError, ScanStatus};
use watchbell_domain::snapshot::{self, EVENT_BYTES_MAX, ScanFacts};
use watchbell_wire::event::{ProjectSnapshot, Scan as ScanData, Vulnerability};
use watchbell_wire::{EventType, Severity};

use crate::support::{Shop, count, event_types, example};

fn data<T: serde::de::DeserializeOwned>(outcome: &ScanOutcome, event_type: &EventType) -> Vec<T> {
    let events = outcome.acceptance.events.iter().map(|new| &new.event);
    events
        .filter(|event| event.event_type == *event_type)
        .map(|event| event.data.typed().expect("data of its type"))
        .collect()
}

fn snapshot_of(outcome: &ScanOutcome) -> ProjectSnapshot {
    let mut all: Vec<ProjectSnapshot> = data(outcome, &EventType::ProjectSnapshot);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn sarif(tool: &str, results: &[Value]) -> Report {
    let log = json!({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": tool}}, "results": results}]});
    scan::read(log.to_string().as_bytes(), None).expect("a report that can be read")
}

fn result(rule: &str, file: &str, line: u64, snippet: &str) -> Value {
    json!({"ruleId": rule, "level": "error", "message": {"text": rule}, "locations": [{"physicalLocation": {
        "artifactLocation": {"uri": file}, "region": {"startLine": line, "snippet": {"text": snippet}}}}]})
}

/// What a change did, in a form that is easy to proofread.
fn told(outcome: &ScanOutcome) -> Value {
    let by_id: BTreeMap<String, &Finding> = outcome.findings.iter().map(|it| (it.id.bare(), it)).collect();
    let events = outcome.acceptance.events.iter().map(|new| {
        let data: Value = new.event.data.typed().unwrap();
        let finding = data.get("finding_id").and_then(|id| by_id.get(id.as_str()?));
        let identity = finding.map_or("", |finding| finding.identity.as_str());
        format!("{} {identity}", new.event.event_type).trim_end().to_owned()
    });
    let findings = outcome.findings.iter().map(|it| {
        let location = it.observation.location.as_deref().unwrap_or_default();
        format!("{} {} {location}", it.status.as_str(), it.identity).trim_end().to_owned()
    });
    let scan = &outcome.scan;
    json!({
        "scan": [scan.status.as_str(), scan.findings_seen, scan.findings_new, scan.findings_removed],
        "events": events.collect::<Vec<_>>(),
        "findings": findings.collect::<Vec<_>>(),
    })
}

#[test]
fn the_examples_change_is_told() {
    for tool in ["audit", "bandit", "checkov"] {
        let mut shop = Shop::new();
        let before = shop.scan(&example(&format!("before/{tool}")));
        let after = shop.scan(&example(&format!("after/{tool}")));
        insta::assert_json_snapshot!(tool, json!({"before": told(&before), "after": told(&after)}));
    }
}

#[test]
fn the_examples_snapshot_event_is_this() {
    let mut shop = Shop::new();
    shop.scan(&example("before/audit"));
    let outcome = shop.scan(&example("after/audit"));
    insta::assert_json_snapshot!("project_snapshot", snapshot_of(&outcome));
    let completed: Vec<ScanData> = data(&outcome, &EventType::ScanCompleted);
    insta::assert_json_snapshot!("scan_completed", completed);
    let critical: Vec<Vulnerability> = data(&outcome, &EventType::VulnerabilityCritical);
    insta::assert_json_snapshot!("vulnerability_critical", critical);
}

#[test]
fn a_first_scan_creates_and_tells_no_snapshot() {
    let mut shop = Shop::new();
    let first = shop.scan(&example("before/audit"));
    assert_eq!(count(&first, "project.snapshot"), 0);
    assert_eq!(count(&first, "scan.completed"), 1);
    assert_eq!(count(&first, "vulnerability.created"), 4);
    assert_eq!(first.seen_version, 0);
    let second = shop.scan(&example("before/audit"));
    assert_eq!(second.seen_version, 1);
}

#[test]
fn the_same_report_again_tells_a_snapshot_of_nothing() {
    for (name, _) in crate::support::EXAMPLES {
        let mut shop = Shop::new();
        shop.scan(&example(name));
        let known = shop.findings.clone();
        let again = shop.scan(&example(name));
        assert_eq!(event_types(&again), ["scan.completed", "project.snapshot"]);
        let snapshot = snapshot_of(&again);
        assert!(snapshot.new_issues.is_empty() && snapshot.removed_issues.is_empty());
        for (before, after) in known.iter().zip(&shop.findings) {
            let mut seen_again = Finding { last_seen_at: after.last_seen_at, ..before.clone() };
            seen_again.sights.values_mut().for_each(|sight| sight.at = after.last_seen_at);
            assert_eq!(seen_again, *after);
            assert!(after.last_seen_at > before.last_seen_at);
        }
    }
}

#[test]
fn moved_lines_keep_their_finding() {
    let mut shop = Shop::new();
    shop.scan(&sarif("t", &[result("R", "a.py", 3, "run(x)"), result("R", "a.py", 9, "run(x)")]));
    let ids: Vec<_> = shop.findings.iter().map(|finding| finding.id).collect();
    let moved = shop.scan(&sarif("t", &[result("R", "a.py", 90, "  run(x)"), result("R", "a.py", 30, "run(x) ")]));
    assert_eq!(event_types(&moved), ["scan.completed", "project.snapshot"]);
    let lines: Vec<_> = shop.findings.iter().map(|finding| (finding.id, finding.observation.line())).collect();
    assert_eq!(lines, [(ids[0], Some(30)), (ids[1], Some(90))]);
    let one_less = shop.scan(&sarif("t", &[result("R", "a.py", 30, "run(x)")]));
    assert_eq!(count(&one_less, "vulnerability.remediated"), 1);
    assert_eq!(shop.open().len(), 1);
}

#[test]
fn gone_and_back_is_reopened_under_its_old_id() {
    let mut shop = Shop::new();
    let there = sarif("t", &[result("R", "a.py", 3, "run(x)")]);
    let created = shop.scan(&there);
    let first: Vec<Vulnerability> = data(&created, &EventType::VulnerabilityCreated);
    let gone = shop.scan(&sarif("t", &[]));
    let removed: Vec<Vulnerability> = data(&gone, &EventType::VulnerabilityRemediated);
    assert_eq!(removed[0].finding_id, first[0].finding_id);
    assert_eq!(removed[0].remediated_at, Some(gone.scan.received_at));
    assert_eq!(removed[0].detected_at, first[0].detected_at);
    assert_eq!(snapshot_of(&gone).removed_issues.len(), 1);
    let still_gone = shop.scan(&sarif("t", &[]));
    assert_eq!(event_types(&still_gone), ["scan.completed", "project.snapshot"]);
    assert!(still_gone.findings.is_empty());
    let back = shop.scan(&there);
    assert_eq!(event_types(&back), ["scan.completed", "vulnerability.reopened", "project.snapshot"]);
    let reopened: Vec<Vulnerability> = data(&back, &EventType::VulnerabilityReopened);
    assert_eq!((&reopened[0].finding_id, reopened[0].remediated_at), (&first[0].finding_id, None));
    assert_eq!(snapshot_of(&back).new_issues.len(), 1);
}

#[test]
fn what_is_removed_carries_the_id_it_was_announced_with() {
    let mut shop = Shop::new();
    shop.scan(&sarif("t", &[]));
    let two = [result("R", "a.py", 3, "run(x)"), result("R", "b.py", 3, "run(x)")];
    let announced = snapshot_of(&shop.scan(&sarif("t", &two))).new_issues;
    let ids: BTreeSet<_> = announced.iter().map(|issue| issue.id.clone()).collect();
    assert_eq!(ids.len(), 2, "one id each, though the rule is the same");
    let removed = snapshot_of(&shop.scan(&sarif("t", &[]))).removed_issues;
    assert_eq!(removed.iter().map(|issue| issue.id.clone()).collect::<BTreeSet<_>>(), ids);
}

#[test]
fn a_tool_remediates_only_what_it_saw() {
    let mut shop = Shop::new();
    shop.scan(&example("before/bandit"));
    shop.scan(&example("before/audit"));
    let open = shop.open().len();
    let other = shop.scan(&sarif("unheard-of", &[]));
    assert_eq!(event_types(&other), ["scan.completed", "project.snapshot"]);
    assert_eq!(shop.open().len(), open);
    let counts = snapshot_of(&other).project.more["issueCountsBySeverity"].clone();
    let total: u64 = counts.as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(total, open as u64, "the counts are the project's, not the scan's");
    let own = shop.scan(&sarif("bandit", &[]));
    assert_eq!(count(&own, "vulnerability.remediated"), example("before/bandit").observations.len());
    assert_eq!(shop.open().len(), example("before/audit").observations.len());
}

#[test]
fn a_partial_scan_or_one_with_unreadable_entries_remediates_nothing() {
    let mut shop = Shop::new();
    shop.scan(&sarif("t", &[result("R", "a.py", 3, "run(x)")]));
    let facts = ScanFacts { partial: true, ..shop.facts() };
    let partial = shop.scan_with(&sarif("t", &[result("N", "b.py", 1, "new(x)")]), facts);
    assert_eq!(event_types(&partial), ["scan.completed", "vulnerability.created", "project.snapshot"]);
    let odd = shop.scan(&sarif("t", &[json!(7)]));
    assert_eq!(event_types(&odd), ["scan.completed", "project.snapshot"]);
    assert!(odd.scan.error.as_ref().is_some_and(|told| told.starts_with("1 entries")));
    assert_eq!(odd.scan.status, ScanStatus::Completed);
    assert_eq!(shop.open().len(), 2);
}

#[test]
fn a_failed_scan_changes_nothing() {
    let mut shop = Shop::new();
    shop.scan(&example("before/bandit"));
    let log = json!({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "Bandit"}}, "results": [],
        "invocations": [{"executionSuccessful": false, "exitCode": 137}]}]});
    let report = scan::read(log.to_string().as_bytes(), None).unwrap();
    let outcome = shop.scan(&report);
    assert_eq!(event_types(&outcome), ["scan.failed"]);
    assert!(outcome.findings.is_empty());
    assert_eq!(outcome.scan.status, ScanStatus::Failed);
    let told: Vec<ScanData> = data(&outcome, &EventType::ScanFailed);
    assert_eq!(told[0].error.as_deref(), Some("the tool says that it failed: exit code 137"));
    assert_eq!(told[0].threats_found, None);
}

#[test]
fn a_broken_report_is_a_failed_scan() {
    let mut shop = Shop::new();
    let error = scan::read(b"{", None).unwrap_err();
    assert!(matches!(error, ReportError::NotJson { .. }));
    let facts = shop.facts();
    let outcome = snapshot::unreadable(&shop.project, Some("grype"), &error, facts, &shop.entropy);
    assert_eq!(event_types(&outcome), ["scan.failed"]);
    assert_eq!((outcome.scan.status, outcome.scan.tool.as_str()), (ScanStatus::Failed, "grype"));
    let told: Vec<ScanData> = data(&outcome, &EventType::ScanFailed);
    assert_eq!(told[0].error, outcome.scan.error);
    assert_eq!(told[0].error, Some(error.to_string()));
    assert_eq!(told[0].scan_id, facts.scan_id.bare());
}

#[test]
fn suppression_is_told_once_and_its_end_reopens() {
    let suppressed = |is: bool| {
        let mut one = result("R", "a.py", 3, "run(x)");
        if is {
            one["suppressions"] = json!([{"kind": "inSource"}]);
        }
        sarif("t", &[one])
    };
    let mut shop = Shop::new();
    shop.scan(&sarif("t", &[]));
    let outcome = shop.scan(&suppressed(true));
    assert_eq!(event_types(&outcome), ["scan.completed", "vulnerability.suppressed", "project.snapshot"]);
    assert!(snapshot_of(&outcome).new_issues.is_empty());
    let completed: Vec<ScanData> = data(&outcome, &EventType::ScanCompleted);
    assert_eq!((completed[0].threats_found, completed[0].details.len()), (Some(0), 0));
    assert_eq!(event_types(&shop.scan(&suppressed(true))), ["scan.completed", "project.snapshot"]);
    let lifted = shop.scan(&suppressed(false));
    assert_eq!(event_types(&lifted), ["scan.completed", "vulnerability.reopened", "project.snapshot"]);
    shop.scan(&suppressed(true));
    assert_eq!(shop.findings[0].status, FindingStatus::Suppressed);
    let gone = shop.scan(&sarif("t", &[]));
    assert_eq!(event_types(&gone), ["scan.completed", "vulnerability.remediated", "project.snapshot"]);
    assert!(snapshot_of(&gone).removed_issues[0].is_ignored);
}

#[test]
fn another_severity_is_a_change_and_no_new_finding() {
    let with = |level: &str| {
        let mut one = result("R", "a.py", 3, "run(x)");
        one["level"] = json!(level);
        sarif("t", &[one])
    };
    let mut shop = Shop::new();
    shop.scan(&with("note"));
    let outcome = shop.scan(&with("error"));
    assert_eq!(event_types(&outcome), ["scan.completed", "vulnerability.changed", "project.snapshot"]);
    assert_eq!(shop.findings[0].observation.severity, Severity::High);
}

#[test]
fn only_what_is_critical_is_told_as_critical() {
    let mut shop = Shop::new();
    let first = shop.scan(&example("before/audit"));
    assert_eq!(count(&first, "vulnerability.critical"), 0);
    let second = shop.scan(&example("after/audit"));
    let created: Vec<Vulnerability> = data(&second, &EventType::VulnerabilityCreated);
    let critical: Vec<Vulnerability> = data(&second, &EventType::VulnerabilityCritical);
    assert_eq!(created, critical);
    assert_eq!(critical[0].cve_id.as_deref(), Some("CVE-2020-14343"));
}

#[test]
fn a_snapshot_has_every_documented_member() {
    let documented: Value = serde_json::from_str(include_str!("data/snyk_documented_shape.json")).unwrap();
    let mut shop = Shop::new();
    shop.scan(&sarif("t", &[]));
    for name in ["before/audit", "before/bandit", "after/audit"] {
        let outcome = shop.scan(&example(name));
        let sent = serde_json::to_value(snapshot_of(&outcome)).unwrap();
        assert!(sent["newIssues"].as_array().is_some_and(|issues| !issues.is_empty()), "{name}");
        assert_members(&documented, &sent, "");
        for issue in sent["newIssues"].as_array().unwrap().iter().chain(sent["removedIssues"].as_array().unwrap()) {
            assert_members(&documented["newIssues"][0], issue, "issue");
        }
    }
}

/// Every member of `documented` is in `sent`, and of the same type, or `null` where we have nothing to say.
fn assert_members(documented: &Value, sent: &Value, at: &str) {
    // Maps by package, and lists of what we have none of.
    if matches!(at, "/project/importingUser" | "/project/remediation/upgrade") || at.ends_with("Issues") {
        return;
    }
    match (documented, sent) {
        (Value::Object(documented), Value::Object(sent)) => {
            for (name, value) in documented {
                let own = sent.get(name).unwrap_or_else(|| panic!("{at}/{name} is missing"));
                assert_members(value, own, &format!("{at}/{name}"));
            }
        }
        (_, Value::Null) | (Value::Null, _) => {}
        (documented, sent) => {
            assert_eq!(std::mem::discriminant(documented), std::mem::discriminant(sent), "{at}: {documented} {sent}")
        }
    }
}

#[test]
fn no_event_is_larger_than_the_limit_and_no_issue_is_lost() {
    let long = "\u{1F514}\"".repeat(300);
    let results: Vec<Value> = (0..1_100)
        .map(|n| {
            let mut one = result(&format!("R{n}"), &format!("{n}/{}", "d".repeat(900)), 1, "x");
            one["message"] = json!({"text": format!("{long}\n{long}")});
            one
        })
        .collect();
    let mut shop = Shop::new();
    shop.scan(&sarif("t", &[]));
    let outcome = shop.scan(&sarif("t", &results));
    for new in &outcome.acceptance.events {
        assert!(new.event.data.text().len() <= EVENT_BYTES_MAX, "{}", new.event.event_type);
    }
    let completed: Vec<ScanData> = data(&outcome, &EventType::ScanCompleted);
    assert_eq!(completed[0].threats_found, Some(1_100));
    assert!((500..=1_000).contains(&completed[0].details.len()), "{}", completed[0].details.len());
    let parts: Vec<ProjectSnapshot> = data(&outcome, &EventType::ProjectSnapshot);
    assert!(parts.len() > 1);
    let told: BTreeSet<&str> = parts.iter().flat_map(|part| &part.new_issues).map(|issue| issue.id.as_str()).collect();
    assert_eq!(told.len(), 1_100);
}

#[test]
fn the_same_input_and_chance_give_the_same_outcome() {
    let run = || {
        let mut shop = Shop::new();
        shop.scan(&example("before/bandit"));
        shop.scan(&example("after/bandit"))
    };
    assert_eq!(run(), run());
}

#[test]
fn nearest_fix_is_the_lowest_above_what_is_installed() {
    let bom = json!({"bomFormat": "CycloneDX", "specVersion": "1.6",
        "components": [{"bom-ref": "c", "name": "c", "version": "2.9.4", "purl": "pkg:npm/c@2.9.4"}],
        "vulnerabilities": [{"id": "V", "recommendation": "Upgrade c to version 3.0.0, 2.6.7, 2.10.1", "affects": [{"ref": "c"}]}]});
    let mut shop = Shop::new();
    shop.scan(&sarif("t", &[]));
    let outcome = shop.scan(&scan::read(bom.to_string().as_bytes(), None).unwrap());
    let snapshot = snapshot_of(&outcome);
    assert_eq!(snapshot.new_issues[0].fix_info["nearestFixedInVersion"], "2.10.1");
    assert_eq!(snapshot.new_issues[0].fix_info["isUpgradable"], true);
    assert_eq!(snapshot.new_issues[0].issue_data.severity, "low", "Snyk has no word for unknown");
}
