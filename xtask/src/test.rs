//! `cargo xtask test`: everything that can fail, on a fresh machine.
//!
//! Rust's own tests need nothing but Rust and a C compiler. Some tests ask other people's software for its opinion
//! (`python3`, `node`, schemathesis): what is missing is named with the package that brings it, and what needs it is
//! skipped loudly. Last comes a short `watchbell bench`, whose ratios are printed and judged by nobody.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::command::{self, is_there, root};
use crate::contract;

struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
}

/// Runs every test and ends with one line that counts them all.
pub(crate) fn run() -> anyhow::Result<()> {
    name_what_is_missing();
    let mut tally = cargo_test()?;
    match contract::run()? {
        contract::Outcome::Passed => tally.passed += 1,
        contract::Outcome::Skipped => tally.ignored += 1,
        contract::Outcome::Failed => tally.failed += 1,
    }
    match bench() {
        Ok(()) => tally.passed += 1,
        Err(error) => {
            println!("{error:#}");
            tally.failed += 1;
        }
    }
    println!("\n{} passed, {} failed, {} skipped", tally.passed, tally.failed, tally.ignored);
    if tally.failed > 0 {
        bail!("{} test(s) failed", tally.failed);
    }
    Ok(())
}

fn name_what_is_missing() {
    let wanted = [
        ("python3", "python3 python3-venv", "Symbiotic's own verification, the HTTP contract"),
        ("node", "nodejs", "Snyk's and Aegis's own verification"),
    ];
    for (program, package, what_for) in wanted {
        if !is_there(program, &["--version"]) {
            println!(
                "note: {program} is not there, so these are SKIPPED: {what_for}. Debian: apt-get install {package}"
            );
        }
    }
}

/// A short bench of the build that was tested. No time makes it fail; a delivery that is missing does.
fn bench() -> anyhow::Result<()> {
    println!("\nnote: this build is not optimised; its ratios are for comparing one run with another");
    let binary = command::tested_binary();
    let bench = ["bench", "deliver", "--events", "2000", "--floor-seconds", "0.5"];
    command::run(&binary.display().to_string(), &bench)
}

/// `cargo test`, its output shown as it comes and its closing lines added up.
fn cargo_test() -> anyhow::Result<Tally> {
    println!("\n── cargo test --workspace");
    let mut child = Command::new("cargo")
        // The simulation wants the points of the domain anyway: with them the binary's own cost no other build.
        .args(["test", "--workspace", "--features", "watchbell/failpoints", "--quiet", "--no-fail-fast"])
        .args(["--", &format!("--test-threads={}", threads())])
        .current_dir(root())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let output = child.stdout.take().context("cargo's output is not there")?;
    let mut tally = Tally { passed: 0, failed: 0, ignored: 0 };
    for line in BufReader::new(output).lines() {
        let line = line?;
        if let Some(counts) = line.strip_prefix("test result: ") {
            add(&mut tally, counts);
        }
        println!("{line}");
    }
    let status = child.wait()?;
    if !status.success() && tally.failed == 0 {
        bail!("cargo test could not run ({status})");
    }
    Ok(tally)
}

/// One more than there are processors: those that wait for a lease or a time-out leave theirs to others.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get()) + 1
}

/// Adds `ok. 12 passed; 0 failed; 1 ignored; …`.
fn add(tally: &mut Tally, counts: &str) {
    for part in counts.split([';', '.']) {
        let mut words = part.split_whitespace();
        let (Some(number), Some(what)) = (words.next().and_then(|word| word.parse::<u64>().ok()), words.next()) else {
            continue;
        };
        match what {
            "passed" => tally.passed += number,
            "failed" => tally.failed += number,
            "ignored" => tally.ignored += number,
            _ => {}
        }
    }
}
