//! Endpoints: where events are delivered. Their secrets are shown once.

use std::collections::BTreeMap;

use async_graphql::{ComplexObject, Context, Enum, ID, Object, SimpleObject};
use http::Method;
use serde::{Deserialize, Serialize};

use super::delivery::{Delivery, HeaderLine};
use super::endpoint_input::{EndpointChangeInput, EndpointInput, RotationInput};
use super::error::Answer;
use super::finding::Severity;
use super::list::{Node, Page, Wanted, node_of_org};
use super::mute::Mute;
use super::operation::{Path, Session, session};
use super::org::{DeliveryFilter, deliveries};
use super::scalar::{DateTime, Json, NumberOrOff};
use crate::problem::Result;

/// Whether an endpoint gets deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum EndpointState {
    /// It does.
    Active,
    /// Somebody paused it: deliveries are held.
    Paused,
    /// It was disabled, see `disabledReason`: deliveries are held.
    Disabled,
}

/// Which HTTP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum HttpVersion {
    /// HTTP/2 where the endpoint offers it, else HTTP/1.1.
    Auto,
    /// HTTP/1.1 alone.
    #[graphql(name = "HTTP1")]
    Http1,
    /// HTTP/2 alone.
    #[graphql(name = "HTTP2")]
    Http2,
}

/// Which deliveries wait for one another: first in, first out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum Order {
    /// None.
    None,
    /// All of the endpoint.
    Endpoint,
    /// Those of the same project.
    Project,
}

/// REST says `false`, `true` or `"project"`.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Ordered {
    Whether(bool),
    Named(String),
}

impl<'de> Deserialize<'de> for Order {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Ok(match Ordered::deserialize(deserializer)? {
            Ordered::Whether(false) => Self::None,
            Ordered::Whether(true) => Self::Endpoint,
            Ordered::Named(_) => Self::Project,
        })
    }
}

impl Serialize for Order {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let ordered = match self {
            Self::None => Ordered::Whether(false),
            Self::Endpoint => Ordered::Whether(true),
            Self::Project => Ordered::Named("project".to_owned()),
        };
        ordered.serialize(serializer)
    }
}

/// How deliveries gather into digests.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
struct Batch {
    /// How long at most, such as `15m`.
    wait: String,
    /// So many do not wait any longer, and go out as one.
    max: u32,
    /// What is at least so bad does not wait.
    except: Option<Severity>,
}

/// Where an organisation wants events delivered.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
#[graphql(complex)]
pub(super) struct Endpoint {
    pub(super) id: ID,
    /// Credentials in it are masked.
    pub(super) url: String,
    pub(super) dialect: String,
    description: Option<String>,
    /// Which events; null: all that the dialect can say.
    pub(super) events: Option<Vec<String>>,
    pub(super) state: EndpointState,
    /// Since when it is paused or disabled.
    state_since: Option<DateTime>,
    /// Why it was disabled: `gone`, `failing`.
    disabled_reason: Option<String>,
    /// The signing secret: in full where it was just made or entered, masked ever after.
    pub(super) secret: Option<String>,
    /// The token, masked.
    bearer_token: Option<String>,
    /// Every valid secret, newest first.
    secrets: Vec<ValidSecret>,
    /// What the dialect is told beyond URL and secret.
    settings: Json,
    /// When attempts are made; null: the server's own schedule.
    retry: Option<RetrySchedule>,
    /// Longest wait for an answer; null: the server's own.
    timeout: Option<String>,
    /// Null: the server's own.
    max_in_flight: Option<i32>,
    /// Null: as many as the schedule has.
    max_attempts: Option<i32>,
    /// Null: no limit.
    rate_limit: Option<String>,
    ordered: Order,
    /// Events about vulnerabilities that are known to be milder are not sent. Null: all are.
    min_severity: Option<Severity>,
    /// Of more new findings in one scan than this the endpoint gets one digest instead. Null: 100, where the dialect can
    /// say a digest.
    storm_threshold: Option<NumberOrOff>,
    /// How deliveries gather and go out as one. Null: each goes out by itself.
    batch: Option<Batch>,
    /// Which events are wanted. Null: all.
    filter: Option<String>,
    /// When deliveries wait. Null: never.
    quiet: Option<Json>,
    /// What is muted now.
    mutes: Vec<Mute>,
    /// Its rules could not be asked about events, which were delivered. Null: all is well.
    #[serde(default)]
    rules_failing: Option<Json>,
    /// What the `Authorization` header says. Secrets are left out.
    auth: Option<EndpointAuth>,
    tls: Option<EndpointTls>,
    http_version: HttpVersion,
    /// The endpoint asked for a pause until then.
    not_before: Option<DateTime>,
    pub(super) created_at: DateTime,
    pub(super) updated_at: DateTime,
    #[graphql(skip)]
    headers: BTreeMap<String, String>,
    #[graphql(skip)]
    #[serde(skip)]
    org: String,
}

/// A valid secret.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
#[graphql(name = "EndpointSecret")]
pub(super) struct ValidSecret {
    masked: String,
    created_at: DateTime,
    /// Until when, once it was rotated out.
    expires_at: Option<DateTime>,
}

/// When attempts are made.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
struct RetrySchedule {
    /// Waits before each attempt; n entries mean n attempts.
    schedule: Vec<String>,
}

/// What the `Authorization` header says.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
struct EndpointAuth {
    /// `basic`, `bearer`, `oauth2`.
    r#type: String,
    username: Option<String>,
    /// Where tokens are fetched.
    token_url: Option<String>,
    client_id: Option<String>,
    scope: Option<String>,
    audience: Option<String>,
    /// How id and secret are sent: `basic`, `body`.
    auth_style: Option<String>,
}

/// Certificates, as PEM. The key is left out.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
struct EndpointTls {
    /// The certificate that Watchbell shows, then what stands between it and its CA.
    client_certificate_pem: Option<String>,
    /// CAs to trust beside the server's own.
    ca_pem: Option<String>,
}

node_of_org!(Endpoint);

#[ComplexObject]
impl Endpoint {
    /// Headers sent beside the dialect's own. Values are masked.
    async fn headers(&self) -> Vec<HeaderLine> {
        let line = |(name, value): (&String, &String)| HeaderLine { name: name.clone(), value: value.clone() };
        self.headers.iter().map(line).collect()
    }

    /// What goes there, newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn deliveries(&self, ctx: &Context<'_>, first: Option<i32>, after: Option<String>) -> Answer<Page<Delivery>> {
        let filter = DeliveryFilter { endpoint: Some(self.id.clone()), ..DeliveryFilter::default() };
        Ok(deliveries(ctx, &self.org, Wanted { first, after }, filter).await?)
    }
}

impl Session {
    /// Makes an endpoint.
    pub(super) async fn create_endpoint(
        &self,
        ctx: &Context<'_>,
        org: &str,
        input: &impl Serialize,
    ) -> Result<Endpoint> {
        let made: Endpoint = self.write(ctx, Method::POST, Path::org(org).then("endpoints"), input).await?;
        Ok(made.within(org))
    }

    /// Changes an endpoint.
    pub(super) async fn change_endpoint(
        &self,
        ctx: &Context<'_>,
        org: &str,
        id: &str,
        input: &impl Serialize,
    ) -> Result<Endpoint> {
        let path = Path::org(org).then("endpoints").id(id);
        let changed: Endpoint = self.write(ctx, Method::PATCH, path, input).await?;
        Ok(changed.within(org))
    }

    /// Does something to an endpoint, and answers it.
    async fn act_on_endpoint(&self, ctx: &Context<'_>, org: &str, id: &str, what: &'static str) -> Result<Endpoint> {
        let path = Path::org(org).then("endpoints").id(id).then(what);
        let endpoint: Endpoint = self.act(ctx, path).await?;
        Ok(endpoint.within(org))
    }

    /// Tries an endpoint.
    pub(super) async fn ping(&self, ctx: &Context<'_>, org: &str, id: &str) -> Result<Pinged> {
        self.act(ctx, Path::org(org).then("endpoints").id(id).then("ping")).await
    }

    /// Gives an endpoint another secret.
    pub(super) async fn rotate(
        &self,
        ctx: &Context<'_>,
        org: &str,
        id: &str,
        input: &RotationInput,
    ) -> Result<Endpoint> {
        let path = Path::org(org).then("endpoints").id(id).then("rotate-secret");
        let rotated: Endpoint = self.write(ctx, Method::POST, path, input).await?;
        Ok(rotated.within(org))
    }
}

/// A ping that is on its way.
#[derive(Debug, SimpleObject, Deserialize)]
pub(super) struct Pinged {
    endpoint_id: ID,
    /// The event that carries it.
    event_id: ID,
    /// `webhook.ping`, or the type that serves as a test.
    r#type: String,
}

#[derive(Debug, Default)]
pub(super) struct EndpointMutation;

#[Object]
impl EndpointMutation {
    /// Register an endpoint. Its secret is answered here and never again.
    async fn create_endpoint(&self, ctx: &Context<'_>, input: EndpointInput, org: Option<ID>) -> Answer<Endpoint> {
        let own = session(ctx).org(org.as_ref()).await?;
        Ok(session(ctx).create_endpoint(ctx, &own.id, &input).await?)
    }

    /// Change an endpoint. Members left out stay; null takes a value away.
    async fn update_endpoint(
        &self,
        ctx: &Context<'_>,
        id: ID,
        input: EndpointChangeInput,
        org: Option<ID>,
    ) -> Answer<Endpoint> {
        let own = session(ctx).org(org.as_ref()).await?;
        Ok(session(ctx).change_endpoint(ctx, &own.id, &id, &input).await?)
    }

    /// Delete an endpoint. What waits for it is cancelled. Answers its id.
    async fn delete_endpoint(&self, ctx: &Context<'_>, id: ID, org: Option<ID>) -> Answer<ID> {
        let own = session(ctx).org(org.as_ref()).await?;
        session(ctx).delete(ctx, Path::org(&own.id).then("endpoints").id(&id)).await?;
        Ok(id)
    }

    /// Send an endpoint its ping, or a test event where its dialect has no ping.
    async fn ping_endpoint(&self, ctx: &Context<'_>, id: ID, org: Option<ID>) -> Answer<Pinged> {
        let own = session(ctx).org(org.as_ref()).await?;
        Ok(session(ctx).ping(ctx, &own.id, &id).await?)
    }

    /// Give an endpoint a new secret. The old one stays valid for a while.
    async fn rotate_endpoint_secret(
        &self,
        ctx: &Context<'_>,
        id: ID,
        #[graphql(default)] input: RotationInput,
        org: Option<ID>,
    ) -> Answer<Endpoint> {
        let own = session(ctx).org(org.as_ref()).await?;
        Ok(session(ctx).rotate(ctx, &own.id, &id, &input).await?)
    }

    /// Hold an endpoint's deliveries.
    async fn pause_endpoint(&self, ctx: &Context<'_>, id: ID, org: Option<ID>) -> Answer<Endpoint> {
        let own = session(ctx).org(org.as_ref()).await?;
        Ok(session(ctx).act_on_endpoint(ctx, &own.id, &id, "pause").await?)
    }

    /// Let an endpoint's deliveries go out again, those that were held first.
    async fn resume_endpoint(&self, ctx: &Context<'_>, id: ID, org: Option<ID>) -> Answer<Endpoint> {
        let own = session(ctx).org(org.as_ref()).await?;
        Ok(session(ctx).act_on_endpoint(ctx, &own.id, &id, "resume").await?)
    }
}
