//! What a node does beside delivering and serving: each a loop that wakes when something of its own is due.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use watchbell_domain::port::{Clock, Entropy};
use watchbell_engine::delivery::Handle;
use watchbell_engine::evidence::{self, Content};
use watchbell_engine::upkeep::{acceptance, capture, erasure, orgs, poam, receipts, replay, retention, silence};
use watchbell_store::sqlite::SqliteStore;

use super::Loops;
use crate::config::{self, Config};

/// What the loops share.
pub(super) struct Upkeep<'a> {
    pub(super) config: &'a Config,
    pub(super) store: &'a Arc<SqliteStore>,
    pub(super) clock: &'a Arc<dyn Clock>,
    pub(super) entropy: &'a Arc<dyn Entropy>,
    /// Told of what became due.
    pub(super) wake: &'a Handle,
    /// Where documents lie.
    pub(super) content: &'a Arc<Content>,
    /// Counts plans that ring.
    pub(super) plans: &'a Arc<poam::Observer>,
    /// Counts what retention removes.
    pub(super) forgotten: &'a Arc<retention::Observer>,
}

impl Upkeep<'_> {
    /// Starts them all; they end with `shutdown`.
    pub(super) fn spawn(&self, loops: &Loops, shutdown: &CancellationToken) {
        let clock = || Arc::clone(self.clock);
        let entropy = || Arc::clone(self.entropy);
        let store = || Arc::clone(self.store);

        let risks = acceptance::Parts { findings: store(), clock: clock(), entropy: entropy() };
        let risks = acceptance::Service::new(acceptance::Options::default(), risks);
        loops.spawn("acceptance", risks.run(shutdown.clone()));

        let captures = capture::Service::new(config::captures_options(self.config), store(), clock());
        loops.spawn("capture", captures.run(shutdown.clone()));

        let erasures = erasure::Service::new(erasure::Options::default(), store(), clock());
        loops.spawn("erasure", erasures.run(shutdown.clone()));

        let documents = evidence::Parts {
            evidence: store(),
            content: Arc::clone(self.content),
            advisories: store(),
            projects: store(),
            orgs: store(),
            clock: clock(),
            entropy: entropy(),
        };
        let documents = evidence::Service::new(config::evidence_options(self.config), documents);
        loops.spawn("evidence", documents.run(shutdown.clone()));

        let leaving = orgs::Service::new(orgs::Options::default(), store(), clock());
        loops.spawn("orgs", leaving.run(shutdown.clone()));

        let plans = poam::Service::new(poam::Options::default(), store(), clock(), Arc::clone(self.plans));
        loops.spawn("poam", plans.run(shutdown.clone()));

        let replays = replay::Parts { store: store(), wake: self.wake.clone(), clock: clock(), entropy: entropy() };
        let replays = replay::Service::new(replay::Options::default(), replays);
        loops.spawn("replay", replays.run(shutdown.clone()));

        let receipts = receipts::Service::new(config::receipts_options(self.config), store(), clock());
        loops.spawn("receipts", receipts.run(shutdown.clone()));

        let quiet = silence::Parts { sources: store(), clock: clock(), entropy: entropy() };
        let quiet = silence::Service::new(silence::Options::default(), quiet);
        loops.spawn("silence", quiet.run(shutdown.clone()));

        let forgotten = Arc::clone(self.forgotten);
        let ages = config::retention_options(self.config);
        let retention = retention::Service::new(ages, store(), clock(), forgotten);
        loops.spawn("retention", retention.run(shutdown.clone()));
    }
}
