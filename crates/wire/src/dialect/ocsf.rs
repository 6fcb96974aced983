//! OCSF 1.x findings, one JSON object an event, for lakes and SIEMs that read the Open Cybersecurity Schema Framework.
//!
//! Source: the framework's schema, versions 1.1.0 to 1.8.0 (<https://schema.ocsf.io>), read 2026-11. A vulnerability with a
//! CVE, a CWE or (from 1.4 on) an advisory is a *Vulnerability Finding*; one with no more than a scanner's rule, a plan of
//! action, evidence and training are *Compliance Findings*; all else is a *Detection Finding*. What the versions differ in:
//!
//! | | until 1.2 | 1.3 | from 1.4 |
//! |---|---|---|---|
//! | what a vulnerability is named by | `cve` or `cwe` | the same | exactly one of `cve`, `cwe`, `advisory` |
//! | weaknesses of a CVE | `cve.cwe` | `cve.cwe` | `cve.related_cwes` |
//! | where it is | `resource` | `resources` | `resources` |
//! | a fix | `fix_available` | `is_fix_available` | `is_fix_available` |
//!
//! What was told under one `finding_info.uid` is one finding: created (activity 1), updated (2), closed (3). What the
//! class has no place for stands under `unmapped`.

use std::borrow::Cow;

use serde::Deserialize;

use super::account::{Account, Phase, one_line};
use super::bearer::Tokens;
use super::{
    Carrier, Credential, Dialect, EncodeError, Exchange, Header, Judgement, Message, Outbound, Settings, SettingsError,
};
use crate::json::tree::{Object, Value};
use crate::{Event, EventType, Key, Severity};

pub(super) static DIALECT: Dialect = Dialect {
    id: "ocsf",
    name: "OCSF",
    source: "https://schema.ocsf.io/1.3.0/classes/vulnerability_finding",
    credential: Credential::SecretOptional,
    carrier: Carrier::Http,
    url_is_secret: false,
    secrets: &Tokens,
    inbound: None,
    outbound: Some(&Ocsf),
};

/// Which version the receiver reads.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OcsfSettings {
    /// `1.1.0` to `1.8.0`; `1.3.0` when absent.
    version: Version,
}

/// A version of the schema that has the classes of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize)]
enum Version {
    #[serde(rename = "1.1.0")]
    V1_1,
    #[serde(rename = "1.2.0")]
    V1_2,
    #[default]
    #[serde(rename = "1.3.0")]
    V1_3,
    #[serde(rename = "1.4.0")]
    V1_4,
    #[serde(rename = "1.5.0")]
    V1_5,
    #[serde(rename = "1.6.0")]
    V1_6,
    #[serde(rename = "1.7.0")]
    V1_7,
    #[serde(rename = "1.8.0")]
    V1_8,
}

impl Version {
    const fn as_str(self) -> &'static str {
        match self {
            Self::V1_1 => "1.1.0",
            Self::V1_2 => "1.2.0",
            Self::V1_3 => "1.3.0",
            Self::V1_4 => "1.4.0",
            Self::V1_5 => "1.5.0",
            Self::V1_6 => "1.6.0",
            Self::V1_7 => "1.7.0",
            Self::V1_8 => "1.8.0",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Vulnerability,
    Compliance,
    Detection,
}

impl Class {
    const fn uid(self) -> i64 {
        match self {
            Self::Vulnerability => 2002,
            Self::Compliance => 2003,
            Self::Detection => 2004,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Vulnerability => "Vulnerability Finding",
            Self::Compliance => "Compliance Finding",
            Self::Detection => "Detection Finding",
        }
    }
}

/// What a vulnerability is named by: exactly one.
enum Named<'a> {
    Cve(&'a str),
    Cwe(&'a str),
    Advisory(&'a str),
}

struct Ocsf;

impl Outbound for Ocsf {
    fn event_name<'a>(&self, event_type: &'a EventType) -> Option<Cow<'a, str>> {
        Some(Cow::Borrowed(event_type.as_str()))
    }

    fn encode(&self, event: &Event, settings: &Settings) -> Result<Vec<u8>, EncodeError> {
        let settings: OcsfSettings = settings.read()?;
        let finding = Finding { account: &Account::of(event)?, version: settings.version };
        Ok(Value::Object(finding.record()).to_text().into_bytes())
    }

    fn headers(&self, _: &Message<'_>, keys: &[Key]) -> Result<Vec<Header>, EncodeError> {
        let mut headers = vec![Header { name: "Content-Type", value: "application/json".to_owned() }];
        if !keys.is_empty() {
            headers.push(super::bearer::header(keys)?);
        }
        Ok(headers)
    }

    fn check_settings(&self, settings: &Settings) -> Result<(), SettingsError> {
        settings.read::<OcsfSettings>().map(|_| ())
    }

    fn judge(&self, exchange: &Exchange<'_>) -> Judgement {
        let Some(answer) = exchange.latest() else { return Judgement::ByStatus };
        match answer.status {
            status @ (400 | 413 | 422) => {
                let said = answer.json().unwrap_or_default();
                let said =
                    ["error", "message", "detail"].into_iter().find_map(|name| said.get(name)?.as_str().map(one_line));
                let said = said.unwrap_or_else(|| "without a word".to_owned());
                Judgement::Refused { detail: format!("the receiver refused with {status}: {said}") }
            }
            _ => Judgement::ByStatus,
        }
    }
}

/// An event on its way to a record of one version.
struct Finding<'a> {
    account: &'a Account<'a>,
    version: Version,
}

impl<'a> Finding<'a> {
    fn record(&self) -> Object {
        let account = self.account;
        let named = self.named();
        let class = self.class(named.is_some());
        let (activity, activity_name) = activity(account.phase);
        let (severity, severity_name) = severity(account.severity);
        let mut record = Object::from([
            ("class_uid", class.uid().into()),
            ("class_name", class.name().into()),
            ("category_uid", 2i64.into()),
            ("category_name", "Findings".into()),
            ("activity_id", activity.into()),
            ("activity_name", activity_name.into()),
            ("type_uid", (class.uid() * 100 + activity).into()),
            ("type_name", format!("{}: {activity_name}", class.name()).into()),
            ("time", account.event.occurred_at.as_millisecond().into()),
            ("severity_id", severity.into()),
            ("severity", severity_name.into()),
        ]);
        if let Some((status, status_name)) = status(account.phase) {
            record.set("status_id", status);
            record.set("status", status_name);
        }
        record.set("message", account.headline());
        record.set("metadata", self.metadata());
        record.set("finding_info", self.finding_info());
        let mut said = vec!["finding_id", "title", "severity", "detected_at", "resource_path", "project_id"];
        match named {
            Some(named) => {
                record.set("vulnerabilities", vec![Value::Object(self.vulnerability(&named, &mut said))]);
            }
            None if class == Class::Compliance => record.set("compliance", self.compliance()),
            None => {}
        }
        self.set_resource(class, &mut record);
        record.set_some("unmapped", account.rest(&said));
        record
    }

    /// `cve` first, then `cwe`, then an advisory where the version has it.
    fn named(&self) -> Option<Named<'a>> {
        let account = self.account;
        if !account.is_vulnerability() {
            return None;
        }
        let cve = account.cve().map(Named::Cve);
        let cwe = || account.cwes().first().copied().map(Named::Cwe);
        let advisory = || account.aliases().next().filter(|_| self.version >= Version::V1_4).map(Named::Advisory);
        cve.or_else(cwe).or_else(advisory)
    }

    fn class(&self, is_named: bool) -> Class {
        match &self.account.event.event_type {
            _ if is_named => Class::Vulnerability,
            EventType::VulnerabilityCreated
            | EventType::VulnerabilityCritical
            | EventType::VulnerabilityRemediated
            | EventType::VulnerabilityReopened
            | EventType::VulnerabilitySuppressed
            | EventType::VulnerabilityChanged => match self.account.text("rule_id") {
                Some(_) => Class::Compliance,
                None => Class::Detection,
            },
            EventType::PoamDeadlineApproaching
            | EventType::PoamOverdue
            | EventType::PoamCompleted
            | EventType::EvidenceCompleted
            | EventType::EvidenceFailed
            | EventType::TrainingCompleted => Class::Compliance,
            EventType::WebhookPing
            | EventType::ProjectSnapshot
            | EventType::ScanStarted
            | EventType::ScanCompleted
            | EventType::ScanFailed
            | EventType::ScanDigest
            | EventType::EndpointDisabled
            | EventType::DeliveryDeadLettered
            | EventType::SourceSilent
            | EventType::Custom(_) => Class::Detection,
        }
    }

    fn metadata(&self) -> Object {
        let event = self.account.event;
        let product = Object::from([("name", "Watchbell".into()), ("vendor_name", "Watchbell".into())]);
        Object::from([
            ("version", self.version.as_str().into()),
            ("product", product.into()),
            ("uid", event.id.to_string().into()),
            ("event_code", event.event_type.as_str().into()),
            ("original_time", event.occurred_at.to_string().into()),
        ])
    }

    fn finding_info(&self) -> Object {
        let account = self.account;
        let mut info = Object::from([("uid", account.key().into()), ("title", account.title().into())]);
        info.set_some("desc", account.text("description"));
        info.set_some("first_seen_time", account.time("detected_at").map(|time| time.as_millisecond()));
        info.set_some("src_url", account.url());
        info.set_some("data_sources", account.text("tool").map(|tool| vec![Value::from(tool)]));
        info
    }

    fn vulnerability(&self, named: &Named<'_>, said: &mut Vec<&'static str>) -> Object {
        let account = self.account;
        let mut one = Object::from([("title", account.title().into())]);
        one.set_some("desc", account.text("description"));
        one.set("severity", severity(account.severity).1);
        match named {
            Named::Cve(cve) => {
                one.set("cve", self.cve(cve, said));
                said.push("cve_id");
            }
            Named::Cwe(cwe) => one.set("cwe", Object::from([("uid", (*cwe).into())])),
            Named::Advisory(uid) => one.set("advisory", Object::from([("uid", (*uid).into())])),
        }
        one.set_some("references", account.url().map(|url| vec![Value::from(url)]));
        let fixed = account.text("fixed_in_version").or_else(|| account.text("fixed_in"));
        let fix_name = if self.version < Version::V1_3 { "fix_available" } else { "is_fix_available" };
        one.set_some(fix_name, fixed.map(|_| true));
        // The schema wants a package's version; a component without one stays unmapped.
        if let Some((name, Some(version), purl)) = account.component() {
            let mut package = Object::from([("name", name.into()), ("version", version.into())]);
            package.set_some("purl", purl);
            package.set_some("package_manager", purl.and_then(|purl| purl.strip_prefix("pkg:")?.split('/').next()));
            package.set_some("fixed_in_version", fixed);
            one.set("affected_packages", vec![Value::Object(package)]);
            said.push("component");
        }
        if let Some(code) = account.text("resource_path").and_then(affected_code) {
            one.set("affected_code", vec![Value::Object(code)]);
        }
        one.set_some("first_seen_time", account.time("detected_at").map(|time| time.as_millisecond()));
        one
    }

    fn cve(&self, cve: &str, said: &mut Vec<&'static str>) -> Object {
        let account = self.account;
        let mut members = Object::from([("uid", cve.into())]);
        if let Some(cvss) = account.cvss() {
            let score = Object::from([
                ("version", cvss.version.into()),
                ("base_score", cvss.score.clone()),
                ("vector_string", cvss.vector.into()),
            ]);
            members.set("cvss", vec![Value::Object(score)]);
            said.extend(["cvss_score", "cvss_vector"]);
        }
        let weakness = |uid: &str| Value::Object(Object::from([("uid", uid.into())]));
        let cwes = account.cwes();
        match self.version >= Version::V1_4 {
            true if !cwes.is_empty() => {
                members.set("related_cwes", cwes.into_iter().map(weakness).collect::<Vec<_>>());
            }
            false => members.set_some("cwe", cwes.first().map(|uid| weakness(uid))),
            true => {}
        }
        members
    }

    /// What was demanded, and whether it is so.
    fn compliance(&self) -> Object {
        let account = self.account;
        let date = account.text("scheduled_completion_date").map(|date| format!("Completed by {}", one_line(date)));
        let (standard, control, requirement) = match &account.event.event_type {
            EventType::PoamDeadlineApproaching | EventType::PoamOverdue | EventType::PoamCompleted => {
                ("Plan of action and milestones", account.text("cve_id"), date)
            }
            EventType::TrainingCompleted => ("Security training", account.text("training"), None),
            EventType::EvidenceCompleted | EventType::EvidenceFailed => ("Evidence", account.text("file_name"), None),
            EventType::VulnerabilityCreated
            | EventType::VulnerabilityCritical
            | EventType::VulnerabilityRemediated
            | EventType::VulnerabilityReopened
            | EventType::VulnerabilitySuppressed
            | EventType::VulnerabilityChanged
            | EventType::WebhookPing
            | EventType::ProjectSnapshot
            | EventType::ScanStarted
            | EventType::ScanCompleted
            | EventType::ScanFailed
            | EventType::ScanDigest
            | EventType::EndpointDisabled
            | EventType::DeliveryDeadLettered
            | EventType::SourceSilent
            | EventType::Custom(_) => ("Scanner rules", account.text("rule_id"), None),
        };
        let (status, status_name) = match (&account.event.event_type, account.phase) {
            (EventType::PoamDeadlineApproaching, _) | (_, Phase::SetAside) => (2i64, "Warning"),
            (EventType::EvidenceFailed, _) | (_, Phase::Opened | Phase::Changed) => (3, "Fail"),
            (_, Phase::Closed | Phase::Happened) => (1, "Pass"),
        };
        let mut compliance = Object::from([("standards", vec![Value::from(standard)].into())]);
        compliance.set_some("control", control);
        compliance.set_some("requirements", requirement.map(|text| vec![Value::from(text)]));
        compliance.set("status", status_name);
        compliance.set("status_id", status);
        compliance
    }

    fn set_resource(&self, class: Class, record: &mut Object) {
        let (project, path) = (self.account.text("project_id"), self.account.text("resource_path"));
        if project.is_none() && path.is_none() {
            return;
        }
        let mut resource = Object::default();
        resource.set_some("uid", project);
        resource.set_some("name", path);
        match class {
            Class::Vulnerability | Class::Compliance if self.version < Version::V1_3 => {
                record.set("resource", resource)
            }
            Class::Vulnerability | Class::Compliance | Class::Detection => {
                record.set("resources", vec![Value::Object(resource)]);
            }
        }
    }
}

/// `src/app.py:12` is a line of a file; a resource's address is none.
fn affected_code(path: &str) -> Option<Object> {
    let (file, line) = path.rsplit_once(':')?;
    let line: i64 = line.parse().ok().filter(|line| *line > 0)?;
    if file.starts_with("arn:") || file.contains("://") {
        return None;
    }
    let name = file.rsplit(['/', '\\']).next().filter(|name| !name.is_empty())?;
    let file = Object::from([("name", name.into()), ("path", file.into()), ("type_id", 1i64.into())]);
    Some(Object::from([("file", file.into()), ("start_line", line.into())]))
}

const fn activity(phase: Phase) -> (i64, &'static str) {
    match phase {
        Phase::Opened | Phase::Happened => (1, "Create"),
        Phase::Changed | Phase::SetAside => (2, "Update"),
        Phase::Closed => (3, "Close"),
    }
}

const fn status(phase: Phase) -> Option<(i64, &'static str)> {
    match phase {
        Phase::Opened => Some((1, "New")),
        Phase::Changed => Some((2, "In Progress")),
        Phase::SetAside => Some((3, "Suppressed")),
        Phase::Closed => Some((4, "Resolved")),
        Phase::Happened => None,
    }
}

const fn severity(severity: Severity) -> (i64, &'static str) {
    match severity {
        Severity::Unknown => (0, "Unknown"),
        Severity::Info => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    }
}
