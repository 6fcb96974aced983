//! What becomes of findings: names that join them, tools that disagree, judgements, scans that come late.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use watchbell_domain::finding::{self, ChangedBy, Finding, FindingStatus, Observation, Unjudgeable, Verdict};
use watchbell_domain::id::KeyId;
use watchbell_domain::port::ScanOutcome;
use watchbell_domain::scan::{self, Report, ReportFormat, Statement, VexStatus};
use watchbell_domain::snapshot::{self, ScanFacts};
use watchbell_domain::{SignedDuration, Timestamp};
use watchbell_wire::event::{Component, ScanDigest, Vulnerability};
use watchbell_wire::{EventType, Severity};

use crate::support::{Shop, count, event_types};

use FindingStatus::{Accepted, FalsePositive, Open, Remediated, Suppressed};

const CVE: &str = "CVE-2019-10744";
const GHSA: &str = "GHSA-jf85-cpcp-j695";

fn lodash(names: &[&str]) -> Observation {
    Observation {
        rule_id: names[0].to_owned(),
        cve_id: names.iter().find(|name| name.starts_with("CVE-")).map(|&name| name.to_owned()),
        aliases: names[1..].iter().map(|&name| name.to_owned()).collect(),
        severity: Severity::High,
        component: Some(Component {
            name: "lodash".to_owned(),
            version: Some("4.17.11".to_owned()),
            purl: Some("pkg:npm/lodash@4.17.11".to_owned()),
        }),
        ..Observation::default()
    }
}

fn report(tool: &str, seen: &[Observation]) -> Report {
    let by = |one: &Observation| Observation { tool: tool.to_owned(), ..one.clone() };
    let tools: BTreeSet<String> = [tool.to_owned()].into();
    let observations = seen.iter().map(by).collect();
    Report { observations, scope: tools.clone(), tools, ..Report::of(ReportFormat::Sarif) }
}

/// A VEX document of ACME's.
fn vex(status: VexStatus, product: Option<&str>) -> Report {
    let statement = Statement {
        names: vec![GHSA.to_lowercase()],
        products: product.map(str::to_owned).into_iter().collect(),
        status,
        justification: "vulnerable_code_not_in_execute_path".to_owned(),
        author: "ACME".to_owned(),
    };
    Report { statements: vec![statement], tools: ["openvex".to_owned()].into(), ..Report::of(ReportFormat::OpenVex) }
}

fn told(outcome: &ScanOutcome) -> Vec<&str> {
    event_types(outcome).into_iter().filter(|event_type| event_type.starts_with("vulnerability.")).collect()
}

fn data(outcome: &ScanOutcome) -> Vec<Vulnerability> {
    let events = outcome.acceptance.events.iter().map(|new| &new.event);
    let told = events.filter(|event| event.event_type.as_str().starts_with("vulnerability."));
    told.map(|event| event.data.typed().unwrap()).collect()
}

impl Shop {
    fn now(&mut self) -> Timestamp {
        self.facts().received_at
    }

    /// What somebody says of a finding, and the types of what is told of it.
    fn say(
        &mut self,
        index: usize,
        status: FindingStatus,
        until: Option<Timestamp>,
    ) -> Result<Vec<String>, Unjudgeable> {
        let now = self.now();
        let by = ChangedBy::Key { id: KeyId::make(now, &self.entropy), name: "ada".to_owned() };
        let verdict = Verdict { status, reason: "because".to_owned(), until, by };
        let judged = finding::judge(&self.findings[index], verdict, now, &self.entropy)?;
        Ok(self.keep_judged(judged, now))
    }

    fn expire(&mut self, index: usize, now: Timestamp) -> Option<Vec<String>> {
        let judged = finding::expire(&self.findings[index], now, &self.entropy)?;
        Some(self.keep_judged(judged, now))
    }

    fn keep_judged(&mut self, judged: finding::Judged, now: Timestamp) -> Vec<String> {
        let judgement = snapshot::judged(&self.project, judged, now, &self.entropy);
        assert_eq!(judgement.finding.status, judgement.finding.standing());
        self.put(judgement.finding);
        self.history.extend(judgement.change);
        self.project.version += 1;
        let events = judgement.acceptance.events.into_iter();
        events.map(|new| new.event.event_type.to_string()).collect()
    }

    fn only(&self) -> &Finding {
        assert_eq!(self.findings.len(), 1, "{:#?}", self.findings);
        &self.findings[0]
    }
}

#[test]
fn one_vulnerability_under_two_names_is_told_once() {
    let mut shop = Shop::new();
    let first = shop.scan(&report("grype", &[lodash(&[GHSA])]));
    assert_eq!(told(&first), ["vulnerability.created"]);
    let second = shop.scan(&report("trivy", &[lodash(&[CVE, GHSA])]));
    assert_eq!(told(&second), [] as [&str; 0], "another tool, and now its CVE");
    assert_eq!(shop.only().cve_id(), Some(CVE));
    let third = shop.scan(&report("osv", &[lodash(&[CVE])]));
    assert_eq!(told(&third), [] as [&str; 0]);
    let within_one = shop.scan(&report("twice", &[lodash(&[GHSA]), lodash(&[CVE, GHSA])]));
    assert_eq!(told(&within_one), [] as [&str; 0]);
    assert_eq!(shop.only().sights.len(), 4);
}

#[test]
fn an_alias_that_appears_later_makes_one_of_two() {
    let mut shop = Shop::new();
    shop.scan(&report("grype", &[lodash(&[GHSA])]));
    shop.scan(&report("trivy", &[lodash(&[CVE])]));
    assert_eq!(shop.findings.len(), 2, "nobody knows yet");
    let (elder, younger) = (shop.findings[0].clone(), shop.findings[1].clone());
    let joined = shop.scan(&report("osv", &[lodash(&[CVE, GHSA])]));
    assert_eq!(told(&joined), ["vulnerability.changed"], "one event, and nothing remediated");
    let said = &data(&joined)[0];
    assert_eq!(said.finding_id, Some(elder.id.bare()));
    assert_eq!(said.merged_finding_ids, [younger.id.bare()]);
    assert_eq!(shop.only().id, elder.id);
    assert_eq!(shop.only().names.iter().map(String::as_str).collect::<Vec<_>>(), [CVE, GHSA]);
    assert_eq!(shop.merged[0].merged_into, Some(elder.id));
    assert_eq!(shop.history_of(younger.id), [(None, Open, "scan")], "its history is kept");
    assert_eq!(shop.history_of(elder.id), [(None, Open, "scan"), (Some(Open), Open, "scan")]);
    assert_eq!(snapshot_removed(&joined), 0);
    // It is there while any tool sees it under any name.
    assert_eq!(told(&shop.scan(&report("osv", &[]))), [] as [&str; 0]);
    assert_eq!(told(&shop.scan(&report("grype", &[]))), [] as [&str; 0]);
    assert_eq!(told(&shop.scan(&report("trivy", &[]))), ["vulnerability.remediated"]);
}

fn snapshot_removed(outcome: &ScanOutcome) -> usize {
    let snapshots = outcome.acceptance.events.iter().filter(|new| new.event.event_type == EventType::ProjectSnapshot);
    let removed = |data: Value| data["removedIssues"].as_array().map_or(0, Vec::len);
    snapshots.map(|new| removed(new.event.data.typed().unwrap())).sum()
}

#[test]
fn a_merge_keeps_what_a_person_judged() {
    let mut shop = Shop::new();
    shop.scan(&report("grype", &[lodash(&[GHSA])]));
    shop.scan(&report("trivy", &[lodash(&[CVE])]));
    assert_eq!(shop.say(1, FalsePositive, None).unwrap(), ["vulnerability.suppressed"]);
    let joined = shop.scan(&report("osv", &[lodash(&[CVE, GHSA])]));
    assert_eq!(told(&joined), ["vulnerability.suppressed"], "the elder is judged with the younger");
    assert_eq!(shop.only().status, FalsePositive);
}

#[test]
fn the_leading_tool_rates_it() {
    let mut shop = Shop::new();
    shop.scan(&report("grype", &[lodash(&[CVE])]));
    let medium = Observation { severity: Severity::Medium, ..lodash(&[CVE]) };
    for _ in 0..2 {
        assert_eq!(
            told(&shop.scan(&report("trivy", std::slice::from_ref(&medium)))),
            [] as [&str; 0],
            "tools take no turns"
        );
        assert_eq!(told(&shop.scan(&report("grype", &[lodash(&[CVE])]))), [] as [&str; 0]);
    }
    assert_eq!(shop.only().observation.severity, Severity::High);
    let gone = shop.scan(&report("grype", &[]));
    assert_eq!(told(&gone), ["vulnerability.changed"], "now the other one is all there is");
    assert_eq!(shop.only().observation.severity, Severity::Medium);
}

#[test]
fn what_a_person_judged_no_scan_undoes() {
    for (status, event) in [
        (Suppressed, "vulnerability.suppressed"),
        (Accepted, "vulnerability.suppressed"),
        (FalsePositive, "vulnerability.suppressed"),
    ] {
        let mut shop = Shop::new();
        shop.scan(&report("grype", &[lodash(&[CVE])]));
        assert_eq!(shop.say(0, status, None).unwrap(), [event]);
        assert_eq!(shop.say(0, status, None).unwrap(), [] as [&str; 0], "said already");
        assert_eq!(told(&shop.scan(&report("grype", &[lodash(&[CVE])]))), [] as [&str; 0]);
        assert_eq!(shop.only().status, status);
        assert_eq!(told(&shop.scan(&report("grype", &[]))), ["vulnerability.remediated"]);
        let back = shop.scan(&report("grype", &[lodash(&[CVE])]));
        assert_eq!(told(&back), ["vulnerability.suppressed"], "it comes back as what it was judged");
        let said = &data(&back)[0];
        assert_eq!((said.status.as_deref(), said.reason.as_deref()), (Some(status.as_str()), Some("because")));
        assert_eq!(shop.say(0, Open, None).unwrap(), ["vulnerability.reopened"]);
        let id = shop.only().id;
        let history = [
            (None, Open, "scan"),
            (Some(Open), status, "key"),
            (Some(status), Remediated, "scan"),
            (Some(Remediated), status, "scan"),
            (Some(status), Open, "key"),
        ];
        assert_eq!(shop.history_of(id), history);
        assert_eq!(shop.only().changes, 5);
    }
}

#[test]
fn an_accepted_risk_ends() {
    let mut shop = Shop::new();
    shop.scan(&report("grype", &[lodash(&[CVE])]));
    let until = shop.now() + SignedDuration::from_hours(1_000);
    assert_eq!(shop.say(0, Accepted, Some(until)).unwrap(), ["vulnerability.suppressed"]);
    assert_eq!(shop.only().accepted_until(), Some(until));
    assert_eq!(shop.expire(0, until - SignedDuration::from_secs(1)), None);
    let longer = until + SignedDuration::from_hours(1);
    assert_eq!(shop.say(0, Accepted, Some(longer)).unwrap(), ["vulnerability.suppressed"], "another end is told");
    assert_eq!(shop.expire(0, until), None);
    assert_eq!(shop.expire(0, longer).unwrap(), ["vulnerability.reopened"]);
    assert_eq!((shop.only().status, shop.only().accepted_until()), (Open, None));
    assert_eq!(shop.expire(0, longer), None);
    assert_eq!(shop.history.last().map(|change| change.by.clone()), Some(ChangedBy::Expiry));
    // Gone meanwhile: nothing to reopen, and nothing is accepted any more when it comes back.
    assert_eq!(shop.say(0, Accepted, Some(longer + SignedDuration::from_hours(1))).unwrap().len(), 1);
    shop.scan(&report("grype", &[]));
    assert_eq!(shop.expire(0, longer + SignedDuration::from_hours(1)).unwrap(), [] as [&str; 0]);
    assert_eq!(told(&shop.scan(&report("grype", &[lodash(&[CVE])]))), ["vulnerability.reopened"]);
}

#[test]
fn not_everything_can_be_said() {
    let mut shop = Shop::new();
    shop.scan(&report("grype", &[lodash(&[CVE])]));
    let now = shop.now();
    assert_eq!(shop.say(0, Remediated, None), Err(Unjudgeable::RemediatedByWord));
    assert_eq!(shop.say(0, Accepted, Some(now)), Err(Unjudgeable::UntilPassed));
    assert_eq!(shop.say(0, Suppressed, Some(now)), Err(Unjudgeable::UntilOfAnother));
    assert_eq!(shop.say(0, Open, None).unwrap(), [] as [&str; 0], "it is");
    shop.scan(&report("grype", &[]));
    assert_eq!(shop.say(0, Open, None), Err(Unjudgeable::Gone));
}

#[test]
fn a_person_overrules_the_report() {
    let quiet = Observation { suppressed: true, ..lodash(&[CVE]) };
    let mut shop = Shop::new();
    shop.scan(&report("grype", std::slice::from_ref(&quiet)));
    assert_eq!(shop.only().status, Suppressed);
    assert_eq!(shop.say(0, Open, None).unwrap(), ["vulnerability.reopened"]);
    assert_eq!(told(&shop.scan(&report("grype", &[quiet]))), [] as [&str; 0]);
    assert_eq!(shop.only().status, Open);
}

#[test]
fn vex_says_what_a_scanner_cannot() {
    for (stated, status, event) in [
        (VexStatus::NotAffected, Suppressed, "vulnerability.suppressed"),
        (VexStatus::FalsePositive, FalsePositive, "vulnerability.suppressed"),
        (VexStatus::Fixed, Remediated, "vulnerability.remediated"),
    ] {
        let mut shop = Shop::new();
        shop.scan(&report("grype", &[lodash(&[CVE, GHSA])]));
        let outcome = shop.scan(&vex(stated, Some("pkg:npm/lodash@4.17.11")));
        assert_eq!(told(&outcome), [event]);
        assert_eq!(shop.only().status, status);
        let change = shop.history.last().unwrap();
        assert_eq!((change.by.kind(), change.by.name()), ("vex", Some("ACME")));
        assert_eq!(change.reason, "vulnerable_code_not_in_execute_path");
        assert_eq!(told(&shop.scan(&vex(stated, Some("pkg:npm/lodash@4.17.11")))), [] as [&str; 0], "the same again");
        assert_eq!(told(&shop.scan(&report("grype", &[lodash(&[CVE, GHSA])]))), [] as [&str; 0]);
        let lifted = shop.scan(&vex(VexStatus::Affected, None));
        assert_eq!(told(&lifted), ["vulnerability.reopened"]);
        assert_eq!(shop.say(0, Accepted, None).unwrap().len(), 1);
        assert_eq!(told(&shop.scan(&vex(stated, None))), [] as [&str; 0], "a person has judged");
    }
}

#[test]
fn vex_is_about_one_product_and_version() {
    let mut shop = Shop::new();
    shop.scan(&report("grype", &[lodash(&[CVE, GHSA])]));
    for other in ["pkg:npm/underscore", "pkg:npm/lodash@4.17.12"] {
        assert_eq!(told(&shop.scan(&vex(VexStatus::NotAffected, Some(other)))), [] as [&str; 0], "{other}");
    }
    shop.scan(&vex(VexStatus::NotAffected, Some("pkg:npm/lodash@4.17.11?arch=any")));
    let mut upgraded = lodash(&[CVE, GHSA]);
    upgraded.component.as_mut().unwrap().version = Some("4.17.12".to_owned());
    assert_eq!(told(&shop.scan(&report("grype", &[upgraded]))), ["vulnerability.reopened"], "another version");
}

#[test]
fn what_was_stated_holds_for_findings_that_come_later() {
    let mut shop = Shop::new();
    assert_eq!(told(&shop.scan(&vex(VexStatus::NotAffected, Some("pkg:npm/lodash@4.17.11")))), [] as [&str; 0]);
    // New, and judged before it is told as open.
    let outcome = shop.scan(&report("grype", &[lodash(&[GHSA])]));
    assert_eq!(told(&outcome), ["vulnerability.suppressed"]);
    assert_eq!((shop.findings[0].status, outcome.history[0].by.name()), (Suppressed, Some("ACME")));
    // In another version it is another matter, and back in this one it is not.
    let mut newer = lodash(&[GHSA]);
    newer.component.as_mut().unwrap().version = Some("4.17.12".to_owned());
    assert_eq!(told(&shop.scan(&report("grype", &[newer]))), ["vulnerability.reopened"]);
    assert_eq!(told(&shop.scan(&report("grype", &[lodash(&[GHSA])]))), ["vulnerability.suppressed"]);
    // A person reopens it: the next scans leave it so.
    let key = ChangedBy::Key { id: KeyId(uuid::Uuid::nil()), name: "ada".to_owned() };
    let verdict = Verdict { status: Open, reason: String::new(), until: None, by: key };
    let now = shop.facts().received_at;
    let judged = finding::judge(&shop.findings[0], verdict, now, &shop.entropy).unwrap();
    shop.put(judged.finding);
    assert_eq!(told(&shop.scan(&report("grype", &[lodash(&[GHSA])]))), [] as [&str; 0]);
    assert_eq!(shop.findings[0].status, Open);
}

#[test]
fn of_what_was_stated_the_newest_document_counts_and_names_may_come_later() {
    let mut shop = Shop::new();
    let older = ScanFacts { scanned_at: Some(shop.project.created_at), ..shop.facts() };
    shop.scan(&vex(VexStatus::FalsePositive, None));
    shop.scan(&vex(VexStatus::NotAffected, None));
    shop.scan_with(&vex(VexStatus::Affected, None), older);
    // Known by a name that nothing is stated of, then by one more.
    assert_eq!(told(&shop.scan(&report("nvd", &[lodash(&[CVE])]))), ["vulnerability.created"]);
    assert_eq!(told(&shop.scan(&report("grype", &[lodash(&[CVE, GHSA])]))), ["vulnerability.suppressed"]);
    assert_eq!(shop.findings[0].judgement.as_ref().unwrap().status, Suppressed);
    // A newer document that somebody ought to act lifts it, and holds for what comes later as well.
    assert_eq!(told(&shop.scan(&vex(VexStatus::Affected, None))), ["vulnerability.reopened"]);
    let mut other = lodash(&[GHSA]);
    other.component = Some(Component { purl: Some("pkg:npm/lodash-es@1.0.0".to_owned()), ..Component::default() });
    assert_eq!(told(&shop.scan(&report("other", &[other]))), ["vulnerability.created"]);
}

#[test]
fn renamed_files_take_their_findings_along() {
    let at = |file: &str, line: u64, code: &str| Observation {
        rule_id: "R".to_owned(),
        location: Some(format!("{file}:{line}")),
        fingerprint: Some(format!("snippet:{code}")),
        ..Observation::default()
    };
    let mut shop = Shop::new();
    shop.scan(&report("t", &[at("a.py", 3, "x"), at("b.py", 3, "x"), at("c.py", 1, "y")]));
    let ids: Vec<_> = shop.findings.iter().map(|finding| finding.id).collect();
    let moved = [at("src/b.py", 9, "x"), at("lib/a.py", 3, "x"), at("c.py", 4, "y")];
    assert_eq!(told(&shop.scan(&report("t", &moved))), [] as [&str; 0]);
    let files: Vec<_> = shop.findings.iter().map(|finding| (finding.id, finding.observation.file())).collect();
    assert_eq!(files, [(ids[0], "lib/a.py"), (ids[1], "src/b.py"), (ids[2], "c.py")], "to the file of its name");
    // A copy is no move, nor is anything that a partial scan sees.
    let copied = shop.scan(&report("t", &[&moved[..], &[at("d.py", 1, "y")]].concat()));
    assert_eq!(told(&copied), ["vulnerability.created"]);
    let facts = ScanFacts { partial: true, ..shop.facts() };
    let partial = shop.scan_with(&report("t", &[at("e.py", 1, "y")]), facts);
    assert_eq!(told(&partial), ["vulnerability.created"]);
    // What came back to a file that something moved away from is another.
    let back = shop.scan(&report("t", &[at("c.py", 4, "y"), at("a.py", 3, "x")]));
    assert_eq!(count(&back, "vulnerability.created"), 0, "one of the two moved back");
    assert_eq!(count(&back, "vulnerability.remediated"), 3);
}

#[test]
fn a_message_does_not_roam() {
    let at = |file: &str| Observation {
        rule_id: "R".to_owned(),
        location: Some(format!("{file}:1")),
        fingerprint: Some("message:00".to_owned()),
        ..Observation::default()
    };
    let mut shop = Shop::new();
    shop.scan(&report("t", &[at("a.py")]));
    assert_eq!(told(&shop.scan(&report("t", &[at("b.py")]))).len(), 2);
}

#[test]
fn a_scan_takes_away_only_where_it_looked() {
    let from = |lock: &str, names: &[&str]| Observation { location: Some(lock.to_owned()), ..lodash(names) };
    let mut shop = Shop::new();
    shop.scan(&report("t", &[from("a.lock", &["V-1"]), from("b.lock", &["V-2"]), lodash(&["V-3"])]));
    let only = |targets: &[&str]| {
        let targets = targets.iter().map(|&target| target.to_owned()).collect();
        Report { targets: Some(targets), ..report("t", &[]) }
    };
    assert_eq!(told(&shop.scan(&only(&["c.lock"]))), [] as [&str; 0]);
    assert_eq!(told(&shop.scan(&only(&["b.lock"]))), ["vulnerability.remediated"]);
    assert_eq!(shop.open().len(), 2);
    assert_eq!(told(&shop.scan(&report("t", &[]))).len(), 2, "now it looked at everything");
}

#[test]
fn the_same_package_in_two_lock_files_is_two_findings() {
    let from = |lock: &str| Observation { location: Some(lock.to_owned()), ..lodash(&[CVE]) };
    let mut shop = Shop::new();
    shop.scan(&report("t", &[from("a.lock"), from("b.lock")]));
    assert_eq!(shop.findings.len(), 2);
    let second = shop.findings[1].id;
    let gone = shop.scan(&report("t", &[from("b.lock")]));
    assert_eq!(told(&gone), ["vulnerability.remediated"]);
    assert_eq!(shop.open()[0].id, second, "and the one that is gone is the one that is gone");
}

#[test]
fn a_late_scan_is_put_where_it_belongs() {
    let mut shop = Shop::new();
    let hour = |hour: i64| "2026-03-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(hour);
    let at = |shop: &mut Shop, scanned: i64, names: &[&str]| {
        let seen: Vec<_> = names.iter().map(|&name| lodash(&[name])).collect();
        let facts = ScanFacts { scanned_at: Some(hour(scanned)), ..shop.facts() };
        shop.scan_with(&report("t", &seen), facts)
    };
    at(&mut shop, 3, &["V-1"]);
    assert_eq!(told(&at(&mut shop, 5, &["V-2"])).len(), 2, "V-1 is gone, V-2 is new");
    let late = at(&mut shop, 4, &["V-1", "V-3"]);
    assert_eq!(told(&late), [] as [&str; 0], "nothing that a newer one knows better");
    let by_name = |shop: &Shop, name: &str| {
        let finding = shop.findings.iter().find(|finding| finding.names.contains(name)).unwrap();
        (finding.status, finding.first_seen_at, finding.last_seen_at, finding.remediated_at)
    };
    assert_eq!(by_name(&shop, "V-1"), (Remediated, hour(3), hour(4), Some(hour(5))));
    assert_eq!(by_name(&shop, "V-2"), (Open, hour(5), hour(5), None));
    assert_eq!(by_name(&shop, "V-3"), (Remediated, hour(4), hour(4), Some(hour(5))), "written down, not told");
    let earlier = at(&mut shop, 1, &["V-2"]);
    assert_eq!(told(&earlier), [] as [&str; 0]);
    assert_eq!(by_name(&shop, "V-2"), (Open, hour(1), hour(5), None));
    // Another tool has not looked yet.
    let facts = ScanFacts { scanned_at: Some(hour(2)), ..shop.facts() };
    let other = shop.scan_with(&report("u", &[lodash(&["V-9"])]), facts);
    assert_eq!(told(&other), ["vulnerability.created"]);
    assert_eq!(data(&other)[0].detected_at, Some(hour(2)));
}

#[test]
fn a_clock_that_is_ahead_decides_nothing() {
    let mut shop = Shop::new();
    let far: Timestamp = "2999-01-01T00:00:00Z".parse().unwrap();
    let facts = ScanFacts { scanned_at: Some(far), ..shop.facts() };
    shop.scan_with(&report("t", &[lodash(&[CVE])]), facts);
    assert_eq!(told(&shop.scan(&report("t", &[]))), ["vulnerability.remediated"]);
}

#[test]
fn the_report_says_when_it_was_made() {
    let sarif = |end: &str| {
        json!({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "t"}}, "results": [],
            "invocations": [{"executionSuccessful": true, "endTimeUtc": end}]}]})
    };
    let bom =
        json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "metadata": {"timestamp": "2026-03-02T10:00:00+01:00"}});
    let read = |value: &Value| scan::read(value.to_string().as_bytes(), None).unwrap().scanned_at;
    assert_eq!(read(&sarif("2026-03-02T09:00:00Z")), Some("2026-03-02T09:00:00Z".parse().unwrap()));
    assert_eq!(read(&bom), Some("2026-03-02T09:00:00Z".parse().unwrap()));
    assert_eq!(read(&sarif("yesterday")), None);
}

#[test]
fn a_report_that_is_empty_by_error_takes_nothing_away() {
    let mut shop = Shop::new();
    shop.scan(&report("t", &[lodash(&[CVE])]));
    let log = json!({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "t"}}, "results": [],
        "invocations": [{"executionSuccessful": true, "toolExecutionNotifications": [
            {"level": "error", "message": {"text": "out of memory"}}]}]}]});
    let empty = scan::read(log.to_string().as_bytes(), None).unwrap();
    assert_eq!(told(&shop.scan(&empty)), [] as [&str; 0]);
    assert_eq!(shop.open().len(), 1);
}

#[test]
fn new_findings_are_counted_for_a_digest() {
    let mut shop = Shop::new();
    let seen: Vec<_> = (0..50)
        .map(|n| Observation {
            severity: if n == 7 { Severity::Critical } else { Severity::Low },
            cvss_score: Some(f64::from(n) / 10.0),
            ..lodash(&[&format!("V-{n}")])
        })
        .collect();
    let outcome = shop.scan(&report("t", &seen));
    assert_eq!(count(&outcome, "vulnerability.created"), 50);
    assert_eq!(count(&outcome, "scan.digest"), 0, "it is told only where the commit says so");
    let (storm, digest) = outcome.storm.unwrap();
    assert_eq!((storm.total(), storm.count(Severity::Critical)), (50, 1));
    assert_eq!(digest.event.event_type, EventType::ScanDigest);
    let said: ScanDigest = digest.event.data.typed().unwrap();
    assert_eq!((said.new_findings, said.counts.critical, said.counts.low), (50, 1, 49));
    assert_eq!(said.worst.len(), 10);
    let names: Vec<_> = said.worst.iter().filter_map(|one| one.rule_id.as_deref()).collect();
    assert_eq!(names[..3], ["V-7", "V-49", "V-48"]);
    assert_eq!(shop.scan(&report("t", &seen)).storm, None);
}

#[test]
fn an_issue_keeps_its_id_when_it_gets_a_better_name() {
    let mut shop = Shop::new();
    shop.scan(&report("t", &[]));
    let ids = |outcome: &ScanOutcome, list: &str| -> Vec<String> {
        let event = outcome.acceptance.events.iter().find(|new| new.event.event_type == EventType::ProjectSnapshot);
        let data: Value = event.unwrap().event.data.typed().unwrap();
        data[list].as_array().unwrap().iter().map(|issue| issue["id"].as_str().unwrap().to_owned()).collect()
    };
    let announced = ids(&shop.scan(&report("t", &[lodash(&[GHSA])])), "newIssues");
    shop.scan(&report("t", &[lodash(&[CVE, GHSA])]));
    assert_eq!(ids(&shop.scan(&report("t", &[])), "removedIssues"), announced);
}
