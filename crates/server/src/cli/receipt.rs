//! `watchbell receipt …`: what sources called with, and what became of it.

use clap::Subcommand;
use http::Method;
use serde_json::Value;

use super::connect::{Connect, Paging, segment};
use super::output::{BAD, FAINT, GOOD, plain};
use super::source::source_id;
use super::{Done, Failure, Output};
use crate::client::Request;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List receipts, newest first; those of refused requests too
    #[command(after_help = "Examples:
  watchbell receipt list --source snyk
  watchbell receipt list --verdict signature_mismatch")]
    List {
        /// Of this source: its name or id
        #[arg(long)]
        source: Option<String>,
        /// With this verdict: accepted, duplicate, unknown_event, signature_mismatch, …
        #[arg(long)]
        verdict: Option<String>,
        #[command(flatten)]
        paging: Paging,
        #[command(flatten)]
        connect: Connect,
    },
    /// Show one receipt: headers, body, verdict and why
    #[command(after_help = "Examples:
  watchbell receipt show rcp_0192f0c1-…")]
    Show(Named),
    /// Accept a request that was refused, as it is and unverified
    #[command(after_help = "Examples:
  watchbell receipt accept rcp_0192f0c1-…")]
    Accept(Named),
    /// Make the events of a request that was taken anew
    #[command(after_help = "Examples:
  watchbell receipt replay rcp_0192f0c1-…")]
    Replay(Named),
}

/// One receipt of the server.
#[derive(Debug, clap::Args)]
struct Named {
    /// The receipt's id
    id: String,
    #[command(flatten)]
    connect: Connect,
}

const COLUMNS: &[(&str, &[&str])] = &[
    ("id", &["id"]),
    ("received", &["received_at"]),
    ("source", &["source_id"]),
    ("verdict", &["verdict"]),
    ("status", &["status"]),
    ("event", &["vendor_event"]),
    ("why", &["detail"]),
];

impl Args {
    pub(super) fn run(self, out: Output) -> Done {
        match self.action {
            Action::List { source, verdict, paging, connect } => {
                let source = source.map(|source| source_id(&source, &connect)).transpose()?;
                let request = Request::get(connect.path("/receipts")).with("source", source).with("verdict", verdict);
                out.page(&connect.ask(paging.onto(request))?, COLUMNS);
            }
            Action::Show(named) => show(&named.ask(Method::GET, "")?, out),
            Action::Accept(named) => out.thing(&named.ask(Method::POST, "/accept")?),
            Action::Replay(named) => out.thing(&named.ask(Method::POST, "/replay")?),
        }
        Ok(())
    }
}

impl Named {
    fn ask(&self, method: Method, rest: &str) -> Result<Value, Failure> {
        self.connect.ask(Request::new(method, self.connect.path(&format!("/receipts/{}{rest}", segment(&self.id)))))
    }
}

/// The verdict and why, then the request as it came.
fn show(found: &Value, out: Output) {
    if out.json {
        return out.value(found);
    }
    let text = |member: &str| found.get(member).filter(|value| !value.is_null()).map(plain).unwrap_or_default();
    let look = if found.get("status").and_then(Value::as_u64).is_some_and(|status| status < 300) { GOOD } else { BAD };
    out.line(format!(
        "{look}{}{look:#} {FAINT}answered {}, {} from {} to {}{FAINT:#}",
        text("verdict"),
        text("status"),
        text("received_at"),
        text("address"),
        text("source_id")
    ));
    for (name, value) in [("why", text("detail")), ("event", text("vendor_event")), ("of", text("of"))] {
        if !value.is_empty() {
            out.line(format!("{name}: {value}"));
        }
    }
    for event in found.get("events").and_then(Value::as_array).into_iter().flatten() {
        out.line(format!("made: {}", plain(event)));
    }
    out.line("");
    out.line(text("method"));
    for line in found.get("headers").and_then(Value::as_array).into_iter().flatten() {
        let part = |member: &str| line.get(member).map(plain).unwrap_or_default();
        out.line(format!("{}: {}", part("name"), part("value")));
    }
    out.line("");
    let body = found.get("body").and_then(Value::as_str);
    match body {
        Some(body) => body.lines().for_each(|line| out.line(plain(&line.into()))),
        None if found.get("body_base64").is_some_and(|body| !body.is_null()) => {
            out.line(format!("{FAINT}(bytes that are no text; --json has them){FAINT:#}"));
        }
        None => {}
    }
    let came = found.get("body_bytes").and_then(Value::as_u64).unwrap_or_default();
    if came > 0 && body.is_some_and(str::is_empty) {
        out.line(format!("{FAINT}({came} bytes came, and were not kept){FAINT:#}"));
    }
}
