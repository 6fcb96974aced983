//! Erasing what events say: one event, or every event about a subject.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::audit::Action;
use watchbell_domain::id::{ErasureId, EventId};
use watchbell_domain::port::{Erasure, ErasureStore, StoreError, Subject};

use crate::auth::{Tenant, right};
use crate::body::BodyReader;
use crate::edge::{Edge, Making};
use crate::once::{answer, finish};
use crate::page::{Cursors, List, PageQuery, QueryOf};
use crate::path::IdIn;
use crate::problem::{Body, Problem, Result};

/// A shorter text is in too much.
const TEXT_CHARACTERS_MIN: usize = 4;

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .routes(routes!(erase_event))
        .routes(routes!(create_erasure, list_erasures))
        .routes(routes!(get_erasure))
}

/// What erasing an event did.
#[derive(Debug, Serialize, ToSchema)]
struct ErasedView {
    event_id: String,
    /// When it was erased; long ago, where it was erased before.
    erased_at: Timestamp,
    /// Deliveries that had not ended and were cancelled now.
    cancelled: u64,
}

/// Whose data is to be erased: `pointer` and `value`, or `text`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewErasure {
    /// A JSON pointer (RFC 6901) into `data`, such as `/creator`.
    pointer: Option<String>,
    /// What stands there, compared as JSON.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Object>)]
    value: Option<Value>,
    /// A text of 4 characters or more that occurs in a string of `data`, wherever it stands; case matters.
    text: Option<String>,
}

/// `null` is a value that can stand somewhere, and is not the same as none given.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// A search for a subject through all events. Whom it looks for is never shown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Erasure)]
struct ErasureView {
    id: String,
    /// `running`, `finished`.
    state: &'static str,
    /// Events looked at.
    looked_at: u64,
    /// Events erased.
    erased: u64,
    created_at: Timestamp,
    ended_at: Option<Timestamp>,
}

impl From<&Erasure> for ErasureView {
    fn from(erasure: &Erasure) -> Self {
        Self {
            id: erasure.id.to_string(),
            state: if erasure.ended_at.is_some() { "finished" } else { "running" },
            looked_at: erasure.looked_at,
            erased: erasure.erased,
            created_at: erasure.created_at,
            ended_at: erasure.ended_at,
        }
    }
}

impl NewErasure {
    fn subject(self) -> Result<Subject> {
        match (self.pointer, self.value, self.text) {
            (Some(pointer), Some(value), None) if pointer.starts_with('/') => Ok(Subject::Member { pointer, value }),
            (Some(_), Some(_), None) => Err(Problem::payload("/pointer", "a JSON pointer begins with a slash")),
            (None, None, Some(text)) if text.chars().count() >= TEXT_CHARACTERS_MIN => Ok(Subject::Text(text)),
            (None, None, Some(_)) => Err(Problem::payload("/text", "a text has 4 characters or more")),
            _ => Err(Problem::payload("", "either pointer and value are wanted, or text")),
        }
    }
}

/// Erase what one event says. Its id, type, times and outcomes stay; what of it has not ended is cancelled.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/events/{id}/erase", tag = "events",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = ErasedView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn erase_event(
    tenant: Tenant<right::EventsErase>,
    IdIn(id): IdIn<EventId>,
    State(erasures): State<Arc<dyn ErasureStore>>,
    State(making): State<Making>,
    State(bodies): State<BodyReader>,
    request: Request,
) -> Result<axum::Json<ErasedView>> {
    bodies.optional_json(request).await?;
    let now = making.clock.now();
    let deed = tenant.caller.deed(Action::EventErase, id, now, Value::Null);
    let erased = erasures.erase_event(tenant.org, id, now, Some(deed)).await?.ok_or(Problem::NotFound)?;
    Ok(axum::Json(ErasedView { event_id: id.to_string(), erased_at: erased.at, cancelled: erased.cancelled }))
}

/// In the words of the API.
fn too_many(error: StoreError) -> Problem {
    if let StoreError::Conflict(_) = error {
        return Problem::Conflict("ten erasures of this organisation are running");
    }
    error.into()
}

/// Erase every event about a subject, in the background. Events accepted later are not looked at.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/erasures", tag = "events", request_body = NewErasure,
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 202, body = ErasureView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn create_erasure(
    tenant: Tenant<right::EventsErase>,
    State(erasures): State<Arc<dyn ErasureStore>>,
    State(making): State<Making>,
    State(bodies): State<BodyReader>,
    request: Request,
) -> Result<Response> {
    let write = bodies.json(request, bodies.limits.other_bytes_max).await?;
    let subject = write.parse::<NewErasure>()?.subject()?;
    let now = making.clock.now();
    let erasure = Erasure {
        id: ErasureId::make(now, &*making.entropy),
        org_id: tenant.org,
        subject: Some(subject),
        created_at: now,
        ended_at: None,
        cursor: None,
        looked_at: 0,
        erased: 0,
    };
    let promised = answer(StatusCode::ACCEPTED, &ErasureView::from(&erasure));
    // Whom it looks for is what is to be forgotten.
    let deed = tenant.caller.deed(Action::ErasureCreate, erasure.id, now, Value::Null);
    let written = erasures.create_erasure(erasure, write.once.terms(&promised, deed)).await.map_err(too_many)?;
    finish(written, promised)
}

/// The organisation's erasures by subject.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/erasures", tag = "events",
    params(("org" = String, Path, description = "Id or slug"), PageQuery),
    responses((status = 200, body = List<ErasureView>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_erasures(
    tenant: Tenant<right::EventsErase>,
    State(erasures): State<Arc<dyn ErasureStore>>,
    State(cursors): State<Cursors>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<axum::Json<List<ErasureView>>> {
    let scope = format!("{}/erasures", tenant.org);
    let page = cursors.page(&scope, &query)?;
    let found = erasures.erasures(tenant.org, page).await?;
    Ok(axum::Json(cursors.list(&scope, found, |erasure| erasure.id.0, |erasure| ErasureView::from(&erasure))))
}

/// One erasure by subject: how far it came.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/erasures/{id}", tag = "events",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = ErasureView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_erasure(
    tenant: Tenant<right::EventsErase>,
    IdIn(id): IdIn<ErasureId>,
    State(erasures): State<Arc<dyn ErasureStore>>,
) -> Result<axum::Json<ErasureView>> {
    let found = erasures.erasure(tenant.org, id).await?;
    Ok(axum::Json(ErasureView::from(&found.ok_or(Problem::NotFound)?)))
}
