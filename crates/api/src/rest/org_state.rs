//! Organisations suspended, resumed, deleted, and put into groups: what operators do.

use std::sync::Arc;

use axum::extract::{FromRef, Request, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::audit::Action;
use watchbell_domain::id::GroupId;
use watchbell_domain::org::OrgState;
use watchbell_domain::port::{GroupStore, OrgStore, Terms, Written};
use watchbell_engine::upkeep::orgs;

use super::orgs::OrgView;
use crate::auth::{Authenticator, Tenant, right};
use crate::body::BodyReader;
use crate::edge::{Edge, Making};
use crate::once::{answer, finish};
use crate::org_names::OrgNames;
use crate::problem::{Body, Problem, Result};

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .routes(routes!(suspend_org))
        .routes(routes!(resume_org))
        .routes(routes!(delete_org))
        .routes(routes!(place_org))
}

/// What changes of state take.
#[derive(Clone)]
struct States {
    orgs: Arc<dyn OrgStore>,
    groups: Arc<dyn GroupStore>,
    auth: Authenticator,
    names: OrgNames,
    making: Making,
    bodies: BodyReader,
}

impl FromRef<Edge> for States {
    fn from_ref(edge: &Edge) -> Self {
        Self {
            orgs: Arc::from_ref(edge),
            groups: Arc::from_ref(edge),
            auth: Authenticator::from_ref(edge),
            names: OrgNames::from_ref(edge),
            making: Making::from_ref(edge),
            bodies: BodyReader::from_ref(edge),
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Placing {
    /// The group; null: none.
    #[schema(value_type = Option<String>)]
    group: Option<GroupId>,
}

impl States {
    /// Enters a state and takes the first steps of what follows from it.
    async fn enter(
        &self,
        tenant: Tenant<right::AnyKey>,
        action: Action,
        state: OrgState,
        status: StatusCode,
        request: Option<Request>,
    ) -> Result<Response> {
        tenant.caller.must_be_operator()?;
        let write = match request {
            Some(request) => Some(self.bodies.optional_json(request).await?),
            None => None,
        };
        let org = self.orgs.org(tenant.org).await?.ok_or(Problem::NotFound)?;
        let standing = self.orgs.standing(tenant.org).await?.ok_or(Problem::NotFound)?;
        let now = self.making.clock.now();
        let detail = json!({"slug": org.slug, "name": org.name, "before": standing.state.as_str()});
        let deed = tenant.caller.deed(action, tenant.org, now, detail);
        let standing = watchbell_domain::org::Standing { state, ..standing };
        let answer = answer(status, &OrgView::new(org, standing));
        let terms = match write {
            Some(write) => write.once.terms(&answer, deed),
            None => Terms::from(deed),
        };
        let written = self.orgs.set_org_state(tenant.org, state, now, terms).await?;
        if written == Written::Fresh(false) {
            return Err(Problem::NotFound);
        }
        self.auth.forget();
        self.names.forget();
        // The rest is upkeep's, and so is what fails here.
        if let Err(problem) = orgs::begin(&*self.orgs, &*self.making.clock, tenant.org).await {
            tracing::warn!(%problem, "an organisation's step failed");
        }
        finish(written, answer)
    }
}

/// Suspend an organisation: its keys are dead and its deliveries held. Needs a key that reaches every organisation.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/suspend", tag = "orgs",
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 200, body = OrgView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn suspend_org(
    tenant: Tenant<right::AnyKey>,
    State(states): State<States>,
    request: Request,
) -> Result<Response> {
    let since = states.making.clock.now();
    let state = OrgState::Suspended { since };
    states.enter(tenant, Action::OrgSuspend, state, StatusCode::OK, Some(request)).await
}

/// Let a suspended organisation work again. Needs a key that reaches every organisation.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/resume", tag = "orgs",
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 200, body = OrgView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn resume_org(tenant: Tenant<right::AnyKey>, State(states): State<States>, request: Request) -> Result<Response> {
    states.enter(tenant, Action::OrgResume, OrgState::Active, StatusCode::OK, Some(request)).await
}

/// Delete an organisation: its keys are dead at once, what waits is cancelled, its secrets and then all its rows go. Its
/// audit log stays. Needs a key that reaches every organisation.
#[utoipa::path(delete, path = "/api/v1/orgs/{org}", tag = "orgs",
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 202, body = OrgView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn delete_org(tenant: Tenant<right::AnyKey>, State(states): State<States>) -> Result<Response> {
    let state = OrgState::Deleting { since: states.making.clock.now() };
    states.enter(tenant, Action::OrgDelete, state, StatusCode::ACCEPTED, None).await
}

/// Put an organisation into a group, or into none. Needs a key that reaches every organisation.
#[utoipa::path(put, path = "/api/v1/orgs/{org}/group", tag = "groups", request_body = Placing,
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 200, body = OrgView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn place_org(tenant: Tenant<right::AnyKey>, State(states): State<States>, request: Request) -> Result<Response> {
    tenant.caller.must_be_operator()?;
    let write = states.bodies.json(request, states.bodies.limits.other_bytes_max).await?;
    let given: Placing = write.parse()?;
    if let Some(group) = given.group {
        let found = states.groups.group(group).await?;
        found.ok_or_else(|| Problem::payload("/group", "there is no such group"))?;
    }
    let org = states.orgs.org(tenant.org).await?.ok_or(Problem::NotFound)?;
    let standing = states.orgs.standing(tenant.org).await?.ok_or(Problem::NotFound)?;
    let now = states.making.clock.now();
    let text = |group: Option<GroupId>| group.map(|group| group.to_string());
    let detail = json!({"before": text(standing.group_id), "after": text(given.group)});
    let deed = tenant.caller.deed(Action::OrgGroup, tenant.org, now, detail);
    let standing = watchbell_domain::org::Standing { group_id: given.group, ..standing };
    let answer = answer(StatusCode::OK, &OrgView::new(org, standing));
    let terms = write.once.terms(&answer, deed);
    let written = states.groups.place_org(tenant.org, given.group, now, terms).await?;
    states.auth.forget();
    finish(written, answer)
}
