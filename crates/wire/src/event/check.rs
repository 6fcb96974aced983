//! Does an event's data fit its type? What is wrong is named by JSON pointer, for the one who posted it.
//!
//! Two steps: the members that a type cannot do without (or whose type is easily mistaken), and then the types of all members that we know. Members that
//! we do not know are nobody's business.

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use super::{
    Data, DeliveryDeadLettered, EndpointDisabled, EventType, Evidence, Ping, Poam, ProjectSnapshot, Scan, ScanDigest,
    SourceSilent, Training, Vulnerability,
};
use crate::json::tree::Value;

/// A member that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {message}")]
pub struct Mismatch {
    /// JSON pointer (RFC 6901) into the data: `/component/name`; empty for the data itself.
    pub pointer: String,
    /// What is wrong with it.
    pub message: String,
}

/// Checks that `data` can be read as what `event_type` says. Custom types may hold anything.
///
/// # Errors
/// The first member that does not fit.
pub fn check(event_type: &EventType, data: &Data) -> Result<(), Mismatch> {
    if matches!(event_type, EventType::Custom(_)) {
        return Ok(());
    }
    let value = Value::read(data.text().as_bytes())
        .map_err(|error| Mismatch { pointer: String::new(), message: error.to_string() })?;
    check_value(event_type, &value)?;
    match event_type {
        EventType::WebhookPing => fits::<Ping>(data),
        EventType::ProjectSnapshot => fits::<ProjectSnapshot>(data),
        EventType::ScanStarted | EventType::ScanCompleted | EventType::ScanFailed => fits::<Scan>(data),
        EventType::ScanDigest => fits::<ScanDigest>(data),
        EventType::VulnerabilityCreated
        | EventType::VulnerabilityCritical
        | EventType::VulnerabilityRemediated
        | EventType::VulnerabilityReopened
        | EventType::VulnerabilitySuppressed
        | EventType::VulnerabilityChanged => fits::<Vulnerability>(data),
        EventType::PoamDeadlineApproaching | EventType::PoamOverdue | EventType::PoamCompleted => fits::<Poam>(data),
        EventType::EvidenceCompleted | EventType::EvidenceFailed => fits::<Evidence>(data),
        EventType::TrainingCompleted => fits::<Training>(data),
        EventType::EndpointDisabled => fits::<EndpointDisabled>(data),
        EventType::DeliveryDeadLettered => fits::<DeliveryDeadLettered>(data),
        EventType::SourceSilent => fits::<SourceSilent>(data),
        EventType::Custom(_) => Ok(()),
    }
}

/// The first step of [`check`] alone: the members that must be there.
pub(crate) fn check_value(event_type: &EventType, data: &Value) -> Result<(), Mismatch> {
    for (pointer, wanted) in required(event_type) {
        let found = pointer.split('/').skip(1).try_fold(data, |value, key| value.get(key));
        let fits = match wanted {
            Wanted::Text => found.and_then(Value::as_str).is_some_and(|text| !text.is_empty()),
            Wanted::Integer => found.and_then(Value::as_i64).is_some(),
            Wanted::List => found.and_then(Value::as_array).is_some(),
            // A struct would be read from an array as well, member by member.
            Wanted::MembersOrNothing => matches!(found, None | Some(Value::Null | Value::Object(_))),
        };
        if !fits {
            let kind = match wanted {
                Wanted::Text => "text that is not empty",
                Wanted::Integer => "an integer",
                Wanted::List => "an array",
                Wanted::MembersOrNothing => "an object",
            };
            let verb = if found.is_some() { "must be" } else { "is missing; it must be" };
            return Err(Mismatch { pointer: (*pointer).to_owned(), message: format!("{verb} {kind}") });
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Wanted {
    Text,
    Integer,
    List,
    MembersOrNothing,
}

const fn required(event_type: &EventType) -> &'static [(&'static str, Wanted)] {
    match event_type {
        EventType::ProjectSnapshot => &[
            ("/project/id", Wanted::Text),
            ("/project/name", Wanted::Text),
            ("/org/id", Wanted::Text),
            ("/newIssues", Wanted::List),
        ],
        EventType::ScanStarted | EventType::ScanCompleted | EventType::ScanFailed | EventType::ScanDigest => {
            &[("/scan_id", Wanted::Text)]
        }
        EventType::PoamDeadlineApproaching | EventType::PoamOverdue | EventType::PoamCompleted => {
            &[("/poam_id", Wanted::Text), ("/scheduled_completion_date", Wanted::Text)]
        }
        EventType::EvidenceCompleted | EventType::EvidenceFailed => &[("/evidence_id", Wanted::Text)],
        EventType::TrainingCompleted => &[
            ("/user", Wanted::Text),
            ("/training", Wanted::Text),
            ("/score", Wanted::Integer),
            ("/started_at", Wanted::Text),
            ("/completed_at", Wanted::Text),
        ],
        EventType::VulnerabilityCreated
        | EventType::VulnerabilityCritical
        | EventType::VulnerabilityRemediated
        | EventType::VulnerabilityReopened
        | EventType::VulnerabilitySuppressed
        | EventType::VulnerabilityChanged => &[("/component", Wanted::MembersOrNothing)],
        EventType::WebhookPing
        | EventType::EndpointDisabled
        | EventType::DeliveryDeadLettered
        | EventType::SourceSilent
        | EventType::Custom(_) => &[],
    }
}

fn fits<T: DeserializeOwned>(data: &Data) -> Result<(), Mismatch> {
    let reader = &mut serde_json::Deserializer::from_str(data.text());
    let read: Result<T, _> = serde_path_to_error::deserialize(reader);
    match read {
        Ok(_) => Ok(()),
        Err(error) => {
            let pointer = error.path().iter().map(pointer_segment).collect();
            let text = error.into_inner().to_string();
            // serde_json adds its place in the text, which the pointer says better.
            let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
            Err(Mismatch { pointer, message })
        }
    }
}

fn pointer_segment(segment: &Segment) -> String {
    match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    }
}
