//! `1.2.3b_rc1_p2-r4`: numbers, a letter, suffixes, the package's revision: apk-package(5), `APKBUILD`'s `pkgver`.
//!
//! Suffixes before the version itself: `alpha`, `beta`, `pre`, `rc`; behind it: `cvs`, `svn`, `git`, `hg`, `p`.

use std::cmp::Ordering;

use super::{by_value, digits};

pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (Version::parse(a)?, Version::parse(b)?);
    let by_suffixes = || {
        let count = a.suffixes.len().max(b.suffixes.len());
        (0..count).map(|index| suffix(a.suffixes.get(index), b.suffixes.get(index))).find(|found| found.is_ne())
    };
    let order = numbers(&a.numbers, &b.numbers).then(a.letter.cmp(&b.letter));
    Some(order.then_with(|| by_suffixes().unwrap_or(Ordering::Equal)).then_with(|| by_value(a.revision, b.revision)))
}

struct Version<'a> {
    numbers: Vec<&'a str>,
    letter: Option<char>,
    /// Rank among the suffixes, and number.
    suffixes: Vec<(i8, &'a str)>,
    revision: &'a str,
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        // A hash behind `~` names a commit, and orders nothing.
        let (text, revision) = match text.rsplit_once("-r") {
            Some((text, revision)) if is_number(revision) => (text, revision),
            Some(_) | None => (text, "0"),
        };
        let text = text.split('~').next()?;
        let mut parts = text.split('_');
        let head = parts.next()?;
        let mut letter = None;
        let mut numbers = Vec::new();
        let mut rest = head;
        loop {
            let (number, after) = digits(rest);
            if number.is_empty() {
                return None;
            }
            numbers.push(number);
            match after.chars().next() {
                None => break,
                Some('.') => rest = after.get(1..)?,
                Some(c) if c.is_ascii_lowercase() && after.len() == 1 => {
                    letter = Some(c);
                    break;
                }
                Some(_) => return None,
            }
        }
        let suffixes = parts.map(ranked).collect::<Option<Vec<_>>>()?;
        Some(Self { numbers, letter, suffixes, revision })
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn ranked(suffix: &str) -> Option<(i8, &str)> {
    let (name, number) = suffix.split_at(suffix.find(|c: char| c.is_ascii_digit()).unwrap_or(suffix.len()));
    let rank = match name {
        "alpha" => -4,
        "beta" => -3,
        "pre" => -2,
        "rc" => -1,
        "cvs" => 1,
        "svn" => 2,
        "git" => 3,
        "hg" => 4,
        "p" => 5,
        _ => return None,
    };
    (number.is_empty() || is_number(number)).then_some((rank, number))
}

/// The first number by value; of the others one that begins with a zero is compared as a fraction.
fn numbers(a: &[&str], b: &[&str]) -> Ordering {
    for (index, (left, right)) in a.iter().zip(b).enumerate() {
        let is_fraction = index > 0 && (left.starts_with('0') || right.starts_with('0'));
        let order = if is_fraction { left.cmp(right) } else { by_value(left, right) };
        if order.is_ne() {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

fn suffix(a: Option<&(i8, &str)>, b: Option<&(i8, &str)>) -> Ordering {
    let rank = |suffix: Option<&(i8, &str)>| suffix.map_or(0, |(rank, _)| *rank);
    let number = |suffix: Option<&(i8, &str)>| suffix.map_or_else(String::new, |(_, number)| (*number).to_owned());
    rank(a).cmp(&rank(b)).then_with(|| by_value(&number(a), &number(b)))
}
