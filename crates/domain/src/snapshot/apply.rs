//! From what a scan changes to the finding as it is then.

use jiff::Timestamp;

use super::diff::Change;
use crate::finding::merge::{merge, packed, unpacked};
use crate::finding::{Finding, FindingStatus, Observation, Sight};
use crate::id::{FindingId, OrgId, ProjectId};
use crate::port::Coverage;

/// What happened to one finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// Never seen before.
    Created,
    /// Gone or muted until now, and open again.
    Reopened,
    /// Nobody need act on it any more, or from the first, or for another reason than before.
    Suppressed,
    /// Open as before, with another severity or other names.
    Changed,
    /// As before.
    Unchanged,
    /// Gone.
    Remediated,
    /// An older scan saw it, and a newer one that came before does not: it is written down and not told.
    Recorded,
}

impl ChangeKind {
    /// What it is for a finding to go from one status to another. `is_other`: it is known otherwise than before.
    pub const fn of(from: Option<FindingStatus>, to: FindingStatus, is_other: bool) -> Self {
        use FindingStatus::{Accepted, FalsePositive, Open, Remediated, Suppressed};
        match (from, to) {
            (None, Open) => Self::Created,
            (None, Remediated) => Self::Recorded,
            (Some(Open), Open) if is_other => Self::Changed,
            (Some(Open), Open)
            | (Some(Remediated), Remediated)
            | (Some(Suppressed), Suppressed)
            | (Some(Accepted), Accepted)
            | (Some(FalsePositive), FalsePositive) => Self::Unchanged,
            (Some(Remediated | Suppressed | Accepted | FalsePositive), Open) => Self::Reopened,
            (Some(Open | Suppressed | Accepted | FalsePositive), Remediated) => Self::Remediated,
            (_, Suppressed | Accepted | FalsePositive) => Self::Suppressed,
        }
    }
}

/// Whose finding a new one is, and when it was seen.
#[derive(Debug, Clone, Copy)]
pub struct Sighting<'a> {
    /// The organisation.
    pub org_id: OrgId,
    /// The project.
    pub project_id: ProjectId,
    /// The scan's time.
    pub at: Timestamp,
    /// Up to when tools had looked before.
    pub coverage: &'a Coverage,
}

/// A finding after a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The finding.
    pub finding: Finding,
    /// Where it stood; `None`: it was not known.
    pub from: Option<FindingStatus>,
    /// What happened.
    pub kind: ChangeKind,
    /// Those that were merged into it, each as it is kept.
    pub merged: Vec<Finding>,
}

impl Change<'_> {
    /// The finding as it is after the change. `id` makes the id of a new one.
    pub fn apply(&self, sighting: Sighting<'_>, id: impl FnOnce() -> FindingId) -> Applied {
        let before = self.before.first().copied();
        let known = self.before.iter().skip(1).fold(before.cloned(), |one, other| one.map(|one| merge(&one, other)));
        let mut after = unpacked(known.unwrap_or_else(|| self.blank(sighting, id)));
        after.identity.clone_from(&self.identity);
        after.names.extend(self.names.iter().cloned());
        for tool in &self.gone {
            if let Some(sight) = after.sights.get_mut(*tool) {
                (sight.at, sight.there) = (sighting.at, false);
            }
        }
        for observation in &self.seen {
            see(&mut after, observation, sighting);
        }
        let mut after = packed(after);
        let from = before.map(|finding| finding.status);
        stand(&mut after);
        let severity = before.map(|finding| finding.observation.severity);
        let is_other = self.before.len() > 1 || severity.is_some_and(|severity| severity != after.observation.severity);
        let kind = ChangeKind::of(from, after.status, is_other);
        let merged =
            self.before.iter().skip(1).map(|finding| Finding { merged_into: Some(after.id), ..(*finding).clone() });
        Applied { merged: merged.collect(), finding: after, from, kind }
    }

    fn blank(&self, sighting: Sighting<'_>, id: impl FnOnce() -> FindingId) -> Finding {
        Finding {
            id: id(),
            org_id: sighting.org_id,
            project_id: sighting.project_id,
            identity: self.identity.clone(),
            names: std::collections::BTreeSet::new(),
            status: FindingStatus::Open,
            observation: Observation::default(),
            sights: std::collections::BTreeMap::new(),
            judgement: None,
            first_seen_at: sighting.at,
            last_seen_at: sighting.at,
            remediated_at: None,
            merged_into: None,
            changes: 0,
        }
    }
}

/// Takes in what a tool saw. What an older scan saw says only that it was there then.
fn see(finding: &mut Finding, seen: &Observation, sighting: Sighting<'_>) {
    finding.first_seen_at = finding.first_seen_at.min(sighting.at);
    finding.last_seen_at = finding.last_seen_at.max(sighting.at);
    let covered = sighting.coverage.at(&seen.tool, Some(seen.file())).filter(|covered| *covered > sighting.at);
    let there = Sight {
        since: sighting.at,
        at: covered.unwrap_or(sighting.at),
        there: covered.is_none(),
        observation: Some(Box::new(seen.clone())),
        witness: None,
    };
    let sight = finding.sights.entry(seen.tool.clone()).or_insert_with(|| there.clone());
    sight.since = sight.since.min(sighting.at);
    if sight.at <= sighting.at && covered.is_none() {
        *sight = Sight { since: sight.since, ..there };
    }
}

/// Puts the finding where what is known says it stands.
pub(super) fn stand(finding: &mut Finding) {
    finding.status = finding.standing();
    finding.remediated_at = finding.gone_since();
}
