//! `scan.completed` and `vulnerability.*`.

use serde_json::{Value, json};
use watchbell_wire::Severity;
use watchbell_wire::event::{Data, EventType, Scan as ScanData, Vulnerability};

use super::{ChangeKind, EVENT_BYTES_MAX, Weighed, short};
use crate::finding::{Finding, FindingStatus, Observation};
use crate::scan::Scan;

/// Most entries in `details`; `threats_found` counts all.
const DETAILS_MAX: usize = 1_000;
/// Characters of a detail's name and path.
const DETAIL_TEXT_MAX: usize = 300;

/// `scan.completed`: the threats are the findings that this scan saw and somebody ought to act on.
pub(super) fn scan_completed(scan: &Scan, changed: &[Weighed<'_>]) -> Vec<(EventType, Data)> {
    let is_threat = |one: &&Weighed<'_>| one.note.seen && one.finding.status == FindingStatus::Open;
    let threats = || changed.iter().filter(is_threat).map(|one| one.finding);
    let mut details = Vec::new();
    let mut bytes = 0;
    for finding in threats().take(DETAILS_MAX) {
        let detail = detail(finding);
        bytes += detail.to_string().len() + 1;
        if bytes > EVENT_BYTES_MAX - 4_096 {
            break;
        }
        details.push(detail);
    }
    let data = ScanData {
        scan_id: scan.id.bare(),
        threats_found: Some(super::count(threats())),
        details,
        error: None,
        project_id: Some(scan.project_id.bare()),
        tool: Some(scan.tool.clone()),
    };
    vec![(EventType::ScanCompleted, Data::from_typed(&data))]
}

fn detail(finding: &Finding) -> Value {
    let observation = &finding.observation;
    json!({
        "id": finding.cve_id().unwrap_or(&observation.rule_id),
        "name": short(&observation.title, DETAIL_TEXT_MAX),
        "severity": observation.severity.as_str(),
        "path": short(&path(observation).unwrap_or_default(), DETAIL_TEXT_MAX),
        "finding_id": finding.id.bare(),
    })
}

/// Where it is: file and line, resource, or component.
fn path(observation: &Observation) -> Option<String> {
    let component = observation.component.as_ref();
    let package = component.map(|component| component.purl.clone().unwrap_or_else(|| component.name.clone()));
    observation.location.clone().or(package)
}

/// The events of one finding's change.
pub(super) fn finding(one: Weighed<'_>) -> Vec<(EventType, Data)> {
    let types: &[EventType] = match one.note.kind {
        ChangeKind::Created if one.finding.observation.severity == Severity::Critical => {
            &[EventType::VulnerabilityCreated, EventType::VulnerabilityCritical]
        }
        ChangeKind::Created => &[EventType::VulnerabilityCreated],
        ChangeKind::Reopened => &[EventType::VulnerabilityReopened],
        ChangeKind::Suppressed => &[EventType::VulnerabilitySuppressed],
        ChangeKind::Changed => &[EventType::VulnerabilityChanged],
        ChangeKind::Remediated => &[EventType::VulnerabilityRemediated],
        ChangeKind::Unchanged | ChangeKind::Recorded => &[],
    };
    let Some((last, others)) = types.split_last() else {
        return Vec::new();
    };
    let data = Data::from_typed(&vulnerability(one));
    let mut told: Vec<_> = others.iter().map(|event_type| (event_type.clone(), data.clone())).collect();
    told.push((last.clone(), data));
    told
}

/// What is said of a finding.
pub(super) fn vulnerability(one: Weighed<'_>) -> Vulnerability {
    let Weighed { finding, note } = one;
    let observation = &finding.observation;
    let is_created = note.kind == ChangeKind::Created;
    Vulnerability {
        finding_id: Some(finding.id.bare()),
        title: Some(observation.title.clone()),
        severity: observation.severity,
        cve_id: finding.cve_id().map(str::to_owned),
        aliases: finding.aliases(),
        cvss_score: observation.cvss_score,
        cvss_vector: observation.cvss_vector.clone(),
        component: observation.component.clone(),
        rule_id: Some(observation.rule_id.clone()).filter(|rule| !rule.is_empty()),
        resource_path: observation.location.clone(),
        creator: None,
        project_id: Some(finding.project_id.bare()),
        detected_at: Some(finding.first_seen_at),
        remediated_at: finding.remediated_at,
        status: Some(finding.status.as_str().to_owned()),
        // That it is new is what the event says.
        reason: note.reason.clone().filter(|_| !is_created),
        accepted_until: finding.accepted_until().filter(|_| finding.status == FindingStatus::Accepted),
        merged_finding_ids: note.merged.iter().map(|id| id.bare()).collect(),
    }
}
