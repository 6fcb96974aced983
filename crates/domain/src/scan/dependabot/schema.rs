//! An alert as REST (`snake_case`) and GraphQL (`camelCase`) write it, in one shape.

use serde::Deserialize;

use crate::scan::lax::{Lax, Many, Number};
use crate::scan::lenient::Raw;

/// A connection of GraphQL.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Alerts<'a> {
    #[serde(borrow)]
    pub(super) nodes: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(super) edges: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(super) page_info: Option<Raw<'a>>,
    pub(super) total_count: Lax<u64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Edge<'a> {
    #[serde(borrow)]
    pub(super) node: Option<Raw<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PageInfo {
    pub(super) has_next_page: Lax<bool>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Repository {
    #[serde(alias = "nameWithOwner")]
    full_name: Lax<String>,
    name: Lax<String>,
}

impl Repository {
    /// `owner/name`, or what is told of it.
    pub(super) fn shown(&self) -> Option<&str> {
        self.full_name.text().or(self.name.text())
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Alert {
    state: Lax<String>,
    #[serde(alias = "dismissedAt")]
    dismissed_at: Lax<String>,
    #[serde(alias = "autoDismissedAt")]
    auto_dismissed_at: Lax<String>,
    #[serde(alias = "fixedAt")]
    fixed_at: Lax<String>,
    pub(super) dependency: Lax<Dependency>,
    #[serde(rename = "security_advisory", alias = "securityAdvisory")]
    pub(super) advisory: Lax<Advisory>,
    #[serde(rename = "security_vulnerability", alias = "securityVulnerability")]
    pub(super) vulnerability: Lax<Vulnerability>,
    #[serde(rename = "vulnerableManifestPath")]
    pub(super) manifest_path: Lax<String>,
    #[serde(rename = "vulnerableRequirements")]
    pub(super) requirements: Lax<String>,
    pub(super) html_url: Lax<String>,
    pub(super) repository: Lax<Repository>,
}

impl Alert {
    /// The state, which a GraphQL query need not ask for, else what its times say.
    fn is_in(&self, states: &[&str], times: &[&Lax<String>]) -> bool {
        match self.state.text() {
            Some(state) => states.iter().any(|known| known.eq_ignore_ascii_case(state)),
            None => times.iter().any(|time| time.text().is_some()),
        }
    }

    pub(super) fn is_fixed(&self) -> bool {
        self.is_in(&["fixed"], &[&self.fixed_at])
    }

    pub(super) fn is_dismissed(&self) -> bool {
        self.is_in(&["dismissed", "auto_dismissed"], &[&self.dismissed_at, &self.auto_dismissed_at])
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Dependency {
    pub(super) package: Lax<Package>,
    pub(super) manifest_path: Lax<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Package {
    pub(super) name: Lax<String>,
    pub(super) ecosystem: Lax<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Vulnerability {
    pub(super) package: Lax<Package>,
    pub(super) severity: Lax<String>,
    #[serde(alias = "firstPatchedVersion")]
    pub(super) first_patched_version: Lax<Patched>,
    /// GraphQL only.
    pub(super) advisory: Lax<Advisory>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Patched {
    pub(super) identifier: Lax<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Advisory {
    #[serde(alias = "ghsaId")]
    pub(super) ghsa_id: Lax<String>,
    pub(super) cve_id: Lax<String>,
    pub(super) summary: Lax<String>,
    pub(super) description: Lax<String>,
    pub(super) severity: Lax<String>,
    pub(super) identifiers: Many<Identifier>,
    pub(super) cvss: Lax<Cvss>,
    #[serde(alias = "cvssSeverities")]
    pub(super) cvss_severities: Lax<Severities>,
    /// REST: a list. GraphQL: a connection, which [`Many`] takes as a list of itself.
    pub(super) cwes: Many<Cwe>,
    pub(super) references: Many<Reference>,
    pub(super) html_url: Lax<String>,
    pub(super) permalink: Lax<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Identifier {
    pub(super) value: Lax<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Severities {
    #[serde(rename = "cvss_v3", alias = "cvssV3")]
    pub(super) v3: Lax<Cvss>,
    #[serde(rename = "cvss_v4", alias = "cvssV4")]
    pub(super) v4: Lax<Cvss>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Cvss {
    #[serde(rename = "vector_string", alias = "vectorString")]
    pub(super) vector: Lax<String>,
    pub(super) score: Lax<Number>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Cwe {
    #[serde(rename = "cwe_id", alias = "cweId")]
    pub(super) id: Lax<String>,
    pub(super) nodes: Many<CweNode>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct CweNode {
    #[serde(rename = "cweId")]
    pub(super) id: Lax<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Reference {
    pub(super) url: Lax<String>,
}
