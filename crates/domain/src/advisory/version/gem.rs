//! `Gem::Version`: runs of digits and letters; letters make a pre-release and sort before numbers:
//! <https://docs.ruby-lang.org/en/master/Gem/Version.html>.

use std::cmp::Ordering;

use super::{by_value, digits};

pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (segments(a)?, segments(b)?);
    let count = a.len().max(b.len());
    for index in 0..count {
        let (left, right) = (at(&a, index), at(&b, index));
        let order = left.0.cmp(&right.0).then_with(|| match left.0 {
            true => by_value(left.1, right.1),
            false => left.1.cmp(right.1),
        });
        if order.is_ne() {
            return Some(order);
        }
    }
    Some(Ordering::Equal)
}

/// Beyond the end there are zeros.
fn at<'a>(segments: &[Segment<'a>], index: usize) -> (bool, &'a str) {
    segments.get(index).map_or((true, "0"), |segment| segment.order_key())
}

#[derive(Clone, Copy)]
enum Segment<'a> {
    Letters(&'a str),
    Number(&'a str),
}

impl<'a> Segment<'a> {
    /// Whether it is a number, which comes after letters; and its text.
    const fn order_key(self) -> (bool, &'a str) {
        match self {
            Self::Letters(text) => (false, text),
            Self::Number(text) => (true, text),
        }
    }

    fn is_zero(self) -> bool {
        match self {
            Self::Letters(_) => false,
            Self::Number(text) => text.bytes().all(|byte| byte == b'0'),
        }
    }
}

/// Without the zeros at the end of the release and of the pre-release. `-` stands for `.pre.`.
fn segments(text: &str) -> Option<Vec<Segment<'_>>> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if !text.starts_with(|c: char| c.is_ascii_digit()) || !text.chars().all(is_allowed) {
        return None;
    }
    let mut all = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first.is_ascii_digit() {
            let (number, after) = digits(rest);
            all.push(Segment::Number(number));
            rest = after;
        } else if first.is_ascii_alphabetic() {
            let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
            let (letters, after) = rest.split_at(end);
            all.push(Segment::Letters(letters));
            rest = after;
        } else {
            if first == '-' {
                all.push(Segment::Letters("pre"));
            }
            rest = rest.get(1..)?;
        }
    }
    let is_letters = |segment: &Segment<'_>| matches!(segment, Segment::Letters(_));
    let split = all.iter().position(is_letters).unwrap_or(all.len());
    let mut tail = all.split_off(split);
    for part in [&mut all, &mut tail] {
        while part.last().is_some_and(|segment| segment.is_zero()) {
            part.pop();
        }
    }
    all.append(&mut tail);
    Some(all)
}
