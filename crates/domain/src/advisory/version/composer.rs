//! Composer: up to four numbers and a stability, `dev` < `alpha` < `beta` < `RC` < none < `patch`:
//! <https://getcomposer.org/doc/articles/versions.md>. Branches (`dev-main`) have no order.

use std::cmp::Ordering;

use super::by_value;

pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (Version::parse(a)?, Version::parse(b)?);
    let at = |numbers: &[String], index: usize| numbers.get(index).cloned().unwrap_or_default();
    let numbers = (0..4).map(|index| by_value(&at(&a.numbers, index), &at(&b.numbers, index)));
    let order = numbers.fold(Ordering::Equal, Ordering::then).then(a.stability.cmp(&b.stability));
    Some(order.then_with(|| by_value(&a.step, &b.step)))
}

struct Version {
    numbers: Vec<String>,
    stability: i8,
    /// `2` of `RC2`.
    step: String,
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let lower = text.strip_prefix(['v', 'V']).unwrap_or(text).to_ascii_lowercase();
        let bare = lower.split('+').next()?;
        let end = bare.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(bare.len());
        let (numbers, label) = bare.split_at(end);
        let numbers: Vec<String> = numbers.trim_end_matches('.').split('.').map(str::to_owned).collect();
        if numbers.len() > 4 || numbers.iter().any(String::is_empty) {
            return None;
        }
        let label = label.trim_start_matches(['-', '.', '_']);
        let name: String = label.chars().take_while(char::is_ascii_alphabetic).collect();
        let stability = match name.as_str() {
            "dev" => -4,
            "alpha" | "a" => -3,
            "beta" | "b" => -2,
            "rc" => -1,
            "" | "stable" => 0,
            "patch" | "pl" | "p" => 1,
            _ => return None,
        };
        let step = label.chars().skip(name.len()).filter(char::is_ascii_digit).collect();
        Some(Self { numbers, stability, step })
    }
}
