//! Semantic Versioning with up to four numbers, letters of either case alike:
//! <https://learn.microsoft.com/nuget/concepts/package-versioning>.

use std::cmp::Ordering;

use super::by_value;

pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let ((a, a_pre), (b, b_pre)) = (parts(a)?, parts(b)?);
    let at = |numbers: &[String], index: usize| numbers.get(index).cloned().unwrap_or_default();
    let numbers = (0..4).map(|index| by_value(&at(&a, index), &at(&b, index))).find(|order| order.is_ne());
    let by_label = || match (a_pre, b_pre) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => labels(&a, &b),
    };
    Some(numbers.unwrap_or_else(by_label))
}

/// Numbers, and the pre-release's labels in lower case.
fn parts(text: &str) -> Option<(Vec<String>, Option<String>)> {
    let bare = text.strip_prefix(['v', 'V']).unwrap_or(text).split('+').next()?;
    let (numbers, label) = match bare.split_once('-') {
        Some((numbers, label)) => (numbers, Some(label.to_ascii_lowercase())),
        None => (bare, None),
    };
    let numbers: Vec<String> = numbers.split('.').map(str::to_owned).collect();
    let is_number = |text: &String| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (numbers.len() <= 4 && numbers.iter().all(is_number)).then_some((numbers, label))
}

fn labels(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.split('.'), b.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => {
                let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                match (is_number(a), is_number(b)) {
                    (true, true) => by_value(a, b),
                    (true, false) => Ordering::Less,
                    (false, true) => Ordering::Greater,
                    (false, false) => a.cmp(b),
                }
            }
        };
        if order.is_ne() {
            return order;
        }
    }
}
