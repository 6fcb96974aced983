//! API keys: shown once, kept as hashes.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::access::{ApiKey, Scope};
use watchbell_domain::audit::Action;
use watchbell_domain::id::KeyId;
use watchbell_domain::port::{KeyStore, Written};
use watchbell_engine::admin::key::{self, Refused, Spec};
use watchbell_wire::Secret;

use super::audit::audited;
use super::duration::Text;
use crate::auth::{Authenticator, Tenant, right};
use crate::body::BodyReader;
use crate::edge::{Edge, Making};
use crate::once::{answer, finish};
use crate::page::{Cursors, List, PageQuery, QueryOf};
use crate::path::IdIn;
use crate::problem::{Body, Problem, Result};

/// How long a key works beside its successor, unless asked for otherwise, and at most.
const OVERLAP: SignedDuration = SignedDuration::from_hours(24);
const OVERLAP_MAX: SignedDuration = SignedDuration::from_hours(30 * 24);

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .routes(routes!(list_keys, create_key))
        .routes(routes!(get_key, revoke_key))
        .routes(routes!(rotate_key))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKey {
    /// For people.
    name: String,
    /// What it may do, at most what the calling key may. `sources:*` means all of a family.
    scopes: Vec<String>,
    /// When it ceases to work; null or left out: never.
    expires_at: Option<Timestamp>,
}

/// A key without the key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
pub(super) struct KeyView {
    id: String,
    name: String,
    /// Whose own it is: it may do no more than their role.
    member_id: Option<String>,
    scopes: Vec<&'static str>,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    /// When it was last used, to within a few minutes.
    last_used_at: Option<Timestamp>,
}

/// A key as it is answered once.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MadeKey {
    #[serde(flatten)]
    pub(super) view: KeyView,
    /// The key itself. It is never shown again.
    key: String,
}

impl MadeKey {
    pub(super) fn new(key: ApiKey, secret: &Secret) -> Self {
        Self { view: key.into(), key: secret.expose().to_owned() }
    }
}

/// How a key is replaced.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct KeyRotation {
    /// How long the old key still works; a day when left out, a month at most.
    overlap: Option<Text>,
}

impl NewKey {
    pub(super) fn spec(self) -> Result<Spec> {
        Ok(Spec { name: self.name, scopes: scopes(&self.scopes)?, expires_at: self.expires_at })
    }
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name,
            member_id: key.member.map(|member| member.id.to_string()),
            scopes: key.scopes.into_iter().map(Scope::as_str).collect(),
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            last_used_at: key.last_used_at,
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
    let spec = write.parse::<NewKey>()?.spec()?;
    let now = making.clock.now();
    let made = key::create(tenant.org, spec, &tenant.caller.key, now, &*making.entropy);
    let (stored, secret) = made.map_err(refused)?;
    let view = MadeKey::new(stored.clone(), &secret);
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

/// Show a key, without the key itself.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/keys/{id}", tag = "keys",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = KeyView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_key(
    tenant: Tenant<right::KeysRead>,
    IdIn(id): IdIn<KeyId>,
    State(keys): State<Arc<dyn KeyStore>>,
) -> Result<axum::Json<KeyView>> {
    let key = keys.key(tenant.org, id).await?.ok_or(Problem::NotFound)?;
    Ok(axum::Json(key.into()))
}

/// A key that the caller may replace or revoke: their own, or any with the right to.
async fn in_reach(tenant: &Tenant<right::AnyKey>, keys: &dyn KeyStore, id: KeyId) -> Result<ApiKey> {
    let own = tenant.caller.key.member.as_ref().map(|member| member.id);
    let found = keys.key(tenant.org, id).await?;
    let is_own = found.as_ref().is_some_and(|key| {
        key.id == tenant.caller.key.id || (own.is_some() && key.member.as_ref().map(|member| member.id) == own)
    });
    if !is_own {
        // First, so that who may not is told nothing of which keys there are.
        tenant.caller.must(Scope::KeysWrite)?;
    }
    found.ok_or(Problem::NotFound)
}

/// Replace a key by one with the same rights, which is answered here and never again. The old one works a while longer.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/keys/{id}/rotate", tag = "keys", request_body = KeyRotation,
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 201, body = MadeKey), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn rotate_key(
    tenant: Tenant<right::AnyKey>,
    IdIn(id): IdIn<KeyId>,
    State(keys): State<Arc<dyn KeyStore>>,
    State(auth): State<Authenticator>,
    State(making): State<Making>,
    State(bodies): State<BodyReader>,
    request: Request,
) -> Result<Response> {
    let write = bodies.optional_json(request).await?;
    let overlap = write.parse_or_default::<KeyRotation>()?.overlap.map_or(OVERLAP, |text| text.0);
    if overlap.is_negative() || overlap > OVERLAP_MAX {
        return Err(Problem::payload("/overlap", "overlap is 0s to 720h"));
    }
    let old = in_reach(&tenant, &*keys, id).await?;
    let is_others = old.member.is_some()
        && old.member.as_ref().map(|member| member.id) != tenant.caller.key.member.as_ref().map(|member| member.id);
    if is_others {
        return Err(Problem::Escalation("a member's keys are made by the member alone; invite them anew".to_owned()));
    }
    let now = making.clock.now();
    let (new, secret) = key::rotate(&old, &tenant.caller.key, now, &*making.entropy).map_err(refused)?;
    let until = now.saturating_add(overlap).unwrap_or(Timestamp::MAX);
    let detail = json!({"successor": new.id.to_string(), "until": until});
    let deed = tenant.caller.deed(Action::KeyRotate, id, now, detail);
    let answer = answer(StatusCode::CREATED, &MadeKey::new(new.clone(), &secret));
    let written = keys.rotate_key(id, until, new, write.once.terms(&answer, deed)).await?;
    auth.forget();
    if written == Written::Fresh(false) {
        return Err(Problem::Conflict("the key was revoked"));
    }
    finish(written, answer)
}

/// Revoke a key, at once on this node and within 5 s on every other.
#[utoipa::path(delete, path = "/api/v1/orgs/{org}/keys/{id}", tag = "keys",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn revoke_key(
    tenant: Tenant<right::AnyKey>,
    IdIn(id): IdIn<KeyId>,
    State(keys): State<Arc<dyn KeyStore>>,
    State(auth): State<Authenticator>,
    State(making): State<Making>,
) -> Result<StatusCode> {
    in_reach(&tenant, &*keys, id).await?;
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
    let mut scopes = BTreeSet::new();
    for (index, text) in given.iter().enumerate() {
        let named = Scope::named(text);
        scopes.extend(named.map_err(|error| Problem::payload(format!("/scopes/{index}"), error.to_string()))?);
    }
    Ok(scopes)
}

pub(super) fn refused(refused: Refused) -> Problem {
    let detail = refused.to_string();
    match refused {
        Refused::Name(name) => super::orgs::refused(name),
        Refused::NoScopes => Problem::payload("/scopes", detail),
        Refused::Expired => Problem::payload("/expires_at", detail),
        Refused::Escalation(_) => Problem::Escalation(detail),
    }
}
