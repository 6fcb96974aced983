//! Several of one identity in one report: the same call twice in a file, a package in two versions.
//!
//! Each tool numbers its own, and the k-th of one tool is the k-th of another: so the order in which tools report plays no
//! part. One that is where it was keeps its number; the others get those that are free, in the order of their lines and
//! versions.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use watchbell_wire::event::Component;

use super::group::Group;
use crate::finding::{Finding, Observation, identity};

/// The findings and observations of one number.
#[derive(Debug, Default)]
pub(super) struct Slot<'a> {
    /// Known, the eldest first. Several: they turned out to be one.
    pub(super) known: Vec<&'a Finding>,
    /// What each tool saw; one each.
    pub(super) seen: Vec<&'a Observation>,
}

/// The numbers of a group.
pub(super) fn slots<'a>(group: &Group<'a>) -> BTreeMap<u32, Slot<'a>> {
    let mut slots: BTreeMap<u32, Slot<'a>> = BTreeMap::new();
    for finding in &group.known {
        slots.entry(identity::number_in(&finding.identity)).or_default().known.push(finding);
    }
    let mut by_tool: BTreeMap<&str, Vec<&'a Observation>> = BTreeMap::new();
    for observation in &group.seen {
        by_tool.entry(&observation.tool).or_default().push(observation);
    }
    for (tool, instances) in by_tool {
        for (number, observation) in numbered(tool, one_each(instances), &slots) {
            slots.entry(number).or_default().seen.push(observation);
        }
    }
    slots
}

/// In an order that does not depend on the report's: by line, then version, then everything else. The same version of the
/// same component twice in one file is one, the worse one.
fn one_each(mut instances: Vec<&Observation>) -> Vec<&Observation> {
    if instances.len() > 1 {
        instances.sort_by_cached_key(|observation| {
            let component = observation.component.clone().unwrap_or_default();
            (
                observation.line(),
                (component.version, component.purl, component.name, observation.file().to_owned()),
                Reverse(observation.severity),
                // `Debug` shows all members, and this is asked only where there are several of one identity.
                format!("{observation:?}"),
            )
        });
        instances.dedup_by(|next, kept| {
            kept.component.is_some() && (&next.component, next.file()) == (&kept.component, kept.file())
        });
    }
    instances
}

/// By what one of several is known again: exactly where and what it was.
type Trace<'a> = (Option<&'a Component>, Option<&'a str>);

fn trace(observation: &Observation) -> Trace<'_> {
    (observation.component.as_ref(), observation.location.as_deref())
}

/// Whether the tool last saw the slot's finding, and as what.
fn said<'s>(slot: &'s Slot<'_>, tool: &str) -> Option<(bool, &'s Observation)> {
    let known = slot.known.iter().find(|finding| finding.sights.contains_key(tool))?;
    Some((known.sights.get(tool)?.there, known.said_by(tool)?))
}

fn numbered<'a>(
    tool: &str,
    instances: Vec<&'a Observation>,
    slots: &BTreeMap<u32, Slot<'_>>,
) -> Vec<(u32, &'a Observation)> {
    if let ([only], true) = (instances.as_slice(), slots.len() <= 1) {
        return vec![(slots.keys().next().copied().unwrap_or(1), only)];
    }
    let mut places: BTreeMap<String, VecDeque<usize>> = BTreeMap::new();
    for (index, observation) in instances.iter().enumerate() {
        places.entry(format!("{:?}", trace(observation))).or_default().push_back(index);
    }
    let mut numbers: BTreeMap<usize, u32> = BTreeMap::new();
    let mut taken = BTreeSet::new();
    let mut there = Vec::new();
    for wanted in [true, false] {
        for (number, slot) in slots {
            let Some((is_there, observation)) = said(slot, tool).filter(|(is_there, _)| *is_there == wanted) else {
                continue;
            };
            let same = places.get_mut(&format!("{:?}", trace(observation))).and_then(VecDeque::pop_front);
            match same {
                Some(index) => {
                    numbers.insert(index, *number);
                    taken.insert(*number);
                }
                None if is_there => there.push(*number),
                None => {}
            }
        }
    }
    let free = there.clone().into_iter().chain((1..).filter(|number| !there.contains(number)));
    let mut free = free.filter(|number| !taken.contains(number));
    let number = |(index, observation)| {
        let number = numbers.get(&index).copied().or_else(|| free.next()).unwrap_or(u32::MAX);
        (number, observation)
    };
    instances.into_iter().enumerate().map(number).collect()
}
