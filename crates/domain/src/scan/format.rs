//! The formats that are understood: one line each, from what tells it to what reads it.
//!
//! A format is told by its content, never by a file name or media type. The signs are tried in the order of the table and
//! the first that holds decides, so a format whose signs are weak stands below those whose signs are strong.

use super::error::ReportError;
use super::lenient::limit_text;
use super::outline::Outline;
use super::{
    Report, bandit, bearer_scan, cargo_audit, checkov, cyclonedx, dependabot, dependency_check, detect_secrets, grype,
    limit, npm_audit, openvex, osv_scanner, pip_audit, sarif, semgrep, signs, snyk, spdx, trivy,
};

/// Whether a document is in a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sight {
    /// It is not.
    No,
    /// It is.
    Yes,
    /// It would be, but for this.
    Near(String),
}

impl From<bool> for Sight {
    fn from(is_it: bool) -> Self {
        if is_it { Self::Yes } else { Self::No }
    }
}

/// Reads a document that is in the format. The second argument is the tool's name as the caller gave it.
type Reader = fn(&str, Option<&str>) -> Result<Report, ReportError>;

macro_rules! formats {
    ($($variant:ident, $name:literal, $described:literal, $sign:path, $read:path;)*) => {
        /// The formats that [`super::read`] understands.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ReportFormat {
            $(#[doc = concat!($described, ".")] $variant,)*
        }

        impl ReportFormat {
            /// Every format.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// `sarif`, `trivy`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// For people: `SARIF 2.1.0`.
            pub const fn described(self) -> &'static str {
                match self {
                    $(Self::$variant => $described,)*
                }
            }

            fn sight(self, outline: &Outline<'_>) -> Sight {
                match self {
                    $(Self::$variant => $sign(outline).into(),)*
                }
            }

            /// What reads it.
            pub(super) fn reader(self) -> Reader {
                match self {
                    $(Self::$variant => $read,)*
                }
            }
        }
    };
}

formats! {
    Sarif, "sarif", "SARIF 2.1.0", signs::sarif, sarif::read;
    CycloneDx, "cyclonedx", "CycloneDX JSON", signs::cyclonedx, cyclonedx::read;
    CycloneDxXml, "cyclonedx_xml", "CycloneDX XML", signs::cyclonedx_xml, cyclonedx::read_xml;
    SpdxJson, "spdx_json", "SPDX 2.3 JSON", signs::spdx_json, spdx::read;
    SpdxTag, "spdx_tag", "SPDX 2.3 tag-value", signs::spdx_tag, spdx::tag_value::read;
    OpenVex, "openvex", "OpenVEX", signs::openvex, openvex::read;
    Trivy, "trivy", "Trivy JSON", signs::trivy, trivy::read;
    Grype, "grype", "Grype JSON", signs::grype, grype::read;
    OsvScanner, "osv_scanner", "OSV-Scanner JSON", signs::osv_scanner, osv_scanner::read;
    NpmAudit, "npm_audit", "npm audit JSON", signs::npm_audit, npm_audit::read;
    PipAudit, "pip_audit", "pip-audit JSON", signs::pip_audit, pip_audit::read;
    CargoAudit, "cargo_audit", "cargo-audit JSON", signs::cargo_audit, cargo_audit::read;
    Snyk, "snyk", "Snyk CLI JSON", signs::snyk, snyk::read;
    DependencyCheck, "dependency_check", "Dependency-Check JSON", signs::dependency_check, dependency_check::read_json;
    DependencyCheckXml, "dependency_check_xml", "Dependency-Check XML", signs::dependency_check_xml,
        dependency_check::read_xml;
    Semgrep, "semgrep", "Semgrep JSON", signs::semgrep, semgrep::read;
    Checkov, "checkov", "Checkov JSON", signs::checkov, checkov::read;
    Bandit, "bandit", "Bandit JSON", signs::bandit, bandit::read;
    DetectSecrets, "detect_secrets", "detect-secrets JSON", signs::detect_secrets, detect_secrets::read;
    Dependabot, "dependabot", "Dependabot alerts (REST or GraphQL)", signs::dependabot, dependabot::read;
    BearerScan, "bearer_scan", "scan results with a bearer token", signs::bearer_scan, bearer_scan::read;
}

/// Which format the text is in. Also finds every syntax error in JSON.
pub(super) fn detect(text: &str) -> Result<ReportFormat, ReportError> {
    let outline = Outline::of(text)?;
    let mut near = None;
    for format in ReportFormat::ALL {
        match format.sight(&outline) {
            Sight::Yes => return Ok(*format),
            Sight::Near(but) => near = near.or(Some(but)),
            Sight::No => {}
        }
    }
    let seen = near.unwrap_or_else(|| outline.told());
    Err(ReportError::UnknownFormat { seen: limit_text(&seen, limit::NAME_MAX) })
}

/// What is understood, for people.
pub(super) fn understood() -> String {
    let names: Vec<&str> = ReportFormat::ALL.iter().map(|format| format.described()).collect();
    format!("understood are {}", names.join(", "))
}
