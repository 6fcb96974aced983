//! `cargo xtask simulate --seeds 10000 [--from N]`: many simulated worlds, in a release build, with a bar.
//! `cargo xtask simulate --seed 17`: one of them, with everything that happened.

use crate::command;

/// Hands its arguments on to the simulator.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let mut all = vec!["run", "--release", "--quiet", "-p", "watchbell-simulation", "--bin", "simulate", "--"];
    all.extend(arguments.iter().map(String::as_str));
    // A world that breaks is told with its seed; where it broke is asked for with the seed alone.
    command::run("cargo", &all)
}
