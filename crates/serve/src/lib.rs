//! Watchbell's connections: the accept loop, with limits in number, size and time.
//!
//! ```text
//!  socket ─▶ admission ─▶ stream (heads, frames: what the bytes say) ─▶ hyper ─▶ a router, given by the caller
//!                            └─▶ watch (is the connection still of use?)
//! ```
//!
//! It knows nothing of routes. What it has seen goes with each request: [`Peer`], [`Busy`], [`Lines`], [`Ambiguous`].
//!
//! What axum's own loop does not do: a header timeout counted from accept, a limit on idle connections, on headers and
//! on HTTP/2 streams, and a shutdown in which the node first says that it is not ready, then stops accepting, then lets
//! running requests finish.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse;
use http::{Request, StatusCode, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use jiff::SignedDuration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use watchbell_domain::port::Clock;

use admission::{Admission, Place};
use proxies::TrustedProxies;
use stream::Watched;
use watch::{Activity, Verdict, Watch, Working};

pub use lines::Lines;

mod admission;
mod frames;
mod heads;
mod lines;
pub mod proxies;
mod stream;
mod watch;

/// After a failed accept (no file descriptors left), wait this long.
const ACCEPT_PAUSE: SignedDuration = SignedDuration::from_millis(50);
/// What a connection beyond the limits gets, if it fits into the socket's buffer at once.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Bytes of an answer that wait in an HTTP/2 stream for the client to read them.
const SEND_BYTES_MAX: usize = 64 * 1024;

/// The address a request came from.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Whether this node wants requests.
#[derive(Debug, Clone, Default)]
pub struct Ready(Arc<AtomicBool>);

impl Ready {
    /// What `/readyz` answers from now on.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    /// What `/readyz` answers.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Limits of connections, named as in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `server.header_timeout`: from accept, or the first byte of a further request, to the end of its head.
    pub header_timeout: SignedDuration,
    /// `server.max_header_bytes`
    pub header_bytes_max: usize,
    /// `server.max_headers`
    pub headers_max: usize,
    /// `server.max_connections`
    pub connections_max: usize,
    /// The same for each client address.
    pub connections_per_address_max: usize,
    /// `server.trusted_proxies`: who may say in `X-Forwarded-For` whom a request is from.
    pub trusted_proxies: TrustedProxies,
    /// `server.keep_alive`: idle connections are closed after this.
    pub keep_alive: SignedDuration,
    /// `server.max_streams`: HTTP/2 streams of a connection.
    pub streams_max: u32,
    /// On shutdown `/readyz` says 503 for this long before accepting stops.
    pub drain: SignedDuration,
    /// On shutdown running requests may take this long.
    pub grace: SignedDuration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            header_timeout: SignedDuration::from_secs(10),
            header_bytes_max: 32 * 1024,
            headers_max: 100,
            connections_max: 10_000,
            connections_per_address_max: 200,
            trusted_proxies: TrustedProxies::default(),
            keep_alive: SignedDuration::from_secs(60),
            streams_max: 128,
            drain: SignedDuration::from_millis(500),
            grace: SignedDuration::from_secs(20),
        }
    }
}

/// Serves a router.
#[derive(Debug)]
pub struct Server {
    /// What is served.
    pub router: Router,
    /// Taken back when the shutdown begins.
    pub ready: Ready,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Limits.
    pub options: Options,
}

impl Server {
    /// Accepts and serves until `shutdown`, then drains. Returns when every connection has ended.
    pub async fn run(self, listener: TcpListener, shutdown: CancellationToken) {
        let phases = Phases::default();
        let connections = TaskTracker::new();
        let admission = Admission::new(&self.options);
        let begin_to_stop = async {
            shutdown.cancelled().await;
            self.ready.set(false);
            self.clock.sleep(self.options.drain).await;
            phases.closed.cancel();
        };
        tokio::join!(begin_to_stop, self.accept(listener, &admission, &connections, &phases));
        phases.draining.cancel();
        connections.close();
        tokio::select! {
            biased;
            () = connections.wait() => {}
            () = self.clock.sleep(self.options.grace) => phases.over.cancel(),
        }
        connections.wait().await;
    }

    /// Takes connections until the listener is to be closed; returning closes it.
    async fn accept(&self, listener: TcpListener, admission: &Admission, tasks: &TaskTracker, phases: &Phases) {
        let mut is_failing = false;
        loop {
            let accepted = tokio::select! {
                biased;
                () = phases.closed.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let was_failing = std::mem::replace(&mut is_failing, accepted.is_err());
            match accepted {
                Ok((stream, peer)) => match admission.admit(peer.ip()) {
                    Some(place) => {
                        tasks.spawn(self.connection(stream, Peer(peer), place, phases.clone()));
                    }
                    // Best effort: whoever does not read it sees the connection closed.
                    None => drop(stream.try_write(FULL)),
                },
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    if !was_failing {
                        tracing::warn!(%error, "accept failed; trying again until it does not");
                    }
                    self.clock.sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn connection(
        &self,
        stream: TcpStream,
        peer: Peer,
        place: Place,
        phases: Phases,
    ) -> impl Future<Output = ()> + Send + 'static {
        let options = self.options.clone();
        let clock = Arc::clone(&self.clock);
        let router = self.router.clone();
        async move {
            let _place = place;
            // Small answers wait for nothing; a socket that refuses this is about to fail anyway.
            stream.set_nodelay(true).ok();
            let activity = Arc::new(Activity::default());
            let io = TokioIo::new(Watched::new(stream, Arc::clone(&activity)));
            let service = service_fn(|request| answer(&router, request, peer, Arc::clone(&activity), &options));
            let builder = builder(&options);
            let mut connection = pin!(builder.serve_connection(io, service));
            let mut watch = Watch::new(&options, clock.monotonic());
            let mut is_draining = false;
            loop {
                tokio::select! {
                    biased;
                    _ended = connection.as_mut() => break,
                    () = phases.over.cancelled() => break,
                    () = phases.draining.cancelled(), if !is_draining => {
                        is_draining = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    () = clock.sleep(watch.tick()) => match watch.judge(&activity, clock.monotonic()) {
                        Verdict::Keep => {}
                        Verdict::Close => connection.as_mut().graceful_shutdown(),
                        Verdict::Cut => break,
                    }
                }
            }
        }
    }
}

/// Goes with every request. Whoever holds it keeps the connection from being idle: for an answer that is begun and takes
/// its time to go on.
#[derive(Debug, Clone)]
pub struct Busy(#[expect(dead_code, reason = "it is held, not read")] Arc<Working>);

/// Goes with a request whose head leaves open where it ends.
#[derive(Debug, Clone, Copy)]
pub struct Ambiguous;

fn answer(
    router: &Router,
    mut request: Request<Incoming>,
    peer: Peer,
    activity: Arc<Activity>,
    options: &Options,
) -> impl Future<Output = Result<axum::response::Response, Infallible>> + Send + use<> {
    let is_http2 = request.version() == Version::HTTP_2;
    // hyper counts the lines of HTTP/1 alone.
    let has_too_many_lines = is_http2 && request.headers().len() > options.headers_max;
    let client = Peer(options.trusted_proxies.client(peer.0, request.headers()));
    request.extensions_mut().insert(client);
    if activity.is_ambiguous() {
        request.extensions_mut().insert(Ambiguous);
    }
    if !is_http2 && let Some(head) = activity.next_head() {
        request.extensions_mut().insert(Lines::of(head));
    }
    let working = activity.begin(is_http2);
    request.extensions_mut().insert(Busy(Arc::clone(&working)));
    let router = router.clone();
    async move {
        let _working = working;
        match has_too_many_lines {
            true => Ok(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE.into_response()),
            false => router.oneshot(request).await,
        }
    }
}

fn builder(options: &Options) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    let std = |duration: SignedDuration| Duration::try_from(duration).unwrap_or_default();
    builder
        .http1()
        .timer(TokioTimer::new())
        // hyper counts this from the end of the request before, so it covers the idle time as well; `watch` is exact.
        .header_read_timeout(std(options.header_timeout.saturating_add(options.keep_alive)))
        .max_headers(options.headers_max)
        .max_buf_size(options.header_bytes_max.max(8192));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(options.streams_max)
        .max_send_buf_size(SEND_BYTES_MAX)
        .max_header_list_size(u32::try_from(options.header_bytes_max).unwrap_or(u32::MAX))
        .keep_alive_interval(std(options.keep_alive))
        .keep_alive_timeout(std(options.header_timeout));
    builder
}

/// What a shutdown goes through.
#[derive(Debug, Clone, Default)]
struct Phases {
    /// The listener is closed.
    closed: CancellationToken,
    /// Connections end after the request they are at.
    draining: CancellationToken,
    /// Connections are cut.
    over: CancellationToken,
}

/// Failures that say something about the connection and nothing about the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
