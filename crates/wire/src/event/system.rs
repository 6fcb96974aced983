//! What Watchbell tells about itself: `webhook.ping`, `endpoint.disabled`, `delivery.dead_lettered`, `source.silent`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Data of `webhook.ping`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Ping {
    /// The endpoint that is tried, bare UUID.
    pub webhook_id: String,
}

/// Data of `endpoint.disabled`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EndpointDisabled {
    /// The endpoint.
    pub endpoint_id: String,
    /// `gone`, `failing`, or an operator's word.
    pub reason: String,
}

/// Data of `delivery.dead_lettered`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DeliveryDeadLettered {
    /// The delivery.
    pub delivery_id: String,
    /// Its endpoint.
    pub endpoint_id: String,
    /// Its event.
    pub event_id: String,
    /// Why it was given up: `exhausted`, `gone`, `refused`, ….
    pub reason: String,
}

/// Data of `source.silent`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SourceSilent {
    /// The source.
    pub source_id: String,
    /// When it last called, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_receipt_at: Option<String>,
}
