//! Any HTTP endpoint: the event as it is, to whoever can read JSON.
//!
//! The body is that of [`standard`], `{"type", "timestamp", "data"}` with `data` byte for byte as it was
//! posted, without a signature. What authenticates is a bearer token where a secret is given, or the endpoint's own
//! headers.

use std::borrow::Cow;

use serde::Deserialize;

use super::opaque::{Opaque, token};
use super::{Carrier, Credential, Dialect, EncodeError, Header, Message, Outbound, Settings, SettingsError, standard};
use crate::{Event, EventType, Key};

pub(super) static DIALECT: Dialect = Dialect {
    id: "http",
    name: "HTTP",
    source: "https://www.rfc-editor.org/rfc/rfc9110",
    credential: Credential::SecretOptional,
    carrier: Carrier::Http,
    url_is_secret: false,
    secrets: &Opaque,
    inbound: None,
    outbound: Some(&Http),
};

/// What an HTTP endpoint may set.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Members {
    /// `POST` when left out.
    method: Method,
    /// The media type of the body: `application/json` when left out.
    content_type: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Method {
    #[default]
    Post,
    Put,
    Patch,
}

const CONTENT_TYPE: &str = "application/json";
const CONTENT_TYPE_LENGTH_MAX: usize = 100;

struct Http;

impl Outbound for Http {
    fn event_name<'a>(&self, event_type: &'a EventType) -> Option<Cow<'a, str>> {
        Some(event_type.as_str().into())
    }

    fn encode(&self, event: &Event, settings: &Settings) -> Result<Vec<u8>, EncodeError> {
        settings.read::<Members>()?;
        Ok(standard::body(event))
    }

    fn headers(&self, _: &Message<'_>, keys: &[Key]) -> Result<Vec<Header>, EncodeError> {
        let mut headers = vec![Header { name: "Content-Type", value: CONTENT_TYPE.to_owned() }];
        if !keys.is_empty() {
            let value = format!("Bearer {}", token(keys, "a bearer token")?);
            headers.push(Header { name: "Authorization", value });
        }
        Ok(headers)
    }

    fn check_settings(&self, settings: &Settings) -> Result<(), SettingsError> {
        let members: Members = settings.read()?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&^_.+-/;= \"".contains(&byte);
        let is_type = |text: &String| {
            text.len() <= CONTENT_TYPE_LENGTH_MAX
                && text.bytes().all(plain)
                && text.split(';').next().is_some_and(|kind| {
                    kind.split('/').count() == 2 && kind.trim_end().split('/').all(|part| !part.is_empty())
                })
        };
        match members.content_type.as_ref().is_none_or(is_type) {
            true => Ok(()),
            false => Err(SettingsError {
                pointer: "/content_type".to_owned(),
                detail: "a media type is wanted, such as application/json".to_owned(),
            }),
        }
    }

    fn method(&self, settings: &Settings) -> &'static str {
        match settings.read::<Members>().unwrap_or_default().method {
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
        }
    }

    fn content_type(&self, settings: &Settings) -> Option<String> {
        settings.read::<Members>().ok()?.content_type
    }
}
