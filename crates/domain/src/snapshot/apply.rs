//! From what a scan changes to the finding as it is then.

use jiff::Timestamp;
use watchbell_wire::Severity;

use super::diff::Change;
use crate::finding::merge::{merge, packed, unpacked};
use crate::finding::{Finding, FindingStatus, NameSet, Observation, Sight, Sights};
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

/// What was known of a finding before a change, as far as it is asked for afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Was {
    /// Where it stood.
    pub status: FindingStatus,
    /// How it was rated.
    pub severity: Severity,
    /// It has other names now, or is in another version.
    pub is_known_otherwise: bool,
}

/// A finding after a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The finding.
    pub finding: Finding,
    /// What was known of it; `None`: nothing.
    pub was: Option<Was>,
    /// What happened.
    pub kind: ChangeKind,
    /// Those that were merged into it, each as it is kept.
    pub merged: Vec<Finding>,
}

impl Change {
    /// The finding as it is after the change. `before` and `seen` are the findings and observations that the change names,
    /// in its order; `id` makes the id of a new one.
    pub fn apply(
        self,
        before: Vec<Finding>,
        seen: Vec<Observation>,
        sighting: Sighting<'_>,
        id: impl FnOnce() -> FindingId,
    ) -> Applied {
        let mut before = before.into_iter();
        let first = before.next();
        let mut merged: Vec<Finding> = before.collect();
        let known = first.as_ref().map(Known::of);
        let one = first.map(|first| merged.iter().fold(first, |one, other| merge(&one, other)));
        let mut after = unpacked(one.unwrap_or_else(|| blank(self.identity.clone(), sighting, id)));
        after.identity = self.identity;
        after.names.extend(self.names);
        for tool in &self.gone {
            if let Some(sight) = after.sights.get_mut(tool) {
                (sight.at, sight.there) = (sighting.at, false);
            }
        }
        for observation in seen {
            see(&mut after, observation, sighting);
        }
        let mut after = packed(after);
        stand(&mut after);
        let was = known.map(|known| known.compared(&after));
        let is_other = !merged.is_empty() || was.is_some_and(|was| was.severity != after.observation.severity);
        let kind = ChangeKind::of(was.map(|was| was.status), after.status, is_other);
        merged.iter_mut().for_each(|merged| merged.merged_into = Some(after.id));
        Applied { finding: after, was, kind, merged }
    }
}

/// What a finding is compared by with what becomes of it.
struct Known {
    status: FindingStatus,
    severity: Severity,
    /// Names are only ever added.
    names: usize,
    version: Option<String>,
}

impl Known {
    fn of(finding: &Finding) -> Self {
        let version = version(finding).cloned();
        let (status, severity) = (finding.status, finding.observation.severity);
        Self { status, severity, names: finding.names.len(), version }
    }

    fn compared(self, after: &Finding) -> Was {
        let is_known_otherwise = self.names != after.names.len() || self.version.as_ref() != version(after);
        Was { status: self.status, severity: self.severity, is_known_otherwise }
    }
}

fn version(finding: &Finding) -> Option<&String> {
    finding.observation.component.as_ref()?.version.as_ref()
}

fn blank(identity: String, sighting: Sighting<'_>, id: impl FnOnce() -> FindingId) -> Finding {
    Finding {
        id: id(),
        org_id: sighting.org_id,
        project_id: sighting.project_id,
        identity,
        names: NameSet::new(),
        status: FindingStatus::Open,
        observation: Box::default(),
        sights: Sights::new(),
        judgement: None,
        first_seen_at: sighting.at,
        last_seen_at: sighting.at,
        remediated_at: None,
        merged_into: None,
        changes: 0,
    }
}

/// Takes in what a tool saw. What an older scan saw says only that it was there then.
fn see(finding: &mut Finding, seen: Observation, sighting: Sighting<'_>) {
    finding.first_seen_at = finding.first_seen_at.min(sighting.at);
    finding.last_seen_at = finding.last_seen_at.max(sighting.at);
    let covered = sighting.coverage.at(&seen.tool, Some(seen.file())).filter(|covered| *covered > sighting.at);
    let tool = seen.tool.clone();
    let there = Sight {
        since: sighting.at,
        at: covered.unwrap_or(sighting.at),
        there: covered.is_none(),
        observation: Some(Box::new(seen)),
        witness: None,
    };
    let Some(sight) = finding.sights.get_mut(&tool) else {
        finding.sights.insert(tool, there);
        return;
    };
    let since = sight.since.min(sighting.at);
    match sight.at <= sighting.at && covered.is_none() {
        true => *sight = Sight { since, ..there },
        false => sight.since = since,
    }
}

/// Puts the finding where what is known says it stands.
pub(super) fn stand(finding: &mut Finding) {
    finding.status = finding.standing();
    finding.remediated_at = finding.gone_since();
}
