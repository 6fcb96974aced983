//! Replays: an event to all its endpoints again, or a window of an endpoint's deliveries.
//!
//! A window of few deliveries is repeated at once; one of many becomes a job (see [`super::replays`]), so that no single
//! commit keeps others waiting.
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
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::audit::Action;
use watchbell_domain::delivery::StateKind;
use watchbell_domain::id::{EndpointId, EventId, OrgId};
use watchbell_domain::port::{
    DeliveryStore, EndpointStore, EventStore, ReplayFilter, ReplayStore, ReplayWhat, Written,
};
use watchbell_engine::admin::replay;
use watchbell_engine::delivery::Handle;

use super::audit::audited;
use super::deliveries::state_of;
use super::replays::{RATE, ReplayView, begin, checked_limit, count, too_many};
use crate::auth::{Caller, Tenant, right};
use crate::body::BodyReader;
use crate::edge::{Edge, Making};
use crate::once::{OnceKey, answer, finish, send};
use crate::path::IdIn;
use crate::problem::{Body, Problem, Result};

/// Most deliveries that are made at once, in one commit.
const AT_ONCE_MAX: u32 = 250;

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
    /// At most so many, oldest first.
    limit: Option<u64>,
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
    /// The replay that makes them, where they are too many to be made at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<String>,
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
    pub(super) async fn replay(
        &self,
        caller: &Caller,
        org: OrgId,
        what: ReplayWhat,
        matched: u64,
        once: &OnceKey,
    ) -> Result<Response> {
        let now = self.making.clock.now();
        let detail = json!({"matched": matched});
        let deed = match what {
            ReplayWhat::Delivery(id) => caller.deed(Action::DeliveryReplay, id, now, detail),
            ReplayWhat::Event(id) => caller.deed(Action::EventReplay, id, now, detail),
            ReplayWhat::Window { endpoint_id, since, until, state, .. } => {
                let state = state.map(StateKind::as_str);
                let detail = json!({"matched": matched, "since": since, "until": until, "state": state});
                caller.deed(Action::EndpointReplay, endpoint_id, now, detail)
            }
        };
        let prepared = replay::prepare(org, what, now, &*self.making.entropy);
        let mut body = Replayed { dry_run: false, matched, deliveries: None, replay: None };
        let promised = answer(StatusCode::ACCEPTED, &body);
        let written = replay::replay(&*self.deliveries, &self.wake, prepared, once.terms(&promised, deed)).await?;
        if let (Written::Fresh(made), false) = (&written, once.is_given()) {
            body.matched = u64::try_from(made.len()).unwrap_or(u64::MAX);
            body.deliveries = Some(made.iter().map(|delivery| delivery.id.to_string()).collect());
            return Ok(send(answer(StatusCode::ACCEPTED, &body)));
        }
        finish(written, promised)
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
    replays.replay(&tenant.caller, tenant.org, ReplayWhat::Event(id), matched, &write.once).await
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
    State(jobs): State<Arc<dyn ReplayStore>>,
    State(bodies): State<BodyReader>,
    request: Request,
) -> Result<Response> {
    let write = bodies.json(request, bodies.limits.other_bytes_max).await?;
    let window: Window = write.parse()?;
    endpoints.endpoint(tenant.org, id).await?.ok_or(Problem::NotFound)?;
    let state = ended_state(window.state.as_deref())?;
    let now = replays.making.clock.now();
    let until = window.until.unwrap_or(now).min(now);
    if until < window.since {
        return Err(Problem::payload("/until", "until lies before since"));
    }
    let limit = checked_limit(window.limit)?;
    let (since, filter) = (window.since, window_of(id, window.since, until, state));
    let counted = count(&*jobs, tenant.org, &filter, limit).await?;
    let matched = counted.matched;
    if window.dry_run {
        let body = Replayed { dry_run: true, matched, deliveries: None, replay: None };
        return Ok(send(answer(StatusCode::OK, &body)));
    }
    if counted.is_complete && matched <= u64::from(AT_ONCE_MAX) {
        let limit = limit.map_or(AT_ONCE_MAX, |limit| u32::try_from(limit).unwrap_or(AT_ONCE_MAX).min(AT_ONCE_MAX));
        let what = ReplayWhat::Window { endpoint_id: id, since, until, state, limit };
        return replays.replay(&tenant.caller, tenant.org, what, matched, &write.once).await;
    }
    let job = begin(tenant.org, filter, limit, RATE, &counted, &replays.making);
    let body = Replayed { dry_run: false, matched, deliveries: None, replay: Some(job.id.to_string()) };
    let promised = answer(StatusCode::ACCEPTED, &body);
    let deed = tenant.caller.deed(Action::ReplayCreate, job.id, now, audited(&ReplayView::from(&job)));
    let written = jobs.create_replay(job, write.once.terms(&promised, deed)).await.map_err(too_many)?;
    finish(written, promised)
}

const fn window_of(id: EndpointId, since: Timestamp, until: Timestamp, state: Option<StateKind>) -> ReplayFilter {
    ReplayFilter { endpoint_id: Some(id), state, reason: None, event_type: None, since: Some(since), until }
}

/// A state that a delivery ends in.
pub(super) fn ended_state(text: Option<&str>) -> Result<Option<StateKind>> {
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
