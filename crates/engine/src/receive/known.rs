//! Sources as requests find them: their keys ready for use, and how often they called.
//!
//! A vendor that calls a hundred times a second is looked up once in a few seconds. A change over this node counts at
//! once, one over another node within those seconds.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use watchbell_domain::endpoint::RateLimit;
use watchbell_domain::id::SourceId;
use watchbell_domain::port::{Clock, SourceStore, StoreError};
use watchbell_domain::source::Source;
use watchbell_domain::witness::Placing;
use watchbell_wire::{Key, Settings};

use crate::delivery::bucket::Bucket;

/// How long a source that was found is believed.
const REMEMBERED_FOR: SignedDuration = SignedDuration::from_secs(5);
/// Most sources remembered.
const REMEMBERED_MAX: usize = 10_000;
/// How many refused requests of one source are kept in a second, in pieces of 64 KiB: the others are counted alone.
pub(super) const KEPT: RateLimit =
    RateLimit { per_second: const { NonZeroU32::new(5).unwrap() }, burst: const { NonZeroU32::new(100).unwrap() } };

/// A source that can be called.
pub struct Known {
    /// The source.
    pub source: Source,
    /// Keys that prove a request, newest first.
    pub keys: Vec<Key>,
    /// What its dialect wants to know.
    pub settings: Settings,
    /// Which project it means.
    pub placing: Placing,
    /// The header that holds its credential, where its settings say which.
    pub hidden: Option<String>,
    rates: Arc<Rates>,
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Known").field(&self.source.id).finish()
    }
}

/// How often a source called, and how often it was refused.
struct Rates {
    calls: Mutex<Option<Bucket>>,
    kept: Mutex<Bucket>,
}

impl Known {
    /// Counts a call. `Err`: it is one too many; seconds until there may be another.
    pub(super) fn call(&self, limit: Option<RateLimit>, now: Timestamp) -> Result<(), u64> {
        let Some(limit) = limit else { return Ok(()) };
        let mut calls = lock(&self.rates.calls);
        let bucket = match *calls {
            Some(bucket) if bucket.limit() == limit => bucket,
            Some(bucket) => bucket.with_limit(limit, now),
            None => Bucket::full(limit),
        };
        let bucket = calls.insert(bucket);
        let next_at = bucket.next_at(now);
        if next_at <= now {
            bucket.take(now);
            return Ok(());
        }
        let wait = now.duration_until(next_at);
        Err(u64::try_from(wait.as_secs()).unwrap_or_default() + u64::from(wait.subsec_nanos() > 0))
    }

    /// Whether a refused request that weighs so much is kept.
    pub(super) fn keeps(&self, weight: u32, now: Timestamp) -> bool {
        take_weight(&mut lock(&self.rates.kept), weight, now)
    }
}

/// Takes so many tokens, or all that the bucket holds if it never holds so many. `false`: there are fewer.
pub(super) fn take_weight(bucket: &mut Bucket, weight: u32, now: Timestamp) -> bool {
    let weight = weight.clamp(1, bucket.limit().burst.get());
    if bucket.tokens(now) < weight {
        return false;
    }
    for _ in 0..weight {
        bucket.take(now);
    }
    true
}

/// Finds sources.
pub struct Sources {
    store: Arc<dyn SourceStore>,
    clock: Arc<dyn Clock>,
    remembered: Mutex<Remembered>,
}

/// Sources, and until when each is believed.
#[derive(Default)]
struct Remembered {
    sources: BTreeMap<SourceId, (Arc<Known>, SignedDuration)>,
    /// How often one changed: what was read before a change is not remembered after it.
    changes: u64,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sources")
    }
}

impl Sources {
    /// Looks sources up in `store`.
    pub fn new(store: Arc<dyn SourceStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, remembered: Mutex::default() }
    }

    /// A source was changed or deleted.
    pub fn changed(&self, id: SourceId) {
        let mut remembered = lock(&self.remembered);
        remembered.changes += 1;
        if let Some((_, until)) = remembered.sources.get_mut(&id) {
            *until = SignedDuration::MIN;
        }
    }

    /// The source that is called by this id.
    ///
    /// # Errors
    /// The store's.
    pub async fn find(&self, id: SourceId) -> Result<Option<Arc<Known>>, StoreError> {
        let now = self.clock.monotonic();
        let (known, changes) = {
            let remembered = lock(&self.remembered);
            (remembered.sources.get(&id).cloned(), remembered.changes)
        };
        if let Some((known, until)) = &known
            && now < *until
        {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(source) = self.store.called_source(id).await? else {
            lock(&self.remembered).sources.remove(&id);
            return Ok(None);
        };
        // What it did so far still counts.
        let rates = known
            .map(|(known, _)| Arc::clone(&known.rates))
            .unwrap_or_else(|| Arc::new(Rates { calls: Mutex::new(None), kept: Mutex::new(Bucket::full(KEPT)) }));
        let live = source.secrets.iter().filter(|secret| secret.expires_at.is_none_or(|end| self.clock.now() < end));
        // What was checked when it was saved makes a key; if a later version thinks otherwise, it proves nothing.
        let keys = live.filter_map(|secret| source.dialect.secrets.key(&secret.text).ok()).collect();
        let mut members = source.settings.clone();
        // What was checked when it was saved does; if a later version thinks otherwise, nothing is made of findings.
        let placing = Placing::take_from(&mut members).unwrap_or_else(|_| Placing {
            project: None,
            matches: Vec::new(),
            makes: false,
        });
        let settings = Settings::new(members);
        let hidden = source.dialect.inbound.and_then(|inbound| inbound.credential_header(&settings));
        let known = Arc::new(Known { source, keys, settings, placing, hidden, rates });
        let mut remembered = lock(&self.remembered);
        if remembered.changes == changes {
            if remembered.sources.len() >= REMEMBERED_MAX {
                remembered.sources.clear();
            }
            remembered.sources.insert(id, (Arc::clone(&known), now + REMEMBERED_FOR));
        }
        Ok(Some(known))
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
