//! Sources: the vendors that call us, each with its URL, its dialect and its secret, which is shown once if it was made here.

use std::sync::Arc;

use axum::extract::{FromRef, Request, State};
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::SignedDuration;
use watchbell_domain::audit::{Action, changes};
use watchbell_domain::endpoint::RateLimit;
use watchbell_domain::id::{OrgId, SourceId};
use watchbell_domain::port::SourceStore;
use watchbell_domain::source::{Set, Source, SourceState};
use watchbell_engine::admin::source::{self, Change, Made, Spec};
use watchbell_engine::receive::Receiver;
use watchbell_wire::Secret;
use watchbell_wire::dialect::Credential;

use super::audit::audited;
use super::duration::Text;
use super::endpoint_given::{SecretText, given, present};
use super::endpoint_policy::Rate;
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

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSource {
    /// In which format it calls: `snyk`, `github`, `standard`, ….
    dialect: String,
    /// For people.
    name: String,
    /// The signing secret, as the vendor has it.
    secret: Option<SecretText>,
    /// The token it is to show, for `bearer-scan` and `cloudevents`.
    bearer_token: Option<SecretText>,
    /// Have the secret or token made; it is shown in this answer and never again.
    #[serde(default)]
    make_secret: bool,
    /// Addresses and networks its requests may come from; any when left out.
    #[serde(default)]
    allowed_ips: Vec<String>,
    /// How often it may call: `100/s`, `100/s burst 500`, or `off`. The server's own when left out.
    rate_limit: Option<Rate>,
    /// How old a signed time in a body may be: `24h`, or `off`. The server's own when left out.
    max_event_age: Option<AgeOrOff>,
    /// What the dialect wants to know beside the secret.
    #[serde(default)]
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
    /// It begins paused.
    #[serde(default)]
    paused: bool,
}

/// What may be changed. Members left out stay; null means the server's own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SourceChange {
    name: Option<String>,
    /// All of them.
    allowed_ips: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Rate>)]
    rate_limit: Option<Option<Rate>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<AgeOrOff>)]
    max_event_age: Option<Option<AgeOrOff>>,
    /// All of them.
    #[schema(value_type = Option<Object>)]
    settings: Option<Map<String, Value>>,
    /// Paused, or active again.
    paused: Option<bool>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SourceRotation {
    /// The new secret; made and shown once when left out.
    secret: Option<SecretText>,
    /// The new token; made and shown once when left out.
    bearer_token: Option<SecretText>,
    /// How long the old one still proves requests; `ingress.rotation_overlap` when left out.
    overlap: Option<Text>,
}

/// A duration, or `off`.
#[derive(Debug, Clone, Copy)]
struct AgeOrOff(Option<SignedDuration>);

impl<'de> Deserialize<'de> for AgeOrOff {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        if text == OFF {
            return Ok(Self(None));
        }
        let read = text.parse().map(|age| Self(Some(age)));
        read.map_err(|_| serde::de::Error::custom("a duration such as \"24h\", or \"off\", is wanted"))
    }
}

impl PartialSchema for AgeOrOff {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}

impl ToSchema for AgeOrOff {}

const OFF: &str = "off";

/// A source.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Source)]
pub(super) struct SourceView {
    id: String,
    /// What to register with the vendor.
    url: String,
    dialect: &'static str,
    name: String,
    /// `active`, `paused`.
    state: &'static str,
    paused_since: Option<Timestamp>,
    /// In full where it was made just now, masked ever after.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// In full where it was made just now, masked ever after.
    #[serde(skip_serializing_if = "Option::is_none")]
    bearer_token: Option<String>,
    /// Every secret that proves a request, newest first.
    secrets: Vec<SourceSecret>,
    /// Empty: from anywhere.
    allowed_ips: Vec<String>,
    /// Null: the server's own.
    rate_limit: Option<String>,
    /// Null: the server's own.
    max_event_age: Option<String>,
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A secret that proves requests.
#[derive(Debug, Serialize, ToSchema)]
struct SourceSecret {
    masked: String,
    created_at: Timestamp,
    /// Until when, once it was rotated out.
    expires_at: Option<Timestamp>,
}

impl SourceView {
    fn new(source: &Source, shown: Option<&Secret>, url: &PublicUrl, now: Timestamp) -> Self {
        let newest = source.secrets.first().map(|secret| secret.text.masked());
        let credential = shown.map(|secret| secret.expose().to_owned()).or(newest);
        let (secret, bearer_token) = match source.dialect.credential {
            Credential::BearerToken => (None, credential),
            Credential::SecretGiven
            | Credential::SecretGivenOrMade
            | Credential::SecretMade
            | Credential::SecretOptional
            | Credential::None => (credential, None),
        };
        let live = source.secrets.iter().filter(|secret| secret.expires_at.is_none_or(|end| now < end));
        let secrets = live.map(|secret| SourceSecret {
            masked: secret.text.masked(),
            created_at: secret.created_at,
            expires_at: secret.expires_at,
        });
        Self {
            id: source.id.to_string(),
            url: url.of(&format!("/in/{}", source.id)),
            dialect: source.dialect.id,
            name: source.name.clone(),
            state: source.state.as_str(),
            paused_since: match source.state {
                SourceState::Active => None,
                SourceState::Paused { since } => Some(since),
            },
            secret,
            bearer_token,
            secrets: secrets.collect(),
            allowed_ips: source.allowed_ips.iter().map(ToString::to_string).collect(),
            rate_limit: shown_set(source.rate_limit, |rate: RateLimit| rate.to_string()),
            max_event_age: shown_set(source.max_event_age, |age| format!("{age:#}")),
            settings: source.settings.clone(),
            created_at: source.created_at,
            updated_at: source.updated_at,
        }
    }
}

fn shown_set<T>(set: Set<T>, spell: impl Fn(T) -> String) -> Option<String> {
    match set {
        Set::Default => None,
        Set::Off => Some(OFF.to_owned()),
        Set::To(value) => Some(spell(value)),
    }
}

fn set<T>(given: Option<Option<T>>) -> Set<T> {
    match given {
        None => Set::Default,
        Some(None) => Set::Off,
        Some(Some(value)) => Set::To(value),
    }
}

impl NewSource {
    fn spec(self) -> Spec {
        Spec {
            dialect: self.dialect,
            name: self.name,
            credential: given(self.secret, self.bearer_token),
            makes_secret: self.make_secret,
            allowed_ips: self.allowed_ips,
            rate_limit: set(self.rate_limit.map(|rate| rate.0)),
            max_event_age: set(self.max_event_age.map(|age| age.0)),
            settings: self.settings,
            paused: self.paused,
        }
    }
}

impl SourceChange {
    fn change(self) -> Change {
        Change {
            name: self.name,
            allowed_ips: self.allowed_ips,
            rate_limit: self.rate_limit.map(|rate| set(rate.map(|rate| rate.0))),
            max_event_age: self.max_event_age.map(|age| set(age.map(|age| age.0))),
            settings: self.settings,
            paused: self.paused,
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
    let overlap = rotation.overlap.map_or(admin.overlap.0, |text| text.0);
    let credential = given(rotation.secret, rotation.bearer_token);
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
