//! Everything put together: the state that substates are taken from, and what happens around every request.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, Method, Version, header};
use jiff::SignedDuration;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use watchbell_domain::id::RequestId;
use watchbell_domain::port::{
    AdvisoryStore, AuditStore, CaptureStore, Clock, CustomTypeStore, DeliveryStore, EndpointStore, Entropy,
    ErasureStore, EventStore, EvidenceStore, FindingStore, GroupStore, KeyStore, MemberStore, OrgStore, PoamStore,
    ProjectStore, ReceiptStore, ReplayStore, RoomStore, ScanRunStore, SourceStore, Store, TrainingStore,
};
use watchbell_engine::catalogue::Catalogue;
use watchbell_engine::delivery::Handle;
use watchbell_engine::evidence::Content;
use watchbell_engine::net::guard::EgressPolicy;
use watchbell_engine::receive::{self, Receiver};
use watchbell_engine::spool::Spool;

use crate::auth::Authenticator;
use crate::body::{BodyLimits, BodyReader};
use crate::capture::Captures;
use crate::graphql::Live;
use crate::limits::{Limiter, RateLimit};
use crate::metrics::Metrics;
use crate::org_names::OrgNames;
use crate::page::Cursors;
use crate::problem::{self, Problem};
use crate::rest::Explaining;
use crate::serve::{Ambiguous, Ready};
use crate::{capture, graphql, ingress, rest, vendor};

/// Names the request in the answer.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the edge is told. Each value has a default but the key of the cursors.
#[derive(Debug, Clone)]
pub struct Options {
    /// Sizes and times of bodies.
    pub bodies: BodyLimits,
    /// `api.rate_limit` per key; `None`: off.
    pub rate_limit: Option<RateLimit>,
    /// `auth.failures_per_minute` per address.
    pub failures_per_minute: NonZeroU32,
    /// Requests worked on at once; more are refused with 503.
    pub requests_max: usize,
    /// `server.max_uri_bytes`.
    pub uri_bytes_max: usize,
    /// How vendors' requests are received.
    pub receive: receive::Options,
    /// How much capture inboxes may be.
    pub capture: capture::Options,
    /// `ingress.rotation_overlap`: how long a source's old secret holds unless told otherwise.
    pub rotation_overlap: SignedDuration,
    /// What this server's address begins with for others: a source's URL is made of it. Without a slash at the end.
    pub public_url: String,
    /// Authenticates cursors. Nodes behind one address need the same.
    pub cursor_key: [u8; 32],
}

impl Options {
    /// The defaults.
    pub fn new(cursor_key: [u8; 32]) -> Self {
        let non_zero = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Self {
            bodies: BodyLimits::default(),
            rate_limit: Some(RateLimit { per_second: non_zero(50), burst: non_zero(200) }),
            failures_per_minute: non_zero(20),
            requests_max: 2048,
            uri_bytes_max: 8 * 1024,
            receive: receive::Options::default(),
            capture: capture::Options::default(),
            rotation_overlap: SignedDuration::from_hours(24),
            public_url: "http://localhost:8420".to_owned(),
            cursor_key,
        }
    }
}

/// What the edge works on.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "ports are object-safe and say nothing about themselves")]
pub struct Parts {
    /// Every storage port.
    pub store: Arc<dyn Store>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// The delivery loop.
    pub wake: Handle,
    /// Where endpoints may point.
    pub egress: Arc<EgressPolicy>,
    /// Where large bodies are while they are worked on.
    pub spool: Spool,
    /// The content of documents.
    pub content: Arc<Content>,
    /// What is counted, and the registry it is shown from.
    pub metrics: Metrics,
}

/// The HTTP edge of a node.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "ports are object-safe and say nothing about themselves")]
pub struct Edge(Arc<Inner>);

/// Shared by every request: cloning an [`Edge`] costs one count.
struct Inner {
    parts: Parts,
    making: Making,
    auth: Authenticator,
    org_names: OrgNames,
    limiter: Limiter,
    bodies: BodyReader,
    cursors: Cursors,
    catalogue: Catalogue,
    ready: Ready,
    live: Arc<Live>,
    captures: Captures,
    explaining: Explaining,
    receiver: Arc<Receiver>,
    public_url: PublicUrl,
    rotation_overlap: RotationOverlap,
    slots: Semaphore,
    uri_bytes_max: usize,
}

/// How long a source's old secret holds unless told otherwise.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RotationOverlap(pub(crate) SignedDuration);

/// What this server's address begins with for others.
#[derive(Debug, Clone)]
pub(crate) struct PublicUrl(Arc<str>);

impl PublicUrl {
    /// The URL of a path of this server.
    pub(crate) fn of(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

/// Time and chance, which ids are made of.
#[derive(Debug, Clone)]
pub(crate) struct Making {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// Where large bodies go, and whether there is room for them.
#[derive(Clone)]
pub(crate) struct Room {
    pub(crate) spool: Spool,
    store: Arc<dyn RoomStore>,
}

impl Room {
    /// # Errors
    /// `storage_full`.
    pub(crate) async fn check(&self) -> problem::Result<()> {
        match self.store.has_room().await? {
            true => Ok(()),
            false => Err(Problem::StorageFull),
        }
    }
}

impl Edge {
    /// An edge that is not ready yet: see [`Self::ready`].
    pub fn new(parts: Parts, options: Options) -> Self {
        let keys: Arc<dyn KeyStore> = Arc::clone(&parts.store) as _;
        let groups: Arc<dyn GroupStore> = Arc::clone(&parts.store) as _;
        let limiter = Limiter::new(options.rate_limit, options.failures_per_minute, Arc::clone(&parts.clock));
        let ready = Ready::default();
        let live = Live::new(Arc::clone(&parts.clock), ready.clone());
        parts.store.watch(Arc::clone(&live) as _);
        let bodies = BodyReader::new(options.bodies, Arc::clone(&parts.clock));
        let making = Making { clock: Arc::clone(&parts.clock), entropy: Arc::clone(&parts.entropy) };
        let catalogue = Catalogue::new(Arc::clone(&parts.store) as _, Arc::clone(&parts.clock));
        let receiving = receive::Parts {
            sources: Arc::clone(&parts.store) as _,
            receipts: Arc::clone(&parts.store) as _,
            catalogue: catalogue.clone(),
            clock: Arc::clone(&parts.clock),
            entropy: Arc::clone(&parts.entropy),
        };
        Self(Arc::new(Inner {
            captures: Captures::new(options.capture, Arc::clone(&parts.store) as _, making.clone(), bodies.clone()),
            explaining: Explaining::new(Arc::clone(&parts.clock)),
            making,
            auth: Authenticator::new(keys, groups, Arc::clone(&parts.clock), limiter.clone()),
            org_names: OrgNames::new(Arc::clone(&parts.store) as _, Arc::clone(&parts.clock)),
            limiter,
            bodies,
            cursors: Cursors::new(options.cursor_key),
            catalogue,
            receiver: Arc::new(Receiver::new(options.receive, receiving)),
            rotation_overlap: RotationOverlap(options.rotation_overlap),
            public_url: PublicUrl(options.public_url.into()),
            ready,
            live,
            slots: Semaphore::new(options.requests_max),
            uri_bytes_max: options.uri_bytes_max,
            parts,
        }))
    }

    /// The switch behind `/readyz`: set it once the node can work; [`crate::serve::Server`] takes it back on shutdown.
    pub fn ready(&self) -> Ready {
        self.0.ready.clone()
    }

    /// Every route, with everything around them.
    pub fn router(&self) -> Router {
        let (documented, _) = routes(self).split_for_parts();
        let (operations, _) = rest::operations().split_for_parts();
        documented
            .merge(vendor::snyk::router(self))
            .merge(capture::router())
            .merge(ingress::router(self))
            .merge(graphql::router(self, operations.with_state(self.clone())))
            .fallback(|| async { Problem::NotFound })
            .method_not_allowed_fallback(|| async { Problem::MethodNotAllowed })
            .layer(CatchPanicLayer::custom(panicked))
            .layer(from_fn_with_state(self.clone(), around))
            .with_state(self.clone())
    }

    /// Lets only authenticated requests reach a router.
    pub(crate) fn authenticator(&self) -> Authenticator {
        self.0.auth.clone()
    }
}

/// The contract, generated from the code.
pub fn openapi() -> utoipa::openapi::OpenApi {
    rest::contract()
}

fn routes(edge: &Edge) -> OpenApiRouter<Edge> {
    rest::guarded(edge).merge(rest::open())
}

#[expect(clippy::needless_pass_by_value, reason = "the layer hands the panic over")]
fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or_default(), "handler panicked");
    Problem::Internal.into_response()
}

/// The outermost layer: the request's id, the limits that need no key, the body of problems, figures.
async fn around(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let id = RequestId::make(edge.0.making.clock.now(), &*edge.0.making.entropy);
    request.extensions_mut().insert(id);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let began = edge.0.making.clock.monotonic();
    let response = match (unfit(&request, edge.0.uri_bytes_max), edge.0.slots.try_acquire()) {
        // How its body would be framed is not to be trusted: nothing more is read from the connection.
        (Some(problem), _) => ([(header::CONNECTION, "close")], problem).into_response(),
        // Nothing is tunnelled: a target without a path has no methods.
        (None, _) if method == Method::CONNECT && request.uri().path_and_query().is_none() => {
            ([(header::CONNECTION, "close"), (header::ALLOW, "")], Problem::MethodNotAllowed).into_response()
        }
        (None, Err(_)) => Problem::Overloaded.into_response(),
        (None, Ok(_slot)) => next.run(request).await,
    };
    let took = edge.0.making.clock.monotonic().saturating_sub(began);
    let response = written(response, id);
    edge.0.parts.metrics.request(&method, route, response.status(), took);
    tracing::debug!(%id, %method, route, status = response.status().as_u16(), "request answered");
    response
}

/// What makes a request unfit for every route.
fn unfit(request: &Request, uri_bytes_max: usize) -> Option<Problem> {
    if request.extensions().get::<Ambiguous>().is_some() {
        return Some(Problem::HeaderInvalid(
            "the body's length is to be given once: by Content-Length, or by Transfer-Encoding: chunked".to_owned(),
        ));
    }
    let uri_bytes = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if uri_bytes > uri_bytes_max {
        return Some(Problem::UriTooLong);
    }
    let hosts = request.headers().get_all(header::HOST).iter().count();
    let is_hosted = match request.version() {
        Version::HTTP_11 => hosts == 1,
        _ => hosts <= 1,
    };
    if !is_hosted {
        return Some(Problem::HeaderInvalid("Host is to be given once".to_owned()));
    }
    let mut codings = request.headers().get_all(header::TRANSFER_ENCODING).iter();
    // hyper looks at the last coding alone, and would hand a gzipped body on as it is.
    let is_plain = match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    };
    (!is_plain).then(|| Problem::HeaderInvalid("Transfer-Encoding can only be chunked, given once".to_owned()))
}

/// A problem gets its body here, unless a vendor's router has written one.
fn written(mut response: Response, id: RequestId) -> Response {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let body = serde_json::to_vec(&problem.body(&id.to_string())).unwrap_or_default();
        let (mut parts, _) = response.into_parts();
        parts.headers.remove(header::CONTENT_LENGTH);
        let media_type = HeaderValue::from_static(problem::MEDIA_TYPE);
        parts.headers.insert(header::CONTENT_TYPE, media_type);
        response = Response::from_parts(parts, body.into());
    }
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let nosniff = HeaderValue::from_static("nosniff");
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}

macro_rules! substates {
    ($($ty:ty = |$edge:ident| $value:expr;)+) => {$(
        impl FromRef<Edge> for $ty {
            fn from_ref($edge: &Edge) -> Self {
                $value
            }
        }
    )+};
}

substates! {
    Limiter = |edge| edge.0.limiter.clone();
    Arc<dyn OrgStore> = |edge| Arc::clone(&edge.0.parts.store) as _;
    Arc<dyn AuditStore> = |edge| Arc::clone(&edge.0.parts.store) as _;
    Arc<dyn GroupStore> = |edge| Arc::clone(&edge.0.parts.store) as _;
    Arc<dyn MemberStore> = |edge| Arc::clone(&edge.0.parts.store) as _;
    Arc<dyn KeyStore> = |edge| Arc::clone(&edge.0.parts.store) as _;
    Arc<dyn EndpointStore> = |edge| Arc::clone(&edge.0.parts.store) as _;
    Arc<dyn EventStore> = |edge| Arc::clone(&edge.0.parts.store) as _;
    Arc<dyn DeliveryStore> = |edge| Arc::clone(&edge.0.parts.store) as _;
    Arc<dyn ProjectStore> = |edge| Arc::clone(&edge.0.parts.store) as _;
    Arc<dyn FindingStore> = |edge| Arc::clone(&edge.0.parts.store) as _;
    Arc<dyn ReplayStore> = |edge| Arc::clone(&edge.0.parts.store) as _;
    Arc<dyn ErasureStore> = |edge| Arc::clone(&edge.0.parts.store) as _;
    Arc<dyn AdvisoryStore> = |edge| Arc::clone(&edge.0.parts.store) as _;
    Arc<dyn EvidenceStore> = |edge| Arc::clone(&edge.0.parts.store) as _;
    Arc<Content> = |edge| Arc::clone(&edge.0.parts.content);
    Room = |edge| Room { spool: edge.0.parts.spool.clone(), store: Arc::clone(&edge.0.parts.store) as _ };
    Arc<dyn PoamStore> = |edge| Arc::clone(&edge.0.parts.store) as _;
    Arc<dyn TrainingStore> = |edge| Arc::clone(&edge.0.parts.store) as _;
    Arc<dyn ScanRunStore> = |edge| Arc::clone(&edge.0.parts.store) as _;
    Arc<dyn CaptureStore> = |edge| Arc::clone(&edge.0.parts.store) as _;
    Captures = |edge| edge.0.captures.clone();
    Explaining = |edge| edge.0.explaining.clone();
    Arc<dyn CustomTypeStore> = |edge| Arc::clone(&edge.0.parts.store) as _;
    Arc<dyn SourceStore> = |edge| Arc::clone(&edge.0.parts.store) as _;
    Arc<dyn ReceiptStore> = |edge| Arc::clone(&edge.0.parts.store) as _;
    Arc<Receiver> = |edge| Arc::clone(&edge.0.receiver);
    RotationOverlap = |edge| edge.0.rotation_overlap;
    PublicUrl = |edge| edge.0.public_url.clone();
    Catalogue = |edge| edge.0.catalogue.clone();
    Arc<dyn RoomStore> = |edge| Arc::clone(&edge.0.parts.store) as _;
    Arc<EgressPolicy> = |edge| Arc::clone(&edge.0.parts.egress);
    Handle = |edge| edge.0.parts.wake.clone();
    Metrics = |edge| edge.0.parts.metrics.clone();
    Making = |edge| edge.0.making.clone();
    Authenticator = |edge| edge.0.auth.clone();
    OrgNames = |edge| edge.0.org_names.clone();
    BodyReader = |edge| edge.0.bodies.clone();
    Cursors = |edge| edge.0.cursors.clone();
    Ready = |edge| edge.0.ready.clone();
    Arc<Live> = |edge| Arc::clone(&edge.0.live);
}
