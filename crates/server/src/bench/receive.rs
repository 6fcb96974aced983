//! `bench receive`: what it takes to accept a vendor's signed request, beside what it takes to accept the same by API.
//!
//! ```text
//!  round 1: events, events that may be repeated, receipts · round 2: the other way round · …
//! ```
//!
//! One server, the same connections, bodies of one size. A receipt is known again when it comes a second time, and so is an
//! event with an `Idempotency-Key`: the two do the same for whoever calls. An event without one is what costs least.
//!
//! Nothing is delivered: there is no endpoint, so that both sides end with their commit. The requests are made and signed
//! before they are counted; turns change from round to round, so that what grows with the database weighs on both alike.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use watchbell_domain::port::Entropy as _;
use watchbell_wire::{Key, Message, Secret};

use super::child::{Server, Setup, base};
use super::event::{MEASURED, Target, Template, data};
use super::measure::{Spread, ThreadCpu, Watch, per, precise, process_cpu_seconds, seconds};
use super::{Error, folder, http, in_thread, say};
use crate::cli::Output;
use crate::client::Request;
use crate::entropy::OsEntropy;

/// A server that used no processor time for this long has nothing left to do.
const QUIET: Duration = Duration::from_millis(100);
/// It is not waited longer than so many times for it.
const QUIET_LOOKS_MAX: u32 = 50;
/// Requests of each side before anything is counted, for each connection.
const WARMING_EACH: u64 = 8;

/// What to run.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Requests of each side, in all rounds.
    pub(crate) events: u64,
    pub(crate) rounds: u64,
    pub(crate) connections: usize,
    /// Bytes of `data`.
    pub(crate) size: usize,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) server_bin: PathBuf,
    pub(crate) settings: Vec<String>,
    pub(crate) hidden: Vec<String>,
}

/// One way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// `POST /events`
    Events,
    /// `POST /events` with an `Idempotency-Key`
    Repeatable,
    /// `POST /in/{source}`
    Receipts,
}

/// What one side took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Side {
    accepted: u64,
    per_s: f64,
    wait_ms: Spread,
    server_cpu_s_per_1000: f64,
    load_cpu_s_per_1000: f64,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figures {
    bench: &'static str,
    setup: Value,
    events: Side,
    repeatable_events: Side,
    receipts: Side,
    to_events: Ratios,
    to_repeatable_events: Ratios,
}

/// What a receipt takes, divided by what an event takes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Ratios {
    /// Of the server's processor.
    cpu: f64,
    /// Of time: the event's rate divided by the receipt's.
    time: f64,
}

impl Ratios {
    fn of(receipt: &Side, event: &Side) -> Self {
        Self {
            cpu: per(receipt.server_cpu_s_per_1000, event.server_cpu_s_per_1000),
            time: per(event.per_s, receipt.per_s),
        }
    }
}

/// Adds up the rounds of one side.
#[derive(Debug, Default)]
struct Sum {
    waits: Vec<u64>,
    nanos: u64,
    server_cpu: f64,
    load_cpu: f64,
}

/// Measures.
pub(crate) async fn run(options: Options) -> Result<Figures, Error> {
    let watch = Watch::start();
    let folder = folder(options.data_dir.as_deref())?;
    let settings: Vec<String> =
        ["ingress.rate_limit=off".to_owned()].into_iter().chain(options.settings.iter().cloned()).collect();
    let setup = Setup {
        binary: &options.server_bin,
        folder: folder.path(),
        // Nothing is delivered.
        sink: SocketAddr::from((Ipv4Addr::LOCALHOST, 9)),
        ca_file: None,
        connections: options.connections,
        in_flight: 1,
        settings: &settings,
        hidden: &options.hidden,
    };
    say("the server starts");
    let stage = Stage::set(Server::start(&setup, watch).await?, &options, watch).await?;
    let warming = u64::try_from(options.connections).unwrap_or(1) * WARMING_EACH;
    let mut turns = [Way::Events, Way::Repeatable, Way::Receipts];
    for way in turns {
        stage.round(way, warming).await?;
    }
    let (mut events, mut repeatable, mut receipts) = (Sum::default(), Sum::default(), Sum::default());
    for round in 0..options.rounds {
        say(&format!("round {} of {}", round + 1, options.rounds));
        for way in turns {
            let sum = match way {
                Way::Events => &mut events,
                Way::Repeatable => &mut repeatable,
                Way::Receipts => &mut receipts,
            };
            sum.add(stage.round(way, options.events.div_ceil(options.rounds)).await?);
        }
        turns.reverse();
    }
    let (events, repeatable_events, receipts) = (events.side(), repeatable.side(), receipts.side());
    Ok(Figures {
        bench: "receive",
        setup: json!({"requests": options.events, "rounds": options.rounds, "connections": options.connections,
            "data_bytes": options.size, "dialect": super::DIALECT}),
        to_events: Ratios::of(&receipts, &events),
        to_repeatable_events: Ratios::of(&receipts, &repeatable_events),
        events,
        repeatable_events,
        receipts,
    })
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.waits.extend(other.waits);
        self.nanos += other.nanos;
        self.server_cpu += other.server_cpu;
        self.load_cpu += other.load_cpu;
    }

    fn side(self) -> Side {
        let accepted = u64::try_from(self.waits.len()).unwrap_or(0);
        let thousands = precise(accepted) / 1e3;
        Side {
            accepted,
            per_s: per(precise(accepted), seconds(self.nanos)),
            wait_ms: Spread::of(self.waits),
            server_cpu_s_per_1000: per(self.server_cpu, thousands),
            load_cpu_s_per_1000: per(self.load_cpu, thousands),
        }
    }
}

/// What all rounds share.
struct Stage<'a> {
    options: &'a Options,
    server: Server,
    watch: Watch,
    /// `/in/…`
    path: String,
    key: Key,
    /// Numbers that no request had yet.
    next: AtomicUsize,
}

impl<'a> Stage<'a> {
    async fn set(server: Server, options: &'a Options, watch: Watch) -> Result<Self, Error> {
        let dialect = super::dialect()?;
        let mut random = [0; 32];
        OsEntropy.fill(&mut random);
        let secret: Secret = dialect.secrets.make(random);
        let key = dialect.secrets.key(&secret).map_err(|error| Error::SetUp(error.to_string()))?;
        let given = json!({"dialect": dialect.id, "name": "bench", "secret": secret.expose()});
        let made = server.client().json(Request::post(format!("{}/sources", base()), &given)).await?;
        let id = made.get("id").and_then(Value::as_str).unwrap_or_default();
        Ok(Self { options, path: format!("/in/{id}"), server, watch, key, next: AtomicUsize::new(0) })
    }

    async fn round(&self, way: Way, count: u64) -> Result<Sum, Error> {
        let requests = self.requests(way, count)?;
        self.quiet().await?;
        let before = process_cpu_seconds(self.server.pid())?;
        let (address, connections, watch) = (self.server.address, self.options.connections, self.watch);
        let mut sum = in_thread("load", move || post_all(way, requests, address, connections, watch)).await?;
        self.quiet().await?;
        sum.server_cpu = process_cpu_seconds(self.server.pid())? - before;
        Ok(sum)
    }

    fn requests(&self, way: Way, count: u64) -> Result<Vec<Vec<u8>>, Error> {
        let host = self.server.address.to_string();
        let target = Target { host: &host, key: self.server.key.expose(), base: &base() };
        let mut template = Template::new(target, MEASURED, self.options.size, 1);
        let mut requests = Vec::new();
        for _ in 0..count {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            requests.push(match way {
                Way::Events => template.numbered(u64::try_from(number).unwrap_or(0)).to_vec(),
                Way::Repeatable => repeatable(template.numbered(u64::try_from(number).unwrap_or(0)), number),
                Way::Receipts => self.signed(&host, number)?,
            });
        }
        Ok(requests)
    }

    /// As a vendor would send it.
    fn signed(&self, host: &str, number: usize) -> Result<Vec<u8>, Error> {
        let dialect = super::dialect()?;
        let now = self.watch.clock().now();
        let body = format!(r#"{{"type":"{MEASURED}","timestamp":"{now}","data":{}}}"#, data(self.options.size));
        let id = format!("msg_{number}");
        let message = Message { id: &id, event: MEASURED, occurred_at: now, sent_at: now, body: body.as_bytes() };
        let headers = dialect.sign(&message, std::slice::from_ref(&self.key));
        let headers = headers.map_err(|error| Error::SetUp(error.to_string()))?;
        let lines: String = headers.iter().map(|header| format!("{}: {}\r\n", header.name, header.value)).collect();
        let request = format!(
            "POST {} HTTP/1.1\r\nHost: {host}\r\n{lines}Content-Length: {}\r\n\r\n{body}",
            self.path,
            body.len()
        );
        Ok(request.into_bytes())
    }

    /// Waits until the server does nothing any more.
    async fn quiet(&self) -> Result<(), Error> {
        let mut before = process_cpu_seconds(self.server.pid())?;
        for _ in 0..QUIET_LOOKS_MAX {
            tokio::time::sleep(QUIET).await;
            let now = process_cpu_seconds(self.server.pid())?;
            if now <= before {
                break;
            }
            before = now;
        }
        Ok(())
    }
}

/// The same request with a key.
fn repeatable(request: &[u8], number: usize) -> Vec<u8> {
    let first_line = request.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let (first_line, rest) = request.split_at(first_line);
    [first_line, format!("Idempotency-Key: bench-{number}\r\n").as_bytes(), rest].concat()
}

/// Posts everything over connections that stay open, each request when the last of its connection was answered.
fn post_all(
    way: Way,
    requests: Vec<Vec<u8>>,
    address: SocketAddr,
    connections: usize,
    watch: Watch,
) -> Result<Sum, Error> {
    let cpu = ThreadCpu::of_this_thread()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Socket)?;
    runtime.block_on(async {
        let mut streams = Vec::new();
        for _ in 0..connections {
            let stream = TcpStream::connect(address).await.map_err(Error::Socket)?;
            stream.set_nodelay(true).map_err(Error::Socket)?;
            streams.push(stream);
        }
        let course = Arc::new((requests, AtomicUsize::new(0)));
        let (began, before) = (watch.nanos(), cpu.seconds()?);
        let mut posters = tokio::task::JoinSet::new();
        for stream in streams {
            posters.spawn(post(way, stream, Arc::clone(&course), watch));
        }
        let mut waits = Vec::new();
        while let Some(done) = posters.join_next().await {
            waits.extend(done.map_err(|_| Error::Thread("load"))??);
        }
        Ok(Sum { waits, nanos: watch.nanos() - began, server_cpu: 0.0, load_cpu: cpu.seconds()? - before })
    })
}

async fn post(
    way: Way,
    mut stream: TcpStream,
    course: Arc<(Vec<Vec<u8>>, AtomicUsize)>,
    watch: Watch,
) -> Result<Vec<u64>, Error> {
    let (requests, next) = &*course;
    let mut waits = Vec::new();
    let mut buffer = Vec::with_capacity(4096);
    while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
        let began = watch.nanos();
        stream.write_all(request).await.map_err(Error::Socket)?;
        buffer.clear();
        loop {
            if stream.read_buf(&mut buffer).await.map_err(Error::Socket)? == 0 {
                return Err(Error::Socket(std::io::ErrorKind::UnexpectedEof.into()));
            }
            let message = http::message(&buffer).map_err(|problem| Error::Socket(std::io::Error::other(problem)))?;
            if message.is_some() {
                break;
            }
        }
        if !is_accepted(way, &buffer) {
            return Err(Error::Refused(String::from_utf8_lossy(&buffer).chars().take(500).collect()));
        }
        waits.push(watch.nanos() - began);
    }
    Ok(waits)
}

/// Anything but acceptance is a failure, a duplicate too.
fn is_accepted(way: Way, answer: &[u8]) -> bool {
    let is_duplicate = || answer.windows(11).any(|window| window == br#""duplicate""#);
    match way {
        Way::Events | Way::Repeatable => http::status(answer) == Some(202),
        Way::Receipts => http::status(answer) == Some(200) && !is_duplicate(),
    }
}

impl Figures {
    /// As a table or as JSON.
    pub(crate) fn print(&self, out: Output) {
        if out.json {
            return out.value(&serde_json::to_value(self).unwrap_or_default());
        }
        let row = |name: &str, side: &Side| {
            json!({
                "way": name,
                "accepted": side.accepted,
                "rate": format!("{:.0}/s", side.per_s),
                "p50": format!("{:.2} ms", side.wait_ms.p50),
                "p99": format!("{:.2} ms", side.wait_ms.p99),
                "cpu": format!("{:.3} s", side.server_cpu_s_per_1000),
                "load": format!("{:.3} s", side.load_cpu_s_per_1000),
            })
        };
        let columns: &[(&str, &[&str])] = &[
            ("accepted by", &["way"]),
            ("requests", &["accepted"]),
            ("rate", &["rate"]),
            ("p50", &["p50"]),
            ("p99", &["p99"]),
            ("server CPU/1000", &["cpu"]),
            ("load CPU/1000", &["load"]),
        ];
        let rows = [
            row("POST /events", &self.events),
            row("… Idempotency-Key", &self.repeatable_events),
            row("POST /in/{source}", &self.receipts),
        ];
        out.table(&rows, columns);
        out.line(format!(
            "a receipt takes {:.2} times the processor time of an event, and {:.2} times as long;\n\
             {:.2} and {:.2} times what an event takes that may be repeated as well",
            self.to_events.cpu, self.to_events.time, self.to_repeatable_events.cpu, self.to_repeatable_events.time
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duplicate_is_no_acceptance() {
        let answer = |status: &str, body: &str| format!("HTTP/1.1 {status} X\r\n\r\n{body}").into_bytes();
        assert!(is_accepted(Way::Receipts, &answer("200", r#"{"receipt_id":"rcp_1"}"#)));
        assert!(!is_accepted(Way::Receipts, &answer("200", r#"{"duplicate":true}"#)));
        assert!(!is_accepted(Way::Receipts, &answer("401", "{}")));
        assert!(is_accepted(Way::Events, &answer("202", "{}")));
        assert!(is_accepted(Way::Repeatable, &answer("202", "{}")));
        assert!(!is_accepted(Way::Events, &answer("429", "{}")));
    }

    #[test]
    fn a_key_is_a_line_of_the_head() {
        let request = repeatable(b"POST /e HTTP/1.1\r\nHost: a\r\n\r\n{}", 7);
        assert_eq!(request, b"POST /e HTTP/1.1\r\nIdempotency-Key: bench-7\r\nHost: a\r\n\r\n{}");
    }

    #[test]
    fn rounds_add_up() {
        let mut sum = Sum::default();
        for _ in 0..2 {
            sum.add(Sum { waits: vec![1_000_000; 500], nanos: 500_000_000, server_cpu: 0.05, load_cpu: 0.02 });
        }
        let side = sum.side();
        assert_eq!((side.accepted, side.per_s, side.wait_ms.p50), (1000, 1000.0, 1.0));
        assert_eq!((side.server_cpu_s_per_1000, side.load_cpu_s_per_1000), (0.1, 0.04));
    }
}
