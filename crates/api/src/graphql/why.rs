//! "Why did I get this?", "why did I not?", and filters tried without being saved.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use serde::{Deserialize, Serialize};

use super::error::Answer;
use super::list::Node;
use super::operation::{Path, session};
use super::scalar::Json;

/// Why an endpoint got an event, or did not.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
pub(super) struct Why {
    endpoint_id: ID,
    /// Whether it got the event: whether there was a delivery.
    got: bool,
    /// The reason recorded when the event was accepted, where it did not.
    reason: Option<String>,
    /// What was recorded, in words.
    because: String,
    /// Its deliveries to the endpoint.
    deliveries: Vec<WhyDelivery>,
    /// What the rules say now.
    now: WhyNow,
}

impl Node for Why {
    fn key(&self) -> &str {
        &self.endpoint_id
    }
}

/// A delivery and where it stands.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
struct WhyDelivery {
    id: ID,
    state: String,
}

/// What the rules say now: not what was recorded, but what would be decided of the same event today.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
struct WhyNow {
    /// Whether the endpoint would get it. Null: the endpoint is gone.
    would_get: Option<bool>,
    /// Whether the endpoint was changed after the event was accepted.
    changed_since: bool,
    /// Each rule, in the order in which they are asked.
    rules: Vec<WhyRule>,
}

/// What one rule says.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
struct WhyRule {
    /// `dialect`, `subscription`, `min_severity`, `filter`, `mute`, `quiet`, `state`.
    rule: String,
    /// Which mute.
    mute_id: Option<ID>,
    /// Whether it lets the event pass. Null: it cannot say, and does not stand in the way.
    passes: Option<bool>,
    /// In words.
    because: String,
    /// The values that the names in its expression had.
    names: Option<Json>,
    /// What stands between `&&` and `||` in its expression.
    parts: Option<Vec<ExpressionPart>>,
}

/// One condition of an expression.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
struct ExpressionPart {
    text: String,
    /// Null: it has no answer.
    answer: Option<bool>,
    /// Why it has none.
    error: Option<String>,
    /// Whether the whole answers as it does because of this.
    decides: bool,
}

/// A filter to be tried: on one event, on what would be one, or on the samples of every type that the endpoint can get.
#[derive(Debug, Default, InputObject, Serialize)]
pub(super) struct FilterTrialInput {
    /// The filter; the endpoint's own when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<String>,
    /// An event that was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
    /// What would be an event.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<TrialEventInput>,
}

/// What would be an event.
#[derive(Debug, InputObject, Serialize)]
struct TrialEventInput {
    r#type: String,
    /// The project that it is about (id).
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    data: Json,
}

/// What came of trying a filter. Nothing is saved and nothing is sent.
#[derive(Debug, SimpleObject, Deserialize)]
pub(super) struct Tried {
    filter: String,
    items: Vec<TriedOn>,
}

/// What a filter says of one event.
#[derive(Debug, SimpleObject, Deserialize)]
struct TriedOn {
    r#type: String,
    /// Null: it has no answer, and the event would pass.
    answer: Option<bool>,
    /// Why it has none.
    error: Option<String>,
    /// The values that the names in it had.
    names: Json,
    /// What stands between `&&` and `||`.
    parts: Vec<ExpressionPart>,
}

#[derive(Debug, Default)]
pub(super) struct WhyQuery;

#[Object]
impl WhyQuery {
    /// Try a filter of an endpoint on an event without saving it.
    #[graphql(complexity = "20 + child_complexity")]
    async fn try_filter(
        &self,
        ctx: &Context<'_>,
        endpoint: ID,
        #[graphql(default)] input: FilterTrialInput,
        org: Option<ID>,
    ) -> Answer<Tried> {
        let own = session(ctx).org(org.as_ref()).await?;
        let path = Path::org(&own.id).then("endpoints").id(&endpoint).then("filter").then("try");
        Ok(session(ctx).ask(path, &input).await?)
    }
}
