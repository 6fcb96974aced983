//! Members: invited, given roles, removed; and their own keys.

use std::sync::Arc;

use axum::extract::{FromRef, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::access::KeyHash;
use watchbell_domain::audit::{Action, Actor, Deed, changes};
use watchbell_domain::id::{MemberId, OrgId};
use watchbell_domain::member::{Invitation, Member, Role};
use watchbell_domain::port::{KeyStore, MemberStore};
use watchbell_engine::admin::member::{self, Refused};
use watchbell_engine::admin::org::check_name;
use watchbell_wire::Secret;

use super::audit::audited;
use super::keys::MadeKey;
use crate::auth::{Authenticator, Tenant, right};
use crate::body::BodyReader;
use crate::edge::{Edge, Making};
use crate::once::{answer, finish, send};
use crate::page::{Cursors, List, PageQuery, QueryOf};
use crate::path::IdIn;
use crate::problem::{Body, Problem, Result};

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .routes(routes!(list_members, invite_member))
        .routes(routes!(get_member, change_member, remove_member))
        .routes(routes!(renew_invitation))
        .routes(routes!(create_own_key))
}

/// Taking an invitation is how one gets a key, so it needs none.
pub(super) fn open() -> OpenApiRouter<Edge> {
    OpenApiRouter::default().routes(routes!(accept_invitation))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewMember {
    /// Unique in the organisation.
    email: String,
    /// For people; the address when left out.
    name: Option<String>,
    /// `viewer`, `operator`, `editor`, `owner`.
    role: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MemberChange {
    name: Option<String>,
    /// `viewer`, `operator`, `editor`, `owner`. Takes effect at once.
    role: Option<String>,
}

/// An invitation to take.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Taking {
    /// The invitation, as it was shown once.
    token: String,
    /// What the new key is called.
    key_name: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewOwnKey {
    /// For people.
    name: String,
}

/// Somebody of the organisation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Member)]
struct MemberView {
    id: String,
    email: String,
    name: String,
    /// `viewer`, `operator`, `editor`, `owner`.
    role: &'static str,
    /// `invited`, `joined`.
    state: &'static str,
    created_at: Timestamp,
    joined_at: Option<Timestamp>,
    /// Until when the invitation can be taken, while there is one.
    invitation_expires_at: Option<Timestamp>,
}

/// A member with the invitation, which is shown once.
#[derive(Debug, Serialize, ToSchema)]
struct Invited {
    #[serde(flatten)]
    view: MemberView,
    /// To be handed to them. It becomes a key by `POST /api/v1/invitations/accept`.
    invitation: String,
}

/// What taking an invitation gives.
#[derive(Debug, Serialize, ToSchema)]
struct Joined {
    org_id: String,
    member: MemberView,
    key: MadeKey,
}

impl From<&Member> for MemberView {
    fn from(member: &Member) -> Self {
        Self {
            id: member.id.to_string(),
            email: member.email.clone(),
            name: member.name.clone(),
            role: member.role.as_str(),
            state: if member.joined_at.is_some() { "joined" } else { "invited" },
            created_at: member.created_at,
            joined_at: member.joined_at,
            invitation_expires_at: member.invitation.map(|invitation| invitation.expires_at),
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let detail = refused.to_string();
        match refused {
            Refused::Name(name) => super::orgs::refused(name),
            Refused::Email => Self::payload("/email", detail),
            Refused::Escalation { .. } => Self::Escalation(detail),
        }
    }
}

/// What members take.
#[derive(Clone)]
struct Members {
    store: Arc<dyn MemberStore>,
    keys: Arc<dyn KeyStore>,
    auth: Authenticator,
    making: Making,
    bodies: BodyReader,
}

impl FromRef<Edge> for Members {
    fn from_ref(edge: &Edge) -> Self {
        Self {
            store: Arc::from_ref(edge),
            keys: Arc::from_ref(edge),
            auth: Authenticator::from_ref(edge),
            making: Making::from_ref(edge),
            bodies: BodyReader::from_ref(edge),
        }
    }
}

impl Members {
    async fn seen(&self, org: OrgId, id: MemberId) -> Result<Member> {
        self.store.member(org, id).await?.ok_or(Problem::NotFound)
    }
}

fn role(text: &str) -> Result<Role> {
    Role::parse(text).ok_or_else(|| {
        let names = Role::ALL.map(Role::as_str).join(", ");
        Problem::payload("/role", format!("role is one of: {names}"))
    })
}

/// The organisation's members.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/members", tag = "members",
    params(("org" = String, Path, description = "Id or slug"), PageQuery),
    responses((status = 200, body = List<MemberView>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_members(
    tenant: Tenant<right::MembersRead>,
    State(members): State<Members>,
    State(cursors): State<Cursors>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<axum::Json<List<MemberView>>> {
    let scope = format!("{}/members", tenant.org);
    let page = members.store.members(tenant.org, cursors.page(&scope, &query)?).await?;
    Ok(axum::Json(cursors.list(&scope, page, |member| member.id.0, |member| MemberView::from(&member))))
}

/// Invite somebody. The invitation is answered here and never again.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/members", tag = "members", request_body = NewMember,
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 201, body = Invited), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn invite_member(
    tenant: Tenant<right::MembersWrite>,
    State(members): State<Members>,
    request: Request,
) -> Result<Response> {
    let write = members.bodies.json(request, members.bodies.limits.other_bytes_max).await?;
    let given: NewMember = write.parse()?;
    let role = role(&given.role)?;
    member::may_give(&tenant.caller.key, role)?;
    let now = members.making.clock.now();
    let (new, token) =
        member::invite(tenant.org, &given.email, given.name.as_deref(), role, now, &*members.making.entropy)?;
    let view = MemberView::from(&new);
    let deed = tenant.caller.deed(Action::MemberInvite, new.id, now, audited(&view));
    let answer = answer(StatusCode::CREATED, &Invited { view, invitation: token.expose().to_owned() });
    let written = members.store.create_member(new, write.once.terms(&answer, deed)).await?;
    finish(written, answer)
}

/// Show a member.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/members/{id}", tag = "members",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = MemberView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_member(
    tenant: Tenant<right::MembersRead>,
    IdIn(id): IdIn<MemberId>,
    State(members): State<Members>,
) -> Result<axum::Json<MemberView>> {
    Ok(axum::Json(MemberView::from(&members.seen(tenant.org, id).await?)))
}

/// Give a member another name or role. Their keys may do at once what the new role allows, and no more.
#[utoipa::path(patch, path = "/api/v1/orgs/{org}/members/{id}", tag = "members", request_body = MemberChange,
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = MemberView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn change_member(
    tenant: Tenant<right::MembersWrite>,
    IdIn(id): IdIn<MemberId>,
    State(members): State<Members>,
    request: Request,
) -> Result<Response> {
    let write = members.bodies.json(request, members.bodies.limits.other_bytes_max).await?;
    let given: MemberChange = write.parse()?;
    let seen = members.seen(tenant.org, id).await?;
    let mut changed = seen.clone();
    if let Some(name) = given.name {
        check_name(&name).map_err(super::orgs::refused)?;
        changed.name = name;
    }
    if let Some(text) = &given.role {
        changed.role = role(text)?;
    }
    // Whoever has more than the caller is not the caller's to change.
    member::may_give(&tenant.caller.key, seen.role)?;
    member::may_give(&tenant.caller.key, changed.role)?;
    let now = members.making.clock.now();
    let view = MemberView::from(&changed);
    let detail = changes(&audited(&MemberView::from(&seen)), &audited(&view));
    let deed = tenant.caller.deed(Action::MemberUpdate, id, now, detail);
    let answer = answer(StatusCode::OK, &view);
    let written = members.store.update_member(seen, changed, now, write.once.terms(&answer, deed)).await?;
    members.auth.forget();
    finish(written, answer)
}

/// Remove a member, or withdraw an invitation. Their keys are dead at once on this node and within 5 s on every other.
#[utoipa::path(delete, path = "/api/v1/orgs/{org}/members/{id}", tag = "members",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn remove_member(
    tenant: Tenant<right::MembersWrite>,
    IdIn(id): IdIn<MemberId>,
    State(members): State<Members>,
) -> Result<StatusCode> {
    let seen = members.seen(tenant.org, id).await?;
    member::may_give(&tenant.caller.key, seen.role)?;
    let now = members.making.clock.now();
    let deed = tenant.caller.deed(Action::MemberRemove, id, now, audited(&MemberView::from(&seen)));
    let is_removed = members.store.remove_member(tenant.org, id, now, Some(deed)).await?;
    members.auth.forget();
    if is_removed { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::NotFound) }
}

/// Invite a member anew: the invitation before is void. One who has joined gets another key by it.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/members/{id}/invite", tag = "members",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = Invited), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn renew_invitation(
    tenant: Tenant<right::MembersWrite>,
    IdIn(id): IdIn<MemberId>,
    State(members): State<Members>,
    request: Request,
) -> Result<Response> {
    let write = members.bodies.optional_json(request).await?;
    let seen = members.seen(tenant.org, id).await?;
    member::may_give(&tenant.caller.key, seen.role)?;
    let now = members.making.clock.now();
    let (invitation, token) = member::invitation(now, &*members.making.entropy);
    let changed = Member { invitation: Some(invitation), ..seen.clone() };
    let view = MemberView::from(&changed);
    let deed = tenant.caller.deed(Action::MemberInvite, id, now, audited(&view));
    let answer = answer(StatusCode::OK, &Invited { view, invitation: token.expose().to_owned() });
    let written = members.store.update_member(seen, changed, now, write.once.terms(&answer, deed)).await?;
    finish(written, answer)
}

/// Make another key of one's own. It may do what the member's role allows.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/members/{id}/keys", tag = "members", request_body = NewOwnKey,
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 201, body = MadeKey), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn create_own_key(
    tenant: Tenant<right::AnyKey>,
    IdIn(id): IdIn<MemberId>,
    State(members): State<Members>,
    request: Request,
) -> Result<Response> {
    let write = members.bodies.json(request, members.bodies.limits.other_bytes_max).await?;
    let given: NewOwnKey = write.parse()?;
    check_name(&given.name).map_err(super::orgs::refused)?;
    let seen = members.seen(tenant.org, id).await?;
    if tenant.caller.key.member.as_ref().is_none_or(|member| member.id != id) {
        return Err(Problem::Escalation("a member's keys are made by the member alone; invite them anew".to_owned()));
    }
    let now = members.making.clock.now();
    let (mut key, secret) = member::own_key(&seen, given.name, now, &*members.making.entropy);
    // A key of few scopes or days makes none of more.
    key.scopes = tenant.caller.key.scopes.clone();
    key.expires_at = tenant.caller.key.expires_at;
    let view = MadeKey::new(key.clone(), &secret);
    let deed = tenant.caller.deed(Action::KeyCreate, key.id, now, audited(&view.view));
    let answer = answer(StatusCode::CREATED, &view);
    let written = members.keys.create_key(tenant.org, key, write.once.terms(&answer, deed)).await?;
    finish(written, answer)
}

/// Take an invitation: it becomes a key, once. Needs no other key.
#[utoipa::path(post, path = "/api/v1/invitations/accept", tag = "members", security(()), request_body = Taking,
    responses((status = 201, body = Joined), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn accept_invitation(State(members): State<Members>, request: Request) -> Result<Response> {
    let from = members.auth.origin(request.extensions());
    let write = members.bodies.json(request, members.bodies.limits.other_bytes_max).await?;
    let given: Taking = write.parse()?;
    let token = Secret::new(given.token);
    let now = members.making.clock.now();
    let found = members.store.member_by_invitation(KeyHash::of(token.expose())).await?;
    let is_live = |invitation: Invitation| now < invitation.expires_at;
    let found = found.filter(|member| member.invitation.is_some_and(is_live));
    let seen = found.ok_or_else(|| members.auth.failed(&from))?;
    let name = given.key_name.unwrap_or_else(|| "first key".to_owned());
    check_name(&name).map_err(|_| Problem::payload("/key_name", "a name has 1 to 200 characters"))?;
    let (key, secret) = member::own_key(&seen, name, now, &*members.making.entropy);
    let joined_at = Some(seen.joined_at.unwrap_or(now));
    let member = Member { invitation: None, joined_at, ..seen.clone() };
    let deed = joining(&seen, &from, now, &key.id.to_string());
    let view = Joined {
        org_id: seen.org_id.to_string(),
        member: MemberView::from(&member),
        key: MadeKey::new(key.clone(), &secret),
    };
    match members.store.join(seen, key, now, Some(deed)).await? {
        true => Ok(send(answer(StatusCode::CREATED, &view)).into_response()),
        false => Err(members.auth.failed(&from)),
    }
}

fn joining(member: &Member, from: &crate::auth::Origin, at: Timestamp, key: &str) -> Deed {
    let detail: Value = json!({"key": key});
    Deed {
        actor: Actor::Invited { id: member.id, name: member.name.clone() },
        action: Action::MemberJoin,
        subject: Some(member.id.to_string()),
        address: from.address,
        request_id: from.request_id,
        detail,
        at,
    }
}
