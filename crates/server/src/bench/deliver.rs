//! `bench deliver`: one run, from an empty folder to figures.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use watchbell_domain::SignedDuration;
use watchbell_domain::port::Entropy as _;
use watchbell_wire::{Headers, Key, Secret, Unverified};

use super::child::{self, Server, Setup};
use super::event::{MEASURED, Target, Template, WAITING};
use super::floor::{self, Floor, Posting};
use super::load::{self, Plan, Sent};
use super::measure::{Memory, Watch, process_cpu_seconds};
use super::receiver::Receiver;
use super::sink::{Ledger, Sample, Sink};
use super::{Error, http, say};
use crate::entropy::OsEntropy;

pub(crate) use super::report::Report;

/// How often it is looked whether everything is there.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How often, after a kill, it is looked whether anything came.
const SOON: Duration = Duration::from_millis(2);
/// A server that used no processor time for this long has nothing left to do.
const QUIET: Duration = Duration::from_millis(100);
/// It is not waited longer than this for it: some have always something to do.
const QUIET_MAX: Duration = Duration::from_secs(5);
/// Events of a request while nothing is measured.
const PREPARING_BATCH: u64 = 100;
/// Events before the first that is measured, for each connection: both sides open their connections.
const WARMING_EACH: u64 = 4;
/// How old a sample may be when it is verified.
const TOLERANCE: SignedDuration = SignedDuration::from_hours(24);

/// What to run.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Events that are measured; a whole number of batches.
    pub(crate) events: u64,
    pub(crate) fanout: usize,
    pub(crate) connections: usize,
    /// Bytes of `data`.
    pub(crate) size: usize,
    pub(crate) tls: bool,
    /// Events a second, or as fast as they are answered.
    pub(crate) rate: Option<f64>,
    /// How many of the endpoints answer late.
    pub(crate) hang: usize,
    /// Events of one request.
    pub(crate) batch: u64,
    pub(crate) max_in_flight: u32,
    /// Deliveries that are finished before anything is measured.
    pub(crate) preload: u64,
    /// Deliveries that wait all the time.
    pub(crate) waiting: u64,
    /// The server is killed at the end, and started again.
    pub(crate) kill: bool,
    /// The run ends when nothing happens for so long.
    pub(crate) timeout: Duration,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) server_bin: PathBuf,
    /// Settings of the server, `KEY=VALUE`.
    pub(crate) settings: Vec<String>,
    /// Names of variables that the server is not to see.
    pub(crate) hidden: Vec<String>,
    /// How long each part of the floor is measured, if it is.
    pub(crate) floor: Option<Duration>,
}

impl Options {
    /// Endpoints that answer at once.
    pub(super) const fn healthy(&self) -> usize {
        self.fanout.saturating_sub(self.hang)
    }

    /// Events before the measured ones: to warm up, and what `preload` asks for. A whole number of batches.
    fn events_before(&self) -> u64 {
        let fanout = u64::try_from(self.fanout).unwrap_or(1).max(1);
        let warming = u64::try_from(self.connections).unwrap_or(0).saturating_mul(WARMING_EACH);
        let each = if self.preload > 0 { PREPARING_BATCH } else { 1 };
        self.preload.div_ceil(fanout).max(warming).next_multiple_of(each)
    }

    fn floor_options(&self, time: Duration) -> floor::Options {
        // In an open loop nobody stands in line, so the floor is what one waits who is alone.
        let connections = if self.rate.is_some() { 1 } else { self.connections };
        floor::Options { data_dir: None, fanout: self.fanout, connections, size: self.size, time }
    }
}

/// What is read from the instruments before and after.
#[derive(Debug, Clone, Copy)]
struct Reading {
    server: f64,
    sink: f64,
    arrived: u64,
}

/// What a run yields, to be made into a report.
#[derive(Debug)]
pub(super) struct Yield {
    pub(super) options: Options,
    pub(super) floor: Option<Floor>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) sent: Sent,
    /// Numbers of the measured events.
    pub(super) measured: Range<u64>,
    /// First arrivals in the measured time, at all endpoints.
    pub(super) arrived: u64,
    pub(super) server_cpu_s: f64,
    pub(super) sink_cpu_s: f64,
    pub(super) idle: Memory,
    pub(super) before: Memory,
    pub(super) after: Memory,
    pub(super) cold_start_ms: f64,
    pub(super) restart: Option<Restart>,
    pub(super) signatures_verified: usize,
    /// Deliveries that the server calls delivered.
    pub(super) server_delivered: u64,
}

/// After a kill, counted from the start of the new process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Restart {
    /// The first 2xx of `/readyz`.
    pub(super) ready_ms: f64,
    /// The first arrival, of what was in flight or waited.
    pub(super) delivery_ms: f64,
}

/// Everything that runs.
struct Stage<'a> {
    options: &'a Options,
    watch: Watch,
    ledger: Arc<Ledger>,
    sink: Sink,
    secret: Secret,
    key: Key,
    server: Server,
}

/// Runs it.
pub(crate) async fn run(options: Options) -> Result<Report, Error> {
    let watch = Watch::start();
    let folder = super::folder(options.data_dir.as_deref())?;
    let floor = match options.floor {
        None => None,
        Some(time) => {
            let posting = if options.tls { Posting::Tls } else { Posting::Plain };
            Some(floor::measure(&options.floor_options(time), posting, folder.path(), watch).await?)
        }
    };
    let before = options.events_before();
    let measured = before..before + options.events;
    let events = usize::try_from(measured.end).unwrap_or(usize::MAX);
    let ledger = Arc::new(Ledger::new(watch, events, options.fanout, options.hang));
    let receiver = Receiver::make(options.tls, folder.path())?;
    let sink = Sink::start(Arc::clone(&ledger), receiver.tls.clone()).await?;

    let all_in_flight = usize::try_from(options.max_in_flight).unwrap_or(usize::MAX).saturating_mul(options.fanout + 1);
    let setup = Setup {
        binary: &options.server_bin,
        folder: folder.path(),
        sink: sink.address,
        ca_file: receiver.ca_file.clone(),
        connections: options.connections,
        in_flight: all_in_flight,
        settings: &options.settings,
        hidden: &options.hidden,
    };
    say("the server starts");
    let server = Server::start(&setup, watch).await?;
    let dialect = super::dialect()?;
    let mut random = [0; 32];
    OsEntropy.fill(&mut random);
    let secret = dialect.secrets.make(random);
    let key = dialect.secrets.key(&secret).map_err(|error| Error::SetUp(error.to_string()))?;
    let mut stage = Stage { options: &options, watch, ledger, sink, secret, key, server };
    let taken = stage.measure(&receiver, measured.clone()).await?;
    let (cold_start_ms, signatures_verified) = (stage.server.cold_start_ms, stage.verify()?);
    let server_delivered = stage.settled().await?;
    let restart = if options.kill { Some(stage.kill(&setup).await?) } else { None };
    let yielded = Yield {
        floor,
        ledger: Arc::clone(&stage.ledger),
        measured,
        sent: taken.sent,
        arrived: taken.after.arrived - taken.before.arrived,
        server_cpu_s: taken.after.server - taken.before.server,
        sink_cpu_s: taken.after.sink - taken.before.sink,
        idle: taken.idle,
        before: taken.memory_before,
        after: taken.memory_after,
        cold_start_ms,
        restart,
        signatures_verified,
        server_delivered,
        options: options.clone(),
    };
    Ok(Report::of(&yielded))
}

/// Readings of one run.
struct Taken {
    idle: Memory,
    memory_before: Memory,
    memory_after: Memory,
    before: Reading,
    after: Reading,
    sent: Sent,
}

impl Stage<'_> {
    async fn measure(&self, receiver: &Receiver, measured: Range<u64>) -> Result<Taken, Error> {
        let options = self.options;
        for number in 0..options.fanout {
            let url = receiver.url(self.sink.address, &format!("/e/{number}"));
            self.server.register(url, MEASURED, &self.secret, options.max_in_flight).await?;
        }
        self.quiet().await?;
        let idle = Memory::of(self.server.pid())?;
        if options.waiting > 0 {
            say("deliveries are made that wait");
            self.server.register(receiver.url(self.sink.address, "/w"), WAITING, &self.secret, 1).await?;
            let events = 0..options.waiting.next_multiple_of(PREPARING_BATCH);
            self.post(WAITING, PREPARING_BATCH, events, None, 0).await?;
        }
        say("connections are opened, and what is to be there before is delivered");
        let batch = if options.preload > 0 { PREPARING_BATCH } else { 1 };
        self.post(MEASURED, batch, 0..measured.start, None, self.due(measured.start)).await?;
        self.quiet().await?;

        say("measuring");
        let memory_before = Memory::of(self.server.pid())?;
        let before = self.reading()?;
        let due = self.due(measured.end);
        let sent = self.post(MEASURED, options.batch, measured, options.rate, due).await?;
        // Outcomes are written after the last arrival: they are part of what a delivery takes.
        self.quiet().await?;
        let after = self.reading()?;
        Ok(Taken { idle, memory_before, memory_after: Memory::of(self.server.pid())?, before, after, sent })
    }

    /// Arrivals at healthy endpoints once so many events were posted.
    fn due(&self, events: u64) -> u64 {
        events * u64::try_from(self.options.healthy()).unwrap_or(0)
    }

    fn reading(&self) -> Result<Reading, Error> {
        Ok(Reading {
            server: process_cpu_seconds(self.server.pid())?,
            sink: self.sink.cpu.seconds()?,
            arrived: self.ledger.healthy() + self.ledger.hung(),
        })
    }

    /// Posts events and waits until `due` arrivals are there in all.
    async fn post(
        &self,
        event_type: &str,
        batch: u64,
        events: Range<u64>,
        rate: Option<f64>,
        due: u64,
    ) -> Result<Sent, Error> {
        let host = self.server.address.to_string();
        let target = Target { host: &host, key: self.server.key.expose(), base: &child::base() };
        let length = usize::try_from(batch).unwrap_or(1);
        let plan = Plan {
            server: self.server.address,
            template: Template::new(target, event_type, self.options.size, length),
            batch,
            events: events.clone(),
            connections: self.options.connections,
            requests_per_s: rate.map(|rate| rate / super::measure::precise(batch)),
        };
        let accepted = Arc::new(AtomicU64::new(0));
        let load = load::run(plan, self.watch, Arc::clone(&accepted));
        tokio::pin!(load);
        let mut sent = None;
        let mut seen = (0, 0, self.watch.nanos());
        loop {
            tokio::select! {
                biased;
                done = &mut load, if sent.is_none() => sent = Some(done?),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let now = (accepted.load(Ordering::Relaxed), self.ledger.healthy());
            if let Some(sent) = sent.take_if(|_| now.1 >= due) {
                return Ok(sent);
            }
            if now != (seen.0, seen.1) {
                seen = (now.0, now.1, self.watch.nanos());
            } else if Duration::from_nanos(self.watch.nanos() - seen.2) > self.options.timeout {
                return Err(self.missing(now.0, events.end - events.start, due));
            }
        }
    }

    fn missing(&self, accepted: u64, posted: u64, due: u64) -> Error {
        let arrived = self.ledger.healthy();
        Error::Missing(format!(
            "nothing happened for {} seconds, with {accepted} of {posted} events accepted and {arrived} of {due} \
             deliveries arrived: {} are missing",
            self.options.timeout.as_secs_f64(),
            due.saturating_sub(arrived)
        ))
    }

    /// Waits until the server does nothing any more.
    async fn quiet(&self) -> Result<(), Error> {
        let until = self.watch.nanos() + u64::try_from(QUIET_MAX.as_nanos()).unwrap_or(0);
        let mut before = process_cpu_seconds(self.server.pid())?;
        while self.watch.nanos() < until {
            tokio::time::sleep(QUIET).await;
            let now = process_cpu_seconds(self.server.pid())?;
            if now <= before {
                return Ok(());
            }
            before = now;
        }
        Ok(())
    }

    /// What arrived is what a receiver accepts; how many were looked at.
    fn verify(&self) -> Result<usize, Error> {
        let samples = self.ledger.samples();
        for sample in &samples {
            self.verify_one(sample)?;
        }
        Ok(samples.len())
    }

    fn verify_one(&self, sample: &Sample) -> Result<(), Error> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers: Headers = http::headers(&sample.head).map(|(name, value)| (text(name), value.to_vec())).collect();
        let request = Unverified::new(headers, sample.body.clone());
        let keys = std::slice::from_ref(&self.key);
        let verified = request.verify(super::dialect()?, keys, self.watch.clock().now(), TOLERANCE);
        let verified =
            verified.map_err(|refusal| Error::NotGenuine(format!("at endpoint {}: {refusal}", sample.endpoint)))?;
        let decoded = verified.decode().map_err(|refusal| Error::NotGenuine(refusal.to_string()))?;
        match decoded.vendor_event.as_str() {
            MEASURED => Ok(()),
            other => Err(Error::NotGenuine(format!("it says {other:?} in place of {MEASURED:?}"))),
        }
    }

    /// Kills the server while something is in flight, and waits until the next one delivers.
    async fn kill(&mut self, setup: &Setup<'_>) -> Result<Restart, Error> {
        say("the server is killed and started again");
        self.server.kill();
        let (before, began) = (self.ledger.all(), self.watch.nanos());
        let ready_ms = self.server.start_again(setup, self.watch).await?;
        while self.ledger.all() == before {
            if Duration::from_nanos(self.watch.nanos() - began) > self.options.timeout {
                return Err(Error::Missing("after the kill nothing was delivered any more".to_owned()));
            }
            tokio::time::sleep(SOON).await;
        }
        Ok(Restart { ready_ms, delivery_ms: super::measure::seconds(self.watch.nanos() - began) * 1e3 })
    }

    /// The server's own books say the same: what arrived is delivered there too.
    async fn settled(&self) -> Result<u64, Error> {
        let (arrived, began) = (self.ledger.healthy(), self.watch.nanos());
        loop {
            let delivered = self.server.delivered().await?;
            if delivered >= arrived {
                return Ok(delivered);
            }
            if Duration::from_nanos(self.watch.nanos() - began) > self.options.timeout {
                return Err(Error::Missing(format!(
                    "{arrived} deliveries arrived, but only {delivered} of them are delivered in the server's books"
                )));
            }
            tokio::time::sleep(QUIET).await;
        }
    }
}
