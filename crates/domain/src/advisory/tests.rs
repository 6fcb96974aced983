use serde_json::{Value, json};
use watchbell_wire::Severity;
use watchbell_wire::event::Component;

use super::osv::{self, Entry};
use super::{Advisory, Package, observe};

fn advisory(document: Value) -> Advisory {
    match osv::parse(document).unwrap() {
        Entry::Advisory(advisory) => *advisory,
        Entry::Withdrawn { id, .. } => panic!("{id} was withdrawn"),
    }
}

fn of(purl: &str) -> Component {
    Component { name: "component".to_owned(), version: None, purl: Some(purl.to_owned()) }
}

/// Whether an advisory about `ecosystem` and `name` with these events concerns the component.
fn is_hit(purl: &str, ecosystem: &str, name: &str, events: &Value) -> bool {
    let known = advisory(json!({"id": "X-1", "modified": "2026-01-01T00:00:00Z", "affected": [
        {"package": {"ecosystem": ecosystem, "name": name}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}]}));
    !observe(&of(purl), [&known]).is_empty()
}

#[test]
fn components_are_named_as_advisories_name_them() {
    let named = |purl: &str| {
        let package = Package::of(&of(purl))?;
        Some((package.ecosystem, package.release, package.name, package.version))
    };
    let is = |purl: &str, ecosystem: &str, release: Option<&str>, name: &str, version: &str| {
        let expected = (ecosystem.to_owned(), release.map(str::to_owned), name.to_owned(), version.to_owned());
        assert_eq!(named(purl), Some(expected), "{purl}");
    };
    is("pkg:cargo/rsa@0.9.6", "crates.io", None, "rsa", "0.9.6");
    is("pkg:npm/%40babel/traverse@7.1.0", "npm", None, "@babel/traverse", "7.1.0");
    is("pkg:golang/github.com/gin-gonic/gin@v1.9.0", "Go", None, "github.com/gin-gonic/gin", "v1.9.0");
    is("pkg:pypi/Foo_.bar@1.0", "PyPI", None, "foo-bar", "1.0");
    is("pkg:maven/org.example/jar@1", "Maven", None, "org.example:jar", "1");
    is("pkg:nuget/Newtonsoft.Json@12.0.1", "NuGet", None, "newtonsoft.json", "12.0.1");
    let deb = "pkg:deb/debian/libssl3@3.0.9-1?arch=amd64&distro=debian-12&upstream=openssl%403.0.9";
    is(deb, "Debian", Some("12"), "openssl", "3.0.9-1");
    is("pkg:apk/alpine/zlib@1.2.11-r1?distro=alpine-3.10.9", "Alpine", Some("v3.10"), "zlib", "1.2.11-r1");
    is("pkg:deb/ubuntu/curl@7.81.0-1?distro=ubuntu-22.04", "Ubuntu", Some("22.04"), "curl", "7.81.0-1");
    assert_eq!(named("pkg:npm/lodash"), None, "without a version");
    assert_eq!(named("pkg:generic/openssl@1"), None);
    assert_eq!(named("pkg:deb/devuan/curl@1"), None);
}

#[test]
fn ranges_begin_end_and_begin_again() {
    let events = json!([{"introduced": "0"}, {"fixed": "1.2.0"}, {"introduced": "2.0.0"}, {"last_affected": "2.3.0"}]);
    let hit = |version: &str| is_hit(&format!("pkg:npm/a@{version}"), "npm", "a", &events);
    let hits: Vec<bool> =
        ["0.0.1", "1.1.9", "1.2.0-rc.1", "1.2.0", "1.9.0", "2.0.0", "2.3.0", "2.3.1"].map(hit).to_vec();
    assert_eq!(hits, [true, true, true, false, false, true, true, false]);
    let backwards = json!([{"fixed": "1.2.0"}, {"introduced": "1.0.0"}]);
    assert!(is_hit("pkg:npm/a@1.1.0", "npm", "a", &backwards), "the order of events plays no part");
    assert!(!is_hit("pkg:npm/a@0.9.0", "npm", "a", &backwards));
    let limited = json!([{"introduced": "0"}, {"limit": "3.0.0"}]);
    assert!(is_hit("pkg:npm/a@2.9.0", "npm", "a", &limited));
    assert!(!is_hit("pkg:npm/a@3.0.0", "npm", "a", &limited));
    assert!(!is_hit("pkg:npm/a@latest", "npm", "a", &json!([{"introduced": "0"}])), "that is no version");
}

#[test]
fn distributions_are_matched_in_their_release_alone() {
    let events = json!([{"introduced": "0"}, {"fixed": "3.0.11-1~deb12u2"}]);
    let hit = |purl: &str| is_hit(purl, "Debian:12", "openssl", &events);
    assert!(hit("pkg:deb/debian/openssl@3.0.9-1?distro=debian-12"));
    assert!(!hit("pkg:deb/debian/openssl@3.0.11-1~deb12u2?distro=debian-12"));
    assert!(!hit("pkg:deb/debian/openssl@1.1.1n-0?distro=debian-11"));
    assert!(!hit("pkg:deb/debian/openssl@3.0.9-1"), "which release it is, is not known");
    let lts = json!([{"introduced": "0"}]);
    assert!(is_hit("pkg:deb/ubuntu/curl@7.81.0-1?distro=ubuntu-22.04", "Ubuntu:22.04:LTS", "curl", &lts));
}

#[test]
fn listed_versions_count_where_no_order_is_known() {
    let known = advisory(json!({"id": "HSEC-1", "modified": "2026-01-01T00:00:00Z", "affected": [
        {"package": {"ecosystem": "Hackage", "name": "aeson"}, "versions": ["1.0"],
         "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]}]}));
    assert_eq!(observe(&of("pkg:hackage/aeson@1.0"), [&known]).len(), 1);
    assert_eq!(observe(&of("pkg:hackage/aeson@1.1"), [&known]).len(), 0);
}

#[test]
fn an_observation_has_names_severity_and_fixes() {
    let known = advisory(json!({"id": "GHSA-8q59-q68h-6hv4", "modified": "2026-01-01T00:00:00Z",
        "aliases": ["CVE-2020-14343", "PYSEC-2021-142"], "summary": "Code execution", "details": "All of it",
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
        "database_specific": {"severity": "LOW", "cwe_ids": ["CWE-20"]},
        "references": [{"type": "WEB", "url": "https://example.com/w"}, {"type": "ADVISORY", "url": "https://example.com/a"}],
        "affected": [{"package": {"ecosystem": "PyPI", "name": "PyYAML"}, "ranges": [
            {"type": "GIT", "repo": "x", "events": [{"introduced": "0"}]},
            {"type": "ECOSYSTEM", "events": [{"introduced": "5.1"}, {"fixed": "5.4"}]},
            {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.9"}]}]}]}));
    let found = observe(&of("pkg:pypi/pyyaml@5.3.1"), [&known]);
    let [observation] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!(observation.cve_id.as_deref(), Some("CVE-2020-14343"));
    assert_eq!(observation.aliases, ["GHSA-8q59-q68h-6hv4", "PYSEC-2021-142"]);
    assert_eq!((observation.severity, observation.cvss_score), (Severity::Critical, Some(9.8)));
    assert_eq!(observation.fixed_in, ["5.4"], "older fixes are of no use");
    assert_eq!(observation.cwes, ["CWE-20"]);
    assert_eq!(observation.url.as_deref(), Some("https://example.com/a"));
}

#[test]
fn two_advisories_of_one_vulnerability_make_one_observation() {
    let document = |id: &str, aliases: Value, severity: Value| {
        json!({"id": id, "modified": "2026-01-01T00:00:00Z", "aliases": aliases, "severity": severity, "affected": [
            {"package": {"ecosystem": "PyPI", "name": "pyyaml"}, "versions": ["5.3.1"]}]})
    };
    let scored = json!([{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]);
    let first = advisory(document("PYSEC-2021-142", json!(["CVE-2020-14343"]), json!([])));
    let second = advisory(document("GHSA-8q59-q68h-6hv4", json!(["CVE-2020-14343"]), scored));
    for both in [[&first, &second], [&second, &first]] {
        let found = observe(&of("pkg:pypi/pyyaml@5.3.1"), both);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].severity, Severity::Critical);
        let mut names = found[0].aliases.clone();
        names.sort();
        assert_eq!(names, ["GHSA-8q59-q68h-6hv4", "PYSEC-2021-142"]);
    }
}

#[test]
fn documents_may_be_withdrawn_or_unfit() {
    let gone = osv::parse(json!({"id": "A", "modified": "2026-01-02T00:00:00Z", "withdrawn": "2026-01-02T00:00:00Z"}));
    assert!(matches!(gone, Ok(Entry::Withdrawn { ref id, .. }) if id == "A"));
    assert!(osv::parse(json!({"modified": "2026-01-02T00:00:00Z"})).is_err());
    assert!(osv::parse(json!({"id": "A"})).is_err());
    assert!(osv::parse(json!([1])).is_err());
    let odd =
        advisory(json!({"id": "A", "modified": "2026-01-02T00:00:00Z", "affected": [7, {"package": {"name": "x"}}]}));
    assert!(odd.affected.is_empty());
}
