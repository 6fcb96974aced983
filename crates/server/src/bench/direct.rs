//! What a delivery costs without a server: the same bodies encoded, signed and posted straight to the sink, by hyper over
//! connections that stay open.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use watchbell_domain::port::Clock as _;
use watchbell_wire::dialect::Outbound;
use watchbell_wire::{Data, Dialect, Event, Key, Message, Settings};

use super::measure::{Spread, ThreadCpu, Watch, per, precise, seconds};
use super::sink::Sink;
use super::{Error, event, in_thread};
use crate::clock::SystemClock;

/// As long as the ids of deliveries are.
const ID: &str = "dlv_0123456789abcdef0123456789abcdef";

/// How to post.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) connections: usize,
    pub(super) data_bytes: usize,
    pub(super) time: Duration,
    pub(super) dialect: &'static Dialect,
    pub(super) key: Key,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Direct {
    pub(super) connections: usize,
    pub(super) per_s: f64,
    /// From the beginning of encoding to the end of the answer.
    pub(super) wait_ms: Spread,
    pub(super) sender_cpu_s_per_1000: f64,
    pub(super) sink_cpu_s_per_1000: f64,
}

/// Posts for the time of the plan.
pub(super) async fn measure(plan: Plan, sink: &Sink, watch: Watch) -> Result<Direct, Error> {
    let (connections, address) = (plan.connections, sink.address);
    let sink_before = sink.cpu.seconds()?;
    let (waits, nanos, cpu) = in_thread("direct", move || post_all(&plan, address, watch)).await?;
    let sink_cpu = sink.cpu.seconds()? - sink_before;
    let thousands = precise(u64::try_from(waits.len()).unwrap_or(0)) / 1e3;
    Ok(Direct {
        connections,
        per_s: per(thousands * 1e3, seconds(nanos)),
        wait_ms: Spread::of(waits),
        sender_cpu_s_per_1000: per(cpu, thousands),
        sink_cpu_s_per_1000: per(sink_cpu, thousands),
    })
}

/// Waits, elapsed nanoseconds, processor seconds. Connections are opened before anything is counted.
fn post_all(plan: &Plan, address: SocketAddr, watch: Watch) -> Result<(Vec<u64>, u64, f64), Error> {
    let cpu = ThreadCpu::of_this_thread()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Socket)?;
    runtime.block_on(async {
        let mut senders = Vec::new();
        for _ in 0..plan.connections {
            senders.push(connect(plan, address).await?);
        }
        let (began, before) = (watch.nanos(), cpu.seconds()?);
        let until = began + u64::try_from(plan.time.as_nanos()).unwrap_or(u64::MAX / 2);
        let mut posters = tokio::task::JoinSet::new();
        for sender in senders {
            posters.spawn(post(sender, plan.clone(), address.to_string(), watch, until));
        }
        let mut waits = Vec::new();
        while let Some(done) = posters.join_next().await {
            waits.extend(done.map_err(|_| Error::Thread("direct"))??);
        }
        Ok((waits, watch.nanos() - began, cpu.seconds()? - before))
    })
}

type Sender = http1::SendRequest<Full<Bytes>>;

async fn connect(plan: &Plan, address: SocketAddr) -> Result<Sender, Error> {
    let stream = TcpStream::connect(address).await.map_err(Error::Socket)?;
    stream.set_nodelay(true).map_err(Error::Socket)?;
    match &plan.tls {
        None => shake(stream).await,
        Some(tls) => {
            let name = ServerName::IpAddress(address.ip().into());
            shake(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await.map_err(Error::Socket)?).await
        }
    }
}

async fn shake<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(stream: S) -> Result<Sender, Error> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // Ends with its sender.
    tokio::spawn(connection);
    Ok(sender)
}

async fn post(mut sender: Sender, plan: Plan, host: String, watch: Watch, until: u64) -> Result<Vec<u64>, Error> {
    let clock = SystemClock::start();
    let outbound = plan.dialect.outbound.ok_or_else(|| Error::SetUp("the dialect cannot be sent".to_owned()))?;
    let event = sample(&clock, plan.data_bytes)?;
    let mut waits = Vec::new();
    loop {
        let began = watch.nanos();
        if began >= until {
            return Ok(waits);
        }
        let request = request(outbound, &event, &plan.key, &host, &clock)?;
        sender.ready().await.map_err(broken)?;
        let mut answer = sender.send_request(request).await.map_err(broken)?;
        while answer.frame().await.is_some() {}
        waits.push(watch.nanos() - began);
    }
}

/// The event that is posted again and again.
fn sample(clock: &SystemClock, data_bytes: usize) -> Result<Event, Error> {
    let set_up = |error: String| Error::SetUp(error);
    Ok(Event {
        id: Default::default(),
        event_type: event::MEASURED.parse().map_err(|error| set_up(format!("{error}")))?,
        occurred_at: clock.now(),
        data: Data::from_text(event::data(data_bytes)).map_err(|error| set_up(format!("{error}")))?,
    })
}

/// Encoded and signed anew, as each delivery is.
fn request(
    outbound: &dyn Outbound,
    event: &Event,
    key: &Key,
    host: &str,
    clock: &SystemClock,
) -> Result<http::Request<Full<Bytes>>, Error> {
    let body = outbound.encode(event, &Settings::default()).map_err(|error| Error::SetUp(error.to_string()))?;
    let message = Message {
        id: ID,
        event: event.event_type.as_str(),
        occurred_at: event.occurred_at,
        sent_at: clock.now(),
        body: &body,
    };
    let headers = outbound.headers(&message, std::slice::from_ref(key));
    let mut request = http::Request::post("/floor").header(HOST, host);
    for header in headers.map_err(|error| Error::SetUp(error.to_string()))? {
        request = request.header(header.name, header.value);
    }
    request.body(Full::new(Bytes::from(body))).map_err(|error| Error::SetUp(error.to_string()))
}

fn broken(error: hyper::Error) -> Error {
    Error::Socket(std::io::Error::other(error))
}
