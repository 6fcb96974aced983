//! Laws of reading and weighing, on invented input.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use watchbell_domain::finding::{Finding, FindingStatus, Observation};
use watchbell_domain::id::{FindingId, OrgId, ProjectId};
use watchbell_domain::scan;
use watchbell_domain::snapshot::{ChangeKind, Seen, Sighting, by_identity, diff};
use watchbell_domain::{SignedDuration, Timestamp};
use watchbell_wire::Severity;
use watchbell_wire::event::Component;

fn observation() -> impl Strategy<Value = Observation> {
    let severity = prop_oneof![Just(Severity::Low), Just(Severity::High), Just(Severity::Critical)];
    let package = prop::option::of((0..3u8, 0..3u8));
    (0..3u8, 0..2u8, 0..3u8, 0..5u64, any::<bool>(), severity, package).prop_map(
        |(rule, file, snippet, line, suppressed, severity, package)| Observation {
            tool: "t".to_owned(),
            rule_id: format!("R{rule}"),
            severity,
            suppressed,
            location: package.is_none().then(|| format!("{file}.py:{line}")),
            fingerprint: package.is_none().then(|| format!("snippet:{snippet}")),
            component: package.map(|(name, version)| Component {
                name: format!("p{name}"),
                version: Some(version.to_string()),
                purl: Some(format!("pkg:pypi/p{name}@{version}")),
            }),
            ..Observation::default()
        },
    )
}

fn report() -> impl Strategy<Value = Vec<Observation>> {
    prop::collection::vec(observation(), 0..12)
}

fn at(hours: i64) -> Sighting {
    let nil = uuid::Uuid::nil();
    Sighting {
        org_id: OrgId(nil),
        project_id: ProjectId(nil),
        at: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours),
    }
}

/// Findings after a scan by all tools: `apply(a, diff(a, b))`.
fn applied(before: &[Finding], seen: &Seen, hours: i64) -> Vec<Finding> {
    let changes = diff(before, seen, &BTreeSet::from(["t".to_owned()]));
    let mut after: BTreeMap<String, Finding> = before.iter().map(|it| (it.identity.clone(), it.clone())).collect();
    for (index, change) in changes.iter().enumerate() {
        let id = || FindingId(uuid::Uuid::from_u128(u128::try_from(hours).unwrap_or_default() << 32 | index as u128));
        after.insert(change.identity.to_owned(), change.apply(at(hours), id));
    }
    after.into_values().collect()
}

/// What is there, as a scan would see it.
fn present(findings: &[Finding]) -> Seen {
    let there = findings.iter().filter(|finding| finding.status != FindingStatus::Remediated);
    there.map(|finding| (finding.identity.clone(), finding.observation.clone())).collect()
}

proptest! {
    #[test]
    fn applying_a_difference_gives_what_was_seen(first in report(), second in report(), third in report()) {
        let mut findings = Vec::new();
        for (hours, seen) in [(1, by_identity(&first)), (2, by_identity(&second)), (3, by_identity(&third))] {
            findings = applied(&findings, &seen, hours);
            prop_assert_eq!(present(&findings), seen);
            for finding in &findings {
                prop_assert_eq!(finding.status == FindingStatus::Remediated, finding.remediated_at.is_some());
                prop_assert!(finding.first_seen_at <= finding.last_seen_at);
            }
        }
    }

    #[test]
    fn the_order_in_a_report_plays_no_part(
        (report, shuffled) in report().prop_flat_map(|report| (Just(report.clone()), Just(report).prop_shuffle())),
    ) {
        prop_assert_eq!(by_identity(&report), by_identity(&shuffled));
    }

    #[test]
    fn the_order_of_what_is_known_plays_no_part(
        (known, shuffled) in report().prop_flat_map(|report| {
            let findings = applied(&[], &by_identity(&report), 1);
            (Just(findings.clone()), Just(findings).prop_shuffle())
        }),
        seen in report(),
    ) {
        let seen = by_identity(&seen);
        let scope = BTreeSet::from(["t".to_owned()]);
        prop_assert_eq!(diff(&known, &seen, &scope), diff(&shuffled, &seen, &scope));
    }

    #[test]
    fn the_same_report_again_changes_nothing(report in report()) {
        let seen = by_identity(&report);
        let findings = applied(&[], &seen, 1);
        let changes = diff(&findings, &seen, &BTreeSet::from(["t".to_owned()]));
        prop_assert!(changes.iter().all(|change| change.kind == ChangeKind::Unchanged));
    }

    #[test]
    fn lines_that_move_together_change_nothing(report in report(), by in 1..1_000u64) {
        let moved: Vec<Observation> = report.iter().cloned().map(|mut one| {
            if let Some(line) = one.line() {
                one.location = Some(format!("{}:{}", one.file(), line + by));
            }
            one
        }).collect();
        let findings = applied(&[], &by_identity(&report), 1);
        let seen = by_identity(&moved);
        let changes = diff(&findings, &seen, &BTreeSet::from(["t".to_owned()]));
        prop_assert!(changes.iter().all(|change| change.kind == ChangeKind::Unchanged));
    }

    #[test]
    fn a_scan_out_of_scope_takes_nothing_away(known in report(), seen in report()) {
        let findings = applied(&[], &by_identity(&known), 1);
        let seen = by_identity(&seen);
        let changes = diff(&findings, &seen, &BTreeSet::from(["another".to_owned()]));
        prop_assert!(changes.iter().all(|change| change.kind != ChangeKind::Remediated));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        drop(scan::read(&bytes, None));
    }

    /// Real reports with a few bytes changed, left out or doubled: most stay near enough to JSON to get far.
    #[test]
    fn no_mutation_of_a_report_makes_the_reader_panic(
        which in 0..crate::support::EXAMPLES.len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4u8, any::<u8>()), 1..6),
    ) {
        let mut bytes = crate::support::EXAMPLES[which].1.to_vec();
        for (place, kind, byte) in edits {
            let at = place.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes[at] = b"{}[]\",:0-9"[usize::from(byte) % 10],
                2 => drop(bytes.remove(at)),
                _ => bytes.truncate(at + 1),
            }
        }
        drop(scan::read(&bytes, None));
    }

    /// Valid JSON with values swapped for ones of other types: nothing is refused but for its outermost shape.
    #[test]
    fn no_type_makes_the_reader_panic(which in 0..crate::support::EXAMPLES.len(), seed in any::<u64>(), share in 2..60u64) {
        let mut value: serde_json::Value = serde_json::from_slice(crate::support::EXAMPLES[which].1).unwrap();
        let mut state = seed;
        scramble(&mut value, share, &mut state);
        if let Ok(report) = scan::read(value.to_string().as_bytes(), None) {
            let seen = by_identity(&report.observations);
            prop_assert!(seen.len() <= report.observations.len());
        }
    }
}

fn scramble(value: &mut serde_json::Value, share: u64, state: &mut u64) {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let roll = *state >> 33;
    if roll.is_multiple_of(share) {
        *value = match roll % 7 {
            0 => serde_json::Value::Null,
            1 => serde_json::json!(-1),
            2 => serde_json::json!("ä\u{0}%2"),
            3 => serde_json::json!([]),
            4 => serde_json::json!({"id": 7, "text": "{0}{1"}),
            5 => serde_json::json!(18_446_744_073_709_551_615_u64),
            _ => serde_json::json!("CVSS:3.1/AV:N/"),
        };
        return;
    }
    match value {
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| scramble(item, share, state)),
        serde_json::Value::Object(members) => members.values_mut().for_each(|item| scramble(item, share, state)),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => {}
    }
}
