//! `watchbell delivery …`: events on their way to endpoints.

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
    /// List deliveries, newest first
    #[command(after_help = "Examples:
  watchbell delivery list --state dead_lettered
  watchbell delivery list --endpoint ep_0192f0c1-… --state pending")]
    List {
        /// In this state: pending, sending, held, delivered, dead_lettered, cancelled
        #[arg(long)]
        state: Option<String>,
        /// To this endpoint
        #[arg(long, value_name = "ID")]
        endpoint: Option<String>,
        /// Of this event
        #[arg(long, value_name = "ID")]
        event: Option<String>,
        #[command(flatten)]
        paging: Paging,
        #[command(flatten)]
        connect: Connect,
    },
    /// Show one delivery with its attempts
    #[command(after_help = "Examples:
  watchbell delivery show dlv_0192f0c1-…")]
    Show(Named),
    /// Try a waiting delivery now
    #[command(after_help = "Examples:
  watchbell delivery retry dlv_0192f0c1-…")]
    Retry(Named),
    /// Give up a waiting delivery
    #[command(after_help = "Examples:
  watchbell delivery cancel dlv_0192f0c1-…")]
    Cancel(Named),
}

/// One delivery of the server.
#[derive(Debug, clap::Args)]
struct Named {
    /// The delivery's id
    id: String,
    #[command(flatten)]
    connect: Connect,
}

impl Args {
    pub(super) fn run(self, out: Output) -> Done {
        match self.action {
            Action::List { state, endpoint, event, paging, connect } => {
                let request = Request::get(connect.path("/deliveries"))
                    .with("state", state)
                    .with("endpoint", endpoint)
                    .with("event", event);
                let mut page = connect.ask(paging.onto(request))?;
                if !out.json {
                    page.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten().for_each(summarise);
                }
                let columns: &[(&str, &[&str])] = &[
                    ("id", &["id"]),
                    ("state", &["state"]),
                    ("endpoint", &["endpoint_id"]),
                    ("event", &["event_id"]),
                    ("attempts", &["attempts"]),
                    ("last result", &["last_result"]),
                ];
                out.page(&page, columns);
            }
            Action::Show(named) => out.thing(&named.ask(Method::GET, "")?),
            Action::Retry(named) => out.thing(&named.ask(Method::POST, "/retry")?),
            Action::Cancel(named) => out.thing(&named.ask(Method::POST, "/cancel")?),
        }
        Ok(())
    }
}

/// Attempts as their number and the last one's result.
fn summarise(delivery: &mut Value) {
    let Some(members) = delivery.as_object_mut() else {
        return;
    };
    let Some(Value::Array(attempts)) = members.remove("attempts") else {
        return;
    };
    if let Some(result) = attempts.last().and_then(|attempt| attempt.get("result")) {
        members.insert("last_result".to_owned(), result.clone());
    }
    members.insert("attempts".to_owned(), attempts.len().into());
}

impl Named {
    fn ask(&self, method: Method, rest: &str) -> Result<Value, super::Failure> {
        self.connect.ask(Request::new(method, self.connect.path(&format!("/deliveries/{}{rest}", segment(&self.id)))))
    }
}
