//! Is a webhook genuine, and if not, why not?

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use serde::{Deserialize, Serialize};

use super::error::Answer;
use super::operation::{Path, session};
use super::scalar::{DateTime, Json};

/// Whether a webhook is genuine, and if not, why not.
#[derive(Debug, SimpleObject, Deserialize)]
pub(super) struct Diagnosis {
    /// Whether it comes from a holder of the secret, and in time.
    verified: bool,
    /// The format that it was judged by; null: it looks like none that is known.
    dialect: Option<String>,
    /// `signature_mismatch`, `timestamp_stale` …; null when it is verified or cannot be judged.
    reason: Option<String>,
    /// The verdict in a sentence.
    explanation: String,
    /// What is wrong or odd, each tried, the most likely first.
    findings: Vec<DiagnosisFinding>,
    /// What a verified message says.
    decoded: Option<DecodedMessage>,
}

/// Something that is wrong with a webhook.
#[derive(Debug, SimpleObject, Deserialize)]
struct DiagnosisFinding {
    /// What kind of thing: `secret_decoding`, `body_reserialised` …
    fault: String,
    /// In words.
    detail: String,
}

/// What a verified message says.
#[derive(Debug, SimpleObject, Deserialize)]
struct DecodedMessage {
    /// The vendor's own name of the event.
    vendor_event: String,
    vendor_version: Option<String>,
    /// The vendor's id of the delivery.
    delivery_id: Option<String>,
    /// Time of sending, where it is signed.
    sent_at: Option<DateTime>,
    /// The message as events of ours; empty for a name that is not known.
    events: Vec<DecodedEvent>,
}

/// An event that a message tells of.
#[derive(Debug, SimpleObject, Deserialize)]
struct DecodedEvent {
    r#type: String,
    occurred_at: DateTime,
    data: Json,
}

/// A header line as it arrived.
#[derive(Debug, InputObject)]
struct HeaderLineInput {
    name: String,
    value: String,
}

impl Serialize for HeaderLineInput {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.name, &self.value).serialize(serializer)
    }
}

/// What to check a captured request with.
#[derive(Debug, InputObject, Serialize)]
pub(super) struct VerifyWithInput {
    /// The format it should have; left out: the one it looks like, or that of the source or endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    dialect: Option<String>,
    /// The secret, as it is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// Or that of this source.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// Or that of this endpoint: for what was sent by Watchbell itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    /// What a source of that dialect is told beside the secret: for `custom`, how it is signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<Json>,
    /// The receiver's clock; the time when the request came, when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<DateTime>,
    /// Oldest message to take, by the time it states.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_age: Option<String>,
}

/// A request that arrived somewhere, and what to check it with.
#[derive(Debug, InputObject, Serialize)]
pub(super) struct VerifyInput {
    /// The format it should have; left out: the one it looks like, or that of the source or endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    dialect: Option<String>,
    /// Its header lines as they arrived.
    #[graphql(default)]
    headers: Vec<HeaderLineInput>,
    /// Its body, where it is text. The exact text: white space counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// Or its body's bytes.
    #[graphql(name = "bodyBase64")]
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    /// The secret, as it is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// Or that of this source (only within an organisation).
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// Or that of this endpoint: for what was sent by Watchbell itself (only within an organisation).
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    /// What a source of that dialect is told beside the secret: for `custom`, how it is signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<Json>,
    /// The receiver's clock; the server's when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<DateTime>,
    /// Oldest message to take, by the time it states.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_age: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct VerifyQuery;

#[Object]
impl VerifyQuery {
    /// Say whether a webhook is genuine, and if not, why not. Any key may ask; nothing is stored.
    #[graphql(complexity = "20 + child_complexity")]
    async fn verify_message(&self, ctx: &Context<'_>, input: VerifyInput) -> Answer<Diagnosis> {
        Ok(session(ctx).ask(Path::verify(), &input).await?)
    }

    /// The same with the organisation's own secrets: those of a source or an endpoint by its id, and whether another of them
    /// fits.
    #[graphql(complexity = "20 + child_complexity")]
    async fn verify_org_message(&self, ctx: &Context<'_>, input: VerifyInput, org: Option<ID>) -> Answer<Diagnosis> {
        let own = session(ctx).org(org.as_ref()).await?;
        Ok(session(ctx).ask(Path::org(&own.id).then("verify"), &input).await?)
    }
}
