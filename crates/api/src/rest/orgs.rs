//! Organisations.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::audit::{Action, changes};
use watchbell_domain::org::{Org, OrgState, Standing, WEIGHT_MAX};
use watchbell_domain::port::{GroupStore, OrgStore, Page};
use watchbell_engine::admin::org::{self, Refused};

use super::audit::audited;
use crate::auth::{Caller, Tenant, right};
use crate::body::BodyReader;
use crate::edge::{Edge, Making};
use crate::once::{OnceKey, answer, finish};
use crate::org_names::OrgNames;
use crate::page::{Cursors, List, PageQuery, QueryOf};
use crate::problem::{Body, Problem, Result};

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default().routes(routes!(list_orgs, create_org)).routes(routes!(get_org, change_org))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewOrg {
    /// For people.
    name: String,
    /// For URLs; made of the name when left out.
    slug: Option<String>,
}

/// An organisation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Org)]
pub(super) struct OrgView {
    id: String,
    slug: String,
    name: String,
    /// Its share when deliveries take turns.
    weight: u32,
    /// `active`, `suspended`, `deleting`.
    state: &'static str,
    /// Since when it is not active.
    state_since: Option<Timestamp>,
    /// The group that it belongs to.
    group_id: Option<String>,
    created_at: Timestamp,
}

impl OrgView {
    pub(super) fn new(org: Org, standing: Standing) -> Self {
        Self {
            id: org.id.to_string(),
            slug: org.slug,
            name: org.name,
            weight: org.weight,
            state: standing.state.as_str(),
            state_since: standing.state.since(),
            group_id: standing.group_id.map(|group| group.to_string()),
            created_at: org.created_at,
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OrgChange {
    /// Its share when deliveries take turns, 1 to 100: twice the weight, twice the starts while others wait as well. Needs
    /// a key that reaches every organisation, and is changed by itself.
    weight: Option<u32>,
    /// For people.
    name: Option<String>,
    /// For URLs. What knew the old one has to learn the new one.
    slug: Option<String>,
}

/// A page of organisations, each with where it stands.
pub(super) async fn listed(
    orgs: &dyn OrgStore,
    cursors: &Cursors,
    scope: &str,
    page: Page<Org>,
) -> Result<axum::Json<List<OrgView>>> {
    let mut standings = BTreeMap::new();
    for org in &page.items {
        standings.extend(orgs.standing(org.id).await?.map(|standing| (org.id, standing)));
    }
    let nowhere = Standing { state: OrgState::Active, group_id: None };
    let show = |org: Org| {
        let standing = standings.get(&org.id).copied().unwrap_or(nowhere);
        OrgView::new(org, standing)
    };
    Ok(axum::Json(cursors.list(scope, page, |org| org.id.0, show)))
}

/// What is wrong with a name or slug.
pub(super) fn refused(refused: Refused) -> Problem {
    let pointer = match refused {
        Refused::Name => "/name",
        Refused::Slug => "/slug",
        Refused::Owner => "/owner",
        Refused::Label => "/labels",
    };
    Problem::payload(pointer, refused.to_string())
}

/// Make an organisation. Needs a key that reaches every organisation.
#[utoipa::path(post, path = "/api/v1/orgs", tag = "orgs", request_body = NewOrg,
    responses((status = 201, body = OrgView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn create_org(
    caller: Caller,
    State(orgs): State<Arc<dyn OrgStore>>,
    State(making): State<Making>,
    State(bodies): State<BodyReader>,
    request: Request,
) -> Result<Response> {
    caller.must_be_operator()?;
    let write = bodies.json(request, bodies.limits.other_bytes_max).await?;
    let given: NewOrg = write.parse()?;
    let now = making.clock.now();
    let org = org::create(&given.name, given.slug.as_deref(), now, &*making.entropy).map_err(refused)?;
    let answer =
        answer(StatusCode::CREATED, &OrgView::new(org.clone(), Standing { state: OrgState::Active, group_id: None }));
    let detail = json!({"slug": org.slug, "name": org.name});
    let deed = caller.deed(Action::OrgCreate, org.id, now, detail);
    let written = orgs.create_org(org, write.once.terms(&answer, deed)).await?;
    finish(written, answer)
}

/// The organisations that the key reaches.
#[utoipa::path(get, path = "/api/v1/orgs", tag = "orgs", params(PageQuery),
    responses((status = 200, body = List<OrgView>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_orgs(
    caller: Caller,
    State(orgs): State<Arc<dyn OrgStore>>,
    State(groups): State<Arc<dyn GroupStore>>,
    State(cursors): State<Cursors>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<axum::Json<List<OrgView>>> {
    if let Some(own) = caller.key.org_id {
        let items = orgs.org(own).await?.into_iter().collect();
        return listed(&*orgs, &cursors, "orgs", Page { items, more: false }).await;
    }
    if let Some(group) = caller.key.group_id {
        let scope = format!("{group}/orgs");
        let page = groups.orgs_of_group(group, cursors.page(&scope, &query)?).await?;
        return listed(&*orgs, &cursors, &scope, page).await;
    }
    caller.must_be_operator()?;
    let page = orgs.orgs(cursors.page("orgs", &query)?).await?;
    listed(&*orgs, &cursors, "orgs", page).await
}

/// Show an organisation.
#[utoipa::path(get, path = "/api/v1/orgs/{org}", tag = "orgs", params(("org" = String, Path, description = "Id or slug")),
    responses((status = 200, body = OrgView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_org(tenant: Tenant<right::AnyKey>, State(orgs): State<Arc<dyn OrgStore>>) -> Result<axum::Json<OrgView>> {
    let org = orgs.org(tenant.org).await?.ok_or(Problem::NotFound)?;
    let standing = orgs.standing(tenant.org).await?.ok_or(Problem::NotFound)?;
    Ok(axum::Json(OrgView::new(org, standing)))
}

/// Give an organisation another name.
#[utoipa::path(patch, path = "/api/v1/orgs/{org}", tag = "orgs", request_body = OrgChange,
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 200, body = OrgView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn change_org(
    tenant: Tenant<right::OrgWrite>,
    State(orgs): State<Arc<dyn OrgStore>>,
    State(names): State<OrgNames>,
    State(making): State<Making>,
    State(bodies): State<BodyReader>,
    request: Request,
) -> Result<Response> {
    let write = bodies.json(request, bodies.limits.other_bytes_max).await?;
    let given: OrgChange = write.parse()?;
    let seen = orgs.org(tenant.org).await?.ok_or(Problem::NotFound)?;
    let standing = orgs.standing(tenant.org).await?.ok_or(Problem::NotFound)?;
    if let Some(weight) = given.weight {
        tenant.caller.must_be_operator()?;
        if given.name.is_some() || given.slug.is_some() {
            return Err(Problem::payload("/weight", "a weight is changed by itself"));
        }
        return weigh(&*orgs, &tenant.caller, seen, standing, weight, making.clock.now(), &write.once).await;
    }
    if given.name.is_none() && given.slug.is_none() {
        return Err(Problem::payload("", "name, slug or weight is wanted"));
    }
    let changed = org::rename(&seen, given.name, given.slug).map_err(refused)?;
    let now = making.clock.now();
    let view = OrgView::new(changed.clone(), standing);
    let detail = changes(&audited(&OrgView::new(seen.clone(), standing)), &audited(&view));
    let deed = tenant.caller.deed(Action::OrgUpdate, tenant.org, now, detail);
    let answer = answer(StatusCode::OK, &view);
    let written = orgs.update_org(seen, changed, now, write.once.terms(&answer, deed)).await?;
    names.forget();
    finish(written, answer)
}

async fn weigh(
    orgs: &dyn OrgStore,
    caller: &Caller,
    seen: Org,
    standing: Standing,
    weight: u32,
    now: Timestamp,
    once: &OnceKey,
) -> Result<Response> {
    if !(1..=WEIGHT_MAX).contains(&weight) {
        return Err(Problem::payload("/weight", format!("a weight is from 1 to {WEIGHT_MAX}")));
    }
    let (id, before) = (seen.id, seen.weight);
    let answer = answer(StatusCode::OK, &OrgView::new(Org { weight, ..seen }, standing));
    let detail = json!({"weight": {"before": before, "after": weight}});
    let deed = caller.deed(Action::OrgWeight, id, now, detail);
    let written = orgs.set_weight(id, weight, now, once.terms(&answer, deed)).await?;
    finish(written, answer)
}
