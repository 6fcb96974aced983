//! What the readers make of reports: those of `examples/`, and small ones for each rule.

use serde_json::{Value, json};
use watchbell_domain::finding::Observation;
use watchbell_domain::finding::identity;
use watchbell_domain::scan::{self, Report, ReportError};
use watchbell_wire::Severity;

fn read(report: &Value) -> Report {
    scan::read(report.to_string().as_bytes(), None).expect("a report that can be read")
}

fn sarif(results: Value) -> Report {
    read(&json!({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "Tool", "rules": [
        {"id": "R0", "shortDescription": {"text": "Rule nought"}},
        {"id": "R1", "shortDescription": {"text": "Rule one"}, "fullDescription": {"text": "All of rule one"},
         "defaultConfiguration": {"level": "error"}, "helpUri": "https://example.com/r1",
         "messageStrings": {"default": {"text": "{0} is not {1}, {{0}}"}},
         "relationships": [{"target": {"id": "79", "toolComponent": {"name": "CWE"}}}],
         "properties": {"tags": ["external/cwe/cwe-078"], "security-severity": "9.1"}},
    ]}}, "results": results}]}))
}

fn one(results: Value) -> Observation {
    let report = sarif(results);
    assert_eq!((report.observations.len(), report.skipped), (1, 0));
    report.observations.into_iter().next().unwrap()
}

fn vdr(vulnerabilities: Value) -> Report {
    read(&json!({"bomFormat": "CycloneDX", "specVersion": "1.5", "metadata": {"tools": [{"name": "audit"}]},
        "components": [
            {"bom-ref": "outer", "name": "outer", "version": "1", "purl": "pkg:npm/outer@1", "components": [
                {"bom-ref": "inner", "group": "@scope", "name": "inner", "version": "2.0.0", "purl": "pkg:npm/%40scope/inner@2.0.0"}
            ]},
            {"bom-ref": "jar", "group": "org.example", "name": "jar", "version": "3", "purl": "pkg:maven/org.example/jar@3"},
        ],
        "vulnerabilities": vulnerabilities}))
}

#[test]
fn examples_read_as_they_always_did() {
    for (name, bytes) in crate::support::EXAMPLES {
        let report = scan::read(bytes, None).expect("a report that can be read");
        insta::assert_debug_snapshot!(name.replace('/', "-"), report);
    }
}

#[test]
fn rules_are_found_by_index_id_parent_and_extension() {
    let by_index = one(json!([{"ruleIndex": 1, "message": {"text": "m"}}]));
    let by_id = one(json!([{"ruleId": "R1", "message": {"text": "m"}}]));
    let by_parent = one(json!([{"ruleId": "R1/a", "message": {"text": "m"}}]));
    for observation in [&by_index, &by_id, &by_parent] {
        assert_eq!(observation.severity, Severity::Critical);
        assert_eq!(observation.cvss_score, Some(9.1));
        assert_eq!(observation.cwes, ["CWE-78", "CWE-79"]);
        assert_eq!(observation.url.as_deref(), Some("https://example.com/r1"));
    }
    assert_eq!((by_index.rule_id.as_str(), by_parent.rule_id.as_str()), ("R1", "R1/a"));
    let extension = read(&json!({"runs": [{"tool": {"driver": {"name": "T", "rules": [{"id": "X"}]}, "extensions": [
        {"name": "plain"}, {"name": "more", "rules": [{"id": "E0"}, {"id": "E1", "defaultConfiguration": {"level": "note"}}]}]},
        "results": [{"rule": {"index": 1, "toolComponent": {"index": 1}}, "message": {"text": "m"}},
                    {"rule": {"index": 1, "toolComponent": {"name": "more"}}, "message": {"text": "m"}},
                    {"ruleId": "E1", "message": {"text": "m"}}]}]}));
    for observation in extension.observations {
        assert_eq!((observation.rule_id.as_str(), observation.severity), ("E1", Severity::Low));
    }
}

#[test]
fn severity_is_the_results_then_the_rules_then_warning() {
    let severity = |result: Value| one(json!([result])).severity;
    assert_eq!(severity(json!({"ruleId": "R0", "message": {"text": "m"}})), Severity::Medium);
    assert_eq!(severity(json!({"ruleId": "R0", "level": "error", "message": {"text": "m"}})), Severity::High);
    assert_eq!(severity(json!({"ruleId": "R0", "level": "none", "message": {"text": "m"}})), Severity::Info);
    assert_eq!(severity(json!({"ruleId": "R0", "kind": "review", "message": {"text": "m"}})), Severity::Info);
    assert_eq!(severity(json!({"ruleId": "R1", "level": "note", "message": {"text": "m"}})), Severity::Critical);
    let own = json!({"ruleId": "R1", "message": {"text": "m"}, "properties": {"security-severity": 4.5}});
    assert_eq!(severity(own), Severity::Medium);
}

#[test]
fn passes_and_what_is_absent_since_the_baseline_are_no_findings() {
    let report = sarif(json!([
        {"ruleId": "R0", "kind": "pass", "message": {"text": "m"}},
        {"ruleId": "R0", "kind": "notApplicable", "message": {"text": "m"}},
        {"ruleId": "R0", "baselineState": "absent", "message": {"text": "m"}},
        {"ruleId": "R0", "baselineState": "unchanged", "kind": "fail", "message": {"text": "kept"}},
    ]));
    assert_eq!(report.observations.len(), 1);
    assert_eq!(report.observations[0].title, "kept");
    assert_eq!(report.skipped, 0);
}

#[test]
fn suppressions_count_when_all_are_accepted() {
    let suppressed = |suppressions: Value| one(json!([{"ruleId": "R0", "suppressions": suppressions}])).suppressed;
    assert!(suppressed(json!([{"kind": "inSource"}])));
    assert!(suppressed(json!([{"kind": "external", "status": "accepted"}])));
    assert!(!suppressed(json!([])));
    assert!(!suppressed(json!([{"kind": "external", "status": "underReview"}])));
    assert!(!suppressed(json!([{"kind": "inSource"}, {"kind": "external", "status": "rejected"}])));
}

#[test]
fn messages_are_filled_and_fall_back_to_markdown() {
    let title = |message: Value| one(json!([{"ruleId": "R1", "message": message}])).title;
    assert_eq!(title(json!({"id": "default", "arguments": ["This", "that"]})), "This is not that, {0}");
    assert_eq!(title(json!({"text": "{0} and {5} and {", "arguments": ["one"]})), "one and {5} and {");
    assert_eq!(title(json!({"text": "{0} stays"})), "{0} stays");
    assert_eq!(title(json!({"markdown": "*look*"})), "*look*");
    let long = one(json!([{"ruleId": "R1", "message": {"text": "line\nline"}}]));
    assert_eq!((long.title.as_str(), long.description.as_str()), ("Rule one", "line\nline"));
    let short = one(json!([{"ruleId": "R1", "message": {"text": "line"}}]));
    assert_eq!((short.title.as_str(), short.description.as_str()), ("line", "All of rule one"));
}

#[test]
fn places_are_files_with_lines_or_resources() {
    let location = |location: Value| one(json!([{"ruleId": "R0", "message": {"text": "m"}, "locations": [location]}]));
    let file = location(json!({"physicalLocation": {"artifactLocation": {"uri": "./a%20b.py", "uriBaseId": "ROOT"},
        "region": {"startLine": 7}}, "logicalLocations": [{"fullyQualifiedName": "f"}]}));
    assert_eq!(file.location.as_deref(), Some("a b.py:7"));
    let resource =
        location(json!({"logicalLocations": [{"fullyQualifiedName": "aws_s3_bucket.b", "kind": "resource"}]}));
    assert_eq!(resource.location.as_deref(), Some("aws_s3_bucket.b"));
    assert_eq!(identity::label(&resource, 1), "resource|R0|aws_s3_bucket.b");
    let listed = read(&json!({"runs": [{"tool": {"driver": {"name": "T"}},
        "artifacts": [{}, {"location": {"uri": "src/listed.c"}}],
        "results": [{"ruleId": "R", "locations": [{"physicalLocation": {"artifactLocation": {"index": 1}}}]}]}]}));
    assert_eq!(listed.observations[0].location.as_deref(), Some("src/listed.c"));
}

#[test]
fn fingerprints_come_before_snippets_before_messages() {
    let with = |more: Value| {
        let mut result = json!({"ruleId": "R0", "message": {"text": "m"}, "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": "a.py"}, "region": {"startLine": 1, "snippet": {"text": "\n  run( x )\nmore"}}}}]});
        result.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        one(json!([result])).fingerprint.unwrap()
    };
    let snippet = with(json!({}));
    assert!(snippet.starts_with("snippet:"));
    let partial =
        json!({"primaryLocationLineHash": "39fa2ee980eb94b0:1", "primaryLocationStartColumnFingerprint": "4-and-more"});
    let by_partial = with(json!({"partialFingerprints": partial}));
    assert!(by_partial.starts_with("partial:"));
    assert_eq!(by_partial, with(json!({"partialFingerprints": {"primaryLocationLineHash": "39fa2ee980eb94b0:1"}})));
    assert!(with(json!({"fingerprints": {"v1": "0123456789"}, "partialFingerprints": partial})).starts_with("full:"));
    // What Semgrep writes for those who have not logged in would make all results of a rule one.
    assert_eq!(with(json!({"fingerprints": {"matchBasedId/v1": "requires login"}})), snippet);
    let message = one(json!([{"ruleId": "R0", "message": {"text": "m"}}]));
    assert!(message.fingerprint.unwrap().starts_with("message:"));
}

#[test]
fn an_odd_result_costs_itself_and_all_remediation() {
    let report =
        sarif(json!([7, "x", null, {}, {"ruleId": "R0", "locations": 3, "level": {}, "message": {"text": "m"}}]));
    assert_eq!((report.observations.len(), report.skipped), (1, 4));
    assert!(report.scope.is_empty());
    let clean = sarif(json!([]));
    assert!(clean.scope.contains("tool"));
}

#[test]
fn runs_add_up_and_one_without_results_says_nothing_of_what_is_gone() {
    let report = read(&json!({"version": "2.1.0", "runs": [
        {"tool": {"driver": {"name": "A"}}, "results": [{"ruleId": "1"}]},
        {"tool": {"driver": {"name": "B"}}},
        {"tool": {"driver": {"name": "C"}}, "results": [{"ruleId": "2"}]},
    ]}));
    assert_eq!(report.observations.len(), 2);
    assert_eq!(Vec::from_iter(report.tools), ["a", "b", "c"]);
    assert_eq!(Vec::from_iter(report.scope), ["a", "c"]);
}

#[test]
fn a_failed_invocation_fails_the_report() {
    let report = read(&json!({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "T"}}, "results": [],
        "invocations": [{"executionSuccessful": true}, {"executionSuccessful": false, "exitCode": 2,
            "toolExecutionNotifications": [{"level": "note", "message": {"text": "hm"}},
                                           {"level": "error", "message": {"text": "out of memory"}}]}]}]}));
    assert_eq!(report.failure.as_deref(), Some("the tool says that it failed: out of memory"));
}

#[test]
fn the_callers_name_for_the_tool_wins() {
    let (_, bytes) = crate::support::EXAMPLES[1];
    let named = scan::read(bytes, Some(" Bandit-Strict ")).unwrap();
    assert_eq!(Vec::from_iter(named.tools), ["bandit-strict"]);
    assert!(named.observations.iter().all(|observation| observation.tool == "bandit-strict"));
    let unnamed = scan::read(bytes, Some("  ")).unwrap();
    assert_eq!(Vec::from_iter(unnamed.tools), ["bandit"]);
}

#[test]
fn components_are_found_wherever_they_are() {
    let report = vdr(json!([{"id": "GHSA-aaaa-bbbb-cccc", "references": [{"id": "cve-2021-0001"}, {"id": "OSV-1"}],
        "affects": [{"ref": "inner"}, {"ref": "urn:cdx:3e671687/1#jar"}, {"ref": "pkg:npm/lost@9"}, {"ref": "?"}]}]));
    let names: Vec<_> = report.observations.iter().map(|it| it.component.clone().unwrap().name).collect();
    assert_eq!(names, ["@scope/inner", "org.example:jar", "lost", "?"]);
    assert_eq!(report.components, Some(3));
    let first = &report.observations[0];
    assert_eq!(first.cve_id.as_deref(), Some("CVE-2021-0001"));
    assert_eq!(first.aliases, ["GHSA-aaaa-bbbb-cccc", "OSV-1"]);
    assert_eq!(first.rule_id, "GHSA-aaaa-bbbb-cccc");
    assert_eq!(identity::label(first, 1), "component|CVE-2021-0001|pkg:npm/@scope/inner");
    assert_eq!(first.title, "CVE-2021-0001 in @scope/inner 2.0.0");
}

#[test]
fn vex_states_suppress_or_remove() {
    let with = |state: &str| {
        let report = vdr(json!([{"id": "X", "analysis": {"state": state}, "affects": [{"ref": "jar"}]}]));
        report.observations.first().map(|observation| observation.suppressed)
    };
    for open in ["exploitable", "in_triage", "something new"] {
        assert_eq!(with(open), Some(false), "{open}");
    }
    for suppressed in ["not_affected", "false_positive"] {
        assert_eq!(with(suppressed), Some(true), "{suppressed}");
    }
    for gone in ["resolved", "resolved_with_pedigree"] {
        assert_eq!(with(gone), None, "{gone}");
    }
}

#[test]
fn versions_listed_as_clear_are_fixes_and_not_findings() {
    let report = vdr(json!([
        {"id": "A", "recommendation": "Upgrade it to version 2.1.0 or higher", "affects": [{"ref": "inner", "versions": [
            {"version": "2.0.0", "status": "affected"}, {"range": "vers:semver/2.0.0|<2.0.5", "status": "affected"},
            {"version": "2.1.0", "status": "unaffected"}]}]},
        {"id": "B", "affects": [{"ref": "jar", "versions": [{"version": "3", "status": "unaffected"}]}]},
    ]));
    assert_eq!(report.observations.len(), 1);
    assert_eq!(report.observations[0].fixed_in, ["2.0.5", "2.1.0"]);
}

#[test]
fn the_scanner_is_the_tool_and_not_the_library_that_writes_for_it() {
    let tool = |tools: Value| {
        let report = read(&json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "metadata": {"tools": tools}}));
        report.tools.into_iter().next().unwrap()
    };
    assert_eq!(tool(json!([{"name": "cyclonedx-python-lib"}, {"name": "pip-audit"}])), "pip-audit");
    assert_eq!(tool(json!({"components": [{"name": "Grype"}]})), "grype");
    assert_eq!(tool(json!({"services": [{"name": "Cloud"}]})), "cloud");
    assert_eq!(tool(json!([{"name": "cyclonedx-py"}])), "cyclonedx-py");
    assert_eq!(tool(json!(7)), "cyclonedx");
}

#[test]
fn broken_reports_say_where_and_why() {
    let deep = format!(r#"{{"runs": {}"#, "[".repeat(200_000));
    let cases: [(&str, &[u8]); 16] = [
        ("empty", b" \n"),
        ("truncated", br#"{"version": "2.1.0", "runs": [{"tool""#),
        ("trailing", b"{\"runs\": []}\n}"),
        ("not_utf8", b"{\"runs\": [\"\xff\"]}"),
        ("deep", deep.as_bytes()),
        ("xml", b"<?xml version=\"1.0\"?><bom/>"),
        ("array", b"[]"),
        ("text", b"no findings"),
        ("number", b"7"),
        ("other_json", br#"{"results": [], "errors": []}"#),
        ("old_sarif", br#"{"version": "1.0.0", "runs": []}"#),
        ("no_runs", br#"{"version": "2.1.0", "runs": []}"#),
        ("runs_is_text", br#"{"version": "2.1.0", "runs": "x"}"#),
        ("nameless_tool", br#"{"version": "2.1.0", "runs": [{"results": []}]}"#),
        ("new_cyclonedx", br#"{"bomFormat": "CycloneDX", "specVersion": "2.0"}"#),
        ("vulnerabilities_is_text", br#"{"bomFormat": "CycloneDX", "specVersion": "1.4", "vulnerabilities": "x"}"#),
    ];
    let told: Vec<String> =
        cases.iter().map(|(name, bytes)| format!("{name}: {}", scan::read(bytes, None).expect_err(name))).collect();
    insta::assert_snapshot!("broken_reports", told.join("\n"));
}

#[test]
fn limits_refuse_or_cut() {
    let large = vec![b'<'; scan::limit::WHOLE_BYTES_MAX + 1];
    assert!(matches!(scan::read(&large, None), Err(ReportError::TooLargeWhole { .. })));
    let long = "ä".repeat(100_000);
    let cut = one(json!([{"ruleId": long, "message": {"text": long}, "locations": [{"physicalLocation": {
        "artifactLocation": {"uri": long}, "region": {"startLine": 1}}}]}]));
    assert_eq!(cut.rule_id.chars().count(), scan::limit::NAME_MAX);
    assert_eq!(cut.title.chars().count(), scan::limit::TITLE_MAX);
    assert_eq!(cut.description.chars().count(), scan::limit::DESCRIPTION_MAX);
    assert_eq!(cut.file().chars().count(), scan::limit::PATH_MAX);
}

#[test]
fn a_long_text_of_a_rule_is_cut_once_for_all() {
    let long = "long ".repeat(100_000);
    let report = read(&json!({"runs": [{"tool": {"driver": {"name": "T", "rules": [
        {"id": "R", "fullDescription": {"text": long}, "messageStrings": {"default": {"text": long}}}]}},
        "results": vec![json!({"ruleId": "R", "message": {"id": "default"}}); 50]}]}));
    assert_eq!(report.observations.len(), 50);
    assert_eq!(report.observations[49].description.chars().count(), scan::limit::DESCRIPTION_MAX);
}

#[test]
fn components_are_found_down_to_the_limit() {
    let mut tree = json!({"bom-ref": "deepest", "name": "deepest"});
    for _ in 1..scan::limit::COMPONENT_DEPTH_MAX {
        tree = json!({"name": "outer", "components": [tree]});
    }
    let found = |tree: &Value| {
        let report = read(&json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [tree],
            "vulnerabilities": [{"id": "A", "affects": [{"ref": "deepest"}]}]}));
        report.components
    };
    assert_eq!(found(&tree), Some(16));
    assert_eq!(found(&json!({"name": "beyond", "components": [tree]})), Some(16));
}

#[test]
fn ratings_may_write_their_score_as_text() {
    let report = vdr(json!([{"id": "A", "ratings": [{"method": "CVSSv31", "score": "9.8"}, {"score": {"": 0}}]}]));
    assert_eq!(report.observations[0].cvss_score, Some(9.8));
    assert_eq!(report.observations[0].severity, Severity::Critical);
}

#[test]
fn a_byte_order_mark_is_no_fault() {
    let report = scan::read("\u{feff}{\"runs\": [{\"tool\": {\"driver\": {\"name\": \"T\"}}}]}".as_bytes(), None);
    assert!(report.is_ok());
}
