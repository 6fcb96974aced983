//! Sources: the vendors that call us. Their secrets are shown once.

use async_graphql::{ComplexObject, Context, Enum, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use http::Method;
use serde::{Deserialize, Serialize};

use super::endpoint::ValidSecret;
use super::error::Answer;
use super::list::{Node, Page, Wanted, node_of_org};
use super::operation::{Path, Session, session};
use super::receipt::{Receipt, ReceiptFilter, receipts};
use super::scalar::{DateTime, Json, is_left_out};
use crate::problem::Result;

/// Whether a source's requests are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SourceState {
    /// They are.
    Active,
    /// Somebody paused it: they are to come again later.
    Paused,
}

/// A vendor that calls us.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
#[graphql(complex)]
pub(super) struct Source {
    pub(super) id: ID,
    /// What to register with the vendor.
    url: String,
    /// In which format it calls.
    dialect: String,
    name: String,
    state: SourceState,
    paused_since: Option<DateTime>,
    /// In full where it was made just now, masked ever after.
    secret: Option<String>,
    /// In full where it was made just now, masked ever after.
    bearer_token: Option<String>,
    /// Every secret that proves a request, newest first.
    secrets: Vec<ValidSecret>,
    /// Empty: from anywhere.
    allowed_ips: Vec<String>,
    /// Null: the server's own.
    rate_limit: Option<String>,
    /// Null: the server's own.
    max_event_age: Option<String>,
    /// What the dialect is told beside the secret, and which project is meant.
    settings: Json,
    created_at: DateTime,
    updated_at: DateTime,
    #[graphql(skip)]
    #[serde(skip)]
    org: String,
}

node_of_org!(Source);

#[ComplexObject]
impl Source {
    /// What it called with, newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn receipts(&self, ctx: &Context<'_>, first: Option<i32>, after: Option<String>) -> Answer<Page<Receipt>> {
        let filter = ReceiptFilter { source: Some(self.id.clone()), ..ReceiptFilter::default() };
        Ok(receipts(ctx, &self.org, Wanted { first, after }, filter).await?)
    }
}

/// A source that is to be made.
#[derive(Debug, InputObject, Serialize)]
pub(super) struct SourceInput {
    /// In which format it calls: `snyk`, `github`, `standard`, `custom` …
    dialect: String,
    /// For people.
    name: String,
    /// The signing secret, as the vendor has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// The token it is to show, for `bearer-scan` and `cloudevents`.
    #[serde(skip_serializing_if = "Option::is_none")]
    bearer_token: Option<String>,
    /// Have the secret or token made; it is shown in this answer and never again.
    #[graphql(default)]
    make_secret: bool,
    /// Addresses and networks its requests may come from; any when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_ips: Option<Vec<String>>,
    /// How often it may call: `100/s`, `100/s burst 500`, or `off`. The server's own when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit: Option<String>,
    /// How old a signed time in a body may be: `24h`, or `off`. The server's own when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_event_age: Option<String>,
    /// What the dialect wants to know beside the secret, and which project is meant: a JSON object.
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<Json>,
    /// It begins paused.
    #[graphql(default)]
    paused: bool,
}

/// What is to change. Members left out stay; null means the server's own.
#[derive(Debug, InputObject, Serialize)]
pub(super) struct SourceChangeInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// All of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_ips: Option<Vec<String>>,
    #[serde(skip_serializing_if = "is_left_out")]
    rate_limit: MaybeUndefined<String>,
    #[serde(skip_serializing_if = "is_left_out")]
    max_event_age: MaybeUndefined<String>,
    /// All of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<Json>,
    /// Paused, or active again.
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<bool>,
}

/// A source's new secret: made where none is given.
#[derive(Debug, Default, InputObject, Serialize)]
pub(super) struct SourceRotationInput {
    /// The new secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// The new token.
    #[serde(skip_serializing_if = "Option::is_none")]
    bearer_token: Option<String>,
    /// How long the old one still proves requests; the server's own when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    overlap: Option<String>,
}

impl Session {
    /// Does something to a source, and answers it.
    async fn act_on_source(&self, ctx: &Context<'_>, org: &str, id: &str, what: &'static str) -> Result<Source> {
        let source: Source = self.act(ctx, Path::org(org).then("sources").id(id).then(what)).await?;
        Ok(source.within(org))
    }
}

#[derive(Debug, Default)]
pub(super) struct SourceMutation;

#[Object]
impl SourceMutation {
    /// Register a source: a URL to give to the vendor. A secret that is made is answered here and never again.
    async fn create_source(&self, ctx: &Context<'_>, input: SourceInput, org: Option<ID>) -> Answer<Source> {
        let own = session(ctx).org(org.as_ref()).await?;
        let path = Path::org(&own.id).then("sources");
        let made: Source = session(ctx).write(ctx, Method::POST, path, &input).await?;
        Ok(made.within(&own.id))
    }

    /// Change a source. Members left out stay; null means the server's own.
    async fn update_source(
        &self,
        ctx: &Context<'_>,
        id: ID,
        input: SourceChangeInput,
        org: Option<ID>,
    ) -> Answer<Source> {
        let own = session(ctx).org(org.as_ref()).await?;
        let path = Path::org(&own.id).then("sources").id(&id);
        let changed: Source = session(ctx).write(ctx, Method::PATCH, path, &input).await?;
        Ok(changed.within(&own.id))
    }

    /// Delete a source. Its URL leads nowhere from now on; its receipts stay. Answers its id.
    async fn delete_source(&self, ctx: &Context<'_>, id: ID, org: Option<ID>) -> Answer<ID> {
        let own = session(ctx).org(org.as_ref()).await?;
        session(ctx).delete(ctx, Path::org(&own.id).then("sources").id(&id)).await?;
        Ok(id)
    }

    /// Give a source a new secret. The old one still proves requests for a while.
    async fn rotate_source_secret(
        &self,
        ctx: &Context<'_>,
        id: ID,
        #[graphql(default)] input: SourceRotationInput,
        org: Option<ID>,
    ) -> Answer<Source> {
        let own = session(ctx).org(org.as_ref()).await?;
        let path = Path::org(&own.id).then("sources").id(&id).then("rotate-secret");
        let rotated: Source = session(ctx).write(ctx, Method::POST, path, &input).await?;
        Ok(rotated.within(&own.id))
    }

    /// Pause a source: its requests are answered 503, so that the vendor sends them again later.
    async fn pause_source(&self, ctx: &Context<'_>, id: ID, org: Option<ID>) -> Answer<Source> {
        let own = session(ctx).org(org.as_ref()).await?;
        Ok(session(ctx).act_on_source(ctx, &own.id, &id, "pause").await?)
    }

    /// Take a source's requests again.
    async fn resume_source(&self, ctx: &Context<'_>, id: ID, org: Option<ID>) -> Answer<Source> {
        let own = session(ctx).org(org.as_ref()).await?;
        Ok(session(ctx).act_on_source(ctx, &own.id, &id, "resume").await?)
    }
}
