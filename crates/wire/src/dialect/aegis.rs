//! Aegis: vulnerabilities, plans of action and evidence of a compliance product.
//!
//! Source: Aegis's public documentation, pages "Webhooks" and "Integrations". Signature:
//! `X-Aegis-Signature: sha256=` and the lower-case hex HMAC-SHA256 of the raw body; the key is the secret's UTF-8 bytes.
//! Two of the five event names are in the vendor's prose only. Vectors: `tests/vectors/aegis.json`.
//!
//! Encoded: what the data does not say is null (`cveId`, `cvssScore`, `projectId`, `vulnerabilityId` of a plan) or empty
//! text (the component, which for findings in code is named by `resource_path`). `daysRemaining` and `daysOverdue` are
//! the data's own figures, or else counted from the scheduled date to the UTC date of the event. Decoded figures are
//! believed, never recomputed: the vendor's own example does not add up.

use std::borrow::Cow;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::message::{
    self, Events, Said, TextSecrets, bare, iso_seconds, malformed, need, object_of, take_integer, take_text, time_of,
    unfit, unknown_event,
};
use super::{Carrier, Credential, Dialect, EncodeError, Header, Inbound, Message, Outbound, Settings};
use crate::event::{Evidence, Poam, Vulnerability};
use crate::json::tree::{Object, Value};
use crate::signature::BodyDigest;
use crate::{Decoded, Event, EventType, Key, Refusal, Severity, Unverified, Verified};

pub(super) static DIALECT: Dialect = Dialect {
    id: "aegis",
    name: "Aegis",
    source: "Aegis's documentation, pages \"Webhooks\" and \"Integrations\"",
    credential: Credential::SecretGivenOrMade,
    carrier: Carrier::Http,
    url_is_secret: false,
    secrets: &TextSecrets,
    inbound: Some(&Aegis),
    outbound: Some(&Aegis),
};

const SIGNATURE: BodyDigest = BodyDigest { header: "X-Aegis-Signature" };

struct Aegis;

impl Inbound for Aegis {
    fn verify(&self, request: &Unverified, keys: &[Key], _: Timestamp, _: SignedDuration) -> Result<(), Refusal> {
        SIGNATURE.verify(request, keys)
    }

    fn resembles(&self, request: &Unverified) -> bool {
        let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        Value::read(request.body()).is_ok_and(|body| {
            let event = body.get("event").and_then(Value::as_str);
            body.get("data").is_some() && event.is_some_and(|name| !name.is_empty() && is_name(name))
        })
    }

    fn decode(&self, request: &Verified) -> Result<Decoded, Refusal> {
        let mut body = object_of(Value::read(request.body()).map_err(|error| malformed(&error))?)?;
        let Some(Value::String(name)) = body.take("event") else {
            return Err(unfit("/event", "text"));
        };
        let stated = take_text(&mut body, "timestamp", "")?;
        let sent_at = stated.map(|text| time_of(&text, "/timestamp")).transpose()?;
        let occurred_at = sent_at.unwrap_or(request.received_at());
        let mut events = Events::of(DIALECT.id, request);
        if let Some(said) = EVENTS.iter().find(|said| said.name == name) {
            let Some(Value::Object(mut data)) = body.take("data") else {
                return Err(unfit("/data", "an object"));
            };
            let ours = match said.name {
                EVIDENCE => decode_evidence(&mut data)?,
                APPROACHING | OVERDUE => decode_poam(&mut data)?,
                _ => decode_finding(&mut data, occurred_at)?,
            };
            events.push(said.event_type.clone(), occurred_at, ours, data)?;
        }
        let silence = events.silence(|| unknown_event(&name));
        Ok(Decoded {
            vendor_event: name,
            vendor_version: None,
            delivery_id: None,
            sent_at,
            events: events.done(),
            silence,
        })
    }
}

fn decode_finding(data: &mut Object, occurred_at: Timestamp) -> Result<Object, Refusal> {
    let mut finding = Object::default();
    finding.set_some("finding_id", take_text(data, "vulnerabilityId", "/data")?);
    let stated = take_text(data, "severity", "/data")?;
    finding.set("severity", stated.map_or(Severity::Unknown, |text| severity(&text)).as_str());
    finding.set_some("cve_id", take_text(data, "cveId", "/data")?);
    match data.take("cvssScore") {
        None | Some(Value::Null) => {}
        Some(score) if score.as_f64().is_some() => finding.set("cvss_score", score),
        Some(_) => return Err(unfit("/data/cvssScore", "a number")),
    }
    match data.take("component") {
        None | Some(Value::Null) => {}
        Some(Value::Object(mut theirs)) => {
            let name = take_text(&mut theirs, "name", "/data/component")?.unwrap_or_default();
            let mut component = Object::from([("name", name.into())]);
            component.set_some("version", take_text(&mut theirs, "version", "/data/component")?);
            component.set_some("purl", take_text(&mut theirs, "purl", "/data/component")?);
            component.keep(theirs);
            finding.set("component", component);
        }
        Some(_) => return Err(unfit("/data/component", "an object")),
    }
    finding.set_some("project_id", take_text(data, "projectId", "/data")?);
    finding.set("detected_at", occurred_at.to_string());
    Ok(finding)
}

fn decode_poam(data: &mut Object) -> Result<Object, Refusal> {
    let Some(poam_id) = take_text(data, "poamId", "/data")? else {
        return Err(unfit("/data/poamId", "text"));
    };
    let date = take_text(data, "scheduledCompletionDate", "/data")?.and_then(|text| text.parse::<Date>().ok());
    let Some(date) = date else {
        return Err(unfit("/data/scheduledCompletionDate", "a date, YYYY-MM-DD"));
    };
    let mut poam = Object::from([("poam_id", poam_id.into())]);
    poam.set_some("finding_id", take_text(data, "vulnerabilityId", "/data")?);
    poam.set_some("cve_id", take_text(data, "cveId", "/data")?);
    poam.set("scheduled_completion_date", date.to_string());
    poam.set_some("days_remaining", take_integer(data, "daysRemaining", "/data")?);
    poam.set_some("days_overdue", take_integer(data, "daysOverdue", "/data")?);
    Ok(poam)
}

fn decode_evidence(data: &mut Object) -> Result<Object, Refusal> {
    let mut evidence = Object::default();
    evidence.set_some("evidence_id", take_text(data, "evidenceId", "/data")?);
    evidence.set_some("file_name", take_text(data, "fileName", "/data")?);
    let counts = [
        ("vulnerabilitiesFound", "vulnerabilities_found"),
        ("criticalCount", "critical_count"),
        ("highCount", "high_count"),
    ];
    for (theirs, ours) in counts {
        let count = take_integer(data, theirs, "/data")?.unwrap_or_default();
        let count = u64::try_from(count).map_err(|_| unfit(&format!("/data/{theirs}"), "a number of 0 or more"))?;
        evidence.set(ours, count);
    }
    Ok(evidence)
}

fn severity(text: &str) -> Severity {
    match text.to_ascii_uppercase().as_str() {
        "CRITICAL" => Severity::Critical,
        "HIGH" => Severity::High,
        "MEDIUM" => Severity::Medium,
        "LOW" => Severity::Low,
        "NEGLIGIBLE" => Severity::Info,
        _ => Severity::Unknown,
    }
}

const fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "CRITICAL",
        Severity::High => "HIGH",
        Severity::Medium => "MEDIUM",
        Severity::Low => "LOW",
        Severity::Info => "NEGLIGIBLE",
        Severity::Unknown => "UNKNOWN",
    }
}

const APPROACHING: &str = "POAM_DEADLINE_APPROACHING";
const OVERDUE: &str = "POAM_OVERDUE";
const EVIDENCE: &str = "EVIDENCE_COMPLETED";

const EVENTS: &[Said] = &[
    Said { event_type: EventType::VulnerabilityCreated, name: "VULNERABILITY_DETECTED", encode: detected },
    Said { event_type: EventType::VulnerabilityCritical, name: "CRITICAL_VULNERABILITY_DISCOVERED", encode: critical },
    Said { event_type: EventType::PoamDeadlineApproaching, name: APPROACHING, encode: approaching },
    Said { event_type: EventType::PoamOverdue, name: OVERDUE, encode: overdue },
    Said { event_type: EventType::EvidenceCompleted, name: EVIDENCE, encode: evidence },
];

impl Outbound for Aegis {
    fn event_name<'a>(&self, event_type: &'a EventType) -> Option<Cow<'a, str>> {
        Said::name(EVENTS, event_type)
    }

    fn encode(&self, event: &Event, _: &Settings) -> Result<Vec<u8>, EncodeError> {
        let data = Said::encode(EVENTS, event)?;
        let body = Object::from([
            ("event", self.event_name(&event.event_type).unwrap_or_default().into_owned().into()),
            ("timestamp", iso_seconds(event.occurred_at).into()),
            ("data", data.into()),
        ]);
        Ok(Value::Object(body).to_text().into_bytes())
    }

    fn headers(&self, message: &Message<'_>, keys: &[Key]) -> Result<Vec<Header>, EncodeError> {
        Ok(vec![
            Header { name: "Content-Type", value: "application/json".to_owned() },
            Header { name: SIGNATURE.header, value: SIGNATURE.sign(message.body, keys)? },
        ])
    }
}

fn detected(event: &Event) -> Result<Object, EncodeError> {
    let finding: Vulnerability = message::typed(event)?;
    let severity = finding.severity;
    finding_data(event, finding, severity)
}

fn critical(event: &Event) -> Result<Object, EncodeError> {
    finding_data(event, message::typed(event)?, Severity::Critical)
}

fn finding_data(event: &Event, finding: Vulnerability, severity: Severity) -> Result<Object, EncodeError> {
    let id = need(finding.finding_id, "finding_id")?;
    let (name, version) = match finding.component {
        Some(component) => (component.name, component.version),
        None => (finding.resource_path.unwrap_or_default(), None),
    };
    let component = Object::from([("name", name.into()), ("version", version.unwrap_or_default().into())]);
    Ok(Object::from([
        ("vulnerabilityId", bare(&id).into()),
        ("cveId", or_null(finding.cve_id)),
        ("severity", severity_name(severity).into()),
        ("cvssScore", cvss_score(event)),
        ("component", component.into()),
        ("projectId", or_null(finding.project_id.as_deref().map(bare))),
    ]))
}

/// The score in the spelling that was posted.
fn cvss_score(event: &Event) -> Value {
    let data = Value::read(event.data.text().as_bytes()).unwrap_or(Value::Null);
    data.get("cvss_score").cloned().unwrap_or(Value::Null)
}

fn or_null(value: Option<impl Into<Value>>) -> Value {
    value.map_or(Value::Null, Into::into)
}

fn approaching(event: &Event) -> Result<Object, EncodeError> {
    let poam: Poam = message::typed(event)?;
    let counted = days(occurred_on(event), poam.scheduled_completion_date);
    let remaining = at_least(0, poam.days_remaining, counted, "days_remaining")?;
    Ok(poam_data(poam, ("daysRemaining", remaining)))
}

fn overdue(event: &Event) -> Result<Object, EncodeError> {
    let poam: Poam = message::typed(event)?;
    let counted = days(poam.scheduled_completion_date, occurred_on(event));
    let overdue = at_least(1, poam.days_overdue, counted, "days_overdue")?;
    Ok(poam_data(poam, ("daysOverdue", overdue)))
}

fn occurred_on(event: &Event) -> Date {
    TimeZone::UTC.to_datetime(event.occurred_at).date()
}

fn days(from: Date, to: Date) -> i64 {
    from.duration_until(to).as_hours() / 24
}

fn at_least(least: i64, given: Option<i64>, counted: i64, member: &str) -> Result<i64, EncodeError> {
    let days = given.unwrap_or(counted);
    if days >= least {
        Ok(days)
    } else {
        Err(EncodeError::Data(format!("{member} is {days}; at least {least} is wanted")))
    }
}

fn poam_data(poam: Poam, (days_name, days): (&str, i64)) -> Object {
    Object::from([
        ("poamId", bare(&poam.poam_id).into()),
        ("vulnerabilityId", or_null(poam.finding_id.as_deref().map(bare))),
        ("cveId", or_null(poam.cve_id)),
        ("scheduledCompletionDate", poam.scheduled_completion_date.to_string().into()),
        (days_name, days.into()),
    ])
}

fn evidence(event: &Event) -> Result<Object, EncodeError> {
    let evidence: Evidence = message::typed(event)?;
    let id = need(Some(evidence.evidence_id).filter(|id| !id.is_empty()), "evidence_id")?;
    Ok(Object::from([
        ("evidenceId", bare(&id).into()),
        ("fileName", evidence.file_name.into()),
        ("vulnerabilitiesFound", evidence.vulnerabilities_found.into()),
        ("criticalCount", evidence.critical_count.into()),
        ("highCount", evidence.high_count.into()),
    ]))
}
