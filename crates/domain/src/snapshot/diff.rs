//! What a scan changes, before anything is changed: which findings it saw, which it found gone, which turn out to be one.
//! Values in, values out; who wrote first plays no part.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::group::groups;
use super::instances::slots;
use crate::finding::{Finding, NameSet, Observation, identity};
use crate::port::Coverage;
use crate::scan::Report;

/// What a scan looked at, and saw.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The report.
    pub report: &'a Report,
    /// It covers a part of the project: its silence says nothing.
    pub partial: bool,
    /// When the tools looked.
    pub at: Timestamp,
    /// Up to when tools had looked before.
    pub coverage: &'a Coverage,
}

/// One finding's change. It names findings and observations by where they stand, each of them in one change only: so
/// whoever applies the changes may take them from there.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The label it has afterwards.
    pub identity: String,
    /// Every name that the report gives it, also those of entries that say the same again.
    pub names: NameSet,
    /// As it was known, the eldest first. None: it is new. Several: they turned out to be one.
    pub before: Vec<usize>,
    /// What each tool saw of it.
    pub seen: Vec<usize>,
    /// The tools that looked and do not see it any more.
    pub gone: Vec<String>,
}

/// A change, while it is looked for.
struct Found<'a> {
    identity: String,
    names: NameSet,
    before: Vec<&'a Finding>,
    seen: Vec<&'a Observation>,
    gone: Vec<&'a str>,
}

impl Found<'_> {
    fn named(self, known: &[Finding], seen: &[Observation]) -> Change {
        let Self { identity, names, before, seen: saw, gone } = self;
        Change {
            identity,
            names,
            before: before.iter().filter_map(|finding| known.element_offset(finding)).collect(),
            seen: saw.iter().filter_map(|observation| seen.element_offset(observation)).collect(),
            gone: gone.into_iter().map(str::to_owned).collect(),
        }
    }
}

/// What a scan changes. Findings that it has nothing to say of are not mentioned. In the order of their labels.
pub fn diff(known: &[Finding], view: &View<'_>) -> Vec<Change> {
    let mut changes = found(known, view);
    changes.sort_by(|a, b| a.identity.cmp(&b.identity));
    changes.into_iter().map(|change| change.named(known, &view.report.observations)).collect()
}

fn found<'a>(known: &'a [Finding], view: &View<'a>) -> Vec<Found<'a>> {
    let mut changes = Vec::new();
    for group in groups(known, &view.report.observations) {
        let names: NameSet = group.seen.iter().flat_map(|seen| identity::names(seen)).collect();
        for (number, slot) in slots(&group) {
            let identity = match (slot.known.first(), lead(&slot.seen)) {
                (Some(known), _) => known.identity.clone(),
                (None, Some(seen)) => identity::label(seen, number),
                (None, None) => continue,
            };
            let gone = gone(&slot.known, &slot.seen, view);
            let change = Found { identity, names: names.clone(), before: slot.known, seen: slot.seen, gone };
            let says_something = change.before.len() > 1 || !change.seen.is_empty() || !change.gone.is_empty();
            if says_something {
                changes.push(change);
            }
        }
    }
    moved(changes)
}

/// What was seen, each vulnerability of a place once, by the label it would have as new.
pub fn by_identity(observations: &[Observation]) -> BTreeMap<String, &Observation> {
    let groups = groups(&[], observations);
    let labelled = groups.iter().flat_map(slots).filter_map(|(number, slot)| {
        let seen = lead(&slot.seen)?;
        Some((identity::label(seen, number), seen))
    });
    labelled.collect()
}

/// Of several tools that see it first in one report.
fn lead<'a>(seen: &[&'a Observation]) -> Option<&'a Observation> {
    seen.iter().copied().min_by_key(|observation| &observation.tool)
}

/// The tools that looked, saw it before and do not now; unless what they said before is from a newer scan.
fn gone<'a>(known: &[&'a Finding], seen: &[&Observation], view: &View<'a>) -> Vec<&'a str> {
    let is_gone = |tool: &&'a String| {
        let is_seen = seen.iter().any(|observation| observation.tool == **tool);
        !is_seen && known.iter().any(|finding| no_longer_seen(finding, tool, view))
    };
    if view.partial {
        return Vec::new();
    }
    view.report.scope.iter().filter(is_gone).map(String::as_str).collect()
}

fn no_longer_seen(finding: &Finding, tool: &str, view: &View<'_>) -> bool {
    let was_there = finding.sights.get(tool).is_some_and(|sight| sight.there && sight.at <= view.at);
    was_there && finding.said_by(tool).is_some_and(|said| view.report.looked_at(said))
}

/// Code that went to another file takes its finding along: what is gone from one file and new in another, of the same
/// tool, rule and code, is one. A file of the same name is preferred.
fn moved(changes: Vec<Found<'_>>) -> Vec<Found<'_>> {
    let mut ends: BTreeMap<String, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for (index, change) in changes.iter().enumerate() {
        if let ([left], []) = (change.before.as_slice(), change.seen.as_slice())
            && change.gone.len() == left.sights.len()
            && let Some(code) = identity::roaming(&left.observation)
        {
            ends.entry(code).or_default().0.push(index);
        }
    }
    if ends.is_empty() {
        return changes;
    }
    for (index, change) in changes.iter().enumerate() {
        if let ([], [arrived]) = (change.before.as_slice(), change.seen.as_slice())
            && let Some(ends) = identity::roaming(arrived).and_then(|code| ends.get_mut(&code))
        {
            ends.1.push(index);
        }
    }
    let mut pairs: BTreeMap<usize, usize> = BTreeMap::new();
    for (left, arrived) in ends.into_values().filter(|(_, arrived)| !arrived.is_empty()) {
        pair(&changes, left, arrived, &mut pairs);
    }
    if pairs.is_empty() {
        return changes;
    }
    let origins: BTreeMap<usize, Vec<&Finding>> =
        pairs.iter().filter_map(|(to, from)| Some((*to, changes.get(*from)?.before.clone()))).collect();
    let left: BTreeSet<usize> = pairs.into_values().collect();
    let kept = changes.into_iter().enumerate().filter(|(index, _)| !left.contains(index));
    kept.map(|(index, change)| match origins.get(&index) {
        Some(before) => Found { before: before.clone(), ..change },
        None => change,
    })
    .collect()
}

/// Pairs what arrived with what left: those in files of one name, then the others, each in the order of their labels.
fn pair(changes: &[Found<'_>], left: Vec<usize>, arrived: Vec<usize>, pairs: &mut BTreeMap<usize, usize>) {
    let label = |index: &usize| changes.get(*index).map(|change| change.identity.clone());
    let name = |index: &usize| {
        let change = changes.get(*index)?;
        let known = change.before.first().map(|finding| &*finding.observation);
        let file = known.or(change.seen.first().copied())?.file();
        Some(file.rsplit('/').next().unwrap_or(file).to_owned())
    };
    let (mut left, mut arrived) = (left, arrived);
    left.sort_by_key(label);
    arrived.sort_by_key(label);
    let mut by_name: BTreeMap<Option<String>, Vec<usize>> = BTreeMap::new();
    left.iter().rev().for_each(|index| by_name.entry(name(index)).or_default().push(*index));
    arrived.retain(|index| match by_name.get_mut(&name(index)).and_then(Vec::pop) {
        Some(from) => {
            pairs.insert(*index, from);
            false
        }
        None => true,
    });
    let used: BTreeSet<usize> = pairs.values().copied().collect();
    left.retain(|index| !used.contains(index));
    pairs.extend(arrived.into_iter().zip(left));
}
