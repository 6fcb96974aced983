//! The floor: what the machine itself takes for the parts that no server can leave out.
//!
//! Posting ([`direct`]), rows on disk ([`watchbell_store::floor`]), and the flush of a small append. Measured
//! on the same disk as the server and just before it, because machines differ and shared ones drift.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use watchbell_domain::SignedDuration;
use watchbell_store::floor as rows;
use watchbell_wire::Key;

use super::direct::{self, Direct};
use super::measure::{Spread, ThreadCpu, Watch, per, precise, seconds};
use super::receiver::Receiver;
use super::sink::{Ledger, Sink};
use super::{Error, in_thread, say};

/// Bytes of the append that is flushed.
const APPEND_BYTES: usize = 4096;
/// Most flushes that are timed.
const FLUSHES_MAX: usize = 2000;

/// What to measure.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Where the files go; the system's temporary directory when there is none.
    pub(crate) data_dir: Option<PathBuf>,
    /// Attempts for each message.
    pub(crate) fanout: usize,
    /// Connections that post straight to the sink.
    pub(crate) connections: usize,
    /// Bytes of `data`.
    pub(crate) size: usize,
    /// How long each part is measured.
    pub(crate) time: Duration,
}

/// Which way is posted straight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Posting {
    Plain,
    Tls,
    Both,
}

/// What the machine takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Floor {
    pub(super) fanout: usize,
    pub(super) size_bytes: usize,
    pub(super) direct: Option<Direct>,
    pub(super) direct_tls: Option<Direct>,
    pub(super) rows_32: Rows,
    pub(super) rows_256: Rows,
    /// Append and `fsync`.
    pub(super) fsync_ms: Spread,
    /// Append and `fdatasync`.
    pub(super) fdatasync_ms: Spread,
    /// Receiving (once for all the fan-out), rows in batches of 256, signing and posting: one delivery.
    pub(super) delivery_cpu_s_per_1000: f64,
}

/// Rows of messages and attempts, written durably.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Rows {
    pub(super) deliveries_per_s: f64,
    /// A batch with its commit.
    pub(super) batch_ms: Spread,
    pub(super) cpu_s_per_1000: f64,
}

impl Floor {
    /// The straight posting that is measured against: over TLS when that was measured alone.
    pub(super) fn posting(&self) -> Option<Direct> {
        self.direct.or(self.direct_tls)
    }

    /// The shortest wait that can be: one post and one flush.
    pub(super) fn wait_ms(&self) -> Spread {
        self.posting().map(|direct| direct.wait_ms).unwrap_or_default().plus(self.fdatasync_ms)
    }
}

/// `bench floor`.
pub(crate) async fn run(options: &Options) -> Result<Floor, Error> {
    let folder = super::folder(options.data_dir.as_deref())?;
    measure(options, Posting::Both, folder.path(), Watch::start()).await
}

/// Measures everything in `folder`.
pub(super) async fn measure(options: &Options, posting: Posting, folder: &Path, watch: Watch) -> Result<Floor, Error> {
    say("floor: the same bodies straight to the sink");
    let direct = match posting {
        Posting::Plain | Posting::Both => Some(straight(options, folder, false, watch).await?),
        Posting::Tls => None,
    };
    let direct_tls = match posting {
        Posting::Tls | Posting::Both => Some(straight(options, folder, true, watch).await?),
        Posting::Plain => None,
    };
    say("floor: rows and flushes");
    let rows_32 = write_rows(options, folder, 32, watch).await?;
    let rows_256 = write_rows(options, folder, 256, watch).await?;
    let fsync_ms = flushes(options, folder, std::fs::File::sync_all, watch).await?;
    let fdatasync_ms = flushes(options, folder, std::fs::File::sync_data, watch).await?;
    let post = direct.or(direct_tls).map_or(0.0, |direct| direct.sender_cpu_s_per_1000);
    let receive = direct.or(direct_tls).map_or(0.0, |direct| direct.sink_cpu_s_per_1000);
    let delivery_cpu_s_per_1000 = of_delivery(receive, options.fanout, rows_256.cpu_s_per_1000, post);
    let (fanout, size_bytes) = (options.fanout, options.size);
    Ok(Floor {
        fanout,
        size_bytes,
        direct,
        direct_tls,
        rows_32,
        rows_256,
        fsync_ms,
        fdatasync_ms,
        delivery_cpu_s_per_1000,
    })
}

/// An event is received once and posted to each endpoint.
fn of_delivery(receive: f64, fanout: usize, rows: f64, post: f64) -> f64 {
    per(receive, precise(u64::try_from(fanout).unwrap_or(1))) + rows + post
}

async fn straight(options: &Options, folder: &Path, tls: bool, watch: Watch) -> Result<Direct, Error> {
    let receiver = Receiver::make(tls, folder)?;
    let ledger = Arc::new(Ledger::new(watch, 0, 0, 0));
    let sink = Sink::start(ledger, receiver.tls.clone()).await?;
    let dialect = super::dialect()?;
    let key: Key =
        dialect.secrets.key(&dialect.secrets.make([7; 32])).map_err(|error| Error::SetUp(error.to_string()))?;
    let (connections, data_bytes, time) = (options.connections, options.size, options.time);
    let plan = direct::Plan { tls: receiver.trust()?, connections, data_bytes, time, dialect, key };
    direct::measure(plan, &sink, watch).await
}

async fn write_rows(options: &Options, folder: &Path, batch: usize, watch: Watch) -> Result<Rows, Error> {
    let time = SignedDuration::try_from(options.time).unwrap_or(SignedDuration::ZERO);
    let plan = rows::Plan { batch, fan_out: options.fanout, data_bytes: options.size, time };
    let path = folder.join(format!("floor-{batch}.db"));
    in_thread("rows", move || {
        let cpu = ThreadCpu::of_this_thread()?;
        let (began, before) = (watch.nanos(), cpu.seconds()?);
        let written = rows::insert(&path, plan, watch.clock())?;
        let (took, cpu) = (watch.nanos() - began, cpu.seconds()? - before);
        let batches = written.batches.iter().filter_map(|wait| u64::try_from(wait.as_nanos()).ok());
        Ok(Rows {
            deliveries_per_s: per(precise(written.attempts), seconds(took)),
            batch_ms: Spread::of(batches.collect()),
            cpu_s_per_1000: per(cpu, precise(written.attempts) / 1e3),
        })
    })
    .await
}

async fn flushes(
    options: &Options,
    folder: &Path,
    flush: fn(&std::fs::File) -> std::io::Result<()>,
    watch: Watch,
) -> Result<Spread, Error> {
    let path = folder.join("floor.log");
    let time = u64::try_from(options.time.as_nanos()).unwrap_or(u64::MAX / 2);
    in_thread("flushes", move || {
        let mut file = std::fs::File::create(path).map_err(Error::File)?;
        let bytes = [0x5a; APPEND_BYTES];
        let until = watch.nanos() + time;
        let mut waits = Vec::new();
        while waits.len() < FLUSHES_MAX && (waits.is_empty() || watch.nanos() < until) {
            let began = watch.nanos();
            file.write_all(&bytes).and_then(|()| flush(&file)).map_err(Error::File)?;
            waits.push(watch.nanos() - began);
        }
        Ok(Spread::of(waits))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receiving_is_shared_by_all_endpoints() {
        assert_eq!(of_delivery(0.008, 1, 0.012, 0.010), 0.008 + 0.012 + 0.010);
        assert_eq!(of_delivery(0.008, 10, 0.012, 0.010), 0.0008 + 0.012 + 0.010);
    }
}
