//! What vendors call with: judged, kept as a receipt, made into events.
//!
//! ```text
//!  find ─▶ admit (address, pause, rate) ─▶ the body is read ─▶ judge (pure) ─▶ events ─▶ take: one commit, or a duplicate
//!                    │                                           │
//!                    └──────────────── refuse ◀──────────────────┘  kept too, within bounds, outside of that commit
//! ```
//!
//! What a vendor is told is little, and the same for every way of not proving who it is; what its owner is told stands in
//! the receipt. A request that the store could not take has left nothing behind, and may come again.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;
use watchbell_domain::endpoint::RateLimit;
use watchbell_domain::id::{EventId, ReceiptId, SourceId};
use watchbell_domain::port::{
    Acceptance, Clock, Entropy, ReceiptStore, Reception, Saying, SourceStore, Statement, StoreError, Taking,
};
use watchbell_domain::receipt::{DEDUP_WINDOW, Receipt, Ring, Verdict};
use watchbell_domain::source::SourceState;
use watchbell_domain::witness::{Hearing, Testimony};
use watchbell_wire::{Event, EventType, Headers};

use crate::catalogue::Catalogue;
use crate::delivery::bucket::Bucket;
use crate::ingest::event::{Intake, Post, Unfit};

pub mod handshake;
mod judge;
mod kept;
mod known;
mod media;
mod retake;

pub use judge::{Judged, Refused, Rules, judge, judge_head, vouched};
pub use kept::is_credential;
pub use known::{Known, Sources};
pub use retake::{Retaken, Unreadable};

/// How many refused requests are written at a time; of the others it is only counted that there were some.
const KEEPING_MAX: usize = 32;
/// One piece of a refused request: what is kept of them is weighed by the piece.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces kept in a second, of all sources.
const KEPT_BY_ALL: RateLimit =
    RateLimit { per_second: const { NonZeroU32::new(50).unwrap() }, burst: const { NonZeroU32::new(500).unwrap() } };

/// How requests are received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// `ingress.tolerance`
    pub tolerance: SignedDuration,
    /// `ingress.max_event_age`; `None`: any.
    pub max_event_age: Option<SignedDuration>,
    /// `ingress.dedup_window`
    pub dedup_window: SignedDuration,
    /// `ingress.rate_limit` of each source; `None`: no limit.
    pub rate_limit: Option<RateLimit>,
    /// `json.max_depth`
    pub json_depth_max: usize,
    /// `ingress.receipts_refused` and `ingress.receipts_refused_bytes`
    pub ring: Ring,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tolerance: SignedDuration::from_secs(300),
            max_event_age: Some(SignedDuration::from_hours(24)),
            dedup_window: DEDUP_WINDOW,
            rate_limit: Some(RateLimit {
                per_second: const { NonZeroU32::new(100).unwrap() },
                burst: const { NonZeroU32::new(500).unwrap() },
            }),
            json_depth_max: 64,
            ring: Ring::default(),
        }
    }
}

/// What receiving takes.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "ports are object-safe and say nothing about themselves")]
pub struct Parts {
    /// Where sources are.
    pub sources: Arc<dyn SourceStore>,
    /// Where receipts go.
    pub receipts: Arc<dyn ReceiptStore>,
    /// What organisations say of their own event types.
    pub catalogue: Catalogue,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

/// Receives.
pub struct Receiver {
    options: Options,
    parts: Parts,
    sources: Sources,
    keeping: Semaphore,
    kept: Mutex<Bucket>,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("options", &self.options).finish_non_exhaustive()
    }
}

/// One request, as far as it is known.
#[derive(Debug, Clone)]
pub struct Call {
    /// When its head was complete.
    pub received_at: Timestamp,
    /// Where it came from.
    pub address: Option<IpAddr>,
    /// `POST`
    pub method: String,
    /// Header lines as received.
    pub headers: Headers,
    /// The body as received; empty where it was not read.
    pub body: Bytes,
    /// Bytes the body has, or was announced to have.
    pub body_bytes: Option<u64>,
    /// Over how many webhooks it has come, or what is wrong with how it says so.
    pub hops: Result<u8, Refused>,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// In a word.
    pub verdict: Verdict,
    /// Why it was refused. For its owner: [`Verdict::is_unproven`] says when the sender must not see it.
    pub detail: Option<String>,
    /// Its receipt; `None`: there were too many to be kept.
    pub receipt_id: Option<ReceiptId>,
    /// The first one's receipt, of a duplicate.
    pub of: Option<ReceiptId>,
    /// Seconds after which it makes sense to come again.
    pub retry_after: Option<u64>,
}

impl Receiver {
    /// Receives by these options.
    pub fn new(options: Options, parts: Parts) -> Self {
        let sources = Sources::new(Arc::clone(&parts.sources), Arc::clone(&parts.clock));
        let kept = Mutex::new(Bucket::full(KEPT_BY_ALL));
        Self { options, parts, sources, keeping: Semaphore::new(KEEPING_MAX), kept }
    }

    /// The source that is called by this id.
    ///
    /// # Errors
    /// The store's.
    pub async fn find(&self, id: SourceId) -> Result<Option<Arc<Known>>, StoreError> {
        self.sources.find(id).await
    }

    /// A source was changed or deleted.
    pub fn changed(&self, id: SourceId) {
        self.sources.changed(id);
    }

    /// Whether a request may go on to its body.
    ///
    /// # Errors
    /// Why not, and after how many seconds it may come again.
    pub fn admit(&self, known: &Known, address: Option<IpAddr>) -> Result<(), (Refused, Option<u64>)> {
        let source = &known.source;
        if !address.map_or(source.allowed_ips.is_empty(), |address| source.admits(address)) {
            let detail = match address {
                Some(address) => format!("{} is in none of the source's allowed_ips", address.to_canonical()),
                None => "the sender's address is not known".to_owned(),
            };
            return Err((Refused::new(Verdict::SourceIpForbidden, detail), None));
        }
        if let SourceState::Paused { since } = source.state {
            let detail = format!("the source is paused since {since}");
            return Err((Refused::new(Verdict::Paused, detail), Some(PAUSE_SECONDS)));
        }
        let limit = source.rate_limit.or(self.options.rate_limit);
        known.call(limit, self.steady()).map_err(|seconds| {
            let limit = limit.map(|limit| limit.to_string()).unwrap_or_default();
            (Refused::new(Verdict::RateLimited, format!("the source may be called {limit}")), Some(seconds))
        })
    }

    /// What can be seen to be wrong before there is a body.
    ///
    /// # Errors
    /// As [`judge_head`].
    pub fn judge_head(&self, known: &Known, headers: &Headers, now: Timestamp) -> Result<(), Refused> {
        judge_head(known.source.dialect, &known.keys, (headers, &known.settings), self.rules(known), now)
    }

    /// Takes a request, or keeps it as refused.
    ///
    /// # Errors
    /// The store's: then nothing was taken, and the same request may come again.
    pub async fn receive(&self, known: &Known, call: Call) -> Result<Received, StoreError> {
        let (source, now) = (&known.source, call.received_at);
        let read = (&call.headers, &call.body);
        let judged = judge(source.id, source.dialect, &known.keys, (read, &known.settings), self.rules(known), now);
        let judged = match judged.and_then(|judged| Ok((judged, call.hops.clone()?))) {
            Ok((judged, hops)) => self.prepare(known, judged, hops, now).await?,
            Err(refused) => Err(refused),
        };
        let prepared = match judged {
            Ok(prepared) => prepared,
            Err(refused) => return Ok(self.refuse(known, call, refused, None).await),
        };
        let receipt = Receipt {
            events: prepared.event_ids(),
            detail: prepared.silence,
            vendor_event: Some(prepared.vendor_event),
            ..self.receipt(known, call, prepared.verdict)
        };
        let (id, verdict) = (receipt.id, receipt.verdict);
        let taking = Taking {
            receipt: Arc::new(receipt),
            keys: prepared.keys,
            window: self.options.dedup_window,
            ring: self.options.ring,
            acceptance: prepared.acceptance,
            saying: prepared.saying,
        };
        let received = |verdict, of| Received { verdict, detail: None, receipt_id: Some(id), of, retry_after: None };
        Ok(match self.parts.receipts.take(taking).await? {
            Reception::New => received(verdict, None),
            Reception::Duplicate { of } => received(Verdict::Duplicate, Some(of)),
        })
    }

    /// Keeps a request that is refused, unless there are too many of them. Whether it could be kept changes nothing for
    /// its sender.
    pub async fn refuse(&self, known: &Known, call: Call, refused: Refused, retry_after: Option<u64>) -> Received {
        let receipt_id = self.keep(known, call, &refused).await;
        let Refused { verdict, detail } = refused;
        Received { verdict, detail: Some(detail), receipt_id, of: None, retry_after }
    }

    /// `Ok(Err)`: what it says does not fit, which only its events show.
    async fn prepare(
        &self,
        known: &Known,
        judged: Judged,
        hops: u8,
        now: Timestamp,
    ) -> Result<Result<Prepared, Refused>, StoreError> {
        let source = &known.source;
        for event in judged.events.iter().filter(|event| matches!(event.event_type, EventType::Custom(_))) {
            if let Err(unfit) = self.parts.catalogue.check(source.org_id, &event.event_type, &event.data).await? {
                let detail = format!("/data{}: {}", unfit.pointer, unfit.detail);
                return Ok(Err(Refused::new(Verdict::PayloadInvalid, detail)));
            }
        }
        Ok(Prepared::new(known, judged, (hops, false), now, &*self.parts.entropy))
    }

    /// `None`: there were too many, or it could not be written.
    async fn keep(&self, known: &Known, call: Call, refused: &Refused) -> Option<ReceiptId> {
        let _turn = self.keeping.try_acquire().ok()?;
        let weight = 1 + u32::try_from(call.body.len() / PIECE_BYTES).unwrap_or(u32::MAX);
        let now = self.steady();
        if !known.keeps(weight, now) || !known::take_weight(&mut known::lock(&self.kept), weight, now) {
            return None;
        }
        let receipt = Receipt { detail: Some(refused.detail.clone()), ..self.receipt(known, call, refused.verdict) };
        let id = receipt.id;
        match self.parts.receipts.keep_refused(receipt, self.options.ring).await {
            Ok(()) => Some(id),
            Err(problem) => {
                tracing::debug!(%problem, "a refused request is not kept");
                None
            }
        }
    }

    fn receipt(&self, known: &Known, call: Call, verdict: Verdict) -> Receipt {
        let source = &known.source;
        // Some vendors send what nobody may keep, such as the secret that a scan found.
        let redacted = source.dialect.inbound.and_then(|inbound| inbound.redacted(&call.headers, &call.body));
        let body = redacted.map_or(call.body, Bytes::from);
        Receipt {
            id: ReceiptId::make(call.received_at, &*self.parts.entropy),
            org_id: source.org_id,
            source_id: source.id,
            received_at: call.received_at,
            address: call.address,
            request: kept::kept(call.method, call.headers, known.hidden.as_deref(), body, call.body_bytes),
            verdict,
            status: verdict.status(source.dialect),
            detail: None,
            vendor_event: None,
            events: Vec::new(),
            of: None,
        }
    }

    fn rules(&self, known: &Known) -> Rules {
        Rules {
            tolerance: self.options.tolerance,
            max_event_age: known.source.max_event_age.or(self.options.max_event_age),
            json_depth_max: self.options.json_depth_max,
        }
    }

    /// A time that nobody sets back: what rates are counted by.
    fn steady(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH.checked_add(self.parts.clock.monotonic()).unwrap_or(Timestamp::MAX)
    }
}

/// After so many seconds a vendor may look whether a paused source is active again.
const PAUSE_SECONDS: u64 = 300;

/// An authentic request, ready to be committed.
struct Prepared {
    verdict: Verdict,
    vendor_event: String,
    /// Why it makes no event.
    silence: Option<String>,
    keys: Vec<watchbell_domain::receipt::DedupKey>,
    acceptance: Acceptance,
    saying: Option<Saying>,
}

impl Prepared {
    /// `retells`: what is known already is told again.
    fn new(
        known: &Known,
        judged: Judged,
        (hops, retells): (u8, bool),
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Self, Refused> {
        let source = &known.source;
        let mut intake = Intake::new(source.org_id, now, entropy).after(hops).by_source(source.id);
        // A vendor that has a word of its own for it says so itself.
        let says_critical = |event_type: &EventType| {
            source.dialect.outbound.is_some_and(|outbound| outbound.event_name(event_type).is_some())
        };
        let tells_critical = !says_critical(&EventType::VulnerabilityCritical);
        if !tells_critical {
            intake = intake.without_companions();
        }
        let mut statements = Vec::new();
        for event in judged.events {
            // Read as it was sent: an id that is made here is not the vendor's.
            let testimony = Testimony::read(&event, source.dialect.id, now);
            let Event { event_type, occurred_at, data, .. } = event;
            let post = Post { event_type, occurred_at: Some(occurred_at), project_id: None, data };
            let refused = |unfit: Unfit| {
                Refused::new(Verdict::PayloadInvalid, format!("/data{}: {}", unfit.pointer, unfit.detail))
            };
            match testimony {
                None => drop(intake.take(post).map_err(refused)?),
                Some(testimony) => {
                    let relayed = intake.take_apart(post).map_err(refused)?;
                    statements.push(Statement { testimony, relayed });
                }
            }
        }
        let is_empty = intake.is_empty() && statements.is_empty();
        let verdict = if is_empty { Verdict::UnknownEvent } else { Verdict::Accepted };
        let acceptance = intake.acceptance();
        let hearing = Hearing { source_id: source.id, received_at: now, hops, tells_critical, retells };
        let placing = known.placing.clone();
        let saying = (!statements.is_empty()).then_some(Saying { hearing, placing, statements });
        let silence = judged.silence.filter(|_| is_empty);
        Ok(Self { verdict, vendor_event: judged.vendor_event, silence, keys: judged.keys, acceptance, saying })
    }

    /// The events that it makes, as far as can be said before the commit: what is told of findings is known with that.
    fn event_ids(&self) -> Vec<EventId> {
        let said = self.saying.iter().flat_map(|saying| &saying.statements);
        let of_findings = said.flat_map(|statement| &statement.relayed);
        self.acceptance.events.iter().chain(of_findings).map(|new| EventId(new.event.id)).collect()
    }
}
