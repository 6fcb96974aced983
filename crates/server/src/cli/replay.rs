//! `watchbell replay`: an endpoint lost what it was sent; send it again.

use serde_json::{Value, json};

use super::connect::{Connect, segment};
use super::{Done, Output};
use crate::client::Request;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchbell replay --endpoint ep_0192f0c1-… --since 2026-01-02T00:00:00Z             what would be sent
  watchbell replay --endpoint ep_0192f0c1-… --since 2026-01-02T00:00:00Z --yes       send it
  watchbell replay --endpoint ep_0192f0c1-… --since … --state dead_lettered --yes    only what was given up

Without --yes nothing is sent: the number of deliveries is printed. A replay makes new deliveries; each names the old one.")]
pub(super) struct Args {
    /// The endpoint's id
    #[arg(long, value_name = "ID")]
    endpoint: String,
    /// Deliveries made at or after this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: String,
    /// Deliveries made before this time (RFC 3339); now when absent
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only those in this state: delivered, dead_lettered, cancelled
    #[arg(long)]
    state: Option<String>,
    /// Send, in place of counting
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    connect: Connect,
}

impl Args {
    pub(super) fn run(self, out: Output) -> Done {
        let mut body = json!({"since": self.since, "dry_run": !self.yes});
        for (name, value) in [("until", self.until), ("state", self.state)] {
            if let (Some(value), Some(members)) = (value, body.as_object_mut()) {
                members.insert(name.to_owned(), Value::String(value));
            }
        }
        let path = self.connect.path(&format!("/endpoints/{}/replay", segment(&self.endpoint)));
        let answer = self.connect.ask(Request::post(path, &body))?;
        out.thing(&answer);
        if !self.yes && !out.json {
            out.line("nothing was sent; add --yes to send");
        }
        Ok(())
    }
}
