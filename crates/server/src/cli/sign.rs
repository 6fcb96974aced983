//! `watchbell sign`: the headers that a sender of a body would set. Needs no server.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::json;
use watchbell_domain::id::DeliveryId;
use watchbell_domain::port::Clock;
use watchbell_wire::{Dialect, Message};

use super::{Done, Failure, Output, message};
use crate::clock::SystemClock;
use crate::entropy::OsEntropy;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchbell sign --dialect snyk --secret-file secret.txt < body.json
  watchbell sign --dialect standard --secret-file s --id msg_1 --timestamp 1700000000 < body.json
  curl -H @<(watchbell sign --dialect aegis --secret-file s < b) --data-binary @b https://…

The secret is the file's exact bytes; one newline at its end does not count.")]
pub(super) struct Args {
    /// The vendor's format: snyk, symbiotic, aegis, bearer-scan, standard, cloudevents
    #[arg(long, value_parser = message::dialect_by_id)]
    dialect: &'static Dialect,
    /// File with the secret
    #[arg(long, value_name = "FILE")]
    secret_file: PathBuf,
    /// Id of the delivery; made when absent
    #[arg(long)]
    id: Option<String>,
    /// Time of sending, Unix seconds or RFC 3339; now when absent
    #[arg(long, value_name = "TIME", value_parser = message::instant, allow_hyphen_values = true)]
    timestamp: Option<Timestamp>,
    /// The event's name on the wire, for dialects that name it in a header; seen from the body when absent
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// File with the body; stdin when absent
    #[arg(long, value_name = "FILE")]
    body_file: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self, out: Output) -> Done {
        let secret = message::read_secret(&self.secret_file)?;
        let body = message::read_body(self.body_file.as_ref())?;
        let key = self
            .dialect
            .secrets
            .key(&secret)
            .map_err(|error| Failure::failed(format!("{error} ({})", self.secret_file.display())))?;
        let now = SystemClock::start().now();
        let sent_at = self.timestamp.unwrap_or(now);
        let id = self.id.unwrap_or_else(|| DeliveryId::make(now, &OsEntropy).bare());
        let event = self.event.unwrap_or_else(|| event_of(&body).to_owned());
        let message = Message { id: &id, event: &event, occurred_at: sent_at, sent_at, body: &body };
        let headers = self.dialect.sign(&message, &[key]).map_err(|error| Failure::failed(error.to_string()))?;
        if out.json {
            let headers: Vec<_> =
                headers.iter().map(|header| json!({"name": header.name, "value": header.value})).collect();
            out.value(&json!({"headers": headers}));
        } else {
            for header in headers {
                out.line(format!("{}: {}", header.name, header.value));
            }
        }
        Ok(())
    }
}

/// Snyk names its event in a header; the two bodies that it has are told apart by their members.
fn event_of(body: &[u8]) -> &'static str {
    let is_ping = serde_json::from_slice::<serde_json::Value>(body).is_ok_and(|body| body.get("webhookId").is_some());
    if is_ping { "ping/v0" } else { "project_snapshot/v0" }
}
