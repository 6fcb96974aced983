//! The receivers: what a vendor's customer would run, and the services by which people and machines are told. They speak
//! HTTPS, and syslog over TLS; they verify everything, and tell what they saw.
//!
//! | comes to | is checked |
//! |---|---|
//! | `/{dialect}` | as the vendor's customer would, with `watchbell-wire` |
//! | `/shaky` | as Standard Webhooks, by a receiver that is down for its first two requests |
//! | the path of a service, the log server | as that [service](super::services) would |

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
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use watchbell_domain::port::Clock;
use watchbell_wire::{Dialect, Headers, Key, Unverified};

use super::services::{Call, Said, Service};

/// No demo message is larger.
const BODY_BYTES_MAX: usize = 8 << 20;

/// No log message is larger: the product's own default, and room for its length.
const LOG_BYTES_MAX: usize = 8192;
const LOG_LENGTH_DIGITS_MAX: usize = 5;

/// How many requests the shaky receiver refuses before it recovers.
pub(super) const REFUSED_FIRST: u32 = 2;

/// The receiver that is down at first.
pub(super) const SHAKY: &str = "shaky";

/// The path under which log messages are looked up; HTTP's begin with a slash.
const LOGS: &str = "syslog";

/// One request, as its receiver saw it.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    /// A dialect's id, or [`SHAKY`].
    pub(super) name: String,
    /// Which dialect it was checked as.
    pub(super) dialect: &'static Dialect,
    /// When it was complete.
    pub(super) at: Timestamp,
    /// 1, 2, 3, … of its receiver.
    pub(super) number: u32,
    /// Whether it is genuine, and what it says.
    pub(super) verdict: Verdict,
    /// The vendor's headers that came with it.
    pub(super) headers: Vec<&'static str>,
}

/// What the receiver made of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Genuine and readable.
    Verified(Said),
    /// The receiver was down.
    Down,
    /// Not genuine, or not readable.
    Refused(String),
}

/// As whom something is checked.
#[derive(Debug, Clone)]
pub(super) enum Check {
    /// As the vendor's customer, who has this key.
    Customer(Key),
    /// As the service, which gave out this credential.
    Service(&'static Service, String),
}

/// What stands behind a path.
#[derive(Debug, Clone)]
struct Post {
    name: String,
    dialect: &'static Dialect,
    check: Check,
    seen: u32,
}

/// By their paths.
type Posts = Arc<Mutex<BTreeMap<String, Post>>>;

/// The running receivers.
#[derive(Debug)]
pub(super) struct Receiver {
    /// Where HTTPS is spoken.
    pub(super) address: SocketAddr,
    /// Where syslog over TLS is.
    pub(super) log_address: SocketAddr,
    /// What arrives.
    pub(super) arrivals: mpsc::Receiver<Arrival>,
    posts: Posts,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What every connection shares.
#[derive(Clone)]
struct Shared {
    posts: Posts,
    tell: mpsc::Sender<Arrival>,
    clock: Arc<dyn Clock>,
}

impl Receiver {
    /// Starts on free ports of loopback.
    pub(super) async fn start(tls: Arc<rustls::ServerConfig>, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let requests = TcpListener::bind(("127.0.0.1", 0)).await?;
        let logs = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (address, log_address) = (requests.local_addr()?, logs.local_addr()?);
        let (tell, arrivals) = mpsc::channel(1024);
        let posts = Posts::default();
        let shared = Shared { posts: Arc::clone(&posts), tell, clock };
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let tls = TlsAcceptor::from(tls);
        let (requests_seen, logs_seen) = (shared.clone(), shared);
        tasks.spawn(accept(requests, tls.clone(), stop.clone(), tasks.clone(), move |stream| {
            serve_requests(requests_seen.clone(), stream)
        }));
        tasks.spawn(accept(logs, tls, stop.clone(), tasks.clone(), move |stream| read_logs(logs_seen.clone(), stream)));
        Ok(Self { address, log_address, arrivals, posts, stop, tasks })
    }

    /// Checks what comes to `path`, and calls it `name`; to no path: what comes as a log message.
    pub(super) fn expect(&self, path: &str, name: &str, dialect: &'static Dialect, check: Check) {
        let post = Post { name: name.to_owned(), dialect, check, seen: 0 };
        let path = if path.is_empty() { LOGS } else { path };
        self.posts.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), post);
    }

    /// Ends them and all their connections.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn accept<S: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    tls: TlsAcceptor,
    stop: CancellationToken,
    tasks: TaskTracker,
    serve: impl Fn(TlsStream<TcpStream>) -> S + Clone + Send + Sync + 'static,
) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let (tls, stop, serve) = (tls.clone(), stop.clone(), serve.clone());
        tasks.spawn(async move {
            let served = async {
                // A connection that breaks is the sender's to repeat.
                if let Ok(stream) = tls.accept(stream).await {
                    serve(stream).await;
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = served => {}
            }
        });
    }
}

async fn serve_requests(shared: Shared, stream: TlsStream<TcpStream>) {
    let service = service_fn(|request| answer(&shared, request));
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    #[expect(clippy::disallowed_methods, reason = "read through Limited")]
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map(http_body_util::Collected::to_bytes);
    let (status, said) = match body {
        Ok(body) if head.method == Method::POST => {
            let query = head.uri.query().unwrap_or_default();
            shared.judge(head.uri.path(), &Call { query, headers: &head.headers, body: &body }).await
        }
        Ok(_) => (StatusCode::METHOD_NOT_ALLOWED, "{}"),
        Err(_) => (StatusCode::BAD_REQUEST, "{}"),
    };
    let mut response = Response::new(Full::new(Bytes::from_static(said.as_bytes())));
    *response.status_mut() = status;
    Ok(response)
}

/// The messages of a connection (RFC 5425): each is its length, a blank, and itself. What is not so ends the connection.
async fn read_logs(shared: Shared, stream: TlsStream<TcpStream>) {
    let mut stream = BufReader::new(stream);
    while let Some(message) = next_log(&mut stream).await {
        let call = Call { query: "", headers: &HeaderMap::new(), body: &message };
        shared.judge(LOGS, &call).await;
    }
}

async fn next_log(stream: &mut BufReader<TlsStream<TcpStream>>) -> Option<Vec<u8>> {
    let mut length = Vec::new();
    let digits_max = u64::try_from(LOG_LENGTH_DIGITS_MAX).ok()?;
    (&mut *stream).take(digits_max).read_until(b' ', &mut length).await.ok()?;
    let length = std::str::from_utf8(length.strip_suffix(b" ")?).ok()?;
    let length = length.parse().ok().filter(|length| (1..=LOG_BYTES_MAX).contains(length))?;
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await.ok()?;
    Some(message)
}

impl Shared {
    /// Looks at what came, tells of it, and says what is answered.
    async fn judge(&self, path: &str, call: &Call<'_>) -> (StatusCode, &'static str) {
        let at = self.clock.now();
        let post = {
            let mut posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(post) = posts.get_mut(path) else {
                return (StatusCode::NOT_FOUND, "{}");
            };
            post.seen += 1;
            post.clone()
        };
        let down = post.name == SHAKY && post.seen <= REFUSED_FIRST;
        let (verdict, status, said) = match &post.check {
            Check::Customer(_) if down => (Verdict::Down, StatusCode::SERVICE_UNAVAILABLE, "{}"),
            Check::Customer(key) => match verify(post.dialect, key, call, at) {
                Ok(said) => (Verdict::Verified(said), StatusCode::OK, "{}"),
                Err(why) => (Verdict::Refused(why), StatusCode::UNAUTHORIZED, "{}"),
            },
            Check::Service(service, credential) => match (service.take)(call, credential) {
                Ok(said) => (Verdict::Verified(said), service.answers.0, service.answers.1),
                Err(why) => (Verdict::Refused(why), StatusCode::BAD_REQUEST, "{}"),
            },
        };
        let headers = vendor_headers(&post, call.headers);
        let Post { name, dialect, seen: number, .. } = post;
        // Nobody listens any more when the demo is ending.
        self.tell.send(Arrival { name, dialect, at, number, verdict, headers }).await.ok();
        (status, said)
    }
}

/// What a careful receiver does: the raw bytes first, then what they say.
fn verify(dialect: &'static Dialect, key: &Key, call: &Call<'_>, now: Timestamp) -> Result<Said, String> {
    let lines: Headers = call.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let tolerance = SignedDuration::from_secs(300);
    let verified =
        Unverified::new(lines, call.body.to_vec()).verify(dialect, std::slice::from_ref(key), now, tolerance);
    let decoded = verified.and_then(|verified| verified.decode()).map_err(|refusal| refusal.to_string())?;
    let version = decoded.vendor_version.map(|version| format!("/{version}")).unwrap_or_default();
    Ok(Said { event: format!("{}{version}", decoded.vendor_event), ..Said::default() })
}

/// The headers that make the dialect, among those that came.
fn vendor_headers(post: &Post, headers: &HeaderMap) -> Vec<&'static str> {
    let (Some(outbound), Check::Customer(key)) = (post.dialect.outbound, &post.check) else {
        return Vec::new();
    };
    let time = Timestamp::UNIX_EPOCH;
    let probe = watchbell_wire::Message { id: "probe", event: "probe", occurred_at: time, sent_at: time, body: b"{}" };
    let own = outbound.headers(&probe, std::slice::from_ref(key)).unwrap_or_default();
    let general = ["content-type", "user-agent"];
    own.into_iter()
        .map(|header| header.name)
        .filter(|name| headers.contains_key(*name) && general.iter().all(|other| !name.eq_ignore_ascii_case(other)))
        .collect()
}
