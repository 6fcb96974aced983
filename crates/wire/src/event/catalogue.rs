//! The catalogue of our own event types: what each means, what its data looks like, and an example of it.

use schemars::{JsonSchema, schema_for};
use serde_json::Value;

use super::{
    Data, DeliveryDeadLettered, EndpointDisabled, EventType, Evidence, Ping, Poam, ProjectSnapshot, Scan, ScanDigest,
    SourceSilent, Training, Vulnerability,
};
use crate::json::tree;

impl EventType {
    /// When the event is told, in a sentence. `None` for custom types.
    pub const fn description(&self) -> Option<&'static str> {
        Some(match self {
            Self::WebhookPing => "An endpoint is tried, after its creation or on request.",
            Self::ProjectSnapshot => "A project that was known already was tested again, also when nothing changed.",
            Self::ScanStarted => "A scan began.",
            Self::ScanCompleted => "A scan ended.",
            Self::ScanFailed => "A scan could not be carried out, or its report could not be read.",
            Self::ScanDigest => {
                "A scan found more new vulnerabilities than the endpoint wants to hear of one by one; this counts them."
            }
            Self::VulnerabilityCreated => "A finding was seen for the first time.",
            Self::VulnerabilityCritical => "Told beside vulnerability.created when the severity is critical.",
            Self::VulnerabilityRemediated => "A finding is gone: the latest test no longer sees it.",
            Self::VulnerabilityReopened => "A finding that was gone is back.",
            Self::VulnerabilitySuppressed => "A finding was suppressed, or its risk accepted.",
            Self::VulnerabilityChanged => "What is known of a finding changed: its severity, its score, its fix.",
            Self::PoamDeadlineApproaching => "The scheduled completion date of a plan of action comes near.",
            Self::PoamOverdue => "The scheduled completion date of a plan of action has passed.",
            Self::PoamCompleted => "A plan of action was carried out.",
            Self::EvidenceCompleted => "An uploaded document was processed.",
            Self::EvidenceFailed => "An uploaded document could not be processed.",
            Self::TrainingCompleted => "Somebody completed a lesson.",
            Self::EndpointDisabled => "An endpoint was disabled: gone, failing, or by an operator.",
            Self::DeliveryDeadLettered => "A delivery was given up after its last attempt.",
            Self::SourceSilent => "A source has not called for longer than it ever did before.",
            Self::Custom(_) => return None,
        })
    }

    /// JSON Schema (2020-12) of the event's data. `None` for custom types.
    pub fn schema(&self) -> Option<Value> {
        Some(match self {
            Self::WebhookPing => schema::<Ping>(),
            Self::ProjectSnapshot => schema::<ProjectSnapshot>(),
            Self::ScanStarted | Self::ScanCompleted | Self::ScanFailed => schema::<Scan>(),
            Self::ScanDigest => schema::<ScanDigest>(),
            Self::VulnerabilityCreated
            | Self::VulnerabilityCritical
            | Self::VulnerabilityRemediated
            | Self::VulnerabilityReopened
            | Self::VulnerabilitySuppressed
            | Self::VulnerabilityChanged => schema::<Vulnerability>(),
            Self::PoamDeadlineApproaching | Self::PoamOverdue | Self::PoamCompleted => schema::<Poam>(),
            Self::EvidenceCompleted | Self::EvidenceFailed => schema::<Evidence>(),
            Self::TrainingCompleted => schema::<Training>(),
            Self::EndpointDisabled => schema::<EndpointDisabled>(),
            Self::DeliveryDeadLettered => schema::<DeliveryDeadLettered>(),
            Self::SourceSilent => schema::<SourceSilent>(),
            Self::Custom(_) => return None,
        })
    }

    /// An example of the event's data, whole enough for every dialect that has the event. `None` for custom types.
    pub fn sample(&self) -> Option<Data> {
        let sample = match self {
            Self::WebhookPing => r#"{"webhook_id": "d3cf26b3-2d77-497b-bce2-23b33cc15362"}"#.to_owned(),
            Self::ProjectSnapshot => SNAPSHOT.to_owned(),
            Self::ScanStarted => r#"{"scan_id": "abc125", "details": []}"#.to_owned(),
            Self::ScanCompleted => SCAN.to_owned(),
            Self::ScanFailed => r#"{"scan_id": "abc126", "details": [], "error": "the report is cut off"}"#.to_owned(),
            Self::ScanDigest => DIGEST.to_owned(),
            Self::VulnerabilityCreated => vulnerability("high", "detected_at"),
            Self::VulnerabilityCritical => vulnerability("critical", "detected_at"),
            Self::VulnerabilityRemediated => vulnerability("high", "remediated_at"),
            Self::VulnerabilityReopened => vulnerability("high", "detected_at"),
            Self::VulnerabilitySuppressed => suppressed(),
            Self::VulnerabilityChanged => vulnerability("medium", "detected_at"),
            Self::PoamDeadlineApproaching => poam("days_remaining", 7),
            Self::PoamOverdue => poam("days_overdue", 5),
            Self::PoamCompleted => poam("days_remaining", 3),
            Self::EvidenceCompleted => EVIDENCE.to_owned(),
            Self::EvidenceFailed => EVIDENCE_FAILED.to_owned(),
            Self::TrainingCompleted => TRAINING.to_owned(),
            Self::EndpointDisabled => {
                r#"{"endpoint_id": "d3cf26b3-2d77-497b-bce2-23b33cc15362", "reason": "gone"}"#.to_owned()
            }
            Self::DeliveryDeadLettered => DEAD_LETTER.to_owned(),
            Self::SourceSilent => SILENT.to_owned(),
            Self::Custom(_) => return None,
        };
        let compact = tree::Value::read(sample.as_bytes()).ok()?.to_text();
        Data::from_text(compact).ok()
    }
}

fn schema<T: JsonSchema>() -> Value {
    schema_for!(T).to_value()
}

fn vulnerability(severity: &str, at: &str) -> String {
    format!(
        r#"{{
            "finding_id": "0ef8ac7e-1b9d-48d9-82eb-2f2355ba2b31", "title": "Prototype pollution in lodash",
            "severity": "{severity}", "cve_id": "CVE-2019-10744",
            "aliases": ["GHSA-jf85-cpcp-j695", "SNYK-JS-LODASH-450202"],
            "cvss_score": 9.1, "cvss_vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:H/A:H",
            "component": {{"name": "lodash", "version": "4.17.11", "purl": "pkg:npm/lodash@4.17.11"}},
            "rule_id": "SNYK-JS-LODASH-450202", "resource_path": "services/web/package-lock.json",
            "creator": "developer@example.com", "project_id": "123e4567-e89b-12d3-a456-426614174000",
            "{at}": "2024-10-09T08:47:57Z"
        }}"#
    )
}

fn suppressed() -> String {
    let more = r#", "status": "accepted", "reason": "behind the firewall until the release", "accepted_until": "2024-12-31T00:00:00Z"}"#;
    let data = vulnerability("low", "detected_at");
    format!("{}{more}", data.trim_end().trim_end_matches('}'))
}

fn poam(days: &str, count: u8) -> String {
    format!(
        r#"{{
            "poam_id": "567e8901-e89b-12d3-a456-426614174004", "finding_id": "0ef8ac7e-1b9d-48d9-82eb-2f2355ba2b31",
            "cve_id": "CVE-2019-10744", "scheduled_completion_date": "2024-10-16", "{days}": {count}
        }}"#
    )
}

const SCAN: &str = r#"{
    "scan_id": "abc124", "threats_found": 2,
    "details": [
        {"id": "T-1", "name": "EICAR-Test-File", "severity": "high", "path": "/uploads/eicar.com", "action": "quarantined"},
        {"id": "T-2", "name": "Eicar-Signature", "severity": "low", "path": "/uploads/archive.zip!eicar.com"}
    ],
    "project_id": "123e4567-e89b-12d3-a456-426614174000", "tool": "clamav"
}"#;

const DIGEST: &str = r#"{
    "scan_id": "01926fe4-2c1f-7cc0-8f4b-6f3c5a1e9b7d", "new_findings": 214,
    "counts": {"critical": 3, "high": 40, "medium": 120, "low": 51, "info": 0, "unknown": 0},
    "worst": [{
        "finding_id": "0ef8ac7e-1b9d-48d9-82eb-2f2355ba2b31", "title": "Prototype pollution in lodash", "severity": "critical",
        "cve_id": "CVE-2019-10744", "component": {"name": "lodash", "version": "4.17.11", "purl": "pkg:npm/lodash@4.17.11"}
    }],
    "project_id": "123e4567-e89b-12d3-a456-426614174000", "tool": "grype"
}"#;

const EVIDENCE: &str = r#"{
    "evidence_id": "345e6789-e89b-12d3-a456-426614174002", "file_name": "sbom.spdx.json",
    "vulnerabilities_found": 27, "critical_count": 2, "high_count": 5
}"#;

const EVIDENCE_FAILED: &str = r#"{
    "evidence_id": "345e6789-e89b-12d3-a456-426614174002", "file_name": "sbom.txt",
    "error": "neither SPDX nor CycloneDX"
}"#;

const TRAINING: &str = r#"{
    "user": "developer@example.com", "training": "Unencrypted S3 bucket", "score": 110,
    "started_at": "2024-10-09T10:02:59Z", "completed_at": "2024-10-09T10:07:07Z"
}"#;

const DEAD_LETTER: &str = r#"{
    "delivery_id": "01926fe4-2c1f-7cc0-8f4b-6f3c5a1e9b7d", "endpoint_id": "d3cf26b3-2d77-497b-bce2-23b33cc15362",
    "event_id": "01926fe4-2b7a-7d10-9c3d-02468ace1357", "reason": "timeout"
}"#;

const SILENT: &str =
    r#"{"source_id": "01926fe4-2a55-7e21-8b1c-13579bdf0246", "last_receipt_at": "2024-10-08T08:00:00Z"}"#;

const SNAPSHOT: &str = r#"{
    "project": {
        "name": "acme/shop", "id": "123e4567-e89b-12d3-a456-426614174000", "created": "2018-10-29T09:50:54.014Z",
        "origin": "github", "type": "npm", "testFrequency": "daily", "totalDependencies": 42,
        "issueCountsBySeverity": {"low": 13, "medium": 8, "high": 4, "critical": 5},
        "lastTestedDate": "2024-10-09T08:47:57.704Z", "isMonitored": true, "branch": "main"
    },
    "org": {"name": "Acme", "id": "a04d9cbd-ae6e-44af-b573-0556b0ad4bd2", "slug": "acme"},
    "group": {"name": "Acme Inc.", "id": "a060a49f-636e-480f-9e14-38e773b2a97f"},
    "newIssues": [{
        "id": "SNYK-JS-LODASH-450202", "issueType": "vuln", "pkgName": "lodash", "pkgVersions": ["4.17.11"],
        "priority": {"score": 776, "factors": [{"name": "isFixable", "description": "Has a fix available"}]},
        "issueData": {
            "id": "SNYK-JS-LODASH-450202", "title": "Prototype Pollution", "severity": "high",
            "url": "https://security.snyk.io/vuln/SNYK-JS-LODASH-450202",
            "identifiers": {"CVE": ["CVE-2019-10744"], "CWE": ["CWE-400"], "GHSA": ["GHSA-jf85-cpcp-j695"]},
            "CVSSv3": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:H/A:H", "cvssScore": 9.1, "language": "js",
            "nearestFixedInVersion": "4.17.12"
        },
        "isPatched": false, "isIgnored": false,
        "fixInfo": {"isUpgradable": true, "isPinnable": false, "isPatchable": false, "nearestFixedInVersion": "4.17.12"}
    }],
    "removedIssues": []
}"#;
