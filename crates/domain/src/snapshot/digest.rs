//! `scan.digest`: the new findings of one scan, counted, and the worst of them.

use watchbell_wire::Severity;
use watchbell_wire::event::{Data, EventType, ScanDigest, SeverityCounts};

use super::{ChangeKind, Weighed, tell};
use crate::route::Storm;
use crate::scan::Scan;

/// How many of the worst are named.
const WORST_MAX: usize = 10;

/// What is told instead of the new findings, one by one. `None`: there are none.
pub(super) fn of(scan: &Scan, changed: &[Weighed<'_>]) -> Option<(Storm, (EventType, Data))> {
    let mut storm = Storm::default();
    let mut worst: Vec<Weighed<'_>> = Vec::new();
    for one in changed.iter().copied().filter(|one| one.note.kind == ChangeKind::Created) {
        storm.add(one.finding.observation.severity);
        worst.push(one);
        // Never many more than are wanted, however many there are.
        if worst.len() >= 2 * WORST_MAX {
            keep_worst(&mut worst);
        }
    }
    if worst.is_empty() {
        return None;
    }
    keep_worst(&mut worst);
    let data = ScanDigest {
        scan_id: scan.id.bare(),
        new_findings: storm.total(),
        counts: SeverityCounts {
            critical: storm.count(Severity::Critical),
            high: storm.count(Severity::High),
            medium: storm.count(Severity::Medium),
            low: storm.count(Severity::Low),
            info: storm.count(Severity::Info),
            unknown: storm.count(Severity::Unknown),
        },
        worst: worst.into_iter().map(tell::vulnerability).collect(),
        project_id: Some(scan.project_id.bare()),
        tool: Some(scan.tool.clone()),
    };
    Some((storm, (EventType::ScanDigest, Data::from_typed(&data))))
}

fn keep_worst(worst: &mut Vec<Weighed<'_>>) {
    let score = |one: &Weighed<'_>| one.finding.observation.cvss_score.unwrap_or_default();
    worst.sort_by(|a, b| {
        let by_severity = b.finding.observation.severity.cmp(&a.finding.observation.severity);
        let by_score = by_severity.then(score(b).total_cmp(&score(a)));
        by_score.then_with(|| a.finding.identity.cmp(&b.finding.identity))
    });
    worst.truncate(WORST_MAX);
}
