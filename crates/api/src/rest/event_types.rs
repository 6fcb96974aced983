//! The catalogue: what may happen, and which dialects can say it.

use axum::extract::RawPathParams;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_wire::{EventType, dialect};

use crate::auth::{Tenant, right};
use crate::edge::Edge;
use crate::page::List;
use crate::problem::{Body, Problem, Result};

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .routes(routes!(list_event_types))
        .routes(routes!(get_event_type))
}

/// An event type.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventType)]
struct TypeView {
    #[serde(rename = "type")]
    name: String,
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
        Some(Saying {
            dialect: dialect.id,
            name: name.into_owned(),
        })
    };
    TypeView {
        name: event_type.to_string(),
        dialects: dialect::ALL.iter().filter_map(says).collect(),
    }
}

/// Every type of ours.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/event-types", tag = "event types",
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 200, body = List<TypeView>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_event_types(_tenant: Tenant<right::EventsRead>) -> axum::Json<List<TypeView>> {
    axum::Json(List {
        items: EventType::BUILT_IN.iter().map(view).collect(),
        next_cursor: None,
    })
}

/// One type.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/event-types/{type}", tag = "event types",
    params(("org" = String, Path, description = "Id or slug"), ("type" = String, Path, description = "Such as scan.completed")),
    responses((status = 200, body = TypeView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_event_type(_tenant: Tenant<right::EventsRead>, params: RawPathParams) -> Result<axum::Json<TypeView>> {
    let name = params
        .iter()
        .find_map(|(name, value)| (name == "type").then_some(value));
    let found = EventType::BUILT_IN.iter().find(|known| Some(known.as_str()) == name);
    found.map(|known| axum::Json(view(known))).ok_or(Problem::NotFound)
}
