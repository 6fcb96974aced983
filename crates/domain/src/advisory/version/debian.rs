//! `[epoch:]upstream[-revision]`: <https://www.debian.org/doc/debian-policy/ch-controlfields.html#version>.
//!
//! Letters come before everything else that is no digit, and `~` before the end: `1.0~rc1` < `1.0`.

use std::cmp::Ordering;

use super::{by_value, digits};

pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (parts(a)?, parts(b)?);
    Some(by_value(a.0, b.0).then_with(|| run(a.1, b.1)).then_with(|| run(a.2, b.2)))
}

/// Epoch, upstream version, revision.
fn parts(text: &str) -> Option<(&str, &str, &str)> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-' | '~' | ':');
    if !text.chars().all(is_allowed) {
        return None;
    }
    let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    let is_epoch = !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_digit());
    let is_whole = !upstream.is_empty() && !rest.ends_with('-');
    (is_epoch && is_whole).then_some((epoch, upstream, revision))
}

fn run(mut a: &str, mut b: &str) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        loop {
            let (left, right) = (weight(a), weight(b));
            if left == 0 && right == 0 {
                break;
            }
            if left != right {
                return left.cmp(&right);
            }
            (a, b) = (rest(a), rest(b));
        }
        let ((left, after_left), (right, after_right)) = (digits(a), digits(b));
        match by_value(left, right) {
            Ordering::Equal => (a, b) = (after_left, after_right),
            other @ (Ordering::Less | Ordering::Greater) => return other,
        }
    }
    Ordering::Equal
}

/// How the first character sorts where no digit is; digits and the end weigh nothing.
fn weight(text: &str) -> i32 {
    match text.bytes().next() {
        None => 0,
        Some(byte) if byte.is_ascii_digit() => 0,
        Some(b'~') => -1,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(byte),
        Some(byte) => i32::from(byte) + 256,
    }
}

fn rest(text: &str) -> &str {
    let mut chars = text.chars();
    chars.next();
    chars.as_str()
}
