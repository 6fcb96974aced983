//! "Why did I get this?" and "why did I not?"; and filters tried without being saved.

use std::sync::Arc;

use axum::extract::{FromRef, Request, State};
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::access::Scope;
use watchbell_domain::delivery::Delivery;
use watchbell_domain::endpoint::Endpoint;
use watchbell_domain::event::AcceptedEvent;
use watchbell_domain::id::{EndpointId, EventId, OrgId, ProjectId};
use watchbell_domain::org::{Org, Project};
use watchbell_domain::port::{EndpointStore, EventStore, OrgStore, ProjectStore, SourceStore};
use watchbell_domain::rule::Filter;
use watchbell_domain::source::Source;
use watchbell_domain::why::{self, Question, Rule, RuleName, Why};
use watchbell_engine::admin::rules;
use watchbell_wire::expression::{Explanation, Part};
use watchbell_wire::{Data, Event, EventType};

use crate::auth::{Tenant, right};
use crate::body::BodyReader;
use crate::edge::{Edge, Making};
use crate::once::{answer, send};
use crate::page::{Cursors, List, PageQuery, QueryOf};
use crate::path::IdIn;
use crate::problem::{At, Body, Problem, Result};

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default().routes(routes!(why_event)).routes(routes!(try_filter))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct WhyQuery {
    /// About this endpoint only, which may be gone.
    #[param(value_type = Option<String>)]
    endpoint: Option<EndpointId>,
    #[serde(flatten)]
    #[param(ignore)]
    page: PageQuery,
}

/// Why an endpoint got an event, or did not.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Why)]
struct WhyView {
    endpoint_id: String,
    /// Whether it got the event: whether there was a delivery.
    got: bool,
    /// The reason recorded when the event was accepted, where it did not.
    reason: Option<&'static str>,
    /// What was recorded, in words.
    because: String,
    /// Its deliveries to the endpoint.
    deliveries: Vec<Told>,
    /// What the rules say now.
    now: NowView,
}

/// A delivery and where it stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WhyDelivery)]
struct Told {
    id: String,
    state: &'static str,
}

/// What the rules say now: not what was recorded, but what would be decided of the same event today.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WhyNow)]
struct NowView {
    /// Whether the endpoint would get it. Null: the endpoint is gone.
    would_get: Option<bool>,
    /// Whether the endpoint was changed after the event was accepted.
    changed_since: bool,
    /// Each rule, in the order in which they are asked.
    rules: Vec<RuleView>,
}

/// What one rule says.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WhyRule)]
struct RuleView {
    /// `dialect`, `subscription`, `min_severity`, `filter`, `mute`, `quiet`, `batch`, `state`.
    rule: &'static str,
    /// Which mute.
    #[serde(skip_serializing_if = "Option::is_none")]
    mute_id: Option<String>,
    /// Whether it lets the event pass. Null: it cannot say, and does not stand in the way.
    passes: Option<bool>,
    /// In words.
    because: String,
    #[serde(flatten)]
    expression: Option<ExpressionView>,
}

/// An expression, taken apart.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExpressionParts)]
struct ExpressionView {
    /// The values that the names in it had.
    #[schema(value_type = Object)]
    names: Map<String, Value>,
    /// What stands between `&&` and `||`.
    parts: Vec<PartView>,
}

/// One condition of an expression.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExpressionPart)]
struct PartView {
    text: String,
    /// Null: it has no answer.
    answer: Option<bool>,
    /// Why it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Whether the whole answers as it does because of this.
    decides: bool,
}

impl From<Explanation> for ExpressionView {
    fn from(explanation: Explanation) -> Self {
        let part = |Part { text, answer, decides }: Part| {
            let (answer, error) = answered(answer);
            PartView { text, answer, error, decides }
        };
        Self {
            names: explanation.names.into_iter().collect(),
            parts: explanation.parts.into_iter().map(part).collect(),
        }
    }
}

fn answered(answer: std::result::Result<bool, String>) -> (Option<bool>, Option<String>) {
    match answer {
        Ok(answer) => (Some(answer), None),
        Err(error) => (None, Some(error)),
    }
}

impl From<Rule> for RuleView {
    fn from(rule: Rule) -> Self {
        let mute_id = if let RuleName::Mute(id) = rule.name { Some(id.to_string()) } else { None };
        Self {
            rule: rule.name.as_str(),
            mute_id,
            passes: rule.passes,
            because: rule.said,
            expression: rule.explanation.map(ExpressionView::from),
        }
    }
}

impl WhyView {
    fn new(why: Why, deliveries: &[Delivery], exists: bool) -> Self {
        let own = deliveries.iter().filter(|delivery| delivery.endpoint_id == why.endpoint_id);
        let told = |delivery: &Delivery| Told { id: delivery.id.to_string(), state: delivery.state.as_str() };
        let would_get = exists.then(|| why.rules.iter().all(|rule| rule.passes != Some(false)));
        Self {
            endpoint_id: why.endpoint_id.to_string(),
            got: why.got,
            reason: why.reason.map(watchbell_domain::route::SkipReason::as_str),
            because: why.because,
            deliveries: own.map(told).collect(),
            now: NowView {
                would_get,
                changed_since: why.changed_since,
                rules: why.rules.into_iter().map(RuleView::from).collect(),
            },
        }
    }
}

/// What asking takes.
#[derive(Clone)]
struct Asking {
    events: Arc<dyn EventStore>,
    endpoints: Arc<dyn EndpointStore>,
    projects: Arc<dyn ProjectStore>,
    sources: Arc<dyn SourceStore>,
    orgs: Arc<dyn OrgStore>,
    bodies: BodyReader,
    making: Making,
}

impl FromRef<Edge> for Asking {
    fn from_ref(edge: &Edge) -> Self {
        Self {
            events: Arc::from_ref(edge),
            endpoints: Arc::from_ref(edge),
            projects: Arc::from_ref(edge),
            sources: Arc::from_ref(edge),
            orgs: Arc::from_ref(edge),
            bodies: BodyReader::from_ref(edge),
            making: Making::from_ref(edge),
        }
    }
}

/// An event with what stands around it.
struct Scene {
    event: AcceptedEvent,
    deliveries: Vec<Delivery>,
    project: Option<Project>,
    source: Option<Source>,
    org: Option<Org>,
}

impl Asking {
    async fn scene(&self, org: OrgId, id: EventId) -> Result<Scene> {
        let (event, deliveries) = self.events.event(org, id).await?.ok_or(Problem::NotFound)?;
        self.around(event, deliveries).await
    }

    async fn around(&self, event: AcceptedEvent, deliveries: Vec<Delivery>) -> Result<Scene> {
        let project = match event.project_id {
            Some(id) => self.projects.project(event.org_id, id).await?,
            None => None,
        };
        let source = match event.source_id {
            Some(id) => self.sources.source(event.org_id, id).await?,
            None => None,
        };
        let org = self.orgs.org(event.org_id).await?;
        Ok(Scene { event, deliveries, project, source, org })
    }

    async fn endpoint(&self, org: OrgId, id: EndpointId) -> Result<Endpoint> {
        self.endpoints.endpoint(org, id).await?.ok_or(Problem::NotFound)
    }
}

impl Scene {
    fn question<'a>(&'a self, endpoint_id: EndpointId, endpoint: Option<&'a Endpoint>) -> Question<'a> {
        Question {
            event: &self.event,
            deliveries: &self.deliveries,
            project: self.project.as_ref(),
            source: self.source.as_ref(),
            org: self.org.as_ref(),
            endpoint_id,
            endpoint,
            failure: None,
        }
    }
}

/// Why endpoints got an event, or did not: what was recorded when it was accepted, and what the rules say now.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/events/{id}/why", tag = "events",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path), WhyQuery, PageQuery),
    responses((status = 200, body = List<WhyView>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn why_event(
    tenant: Tenant<right::EventsRead>,
    IdIn(id): IdIn<EventId>,
    State(asking): State<Asking>,
    State(cursors): State<Cursors>,
    QueryOf(query): QueryOf<WhyQuery>,
) -> Result<axum::Json<List<WhyView>>> {
    let scene = asking.scene(tenant.org, id).await?;
    // The rules of endpoints are shown as well.
    tenant.caller.must(Scope::EndpointsRead)?;
    let failures = asking.endpoints.rule_failures(tenant.org).await?;
    let ask = |endpoint_id: EndpointId, endpoint: Option<&Endpoint>| {
        let question = Question { failure: failures.get(&endpoint_id), ..scene.question(endpoint_id, endpoint) };
        WhyView::new(why::why(question), &scene.deliveries, endpoint.is_some())
    };
    let scope = format!("{}/events/{id}/why", tenant.org);
    if let Some(endpoint_id) = query.endpoint {
        let endpoint = asking.endpoints.endpoint(tenant.org, endpoint_id).await?;
        let is_known = scene.event.skipped.iter().any(|skip| skip.endpoint_id == endpoint_id)
            || scene.deliveries.iter().any(|delivery| delivery.endpoint_id == endpoint_id);
        if endpoint.is_none() && !is_known {
            return Err(Problem::NotFound);
        }
        let items = vec![ask(endpoint_id, endpoint.as_ref())];
        return Ok(axum::Json(List { items, next_cursor: None }));
    }
    let page = asking.endpoints.endpoints(tenant.org, cursors.page(&scope, &query.page)?).await?;
    let show = |endpoint: Endpoint| ask(endpoint.id, Some(&endpoint));
    Ok(axum::Json(cursors.list(&scope, page, |endpoint| endpoint.id.0, show)))
}

/// A filter to be tried: on one event, on what would be one, or on the samples of every type that the endpoint can get.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Trial<'a> {
    /// The filter; the endpoint's own when left out.
    filter: Option<String>,
    /// An event that was accepted.
    #[schema(value_type = Option<String>)]
    event_id: Option<EventId>,
    /// What would be an event.
    #[serde(borrow)]
    event: Option<TrialEvent<'a>>,
}

/// What would be an event.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TrialEvent<'a> {
    /// Its type.
    #[serde(rename = "type")]
    event_type: String,
    /// The project that it is about (id).
    #[schema(value_type = Option<String>)]
    project: Option<ProjectId>,
    /// What it says.
    #[serde(borrow)]
    #[schema(value_type = Object)]
    data: &'a RawValue,
}

/// What came of trying a filter. Nothing is saved and nothing is sent.
#[derive(Debug, Serialize, ToSchema)]
struct Tried {
    filter: String,
    items: Vec<TriedOn>,
}

/// What a filter says of one event.
#[derive(Debug, Serialize, ToSchema)]
struct TriedOn {
    #[serde(rename = "type")]
    event_type: String,
    /// Null: it has no answer, and the event would pass.
    answer: Option<bool>,
    /// Why it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// When it would go out, in words. Null: it would not.
    goes_out: Option<String>,
    #[serde(flatten)]
    expression: ExpressionView,
}

/// Try a filter on an event without saving it.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/endpoints/{id}/filter/try", tag = "endpoints", request_body = Trial<'_>,
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = Tried), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn try_filter(
    tenant: Tenant<right::EndpointsRead>,
    IdIn(id): IdIn<EndpointId>,
    State(asking): State<Asking>,
    request: Request,
) -> Result<Response> {
    let write = asking.bodies.json(request, asking.bodies.limits.event_bytes_max).await?;
    let trial: Trial<'_> = write.parse()?;
    let endpoint = asking.endpoint(tenant.org, id).await?;
    let own = || endpoint.policy.rules.filter.as_ref().map(|filter| filter.source().to_owned());
    let source = trial.filter.clone().or_else(own);
    let source = source.ok_or_else(|| Problem::payload("/filter", "the endpoint has no filter: give one"))?;
    let filter = Filter::new(source);
    let wrong = |mistake: &watchbell_wire::expression::Mistake| {
        Problem::FilterInvalid(At { pointer: "/filter".into(), detail: mistake.to_string() })
    };
    let expression = filter.compiled().map_err(wrong)?;
    let mut items = Vec::new();
    for scene in asking.scenes(&tenant, &endpoint, &trial).await? {
        let explanation = expression.explain(&why::facts(scene.question(id, None)));
        let (answer, error) = answered(explanation.answer.clone());
        let event_type = scene.event.event.event_type.to_string();
        let goes_out = (answer != Some(false)).then(|| why::when(&endpoint, &scene.event));
        items.push(TriedOn { event_type, answer, error, goes_out, expression: explanation.into() });
    }
    Ok(send(answer(StatusCode::OK, &Tried { filter: filter.source().to_owned(), items })))
}

impl Asking {
    /// What a filter is tried on.
    async fn scenes(
        &self,
        tenant: &Tenant<right::EndpointsRead>,
        endpoint: &Endpoint,
        trial: &Trial<'_>,
    ) -> Result<Vec<Scene>> {
        let now = self.making.clock.now();
        match (trial.event_id, &trial.event) {
            (Some(id), None) => {
                tenant.caller.must(Scope::EventsRead)?;
                Ok(vec![self.scene(tenant.org, id).await?])
            }
            (None, Some(event)) => {
                let event_type: EventType =
                    event.event_type.parse().map_err(|error| Problem::payload("/event/type", format!("{error}")))?;
                let data = Data::from_text(event.data.get().to_owned())
                    .map_err(|_| Problem::payload("/event/data", "data is a JSON object"))?;
                let event = imagined(tenant.org, event_type, data, event.project, now);
                Ok(vec![self.around(event, Vec::new()).await?])
            }
            (None, None) => {
                let mut scenes = Vec::new();
                for (event_type, data) in rules::samples(endpoint) {
                    scenes.push(self.around(imagined(tenant.org, event_type, data, None, now), Vec::new()).await?);
                }
                Ok(scenes)
            }
            (Some(_), Some(_)) => Err(Problem::payload("", "give event or event_id, not both")),
        }
    }
}

fn imagined(
    org_id: OrgId,
    event_type: EventType,
    data: Data,
    project_id: Option<ProjectId>,
    now: Timestamp,
) -> AcceptedEvent {
    let event = Event { id: uuid::Uuid::nil(), event_type, occurred_at: now, data };
    let (accepted_at, source_id) = (now, None);
    AcceptedEvent { event, org_id, project_id, source_id, accepted_at, erased_at: None, skipped: Vec::new() }
}
