//! The catalogue: what may happen, how its data looks, and what each dialect makes of it.

use std::sync::Arc;

use axum::extract::{RawPathParams, State};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use watchbell_domain::custom_type::TypeDefinition;
use watchbell_domain::port::CustomTypeStore;
use watchbell_wire::{Data, Event, EventType, Settings, dialect};

use crate::auth::{Tenant, right};
use crate::edge::Edge;
use crate::page::List;
use crate::problem::{Body, Problem, Result};

/// Of the events that are shown as examples. Any would do; these do not change.
const EXAMPLE_ID: Uuid = Uuid::from_u128(0x0192_6fe4_2b7a_7d10_9c3d_0246_8ace_1357);
const EXAMPLE_SECOND: i64 = 1_728_463_677;

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default().routes(routes!(list_event_types)).routes(routes!(get_event_type))
}

/// An event type.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventType)]
pub(super) struct TypeView {
    #[serde(rename = "type")]
    pub(super) name: String,
    /// Whether it is one of ours: these cannot be changed.
    pub(super) built_in: bool,
    /// When it is told.
    pub(super) description: String,
    /// An example of its data.
    #[schema(value_type = Option<Object>)]
    pub(super) example: Option<Box<RawValue>>,
    /// JSON Schema of its data; null: any data will do.
    #[schema(value_type = Option<Object>)]
    pub(super) schema: Option<Value>,
    /// Who can say it, and in which word.
    pub(super) dialects: Vec<Saying>,
}

/// What a dialect calls an event.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Saying {
    pub(super) dialect: &'static str,
    pub(super) name: String,
    /// The body that goes out for the example. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<String>,
}

/// How much of a type is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// In a list.
    Listed,
    /// With the bodies that go out.
    Whole,
}

impl TypeView {
    pub(super) fn built_in(event_type: &EventType, shown: Shown) -> Self {
        let sample = event_type.sample();
        Self {
            name: event_type.to_string(),
            built_in: true,
            description: event_type.description().unwrap_or_default().to_owned(),
            dialects: sayings(event_type, sample.as_ref(), shown),
            example: sample.and_then(raw),
            schema: event_type.schema(),
        }
    }

    pub(super) fn custom(definition: &TypeDefinition, shown: Shown) -> Self {
        let sample = definition.example.as_ref().and_then(|example| Data::from_text(example.to_string()).ok());
        Self {
            name: definition.name.to_string(),
            built_in: false,
            description: definition.description.clone(),
            dialects: sayings(&definition.name, sample.as_ref(), shown),
            example: sample.and_then(raw),
            schema: definition.schema.clone(),
        }
    }
}

/// What each dialect makes of the example, by its own encoder.
fn sayings(event_type: &EventType, sample: Option<&Data>, shown: Shown) -> Vec<Saying> {
    let event = sample.filter(|_| shown == Shown::Whole).map(|data| Event {
        id: EXAMPLE_ID,
        event_type: event_type.clone(),
        occurred_at: Timestamp::from_second(EXAMPLE_SECOND).unwrap_or(Timestamp::UNIX_EPOCH),
        data: data.clone(),
    });
    let saying = |dialect: &&'static watchbell_wire::Dialect| {
        let outbound = dialect.outbound?;
        let name = outbound.event_name(event_type)?.into_owned();
        let body = event.as_ref().and_then(|event| outbound.encode(event, &Settings::default()).ok());
        Some(Saying { dialect: dialect.id, name, body: body.map(|body| String::from_utf8_lossy(&body).into_owned()) })
    };
    dialect::ALL.iter().filter_map(saying).collect()
}

fn raw(data: Data) -> Option<Box<RawValue>> {
    RawValue::from_string(data.text().to_owned()).ok()
}

/// The type in the path.
pub(super) fn named(params: &RawPathParams) -> Result<EventType> {
    let name = params.iter().find_map(|(name, value)| (name == "type").then_some(value));
    name.and_then(|name| name.parse().ok()).ok_or(Problem::NotFound)
}

/// The catalogue: the types of ours, then the organisation's own.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/event-types", tag = "event types",
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 200, body = List<TypeView>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_event_types(
    tenant: Tenant<right::EventsRead>,
    State(types): State<Arc<dyn CustomTypeStore>>,
) -> Result<axum::Json<List<TypeView>>> {
    let custom = types.types(tenant.org).await?;
    let built_in = EventType::BUILT_IN.iter().map(|event_type| TypeView::built_in(event_type, Shown::Listed));
    let custom = custom.iter().map(|definition| TypeView::custom(definition, Shown::Listed));
    Ok(axum::Json(List { items: built_in.chain(custom).collect(), next_cursor: None }))
}

/// One type of the catalogue, with an example in every dialect that can say it.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/event-types/{type}", tag = "event types",
    params(("org" = String, Path, description = "Id or slug"), ("type" = String, Path, description = "Such as scan.completed")),
    responses((status = 200, body = TypeView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_event_type(
    tenant: Tenant<right::EventsRead>,
    State(types): State<Arc<dyn CustomTypeStore>>,
    params: RawPathParams,
) -> Result<axum::Json<TypeView>> {
    let event_type = named(&params)?;
    if !matches!(event_type, EventType::Custom(_)) {
        return Ok(axum::Json(TypeView::built_in(&event_type, Shown::Whole)));
    }
    let found = types.types(tenant.org).await?.into_iter().find(|definition| definition.name == event_type);
    found.map(|definition| axum::Json(TypeView::custom(&definition, Shown::Whole))).ok_or(Problem::NotFound)
}
