//! Events and deliveries as they happen.
//!
//! ```text
//!  store ─ committed ids ─▶ Live (broadcast) ─▶ one receiver a stream ─▶ REST's own GET ─▶ filter ─▶ queue ─▶ client
//! ```
//!
//! What goes round is ids; each stream reads what they name as its key may see it, so that nothing crosses an
//! organisation's wall here either. Streams are bounded for each key and in total. One that does not keep up is ended and
//! told why: it is no queue, and what it missed it finds in the lists. It ends as well when its key is revoked and when the
//! node stops.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_graphql::parser::types::OperationType;
use async_graphql::{Context, Error, ID, Request, Response as Executed, Subscription};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream as Flow, StreamExt, stream};
use http::{HeaderValue, header};
use jiff::SignedDuration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio_util::task::TaskTracker;
use watchbell_domain::id::{KeyId, OrgId, RequestId};
use watchbell_domain::port::{Change, Clock, Watcher};

use super::SCHEMA;
use super::delivery::{Delivery, DeliveryState};
use super::error::{Answer, of_request};
use super::event::Event;
use super::http::finished;
use super::list::Node;
use super::operation::{Path, Session};
use crate::auth::{Authenticator, Caller};
use crate::problem::{Problem, Result};
use crate::serve::{Busy, Ready};

/// Changes that a stream may be behind.
const BEHIND_MAX: usize = 1024;
/// Messages that wait for a client to read them.
const UNREAD_MAX: usize = 64;
/// Streams of one key.
pub(crate) const STREAMS_PER_KEY_MAX: usize = 10;
/// Streams of all.
const STREAMS_MAX: usize = 200;
/// How often a stream looks at its key and at the node.
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(2);
/// After so many looks a comment is sent, by which proxies see that it lives.
const LOOKS_PER_COMMENT: u32 = 6;

/// Tells streams what was committed.
pub(crate) struct Live {
    changes: broadcast::Sender<Change>,
    streams: Mutex<BTreeMap<KeyId, usize>>,
    tasks: TaskTracker,
    clock: Arc<dyn Clock>,
    ready: Ready,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("streams", &self.changes.receiver_count()).finish_non_exhaustive()
    }
}

impl Watcher for Live {
    fn is_watching(&self) -> bool {
        self.changes.receiver_count() > 0
    }

    fn committed(&self, changes: Vec<Change>) {
        for change in changes {
            // Without receivers nobody misses it.
            drop(self.changes.send(change));
        }
    }
}

/// A place among the streams, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    live: Arc<Live>,
    key: KeyId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut streams = self.live.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = streams.get_mut(&self.key) {
            *count = count.saturating_sub(1);
        }
        streams.retain(|_, count| *count > 0);
    }
}

/// What a stream answers.
pub(super) struct Stream {
    pub(super) request: Request,
    pub(super) caller: Caller,
    pub(super) request_id: Option<RequestId>,
}

impl Live {
    pub(crate) fn new(clock: Arc<dyn Clock>, ready: Ready) -> Arc<Self> {
        let (changes, _) = broadcast::channel(BEHIND_MAX);
        Arc::new(Self { changes, streams: Mutex::default(), tasks: TaskTracker::new(), clock, ready })
    }

    /// A place for one more stream, or for somebody who waits for news.
    pub(crate) fn place(self: &Arc<Self>, key: KeyId) -> Result<Place> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = streams.values().sum();
        let own = streams.get(&key).copied().unwrap_or_default();
        if own >= STREAMS_PER_KEY_MAX {
            let detail = format!("a key has {STREAMS_PER_KEY_MAX} streams at most: end one of them");
            return Err(Problem::TooManyStreams(detail));
        }
        if all >= STREAMS_MAX {
            return Err(Problem::TooManyStreams(format!("a node has {STREAMS_MAX} streams at most: try another")));
        }
        streams.insert(key, own + 1);
        Ok(Place { live: Arc::clone(self), key })
    }

    /// Answers an operation as server-sent events.
    pub(super) fn answer(
        self: &Arc<Self>,
        stream: Stream,
        auth: &Authenticator,
        kind: OperationType,
        busy: Option<Busy>,
    ) -> Result<Response> {
        let place = self.place(stream.caller.key.id)?;
        let (queue, unread) = mpsc::channel(UNREAD_MAX);
        let last_words = Arc::<OnceLock<Bytes>>::default();
        let pump = Pump {
            live: Arc::clone(self),
            auth: auth.clone(),
            caller: stream.caller,
            request_id: stream.request_id,
            queue,
            last_words: Arc::clone(&last_words),
        };
        let is_lasting = kind == OperationType::Subscription;
        let executed = SCHEMA.execute_stream(stream.request);
        self.tasks.spawn(async move {
            let _held = (place, busy);
            pump.run(executed, is_lasting).await;
        });
        let body = stream::unfold((unread, last_words, false), |(mut unread, last_words, is_over)| async move {
            if is_over {
                return None;
            }
            match unread.recv().await {
                Some(message) => Some((Ok::<_, std::convert::Infallible>(message), (unread, last_words, false))),
                None => {
                    let words = last_words.get().cloned().unwrap_or_else(|| Bytes::from_static(COMPLETE));
                    Some((Ok(words), (unread, last_words, true)))
                }
            }
        });
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8")),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        Ok((headers, Body::from_stream(body)).into_response())
    }
}

const COMPLETE: &[u8] = b"event: complete\ndata:\n\n";

fn next(executed: &Executed) -> Bytes {
    let mut text = "event: next\ndata: ".to_owned();
    text.push_str(&serde_json::to_string(executed).unwrap_or_default());
    text.push_str("\n\n");
    text.into()
}

/// Moves what a stream says to its client.
struct Pump {
    live: Arc<Live>,
    auth: Authenticator,
    caller: Caller,
    request_id: Option<RequestId>,
    queue: mpsc::Sender<Bytes>,
    /// Said when the queue has been read to its end.
    last_words: Arc<OnceLock<Bytes>>,
}

impl Pump {
    async fn run(self, executed: impl Flow<Item = Executed>, is_lasting: bool) {
        if let Err(problem) = self.pump(executed, is_lasting).await {
            let response = Executed::from_errors(vec![of_request(&problem, self.request_id)]);
            let mut words = next(&response).to_vec();
            words.extend_from_slice(COMPLETE);
            // The only place where it is set.
            drop(self.last_words.set(words.into()));
        }
    }

    /// `Err`: why it ends before the stream does.
    async fn pump(&self, executed: impl Flow<Item = Executed>, is_lasting: bool) -> Result<()> {
        let mut executed = std::pin::pin!(executed);
        let mut looks = 0_u32;
        let mut time = self.live.clock.sleep(LOOK_EVERY);
        loop {
            tokio::select! {
                biased;
                () = self.queue.closed() => return Ok(()),
                // Before the items: a stream that is never silent is looked at as well.
                () = &mut time, if is_lasting => {
                    time = self.live.clock.sleep(LOOK_EVERY);
                    self.look().await?;
                    looks += 1;
                    if looks.is_multiple_of(LOOKS_PER_COMMENT) {
                        self.say(Bytes::from_static(b":\n\n"))?;
                    }
                }
                item = executed.next() => match item {
                    Some(item) => self.say(next(&finished(item, self.request_id)))?,
                    None => return Ok(()),
                },
            }
        }
    }

    fn say(&self, message: Bytes) -> Result<()> {
        self.queue.try_send(message).map_err(|_| {
            Problem::TooSlow(format!(
                "more than {UNREAD_MAX} messages waited to be read: the lists have what was missed"
            ))
        })
    }

    /// Whether the key still works and the node still wants to.
    async fn look(&self) -> Result<()> {
        if !self.live.ready.get() {
            return Err(Problem::Overloaded);
        }
        match self.auth.is_live(&self.caller).await? {
            true => Ok(()),
            false => Err(Problem::Unauthorized),
        }
    }
}

/// Changes of one organisation.
fn changes(live: &Arc<Live>, org: OrgId) -> impl Flow<Item = Result<Change>> + use<> {
    let receiver = Some(live.changes.subscribe());
    stream::unfold(receiver, move |receiver| async move {
        let mut receiver = receiver?;
        loop {
            match receiver.recv().await {
                Ok(change) if change.org() == org => return Some((Ok(change), Some(receiver))),
                Ok(_) => {}
                Err(RecvError::Closed) => return None,
                Err(RecvError::Lagged(_)) => {
                    let detail = format!("the stream was {BEHIND_MAX} changes behind: the lists have what was missed");
                    return Some((Err(Problem::TooSlow(detail)), None));
                }
            }
        }
    })
}

/// What happens from now on. Ask for `text/event-stream`.
#[derive(Debug)]
pub(super) struct Subscription;

#[Subscription]
impl Subscription {
    /// Events, each when it is accepted.
    async fn events(
        &self,
        ctx: &Context<'_>,
        org: Option<ID>,
        #[graphql(desc = "Of these types; all when left out.")] types: Option<Vec<String>>,
        #[graphql(desc = "About this project.")] project: Option<ID>,
    ) -> Result<impl Flow<Item = Answer<Event>> + use<>, Error> {
        let (session, changes) = entered(ctx, org, "events").await?;
        let wanted = Arc::new((types, project));
        Ok(changes.filter_map(move |change| {
            let (session, wanted) = (Arc::clone(&session), Arc::clone(&wanted));
            async move {
                let found = match change {
                    Ok(Change::Event { org, id }) => event(&session, &org.to_string(), &id.to_string()).await,
                    Ok(Change::Delivery { .. }) => return None,
                    Err(problem) => Err(problem),
                };
                let event = match found {
                    Ok(event) => event?,
                    Err(problem) => return Some(Err(problem.into())),
                };
                let (types, project) = &*wanted;
                let is_of_type = types.as_ref().is_none_or(|types| types.contains(&event.r#type));
                let is_of_project = project.is_none() || event.project_id == *project;
                (is_of_type && is_of_project).then_some(Ok(event))
            }
        }))
    }

    /// Deliveries, each when it is made and whenever its state changes.
    async fn deliveries(
        &self,
        ctx: &Context<'_>,
        org: Option<ID>,
        #[graphql(desc = "In these states; all when left out.")] states: Option<Vec<DeliveryState>>,
        #[graphql(desc = "To this endpoint.")] endpoint: Option<ID>,
    ) -> Result<impl Flow<Item = Answer<Delivery>> + use<>, Error> {
        let (session, changes) = entered(ctx, org, "deliveries").await?;
        let wanted = Arc::new((states, endpoint));
        Ok(changes.filter_map(move |change| {
            let (session, wanted) = (Arc::clone(&session), Arc::clone(&wanted));
            async move {
                let found = match change {
                    Ok(Change::Delivery { org, id }) => delivery(&session, &org.to_string(), &id.to_string()).await,
                    Ok(Change::Event { .. }) => return None,
                    Err(problem) => Err(problem),
                };
                let delivery = match found {
                    Ok(delivery) => delivery?,
                    Err(problem) => return Some(Err(problem.into())),
                };
                let (states, endpoint) = &*wanted;
                let is_so = states.as_ref().is_none_or(|states| states.contains(&delivery.state));
                let is_there = endpoint.as_ref().is_none_or(|endpoint| delivery.endpoint_id == *endpoint);
                (is_so && is_there).then_some(Ok(delivery))
            }
        }))
    }
}

async fn event(session: &Session, org: &str, id: &str) -> Result<Option<Event>> {
    Ok(session.event(org, id).await?.map(|event| event.within(org)))
}

async fn delivery(session: &Session, org: &str, id: &str) -> Result<Option<Delivery>> {
    let found: Option<Delivery> = session.find(Path::org(org).then("deliveries").id(id)).await?;
    Ok(found.map(|delivery| delivery.within(org)))
}

/// What changes in the organisation, whose list `area` the caller may read, from now on.
async fn entered(
    ctx: &Context<'_>,
    org: Option<ID>,
    area: &'static str,
) -> Result<(Arc<Session>, impl Flow<Item = Result<Change>> + use<>)> {
    let session = Arc::clone(ctx.data_unchecked::<Arc<Session>>());
    let own = session.org(org.as_ref()).await?;
    let probe = Path::org(&own.id).then(area).with("limit", Some(1));
    session.get::<serde::de::IgnoredAny>(probe).await?;
    let id = own.id.parse().map_err(|_| Problem::Internal)?;
    Ok((session, changes(ctx.data_unchecked::<Arc<Live>>(), id)))
}
