//! What the demo sends: scanners' reports on the example project, and events that no scan makes.
//!
//! The reports are those of `examples/webshop`; how they were made is written there.

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

macro_rules! reports {
    ($state:literal: $( $name:literal ),+) => {
        &[$( Report {
            name: $name,
            content: include_bytes!(concat!("../../../../examples/webshop/reports/", $state, "/", $name)),
        } ),+]
    };
}

/// Before the fix.
pub(super) const BEFORE: &[Report] = reports!("before": "bandit.sarif", "checkov.sarif", "audit.cdx.json");

/// After it.
pub(super) const AFTER: &[Report] = reports!("after": "bandit.sarif", "checkov.sarif", "audit.cdx.json");

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
