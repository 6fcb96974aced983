use watchbell_wire::event::Component;

use super::*;

fn component(cve: Option<&str>, aliases: &[&str], purl: &str) -> Observation {
    Observation {
        rule_id: "PYSEC-2021-142".to_owned(),
        cve_id: cve.map(str::to_owned),
        aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
        component: Some(Component { name: "PyYAML".to_owned(), version: None, purl: Some(purl.to_owned()) }),
        ..Observation::default()
    }
}

fn code(location: &str, fingerprint: &str) -> Observation {
    Observation {
        tool: "bandit".to_owned(),
        rule_id: "B602".to_owned(),
        location: Some(location.to_owned()),
        fingerprint: Some(fingerprint.to_owned()),
        ..Observation::default()
    }
}

#[test]
fn a_component_is_labelled_by_its_best_name_and_its_package() {
    let purl = "pkg:pypi/pyyaml@5.3.1?arch=x86#src";
    let ghsa = &["GHSA-8q59-q68h-6hv4"];
    let by_cve = component(Some("CVE-2020-14343"), ghsa, purl);
    assert_eq!(label(&by_cve, 1), "component|CVE-2020-14343|pkg:pypi/pyyaml");
    assert_eq!(label(&by_cve, 2), "component|CVE-2020-14343|pkg:pypi/pyyaml#2");
    assert_eq!(label(&component(None, ghsa, purl), 1), "component|GHSA-8q59-q68h-6hv4|pkg:pypi/pyyaml");
    assert_eq!(label(&component(None, &[], purl), 1), "component|PYSEC-2021-142|pkg:pypi/pyyaml");
    assert_eq!((number_in(&label(&by_cve, 7)), number_in(&label(&by_cve, 1))), (7, 1));
    assert_eq!(name_in(&label(&by_cve, 2)), "CVE-2020-14343");
    assert_eq!(name_in(&label(&code("a.py:1", "snippet:0"), 2)), "B602");
}

#[test]
fn another_tool_sees_the_same_component_but_its_own_code() {
    let other = |observation: &Observation| Observation { tool: "other".to_owned(), ..observation.clone() };
    let in_component = component(Some("CVE-2020-14343"), &[], "pkg:pypi/pyyaml@5.3.1");
    assert_eq!(place(&in_component), place(&other(&in_component)));
    let in_code = code("shop.py:3", "snippet:00");
    assert_ne!(place(&in_code), place(&other(&in_code)));
}

#[test]
fn lines_play_no_part_and_files_do_unless_the_tool_says_who_is_who() {
    assert_eq!(place(&code("shop.py:3", "snippet:00")), place(&code("shop.py:99", "snippet:00")));
    assert_ne!(place(&code("shop.py:3", "snippet:00")), place(&code("other.py:3", "snippet:00")));
    assert_ne!(place(&code("shop.py:3", "partial:00")), place(&code("other.py:3", "partial:00")));
    assert_eq!(place(&code("shop.py:3", "full:00")), place(&code("other.py:3", "full:00")));
}

#[test]
fn only_what_the_code_says_roams() {
    assert_eq!(roaming(&code("a.py:3", "snippet:00")), roaming(&code("b.py:9", "snippet:00")));
    assert!(roaming(&code("a.py:3", "partial:00")).is_some());
    assert_eq!(roaming(&code("a.py:3", "message:00")), None);
    assert_eq!(roaming(&component(None, &[], "pkg:pypi/a")), None);
}

#[test]
fn a_resource_is_its_address_and_rule() {
    let at = |tool: &str| Observation {
        tool: tool.to_owned(),
        rule_id: "AVD-AWS-0088".to_owned(),
        location: Some("aws_s3_bucket.invoices:8080".to_owned()),
        ..Observation::default()
    };
    assert_eq!(label(&at("a"), 1), "resource|AVD-AWS-0088|aws_s3_bucket.invoices:8080");
    assert_eq!((place(&at("a")), names(&at("a"))), (place(&at("b")), names(&at("b"))));
}

#[test]
fn parts_do_not_run_into_each_other() {
    assert_ne!(place(&code("a|b", "snippet:0")), place(&code("a", "b|snippet:0")));
    assert_ne!(place(&code("a#2", "snippet:0")), place(&code("a%232", "snippet:0")));
}

#[test]
fn a_long_place_is_cut_and_still_its_own() {
    let long = |end: &str| place(&code(&format!("{}{end}", "ä".repeat(2_000)), "snippet:00"));
    assert_eq!(long("x").len(), long("y").len());
    assert!(long("x").len() <= BYTES_MAX);
    assert_ne!(long("x"), long("y"));
}
