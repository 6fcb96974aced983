//! `watchbell graphql-schema`.

use super::{Done, Output};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchbell graphql-schema > schema.graphql      (editors and code generators read it)")]
pub(super) struct Args {}

impl Args {
    pub(super) fn run(self, out: Output) -> Done {
        let sdl = watchbell_api::graphql::sdl();
        match out.json {
            true => out.value(&serde_json::json!({"sdl": sdl})),
            false => out.line(sdl.trim_end()),
        }
        Ok(())
    }
}
