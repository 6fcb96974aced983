//! `/capture/{inbox}`: takes whatever is sent, keeps it as it came, answers what the inbox says.
//!
//! ```text
//!  request ─▶ rate of the address ─▶ token ─▶ rate of the inbox ─▶ a place, if it waits ─▶ body, bounded ─▶ commit ─▶ wait ─▶ answer
//! ```
//!
//! Everybody may send, and only keys of the organisation may read. A body that is too long, too slow or breaks off is kept as
//! far as it came: that is what somebody wants to see. While a sender waits for his answer nothing is held but a place,
//! and there are so many places and no more. An answer is somebody's own text on our address, so a browser is told to run
//! nothing of it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::{HeaderName, HeaderValue, StatusCode, header};
use jiff::SignedDuration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use watchbell_domain::capture::{CaptureAnswer, Captured, INBOXES_MAX, Inbox, InboxToken, Keep, TTL, TTL_MAX};
use watchbell_domain::id::{CaptureId, CapturedId};
use watchbell_domain::port::CaptureStore;

use crate::auth::Peer;
use crate::body::{Beginning, BodyReader};
use crate::edge::{Edge, Making};
use crate::limits::{Rate, RateLimit};
use crate::problem::{Problem, Result};
use crate::serve::Lines;
use crate::serve::proxies::counted;

/// Inboxes remembered, and for how long. A deletion on this node takes effect at once.
const REMEMBERED_MAX: usize = 1024;
const REMEMBERED_FOR: SignedDuration = SignedDuration::from_secs(5);

/// How much capture inboxes may be. Each is a setting below `capture.`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// `max_inboxes` of an organisation.
    pub inboxes_max: u32,
    /// `max_requests` and `max_inbox_bytes`.
    pub keep: Keep,
    /// Bytes of a body that are kept (`max_body_bytes`).
    pub body_bytes_max: usize,
    /// Bytes of a body that are read: a sender of more gets an answer all the same (`max_read_bytes`).
    pub read_bytes_max: u64,
    /// Requests to one inbox (`rate_limit`); `None`: no limit.
    pub per_inbox: Option<RateLimit>,
    /// Requests of one address, whatever inbox they name (`rate_limit_per_address`); `None`: no limit.
    pub per_address: Option<RateLimit>,
    /// How long an inbox lives, unless it is said (`ttl`).
    pub ttl: SignedDuration,
    /// The longest it may (`max_ttl`).
    pub ttl_max: SignedDuration,
    /// Answers of an inbox that wait at a time (`max_waiting_per_inbox`).
    pub waiting_per_inbox_max: usize,
    /// Of all (`max_waiting`).
    pub waiting_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            inboxes_max: INBOXES_MAX,
            keep: Keep::default(),
            body_bytes_max: 256 * 1024,
            read_bytes_max: 8 * 1024 * 1024,
            per_inbox: Some(rate(20, 100)),
            per_address: Some(rate(50, 200)),
            ttl: TTL,
            ttl_max: TTL_MAX,
            waiting_per_inbox_max: 16,
            waiting_max: 256,
        }
    }
}

const fn rate(per_second: u32, burst: u32) -> RateLimit {
    let (Some(per_second), Some(burst)) = (NonZeroU32::new(per_second), NonZeroU32::new(burst)) else {
        return RateLimit { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN };
    };
    RateLimit { per_second, burst }
}

/// Takes what is sent to inboxes, and tells who waits for it.
#[derive(Clone)]
pub(crate) struct Captures(Arc<Inner>);

struct Inner {
    store: Arc<dyn CaptureStore>,
    making: Making,
    bodies: BodyReader,
    options: Options,
    per_address: Option<Rate<IpAddr>>,
    per_inbox: Option<Rate<CaptureId>>,
    /// By their token, each with when it was looked up.
    remembered: Mutex<BTreeMap<InboxToken, (Arc<Inbox>, SignedDuration)>>,
    waiting: Arc<Semaphore>,
    waiting_by_inbox: Mutex<BTreeMap<CaptureId, Arc<Semaphore>>>,
    news: Mutex<BTreeMap<CaptureId, Arc<Notify>>>,
}

pub(crate) fn router() -> Router<Edge> {
    Router::new()
        .route("/capture/{inbox}", any(take))
        .route("/capture/{inbox}/", any(take))
        .route("/capture/{inbox}/{*rest}", any(take))
}

async fn take(State(captures): State<Captures>, request: Request) -> Response {
    captures.take(request).await.unwrap_or_else(IntoResponse::into_response)
}

impl Captures {
    pub(crate) fn new(options: Options, store: Arc<dyn CaptureStore>, making: Making, bodies: BodyReader) -> Self {
        let clock = || Arc::clone(&making.clock);
        Self(Arc::new(Inner {
            options,
            per_address: options.per_address.map(|limit| Rate::new(limit, clock())),
            per_inbox: options.per_inbox.map(|limit| Rate::new(limit, clock())),
            remembered: Mutex::default(),
            waiting: Arc::new(Semaphore::new(options.waiting_max)),
            waiting_by_inbox: Mutex::default(),
            news: Mutex::default(),
            store,
            making,
            bodies,
        }))
    }

    /// How much there may be.
    pub(crate) fn options(&self) -> Options {
        self.0.options
    }

    /// Forgets what is known of inboxes, so that the next request sees what the store says.
    pub(crate) fn forget(&self) {
        self.0.remembered.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Rings when something was sent to the inbox on this node.
    pub(crate) fn news(&self, inbox: CaptureId) -> Arc<Notify> {
        let mut news = self.0.news.lock().unwrap_or_else(PoisonError::into_inner);
        news.retain(|_, bell| Arc::strong_count(bell) > 1);
        Arc::clone(news.entry(inbox).or_default())
    }

    async fn take(&self, request: Request) -> Result<Response> {
        let inner = &*self.0;
        let address = request.extensions().get::<Peer>().map(|peer| peer.0.ip().to_canonical());
        if let Some(rate) = &inner.per_address {
            rate.check(counted(address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))))?;
        }
        let (mut parts, body) = request.into_parts();
        let params = RawPathParams::from_request_parts(&mut parts, &()).await.map_err(|_| Problem::NotFound)?;
        let token = params.iter().find_map(|(name, value)| (name == "inbox").then(|| InboxToken::parse(value)));
        let inbox = self.inbox(token.flatten().ok_or(Problem::NotFound)?).await?.ok_or(Problem::NotFound)?;
        if let Some(rate) = &inner.per_inbox {
            rate.check(inbox.id)?;
        }
        let place = self.place(&inbox)?;

        let body = inner.bodies.beginning(body, inner.options.body_bytes_max, inner.options.read_bytes_max).await?;
        let captured = self.captured(&inbox, &parts, &body, address);
        if inner.store.record_capture(captured, inner.options.keep).await?.is_none() {
            self.forget();
            return Err(Problem::NotFound);
        }
        if let Some(bell) = inner.news.lock().unwrap_or_else(PoisonError::into_inner).get(&inbox.id) {
            bell.notify_waiters();
        }
        let ended = body.ended;
        // Nothing of the request is held while its sender waits.
        drop((parts, body.kept));
        ended?;
        if !inbox.answer.delay.is_zero() {
            inner.making.clock.sleep(inbox.answer.delay).await;
        }
        drop(place);
        Ok(answer(&inbox.answer))
    }

    async fn inbox(&self, token: InboxToken) -> Result<Option<Arc<Inbox>>> {
        let inner = &*self.0;
        let (now, since) = (inner.making.clock.now(), inner.making.clock.monotonic());
        let known = inner.remembered.lock().unwrap_or_else(PoisonError::into_inner).get(&token).cloned();
        if let Some((inbox, then)) = known
            && since.saturating_sub(then) < REMEMBERED_FOR
            && now < inbox.expires_at
        {
            return Ok(Some(inbox));
        }
        let Some(found) = inner.store.capture_by_token(token, now).await?.map(Arc::new) else {
            return Ok(None);
        };
        let mut remembered = inner.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(token, (Arc::clone(&found), since));
        Ok(Some(found))
    }

    /// A place among those who wait for their answer, if this inbox lets them wait.
    fn place(&self, inbox: &Inbox) -> Result<Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>> {
        if inbox.answer.delay.is_zero() {
            return Ok(None);
        }
        let of_inbox = {
            let mut places = self.0.waiting_by_inbox.lock().unwrap_or_else(PoisonError::into_inner);
            let most = self.0.options.waiting_per_inbox_max;
            places.retain(|_, places| places.available_permits() < most);
            let places = places.entry(inbox.id).or_insert_with(|| Arc::new(Semaphore::new(most)));
            Arc::clone(places).try_acquire_owned()
        };
        let of_all = Arc::clone(&self.0.waiting).try_acquire_owned();
        match (of_inbox, of_all) {
            (Ok(of_inbox), Ok(of_all)) => Ok(Some((of_inbox, of_all))),
            _ => Err(Problem::RateLimited(1)),
        }
    }

    fn captured(
        &self,
        inbox: &Inbox,
        parts: &http::request::Parts,
        body: &Beginning,
        address: Option<IpAddr>,
    ) -> Captured {
        let now = self.0.making.clock.now();
        let lines = Lines::as_received(parts.extensions.get(), &parts.headers);
        Captured {
            id: CapturedId::make(now, &*self.0.making.entropy),
            org_id: inbox.org_id,
            inbox_id: inbox.id,
            number: 0,
            received_at: jiff::Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now),
            method: parts.method.as_str().to_owned(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().map(str::to_owned),
            version: format!("{:?}", parts.version),
            headers: lines.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect(),
            body: body.kept.to_vec(),
            body_bytes: body.bytes,
            is_whole: body.is_whole(),
            address,
        }
    }
}

fn answer(answer: &CaptureAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let may_say = !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let body = if may_say { answer.body.clone() } else { String::new() };
    let mut response = axum::body::Body::from(body).into_response();
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    let policy = HeaderValue::from_static("sandbox; default-src 'none'; frame-ancestors 'none'");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
