//! `watchbell send`: post an event.

use std::io::Read;

use bytes::Bytes;
use serde_json::json;
use serde_json::value::RawValue;

use super::connect::Connect;
use super::{Done, Failure, Output};
use crate::client::{JSON, Request};

/// No server takes a larger event.
const DATA_BYTES_MAX: u64 = 64 << 20;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchbell send evidence.completed --data @evidence.json
  watchbell send build.finished --data '{\"commit\": \"4f2a\", \"ok\": true}'
  jq -c . event.json | watchbell send scan.completed --data - --project shop --idempotency-key run-17")]
pub(super) struct Args {
    /// The event's type, such as vulnerability.created or a type of your own
    #[arg(value_name = "TYPE")]
    event_type: String,
    /// The event's data: JSON, @FILE, or - for stdin. Sent on byte for byte
    #[arg(long, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    data: String,
    /// When it happened (RFC 3339); now when absent
    #[arg(long, value_name = "TIME")]
    occurred_at: Option<String>,
    /// The project it is about: its id or name
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// Post once, however often this command is repeated with the same key
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

/// An event as the API takes it; `data` keeps its bytes.
#[derive(serde::Serialize)]
struct Posted<'a> {
    #[serde(rename = "type")]
    event_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    occurred_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a str>,
    data: &'a RawValue,
}

impl Args {
    pub(super) fn run(self, out: Output) -> Done {
        let text = read_json("--data", &self.data)?;
        let data: &RawValue = serde_json::from_str(&text).map_err(|error| {
            Failure::usage(format!("--data is not JSON: {error}")).advise("a file's content is given as @FILE")
        })?;
        let posted = Posted {
            event_type: &self.event_type,
            occurred_at: self.occurred_at.as_deref(),
            project: self.project.as_deref(),
            data,
        };
        let body = serde_json::to_vec(&posted).map_err(|error| Failure::usage(error.to_string()))?;
        let mut request = Request::post(self.connect.path("/events"), &json!({})).once(self.idempotency_key);
        request.body = Some((JSON, Bytes::from(body)));
        let answer = self.connect.ask(request)?;
        if out.json {
            out.value(&answer);
        } else {
            let id = answer.get("id").and_then(|id| id.as_str()).unwrap_or("(no id)");
            out.line(format!("accepted {id}"));
            out.line(format!("see it through: watchbell event show {id}"));
        }
        Ok(())
    }
}

/// What was given: the text itself, a file's as @FILE, stdin's as -.
pub(super) fn read_json(flag: &str, data: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let read = match (data, data.strip_prefix('@')) {
        ("-", _) => std::io::stdin().lock().take(DATA_BYTES_MAX).read_to_string(&mut text),
        (_, Some(path)) => {
            std::fs::File::open(path).and_then(|file| file.take(DATA_BYTES_MAX).read_to_string(&mut text))
        }
        (data, None) => return Ok(data.to_owned()),
    };
    read.map_err(|error| Failure::usage(format!("{flag} {data}: {error}")))?;
    Ok(text)
}
