//! What changed between what was known and what a scan saw. Values in, values out; who wrote first plays no part.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use watchbell_wire::Severity;

use crate::finding::{Finding, FindingStatus, Observation};
use crate::id::{FindingId, OrgId, ProjectId};

/// What a scan saw, by identity.
pub type Seen = BTreeMap<String, Observation>;

/// What happened to one finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// Never seen before.
    Created,
    /// Gone or suppressed until now, and open again.
    Reopened,
    /// Nobody need act on it any more, or from the first.
    Suppressed,
    /// Open as before, with another severity.
    Changed,
    /// As before.
    Unchanged,
    /// Gone.
    Remediated,
}

/// One finding's change.
#[derive(Debug, Clone, PartialEq)]
pub struct Change<'a> {
    /// What happened.
    pub kind: ChangeKind,
    /// To which finding.
    pub identity: &'a str,
    /// The finding as it was known.
    pub before: Option<&'a Finding>,
    /// What the scan saw; `None`: it is gone.
    pub seen: Option<&'a Observation>,
}

/// The observations by identity. Those of one identity are numbered, in an order that does not depend on the report's:
/// by line, then version, then everything else. The same version of the same component twice is one, the worse one.
pub fn by_identity(observations: &[Observation]) -> Seen {
    let mut groups: BTreeMap<String, Vec<&Observation>> = BTreeMap::new();
    for observation in observations {
        groups.entry(observation.identity()).or_default().push(observation);
    }
    let mut seen = Seen::new();
    for (identity, mut group) in groups {
        group.sort_by_cached_key(|observation| sort_key(observation));
        group.dedup_by(|next, kept| kept.component.is_some() && next.component == kept.component);
        for (index, observation) in group.into_iter().enumerate() {
            let numbered = match index {
                0 => identity.clone(),
                _ => format!("{identity}#{}", index + 1),
            };
            seen.insert(numbered, observation.clone());
        }
    }
    seen
}

/// Line and version, then the worst first, then anything that tells two apart.
fn sort_key(observation: &Observation) -> impl Ord + use<> {
    let component = observation.component.clone().unwrap_or_default();
    (
        observation.line(),
        (component.version, component.purl, component.name),
        std::cmp::Reverse(observation.severity),
        // `Debug` shows all members, and this is asked only where there are several of one identity.
        format!("{observation:?}"),
    )
}

/// What a scan changes. Findings of tools outside `scope` that it did not see stay as they are, and are not mentioned;
/// nor are those that are gone and stay so. In the order of identities.
pub fn diff<'a>(before: &'a [Finding], seen: &'a Seen, scope: &BTreeSet<String>) -> Vec<Change<'a>> {
    let known: BTreeMap<&str, &Finding> = before.iter().map(|finding| (finding.identity.as_str(), finding)).collect();
    let identities: BTreeSet<&str> = known.keys().copied().chain(seen.keys().map(String::as_str)).collect();
    let change = |identity| {
        let before = known.get(identity).copied();
        let seen = seen.get(identity);
        Some(Change { kind: kind(before, seen, scope)?, identity, before, seen })
    };
    identities.into_iter().filter_map(change).collect()
}

fn kind(before: Option<&Finding>, seen: Option<&Observation>, scope: &BTreeSet<String>) -> Option<ChangeKind> {
    let status = before.map(|finding| finding.status);
    let Some(seen) = seen else {
        let is_there = matches!(status, Some(FindingStatus::Open | FindingStatus::Suppressed));
        let is_ours = before.is_some_and(|finding| scope.contains(&finding.observation.tool));
        return (is_there && is_ours).then_some(ChangeKind::Remediated);
    };
    let severity_before = before.map(|finding| finding.observation.severity);
    Some(match (status, seen.suppressed) {
        (Some(FindingStatus::Suppressed), true) => ChangeKind::Unchanged,
        (None | Some(FindingStatus::Open | FindingStatus::Remediated), true) => ChangeKind::Suppressed,
        (None, false) => ChangeKind::Created,
        (Some(FindingStatus::Remediated | FindingStatus::Suppressed), false) => ChangeKind::Reopened,
        (Some(FindingStatus::Open), false) if is_other(severity_before, seen.severity) => ChangeKind::Changed,
        (Some(FindingStatus::Open), false) => ChangeKind::Unchanged,
    })
}

fn is_other(before: Option<Severity>, now: Severity) -> bool {
    before.is_some_and(|before| before != now)
}

/// Whose finding a new one is, and when it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// The organisation.
    pub org_id: OrgId,
    /// The project.
    pub project_id: ProjectId,
    /// The scan's time.
    pub at: Timestamp,
}

impl Change<'_> {
    /// The finding as it is after the change. `id` makes the id of a new one.
    pub fn apply(&self, sighting: Sighting, id: impl FnOnce() -> FindingId) -> Finding {
        let status = match self.seen {
            None => FindingStatus::Remediated,
            Some(seen) if seen.suppressed => FindingStatus::Suppressed,
            Some(_) => FindingStatus::Open,
        };
        let mut after = self.before.cloned().unwrap_or_else(|| Finding {
            id: id(),
            org_id: sighting.org_id,
            project_id: sighting.project_id,
            identity: self.identity.to_owned(),
            status,
            observation: Observation::default(),
            first_seen_at: sighting.at,
            last_seen_at: sighting.at,
            remediated_at: None,
        });
        after.status = status;
        match self.seen {
            Some(seen) => {
                after.observation = seen.clone();
                after.last_seen_at = sighting.at;
                after.remediated_at = None;
            }
            None => after.remediated_at = Some(sighting.at),
        }
        after
    }
}
