//! Sources: the vendors that call us, each with its URL, its dialect and its secret, which is shown once if it was made here.

use std::sync::Arc;

use axum::extract::{FromRef, Request, State};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::audit::{Action, changes};
use watchbell_domain::id::{OrgId, SourceId};
use watchbell_domain::port::SourceStore;
use watchbell_domain::source::Source;
use watchbell_engine::admin::source::{self, Made};
use watchbell_engine::receive::Receiver;
use watchbell_wire::Secret;

use super::audit::audited;
use super::source_view::{NewSource, SourceChange, SourceRotation, SourceView};
use crate::auth::{Caller, Tenant, right};
use crate::body::{BodyReader, Write};
use crate::edge::{Edge, Making, PublicUrl, RotationOverlap};
use crate::once::{answer, finish, send};
use crate::page::{Cursors, List, PageQuery, QueryOf};
use crate::path::IdIn;
use crate::problem::{self, Body, Problem, Result};

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .routes(routes!(list_sources, create_source))
        .routes(routes!(get_source, change_source, delete_source))
        .routes(routes!(rotate_source_secret))
        .routes(routes!(pause_source))
        .routes(routes!(resume_source))
}

/// What changing sources takes.
#[derive(Clone)]
struct Admin {
    sources: Arc<dyn SourceStore>,
    receiver: Arc<Receiver>,
    making: Making,
    bodies: BodyReader,
    public_url: PublicUrl,
    overlap: RotationOverlap,
}

impl FromRef<Edge> for Admin {
    fn from_ref(edge: &Edge) -> Self {
        Self {
            sources: Arc::from_ref(edge),
            receiver: Arc::from_ref(edge),
            making: Making::from_ref(edge),
            bodies: BodyReader::from_ref(edge),
            public_url: PublicUrl::from_ref(edge),
            overlap: RotationOverlap::from_ref(edge),
        }
    }
}

impl Admin {
    async fn seen(&self, org: OrgId, id: SourceId) -> Result<Source> {
        self.sources.source(org, id).await?.ok_or(Problem::NotFound)
    }

    fn view(&self, source: &Source, shown: Option<&Secret>) -> SourceView {
        SourceView::new(source, shown, &self.public_url, self.making.clock.now())
    }

    /// As the audit log shows it.
    fn masked(&self, source: &Source) -> Value {
        audited(&self.view(source, None))
    }

    /// Writes a changed source back and answers it; a secret is shown where one was made.
    async fn save(&self, caller: &Caller, action: Action, seen: Source, made: Made, write: &Write) -> Result<Response> {
        let now = self.making.clock.now();
        let answer = answer(StatusCode::OK, &self.view(&made.source, made.secret.as_ref()));
        let id = seen.id;
        let detail = changes(&self.masked(&seen), &self.masked(&made.source));
        let terms = write.once.terms(&answer, caller.deed(action, id, now, detail));
        let written = self.sources.update_source(seen, made.source, terms).await?;
        self.receiver.changed(id);
        finish(written, answer)
    }

    async fn set_paused<R>(
        &self,
        tenant: &Tenant<R>,
        id: SourceId,
        paused: bool,
        request: Request,
    ) -> Result<Response> {
        let write = self.bodies.optional_json(request).await?;
        let seen = self.seen(tenant.org, id).await?;
        let action = if paused { Action::SourcePause } else { Action::SourceResume };
        match source::with_state(&seen, paused, self.making.clock.now()) {
            Some(source) => self.save(&tenant.caller, action, seen, Made { source, secret: None }, &write).await,
            None => Ok(send(answer(StatusCode::OK, &self.view(&seen, None)))),
        }
    }
}

/// Register a source: a URL to give to the vendor. A secret that is made is answered here and never again.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/sources", tag = "sources", request_body = NewSource,
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 201, body = SourceView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn create_source(
    tenant: Tenant<right::SourcesWrite>,
    State(admin): State<Admin>,
    request: Request,
) -> Result<Response> {
    let write = admin.bodies.json(request, admin.bodies.limits.other_bytes_max).await?;
    let now = admin.making.clock.now();
    let spec = write.parse::<NewSource>()?.spec();
    let made = source::create(tenant.org, spec, now, &*admin.making.entropy).map_err(Problem::from)?;
    let id = made.source.id;
    let answer = answer(StatusCode::CREATED, &admin.view(&made.source, made.secret.as_ref()));
    let deed = tenant.caller.deed(Action::SourceCreate, id, now, admin.masked(&made.source));
    let written = admin.sources.create_source(made.source, write.once.terms(&answer, deed)).await?;
    finish(written, answer)
}

/// The organisation's sources.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/sources", tag = "sources",
    params(("org" = String, Path, description = "Id or slug"), PageQuery),
    responses((status = 200, body = List<SourceView>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_sources(
    tenant: Tenant<right::SourcesRead>,
    State(admin): State<Admin>,
    State(cursors): State<Cursors>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<axum::Json<List<SourceView>>> {
    let scope = format!("{}/sources", tenant.org);
    let page = admin.sources.sources(tenant.org, cursors.page(&scope, &query)?).await?;
    let show = |source| admin.view(&source, None);
    Ok(axum::Json(cursors.list(&scope, page, |source| source.id.0, show)))
}

/// Show a source.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/sources/{id}", tag = "sources",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = SourceView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_source(
    tenant: Tenant<right::SourcesRead>,
    IdIn(id): IdIn<SourceId>,
    State(admin): State<Admin>,
) -> Result<axum::Json<SourceView>> {
    let source = admin.seen(tenant.org, id).await?;
    Ok(axum::Json(admin.view(&source, None)))
}

/// Change a source.
#[utoipa::path(patch, path = "/api/v1/orgs/{org}/sources/{id}", tag = "sources", request_body = SourceChange,
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = SourceView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn change_source(
    tenant: Tenant<right::SourcesWrite>,
    IdIn(id): IdIn<SourceId>,
    State(admin): State<Admin>,
    request: Request,
) -> Result<Response> {
    let write = admin.bodies.json(request, admin.bodies.limits.other_bytes_max).await?;
    let given: SourceChange = write.parse()?;
    let seen = admin.seen(tenant.org, id).await?;
    let source = source::change(&seen, given.change(), admin.making.clock.now()).map_err(Problem::from)?;
    admin.save(&tenant.caller, Action::SourceUpdate, seen, Made { source, secret: None }, &write).await
}

/// Delete a source. Its URL leads nowhere from now on; its receipts stay.
#[utoipa::path(delete, path = "/api/v1/orgs/{org}/sources/{id}", tag = "sources",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn delete_source(
    tenant: Tenant<right::SourcesWrite>,
    IdIn(id): IdIn<SourceId>,
    State(admin): State<Admin>,
) -> Result<StatusCode> {
    let seen = admin.seen(tenant.org, id).await?;
    let deed = tenant.caller.deed(Action::SourceDelete, id, admin.making.clock.now(), admin.masked(&seen));
    let is_deleted = admin.sources.delete_source(tenant.org, id, Some(deed)).await?;
    admin.receiver.changed(id);
    match is_deleted {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::NotFound),
    }
}

/// Give a source a new secret. The old one still proves requests for a while.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/sources/{id}/rotate-secret", tag = "sources", request_body = SourceRotation,
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = SourceView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn rotate_source_secret(
    tenant: Tenant<right::SourcesWrite>,
    IdIn(id): IdIn<SourceId>,
    State(admin): State<Admin>,
    request: Request,
) -> Result<Response> {
    let write = admin.bodies.optional_json(request).await?;
    let rotation: SourceRotation = write.parse_or_default()?;
    let seen = admin.seen(tenant.org, id).await?;
    let (credential, overlap) = rotation.read();
    let overlap = overlap.unwrap_or(admin.overlap.0);
    let now = admin.making.clock.now();
    let made = source::rotate_secret(&seen, credential, overlap, now, &*admin.making.entropy);
    let made = made.map_err(Problem::from)?;
    admin.save(&tenant.caller, Action::SourceRotateSecret, seen, made, &write).await
}

/// Pause a source: its requests are answered 503, so that the vendor sends them again later.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/sources/{id}/pause", tag = "sources",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = SourceView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn pause_source(
    tenant: Tenant<right::SourcesWrite>,
    IdIn(id): IdIn<SourceId>,
    State(admin): State<Admin>,
    request: Request,
) -> Result<Response> {
    admin.set_paused(&tenant, id, true, request).await
}

/// Take a source's requests again.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/sources/{id}/resume", tag = "sources",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = SourceView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn resume_source(
    tenant: Tenant<right::SourcesWrite>,
    IdIn(id): IdIn<SourceId>,
    State(admin): State<Admin>,
    request: Request,
) -> Result<Response> {
    admin.set_paused(&tenant, id, false, request).await
}

impl From<source::Refused> for Problem {
    fn from(refused: source::Refused) -> Self {
        match refused {
            source::Refused::Member { pointer, detail } => Self::payload(pointer, detail),
            source::Refused::Secret { member, detail } => {
                Self::SecretInvalid(problem::At { pointer: format!("/{member}"), detail })
            }
        }
    }
}
