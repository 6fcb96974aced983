//! Replays that run as jobs.

use async_graphql::{ComplexObject, Context, Enum, ID, InputObject, Object, SimpleObject};
use http::Method;
use serde::{Deserialize, Serialize};

use super::delivery::DeliveryState;
use super::endpoint::Endpoint;
use super::error::Answer;
use super::event::Replayed;
use super::list::{Node, node_of_org};
use super::operation::{Path, session};
use super::scalar::DateTime;

/// How far a replay came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ReplayState {
    /// It makes deliveries.
    Running,
    /// It has made them all.
    Finished,
    /// It makes no more.
    Cancelled,
}

/// Deliveries made again, as a job that takes its time.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
#[graphql(complex)]
pub(super) struct Replay {
    pub(super) id: ID,
    state: ReplayState,
    filter: ReplayFilter,
    limit: Option<i64>,
    /// Deliveries made a second, at most.
    rate: i32,
    /// How many it repeats, where that was counted.
    matched: Option<i64>,
    /// How many deliveries it has made.
    made: i64,
    /// How many it has looked at.
    looked_at: i64,
    created_at: DateTime,
    ended_at: Option<DateTime>,
    #[graphql(skip)]
    #[serde(skip)]
    org: String,
}

/// What a replay repeats.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
struct ReplayFilter {
    #[graphql(name = "endpointId")]
    endpoint: Option<ID>,
    state: Option<DeliveryState>,
    reason: Option<String>,
    event_type: Option<String>,
    since: Option<DateTime>,
    until: DateTime,
}

node_of_org!(Replay);

#[ComplexObject]
impl Replay {
    /// The endpoint that it is about, where it is about one that is still there.
    async fn endpoint(&self, ctx: &Context<'_>) -> Answer<Option<Endpoint>> {
        let Some(id) = &self.filter.endpoint else { return Ok(None) };
        let found: Option<Endpoint> = session(ctx).find(Path::org(&self.org).then("endpoints").id(id)).await?;
        Ok(found.map(|endpoint| endpoint.within(&self.org)))
    }
}

/// Which deliveries to repeat.
#[derive(Debug, InputObject, Serialize)]
pub(super) struct ReplayInput {
    /// To this endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<ID>,
    /// That ended so.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<DeliveryState>,
    /// That ended for this reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Of events of this type.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_type: Option<String>,
    /// Made at or after.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<DateTime>,
    /// Made before; now when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<DateTime>,
    /// At most so many, oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    /// Deliveries made a second, from 1 to 1000; 100 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<u32>,
    /// Only say how many there are, and name the first.
    #[graphql(default)]
    dry_run: bool,
}

/// A replay that began, or what it would repeat.
#[derive(Debug, SimpleObject)]
pub(super) struct BegunReplay {
    /// The job; null for a dry run.
    replay: Option<Replay>,
    /// How many deliveries are repeated, where that was counted.
    matched: Option<i64>,
    /// Whether that is all; false where counting gave up. Null but for a dry run.
    complete: Option<bool>,
    /// The oldest of them. Null but for a dry run.
    sample: Option<Vec<ID>>,
}

/// Which deliveries of an endpoint to repeat: those that have ended, made in a window.
#[derive(Debug, InputObject, Serialize)]
pub(super) struct WindowInput {
    /// Made at or after.
    since: DateTime,
    /// Made before; now when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<DateTime>,
    /// Only those that ended so.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<DeliveryState>,
    /// At most so many, oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    /// Only say how many there are.
    #[graphql(default)]
    dry_run: bool,
}

#[derive(Debug, Default)]
pub(super) struct ReplayMutation;

#[Object]
impl ReplayMutation {
    /// Deliver again what fits a filter. Try it with `dryRun` first.
    async fn create_replay(&self, ctx: &Context<'_>, input: ReplayInput, org: Option<ID>) -> Answer<BegunReplay> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Answered {
            Job(Box<Replay>),
            DryRun { matched: i64, complete: bool, sample: Vec<ID> },
        }
        let own = session(ctx).org(org.as_ref()).await?;
        let path = Path::org(&own.id).then("replays");
        Ok(match session(ctx).write(ctx, Method::POST, path, &input).await? {
            Answered::Job(job) => {
                let job = job.within(&own.id);
                BegunReplay { matched: job.matched, replay: Some(job), complete: None, sample: None }
            }
            Answered::DryRun { matched, complete, sample } => {
                BegunReplay { replay: None, matched: Some(matched), complete: Some(complete), sample: Some(sample) }
            }
        })
    }

    /// Let a replay make no more deliveries. Those that it made stay.
    async fn cancel_replay(&self, ctx: &Context<'_>, id: ID, org: Option<ID>) -> Answer<Replay> {
        let own = session(ctx).org(org.as_ref()).await?;
        let path = Path::org(&own.id).then("replays").id(&id).then("cancel");
        let cancelled: Replay = session(ctx).act(ctx, path).await?;
        Ok(cancelled.within(&own.id))
    }

    /// Deliver again what an endpoint got, or did not get, in a window. Try it with `dryRun` first.
    async fn replay_endpoint(
        &self,
        ctx: &Context<'_>,
        id: ID,
        input: WindowInput,
        org: Option<ID>,
    ) -> Answer<Replayed> {
        let own = session(ctx).org(org.as_ref()).await?;
        let path = Path::org(&own.id).then("endpoints").id(&id).then("replay");
        Ok(session(ctx).write(ctx, Method::POST, path, &input).await?)
    }
}
