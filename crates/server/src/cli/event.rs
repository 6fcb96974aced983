//! `watchbell event …`: what happened, and where it went.

use clap::Subcommand;
use http::Method;
use serde_json::Value;

use super::connect::{Connect, Paging, segment};
use super::{Done, Output};
use crate::client::Request;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List events, newest first
    #[command(after_help = "Examples:
  watchbell event list
  watchbell event list --type vulnerability.created --since 2026-01-01T00:00:00Z")]
    List {
        /// Of this type only
        #[arg(long = "type", value_name = "TYPE")]
        event_type: Option<String>,
        /// Accepted at or after this time (RFC 3339)
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Accepted before this time (RFC 3339)
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        #[command(flatten)]
        paging: Paging,
        #[command(flatten)]
        connect: Connect,
    },
    /// Show one event, its deliveries, and why other endpoints did not get it
    #[command(after_help = "Examples:
  watchbell event show evt_0192f0c1-…")]
    Show(Named),
    /// Deliver one event again, as new deliveries
    #[command(after_help = "Examples:
  watchbell event replay evt_0192f0c1-…")]
    Replay(Named),
    /// List the types of events there are
    #[command(after_help = "Examples:
  watchbell event types
  watchbell event types --json | jq '.items[].type'")]
    Types {
        #[command(flatten)]
        connect: Connect,
    },
}

/// One event of the server.
#[derive(Debug, clap::Args)]
struct Named {
    /// The event's id
    id: String,
    #[command(flatten)]
    connect: Connect,
}

impl Args {
    pub(super) fn run(self, out: Output) -> Done {
        match self.action {
            Action::List { event_type, since, until, paging, connect } => {
                let request = Request::get(connect.path("/events"))
                    .with("type", event_type)
                    .with("since", since)
                    .with("until", until);
                let columns: &[(&str, &[&str])] = &[
                    ("id", &["id"]),
                    ("type", &["type"]),
                    ("accepted", &["accepted_at"]),
                    ("project", &["project_id", "project"]),
                ];
                out.page(&connect.ask(paging.onto(request))?, columns);
            }
            Action::Show(named) => out.thing(&named.ask(Method::GET, "")?),
            Action::Replay(named) => out.thing(&named.ask(Method::POST, "/replay")?),
            Action::Types { connect } => {
                let mut page = connect.ask(Request::get(connect.path("/event-types")))?;
                if !out.json {
                    page.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten().for_each(name_dialects);
                }
                out.page(&page, &[("type", &["type"]), ("dialects that can say it", &["dialects"])]);
            }
        }
        Ok(())
    }
}

/// `[{"dialect": "snyk", "name": "ping/v0"}]` as `snyk ping/v0`.
fn name_dialects(event_type: &mut Value) {
    let Some(Value::Array(dialects)) = event_type.get_mut("dialects") else {
        return;
    };
    for saying in dialects {
        let text = |name: &str| saying.get(name).and_then(Value::as_str).unwrap_or_default();
        *saying = Value::String(format!("{} {}", text("dialect"), text("name")));
    }
}

impl Named {
    fn ask(&self, method: Method, rest: &str) -> Result<Value, super::Failure> {
        self.connect.ask(Request::new(method, self.connect.path(&format!("/events/{}{rest}", segment(&self.id)))))
    }
}
