//! What is posted about a source, and how it is shown. Secrets show their last four characters at most.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::{PartialSchema, ToSchema};
use watchbell_domain::SignedDuration;
use watchbell_domain::endpoint::RateLimit;
use watchbell_domain::source::{Set, Source, SourceState};
use watchbell_engine::admin::endpoint::Given;
use watchbell_engine::admin::source::{Change, Spec};
use watchbell_wire::Secret;
use watchbell_wire::dialect::Credential;

use super::duration::Text;
use super::endpoint_given::{SecretText, given, present};
use super::endpoint_policy::Rate;
use crate::edge::PublicUrl;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSource {
    /// In which format it calls: `snyk`, `github`, `standard`, ….
    dialect: String,
    /// For people.
    name: String,
    /// The signing secret, as the vendor has it.
    secret: Option<SecretText>,
    /// The token it is to show, for `bearer-scan` and `cloudevents`.
    bearer_token: Option<SecretText>,
    /// Have the secret or token made; it is shown in this answer and never again.
    #[serde(default)]
    make_secret: bool,
    /// Addresses and networks its requests may come from; any when left out.
    #[serde(default)]
    allowed_ips: Vec<String>,
    /// How often it may call: `100/s`, `100/s burst 500`, or `off`. The server's own when left out.
    rate_limit: Option<Rate>,
    /// How old a signed time in a body may be: `24h`, or `off`. The server's own when left out.
    max_event_age: Option<AgeOrOff>,
    /// What the dialect wants to know beside the secret.
    #[serde(default)]
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
    /// It begins paused.
    #[serde(default)]
    paused: bool,
}

/// What may be changed. Members left out stay; null means the server's own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceChange {
    name: Option<String>,
    /// All of them.
    allowed_ips: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Rate>)]
    rate_limit: Option<Option<Rate>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<AgeOrOff>)]
    max_event_age: Option<Option<AgeOrOff>>,
    /// All of them.
    #[schema(value_type = Option<Object>)]
    settings: Option<Map<String, Value>>,
    /// Paused, or active again.
    paused: Option<bool>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceRotation {
    /// The new secret; made and shown once when left out.
    secret: Option<SecretText>,
    /// The new token; made and shown once when left out.
    bearer_token: Option<SecretText>,
    /// How long the old one still proves requests; `ingress.rotation_overlap` when left out.
    overlap: Option<Text>,
}

/// A duration, or `off`.
#[derive(Debug, Clone, Copy)]
struct AgeOrOff(Option<SignedDuration>);

impl<'de> Deserialize<'de> for AgeOrOff {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        if text == OFF {
            return Ok(Self(None));
        }
        let read = text.parse().map(|age| Self(Some(age)));
        read.map_err(|_| serde::de::Error::custom("a duration such as \"24h\", or \"off\", is wanted"))
    }
}

impl PartialSchema for AgeOrOff {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}

impl ToSchema for AgeOrOff {}

const OFF: &str = "off";

/// A source.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Source)]
pub(super) struct SourceView {
    id: String,
    /// What to register with the vendor.
    url: String,
    dialect: &'static str,
    name: String,
    /// `active`, `paused`.
    state: &'static str,
    paused_since: Option<Timestamp>,
    /// In full where it was made just now, masked ever after.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// In full where it was made just now, masked ever after.
    #[serde(skip_serializing_if = "Option::is_none")]
    bearer_token: Option<String>,
    /// Every secret that proves a request, newest first.
    secrets: Vec<SourceSecret>,
    /// Empty: from anywhere.
    allowed_ips: Vec<String>,
    /// Null: the server's own.
    rate_limit: Option<String>,
    /// Null: the server's own.
    max_event_age: Option<String>,
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A secret that proves requests.
#[derive(Debug, Serialize, ToSchema)]
struct SourceSecret {
    masked: String,
    created_at: Timestamp,
    /// Until when, once it was rotated out.
    expires_at: Option<Timestamp>,
}

impl SourceView {
    pub(super) fn new(source: &Source, shown: Option<&Secret>, url: &PublicUrl, now: Timestamp) -> Self {
        let newest = source.secrets.first().map(|secret| secret.text.masked());
        let credential = shown.map(|secret| secret.expose().to_owned()).or(newest);
        let (secret, bearer_token) = match source.dialect.credential {
            Credential::BearerToken => (None, credential),
            Credential::SecretGiven
            | Credential::SecretGivenOrMade
            | Credential::SecretMade
            | Credential::SecretOptional
            | Credential::None => (credential, None),
        };
        let live = source.secrets.iter().filter(|secret| secret.expires_at.is_none_or(|end| now < end));
        let secrets = live.map(|secret| SourceSecret {
            masked: secret.text.masked(),
            created_at: secret.created_at,
            expires_at: secret.expires_at,
        });
        Self {
            id: source.id.to_string(),
            url: url.of(&format!("/in/{}", source.id)),
            dialect: source.dialect.id,
            name: source.name.clone(),
            state: source.state.as_str(),
            paused_since: match source.state {
                SourceState::Active => None,
                SourceState::Paused { since } => Some(since),
            },
            secret,
            bearer_token,
            secrets: secrets.collect(),
            allowed_ips: source.allowed_ips.iter().map(ToString::to_string).collect(),
            rate_limit: shown_set(source.rate_limit, |rate: RateLimit| rate.to_string()),
            max_event_age: shown_set(source.max_event_age, |age| format!("{age:#}")),
            settings: source.settings.clone(),
            created_at: source.created_at,
            updated_at: source.updated_at,
        }
    }
}

impl SourceRotation {
    /// The new credential, and how long the old one holds if that was said.
    pub(super) fn read(self) -> (Given, Option<SignedDuration>) {
        (given(self.secret, self.bearer_token), self.overlap.map(|text| text.0))
    }
}

fn shown_set<T>(set: Set<T>, spell: impl Fn(T) -> String) -> Option<String> {
    match set {
        Set::Default => None,
        Set::Off => Some(OFF.to_owned()),
        Set::To(value) => Some(spell(value)),
    }
}

fn set<T>(given: Option<Option<T>>) -> Set<T> {
    match given {
        None => Set::Default,
        Some(None) => Set::Off,
        Some(Some(value)) => Set::To(value),
    }
}

impl NewSource {
    pub(super) fn spec(self) -> Spec {
        Spec {
            dialect: self.dialect,
            name: self.name,
            credential: given(self.secret, self.bearer_token),
            makes_secret: self.make_secret,
            allowed_ips: self.allowed_ips,
            rate_limit: set(self.rate_limit.map(|rate| rate.0)),
            max_event_age: set(self.max_event_age.map(|age| age.0)),
            settings: self.settings,
            paused: self.paused,
        }
    }
}

impl SourceChange {
    pub(super) fn change(self) -> Change {
        Change {
            name: self.name,
            allowed_ips: self.allowed_ips,
            rate_limit: self.rate_limit.map(|rate| set(rate.map(|rate| rate.0))),
            max_event_age: self.max_event_age.map(|age| set(age.map(|age| age.0))),
            settings: self.settings,
            paused: self.paused,
        }
    }
}
