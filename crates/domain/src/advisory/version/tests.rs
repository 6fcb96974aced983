//! The orders against what the tools themselves say. `orders.json` was recorded from node's `semver`, Python's
//! `packaging`, dpkg, and the PyPI package `univers` (Maven, RubyGems, NuGet, RPM, Alpine); Composer's part follows its
//! manual.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::process::Command;

use proptest::prelude::*;

use super::{Order, compare};

const ORDERS: [(&str, Order); 9] = [
    ("semver", Order::Semver),
    ("pep440", Order::Pep440),
    ("maven", Order::Maven),
    ("gem", Order::Gem),
    ("nuget", Order::NuGet),
    ("composer", Order::Composer),
    ("debian", Order::Debian),
    ("rpm", Order::Rpm),
    ("alpine", Order::Alpine),
];

/// Pairs of versions and how the first compares with the second, by order.
fn recorded() -> BTreeMap<String, Vec<(String, String, i8)>> {
    serde_json::from_str(include_str!("orders.json")).unwrap()
}

#[test]
fn pairs_compare_as_the_tools_say() {
    let mut wrong = Vec::new();
    let recorded = recorded();
    for (name, order) in ORDERS {
        let pairs = &recorded[name];
        assert!(pairs.len() > 20, "{name}");
        for (a, b, expected) in pairs {
            let found = compare(order, a, b).map(|found| found as i8);
            let back = compare(order, b, a).map(|found| -(found as i8));
            if found != Some(*expected) || back != found {
                wrong.push(format!("{name}: {a} ? {b}: wanted {expected}, found {found:?}, {back:?} backwards"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where dpkg is, it is asked itself, about versions that nobody chose.
#[test]
fn dpkg_agrees() {
    let is_there = Command::new("dpkg").arg("--version").output().is_ok_and(|output| output.status.success());
    if !is_there {
        return;
    }
    let parts = ["1", "01", "2", "10", "a", "b", "~", "+", ".", "-", "~rc1", "0"];
    let mut state = 7_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let mut version = || (0..1 + next(5)).fold("1".to_owned(), |text, _| text + parts[next(parts.len())]);
    for _ in 0..60 {
        let (a, b) = (version(), version());
        let says = |relation: &str| {
            let asked = Command::new("dpkg").args(["--compare-versions", &a, relation, &b]).output();
            asked.unwrap().status.success()
        };
        // Neither of the three: one of them is no version.
        let found = [("lt", Ordering::Less), ("gt", Ordering::Greater), ("eq", Ordering::Equal)];
        let expected = found.into_iter().find_map(|(relation, order)| says(relation).then_some(order));
        assert_eq!(compare(Order::Debian, &a, &b), expected, "{a} ? {b}");
    }
}

fn any_order() -> impl Strategy<Value = Order> {
    proptest::sample::select(ORDERS.map(|(_, order)| order).to_vec())
}

proptest! {
    #[test]
    fn every_order_is_one(order in any_order(), a in "[0-9]{1,2}([.~^_+-]?(0|1|2|10|a|b|rc|alpha|p|r1|x)){0,4}",
        b in "[0-9]{1,2}([.~^_+-]?(0|1|2|10|a|b|rc|alpha|p|r1|x)){0,4}",
        c in "[0-9]{1,2}([.-]?(0|1|2|10|a|rc)){0,3}") {
        let of = |x: &str, y: &str| compare(order, x, y);
        prop_assert_eq!(of(&a, &b), of(&b, &a).map(Ordering::reverse));
        if of(&a, &a).is_some() {
            prop_assert_eq!(of(&a, &a), Some(Ordering::Equal));
        }
        if let (Some(ab), Some(bc), Some(ac)) = (of(&a, &b), of(&b, &c), of(&a, &c)) && ab == bc {
            // RPM's versions without a release equal every release, so that they are no order among themselves.
            prop_assert!(ac == ab || order == Order::Rpm || (ab.is_eq() && ac.is_eq()), "{a} {ab:?} {b} {bc:?} {c} but {ac:?}");
        }
    }

    #[test]
    fn nothing_panics(order in any_order(), a in any::<String>(), b in any::<String>()) {
        compare(order, &a, &b);
    }
}
