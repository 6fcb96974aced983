//! What Aegis's API is told, in Aegis's words, and how REST says it.

use async_graphql::{Enum, InputObject, InputValueError, InputValueResult, Scalar, ScalarType, Value as ConstValue};
use serde::{Serialize, Serializer};
use watchbell_wire::EventType;

use crate::problem::{Problem, Result};

/// What a webhook can be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Enum)]
pub(super) enum WebhookEvent {
    VulnerabilityDetected,
    CriticalVulnerabilityDiscovered,
    PoamDeadlineApproaching,
    PoamOverdue,
    EvidenceCompleted,
}

impl WebhookEvent {
    pub(super) const ALL: [Self; 5] = [
        Self::VulnerabilityDetected,
        Self::CriticalVulnerabilityDiscovered,
        Self::PoamDeadlineApproaching,
        Self::PoamOverdue,
        Self::EvidenceCompleted,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::VulnerabilityDetected => "VULNERABILITY_DETECTED",
            Self::CriticalVulnerabilityDiscovered => "CRITICAL_VULNERABILITY_DISCOVERED",
            Self::PoamDeadlineApproaching => "POAM_DEADLINE_APPROACHING",
            Self::PoamOverdue => "POAM_OVERDUE",
            Self::EvidenceCompleted => "EVIDENCE_COMPLETED",
        }
    }

    fn event_type(self) -> EventType {
        match self {
            Self::VulnerabilityDetected => EventType::VulnerabilityCreated,
            Self::CriticalVulnerabilityDiscovered => EventType::VulnerabilityCritical,
            Self::PoamDeadlineApproaching => EventType::PoamDeadlineApproaching,
            Self::PoamOverdue => EventType::PoamOverdue,
            Self::EvidenceCompleted => EventType::EvidenceCompleted,
        }
    }

    /// What the dialect calls an event.
    pub(super) fn of(event_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.event_type().as_str() == event_type)
    }
}

/// How bad, in Aegis's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Enum)]
pub(super) enum VulnerabilitySeverity {
    Critical,
    High,
    Medium,
    Low,
    Negligible,
    Unknown,
}

/// The word of a scalar that stands for an enum.
fn word(value: &ConstValue) -> Option<&str> {
    match value {
        ConstValue::String(text) => Some(text),
        ConstValue::Enum(name) => Some(name.as_str()),
        ConstValue::Null
        | ConstValue::Number(_)
        | ConstValue::Boolean(_)
        | ConstValue::Binary(_)
        | ConstValue::List(_)
        | ConstValue::Object(_) => None,
    }
}

/// A `WebhookEvent`, as a JSON string, a GraphQL string or a bare enum word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WebhookEventName(WebhookEvent);

#[Scalar(name = "WebhookEventName")]
impl ScalarType for WebhookEventName {
    fn parse(value: ConstValue) -> InputValueResult<Self> {
        let found = word(&value).and_then(|word| WebhookEvent::ALL.into_iter().find(|event| event.name() == word));
        found.map(Self).ok_or_else(|| {
            let names = WebhookEvent::ALL.map(WebhookEvent::name).join(", ");
            InputValueError::custom(format!("an event is one of: {names}"))
        })
    }

    fn to_value(&self) -> ConstValue {
        ConstValue::String(self.0.name().to_owned())
    }
}

/// A `VulnerabilitySeverity`, as a JSON string, a GraphQL string or a bare enum word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct VulnerabilitySeverityName(VulnerabilitySeverity);

/// Worst first.
const SEVERITIES: [(&str, &str, VulnerabilitySeverity); 6] = [
    ("CRITICAL", "critical", VulnerabilitySeverity::Critical),
    ("HIGH", "high", VulnerabilitySeverity::High),
    ("MEDIUM", "medium", VulnerabilitySeverity::Medium),
    ("LOW", "low", VulnerabilitySeverity::Low),
    ("NEGLIGIBLE", "info", VulnerabilitySeverity::Negligible),
    ("UNKNOWN", "unknown", VulnerabilitySeverity::Unknown),
];

#[Scalar(name = "VulnerabilitySeverityName")]
impl ScalarType for VulnerabilitySeverityName {
    fn parse(value: ConstValue) -> InputValueResult<Self> {
        let found = word(&value).and_then(|word| SEVERITIES.iter().find(|(name, ..)| *name == word));
        found.map(|(.., severity)| Self(*severity)).ok_or_else(|| {
            let names = SEVERITIES.map(|(name, ..)| name).join(", ");
            InputValueError::custom(format!("a severity is one of: {names}"))
        })
    }

    fn to_value(&self) -> ConstValue {
        let name = SEVERITIES.iter().find(|(.., severity)| *severity == self.0).map_or("UNKNOWN", |(name, ..)| name);
        ConstValue::String(name.to_owned())
    }
}

/// Which vulnerabilities.
#[derive(Debug, InputObject)]
pub(super) struct WebhookFilters {
    /// Of these severities. Limits the two events of vulnerabilities alone.
    severities: Option<Vec<VulnerabilitySeverityName>>,
}

/// A webhook that is to be made.
#[derive(Debug, InputObject)]
pub(super) struct WebhookInput {
    /// https only.
    pub(super) url: String,
    /// At least one, no repeats.
    pub(super) events: Vec<WebhookEventName>,
    /// Made when left out.
    pub(super) secret: Option<String>,
    pub(super) filters: Option<WebhookFilters>,
    #[graphql(default = true)]
    pub(super) active: bool,
}

/// What of a webhook is to change.
#[derive(Debug, InputObject)]
pub(super) struct WebhookUpdateInput {
    /// Another host needs a new secret in the same request.
    pub(super) url: Option<String>,
    pub(super) events: Option<Vec<WebhookEventName>>,
    pub(super) secret: Option<String>,
    pub(super) filters: Option<WebhookFilters>,
    pub(super) active: Option<bool>,
}

/// As REST wants it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Body {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dialect: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_types")]
    pub(super) events: Option<Vec<WebhookEventName>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) min_severity: Option<Option<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) paused: Option<bool>,
}

fn as_types<S: Serializer>(
    events: &Option<Vec<WebhookEventName>>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    let events = events.as_deref().unwrap_or_default();
    serializer.collect_seq(events.iter().map(|event| event.0.event_type().to_string()))
}

pub(super) fn checked(events: Vec<WebhookEventName>) -> Result<Vec<WebhookEventName>> {
    if events.is_empty() {
        return Err(Problem::payload("/events", "At least one event is wanted"));
    }
    let repeated = (1..events.len()).find(|at| events.iter().take(*at).any(|event| Some(event) == events.get(*at)));
    match repeated {
        Some(at) => Err(Problem::payload(format!("/events/{at}"), "The event is named twice")),
        None => Ok(events),
    }
}

/// A set of severities as the mildest that is wanted. Unknown ones are never too mild, so they may stand anywhere.
pub(super) fn mildest(filters: WebhookFilters) -> Result<Option<&'static str>> {
    let Some(given) = filters.severities else { return Ok(None) };
    let place = "/filters/severities";
    let known: Vec<_> = SEVERITIES.iter().take(5).collect();
    let wanted = |severity: VulnerabilitySeverity| given.iter().any(|name| name.0 == severity);
    let count = known.iter().take_while(|(.., severity)| wanted(*severity)).count();
    let beyond = known.iter().skip(count).any(|(.., severity)| wanted(*severity));
    match known.get(count.wrapping_sub(1)) {
        Some((_, name, _)) if !beyond => Ok((count < known.len()).then_some(*name)),
        _ => Err(Problem::payload(
            place,
            "Severities are given from CRITICAL down without a gap, such as CRITICAL, HIGH",
        )),
    }
}
