//! Bills of materials, and what is said of vulnerabilities. The documents are written by hand from the specifications.

use serde_json::{Value, json};
use watchbell_domain::scan::{self, Report, ReportError, VexStatus};
use watchbell_wire::Severity;

fn read(text: &str) -> Report {
    scan::read(text.as_bytes(), None).expect("a report that can be read")
}

fn read_json(report: &Value) -> Report {
    read(&report.to_string())
}

const VDR_XML: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- a comment -->
<c:bom xmlns:c="http://cyclonedx.org/schema/bom/1.5" serialNumber="urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79">
  <c:metadata><c:tools><c:components><c:component type="application"><c:name>Audit</c:name></c:component></c:components></c:tools>
    <c:component type="application" bom-ref="shop"><c:name>shop</c:name></c:component></c:metadata>
  <c:components>
    <c:component type="library" bom-ref="outer"><c:group>org.example</c:group><c:name>outer</c:name><c:version>1.0</c:version>
      <c:licenses><c:license><c:name>never <![CDATA[<read>]]></c:name></c:license></c:licenses>
      <c:purl>pkg:maven/org.example/outer@1.0</c:purl>
      <c:components><c:component type="library" bom-ref="inner"><c:name>inner</c:name><c:version>2</c:version></c:component></c:components>
    </c:component>
  </c:components>
  <c:vulnerabilities>
    <c:vulnerability bom-ref="v1">
      <c:id>GHSA-aaaa-bbbb-cccc</c:id>
      <c:source><c:name>GitHub</c:name><c:url>https://example.com/a?b=1&amp;c=2</c:url></c:source>
      <c:references><c:reference><c:id>CVE-2026-0001</c:id></c:reference></c:references>
      <c:ratings><c:rating><c:score>9.8</c:score><c:severity>critical</c:severity><c:method>CVSSv31</c:method></c:rating></c:ratings>
      <c:cwes><c:cwe>79</c:cwe><c:cwe>502</c:cwe></c:cwes>
      <c:description>Less &lt; more &#38; so on</c:description>
      <c:affects><c:target><c:ref>outer</c:ref><c:versions><c:version><c:range>vers:maven/&lt;1.1</c:range></c:version><c:version><c:version>1.1</c:version><c:status>unaffected</c:status></c:version>
        </c:versions></c:target><c:target><c:ref>inner</c:ref></c:target></c:affects>
    </c:vulnerability>
    <c:vulnerability><c:id>CVE-2026-0002</c:id>
      <c:analysis><c:state>not_affected</c:state><c:justification>code_not_reachable</c:justification><c:detail>never called</c:detail></c:analysis>
      <c:affects><c:target><c:ref>inner</c:ref></c:target></c:affects></c:vulnerability>
    <c:vulnerability><c:id>CVE-2026-0003</c:id><c:analysis><c:state>resolved</c:state></c:analysis>
      <c:affects><c:target><c:ref>inner</c:ref></c:target></c:affects></c:vulnerability>
    <c:vulnerability><c:id>CVE-2026-0004</c:id><c:analysis><c:state>exploitable</c:state></c:analysis>
      <c:affects><c:target><c:ref>inner</c:ref></c:target></c:affects></c:vulnerability>
  </c:vulnerabilities>
</c:bom>"#;

#[test]
fn cyclonedx_in_xml_says_what_it_says_in_json() {
    let report = read(VDR_XML);
    assert_eq!(report.format.as_str(), "cyclonedx_xml");
    assert_eq!(report.components, Some(2));
    let listed: Vec<_> = report.inventory.iter().map(|component| component.name.as_str()).collect();
    assert_eq!(listed, ["org.example:outer", "inner"]);
    assert_eq!(report.tools.iter().map(String::as_str).collect::<Vec<_>>(), ["audit"]);
    let stated: Vec<_> = report.statements.iter().map(|one| one.status).collect();
    assert_eq!(stated, [VexStatus::NotAffected, VexStatus::Fixed, VexStatus::Affected]);
    assert_eq!(report.skipped, 0);
    let [first, second, third, fourth] = report.observations.as_slice() else { panic!("{report:#?}") };
    assert_eq!(first.cve_id.as_deref(), Some("CVE-2026-0001"));
    assert_eq!(first.aliases, ["GHSA-aaaa-bbbb-cccc"]);
    assert_eq!((first.severity, first.cvss_score), (Severity::Critical, Some(9.8)));
    assert_eq!(first.cwes, ["CWE-502", "CWE-79"]);
    assert_eq!(first.description, "Less < more & so on");
    assert_eq!(first.url.as_deref(), Some("https://example.com/a?b=1&c=2"));
    assert_eq!(first.fixed_in, ["1.1"]);
    let purl = first.component.as_ref().and_then(|component| component.purl.as_deref());
    assert_eq!(purl, Some("pkg:maven/org.example/outer@1.0"));
    assert_eq!(second.component.as_ref().map(|component| component.name.as_str()), Some("inner"));
    assert!(third.suppressed);
    assert_eq!(third.suppression_reason.as_deref(), Some("code_not_reachable: never called"));
    assert_eq!((fourth.cve_id.as_deref(), fourth.suppressed), (Some("CVE-2026-0004"), false));
}

#[test]
fn broken_xml_is_told_with_its_place() {
    let cut = VDR_XML.split("<c:vulnerabilities>").next().unwrap();
    let error = scan::read(cut.as_bytes(), None).unwrap_err();
    assert!(matches!(error, ReportError::NotXml { .. }), "{error}");
    let wrong = VDR_XML.replace("</c:affects></c:vulnerability>\n    <c:vulnerability><c:id>CVE-2026-0003", "</c:x>");
    let error = scan::read(wrong.as_bytes(), None).unwrap_err();
    let ReportError::NotXml { line, .. } = &error else { panic!("{error}") };
    assert!(*line > 20, "{error}");
    let deep = format!("<bom xmlns=\"http://cyclonedx.org/schema/bom/1.5\">{}", "<components>".repeat(200));
    assert!(matches!(scan::read(deep.as_bytes(), None), Err(ReportError::TooDeep { .. })));
}

#[test]
fn entities_of_a_document_are_not_expanded() {
    let bomb = VDR_XML.replace("<!-- a comment -->", "<!DOCTYPE bom [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]>");
    let report = read(&bomb.replace("Less &lt; more", "Less &b; more"));
    assert_eq!(report.observations[0].description, "Less &b; more & so on");
}

#[test]
fn vex_without_components_makes_statements_and_takes_nothing_as_gone() {
    let report = read_json(&json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "vulnerabilities": [
        {"id": "CVE-2026-0002", "analysis": {"state": "false_positive", "detail": "another product",
            "lastUpdated": "2026-03-02T00:00:00Z"},
         "affects": [{"ref": "urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/1#pkg:npm/lodash@4.17.20"}]},
        {"id": "CVE-2026-0001", "references": [{"id": "GHSA-aaaa-bbbb-cccc"}],
         "analysis": {"state": "in_triage", "firstIssued": "2026-03-01T00:00:00Z"}},
        {"id": "CVE-2026-0009", "affects": [{"ref": "pkg:npm/lodash@4.17.20"}]},
    ]}));
    assert!(report.scope.is_empty());
    let [first, second] = report.statements.as_slice() else { panic!("{report:#?}") };
    assert_eq!(first.names, ["CVE-2026-0001", "GHSA-aaaa-bbbb-cccc"], "the older comes first");
    assert_eq!((first.status, first.products.as_slice()), (VexStatus::UnderInvestigation, &[] as &[String]));
    assert_eq!(second.status, VexStatus::FalsePositive);
    assert_eq!(second.justification, "another product");
    assert_eq!(second.products, ["pkg:npm/lodash@4.17.20"]);
    // Without an analysis it is what a scanner saw.
    assert_eq!(report.observations.len(), 1);
}

#[test]
fn openvex_states_what_holds_of_products_or_components_in_them() {
    let report = read_json(
        &json!({"@context": "https://openvex.dev/ns/v0.2.0", "@id": "x", "timestamp": "2026-03-01T00:00:00Z",
        "statements": [
            {"vulnerability": {"name": "cve-2026-0001", "aliases": ["GHSA-aaaa-bbbb-cccc"]}, "status": "not_affected",
             "justification": "vulnerable_code_not_present", "impact_statement": "built without it",
             "products": [{"@id": "pkg:oci/shop@sha256:00", "subcomponents": [{"@id": "pkg:apk/alpine/zlib@1.2.11-r1"}]},
                          {"@id": "shop", "identifiers": {"purl": "pkg:npm/shop@1.0.0"}}]},
            {"vulnerability": "CVE-2026-0002", "status": "fixed", "products": ["pkg:npm/lodash@4.17.21"],
             "timestamp": "2026-02-01T00:00:00Z"},
            {"vulnerability": {"@id": "https://nvd.nist.gov/vuln/detail/CVE-2026-0003"}, "status": "affected"},
            {"vulnerability": {"name": "CVE-2026-0004"}, "status": "who knows", "products": []},
            {"vulnerability": {"name": "CVE-2026-0005"}, "status": "under_investigation", "products": ["shop"]},
        ]}),
    );
    assert_eq!((report.observations.len(), report.skipped), (0, 1));
    assert!(report.scope.is_empty());
    let told: Vec<_> = report
        .statements
        .iter()
        .map(|one| (one.names[0].as_str(), one.status, one.products.iter().map(String::as_str).collect::<Vec<_>>()))
        .collect();
    assert_eq!(
        told,
        [
            ("CVE-2026-0002", VexStatus::Fixed, vec!["pkg:npm/lodash@4.17.21"]),
            ("CVE-2026-0001", VexStatus::NotAffected, vec!["pkg:apk/alpine/zlib@1.2.11-r1", "pkg:npm/shop@1.0.0"]),
            ("CVE-2026-0003", VexStatus::Affected, vec![]),
            ("CVE-2026-0005", VexStatus::UnderInvestigation, vec![]),
        ]
    );
    assert_eq!(report.statements[1].justification, "vulnerable_code_not_present: built without it");
    assert_eq!(report.statements[1].names, ["CVE-2026-0001", "GHSA-aaaa-bbbb-cccc"]);
}

const TAG_VALUE: &str = "\
# written by hand
SPDXVersion: SPDX-2.3
Creator: Organization: Example
Creator: Tool: syft-1.50.0
DocumentComment: <text>PackageName: not this
one</text>

PackageName: zlib
SPDXID: SPDXRef-1
PackageVersion: 1.2.11-r1
PackageComment: <text>over
several lines: of it</text>
ExternalRef: PACKAGE-MANAGER purl pkg:apk/alpine/zlib@1.2.11-r1?arch=x86_64
ExternalRef: SECURITY cpe23Type cpe:2.3:a:zlib:zlib:1.2.11-r1:*:*:*:*:*:*:*
ExternalRef: SECURITY advisory https://nvd.nist.gov/vuln/detail/CVE-2018-25032
ExternalRefComment: Memory corruption
ExternalRef: SECURITY fix https://example.com/commit/CVE-2018-25032

PackageName: musl
PackageVersion: NOASSERTION
ExternalRef: SECURITY advisory https://github.com/advisories/GHSA-aaaa-bbbb-cccc

FileName: ./a.c
PackageVersion: of no package
";

#[test]
fn spdx_lists_packages_and_the_advisories_they_refer_to() {
    let tags = read(TAG_VALUE);
    let package =
        |name: &str, version: &str, refs: Value| json!({"name": name, "versionInfo": version, "externalRefs": refs});
    let reference = |category: &str, kind: &str, locator: &str| json!({"referenceCategory": category, "referenceType": kind, "referenceLocator": locator});
    let mut advisory = reference("SECURITY", "advisory", "https://nvd.nist.gov/vuln/detail/CVE-2018-25032");
    advisory["comment"] = json!("Memory corruption");
    let same = read_json(
        &json!({"spdxVersion": "SPDX-2.3", "creationInfo": {"creators": ["Organization: Example", "Tool: syft-1.50.0"]},
        "packages": [
            package("zlib", "1.2.11-r1", json!([
                reference("PACKAGE-MANAGER", "purl", "pkg:apk/alpine/zlib@1.2.11-r1?arch=x86_64"),
                reference("SECURITY", "cpe23Type", "cpe:2.3:a:zlib:zlib:1.2.11-r1:*:*:*:*:*:*:*"),
                advisory, reference("SECURITY", "fix", "https://example.com/commit/CVE-2018-25032")])),
            package("musl", "NOASSERTION", json!([reference("SECURITY", "advisory", "https://github.com/advisories/GHSA-aaaa-bbbb-cccc")])),
        ]}),
    );
    assert_eq!(Report { format: same.format, ..tags.clone() }, same);
    assert_eq!((tags.components, tags.skipped), (Some(2), 0));
    assert_eq!(tags.tools.iter().map(String::as_str).collect::<Vec<_>>(), ["syft"]);
    let [zlib, musl] = tags.observations.as_slice() else { panic!("{tags:#?}") };
    assert_eq!((zlib.cve_id.as_deref(), zlib.description.as_str()), (Some("CVE-2018-25032"), "Memory corruption"));
    assert_eq!(zlib.title, "CVE-2018-25032 in zlib 1.2.11-r1");
    assert_eq!((musl.rule_id.as_str(), musl.title.as_str()), ("GHSA-aaaa-bbbb-cccc", "GHSA-aaaa-bbbb-cccc in musl"));
}

#[test]
fn a_bill_of_materials_without_advisories_takes_nothing_as_gone() {
    let bare = read_json(&json!({"spdxVersion": "SPDX-2.3", "packages": [{"name": "zlib"}, {"versionInfo": "1"}]}));
    assert!(bare.scope.is_empty() && bare.observations.is_empty());
    assert_eq!((bare.components, bare.skipped), (Some(1), 1));
}

/// What syft wrote over `examples/backoffice`, in three formats, against the table that it prints.
#[test]
fn syft_lists_the_same_in_every_format() {
    macro_rules! by_syft {
        ($name:literal) => {
            include_str!(concat!("../../../../examples/backoffice/reports/", $name))
        };
    }
    let rows = by_syft!("syft.txt").lines().skip(1).map(|line| {
        let mut words = line.split_whitespace().map(str::to_owned);
        (words.next().unwrap(), words.next())
    });
    let printed: Vec<(String, Option<String>)> = rows.collect();
    assert_eq!(printed.len(), 7);
    for (document, format) in [
        (by_syft!("syft.cdx.json"), "cyclonedx"),
        (by_syft!("syft.spdx.json"), "spdx_json"),
        (by_syft!("syft.spdx"), "spdx_tag"),
    ] {
        let report = scan::read(document.as_bytes(), None).unwrap();
        assert_eq!(report.format.as_str(), format);
        assert_eq!((report.skipped, report.observations.len()), (0, 0), "{format}");
        assert_eq!(report.tools.iter().map(String::as_str).collect::<Vec<_>>(), ["syft"], "{format}");
        // SPDX names the folder itself as a package.
        let listed = report.inventory.iter().filter(|component| component.name != "backoffice");
        let mut listed: Vec<_> = listed.map(|one| (one.name.clone(), one.version.clone())).collect();
        listed.sort();
        assert_eq!(listed, printed, "{format}");
        let purls = report.inventory.iter().filter_map(|component| component.purl.as_deref());
        assert_eq!(
            purls.filter(|purl| purl.starts_with("pkg:cargo/") || purl.starts_with("pkg:pypi/")).count(),
            7,
            "{format}"
        );
    }
}
