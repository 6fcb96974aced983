//! Events: posted, followed, repeated, erased.

use async_graphql::{ComplexObject, Context, ID, InputObject, Object, SimpleObject};
use http::Method;
use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::delivery::Delivery;
use super::error::Answer;
use super::list::{Node, Page, Wanted, node_of_org};
use super::operation::{Path, Session, session};
use super::org::{DeliveryFilter, deliveries};
use super::project::Project;
use super::scalar::{DateTime, Json};
use super::why::Why;
use crate::problem::{Problem, Result};

/// An immutable fact of an organisation.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
#[graphql(complex)]
pub(super) struct Event {
    pub(super) id: ID,
    /// What happened.
    #[serde(rename = "type")]
    pub(super) r#type: String,
    /// When it happened.
    occurred_at: DateTime,
    /// When it was accepted.
    accepted_at: DateTime,
    /// When its data was erased, where it was.
    erased_at: Option<DateTime>,
    pub(super) project_id: Option<ID>,
    /// The source that it came in by, where it came in by one.
    source_id: Option<ID>,
    /// The endpoints that did not get it, each with the reason.
    skipped: Vec<Skip>,
    #[graphql(skip)]
    data: Box<RawValue>,
    #[graphql(skip)]
    #[serde(skip)]
    org: String,
}

/// An endpoint that did not get an event.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
struct Skip {
    endpoint_id: ID,
    /// `not_subscribed`, `dialect_has_no_such_event`, …
    reason: String,
}

node_of_org!(Event);

#[ComplexObject]
impl Event {
    /// What is said about it.
    async fn data(&self) -> Json {
        Json::of(&self.data)
    }

    /// The same as text, byte for byte as it was posted: numbers may have more digits than JSON clients keep.
    async fn data_text(&self) -> &str {
        self.data.get()
    }

    /// Its way to each endpoint, newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn deliveries(&self, ctx: &Context<'_>, first: Option<i32>, after: Option<String>) -> Answer<Page<Delivery>> {
        let filter = DeliveryFilter { event: Some(self.id.clone()), ..DeliveryFilter::default() };
        Ok(deliveries(ctx, &self.org, Wanted { first, after }, filter).await?)
    }

    /// Why endpoints got it, or did not. Takes the scope `endpoints:read` as well.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn why(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        #[graphql(desc = "About this endpoint only, which may be gone.")] endpoint: Option<ID>,
    ) -> Answer<Page<Why>> {
        let path = Path::org(&self.org).then("events").id(&self.id).then("why");
        let path = path.with("endpoint", endpoint.map(|id| id.0));
        let scope = format!("events/{}/why", self.id.as_str());
        Ok(session(ctx).list(&self.org, path, &scope, Wanted { first, after }).await?)
    }

    /// The project it is about.
    async fn project(&self, ctx: &Context<'_>) -> Answer<Option<Project>> {
        let Some(id) = &self.project_id else { return Ok(None) };
        let found: Option<Project> = session(ctx).find(Path::org(&self.org).then("projects").id(id)).await?;
        Ok(found.map(|project| project.within(&self.org)))
    }
}

impl Session {
    /// An event, where there is one.
    pub(super) async fn event(&self, org: &str, id: &str) -> Result<Option<Event>> {
        self.find(Path::org(org).then("events").id(id)).await
    }
}

/// An event to be posted: `data` or `dataText`.
#[derive(Debug, InputObject, Serialize)]
pub(super) struct EventInput {
    /// What happened: a type of the catalogue or one of your own.
    r#type: String,
    /// When; now when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    occurred_at: Option<DateTime>,
    /// The project it is about, by id or name.
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    /// What is said about it: an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Json>,
    /// The same as JSON text, which is kept and delivered byte for byte.
    #[serde(rename = "data", skip_serializing_if = "Option::is_none", serialize_with = "as_it_is")]
    data_text: Option<String>,
}

/// Writes a text that is JSON as that JSON.
fn as_it_is<S: Serializer>(text: &Option<String>, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    let raw = text.as_deref().map(serde_json::from_str::<&RawValue>).transpose();
    raw.map_err(S::Error::custom)?.serialize(serializer)
}

impl EventInput {
    /// Checks what serialising cannot say.
    fn check(&self, place: &str) -> Result<()> {
        let Some(text) = &self.data_text else {
            return match self.data {
                Some(_) => Ok(()),
                None => Err(Problem::payload(format!("{place}/data"), "data or dataText is wanted")),
            };
        };
        if self.data.is_some() {
            return Err(Problem::payload(format!("{place}/data_text"), "data and dataText are one too many"));
        }
        match serde_json::from_str::<&RawValue>(text) {
            Ok(_) => Ok(()),
            Err(_) => Err(Problem::payload(format!("{place}/data_text"), "dataText is not JSON")),
        }
    }
}

/// An event that was accepted: it is on disk, with a delivery for every endpoint that wants it.
#[derive(Debug, SimpleObject, Deserialize)]
#[graphql(complex)]
pub(super) struct AcceptedEvent {
    id: ID,
    r#type: String,
    occurred_at: DateTime,
    accepted_at: DateTime,
    /// The `vulnerability.critical` told beside a critical `vulnerability.created`.
    critical_id: Option<ID>,
    #[graphql(skip)]
    #[serde(skip)]
    org: String,
}

#[ComplexObject]
impl AcceptedEvent {
    /// The event itself.
    async fn event(&self, ctx: &Context<'_>) -> Answer<Option<Event>> {
        let found = session(ctx).event(&self.org, &self.id).await?;
        Ok(found.map(|event| event.within(&self.org)))
    }
}

/// What became of each event of a batch, in order.
#[derive(Debug, SimpleObject, Deserialize)]
pub(super) struct BatchOutcome {
    /// How many were taken.
    accepted: i32,
    /// How many were refused.
    refused: i32,
    items: Vec<ItemOutcome>,
}

/// What became of one event of a batch: `id` when it was taken, `code` and `error` when it was refused.
#[derive(Debug, SimpleObject, Deserialize)]
struct ItemOutcome {
    index: i32,
    status: i32,
    id: Option<ID>,
    critical_id: Option<ID>,
    code: Option<String>,
    error: Option<String>,
    #[serde(default)]
    errors: Vec<Fault>,
}

/// Something wrong at one place.
#[derive(Debug, SimpleObject, Deserialize)]
struct Fault {
    /// Where, as a JSON pointer.
    pointer: String,
    /// What is wrong and what is wanted.
    detail: String,
}

/// What a replay repeats.
#[derive(Debug, SimpleObject, Deserialize)]
pub(super) struct Replayed {
    /// Nothing was done.
    dry_run: bool,
    /// How many deliveries are repeated.
    matched: i64,
    /// The new deliveries. Null when an `Idempotency-Key` was given, or a job makes them.
    deliveries: Option<Vec<ID>>,
    /// The replay that makes them, where they are too many to be made at once.
    replay: Option<ID>,
}

/// What erasing an event did.
#[derive(Debug, SimpleObject, Deserialize)]
pub(super) struct Erased {
    event_id: ID,
    /// When it was erased; long ago, where it was erased before.
    erased_at: DateTime,
    /// Deliveries that had not ended and were cancelled now.
    cancelled: i64,
}

#[derive(Debug, Default)]
pub(super) struct EventMutation;

#[Object]
impl EventMutation {
    /// Post an event. Answered once it is on disk.
    async fn post_event(&self, ctx: &Context<'_>, input: EventInput, org: Option<ID>) -> Answer<AcceptedEvent> {
        let own = session(ctx).org(org.as_ref()).await?;
        input.check("")?;
        let path = Path::org(&own.id).then("events");
        let accepted: AcceptedEvent = session(ctx).write(ctx, Method::POST, path, &input).await?;
        Ok(AcceptedEvent { org: own.id.to_string(), ..accepted })
    }

    /// Post many events. Those that fit are accepted in one commit; each item says what became of it.
    async fn post_events(&self, ctx: &Context<'_>, events: Vec<EventInput>, org: Option<ID>) -> Answer<BatchOutcome> {
        #[derive(Serialize)]
        struct Batch {
            events: Vec<EventInput>,
        }
        let own = session(ctx).org(org.as_ref()).await?;
        for (index, event) in events.iter().enumerate() {
            event.check(&format!("/events/{index}"))?;
        }
        let path = Path::org(&own.id).then("events").then("batch");
        Ok(session(ctx).write(ctx, Method::POST, path, &Batch { events }).await?)
    }

    /// Deliver an event again to every endpoint that it went to.
    async fn replay_event(&self, ctx: &Context<'_>, id: ID, org: Option<ID>) -> Answer<Replayed> {
        let own = session(ctx).org(org.as_ref()).await?;
        Ok(session(ctx).act(ctx, Path::org(&own.id).then("events").id(&id).then("replay")).await?)
    }

    /// Erase what one event says. Its id, type, times and outcomes stay; what of it has not ended is cancelled.
    async fn erase_event(&self, ctx: &Context<'_>, id: ID, org: Option<ID>) -> Answer<Erased> {
        let own = session(ctx).org(org.as_ref()).await?;
        Ok(session(ctx).act(ctx, Path::org(&own.id).then("events").id(&id).then("erase")).await?)
    }
}
