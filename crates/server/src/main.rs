//! The `watchbell` binary: command line, configuration, wiring. The only crate that sees all the others.

mod bench;
mod cli;
mod client;
mod clock;
mod config;
mod demo;
mod descriptors;
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
    take_small_pages();
    let cli = cli::Cli::parse();
    #[cfg(feature = "failpoints")]
    if let Err(code) = arm_points() {
        return code;
    }
    // The one place that reads the environment; a variable that is not text cannot be one of ours.
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    cli.run(variables.collect())
}

/// Memory comes in pages of 4 KiB: in those of 2 MiB, a process this small would hold twice what it uses.
fn take_small_pages() {
    #[cfg(target_os = "linux")]
    // Where the system does not know the question, it costs memory and nothing else.
    rustix::thread::disable_transparent_huge_pages(true).ok();
}

/// A build with fail points takes what they are to do from the environment.
#[cfg(feature = "failpoints")]
fn arm_points() -> Result<(), ExitCode> {
    let Some(text) = std::env::var_os("WATCHBELL_FAILPOINTS") else {
        return Ok(());
    };
    let plan = text.to_string_lossy().parse().map_err(|problem| {
        anstream::eprintln!("WATCHBELL_FAILPOINTS: {problem}");
        ExitCode::from(2)
    })?;
    watchbell_domain::failpoint::arm_process(plan);
    Ok(())
}
