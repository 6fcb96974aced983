//! `watchbell receipt …`: what sources called with, and what became of it.

use clap::Subcommand;
use http::Method;
use serde_json::Value;

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
    /// List receipts, newest first; those of refused requests too
    #[command(after_help = "Examples:
  watchbell receipt list --source src_0192f0c1-…
  watchbell receipt list --verdict signature_mismatch")]
    List {
        /// Of this source
        #[arg(long, value_name = "ID")]
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
                let request = Request::get(connect.path("/receipts")).with("source", source).with("verdict", verdict);
                out.page(&connect.ask(paging.onto(request))?, COLUMNS);
            }
            Action::Show(named) => out.thing(&named.ask(Method::GET, "")?),
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
