//! `[epoch:]version[-release]`, each by `rpmvercmp`: <https://rpm-software-management.github.io/rpm/man/rpm-version.7>.
//!
//! Runs of digits by value, runs of letters by the alphabet, digits before letters; what separates them counts for nothing.
//! `~` comes before the end, `^` behind it and before everything else.

use std::cmp::Ordering;

use super::{by_value, digits};

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (parts(a), parts(b));
    let by_release = || match (a.2, b.2) {
        // An advisory may name the version alone, and means every release of it.
        (Some(a), Some(b)) => run(a, b),
        (None, _) | (_, None) => Ordering::Equal,
    };
    by_value(a.0, b.0).then_with(|| run(a.1, b.1)).then_with(by_release)
}

fn parts(text: &str) -> (&str, &str, Option<&str>) {
    let (epoch, rest) = match text.split_once(':') {
        Some((epoch, rest)) if epoch.bytes().all(|byte| byte.is_ascii_digit()) => (epoch, rest),
        Some(_) | None => ("0", text),
    };
    match rest.rsplit_once('-') {
        Some((version, release)) => (epoch, version, Some(release)),
        None => (epoch, rest, None),
    }
}

fn run(mut a: &str, mut b: &str) -> Ordering {
    let is_separator = |c: char| !c.is_ascii_alphanumeric() && c != '~' && c != '^';
    loop {
        (a, b) = (a.trim_start_matches(is_separator), b.trim_start_matches(is_separator));
        match (a.strip_prefix('~'), b.strip_prefix('~')) {
            (Some(after_a), Some(after_b)) => {
                (a, b) = (after_a, after_b);
                continue;
            }
            (Some(_), None) => return Ordering::Less,
            (None, Some(_)) => return Ordering::Greater,
            (None, None) => {}
        }
        match (a.strip_prefix('^'), b.strip_prefix('^')) {
            (Some(after_a), Some(after_b)) => {
                (a, b) = (after_a, after_b);
                continue;
            }
            (Some(_), None) if b.is_empty() => return Ordering::Greater,
            (None, Some(_)) if a.is_empty() => return Ordering::Less,
            (Some(_), None) => return Ordering::Less,
            (None, Some(_)) => return Ordering::Greater,
            (None, None) => {}
        }
        if a.is_empty() || b.is_empty() {
            return a.len().min(1).cmp(&b.len().min(1));
        }
        let is_number = a.starts_with(|c: char| c.is_ascii_digit());
        let (left, after_left) = segment(a, is_number);
        let (right, after_right) = segment(b, is_number);
        let by_segment = match (is_number, right.is_empty()) {
            (true, true) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (true, false) => by_value(left, right),
            (false, false) => left.cmp(right),
        };
        if by_segment != Ordering::Equal {
            return by_segment;
        }
        (a, b) = (after_left, after_right);
    }
}

fn segment(text: &str, is_number: bool) -> (&str, &str) {
    if is_number {
        return digits(text);
    }
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    text.split_at(end)
}
