//! `watchbell event …`: what happened, and where it went.

use clap::Subcommand;
use http::Method;
use serde_json::{Value, json};

use super::connect::{Connect, Paging, segment};
use super::{Done, Failure, Output};
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
    /// Say why endpoints got an event, or did not
    #[command(after_help = "Examples:
  watchbell event why evt_0192f0c1-…
  watchbell event why evt_0192f0c1-… --endpoint ep_0192f0c1-…

What was recorded when the event was accepted stands first; what the rules say now stands below it, and may differ where a rule
was changed since.")]
    Why {
        /// About this endpoint only
        #[arg(long, value_name = "EP")]
        endpoint: Option<String>,
        #[command(flatten)]
        paging: Paging,
        #[command(flatten)]
        named: Named,
    },
    /// Deliver one event again, as new deliveries
    #[command(after_help = "Examples:
  watchbell event replay evt_0192f0c1-…")]
    Replay(Named),
    /// Erase what an event says, or every event about a subject
    #[command(after_help = "Examples:
  watchbell event erase evt_0192f0c1-… --yes
  watchbell event erase --pointer /creator --value '\"ada@example.com\"' --yes
  watchbell event erase --text ada@example.com --yes
  watchbell event erase --show ers_0192f0c1-…

Ids, types, times and outcomes stay; what has not ended is cancelled. Nothing brings the data back. A search for a subject
runs in the server; findings of projects are not part of it.")]
    Erase(Erase),
    /// List the types of events there are
    #[command(after_help = "Examples:
  watchbell event types
  watchbell event types --json | jq '.items[].type'")]
    Types {
        #[command(flatten)]
        connect: Connect,
    },
}

/// What to erase.
#[derive(Debug, clap::Args)]
#[group(id = "which", required = true, multiple = false, args = ["id", "pointer", "text", "show"])]
struct Erase {
    /// The event's id
    id: Option<String>,
    /// Events that have --value at this JSON pointer into their data
    #[arg(long, value_name = "POINTER", requires = "value")]
    pointer: Option<String>,
    /// What stands there, as JSON (a text in its quotes)
    #[arg(long, value_name = "JSON", requires = "pointer")]
    value: Option<String>,
    /// Events with this text in a string of their data
    #[arg(long)]
    text: Option<String>,
    /// Only show how far an erasure by subject came
    #[arg(long, value_name = "ID")]
    show: Option<String>,
    /// Really erase
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    connect: Connect,
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
            Action::Why { endpoint, paging, named } => {
                let path = named.connect.path(&format!("/events/{}/why", segment(&named.id)));
                why(out, &named.connect.ask(paging.onto(Request::get(path).with("endpoint", endpoint)))?);
            }
            Action::Replay(named) => out.thing(&named.ask(Method::POST, "/replay")?),
            Action::Erase(erase) => erase.run(out)?,
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

/// Per endpoint: what was recorded, then each rule that has something to say.
fn why(out: Output, page: &Value) {
    if out.json {
        return out.value(page);
    }
    let text =
        |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    for item in page.get("items").and_then(Value::as_array).into_iter().flatten() {
        let got = item.get("got").and_then(Value::as_bool).unwrap_or_default();
        let verdict = if got { "got it".to_owned() } else { format!("did not get it ({})", text(item, "/reason")) };
        out.line(format!("{} {}", text(item, "/endpoint_id"), verdict.replace(" ()", "")));
        out.line(format!("  {}", text(item, "/because")));
        if item.pointer("/now/changed_since").and_then(Value::as_bool).unwrap_or_default() {
            out.line("  the endpoint was changed since; its rules now:");
        }
        for rule in item.pointer("/now/rules").and_then(Value::as_array).into_iter().flatten() {
            let passes = match rule.get("passes").and_then(Value::as_bool) {
                Some(true) => "pass",
                Some(false) => "stop",
                None => "?",
            };
            out.line(format!("  {passes:4}  {:12}  {}", text(rule, "/rule"), text(rule, "/because")));
            for (name, value) in rule.get("names").and_then(Value::as_object).into_iter().flatten() {
                out.line(format!("                        {name} = {value}"));
            }
        }
    }
    if let Some(cursor) = page.get("next_cursor").and_then(Value::as_str) {
        out.line(format!("more: --cursor {cursor}"));
    }
}

impl Erase {
    fn run(self, out: Output) -> Done {
        let request = match (&self.show, &self.id) {
            (Some(id), _) => Request::get(self.connect.path(&format!("/erasures/{}", segment(id)))),
            (None, _) if !self.yes => {
                return Err(Failure::usage("nothing brings erased data back: add --yes to erase"));
            }
            (None, Some(id)) => {
                Request::new(Method::POST, self.connect.path(&format!("/events/{}/erase", segment(id))))
            }
            (None, None) => Request::post(self.connect.path("/erasures"), &self.subject()?),
        };
        out.thing(&self.connect.ask(request)?);
        Ok(())
    }

    fn subject(&self) -> Result<Value, Failure> {
        let Some(value) = &self.value else {
            return Ok(json!({"text": self.text}));
        };
        let value: Value = serde_json::from_str(value).map_err(|problem| {
            Failure::usage(format!("--value is no JSON: {problem}")).advise("a text has quotes: '\"ada\"'")
        })?;
        Ok(json!({"pointer": self.pointer, "value": value}))
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
    fn ask(&self, method: Method, rest: &str) -> Result<Value, Failure> {
        self.connect.ask(Request::new(method, self.connect.path(&format!("/events/{}{rest}", segment(&self.id)))))
    }
}
