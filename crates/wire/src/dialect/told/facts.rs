//! What each type of event has to say.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{Act, Fact, Listed, Told, line};
use crate::dialect::EncodeError;
use crate::dialect::message::{bare, severity_named, typed};
use crate::event::{
    Component, DeliveryDeadLettered, EndpointDisabled, Evidence, Poam, ProjectSnapshot, Scan, ScanDigest, SourceSilent,
    Training, Vulnerability,
};
use crate::{Event, EventType, Severity};

/// Most facts taken from the data of a custom type.
const CUSTOM_FACTS_MAX: usize = 10;

/// Most threats of a scan that are named.
const THREATS_MAX: usize = 10;

/// Everything but the link.
pub(super) fn tell(event: &Event) -> Result<Told, EncodeError> {
    let told = Telling { event };
    Ok(match &event.event_type {
        EventType::WebhookPing => Told {
            act: Act::Tests,
            title: "it works, and nothing has happened".to_owned(),
            ..told.news("Test of this destination by Watchbell")
        },
        EventType::ProjectSnapshot => told.snapshot(&typed(event)?),
        EventType::ScanStarted => told.scan("Scan started", None, typed(event)?),
        EventType::ScanCompleted => told.scan("Scan completed", None, typed(event)?),
        EventType::ScanFailed => told.scan("Scan failed", Some(Severity::Medium), typed(event)?),
        EventType::ScanDigest => told.digest(typed(event)?),
        EventType::VulnerabilityCreated => told.finding("New vulnerability", Act::Opens, typed(event)?),
        EventType::VulnerabilityCritical => told.finding("Critical vulnerability", Act::Opens, typed(event)?),
        EventType::VulnerabilityReopened => told.finding("Vulnerability is back", Act::Opens, typed(event)?),
        EventType::VulnerabilityChanged => told.finding("Vulnerability changed", Act::Changes, typed(event)?),
        EventType::VulnerabilityRemediated => told.finding("Vulnerability remediated", Act::Closes, typed(event)?),
        EventType::VulnerabilitySuppressed => {
            let finding: Vulnerability = typed(event)?;
            let what = match finding.status.as_deref() {
                Some("accepted") => "Risk of a vulnerability accepted",
                Some("false_positive") => "Vulnerability found to be none",
                _ => "Vulnerability suppressed",
            };
            told.finding(what, Act::Closes, finding)
        }
        EventType::PoamDeadlineApproaching => told.poam("Deadline comes near", Act::Opens, typed(event)?),
        EventType::PoamOverdue => told.poam("Deadline has passed", Act::Opens, typed(event)?),
        EventType::PoamCompleted => told.poam("Plan of action completed", Act::Closes, typed(event)?),
        EventType::EvidenceCompleted => told.evidence("Document processed", None, typed(event)?),
        EventType::EvidenceFailed => {
            told.evidence("Document could not be processed", Some(Severity::Medium), typed(event)?)
        }
        EventType::TrainingCompleted => told.training(typed(event)?),
        EventType::EndpointDisabled => told.endpoint(typed(event)?),
        EventType::DeliveryDeadLettered => told.dead_letter(typed(event)?),
        EventType::SourceSilent => told.silence(typed(event)?),
        EventType::Custom(_) => told.custom(&typed(event)?),
    })
}

fn fact(name: &'static str, value: impl AsRef<str>) -> Fact {
    Fact { name: Cow::Borrowed(name), value: line(value.as_ref()) }
}

/// A fact that may not be known.
fn maybe(name: &'static str, value: Option<impl ToString>) -> Fact {
    fact(name, value.map(|value| value.to_string()).unwrap_or_default())
}

fn component(component: &Component) -> String {
    match &component.version {
        Some(version) => format!("{} {version}", component.name),
        None => component.name.clone(),
    }
}

fn title_of(finding: &Vulnerability) -> String {
    let names = [&finding.title, &finding.cve_id, &finding.rule_id].into_iter().flatten();
    names.map(|name| line(name)).find(|name| !name.is_empty()).unwrap_or_else(|| "a finding without a title".to_owned())
}

struct Telling<'a> {
    event: &'a Event,
}

impl Telling<'_> {
    fn news(&self, what: &'static str) -> Told {
        Told {
            what: Cow::Borrowed(what),
            title: String::new(),
            severity: None,
            act: Act::Tells,
            key: format!("watchbell:event/{}", self.event.id),
            merged: Vec::new(),
            facts: Vec::new(),
            list: Vec::new(),
            more: 0,
            link: None,
            event_type: self.event.event_type.to_string(),
            occurred_at: self.event.occurred_at,
        }
    }

    /// The key of the matter that goes by `id`; of the event where there is none.
    fn key(&self, kind: &str, id: Option<&str>) -> String {
        match id.map(|id| line(bare(id))).filter(|id| !id.is_empty()) {
            Some(id) => format!("watchbell:{kind}/{id}"),
            None => format!("watchbell:event/{}", self.event.id),
        }
    }

    fn finding(&self, what: &'static str, act: Act, finding: Vulnerability) -> Told {
        let cvss = match (finding.cvss_score, &finding.cvss_vector) {
            (Some(score), Some(vector)) => format!("{score:.1} ({vector})"),
            (Some(score), None) => format!("{score:.1}"),
            (None, vector) => vector.clone().unwrap_or_default(),
        };
        let facts = vec![
            maybe("Component", finding.component.as_ref().map(component)),
            maybe("CVE", finding.cve_id.as_ref()),
            fact("CVSS", cvss),
            maybe("Place", finding.resource_path.as_ref()),
            maybe("Rule", finding.rule_id.as_ref()),
            maybe("Reason", finding.reason.as_ref()),
            maybe("Accepted until", finding.accepted_until),
            fact("Also known as", finding.aliases.join(", ")),
            maybe("First seen", finding.detected_at),
            maybe("Gone since", finding.remediated_at),
            maybe("Brought in by", finding.creator.as_ref()),
            maybe("Project", finding.project_id.as_deref().map(bare)),
            maybe("Finding", finding.finding_id.as_deref().map(bare)),
        ];
        let key = self.key("finding", finding.finding_id.as_deref());
        let mut merged: Vec<_> = finding.merged_finding_ids.iter().map(|id| self.key("finding", Some(id))).collect();
        merged.retain(|other| *other != key);
        Told { title: title_of(&finding), severity: Some(finding.severity), act, key, merged, facts, ..self.news(what) }
    }

    fn poam(&self, what: &'static str, act: Act, poam: Poam) -> Told {
        let days =
            |days: Option<i64>| days.map(|days| if days == 1 { "1 day".to_owned() } else { format!("{days} days") });
        let title =
            [&poam.title, &poam.cve_id].into_iter().flatten().map(|name| line(name)).find(|name| !name.is_empty());
        let facts = vec![
            maybe("Deadline", Some(poam.scheduled_completion_date)),
            maybe("Time left", days(poam.days_remaining)),
            maybe("Overdue for", days(poam.days_overdue)),
            maybe("CVE", poam.cve_id.as_ref()),
            maybe("Owner", poam.owner.as_ref()),
            maybe("Project", poam.project_id.as_deref().map(bare)),
            maybe("Finding", poam.finding_id.as_deref().map(bare)),
            fact("Plan of action", bare(&poam.poam_id)),
        ];
        Told {
            title: title.unwrap_or_else(|| format!("plan of action {}", line(bare(&poam.poam_id)))),
            severity: Some(poam.severity.unwrap_or_default()),
            act,
            key: self.key("poam", Some(&poam.poam_id)),
            facts,
            ..self.news(what)
        }
    }

    fn scan(&self, what: &'static str, severity: Option<Severity>, scan: Scan) -> Told {
        let threat = |detail: &Value| {
            let text = |name: &str| detail.get(name).and_then(Value::as_str).unwrap_or_default();
            let named = [text("name"), text("id")].into_iter().find(|name| !name.is_empty())?;
            Some(Listed::new(severity_named(text("severity")), line(&[named, text("path")].join(" "))))
        };
        let mut list: Vec<Listed> = scan.details.iter().filter_map(threat).collect();
        list.sort_by_key(|threat| std::cmp::Reverse(threat.severity));
        let worst = list.first().map(|threat| threat.severity);
        let count = u64::try_from(list.len()).unwrap_or(u64::MAX).max(scan.threats_found.unwrap_or_default());
        list.truncate(THREATS_MAX);
        let facts = vec![
            maybe("Threats found", scan.threats_found),
            maybe("Error", scan.error.as_ref()),
            maybe("Tool", scan.tool.as_ref()),
            maybe("Project", scan.project_id.as_deref().map(bare)),
        ];
        Told {
            title: format!("scan {}", line(&scan.scan_id)),
            severity: severity.or(worst),
            facts,
            more: count.saturating_sub(u64::try_from(list.len()).unwrap_or(u64::MAX)),
            list,
            ..self.news(what)
        }
    }

    fn digest(&self, digest: ScanDigest) -> Told {
        let counts = digest.counts;
        let by_severity = [
            ("Critical", Severity::Critical, counts.critical),
            ("High", Severity::High, counts.high),
            ("Medium", Severity::Medium, counts.medium),
            ("Low", Severity::Low, counts.low),
            ("Info", Severity::Info, counts.info),
            ("Unknown", Severity::Unknown, counts.unknown),
        ];
        let found = by_severity.into_iter().filter(|(_, _, count)| *count > 0);
        let mut facts: Vec<_> = found.clone().map(|(name, _, count)| fact(name, count.to_string())).collect();
        facts.push(maybe("Tool", digest.tool.as_ref()));
        facts.push(maybe("Project", digest.project_id.as_deref().map(bare)));
        facts.push(fact("Scan", bare(&digest.scan_id)));
        let mut list: Vec<_> = digest.worst.iter().map(listed).collect();
        list.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        Told {
            title: format!("{} new findings in one scan", digest.new_findings),
            severity: Some(found.map(|(_, severity, _)| severity).max().unwrap_or_default()),
            facts,
            more: digest.new_findings.saturating_sub(u64::try_from(list.len()).unwrap_or(u64::MAX)),
            list,
            ..self.news("New vulnerabilities")
        }
    }

    fn snapshot(&self, snapshot: &ProjectSnapshot) -> Told {
        let mut list: Vec<_> = snapshot
            .new_issues
            .iter()
            .map(|issue| {
                let versions = issue.pkg_versions.join(", ");
                let text = line(&format!("{} ({} {versions})", issue.issue_data.title, issue.pkg_name));
                Listed::new(severity_named(&issue.issue_data.severity), text)
            })
            .collect();
        list.sort_by_key(|issue| std::cmp::Reverse(issue.severity));
        let count = list.len();
        let worst = list.first().map(|issue| issue.severity);
        list.truncate(THREATS_MAX);
        Told {
            title: line(&snapshot.project.name),
            severity: worst,
            facts: vec![
                fact("New issues", count.to_string()),
                fact("Issues gone", snapshot.removed_issues.len().to_string()),
                fact("Organisation", &snapshot.org.name),
            ],
            more: u64::try_from(count - list.len()).unwrap_or(u64::MAX),
            list,
            ..self.news("Project tested again")
        }
    }

    fn evidence(&self, what: &'static str, severity: Option<Severity>, evidence: Evidence) -> Told {
        let found = evidence.error.is_none();
        let facts = vec![
            maybe("Vulnerabilities", found.then_some(evidence.vulnerabilities_found)),
            maybe("Critical", found.then_some(evidence.critical_count)),
            maybe("High", found.then_some(evidence.high_count)),
            maybe("Error", evidence.error.as_ref()),
            fact("Document", bare(&evidence.evidence_id)),
        ];
        Told { title: line(&evidence.file_name), severity, facts, ..self.news(what) }
    }

    fn training(&self, training: Training) -> Told {
        let facts = vec![
            fact("By", &training.user),
            fact("Score", training.score.to_string()),
            fact("Completed", training.completed_at.to_string()),
        ];
        Told { title: line(&training.training), facts, ..self.news("Training completed") }
    }

    fn endpoint(&self, disabled: EndpointDisabled) -> Told {
        let facts = vec![fact("Reason", &disabled.reason)];
        let title = line(&disabled.endpoint_id);
        Told { title, severity: Some(Severity::Medium), facts, ..self.news("Endpoint disabled") }
    }

    fn dead_letter(&self, letter: DeliveryDeadLettered) -> Told {
        let facts = vec![
            fact("Reason", &letter.reason),
            fact("Endpoint", &letter.endpoint_id),
            fact("Event", &letter.event_id),
        ];
        let title = line(&letter.delivery_id);
        Told { title, severity: Some(Severity::Medium), facts, ..self.news("Delivery given up") }
    }

    fn silence(&self, silent: SourceSilent) -> Told {
        let facts = vec![maybe("Last heard of", silent.last_receipt_at.as_ref())];
        let title = line(&silent.source_id);
        Told { title, severity: Some(Severity::Medium), facts, ..self.news("Source has fallen silent") }
    }

    /// The members of a custom type that are a text, a number or a yes or no.
    fn custom(&self, data: &Map<String, Value>) -> Told {
        let text = |name: &str| data.get(name).and_then(Value::as_str).map(line).filter(|text| !text.is_empty());
        let own = ["title", "summary", "severity"];
        let told = data.iter().filter(|(name, _)| !own.contains(&name.as_str()));
        let facts = told.filter_map(|(name, value)| {
            let value = match value {
                Value::String(text) => line(text),
                Value::Bool(_) | Value::Number(_) => value.to_string(),
                Value::Null | Value::Array(_) | Value::Object(_) => return None,
            };
            Some(Fact { name: Cow::Owned(line(name)), value })
        });
        Told {
            what: Cow::Owned(self.event.event_type.to_string()),
            title: text("title").or_else(|| text("summary")).unwrap_or_default(),
            severity: text("severity").map(|name| severity_named(&name)),
            facts: facts.take(CUSTOM_FACTS_MAX).collect(),
            ..self.news("")
        }
    }
}

fn listed(finding: &Vulnerability) -> Listed {
    let component = finding.component.as_ref().map(component);
    let known: Vec<_> =
        [component, finding.cve_id.clone()].into_iter().flatten().filter(|text| !text.is_empty()).collect();
    let title = title_of(finding);
    let text = match known.is_empty() {
        true => title,
        false => line(&format!("{title} ({})", known.join(", "))),
    };
    Listed::new(finding.severity, text)
}
