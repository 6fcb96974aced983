//! What is said of an endpoint that is made or changed, as REST's bodies want it.

use async_graphql::{InputObject, MaybeUndefined, OneofObject};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::endpoint::{HttpVersion, Order};
use super::finding::Severity;
use super::scalar::{Json, NumberOrOff, is_left_out};

/// A header sent beside the dialect's own. Its value is a secret.
#[derive(InputObject)]
pub(super) struct HeaderInput {
    name: String,
    value: String,
}

/// When attempts are made.
#[derive(InputObject, Serialize)]
pub(super) struct RetryInput {
    /// Waits before each attempt, such as `["0s", "5s", "5m"]`; n entries mean n attempts.
    schedule: Vec<String>,
}

/// How deliveries gather into digests.
#[derive(InputObject, Serialize)]
pub(super) struct BatchInput {
    /// How long at most, 10s to 24h, such as `15m`: digests go out at whole multiples of it, counted from midnight UTC.
    wait: String,
    /// So many do not wait any longer, and go out as one: 2 to 500; 100 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<u32>,
    /// What is at least so bad does not wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    except: Option<Severity>,
}

/// What the `Authorization` header says.
#[derive(OneofObject, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum EndpointAuthInput {
    /// A user name and a password.
    Basic(BasicAuthInput),
    /// A token that does not change.
    Bearer(BearerAuthInput),
    /// A token that Watchbell fetches and renews: OAuth 2.0 client credentials.
    #[graphql(name = "oauth2")]
    OAuth2(OAuth2Input),
}

/// A user name and a password.
#[derive(InputObject, Serialize)]
pub(super) struct BasicAuthInput {
    /// Without a colon.
    username: String,
    password: String,
}

/// A token that does not change.
#[derive(InputObject, Serialize)]
pub(super) struct BearerAuthInput {
    token: String,
}

/// OAuth 2.0 client credentials.
#[derive(InputObject, Serialize)]
#[graphql(name = "OAuth2Input")]
pub(super) struct OAuth2Input {
    /// Where tokens are fetched: https.
    token_url: String,
    client_id: String,
    client_secret: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audience: Option<String>,
    /// How id and secret are sent: `basic` (the default) or `body`.
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_style: Option<String>,
}

/// Certificates, as PEM.
#[derive(InputObject, Serialize)]
pub(super) struct EndpointTlsInput {
    /// The certificate that Watchbell shows, then what stands between it and its CA.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_certificate_pem: Option<String>,
    /// Its private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_key_pem: Option<String>,
    /// CAs to trust beside the server's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_pem: Option<String>,
}

/// An endpoint that is to be made.
#[derive(InputObject, Serialize)]
pub(super) struct EndpointInput {
    /// Where to deliver: https.
    url: String,
    /// In which format.
    dialect: String,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Which events; all that the dialect can say when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<String>>,
    /// The signing secret, for dialects that take one; made and shown once where the dialect allows it to be left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// The receiver's token, for `bearer-scan`.
    #[serde(skip_serializing_if = "Option::is_none")]
    bearer_token: Option<String>,
    /// Headers sent beside the dialect's own.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_map")]
    headers: Option<Vec<HeaderInput>>,
    /// What the dialect wants to know beyond URL and secret: a JSON object.
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<Json>,
    /// When attempts are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<RetryInput>,
    /// Longest wait for an answer, such as `10s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<String>,
    /// Most deliveries in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_in_flight: Option<u32>,
    /// Most attempts: cuts the schedule, never lengthens it.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<u32>,
    /// How many attempts may begin in a second: `50/s`, `50/s burst 200`, or `off`.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit: Option<String>,
    /// First in, first out.
    #[serde(skip_serializing_if = "Option::is_none")]
    ordered: Option<Order>,
    /// Events about vulnerabilities that are known to be milder are not wanted; all are when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    min_severity: Option<Severity>,
    /// Of more new findings in one scan than this the endpoint gets one digest instead; `"off"`: each is told. When left
    /// out 100, for dialects that can say a digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    storm_threshold: Option<NumberOrOff>,
    /// Deliveries gather and go out as one, for dialects that can say many things at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<BatchInput>,
    /// Which events are wanted: `type == 'vulnerability.created' && severity >= high`. All when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<String>,
    /// When deliveries wait: `{from: "22:00", to: "07:00", days, time_zone, except}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    quiet: Option<Json>,
    /// What the `Authorization` header says.
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<EndpointAuthInput>,
    /// A certificate to show, CAs to trust.
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<EndpointTlsInput>,
    /// Which HTTP is spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    http_version: Option<HttpVersion>,
    /// It begins paused: deliveries are held until it is resumed.
    #[graphql(default)]
    paused: bool,
}

/// What is to change. Members left out stay; null takes a value away.
#[derive(InputObject, Serialize)]
pub(super) struct EndpointChangeInput {
    /// Another host needs a new secret in the same request.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "is_left_out")]
    description: MaybeUndefined<String>,
    /// Null: all that the dialect can say.
    #[serde(skip_serializing_if = "is_left_out")]
    events: MaybeUndefined<Vec<String>>,
    /// A new secret. The old one stays valid for 24 hours, unless the host changes as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// A new token.
    #[serde(skip_serializing_if = "Option::is_none")]
    bearer_token: Option<String>,
    /// Let a new secret be made.
    #[graphql(default)]
    rotate_secret: bool,
    /// All headers: those left out are taken away.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_map")]
    headers: Option<Vec<HeaderInput>>,
    /// All settings of the dialect: those left out are taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<Json>,
    #[serde(skip_serializing_if = "is_left_out")]
    retry: MaybeUndefined<RetryInput>,
    #[serde(skip_serializing_if = "is_left_out")]
    timeout: MaybeUndefined<String>,
    #[serde(skip_serializing_if = "is_left_out")]
    max_in_flight: MaybeUndefined<u32>,
    #[serde(skip_serializing_if = "is_left_out")]
    max_attempts: MaybeUndefined<u32>,
    /// Null: no limit.
    #[serde(skip_serializing_if = "is_left_out")]
    rate_limit: MaybeUndefined<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ordered: Option<Order>,
    /// Null: all are wanted.
    #[serde(skip_serializing_if = "is_left_out")]
    min_severity: MaybeUndefined<Severity>,
    /// Null: 100, where the dialect can say a digest.
    #[serde(skip_serializing_if = "is_left_out")]
    storm_threshold: MaybeUndefined<NumberOrOff>,
    /// All of it; null: each delivery goes out by itself.
    #[serde(skip_serializing_if = "is_left_out")]
    batch: MaybeUndefined<BatchInput>,
    /// Null: all are wanted.
    #[serde(skip_serializing_if = "is_left_out")]
    filter: MaybeUndefined<String>,
    /// All of it; null takes it away.
    #[serde(skip_serializing_if = "is_left_out")]
    quiet: MaybeUndefined<Json>,
    /// All of it; null takes it away.
    #[serde(skip_serializing_if = "is_left_out")]
    auth: MaybeUndefined<EndpointAuthInput>,
    /// All of it; null takes it away.
    #[serde(skip_serializing_if = "is_left_out")]
    tls: MaybeUndefined<EndpointTlsInput>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_version: Option<HttpVersion>,
    /// Paused, or active again.
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<bool>,
}

/// A new secret: made where none is given.
#[derive(Default, InputObject, Serialize)]
pub(super) struct RotationInput {
    /// The new secret, for dialects that take one.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// The new token.
    #[serde(skip_serializing_if = "Option::is_none")]
    bearer_token: Option<String>,
    /// How long the old one stays valid; `24h` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    overlap: Option<String>,
}

pub(super) fn as_map<S: Serializer>(headers: &Option<Vec<HeaderInput>>, serializer: S) -> Result<S::Ok, S::Error> {
    let headers = headers.as_deref().unwrap_or_default();
    let mut map = serializer.serialize_map(Some(headers.len()))?;
    for header in headers {
        // A name that is given twice makes a body that REST's own reader refuses.
        map.serialize_entry(&header.name, &header.value)?;
    }
    map.end()
}
