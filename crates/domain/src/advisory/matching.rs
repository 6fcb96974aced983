//! Whether a version lies in what an advisory calls affected: OSV's own evaluation algorithm.

use std::cmp::Ordering;

use super::version::{Order, compare};
use super::{Advisory, Affected, Bound, Package, ecosystem};
use crate::scan::limit;

/// The versions in which it is fixed, if the package is affected; none may be known.
pub(super) fn affected(package: &Package, advisory: &Advisory) -> Option<Vec<String>> {
    let about: Vec<&Affected> = advisory.affected.iter().filter(|affected| is_about(affected, package)).collect();
    if !about.iter().any(|affected| is_in(affected, &package.version)) {
        return None;
    }
    let mut fixed: Vec<String> = Vec::new();
    for affected in about {
        let order = order(affected);
        let bounds = affected.ranges.iter().flatten();
        for version in bounds.filter_map(|bound| if let Bound::Fixed(version) = bound { Some(version) } else { None }) {
            let is_newer = order.is_none_or(|order| compare(order, version, &package.version) != Some(Ordering::Less));
            if is_newer && !fixed.contains(version) && fixed.len() < limit::LIST_MAX {
                fixed.push(version.clone());
            }
        }
    }
    Some(fixed)
}

fn is_about(affected: &Affected, package: &Package) -> bool {
    let is_named = affected.ecosystem == package.ecosystem && affected.name == package.name;
    // `22.04:LTS` is the release `22.04`.
    let is_release = |release: &str, of: &str| release == of || release.split(':').next() == Some(of);
    is_named
        && match (&affected.release, &package.release) {
            (None, _) => true,
            (Some(release), Some(of)) => is_release(release, of),
            // Fixed at another version in each release: nothing can be said without one.
            (Some(_), None) => false,
        }
}

fn order(affected: &Affected) -> Option<Order> {
    if affected.semver { Some(Order::Semver) } else { ecosystem::order(&affected.ecosystem) }
}

fn is_in(affected: &Affected, version: &str) -> bool {
    let order = order(affected);
    let is_equal = |listed: &String| {
        listed == version || order.is_some_and(|order| compare(order, listed, version) == Some(Ordering::Equal))
    };
    let is_in_range = |bounds: &Vec<Bound>| order.is_some_and(|order| in_range(order, bounds, version));
    affected.versions.iter().any(is_equal) || affected.ranges.iter().any(is_in_range)
}

/// The last bound at or below the version decides; whether it is affected at it or only behind it is the bound's matter.
fn in_range(order: Order, bounds: &[Bound], version: &str) -> bool {
    let at_or_above = |bound: &String| compare(order, version, bound).map(Ordering::is_ge);
    let limits: Vec<&String> =
        bounds.iter().filter_map(|bound| if let Bound::Limit(limit) = bound { Some(limit) } else { None }).collect();
    let is_within = |limit: &&String| limit.as_str() == "*" || at_or_above(limit) == Some(false);
    if !limits.is_empty() && !limits.iter().any(is_within) {
        return false;
    }
    // The last begin and the last end that the version is behind; a bound that cannot be compared says nothing.
    let mut state: Option<(&String, bool)> = None;
    for bound in bounds {
        let (at, reached, begins) = match bound {
            Bound::Introduced(at) if at == "0" => (at, Some(true), true),
            Bound::Introduced(at) => (at, at_or_above(at), true),
            Bound::Fixed(at) => (at, at_or_above(at), false),
            Bound::LastAffected(at) => (at, compare(order, version, at).map(Ordering::is_gt), false),
            Bound::Limit(_) => continue,
        };
        if reached != Some(true) {
            continue;
        }
        let is_later = state
            .is_none_or(|(last, _)| last == "0" || (at != "0" && compare(order, at, last).is_none_or(Ordering::is_ge)));
        if is_later {
            state = Some((at, begins));
        }
    }
    // Text that is no version here is behind nothing, and must not be affected because all are "from the first".
    let is_version = compare(order, version, version).is_some();
    is_version && state.is_some_and(|(_, begins)| begins)
}
