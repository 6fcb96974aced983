//! Mutes of an endpoint: what it is not told for a while.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use http::Method;
use serde::{Deserialize, Serialize};

use super::error::Answer;
use super::operation::{Path, session};
use super::scalar::DateTime;

/// Events that `when` is true of do not come until it ends.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
pub(super) struct Mute {
    id: ID,
    /// The expression, whatever was given.
    when: String,
    created_at: DateTime,
    until: DateTime,
    /// Whether it holds now.
    live: bool,
    reason: Option<String>,
    /// Who muted.
    by: String,
}

/// What is muted: one of `finding`, `project`, `type` and `when`, or everything; and until when.
#[derive(Debug, InputObject, Serialize)]
pub(super) struct MuteInput {
    /// Events about this finding.
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<String>,
    /// Events about this project.
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    /// Events of this type.
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    /// Events that this expression is true of.
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<String>,
    /// Its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<DateTime>,
    /// How long, instead: `4h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    r#for: Option<String>,
    /// Why, for whoever asks later.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The mutes of an endpoint: those that hold, and those that ended lately.
pub(super) async fn mutes(ctx: &Context<'_>, org: &str, endpoint: &str) -> Answer<Vec<Mute>> {
    #[derive(Deserialize)]
    struct Mutes {
        items: Vec<Mute>,
    }
    let found: Mutes = session(ctx).get(Path::org(org).then("endpoints").id(endpoint).then("mutes")).await?;
    Ok(found.items)
}

#[derive(Debug, Default)]
pub(super) struct MuteMutation;

#[Object]
impl MuteMutation {
    /// Mute something for an endpoint, until an end. What is muted is recorded as such, not kept for later.
    async fn mute(&self, ctx: &Context<'_>, endpoint: ID, input: MuteInput, org: Option<ID>) -> Answer<Mute> {
        let own = session(ctx).org(org.as_ref()).await?;
        let path = Path::org(&own.id).then("endpoints").id(&endpoint).then("mutes");
        Ok(session(ctx).write(ctx, Method::POST, path, &input).await?)
    }

    /// End a mute now. Answers its id.
    async fn unmute(&self, ctx: &Context<'_>, endpoint: ID, id: ID, org: Option<ID>) -> Answer<ID> {
        let own = session(ctx).org(org.as_ref()).await?;
        let path = Path::org(&own.id).then("endpoints").id(&endpoint).then("mutes").id(&id);
        session(ctx).delete(ctx, path).await?;
        Ok(id)
    }
}
