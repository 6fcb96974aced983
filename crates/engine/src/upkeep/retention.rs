//! Forgetting: a pass every few minutes over what is old, in steps, and the space given back to the file system.
//!
//! ```text
//!  pass: attempts ─▶ deliveries ─▶ events ─▶ kept answers ─▶ free space        each a row of steps, a rest after each
//! ```
//!
//! A step's rest is a multiple of how long its answer took. Under load an answer takes longer, for it waits with others for
//! the commit, and so the pass gives way by itself.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use watchbell_domain::port::{Aged, Bounds, Clock, RetentionStore, StoreError};

/// How old is too old, and how much at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `retention.attempts`: after the delivery ended; `None`: with the delivery.
    pub attempts: Option<SignedDuration>,
    /// `retention.deliveries`: after the delivery ended; `None`: with the event.
    pub deliveries: Option<SignedDuration>,
    /// `retention.events`: after the event was accepted, once it has no deliveries; `None`: never.
    pub events: Option<SignedDuration>,
    /// `retention.audit`: entries of the audit log; `None`: never.
    pub audit: Option<SignedDuration>,
    /// What one step may do.
    pub bounds: Bounds,
    /// A rest is so many times as long as the step before it.
    pub rest_factor: i32,
    /// No rest is shorter.
    pub rest_min: SignedDuration,
    /// From the end of a pass to the next, at most; short ages are looked after more often.
    pub pass_every_max: SignedDuration,
    /// From the start to the first pass: a start has enough to do.
    pub first_pass_after: SignedDuration,
}

impl Default for Options {
    fn default() -> Self {
        const DAY: SignedDuration = SignedDuration::from_hours(24);
        Self {
            attempts: Some(30 * DAY),
            deliveries: Some(90 * DAY),
            events: Some(90 * DAY),
            audit: None,
            bounds: Bounds { looked_at: 2_000, removed: 250, time: SignedDuration::from_millis(5) },
            rest_factor: 3,
            rest_min: SignedDuration::from_millis(2),
            pass_every_max: SignedDuration::from_mins(10),
            first_pass_after: SignedDuration::from_secs(10),
        }
    }
}

impl Options {
    /// How old is too old. What belongs to something goes with it at the latest, so that an age is a promise: data is not
    /// kept longer because something beside it is.
    fn age(&self, kind: Aged) -> Option<SignedDuration> {
        let sooner = |own: Option<SignedDuration>, whole| own.into_iter().chain(whole).min();
        match kind {
            Aged::Events => self.events,
            Aged::Deliveries => sooner(self.deliveries, self.age(Aged::Events)),
            // They would go at the same time: once is enough.
            Aged::Attempts => self.attempts.filter(|age| self.age(Aged::Deliveries).is_none_or(|whole| *age < whole)),
        }
    }

    /// A tenth of the shortest age, so that what is old goes soon after it is.
    fn pass_every(&self) -> SignedDuration {
        let shortest = Aged::ALL.into_iter().filter_map(|kind| self.age(kind)).min();
        let tenth = shortest.map_or(self.pass_every_max, |age| age / 10);
        tenth.clamp(SignedDuration::from_secs(1).min(self.pass_every_max), self.pass_every_max)
    }
}

/// What was forgotten since the start. Shared with whoever shows metrics.
#[derive(Debug, Default)]
pub struct Observer {
    removed: [AtomicU64; Aged::ALL.len()],
    answers: AtomicU64,
    audit: AtomicU64,
    bytes_given_back: AtomicU64,
    failures: AtomicU64,
    /// Seconds since 1970; 0: none.
    last_pass: AtomicI64,
    oldest_event: AtomicI64,
}

impl Observer {
    /// Rows removed, by kind.
    pub fn removed(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let kinds = Aged::ALL.iter().map(|kind| kind.as_str()).zip(&self.removed);
        kinds
            .chain([("answers", &self.answers), ("audit", &self.audit)])
            .map(|(kind, count)| (kind, count.load(Ordering::Relaxed)))
    }

    /// Bytes given back to the file system.
    pub fn bytes_given_back(&self) -> u64 {
        self.bytes_given_back.load(Ordering::Relaxed)
    }

    /// Passes that the store broke off.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// When the last whole pass ended, in seconds since 1970; 0: there was none yet.
    pub fn last_pass(&self) -> i64 {
        self.last_pass.load(Ordering::Relaxed)
    }

    /// When the oldest event was accepted that was there after the last pass, in seconds since 1970; 0: there is none.
    pub fn oldest_event(&self) -> i64 {
        self.oldest_event.load(Ordering::Relaxed)
    }

    fn count(&self, kind: Aged, removed: u64) {
        for (known, count) in Aged::ALL.iter().zip(&self.removed) {
            if *known == kind {
                count.fetch_add(removed, Ordering::Relaxed);
            }
        }
    }
}

/// Forgets. One for each store.
pub struct Service {
    options: Options,
    store: Arc<dyn RetentionStore>,
    clock: Arc<dyn Clock>,
    observer: Arc<Observer>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Service {
    /// The loop, not running yet.
    pub fn new(
        options: Options,
        store: Arc<dyn RetentionStore>,
        clock: Arc<dyn Clock>,
        observer: Arc<Observer>,
    ) -> Self {
        Self { options, store, clock, observer }
    }

    /// Forgets until `shutdown`. A step under way is let go: it is a commit or it is not.
    pub async fn run(self, shutdown: CancellationToken) {
        let work = async {
            self.clock.sleep(self.options.first_pass_after).await;
            loop {
                if let Err(problem) = self.pass().await {
                    self.observer.failures.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(%problem, "retention pass broken off");
                }
                self.clock.sleep(self.options.pass_every()).await;
            }
        };
        shutdown.run_until_cancelled(work).await;
    }

    /// Everything that is old now.
    async fn pass(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        for kind in Aged::ALL {
            if let Some(age) = self.options.age(kind) {
                self.expire(kind, now.saturating_sub(age).unwrap_or(Timestamp::MIN)).await?;
            }
        }
        loop {
            let began = self.clock.monotonic();
            let forgotten = self.store.forget_answers(now, self.options.bounds.removed).await?;
            self.observer.answers.fetch_add(forgotten, Ordering::Relaxed);
            if forgotten < u64::from(self.options.bounds.removed) {
                break;
            }
            self.rest(began).await;
        }
        while let Some(age) = self.options.audit {
            let began = self.clock.monotonic();
            let before = now.saturating_sub(age).unwrap_or(Timestamp::MIN);
            let forgotten = self.store.forget_audit(before, self.options.bounds.removed).await?;
            self.observer.audit.fetch_add(forgotten, Ordering::Relaxed);
            if forgotten == 0 {
                break;
            }
            self.rest(began).await;
        }
        loop {
            let began = self.clock.monotonic();
            let given = self.store.give_back(self.options.bounds).await?;
            self.observer.bytes_given_back.fetch_add(given.bytes, Ordering::Relaxed);
            if !given.more {
                break;
            }
            self.rest(began).await;
        }
        let oldest = self.store.oldest_event().await?.map_or(0, Timestamp::as_second);
        self.observer.oldest_event.store(oldest, Ordering::Relaxed);
        self.observer.last_pass.store(self.clock.now().as_second(), Ordering::Relaxed);
        Ok(())
    }

    async fn expire(&self, kind: Aged, before: Timestamp) -> Result<(), StoreError> {
        let (mut from, mut all) = (None, 0);
        loop {
            let began = self.clock.monotonic();
            let expired = self.store.expire(kind, before, from, self.options.bounds).await?;
            self.observer.count(kind, expired.removed);
            all += expired.removed;
            match expired.next {
                Some(place) => from = Some(place),
                None => break,
            }
            self.rest(began).await;
        }
        if all > 0 {
            tracing::info!(kind = kind.as_str(), removed = all, %before, "old rows removed");
        }
        Ok(())
    }

    async fn rest(&self, began: SignedDuration) {
        let took = self.clock.monotonic() - began;
        self.clock.sleep((took * self.options.rest_factor).max(self.options.rest_min)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::FutureExt;
    use rstest::rstest;
    use watchbell_domain::port::testing::ManualClock;
    use watchbell_domain::port::{Expired, GivenBack, Pending, Place};

    use super::*;

    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    /// Ten deliveries that are old, three a step; each answer takes as long as the clock is moved meanwhile.
    #[derive(Debug)]
    struct Old {
        clock: ManualClock,
        left: Mutex<u64>,
        asked: Mutex<Vec<(Aged, Timestamp)>>,
        is_broken: bool,
    }

    impl RetentionStore for Old {
        fn expire(&self, kind: Aged, before: Timestamp, from: Option<Place>, _: Bounds) -> Pending<'_, Expired> {
            self.asked.lock().unwrap().push((kind, before));
            self.clock.advance(SignedDuration::from_millis(10));
            let mut left = self.left.lock().unwrap();
            let removed = if kind == Aged::Deliveries { 3.min(*left) } else { 0 };
            *left -= removed;
            let place = Place { org_id: watchbell_domain::id::OrgId(uuid::Uuid::nil()), after: uuid::Uuid::nil() };
            let next = (kind == Aged::Deliveries && *left > 0).then_some(place);
            assert!(from.is_none() || kind == Aged::Deliveries);
            let answer = match self.is_broken {
                true => Err(StoreError::Unavailable("broken".to_owned())),
                false => Ok(Expired { removed, next }),
            };
            Box::pin(std::future::ready(answer))
        }

        fn forget_answers(&self, _: Timestamp, _: u32) -> Pending<'_, u64> {
            Box::pin(std::future::ready(Ok(2)))
        }

        fn forget_audit(&self, _: Timestamp, _: u32) -> Pending<'_, u64> {
            Box::pin(std::future::ready(Ok(0)))
        }

        fn give_back(&self, _: Bounds) -> Pending<'_, GivenBack> {
            Box::pin(std::future::ready(Ok(GivenBack { bytes: 4096, more: false })))
        }

        fn oldest_event(&self) -> Pending<'_, Option<Timestamp>> {
            Box::pin(std::future::ready(Ok(Some(Timestamp::from_second(77).unwrap()))))
        }
    }

    fn service(clock: &ManualClock, is_broken: bool) -> (Service, Arc<Old>, Arc<Observer>) {
        let store = Old { clock: clock.clone(), left: Mutex::new(10), asked: Mutex::default(), is_broken };
        let (store, observer) = (Arc::new(store), Arc::<Observer>::default());
        let options = Options { attempts: None, deliveries: Some(HOUR), events: None, ..Options::default() };
        let clock = Arc::new(clock.clone());
        (Service::new(options, Arc::clone(&store) as _, clock, Arc::clone(&observer)), store, observer)
    }

    #[test]
    fn a_pass_rests_three_times_as_long_as_it_works_and_comes_again() {
        let start = Timestamp::from_second(1_800_000_000).unwrap();
        let clock = ManualClock::at(start);
        let (service, store, observer) = service(&clock, false);
        let shutdown = CancellationToken::new();
        let mut running = Box::pin(service.run(shutdown.clone()));
        let mut sleeps = Vec::new();
        for _ in 0..6 {
            assert_eq!(running.as_mut().now_or_never(), None);
            let sleep = clock.next_wake().unwrap();
            sleeps.push(sleep.as_millis());
            clock.advance(sleep);
        }
        assert_eq!(sleeps, [10_000, 30, 30, 30, 360_000, 360_000]);
        let asked = store.asked.lock().unwrap().clone();
        let before = start + SignedDuration::from_secs(10) - HOUR;
        assert_eq!(asked[..4], [(Aged::Deliveries, before); 4]);
        assert_eq!(
            observer.removed().collect::<Vec<_>>(),
            [("attempts", 0), ("deliveries", 10), ("events", 0), ("answers", 4), ("audit", 0)]
        );
        assert_eq!((observer.bytes_given_back(), observer.oldest_event(), observer.failures()), (8192, 77, 0));
        assert!(observer.last_pass() > start.as_second());
        shutdown.cancel();
        assert_eq!(running.as_mut().now_or_never(), Some(()));
    }

    #[test]
    fn a_store_that_fails_is_asked_again_at_the_next_pass() {
        let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
        let (service, store, observer) = service(&clock, true);
        let mut running = Box::pin(service.run(CancellationToken::new()));
        for _ in 0..3 {
            assert_eq!(running.as_mut().now_or_never(), None);
            clock.advance(clock.next_wake().unwrap());
        }
        assert_eq!((observer.failures(), observer.last_pass()), (2, 0));
        assert_eq!(store.asked.lock().unwrap().len(), 2);
    }

    #[rstest]
    #[case([Some(1), Some(2), Some(3)], [Some(1), Some(2), Some(3)])]
    #[case([None, None, None], [None, None, None])]
    #[case([None, None, Some(3)], [None, Some(3), Some(3)])]
    #[case([Some(9), Some(9), Some(3)], [None, Some(3), Some(3)])]
    #[case([Some(2), Some(9), Some(3)], [Some(2), Some(3), Some(3)])]
    #[case([Some(1), None, None], [Some(1), None, None])]
    fn nothing_outlives_what_it_belongs_to(#[case] set: [Option<i64>; 3], #[case] kept: [Option<i64>; 3]) {
        let [attempts, deliveries, events] = set.map(|age| age.map(SignedDuration::from_hours));
        let options = Options { attempts, deliveries, events, ..Options::default() };
        assert_eq!(Aged::ALL.map(|kind| options.age(kind)), kept.map(|age| age.map(SignedDuration::from_hours)));
    }

    #[test]
    fn short_ages_are_looked_after_more_often() {
        let every = |seconds| {
            let age = Some(SignedDuration::from_secs(seconds));
            Options { attempts: age, deliveries: None, events: None, ..Options::default() }.pass_every().as_secs()
        };
        assert_eq!((every(1), every(60), every(86_400)), (1, 6, 600));
    }
}
