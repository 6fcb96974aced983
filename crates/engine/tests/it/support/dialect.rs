//! A dialect with everything that is awkward about the real ones.

use std::borrow::Cow;

use jiff::SignedDuration;
use watchbell_wire::dialect::{Carrier, Credential, EncodeError, Exchange, Judgement, Outbound, Request, Secrets};
use watchbell_wire::{Dialect, Event, EventType, Header, Key, Message, Secret, SecretError, Settings};

pub(crate) static DIALECT: Dialect = Dialect {
    id: "test",
    name: "test",
    source: "",
    credential: Credential::SecretGiven,
    carrier: Carrier::Http,
    url_is_secret: false,
    secrets: &Plain,
    inbound: None,
    outbound: Some(&Plain),
};

/// With this among its settings an endpoint is asked at `…/first?of=2`, then at `/second`, whose
/// answer says what became of it.
pub(crate) const TALKS: &str = "talks";

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

    fn encode(&self, event: &Event, _: &Settings) -> Result<Vec<u8>, EncodeError> {
        assert!(!event.data.text().contains("poison"), "a poisonous event");
        Ok(event.data.text().as_bytes().to_vec())
    }

    fn target(&self, _: &Event, settings: &Settings, path: &str) -> Option<String> {
        settings.members().contains_key(TALKS).then(|| format!("{path}/first?of=2"))
    }

    fn keyed<'a>(&self, body: &'a [u8], keys: &[Key]) -> Result<Cow<'a, [u8]>, EncodeError> {
        let keyed = body.strip_suffix(b"keyless\"}").zip(keys.first());
        Ok(match keyed {
            Some((body, Key::Token(token))) => Cow::Owned([body, token.expose().as_bytes(), b"\"}"].concat()),
            _ => Cow::Borrowed(body),
        })
    }

    fn judge(&self, exchange: &Exchange<'_>) -> Judgement {
        if !exchange.settings.members().contains_key(TALKS) {
            return Judgement::ByStatus;
        }
        let [_, second] = exchange.answers else {
            return Judgement::Ask(Request { method: "GET", target: "/second".to_owned(), body: Vec::new() });
        };
        let detail = String::from_utf8_lossy(second.body).into_owned();
        match second.body {
            b"busy" => Judgement::Failed { detail, pause: Some(SignedDuration::from_mins(7)) },
            b"never" => Judgement::Refused { detail },
            b"gone" => Judgement::Gone { detail },
            _ => Judgement::ByStatus,
        }
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
