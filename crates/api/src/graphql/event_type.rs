//! The catalogue of event types.

use async_graphql::{ComplexObject, Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::error::Answer;
use super::operation::{Path, session};
use super::scalar::{Json, is_left_out};

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

/// An event type of the organisation's own.
#[derive(Debug, InputObject, Serialize)]
pub(super) struct EventTypeInput {
    /// Two or more words of `a-z 0-9 _` joined by full stops, none of ours: `acme.build_done`.
    r#type: String,
    /// When it is told.
    description: String,
    /// JSON Schema (2020-12 or draft 7) that posted data must fit. References stay inside and do not go round.
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<Json>,
    /// Data that fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    example: Option<Json>,
}

/// What of a type is to change. Members left out stay; null takes a value away.
#[derive(Debug, InputObject, Serialize)]
pub(super) struct EventTypeChangeInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "is_left_out")]
    schema: MaybeUndefined<Json>,
    #[serde(skip_serializing_if = "is_left_out")]
    example: MaybeUndefined<Json>,
}

#[derive(Debug, Default)]
pub(super) struct EventTypeMutation;

#[Object]
impl EventTypeMutation {
    /// Define an event type of the organisation's own.
    async fn create_event_type(&self, ctx: &Context<'_>, input: EventTypeInput, org: Option<ID>) -> Answer<EventType> {
        let own = session(ctx).org(org.as_ref()).await?;
        Ok(session(ctx).write(ctx, Method::POST, Path::org(&own.id).then("event-types"), &input).await?)
    }

    /// Change an event type of the organisation's own. Events that were accepted stay as they are.
    async fn update_event_type(
        &self,
        ctx: &Context<'_>,
        name: String,
        input: EventTypeChangeInput,
        org: Option<ID>,
    ) -> Answer<EventType> {
        let own = session(ctx).org(org.as_ref()).await?;
        let path = Path::org(&own.id).then("event-types").id(&name);
        Ok(session(ctx).write(ctx, Method::PATCH, path, &input).await?)
    }

    /// Delete an event type of the organisation's own. Answers its name.
    async fn delete_event_type(&self, ctx: &Context<'_>, name: String, org: Option<ID>) -> Answer<String> {
        let own = session(ctx).org(org.as_ref()).await?;
        session(ctx).delete(ctx, Path::org(&own.id).then("event-types").id(&name)).await?;
        Ok(name)
    }
}
