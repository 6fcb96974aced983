//! What makes a finding the same one in the next scan, for all tools and whatever they call it.
//!
//! | where | the same when |
//! |---|---|
//! | in a component | the same package, and the vulnerability has a name in common |
//! | at a resource | the same address, and the rule has a name in common |
//! | in code, with `fingerprints` | the same tool, rule, fingerprint |
//! | in code, with `partialFingerprints` | the same tool, rule, file, fingerprint |
//! | in code, with a snippet | the same tool, rule, file, hash of the snippet's first line with its white space squeezed |
//! | in code, without | the same tool, rule, file, hash of the message |
//!
//! Line numbers are no part of it, nor are versions: code that moves keeps its findings, and so does an upgrade that does
//! not help. Having a name in common carries on: what is known as A and B, and what is known as B and C, are one finding
//! from the moment both are known (see [`crate::snapshot`]). Several of one identity in one report are told apart by a
//! number.
//!
//! [`place`] and [`names`] are the whole of it: same place, common name. In code the place says everything and the name is
//! empty.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

pub use super::merge::merge;
use super::{Observation, package};

/// Where a vulnerability is, without its name: findings of different places are never one.
pub fn place(observation: &Observation) -> String {
    let rule = observation.rule_id.as_str();
    match (&observation.component, &observation.fingerprint) {
        (Some(component), _) => joined(&["component", &package::of(component)]),
        (None, Some(print)) if print.starts_with("full:") => joined(&["code", &observation.tool, rule, print]),
        (None, Some(print)) => joined(&["code", &observation.tool, rule, observation.file(), print]),
        (None, None) => joined(&["resource", observation.location.as_deref().unwrap_or_default()]),
    }
}

/// Every name of the vulnerability that tells it from others of its place. In code there is one, the empty one.
pub fn names(observation: &Observation) -> BTreeSet<String> {
    match is_in_code(observation) {
        true => BTreeSet::from([String::new()]),
        false => super::names::of(observation),
    }
}

/// What a finding in code is known by in whatever file it is: tool, rule, and what the code says. `None` where that is
/// nothing to go by (a message is the same for many), or where the file plays no part anyway.
pub fn roaming(observation: &Observation) -> Option<String> {
    let print = observation.fingerprint.as_deref().filter(|_| observation.component.is_none())?;
    let is_of_the_code = print.starts_with("snippet:") || print.starts_with("partial:");
    is_of_the_code.then(|| joined(&[&observation.tool, &observation.rule_id, print]))
}

/// A label that no other finding of a project has, for people too: what it is first known as, where, and which of several.
pub fn label(observation: &Observation, number: u32) -> String {
    let label = match is_in_code(observation) {
        true => place(observation),
        false => {
            let names = names(observation);
            let best = super::names::best(&names, observation);
            match &observation.component {
                Some(component) => joined(&["component", best, &package::of(component)]),
                None => joined(&["resource", best, observation.location.as_deref().unwrap_or_default()]),
            }
        }
    };
    match number {
        0 | 1 => label,
        _ => format!("{label}#{number}"),
    }
}

/// Which of several a label is of.
pub fn number_in(label: &str) -> u32 {
    label.rsplit_once('#').and_then(|(_, number)| number.parse().ok()).unwrap_or(1)
}

/// The vulnerability's or rule's name in a label.
pub(super) fn name_in(label: &str) -> &str {
    let mut parts = label.split('|');
    match parts.next() {
        Some("code") => parts.nth(1).unwrap_or_default(),
        Some(_) | None => parts.next().unwrap_or_default(),
    }
}

const fn is_in_code(observation: &Observation) -> bool {
    observation.component.is_none() && observation.fingerprint.is_some()
}

/// Where a vulnerability in the package of a package URL is, and the version in it.
pub(crate) fn package_of(purl: &str) -> (String, Option<String>) {
    (joined(&["component", &package::normal(purl)]), package::version_in(purl))
}

/// A vulnerability's name in the spelling of its database.
pub fn normal_name(name: &str) -> String {
    super::names::normal(name)
}

/// Longest text that is made here, in bytes; of a longer one the end is a hash of all of it.
const BYTES_MAX: usize = 512;

fn joined(parts: &[&str]) -> String {
    let text = parts.iter().map(|part| escaped(part)).collect::<Vec<_>>().join("|");
    if text.len() <= BYTES_MAX {
        return text;
    }
    let hash = hex::encode(Sha256::digest(text.as_bytes()));
    let kept = BYTES_MAX - hash.len() - 1;
    let mut short: String = text.chars().take(kept).collect();
    while short.len() > kept {
        short.pop();
    }
    format!("{short}|{hash}")
}

/// Without the characters that part a label and number it.
fn escaped(part: &str) -> String {
    part.replace('%', "%25").replace('|', "%7C").replace('#', "%23")
}

#[cfg(test)]
mod tests;
