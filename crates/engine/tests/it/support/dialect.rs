//! A dialect with everything that is awkward about the real ones.

use std::borrow::Cow;

use watchbell_wire::dialect::{Credential, EncodeError, Outbound, Secrets};
use watchbell_wire::{Dialect, Event, EventType, Header, Key, Message, Secret, SecretError};

pub(crate) static DIALECT: Dialect = dialect("test", Credential::SecretGiven);
pub(crate) static BEARER: Dialect = dialect("test-bearer", Credential::BearerToken);

const fn dialect(id: &'static str, credential: Credential) -> Dialect {
    Dialect { id, name: id, source: "", credential, secrets: &Plain, inbound: None, outbound: Some(&Plain) }
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

impl Outbound for Plain {
    fn event_name<'a>(&self, event_type: &'a EventType) -> Option<Cow<'a, str>> {
        (*event_type != EventType::ScanFailed).then(|| event_type.as_str().into())
    }

    fn encode(&self, event: &Event) -> Result<Vec<u8>, EncodeError> {
        assert!(!event.data.text().contains("poison"), "a poisonous event");
        Ok(event.data.text().as_bytes().to_vec())
    }

    fn headers(&self, message: &Message<'_>, keys: &[Key]) -> Result<Vec<Header>, EncodeError> {
        let Some(Key::Token(token)) = keys.first() else {
            return Err(EncodeError::Key { wanted: "a token" });
        };
        let line = |name, value: &str| Header { name, value: value.to_owned() };
        Ok(vec![
            line("Content-Type", "application/json"),
            line("X-Snyk-Transport-ID", message.id),
            line("symbioticsec_signature", token.expose()),
            line("webhook-id", message.event),
            line("X-SENT-at", &message.sent_at.to_string()),
        ])
    }
}
