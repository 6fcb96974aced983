//! How often: requests a key, pings an organisation, and wrong keys an address. Both forget what they need not know any more.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use watchbell_domain::id::{KeyId, OrgId};
use watchbell_domain::port::Clock;

use crate::clock::Monotonic;
use crate::problem::Problem;
use crate::serve::proxies::counted;

/// Beyond this many keys or addresses, those that are at rest are forgotten.
const REMEMBERED_MAX: usize = 10_000;

/// Tests of endpoints that an organisation may ask for in a minute: each is a request to a host of its choice.
const PINGS_PER_MINUTE: NonZeroU32 = const { NonZeroU32::new(10).unwrap() };

/// So many a second, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Refilled a second.
    pub per_second: NonZeroU32,
    /// At once.
    pub burst: NonZeroU32,
}

type Keyed<K> = RateLimiter<K, DashMapStateStore<K>, Monotonic, NoOpMiddleware<Nanos>>;

/// The limits of one node.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "a rate limiter has nothing to show")]
pub struct Limiter {
    requests: Option<Arc<Keyed<KeyId>>>,
    pings: Option<Arc<Keyed<OrgId>>>,
    failures: Arc<Keyed<IpAddr>>,
    clock: Monotonic,
}

impl Limiter {
    /// `None`: no limit a key, and none of pings. `failures_per_minute` is for each address.
    pub fn new(per_key: Option<RateLimit>, failures_per_minute: NonZeroU32, clock: Arc<dyn Clock>) -> Self {
        let clock = Monotonic(clock);
        let requests = per_key.map(|limit| {
            let quota = Quota::per_second(limit.per_second).allow_burst(limit.burst);
            Arc::new(RateLimiter::new(quota, DashMapStateStore::default(), clock.clone()))
        });
        let pings = per_key.map(|_| {
            let quota = Quota::per_minute(PINGS_PER_MINUTE);
            Arc::new(RateLimiter::new(quota, DashMapStateStore::default(), clock.clone()))
        });
        let quota = Quota::per_minute(failures_per_minute);
        let failures = Arc::new(RateLimiter::new(quota, DashMapStateStore::default(), clock.clone()));
        Self { requests, pings, failures, clock }
    }

    /// Counts a request of a key.
    pub(crate) fn request(&self, key: KeyId) -> Result<(), Problem> {
        match &self.requests {
            Some(limiter) => self.count(limiter, key).map_err(Problem::RateLimited),
            None => Ok(()),
        }
    }

    /// Counts a ping of one of an organisation's endpoints.
    pub(crate) fn ping(&self, org: OrgId) -> Result<(), Problem> {
        match &self.pings {
            Some(limiter) => self.count(limiter, org).map_err(Problem::RateLimited),
            None => Ok(()),
        }
    }

    /// Counts a failed authentication: what the failure is answered with.
    pub(crate) fn failure(&self, address: IpAddr) -> Problem {
        match self.count(&self.failures, counted(address)) {
            Ok(()) => Problem::Unauthorized,
            Err(seconds) => Problem::TooManyFailures(seconds),
        }
    }

    fn count<K: std::hash::Hash + Eq + Clone>(&self, limiter: &Keyed<K>, key: K) -> Result<(), u64> {
        count(&self.clock, limiter, key)
    }
}

/// Counts one of `key`; the error is how many seconds to wait.
fn count<K: std::hash::Hash + Eq + Clone>(clock: &Monotonic, limiter: &Keyed<K>, key: K) -> Result<(), u64> {
    if limiter.len() > REMEMBERED_MAX {
        limiter.retain_recent();
    }
    limiter.check_key(&key).map_err(|refused| {
        let wait: Duration = refused.wait_time_from(clock.now());
        wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
    })
}

/// A limit of one area's own, for each key.
#[derive(Clone)]
pub(crate) struct Rate<K: std::hash::Hash + Eq + Clone> {
    limiter: Arc<Keyed<K>>,
    clock: Monotonic,
}

impl<K: std::hash::Hash + Eq + Clone> Rate<K> {
    pub(crate) fn new(limit: RateLimit, clock: Arc<dyn Clock>) -> Self {
        let clock = Monotonic(clock);
        let quota = Quota::per_second(limit.per_second).allow_burst(limit.burst);
        Self { limiter: Arc::new(RateLimiter::new(quota, DashMapStateStore::default(), clock.clone())), clock }
    }

    /// Counts one.
    pub(crate) fn check(&self, key: K) -> Result<(), Problem> {
        count(&self.clock, &self.limiter, key).map_err(Problem::RateLimited)
    }
}
