//! The `watchbell` binary: command line, configuration, wiring. The only crate that sees all the others.

mod bench;
mod cli;
mod client;
mod clock;
mod config;
mod demo;
mod descriptors;
mod diagnosis;
mod entropy;
mod figures;
mod signals;
mod telemetry;
mod wiring;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    // The one place that reads the environment; a variable that is not text cannot be one of ours.
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    cli.run(variables.collect())
}
