//! Deliveries and their attempts.

use async_graphql::{ComplexObject, Context, Enum, ID, Object, SimpleObject};
use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::error::Answer;
use super::event::Event;
use super::list::{Node, node_of_org};
use super::operation::{Path, session};
use super::scalar::DateTime;

/// Where a delivery stands. The last three are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DeliveryState {
    /// Waits for its time.
    Pending,
    /// Is being sent.
    Sending,
    /// Waits for its endpoint, which is paused or disabled.
    Held,
    /// Was answered with a 2xx.
    Delivered,
    /// Was given up.
    DeadLettered,
    /// Is not wanted any more.
    Cancelled,
}

impl DeliveryState {
    /// Its name in REST.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Held => "held",
            Self::Delivered => "delivered",
            Self::DeadLettered => "dead_lettered",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One event on its way to one endpoint.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
#[graphql(complex)]
pub(super) struct Delivery {
    /// The same in every attempt.
    pub(super) id: ID,
    pub(super) event_id: ID,
    pub(super) endpoint_id: ID,
    pub(super) state: DeliveryState,
    /// Why it was given up or cancelled.
    reason: Option<String>,
    /// When the next attempt is due, if it waits for one.
    next_attempt_at: Option<DateTime>,
    /// When it reached its last state.
    pub(super) finished_at: Option<DateTime>,
    created_at: DateTime,
    /// The delivery that this one repeats.
    replay_of: Option<ID>,
    /// Oldest first.
    pub(super) attempts: Vec<Attempt>,
    #[graphql(skip)]
    #[serde(skip)]
    org: String,
}

node_of_org!(Delivery);

#[ComplexObject]
impl Delivery {
    /// What it carries.
    async fn event(&self, ctx: &Context<'_>) -> Answer<Option<Event>> {
        let found: Option<Event> = session(ctx).event(&self.org, &self.event_id).await?;
        Ok(found.map(|event| event.within(&self.org)))
    }

    /// Where it goes; null once the endpoint is deleted.
    async fn endpoint(&self, ctx: &Context<'_>) -> Answer<Option<Endpoint>> {
        let path = Path::org(&self.org).then("endpoints").id(&self.endpoint_id);
        let found: Option<Endpoint> = session(ctx).find(path).await?;
        Ok(found.map(|endpoint| endpoint.within(&self.org)))
    }
}

/// One try.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
pub(super) struct Attempt {
    pub(super) number: i32,
    started_at: DateTime,
    duration_ms: i64,
    /// `http_200`, `connect_timeout`, …
    pub(super) result: String,
    pub(super) http_status: Option<i32>,
    /// In order; our own secrets are masked.
    response_headers: Vec<HeaderLine>,
    /// The first bytes, as text.
    response_body: Option<String>,
    /// There was more body than was kept.
    response_truncated: bool,
    /// More about the result.
    pub(super) detail: Option<String>,
}

/// One header line.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
pub(super) struct HeaderLine {
    pub(super) name: String,
    pub(super) value: String,
}

/// How many deliveries are in each state.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
pub(super) struct DeliveryCounts {
    /// Not finished: pending, sending and held together.
    undelivered: i64,
    #[graphql(flatten)]
    states: StateCounts,
}

/// How many deliveries are in which state.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
struct StateCounts {
    pending: i64,
    sending: i64,
    held: i64,
    delivered: i64,
    dead_lettered: i64,
    cancelled: i64,
}

/// What trying a delivery again did: a waiting one becomes due, one that has ended is repeated as a new one.
#[derive(Debug, SimpleObject)]
pub(super) struct Retried {
    /// The delivery that will be tried: the one asked for, or the one that repeats it. Null where a repetition was
    /// answered under an `Idempotency-Key`.
    delivery: Option<Delivery>,
    /// Whether it is a new one.
    is_new: bool,
}

#[derive(Debug, Default)]
pub(super) struct DeliveryMutation;

#[Object]
impl DeliveryMutation {
    /// Try a delivery again now.
    async fn retry_delivery(&self, ctx: &Context<'_>, id: ID, org: Option<ID>) -> Answer<Retried> {
        /// The delivery itself, or what a replay answers.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Answered {
            Same(Box<Delivery>),
            Repeated { deliveries: Option<Vec<String>> },
        }
        let own = session(ctx).org(org.as_ref()).await?;
        let path = Path::org(&own.id).then("deliveries");
        match session(ctx).act(ctx, path.clone().id(&id).then("retry")).await? {
            Answered::Same(delivery) => Ok(Retried { delivery: Some(delivery.within(&own.id)), is_new: false }),
            Answered::Repeated { deliveries } => {
                let made = deliveries.and_then(|made| made.into_iter().next());
                let delivery = match made {
                    Some(id) => session(ctx).find::<Delivery>(path.id(&id)).await?,
                    None => None,
                };
                Ok(Retried { delivery: delivery.map(|delivery| delivery.within(&own.id)), is_new: true })
            }
        }
    }

    /// Cancel a delivery that waits.
    async fn cancel_delivery(&self, ctx: &Context<'_>, id: ID, org: Option<ID>) -> Answer<Delivery> {
        let own = session(ctx).org(org.as_ref()).await?;
        let path = Path::org(&own.id).then("deliveries").id(&id).then("cancel");
        let cancelled: Delivery = session(ctx).act(ctx, path).await?;
        Ok(cancelled.within(&own.id))
    }
}
