//! The orders of versions, one an ecosystem: `1.10` is newer than `1.9`, `1.0~rc1` older than `1.0`, `1-sp` newer than `1`.
//!
//! Each order is total over the versions that it knows. Of a text that is no version of an ecosystem nothing is said
//! ([`compare`] answers `None`): then only lists of exact versions count.

use std::cmp::Ordering;
use std::str::FromStr;

mod alpine;
mod composer;
mod debian;
mod gem;
mod maven;
mod nuget;
mod rpm;
#[cfg(test)]
mod tests;

/// How an ecosystem orders its versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Order {
    /// Semantic Versioning 2.0: Cargo, npm, Go, Hex, Pub, Swift.
    Semver,
    /// PEP 440: `PyPI`.
    Pep440,
    /// Maven's `ComparableVersion`.
    Maven,
    /// `Gem::Version`.
    Gem,
    /// NuGet, up to four numbers.
    NuGet,
    /// Composer.
    Composer,
    /// Debian policy 5.6.12, as dpkg compares.
    Debian,
    /// RPM's `rpmvercmp`, epoch and release besides.
    Rpm,
    /// apk-tools.
    Alpine,
}

/// Longest version that is compared.
const VERSION_BYTES_MAX: usize = 256;

/// Which is newer. `None`: one of them is no version here.
pub fn compare(order: Order, a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (a.trim(), b.trim());
    let is_fit = |text: &str| !text.is_empty() && text.len() <= VERSION_BYTES_MAX;
    if !is_fit(a) || !is_fit(b) {
        return None;
    }
    match order {
        Order::Semver => Some(semver(a)?.cmp_precedence(&semver(b)?)),
        Order::Pep440 => {
            let parse = |text| pep440_rs::Version::from_str(text).ok();
            Some(parse(a)?.cmp(&parse(b)?))
        }
        Order::Maven => Some(maven::compare(a, b)),
        Order::Gem => gem::compare(a, b),
        Order::NuGet => nuget::compare(a, b),
        Order::Composer => composer::compare(a, b),
        Order::Debian => debian::compare(a, b),
        Order::Rpm => Some(rpm::compare(a, b)),
        Order::Alpine => alpine::compare(a, b),
    }
}

/// Go writes a `v` in front; advisories leave out what is zero.
fn semver(text: &str) -> Option<semver::Version> {
    let bare = text.strip_prefix(['v', 'V', '=']).unwrap_or(text);
    if let Ok(version) = semver::Version::parse(bare) {
        return Some(version);
    }
    let end = bare.find(['-', '+']).unwrap_or(bare.len());
    let (numbers, rest) = bare.split_at_checked(end)?;
    let missing = match numbers.split('.').count() {
        1 => ".0.0",
        2 => ".0",
        _ => return None,
    };
    semver::Version::parse(&format!("{numbers}{missing}{rest}")).ok()
}

/// Numbers of any length: by value, without their zeros in front.
fn by_value(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// The digits that a text begins with, and the rest.
fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}
