//! Groups of organisations, and their keys. Operators make them; a group's key sees its own group.

use std::sync::Arc;

use axum::extract::{FromRef, RawPathParams, Request, State};
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::audit::Action;
use watchbell_domain::id::{GroupId, KeyId, OrgId};
use watchbell_domain::org::Group;
use watchbell_domain::port::{GroupStore, KeyStore, OrgStore, Written};
use watchbell_engine::admin::key;
use watchbell_engine::admin::org::check_name;

use super::audit::audited;
use super::keys::{self, KeyView, MadeKey, NewKey};
use super::orgs::{self, OrgView};
use crate::auth::{Authenticator, Caller};
use crate::body::BodyReader;
use crate::edge::{Edge, Making};
use crate::once::{answer, finish};
use crate::page::{Cursors, List, PageQuery, QueryOf};
use crate::path::IdIn;
use crate::problem::{Body, Problem, Result};

/// Under whom the making of a group's keys is remembered and written down: the operators.
const OPERATORS: OrgId = OrgId(uuid::Uuid::nil());

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .routes(routes!(list_groups, create_group))
        .routes(routes!(get_group, change_group, delete_group))
        .routes(routes!(list_group_orgs))
        .routes(routes!(list_group_keys, create_group_key))
        .routes(routes!(revoke_group_key))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewGroup {
    /// For people; unique.
    name: String,
}

/// Organisations that belong together.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Group)]
struct GroupView {
    id: String,
    name: String,
    created_at: Timestamp,
}

impl From<&Group> for GroupView {
    fn from(group: &Group) -> Self {
        Self { id: group.id.to_string(), name: group.name.clone(), created_at: group.created_at }
    }
}

/// What groups take.
#[derive(Clone)]
struct Groups {
    store: Arc<dyn GroupStore>,
    keys: Arc<dyn KeyStore>,
    orgs: Arc<dyn OrgStore>,
    auth: Authenticator,
    making: Making,
    bodies: BodyReader,
}

impl FromRef<Edge> for Groups {
    fn from_ref(edge: &Edge) -> Self {
        Self {
            store: Arc::from_ref(edge),
            keys: Arc::from_ref(edge),
            orgs: Arc::from_ref(edge),
            auth: Authenticator::from_ref(edge),
            making: Making::from_ref(edge),
            bodies: BodyReader::from_ref(edge),
        }
    }
}

impl Groups {
    /// A group that the caller sees. Another is answered like one that does not exist.
    async fn seen(&self, caller: &Caller, id: GroupId) -> Result<Group> {
        if !caller.key.is_operators() && caller.key.group_id != Some(id) {
            return Err(Problem::NotFound);
        }
        self.store.group(id).await?.ok_or(Problem::NotFound)
    }

    /// As [`Self::seen`], for what operators alone may do.
    async fn kept(&self, caller: &Caller, id: GroupId) -> Result<Group> {
        let group = self.seen(caller, id).await?;
        caller.must_be_operator()?;
        Ok(group)
    }
}

fn checked(name: &str) -> Result<()> {
    check_name(name).map_err(orgs::refused)
}

/// The groups that the key sees.
#[utoipa::path(get, path = "/api/v1/groups", tag = "groups", params(PageQuery),
    responses((status = 200, body = List<GroupView>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_groups(
    caller: Caller,
    State(groups): State<Groups>,
    State(cursors): State<Cursors>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<axum::Json<List<GroupView>>> {
    if let Some(own) = caller.key.group_id {
        let items = groups.store.group(own).await?.iter().map(GroupView::from).collect();
        return Ok(axum::Json(List { items, next_cursor: None }));
    }
    caller.must_be_operator()?;
    let page = groups.store.groups(cursors.page("groups", &query)?).await?;
    Ok(axum::Json(cursors.list("groups", page, |group| group.id.0, |group| GroupView::from(&group))))
}

/// Make a group. Needs a key that reaches every organisation.
#[utoipa::path(post, path = "/api/v1/groups", tag = "groups", request_body = NewGroup,
    responses((status = 201, body = GroupView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn create_group(caller: Caller, State(groups): State<Groups>, request: Request) -> Result<Response> {
    caller.must_be_operator()?;
    let write = groups.bodies.json(request, groups.bodies.limits.other_bytes_max).await?;
    let given: NewGroup = write.parse()?;
    checked(&given.name)?;
    let now = groups.making.clock.now();
    let group = Group { id: GroupId::make(now, &*groups.making.entropy), name: given.name, created_at: now };
    let view = GroupView::from(&group);
    let deed = caller.deed(Action::GroupCreate, group.id, now, audited(&view));
    let answer = answer(StatusCode::CREATED, &view);
    let written = groups.store.create_group(group, write.once.terms(&answer, deed)).await?;
    finish(written, answer)
}

/// Show a group.
#[utoipa::path(get, path = "/api/v1/groups/{id}", tag = "groups", params(("id" = String, Path)),
    responses((status = 200, body = GroupView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_group(
    caller: Caller,
    IdIn(id): IdIn<GroupId>,
    State(groups): State<Groups>,
) -> Result<axum::Json<GroupView>> {
    Ok(axum::Json(GroupView::from(&groups.seen(&caller, id).await?)))
}

/// Give a group another name. Needs a key that reaches every organisation.
#[utoipa::path(patch, path = "/api/v1/groups/{id}", tag = "groups", request_body = NewGroup, params(("id" = String, Path)),
    responses((status = 200, body = GroupView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn change_group(
    caller: Caller,
    IdIn(id): IdIn<GroupId>,
    State(groups): State<Groups>,
    request: Request,
) -> Result<Response> {
    let seen = groups.kept(&caller, id).await?;
    let write = groups.bodies.json(request, groups.bodies.limits.other_bytes_max).await?;
    let given: NewGroup = write.parse()?;
    checked(&given.name)?;
    let now = groups.making.clock.now();
    let detail = json!({"name": {"before": seen.name, "after": given.name}});
    let deed = caller.deed(Action::GroupUpdate, id, now, detail);
    let answer = answer(StatusCode::OK, &GroupView::from(&Group { name: given.name.clone(), ..seen }));
    let written = groups.store.rename_group(id, given.name, now, write.once.terms(&answer, deed)).await?;
    if written == Written::Fresh(false) {
        return Err(Problem::NotFound);
    }
    finish(written, answer)
}

/// Delete a group and its keys, once no organisation belongs to it. Needs a key that reaches every organisation.
#[utoipa::path(delete, path = "/api/v1/groups/{id}", tag = "groups", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn delete_group(caller: Caller, IdIn(id): IdIn<GroupId>, State(groups): State<Groups>) -> Result<StatusCode> {
    let seen = groups.kept(&caller, id).await?;
    let deed = caller.deed(Action::GroupDelete, id, groups.making.clock.now(), audited(&GroupView::from(&seen)));
    let is_deleted = groups.store.delete_group(id, Some(deed)).await?;
    groups.auth.forget();
    if is_deleted { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::NotFound) }
}

/// A group's organisations.
#[utoipa::path(get, path = "/api/v1/groups/{id}/orgs", tag = "groups", params(("id" = String, Path), PageQuery),
    responses((status = 200, body = List<OrgView>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_group_orgs(
    caller: Caller,
    IdIn(id): IdIn<GroupId>,
    State(groups): State<Groups>,
    State(cursors): State<Cursors>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<axum::Json<List<OrgView>>> {
    groups.seen(&caller, id).await?;
    let scope = format!("{id}/orgs");
    let page = groups.store.orgs_of_group(id, cursors.page(&scope, &query)?).await?;
    orgs::listed(&*groups.orgs, &cursors, &scope, page).await
}

/// A group's keys.
#[utoipa::path(get, path = "/api/v1/groups/{id}/keys", tag = "groups", params(("id" = String, Path), PageQuery),
    responses((status = 200, body = List<KeyView>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_group_keys(
    caller: Caller,
    IdIn(id): IdIn<GroupId>,
    State(groups): State<Groups>,
    State(cursors): State<Cursors>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<axum::Json<List<KeyView>>> {
    groups.kept(&caller, id).await?;
    let scope = format!("{id}/keys");
    let page = groups.keys.group_keys(id, cursors.page(&scope, &query)?).await?;
    Ok(axum::Json(cursors.list(&scope, page, |key| key.id.0, KeyView::from)))
}

/// Make a key that reaches every organisation of a group. Needs a key that reaches every organisation.
#[utoipa::path(post, path = "/api/v1/groups/{id}/keys", tag = "groups", request_body = NewKey, params(("id" = String, Path)),
    responses((status = 201, body = MadeKey), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn create_group_key(
    caller: Caller,
    IdIn(id): IdIn<GroupId>,
    State(groups): State<Groups>,
    request: Request,
) -> Result<Response> {
    groups.kept(&caller, id).await?;
    let write = groups.bodies.json(request, groups.bodies.limits.other_bytes_max).await?;
    let spec = write.parse::<NewKey>()?.spec()?;
    let now = groups.making.clock.now();
    let made = key::create_for_group(id, spec, &caller.key, now, &*groups.making.entropy);
    let (stored, secret) = made.map_err(keys::refused)?;
    let view = MadeKey::new(stored.clone(), &secret);
    let deed =
        caller.deed(Action::KeyCreate, stored.id, now, json!({"group": id.to_string(), "key": audited(&view.view)}));
    let answer = answer(StatusCode::CREATED, &view);
    let written = groups.keys.create_key(OPERATORS, stored, write.once.terms(&answer, deed)).await?;
    finish(written, answer)
}

/// Revoke a key of a group. Needs a key that reaches every organisation.
#[utoipa::path(delete, path = "/api/v1/groups/{id}/keys/{key}", tag = "groups",
    params(("id" = String, Path), ("key" = String, Path)),
    responses((status = 204), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn revoke_group_key(
    caller: Caller,
    IdIn(id): IdIn<GroupId>,
    State(groups): State<Groups>,
    params: RawPathParams,
) -> Result<StatusCode> {
    groups.kept(&caller, id).await?;
    let text = params.iter().find_map(|(name, value)| (name == "key").then_some(value));
    let key: KeyId = text.and_then(|text| text.parse().ok()).ok_or(Problem::NotFound)?;
    let now = groups.making.clock.now();
    let deed = caller.deed(Action::KeyRevoke, key, now, Value::Null);
    let is_revoked = groups.keys.revoke_group_key(id, key, now, Some(deed)).await?;
    groups.auth.forget();
    if is_revoked { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::NotFound) }
}
