//! `watchbell replay`: something was lost, or given up; send it again, watch it go, stop it.

use std::io::IsTerminal;
use std::time::Duration;

use clap::Subcommand;
use http::Method;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use super::connect::{Connect, Paging, segment};
use super::{Done, Failure, Output};
use crate::client::Request;

/// How often a running replay is asked how far it came.
const ASK_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  watchbell replay --endpoint ep_0192f0c1-… --since 2026-01-02T00:00:00Z             what would be sent
  watchbell replay --endpoint ep_0192f0c1-… --since 2026-01-02T00:00:00Z --yes       send it
  watchbell replay --state dead_lettered --reason exhausted --rate 20 --yes          only what was given up
  watchbell replay list                                                              replays and how far they came

Without --yes nothing is sent: the number of deliveries is printed. A replay makes new deliveries; each names the old one.
It runs in the server: ending this command does not end it, `watchbell replay cancel` does."
)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    new: New,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List replays, newest first
    #[command(after_help = "Examples:
  watchbell replay list
  watchbell replay list --json | jq '.items[] | select(.state == \"running\")'")]
    List {
        #[command(flatten)]
        paging: Paging,
        #[command(flatten)]
        connect: Connect,
    },
    /// Show one replay and how far it came
    #[command(after_help = "Examples:
  watchbell replay show rpl_0192f0c1-…")]
    Show(Named),
    /// Let a replay make no more deliveries; those that it made stay
    #[command(after_help = "Examples:
  watchbell replay cancel rpl_0192f0c1-…")]
    Cancel(Named),
}

/// One replay of the server.
#[derive(Debug, clap::Args)]
struct Named {
    /// The replay's id
    id: String,
    #[command(flatten)]
    connect: Connect,
}

/// What to send again.
#[derive(Debug, clap::Args)]
struct New {
    /// Deliveries to this endpoint
    #[arg(long, value_name = "ID")]
    endpoint: Option<String>,
    /// Deliveries made at or after this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Deliveries made before this time (RFC 3339); now when absent
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only those in this state: delivered, dead_lettered, cancelled
    #[arg(long)]
    state: Option<String>,
    /// Only those that ended for this reason, such as exhausted
    #[arg(long)]
    reason: Option<String>,
    /// Only of events of this type
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// At most so many, oldest first
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Deliveries a second, from 1 to 1000 (100)
    #[arg(long, value_name = "N")]
    rate: Option<u32>,
    /// Send, in place of counting
    #[arg(long)]
    yes: bool,
    /// Do not wait for the end
    #[arg(long, requires = "yes")]
    no_wait: bool,
    /// Sent again with the same key, it is the same replay
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

impl Args {
    pub(super) fn run(self, out: Output) -> Done {
        match self.action {
            None => self.new.run(out),
            Some(Action::List { paging, connect }) => {
                let columns: &[(&str, &[&str])] = &[
                    ("id", &["id"]),
                    ("state", &["state"]),
                    ("made", &["made"]),
                    ("of", &["matched"]),
                    ("created", &["created_at"]),
                ];
                out.page(&connect.ask(paging.onto(Request::get(connect.path("/replays"))))?, columns);
                Ok(())
            }
            Some(Action::Show(named)) => named.ask(Method::GET, "", out),
            Some(Action::Cancel(named)) => named.ask(Method::POST, "/cancel", out),
        }
    }
}

impl Named {
    fn ask(&self, method: Method, rest: &str, out: Output) -> Done {
        let path = self.connect.path(&format!("/replays/{}{rest}", segment(&self.id)));
        out.thing(&self.connect.ask(Request::new(method, path))?);
        Ok(())
    }
}

impl New {
    fn run(self, out: Output) -> Done {
        let body = Value::Object(self.body());
        let request = Request::post(self.connect.path("/replays"), &body).once(self.idempotency_key.clone());
        let mut answer = self.connect.ask(request)?;
        if self.yes && !self.no_wait {
            answer = self.watch(answer)?;
        }
        out.thing(&answer);
        if !self.yes && !out.json {
            out.line("nothing was sent; add --yes to send");
        }
        Ok(())
    }

    fn body(&self) -> Map<String, Value> {
        let members = [
            ("endpoint", self.endpoint.as_ref().map(|text| json!(text))),
            ("since", self.since.as_ref().map(|text| json!(text))),
            ("until", self.until.as_ref().map(|text| json!(text))),
            ("state", self.state.as_ref().map(|text| json!(text))),
            ("reason", self.reason.as_ref().map(|text| json!(text))),
            ("event_type", self.event_type.as_ref().map(|text| json!(text))),
            ("limit", self.limit.map(|number| json!(number))),
            ("rate", self.rate.map(|number| json!(number))),
            ("dry_run", Some(json!(!self.yes))),
        ];
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    /// Asks until the replay has ended; shows how far it is on a terminal.
    fn watch(&self, mut replay: Value) -> Result<Value, Failure> {
        let id = replay.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let path = self.connect.path(&format!("/replays/{}", segment(&id)));
        let bar = bar(replay.get("matched").and_then(Value::as_u64));
        while replay.get("state").and_then(Value::as_str) == Some("running") {
            bar.set_position(replay.get("made").and_then(Value::as_u64).unwrap_or_default());
            std::thread::sleep(ASK_EVERY);
            replay = self.connect.ask(Request::get(path.clone()))?;
        }
        bar.finish_and_clear();
        Ok(replay)
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = match total {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::new_spinner(),
    };
    let style = ProgressStyle::with_template("{bar:30} {human_pos} of {human_len} deliveries · {per_sec} · {eta} left");
    match (total, style) {
        (Some(_), Ok(style)) => bar.with_style(style),
        (Some(_) | None, _) => bar,
    }
}
