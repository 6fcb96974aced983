//! What is posted about an endpoint, and how it is read.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer};
use utoipa::{PartialSchema, ToSchema};
use watchbell_domain::endpoint::{EndpointPolicy, TlsSettings, Transport};
use watchbell_domain::rule::{Filter, Rules};
use watchbell_engine::admin::endpoint::{Change, Given, OVERLAP, Spec};
use watchbell_wire::{Secret, Settings};

use super::duration::Text;
use super::endpoint_policy::{Batch, MinSeverity, Ordered, Rate, StormLimit};
use super::endpoint_rules::Quiet;
use super::endpoint_transport::{Auth, HttpVersion, Tls};
use crate::problem::Result as Read;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewEndpoint {
    /// Where to deliver: https.
    url: String,
    /// In which format.
    dialect: String,
    /// For people.
    description: Option<String>,
    /// Which events; all that the dialect can say when left out.
    events: Option<Vec<String>>,
    /// The signing secret, for dialects that take one; made and shown once where the dialect allows it to be left out.
    secret: Option<SecretText>,
    /// The receiver's token, for `bearer-scan`.
    bearer_token: Option<SecretText>,
    /// Headers sent beside the dialect's own. Their values are secrets.
    #[serde(default)]
    headers: BTreeMap<String, SecretText>,
    /// What the dialect wants to know beyond URL and secret: see its page of the documentation.
    #[serde(default)]
    #[schema(value_type = Object)]
    settings: serde_json::Map<String, serde_json::Value>,
    /// When attempts are made.
    retry: Option<Retry>,
    /// Longest wait for an answer.
    timeout: Option<Text>,
    /// Most deliveries in flight.
    max_in_flight: Option<u32>,
    /// Most attempts: cuts the schedule, never lengthens it.
    max_attempts: Option<u32>,
    /// How many attempts may begin in a second: `50/s`, `50/s burst 200`, or `off`. When left out what the dialect asks for:
    /// `1/s burst 4` for Slack.
    rate_limit: Option<Rate>,
    /// First in, first out: `true` for the whole endpoint, `"project"` for each project.
    #[serde(default)]
    ordered: Ordered,
    /// Events about vulnerabilities that are known to be milder are not wanted; all are when left out.
    min_severity: Option<MinSeverity>,
    /// Of more new findings in one scan than this the endpoint gets one digest instead; `"off"`: each is told. When left
    /// out 100, for dialects that can say a digest.
    storm_threshold: Option<StormLimit>,
    /// Deliveries gather and go out as one, for dialects that can say many things at once. Each by itself when left out.
    batch: Option<Batch>,
    /// Which events are wanted: `type == 'vulnerability.created' && severity >= high`. All when left out.
    filter: Option<String>,
    /// When deliveries wait.
    quiet: Option<Quiet>,
    /// What the `Authorization` header says.
    auth: Option<Auth>,
    /// A certificate to show, CAs to trust.
    tls: Option<Tls>,
    /// Which HTTP is spoken.
    #[serde(default)]
    http_version: HttpVersion,
    /// It begins paused: deliveries are held until it is resumed.
    #[serde(default)]
    paused: bool,
}

/// What may be changed. Members left out stay; null takes a value away.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EndpointChange {
    /// Another host needs a new secret in the same request.
    url: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    description: Option<Option<String>>,
    /// Null: all that the dialect can say.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>)]
    events: Option<Option<Vec<String>>>,
    /// A new secret. The old one stays valid for 24 hours, unless the host changes as well.
    secret: Option<SecretText>,
    bearer_token: Option<SecretText>,
    /// Have a new secret made and shown once.
    #[serde(default)]
    rotate_secret: bool,
    /// All headers: those left out are taken away.
    headers: Option<BTreeMap<String, SecretText>>,
    /// All settings of the dialect: those left out are taken away.
    #[schema(value_type = Option<Object>)]
    settings: Option<serde_json::Map<String, serde_json::Value>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Retry>)]
    retry: Option<Option<Retry>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    timeout: Option<Option<Text>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>)]
    max_in_flight: Option<Option<u32>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>)]
    max_attempts: Option<Option<u32>>,
    /// Null: no limit.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Rate>)]
    rate_limit: Option<Option<Rate>>,
    ordered: Option<Ordered>,
    /// Null: all are wanted.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<MinSeverity>)]
    min_severity: Option<Option<MinSeverity>>,
    /// Null: the default of the dialect.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<StormLimit>)]
    storm_threshold: Option<Option<StormLimit>>,
    /// All of it; null: each delivery goes out by itself. What gathers already keeps its time.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Batch>)]
    batch: Option<Option<Batch>>,
    /// Null: all are wanted.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    filter: Option<Option<String>>,
    /// All of it; null takes it away.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Quiet>)]
    quiet: Option<Option<Quiet>>,
    /// All of it; null takes it away.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Auth>)]
    auth: Option<Option<Auth>>,
    /// All of it; null takes it away.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Tls>)]
    tls: Option<Option<Tls>>,
    http_version: Option<HttpVersion>,
    /// Paused, or active again.
    paused: Option<bool>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotation {
    /// The new secret, for dialects that take one.
    secret: Option<SecretText>,
    /// The new token.
    bearer_token: Option<SecretText>,
    /// How long the old one stays valid; `24h` when left out.
    overlap: Option<Text>,
}

/// When attempts are made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Retry {
    /// Waits before each attempt; n entries mean n attempts.
    schedule: Vec<Text>,
}

/// A secret on its way in. Never printed.
#[derive(Debug)]
pub(super) struct SecretText(Secret);

impl PartialSchema for SecretText {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}

impl ToSchema for SecretText {}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

impl NewEndpoint {
    /// What is to be made.
    pub(super) fn spec(self) -> Read<Spec> {
        Ok(Spec {
            url: self.url,
            dialect: self.dialect,
            description: self.description,
            events: self.events,
            credential: given(self.secret, self.bearer_token),
            headers: headers_of(self.headers),
            settings: Settings::new(self.settings),
            transport: Transport {
                auth: self.auth.map(Into::into),
                tls: self.tls.map_or(Ok(TlsSettings::default()), TryInto::try_into)?,
                http_version: self.http_version.into(),
            },
            policy: EndpointPolicy {
                retry_schedule: self.retry.as_ref().map(Retry::waits),
                timeout: self.timeout.map(|text| text.0),
                max_in_flight: self.max_in_flight,
                max_attempts: self.max_attempts,
                rate_limit: self.rate_limit.and_then(|rate| rate.0),
                order: self.ordered.0,
                min_severity: self.min_severity.map(|severity| severity.0),
                storm_threshold: self.storm_threshold.map(|limit| limit.0),
                batch: self.batch.map(Into::into),
                rules: Rules {
                    filter: self.filter.map(Filter::new),
                    quiet: self.quiet.as_ref().map(Quiet::read).transpose()?,
                    mutes: Vec::new(),
                },
            },
            unlimited: matches!(self.rate_limit, Some(Rate(None))),
            paused: self.paused,
        })
    }
}

impl EndpointChange {
    /// What is to change of an endpoint that has this policy.
    pub(super) fn change(self, policy: &EndpointPolicy) -> Read<Change> {
        let policy = self.policy(policy)?;
        Ok(Change {
            url: self.url,
            description: self.description,
            events: self.events,
            credential: given(self.secret, self.bearer_token),
            rotate_secret: self.rotate_secret,
            headers: self.headers.map(headers_of),
            settings: self.settings.map(Settings::new),
            auth: self.auth.map(|auth| auth.map(Into::into)),
            tls: match self.tls {
                Some(Some(tls)) => Some(tls.try_into()?),
                Some(None) => Some(TlsSettings::default()),
                None => None,
            },
            http_version: self.http_version.map(Into::into),
            policy,
            paused: self.paused,
        })
    }

    fn policy(&self, seen: &EndpointPolicy) -> Read<Option<EndpointPolicy>> {
        let mut policy = seen.clone();
        if let Some(retry) = &self.retry {
            policy.retry_schedule = retry.as_ref().map(Retry::waits);
        }
        if let Some(timeout) = self.timeout {
            policy.timeout = timeout.map(|text| text.0);
        }
        if let Some(max) = self.max_in_flight {
            policy.max_in_flight = max;
        }
        if let Some(max) = self.max_attempts {
            policy.max_attempts = max;
        }
        if let Some(rate) = self.rate_limit {
            policy.rate_limit = rate.and_then(|rate| rate.0);
        }
        if let Some(ordered) = self.ordered {
            policy.order = ordered.0;
        }
        if let Some(severity) = self.min_severity {
            policy.min_severity = severity.map(|severity| severity.0);
        }
        if let Some(limit) = self.storm_threshold {
            policy.storm_threshold = limit.map(|limit| limit.0);
        }
        if let Some(batch) = self.batch {
            policy.batch = batch.map(Into::into);
        }
        if let Some(filter) = &self.filter
            && filter.as_deref() != policy.rules.filter.as_ref().map(Filter::source)
        {
            policy.rules.filter = filter.as_ref().map(Filter::new);
        }
        if let Some(quiet) = &self.quiet {
            policy.rules.quiet = quiet.as_ref().map(Quiet::read).transpose()?;
        }
        Ok((policy != *seen).then_some(policy))
    }
}

impl Rotation {
    /// The new credential, and how long the old one stays valid.
    pub(super) fn read(self) -> (Given, SignedDuration) {
        let overlap = self.overlap.map_or(OVERLAP, |text| text.0);
        (given(self.secret, self.bearer_token), overlap)
    }
}

impl Retry {
    fn waits(&self) -> Vec<SignedDuration> {
        self.schedule.iter().map(|text| text.0).collect()
    }
}

pub(super) fn given(secret: Option<SecretText>, bearer_token: Option<SecretText>) -> Given {
    Given { secret: secret.map(|text| text.0), bearer_token: bearer_token.map(|text| text.0) }
}

fn headers_of(given: BTreeMap<String, SecretText>) -> Vec<(String, Secret)> {
    given.into_iter().map(|(name, value)| (name, value.0)).collect()
}

/// Tells null from absent.
pub(super) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}
