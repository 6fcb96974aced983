//! Plans of action and milestones.

use std::sync::Arc;

use axum::extract::{FromRef, Request, State};
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::audit::{Action, changes};
use watchbell_domain::id::{FindingId, OrgId, PoamId, ProjectId};
use watchbell_domain::poam::{Item, Settings, State as ItemState, Status};
use watchbell_domain::port::{PoamFilter, PoamStore, ProjectStore};
use watchbell_engine::admin::poam::{self, Change, Refused};

use super::audit::audited;
use super::poam_view::{ItemChange, ItemView, NewItem};
use crate::auth::{Caller, Tenant, right};
use crate::body::{BodyReader, Write};
use crate::edge::{Edge, Making};
use crate::once::{answer, finish};
use crate::page::{Cursors, List, PageQuery, QueryOf};
use crate::path::IdIn;
use crate::problem::{Body, Problem, Result};

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default().routes(routes!(list_poam_items, create_poam_item)).routes(routes!(
        get_poam_item,
        change_poam_item,
        cancel_poam_item
    ))
}

/// What working on plans takes.
#[derive(Clone)]
struct Planning {
    items: Arc<dyn PoamStore>,
    projects: Arc<dyn ProjectStore>,
    making: Making,
    bodies: BodyReader,
}

impl FromRef<Edge> for Planning {
    fn from_ref(edge: &Edge) -> Self {
        Self {
            items: Arc::from_ref(edge),
            projects: Arc::from_ref(edge),
            making: Making::from_ref(edge),
            bodies: BodyReader::from_ref(edge),
        }
    }
}

impl Planning {
    async fn seen(&self, org: OrgId, id: PoamId) -> Result<(Item, Settings)> {
        let item = self.items.poam_item(org, id).await?.ok_or(Problem::NotFound)?;
        Ok((item, self.items.poam_settings(org).await?))
    }

    async fn save(
        &self,
        caller: &Caller,
        seen: Item,
        change: Change,
        settings: &Settings,
        write: &Write,
    ) -> Result<Response> {
        let now = self.making.clock.now();
        let update = poam::change(seen, change, settings, now, &*self.making.entropy)?;
        let view = |item: &Item| ItemView::new(item.clone(), settings, now);
        let answer = answer(StatusCode::OK, &view(&update.changed));
        let detail = changes(&audited(&view(&update.seen)), &audited(&view(&update.changed)));
        let deed = caller.deed(Action::PoamUpdate, update.seen.id, now, detail);
        let written = self.items.update_poam_item(update, write.once.terms(&answer, deed)).await?;
        finish(written, answer)
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self::payload(refused.pointer, refused.detail)
    }
}

/// Plan a finding's remediation. The item rings at the organisation's lead times before the date, and after it.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/poam-items", tag = "poam", request_body = NewItem,
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 201, body = ItemView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn create_poam_item(
    tenant: Tenant<right::PoamWrite>,
    State(planning): State<Planning>,
    request: Request,
) -> Result<Response> {
    let write = planning.bodies.json(request, planning.bodies.limits.other_bytes_max).await?;
    let spec = write.parse::<NewItem>()?.spec()?;
    let finding = planning.projects.finding(tenant.org, spec.finding_id).await?;
    let settings = planning.items.poam_settings(tenant.org).await?;
    let now = planning.making.clock.now();
    let item = poam::create(tenant.org, spec, finding.as_ref(), now, &*planning.making.entropy)?;
    let view = ItemView::new(item.clone(), &settings, now);
    let answer = answer(StatusCode::CREATED, &view);
    let deed = tenant.caller.deed(Action::PoamCreate, item.id, now, audited(&view));
    let written = planning.items.create_poam_item(item, write.once.terms(&answer, deed)).await?;
    finish(written, answer)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ItemsQuery {
    /// `open`, `overdue`, `completed`, `cancelled`.
    status: Option<String>,
    /// About this finding (id).
    #[param(value_type = Option<String>)]
    finding: Option<FindingId>,
    /// About findings of this project (id).
    #[param(value_type = Option<String>)]
    project: Option<ProjectId>,
    /// Of this owner.
    owner: Option<String>,
    /// Late at or after.
    due_since: Option<Timestamp>,
    /// Late before.
    due_before: Option<Timestamp>,
    #[serde(flatten)]
    #[param(ignore)]
    page: PageQuery,
}

/// The organisation's plans of action.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/poam-items", tag = "poam",
    params(("org" = String, Path, description = "Id or slug"), ItemsQuery, PageQuery),
    responses((status = 200, body = List<ItemView>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_poam_items(
    tenant: Tenant<right::PoamRead>,
    State(planning): State<Planning>,
    State(cursors): State<Cursors>,
    QueryOf(query): QueryOf<ItemsQuery>,
) -> Result<axum::Json<List<ItemView>>> {
    let unknown = || Problem::QueryInvalid("status is one of: open, overdue, completed, cancelled".into());
    let now = planning.making.clock.now();
    let filter = PoamFilter {
        status: query.status.map(|text| Status::parse(&text).ok_or_else(unknown)).transpose()?,
        finding_id: query.finding,
        project_id: query.project,
        owner: query.owner,
        due_before: query.due_before,
        due_since: query.due_since,
        now,
    };
    let scope = format!("{}/poam-items", tenant.org);
    let page = cursors.page(&scope, &query.page)?;
    let settings = planning.items.poam_settings(tenant.org).await?;
    let found = planning.items.poam_items(tenant.org, filter, page).await?;
    Ok(axum::Json(cursors.list(&scope, found, |item| item.id.0, |item| ItemView::new(item, &settings, now))))
}

/// One plan of action.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/poam-items/{id}", tag = "poam",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = ItemView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_poam_item(
    tenant: Tenant<right::PoamRead>,
    IdIn(id): IdIn<PoamId>,
    State(planning): State<Planning>,
) -> Result<axum::Json<ItemView>> {
    let (item, settings) = planning.seen(tenant.org, id).await?;
    Ok(axum::Json(ItemView::new(item, &settings, planning.making.clock.now())))
}

/// Change a plan of action: another date, other milestones, completed, cancelled, open again.
#[utoipa::path(patch, path = "/api/v1/orgs/{org}/poam-items/{id}", tag = "poam", request_body = ItemChange,
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = ItemView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn change_poam_item(
    tenant: Tenant<right::PoamWrite>,
    IdIn(id): IdIn<PoamId>,
    State(planning): State<Planning>,
    request: Request,
) -> Result<Response> {
    let write = planning.bodies.json(request, planning.bodies.limits.other_bytes_max).await?;
    let change = write.parse::<ItemChange>()?.change()?;
    let (seen, settings) = planning.seen(tenant.org, id).await?;
    planning.save(&tenant.caller, seen, change, &settings, &write).await
}

/// Cancel a plan of action. It stays readable, and rings no more.
#[utoipa::path(delete, path = "/api/v1/orgs/{org}/poam-items/{id}", tag = "poam",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = ItemView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn cancel_poam_item(
    tenant: Tenant<right::PoamWrite>,
    IdIn(id): IdIn<PoamId>,
    State(planning): State<Planning>,
    request: Request,
) -> Result<Response> {
    let write = planning.bodies.optional_json(request).await?;
    let (seen, settings) = planning.seen(tenant.org, id).await?;
    if let ItemState::Completed { .. } = seen.state {
        return Err(Problem::Conflict("the item is completed"));
    }
    let change = Change { status: Some(Status::Cancelled), ..Change::default() };
    planning.save(&tenant.caller, seen, change, &settings, &write).await
}
