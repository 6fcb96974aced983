//! What a laptop and CI run, where it needs more than one line of shell.
//!
//! ```text
//! cargo xtask check    fmt, tidy, clippy, docs            (cheapest first)
//! cargo xtask test     every test, the contract, a short bench (README's second command)
//! cargo xtask simulate --seeds 10000    simulated worlds, more than the tests run
//! cargo xtask tidy     walls between crates, file sizes, pages that must exist
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for people")]

use std::process::ExitCode;

mod command;
mod contract;
mod proof;
mod simulate;
mod test;
mod tidy;

fn main() -> ExitCode {
    let task = std::env::args().nth(1).unwrap_or_default();
    let outcome = match task.as_str() {
        "check" => check(),
        "test" => test::run(),
        "simulate" => simulate::run(&std::env::args().skip(2).collect::<Vec<_>>()),
        "tidy" => tidy::run(),
        _ => {
            eprintln!("usage: cargo xtask check | test | simulate | tidy");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {task}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn check() -> anyhow::Result<()> {
    command::run("cargo", &["fmt", "--all", "--check"])?;
    tidy::run()?;
    command::run("cargo", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])?;
    // The modules' stories link to each other, private ones too: the documentation is for whoever changes them.
    let doc = ["doc", "--workspace", "--no-deps", "--document-private-items", "--quiet"];
    command::run_with("cargo", &doc, &[("RUSTDOCFLAGS", "-D warnings")])
}
