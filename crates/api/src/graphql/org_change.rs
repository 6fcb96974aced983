//! Organisations made, renamed, suspended, deleted.

use async_graphql::{Context, ID, InputObject, Object};
use http::Method;
use serde::Serialize;

use super::error::Answer;
use super::operation::{Path, session};
use super::org::Org;

/// A new organisation.
#[derive(Debug, InputObject, Serialize)]
pub(super) struct NewOrgInput {
    name: String,
    /// Its name in URLs; made of `name` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    slug: Option<String>,
}

/// What of an organisation is to change.
#[derive(Debug, InputObject, Serialize)]
pub(super) struct OrgChangeInput {
    /// Its name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Its name in URLs.
    #[serde(skip_serializing_if = "Option::is_none")]
    slug: Option<String>,
    /// Its share when deliveries take turns, 1 to 100: twice the weight, twice the starts while others wait as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<u32>,
}

#[derive(Debug, Default)]
pub(super) struct OrgMutation;

#[Object]
impl OrgMutation {
    /// Make an organisation. Takes a key that reaches every one.
    async fn create_org(&self, ctx: &Context<'_>, input: NewOrgInput) -> Answer<Org> {
        Ok(session(ctx).write(ctx, Method::POST, Path::orgs(), &input).await?)
    }

    /// Change an organisation's name; what it weighs takes a key that reaches every one.
    async fn update_org(&self, ctx: &Context<'_>, id: ID, input: OrgChangeInput) -> Answer<Org> {
        Ok(session(ctx).write(ctx, Method::PATCH, Path::org(&id), &input).await?)
    }

    /// Suspend an organisation: its keys are dead and its deliveries held. Takes a key that reaches every one.
    async fn suspend_org(&self, ctx: &Context<'_>, id: ID) -> Answer<Org> {
        Ok(session(ctx).act(ctx, Path::org(&id).then("suspend")).await?)
    }

    /// Let a suspended organisation work again. Takes a key that reaches every one.
    async fn resume_org(&self, ctx: &Context<'_>, id: ID) -> Answer<Org> {
        Ok(session(ctx).act(ctx, Path::org(&id).then("resume")).await?)
    }

    /// Delete an organisation: its keys are dead at once, what waits is cancelled, its rows go; its audit log stays. Takes
    /// a key that reaches every one.
    async fn delete_org(&self, ctx: &Context<'_>, id: ID) -> Answer<Org> {
        Ok(session(ctx).remove(ctx, Path::org(&id)).await?)
    }
}
