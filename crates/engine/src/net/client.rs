//! One exchange: a POST out, a head back, under one deadline; whatever happens is an [`Exchange`] value.
//!
//! ```text
//!  take an idle connection of the peer, or connect (connect_timeout)
//!  send ── complete head ── body: ≤ 64 KiB, ≤ body_timeout ── keep or drop the connection
//!  └──────── timeout ─────┘
//! ```
//!
//! A complete head decides; the body is read as a courtesy. Redirects are not followed, bodies not decompressed, cookies
//! and credentials not kept. A request is sent a second time only where the peer cannot have processed the first: on a
//! reused connection without a byte of answer, or when HTTP/2 says so.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use watchbell_domain::delivery::{AttemptResult, Response};
use watchbell_domain::endpoint::Transport;
use watchbell_domain::port::Clock;
use watchbell_domain::retry::{Heard, RetryAfter};

use super::answer::{Head, ReadBody};
use super::connector::Connector;
use super::fault::{self, Fault};
use super::guard::UrlRefused;
use super::http1::Http1;
use super::http2::Http2;
use super::identity;
use super::mask::Mask;
use super::peer::{IdleLimits, Lent};
use super::request;

pub use super::peer::Peer;
pub use super::socket::Socket;

/// Bounds of an exchange and of what is kept between exchanges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// DNS, TCP and TLS.
    pub connect_timeout: SignedDuration,
    /// From a complete head to the end of the body.
    pub body_timeout: SignedDuration,
    /// Bytes of a response head.
    pub head_bytes_max: usize,
    /// Header lines of a response head.
    pub headers_max: usize,
    /// Bytes of a response body that are read.
    pub body_bytes_read_max: usize,
    /// Bytes of a response body that are kept.
    pub body_bytes_kept_max: usize,
    /// Idle connections of one endpoint.
    pub idle_per_peer_max: usize,
    /// Idle connections of all endpoints.
    pub idle_max: usize,
    /// How long a connection may idle.
    pub idle_timeout: SignedDuration,
    /// How long a connection may be used: names are looked up, and addresses judged, again after that.
    pub connection_age_max: SignedDuration,
    /// `User-Agent`, where the dialect sets none.
    pub user_agent: HeaderValue,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: SignedDuration::from_secs(5),
            body_timeout: SignedDuration::from_secs(5),
            head_bytes_max: 64 * 1024,
            headers_max: 100,
            body_bytes_read_max: 64 * 1024,
            body_bytes_kept_max: 16 * 1024,
            idle_per_peer_max: 128,
            idle_max: 1024,
            idle_timeout: SignedDuration::from_secs(30),
            connection_age_max: SignedDuration::from_mins(10),
            user_agent: HeaderValue::from_static(concat!("Watchbell/", env!("CARGO_PKG_VERSION"))),
        }
    }
}

/// What goes out.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// `POST`, nearly always.
    pub method: Method,
    /// Path and query, where it is not what the endpoint's URL says.
    pub target: Option<&'a str>,
    /// Header lines in the casing wanted, in order.
    pub headers: Vec<(&'a str, HeaderValue)>,
    /// The body, shared and not copied.
    pub body: Bytes,
    /// From the start to a complete head.
    pub timeout: SignedDuration,
    /// What must not be kept of an answer that echoes it.
    pub mask: &'a Mask,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// How it ended.
    pub result: AttemptResult,
    /// What came back.
    pub response: Option<Response>,
    /// The pause that the peer asked for.
    pub retry_after: Option<RetryAfter>,
    /// More about the result for people.
    pub detail: Option<String>,
    /// What the dialect read in the answer.
    pub heard: Heard,
}

impl From<Fault> for Exchange {
    fn from(fault: Fault) -> Self {
        Self { result: fault.result, response: None, retry_after: None, detail: fault.detail, heard: Heard::Status }
    }
}

/// Why nothing can be sent to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerRefused {
    /// The URL is not one that we may deliver to.
    #[error(transparent)]
    Url(#[from] UrlRefused),
    /// Its certificates cannot be used.
    #[error("{}: {}", .0.member, .0.why)]
    Tls(identity::Problem),
}

impl From<identity::Problem> for PeerRefused {
    fn from(problem: identity::Problem) -> Self {
        Self::Tls(problem)
    }
}

impl From<PeerRefused> for Fault {
    fn from(refused: PeerRefused) -> Self {
        match refused {
            PeerRefused::Url(_) => AttemptResult::EgressForbidden.into(),
            PeerRefused::Tls(_) => Self::new(AttemptResult::Internal, refused.to_string()),
        }
    }
}

/// Makes exchanges. One for the whole server.
pub struct Client {
    pub(super) connector: Connector,
    clock: Arc<dyn Clock>,
    limits: Limits,
    idle: Arc<AtomicUsize>,
    tasks: TaskTracker,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// An answer whose body has not been read yet.
struct Answered {
    head: Head,
    body: Incoming,
    lent: Lent,
}

impl Client {
    /// A client of these parts.
    pub fn new(connector: Connector, clock: Arc<dyn Clock>, limits: Limits) -> Self {
        Self { connector, clock, limits, idle: Arc::default(), tasks: TaskTracker::new() }
    }

    /// The bounds in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// An endpoint's own sockets, none of them open yet.
    ///
    /// # Errors
    /// When the URL is not one that we may deliver to (any more).
    pub fn peer(&self, url: &str) -> Result<Peer, PeerRefused> {
        self.peer_with(url, &Transport::default())
    }

    /// As [`Self::peer`], with the endpoint's own TLS and HTTP.
    ///
    /// # Errors
    /// When the URL is not one that we may deliver to (any more), or the TLS settings cannot be used.
    pub fn peer_with(&self, url: &str, transport: &Transport) -> Result<Peer, PeerRefused> {
        let target = self.connector.target(url)?;
        Ok(Peer::new(target, self.connector.handshake(transport)?, Arc::clone(&self.idle)))
    }

    /// As [`Self::peer_with`], for what must not go over plain HTTP.
    pub(super) fn https_peer(&self, url: &str, transport: &Transport) -> Result<Peer, PeerRefused> {
        let target = self.connector.https_target(url)?;
        Ok(Peer::new(target, self.connector.handshake(transport)?, Arc::clone(&self.idle)))
    }

    /// Within the time that connecting may take.
    pub(super) async fn in_time<T>(&self, connecting: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        tokio::select! {
            biased;
            connected = connecting => connected,
            () = self.clock.sleep(self.limits.connect_timeout) => Err(AttemptResult::ConnectTimeout.into()),
        }
    }

    /// The clock's monotonic half, by which deadlines are kept.
    pub(crate) fn monotonic(&self) -> SignedDuration {
        self.clock.monotonic()
    }

    /// Waits, as long as the clock says.
    pub(crate) async fn sleep(&self, duration: SignedDuration) {
        self.clock.sleep(duration).await;
    }

    /// Closes the peer's connections that have idled too long.
    pub fn sweep(&self, peer: &Peer) {
        peer.sweep(self.clock.monotonic(), &self.idle_limits());
    }

    /// Waits until the tasks behind HTTP/2 connections have ended. Drop the peers first.
    pub async fn closed(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Sends one request. `stop` ends it as `interrupted`, unless a complete head has come. Beside the exchange it answers
    /// the body as it came, secrets and all, for the dialect to read: it is not to be kept.
    pub async fn send(&self, peer: &Peer, outgoing: Outgoing<'_>, stop: &CancellationToken) -> (Exchange, Vec<u8>) {
        let Answered { head, body, lent } = match self.answered(peer, &outgoing, stop).await {
            Ok(answered) => answered,
            Err(fault) => {
                // An HTTP/2 connection that let an attempt run out of time gets no other.
                peer.forget_shared();
                return (fault.into(), Vec::new());
            }
        };
        let read = self.finish(peer, body, lent, stop).await;
        let exchange = head.with_body(&read, outgoing.mask, self.limits.body_bytes_kept_max, self.clock.now());
        (exchange, read.bytes)
    }

    /// Sends one request and answers status and body as they came, for who reads them and keeps neither.
    pub(super) async fn fetch(
        &self,
        peer: &Peer,
        outgoing: Outgoing<'_>,
        stop: &CancellationToken,
    ) -> Result<(StatusCode, Vec<u8>), Fault> {
        let Answered { head, body, lent } = self.answered(peer, &outgoing, stop).await?;
        let read = self.finish(peer, body, lent, stop).await;
        match read.complete {
            true => Ok((head.status(), read.bytes)),
            false => Err(Fault::new(AttemptResult::ConnectionClosed, "the answer is incomplete or too long")),
        }
    }

    async fn answered(
        &self,
        peer: &Peer,
        outgoing: &Outgoing<'_>,
        stop: &CancellationToken,
    ) -> Result<Answered, Fault> {
        let connected = AtomicBool::new(false);
        tokio::select! {
            biased;
            answered = self.head(peer, outgoing, &connected) => answered,
            () = self.clock.sleep(outgoing.timeout) => Err(Fault::from(match connected.load(Ordering::Relaxed) {
                true => AttemptResult::ResponseTimeout,
                false => AttemptResult::ConnectTimeout,
            })),
            () = stop.cancelled() => Err(AttemptResult::Interrupted.into()),
        }
    }

    async fn head(&self, peer: &Peer, outgoing: &Outgoing<'_>, connected: &AtomicBool) -> Result<Answered, Fault> {
        let names = request::SENT_FIRST.iter().copied().chain(outgoing.headers.iter().map(|(name, _)| *name));
        let casing = peer.casing.of(names).map_err(|error| Fault::new(AttemptResult::Internal, error.to_string()))?;
        let request = |is_http2| request::of(&peer.target, outgoing, &self.limits.user_agent, &casing, is_http2);
        let mut resent = false;
        loop {
            let idle = match resent {
                true => None,
                false => peer.take(self.clock.monotonic(), &self.idle_limits()),
            };
            let reused = idle.is_some();
            let mut lent = match idle {
                Some(lent) => lent,
                None => self.connect(peer).await?,
            };
            connected.store(true, Ordering::Relaxed);
            match lent.send(&request).await {
                Ok((head, body)) => return Ok(Answered { head, body, lent }),
                Err(failed) if !resent && lent.may_resend(&failed, reused) => resent = true,
                Err(failed) => return Err(self.give_up(peer, &lent, failed)),
            }
            self.forget(peer, &lent);
            connected.store(false, Ordering::Relaxed);
        }
    }

    fn give_up(&self, peer: &Peer, lent: &Lent, failed: Failed) -> Fault {
        self.forget(peer, lent);
        match failed {
            Failed::Hyper(error) => fault::of_hyper(&error),
            Failed::Head(fault) => fault,
        }
    }

    fn forget(&self, peer: &Peer, lent: &Lent) {
        match lent {
            Lent::Http1 { .. } => {}
            Lent::Http2 { .. } => peer.forget_shared(),
        }
    }

    async fn connect(&self, peer: &Peer) -> Result<Lent, Fault> {
        let connected = self.in_time(self.connector.connect(&peer.target, &peer.handshake)).await?;
        let born_at = self.clock.monotonic();
        let head_bytes_max = self.limits.head_bytes_max;
        if connected.http2 {
            let connection = Http2::open(connected.stream, head_bytes_max, &self.tasks)
                .await
                .map_err(|error| fault::of_hyper(&error))?;
            peer.share(&connection, born_at);
            return Ok(Lent::Http2 { connection });
        }
        let connection = Http1::open(connected.stream, head_bytes_max, self.limits.headers_max)
            .await
            .map_err(|error| fault::of_hyper(&error))?;
        Ok(Lent::Http1 { connection: Box::new(connection), born_at })
    }

    /// Reads what may be read of the body, and keeps the connection if it can serve again.
    async fn finish(&self, peer: &Peer, mut body: Incoming, mut lent: Lent, stop: &CancellationToken) -> ReadBody {
        let mut read = ReadBody::default();
        if body.is_end_stream() {
            read.complete = true;
        } else {
            tokio::select! {
                biased;
                () = self.read(&mut body, &mut lent, &mut read) => {}
                () = self.clock.sleep(self.limits.body_timeout) => {}
                () = stop.cancelled() => {}
            }
        }
        match (lent, read.complete) {
            (Lent::Http1 { connection, born_at }, true) => {
                peer.keep(connection, born_at, self.clock.monotonic(), &self.idle_limits());
            }
            (lent, false) => self.forget(peer, &lent),
            (Lent::Http2 { .. }, true) => {}
        }
        read
    }

    async fn read(&self, body: &mut Incoming, lent: &mut Lent, into: &mut ReadBody) {
        loop {
            let frame = match lent {
                Lent::Http1 { connection, .. } => connection.frame(body).await,
                Lent::Http2 { .. } => body.frame().await,
            };
            let Some(frame) = frame else {
                into.complete = true;
                return;
            };
            let Ok(frame) = frame else {
                return;
            };
            if let Some(data) = frame.data_ref() {
                let room = self.limits.body_bytes_read_max - into.bytes.len();
                into.bytes.extend_from_slice(data.get(..room).unwrap_or(data));
                if data.len() > room {
                    return;
                }
            }
        }
    }

    fn idle_limits(&self) -> IdleLimits {
        IdleLimits {
            per_peer: self.limits.idle_per_peer_max,
            everywhere: self.limits.idle_max,
            idle_max: self.limits.idle_timeout,
            age_max: self.limits.connection_age_max,
        }
    }
}

/// Why an open connection gave no answer.
enum Failed {
    Hyper(hyper::Error),
    Head(Fault),
}

impl Lent {
    async fn send(&mut self, request: &impl Fn(bool) -> Request<Full<Bytes>>) -> Result<(Head, Incoming), Failed> {
        let answer = match self {
            Self::Http1 { connection, .. } => {
                let mut request = request(false);
                let watch = Arc::clone(connection.watch());
                hyper::ext::on_informational(&mut request, move |_| watch.informed());
                connection.send(request).await
            }
            Self::Http2 { connection } => connection.send(request(true)).await,
        };
        let (parts, body) = answer.map_err(Failed::Hyper)?.into_parts();
        let is_http1 = matches!(self, Self::Http1 { .. });
        let head = Head::read(parts.status, parts.headers, is_http1).map_err(Failed::Head)?;
        Ok((head, body))
    }

    /// Whether the peer cannot have processed the request. It is then sent once more, on a new connection.
    fn may_resend(&self, failed: &Failed, reused: bool) -> bool {
        let Failed::Hyper(error) = failed else {
            return false;
        };
        match self {
            Self::Http1 { connection, .. } => reused && connection.watch().is_silent(),
            Self::Http2 { .. } => {
                fault::is_unprocessed(error) || (reused && (error.is_canceled() || error.is_closed()))
            }
        }
    }
}
