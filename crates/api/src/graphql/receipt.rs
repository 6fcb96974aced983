//! Receipts: the requests of sources with what became of them; accepted or replayed by hand.

use async_graphql::{ComplexObject, Context, ID, InputObject, Object, SimpleObject};
use serde::Deserialize;

use super::delivery::HeaderLine;
use super::error::Answer;
use super::event::Event;
use super::list::{Node, Page, Wanted, node_of_org};
use super::operation::{Path, session};
use super::scalar::DateTime;
use super::source::Source;
use crate::problem::Problem;

/// A request of a source. Values of headers that hold credentials are masked.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
#[graphql(complex)]
pub(super) struct Receipt {
    pub(super) id: ID,
    source_id: ID,
    received_at: DateTime,
    /// Where it came from.
    address: Option<String>,
    method: String,
    /// What became of it: `accepted`, `duplicate`, `signature_mismatch` …
    verdict: String,
    /// What it was answered with.
    status: i32,
    /// Why it was refused. The sender was told less.
    detail: Option<String>,
    /// The vendor's own name of what happened.
    vendor_event: Option<String>,
    /// The ids of the events it made.
    events: Vec<ID>,
    /// The receipt that this one repeats: a duplicate's first, or the one that was accepted or replayed by hand.
    of: Option<ID>,
    headers: Vec<HeaderLine>,
    /// Bytes the body had.
    body_bytes: Option<i64>,
    #[graphql(skip)]
    body: Option<String>,
    #[graphql(skip)]
    body_base64: Option<String>,
    #[graphql(skip)]
    #[serde(skip)]
    org: String,
}

node_of_org!(Receipt);

#[ComplexObject]
impl Receipt {
    /// The body as text; null where it is none.
    #[graphql(complexity = "5")]
    async fn body(&self, ctx: &Context<'_>) -> Answer<Option<String>> {
        Ok(self.whole(ctx).await?.body)
    }

    /// The body in base64 where it is no text.
    #[graphql(name = "bodyBase64", complexity = "5")]
    async fn body_base64(&self, ctx: &Context<'_>) -> Answer<Option<String>> {
        Ok(self.whole(ctx).await?.body_base64)
    }

    /// The source that was called; null once it is deleted.
    async fn source(&self, ctx: &Context<'_>) -> Answer<Option<Source>> {
        let path = Path::org(&self.org).then("sources").id(&self.source_id);
        let found: Option<Source> = session(ctx).find(path).await?;
        Ok(found.map(|source| source.within(&self.org)))
    }

    /// The events it made, as far as they are kept.
    #[graphql(complexity = "5 * child_complexity")]
    async fn made(&self, ctx: &Context<'_>) -> Answer<Vec<Event>> {
        let mut made = Vec::new();
        for id in &self.events {
            let path = Path::org(&self.org).then("events").id(id);
            let found: Option<Event> = session(ctx).find(path).await?;
            made.extend(found.map(|event| event.within(&self.org)));
        }
        Ok(made)
    }
}

impl Receipt {
    /// With its body, which lists leave out.
    async fn whole(&self, ctx: &Context<'_>) -> Result<Self, Problem> {
        if self.body.is_some() || self.body_base64.is_some() {
            return Ok(self.clone());
        }
        session(ctx).get(Path::org(&self.org).then("receipts").id(&self.id)).await
    }
}

/// Which receipts.
#[derive(Debug, Default, InputObject)]
pub(super) struct ReceiptFilter {
    /// Of this source.
    pub(super) source: Option<ID>,
    /// With this verdict.
    pub(super) verdict: Option<String>,
    /// That made this event.
    pub(super) event: Option<ID>,
}

/// A page of receipts.
pub(super) async fn receipts(
    ctx: &Context<'_>,
    org: &str,
    wanted: Wanted,
    filter: ReceiptFilter,
) -> Result<Page<Receipt>, Problem> {
    let path = Path::org(org)
        .then("receipts")
        .with("source", filter.source.map(|id| id.0))
        .with("verdict", filter.verdict)
        .with("event", filter.event.map(|id| id.0));
    session(ctx).list(org, path, "receipts", wanted).await
}

/// A request that was taken again.
#[derive(Debug, SimpleObject, Deserialize)]
pub(super) struct TakenAgain {
    /// The new receipt.
    id: ID,
    /// The one it was made of.
    of: ID,
    /// The ids of the events it made.
    events: Vec<ID>,
}

#[derive(Debug, Default)]
pub(super) struct ReceiptMutation;

#[Object]
impl ReceiptMutation {
    /// Accept a request that was refused, as it is and unverified. Whoever does so vouches for it.
    async fn accept_receipt(&self, ctx: &Context<'_>, id: ID, org: Option<ID>) -> Answer<TakenAgain> {
        let own = session(ctx).org(org.as_ref()).await?;
        Ok(session(ctx).act(ctx, Path::org(&own.id).then("receipts").id(&id).then("accept")).await?)
    }

    /// Make the events of a request that was taken anew: new events, delivered as if it had come again.
    async fn replay_receipt(&self, ctx: &Context<'_>, id: ID, org: Option<ID>) -> Answer<TakenAgain> {
        let own = session(ctx).org(org.as_ref()).await?;
        Ok(session(ctx).act(ctx, Path::org(&own.id).then("receipts").id(&id).then("replay")).await?)
    }
}
