//! Mutes of an endpoint: what it is not told for a while. They are part of the endpoint and change with it.

use std::sync::Arc;

use axum::extract::{FromRef, Request, State};
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::audit::{Action, Actor};
use watchbell_domain::endpoint::Endpoint;
use watchbell_domain::id::{EndpointId, FindingId, MuteId, OrgId, ProjectId};
use watchbell_domain::port::{EndpointStore, Terms, Written};
use watchbell_domain::rule::{MUTES_MAX, Mute, Muted};
use watchbell_engine::admin::rules;

use super::audit::audited;
use super::duration::Text;
use super::endpoint_rules::MuteView;
use crate::auth::{Caller, Tenant, right};
use crate::body::BodyReader;
use crate::edge::{Edge, Making};
use crate::once::{answer, finish};
use crate::path::{IdIn, IdsIn};
use crate::problem::{At, Body, Problem, Result};

/// Longest reason, in characters.
const REASON_LENGTH_MAX: usize = 500;

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default().routes(routes!(list_mutes, mute)).routes(routes!(unmute))
}

/// What is muted: one of `finding`, `project`, `type` and `when`, or everything; and until when.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewMute {
    /// Events about this finding.
    #[schema(value_type = Option<String>)]
    finding: Option<FindingId>,
    /// Events about this project.
    #[schema(value_type = Option<String>)]
    project: Option<ProjectId>,
    /// Events of this type.
    #[serde(rename = "type")]
    event_type: Option<String>,
    /// Events that this expression is true of.
    when: Option<String>,
    /// Its end.
    until: Option<Timestamp>,
    /// How long, instead: `4h`.
    #[serde(rename = "for")]
    lasts: Option<Text>,
    /// Why, for whoever asks later.
    reason: Option<String>,
}

/// What an endpoint's mutes are: few, so there is one page.
#[derive(Debug, Serialize, ToSchema)]
struct Mutes {
    /// Those that hold, and those that ended lately; newest first.
    items: Vec<MuteView>,
    /// Always null.
    next_cursor: Option<String>,
}

/// What muting takes.
#[derive(Clone)]
struct Muting {
    endpoints: Arc<dyn EndpointStore>,
    making: Making,
    bodies: BodyReader,
}

impl FromRef<Edge> for Muting {
    fn from_ref(edge: &Edge) -> Self {
        Self { endpoints: Arc::from_ref(edge), making: Making::from_ref(edge), bodies: BodyReader::from_ref(edge) }
    }
}

impl Muting {
    async fn seen(&self, org: OrgId, id: EndpointId) -> Result<Endpoint> {
        self.endpoints.endpoint(org, id).await?.ok_or(Problem::NotFound)
    }
}

impl NewMute {
    fn muted(&self) -> Result<Muted> {
        let event_type = |text: &String| {
            text.parse().map(Muted::Type).map_err(|error| Problem::payload("/type", format!("{error}")))
        };
        let given = [
            self.finding.map(|id| Ok(Muted::Finding(id.0))),
            self.project.map(|id| Ok(Muted::Project(id))),
            self.event_type.as_ref().map(event_type),
            self.when.clone().map(|text| Ok(Muted::When(text))),
        ];
        let mut given = given.into_iter().flatten();
        match (given.next(), given.next()) {
            (None, _) => Ok(Muted::All),
            (Some(one), None) => one,
            (Some(_), Some(_)) => Err(Problem::payload("", "give one of finding, project, type and when")),
        }
    }

    fn until(&self, now: Timestamp) -> Result<Timestamp> {
        let until = match (self.until, self.lasts) {
            (Some(until), None) => Some(until),
            (None, Some(Text(lasts))) => now.checked_add(lasts).ok(),
            (None, None) => return Err(Problem::payload("/until", "a mute has an end: give until, or for")),
            (Some(_), Some(_)) => return Err(Problem::payload("/for", "give until or for, not both")),
        };
        let future = until.filter(|until| *until > now);
        future.ok_or_else(|| Problem::payload("/until", "the end of a mute lies in the future"))
    }
}

/// What is muted for an endpoint.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/endpoints/{id}/mutes", tag = "endpoints",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = Mutes), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_mutes(
    tenant: Tenant<right::EndpointsRead>,
    IdIn(id): IdIn<EndpointId>,
    State(muting): State<Muting>,
) -> Result<axum::Json<Mutes>> {
    let now = muting.making.clock.now();
    let endpoint = muting.seen(tenant.org, id).await?;
    let items = endpoint.policy.rules.mutes.iter().rev().map(|mute| MuteView::new(mute, now)).collect();
    Ok(axum::Json(Mutes { items, next_cursor: None }))
}

/// Mute something for an endpoint, until an end. What is muted is recorded as such, not kept for later.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/endpoints/{id}/mutes", tag = "endpoints", request_body = NewMute,
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 201, body = MuteView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn mute(
    tenant: Tenant<right::EndpointsWrite>,
    IdIn(id): IdIn<EndpointId>,
    State(muting): State<Muting>,
    request: Request,
) -> Result<Response> {
    let write = muting.bodies.json(request, muting.bodies.limits.other_bytes_max).await?;
    let given: NewMute = write.parse()?;
    let now = muting.making.clock.now();
    if given.reason.as_ref().is_some_and(|reason| reason.chars().count() > REASON_LENGTH_MAX) {
        return Err(Problem::payload("/reason", "a reason has at most 500 characters"));
    }
    let wrong = |mistake: watchbell_wire::expression::Mistake| {
        Problem::FilterInvalid(At { pointer: "/when".into(), detail: mistake.to_string() })
    };
    let made = Mute {
        id: MuteId::make(now, &*muting.making.entropy),
        when: given.muted()?.filter().map_err(wrong)?,
        until: given.until(now)?,
        reason: given.reason,
        by: who(&tenant.caller),
        created_at: now,
    };
    let seen = muting.seen(tenant.org, id).await?;
    rules::check_filter(&seen, &made.when).map_err(wrong)?;
    let mut changed = touched(&seen, now);
    let mutes = &mut changed.policy.rules.mutes;
    if mutes.iter().filter(|mute| mute.is_live(now)).count() >= MUTES_MAX {
        return Err(Problem::payload("", "an endpoint has at most 50 mutes: end one first"));
    }
    // The ones that ended longest ago make room.
    while mutes.len() >= MUTES_MAX {
        let oldest = mutes.iter().position(|mute| !mute.is_live(now));
        mutes.remove(oldest.unwrap_or_default());
    }
    mutes.push(made.clone());
    let view = MuteView::new(&made, now);
    let deed = tenant.caller.deed(Action::EndpointMute, id, now, audited(&view));
    let answer = answer(StatusCode::CREATED, &view);
    let written = muting.endpoints.update_endpoint(seen, changed, write.once.terms(&answer, deed)).await?;
    finish(written, answer)
}

/// End a mute now.
#[utoipa::path(delete, path = "/api/v1/orgs/{org}/endpoints/{id}/mutes/{mute}", tag = "endpoints",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path), ("mute" = String, Path)),
    responses((status = 204), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn unmute(
    tenant: Tenant<right::EndpointsWrite>,
    IdsIn(id, mute): IdsIn<EndpointId, MuteId>,
    State(muting): State<Muting>,
) -> Result<StatusCode> {
    let now = muting.making.clock.now();
    let seen = muting.seen(tenant.org, id).await?;
    let mut changed = touched(&seen, now);
    let live = changed.policy.rules.mutes.iter_mut().find(|kept| kept.id == mute && kept.is_live(now));
    let ended = live.ok_or(Problem::NotFound)?;
    ended.until = now;
    let deed = tenant.caller.deed(Action::EndpointUnmute, id, now, audited(&MuteView::new(ended, now)));
    match muting.endpoints.update_endpoint(seen, changed, Terms::from(deed)).await? {
        // Without a key of the client's nothing is repeated.
        Written::Fresh(()) | Written::Repeated(_) | Written::KeyReused => Ok(StatusCode::NO_CONTENT),
    }
}

fn touched(seen: &Endpoint, now: Timestamp) -> Endpoint {
    Endpoint { updated_at: now.max(seen.updated_at), ..seen.clone() }
}

/// Whoever mutes, for people.
fn who(caller: &Caller) -> String {
    match caller.deed(Action::EndpointMute, "", Timestamp::UNIX_EPOCH, serde_json::Value::Null).actor {
        Actor::Key { name, .. } | Actor::Member { name, .. } | Actor::Invited { name, .. } => name,
        Actor::System(part) => part.to_owned(),
    }
}
