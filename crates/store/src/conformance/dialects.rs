//! Two dialects that exist for the suite: one says everything, one says little.

use std::borrow::Cow;

use watchbell_wire::dialect::{Carrier, Credential, EncodeError, Outbound, Secrets};
use watchbell_wire::{Dialect, Event, EventType, Header, Key, Message, Secret, SecretError, Settings};

/// Says every event.
pub static ALL: Dialect = dialect("all", &Says { only: None });
/// Says `vulnerability.created`.
pub static FEW: Dialect = dialect("few", &Says { only: Some(EventType::VulnerabilityCreated) });

/// Finds them by id.
pub fn find(id: &str) -> Option<&'static Dialect> {
    [&ALL, &FEW].into_iter().find(|dialect| dialect.id == id)
}

const fn dialect(id: &'static str, outbound: &'static Says) -> Dialect {
    Dialect {
        id,
        name: id,
        source: "",
        credential: Credential::SecretGiven,
        carrier: Carrier::Http,
        url_is_secret: false,
        secrets: &Plain,
        inbound: None,
        outbound: Some(outbound),
    }
}

struct Plain;

impl Secrets for Plain {
    fn key(&self, secret: &Secret) -> Result<Key, SecretError> {
        Ok(Key::Token(secret.clone()))
    }

    fn check(&self, secret: &Secret) -> Result<Secret, SecretError> {
        Ok(secret.clone())
    }

    fn make(&self, random: [u8; 32]) -> Secret {
        Secret::new(hex::encode(random))
    }
}

struct Says {
    only: Option<EventType>,
}

impl Outbound for Says {
    fn event_name<'a>(&self, event_type: &'a EventType) -> Option<Cow<'a, str>> {
        let says = self.only.as_ref().is_none_or(|only| only == event_type);
        says.then(|| event_type.as_str().into())
    }

    fn encode(&self, event: &Event, _: &Settings) -> Result<Vec<u8>, EncodeError> {
        Ok(event.data.text().as_bytes().to_vec())
    }

    fn headers(&self, _: &Message<'_>, _: &[Key]) -> Result<Vec<Header>, EncodeError> {
        Ok(Vec::new())
    }
}
