//! The main job, done on real input with nothing set up.
//!
//! A real node on a temporary directory, and beside it a receiver that speaks HTTPS and verifies as a customer would. The
//! demo acts as a user: it registers endpoints, posts scanners' reports and events, all over the public HTTP API. What it
//! prints is what the receiver saw. It succeeds when every delivery verified, in every dialect, the retried one too.

pub(crate) mod certificate;
mod receiver;
mod samples;
mod show;
mod stage;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use watchbell_domain::port::Clock;

use crate::cli::project_id;
use crate::client::media_type;
use crate::client::{self, Request};
use crate::clock::SystemClock;
use crate::entropy::OsEntropy;
use crate::signals::Signals;
use crate::wiring::StartError;
use receiver::{Arrival, SHAKY};
use show::Show;
use stage::Stage;

/// The whole show takes seconds; beyond this something hangs.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// How long nothing may arrive before the server is asked whether anything still waits.
const QUIET: Duration = Duration::from_millis(50);

/// More deliveries than this the demo does not make.
const DELIVERIES_MAX: usize = 10_000;

/// The project that is scanned.
const PROJECT: &str = "webshop";

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
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let mut show = Show::start();
    let mut stage = tokio::select! {
        biased;
        () = signals.next() => return Err(Error::Interrupted),
        stage = Stage::build(Arc::clone(&clock), &OsEntropy, &show) => stage?,
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

async fn perform(stage: &mut Stage, show: &mut Show) -> Result<(), Error> {
    let mut seen = Vec::new();
    show.chapter("Endpoints were registered: one in each dialect, all on one receiver that verifies");
    settle(stage, show, &mut seen).await?;

    show.chapter(&format!("Scanners' reports on {PROJECT:?}, before the fix: what is new is told"));
    scan(stage, show, &mut seen, samples::BEFORE).await?;
    show.chapter(&format!("The reports on {PROJECT:?} after the fix: what is gone is told, and what came in"));
    scan(stage, show, &mut seen, samples::AFTER).await?;

    show.chapter("Events that no scan makes: deadlines, evidence, training");
    for (event_type, data) in samples::events(stage.clock.now()) {
        post(stage, event_type, data).await?;
        settle(stage, show, &mut seen).await?;
    }

    show.chapter("A receiver that is down twice, and what becomes of its delivery");
    stage.open_shaky().await?;
    post(stage, "poam.completed", samples::poam_completed()).await?;
    settle(stage, show, &mut seen).await?;
    show.attempts(&attempts_to(stage, SHAKY).await?);

    show.table(&seen);
    verdict(stage, show, &seen).await
}

async fn scan(
    stage: &mut Stage,
    show: &mut Show,
    seen: &mut Vec<Seen>,
    reports: &[samples::Report],
) -> Result<(), Error> {
    let projects = stage.path("/projects");
    let project =
        project_id(&stage.client, &projects, PROJECT).await.map_err(|failure| Error::SetUp(failure.to_string()))?;
    for report in reports {
        let mut request = Request::post(format!("{projects}/{project}/scans"), &Value::Null);
        request.body = Some((media_type(report.content), bytes::Bytes::from_static(report.content)));
        let answer = stage.client.json(request).await?;
        show.scan(report.name, &answer);
        settle(stage, show, seen).await?;
    }
    Ok(())
}

async fn post(stage: &Stage, event_type: &str, data: Value) -> Result<(), Error> {
    let event = json!({"type": event_type, "data": data});
    stage.client.json(Request::post(stage.path("/events"), &event)).await?;
    Ok(())
}

/// An arrival and how long after acceptance it came.
#[derive(Debug, Clone)]
struct Seen {
    arrival: Arrival,
    ms: Option<i64>,
}

/// Shows what arrives until nothing waits in the server any more.
async fn settle(stage: &mut Stage, show: &mut Show, seen: &mut Vec<Seen>) -> Result<(), Error> {
    let accepted_at = newest_delivery(stage).await?;
    loop {
        let arrival = tokio::select! {
            biased;
            arrival = stage.receiver.arrivals.recv() => arrival,
            () = tokio::time::sleep(QUIET) => None,
        };
        match arrival {
            Some(arrival) => {
                let ms = accepted_at.map(|accepted_at| arrival.at.duration_since(accepted_at).as_millis());
                let ms = ms.and_then(|ms| i64::try_from(ms).ok()).map(|ms| ms.max(0));
                show.arrival(&arrival, ms);
                seen.push(Seen { arrival, ms });
            }
            None if waiting(stage).await? => {}
            // What arrived before the last one was settled is in the channel by now.
            None if stage.receiver.arrivals.is_empty() => return Ok(()),
            None => {}
        }
    }
}

/// When what was posted last was accepted: its deliveries are the newest.
async fn newest_delivery(stage: &Stage) -> Result<Option<Timestamp>, Error> {
    let page = stage.client.json(Request::get(stage.path("/deliveries")).with("limit", Some(1))).await?;
    Ok(page.pointer("/items/0/created_at").and_then(Value::as_str).and_then(|text| text.parse().ok()))
}

/// Whether any delivery is not in its last state.
async fn waiting(stage: &Stage) -> Result<bool, Error> {
    for state in ["pending", "sending"] {
        let request = Request::get(stage.path("/deliveries")).with("state", Some(state)).with("limit", Some(1));
        let page = stage.client.json(request).await?;
        if page.get("items").and_then(Value::as_array).is_some_and(|items| !items.is_empty()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The attempts of the deliveries to one endpoint.
async fn attempts_to(stage: &Stage, path: &str) -> Result<Vec<Value>, Error> {
    let endpoint = stage.endpoint_id(path);
    let page = stage.client.json(Request::get(stage.path("/deliveries")).with("endpoint", endpoint)).await?;
    let Some(id) = page.pointer("/items/0/id").and_then(Value::as_str) else {
        return Ok(Vec::new());
    };
    let delivery = stage.client.json(Request::get(stage.path(&format!("/deliveries/{id}")))).await?;
    Ok(delivery.get("attempts").and_then(Value::as_array).cloned().unwrap_or_default())
}

/// Everything that the server calls delivered has verified, in every dialect; or what is missing.
async fn verdict(stage: &Stage, show: &Show, seen: &[Seen]) -> Result<(), Error> {
    let deliveries = stage.client.every(&stage.path("/deliveries"), DELIVERIES_MAX).await?;
    let undelivered: Vec<&str> = deliveries
        .iter()
        .filter_map(|delivery| delivery.get("state").and_then(Value::as_str))
        .filter(|state| *state != "delivered")
        .collect();
    let unverified = show.summary(seen, deliveries.len());
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
