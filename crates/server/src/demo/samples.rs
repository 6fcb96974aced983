//! What the demo sends: scanners' reports on the example project, and events that no scan makes.
//!
//! The reports are those of `examples`; how they were made is written there.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

/// A scanner's report as the scanner wrote it.
pub(super) struct Report {
    /// What it is called in the example.
    pub(super) name: &'static str,
    /// Its bytes.
    pub(super) content: &'static [u8],
}

macro_rules! report {
    ($path:literal as $name:literal) => {
        Report { name: $name, content: include_bytes!(concat!("../../../../examples/", $path)) }
    };
}

/// The web shop before the fix.
pub(super) const BEFORE: &[Report] = &[
    report!("webshop/reports/before/bandit.sarif" as "bandit.sarif"),
    report!("webshop/reports/before/checkov.sarif" as "checkov.sarif"),
    report!("webshop/reports/before/audit.cdx.json" as "audit.cdx.json"),
];

/// After it.
pub(super) const AFTER: &[Report] = &[
    report!("webshop/reports/after/bandit.sarif" as "bandit.sarif"),
    report!("webshop/reports/after/checkov.sarif" as "checkov.sarif"),
    report!("webshop/reports/after/audit.cdx.json" as "audit.cdx.json"),
];

/// The back office before minimist came in, as npm sees it.
pub(super) const NPM_EARLIER: Report = report!("backoffice/reports/earlier/npm-audit.json" as "npm-audit.json");
/// With minimist 1.2.0: npm has two vulnerabilities of it, by their GHSA ids.
pub(super) const NPM: Report = report!("backoffice/reports/npm-audit.json" as "npm-audit.json");
/// With minimist 1.2.8.
pub(super) const NPM_FIXED: Report = report!("backoffice/reports/fixed/npm-audit.json" as "npm-audit.json");
/// The same two by their CVE ids, one with its GHSA id as well.
pub(super) const AUDIT_ONE_NAME: Report =
    report!("backoffice/reports/by-hand/audit-one-name.cdx.json" as "audit.cdx.json");
/// Both with both names.
pub(super) const AUDIT_BOTH_NAMES: Report =
    report!("backoffice/reports/by-hand/audit-both-names.cdx.json" as "audit.cdx.json");
/// With minimist 1.2.8.
pub(super) const AUDIT_FIXED: Report = report!("backoffice/reports/by-hand/audit-fixed.cdx.json" as "audit.cdx.json");

/// One event of each type that the dialects know and scans do not make.
pub(super) fn events(now: Timestamp) -> Vec<(&'static str, Value)> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let in_days = |days: i64| today.saturating_add(jiff::Span::new().days(days)).to_string();
    let poam = |days: i64| {
        let days_key = if days < 0 { "days_overdue" } else { "days_remaining" };
        json!({
            "poam_id": "0190a5d0-7c1e-7000-8000-000000000001",
            "finding_id": "0190a5d0-7c1e-7000-8000-0000000000f1",
            "cve_id": "CVE-2020-14343",
            "scheduled_completion_date": in_days(days),
            days_key: days.abs(),
        })
    };
    vec![
        ("scan.started", json!({"scan_id": "nightly-17"})),
        ("poam.deadline_approaching", poam(7)),
        ("poam.overdue", poam(-3)),
        (
            "evidence.completed",
            json!({
                "evidence_id": "0190a5d0-7c1e-7000-8000-0000000000e1", "file_name": "webshop-sbom.cdx.json",
                "vulnerabilities_found": 4, "critical_count": 1, "high_count": 1,
            }),
        ),
        (
            "training.completed",
            json!({
                "user": "dana@example.com", "training": "Unsafe deserialisation", "score": 110,
                "started_at": "2026-01-05T09:00:00Z", "completed_at": "2026-01-05T09:40:00Z",
            }),
        ),
    ]
}

/// The event whose delivery has to be repeated.
pub(super) fn poam_completed() -> Value {
    json!({
        "poam_id": "0190a5d0-7c1e-7000-8000-000000000001", "cve_id": "CVE-2020-14343", "scheduled_completion_date": "2026-01-15",
    })
}
