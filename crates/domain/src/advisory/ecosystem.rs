//! Ecosystems: what OSV calls them, what package URLs do, and how each orders versions and spells names.

use std::str::FromStr;

use packageurl::PackageUrl;
use watchbell_wire::event::Component;

use super::version::Order;

/// A component as advisories speak of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Package {
    /// `PyPI`, `Debian`.
    pub ecosystem: String,
    /// The release of a distribution, where it is known.
    pub release: Option<String>,
    /// In the ecosystem's one spelling.
    pub name: String,
    /// Which one is installed.
    pub version: String,
}

/// OSV's name, the type in package URLs (and its namespace, for distributions), the order.
const KNOWN: &[(&str, &str, Option<&str>, Option<Order>)] = &[
    ("crates.io", "cargo", None, Some(Order::Semver)),
    ("npm", "npm", None, Some(Order::Semver)),
    ("Go", "golang", None, Some(Order::Semver)),
    ("Hex", "hex", None, Some(Order::Semver)),
    ("Pub", "pub", None, Some(Order::Semver)),
    ("SwiftURL", "swift", None, Some(Order::Semver)),
    ("PyPI", "pypi", None, Some(Order::Pep440)),
    ("Maven", "maven", None, Some(Order::Maven)),
    ("RubyGems", "gem", None, Some(Order::Gem)),
    ("NuGet", "nuget", None, Some(Order::NuGet)),
    ("Packagist", "composer", None, Some(Order::Composer)),
    ("Debian", "deb", Some("debian"), Some(Order::Debian)),
    ("Ubuntu", "deb", Some("ubuntu"), Some(Order::Debian)),
    ("Alpine", "apk", Some("alpine"), Some(Order::Alpine)),
    ("Wolfi", "apk", Some("wolfi"), Some(Order::Alpine)),
    ("Chainguard", "apk", Some("chainguard"), Some(Order::Alpine)),
    ("Red Hat", "rpm", Some("redhat"), Some(Order::Rpm)),
    ("Rocky Linux", "rpm", Some("rocky"), Some(Order::Rpm)),
    ("AlmaLinux", "rpm", Some("almalinux"), Some(Order::Rpm)),
    ("openSUSE", "rpm", Some("opensuse"), Some(Order::Rpm)),
    ("SUSE", "rpm", Some("suse"), Some(Order::Rpm)),
    ("Hackage", "hackage", None, None),
    ("CRAN", "cran", None, None),
    ("GitHub Actions", "githubactions", None, None),
];

/// How an ecosystem orders its versions; `None`: that is not known.
pub(super) fn order(ecosystem: &str) -> Option<Order> {
    KNOWN.iter().find(|(name, ..)| *name == ecosystem).and_then(|(.., order)| *order)
}

/// `Debian:12` is the release `12` of `Debian`.
pub(super) fn parted(ecosystem: &str) -> (&str, Option<&str>) {
    match ecosystem.split_once(':') {
        Some((name, release)) => (name, Some(release).filter(|release| !release.is_empty())),
        None => (ecosystem, None),
    }
}

/// A package's name in the one spelling of its ecosystem.
pub(super) fn spelled(ecosystem: &str, name: &str) -> String {
    match ecosystem {
        // PEP 503.
        "PyPI" => {
            let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
            parts.collect::<Vec<_>>().join("-").to_lowercase()
        }
        "NuGet" | "Packagist" | "Hex" | "GitHub Actions" => name.to_lowercase(),
        _ => name.to_owned(),
    }
}

impl Package {
    /// What a component is; `None` without a package URL, a version, or an ecosystem that advisories know.
    pub fn of(component: &Component) -> Option<Self> {
        let purl = PackageUrl::from_str(component.purl.as_deref()?).ok()?;
        let namespace = purl.namespace();
        let is_it = |(_, ty, of, _): &&(&str, &str, Option<&str>, Option<Order>)| {
            *ty == purl.ty()
                && of.is_none_or(|of| namespace.is_some_and(|namespace| namespace.eq_ignore_ascii_case(of)))
        };
        let (ecosystem, _, distribution, _) = KNOWN.iter().find(is_it)?;
        let version = purl.version().or(component.version.as_deref())?;
        let name = match (purl.ty(), namespace) {
            (_, _) if distribution.is_some() => source(&purl),
            ("maven", Some(group)) => format!("{group}:{}", purl.name()),
            (_, Some(namespace)) => format!("{namespace}/{}", purl.name()),
            (_, None) => purl.name().to_owned(),
        };
        Some(Self {
            ecosystem: (*ecosystem).to_owned(),
            release: distribution.and_then(|_| release(&purl)),
            name: spelled(ecosystem, &name),
            version: version.to_owned(),
        })
    }
}

/// Distributions' advisories are of source packages: scanners name them in `upstream` or `source`.
fn source(purl: &PackageUrl<'_>) -> String {
    let named = ["upstream", "source"].into_iter().find_map(|key| purl.qualifiers().get(key));
    let named = named.map(|source| source.split(['@', ',']).next().unwrap_or(source).trim().to_owned());
    named.filter(|source| !source.is_empty()).unwrap_or_else(|| purl.name().to_owned())
}

/// `12` of `distro=debian-12`, `v3.18` of `distro=alpine-3.18.4`, `22.04` of `distro=ubuntu-22.04`.
fn release(purl: &PackageUrl<'_>) -> Option<String> {
    let distro = purl.qualifiers().get("distro")?;
    let number = distro.rsplit_once('-').map_or(distro.as_ref(), |(_, number)| number);
    let mut parts = number.split('.');
    match purl.ty() {
        "apk" => Some(format!("v{}.{}", parts.next()?, parts.next()?)),
        "deb" if purl.namespace() == Some("debian") => parts.next().map(str::to_owned),
        "rpm" => parts.next().map(str::to_owned),
        _ => Some(number.to_owned()),
    }
}
