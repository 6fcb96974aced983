//! API keys: shown once.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use http::Method;
use serde::{Deserialize, Serialize};

use super::error::Answer;
use super::list::Node;
use super::operation::{Path, session};
use super::scalar::DateTime;

/// A key without the key.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
pub(super) struct Key {
    pub(super) id: ID,
    name: String,
    /// What it may do, such as `events:read`.
    scopes: Vec<String>,
    created_at: DateTime,
    expires_at: Option<DateTime>,
    revoked_at: Option<DateTime>,
    /// The member whose key it is.
    member_id: Option<ID>,
    /// When it was last used, to within minutes.
    last_used_at: Option<DateTime>,
}

impl Node for Key {
    fn key(&self) -> &str {
        &self.id
    }
}

/// A key that is to be made.
#[derive(Debug, InputObject, Serialize)]
pub(super) struct KeyInput {
    /// For people.
    name: String,
    /// What it may do, at most what the calling key may.
    scopes: Vec<String>,
    /// When it ceases to work; never when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<DateTime>,
}

/// A key as it is answered once.
#[derive(Debug, SimpleObject, Deserialize)]
pub(super) struct MadeKey {
    /// The key itself. It is never shown again.
    #[graphql(name = "key")]
    #[serde(rename = "key")]
    text: String,
    /// What is kept of it.
    #[graphql(name = "about")]
    #[serde(flatten)]
    about: Key,
}

#[derive(Debug, Default)]
pub(super) struct KeyMutation;

#[Object]
impl KeyMutation {
    /// Make a key.
    async fn create_key(&self, ctx: &Context<'_>, input: KeyInput, org: Option<ID>) -> Answer<MadeKey> {
        let own = session(ctx).org(org.as_ref()).await?;
        Ok(session(ctx).write(ctx, Method::POST, Path::org(&own.id).then("keys"), &input).await?)
    }

    /// Replace a key by one with the same rights. The old one works a while longer.
    async fn rotate_key(
        &self,
        ctx: &Context<'_>,
        id: ID,
        #[graphql(desc = "How long the old key still works; `24h` when left out, `720h` at most.")] overlap: Option<
            String,
        >,
        org: Option<ID>,
    ) -> Answer<MadeKey> {
        #[derive(Serialize)]
        struct Rotation {
            #[serde(skip_serializing_if = "Option::is_none")]
            overlap: Option<String>,
        }
        let own = session(ctx).org(org.as_ref()).await?;
        let path = Path::org(&own.id).then("keys").id(&id).then("rotate");
        Ok(session(ctx).write(ctx, Method::POST, path, &Rotation { overlap }).await?)
    }

    /// Revoke a key, at once on this node and within 5 s on every other. Answers its id.
    async fn revoke_key(&self, ctx: &Context<'_>, id: ID, org: Option<ID>) -> Answer<ID> {
        let own = session(ctx).org(org.as_ref()).await?;
        session(ctx).delete(ctx, Path::org(&own.id).then("keys").id(&id)).await?;
        Ok(id)
    }
}
