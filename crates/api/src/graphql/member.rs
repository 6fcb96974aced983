//! Members: people of an organisation, and what their role allows.

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use http::Method;
use serde::{Deserialize, Serialize};

use super::error::Answer;
use super::key::MadeKey;
use super::list::Node;
use super::operation::{Path, session};
use super::scalar::DateTime;

/// What a member may do. Each role includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    /// Sees what is going on.
    Viewer,
    /// Keeps it going: replays, decides about findings, plans actions.
    Operator,
    /// Changes where things come from and go to.
    Editor,
    /// Everything in the organisation, members and keys included.
    Owner,
}

/// Somebody of an organisation.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
pub(super) struct Member {
    pub(super) id: ID,
    email: String,
    name: String,
    role: Role,
    /// `invited`, `joined`.
    state: String,
    created_at: DateTime,
    joined_at: Option<DateTime>,
    /// Until when the invitation can be taken, while there is one.
    invitation_expires_at: Option<DateTime>,
}

impl Node for Member {
    fn key(&self) -> &str {
        &self.id
    }
}

/// Somebody who was invited.
#[derive(Debug, SimpleObject, Deserialize)]
pub(super) struct Invited {
    #[serde(flatten)]
    member: Member,
    /// To be handed to them; shown once. It becomes a key by `POST /api/v1/invitations/accept`, which takes no key.
    invitation: String,
}

/// Somebody who is to be invited.
#[derive(Debug, InputObject, Serialize)]
pub(super) struct MemberInput {
    /// Unique in the organisation.
    email: String,
    /// For people; the address when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    role: Role,
}

/// What of a member is to change.
#[derive(Debug, InputObject, Serialize)]
pub(super) struct MemberChangeInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Takes effect at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
}

#[derive(Debug, Default)]
pub(super) struct MemberMutation;

#[Object]
impl MemberMutation {
    /// Invite somebody, with at most one's own rights.
    async fn invite_member(&self, ctx: &Context<'_>, input: MemberInput, org: Option<ID>) -> Answer<Invited> {
        let own = session(ctx).org(org.as_ref()).await?;
        Ok(session(ctx).write(ctx, Method::POST, Path::org(&own.id).then("members"), &input).await?)
    }

    /// Change a member's name or role.
    async fn update_member(
        &self,
        ctx: &Context<'_>,
        id: ID,
        input: MemberChangeInput,
        org: Option<ID>,
    ) -> Answer<Member> {
        let own = session(ctx).org(org.as_ref()).await?;
        Ok(session(ctx).write(ctx, Method::PATCH, Path::org(&own.id).then("members").id(&id), &input).await?)
    }

    /// Remove a member: every key of theirs is dead. Answers their id.
    async fn remove_member(&self, ctx: &Context<'_>, id: ID, org: Option<ID>) -> Answer<ID> {
        let own = session(ctx).org(org.as_ref()).await?;
        session(ctx).delete(ctx, Path::org(&own.id).then("members").id(&id)).await?;
        Ok(id)
    }

    /// Make a new invitation for a member; the one before is void.
    async fn renew_invitation(&self, ctx: &Context<'_>, id: ID, org: Option<ID>) -> Answer<Invited> {
        let own = session(ctx).org(org.as_ref()).await?;
        Ok(session(ctx).act(ctx, Path::org(&own.id).then("members").id(&id).then("invite")).await?)
    }

    /// Make another key of one's own. It may do what the member's role allows.
    async fn create_own_key(&self, ctx: &Context<'_>, member: ID, name: String, org: Option<ID>) -> Answer<MadeKey> {
        #[derive(Serialize)]
        struct NewOwnKey {
            name: String,
        }
        let own = session(ctx).org(org.as_ref()).await?;
        let path = Path::org(&own.id).then("members").id(&member).then("keys");
        Ok(session(ctx).write(ctx, Method::POST, path, &NewOwnKey { name }).await?)
    }
}
