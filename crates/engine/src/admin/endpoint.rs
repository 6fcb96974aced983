//! Endpoints: made, changed, their secrets rotated.
//!
//! The rules of credentials are the dialect's ([`Credential`]): who makes the secret and what it is called. A secret
//! belongs to the host it was entered for. Whoever may change an endpoint may not read its secret, and must not get it
//! by pointing the endpoint at a host of their own: a new host takes a new secret, and the old one is dropped at once.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use url::Url;
use watchbell_domain::endpoint::{
    Auth, Endpoint, EndpointPolicy, EndpointSecret, EndpointState, HttpVersion, RateLimit, TlsSettings, Transport,
};
use watchbell_domain::id::{EndpointId, OrgId};
use watchbell_domain::port::Entropy;
use watchbell_wire::dialect::{Credential, SettingsError};
use watchbell_wire::expression::Mistake;
use watchbell_wire::{Dialect, EventType, Secret, SecretError, Settings};

use super::headers::{self, HeaderForbidden};
use super::{rules, transport};
use crate::net::guard::{EgressPolicy, UrlRefused};

/// How long a secret that was rotated out stays valid unless told otherwise.
pub const OVERLAP: SignedDuration = SignedDuration::from_hours(24);
/// The longest overlap.
pub const OVERLAP_MAX: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Most secrets valid at once.
pub const SECRETS_MAX: usize = 5;
/// Shortest secret, in bytes of its text.
pub const SECRET_BYTES_MIN: usize = 16;
/// Longest description, in characters.
pub const DESCRIPTION_LENGTH_MAX: usize = 1000;
/// Most entries of a retry schedule.
pub const SCHEDULE_LENGTH_MAX: usize = 50;
/// Longest wait of a retry schedule.
pub const WAIT_MAX: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Shortest and longest timeout. The longest ends well before a claim does.
pub const TIMEOUT: (SignedDuration, SignedDuration) = (SignedDuration::from_millis(100), SignedDuration::from_secs(45));
/// Most deliveries in flight that an endpoint may ask for.
pub const IN_FLIGHT_MAX: u32 = 1000;
/// Most attempts that an endpoint may ask for.
pub const ATTEMPTS_MAX: u32 = 100;

/// The dialect whose endpoints get every event, and a ping when they are made.
const SNYK: &str = "snyk";

/// What an endpoint is to be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spec {
    /// Where to.
    pub url: String,
    /// The dialect's id.
    pub dialect: String,
    /// For people.
    pub description: Option<String>,
    /// Which events; `None`: all that the dialect can say.
    pub events: Option<Vec<String>>,
    /// The credential.
    pub credential: Given,
    /// Custom headers.
    pub headers: Vec<(String, Secret)>,
    /// What the dialect wants to know beyond URL and credential.
    pub settings: Settings,
    /// How it is reached.
    pub transport: Transport,
    /// What differs from the server.
    pub policy: EndpointPolicy,
    /// Whether no rate means none, not even the one that the dialect asks for.
    pub unlimited: bool,
    /// Whether it begins paused.
    pub paused: bool,
}

/// The credential as it was given, under one of its two names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// `secret`
    pub secret: Option<Secret>,
    /// `bearer_token`
    pub bearer_token: Option<Secret>,
}

/// What to change. Outer `None`: leave as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Change {
    /// Where to.
    pub url: Option<String>,
    /// For people; `Some(None)` takes it away.
    pub description: Option<Option<String>>,
    /// Which events; `Some(None)`: all.
    pub events: Option<Option<Vec<String>>>,
    /// A new credential.
    pub credential: Given,
    /// Let us make a new secret.
    pub rotate_secret: bool,
    /// All custom headers.
    pub headers: Option<Vec<(String, Secret)>>,
    /// All settings; the default takes them away.
    pub settings: Option<Settings>,
    /// All of `auth`; `Some(None)` takes it away.
    pub auth: Option<Option<Auth>>,
    /// All of `tls`; the default takes it away.
    pub tls: Option<TlsSettings>,
    /// Which HTTP is spoken.
    pub http_version: Option<HttpVersion>,
    /// What differs from the server.
    pub policy: Option<EndpointPolicy>,
    /// Paused, or active again: as [`with_state`].
    pub paused: Option<bool>,
}

impl Change {
    fn renews(&self) -> bool {
        self.rotate_secret || self.credential != Given::default()
    }
}

/// The endpoint cannot be so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The URL is refused.
    #[error(transparent)]
    Url(#[from] UrlRefused),
    /// A custom header is refused.
    #[error(transparent)]
    Header(#[from] HeaderForbidden),
    /// The credential is refused.
    #[error("{detail}")]
    Secret {
        /// `secret` or `bearer_token`.
        member: &'static str,
        /// What is wrong and what is wanted. Never the secret.
        detail: String,
    },
    /// The host changes, and the credentials were entered for the old one.
    #[error("{detail}")]
    NewHost {
        /// What has to be entered again.
        detail: String,
    },
    /// A filter is none, or does not fit what the endpoint gets.
    #[error("{mistake}")]
    Filter {
        /// Which, as a JSON pointer.
        pointer: &'static str,
        /// What is wrong with it, and where.
        mistake: Mistake,
    },
    /// Something else does not do.
    #[error("{detail}")]
    Member {
        /// Which, as a JSON pointer.
        pointer: String,
        /// What is wrong and what is wanted.
        detail: String,
    },
}

/// An endpoint to be stored, and its secret where it may be shown, once.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The new secret, where there is a new one.
    pub secret: Option<Secret>,
}

/// A new endpoint.
///
/// # Errors
/// [`Refused`]
pub fn create(
    org_id: OrgId,
    spec: Spec,
    egress: &EgressPolicy,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Made, Refused> {
    let dialect = sendable(&spec.dialect)?;
    let url = egress.check_url_for(dialect.carrier, &spec.url)?;
    check_description(spec.description.as_deref())?;
    let events = events_of(dialect, spec.events)?;
    headers::check(dialect, &spec.headers)?;
    check_settings(dialect, &spec.settings)?;
    check_policy(&spec.policy)?;
    let secret = credential(dialect, spec.credential, entropy)?;
    transport::check_fit(&spec.transport, &url, dialect, secret.is_some(), &spec.headers)?;
    if let Some(auth) = &spec.transport.auth {
        transport::check_auth(auth, egress)?;
    }
    transport::check_tls(&spec.transport.tls, now)?;
    check_one_voice(dialect, secret.is_some(), &spec.transport)?;
    let endpoint = Endpoint {
        id: EndpointId::make(now, entropy),
        org_id,
        url: url.into(),
        dialect,
        description: spec.description,
        events,
        state: if spec.paused { EndpointState::Paused { since: now } } else { EndpointState::Active },
        secrets: secret.iter().map(|text| valid_from(text, now)).collect(),
        headers: spec.headers,
        settings: spec.settings,
        transport: spec.transport,
        policy: paced(dialect, spec.policy, spec.unlimited),
        not_before: None,
        created_at: now,
        updated_at: now,
    };
    rules::check(&endpoint, now)?;
    check_template(&endpoint)?;
    rules::check_batch(&endpoint)?;
    Ok(Made { endpoint, secret })
}

/// The policy with the rate that the dialect asks for, where none was given.
fn paced(dialect: &Dialect, mut policy: EndpointPolicy, unlimited: bool) -> EndpointPolicy {
    if policy.rate_limit.is_none() && !unlimited {
        let pace = dialect.outbound.and_then(|outbound| outbound.pace());
        policy.rate_limit = pace.map(|pace| RateLimit { per_second: pace.per_second, burst: pace.burst });
    }
    policy
}

/// A secret of a dialect that may go without goes into `Authorization`, and so does `auth`.
fn check_one_voice(dialect: &Dialect, has_secret: bool, transport: &Transport) -> Result<(), Refused> {
    let is_twice = dialect.credential == Credential::SecretOptional && has_secret && transport.auth.is_some();
    match is_twice {
        true => Err(member("/auth", "auth and secret both say who Watchbell is: give one of them")),
        false => Ok(()),
    }
}

/// Whether an endpoint of this dialect gets a ping as soon as it is made.
pub fn is_greeted(dialect: &Dialect) -> bool {
    dialect.id == SNYK
}

/// The endpoint after a change.
///
/// # Errors
/// [`Refused`]
pub fn change(
    seen: &Endpoint,
    change: Change,
    egress: &EgressPolicy,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Made, Refused> {
    let turned = change.paused.and_then(|paused| with_state(seen, paused, now));
    let mut endpoint = turned.unwrap_or_else(|| seen.clone());
    endpoint.updated_at = after(seen.updated_at, now);
    let renews = change.renews();
    if let Some(text) = &change.url {
        let url = egress.check_url_for(seen.dialect.carrier, text)?;
        if is_elsewhere(&seen.url, &url) {
            check_new_host(seen, &change)?;
            endpoint.secrets.clear();
        }
        endpoint.url = url.into();
    }
    if let Some(description) = change.description {
        check_description(description.as_deref())?;
        endpoint.description = description;
    }
    if let Some(events) = change.events {
        endpoint.events = events_of(seen.dialect, events)?;
    }
    if let Some(headers) = change.headers {
        headers::check(seen.dialect, &headers)?;
        endpoint.headers = headers;
    }
    if let Some(settings) = change.settings {
        check_settings(seen.dialect, &settings)?;
        endpoint.settings = settings;
    }
    if let Some(policy) = change.policy {
        check_policy(&policy)?;
        endpoint.policy = policy;
        rules::check_batch(&endpoint)?;
    }
    // What was saved is not judged again unless it, or what it is asked about, changes.
    if endpoint.policy.rules != seen.policy.rules || endpoint.events != seen.events {
        rules::check(&endpoint, now)?;
    }
    if endpoint.settings != seen.settings || endpoint.events != seen.events {
        check_template(&endpoint)?;
    }
    let secret = match renews {
        true => renew(&mut endpoint, change.credential, OVERLAP, now, entropy)?,
        false => None,
    };
    change_transport(&mut endpoint, change.auth, change.tls, change.http_version, egress, now)?;
    check_one_voice(endpoint.dialect, !endpoint.secrets.is_empty(), &endpoint.transport)?;
    Ok(Made { endpoint, secret })
}

/// The endpoint with a new secret; the others stay valid for `overlap`.
///
/// # Errors
/// [`Refused`]
pub fn rotate_secret(
    seen: &Endpoint,
    given: Given,
    overlap: SignedDuration,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Made, Refused> {
    if overlap.is_negative() || overlap > OVERLAP_MAX {
        return Err(member("/overlap", "the overlap lies between 0s and 30 days (720h)"));
    }
    let mut endpoint = seen.clone();
    endpoint.updated_at = after(seen.updated_at, now);
    let secret = renew(&mut endpoint, given, overlap, now, entropy)?;
    Ok(Made { endpoint, secret })
}

/// The endpoint, paused or active again. `None`: it is so already.
pub fn with_state(seen: &Endpoint, paused: bool, now: Timestamp) -> Option<Endpoint> {
    let is_so = match &seen.state {
        EndpointState::Active => !paused,
        EndpointState::Paused { .. } => paused,
        // A disabled endpoint can be paused (so that resuming is a decision of its own) and resumed.
        EndpointState::Disabled { .. } => false,
    };
    if is_so {
        return None;
    }
    let mut endpoint = seen.clone();
    endpoint.updated_at = after(seen.updated_at, now);
    endpoint.state = match paused {
        true => EndpointState::Paused { since: now },
        false => EndpointState::Active,
    };
    if !paused {
        // Whoever resumes wants deliveries now, not when an old `Retry-After` ends.
        endpoint.not_before = None;
    }
    Some(endpoint)
}

/// `updated_at` is what a concurrent change is noticed by, so it must move on even when the clock does not.
pub(super) fn after(before: Timestamp, now: Timestamp) -> Timestamp {
    let next = before.checked_add(SignedDuration::from_micros(1)).unwrap_or(Timestamp::MAX);
    now.max(next)
}

fn sendable(id: &str) -> Result<&'static Dialect, Refused> {
    let can_be_sent = |dialect: &&Dialect| dialect.outbound.is_some();
    watchbell_wire::dialect::find(id).filter(can_be_sent).ok_or_else(|| {
        let all = watchbell_wire::dialect::ALL.iter().copied().filter(can_be_sent);
        let names = all.map(|dialect| dialect.id).collect::<Vec<_>>().join(", ");
        member("/dialect", format!("the dialect is one of: {names}"))
    })
}

fn events_of(dialect: &Dialect, given: Option<Vec<String>>) -> Result<Option<BTreeSet<EventType>>, Refused> {
    let Some(given) = given else { return Ok(None) };
    if dialect.id == SNYK {
        let detail = "an endpoint of the dialect snyk receives every event of Snyk's: leave events out";
        return Err(member("/events", detail));
    }
    if given.is_empty() {
        return Err(member("/events", "name at least one event type, or leave events out for all"));
    }
    let mut events = BTreeSet::new();
    for (index, text) in given.iter().enumerate() {
        let pointer = format!("/events/{index}");
        let event_type: EventType = text.parse().map_err(|error| member(&pointer, format!("{error}")))?;
        let is_said = dialect.outbound.is_some_and(|outbound| outbound.event_name(&event_type).is_some());
        if !is_said {
            return Err(member(&pointer, format!("the dialect {} has no such event", dialect.id)));
        }
        events.insert(event_type);
    }
    Ok(Some(events))
}

fn check_description(text: Option<&str>) -> Result<(), Refused> {
    match text.map(|text| text.chars().count()) {
        Some(length) if length > DESCRIPTION_LENGTH_MAX => {
            Err(member("/description", "a description has at most 1000 characters"))
        }
        Some(_) | None => Ok(()),
    }
}

fn check_settings(dialect: &Dialect, settings: &Settings) -> Result<(), Refused> {
    let checked = dialect.outbound.map_or(Ok(()), |outbound| outbound.check_settings(settings));
    checked.map_err(unfit)
}

fn check_template(endpoint: &Endpoint) -> Result<(), Refused> {
    rules::check_template(endpoint).map_err(unfit)
}

fn unfit(error: SettingsError) -> Refused {
    member(&format!("/settings{}", error.pointer), error.detail)
}

fn check_policy(policy: &EndpointPolicy) -> Result<(), Refused> {
    if let Some(schedule) = &policy.retry_schedule {
        let in_bounds = |wait: &SignedDuration| !wait.is_negative() && *wait <= WAIT_MAX;
        if schedule.is_empty() || schedule.len() > SCHEDULE_LENGTH_MAX || !schedule.iter().all(in_bounds) {
            let detail = "a retry schedule has 1 to 50 waits of 0s to 30 days (720h)";
            return Err(member("/retry/schedule", detail));
        }
    }
    if policy.timeout.is_some_and(|timeout| timeout < TIMEOUT.0 || timeout > TIMEOUT.1) {
        return Err(member("/timeout", "the timeout lies between 100ms and 45s"));
    }
    if policy.max_in_flight.is_some_and(|max| max == 0 || max > IN_FLIGHT_MAX) {
        return Err(member("/max_in_flight", "max_in_flight lies between 1 and 1000"));
    }
    if policy.max_attempts.is_some_and(|max| max == 0 || max > ATTEMPTS_MAX) {
        return Err(member("/max_attempts", "max_attempts lies between 1 and 100"));
    }
    Ok(())
}

/// Another scheme, host or port: somebody else may listen there, or along the way.
fn is_elsewhere(old: &str, new: &Url) -> bool {
    !Url::parse(old).is_ok_and(|old| old.origin() == new.origin())
}

/// What was entered for one host is entered again for another, or taken away.
fn check_new_host(seen: &Endpoint, change: &Change) -> Result<(), Refused> {
    if !change.renews() && !seen.secrets.is_empty() {
        let how = match seen.dialect.credential {
            Credential::BearerToken => "give bearer_token",
            Credential::SecretGiven => "give secret",
            Credential::SecretGivenOrMade => "give secret, or \"rotate_secret\": true",
            Credential::SecretMade => "give \"rotate_secret\": true",
            Credential::SecretOptional | Credential::None => "give secret",
        };
        return Err(new_host("secret", how));
    }
    if change.headers.is_none() && !seen.headers.is_empty() {
        return Err(new_host("headers", "give headers"));
    }
    if change.auth.is_none() && seen.transport.auth.is_some() {
        return Err(new_host("credentials", "give auth, or \"auth\": null,"));
    }
    if change.tls.is_none() && seen.transport.tls.client.is_some() {
        return Err(new_host("client certificate", "give tls, or \"tls\": null,"));
    }
    Ok(())
}

fn new_host(what: &str, how: &str) -> Refused {
    let whose = "the URL names another scheme, host or port, which must not learn the old one's";
    Refused::NewHost { detail: format!("{whose} {what}: {how} as well") }
}

/// What a change leaves as it was is not judged again: a certificate that has expired since must not keep its owner from
/// changing a description.
fn change_transport(
    endpoint: &mut Endpoint,
    auth: Option<Option<Auth>>,
    tls: Option<TlsSettings>,
    http_version: Option<HttpVersion>,
    egress: &EgressPolicy,
    now: Timestamp,
) -> Result<(), Refused> {
    if let Some(auth) = auth {
        if let Some(auth) = &auth {
            transport::check_auth(auth, egress)?;
        }
        endpoint.transport.auth = auth;
    }
    if let Some(tls) = tls {
        transport::check_tls(&tls, now)?;
        endpoint.transport.tls = tls;
    }
    if let Some(http_version) = http_version {
        endpoint.transport.http_version = http_version;
    }
    match Url::parse(&endpoint.url) {
        Ok(url) => {
            let has_secret = !endpoint.secrets.is_empty();
            transport::check_fit(&endpoint.transport, &url, endpoint.dialect, has_secret, &endpoint.headers)
        }
        Err(_) => Ok(()),
    }
}

fn renew(
    endpoint: &mut Endpoint,
    given: Given,
    overlap: SignedDuration,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Option<Secret>, Refused> {
    let Some(text) = credential(endpoint.dialect, given, entropy)? else {
        let detail = format!("no secret was given, and the dialect {} makes none", endpoint.dialect.id);
        return Err(Refused::Secret { member: "secret", detail });
    };
    put_first(&mut endpoint.secrets, &text, overlap, now);
    Ok(Some(text))
}

/// Makes `text` the first of the secrets; the others end after `overlap` at the latest.
pub(super) fn put_first(secrets: &mut Vec<EndpointSecret>, text: &Secret, overlap: SignedDuration, now: Timestamp) {
    let end = now.checked_add(overlap).unwrap_or(Timestamp::MAX);
    for old in &mut *secrets {
        old.expires_at = Some(old.expires_at.map_or(end, |earlier| earlier.min(end)));
    }
    secrets.retain(|old| old.text != *text && old.expires_at.is_none_or(|end| now < end));
    secrets.insert(0, valid_from(text, now));
    secrets.truncate(SECRETS_MAX);
}

fn valid_from(text: &Secret, now: Timestamp) -> EndpointSecret {
    EndpointSecret { text: text.clone(), created_at: now, expires_at: None }
}

/// The credential by the dialect's rule: given, or made, never both; `None` where it needs none.
fn credential(dialect: &Dialect, given: Given, entropy: &dyn Entropy) -> Result<Option<Secret>, Refused> {
    let misplaced =
        |member, wanted: &str| Refused::Secret { member, detail: format!("the dialect {} {wanted}", dialect.id) };
    let make = || {
        let mut random = [0; 32];
        entropy.fill(&mut random);
        dialect.secrets.make(random)
    };
    match (dialect.credential, given.secret, given.bearer_token) {
        (Credential::BearerToken, None, Some(token)) => check_secret(dialect, "bearer_token", &token).map(Some),
        (Credential::BearerToken, Some(_), _) => Err(misplaced("secret", "takes bearer_token and no secret")),
        (Credential::BearerToken, None, None) => Err(misplaced("bearer_token", "needs bearer_token")),
        (_, _, Some(_)) => Err(misplaced("bearer_token", "takes no bearer_token")),
        (Credential::SecretMade, Some(_), None) => Err(misplaced("secret", "makes its own secret: leave it out")),
        (Credential::SecretGiven, None, None) => Err(misplaced("secret", "needs secret")),
        (Credential::None, Some(_), None) => Err(misplaced("secret", "takes no secret: its URL is one")),
        (Credential::None | Credential::SecretOptional, None, None) => Ok(None),
        (Credential::SecretMade | Credential::SecretGivenOrMade, None, None) => Ok(Some(make())),
        (Credential::SecretGiven | Credential::SecretGivenOrMade | Credential::SecretOptional, Some(secret), None) => {
            check_secret(dialect, "secret", &secret).map(Some)
        }
    }
}

pub(super) fn check_secret(dialect: &Dialect, member: &'static str, secret: &Secret) -> Result<Secret, Refused> {
    let bytes = secret.expose().len();
    let long_enough = match bytes {
        0 => Err(SecretError::Empty),
        bytes if bytes < SECRET_BYTES_MIN => Err(SecretError::Length { bytes, wanted: "at least 16 are wanted" }),
        _ => Ok(()),
    };
    long_enough
        .and_then(|()| dialect.secrets.check(secret))
        .map_err(|error| Refused::Secret { member, detail: error.to_string() })
}

pub(super) fn member(pointer: &str, detail: impl Into<String>) -> Refused {
    Refused::Member { pointer: pointer.to_owned(), detail: detail.into() }
}
