//! The load: events posted over connections that stay open.
//!
//! *Closed loop*: each connection posts the next event when the last was answered; one thread, one runtime, one write and
//! (mostly) one read a request. *Open loop*: each event has its time, whatever the server does, and waits are counted from
//! that time. A timer of the runtime is a millisecond coarse, so there each connection is a thread that sleeps.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::event::Template;
use super::measure::{ThreadCpu, Watch, precise};
use super::{Error, http, in_thread};

/// From the moment that every connection is open to the first event of an open loop.
const LEAD: Duration = Duration::from_millis(20);

/// Longest wait for an answer in an open loop, where a thread cannot be called back.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// What is posted.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) server: SocketAddr,
    pub(super) template: Template,
    /// Events of one request.
    pub(super) batch: u64,
    /// Numbers of the events; a whole number of batches.
    pub(super) events: Range<u64>,
    pub(super) connections: usize,
    /// Requests a second, or as fast as they are answered.
    pub(super) requests_per_s: Option<f64>,
}

/// One request that was answered as it should be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exchange {
    /// Its first event.
    pub(super) first: u64,
    /// When it was sent; in an open loop when it should have been.
    pub(super) origin: u64,
    /// When the answer was complete.
    pub(super) answered: u64,
}

/// What became of a load.
#[derive(Debug, Clone, Default)]
pub(super) struct Sent {
    pub(super) exchanges: Vec<Exchange>,
    pub(super) cpu_seconds: f64,
}

/// What all connections share.
#[derive(Debug)]
struct Course {
    plan: Plan,
    watch: Watch,
    next: AtomicU64,
    accepted: Arc<AtomicU64>,
}

/// Posts everything. `accepted` grows by each event as its answer comes.
pub(super) async fn run(plan: Plan, watch: Watch, accepted: Arc<AtomicU64>) -> Result<Sent, Error> {
    let course = Arc::new(Course { next: AtomicU64::new(plan.events.start), plan, watch, accepted });
    match course.plan.requests_per_s {
        None => in_thread("load", move || closed_loop(&course)).await,
        Some(rate) => in_thread("load", move || open_loop(&course, rate)).await,
    }
}

impl Course {
    /// The first event of the next request.
    fn take(&self) -> Option<u64> {
        let first = self.next.fetch_add(self.plan.batch, Ordering::Relaxed);
        (first < self.plan.events.end).then_some(first)
    }

    /// After a failure nobody takes anything any more.
    fn give_up(&self) {
        self.next.store(self.plan.events.end, Ordering::Relaxed);
    }

    /// Notes a complete answer: anything but acceptance of all that was in the request is a failure.
    fn note(&self, answer: &[u8], exchange: Exchange) -> Result<Exchange, Error> {
        let refused_none = self.plan.batch == 1 || answer.windows(12).any(|window| window == br#""refused":0,"#);
        if http::status(answer) != Some(202) || !refused_none {
            self.give_up();
            return Err(Error::Refused(String::from_utf8_lossy(answer).chars().take(500).collect()));
        }
        self.accepted.fetch_add(self.plan.batch, Ordering::Relaxed);
        Ok(exchange)
    }
}

fn closed_loop(course: &Arc<Course>) -> Result<Sent, Error> {
    let cpu = ThreadCpu::of_this_thread()?;
    let before = cpu.seconds()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Socket)?;
    let exchanges = runtime.block_on(async {
        let mut streams = Vec::new();
        for _ in 0..course.plan.connections {
            let stream = TcpStream::connect(course.plan.server).await.map_err(Error::Socket)?;
            stream.set_nodelay(true).map_err(Error::Socket)?;
            streams.push(stream);
        }
        let mut posters = tokio::task::JoinSet::new();
        for stream in streams {
            posters.spawn(post(stream, Arc::clone(course)));
        }
        let mut exchanges = Vec::new();
        while let Some(done) = posters.join_next().await {
            exchanges.extend(done.map_err(|_| Error::Thread("load"))??);
        }
        Ok::<_, Error>(exchanges)
    })?;
    Ok(Sent { exchanges, cpu_seconds: cpu.seconds()? - before })
}

async fn post(mut stream: TcpStream, course: Arc<Course>) -> Result<Vec<Exchange>, Error> {
    let mut template = course.plan.template.clone();
    let mut buffer = Vec::with_capacity(4096);
    let mut exchanges = Vec::new();
    while let Some(first) = course.take() {
        let origin = course.watch.nanos();
        stream.write_all(template.numbered(first)).await.map_err(Error::Socket)?;
        buffer.clear();
        while !is_complete(&buffer)? {
            if stream.read_buf(&mut buffer).await.map_err(Error::Socket)? == 0 {
                return Err(Error::Socket(std::io::ErrorKind::UnexpectedEof.into()));
            }
        }
        let exchange = Exchange { first, origin, answered: course.watch.nanos() };
        exchanges.push(course.note(&buffer, exchange)?);
    }
    Ok(exchanges)
}

fn is_complete(buffer: &[u8]) -> Result<bool, Error> {
    let message = http::message(buffer).map_err(|problem| Error::Socket(std::io::Error::other(problem)))?;
    Ok(message.is_some())
}

fn open_loop(course: &Arc<Course>, rate: f64) -> Result<Sent, Error> {
    let open = Barrier::new(course.plan.connections);
    let start = AtomicU64::new(0);
    let posters = std::thread::scope(|scope| {
        let spawn = |_| scope.spawn(|| post_in_time(course, rate, &open, &start));
        let posters: Vec<_> = (0..course.plan.connections).map(spawn).collect();
        posters.into_iter().map(|poster| poster.join().map_err(|_| Error::Thread("load"))?).collect::<Vec<_>>()
    });
    let mut all = Sent::default();
    for sent in posters {
        let sent = sent?;
        all.exchanges.extend(sent.exchanges);
        all.cpu_seconds += sent.cpu_seconds;
    }
    Ok(all)
}

fn post_in_time(course: &Course, rate: f64, open: &Barrier, start: &AtomicU64) -> Result<Sent, Error> {
    let stream = std::net::TcpStream::connect(course.plan.server);
    // Everybody waits for everybody, those without a connection too.
    if open.wait().is_leader() {
        let lead = u64::try_from(LEAD.as_nanos()).unwrap_or(0);
        start.store(course.watch.nanos() + lead, Ordering::Relaxed);
    }
    open.wait();
    let start = start.load(Ordering::Relaxed);
    let sent = stream.map_err(Error::Socket).and_then(|stream| post_at_their_times(stream, course, rate, start));
    if sent.is_err() {
        course.give_up();
    }
    sent
}

fn post_at_their_times(mut stream: std::net::TcpStream, course: &Course, rate: f64, start: u64) -> Result<Sent, Error> {
    stream.set_nodelay(true).map_err(Error::Socket)?;
    stream.set_read_timeout(Some(ANSWER_MAX)).map_err(Error::Socket)?;
    let mut template = course.plan.template.clone();
    let mut buffer = vec![0; 64 << 10];
    let mut exchanges = Vec::new();
    while let Some(first) = course.take() {
        let turn = (first - course.plan.events.start) / course.plan.batch;
        let wait = Duration::from_secs_f64(precise(turn) / rate);
        let origin = start + u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX / 2);
        // Made ready before its time, so that only the write is left.
        let request = template.numbered(first);
        std::thread::sleep(Duration::from_nanos(origin.saturating_sub(course.watch.nanos())));
        stream.write_all(request).map_err(Error::Socket)?;
        let mut filled = 0;
        while !is_complete(buffer.get(..filled).unwrap_or_default())? {
            let read = stream.read(buffer.get_mut(filled..).unwrap_or_default()).map_err(Error::Socket)?;
            if read == 0 {
                return Err(Error::Socket(std::io::ErrorKind::UnexpectedEof.into()));
            }
            filled += read;
        }
        let exchange = Exchange { first, origin, answered: course.watch.nanos() };
        exchanges.push(course.note(buffer.get(..filled).unwrap_or_default(), exchange)?);
    }
    Ok(Sent { exchanges, cpu_seconds: ThreadCpu::of_this_thread()?.seconds()? })
}
