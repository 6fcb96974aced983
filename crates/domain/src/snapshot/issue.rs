//! A finding as a Snyk issue, with every member of the documented example: there are consumers whose model wants them all.
//!
//! What we do not know is empty text, `null`, `[]` or `{}`. Snyk's severities end at `low`: `info` and `unknown` are told
//! as `low` here, and only here.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};
use watchbell_wire::Severity;
use watchbell_wire::event::{Issue, IssueData};

use super::{purl_type, short};
use crate::finding::{Finding, Observation};

/// Characters of an issue's description; the finding itself keeps more.
const DESCRIPTION_MAX: usize = 1_000;

/// The issue.
pub(super) fn issue(finding: &Finding) -> Issue {
    let observation = &finding.observation;
    let id = issue_id(finding);
    let nearest = nearest_fix(observation).unwrap_or_default();
    Issue {
        issue_type: issue_type(observation).to_owned(),
        pkg_name: package(observation),
        pkg_versions: version(observation).map(str::to_owned).into_iter().collect(),
        priority: priority(observation),
        issue_data: issue_data(&id, observation, &nearest),
        is_patched: false,
        is_ignored: finding.status.is_muted() || observation.suppressed,
        fix_info: json!({
            "isUpgradable": is_upgradable(observation),
            "isPinnable": false,
            "isPatchable": false,
            "isFixable": is_upgradable(observation),
            "isPartiallyFixable": is_upgradable(observation),
            "nearestFixedInVersion": nearest,
            "fixedIn": observation.fixed_in,
        }),
        // Not in the documented example, and in real payloads.
        more: members(json!({
            "priorityScore": priority(observation).get("score"),
            "ignoreReasons": ignore_reasons(finding),
        })),
        id,
    }
}

/// Unique in the project, as Snyk's are (one id each vulnerability and package), and the same for its whole life, since
/// consumers close issues by it: the name it was first known by, a colon, and the finding.
fn issue_id(finding: &Finding) -> String {
    format!("{}:{}", finding.first_name(), finding.id.bare())
}

fn issue_data(id: &str, observation: &Observation, nearest: &str) -> IssueData {
    let severity = severity(observation.severity);
    let vector = observation.cvss_vector.as_deref().unwrap_or_default();
    let more = json!({
        "description": short(&observation.description, DESCRIPTION_MAX),
        "credit": [],
        "exploitMaturity": "no-data",
        "semver": {"vulnerable": version(observation).map(|version| format!("={version}")).into_iter().collect::<Vec<_>>()},
        "publicationTime": "",
        "disclosureTime": "",
        "language": language(observation),
        "patches": [],
        "nearestFixedInVersion": nearest,
        // From here on not in the documented example, and in real payloads.
        "originalSeverity": severity,
        "cvssDetails": [],
        "functions": [],
        "isMaliciousPackage": is_malicious(observation),
    });
    IssueData {
        id: id.to_owned(),
        title: observation.title.clone(),
        severity: severity.to_owned(),
        url: observation.url.clone().unwrap_or_default(),
        identifiers: identifiers(observation),
        // The member is of version 3; others have no place in the documented shape.
        cvss_v3: Value::String(if vector.starts_with("CVSS:3") { vector } else { "" }.to_owned()),
        cvss_score: observation.cvss_score,
        more: members(more),
    }
}

/// Why nobody need act, where that is so.
fn ignore_reasons(finding: &Finding) -> Value {
    let judged = finding.judgement.as_ref().filter(|judgement| judgement.status.is_muted());
    let judged = judged.map(|it| json!({"reason": it.reason, "expires": it.until, "source": it.by.kind()}));
    let observation = &finding.observation;
    let said = || json!({"reason": observation.suppression_reason.clone().unwrap_or_default(), "expires": null, "source": "scan"});
    let reason = judged.or_else(|| observation.suppressed.then(said));
    Value::Array(reason.into_iter().collect())
}

/// The databases of malicious packages give ids of their own.
fn is_malicious(observation: &Observation) -> bool {
    let mut names = observation.aliases.iter().chain([&observation.rule_id]);
    names.any(|name| name.starts_with("MAL-"))
}

/// CVE, CWE and ALTERNATIVE always, GHSA where there is one.
fn identifiers(observation: &Observation) -> Map<String, Value> {
    let is_ghsa = |name: &&String| name.starts_with("GHSA-");
    let is_cve = |name: &&String| name.starts_with("CVE-");
    let aliases = || observation.aliases.iter();
    let cves: Vec<&String> = observation.cve_id.iter().chain(aliases().filter(is_cve)).collect();
    let ghsas: Vec<&String> = aliases().filter(is_ghsa).collect();
    let mut others: Vec<&String> = aliases().filter(|name| !is_ghsa(name) && !is_cve(name)).collect();
    let rule = &observation.rule_id;
    if !rule.is_empty() && !cves.contains(&rule) && !ghsas.contains(&rule) && !others.contains(&rule) {
        others.insert(0, rule);
    }
    let mut identifiers = members(json!({"CVE": cves, "CWE": observation.cwes, "ALTERNATIVE": others}));
    if !ghsas.is_empty() {
        identifiers.insert("GHSA".to_owned(), json!(ghsas));
    }
    identifiers
}

/// 0 to 1000: the CVSS score times 100, or the middle of the severity's range.
fn priority(observation: &Observation) -> Value {
    let (score, factor) = match observation.cvss_score {
        Some(score) => ((score * 100.0).round(), json!({"name": "cvssScore", "description": format!("CVSS {score}")})),
        None => {
            let severity = severity(observation.severity);
            let score = match observation.severity {
                Severity::Critical => 950.0,
                Severity::High => 800.0,
                Severity::Medium => 550.0,
                Severity::Low => 200.0,
                Severity::Info | Severity::Unknown => 0.0,
            };
            (score, json!({"name": "severity", "description": format!("Severity {severity}")}))
        }
    };
    let mut factors = vec![factor];
    if is_upgradable(observation) {
        factors.insert(0, json!({"name": "isFixable", "description": "Has a fix available"}));
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole, and between 0 and 1000")]
    let score = score as i64;
    json!({"score": score, "factors": factors})
}

/// Snyk's word.
pub(super) const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "high",
        Severity::Medium => "medium",
        Severity::Low | Severity::Info | Severity::Unknown => "low",
    }
}

/// A resource's finding is one of configuration; all others are vulnerabilities.
const fn issue_type(observation: &Observation) -> &'static str {
    let is_in = (observation.component.is_some(), observation.fingerprint.is_some(), observation.location.is_some());
    match is_in {
        (false, false, true) => "configuration",
        (true, _, _) | (_, true, _) | (_, _, false) => "vuln",
    }
}

/// The component, else the file or resource.
fn package(observation: &Observation) -> String {
    match &observation.component {
        Some(component) => component.name.clone(),
        None => observation.file().to_owned(),
    }
}

fn version(observation: &Observation) -> Option<&str> {
    observation.component.as_ref()?.version.as_deref()
}

fn is_upgradable(observation: &Observation) -> bool {
    observation.component.is_some() && !observation.fixed_in.is_empty()
}

/// The lowest fixed version above the installed one; the first named where versions cannot be compared.
fn nearest_fix(observation: &Observation) -> Option<String> {
    let installed = version(observation).unwrap_or_default();
    let later = observation.fixed_in.iter().filter(|fixed| compare(fixed, installed) == Ordering::Greater);
    let nearest = later.min_by(|a, b| compare(a, b));
    nearest.or(observation.fixed_in.first()).cloned()
}

/// Versions part by part, numbers as numbers. Right for what fixes look like, not for every scheme's pre-releases.
fn compare(a: &str, b: &str) -> Ordering {
    let parts = |text: &str| -> Vec<(bool, u64, String)> {
        text.trim_start_matches('v')
            .split(|c: char| !c.is_ascii_alphanumeric())
            .map(|part| match part.parse::<u64>() {
                Ok(number) => (true, number, String::new()),
                Err(_) => (false, 0, part.to_owned()),
            })
            .collect()
    };
    parts(a).cmp(&parts(b))
}

/// Snyk's word for the language of a package's ecosystem.
fn language(observation: &Observation) -> &'static str {
    match purl_type(observation) {
        Some("pypi") => "python",
        Some("npm") => "js",
        Some("maven") => "java",
        Some("golang") => "golang",
        Some("nuget") => "dotnet",
        Some("gem") => "ruby",
        Some("cargo") => "rust",
        Some("composer") => "php",
        Some("deb" | "rpm" | "apk" | "alpm") => "linux",
        Some(_) | None => "",
    }
}

/// An object's members.
pub(super) fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}
