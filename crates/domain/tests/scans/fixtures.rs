//! A report of each format: those that their tools wrote over `examples/backoffice`, and those by hand in `reports/`.

use watchbell_domain::scan::{self, Report};

macro_rules! by_tool {
    ($name:literal) => {
        ($name, include_bytes!(concat!("../../../../examples/backoffice/reports/", $name)))
    };
}

macro_rules! by_hand {
    ($name:literal) => {
        ($name, include_bytes!(concat!("reports/", $name)))
    };
}

/// Every report, by file.
pub(crate) const REPORTS: &[(&str, &[u8])] = &[
    by_tool!("bandit.json"),
    by_tool!("cargo-audit.json"),
    by_tool!("checkov.json"),
    by_tool!("detect-secrets.json"),
    by_tool!("npm-audit.json"),
    by_tool!("pip-audit.json"),
    by_tool!("semgrep.json"),
    by_hand!("bearer-scan.json"),
    by_hand!("dependabot-graphql.json"),
    by_hand!("dependabot.json"),
    by_hand!("dependency-check.json"),
    by_hand!("dependency-check.xml"),
    by_hand!("grype.json"),
    by_hand!("npm-audit-v1.json"),
    by_hand!("osv-scanner.json"),
    by_hand!("snyk-all-projects.json"),
    by_hand!("snyk-iac.json"),
    by_hand!("snyk.json"),
    by_hand!("trivy-k8s.json"),
    by_hand!("trivy.json"),
];

/// A report's bytes.
pub(crate) fn bytes(name: &str) -> &'static [u8] {
    REPORTS.iter().find(|(known, _)| *known == name).expect("such a report").1
}

/// A report, read.
pub(crate) fn report(name: &str) -> Report {
    scan::read(bytes(name), None).expect("a report that can be read")
}
