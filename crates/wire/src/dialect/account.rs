//! What destinations say of an event whatever their format: one line for people, a severity, whether something began or
//! ended, the key that joins all that is told of one thing, and the members that they have places for.
//!
//! Read leniently from the event's data: an event of a custom type may hold anything, and what cannot be read is not said.

use jiff::Timestamp;

use super::EncodeError;
use super::message::{bare, member, severity_named, text};
use crate::json::tree::{Object, Value};
use crate::{Event, EventType, Severity};

/// What an event means for the thing it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is new, or back.
    Opened,
    /// It is known, and something about it is not as it was.
    Changed,
    /// It is known, and nobody wants to hear of it.
    SetAside,
    /// It is over.
    Closed,
    /// It was over before it was told: a lesson, a scan.
    Happened,
}

/// A CVSS score that says by which version it was reckoned.
pub(super) struct Cvss<'a> {
    /// `2.0`, `3.1`, `4.0`.
    pub(super) version: &'a str,
    /// The base score, a JSON number.
    pub(super) score: &'a Value,
    pub(super) vector: &'a str,
}

/// An event, read.
pub(super) struct Account<'a> {
    pub(super) event: &'a Event,
    pub(super) data: Object,
    pub(super) phase: Phase,
    pub(super) severity: Severity,
}

impl<'a> Account<'a> {
    pub(super) fn of(event: &'a Event) -> Result<Self, EncodeError> {
        let data = Value::read(event.data.text().as_bytes()).map_err(|error| EncodeError::Data(error.to_string()))?;
        let Value::Object(data) = data else {
            return Err(EncodeError::Data("the data is no object".to_owned()));
        };
        let severity = severity(&event.event_type, &data);
        Ok(Self { event, phase: phase(&event.event_type), severity, data })
    }

    /// A member that is text with something in it.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        text(&self.data, name)
    }

    /// What joins the events of one thing: a finding's, an item's, a scan's id; else the event's own.
    pub(super) fn key(&self) -> String {
        let name = match &self.event.event_type {
            EventType::VulnerabilityCreated
            | EventType::VulnerabilityCritical
            | EventType::VulnerabilityRemediated
            | EventType::VulnerabilityReopened
            | EventType::VulnerabilitySuppressed
            | EventType::VulnerabilityChanged => "finding_id",
            EventType::PoamDeadlineApproaching | EventType::PoamOverdue | EventType::PoamCompleted => "poam_id",
            EventType::ScanStarted | EventType::ScanCompleted | EventType::ScanFailed | EventType::ScanDigest => {
                "scan_id"
            }
            EventType::EvidenceCompleted | EventType::EvidenceFailed => "evidence_id",
            EventType::TrainingCompleted => "training_id",
            EventType::WebhookPing => "webhook_id",
            EventType::EndpointDisabled => "endpoint_id",
            EventType::DeliveryDeadLettered => "delivery_id",
            EventType::SourceSilent => "source_id",
            EventType::ProjectSnapshot | EventType::Custom(_) => "id",
        };
        match self.text(name) {
            Some(id) => bare(id).to_owned(),
            None => self.event.id.to_string(),
        }
    }

    pub(super) fn is_vulnerability(&self) -> bool {
        self.event.event_type.as_str().starts_with("vulnerability.")
    }

    /// `CVE-…`, named as such or among the aliases.
    pub(super) fn cve(&self) -> Option<&str> {
        self.text("cve_id").into_iter().chain(self.aliases()).find(|name| is_numbered(name, "CVE-"))
    }

    /// The weaknesses named anywhere among the members that may name one.
    pub(super) fn cwes(&self) -> Vec<&str> {
        let named = ["cwe", "cwe_id", "rule_id"].into_iter().filter_map(|name| self.text(name));
        let listed = ["cwes", "cwe_ids"].into_iter().flat_map(|name| texts(&self.data, name));
        let mut found: Vec<&str> = Vec::new();
        for cwe in named.chain(listed).chain(self.aliases()) {
            if is_numbered(cwe, "CWE-") && !found.contains(&cwe) {
                found.push(cwe);
            }
        }
        found
    }

    pub(super) fn aliases(&self) -> impl Iterator<Item = &str> {
        texts(&self.data, "aliases")
    }

    pub(super) fn component(&self) -> Option<(&str, Option<&str>, Option<&str>)> {
        let component = member(&self.data, "component")?;
        Some((text(component, "name")?, text(component, "version"), text(component, "purl")))
    }

    pub(super) fn score(&self) -> Option<&Value> {
        self.data.get("cvss_score").filter(|score| score.as_f64().is_some())
    }

    pub(super) fn cvss(&self) -> Option<Cvss<'_>> {
        let (score, vector) = (self.score()?, self.text("cvss_vector")?);
        let version = match vector.strip_prefix("CVSS:") {
            Some(rest) => rest.split('/').next()?,
            // Only the second version writes vectors without its number.
            None => "2.0",
        };
        Some(Cvss { version, score, vector })
    }

    /// A link that may be shown: https alone.
    pub(super) fn url(&self) -> Option<&str> {
        self.text("url").filter(|url| url.starts_with("https://") && !url.contains(char::is_whitespace))
    }

    pub(super) fn time(&self, name: &str) -> Option<Timestamp> {
        self.text(name)?.parse().ok()
    }

    /// What it is about, in a line: title, CVE, component.
    pub(super) fn title(&self) -> String {
        let data = |name: &str| self.text(name).map(one_line);
        match &self.event.event_type {
            EventType::ProjectSnapshot => {
                let project = member(&self.data, "project").and_then(|project| text(project, "name"));
                format!("Project {}", one_line(project.unwrap_or("snapshot")))
            }
            EventType::TrainingCompleted => data("training").unwrap_or_else(|| "Training".to_owned()),
            EventType::EvidenceCompleted | EventType::EvidenceFailed => {
                data("file_name").unwrap_or_else(|| "Evidence".to_owned())
            }
            EventType::ScanStarted | EventType::ScanCompleted | EventType::ScanFailed | EventType::ScanDigest => {
                format!("Scan {}", data("scan_id").unwrap_or_default())
            }
            EventType::VulnerabilityCreated
            | EventType::VulnerabilityCritical
            | EventType::VulnerabilityRemediated
            | EventType::VulnerabilityReopened
            | EventType::VulnerabilitySuppressed
            | EventType::VulnerabilityChanged
            | EventType::PoamDeadlineApproaching
            | EventType::PoamOverdue
            | EventType::PoamCompleted
            | EventType::WebhookPing
            | EventType::EndpointDisabled
            | EventType::DeliveryDeadLettered
            | EventType::SourceSilent
            | EventType::Custom(_) => self.thing(),
        }
    }

    fn thing(&self) -> String {
        let names = ["title", "name", "cve_id", "rule_id", "finding_id"];
        let named = names.into_iter().find_map(|name| self.text(name));
        let named = named.or_else(|| self.aliases().next());
        one_line(named.unwrap_or_else(|| self.event.event_type.as_str()))
    }

    /// What happened, in a line for people.
    pub(super) fn headline(&self) -> String {
        let title = self.title();
        let days = |name: &str| self.data.get(name).and_then(Value::as_i64);
        let date = self.text("scheduled_completion_date").map(one_line).unwrap_or_default();
        let about = |name: &str| self.text(name).map(|text| format!(": {}", one_line(text))).unwrap_or_default();
        match &self.event.event_type {
            EventType::WebhookPing => "Watchbell tries this endpoint".to_owned(),
            EventType::VulnerabilityCreated => format!("New {} vulnerability: {}", self.severity.as_str(), self.full()),
            EventType::VulnerabilityCritical => format!("Critical vulnerability: {}", self.full()),
            EventType::VulnerabilityRemediated => format!("Remediated: {}", self.full()),
            EventType::VulnerabilityReopened => format!("Reopened: {}", self.full()),
            EventType::VulnerabilitySuppressed => format!("Suppressed: {}", self.full()),
            EventType::VulnerabilityChanged => format!("Changed: {}", self.full()),
            EventType::PoamDeadlineApproaching => {
                let left = days("days_remaining").map(|days| format!(", {days} days left")).unwrap_or_default();
                format!("Due {date}{left}: {title}")
            }
            EventType::PoamOverdue => {
                let since = days("days_overdue").map(|days| format!(", {days} days ago")).unwrap_or_default();
                format!("Overdue, was due {date}{since}: {title}")
            }
            EventType::PoamCompleted => format!("Plan of action completed: {title}"),
            EventType::ScanStarted => format!("{title} started"),
            EventType::ScanCompleted => {
                format!("{title} completed, {} threats found", days("threats_found").unwrap_or_default())
            }
            EventType::ScanFailed => format!("{title} failed{}", about("error")),
            EventType::ScanDigest => {
                format!("{title} found {} new vulnerabilities", days("new_findings").unwrap_or_default())
            }
            EventType::ProjectSnapshot => {
                let count = |name: &str| self.data.get(name).and_then(Value::as_array).map_or(0, <[Value]>::len);
                format!("{title} tested: {} new issues, {} removed", count("newIssues"), count("removedIssues"))
            }
            EventType::EvidenceCompleted => {
                format!(
                    "Evidence {title} processed, {} vulnerabilities",
                    days("vulnerabilities_found").unwrap_or_default()
                )
            }
            EventType::EvidenceFailed => format!("Evidence {title} could not be processed{}", about("error")),
            EventType::TrainingCompleted => {
                format!("Training completed by {}: {title}", about("user").trim_start_matches(": "))
            }
            EventType::EndpointDisabled => format!("Endpoint disabled{}", about("reason")),
            EventType::DeliveryDeadLettered => format!("A delivery was given up{}", about("reason")),
            EventType::SourceSilent => format!("A source has fallen silent{}", about("source_id")),
            EventType::Custom(_) => {
                let name = self.event.event_type.as_str();
                if title == name { title } else { format!("{name}: {title}") }
            }
        }
    }

    /// The title with what it leaves out: CVE and component.
    fn full(&self) -> String {
        let mut full = self.title();
        if let Some(cve) = self.cve().filter(|cve| !full.contains(cve)) {
            full.push_str(&format!(" ({cve})"));
        }
        if let Some((name, version, _)) = self.component() {
            let name = one_line(name);
            match (version.map(one_line), full.contains(&name)) {
                (Some(version), _) => full.push_str(&format!(" in {name} {version}")),
                (None, false) => full.push_str(&format!(" in {name}")),
                (None, true) => {}
            }
        }
        full
    }

    /// The members that are not `said` elsewhere; `None` when none is left.
    pub(super) fn rest(&self, said: &[&str]) -> Option<Object> {
        let mut rest = Object::default();
        for (name, value) in self.data.iter().filter(|(name, _)| !said.contains(name)) {
            rest.set(name, value.clone());
        }
        rest.iter().next()?;
        Some(rest)
    }
}

/// Foreign text as one line: each run of white space and control characters is one blank.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

/// At most `max` bytes, cut between characters and ended with an ellipsis where it was cut.
pub(super) fn cut(text: &str, max: usize) -> String {
    const ELLIPSIS: char = '…';
    if text.len() <= max {
        return text.to_owned();
    }
    let room = max.saturating_sub(ELLIPSIS.len_utf8());
    let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= room).last().unwrap_or_default();
    let mut short = text.get(..end).unwrap_or_default().to_owned();
    if end + ELLIPSIS.len_utf8() <= max {
        short.push(ELLIPSIS);
    }
    short
}

/// The path that a vendor wants, on a host that the endpoint's URL names without it: `wanted` is added unless `has` finds
/// it there. The query is kept.
pub(super) fn with_path(path: &str, wanted: &str, has: impl Fn(&str) -> bool) -> Option<String> {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    if has(path) {
        return None;
    }
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("{}{wanted}{query}", path.trim_end_matches('/')))
}

fn texts<'a>(data: &'a Object, name: &str) -> impl Iterator<Item = &'a str> {
    data.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// `CVE-2019-10744`, `CWE-79`: the prefix, then digits and `-`.
fn is_numbered(name: &str, prefix: &str) -> bool {
    let rest = name.strip_prefix(prefix).unwrap_or_default();
    !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

const fn phase(event_type: &EventType) -> Phase {
    match event_type {
        EventType::VulnerabilityCreated
        | EventType::VulnerabilityCritical
        | EventType::VulnerabilityReopened
        | EventType::PoamDeadlineApproaching
        | EventType::EndpointDisabled
        | EventType::DeliveryDeadLettered
        | EventType::SourceSilent => Phase::Opened,
        EventType::VulnerabilityChanged | EventType::PoamOverdue => Phase::Changed,
        EventType::VulnerabilitySuppressed => Phase::SetAside,
        EventType::VulnerabilityRemediated | EventType::PoamCompleted => Phase::Closed,
        EventType::WebhookPing
        | EventType::ProjectSnapshot
        | EventType::ScanStarted
        | EventType::ScanCompleted
        | EventType::ScanFailed
        | EventType::ScanDigest
        | EventType::EvidenceCompleted
        | EventType::EvidenceFailed
        | EventType::TrainingCompleted
        | EventType::Custom(_) => Phase::Happened,
    }
}

/// What the data says; else what the type means by itself.
fn severity(event_type: &EventType, data: &Object) -> Severity {
    if let Some(said) = text(data, "severity") {
        return severity_named(said);
    }
    let worst_of = |name: &str| {
        let items = data.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object);
        let said = items.filter_map(|item| {
            let nested = member(item, "issueData").unwrap_or(item);
            text(nested, "severity").map(severity_named)
        });
        said.max().unwrap_or(Severity::Info)
    };
    match event_type {
        EventType::ScanCompleted => worst_of("details"),
        EventType::ScanDigest => worst_of("worst"),
        EventType::ProjectSnapshot => worst_of("newIssues"),
        EventType::WebhookPing
        | EventType::ScanStarted
        | EventType::PoamCompleted
        | EventType::EvidenceCompleted
        | EventType::TrainingCompleted => Severity::Info,
        EventType::PoamDeadlineApproaching
        | EventType::ScanFailed
        | EventType::EvidenceFailed
        | EventType::EndpointDisabled
        | EventType::DeliveryDeadLettered
        | EventType::SourceSilent => Severity::Medium,
        EventType::PoamOverdue => Severity::High,
        EventType::VulnerabilityCreated
        | EventType::VulnerabilityCritical
        | EventType::VulnerabilityRemediated
        | EventType::VulnerabilityReopened
        | EventType::VulnerabilitySuppressed
        | EventType::VulnerabilityChanged
        | EventType::Custom(_) => Severity::Unknown,
    }
}
