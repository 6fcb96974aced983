//! Replays: an event to all its endpoints again, or a window of an endpoint's deliveries.
//!
//! The answer to a request with an `Idempotency-Key` is committed with the write and so cannot name the deliveries that
//! the write makes; it says how many are repeated. Without a key the deliveries are named as well.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{FromRef, Request, State};
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::delivery::StateKind;
use watchbell_domain::id::{EndpointId, EventId, OrgId};
use watchbell_domain::port::{
    DeliveryFilter, DeliveryStore, EndpointStore, EventStore, PageRequest, ReplayWhat, Written,
};
use watchbell_engine::admin::replay;
use watchbell_engine::delivery::Handle;

use super::deliveries::state_of;
use crate::auth::{Tenant, right};
use crate::body::BodyReader;
use crate::edge::{Edge, Making};
use crate::once::{OnceKey, answer, finish, send};
use crate::path::IdIn;
use crate::problem::{Body, Problem, Result};

/// Most deliveries of one replay.
const WINDOW_MAX: u32 = 10_000;

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default().routes(routes!(replay_event)).routes(routes!(replay_window))
}

/// Which deliveries of an endpoint to repeat: those that have ended, made in a window.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Window {
    /// Made at or after.
    since: Timestamp,
    /// Made before; now when left out.
    until: Option<Timestamp>,
    /// Only `delivered`, `dead_lettered` or `cancelled` ones.
    state: Option<String>,
    /// At most so many, oldest first; 10000 when left out.
    limit: Option<u32>,
    /// Only say how many there are.
    #[serde(default)]
    dry_run: bool,
}

/// What a replay repeats.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Replayed {
    /// Nothing was done.
    dry_run: bool,
    /// How many deliveries are repeated.
    matched: u64,
    /// The new deliveries. Left out when an `Idempotency-Key` was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    deliveries: Option<Vec<String>>,
}

/// What replaying takes.
#[derive(Clone)]
pub(super) struct Replays {
    pub(super) deliveries: Arc<dyn DeliveryStore>,
    pub(super) making: Making,
    wake: Handle,
}

impl FromRef<Edge> for Replays {
    fn from_ref(edge: &Edge) -> Self {
        Self { deliveries: Arc::from_ref(edge), making: Making::from_ref(edge), wake: Handle::from_ref(edge) }
    }
}

impl Replays {
    /// Commits a replay that was found to match so many deliveries.
    pub(super) async fn replay(&self, org: OrgId, what: ReplayWhat, matched: u64, once: &OnceKey) -> Result<Response> {
        let prepared = replay::prepare(org, what, self.making.clock.now(), &*self.making.entropy);
        let mut body = Replayed { dry_run: false, matched, deliveries: None };
        let promised = answer(StatusCode::ACCEPTED, &body);
        let written = replay::replay(&*self.deliveries, &self.wake, prepared, once.with(&promised)).await?;
        if let (Written::Fresh(made), false) = (&written, once.is_given()) {
            body.matched = u64::try_from(made.len()).unwrap_or(u64::MAX);
            body.deliveries = Some(made.iter().map(|delivery| delivery.id.to_string()).collect());
            return Ok(send(answer(StatusCode::ACCEPTED, &body)));
        }
        finish(written, promised)
    }

    /// How many deliveries a window holds, up to its limit.
    async fn count(&self, org: OrgId, filter: DeliveryFilter, limit: u64) -> Result<u64> {
        let mut count = 0;
        let mut before = None;
        while count < limit {
            let page = PageRequest { before, limit: 250 };
            let found = self.deliveries.deliveries(org, filter.clone(), page).await?;
            before = found.items.last().map(|(delivery, _)| delivery.id.0);
            let ended = found.items.iter().filter(|(delivery, _)| delivery.state.kind().is_terminal());
            count += u64::try_from(ended.count()).unwrap_or(u64::MAX);
            if !found.more {
                break;
            }
        }
        Ok(count.min(limit))
    }
}

/// Deliver an event again to every endpoint that it went to.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/events/{id}/replay", tag = "events",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 202, body = Replayed), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn replay_event(
    tenant: Tenant<right::DeliveriesReplay>,
    IdIn(id): IdIn<EventId>,
    State(events): State<Arc<dyn EventStore>>,
    State(replays): State<Replays>,
    State(bodies): State<BodyReader>,
    request: Request,
) -> Result<Response> {
    let write = bodies.optional_json(request).await?;
    let found = events.event(tenant.org, id).await?;
    let (_, deliveries) = found.ok_or(Problem::NotFound)?;
    let endpoints: BTreeSet<_> = deliveries.iter().map(|delivery| delivery.endpoint_id).collect();
    let matched = u64::try_from(endpoints.len()).unwrap_or(u64::MAX);
    replays.replay(tenant.org, ReplayWhat::Event(id), matched, &write.once).await
}

/// Deliver again what an endpoint got, or did not get, in a window. Try it with `dry_run` first.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/endpoints/{id}/replay", tag = "endpoints", request_body = Window,
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, description = "Dry run", body = Replayed), (status = 202, body = Replayed),
        (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn replay_window(
    tenant: Tenant<right::DeliveriesReplay>,
    IdIn(id): IdIn<EndpointId>,
    State(endpoints): State<Arc<dyn EndpointStore>>,
    State(replays): State<Replays>,
    State(bodies): State<BodyReader>,
    request: Request,
) -> Result<Response> {
    let write = bodies.json(request, bodies.limits.other_bytes_max).await?;
    let window: Window = write.parse()?;
    endpoints.endpoint(tenant.org, id).await?.ok_or(Problem::NotFound)?;
    let state = ended_state(window.state.as_deref())?;
    let until = window.until.unwrap_or_else(|| replays.making.clock.now());
    if until < window.since {
        return Err(Problem::payload("/until", "until lies before since"));
    }
    let limit = window.limit.unwrap_or(WINDOW_MAX);
    if limit == 0 || limit > WINDOW_MAX {
        return Err(Problem::payload("/limit", "limit lies between 1 and 10000"));
    }
    let filter =
        DeliveryFilter { state, endpoint_id: Some(id), event_id: None, since: Some(window.since), until: Some(until) };
    // Counting reads the window, so it is left out where the write itself says how many there were.
    let matched = match window.dry_run || write.once.is_given() {
        true => replays.count(tenant.org, filter, u64::from(limit)).await?,
        false => 0,
    };
    if window.dry_run {
        let body = Replayed { dry_run: true, matched, deliveries: None };
        return Ok(send(answer(StatusCode::OK, &body)));
    }
    let what = ReplayWhat::Window { endpoint_id: id, since: window.since, until, state, limit };
    replays.replay(tenant.org, what, matched, &write.once).await
}

fn ended_state(text: Option<&str>) -> Result<Option<StateKind>> {
    let state = state_of(text).transpose();
    let state = state.map_err(|detail| Problem::payload("/state", detail))?;
    match state {
        Some(kind) if !kind.is_terminal() => {
            let detail = "only deliveries that have ended can be repeated: delivered, dead_lettered, cancelled";
            Err(Problem::payload("/state", detail))
        }
        other => Ok(other),
    }
}
