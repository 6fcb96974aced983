//! API keys: shown once, kept as hashes.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::access::{ApiKey, Scope};
use watchbell_domain::audit::Action;
use watchbell_domain::id::KeyId;
use watchbell_domain::port::KeyStore;
use watchbell_engine::admin::key::{self, Refused, Spec};

use super::audit::audited;
use crate::auth::{Authenticator, Tenant, right};
use crate::body::BodyReader;
use crate::edge::{Edge, Making};
use crate::once::{answer, finish};
use crate::page::{Cursors, List, PageQuery, QueryOf};
use crate::path::IdIn;
use crate::problem::{Body, Problem, Result};

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default().routes(routes!(list_keys, create_key)).routes(routes!(revoke_key))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewKey {
    /// For people.
    name: String,
    /// What it may do, at most what the calling key may.
    scopes: Vec<String>,
    /// When it ceases to work; null or left out: never.
    expires_at: Option<Timestamp>,
}

/// A key without the key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
struct KeyView {
    id: String,
    name: String,
    scopes: Vec<&'static str>,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
}

/// A key as it is answered once.
#[derive(Debug, Serialize, ToSchema)]
struct MadeKey {
    #[serde(flatten)]
    view: KeyView,
    /// The key itself. It is never shown again.
    key: String,
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name,
            scopes: key.scopes.into_iter().map(Scope::as_str).collect(),
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
        }
    }
}

/// Make a key.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/keys", tag = "keys", request_body = NewKey,
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 201, body = MadeKey), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn create_key(
    tenant: Tenant<right::KeysWrite>,
    State(keys): State<Arc<dyn KeyStore>>,
    State(making): State<Making>,
    State(bodies): State<BodyReader>,
    request: Request,
) -> Result<Response> {
    let write = bodies.json(request, bodies.limits.other_bytes_max).await?;
    let given: NewKey = write.parse()?;
    let spec = Spec { name: given.name, scopes: scopes(&given.scopes)?, expires_at: given.expires_at };
    let now = making.clock.now();
    let made = key::create(tenant.org, spec, &tenant.caller.key, now, &*making.entropy);
    let (stored, secret) = made.map_err(refused)?;
    let view = MadeKey { view: stored.clone().into(), key: secret.expose().to_owned() };
    let answer = answer(StatusCode::CREATED, &view);
    let detail = audited(&KeyView::from(stored.clone()));
    let deed = tenant.caller.deed(Action::KeyCreate, stored.id, now, detail);
    let written = keys.create_key(tenant.org, stored, write.once.terms(&answer, deed)).await?;
    finish(written, answer)
}

/// The organisation's keys.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/keys", tag = "keys",
    params(("org" = String, Path, description = "Id or slug"), PageQuery),
    responses((status = 200, body = List<KeyView>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_keys(
    tenant: Tenant<right::KeysRead>,
    State(keys): State<Arc<dyn KeyStore>>,
    State(cursors): State<Cursors>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<axum::Json<List<KeyView>>> {
    let scope = format!("{}/keys", tenant.org);
    let page = keys.keys(tenant.org, cursors.page(&scope, &query)?).await?;
    Ok(axum::Json(cursors.list(&scope, page, |key| key.id.0, KeyView::from)))
}

/// Revoke a key, at once on this node and within 5 s on every other.
#[utoipa::path(delete, path = "/api/v1/orgs/{org}/keys/{id}", tag = "keys",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn revoke_key(
    tenant: Tenant<right::KeysWrite>,
    IdIn(id): IdIn<KeyId>,
    State(keys): State<Arc<dyn KeyStore>>,
    State(auth): State<Authenticator>,
    State(making): State<Making>,
) -> Result<StatusCode> {
    let now = making.clock.now();
    let deed = tenant.caller.deed(Action::KeyRevoke, id, now, Value::Null);
    let revoked = keys.revoke_key(tenant.org, id, now, Some(deed)).await?;
    auth.forget();
    match revoked {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::NotFound),
    }
}

fn scopes(given: &[String]) -> Result<BTreeSet<Scope>> {
    let parse = |(index, text): (usize, &String)| {
        text.parse::<Scope>().map_err(|error| Problem::payload(format!("/scopes/{index}"), error.to_string()))
    };
    given.iter().enumerate().map(parse).collect()
}

fn refused(refused: Refused) -> Problem {
    let detail = refused.to_string();
    match refused {
        Refused::Name(name) => super::orgs::refused(name),
        Refused::NoScopes => Problem::payload("/scopes", detail),
        Refused::Expired => Problem::payload("/expires_at", detail),
        Refused::Escalation(_) => Problem::Escalation(detail),
    }
}
