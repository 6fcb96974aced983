//! The binary from outside: what it prints, and how it ends.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod config;
mod demo;
mod docs;
mod help;
mod serve;
mod signing;

use assert_cmd::Command;

/// The binary in an environment of its own.
fn watchbell() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchbell"));
    command.env_clear().env("PATH", "/usr/bin:/bin");
    command
}

/// Runs to the end: status, stdout, stderr.
fn run(args: &[&str], stdin: &[u8]) -> (i32, String, String) {
    let output = watchbell().args(args).write_stdin(stdin).output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("a status"), text(output.stdout), text(output.stderr))
}
