//! Which findings and observations are about one vulnerability in one place: those that have a name in common, and those
//! that have one in common with them. The order in which they are given plays no part.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest, Sha256};

use crate::finding::{Finding, Observation, identity};

/// What is known and seen of one vulnerability in one place.
#[derive(Debug, Default)]
pub(super) struct Group<'a> {
    /// Known findings, the eldest first.
    pub(super) known: Vec<&'a Finding>,
    /// What was seen of it, in the report's order.
    pub(super) seen: Vec<&'a Observation>,
}

/// Groups of everything; each finding and observation is in one.
pub(super) fn groups<'a>(known: &'a [Finding], seen: &'a [Observation]) -> Vec<Group<'a>> {
    let mut joined = Joined::of(known.len() + seen.len());
    // By hash: a place and a name are long, and there are many.
    let mut first_of: HashMap<[u8; 16], usize> = HashMap::new();
    let mut named = |index: usize, place: &str, name: &str| {
        let first = *first_of.entry(hash(place, name)).or_insert(index);
        joined.join(first, index);
    };
    for (index, finding) in known.iter().enumerate() {
        let place = identity::place(&finding.observation);
        finding.names.iter().for_each(|name| named(index, &place, name));
    }
    for (index, observation) in seen.iter().enumerate() {
        let place = identity::place(observation);
        identity::names(observation).iter().for_each(|name| named(known.len() + index, &place, name));
    }
    let mut groups: BTreeMap<usize, Group<'a>> = BTreeMap::new();
    for (index, finding) in known.iter().enumerate() {
        groups.entry(joined.root(index)).or_default().known.push(finding);
    }
    for (index, observation) in seen.iter().enumerate() {
        groups.entry(joined.root(known.len() + index)).or_default().seen.push(observation);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    for group in &mut groups {
        group.known.sort_by_key(|finding| (finding.first_seen_at, finding.id));
    }
    groups
}

fn hash(place: &str, name: &str) -> [u8; 16] {
    let mut digest = Sha256::new();
    digest.update(u64::try_from(place.len()).unwrap_or(u64::MAX).to_be_bytes());
    digest.update(place);
    digest.update(name);
    let mut short = [0; 16];
    short.iter_mut().zip(digest.finalize()).for_each(|(to, from)| *to = from);
    short
}

/// Disjoint sets of indexes.
struct Joined(Vec<usize>);

impl Joined {
    fn of(count: usize) -> Self {
        Self((0..count).collect())
    }

    fn root(&mut self, index: usize) -> usize {
        let mut at = index;
        while let Some(&parent) = self.0.get(at).filter(|parent| **parent != at) {
            // Half-way shortening: the next search has half as far to go.
            let grand = self.0.get(parent).copied().unwrap_or(parent);
            if let Some(slot) = self.0.get_mut(at) {
                *slot = grand;
            }
            at = grand;
        }
        at
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        if let Some(slot) = self.0.get_mut(a.max(b)) {
            *slot = a.min(b);
        }
    }
}
