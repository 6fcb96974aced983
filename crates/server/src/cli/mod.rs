//! The command line: what can be typed, and how each command ends.
//!
//! Exit status 0: done. 1: failed. 2: the command line or the configuration is wrong. `serve` has three more: see [`Exit`].
//! *To add a command*: a module with its `Args` and `run`, a variant in [`Command`], its help in `docs/cli.md`
//! (`UPDATE_DOCS=1 cargo nextest run -p watchbell` writes it).

mod advisories;
mod audit;
mod backup;
mod bench;
mod capture;
mod completions;
mod config;
mod connect;
mod delivery;
mod demo;
mod doctor;
mod endpoint;
mod endpoint_flags;
mod event;
mod event_type;
mod evidence;
mod finding;
mod graphql_schema;
mod kev;
mod key;
mod listen;
mod member;
mod message;
mod org;
pub(crate) mod output;
mod poam;
mod receipt;
mod replay;
mod scan;
mod send;
mod serve;
mod sign;
mod source;
mod training;
mod verify;

use std::fmt;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub(crate) use output::Output;
pub(crate) use scan::project_id;

/// Environment variables as `main` read them.
pub(crate) type Variables = Vec<(String, String)>;

/// A self-hosted hub for the webhooks of security tools.
#[derive(Debug, Parser)]
#[command(
    name = "watchbell",
    version,
    about,
    max_term_width = 100,
    after_help = "Examples:
  watchbell demo                                  see it work, with nothing set up
  watchbell serve                                 run the server on ./watchbell-data
  watchbell send evidence.completed --data @e.json   post an event
  watchbell verify --dialect snyk --secret-file s --header 'X-Hub-Signature: sha256=…' < body

Exit status: 0 done, 1 failed, 2 the command line or the configuration is wrong."
)]
pub(crate) struct Cli {
    /// Print JSON in place of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::Args),
    /// See the main job done on real input, with nothing set up
    Demo(demo::Args),
    /// Print the headers that a sender of this body would set
    Sign(sign::Args),
    /// Check a received webhook, and say what is wrong with it
    Verify(verify::Args),
    /// Capture inboxes: addresses that keep and explain whatever is sent to them
    Capture(Box<capture::Args>),
    /// Bring what a server is sent to this machine, live
    Listen(Box<listen::Args>),
    /// Post an event
    Send(send::Args),
    /// Post a scanner's report and see what changed; announce scans and end them
    Scan(scan::Args),
    /// Evidence: documents that are kept and read
    Evidence(evidence::Args),
    /// Advisories: what is known to be vulnerable
    Advisories(advisories::Args),
    /// Endpoints: where events are delivered
    Endpoint(Box<endpoint::Args>),
    /// Sources: vendors that call us
    Source(Box<source::Args>),
    /// Receipts: what sources called with, and what became of it
    Receipt(receipt::Args),
    /// Events: what happened
    Event(event::Args),
    /// Findings: what scans saw, and what is to become of it
    Finding(finding::Args),
    /// Event types: the catalogue, and types of your own
    EventType(event_type::Args),
    /// Plans of action and milestones: what is to be remediated until when
    Poam(Box<poam::Args>),
    /// The catalogue of known exploited vulnerabilities
    Kev(kev::Args),
    /// Completed lessons
    Training(training::Args),
    /// Deliveries: an event on its way to an endpoint
    Delivery(delivery::Args),
    /// Organisations
    Org(org::Args),
    /// Members of an organisation and their roles
    Member(member::Args),
    /// API keys
    Key(key::Args),
    /// Who changed what, and whether the record still holds
    Audit(audit::Args),
    /// Deliver again what an endpoint was sent in a window of time
    Replay(Box<replay::Args>),
    /// Copy the database into a file, beside a running server
    Backup(backup::Backup),
    /// Put a backup into an empty data directory
    Restore(backup::Restore),
    /// Check the configuration, print it, or its schema
    Config(config::Args),
    /// Print the schema of /graphql in GraphQL's own language
    GraphqlSchema(graphql_schema::Args),
    /// Look for what is wrong with a server, its configuration or its data directory
    Doctor(doctor::Args),
    /// Measure the whole path on this machine, and the machine itself
    Bench(bench::Args),
    /// Print a script that completes commands in a shell
    Completions(completions::Args),
}

impl Cli {
    /// Does what was asked.
    pub(crate) fn run(self, variables: Variables) -> ExitCode {
        let out = Output { json: self.json };
        let done = match self.command {
            Command::Serve(args) => args.run(variables),
            Command::Demo(args) => args.run(),
            Command::Sign(args) => args.run(out),
            Command::Verify(args) => args.run(out),
            Command::Capture(args) => args.run(out),
            Command::Listen(args) => args.run(out),
            Command::Send(args) => args.run(out),
            Command::Scan(args) => args.run(out),
            Command::Evidence(args) => args.run(out),
            Command::Advisories(args) => args.run(out),
            Command::Endpoint(args) => args.run(out),
            Command::Source(args) => args.run(out),
            Command::Receipt(args) => args.run(out),
            Command::Event(args) => args.run(out),
            Command::Finding(args) => args.run(out),
            Command::EventType(args) => args.run(out),
            Command::Poam(args) => args.run(out),
            Command::Kev(args) => args.run(out),
            Command::Training(args) => args.run(out),
            Command::Delivery(args) => args.run(out),
            Command::Org(args) => args.run(out),
            Command::Member(args) => args.run(out),
            Command::Key(args) => args.run(out),
            Command::Audit(args) => args.run(out),
            Command::Replay(args) => args.run(out),
            Command::Backup(args) => args.run(out, variables),
            Command::Restore(args) => args.run(out, variables),
            Command::Config(args) => args.run(out, variables),
            Command::GraphqlSchema(args) => args.run(out),
            Command::Doctor(args) => args.run(out, variables),
            Command::Bench(args) => args.run(out, variables),
            Command::Completions(args) => args.run(),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                output::failure(&failure);
                ExitCode::from(failure.exit as u8)
            }
        }
    }
}

/// How a command that did not succeed ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// It was tried and failed.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// `serve`: the database is damaged, and was left as it is.
    StoreCorrupt = 74,
    /// `serve`: another process has the data directory.
    StoreLocked = 75,
    /// `serve`: the key file is missing, unsafe or not the one that the data was sealed with.
    KeyFile = 78,
}

/// Why a command did not succeed: what is wrong, and what to do next.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    problem: String,
    advice: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, problem: impl Into<String>) -> Self {
        Self { exit, problem: problem.into(), advice: None }
    }

    pub(crate) fn failed(problem: impl Into<String>) -> Self {
        Self::new(Exit::Failed, problem)
    }

    pub(crate) fn usage(problem: impl Into<String>) -> Self {
        Self::new(Exit::Usage, problem)
    }

    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// A verdict that was already printed: nothing more to say.
    pub(crate) fn said() -> Self {
        Self::failed("")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

/// Ends of a command.
pub(crate) type Done = Result<(), Failure>;

/// The command line's definition, for completions and documentation.
pub(crate) fn definition() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Runs a client command to its end on one thread.
fn wait<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start the runtime: {error}")))?
        .block_on(work)
}

#[cfg(test)]
mod examples;

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_sound() {
        super::definition().debug_assert();
    }
}
