//! Events: posted one by one or in batches, listed, followed.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::delivery::{Attempt, Delivery};
use watchbell_domain::event::HOPS_MAX;
use watchbell_domain::id::{EventId, OrgId, ProjectId};
use watchbell_domain::port::{DeliveryFilter, DeliveryStore, EventFilter, EventStore, PageRequest, ProjectStore};
use watchbell_engine::catalogue::Catalogue;
use watchbell_engine::ingest::event::{Intake, Post, Taken, Unfit};
use watchbell_wire::{Data, EventType};

use super::show::{self, EventView};
use crate::auth::{Tenant, right};
use crate::body::BodyReader;
use crate::edge::{Edge, Making};
use crate::once::{answer, finish};
use crate::page::{Cursors, List, PageQuery, QueryOf};
use crate::path::IdIn;
use crate::problem::{At, Body, Problem, Result};

/// Most events of a batch.
const BATCH_LENGTH_MAX: usize = 1000;
/// Counts the webhooks that an event has come over.
pub(crate) const HOPS: &str = "webhook-hops";
/// Pages of deliveries read for one event's journey.
const JOURNEY_PAGES_MAX: usize = 40;

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .routes(routes!(list_events, post_event))
        .routes(routes!(post_batch))
        .routes(routes!(get_event))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewEvent<'a> {
    /// What happened: a type of the catalogue or one of your own.
    #[serde(rename = "type", borrow)]
    #[schema(value_type = String)]
    event_type: std::borrow::Cow<'a, str>,
    /// When; now when left out.
    occurred_at: Option<Timestamp>,
    /// The project it is about, by id or name.
    project: Option<String>,
    /// What is said about it: an object. Kept and delivered byte for byte.
    #[serde(borrow)]
    #[schema(value_type = Object)]
    data: &'a RawValue,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewBatch<'a> {
    /// 1 to 1000 events.
    #[serde(borrow)]
    #[schema(value_type = Vec<NewEvent<'_>>)]
    events: Vec<&'a RawValue>,
}

/// An event that was accepted: it is on disk, with a delivery for every endpoint that wants it.
#[derive(Debug, Serialize, ToSchema)]
struct AcceptedEvent {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    occurred_at: Timestamp,
    accepted_at: Timestamp,
    /// The `vulnerability.critical` told beside a critical `vulnerability.created`.
    #[serde(skip_serializing_if = "Option::is_none")]
    critical_id: Option<String>,
}

/// What became of each event of a batch, in order.
#[derive(Debug, Serialize, ToSchema)]
struct BatchAnswer {
    /// How many were taken.
    accepted: usize,
    /// How many were refused.
    refused: usize,
    items: Vec<Outcome>,
}

/// What became of one event of a batch: `id` when it was taken, `code` and `error` when it was refused.
#[derive(Debug, Serialize, ToSchema)]
struct Outcome {
    index: usize,
    status: u16,
    #[serde(flatten)]
    accepted: Option<AcceptedEvent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<At>,
}

/// Post an event. Answered once it is on disk.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/events", tag = "events", request_body = NewEvent<'_>,
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 202, body = AcceptedEvent), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn post_event(
    tenant: Tenant<right::EventsWrite>,
    State(ports): State<Accepting>,
    State(bodies): State<BodyReader>,
    request: Request,
) -> Result<Response> {
    let hops = hops(request.headers())?;
    let write = bodies.json(request, bodies.limits.event_bytes_max).await?;
    let making = &ports.making;
    let now = making.clock.now();
    let mut intake = Intake::new(tenant.org, now, &*making.entropy).after(hops);
    let post = ports.post(tenant.org, write.parse()?).await?;
    let taken = take(&mut intake, post)?;
    let answer = answer(StatusCode::ACCEPTED, &accepted(taken, now));
    let once = write.once.with(&answer);
    let written = ports.events.accept(intake.acceptance(), once).await?;
    finish(written, answer)
}

/// Post many events. Those that fit are accepted in one commit; each item says what became of it.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/events/batch", tag = "events", request_body = NewBatch<'_>,
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 202, body = BatchAnswer), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn post_batch(
    tenant: Tenant<right::EventsWrite>,
    State(ports): State<Accepting>,
    State(bodies): State<BodyReader>,
    request: Request,
) -> Result<Response> {
    let hops = hops(request.headers())?;
    let write = bodies.json(request, bodies.limits.batch_bytes_max).await?;
    let batch: NewBatch<'_> = write.parse()?;
    if batch.events.is_empty() || batch.events.len() > BATCH_LENGTH_MAX {
        return Err(Problem::payload("/events", "a batch has 1 to 1000 events"));
    }
    let making = &ports.making;
    let now = making.clock.now();
    let mut intake = Intake::new(tenant.org, now, &*making.entropy).after(hops);
    let mut items = Vec::with_capacity(batch.events.len());
    for (index, raw) in batch.events.into_iter().enumerate() {
        let taken = match read_item(raw, bodies.limits.event_bytes_max) {
            Ok(event) => ports.post(tenant.org, event).await.and_then(|post| take(&mut intake, post)),
            Err(problem) => Err(problem),
        };
        items.push(outcome(index, taken, now)?);
    }
    let refused = items.iter().filter(|item| item.accepted.is_none()).count();
    let body = BatchAnswer { accepted: items.len() - refused, refused, items };
    let answer = answer(StatusCode::ACCEPTED, &body);
    let once = write.once.with(&answer);
    let written = ports.events.accept(intake.acceptance(), once).await?;
    finish(written, answer)
}

/// Over how many webhooks the request's events have come, as the last of them counted; 0: nobody counted.
///
/// # Errors
/// When it is no number, or there are so many that the event must have been here before.
pub(crate) fn hops(headers: &HeaderMap) -> Result<u8> {
    let mut given = headers.get_all(HOPS).iter();
    let Some(first) = given.next() else {
        return Ok(0);
    };
    let digits =
        first.to_str().ok().filter(|text| (1..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()));
    let count = digits.and_then(|digits| digits.parse::<u32>().ok()).filter(|_| given.next().is_none());
    let Some(count) = count else {
        return Err(Problem::HeaderInvalid(format!("{HOPS} is one number")));
    };
    match u8::try_from(count) {
        Ok(count) if count <= HOPS_MAX => Ok(count),
        Ok(_) | Err(_) => Err(Problem::LoopDetected(HOPS_MAX)),
    }
}

/// What accepting takes: two stores, what types there are, time and chance.
#[derive(Clone)]
struct Accepting {
    events: Arc<dyn EventStore>,
    projects: Arc<dyn ProjectStore>,
    catalogue: Catalogue,
    making: Making,
}

impl axum::extract::FromRef<Edge> for Accepting {
    fn from_ref(edge: &Edge) -> Self {
        Self {
            events: Arc::from_ref(edge),
            projects: Arc::from_ref(edge),
            catalogue: Catalogue::from_ref(edge),
            making: Making::from_ref(edge),
        }
    }
}

impl Accepting {
    async fn post(&self, org: OrgId, given: NewEvent<'_>) -> Result<Post> {
        let event_type: EventType =
            given.event_type.parse().map_err(|error| Problem::payload("/type", format!("{error}")))?;
        if given.occurred_at.is_some_and(|at| at < Timestamp::UNIX_EPOCH) {
            return Err(Problem::payload("/occurred_at", "a time before 1970"));
        }
        let data = Data::from_text(given.data.get().to_owned())
            .map_err(|_| Problem::payload("/data", "data is a JSON object"))?;
        let project_id = match given.project {
            Some(text) => Some(self.project(org, text).await?),
            None => None,
        };
        self.catalogue.check(org, &event_type, &data).await?.map_err(unfit)?;
        Ok(Post { event_type, occurred_at: given.occurred_at, project_id, data })
    }

    async fn project(&self, org: OrgId, text: String) -> Result<ProjectId> {
        let found = match text.parse() {
            Ok(id) => self.projects.project(org, id).await?,
            Err(_) => self.projects.project_by_name(org, text).await?,
        };
        let unknown = || Problem::payload("/project", "the organisation has no project with this id or name");
        found.map(|project| project.id).ok_or_else(unknown)
    }
}

fn read_item(raw: &RawValue, bytes_max: u64) -> Result<NewEvent<'_>> {
    if u64::try_from(raw.get().len()).unwrap_or(u64::MAX) > bytes_max {
        return Err(Problem::BodyTooLarge(bytes_max));
    }
    crate::body::parse(raw.get().as_bytes())
}

fn take(intake: &mut Intake<'_>, post: Post) -> Result<Taken> {
    intake.take(post).map_err(unfit)
}

fn unfit(unfit: Unfit) -> Problem {
    Problem::payload(format!("/data{}", unfit.pointer), unfit.detail)
}

fn accepted(taken: Taken, now: Timestamp) -> AcceptedEvent {
    AcceptedEvent {
        id: taken.id.to_string(),
        event_type: taken.event_type.to_string(),
        occurred_at: taken.occurred_at,
        accepted_at: now,
        critical_id: taken.critical.map(|id| id.to_string()),
    }
}

/// An item that does not fit is an outcome; a store that does not answer fails the whole batch.
fn outcome(index: usize, taken: Result<Taken>, now: Timestamp) -> Result<Outcome> {
    let accepted_status = StatusCode::ACCEPTED.as_u16();
    match taken {
        Ok(taken) => Ok(Outcome {
            index,
            status: accepted_status,
            accepted: Some(accepted(taken, now)),
            code: None,
            error: None,
            errors: Vec::new(),
        }),
        Err(problem) if problem.status().is_server_error() => Err(problem),
        Err(problem) => Ok(Outcome {
            index,
            status: problem.status().as_u16(),
            accepted: None,
            code: Some(problem.code()),
            error: Some(problem.detail()),
            errors: problem.places().to_vec(),
        }),
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct EventsQuery {
    /// Of this type.
    #[serde(rename = "type")]
    event_type: Option<String>,
    /// About this project (id).
    #[param(value_type = Option<String>)]
    project: Option<ProjectId>,
    /// Accepted at or after.
    since: Option<Timestamp>,
    /// Accepted before.
    until: Option<Timestamp>,
    #[serde(flatten)]
    #[param(ignore)]
    page: PageQuery,
}

/// The organisation's events.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/events", tag = "events",
    params(("org" = String, Path, description = "Id or slug"), EventsQuery, PageQuery),
    responses((status = 200, body = List<EventView>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_events(
    tenant: Tenant<right::EventsRead>,
    State(events): State<Arc<dyn EventStore>>,
    State(cursors): State<Cursors>,
    QueryOf(query): QueryOf<EventsQuery>,
) -> Result<axum::Json<List<EventView>>> {
    let event_type = query.event_type.map(|text| text.parse::<EventType>()).transpose();
    let filter = EventFilter {
        event_type: event_type.map_err(|error| Problem::QueryInvalid(format!("type: {error}")))?,
        project_id: query.project,
        since: query.since,
        until: query.until,
    };
    let scope = format!("{}/events", tenant.org);
    let page = events.events(tenant.org, filter, cursors.page(&scope, &query.page)?).await?;
    Ok(axum::Json(cursors.list(&scope, page, |event| event.event.id, EventView::from)))
}

/// One event with its whole journey: deliveries with their attempts, and who did not get it and why.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/events/{id}", tag = "events",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = EventView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_event(
    tenant: Tenant<right::EventsRead>,
    IdIn(id): IdIn<EventId>,
    State(events): State<Arc<dyn EventStore>>,
    State(deliveries): State<Arc<dyn DeliveryStore>>,
) -> Result<axum::Json<EventView>> {
    let found = events.event(tenant.org, id).await?;
    let (event, _) = found.ok_or(Problem::NotFound)?;
    let journey = journey(&*deliveries, tenant.org, id).await?;
    let mut view = EventView::from(event);
    view.deliveries = Some(journey.into_iter().map(show::delivery).collect());
    Ok(axum::Json(view))
}

async fn journey(deliveries: &dyn DeliveryStore, org: OrgId, id: EventId) -> Result<Vec<(Delivery, Vec<Attempt>)>> {
    let filter = DeliveryFilter { event_id: Some(id), ..DeliveryFilter::default() };
    let mut all = Vec::new();
    let mut before = None;
    for _ in 0..JOURNEY_PAGES_MAX {
        let page = PageRequest { before, limit: 250 };
        let found = deliveries.deliveries(org, filter.clone(), page).await?;
        before = found.items.last().map(|(delivery, _)| delivery.id.0);
        all.extend(found.items);
        if !found.more {
            break;
        }
    }
    Ok(all)
}
