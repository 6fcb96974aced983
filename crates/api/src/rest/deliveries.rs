//! Deliveries: listed, counted, retried, cancelled.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::audit::Action;
use watchbell_domain::delivery::{Delivery, StateKind};
use watchbell_domain::id::{DeliveryId, EndpointId, EventId, OrgId};
use watchbell_domain::port::{DeliveryFilter, DeliveryStore, EndpointStore, ReplayWhat, StoreError};
use watchbell_engine::delivery::Handle;

use super::replay::Replays;
use super::show::{self, DeliveryView};
use crate::auth::{Tenant, right};
use crate::body::BodyReader;
use crate::edge::{Edge, Making};
use crate::page::{Cursors, List, PageQuery, QueryOf};
use crate::path::IdIn;
use crate::problem::{Body, Problem, Result};

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .routes(routes!(list_deliveries))
        .routes(routes!(count_deliveries))
        .routes(routes!(get_delivery))
        .routes(routes!(retry_delivery))
        .routes(routes!(cancel_delivery))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DeliveriesQuery {
    /// In this state.
    state: Option<String>,
    /// To this endpoint.
    #[param(value_type = Option<String>)]
    endpoint: Option<EndpointId>,
    /// Of this event.
    #[param(value_type = Option<String>)]
    event: Option<EventId>,
    /// Made at or after.
    since: Option<Timestamp>,
    /// Made before.
    until: Option<Timestamp>,
    #[serde(flatten)]
    #[param(ignore)]
    page: PageQuery,
}

/// How many deliveries are in each state.
#[derive(Debug, Serialize, ToSchema)]
struct Counts {
    /// Not finished: pending, sending and held together.
    undelivered: u64,
    /// Every state with its count.
    states: BTreeMap<&'static str, u64>,
}

/// A state by name, from a query or body.
pub(super) fn state_of(text: Option<&str>) -> Option<Result<StateKind, String>> {
    let names = || StateKind::ALL.map(StateKind::as_str).join(", ");
    text.map(|text| StateKind::parse(text).ok_or_else(|| format!("state is one of: {}", names())))
}

/// The organisation's deliveries.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/deliveries", tag = "deliveries",
    params(("org" = String, Path, description = "Id or slug"), DeliveriesQuery, PageQuery),
    responses((status = 200, body = List<DeliveryView>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_deliveries(
    tenant: Tenant<right::DeliveriesRead>,
    State(deliveries): State<Arc<dyn DeliveryStore>>,
    State(cursors): State<Cursors>,
    QueryOf(query): QueryOf<DeliveriesQuery>,
) -> Result<axum::Json<List<DeliveryView>>> {
    let state = state_of(query.state.as_deref()).transpose();
    let filter = DeliveryFilter {
        state: state.map_err(Problem::QueryInvalid)?,
        endpoint_id: query.endpoint,
        event_id: query.event,
        since: query.since,
        until: query.until,
    };
    let scope = format!("{}/deliveries", tenant.org);
    let page = cursors.page(&scope, &query.page)?;
    let found = deliveries.deliveries(tenant.org, filter, page).await?;
    Ok(axum::Json(cursors.list(&scope, found, |(delivery, _)| delivery.id.0, show::delivery)))
}

/// What is undelivered now, and every other state.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/deliveries/counts", tag = "deliveries",
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 200, body = Counts), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn count_deliveries(
    tenant: Tenant<right::DeliveriesRead>,
    State(deliveries): State<Arc<dyn DeliveryStore>>,
) -> Result<axum::Json<Counts>> {
    let counted = deliveries.count_deliveries(tenant.org).await?;
    let mut states: BTreeMap<_, _> = StateKind::ALL.map(|kind| (kind.as_str(), 0)).into();
    states.extend(counted.iter().map(|(kind, count)| (kind.as_str(), *count)));
    let waiting = counted.iter().filter(|(kind, _)| !kind.is_terminal());
    let undelivered = waiting.map(|(_, count)| count).sum();
    Ok(axum::Json(Counts { undelivered, states }))
}

/// One delivery with its attempts.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/deliveries/{id}", tag = "deliveries",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = DeliveryView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_delivery(
    tenant: Tenant<right::DeliveriesRead>,
    IdIn(id): IdIn<DeliveryId>,
    State(deliveries): State<Arc<dyn DeliveryStore>>,
) -> Result<axum::Json<DeliveryView>> {
    let found = deliveries.delivery(tenant.org, id).await?;
    Ok(axum::Json(show::delivery(found.ok_or(Problem::NotFound)?)))
}

/// Try again now. A waiting delivery becomes due (200, the delivery); one that has ended is repeated as a new delivery
/// (202).
#[utoipa::path(post, path = "/api/v1/orgs/{org}/deliveries/{id}/retry", tag = "deliveries",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = DeliveryView), (status = 202, body = super::replay::Replayed),
        (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn retry_delivery(
    tenant: Tenant<right::DeliveriesReplay>,
    IdIn(id): IdIn<DeliveryId>,
    State(replays): State<Replays>,
    State(endpoints): State<Arc<dyn EndpointStore>>,
    State(wake): State<Handle>,
    State(bodies): State<BodyReader>,
    request: Request,
) -> Result<Response> {
    let write = bodies.optional_json(request).await?;
    let found = replays.deliveries.delivery(tenant.org, id).await?;
    let (delivery, _) = found.ok_or(Problem::NotFound)?;
    if delivery.state.kind().is_terminal() {
        let endpoint = endpoints.endpoint(tenant.org, delivery.endpoint_id).await?;
        endpoint.ok_or(Problem::DeliveryState("the delivery's endpoint was deleted"))?;
        return replays.replay(&tenant.caller, tenant.org, ReplayWhat::Delivery(id), 1, &write.once).await;
    }
    let now = replays.making.clock.now();
    let deed = tenant.caller.deed(Action::DeliveryRetry, id, now, Value::Null);
    let retried = replays.deliveries.retry_now(tenant.org, id, now, Some(deed)).await;
    let retried = in_state(retried, "the delivery is being sent, or its endpoint is not active")?;
    wake.wake(tenant.org, [retried.endpoint_id]);
    shown(&*replays.deliveries, tenant.org, retried).await
}

/// Cancel a delivery that waits.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/deliveries/{id}/cancel", tag = "deliveries",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = DeliveryView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn cancel_delivery(
    tenant: Tenant<right::DeliveriesReplay>,
    IdIn(id): IdIn<DeliveryId>,
    State(deliveries): State<Arc<dyn DeliveryStore>>,
    State(making): State<Making>,
    State(bodies): State<BodyReader>,
    request: Request,
) -> Result<Response> {
    bodies.optional_json(request).await?;
    let now = making.clock.now();
    let deed = tenant.caller.deed(Action::DeliveryCancel, id, now, Value::Null);
    let cancelled = deliveries.cancel(tenant.org, id, now, Some(deed)).await;
    let cancelled = in_state(cancelled, "the delivery has ended or is being sent")?;
    shown(&*deliveries, tenant.org, cancelled).await
}

fn in_state(changed: Result<Option<Delivery>, StoreError>, conflict: &'static str) -> Result<Delivery> {
    match changed {
        Ok(Some(delivery)) => Ok(delivery),
        Ok(None) => Err(Problem::NotFound),
        Err(StoreError::Conflict(_)) => Err(Problem::DeliveryState(conflict)),
        Err(error) => Err(error.into()),
    }
}

/// The delivery with its attempts, as it is after the change.
async fn shown(deliveries: &dyn DeliveryStore, org: OrgId, changed: Delivery) -> Result<Response> {
    let now = deliveries.delivery(org, changed.id).await?;
    let attempts = now.map(|(_, attempts)| attempts).unwrap_or_default();
    Ok(axum::Json(show::delivery((changed, attempts))).into_response())
}
