//! Runs many worlds: `cargo xtask simulate --seeds 10000`, or one that failed: `--seed 17`.

#![expect(clippy::print_stdout, reason = "a command for people")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use watchbell_domain::failpoint::POINTS;
use watchbell_simulation::{Outcome, Tally, run};

/// Runs simulated worlds and says which of them violate what must hold.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many worlds.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// One seed alone, with everything that happened.
    #[arg(long)]
    seed: Option<u64>,
    /// Worlds at a time; as many as there are cores unless told.
    #[arg(long)]
    jobs: Option<usize>,
    /// Plants a bug: "settle without fence", "ack before commit", "retry forgotten on crash".
    #[arg(long)]
    plant: Option<String>,
    /// Ends at the first seed that fails.
    #[arg(long)]
    first: bool,
}

/// What all worlds came to.
#[derive(Debug, Default)]
struct Sum {
    failed: BTreeMap<u64, Vec<String>>,
    points: BTreeSet<&'static str>,
    tally: Tally,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let planted = arguments.plant.clone().map(|name| &*name.leak());
    if let Some(seed) = arguments.seed {
        return show(&run(seed, planted));
    }
    let bar = ProgressBar::new(arguments.seeds);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} worlds, {per_sec}, {eta} left{msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let next = AtomicU64::new(arguments.from);
    let end = arguments.from.saturating_add(arguments.seeds);
    let sum = Mutex::new(Sum::default());
    let jobs = arguments.jobs.or_else(|| std::thread::available_parallelism().ok().map(Into::into)).unwrap_or(2);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        break;
                    }
                    let outcome = run(seed, planted);
                    add(&sum, &outcome, &bar);
                    if arguments.first && !outcome.violations.is_empty() {
                        next.store(end, Ordering::Relaxed);
                    }
                    bar.inc(1);
                }
            });
        }
    });
    let took = bar.elapsed().as_secs_f64();
    bar.finish_and_clear();
    report(&sum.into_inner().unwrap_or_default(), took)
}

fn add(sum: &Mutex<Sum>, outcome: &Outcome, bar: &ProgressBar) {
    let mut sum = sum.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    sum.points.extend(&outcome.points);
    sum.tally += outcome.tally;
    if !outcome.violations.is_empty() {
        let violations: Vec<_> = outcome.violations.iter().map(ToString::to_string).collect();
        bar.println(format!("SEED={} {}", outcome.seed, violations.first().cloned().unwrap_or_default()));
        sum.failed.insert(outcome.seed, violations);
        bar.set_message(format!(", {} FAILED", sum.failed.len()));
    }
}

fn show(outcome: &Outcome) -> ExitCode {
    for line in &outcome.trace {
        println!("{line}");
    }
    println!("{:?}", outcome.tally);
    for violation in &outcome.violations {
        println!("VIOLATED {violation}");
    }
    if outcome.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn report(sum: &Sum, took: f64) -> ExitCode {
    for (seed, violations) in &sum.failed {
        println!("SEED={seed}  cargo xtask simulate --seed {seed}");
        for violation in violations.iter().take(3) {
            println!("    {violation}");
        }
    }
    let Tally { worlds, crashes, faults, events, deliveries, arrivals, lasted } = sum.tally;
    println!(
        "{worlds} worlds in {took:.1} s ({:.1}/s), {} failed; {lasted:#} of virtual time, {crashes} deaths, {faults} faults \
         at fail points, {events} events, {deliveries} deliveries, {arrivals} arrivals",
        f64::from(worlds) / took,
        sum.failed.len(),
    );
    let missed: Vec<_> = POINTS.iter().map(|(point, _)| *point).filter(|point| !sum.points.contains(point)).collect();
    if !missed.is_empty() {
        println!("fail points never passed: {}", missed.join(", "));
    }
    if sum.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
