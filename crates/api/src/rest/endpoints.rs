//! Endpoints: made, changed, tried, paused. Their secrets are shown once.

use std::sync::Arc;

use axum::extract::{FromRef, Request, State};
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::audit::{Action, changes};
use watchbell_domain::endpoint::Endpoint;
use watchbell_domain::id::{EndpointId, OrgId};
use watchbell_domain::port::{EndpointCreation, EndpointStore, EventStore};
use watchbell_engine::admin::endpoint::{self, Made};
use watchbell_engine::admin::test_event;
use watchbell_engine::delivery::Handle;
use watchbell_engine::net::guard::EgressPolicy;

use super::audit::audited;
use super::endpoint_given::{EndpointChange, NewEndpoint, Rotation};
use super::endpoint_view::{EndpointView, Pinged};
use crate::auth::{Caller, Tenant, right};
use crate::body::{BodyReader, Write};
use crate::edge::{Edge, Making};
use crate::limits::Limiter;
use crate::once::{answer, finish, send};
use crate::page::{Cursors, List, PageQuery, QueryOf};
use crate::path::IdIn;
use crate::problem::{self, Body, Problem, Result};

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .routes(routes!(list_endpoints, create_endpoint))
        .routes(routes!(get_endpoint, change_endpoint, delete_endpoint))
        .routes(routes!(ping_endpoint))
        .routes(routes!(rotate_secret))
        .routes(routes!(pause_endpoint))
        .routes(routes!(resume_endpoint))
}

/// What changing endpoints takes.
#[derive(Clone)]
struct Admin {
    endpoints: Arc<dyn EndpointStore>,
    egress: Arc<EgressPolicy>,
    making: Making,
    bodies: BodyReader,
    wake: Handle,
}

impl FromRef<Edge> for Admin {
    fn from_ref(edge: &Edge) -> Self {
        Self {
            endpoints: Arc::from_ref(edge),
            egress: Arc::from_ref(edge),
            making: Making::from_ref(edge),
            bodies: BodyReader::from_ref(edge),
            wake: Handle::from_ref(edge),
        }
    }
}

impl Admin {
    async fn seen(&self, org: OrgId, id: EndpointId) -> Result<Endpoint> {
        self.endpoints.endpoint(org, id).await?.ok_or(Problem::NotFound)
    }

    /// Writes a changed endpoint back and answers it; a secret is shown where there is a new one.
    async fn save(
        &self,
        caller: &Caller,
        action: Action,
        seen: Endpoint,
        made: Made,
        write: &Write,
    ) -> Result<Response> {
        let now = self.making.clock.now();
        let view = EndpointView::new(&made.endpoint, made.secret.as_ref(), now);
        let answer = answer(StatusCode::OK, &view);
        let (org, id) = (seen.org_id, seen.id);
        let detail = changes(&masked(&seen, now), &masked(&made.endpoint, now));
        let terms = write.once.terms(&answer, caller.deed(action, id, now, detail));
        let written = self.endpoints.update_endpoint(seen, made.endpoint, terms).await?;
        self.wake.wake(org, [id]);
        finish(written, answer)
    }

    async fn set_paused<R>(
        &self,
        tenant: &Tenant<R>,
        id: EndpointId,
        paused: bool,
        request: Request,
    ) -> Result<Response> {
        let write = self.bodies.optional_json(request).await?;
        let seen = self.seen(tenant.org, id).await?;
        let now = self.making.clock.now();
        let action = if paused { Action::EndpointPause } else { Action::EndpointResume };
        match endpoint::with_state(&seen, paused, now) {
            Some(endpoint) => self.save(&tenant.caller, action, seen, Made { endpoint, secret: None }, &write).await,
            None => Ok(send(answer(StatusCode::OK, &EndpointView::new(&seen, None, now)))),
        }
    }
}

/// Register an endpoint. Its secret is answered here and never again.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/endpoints", tag = "endpoints", request_body = NewEndpoint,
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 201, body = EndpointView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn create_endpoint(
    tenant: Tenant<right::EndpointsWrite>,
    State(admin): State<Admin>,
    request: Request,
) -> Result<Response> {
    let write = admin.bodies.json(request, admin.bodies.limits.other_bytes_max).await?;
    let given: NewEndpoint = write.parse()?;
    let now = admin.making.clock.now();
    let made = endpoint::create(tenant.org, given.spec()?, &admin.egress, now, &*admin.making.entropy);
    let made = made.map_err(Problem::from)?;
    let id = made.endpoint.id;
    let answer = answer(StatusCode::CREATED, &EndpointView::new(&made.endpoint, made.secret.as_ref(), now));
    let deed = tenant.caller.deed(Action::EndpointCreate, id, now, masked(&made.endpoint, now));
    let creation = creation(made.endpoint, &admin.making);
    let written = admin.endpoints.create_endpoint(creation, write.once.terms(&answer, deed)).await?;
    admin.wake.wake(tenant.org, [id]);
    finish(written, answer)
}

/// An endpoint as the audit log shows it.
pub(crate) fn masked(endpoint: &Endpoint, now: Timestamp) -> Value {
    audited(&EndpointView::new(endpoint, None, now))
}

/// An endpoint to be stored, with its greeting where its dialect has one.
pub(crate) fn creation(endpoint: Endpoint, making: &Making) -> EndpointCreation {
    let greeting = match endpoint::is_greeted(endpoint.dialect) {
        true => test_event::for_endpoint(&endpoint, making.clock.now(), &*making.entropy),
        false => None,
    };
    EndpointCreation { endpoint, greeting }
}

/// The organisation's endpoints.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/endpoints", tag = "endpoints",
    params(("org" = String, Path, description = "Id or slug"), PageQuery),
    responses((status = 200, body = List<EndpointView>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_endpoints(
    tenant: Tenant<right::EndpointsRead>,
    State(admin): State<Admin>,
    State(cursors): State<Cursors>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<axum::Json<List<EndpointView>>> {
    let scope = format!("{}/endpoints", tenant.org);
    let page = admin.endpoints.endpoints(tenant.org, cursors.page(&scope, &query)?).await?;
    let now = admin.making.clock.now();
    let failures = admin.endpoints.rule_failures(tenant.org).await?;
    let show = |endpoint: Endpoint| EndpointView::new(&endpoint, None, now).failing(failures.get(&endpoint.id));
    Ok(axum::Json(cursors.list(&scope, page, |endpoint| endpoint.id.0, show)))
}

/// Show an endpoint.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/endpoints/{id}", tag = "endpoints",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = EndpointView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_endpoint(
    tenant: Tenant<right::EndpointsRead>,
    IdIn(id): IdIn<EndpointId>,
    State(admin): State<Admin>,
) -> Result<axum::Json<EndpointView>> {
    let endpoint = admin.seen(tenant.org, id).await?;
    let failures = admin.endpoints.rule_failures(tenant.org).await?;
    Ok(axum::Json(EndpointView::new(&endpoint, None, admin.making.clock.now()).failing(failures.get(&id))))
}

/// Change an endpoint.
#[utoipa::path(patch, path = "/api/v1/orgs/{org}/endpoints/{id}", tag = "endpoints", request_body = EndpointChange,
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = EndpointView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn change_endpoint(
    tenant: Tenant<right::EndpointsWrite>,
    IdIn(id): IdIn<EndpointId>,
    State(admin): State<Admin>,
    request: Request,
) -> Result<Response> {
    let write = admin.bodies.json(request, admin.bodies.limits.other_bytes_max).await?;
    let given: EndpointChange = write.parse()?;
    let seen = admin.seen(tenant.org, id).await?;
    let now = admin.making.clock.now();
    let made = endpoint::change(&seen, given.change(&seen.policy)?, &admin.egress, now, &*admin.making.entropy);
    let made = made.map_err(Problem::from)?;
    admin.save(&tenant.caller, Action::EndpointUpdate, seen, made, &write).await
}

/// Delete an endpoint. What waits for it is cancelled.
#[utoipa::path(delete, path = "/api/v1/orgs/{org}/endpoints/{id}", tag = "endpoints",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn delete_endpoint(
    tenant: Tenant<right::EndpointsWrite>,
    IdIn(id): IdIn<EndpointId>,
    State(admin): State<Admin>,
) -> Result<StatusCode> {
    let now = admin.making.clock.now();
    let seen = admin.seen(tenant.org, id).await?;
    let deed = tenant.caller.deed(Action::EndpointDelete, id, now, masked(&seen, now));
    match admin.endpoints.delete_endpoint(tenant.org, id, now, Some(deed)).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::NotFound),
    }
}

/// Send an endpoint its ping, or a test event where its dialect has no ping.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/endpoints/{id}/ping", tag = "endpoints",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 202, body = Pinged), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn ping_endpoint(
    tenant: Tenant<right::EventsWrite>,
    IdIn(id): IdIn<EndpointId>,
    State(admin): State<Admin>,
    State(events): State<Arc<dyn EventStore>>,
    State(limiter): State<Limiter>,
    request: Request,
) -> Result<Response> {
    let write = admin.bodies.optional_json(request).await?;
    let endpoint = admin.seen(tenant.org, id).await?;
    limiter.ping(tenant.org)?;
    let acceptance = test_event::for_endpoint(&endpoint, admin.making.clock.now(), &*admin.making.entropy);
    let acceptance = acceptance.ok_or(Problem::NothingToSend)?;
    let answer = answer(StatusCode::ACCEPTED, &Pinged::new(id, &acceptance));
    let once = write.once.with(&answer);
    let written = events.accept(acceptance, once).await?;
    finish(written, answer)
}

/// Give an endpoint a new secret. The old one stays valid for a while.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/endpoints/{id}/rotate-secret", tag = "endpoints", request_body = Rotation,
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = EndpointView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn rotate_secret(
    tenant: Tenant<right::EndpointsWrite>,
    IdIn(id): IdIn<EndpointId>,
    State(admin): State<Admin>,
    request: Request,
) -> Result<Response> {
    let write = admin.bodies.optional_json(request).await?;
    let given: Rotation = write.parse_or_default()?;
    let seen = admin.seen(tenant.org, id).await?;
    let (credential, overlap) = given.read();
    let now = admin.making.clock.now();
    let made = endpoint::rotate_secret(&seen, credential, overlap, now, &*admin.making.entropy);
    let made = made.map_err(Problem::from)?;
    admin.save(&tenant.caller, Action::EndpointRotateSecret, seen, made, &write).await
}

/// Hold an endpoint's deliveries.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/endpoints/{id}/pause", tag = "endpoints",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = EndpointView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn pause_endpoint(
    tenant: Tenant<right::EndpointsWrite>,
    IdIn(id): IdIn<EndpointId>,
    State(admin): State<Admin>,
    request: Request,
) -> Result<Response> {
    admin.set_paused(&tenant, id, true, request).await
}

/// Let an endpoint's deliveries go out again, those that were held first.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/endpoints/{id}/resume", tag = "endpoints",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = EndpointView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn resume_endpoint(
    tenant: Tenant<right::EndpointsWrite>,
    IdIn(id): IdIn<EndpointId>,
    State(admin): State<Admin>,
    request: Request,
) -> Result<Response> {
    admin.set_paused(&tenant, id, false, request).await
}

impl From<endpoint::Refused> for Problem {
    fn from(refused: endpoint::Refused) -> Self {
        match refused {
            endpoint::Refused::Url(url) => match url.code {
                "endpoint_url_forbidden" => Self::EndpointUrlForbidden(url.detail),
                "endpoint_url_scheme" => Self::EndpointUrlScheme(url.detail),
                "endpoint_url_port" => Self::EndpointUrlPort(url.detail),
                _ => Self::EndpointUrlInvalid(url.detail),
            },
            endpoint::Refused::Header(header) => Self::HeaderForbidden(header.detail),
            endpoint::Refused::NewHost { detail } => Self::EndpointSecretRequired(detail),
            endpoint::Refused::Filter { pointer, mistake } => {
                Self::FilterInvalid(problem::At { pointer: pointer.to_owned(), detail: mistake.to_string() })
            }
            endpoint::Refused::Member { pointer, detail } => Self::payload(pointer, detail),
            endpoint::Refused::Secret { member, detail } => {
                Self::SecretInvalid(problem::At { pointer: format!("/{member}"), detail })
            }
        }
    }
}
