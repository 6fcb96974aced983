//! Laws of reading and weighing, on invented input.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use watchbell_domain::finding::identity::{self, merge};
use watchbell_domain::finding::{ChangedBy, Finding, FindingStatus, Judgement, Observation};
use watchbell_domain::id::{FindingId, OrgId, ProjectId};
use watchbell_domain::port::Coverage;
use watchbell_domain::scan::{self, Report, ReportFormat};
use watchbell_domain::snapshot::{ChangeKind, Sighting, View, diff};
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

fn of_tool(tool: &'static str) -> impl Strategy<Value = Vec<Observation>> {
    report().prop_map(move |report| {
        let by = |one| Observation { tool: tool.to_owned(), ..one };
        report.into_iter().map(by).collect()
    })
}

/// A project that nothing but findings is known of.
#[derive(Debug, Clone, Default, PartialEq)]
struct Known {
    findings: Vec<Finding>,
    coverage: Coverage,
    told: Vec<ChangeKind>,
}

impl Known {
    /// After a scan by `tools` at an hour: `apply(a, diff(a, b))`.
    fn scanned(mut self, seen: &[Observation], tools: &[&str], hour: i64) -> Self {
        let nil = uuid::Uuid::nil();
        let at = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour);
        let scope: BTreeSet<String> = tools.iter().map(|&tool| tool.to_owned()).collect();
        let report = Report { observations: seen.to_vec(), scope: scope.clone(), ..Report::of(ReportFormat::Sarif) };
        let view = View { report: &report, partial: false, at, coverage: &self.coverage };
        let sighting = Sighting { org_id: OrgId(nil), project_id: ProjectId(nil), at, coverage: &self.coverage };
        let mut after: BTreeMap<FindingId, Finding> = self.findings.iter().map(|it| (it.id, it.clone())).collect();
        for (index, change) in diff(&self.findings, &view).into_iter().enumerate() {
            let before = change.before.iter().map(|place| self.findings[*place].clone()).collect();
            let saw = change.seen.iter().map(|place| seen[*place].clone()).collect();
            let number = u128::try_from(hour).unwrap_or_default() << 64 | u128::from(tools[0].as_bytes()[0]) << 32;
            let applied =
                change.apply(before, saw, sighting, || FindingId(uuid::Uuid::from_u128(number | index as u128)));
            self.told.push(applied.kind);
            applied.merged.iter().for_each(|merged| drop(after.remove(&merged.id)));
            after.insert(applied.finding.id, applied.finding);
        }
        self.findings = after.into_values().collect();
        for tool in scope {
            let known = self.coverage.0.entry((tool, None)).or_insert(at);
            *known = at.max(*known);
        }
        self
    }

    /// What is known, but for ids and labels: those say which came first.
    fn content(&self) -> BTreeSet<String> {
        let one = |finding: &Finding| {
            let number = identity::number_in(&finding.identity);
            let place = identity::place(&finding.observation);
            format!(
                "{place} {number} {:?} {} {:?} {:?} {:?} {:?}",
                finding.names,
                finding.status.as_str(),
                finding.observation,
                finding.sights,
                (finding.first_seen_at, finding.last_seen_at),
                finding.remediated_at,
            )
        };
        self.findings.iter().map(one).collect()
    }

    /// What a tool says is there.
    fn present(&self, tool: &str) -> Vec<Observation> {
        let there = self.findings.iter().filter(|finding| finding.sights.get(tool).is_some_and(|sight| sight.there));
        sorted(there.filter_map(|finding| finding.said_by(tool).cloned()).collect())
    }
}

fn sorted(mut all: Vec<Observation>) -> Vec<Observation> {
    all.sort_by_cached_key(|one| format!("{one:?}"));
    all
}

/// A report as it is understood: the same version of a package twice is one, the worse one.
fn understood(report: &[Observation]) -> Vec<Observation> {
    Known::default().scanned(report, &["t"], 1).present("t")
}

proptest! {
    #[test]
    fn applying_a_difference_gives_what_was_seen(first in report(), second in report(), third in report()) {
        let mut known = Known::default();
        for (hour, seen) in [(1, &first), (2, &second), (3, &third)] {
            known = known.scanned(seen, &["t"], hour);
            // But for several that are one by their names: each instance is there once.
            prop_assert_eq!(known.present("t"), understood(seen));
            for finding in &known.findings {
                prop_assert_eq!(finding.status == FindingStatus::Remediated, finding.remediated_at.is_some());
                prop_assert_eq!(finding.status, finding.standing());
                prop_assert!(finding.first_seen_at <= finding.last_seen_at);
            }
        }
    }

    #[test]
    fn the_order_in_a_report_plays_no_part(
        known in report(),
        (report, shuffled) in report().prop_flat_map(|report| (Just(report.clone()), Just(report).prop_shuffle())),
    ) {
        let known = Known::default().scanned(&known, &["t"], 1);
        prop_assert_eq!(known.clone().scanned(&report, &["t"], 2), known.scanned(&shuffled, &["t"], 2));
    }

    #[test]
    fn the_order_of_what_is_known_plays_no_part(
        (known, shuffled) in report().prop_flat_map(|report| {
            let known = Known::default().scanned(&report, &["t"], 1).findings;
            (Just(known.clone()), Just(known).prop_shuffle())
        }),
        seen in report(),
    ) {
        let after = |findings| Known { findings, ..Known::default() }.scanned(&seen, &["t"], 2);
        prop_assert_eq!(after(known), after(shuffled));
    }

    #[test]
    fn the_same_report_again_changes_nothing(report in report()) {
        let known = Known { told: Vec::new(), ..Known::default().scanned(&report, &["t"], 1) };
        let again = known.clone().scanned(&report, &["t"], 2);
        prop_assert!(again.told.iter().all(|kind| *kind == ChangeKind::Unchanged), "{:?}", again.told);
        prop_assert_eq!(known.findings.len(), again.findings.len());
    }

    #[test]
    fn lines_that_move_together_change_nothing(report in report(), by in 1..1_000u64) {
        let moved: Vec<Observation> = report.iter().cloned().map(|mut one| {
            if let Some(line) = one.line() {
                one.location = Some(format!("{}:{}", one.file(), line + by));
            }
            one
        }).collect();
        let known = Known { told: Vec::new(), ..Known::default().scanned(&report, &["t"], 1) };
        let after = known.scanned(&moved, &["t"], 2);
        prop_assert!(after.told.iter().all(|kind| *kind == ChangeKind::Unchanged), "{:?}", after.told);
    }

    /// All files of a project go to another folder.
    #[test]
    fn files_that_are_renamed_together_change_nothing(report in report()) {
        let moved: Vec<Observation> = report.iter().cloned().map(|mut one| {
            one.location = one.location.map(|location| format!("src/{location}"));
            one
        }).collect();
        let known = Known { told: Vec::new(), ..Known::default().scanned(&report, &["t"], 1) };
        let before: BTreeSet<FindingId> = known.findings.iter().map(|finding| finding.id).collect();
        let after = known.scanned(&moved, &["t"], 2);
        prop_assert!(after.told.iter().all(|kind| *kind == ChangeKind::Unchanged), "{:?}", after.told);
        prop_assert_eq!(before, after.findings.iter().map(|finding| finding.id).collect());
    }

    #[test]
    fn a_scan_out_of_scope_takes_nothing_away(known in report(), seen in of_tool("u")) {
        let known = Known { told: Vec::new(), ..Known::default().scanned(&known, &["t"], 1) };
        let after = known.scanned(&seen, &["u"], 2);
        prop_assert!(!after.told.contains(&ChangeKind::Remediated));
    }

    /// Tools that do not know of each other may report in any order, again and again.
    #[test]
    fn the_order_of_tools_plays_no_part(
        first in of_tool("t"), second in of_tool("u"), third in of_tool("t"), fourth in of_tool("u"),
    ) {
        let scans: [(&[Observation], &str, i64); 4] =
            [(&first, "t", 1), (&second, "u", 2), (&third, "t", 3), (&fourth, "u", 4)];
        let run = |order: [usize; 4]| {
            let step = |known: Known, index: usize| known.scanned(scans[index].0, &[scans[index].1], scans[index].2);
            order.into_iter().fold(Known::default(), step).content()
        };
        prop_assert_eq!(run([0, 1, 2, 3]), run([1, 0, 2, 3]));
        prop_assert_eq!(run([0, 1, 2, 3]), run([0, 2, 1, 3]));
        prop_assert_eq!(run([0, 1, 2, 3]), run([1, 3, 0, 2]));
    }

    /// Where there is one of each, a scan that comes late ends where it would have if it had come in time.
    #[test]
    fn late_scans_are_put_where_they_belong(first in singles(), second in singles(), third in singles()) {
        let run = |order: [(&[Observation], i64); 3]| {
            let step = |known: Known, (seen, hour): (&[Observation], i64)| known.scanned(seen, &["t"], hour);
            let known = order.into_iter().fold(Known::default(), step);
            let brief = |finding: &Finding| {
                (identity::place(&finding.observation), finding.status, finding.first_seen_at, finding.last_seen_at)
            };
            known.findings.iter().map(brief).collect::<BTreeSet<_>>()
        };
        let in_time = run([(&first, 1), (&second, 2), (&third, 3)]);
        prop_assert_eq!(&in_time, &run([(&third, 3), (&first, 1), (&second, 2)]));
        prop_assert_eq!(&in_time, &run([(&second, 2), (&third, 3), (&first, 1)]));
        prop_assert_eq!(&in_time, &run([(&third, 3), (&second, 2), (&first, 1)]));
    }

    /// Names join findings the same way however they are learned.
    #[test]
    fn aliases_join_in_any_order(
        (sets, shuffled) in prop::collection::vec(prop::collection::btree_set(0..6u8, 1..4), 1..7)
            .prop_flat_map(|sets| (Just(sets.clone()), Just(sets).prop_shuffle())),
    ) {
        let run = |sets: &[BTreeSet<u8>]| {
            let scans = sets.iter().enumerate();
            scans.fold(Known::default(), |known, (hour, names)| {
                // As if nobody had looked before.
                let hour = i64::try_from(hour).unwrap() + 1;
                let known = Known { coverage: Coverage::default(), ..known };
                let scanned = known.scanned(&[named(names)], &["t"], hour);
                prop_assert_eq_len(&scanned);
                scanned
            })
        };
        let names = |known: &Known| -> BTreeSet<BTreeSet<String>> {
            known.findings.iter().map(|finding| finding.names.iter().cloned().collect()).collect()
        };
        let (one, other) = (run(&sets), run(&shuffled));
        prop_assert_eq!(names(&one), names(&other));
        prop_assert_eq!(names(&one), classes(&sets));
    }

    #[test]
    fn merging_is_associative_and_order_independent(
        a in finding(1), b in finding(2), c in finding(3),
    ) {
        prop_assert_eq!(merge(&a, &b), merge(&b, &a));
        prop_assert_eq!(merge(&merge(&a, &b), &c), merge(&a, &merge(&b, &c)));
        prop_assert_eq!(merge(&a, &a), a);
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
            let seen = understood(&report.observations);
            prop_assert!(seen.len() <= report.observations.len());
        }
    }
}

/// At most one of each identity.
fn singles() -> impl Strategy<Value = Vec<Observation>> {
    report().prop_map(|report| {
        let mut places = BTreeSet::new();
        let is_first = |one: &Observation| places.insert((identity::place(one), identity::names(one)));
        report.into_iter().filter(is_first).map(message_print).collect()
    })
}

/// Code that does not roam: what moves is not the same when it comes late.
fn message_print(mut one: Observation) -> Observation {
    one.fingerprint = one.fingerprint.map(|print| print.replace("snippet", "message"));
    one
}

fn named(names: &BTreeSet<u8>) -> Observation {
    Observation {
        tool: "t".to_owned(),
        rule_id: format!("V-{}", names.first().unwrap()),
        aliases: names.iter().map(|name| format!("V-{name}")).collect(),
        component: Some(Component { name: "p".to_owned(), version: None, purl: Some("pkg:npm/p".to_owned()) }),
        ..Observation::default()
    }
}

/// No name is in two findings.
fn prop_assert_eq_len(known: &Known) {
    let all: Vec<&String> = known.findings.iter().flat_map(|finding| &finding.names).collect();
    assert_eq!(all.len(), all.iter().collect::<BTreeSet<_>>().len(), "{all:?}");
}

/// The classes that sets with common members make, worked out the slow way.
fn classes(sets: &[BTreeSet<u8>]) -> BTreeSet<BTreeSet<String>> {
    let mut classes: Vec<BTreeSet<u8>> = Vec::new();
    for set in sets {
        let (joined, apart): (Vec<_>, Vec<_>) = classes.into_iter().partition(|class| !class.is_disjoint(set));
        classes = apart;
        classes.push(joined.into_iter().fold(set.clone(), |all, class| &all | &class));
    }
    classes.into_iter().map(|class| class.iter().map(|name| format!("V-{name}")).collect()).collect()
}

/// A finding of one component that some tools saw.
fn finding(id: u128) -> impl Strategy<Value = Finding> {
    let sights = prop::collection::btree_map(
        prop::sample::select(vec!["s", "t", "u"]),
        (0..4i64, 4..8i64, any::<bool>(), any::<bool>()),
        1..4,
    );
    let judgement = prop::option::of((0..4usize, 0..3i64, any::<bool>()));
    (prop::collection::btree_set(0..4u8, 1..3), sights, judgement, 0..3i64).prop_map(
        move |(names, sights, judgement, first)| {
            let at = |hour| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour);
            let mut known = Known::default();
            for (tool, (_, hour, _, suppressed)) in &sights {
                let seen = Observation { tool: (*tool).to_owned(), suppressed: *suppressed, ..named(&names) };
                known = known.scanned(&[seen], &[tool], *hour);
            }
            for (tool, (_, _, there, _)) in &sights {
                if !there {
                    known = known.scanned(&[], &[tool], 9);
                }
            }
            let mut finding = known.findings.remove(0);
            finding.id = FindingId(uuid::Uuid::from_u128(id));
            finding.first_seen_at = at(first);
            let statuses =
                [FindingStatus::Open, FindingStatus::Suppressed, FindingStatus::Accepted, FindingStatus::FalsePositive];
            finding.judgement = judgement.map(|(status, hour, person)| Judgement {
                status: statuses[status],
                by: match person {
                    true => ChangedBy::Policy { name: "p".to_owned() },
                    false => ChangedBy::Expiry,
                },
                at: at(hour),
                reason: String::new(),
                until: None,
                version: None,
            });
            finding.status = finding.standing();
            finding.remediated_at = finding.remediated_at.filter(|_| finding.status == FindingStatus::Remediated);
            finding
        },
    )
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
