//! stub
use super::{Done, Output, Variables};
#[derive(Debug, clap::Args)]
pub(super) struct Args {}
impl Args {
    pub(super) fn run(self, _: Output, _: Variables) -> Done {
        Ok(())
    }
}
