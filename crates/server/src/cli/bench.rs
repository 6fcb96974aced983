//! `watchbell bench deliver | floor | receive | report`: what the whole path takes on this machine, what the machine takes at the
//! least, and what a large report takes.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;

use super::{Done, Failure, Output, Variables, wait};
use crate::bench::{self, DATA_BYTES_MIN, DeliverOptions, FloorOptions, ReceiveOptions, ScanOptions};
use crate::signals::Signals;

/// Arrivals are noted in memory, eight bytes each.
const ARRIVALS_MAX: u64 = 50_000_000;
/// Longest open loop.
const SECONDS_MAX: f64 = 86_400.0;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Measure the whole path: post events, deliver them, count them at the other end
    #[command(after_help = "Examples:
  watchbell bench deliver                            as fast as it goes, one endpoint
  watchbell bench deliver --fanout 10 --tls          ten endpoints, over TLS
  watchbell bench deliver --rate 100 --fanout 10 --hang 1
                                                     100 events/s; one of ten endpoints hangs
  watchbell bench deliver --preload 1000000          a million deliveries finished before
  watchbell bench deliver --waiting 1000000          a million deliveries wait elsewhere
  watchbell bench deliver --waiting 1000000 --kill   … and the server is killed at the end

What runs is this binary's own server, a child process on a fresh folder, with everything durable;
load and receiver are threads of the bench. Nothing leaves the machine or is left behind. The floor
is what this machine takes to post the same bodies straight to the receiver, to write rows and to
flush; a ratio is the figure divided by it. Use a release build, and --data-dir to choose the disk.
docs/performance.md says what each figure means.

Exit status: 0 every event arrived, 1 something is missing or not genuine, 2 the command line is
wrong.")]
    Deliver(Box<Deliver>),
    /// Measure what this machine takes at the least: posting, rows on disk, flushes
    #[command(after_help = "Examples:
  watchbell bench floor
  watchbell bench floor --fanout 10 --data-dir /var/lib --json")]
    Floor(FloorArgs),
    /// Measure what accepting a vendor's signed request takes, beside an event by API
    #[command(after_help = "Examples:
  watchbell bench receive                            20 000 of each, in turns
  watchbell bench receive --size 4096 --data-dir /var/lib --json

One server of this binary, no endpoints: both sides end with their commit. Requests are signed before
they are counted.")]
    Receive(ReceiveArgs),
    /// Measure a large report: upload, read, weigh and write it
    #[command(after_help = "Examples:
  watchbell bench report                             200 000 findings, about 200 MB of SARIF
  watchbell bench report --findings 20000 --data-dir /var/lib --json

A tenth of the findings is measured first, and what ten times as many take more than that. Each on a
fresh server of this binary; nothing is delivered.")]
    Report(ReportArgs),
}

#[derive(Debug, clap::Args)]
struct ReportArgs {
    /// Findings of the report
    #[arg(long, value_name = "N", default_value = "200000", value_parser = clap::value_parser!(u64).range(10..=500_000))]
    findings: u64,
    /// Bytes of one result
    #[arg(long, value_name = "BYTES", default_value = "1000", value_parser = clap::value_parser!(u64).range(400..=100_000))]
    size: u64,
    /// Directory to make the temporary folder in [default: the system's temporary directory]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Another build of the server to measure [default: this binary]
    #[arg(long, value_name = "PATH")]
    server_bin: Option<PathBuf>,
    /// A setting of the server, as in its configuration; may be given again
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct ReceiveArgs {
    /// Requests of each side
    #[arg(long, value_name = "N", default_value = "20000", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    events: u64,
    /// Rounds that they come in
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: u64,
    /// Connections that stay open
    #[arg(long, value_name = "C", default_value = "64", value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,
    /// Bytes of an event's data
    #[arg(long, value_name = "BYTES", default_value = "1024", value_parser = size)]
    size: usize,
    /// Directory to make the temporary folder in: its disk is measured [default: the system's temporary directory]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Another build of the server to measure [default: this binary]
    #[arg(long, value_name = "PATH")]
    server_bin: Option<PathBuf>,
    /// A setting of the server, as in its configuration; may be given again
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct Shared {
    /// Endpoints that each event goes to
    #[arg(long, value_name = "F", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=1000))]
    fanout: u16,
    /// Connections that stay open
    #[arg(long, value_name = "C", default_value = "64", value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,
    /// Bytes of an event's data
    #[arg(long, value_name = "BYTES", default_value = "1024", value_parser = size)]
    size: usize,
    /// Directory to make the temporary folder in: its disk is measured [default: the system's temporary directory]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Deliver {
    #[command(flatten)]
    shared: Shared,
    /// Events to post
    #[arg(long, value_name = "N", default_value = "20000", conflicts_with = "rate",
        value_parser = clap::value_parser!(u64).range(1..))]
    events: u64,
    /// Events a second, each at its time whatever the server does, in place of as fast as they are answered
    #[arg(long, value_name = "R", value_parser = rate)]
    rate: Option<f64>,
    /// How long events are posted at a rate
    #[arg(long, value_name = "S", default_value = "20", requires = "rate", value_parser = time)]
    seconds: Duration,
    /// Deliver over TLS
    #[arg(long)]
    tls: bool,
    /// Endpoints, of all, that answer only after 10 seconds; the others are measured
    #[arg(long, value_name = "K", default_value = "0")]
    hang: u16,
    /// Events of one request
    #[arg(long, value_name = "B", default_value = "1", value_parser = clap::value_parser!(u64).range(1..=1000))]
    batch: u64,
    /// Most deliveries in flight to one endpoint
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u32).range(1..))]
    max_in_flight: u32,
    /// Deliveries that are made and finished before anything is measured
    #[arg(long, value_name = "N", default_value = "0")]
    preload: u64,
    /// Deliveries that wait meanwhile at one more endpoint, which takes one at a time and 10 seconds for each
    #[arg(long, value_name = "N", default_value = "0")]
    waiting: u64,
    /// At the end kill the server with something in flight (of --hang or --waiting), and start it again on the same data
    #[arg(long)]
    kill: bool,
    /// End when nothing was accepted and nothing arrived for so many seconds
    #[arg(long, value_name = "S", default_value = "30", value_parser = time)]
    timeout: Duration,
    /// How long each part of the floor is measured
    #[arg(long, value_name = "S", default_value = "1", value_parser = time)]
    floor_seconds: Duration,
    /// Leave the floor out, and the ratios with it
    #[arg(long)]
    no_floor: bool,
    /// Another build of the server to measure [default: this binary]
    #[arg(long, value_name = "PATH")]
    server_bin: Option<PathBuf>,
    /// A setting of the server, as in its configuration; may be given again
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct FloorArgs {
    #[command(flatten)]
    shared: Shared,
    /// How long each part is measured
    #[arg(long, value_name = "S", default_value = "3", value_parser = time)]
    seconds: Duration,
}

impl Args {
    pub(super) fn run(self, out: Output, variables: Variables) -> Done {
        match self.action {
            Action::Deliver(args) => {
                let options = args.options(variables)?;
                wait(until_signal(bench::deliver(options)))?.print(out);
            }
            Action::Floor(args) => {
                let Shared { fanout, connections, size, data_dir } = args.shared;
                let (fanout, connections) = (fanout.into(), connections.into());
                let options = FloorOptions { data_dir, fanout, connections, size, time: args.seconds };
                wait(until_signal(bench::floor(&options)))?.print(out);
            }
            Action::Receive(args) => {
                let options = ReceiveOptions {
                    events: args.events,
                    rounds: args.rounds,
                    connections: args.connections.into(),
                    size: args.size,
                    data_dir: args.data_dir,
                    server_bin: args.server_bin.map_or_else(own_binary, Ok)?,
                    settings: args.settings,
                    hidden: hidden(variables),
                };
                wait(until_signal(bench::receive(options)))?.print(out);
            }
            Action::Report(args) => {
                let options = ScanOptions {
                    findings: args.findings,
                    size: usize::try_from(args.size).unwrap_or(usize::MAX),
                    data_dir: args.data_dir,
                    server_bin: args.server_bin.map_or_else(own_binary, Ok)?,
                    settings: args.settings,
                    hidden: hidden(variables),
                };
                wait(until_signal(bench::scan(options)))?.print(out);
            }
        }
        Ok(())
    }
}

impl Deliver {
    fn options(self, variables: Variables) -> Result<DeliverOptions, Failure> {
        let Shared { fanout, connections, size, data_dir } = self.shared;
        if self.hang >= fanout {
            return Err(Failure::usage("--hang leaves no endpoint to measure: it must be less than --fanout"));
        }
        if self.kill && self.hang == 0 && self.waiting == 0 {
            return Err(Failure::usage("--kill wants something in flight: give --hang or --waiting as well"));
        }
        let events = match self.rate {
            None => self.events,
            Some(rate) => whole(rate * self.seconds.as_secs_f64()),
        };
        let events = events.div_ceil(self.batch).saturating_mul(self.batch);
        let arrivals = events.saturating_mul(fanout.into()).saturating_add(self.preload).saturating_add(self.waiting);
        if arrivals > ARRIVALS_MAX {
            return Err(Failure::usage(format!(
                "that makes {arrivals} deliveries; at most {ARRIVALS_MAX} are counted"
            )));
        }
        Ok(DeliverOptions {
            events,
            fanout: fanout.into(),
            connections: connections.into(),
            size,
            tls: self.tls,
            rate: self.rate,
            hang: self.hang.into(),
            batch: self.batch,
            max_in_flight: self.max_in_flight,
            preload: self.preload,
            waiting: self.waiting,
            kill: self.kill,
            timeout: self.timeout,
            data_dir,
            server_bin: self.server_bin.map_or_else(own_binary, Ok)?,
            settings: self.settings,
            hidden: hidden(variables),
            floor: (!self.no_floor).then_some(self.floor_seconds),
        })
    }
}

fn own_binary() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| Failure::failed(format!("where is this binary? {error}")))
}

/// The names of variables that are not for the server that is measured.
fn hidden(variables: Variables) -> Vec<String> {
    variables.into_iter().map(|(name, _)| name).filter(|name| name.starts_with("WATCHBELL_")).collect()
}

/// Runs the bench to its end or to a signal. What is dropped then takes its child and its folder along.
async fn until_signal<T>(work: impl Future<Output = Result<T, bench::Error>>) -> Result<T, Failure> {
    let mut signals =
        Signals::listen().map_err(|error| Failure::failed(format!("signals cannot be received: {error}")))?;
    tokio::select! {
        biased;
        () = signals.next() => Err(Failure::failed("interrupted")),
        done = work => done.map_err(|error| Failure::failed(error.to_string())),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and cut to what fits")]
const fn whole(count: f64) -> u64 {
    count.round().max(1.0) as u64
}

fn size(text: &str) -> Result<usize, String> {
    const MAX: usize = 1 << 19;
    let bytes = text.parse().map_err(|_| "a number of bytes is wanted".to_owned())?;
    if (DATA_BYTES_MIN..=MAX).contains(&bytes) { Ok(bytes) } else { Err(format!("{DATA_BYTES_MIN} to {MAX} bytes")) }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "a number is wanted".to_owned())?;
    if rate > 0.0 && rate <= 1e6 { Ok(rate) } else { Err("more than 0, at most 1 000 000".to_owned()) }
}

fn time(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds is wanted".to_owned())?;
    if seconds > 0.0 && seconds <= SECONDS_MAX {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(format!("more than 0, at most {SECONDS_MAX}"))
    }
}
