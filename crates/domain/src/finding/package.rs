//! A component's package URL without what differs between tools, versions and machines.
//!
//! Version, qualifiers (`arch`, `distro`, `type`, `classifier`, `epoch`, …) and subpath are no part of what a package is.
//! Of the rest, each type has its own rules: <https://github.com/package-url/purl-spec/tree/main/types> (read 2026-11),
//! which the parser applies for lower case; what registries treat as one beyond that is here.

use std::str::FromStr;

use packageurl::PackageUrl;
use watchbell_wire::event::Component;

/// The package that a component is of: a package URL in one spelling, else the name.
pub(super) fn of(component: &Component) -> String {
    match component.purl.as_deref() {
        Some(purl) => normal(purl),
        None => component.name.trim().to_owned(),
    }
}

/// The version in a package URL.
pub(super) fn version_in(purl: &str) -> Option<String> {
    PackageUrl::from_str(purl).ok()?.version().map(str::to_owned)
}

/// A package URL in one spelling, without version, qualifiers and subpath.
pub(super) fn normal(purl: &str) -> String {
    let Ok(purl) = PackageUrl::from_str(purl.trim()) else {
        return bare(purl.trim());
    };
    let (mut namespace, mut name) = (purl.namespace().unwrap_or_default().to_owned(), purl.name().to_owned());
    match purl.ty() {
        "pypi" => name = squeezed(&name),
        "npm" => {
            // `@babel/core`, `%40babel/core` and `babel/core` are one; some tools put the scope into the name.
            if let Some((scope, own)) = name.clone().rsplit_once('/') {
                (namespace, name) = (scope.to_owned(), own.to_owned());
            }
            let scope = namespace.trim_start_matches('@').to_lowercase();
            namespace = if scope.is_empty() { scope } else { format!("@{scope}") };
            name = name.to_lowercase();
        }
        "cargo" => name = name.to_lowercase().replace('_', "-"),
        "golang" => {
            let path = join(&namespace, &name).to_lowercase();
            return format!("pkg:golang/{}", without_major(&path));
        }
        "nuget" | "hex" | "composer" | "github" | "bitbucket" | "gitlab" | "docker" | "oci" | "deb" | "apk" | "pub" => {
            (namespace, name) = (namespace.to_lowercase(), name.to_lowercase());
        }
        "rpm" | "alpm" => namespace = namespace.to_lowercase(),
        // Group and artifact of Maven, gems, Swift packages and the rest are told apart by case.
        _ => {}
    }
    format!("pkg:{}/{}", purl.ty(), join(&namespace, &name))
}

fn join(namespace: &str, name: &str) -> String {
    if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") }
}

/// Runs of `-`, `_` and `.` are one dash (PEP 503): `zope.interface` is `zope-interface`.
fn squeezed(name: &str) -> String {
    let parts: Vec<&str> = name.split(['-', '_', '.']).filter(|part| !part.is_empty()).collect();
    parts.join("-").to_lowercase()
}

/// Go writes the major version into the module's path from 2 on: `…/v2`, and `gopkg.in/yaml.v3`.
fn without_major(path: &str) -> &str {
    let is_major =
        |text: &str| text.len() > 1 && text.starts_with('v') && text.bytes().skip(1).all(|b| b.is_ascii_digit());
    if let Some((rest, last)) = path.rsplit_once('/')
        && is_major(last)
    {
        return rest;
    }
    match path.rsplit_once('.') {
        Some((rest, last)) if path.starts_with("gopkg.in/") && is_major(last) => rest,
        Some(_) | None => path,
    }
}

/// What is no package URL by the parser's rules, at least without what is certainly noise.
fn bare(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    match text.rsplit_once('@') {
        Some((before, version)) if !version.contains('/') && !before.is_empty() => before.to_owned(),
        Some(_) | None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("pkg:pypi/PyYAML@5.3.1?arch=x86#src", "pkg:pypi/pyyaml")]
    #[case("pkg:pypi/zope.interface@5", "pkg:pypi/zope-interface")]
    #[case("pkg:pypi/ruamel_yaml", "pkg:pypi/ruamel-yaml")]
    #[case("pkg:npm/%40babel/core@7.0.0", "pkg:npm/@babel/core")]
    #[case("pkg:npm/@babel/core@7.0.0", "pkg:npm/@babel/core")]
    #[case("pkg:npm/%40babel%2Fcore@7.0.0", "pkg:npm/@babel/core")]
    #[case("pkg:npm/JSONStream@1", "pkg:npm/jsonstream")]
    #[case("pkg:cargo/serde_json@1", "pkg:cargo/serde-json")]
    #[case("pkg:golang/github.com/Masterminds/semver/v3@v3.1.0", "pkg:golang/github.com/masterminds/semver")]
    #[case("pkg:golang/gopkg.in/yaml.v2@2.2.8", "pkg:golang/gopkg.in/yaml")]
    #[case("pkg:golang/golang.org/x/crypto@v0.1#ssh", "pkg:golang/golang.org/x/crypto")]
    #[case("pkg:golang/stdlib@1.22", "pkg:golang/stdlib")]
    #[case("pkg:maven/org.Foo/Bar@1?type=jar&classifier=sources", "pkg:maven/org.Foo/Bar")]
    #[case("pkg:deb/Debian/OpenSSL@1.1?arch=amd64&distro=debian-11", "pkg:deb/debian/openssl")]
    #[case("pkg:rpm/redhat/NetworkManager@1?arch=x86_64&epoch=1", "pkg:rpm/redhat/NetworkManager")]
    #[case("pkg:nuget/Newtonsoft.Json@12", "pkg:nuget/newtonsoft.json")]
    #[case("no purl@1.2?x", "no purl")]
    fn a_package_has_one_spelling(#[case] purl: &str, #[case] expected: &str) {
        assert_eq!(normal(purl), expected);
        assert_eq!(normal(expected), expected, "and that is its own");
    }
}
