//! Worlds from seeds: many of them, the same one twice, those that once failed, and those with a planted bug.

use std::collections::BTreeSet;

use watchbell_domain::failpoint::POINTS;
use watchbell_simulation::{Outcome, run};

/// Seeds of one test; several tests share the cores.
const SHARE: u64 = 75;

fn must_hold(seeds: impl Iterator<Item = u64>) -> Vec<Outcome> {
    let outcomes: Vec<_> = seeds.map(|seed| run(seed, None)).collect();
    let mut failed = 0;
    for outcome in outcomes.iter().filter(|outcome| !outcome.violations.is_empty()) {
        failed += 1;
        eprintln!("SEED={}  cargo xtask simulate --seed {}", outcome.seed, outcome.seed);
        for violation in &outcome.violations {
            eprintln!("    {violation}");
        }
    }
    assert_eq!(failed, 0, "what must hold did not, see above");
    outcomes
}

#[test]
fn what_must_hold_holds_in_worlds_0_to_74() {
    let outcomes = must_hold(0..SHARE);
    let passed: BTreeSet<_> = outcomes.iter().flat_map(|outcome| outcome.points.iter().copied()).collect();
    let missed: Vec<_> = POINTS.iter().map(|(point, _)| *point).filter(|point| !passed.contains(point)).collect();
    assert_eq!(missed, [""; 0], "fail points that no world passes");
    assert!(
        outcomes.iter().map(|outcome| outcome.tally.crashes).sum::<usize>() > 100,
        "too few deaths to prove anything"
    );
}

#[test]
fn what_must_hold_holds_in_worlds_75_to_149() {
    must_hold(SHARE..2 * SHARE);
}

#[test]
fn what_must_hold_holds_in_worlds_150_to_224() {
    must_hold(2 * SHARE..3 * SHARE);
}

#[test]
fn what_must_hold_holds_in_worlds_225_to_299() {
    must_hold(3 * SHARE..4 * SHARE);
}

#[test]
fn worlds_that_once_failed_do_not_any_more() {
    let kept = include_str!("../../seeds/kept.txt").lines().filter(|line| !line.starts_with('#'));
    must_hold(kept.map(|line| line.split_whitespace().next().unwrap().parse().unwrap()));
}

#[test]
fn a_seed_gives_the_same_world_again() {
    for seed in [1, 56, 197] {
        let (first, second) = (run(seed, None), run(seed, None));
        assert!(first.trace.len() > 100, "seed {seed}: hardly anything happened");
        let differs = first.trace.iter().zip(&second.trace).find(|(first, second)| first != second);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first.digest(), second.digest(), "seed {seed}");
    }
}

/// The invariant that told first, within so many seeds.
fn found(bug: &'static str) -> String {
    let told = (0..20).find_map(|seed| run(seed, Some(bug)).violations.first().map(ToString::to_string));
    told.unwrap_or_else(|| panic!("{bug} was not found"))
}

#[test]
fn a_settle_without_its_fence_is_found() {
    found("settle without fence");
}

#[test]
fn an_acknowledgement_before_the_commit_is_found() {
    found("ack before commit");
}

#[test]
fn a_retry_forgotten_on_a_crash_is_found() {
    found("retry forgotten on crash");
}
