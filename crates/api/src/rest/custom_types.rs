//! An organisation's own event types: defined, changed, deleted. What is posted must fit from the moment a schema is there.

use std::sync::Arc;

use axum::extract::{FromRef, RawPathParams, Request, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::audit::{Action, changes};
use watchbell_domain::custom_type::TypeDefinition;
use watchbell_domain::id::OrgId;
use watchbell_domain::port::CustomTypeStore;
use watchbell_engine::catalogue::Catalogue;
use watchbell_engine::catalogue::schema::Schema;
use watchbell_wire::EventType;

use super::audit::audited;
use super::endpoint_given::present;
use super::event_types::{Shown, TypeView, named};
use crate::auth::{Tenant, right};
use crate::body::BodyReader;
use crate::edge::{Edge, Making};
use crate::once::{answer, finish};
use crate::problem::{Body, Problem, Result};

/// Longest description, in characters.
const DESCRIPTION_LENGTH_MAX: usize = 2_000;

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default().routes(routes!(create_event_type)).routes(routes!(change_event_type, delete_event_type))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewType {
    /// Two or more words of `a-z 0-9 _` joined by full stops, none of ours: `acme.build_done`.
    #[serde(rename = "type")]
    name: String,
    /// When it is told.
    description: String,
    /// JSON Schema (2020-12 or draft 7) that posted data must fit. References stay inside and do not go round.
    #[schema(value_type = Option<Object>)]
    schema: Option<Value>,
    /// Data that fits.
    #[schema(value_type = Option<Object>)]
    example: Option<Value>,
}

/// What may be changed. Members left out stay; null takes a value away.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TypeChange {
    description: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Object>)]
    schema: Option<Option<Value>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Object>)]
    example: Option<Option<Value>>,
}

/// What defining types takes.
#[derive(Clone)]
struct Defining {
    types: Arc<dyn CustomTypeStore>,
    catalogue: Catalogue,
    making: Making,
    bodies: BodyReader,
}

impl FromRef<Edge> for Defining {
    fn from_ref(edge: &Edge) -> Self {
        Self {
            types: Arc::from_ref(edge),
            catalogue: Catalogue::from_ref(edge),
            making: Making::from_ref(edge),
            bodies: BodyReader::from_ref(edge),
        }
    }
}

impl Defining {
    async fn seen(&self, org: OrgId, name: &EventType) -> Result<TypeDefinition> {
        let found = self.types.types(org).await?.into_iter().find(|definition| definition.name == *name);
        found.ok_or(Problem::NotFound)
    }
}

/// A definition as the audit log shows it.
fn noted(definition: &TypeDefinition) -> Value {
    audited(&TypeView::custom(definition, Shown::Listed))
}

/// The schema is one, and the example fits.
fn check(definition: &TypeDefinition) -> Result<()> {
    let length = definition.description.chars().count();
    if definition.description.trim().is_empty() || length > DESCRIPTION_LENGTH_MAX {
        return Err(Problem::payload("/description", "a description has 1 to 2000 characters"));
    }
    if definition.example.as_ref().is_some_and(|example| !example.is_object()) {
        return Err(Problem::payload("/example", "an example is an object, as all data is"));
    }
    let Some(source) = &definition.schema else { return Ok(()) };
    let schema =
        Schema::compile(source).map_err(|error| Problem::payload(format!("/schema{}", error.pointer), error.detail))?;
    let Some(example) = &definition.example else { return Ok(()) };
    schema.check_value(example).map_err(|unfit| Problem::payload(format!("/example{}", unfit.pointer), unfit.detail))
}

/// Define an event type of your own.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/event-types", tag = "event types", request_body = NewType,
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 201, body = TypeView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn create_event_type(
    tenant: Tenant<right::EndpointsWrite>,
    State(defining): State<Defining>,
    request: Request,
) -> Result<Response> {
    let write = defining.bodies.json(request, defining.bodies.limits.other_bytes_max).await?;
    let given: NewType = write.parse()?;
    let name: EventType = given.name.parse().map_err(|error| Problem::payload("/type", format!("{error}")))?;
    if !matches!(name, EventType::Custom(_)) {
        return Err(Problem::payload("/type", "this is a type of ours, which cannot be changed"));
    }
    let now = defining.making.clock.now();
    let definition = TypeDefinition {
        org_id: tenant.org,
        name,
        description: given.description,
        schema: given.schema,
        example: given.example,
        version: 0,
        created_at: now,
        updated_at: now,
    };
    check(&definition)?;
    let answer = answer(StatusCode::CREATED, &TypeView::custom(&definition, Shown::Whole));
    let deed = tenant.caller.deed(Action::EventTypeCreate, &definition.name, now, noted(&definition));
    let written = defining.types.create_type(definition, write.once.terms(&answer, deed)).await?;
    defining.catalogue.changed(tenant.org);
    finish(written, answer)
}

/// Change an event type of your own. Events that were accepted stay as they are.
#[utoipa::path(patch, path = "/api/v1/orgs/{org}/event-types/{type}", tag = "event types", request_body = TypeChange,
    params(("org" = String, Path, description = "Id or slug"), ("type" = String, Path)),
    responses((status = 200, body = TypeView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn change_event_type(
    tenant: Tenant<right::EndpointsWrite>,
    State(defining): State<Defining>,
    params: RawPathParams,
    request: Request,
) -> Result<Response> {
    let name = named(&params)?;
    let write = defining.bodies.json(request, defining.bodies.limits.other_bytes_max).await?;
    let given: TypeChange = write.parse()?;
    let seen = defining.seen(tenant.org, &name).await?;
    let (now, before) = (defining.making.clock.now(), noted(&seen));
    let changed = TypeDefinition {
        description: given.description.unwrap_or(seen.description),
        schema: given.schema.unwrap_or(seen.schema),
        example: given.example.unwrap_or(seen.example),
        version: seen.version + 1,
        updated_at: now,
        ..seen
    };
    check(&changed)?;
    let answer = answer(StatusCode::OK, &TypeView::custom(&changed, Shown::Whole));
    let deed = tenant.caller.deed(Action::EventTypeUpdate, &name, now, changes(&before, &noted(&changed)));
    let terms = write.once.terms(&answer, deed);
    let written = defining.types.update_type(seen.version, changed, terms).await?;
    defining.catalogue.changed(tenant.org);
    finish(written, answer)
}

/// Delete an event type of your own. Its events stay readable, and may still be posted, with any data.
#[utoipa::path(delete, path = "/api/v1/orgs/{org}/event-types/{type}", tag = "event types",
    params(("org" = String, Path, description = "Id or slug"), ("type" = String, Path)),
    responses((status = 204), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn delete_event_type(
    tenant: Tenant<right::EndpointsWrite>,
    State(defining): State<Defining>,
    params: RawPathParams,
) -> Result<StatusCode> {
    let name = named(&params)?;
    let seen = defining.seen(tenant.org, &name).await?;
    let deed = tenant.caller.deed(Action::EventTypeDelete, &name, defining.making.clock.now(), noted(&seen));
    let is_deleted = defining.types.delete_type(tenant.org, name, Some(deed)).await?;
    defining.catalogue.changed(tenant.org);
    if is_deleted { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::NotFound) }
}
