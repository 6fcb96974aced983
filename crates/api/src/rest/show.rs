//! Events, deliveries and attempts as JSON.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use watchbell_domain::delivery::{Attempt, Delivery, DeliveryState};
use watchbell_domain::event::{AcceptedEvent, Skip};

/// An event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(super) struct EventView {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    /// When it happened.
    occurred_at: Timestamp,
    /// When it was accepted.
    accepted_at: Timestamp,
    /// When its data was erased. Only where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    erased_at: Option<Timestamp>,
    project_id: Option<String>,
    /// The source that it came in by, where it came in by one.
    source_id: Option<String>,
    /// As posted, byte for byte.
    #[schema(value_type = Object)]
    data: Box<RawValue>,
    /// Its way to each endpoint. Only on the event's own page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deliveries: Option<Vec<DeliveryView>>,
    /// The endpoints that did not get it, each with the reason.
    skipped: Vec<SkipView>,
}

/// An endpoint that did not get an event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Skip)]
struct SkipView {
    endpoint_id: String,
    /// `not_subscribed`, `dialect_has_no_such_event`.
    reason: &'static str,
}

impl From<AcceptedEvent> for EventView {
    fn from(accepted: AcceptedEvent) -> Self {
        let skip = |skip: Skip| SkipView { endpoint_id: skip.endpoint_id.to_string(), reason: skip.reason.as_str() };
        Self {
            id: accepted.id().to_string(),
            event_type: accepted.event.event_type.to_string(),
            occurred_at: accepted.event.occurred_at,
            accepted_at: accepted.accepted_at,
            erased_at: accepted.erased_at,
            project_id: accepted.project_id.map(|id| id.to_string()),
            source_id: accepted.source_id.map(|id| id.to_string()),
            data: RawValue::from_string(accepted.event.data.text().to_owned()).unwrap_or_default(),
            deliveries: None,
            skipped: accepted.skipped.into_iter().map(skip).collect(),
        }
    }
}

/// A delivery.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(super) struct DeliveryView {
    /// The same in every attempt.
    id: String,
    event_id: String,
    endpoint_id: String,
    /// `pending`, `sending`, `held`, `delivered`, `dead_lettered`, `cancelled`.
    state: &'static str,
    /// Why it was given up or cancelled.
    reason: Option<&'static str>,
    /// When the next attempt is due, if it waits for one.
    next_attempt_at: Option<Timestamp>,
    /// When it reached its last state.
    finished_at: Option<Timestamp>,
    created_at: Timestamp,
    /// The delivery that this one repeats.
    replay_of: Option<String>,
    attempts: Vec<AttemptView>,
}

/// One try.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
struct AttemptView {
    number: u32,
    started_at: Timestamp,
    duration_ms: u64,
    /// `http_200`, `connect_timeout`, …
    result: String,
    http_status: Option<u16>,
    /// In order; our own secrets are masked.
    response_headers: Vec<HeaderView>,
    /// The first bytes, as text.
    response_body: Option<String>,
    /// There was more body than was kept.
    response_truncated: bool,
    /// More about the result.
    detail: Option<String>,
}

/// One header line.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HeaderLine)]
struct HeaderView {
    name: String,
    value: String,
}

/// A delivery with its attempts.
pub(super) fn delivery((delivery, attempts): (Delivery, Vec<Attempt>)) -> DeliveryView {
    let (reason, next_attempt_at, finished_at) = match &delivery.state {
        DeliveryState::Pending { due_at } => (None, Some(*due_at), None),
        DeliveryState::Sending { .. } | DeliveryState::Held => (None, None, None),
        DeliveryState::Delivered { at } => (None, None, Some(*at)),
        DeliveryState::DeadLettered { at, reason } => (Some(reason.as_str()), None, Some(*at)),
        DeliveryState::Cancelled { at, reason } => (Some(reason.as_str()), None, Some(*at)),
    };
    DeliveryView {
        id: delivery.id.to_string(),
        event_id: delivery.event_id.to_string(),
        endpoint_id: delivery.endpoint_id.to_string(),
        state: delivery.state.as_str(),
        reason,
        next_attempt_at,
        finished_at,
        created_at: delivery.created_at,
        replay_of: delivery.replay_of.map(|id| id.to_string()),
        attempts: attempts.into_iter().map(attempt).collect(),
    }
}

fn attempt(attempt: Attempt) -> AttemptView {
    let response = attempt.response.unwrap_or_default();
    let has_response = response.status != 0;
    let header = |(name, value)| HeaderView { name, value };
    AttemptView {
        number: attempt.number,
        started_at: attempt.started_at,
        duration_ms: u64::try_from(attempt.duration.as_millis()).unwrap_or_default(),
        result: attempt.result.name().into_owned(),
        http_status: has_response.then_some(response.status),
        response_headers: response.headers.into_iter().map(header).collect(),
        response_body: has_response.then(|| String::from_utf8_lossy(&response.body).into_owned()),
        response_truncated: response.truncated,
        detail: attempt.detail,
    }
}
