//! The sink: what the endpoints are. One thread of the bench's own, minimal HTTP/1.1, every arrival stamped when its last
//! byte was read and before it is answered.
//!
//! `/e/NUMBER` is an endpoint; `/w` answers after [`HANG`], so that what is sent there waits; anything else is answered
//! and only counted. It runs in the bench's process because a thread is cheaper than a process, and its processor time can
//! be told from the others' all the same.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::event::number_in;
use super::measure::{ThreadCpu, Watch};
use super::{Error, http, in_thread};

/// How long an endpoint that hangs takes to answer.
pub(super) const HANG: Duration = Duration::from_secs(10);

/// Requests that are kept to be verified afterwards.
const SAMPLES: usize = 64;

const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// What arrived. Written by the sink, read by anybody at any time.
#[derive(Debug)]
pub(super) struct Ledger {
    watch: Watch,
    endpoints: usize,
    hanging: usize,
    /// When each event came to each endpoint for the first time; 0: not yet.
    first: Vec<AtomicU64>,
    healthy: AtomicU64,
    hung: AtomicU64,
    again: AtomicU64,
    all: AtomicU64,
    samples: Mutex<Vec<Sample>>,
    sample_every: usize,
}

/// A request as it came, to be verified when nothing is measured any more.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) endpoint: usize,
    pub(super) head: Vec<u8>,
    pub(super) body: Vec<u8>,
}

impl Ledger {
    /// For events `0..events` to `endpoints` endpoints, the first `hanging` of which answer late.
    pub(super) fn new(watch: Watch, events: usize, endpoints: usize, hanging: usize) -> Self {
        let first = std::iter::repeat_with(AtomicU64::default).take(events * endpoints).collect();
        Self {
            watch,
            endpoints,
            hanging,
            first,
            healthy: AtomicU64::new(0),
            hung: AtomicU64::new(0),
            again: AtomicU64::new(0),
            all: AtomicU64::new(0),
            samples: Mutex::new(Vec::new()),
            sample_every: (events / SAMPLES).max(1),
        }
    }

    /// Events that arrived for the first time at endpoints that answer at once, all endpoints together.
    pub(super) fn healthy(&self) -> u64 {
        self.healthy.load(Ordering::Acquire)
    }

    /// The same at endpoints that hang.
    pub(super) fn hung(&self) -> u64 {
        self.hung.load(Ordering::Acquire)
    }

    /// Every arrival, at any endpoint, for the first time or not.
    pub(super) fn all(&self) -> u64 {
        self.all.load(Ordering::Relaxed)
    }

    /// Arrivals of what had arrived there before.
    pub(super) fn duplicates(&self) -> u64 {
        self.again.load(Ordering::Relaxed)
    }

    /// When an event came to each endpoint that answers at once.
    pub(super) fn arrivals(&self, event: usize) -> impl Iterator<Item = Option<u64>> {
        let row = self.first.get(event * self.endpoints..(event + 1) * self.endpoints).unwrap_or_default();
        row.iter().skip(self.hanging).map(|at| Some(at.load(Ordering::Relaxed)).filter(|at| *at > 0))
    }

    pub(super) fn samples(&self) -> Vec<Sample> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers whether this endpoint hangs.
    fn note(&self, head: &[u8], body: &[u8]) -> bool {
        let at = self.watch.nanos();
        self.all.fetch_add(1, Ordering::Relaxed);
        let Some(endpoint) = endpoint_of(head) else {
            return head.starts_with(b"POST /w ");
        };
        let hangs = endpoint < self.hanging;
        let slot = number_in(body).and_then(|event| Some((event, self.first.get(event * self.endpoints + endpoint)?)));
        let Some((event, slot)) = slot.filter(|_| endpoint < self.endpoints) else {
            return hangs;
        };
        if slot.load(Ordering::Relaxed) > 0 {
            self.again.fetch_add(1, Ordering::Relaxed);
            return hangs;
        }
        slot.store(at, Ordering::Relaxed);
        if self.is_sampled(event, endpoint) {
            self.keep(Sample { endpoint, head: head.to_vec(), body: body.to_vec() });
        }
        // Released last: who has seen the count sees the time as well.
        let counter = if hangs { &self.hung } else { &self.healthy };
        counter.fetch_add(1, Ordering::Release);
        hangs
    }

    /// Events in equal steps, each at the next of the endpoints that answer at once.
    fn is_sampled(&self, event: usize, endpoint: usize) -> bool {
        let turn = event / self.sample_every % self.endpoints.saturating_sub(self.hanging).max(1);
        event.is_multiple_of(self.sample_every) && endpoint == self.hanging + turn
    }

    fn keep(&self, sample: Sample) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() < SAMPLES {
            samples.push(sample);
        }
    }
}

/// The number behind `POST /e/`.
fn endpoint_of(head: &[u8]) -> Option<usize> {
    let rest = head.strip_prefix(b"POST /e/")?;
    let digits = rest.split(|byte| *byte == b' ').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A running sink. Its thread ends when this is dropped.
#[derive(Debug)]
pub(super) struct Sink {
    pub(super) address: SocketAddr,
    pub(super) cpu: ThreadCpu,
    _stop: oneshot::Sender<()>,
}

impl Sink {
    /// Starts on a free port of loopback.
    pub(super) async fn start(ledger: Arc<Ledger>, tls: Option<Arc<rustls::ServerConfig>>) -> Result<Self, Error> {
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = oneshot::channel();
        // Its end is ours: the sender in `self`.
        drop(in_thread("sink", move || serve(ledger, tls.map(TlsAcceptor::from), tell, stopped)));
        let (address, cpu) = told.await.map_err(|_| Error::Thread("sink"))?;
        Ok(Self { address, cpu, _stop: stop })
    }
}

fn serve(
    ledger: Arc<Ledger>,
    tls: Option<TlsAcceptor>,
    tell: oneshot::Sender<(SocketAddr, ThreadCpu)>,
    stopped: oneshot::Receiver<()>,
) -> Result<(), Error> {
    let cpu = ThreadCpu::of_this_thread()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Socket)?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Error::Socket)?;
        let address = listener.local_addr().map_err(Error::Socket)?;
        if tell.send((address, cpu)).is_err() {
            return Ok(());
        }
        tokio::select! {
            biased;
            _ = stopped => Ok(()),
            ended = accept(&listener, &ledger, tls.as_ref()) => ended,
        }
    })
}

async fn accept(listener: &TcpListener, ledger: &Arc<Ledger>, tls: Option<&TlsAcceptor>) -> Result<(), Error> {
    loop {
        let (stream, _) = listener.accept().await.map_err(Error::Socket)?;
        stream.set_nodelay(true).map_err(Error::Socket)?;
        tokio::spawn(connection(stream, Arc::clone(ledger), tls.cloned()));
    }
}

async fn connection(stream: TcpStream, ledger: Arc<Ledger>, tls: Option<TlsAcceptor>) {
    // A connection that breaks is the sender's to repeat, and what is missing is seen in the end.
    match tls {
        None => drop(answer(stream, &ledger).await),
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                drop(answer(stream, &ledger).await);
            }
        }
    }
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, ledger: &Ledger) -> std::io::Result<()> {
    let mut buffer = Vec::with_capacity(16 << 10);
    loop {
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        while let Some(message) = http::message(&buffer).map_err(std::io::Error::other)? {
            let (head, rest) = buffer.split_at(message.head);
            let hangs = ledger.note(head, rest.get(..message.whole - message.head).unwrap_or_default());
            buffer.drain(..message.whole);
            if hangs {
                tokio::time::sleep(HANG).await;
            }
            stream.write_all(ANSWER).await?;
            stream.flush().await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(ledger: &Ledger, path: &str, event: usize) -> bool {
        let body = format!(r#"{{"type":"x","data":{{"bench":"{event:010}","pad":""}}}}"#);
        ledger.note(format!("POST {path} HTTP/1.1\r\n\r\n").as_bytes(), body.as_bytes())
    }

    #[test]
    fn arrivals_are_counted_once_for_each_endpoint() {
        let ledger = Ledger::new(Watch::start(), 10, 3, 1);
        assert!(note(&ledger, "/e/0", 4));
        assert!(!note(&ledger, "/e/1", 4));
        assert!(!note(&ledger, "/e/1", 4));
        assert!(!note(&ledger, "/e/2", 5));
        assert_eq!((ledger.healthy(), ledger.hung(), ledger.duplicates()), (2, 1, 1));
        let seen = |event| ledger.arrivals(event).map(|at| at.is_some()).collect::<Vec<_>>();
        assert_eq!((seen(4), seen(5), seen(6)), (vec![true, false], vec![false, true], vec![false, false]));
        // Event 4 is kept at the first of the two that answer at once, event 5 at the second.
        assert_eq!(ledger.samples().iter().map(|sample| sample.endpoint).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn what_belongs_to_nobody_is_answered_and_forgotten() {
        let ledger = Ledger::new(Watch::start(), 10, 2, 0);
        assert!(!note(&ledger, "/e/2", 1));
        assert!(!note(&ledger, "/e/1", 10));
        assert!(!note(&ledger, "/other", 1));
        assert!(note(&ledger, "/w", 1));
        assert_eq!((ledger.healthy(), ledger.duplicates()), (0, 0));
    }
}
