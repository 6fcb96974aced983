//! Reports beyond what is read whole. In tests that is little: see [`limit::WHOLE_BYTES_MAX`].

use std::io::Cursor;

use serde_json::{Value, json};
use watchbell_wire::Severity;

use super::{ReportError, limit, read, read_from};

/// A log whose results come before what describes them.
fn log(results: usize, padding: usize) -> String {
    let pad = "x".repeat(padding);
    let result = |n: usize| {
        json!({"ruleId": format!("R{}", n % 3), "message": {"text": format!("finding {n}"), "markdown": pad},
        "locations": [{"physicalLocation": {"artifactLocation": {"index": n % 2}, "region": {"startLine": n}}}]})
    };
    let listed: Vec<Value> = (0..results).map(result).collect();
    json!({"runs": [{"artifacts": [{"location": {"uri": "a.py"}}, {"location": {"uri": "b.py"}}],
        "results": listed, "tool": {"driver": {"name": "Tool", "rules": [{"id": "R1", "defaultConfiguration": {"level": "error"}}]}}}]})
    .to_string()
}

#[test]
fn a_log_in_a_file_is_what_it_is_in_memory() {
    let small = log(10, 0);
    let whole = read(small.as_bytes(), None).unwrap();
    assert_eq!(read_from(Cursor::new(small.as_bytes()), None).unwrap(), whole);
    assert_eq!(whole.observations[1].severity, Severity::High);
    assert_eq!(whole.observations[3].location.as_deref(), Some("b.py:3"));
    // Padded beyond what is read whole, each result is the same.
    let large = log(10, limit::WHOLE_BYTES_MAX / 9);
    assert!(large.len() > limit::WHOLE_BYTES_MAX);
    assert_eq!(read_from(Cursor::new(large.as_bytes()), None).unwrap(), whole);
    let marked = format!("\u{feff}{large}");
    assert_eq!(read_from(Cursor::new(marked.as_bytes()), None).unwrap(), whole);
}

#[test]
fn a_large_report_that_is_no_sarif_or_broken_is_told_so() {
    let error = |text: String| read_from(Cursor::new(text.into_bytes()), None).unwrap_err();
    let blanks = " ".repeat(limit::WHOLE_BYTES_MAX);
    let other = error(format!("{{\"bomFormat\": \"CycloneDX\", \"x\": \"{blanks}\"}}"));
    assert!(matches!(other, ReportError::TooLargeWhole { .. }), "{other}");
    let other = error(format!("<bom>{blanks}</bom>"));
    assert!(matches!(other, ReportError::TooLargeWhole { .. }), "{other}");
    let cut = error(format!("{{\"runs\": [{blanks}"));
    assert!(matches!(cut, ReportError::NotJson { .. }), "{cut}");
    let deep = error(format!("{{\"runs\": [{blanks}{}", "[".repeat(200)));
    assert!(matches!(deep, ReportError::TooDeep { .. }), "{deep}");
    let wide = error(format!(
        "{{\"runs\": [{{\"tool\": {{\"driver\": {{\"name\": \"T\"}}}}, \"results\": [\"{blanks}{blanks}\"]}}]}}"
    ));
    assert!(matches!(wide, ReportError::EntryTooLarge), "{wide}");
}

#[test]
fn more_findings_than_are_read_are_refused() {
    let count = limit::OBSERVATIONS_MAX;
    let many = |entry: &str| format!("{}{entry}", format!("{entry},").repeat(count));
    let results = many(r#"{"ruleId":"R0"}"#);
    let log = format!(r#"{{"version":"2.1.0","runs":[{{"tool":{{"driver":{{"name":"T"}}}},"results":[{results}]}}]}}"#);
    assert!(matches!(read(log.as_bytes(), None), Err(ReportError::TooMany { .. })));
    let affects = many(r#"{"ref":"jar"}"#);
    let bom = r#"{"bomFormat":"CycloneDX","specVersion":"1.6","vulnerabilities":[{"id":"A","affects":"#;
    let bom = format!("{bom}[{affects}]}}]}}");
    assert!(matches!(read(bom.as_bytes(), None), Err(ReportError::TooMany { .. })));
}

/// SARIF and CycloneDX count in their own ways, all others in one: three of them, by list, by object and by XML.
#[test]
fn every_reader_refuses_more_findings_than_are_read() {
    let count = limit::OBSERVATIONS_MAX + 1;
    let grype = vec![json!({"vulnerability": {"id": "CVE-2020-0001"}, "artifact": {"name": "x"}}); count];
    let secret = json!([{"type": "t", "hashed_secret": "0"}]);
    let secrets: serde_json::Map<String, Value> = (0..count).map(|n| (n.to_string(), secret.clone())).collect();
    let xml = "<vulnerability><name>CVE-2020-0001</name></vulnerability>".repeat(count);
    let xml = format!(
        "<analysis xmlns='x/dependency-check.xsd'><dependency><fileName>x</fileName><vulnerabilities>{xml}</vulnerabilities></dependency></analysis>"
    );
    let reports = [
        json!({"matches": grype, "descriptor": {}}).to_string(),
        json!({"plugins_used": [], "results": secrets}).to_string(),
        xml,
    ];
    for report in reports {
        let refused = read(report.as_bytes(), None);
        assert!(matches!(refused, Err(ReportError::TooMany { .. })), "{:?}", refused.map(|it| it.observations.len()));
    }
}
