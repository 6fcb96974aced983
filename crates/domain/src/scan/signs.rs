//! What each format is told by. Members that a tool always writes, and as few of them as tell it from the others.

use super::format::Sight;
use super::lenient;
use super::outline::{Members, Outline};
use super::xml::Root;

pub(super) fn sarif(outline: &Outline<'_>) -> Sight {
    let Some(members) = outline.object().filter(|members| members.has(&["runs"])) else {
        return Sight::No;
    };
    match members.get("version").map(lenient::parse::<String>) {
        None => Sight::Yes,
        Some(Some(version)) if version.starts_with("2.1") => Sight::Yes,
        Some(version) => Sight::Near(format!("SARIF with version {:?}, wanted is 2.1.0", version.unwrap_or_default())),
    }
}

pub(super) fn cyclonedx(outline: &Outline<'_>) -> Sight {
    let Some((members, format)) = outline.object().and_then(|it| Some((it, it.get("bomFormat")?))) else {
        return Sight::No;
    };
    let version: String = members.parse("specVersion").unwrap_or_default();
    match lenient::parse::<String>(format).as_deref() {
        Some("CycloneDX") if version.starts_with("1.") => Sight::Yes,
        Some("CycloneDX") => Sight::Near(format!("CycloneDX with specVersion {version:?}, wanted is 1.x")),
        Some(_) | None => Sight::Near("its bomFormat is not \"CycloneDX\"".to_owned()),
    }
}

pub(super) fn cyclonedx_xml(outline: &Outline<'_>) -> Sight {
    let Some(root) = root(outline).filter(|root| root.name == "bom") else {
        return Sight::No;
    };
    match root.namespace.strip_prefix("http://cyclonedx.org/schema/bom/") {
        Some(version) if version.starts_with("1.") => Sight::Yes,
        Some(version) => Sight::Near(format!("CycloneDX XML of version {version:?}, wanted is 1.x")),
        None => Sight::No,
    }
}

pub(super) fn spdx_json(outline: &Outline<'_>) -> Sight {
    let Some(members) = outline.object() else {
        return Sight::No;
    };
    if let Some(version) = members.get("spdxVersion") {
        return spdx_version(&lenient::parse::<String>(version).unwrap_or_default());
    }
    match context(members) {
        Some(context) if context.contains("spdx.org/rdf/") => Sight::Near("SPDX 3, wanted is SPDX 2.x".to_owned()),
        Some(_) | None => Sight::No,
    }
}

pub(super) fn spdx_tag(outline: &Outline<'_>) -> Sight {
    match outline {
        Outline::Tags(line) => spdx_version(line.split_once(':').map_or("", |(_, version)| version).trim()),
        Outline::Object(_) | Outline::Array(_) | Outline::Xml(_) => Sight::No,
    }
}

fn spdx_version(version: &str) -> Sight {
    match version.starts_with("SPDX-2.") {
        true => Sight::Yes,
        false => Sight::Near(format!("SPDX of version {version:?}, wanted is SPDX-2.x")),
    }
}

pub(super) fn openvex(outline: &Outline<'_>) -> bool {
    outline.object().and_then(context).is_some_and(|context| context.contains("openvex.dev/ns"))
}

/// `{"SchemaVersion": 2, "ArtifactName": …, "Results": […]}`, or of a cluster `{"ClusterName": …, "Resources": […]}`.
pub(super) fn trivy(outline: &Outline<'_>) -> Sight {
    // The first version was the bare array of results.
    if outline.first().is_some_and(|first| first.has(&["Target", "Vulnerabilities"])) {
        return Sight::Near("Trivy JSON of schema 1, wanted is SchemaVersion 2 (Trivy 0.20 or later)".to_owned());
    }
    let Some(members) = outline.object() else {
        return Sight::No;
    };
    let is_cluster = members.has(&["ClusterName"])
        && ["Resources", "Vulnerabilities", "Misconfigurations"].iter().any(|name| members.is_array(name));
    let is_artifact = ["ArtifactName", "ArtifactType", "Results"].iter().any(|name| members.has(&[name]));
    match members.parse::<u64>("SchemaVersion") {
        Some(2) => (is_artifact || is_cluster).into(),
        Some(version) if is_artifact => Sight::Near(format!("Trivy JSON of SchemaVersion {version}, wanted is 2")),
        Some(_) | None => is_cluster.into(),
    }
}

pub(super) fn grype(outline: &Outline<'_>) -> bool {
    outline.object().is_some_and(|it| {
        it.is_array("matches") && ["descriptor", "source", "distro"].iter().any(|name| it.has(&[name]))
    })
}

/// `{"results": […]}` with `packages` in its entries. One that found nothing has hardly any sign.
pub(super) fn osv_scanner(outline: &Outline<'_>) -> bool {
    outline.object().is_some_and(|it| {
        let is_marked = it.has(&["experimental_config"]) || it.has(&["experimental_generic_findings"]);
        let is_alone = !it.has(&["errors"]) && it.parse::<Vec<()>>("results").is_some_and(|all| all.is_empty());
        let has_packages = || it.first_of("results").is_some_and(|first| first.has(&["packages"]));
        it.has(&["results"]) && !it.is_object("results") && (is_marked || is_alone || has_packages())
    })
}

/// Version 2, version 1 (which pnpm writes still), or what npm writes instead of either when it failed.
pub(super) fn npm_audit(outline: &Outline<'_>) -> bool {
    outline.object().is_some_and(|it| {
        let is_second = it.has(&["auditReportVersion"]) && it.is_object("vulnerabilities");
        let is_first = it.is_object("advisories") && it.has(&["metadata"]);
        is_second || is_first || it.parse::<Members<'_>>("error").is_some_and(|it| it.has(&["summary", "detail"]))
    })
}

/// `{"dependencies": […], "fixes": […]}`, before version 2 the bare list.
pub(super) fn pip_audit(outline: &Outline<'_>) -> bool {
    let is_entry = |it: &Members<'_>| it.has(&["name", "vulns"]) || it.has(&["name", "skip_reason"]);
    let is_object = outline.object().is_some_and(|it| {
        it.is_array("dependencies")
            && (it.is_array("fixes") || it.first_of("dependencies").is_some_and(|it| is_entry(&it)))
    });
    is_object || outline.first().is_some_and(is_entry)
}

pub(super) fn cargo_audit(outline: &Outline<'_>) -> bool {
    outline.object().is_some_and(|it| it.has(&["database", "lockfile"]) && it.is_object("vulnerabilities"))
}

/// A project, or an array of them.
pub(super) fn snyk(outline: &Outline<'_>) -> bool {
    outline.object().or(outline.first()).is_some_and(|it| {
        let is_read = ["vulnerabilities", "infrastructureAsCodeIssues"].iter().any(|name| it.is_array(name));
        let is_named = ["projectName", "packageManager", "dependencyCount"].iter().any(|name| it.has(&[name]));
        it.parse::<bool>("ok").is_some() && ((is_read && is_named) || it.has(&["error", "path"]))
    })
}

pub(super) fn dependency_check(outline: &Outline<'_>) -> bool {
    outline.object().is_some_and(|it| it.has(&["reportSchema", "scanInfo"]) && it.is_array("dependencies"))
}

pub(super) fn dependency_check_xml(outline: &Outline<'_>) -> bool {
    root(outline).is_some_and(|it| it.name == "analysis" && it.namespace.contains("dependency-check"))
}

pub(super) fn semgrep(outline: &Outline<'_>) -> bool {
    outline.object().is_some_and(|it| {
        let is_marked = it.is_object("paths") && it.has(&["version"]);
        it.is_array("results")
            && it.is_array("errors")
            && (is_marked || it.first_of("results").is_some_and(|it| it.has(&["check_id"])))
    })
}

/// A framework, an array of them, or the bare counts of one that found nothing to check.
pub(super) fn checkov(outline: &Outline<'_>) -> bool {
    let is_framework = |it: &Members<'_>| it.has(&["check_type"]) && it.is_object("results");
    let is_nothing = |it: &Members<'_>| it.has(&["passed", "failed", "checkov_version"]);
    outline.object().is_some_and(|it| is_framework(it) || is_nothing(it)) || outline.first().is_some_and(is_framework)
}

pub(super) fn bandit(outline: &Outline<'_>) -> bool {
    outline.object().is_some_and(|it| it.is_array("results") && it.is_array("errors") && it.is_object("metrics"))
}

pub(super) fn detect_secrets(outline: &Outline<'_>) -> bool {
    outline.object().is_some_and(|it| it.is_object("results") && it.is_array("plugins_used"))
}

/// The REST list, or the answer to a GraphQL query for `vulnerabilityAlerts` of whatever.
pub(super) fn dependabot(outline: &Outline<'_>) -> bool {
    let is_alert = |it: &Members<'_>| it.has(&["security_advisory"]) || it.has(&["security_vulnerability"]);
    let is_answer = |it: &Members<'_>| it.get("data").is_some_and(|raw| raw.get().contains("\"vulnerabilityAlerts\""));
    outline.first().is_some_and(is_alert) || outline.object().is_some_and(is_answer)
}

pub(super) fn bearer_scan(outline: &Outline<'_>) -> bool {
    outline.object().is_some_and(|it| it.has(&["scanId", "status", "timestamp"]))
}

fn root<'o>(outline: &'o Outline<'_>) -> Option<&'o Root> {
    match outline {
        Outline::Xml(root) => Some(root),
        Outline::Object(_) | Outline::Array(_) | Outline::Tags(_) => None,
    }
}

/// The `@context` of JSON-LD: a text, or an array of which the first is one.
fn context(members: &Members<'_>) -> Option<String> {
    let listed = || members.parse::<Vec<String>>("@context")?.into_iter().next();
    members.parse::<String>("@context").or_else(listed)
}
