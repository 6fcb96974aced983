//! Groups: organisations that belong together.

use async_graphql::{ComplexObject, Context, ID, InputObject, Object, SimpleObject};
use http::Method;
use serde::{Deserialize, Serialize};

use super::error::Answer;
use super::key::{Key, KeyInput, MadeKey};
use super::list::{Node, Page, Wanted};
use super::operation::{Path, session};
use super::org::Org;
use super::scalar::DateTime;

/// Organisations that belong together. A key of the group reaches all of them.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
#[graphql(complex)]
pub(super) struct Group {
    id: ID,
    /// For people.
    name: String,
    created_at: DateTime,
}

impl Node for Group {
    fn key(&self) -> &str {
        &self.id
    }
}

#[ComplexObject]
impl Group {
    /// Its organisations, newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn orgs(&self, ctx: &Context<'_>, first: Option<i32>, after: Option<String>) -> Answer<Page<Org>> {
        let path = Path::groups().id(&self.id).then("orgs");
        let scope = format!("{}/orgs", self.id.as_str());
        Ok(session(ctx).list("", path, &scope, Wanted { first, after }).await?)
    }

    /// Its API keys, without the keys themselves, newest first. Takes a key that reaches every organisation.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn keys(&self, ctx: &Context<'_>, first: Option<i32>, after: Option<String>) -> Answer<Page<Key>> {
        let path = Path::groups().id(&self.id).then("keys");
        let scope = format!("{}/keys", self.id.as_str());
        Ok(session(ctx).list("", path, &scope, Wanted { first, after }).await?)
    }
}

/// A group as it is to be.
#[derive(Debug, InputObject, Serialize)]
pub(super) struct GroupInput {
    /// For people; unique.
    name: String,
}

#[derive(Debug, Default)]
pub(super) struct GroupQuery;

#[Object]
impl GroupQuery {
    /// The groups that the key may see, newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn groups(&self, ctx: &Context<'_>, first: Option<i32>, after: Option<String>) -> Answer<Page<Group>> {
        Ok(session(ctx).list("", Path::groups(), "groups", Wanted { first, after }).await?)
    }

    /// A group.
    async fn group(&self, ctx: &Context<'_>, id: ID) -> Answer<Group> {
        Ok(session(ctx).get(Path::groups().id(&id)).await?)
    }
}

#[derive(Debug, Default)]
pub(super) struct GroupMutation;

/// All of it takes a key that reaches every organisation.
#[Object]
impl GroupMutation {
    /// Make a group. Takes a key that reaches every organisation.
    async fn create_group(&self, ctx: &Context<'_>, input: GroupInput) -> Answer<Group> {
        Ok(session(ctx).write(ctx, Method::POST, Path::groups(), &input).await?)
    }

    /// Rename a group. Takes a key that reaches every organisation.
    async fn update_group(&self, ctx: &Context<'_>, id: ID, input: GroupInput) -> Answer<Group> {
        Ok(session(ctx).write(ctx, Method::PATCH, Path::groups().id(&id), &input).await?)
    }

    /// Delete a group with its keys; its organisations stay. Takes a key that reaches every organisation. Answers its id.
    async fn delete_group(&self, ctx: &Context<'_>, id: ID) -> Answer<ID> {
        session(ctx).delete(ctx, Path::groups().id(&id)).await?;
        Ok(id)
    }

    /// Make a key that reaches a group's organisations. Takes a key that reaches every organisation.
    async fn create_group_key(&self, ctx: &Context<'_>, group: ID, input: KeyInput) -> Answer<MadeKey> {
        Ok(session(ctx).write(ctx, Method::POST, Path::groups().id(&group).then("keys"), &input).await?)
    }

    /// Revoke a group's key. Takes a key that reaches every organisation. Answers its id.
    async fn revoke_group_key(&self, ctx: &Context<'_>, group: ID, id: ID) -> Answer<ID> {
        session(ctx).delete(ctx, Path::groups().id(&group).then("keys").id(&id)).await?;
        Ok(id)
    }

    /// Put an organisation into a group; without one, into none. Takes a key that reaches every organisation.
    async fn place_org(&self, ctx: &Context<'_>, org: ID, group: Option<ID>) -> Answer<Org> {
        #[derive(Serialize)]
        struct Placing {
            group: Option<ID>,
        }
        Ok(session(ctx).write(ctx, Method::PUT, Path::org(&org).then("group"), &Placing { group }).await?)
    }
}
