//! Is a webhook genuine, and if not, why not? The questions of [`watchbell_wire::diagnosis`], asked over HTTP.
//!
//! Nothing is stored and nothing said that holds a secret. The work is bounded per question, a few are worked on at a time,
//! and each key may ask so often. Whether a message was signed with another secret of the organisation is told to keys
//! alone that may see what it is the secret of.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::{FromRef, Request, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::id::{KeyId, OrgId};
use watchbell_domain::port::Clock;
use watchbell_wire::Headers;
use watchbell_wire::diagnosis::{Diagnosis, Question, diagnose};

use super::duration::Text;
use super::verify_known::{Known, KnownBy, With};
use crate::auth::{Caller, Tenant, right};
use crate::body::BodyReader;
use crate::edge::Edge;
use crate::limits::{Rate, RateLimit};
use crate::problem::{Body, Problem, Result};

/// Longest question, in bytes of JSON: a body in base64, and the rest.
const QUESTION_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// Longest body of a message.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Most header lines, and bytes of them.
const HEADERS_MAX: usize = 100;
const HEADER_BYTES_MAX: usize = 32 * 1024;
/// What may be hashed for one answer: a second's work.
const WORK_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Questions that are worked on at a time: no more than a core's worth beside what else a node does.
const AT_A_TIME: usize = 2;
/// Of one key: so many a second, so many at once.
const PER_SECOND: NonZeroU32 = const { NonZeroU32::new(2).unwrap() };
const BURST: NonZeroU32 = const { NonZeroU32::new(30).unwrap() };

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default().routes(routes!(verify_message)).routes(routes!(verify_org_message))
}

/// A request that arrived somewhere, and what to check it with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MessageQuestion {
    /// The format it should have; left out: the one it looks like, or that of the source or endpoint.
    dialect: Option<String>,
    /// Its header lines as they arrived: `[["Name", "value"], …]`, or `{"Name": "value", …}`.
    #[serde(default)]
    #[schema(value_type = Object)]
    headers: GivenHeaders,
    /// Its body, where it is text. The exact text: white space counts.
    body: Option<String>,
    /// Or its body's bytes.
    body_base64: Option<String>,
    /// The secret, as it is configured.
    secret: Option<String>,
    /// Or that of this source (only within an organisation).
    source: Option<String>,
    /// Or that of this endpoint: for what was sent by Watchbell itself (only within an organisation).
    endpoint: Option<String>,
    /// What a source of that dialect is told beside the secret: for `custom`, how it is signed. Without it those of the
    /// source that is named.
    #[schema(value_type = Option<Object>)]
    settings: Option<Map<String, Value>>,
    /// The receiver's clock (RFC 3339); the server's when left out.
    #[schema(value_type = Option<String>, format = DateTime)]
    now: Option<String>,
    /// Oldest message to take, by the time it states. Left out: 5m in the dialects that sign their time of sending, else any.
    #[schema(value_type = Option<String>)]
    max_age: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "header lines are [[\"Name\", \"value\"], …], or {\"Name\": \"value\"} where none is there twice"
)]
enum GivenHeaders {
    Lines(Vec<(String, String)>),
    Members(BTreeMap<String, String>),
}

impl Default for GivenHeaders {
    fn default() -> Self {
        Self::Lines(Vec::new())
    }
}

/// Whether a webhook is genuine, and if not, why not.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Diagnosis)]
pub struct Diagnosed {
    /// Whether it comes from a holder of the secret, and in time.
    verified: bool,
    /// The format that it was judged by; null: it looks like none that is known.
    dialect: Option<&'static str>,
    /// `signature_mismatch`, `timestamp_stale` …; null when it is verified or cannot be judged.
    reason: Option<&'static str>,
    /// The verdict in a sentence.
    explanation: String,
    /// What is wrong or odd, each tried, the most likely first.
    findings: Vec<FindingView>,
    /// What a verified message says.
    decoded: Option<DecodedView>,
}

/// Something that is wrong with a webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DiagnosisFinding)]
struct FindingView {
    /// What kind of thing: `secret_decoding`, `body_reserialised` …
    fault: &'static str,
    /// In words.
    detail: String,
}

/// What a verified message says.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DecodedMessage)]
struct DecodedView {
    /// The vendor's own name of the event.
    vendor_event: String,
    vendor_version: Option<String>,
    /// The vendor's id of the delivery.
    delivery_id: Option<String>,
    /// Time of sending, where it is signed.
    sent_at: Option<Timestamp>,
    /// The message as events of ours; empty for a name that is not known.
    events: Vec<DecodedEventView>,
}

/// An event that a message tells of.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DecodedEvent)]
struct DecodedEventView {
    #[serde(rename = "type")]
    event_type: String,
    occurred_at: Timestamp,
    #[schema(value_type = Object)]
    data: Box<RawValue>,
}

impl From<Diagnosis> for Diagnosed {
    fn from(told: Diagnosis) -> Self {
        let findings = told.findings.into_iter();
        let decoded = told.decoded.map(|decoded| {
            let events = decoded.events.into_iter().map(|event| DecodedEventView {
                event_type: event.event_type.to_string(),
                occurred_at: event.occurred_at,
                data: RawValue::from_string(event.data.text().to_owned()).unwrap_or_default(),
            });
            DecodedView {
                events: events.collect(),
                vendor_event: decoded.vendor_event,
                vendor_version: decoded.vendor_version,
                delivery_id: decoded.delivery_id,
                sent_at: decoded.sent_at,
            }
        });
        Self {
            verified: told.is_verified,
            dialect: told.dialect.map(|dialect| dialect.id),
            reason: told.reason.map(watchbell_wire::Reason::as_str),
            explanation: told.explanation,
            findings: findings
                .map(|finding| FindingView { fault: finding.fault.as_str(), detail: finding.detail })
                .collect(),
            decoded,
        }
    }
}

/// A message as it arrived.
pub(super) struct Message {
    pub(super) headers: Headers,
    pub(super) body: Vec<u8>,
    pub(super) now: Timestamp,
    pub(super) max_age: Option<SignedDuration>,
}

/// Answers questions, a few at a time.
#[derive(Clone)]
pub(crate) struct Explaining {
    turns: Arc<Semaphore>,
    rate: Rate<KeyId>,
}

impl Explaining {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let limit = RateLimit { per_second: PER_SECOND, burst: BURST };
        Self { turns: Arc::new(Semaphore::new(AT_A_TIME)), rate: Rate::new(limit, clock) }
    }

    /// Says what is to be said of a message.
    pub(super) async fn explain(&self, caller: &Caller, with: With, message: Message) -> Result<Diagnosed> {
        self.rate.check(caller.key.id)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| Problem::Overloaded)?;
        let working = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            diagnose(&Question {
                dialect: with.dialect,
                settings: &with.settings,
                headers: &message.headers,
                body: &message.body,
                secrets: &with.secrets,
                others: &with.others,
                now: message.now,
                max_age: message.max_age,
                work_bytes_max: WORK_BYTES_MAX,
            })
        });
        Ok(working.await.map_err(|_| Problem::Internal)?.into())
    }
}

impl MessageQuestion {
    fn split(self, now: Timestamp) -> Result<(KnownBy, Message)> {
        let lines: Vec<(String, String)> = match self.headers {
            GivenHeaders::Lines(lines) => lines,
            GivenHeaders::Members(members) => members.into_iter().collect(),
        };
        let bytes: usize = lines.iter().map(|(name, value)| name.len() + value.len()).sum();
        if lines.len() > HEADERS_MAX || bytes > HEADER_BYTES_MAX {
            return Err(Problem::payload("/headers", "a request has at most 100 header lines and 32 KiB of them"));
        }
        let body = match (self.body, self.body_base64) {
            (Some(_), Some(_)) => return Err(Problem::payload("/body_base64", "give the body once")),
            (Some(text), None) => text.into_bytes(),
            (None, Some(text)) => BASE64
                .decode(text)
                .map_err(|_| Problem::payload("/body_base64", "wanted is standard base64 with padding"))?,
            (None, None) => Vec::new(),
        };
        if body.len() > BODY_BYTES_MAX {
            return Err(Problem::payload("/body", "a body has at most 1 MiB; `watchbell verify` takes longer ones"));
        }
        let stated = self.now.map(|text| text.parse::<Timestamp>()).transpose();
        let stated = stated.map_err(|_| Problem::payload("/now", "wanted is a time such as 2026-01-02T03:04:05Z"))?;
        let message = Message {
            headers: lines.into_iter().collect(),
            body,
            now: stated.unwrap_or(now),
            max_age: self.max_age.map(|age| age.0),
        };
        let by = KnownBy {
            dialect: self.dialect,
            settings: self.settings,
            secret: self.secret,
            source: self.source,
            endpoint: self.endpoint,
        };
        Ok((by, message))
    }
}

/// What answering takes.
#[derive(Clone)]
pub(super) struct Answering {
    pub(super) known: Known,
    pub(super) explaining: Explaining,
    pub(super) bodies: BodyReader,
}

impl FromRef<Edge> for Answering {
    fn from_ref(edge: &Edge) -> Self {
        Self {
            known: Known::from_ref(edge),
            explaining: Explaining::from_ref(edge),
            bodies: BodyReader::from_ref(edge),
        }
    }
}

impl Answering {
    async fn answer(&self, org: Option<OrgId>, caller: &Caller, request: Request) -> Result<axum::Json<Diagnosed>> {
        let write = self.bodies.json(request, QUESTION_BYTES_MAX).await?;
        let (by, message) = write.parse::<MessageQuestion>()?.split(self.known.clock.now())?;
        let with = self.known.question(org, caller, by).await?;
        Ok(axum::Json(self.explaining.explain(caller, with, message).await?))
    }
}

/// Say whether a webhook is genuine, and if not, why not. Any key may ask; nothing is stored.
#[utoipa::path(post, path = "/api/v1/verify", tag = "verify", request_body = MessageQuestion,
    responses((status = 200, body = Diagnosed), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn verify_message(
    caller: Caller,
    State(answering): State<Answering>,
    request: Request,
) -> Result<axum::Json<Diagnosed>> {
    answering.answer(None, &caller, request).await
}

/// The same with the organisation's own secrets: those of a source or an endpoint by its id, and whether another of them fits.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/verify", tag = "verify", request_body = MessageQuestion,
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 200, body = Diagnosed), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn verify_org_message(
    tenant: Tenant<right::SourcesRead>,
    State(answering): State<Answering>,
    request: Request,
) -> Result<axum::Json<Diagnosed>> {
    answering.answer(Some(tenant.org), &tenant.caller, request).await
}
