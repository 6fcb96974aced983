//! Organisations.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::audit::Action;
use watchbell_domain::org::{Org, WEIGHT_MAX};
use watchbell_domain::port::OrgStore;
use watchbell_engine::admin::org::{self, Refused};

use crate::auth::{Caller, Tenant, right};
use crate::body::BodyReader;
use crate::edge::{Edge, Making};
use crate::once::{answer, finish};
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

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OrgChange {
    /// Its share when deliveries take turns, 1 to 100: twice the weight, twice the starts while others wait as well.
    weight: u32,
}

/// An organisation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Org)]
struct OrgView {
    id: String,
    slug: String,
    name: String,
    /// Its share when deliveries take turns.
    weight: u32,
    created_at: Timestamp,
}

impl From<Org> for OrgView {
    fn from(org: Org) -> Self {
        Self { id: org.id.to_string(), slug: org.slug, name: org.name, weight: org.weight, created_at: org.created_at }
    }
}

/// What is wrong with a name or slug.
pub(super) fn refused(refused: Refused) -> Problem {
    let pointer = match refused {
        Refused::Name => "/name",
        Refused::Slug => "/slug",
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
    let answer = answer(StatusCode::CREATED, &OrgView::from(org.clone()));
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
    State(cursors): State<Cursors>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<axum::Json<List<OrgView>>> {
    if let Some(own) = caller.key.org_id {
        let org = orgs.org(own).await?;
        let items = org.into_iter().map(OrgView::from).collect();
        return Ok(axum::Json(List { items, next_cursor: None }));
    }
    caller.must_be_operator()?;
    let page = orgs.orgs(cursors.page("orgs", &query)?).await?;
    Ok(axum::Json(cursors.list("orgs", page, |org| org.id.0, OrgView::from)))
}

/// Show an organisation.
#[utoipa::path(get, path = "/api/v1/orgs/{org}", tag = "orgs", params(("org" = String, Path, description = "Id or slug")),
    responses((status = 200, body = OrgView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_org(tenant: Tenant<right::AnyKey>, State(orgs): State<Arc<dyn OrgStore>>) -> Result<axum::Json<OrgView>> {
    let org = orgs.org(tenant.org).await?.ok_or(Problem::NotFound)?;
    Ok(axum::Json(org.into()))
}

/// Change what an organisation weighs. Needs a key that reaches every organisation.
#[utoipa::path(patch, path = "/api/v1/orgs/{org}", tag = "orgs", request_body = OrgChange,
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 200, body = OrgView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn change_org(
    tenant: Tenant<right::AnyKey>,
    State(orgs): State<Arc<dyn OrgStore>>,
    State(making): State<Making>,
    State(bodies): State<BodyReader>,
    request: Request,
) -> Result<Response> {
    tenant.caller.must_be_operator()?;
    let write = bodies.json(request, bodies.limits.other_bytes_max).await?;
    let given: OrgChange = write.parse()?;
    if !(1..=WEIGHT_MAX).contains(&given.weight) {
        return Err(Problem::payload("/weight", format!("a weight is from 1 to {WEIGHT_MAX}")));
    }
    let before = orgs.org(tenant.org).await?.ok_or(Problem::NotFound)?;
    let now = making.clock.now();
    let after = Org { weight: given.weight, ..before.clone() };
    let answer = answer(StatusCode::OK, &OrgView::from(after));
    let detail = json!({"weight": {"before": before.weight, "after": given.weight}});
    let deed = tenant.caller.deed(Action::OrgWeight, tenant.org, now, detail);
    let written = orgs.set_weight(tenant.org, given.weight, now, write.once.terms(&answer, deed)).await?;
    finish(written, answer)
}
