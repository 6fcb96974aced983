//! `watchbell demo`.

use super::{Done, Failure};
use crate::demo;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchbell demo              watch it, then try the commands that it prints
  watchbell demo --once       watch it and end: status 0 when everything verified

What runs is the real server on a temporary directory. Beside it are receivers that verify every
message as a vendor's customer would, or Teams, Slack, PagerDuty, a data lake and a SIEM; and
vendors that call. Nothing leaves the machine, and nothing is left behind.")]
pub(super) struct Args {
    /// End when everything was shown, in place of staying up
    #[arg(long)]
    once: bool,
}

impl Args {
    pub(super) fn run(self) -> Done {
        let runtime = tokio::runtime::Runtime::new()
            .map_err(|error| Failure::failed(format!("cannot start the runtime: {error}")))?;
        runtime.block_on(demo::run(self.once)).map_err(|error| Failure::failed(error.to_string()))
    }
}
