//! The vendors' formats, one file each, and the list of them.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use crate::envelope::{Decoded, Headers, Refusal, Unverified, Verified};
use crate::expression::Template;
use crate::{Event, EventType, Key, Secret, SecretError};

mod account;
mod aegis;
mod bearer;
mod bearer_scan;
mod cef;
mod cloudevents;
mod custom;
mod elastic;
mod email;
mod exchange;
mod form;
mod github;
mod gitlab;
mod http;
mod jira;
mod jsm;
mod message;
mod ocsf;
mod opaque;
mod opsgenie;
mod package;
mod pagerduty;
mod rapid7;
pub(crate) mod scheme;
mod slack;
mod snyk;
mod splunk_hec;
mod standard;
mod symbiotic;
mod syslog;
mod teams;
mod told;

use exchange::BatchMax;
pub use exchange::{Answer, Exchange, Framing, Judgement, Mail, Pace, Part, Request, Settings, SettingsError};
pub use scheme::Scheme;

/// Every dialect, in the order they are shown. A new dialect is one file and one line here.
pub static ALL: &[&Dialect] = &[
    &snyk::DIALECT,
    &symbiotic::DIALECT,
    &aegis::DIALECT,
    &bearer_scan::DIALECT,
    &standard::DIALECT,
    &github::DIALECT,
    &gitlab::DIALECT,
    &cloudevents::DIALECT,
    &custom::DIALECT,
    &splunk_hec::DIALECT,
    &elastic::DIALECT,
    &rapid7::DIALECT,
    &ocsf::DIALECT,
    &syslog::DIALECT,
    &cef::DIALECT,
    &email::DIALECT,
    &slack::DIALECT,
    &teams::DIALECT,
    &pagerduty::DIALECT,
    &opsgenie::DIALECT,
    &jsm::DIALECT,
    &jira::DIALECT,
    &http::DIALECT,
];

/// The dialect with this id, as it stands in configuration and API: `snyk`, `bearer-scan`.
pub fn find(id: &str) -> Option<&'static Dialect> {
    ALL.iter().copied().find(|dialect| dialect.id == id)
}

/// A vendor's wire format.
pub struct Dialect {
    /// As it stands in configuration, API and store: lower case, `-` between words.
    pub id: &'static str,
    /// As a person says it.
    pub name: &'static str,
    /// Where the format is written down: a link, or words where the page has no lasting one.
    pub source: &'static str,
    /// What the credential is called where it is configured.
    pub credential: Credential,
    /// What takes its bodies to an endpoint.
    pub carrier: Carrier,
    /// Whether who knows an endpoint's URL may send to it: path and query are then masked like a secret.
    pub url_is_secret: bool,
    /// How its secrets are spelled.
    pub secrets: &'static dyn Secrets,
    /// How it is received, if it is.
    pub inbound: Option<&'static dyn Inbound>,
    /// How it is sent, if it is.
    pub outbound: Option<&'static dyn Outbound>,
}

impl Dialect {
    /// The headers that a genuine sender of `message` sets: ours where we send the dialect, else the vendor's.
    ///
    /// # Errors
    /// As [`Outbound::headers`].
    pub fn sign(&self, message: &Message<'_>, keys: &[Key]) -> Result<Vec<Header>, EncodeError> {
        match (self.outbound, self.inbound) {
            (Some(outbound), _) => outbound.headers(message, keys),
            (None, Some(inbound)) => inbound.vendor_headers(message, keys),
            (None, None) => Ok(Vec::new()),
        }
    }

    /// Whether its credential, where there is one, goes into the `Authorization` header.
    pub fn speaks_in_authorization(&self) -> bool {
        let Ok(key) = self.secrets.key(&self.secrets.make([0; 32])) else { return false };
        let time = Timestamp::UNIX_EPOCH;
        let probe = Message { id: "probe", event: "probe", occurred_at: time, sent_at: time, body: b"{}" };
        let said = self.outbound.and_then(|outbound| outbound.headers(&probe, &[key]).ok());
        said.is_some_and(|said| said.iter().any(|line| line.name.eq_ignore_ascii_case("authorization")))
    }
}

impl std::fmt::Debug for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Dialect").field(&self.id).finish()
    }
}

impl PartialEq for Dialect {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Dialect {}

/// Who makes the credential of an endpoint, and what it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// `secret`: entered by whoever registers the endpoint.
    SecretGiven,
    /// `secret`: entered, or made by us when absent, and shown once.
    SecretGivenOrMade,
    /// `secret`: always made by us and shown once.
    SecretMade,
    /// `bearer_token`: the receiver's own, entered.
    BearerToken,
    /// `secret`: the receiver's own, entered where the receiver wants one.
    SecretOptional,
    /// None: what authorises stands in the URL.
    None,
}

/// What takes a dialect's bodies to an endpoint, and so which URLs an endpoint may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// Requests: `https://`.
    Http,
    /// Messages of RFC 5424, one after another: `syslog+tcp://`, `syslog+tls://`, `syslog+udp://`.
    Syslog,
    /// Mail handed to a server: `smtp://` (STARTTLS) and `smtps://`.
    Smtp,
}

/// How a dialect spells its secrets.
pub trait Secrets: Sync {
    /// The key that `secret` stands for, by the vendor's own rule, however weak it is.
    fn key(&self, secret: &Secret) -> Result<Key, SecretError>;

    /// Whether `secret` may be configured (long enough, well spelled); answers its normal form.
    fn check(&self, secret: &Secret) -> Result<Secret, SecretError>;

    /// A new secret from 32 random bytes.
    fn make(&self, random: [u8; 32]) -> Secret;

    /// What goes over the wire for `secret`, where that is neither its text nor made with a key: an echo of it is masked
    /// as well.
    fn spoken(&self, secret: &Secret) -> Option<Secret> {
        let _ = secret;
        None
    }
}

/// The sending direction.
pub trait Outbound: Sync {
    /// What this dialect calls the event, with its version where the wire has one (`ping/v0`); `None` when the dialect
    /// has no such event. Custom types are included for the dialects that carry any type.
    fn event_name<'a>(&self, event_type: &'a EventType) -> Option<Cow<'a, str>>;

    /// Whether an endpoint that names no events gets this one, which the dialect has: all but the ping, unless the dialect
    /// tells people, who do not want to hear the same thing twice.
    fn is_wanted(&self, event_type: &EventType) -> bool {
        let _ = event_type;
        true
    }

    /// How often the destination wants to be called, for endpoints that set no rate. `None`: as often as we can.
    fn pace(&self) -> Option<Pace> {
        None
    }

    /// The body. A pure function of the event and the endpoint's settings, and without secrets, for it is kept.
    ///
    /// # Errors
    /// When the event's data lacks what the dialect must say, or the dialect has no such event.
    fn encode(&self, event: &Event, settings: &Settings) -> Result<Vec<u8>, EncodeError>;

    /// Every header the dialect sets, in the casing and order of the vendor: content type, event, id, time, signature.
    /// Several keys sign only where the dialect can carry several signatures; elsewhere the first does.
    ///
    /// # Errors
    /// When there is no key of the right kind, or the body cannot be signed (Symbiotic signs parsed JSON).
    fn headers(&self, message: &Message<'_>, keys: &[Key]) -> Result<Vec<Header>, EncodeError>;

    /// Whether an endpoint may be configured so.
    ///
    /// # Errors
    /// With the member that does not do.
    fn check_settings(&self, settings: &Settings) -> Result<(), SettingsError> {
        no_settings(settings)
    }

    /// The template that bodies are made by, where the settings hold one: tried on samples when it is saved.
    fn template<'s>(&self, settings: &'s Settings) -> Option<&'s Template> {
        let _ = settings;
        None
    }

    /// The method of the first request.
    fn method(&self, settings: &Settings) -> &'static str {
        let _ = settings;
        "POST"
    }

    /// The media type of the body, where it is a setting: it stands in for the one among the headers.
    fn content_type(&self, settings: &Settings) -> Option<String> {
        let _ = settings;
        None
    }

    /// Path and query of the first request, where they depend on the event; `path` is what the endpoint's URL says.
    fn target(&self, event: &Event, settings: &Settings, path: &str) -> Option<String> {
        let _ = (event, settings, path);
        None
    }

    /// A body as it goes out, for vendors who want the key in it: the first and those of further requests.
    ///
    /// # Errors
    /// As [`Self::headers`].
    fn keyed<'a>(&self, body: &'a [u8], keys: &[Key]) -> Result<Cow<'a, [u8]>, EncodeError> {
        let _ = keys;
        Ok(Cow::Borrowed(body))
    }

    /// How messages follow one another on a connection of syslog's.
    ///
    /// # Errors
    /// When the settings cannot be read.
    fn framing(&self, settings: &Settings) -> Result<Framing, SettingsError> {
        let _ = settings;
        Ok(Framing::default())
    }

    /// Most deliveries that go out at once, where [`Self::join`] can join them. 1: each by itself.
    fn batch_max(&self, settings: &Settings) -> usize {
        let _ = settings;
        1
    }

    /// Whether several deliveries can go out at once: whether [`Self::join`] joins them.
    fn joins(&self) -> bool {
        false
    }

    /// The body for several deliveries of one endpoint at once, each with its own body as [`Self::encode`] made it; `None`
    /// when the dialect says one thing at a time.
    ///
    /// # Errors
    /// As [`Self::encode`].
    fn join(&self, parts: &[Part<'_>], settings: &Settings) -> Option<Result<Vec<u8>, EncodeError>> {
        let _ = (parts, settings);
        None
    }

    /// What the latest answer means for each of the `count` deliveries that went out together, in their order, where it
    /// does not mean the same for all of them.
    fn shares(&self, exchange: &Exchange<'_>, count: usize) -> Option<Vec<Judgement>> {
        let _ = (exchange, count);
        None
    }

    /// Whether the answer says that fewer deliveries at once might be taken.
    fn is_too_large(&self, answer: &Answer<'_>) -> bool {
        answer.status == 413
    }

    /// What the latest answer means, where that is more than its status.
    fn judge(&self, exchange: &Exchange<'_>) -> Judgement {
        let _ = exchange;
        Judgement::ByStatus
    }
}

/// The receiving direction. Callers go through [`Unverified::verify`](crate::Unverified::verify).
pub trait Inbound: Sync {
    /// Whether the bytes come from a holder of one of `keys`.
    fn verify(
        &self,
        request: &Unverified,
        keys: &[Key],
        now: Timestamp,
        tolerance: SignedDuration,
    ) -> Result<(), Refusal>;

    /// Whether a receiver may be configured so. A dialect with settings finds them in the request:
    /// [`Unverified::settings`].
    ///
    /// # Errors
    /// With the member that does not do.
    fn check_settings(&self, settings: &Settings) -> Result<(), SettingsError> {
        no_settings(settings)
    }

    /// What the message says.
    fn decode(&self, request: &Verified) -> Result<Decoded, Refusal>;

    /// The header that holds the credential itself, where settings say which: nobody may read it who reads a request.
    fn credential_header(&self, settings: &Settings) -> Option<String> {
        let _ = settings;
        None
    }

    /// The bytes that a right signature of this request is of; `None` where nothing is signed, or it cannot be made.
    /// Asked by [`crate::diagnosis`] alone.
    fn signed(&self, request: &Unverified) -> Option<Vec<u8>> {
        Some(request.body().to_vec())
    }

    /// What senders are known to sign in place of it, with words for what is wrong then. Asked by [`crate::diagnosis`]
    /// alone.
    fn mistaken(&self, request: &Unverified) -> Vec<(Vec<u8>, &'static str)> {
        let _ = request;
        Vec::new()
    }

    /// How a request is signed, where its receiver's settings say. Asked by [`crate::diagnosis`] alone.
    fn scheme(&self, request: &Unverified) -> Option<Scheme> {
        let _ = request;
        None
    }

    /// The key that a secret stands for, where the receiver's settings say how it is written; `None` also where it is not
    /// written so. Asked by [`crate::diagnosis`] alone.
    fn key_bytes(&self, settings: &Settings, secret: &Secret) -> Option<Zeroizing<Vec<u8>>> {
        let _ = (settings, secret);
        None
    }

    /// Whether the body (or a header that is no signature) has this dialect's shape, for somebody who does not know
    /// which it is. Proves nothing.
    fn resembles(&self, request: &Unverified) -> bool {
        let _ = request;
        false
    }

    /// The headers that the vendor would set, for tests and tools that stand in for it. Asked only of dialects that we do
    /// not send.
    ///
    /// # Errors
    /// As [`Outbound::headers`].
    fn vendor_headers(&self, message: &Message<'_>, keys: &[Key]) -> Result<Vec<Header>, EncodeError> {
        let _ = (message, keys);
        Ok(Vec::new())
    }

    /// The text that is signed where it is not the body. The same text is the same message, however the body was spelled.
    /// `None` for a body that has none.
    fn canonical(&self, body: &[u8]) -> Option<String> {
        let _ = body;
        None
    }

    /// The JSON of a message, where it is not the whole body.
    ///
    /// # Errors
    /// When there is none.
    fn json(&self, headers: &Headers, body: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        let _ = (headers, body);
        Ok(None)
    }

    /// The body without what nobody may keep, as long as before; `None` where there is nothing of the kind. Whoever keeps
    /// requests, refused ones too, keeps this.
    fn redacted(&self, headers: &Headers, body: &[u8]) -> Option<Vec<u8>> {
        let _ = (headers, body);
        None
    }

    /// The status for JSON that lacks a required member: 422, unless the vendor's document says otherwise.
    fn payload_invalid_status(&self) -> u16 {
        422
    }
}

/// Most dialects have none.
fn no_settings(settings: &Settings) -> Result<(), SettingsError> {
    match settings.members().keys().next() {
        None => Ok(()),
        Some(name) => {
            let detail = "this format knows no such setting".to_owned();
            Err(SettingsError { pointer: format!("/{name}"), detail })
        }
    }
}

/// What the headers of one attempt are made of.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Id of the delivery, the same on every attempt; no full stop in it. Vendors with a GUID get it bare.
    pub id: &'a str,
    /// The dialect's event name, from [`Outbound::event_name`].
    pub event: &'a str,
    /// Time of the event.
    pub occurred_at: Timestamp,
    /// Time of this attempt.
    pub sent_at: Timestamp,
    /// The body as it goes out.
    pub body: &'a [u8],
}

/// One header line to send. On HTTP/1.1 the name goes out in exactly this casing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The name in the vendor's casing.
    pub name: &'static str,
    /// The value.
    pub value: String,
}

/// Why an event cannot be said in a dialect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The dialect has no event for this type.
    #[error("the dialect has no event for {0}")]
    NoSuchEvent(EventType),
    /// The event's data lacks a member or holds the wrong type.
    #[error("the event's data does not fit: {0}")]
    Data(String),
    /// The owner's template has no value for this event.
    #[error("the template cannot be filled in for this event: {0}")]
    Template(String),
    /// There is no key of the kind that the dialect signs with.
    #[error("the dialect signs with {wanted}, and no such key is configured")]
    Key {
        /// The kind wanted.
        wanted: &'static str,
    },
}
