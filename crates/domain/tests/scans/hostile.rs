//! Reports that are cut off, nested, of wrong types, with huge numbers and doubled keys: an answer, never a panic.

use std::fmt::Write as _;

use serde_json::{Value, json};
use watchbell_domain::scan::{self, ReportError, limit};

use crate::fixtures::{REPORTS, bytes};

/// Places of a report that are tried: of all reports together a few thousand, of a long one fewer.
const BYTES_READ_MAX: usize = 500_000;

fn pointers(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.replace('~', "~0").replace('/', "~1"), value)).collect()
        }
        Value::Array(entries) => entries.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for (name, value) in inner {
        pointers(value, &format!("{at}/{name}"), out);
    }
}

fn json_reports() -> impl Iterator<Item = (&'static str, Value)> {
    let all = REPORTS.iter().filter(|(name, _)| name.ends_with(".json"));
    all.map(|(name, bytes)| (*name, serde_json::from_slice(bytes).expect("JSON")))
}

#[test]
fn a_report_that_is_cut_off_says_where() {
    for (name, bytes) in REPORTS {
        let end = bytes.trim_ascii_end().len();
        for cut in (1..end).step_by(1.max(end / 60)) {
            let refused = scan::read(&bytes[..cut], None);
            assert!(
                matches!(
                    refused,
                    Err(ReportError::NotJson { .. }
                        | ReportError::NotXml { .. }
                        | ReportError::NotUtf8 { .. }
                        | ReportError::UnknownFormat { .. })
                ),
                "{name} at {cut}: {refused:?}"
            );
        }
    }
}

#[test]
fn members_of_the_wrong_type_cost_what_they_are_of() {
    let odd =
        [json!(null), json!(7), json!(-1.5), json!("x"), json!(true), json!([]), json!({}), json!([[7], {"": null}])];
    for (name, report) in json_reports() {
        let mut places = Vec::new();
        pointers(&report, "", &mut places);
        let places_max = BYTES_READ_MAX / bytes(name).len();
        let stride = 1.max(places.len() / places_max);
        for (index, place) in places.iter().enumerate().skip(1).step_by(stride) {
            for value in [&odd[index % odd.len()], &odd[(index / stride + 3) % odd.len()]] {
                let mut changed = report.clone();
                *changed.pointer_mut(place).expect("a place of the report") = value.clone();
                if let Ok(read) = scan::read(changed.to_string().as_bytes(), None) {
                    assert!(read.skipped == 0 || read.scope.is_empty(), "{name} at {place}");
                }
            }
        }
    }
}

#[test]
fn numbers_beyond_all_bounds_are_no_numbers() {
    for (name, bytes) in REPORTS {
        let text = std::str::from_utf8(bytes).unwrap();
        let huge: String = text.chars().fold(String::new(), |mut out, c| {
            match c.is_ascii_digit() && out.ends_with([' ', ':', '>']) {
                true => _ = write!(out, "9e999999999{c}"),
                false => out.push(c),
            }
            out
        });
        // Whatever it makes of it, it ends.
        if let Err(error) = scan::read(huge.as_bytes(), None) {
            assert!(!error.to_string().is_empty(), "{name}");
        }
    }
}

#[test]
fn a_doubled_member_is_refused_or_counted() {
    let grype = |entry: &str| format!(r#"{{"matches": [{entry}], "descriptor": {{}}}}"#);
    let doubled = grype(
        r#"{"vulnerability": {"id": "CVE-2020-0001"}, "vulnerability": {"id": "CVE-2020-0002"}, "artifact": {"name": "x"}}"#,
    );
    let read = scan::read(doubled.as_bytes(), None).unwrap();
    assert_eq!((read.observations.len(), read.skipped, read.scope.len()), (0, 1, 0));
    let top = scan::read(br#"{"matches": [], "descriptor": {}, "matches": []}"#, None);
    assert!(matches!(top, Err(ReportError::NotJson { .. })), "{top:?}");
}

#[test]
fn depth_is_limited_in_json_and_xml() {
    let nested = |open: &str, close: &str, count: usize| format!("{}{}", open.repeat(count), close.repeat(count));
    for inner in [nested("[", "]", 200_000), nested("{\"a\":", "}", 200_000)] {
        let deep = format!(r#"{{"SchemaVersion": 2, "Results": {inner}}}"#);
        assert!(matches!(scan::read(deep.as_bytes(), None), Err(ReportError::TooDeep { .. })));
    }
    let xml = format!(
        r#"<analysis xmlns="https://jeremylong.github.io/DependencyCheck/dependency-check.4.1.xsd">{}</analysis>"#,
        nested("<dependency>", "</dependency>", 100_000)
    );
    let refused = scan::read(xml.as_bytes(), None);
    assert!(matches!(refused, Err(ReportError::TooDeep { .. })), "{refused:?}");
    let fits = nested("[", "]", limit::DEPTH_MAX - 1);
    let graphql = format!(r#"{{"data": {fits}, "x": "\"vulnerabilityAlerts\""}}"#);
    assert!(matches!(scan::read(graphql.as_bytes(), None), Err(ReportError::UnknownFormat { .. })));
}

#[test]
fn xml_expands_nothing_of_its_own() {
    let bomb = br#"<?xml version="1.0"?><!DOCTYPE analysis [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>
        <analysis xmlns="https://jeremylong.github.io/DependencyCheck/dependency-check.4.1.xsd"><dependencies><dependency>
        <fileName>&b;</fileName><vulnerabilities><vulnerability><name>CVE-2020-0001</name></vulnerability></vulnerabilities>
        </dependency></dependencies></analysis>"#;
    let report = scan::read(bomb, None).unwrap();
    assert_eq!(report.observations[0].component.clone().unwrap().name, "&b;");
    let broken = scan::read(br#"<analysis xmlns="x/dependency-check.xsd"><a></b></analysis>"#, None);
    assert!(matches!(broken, Err(ReportError::NotXml { line: 1, .. })), "{broken:?}");
}

#[test]
fn text_is_cut() {
    let text = "ä".repeat(100_000);
    let long = json!({"matches": [{"vulnerability": {"id": text, "description": text, "dataSource": text}, "artifact": {"name": text, "version": text}}], "descriptor": {}});
    let seen = scan::read(long.to_string().as_bytes(), None).unwrap().observations.remove(0);
    assert_eq!(seen.rule_id.chars().count(), limit::NAME_MAX);
    assert_eq!(seen.description.chars().count(), limit::DESCRIPTION_MAX);
    assert_eq!((seen.component.unwrap().name.chars().count(), seen.url), (limit::NAME_MAX, None));
}

/// An empty report of one tool must not pass for one of another's.
#[test]
fn what_has_no_sign_is_of_no_format() {
    for text in [
        "[]",
        "{}",
        r#"{"results": {}}"#,
        r#"{"results": [], "errors": []}"#,
        r#"{"vulnerabilities": []}"#,
        "[{}]",
        "[7]",
        r#"{"data": {}}"#,
        r#"{"error": "x"}"#,
    ] {
        let refused = scan::read(text.as_bytes(), None);
        assert!(matches!(refused, Err(ReportError::UnknownFormat { .. })), "{text}: {refused:?}");
    }
    assert!(!bytes("trivy.json").is_empty());
}
