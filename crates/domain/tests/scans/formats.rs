//! What each format's reader makes of a report, against what the tool itself says of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use watchbell_domain::finding::{Observation, identity};
use watchbell_domain::scan::{self, Report, ReportError, ReportFormat};
use watchbell_wire::Severity;

use crate::fixtures::{REPORTS, bytes, report};

macro_rules! summary {
    ($name:literal) => {
        include_str!(concat!("../../../../examples/backoffice/reports/", $name))
    };
}

fn read(report: &Value) -> Report {
    scan::read(report.to_string().as_bytes(), None).expect("a report that can be read")
}

fn by_severity(report: &Report) -> BTreeMap<Severity, usize> {
    let mut counts = BTreeMap::new();
    for seen in report.observations.iter().filter(|seen| !seen.suppressed) {
        *counts.entry(seen.severity).or_default() += 1;
    }
    counts
}

fn suppressed(report: &Report) -> usize {
    report.observations.iter().filter(|seen| seen.suppressed).count()
}

/// The first number that stands after these words.
fn number_after(text: &str, words: &str) -> usize {
    let rest = text.split(words).nth(1).unwrap_or_else(|| panic!("{words:?} in {text}"));
    let digits: String = rest.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}

fn of_tool<'r>(report: &'r Report, tool: &str) -> Vec<&'r Observation> {
    report.observations.iter().filter(|seen| seen.tool == tool).collect()
}

#[test]
fn reports_read_as_they_always_did() {
    for (name, bytes) in REPORTS {
        let report = scan::read(bytes, None).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(report.skipped, 0, "{name}");
        insta::assert_debug_snapshot!(format!("format-{name}"), report);
    }
}

#[test]
fn every_format_has_a_name_of_its_own() {
    let names: BTreeSet<&str> = ReportFormat::ALL.iter().map(|format| format.as_str()).collect();
    assert_eq!(names.len(), ReportFormat::ALL.len());
}

#[test]
fn bandit_counts_as_it_prints() {
    let (report, told) = (report("bandit.json"), summary!("bandit.txt"));
    let counts = by_severity(&report);
    for (severity, word) in [(Severity::High, "High:"), (Severity::Medium, "Medium:"), (Severity::Low, "Low:")] {
        assert_eq!(counts[&severity], number_after(told, word), "{word}");
    }
    assert_eq!(report.unseen.len(), number_after(told, "Files skipped ("));
    assert!(report.unseen.contains("broken.py"));
    let titles: Vec<_> = report.observations.iter().map(|seen| seen.title.as_str()).collect();
    assert!(titles.contains(&"Possible hardcoded password"), "the secret is not told: {titles:?}");
}

#[test]
fn semgrep_counts_as_it_prints() {
    let report = report("semgrep.json");
    assert_eq!(report.observations.len(), number_after(summary!("semgrep.txt"), "Findings:"));
    assert_eq!(by_severity(&report).len(), 4, "one of each of the rules' severities");
    assert!(report.unseen.contains("broken.py"));
    assert!(report.scope.contains("semgrep"));
}

#[test]
fn checkov_counts_as_it_prints() {
    let report = report("checkov.json");
    for framework in ["dockerfile", "terraform"] {
        let told = summary!("checkov.txt").split(framework).nth(1).unwrap();
        let seen = of_tool(&report, &format!("checkov-{framework}"));
        let (skipped, failed): (Vec<_>, Vec<_>) = seen.into_iter().partition(|seen| seen.suppressed);
        assert_eq!(failed.len(), number_after(told, "Failed checks:"), "{framework}");
        assert_eq!(skipped.len(), number_after(told, "Skipped checks:"), "{framework}");
    }
}

#[test]
fn pip_audit_counts_as_it_prints() {
    let report = report("pip-audit.json");
    let told = summary!("pip-audit.txt");
    assert_eq!(report.observations.len(), number_after(told, "Found"));
    let packages: BTreeSet<_> = report.observations.iter().map(|seen| seen.component.clone().unwrap().name).collect();
    assert_eq!(packages.len(), number_after(told, "vulnerabilities in"));
}

/// npm counts packages by the worst that they have, we count advisories.
#[test]
fn npm_counts_as_it_prints() {
    let report = report("npm-audit.json");
    let told = summary!("npm-audit.txt");
    let mut worst: BTreeMap<String, Severity> = BTreeMap::new();
    for seen in &report.observations {
        let of = worst.entry(seen.component.clone().unwrap().name).or_default();
        *of = (*of).max(seen.severity);
    }
    let count = |severity| worst.values().filter(|of| **of == severity).count();
    assert_eq!(worst.len(), number_after(told, ""));
    assert_eq!(
        (count(Severity::High), count(Severity::Critical)),
        (number_after(told, "("), number_after(told, "high,"))
    );
    assert_eq!(report.observations.len(), 4);
}

#[test]
fn cargo_audit_counts_as_it_prints() {
    let report = report("cargo-audit.json");
    let told = summary!("cargo-audit.txt");
    let counts = by_severity(&report);
    let printed = |word: &str| told.lines().filter(|line| line.contains(word)).count();
    assert_eq!(counts[&Severity::Critical], printed("(critical)"));
    assert_eq!(counts[&Severity::Medium], printed("(medium)"));
    assert_eq!(counts[&Severity::Info], number_after(told, "warning: "));
    assert_eq!(counts[&Severity::Critical] + counts[&Severity::Medium], number_after(told, "error: "));
}

#[test]
fn detect_secrets_tells_a_hash_and_no_secret() {
    let report = report("detect-secrets.json");
    assert_eq!(report.observations.len(), 3);
    let all = format!("{report:?}");
    for hash in ["dd606cd49bbbd06b4c2606fc2449f8fb87975786", "25910f981e85ca04baf359199dd0bd4a3ae738b6"] {
        assert!(String::from_utf8_lossy(bytes("detect-secrets.json")).contains(hash));
        assert!(!all.contains(hash));
    }
    let audited = read(&json!({"plugins_used": [], "results": {"a.py": [
        {"type": "Secret Keyword", "hashed_secret": "00", "line_number": 1, "is_secret": false}]}}));
    assert!(audited.observations[0].suppressed);
}

#[test]
fn trivy_counts_by_kind_and_severity() {
    let report = report("trivy.json");
    let kinds = ["trivy", "trivy-misconfig", "trivy-secret", "trivy-license"];
    assert_eq!(kinds.map(|kind| of_tool(&report, kind).len()), [5, 3, 1, 2]);
    assert_eq!(suppressed(&report), 3);
    let counts = by_severity(&report);
    assert_eq!((counts[&Severity::Critical], counts[&Severity::High]), (2, 4));
    assert_eq!((counts[&Severity::Low], counts[&Severity::Unknown]), (1, 1));
    let yaml = &of_tool(&report, "trivy")[3];
    assert_eq!(yaml.component.clone().unwrap().purl.as_deref(), Some("pkg:pypi/pyyaml@5.3.1"));
    assert_eq!((yaml.fixed_in.as_slice(), yaml.cvss_score), (&["5.4".to_owned(), "5.3.2".to_owned()][..], Some(9.3)));
}

#[test]
fn trivys_silence_is_that_of_the_scanners_that_looked() {
    let scope = |class: &str| {
        Vec::from_iter(
            read(&json!({"SchemaVersion": 2, "ArtifactName": ".", "Results": [
        {"Target": "x", "Class": class}]}))
            .scope,
        )
    };
    assert_eq!(scope("lang-pkgs"), ["trivy", "trivy-secret"]);
    assert_eq!(scope("config"), ["trivy-misconfig"]);
    assert_eq!(scope("license-file"), ["trivy-license"]);
    let empty = read(&json!({"SchemaVersion": 2, "ArtifactName": "."}));
    assert!(empty.scope.is_empty() && empty.tools.contains("trivy"));
    let cluster = report("trivy-k8s.json");
    assert!(cluster.unseen.contains("jobs/CronJob/archive"));
    let identities: BTreeSet<_> = cluster.observations.iter().map(|seen| identity::label(seen, 1)).collect();
    assert_eq!(identities.len(), 3, "two containers of one deployment are two findings");
}

#[test]
fn grypes_advisories_of_many_are_no_names_of_one() {
    let report = report("grype.json");
    assert_eq!((report.observations.len(), suppressed(&report)), (4, 1));
    let [yaml, bash, tar, _] = &report.observations[..] else { panic!("four") };
    assert_eq!(
        (yaml.cve_id.as_deref(), yaml.aliases.as_slice()),
        (Some("CVE-2020-14343"), &["GHSA-8q59-q68h-6hv4".to_owned()][..])
    );
    assert_eq!((bash.cve_id.as_deref(), bash.rule_id.as_str()), (None, "RHSA-2023:0001"));
    assert_eq!(
        (tar.severity, tar.component.clone().unwrap().purl.as_deref()),
        (Severity::Info, Some("pkg:deb/tar@1.34"))
    );
}

#[test]
fn osv_groups_are_one_finding_each() {
    let report = report("osv-scanner.json");
    assert_eq!((report.observations.len(), suppressed(&report)), (3, 1));
    let yaml = &report.observations[0];
    assert_eq!(yaml.aliases, ["GHSA-8q59-q68h-6hv4", "PYSEC-2021-142"]);
    assert_eq!(
        (yaml.severity, yaml.cvss_score, yaml.fixed_in.as_slice()),
        (Severity::Critical, Some(9.8), &["5.4".to_owned()][..])
    );
    assert_eq!(report.observations[1].severity, Severity::High, "the word, where there is no score");
    assert!(read(&json!({"results": []})).scope.contains("osv-scanner"));
}

#[test]
fn npm_of_version_1_has_one_finding_for_each_installed_version() {
    let report = report("npm-audit-v1.json");
    let versions: Vec<_> =
        report.observations.iter().map(|it| it.component.clone().unwrap().version.unwrap()).collect();
    assert_eq!(versions, ["1.2.0", "0.0.8"]);
    assert_eq!(report.observations[0].fixed_in, ["0.2.1", "1.2.3"]);
    assert_eq!(by_severity(&report)[&Severity::Medium], 2);
}

#[test]
fn npm_hits_through_others_are_no_findings_and_its_failure_is_one() {
    let through = read(&json!({"auditReportVersion": 2, "vulnerabilities": {"gulp": {"via": ["yargs"]}}}));
    assert_eq!((through.observations.len(), through.skipped), (0, 0));
    let failed = read(&json!({"message": "405", "error": {"code": "ENOAUDIT", "summary": "no", "detail": ""}}));
    assert_eq!(failed.failure.as_deref(), Some("npm says that it failed: ENOAUDIT: no: 405"));
}

#[test]
fn what_pip_audit_passed_over_stays() {
    let known = report("pip-audit.json").observations;
    let later = read(
        &json!({"fixes": [], "dependencies": [{"name": "PyYAML", "skip_reason": "not on PyPI"}, {"name": "jinja2", "version": "3.1.6", "vulns": []}]}),
    );
    let stays: Vec<bool> = known.iter().map(|known| !later.looked_at(known)).collect();
    assert_eq!(stays, [true, false, false]);
    let nothing = read(&json!({"fixes": [], "dependencies": [{"name": "x", "skip_reason": "not on PyPI"}]}));
    assert!(nothing.scope.is_empty());
}

#[test]
fn one_snyk_project_is_word_of_its_own_file() {
    let (one, all) = (report("snyk.json"), report("snyk-all-projects.json"));
    assert_eq!((one.observations.len(), suppressed(&one)), (3, 1), "one for two paths");
    assert_eq!(one.targets, Some(BTreeSet::from(["requirements.txt".to_owned()])));
    let lodash = &all.observations[0];
    assert!(all.looked_at(lodash) && !one.looked_at(lodash));
    let half = read(&json!([{"ok": true, "vulnerabilities": [], "projectName": "a", "displayTargetFile": "a/pom.xml"},
                            {"ok": false, "error": "no such file", "path": "b"}]));
    assert_eq!((half.failure, half.targets), (None, Some(BTreeSet::from(["a/pom.xml".to_owned()]))));
    let failed = read(&json!({"ok": false, "error": "no such file", "path": "b"}));
    assert_eq!(failed.failure.as_deref(), Some("Snyk says that it failed: no such file (b)"));
}

#[test]
fn dependency_check_says_the_same_in_json_and_xml() {
    let (json, mut xml) = (report("dependency-check.json"), report("dependency-check.xml"));
    assert_eq!(json.format, ReportFormat::DependencyCheck);
    assert_eq!(xml.format, ReportFormat::DependencyCheckXml);
    assert_eq!(xml.observations[0].description, "What is logged may be <looked up> & run.");
    xml.observations[0].description.clone_from(&json.observations[0].description);
    assert_eq!((json.observations.clone(), json.components), (xml.observations, xml.components));
    let log4j = &json.observations[0];
    assert_eq!(log4j.cvss_vector.as_deref(), Some("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"));
    assert_eq!((log4j.severity, log4j.fixed_in.as_slice()), (Severity::Critical, &["2.15.0".to_owned()][..]));
    assert_eq!((suppressed(&json), json.components), (1, Some(3)));
    let shaken = read(
        &json!({"reportSchema": "1.1", "scanInfo": {"analysisExceptions": [{"exception": {}}]}, "dependencies": []}),
    );
    assert!(shaken.scope.is_empty());
}

#[test]
fn semgreps_errors_are_what_it_did_not_look_at() {
    let with = |errors: Value, scanned: Value| {
        read(&json!({"version": "1", "results": [], "errors": errors, "paths": {"scanned": scanned}}))
    };
    let fatal = json!([{"level": "error", "message": "no such rules"}]);
    assert!(with(fatal.clone(), json!(["a.py"])).scope.is_empty());
    assert_eq!(with(fatal, json!([])).failure.as_deref(), Some("Semgrep says that it failed: no such rules"));
    let nothing = with(json!([]), json!([]));
    assert!(nothing.scope.is_empty() && nothing.failure.is_none());
    let timeout = with(json!([{"level": "warn", "message": "timeout", "path": "./a.py"}]), json!(["a.py", "b.py"]));
    let at = |file: &str| Observation {
        tool: "semgrep".to_owned(),
        location: Some(file.to_owned()),
        ..Observation::default()
    };
    assert!(!timeout.looked_at(&at("a.py:7")) && timeout.looked_at(&at("b.py:7")));
}

#[test]
fn bandit_finds_the_same_in_json_and_sarif() {
    let line = |code: &str| {
        read(&json!({"errors": [], "metrics": {}, "results": [{"test_id": "B602", "filename": "./shop.py",
        "line_number": 30, "code": code, "issue_text": "t", "issue_severity": "HIGH"}]}))
        .observations[0]
            .clone()
    };
    let json = line("29     number = 1\n30     return  run(number)\n31 \n");
    let sarif = read(
        &json!({"runs": [{"tool": {"driver": {"name": "Bandit"}}, "results": [{"ruleId": "B602", "locations": [
        {"physicalLocation": {"artifactLocation": {"uri": "shop.py"}, "region": {"startLine": 3, "snippet": {"text": "return run(number)"}}}}]}]}]}),
    );
    assert_eq!(identity::label(&json, 1), identity::label(&sarif.observations[0], 1));
    let empty = read(&json!({"errors": [], "results": [], "metrics": {"_totals": {"loc": 0}}}));
    assert!(empty.scope.is_empty());
}

#[test]
fn checkovs_frameworks_speak_for_themselves() {
    let nothing = read(&json!({"passed": 0, "failed": 0, "skipped": 0, "checkov_version": "3"}));
    assert!(nothing.scope.is_empty() && nothing.tools.contains("checkov"));
    let unparsed =
        read(&json!({"check_type": "terraform", "results": {"failed_checks": [], "parsing_errors": ["/a.tf"]}}));
    assert!(unparsed.scope.is_empty());
    let secret = read(&json!({"check_type": "secrets", "results": {"failed_checks": [
        {"check_id": "CKV_SECRET_2", "file_path": "/a.py", "file_line_range": [3, 3], "resource": "00ff"}]}}));
    assert_eq!(secret.observations[0].location.as_deref(), Some("a.py:3"));
    assert!(secret.observations[0].fingerprint.clone().unwrap().starts_with("partial:"));
    let package = read(
        &json!({"check_type": "sca_package", "results": {"failed_checks": [{"check_id": "BC_CVE_2020_1", "file_path": "/requirements.txt",
        "vulnerability_details": {"id": "CVE-2020-14343", "severity": "critical", "package_name": "pyyaml", "package_version": "5.3.1", "package_type": "python"}}]}}),
    );
    assert_eq!(identity::label(&package.observations[0], 1), "component|CVE-2020-14343|pkg:pypi/pyyaml");
}

#[test]
fn dependabots_pages_and_states_are_minded() {
    let (rest, graphql) = (report("dependabot.json"), report("dependabot-graphql.json"));
    for report in [&rest, &graphql] {
        assert_eq!((report.observations.len(), suppressed(report)), (2, 1));
        assert!(report.scope.contains("dependabot"));
        let yaml = &report.observations[0];
        assert_eq!(identity::label(yaml, 1), "component|CVE-2020-14343|pkg:pypi/pyyaml");
        assert_eq!(
            (yaml.cwes.as_slice(), yaml.cvss_score, yaml.fixed_in.as_slice()),
            (&["CWE-20".to_owned()][..], Some(9.8), &["5.4".to_owned()][..])
        );
    }
    assert_eq!(graphql.observations[0].location.as_deref(), Some("acme/backoffice/office/requirements.txt"));
    let alert: Value = serde_json::from_slice::<Value>(bytes("dependabot.json")).unwrap()[0].clone();
    assert!(read(&json!(vec![alert.clone(); 30])).scope.is_empty(), "30 may be a page");
    assert!(!read(&json!(vec![alert; 31])).scope.is_empty());
    let more =
        json!({"data": {"repository": {"vulnerabilityAlerts": {"pageInfo": {"hasNextPage": true}, "nodes": []}}}});
    assert!(read(&more).scope.is_empty());
}

#[test]
fn a_bearer_scan_that_tells_less_than_it_found_removes_nothing() {
    let with = |status: &str, results: Value| json!({"scanId": "s", "status": status, "timestamp": "2026-03-01T08:00:00Z", "results": results});
    let whole = report("bearer-scan.json");
    assert_eq!((whole.observations.len(), whole.scope.len()), (3, 1));
    assert!(read(&with("completed", json!({"threatsFound": 2, "details": []}))).scope.is_empty());
    assert!(read(&with("in_progress", Value::Null)).scope.is_empty());
    assert_eq!(read(&with("failed", Value::Null)).failure.as_deref(), Some("the scan s failed"));
    for (status, results, pointer) in
        [("done", json!({}), "/status"), ("completed", Value::Null, "/results/threatsFound")]
    {
        let refused = scan::read(with(status, results).to_string().as_bytes(), None);
        assert!(matches!(refused, Err(ReportError::Shape { pointer: at, .. }) if at == pointer), "{refused:?}");
    }
}

#[test]
fn the_callers_name_for_the_tool_wins_in_every_format() {
    for (name, bytes) in REPORTS {
        let named = scan::read(bytes, Some("Nightly")).unwrap();
        let is_named = |tool: &str| tool == "nightly" || tool.starts_with("nightly-");
        assert!(!named.tools.is_empty() && named.tools.iter().all(|tool| is_named(tool)), "{name}: {:?}", named.tools);
        assert!(named.observations.iter().all(|seen| is_named(&seen.tool)), "{name}");
    }
}
