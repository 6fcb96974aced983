//! A dialect by configuration: for senders that have none of their own here.
//!
//! The source's settings say how a request proves who sent it ([`auth`]) and what its body means in our members
//! ([`mapping`]). Every member of the settings may be left out; without any, the format is:
//!
//! ```text
//! X-Signature: sha256=<64 lower-case hex digits>        HMAC-SHA256 of the raw body, key = the secret's UTF-8 bytes
//!
//! {"type": "vulnerability.created", "title": …, "severity": …, …}      our members, at the top
//! ```
//!
//! Everything is checked when the settings are saved, with a pointer at the member that does not do.

use jiff::{SignedDuration, Timestamp};

use super::message::{KEY_BYTES_MIN, TextSecrets, malformed, object_of};
use super::{Carrier, Credential, Dialect, EncodeError, Header, Inbound, Message, Secrets, Settings, SettingsError};
use crate::json::tree::Value;
use crate::{Decoded, Key, Reason, Refusal, Secret, SecretError, Unverified, Verified};

mod auth;
mod mapping;
mod settings;
mod value;

pub(super) static DIALECT: Dialect = Dialect {
    id: "custom",
    name: "Custom (by configuration)",
    source: "docs/custom.md: how a request is signed and what it means are the source's settings",
    credential: Credential::SecretGivenOrMade,
    url_is_secret: false,
    carrier: Carrier::Http,
    secrets: &AnySecrets,
    inbound: Some(&Custom),
    outbound: None,
};

struct Custom;

/// The settings, checked.
struct Format {
    auth: auth::Auth,
    mapping: mapping::Mapping,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Given {
    auth: settings::Given,
    event: mapping::GivenEvent,
    id: Option<mapping::GivenId>,
    occurred_at: Option<String>,
    each: Option<String>,
    members: Option<std::collections::BTreeMap<String, mapping::GivenMember>>,
}

impl Format {
    fn read(settings: &Settings) -> Result<Self, SettingsError> {
        let given: Given = settings.read()?;
        let auth = auth::Auth::check(given.auth)?;
        let mapping = mapping::Mapping::check(given.event, given.id, given.occurred_at, given.each, given.members)?;
        Ok(Self { auth, mapping })
    }

    /// What was checked when it was saved; a later version may think otherwise.
    fn of(settings: &Settings) -> Result<Self, Refusal> {
        Self::read(settings).map_err(|error| Refusal::new(Reason::Unsupported, error.to_string()))
    }
}

impl Inbound for Custom {
    fn verify(
        &self,
        request: &Unverified,
        keys: &[Key],
        now: Timestamp,
        tolerance: SignedDuration,
    ) -> Result<(), Refusal> {
        Format::of(request.settings())?.auth.verify(request, keys, now, tolerance)
    }

    fn check_settings(&self, settings: &Settings) -> Result<(), SettingsError> {
        Format::read(settings).map(drop)
    }

    fn decode(&self, request: &Verified) -> Result<Decoded, Refusal> {
        let format = Format::of(request.settings())?;
        let body = Value::read(request.body()).map_err(|error| malformed(&error))?;
        let body = Value::Object(object_of(body)?);
        let sent_at = format.auth.sent_at(request.headers());
        format.mapping.decode(&body, request, sent_at)
    }

    fn credential_header(&self, settings: &Settings) -> Option<String> {
        Format::read(settings).ok()?.auth.credential_header()
    }

    fn signed(&self, request: &Unverified) -> Option<Vec<u8>> {
        Format::of(request.settings()).ok()?.auth.signed(request)
    }

    /// Those of the format without settings.
    fn vendor_headers(&self, message: &Message<'_>, keys: &[Key]) -> Result<Vec<Header>, EncodeError> {
        let value = auth::Auth::default().sign(message.body, keys)?;
        Ok(vec![
            Header { name: "Content-Type", value: "application/json".to_owned() },
            Header { name: auth::HEADER, value },
        ])
    }
}

/// The text itself. What is made of it, the settings say.
struct AnySecrets;

impl Secrets for AnySecrets {
    fn key(&self, secret: &Secret) -> Result<Key, SecretError> {
        match secret.expose() {
            "" => Err(SecretError::Empty),
            _ => Ok(Key::Token(secret.clone())),
        }
    }

    fn check(&self, secret: &Secret) -> Result<Secret, SecretError> {
        match secret.expose().len() {
            0 => Err(SecretError::Empty),
            bytes if bytes < KEY_BYTES_MIN => Err(SecretError::Length { bytes, wanted: "at least 16 are wanted" }),
            _ => Ok(secret.clone()),
        }
    }

    fn make(&self, random: [u8; 32]) -> Secret {
        TextSecrets.make(random)
    }
}
