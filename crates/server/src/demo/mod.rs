//! The main job, done on real input with nothing set up.
//!
//! A real node on a temporary directory, and beside it receivers that verify as a vendor's customers and as services would.
//! The demo acts as a user: it registers endpoints and sources, posts scanners' reports and events, all over the public HTTP
//! API; and as vendors, who call. What it prints is what the receivers saw. It succeeds when every delivery verified, in
//! every dialect, the retried one too, and nothing more or less came than each act says.
//!
//! | act | shows |
//! |---|---|
//! | [`sending`] | reports and events in every dialect, and a receiver that is down |
//! | [`receiving`] | vendors that call, who is told of it, what is forged |
//! | [`life`] | one vulnerability: found, one under two names, its deadline, fixed, closed |
//!
//! *To add an act*: a file with `pub(super) async fn perform(play: &mut Play<'_>)`, and a line in [`perform`]. [`Play`] has
//! what acts do. The node, the receivers and the acts share a clock that an act may push ahead, so an act that needs the real
//! time comes before those that push it.

pub(crate) mod certificate;
mod closing;
mod life;
mod play;
mod receiver;
mod receiving;
mod samples;
mod sending;
mod services;
mod show;
mod stage;
mod vendors;

use std::time::Duration;

use serde_json::Value;

use crate::client;
use crate::entropy::OsEntropy;
use crate::signals::Signals;
use crate::wiring::StartError;
use closing::Calls;
use play::{Play, Seen};
use show::Show;
use stage::Stage;

/// The whole show takes seconds; beyond this something hangs.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// More deliveries, and more receipts, than this the demo does not make.
const LISTED_MAX: usize = 10_000;

/// Why the demo did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The server did not start.
    #[error("the demo's server did not start: {0}")]
    Start(#[from] StartError),
    /// The server refused something.
    #[error("the demo's server answered: {0}")]
    Client(#[from] client::Error),
    /// A file, socket or certificate.
    #[error("the demo cannot be set up: {0}")]
    SetUp(String),
    /// Something did not verify or did not arrive.
    #[error("{0}")]
    NotVerified(String),
    /// Something hangs.
    #[error("the demo was not over within {} seconds", TIME_LIMIT.as_secs())]
    TimeLimit,
    /// A signal came.
    #[error("interrupted")]
    Interrupted,
}

/// Shows everything; then ends (`once`) or stays up until a signal comes. Leaves nothing behind.
pub(crate) async fn run(once: bool) -> Result<(), Error> {
    let mut signals = Signals::listen().map_err(|error| Error::SetUp(error.to_string()))?;
    let mut show = Show::start();
    let mut stage = tokio::select! {
        biased;
        () = signals.next() => return Err(Error::Interrupted),
        stage = Stage::build(&OsEntropy, &show) => stage?,
    };
    let mut outcome = tokio::select! {
        biased;
        () = signals.next() => Err(Error::Interrupted),
        () = tokio::time::sleep(TIME_LIMIT) => Err(Error::TimeLimit),
        outcome = perform(&mut stage, &mut show) => outcome,
    };
    if outcome.is_ok() && !once {
        show.what_next(&stage);
        outcome = stay_up(&mut stage, &mut show, &mut signals).await;
    }
    show.end();
    stage.tear_down().await;
    outcome
}

async fn stay_up(stage: &mut Stage, show: &mut Show, signals: &mut Signals) -> Result<(), Error> {
    loop {
        tokio::select! {
            biased;
            () = signals.next() => return Ok(()),
            arrival = stage.receiver.arrivals.recv() => match arrival {
                Some(arrival) => show.arrival(&arrival, None),
                None => return Ok(()),
            },
        }
    }
}

/// The acts, in their order.
async fn perform(stage: &mut Stage, show: &mut Show) -> Result<(), Error> {
    let mut play = Play::begin(stage, show);
    sending::perform(&mut play).await?;
    receiving::perform(&mut play).await?;
    life::perform(&mut play).await?;
    let seen = play.end();
    show.table(&seen);
    verdict(stage, show, &seen).await
}

/// Everything that the server calls delivered has verified, in every dialect; or what is missing.
async fn verdict(stage: &Stage, show: &Show, seen: &[Seen]) -> Result<(), Error> {
    let deliveries = stage.everywhere("/deliveries", LISTED_MAX).await?;
    let calls = Calls {
        sources: stage.everywhere("/sources", LISTED_MAX).await?,
        receipts: stage.everywhere("/receipts", LISTED_MAX).await?,
    };
    let undelivered: Vec<&str> = deliveries
        .iter()
        .filter_map(|delivery| delivery.get("state").and_then(Value::as_str))
        .filter(|state| *state != "delivered")
        .collect();
    let unverified = show.summary(seen, deliveries.len(), &calls);
    match (undelivered.is_empty(), unverified) {
        (true, None) => Ok(()),
        (_, Some(what)) => Err(Error::NotVerified(what)),
        (false, None) => Err(Error::NotVerified(format!(
            "{} deliveries did not arrive: {}",
            undelivered.len(),
            undelivered.join(", ")
        ))),
    }
}
