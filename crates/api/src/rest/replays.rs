//! Replays as jobs: asked for with a filter, tried with a dry run, watched, cancelled.

use std::num::NonZeroU32;
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
use watchbell_domain::delivery::StateKind;
use watchbell_domain::id::{EndpointId, OrgId, ReplayId};
use watchbell_domain::port::{
    EndReason, EndpointStore, ReplayFilter, ReplayJob, ReplayProgress, ReplayState, ReplayStore, StoreError,
};

use super::audit::audited;
use super::replay::ended_state;
use crate::auth::{Tenant, right};
use crate::body::BodyReader;
use crate::edge::{Edge, Making};
use crate::once::{answer, finish, send};
use crate::page::{Cursors, List, PageQuery, QueryOf};
use crate::path::IdIn;
use crate::problem::{Body, Problem, Result};

/// Deliveries a second, unless asked for otherwise, and at most.
pub(super) const RATE: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);
const RATE_MAX: u32 = 1_000;
/// Most deliveries of one replay.
pub(super) const LIMIT_MAX: u64 = 10_000_000;
/// Counting stops after it looked at so many: then it is known that there are more, not how many.
const COUNTED_MAX: u64 = 200_000;
/// Looked at by one query of it.
const COUNTED_AT_ONCE: u32 = 5_000;
/// Deliveries that a dry run names.
const SAMPLE: usize = 10;

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .routes(routes!(create_replay, list_replays))
        .routes(routes!(get_replay))
        .routes(routes!(cancel_replay))
}

/// Which deliveries to repeat: those that have ended and fit everything given, of which there must be something. Of
/// several deliveries of one event to one endpoint only the newest made before `until` counts.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewReplay {
    /// To this endpoint.
    #[schema(value_type = Option<String>)]
    endpoint: Option<EndpointId>,
    /// Only `delivered`, `dead_lettered` or `cancelled` ones.
    state: Option<String>,
    /// Only those that ended for this reason, such as `exhausted`.
    reason: Option<String>,
    /// Only of events of this type.
    event_type: Option<String>,
    /// Made at or after.
    since: Option<Timestamp>,
    /// Made before; now when left out.
    until: Option<Timestamp>,
    /// At most so many, oldest first.
    limit: Option<u64>,
    /// Deliveries made a second, from 1 to 1000; 100 when left out.
    rate: Option<u32>,
    /// Only say how many there are, and name the first.
    #[serde(default)]
    dry_run: bool,
}

/// What a replay would repeat.
#[derive(Debug, Serialize, ToSchema)]
struct DryRun {
    dry_run: bool,
    /// How many deliveries would be repeated.
    matched: u64,
    /// Whether that is all; false where counting gave up.
    complete: bool,
    /// The oldest of them.
    sample: Vec<String>,
}

/// A replay that runs as a job.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Replay)]
pub(super) struct ReplayView {
    id: String,
    /// `running`, `finished`, `cancelled`.
    state: &'static str,
    filter: FilterView,
    limit: Option<u64>,
    /// Deliveries made a second, at most.
    rate: u32,
    /// How many it repeats, where that was counted.
    matched: Option<u64>,
    /// How many deliveries it has made.
    made: u64,
    /// How many it has looked at.
    looked_at: u64,
    created_at: Timestamp,
    ended_at: Option<Timestamp>,
}

/// What a replay repeats.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReplayFilter)]
struct FilterView {
    endpoint: Option<String>,
    state: Option<&'static str>,
    reason: Option<&'static str>,
    event_type: Option<String>,
    since: Option<Timestamp>,
    until: Timestamp,
}

impl From<&ReplayJob> for ReplayView {
    fn from(job: &ReplayJob) -> Self {
        let filter = &job.filter;
        Self {
            id: job.id.to_string(),
            state: job.state.as_str(),
            filter: FilterView {
                endpoint: filter.endpoint_id.map(|id| id.to_string()),
                state: filter.state.map(StateKind::as_str),
                reason: filter.reason.map(EndReason::as_str),
                event_type: filter.event_type.as_ref().map(ToString::to_string),
                since: filter.since,
                until: filter.until,
            },
            limit: job.limit,
            rate: job.per_second.get(),
            matched: job.matched,
            made: job.progress.made,
            looked_at: job.progress.looked_at,
            created_at: job.created_at,
            ended_at: job.state.ended_at(),
        }
    }
}

impl NewReplay {
    fn filter(&self, now: Timestamp) -> Result<ReplayFilter> {
        let reason = match &self.reason {
            None => None,
            Some(text) => {
                let reason = EndReason::parse(text);
                Some(reason.ok_or_else(|| Problem::payload("/reason", "no delivery ends for this reason"))?)
            }
        };
        let event_type = match &self.event_type {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| Problem::payload("/event_type", "no type is named so"))?),
        };
        let filter = ReplayFilter {
            endpoint_id: self.endpoint,
            state: ended_state(self.state.as_deref())?,
            reason,
            event_type,
            since: self.since,
            until: self.until.unwrap_or(now).min(now),
        };
        let is_narrow = filter.endpoint_id.is_some() || filter.state.is_some() || filter.reason.is_some();
        if !is_narrow && filter.event_type.is_none() && filter.since.is_none() {
            return Err(Problem::payload("", "say which: endpoint, state, reason, event_type or since"));
        }
        if filter.since.is_some_and(|since| filter.until < since) {
            return Err(Problem::payload("/until", "until lies before since"));
        }
        Ok(filter)
    }

    fn per_second(&self) -> Result<NonZeroU32> {
        let rate = self.rate.map_or(Some(RATE), NonZeroU32::new).filter(|rate| rate.get() <= RATE_MAX);
        rate.ok_or_else(|| Problem::payload("/rate", "rate lies between 1 and 1000"))
    }
}

/// A limit that makes sense.
pub(super) fn checked_limit(limit: Option<u64>) -> Result<Option<u64>> {
    match limit {
        Some(limit) if limit == 0 || limit > LIMIT_MAX => {
            Err(Problem::payload("/limit", "limit lies between 1 and 10000000"))
        }
        limit => Ok(limit),
    }
}

/// What was counted of a filter.
pub(super) struct Counted {
    pub(super) matched: u64,
    pub(super) is_complete: bool,
    sample: Vec<String>,
}

/// Counts what a filter matches, up to `limit`.
pub(super) async fn count(
    replays: &dyn ReplayStore,
    org: OrgId,
    filter: &ReplayFilter,
    limit: Option<u64>,
) -> Result<Counted> {
    let limit = limit.unwrap_or(u64::MAX);
    let (mut counted, mut looked_at, mut from) =
        (Counted { matched: 0, is_complete: true, sample: Vec::new() }, 0, None);
    loop {
        let found = replays.match_replay(org, filter.clone(), from, COUNTED_AT_ONCE, COUNTED_AT_ONCE).await?;
        looked_at += u64::from(found.looked_at);
        let wanted = SAMPLE.saturating_sub(counted.sample.len());
        counted.sample.extend(found.found.iter().take(wanted).map(ToString::to_string));
        counted.matched += u64::try_from(found.found.len()).unwrap_or(u64::MAX);
        from = found.next;
        if counted.matched >= limit {
            counted.matched = limit;
            counted.sample.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            return Ok(counted);
        }
        if from.is_none() || looked_at >= COUNTED_MAX {
            counted.is_complete = from.is_none();
            return Ok(counted);
        }
    }
}

/// A job as it begins.
pub(super) fn begin(
    org_id: OrgId,
    filter: ReplayFilter,
    limit: Option<u64>,
    per_second: NonZeroU32,
    counted: &Counted,
    making: &Making,
) -> ReplayJob {
    let now = making.clock.now();
    ReplayJob {
        id: ReplayId::make(now, &*making.entropy),
        org_id,
        filter,
        limit,
        per_second,
        matched: counted.is_complete.then_some(counted.matched),
        created_at: now,
        state: ReplayState::Running,
        progress: ReplayProgress::default(),
    }
}

/// In the words of the API.
pub(super) fn too_many(error: StoreError) -> Problem {
    if let StoreError::Conflict(_) = error {
        return Problem::Conflict("ten replays of this organisation are running");
    }
    error.into()
}

/// Deliver again what fits a filter, as a job that takes its time. Try it with `dry_run` first.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/replays", tag = "replays", request_body = NewReplay,
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 200, description = "Dry run", body = DryRun), (status = 202, body = ReplayView),
        (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn create_replay(
    tenant: Tenant<right::DeliveriesReplay>,
    State(replays): State<Arc<dyn ReplayStore>>,
    State(endpoints): State<Arc<dyn EndpointStore>>,
    State(making): State<Making>,
    State(bodies): State<BodyReader>,
    request: Request,
) -> Result<Response> {
    let write = bodies.json(request, bodies.limits.other_bytes_max).await?;
    let new: NewReplay = write.parse()?;
    let filter = new.filter(making.clock.now())?;
    let (limit, per_second) = (checked_limit(new.limit)?, new.per_second()?);
    if let Some(endpoint) = filter.endpoint_id {
        let found = endpoints.endpoint(tenant.org, endpoint).await?;
        found.ok_or_else(|| Problem::payload("/endpoint", "there is no such endpoint"))?;
    }
    let counted = count(&*replays, tenant.org, &filter, limit).await?;
    if new.dry_run {
        let Counted { matched, is_complete, sample } = counted;
        let body = DryRun { dry_run: true, matched, complete: is_complete, sample };
        return Ok(send(answer(StatusCode::OK, &body)));
    }
    let job = begin(tenant.org, filter, limit, per_second, &counted, &making);
    let promised = answer(StatusCode::ACCEPTED, &ReplayView::from(&job));
    let deed = tenant.caller.deed(Action::ReplayCreate, job.id, job.created_at, audited(&ReplayView::from(&job)));
    let written = replays.create_replay(job, write.once.terms(&promised, deed)).await.map_err(too_many)?;
    finish(written, promised)
}

/// The organisation's replays.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/replays", tag = "replays",
    params(("org" = String, Path, description = "Id or slug"), PageQuery),
    responses((status = 200, body = List<ReplayView>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_replays(
    tenant: Tenant<right::DeliveriesRead>,
    State(replays): State<Arc<dyn ReplayStore>>,
    State(cursors): State<Cursors>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<axum::Json<List<ReplayView>>> {
    let scope = format!("{}/replays", tenant.org);
    let page = cursors.page(&scope, &query)?;
    let found = replays.replay_jobs(tenant.org, page).await?;
    Ok(axum::Json(cursors.list(&scope, found, |job| job.id.0, |job| ReplayView::from(&job))))
}

/// One replay: how far it came.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/replays/{id}", tag = "replays",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = ReplayView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_replay(
    tenant: Tenant<right::DeliveriesRead>,
    IdIn(id): IdIn<ReplayId>,
    State(replays): State<Arc<dyn ReplayStore>>,
) -> Result<axum::Json<ReplayView>> {
    let found = replays.replay_job(tenant.org, id).await?;
    Ok(axum::Json(ReplayView::from(&found.ok_or(Problem::NotFound)?)))
}

/// Let a replay make no more deliveries. Those that it made stay.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/replays/{id}/cancel", tag = "replays",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = ReplayView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn cancel_replay(
    tenant: Tenant<right::DeliveriesReplay>,
    IdIn(id): IdIn<ReplayId>,
    State(replays): State<Arc<dyn ReplayStore>>,
    State(making): State<Making>,
    State(bodies): State<BodyReader>,
    request: Request,
) -> Result<axum::Json<ReplayView>> {
    bodies.optional_json(request).await?;
    let now = making.clock.now();
    let deed = tenant.caller.deed(Action::ReplayCancel, id, now, Value::Null);
    match replays.cancel_replay(tenant.org, id, now, Some(deed)).await {
        Ok(Some(job)) => Ok(axum::Json(ReplayView::from(&job))),
        Ok(None) => Err(Problem::NotFound),
        Err(StoreError::Conflict(problem)) => Err(Problem::Conflict(problem)),
        Err(error) => Err(error.into()),
    }
}
