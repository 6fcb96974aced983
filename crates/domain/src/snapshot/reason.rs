//! Why a scan changed where a finding stands, in words for its history.

use super::{ChangeKind, Was};
use crate::finding::{Finding, FindingStatus};
use crate::id::FindingId;

/// `was`: as it was known. `merged`: those that turned out to be it.
pub(super) fn of(kind: ChangeKind, was: Option<Was>, now: &Finding, merged: &[FindingId]) -> String {
    if !merged.is_empty() {
        let ids: Vec<String> = merged.iter().map(FindingId::to_string).collect();
        return format!("the same vulnerability as {}: {}", ids.join(", "), common(now));
    }
    match kind {
        ChangeKind::Created => "seen for the first time".to_owned(),
        ChangeKind::Recorded => "an older scan saw it, a newer one no longer did".to_owned(),
        ChangeKind::Reopened => match was.map(|was| was.status) {
            Some(FindingStatus::Remediated) => "seen again".to_owned(),
            _ => "nothing keeps it quiet any more".to_owned(),
        },
        ChangeKind::Suppressed => muted(now),
        ChangeKind::Changed => {
            let before = was.map_or("unknown", |was| was.severity.as_str());
            format!("severity {}, was {before}", now.observation.severity.as_str())
        }
        ChangeKind::Remediated => "no longer seen".to_owned(),
        ChangeKind::Unchanged => String::new(),
    }
}

/// The names by which they are one.
fn common(finding: &Finding) -> String {
    finding.names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// Who says that nobody need act: what was judged before, else the report.
fn muted(finding: &Finding) -> String {
    if let Some(judgement) = finding.judgement.as_ref().filter(|judgement| judgement.status == finding.status) {
        return judgement.reason.clone();
    }
    let saying = finding.sights.keys().filter_map(|tool| finding.said_by(tool)).find(|said| said.suppressed);
    let given = saying.and_then(|said| said.suppression_reason.clone()).filter(|reason| !reason.is_empty());
    given.unwrap_or_else(|| "the report suppresses it".to_owned())
}
