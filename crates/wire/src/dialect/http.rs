//! Any HTTP endpoint: the event as it is, to whoever can read JSON.
//!
//! The body is that of [`standard`], `{"type", "timestamp", "data"}` with `data` byte for byte as it was
//! posted, or what the owner's template (`settings.body`, see [`Template`]) makes of the event; without a signature. What
//! authenticates is a bearer token where a secret is given, or the endpoint's own headers. Several at once are an array of
//! what each is by itself.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::opaque::{Opaque, token};
use super::{
    Carrier, Credential, Dialect, EncodeError, Header, Message, Outbound, Part, Settings, SettingsError, standard,
};
use crate::expression::{Facts, Misplaced, Name, Template};
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
    /// A JSON document whose texts may hold `${ expression }`. None: the event as it is.
    #[serde(rename = "body")]
    _body: IgnoredAny,
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

/// What stands around an event and not in it.
const UNKNOWN: [Name; 5] = [Name::Project, Name::Owner, Name::Source, Name::Vendor, Name::Org];

struct Http;

/// A body is a function of the event alone, so that it is the same on every attempt.
fn check_names(template: &Template) -> Result<(), SettingsError> {
    let asked = UNKNOWN.iter().find_map(|name| Some((name, template.asks(*name)?)));
    match asked {
        None => Ok(()),
        Some((name, pointer)) => Err(SettingsError {
            pointer: format!("/body{pointer}"),
            detail: format!(
                "a template knows what the event itself says, such as data.project_id, and not {}",
                name.as_str()
            ),
        }),
    }
}

impl Outbound for Http {
    fn event_name<'a>(&self, event_type: &'a EventType) -> Option<Cow<'a, str>> {
        Some(event_type.as_str().into())
    }

    fn encode(&self, event: &Event, settings: &Settings) -> Result<Vec<u8>, EncodeError> {
        let Some(template) = settings.template() else { return Ok(standard::body(event)) };
        let unfit = |misplaced: &Misplaced| EncodeError::Template(SettingsError::from(misplaced).to_string());
        let (id, time) = (event.id.hyphenated().to_string(), event.occurred_at);
        let facts = Facts::of(&event.event_type, &event.data).of_event(&id, time);
        let filled = template.map_err(unfit)?.fill(&facts).map_err(|misplaced| unfit(&misplaced))?;
        Ok(filled.to_string().into_bytes())
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
        if !members.content_type.as_ref().is_none_or(is_type) {
            return Err(SettingsError {
                pointer: "/content_type".to_owned(),
                detail: "a media type is wanted, such as application/json".to_owned(),
            });
        }
        match settings.template() {
            None => Ok(()),
            Some(template) => check_names(template?),
        }
    }

    fn template<'s>(&self, settings: &'s Settings) -> Option<&'s Template> {
        settings.template()?.ok()
    }

    fn joins(&self) -> bool {
        true
    }

    fn join(&self, parts: &[Part<'_>], _: &Settings) -> Option<Result<Vec<u8>, EncodeError>> {
        let mut body = vec![b'['];
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            body.extend_from_slice(part.body);
        }
        body.push(b']');
        Some(Ok(body))
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
