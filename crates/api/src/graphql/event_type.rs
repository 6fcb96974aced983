//! The catalogue of event types.

use async_graphql::{ComplexObject, SimpleObject};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::scalar::Json;

/// What may happen, and which dialects can say it.
#[derive(Debug, SimpleObject, Deserialize)]
#[graphql(complex)]
pub(super) struct EventType {
    /// Such as `vulnerability.created`.
    #[graphql(name = "type")]
    #[serde(rename = "type")]
    name: String,
    /// When it is told.
    description: String,
    /// One of ours, not one that the organisation named.
    built_in: bool,
    /// Who can say it, and in which word.
    dialects: Vec<Saying>,
    #[graphql(skip)]
    example: Box<RawValue>,
    #[graphql(skip)]
    schema: Box<RawValue>,
}

/// What a dialect calls an event.
#[derive(Debug, SimpleObject, Deserialize)]
struct Saying {
    dialect: String,
    name: String,
}

#[ComplexObject]
impl EventType {
    /// An example of its data.
    async fn example(&self) -> Json {
        Json::of(&self.example)
    }

    /// JSON Schema (2020-12) of its data.
    async fn schema(&self) -> Json {
        Json::of(&self.schema)
    }
}
