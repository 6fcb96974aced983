//! The receiver: what a vendor's customer would run. It speaks HTTPS, verifies every request with `watchbell-wire`, and
//! tells what it saw.
//!
//! `POST /{dialect}` is checked as that dialect; `POST /shaky` is checked as Standard Webhooks by a receiver that is down
//! for its first two requests.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use watchbell_domain::port::Clock;
use watchbell_wire::{Dialect, Headers, Key, Unverified};

/// No demo message is larger.
const BODY_BYTES_MAX: usize = 8 << 20;

/// How many requests the shaky receiver refuses before it recovers.
pub(super) const REFUSED_FIRST: u32 = 2;

/// The path of the receiver that is down at first.
pub(super) const SHAKY: &str = "shaky";

/// One request, as the receiver saw it.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    /// The last part of the path: a dialect's id, or [`SHAKY`].
    pub(super) path: String,
    /// Which dialect it was checked as.
    pub(super) dialect: &'static Dialect,
    /// When it was complete.
    pub(super) at: Timestamp,
    /// 1, 2, 3, … requests of this path.
    pub(super) number: u32,
    /// Whether it is genuine, and what it says.
    pub(super) verdict: Verdict,
    /// The vendor's headers that came with it.
    pub(super) headers: Vec<&'static str>,
}

/// What the receiver made of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Genuine and readable; the vendor's name of the event.
    Verified(String),
    /// The receiver was down.
    Down,
    /// Not genuine, or not readable.
    Refused(String),
}

/// What each path is checked with.
#[derive(Debug, Clone)]
struct Check {
    dialect: &'static Dialect,
    key: Key,
    seen: u32,
}

/// A running receiver.
#[derive(Debug)]
pub(super) struct Receiver {
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// What arrives.
    pub(super) arrivals: mpsc::Receiver<Arrival>,
    checks: Arc<Mutex<BTreeMap<String, Check>>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What every connection shares.
#[derive(Clone)]
struct Shared {
    checks: Arc<Mutex<BTreeMap<String, Check>>>,
    tell: mpsc::Sender<Arrival>,
    clock: Arc<dyn Clock>,
}

impl Receiver {
    /// Starts on a free port of loopback.
    pub(super) async fn start(tls: Arc<rustls::ServerConfig>, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (tell, arrivals) = mpsc::channel(1024);
        let checks = Arc::new(Mutex::new(BTreeMap::new()));
        let shared = Shared { checks: Arc::clone(&checks), tell, clock };
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(accept(listener, TlsAcceptor::from(tls), shared, stop.clone(), tasks.clone()));
        Ok(Self { address, arrivals, checks, stop, tasks })
    }

    /// Checks what comes to `/path` as `dialect`, with this key.
    pub(super) fn expect(&self, path: &str, dialect: &'static Dialect, key: Key) {
        let check = Check { dialect, key, seen: 0 };
        self.checks.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), check);
    }

    /// Ends it and all its connections.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, shared: Shared, stop: CancellationToken, tasks: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let (tls, shared, stop) = (tls.clone(), shared.clone(), stop.clone());
        tasks.spawn(async move {
            let serve = async {
                let Ok(stream) = tls.accept(stream).await else { return };
                let service = service_fn(|request| answer(&shared, request));
                // A connection that breaks is the sender's to repeat.
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = serve => {}
            }
        });
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().trim_start_matches('/').to_owned();
    #[expect(clippy::disallowed_methods, reason = "read through Limited")]
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map(http_body_util::Collected::to_bytes);
    let status = match body {
        Ok(body) if head.method == Method::POST => judge(shared, path, &head.headers, &body).await,
        Ok(_) => StatusCode::METHOD_NOT_ALLOWED,
        Err(_) => StatusCode::BAD_REQUEST,
    };
    let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
    *response.status_mut() = status;
    Ok(response)
}

async fn judge(shared: &Shared, path: String, headers: &HeaderMap, body: &[u8]) -> StatusCode {
    let at = shared.clock.now();
    let check = {
        let mut checks = shared.checks.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(check) = checks.get_mut(&path) else {
            return StatusCode::NOT_FOUND;
        };
        check.seen += 1;
        check.clone()
    };
    let down = path == SHAKY && check.seen <= REFUSED_FIRST;
    let verdict = if down { Verdict::Down } else { verify(&check, headers, body, at) };
    let status = match &verdict {
        Verdict::Verified(_) => StatusCode::OK,
        Verdict::Down => StatusCode::SERVICE_UNAVAILABLE,
        Verdict::Refused(_) => StatusCode::UNAUTHORIZED,
    };
    let headers = vendor_headers(&check, headers);
    let arrival = Arrival { path, dialect: check.dialect, at, number: check.seen, verdict, headers };
    // Nobody listens any more when the demo is ending.
    shared.tell.send(arrival).await.ok();
    status
}

/// What a careful receiver does: the raw bytes first, then what they say.
fn verify(check: &Check, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Verdict {
    let lines: Headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let tolerance = SignedDuration::from_secs(300);
    let verified = Unverified::new(lines, body).verify(check.dialect, std::slice::from_ref(&check.key), now, tolerance);
    match verified.and_then(|verified| verified.decode()) {
        Ok(decoded) => {
            let version = decoded.vendor_version.map(|version| format!("/{version}")).unwrap_or_default();
            Verdict::Verified(format!("{}{version}", decoded.vendor_event))
        }
        Err(refusal) => Verdict::Refused(refusal.to_string()),
    }
}

/// The headers that make the dialect, among those that came.
fn vendor_headers(check: &Check, headers: &HeaderMap) -> Vec<&'static str> {
    let Some(outbound) = check.dialect.outbound else {
        return Vec::new();
    };
    let time = Timestamp::UNIX_EPOCH;
    let probe = watchbell_wire::Message { id: "probe", event: "probe", occurred_at: time, sent_at: time, body: b"{}" };
    let own = outbound.headers(&probe, std::slice::from_ref(&check.key)).unwrap_or_default();
    let general = ["content-type", "user-agent"];
    own.into_iter()
        .map(|header| header.name)
        .filter(|name| headers.contains_key(*name) && general.iter().all(|other| !name.eq_ignore_ascii_case(other)))
        .collect()
}
