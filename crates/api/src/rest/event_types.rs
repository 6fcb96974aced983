//! The catalogue: what may happen, and which dialects can say it.

use axum::extract::RawPathParams;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_wire::{Data, EventType, dialect};

use crate::auth::{Tenant, right};
use crate::edge::Edge;
use crate::page::List;
use crate::problem::{Body, Problem, Result};

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default().routes(routes!(list_event_types)).routes(routes!(get_event_type))
}

/// An event type.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventType)]
struct TypeView {
    #[serde(rename = "type")]
    name: String,
    /// When it is told.
    description: &'static str,
    /// An example of its data.
    #[schema(value_type = Object)]
    example: Box<RawValue>,
    /// JSON Schema (2020-12) of its data.
    schema: Value,
    /// Who can say it, and in which word.
    dialects: Vec<Saying>,
}

/// What a dialect calls an event.
#[derive(Debug, Serialize, ToSchema)]
struct Saying {
    dialect: &'static str,
    name: String,
}

fn view(event_type: &EventType) -> TypeView {
    let says = |dialect: &&'static watchbell_wire::Dialect| {
        let name = dialect.outbound?.event_name(event_type)?;
        Some(Saying { dialect: dialect.id, name: name.into_owned() })
    };
    TypeView {
        name: event_type.to_string(),
        description: event_type.description().unwrap_or_default(),
        example: event_type.sample().map(raw).unwrap_or_default(),
        schema: event_type.schema().unwrap_or_default(),
        dialects: dialect::ALL.iter().filter_map(says).collect(),
    }
}

fn raw(data: Data) -> Box<RawValue> {
    RawValue::from_string(data.text().to_owned()).unwrap_or_default()
}

/// The catalogue of built-in types.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/event-types", tag = "event types",
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 200, body = List<TypeView>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_event_types(_tenant: Tenant<right::EventsRead>) -> axum::Json<List<TypeView>> {
    axum::Json(List { items: EventType::BUILT_IN.iter().map(view).collect(), next_cursor: None })
}

/// One type of the catalogue.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/event-types/{type}", tag = "event types",
    params(("org" = String, Path, description = "Id or slug"), ("type" = String, Path, description = "Such as scan.completed")),
    responses((status = 200, body = TypeView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_event_type(_tenant: Tenant<right::EventsRead>, params: RawPathParams) -> Result<axum::Json<TypeView>> {
    let name = params.iter().find_map(|(name, value)| (name == "type").then_some(value));
    let found = EventType::BUILT_IN.iter().find(|known| Some(known.as_str()) == name);
    found.map(|known| axum::Json(view(known))).ok_or(Problem::NotFound)
}
