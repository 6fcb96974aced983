//! An endpoint as JSON. Secrets, tokens and header values show their last four characters at most.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use url::Url;
use utoipa::ToSchema;
use watchbell_domain::endpoint::{Endpoint, EndpointState};
use watchbell_domain::id::EndpointId;
use watchbell_domain::port::Acceptance;
use watchbell_domain::rule::RuleFailure;
use watchbell_engine::net::mask::is_credential;
use watchbell_wire::Secret;
use watchbell_wire::dialect::Credential;

use super::duration::Text;
use super::endpoint_policy::{Batch, MinSeverity, Ordered, StormLimit};
use super::endpoint_rules::{MuteView, Quiet, RulesFailing};
use super::endpoint_transport::{Auth, HttpVersion, Tls};

/// An endpoint.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Endpoint)]
pub(super) struct EndpointView {
    id: String,
    /// Credentials in it are masked.
    url: String,
    dialect: &'static str,
    description: Option<String>,
    /// Which events; null: all that the dialect can say.
    events: Option<Vec<String>>,
    /// `active`, `paused`, `disabled`.
    state: &'static str,
    /// Since when it is paused or disabled.
    state_since: Option<Timestamp>,
    /// Why it was disabled: `gone`, `failing`.
    disabled_reason: Option<&'static str>,
    /// The signing secret: in full where it was just made or entered, masked ever after.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// The token, masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    bearer_token: Option<String>,
    /// Every valid secret, newest first.
    secrets: Vec<SecretView>,
    /// Values are masked.
    headers: BTreeMap<String, String>,
    /// What the dialect is told beyond URL and secret.
    #[schema(value_type = Object)]
    settings: serde_json::Map<String, serde_json::Value>,
    /// Null: the server's own.
    retry: Option<RetryView>,
    /// Null: the server's own.
    timeout: Option<Text>,
    /// Null: the server's own.
    max_in_flight: Option<u32>,
    /// Null: as many as the schedule has.
    max_attempts: Option<u32>,
    /// Null: no limit.
    rate_limit: Option<String>,
    /// First in, first out: `true` for the whole endpoint, `"project"` for each project.
    ordered: Ordered,
    /// Events about vulnerabilities that are known to be milder are not sent. Null: all are.
    min_severity: Option<MinSeverity>,
    /// Of more new findings in one scan than this the endpoint gets one digest instead. Null: 100, where the dialect can
    /// say a digest.
    storm_threshold: Option<StormLimit>,
    /// How deliveries gather and go out as one. Null: each goes out by itself.
    batch: Option<Batch>,
    /// Which events are wanted. Null: all.
    filter: Option<String>,
    /// When deliveries wait. Null: never.
    quiet: Option<Quiet>,
    /// What is muted now.
    mutes: Vec<MuteView>,
    /// Its rules could not be asked about events, which were delivered. Left out where all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    rules_failing: Option<RulesFailing>,
    /// Secrets are `[redacted]`.
    auth: Option<Auth>,
    /// The key is `[redacted]`.
    tls: Option<Tls>,
    http_version: HttpVersion,
    /// The endpoint asked for a pause until then.
    not_before: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A valid secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EndpointSecret)]
struct SecretView {
    masked: String,
    created_at: Timestamp,
    /// Until when, once it was rotated out.
    expires_at: Option<Timestamp>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RetrySchedule)]
struct RetryView {
    schedule: Vec<Text>,
}

impl EndpointView {
    /// `shown`: a secret that is shown now, and only now.
    pub(super) fn new(endpoint: &Endpoint, shown: Option<&Secret>, now: Timestamp) -> Self {
        let newest = endpoint.secrets.first().map(|secret| secret.text.masked());
        // A bearer token is the receiver's own: whoever entered it has it.
        let (secret, bearer_token) = match endpoint.dialect.credential {
            Credential::BearerToken => (None, newest),
            Credential::SecretGiven
            | Credential::SecretGivenOrMade
            | Credential::SecretMade
            | Credential::SecretOptional
            | Credential::None => (shown.map(|secret| secret.expose().to_owned()).or(newest), None),
        };
        let (state_since, disabled_reason) = match &endpoint.state {
            EndpointState::Active => (None, None),
            EndpointState::Paused { since } => (Some(*since), None),
            EndpointState::Disabled { since, reason } => (Some(*since), Some(reason.as_str())),
        };
        let events = endpoint.events.as_ref();
        let schedule = endpoint.policy.retry_schedule.as_ref();
        let rules = &endpoint.policy.rules;
        let live = rules.mutes.iter().filter(|mute| mute.is_live(now));
        Self {
            id: endpoint.id.to_string(),
            url: shown_url(endpoint),
            dialect: endpoint.dialect.id,
            description: endpoint.description.clone(),
            events: events.map(|events| events.iter().map(ToString::to_string).collect()),
            state: endpoint.state.as_str(),
            state_since,
            disabled_reason,
            secret,
            bearer_token,
            secrets: secrets(endpoint, now),
            headers: endpoint.headers.iter().map(|(name, value)| (name.clone(), value.masked())).collect(),
            settings: endpoint.settings.members().clone(),
            retry: schedule.map(|waits| RetryView { schedule: waits.iter().copied().map(Text).collect() }),
            timeout: endpoint.policy.timeout.map(Text),
            max_in_flight: endpoint.policy.max_in_flight,
            max_attempts: endpoint.policy.max_attempts,
            rate_limit: endpoint.policy.rate_limit.map(|rate| rate.to_string()),
            ordered: Ordered(endpoint.policy.order),
            min_severity: endpoint.policy.min_severity.map(MinSeverity),
            storm_threshold: endpoint.policy.storm_threshold.map(StormLimit),
            batch: endpoint.policy.batch.map(Batch::from),
            filter: rules.filter.as_ref().map(|filter| filter.source().to_owned()),
            quiet: rules.quiet.as_ref().map(Quiet::from),
            mutes: live.map(|mute| MuteView::new(mute, now)).collect(),
            rules_failing: None,
            auth: endpoint.transport.auth.as_ref().map(Auth::from),
            tls: Tls::shown(&endpoint.transport.tls),
            http_version: endpoint.transport.http_version.into(),
            not_before: endpoint.not_before.filter(|until| now < *until),
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
        }
    }

    /// With how its rules fail, if they do.
    pub(super) fn failing(self, failure: Option<&RuleFailure>) -> Self {
        Self { rules_failing: failure.map(RulesFailing::from), ..self }
    }
}

fn secrets(endpoint: &Endpoint, now: Timestamp) -> Vec<SecretView> {
    let valid = endpoint.secrets.iter().filter(|secret| secret.expires_at.is_none_or(|end| now < end));
    valid
        .map(|secret| SecretView {
            masked: secret.text.masked(),
            created_at: secret.created_at,
            expires_at: secret.expires_at,
        })
        .collect()
}

/// An endpoint's URL as far as it is no secret.
pub(crate) fn shown_url(endpoint: &Endpoint) -> String {
    match (endpoint.dialect.url_is_secret, Url::parse(&endpoint.url)) {
        (true, Ok(url)) => format!("{}/{}", url.origin().ascii_serialization(), Secret::new(url.as_str()).masked()),
        (true, Err(_)) => Secret::new(&*endpoint.url).masked(),
        (false, _) => masked(&endpoint.url),
    }
}

/// The URL with what its query may hold of credentials masked.
pub(crate) fn masked(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else {
        return text.to_owned();
    };
    if !url.query_pairs().any(|(name, _)| is_credential(&name)) {
        return text.to_owned();
    }
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    url.query_pairs_mut().clear().extend_pairs(pairs.iter().map(|(name, value)| match is_credential(name) {
        true => (name.as_str(), "****"),
        false => (name.as_str(), value.as_str()),
    }));
    url.into()
}

/// A ping that is on its way.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Pinged {
    endpoint_id: String,
    /// The event that carries it.
    event_id: String,
    /// `webhook.ping`, or the type that serves as a test.
    #[serde(rename = "type")]
    event_type: String,
}

impl Pinged {
    pub(super) fn new(endpoint: EndpointId, acceptance: &Acceptance) -> Self {
        let event = acceptance.events.first().map(|new| &new.event);
        Self {
            endpoint_id: endpoint.to_string(),
            event_id: event.map(|event| watchbell_domain::id::EventId(event.id).to_string()).unwrap_or_default(),
            event_type: event.map(|event| event.event_type.to_string()).unwrap_or_default(),
        }
    }
}
