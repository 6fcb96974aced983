//! Packages: from what a tool calls an ecosystem and a package to a package URL, so that all tools name it alike.

use std::borrow::Cow;
use std::str::FromStr;

use packageurl::PackageUrl;
use watchbell_wire::event::Component;

use super::lenient::limit_text;
use super::limit;

/// Where a package comes from: the type of its package URL and, for distributions, the namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ecosystem {
    /// `None` when the word is not known: a package of it is told by its name alone.
    kind: Option<&'static str>,
    namespace: Option<String>,
}

impl Ecosystem {
    /// From any tool's word for it: `PyPI`, `pip`, `Debian:12`, `golangmodules`.
    pub(super) fn of(word: &str) -> Self {
        let lower = word.trim().to_ascii_lowercase();
        // OSV adds the release: `Alpine:v3.18`.
        let word = lower.split(':').next().unwrap_or_default();
        let kind = match word {
            "pypi" | "pip" | "pip-compile" | "pipenv" | "poetry" | "uv" | "python" | "python-pkg" => "pypi",
            "npm" | "yarn" | "pnpm" | "bun" | "node-pkg" | "javascript" | "js" => "npm",
            "maven" | "jar" | "pom" | "gradle" | "sbt" | "java" | "java-archive" => "maven",
            "go" | "golang" | "gomod" | "gobinary" | "gomodules" | "golangdep" | "govendor" | "go-module" => "golang",
            "cargo" | "crates.io" | "rust" | "rustbinary" | "rust-binary" | "rust-crate" => "cargo",
            "gem" | "rubygems" | "bundler" | "gemspec" | "ruby" => "gem",
            "nuget" | "dotnet-core" | "packages-props" | "dotnet" | "paket" => "nuget",
            "composer" | "packagist" | "composer-vendor" | "php" | "php-composer" => "composer",
            "hex" | "mix" | "erlang" | "elixir" => "hex",
            "pub" | "dart" => "pub",
            "cocoapods" | "pod" => "cocoapods",
            "swift" | "swifturl" => "swift",
            "conan" | "conancenter" => "conan",
            "cran" | "r-package" => "cran",
            "github" | "actions" | "github actions" | "github-action" => "github",
            "deb" | "debian" | "ubuntu" => "deb",
            "apk" | "alpine" | "wolfi" | "chainguard" => "apk",
            "rpm" | "redhat" | "red hat" | "rhel" | "centos" | "rocky" | "rocky linux" | "alma" | "almalinux"
            | "amazon" | "oracle" | "fedora" | "photon" | "mageia" | "azurelinux" | "cbl-mariner" => "rpm",
            suse if suse.contains("suse") => "rpm",
            _ => return Self { kind: None, namespace: None },
        };
        let is_distribution = matches!(kind, "deb" | "apk" | "rpm") && !matches!(word, "deb" | "apk" | "rpm");
        let namespace = is_distribution.then(|| match word {
            "red hat" | "rhel" => "redhat".to_owned(),
            other => other.replace(' ', "-"),
        });
        Self { kind: Some(kind), namespace }
    }

    /// A package of it.
    pub(super) fn component(&self, name: &str, version: Option<&str>) -> Component {
        let name = limit_text(name, limit::NAME_MAX);
        let version = version.map(|text| limit_text(text, limit::NAME_MAX)).filter(|text| !text.is_empty());
        let purl = self.purl(&name, version.as_deref()).map(|purl| limit_text(&purl, limit::PATH_MAX));
        Component { name, version, purl }
    }

    fn purl(&self, name: &str, version: Option<&str>) -> Option<String> {
        let kind = self.kind?;
        let (namespace, own) = match kind {
            "maven" => name.split_once(':').or_else(|| name.rsplit_once('/')).unzip(),
            "npm" | "composer" | "golang" | "swift" | "github" => name.rsplit_once('/').unzip(),
            // Snyk writes `source/binary`.
            "deb" | "apk" | "rpm" => (None, name.rsplit_once('/').map(|(_, binary)| binary)),
            _ => (None, None),
        };
        let namespace = self.namespace.as_deref().or(namespace);
        let own = own.unwrap_or(name);
        let own = if kind == "pypi" { python_name(own) } else { Cow::Borrowed(own) };
        let mut purl = PackageUrl::new(kind, own).ok()?;
        if let Some(namespace) = namespace.filter(|namespace| !namespace.is_empty()) {
            purl.with_namespace(namespace).ok()?;
        }
        if let Some(version) = version {
            purl.with_version(version).ok()?;
        }
        Some(purl.to_string())
    }
}

/// A package that its tool gives a package URL. What that tells is believed where the tool is silent.
pub(super) fn component(purl: Option<&str>, name: Option<&str>, version: Option<&str>) -> Option<Component> {
    let purl = purl.map(|text| limit_text(text, limit::PATH_MAX)).filter(|text| text.starts_with("pkg:"));
    let parsed = purl.as_deref().and_then(|text| PackageUrl::from_str(text).ok());
    let told = || parsed.as_ref().map(shown_name);
    let name = name.map(str::to_owned).or_else(told)?;
    let version = version.or_else(|| parsed.as_ref()?.version());
    Some(Component {
        name: limit_text(&name, limit::NAME_MAX),
        version: version.map(|text| limit_text(text, limit::NAME_MAX)).filter(|text| !text.is_empty()),
        purl: parsed.as_ref().and_then(normal).or(purl),
    })
}

/// With Python's names in the form that all spellings share; `None` when nothing is to do.
fn normal(purl: &PackageUrl<'_>) -> Option<String> {
    let name = python_name(purl.name());
    if purl.ty() != "pypi" || name == purl.name() {
        return None;
    }
    let mut changed = PackageUrl::new("pypi", name).ok()?;
    if let Some(version) = purl.version() {
        changed.with_version(version).ok()?;
    }
    Some(changed.to_string())
}

/// The name that people of its ecosystem write.
fn shown_name(purl: &PackageUrl<'_>) -> String {
    let joint = if purl.ty() == "maven" { ':' } else { '/' };
    match purl.namespace().filter(|_| !matches!(purl.ty(), "deb" | "apk" | "rpm")) {
        Some(namespace) => format!("{namespace}{joint}{}", purl.name()),
        None => purl.name().to_owned(),
    }
}

/// PyPA's normalised name: lower case, runs of `-`, `_` and `.` are one `-`.
fn python_name(name: &str) -> Cow<'_, str> {
    let words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
    let normal = words.collect::<Vec<_>>().join("-").to_ascii_lowercase();
    if normal == name || normal.is_empty() { Cow::Borrowed(name) } else { Cow::Owned(normal) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("PyPI", "Zope.Interface__x", Some("5.0"), "pkg:pypi/zope-interface-x@5.0")]
    #[case("npm", "@scope/pkg", Some("1.0.0"), "pkg:npm/%40scope/pkg@1.0.0")]
    #[case("maven", "org.example:jar", Some("3"), "pkg:maven/org.example/jar@3")]
    #[case("jar", "org.example:jar", None, "pkg:maven/org.example/jar")]
    #[case("Go", "golang.org/x/net", Some("v0.1.0"), "pkg:golang/golang.org/x/net@v0.1.0")]
    #[case("crates.io", "arc-swap", Some("0.4.7"), "pkg:cargo/arc-swap@0.4.7")]
    #[case("Packagist", "guzzlehttp/psr7", Some("1.6.1"), "pkg:composer/guzzlehttp/psr7@1.6.1")]
    #[case("Debian:12", "apt", Some("1.8.2.3"), "pkg:deb/debian/apt@1.8.2.3")]
    #[case("Alpine:v3.18", "musl", None, "pkg:apk/alpine/musl")]
    #[case("rhel", "bash", Some("5.1-6.el9"), "pkg:rpm/redhat/bash@5.1-6.el9")]
    #[case("openSUSE Leap", "bash", None, "pkg:rpm/opensuse-leap/bash")]
    #[case("deb", "apt/libapt-pkg5.0", None, "pkg:deb/libapt-pkg5.0")]
    fn packages_have_one_url(
        #[case] word: &str,
        #[case] name: &str,
        #[case] version: Option<&str>,
        #[case] expected: &str,
    ) {
        assert_eq!(Ecosystem::of(word).component(name, version).purl.as_deref(), Some(expected));
    }

    #[test]
    fn what_is_not_known_has_a_name_and_no_url() {
        let component = Ecosystem::of("something").component("x", Some("1"));
        assert_eq!((component.name.as_str(), component.purl), ("x", None));
    }

    #[test]
    fn a_url_tells_what_its_tool_does_not() {
        let told = component(Some("pkg:maven/org.example/jar@3"), None, None).unwrap();
        assert_eq!((told.name.as_str(), told.version.as_deref()), ("org.example:jar", Some("3")));
        let spelled = component(Some("pkg:pypi/zope.interface@5"), Some("zope.interface"), None).unwrap();
        assert_eq!(spelled.purl.as_deref(), Some("pkg:pypi/zope-interface@5"));
        assert_eq!(component(None, None, Some("1")), None);
        assert_eq!(component(Some("no purl"), Some("x"), None).unwrap().purl, None);
    }
}
