//! A world: one node at a time, its clients, operators and endpoints, and what befalls them; from a seed to an outcome.
//!
//! ```text
//!  life 1 ──killed──▶ life 2 ──restarted──▶ life 3 ─────────────── healed ── quiet ── looked over ──▶ Outcome
//!  └ a runtime with paused time: store, loop, clients, operators, incidents; dropped when the process dies
//! ```
//!
//! A kill takes effect at the instant: no later fail point is passed, so nothing is committed, written or answered any
//! more. The files are copied as they are, log included, and the next life opens the copy.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::SignedDuration;
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use watchbell_domain::delivery::StateKind;
use watchbell_domain::failpoint;
use watchbell_domain::id::EndpointId;
use watchbell_domain::port::{DeliveryStore, EndpointStore, StoreError};

use crate::chance::Chance;
use crate::clock::SimClock;
use crate::faults::{AtPoints, Faults};
use crate::history::History;
use crate::invariant::{self, Invariant};
use crate::net::{Mode, Net, pause};
use crate::node::Node;
use crate::outcome::{Outcome, Tally};
use crate::plan::Plan;
use crate::{client, incident, operator};

/// Lives of one world. More would mean that a node cannot start.
const LIVES_MAX: usize = 80;

/// Longest wait for quiet once nothing goes wrong any more: the last wait of the schedule, the longest `Retry-After`, and
/// what is left of a claim.
const QUIET_WITHIN: SignedDuration = SignedDuration::from_mins(30);

/// A machine sets its clock right before it starts the node. A node that starts with its clock behind what it wrote down
/// before holds deliveries up for as long ; see "Not simulated" in docs/testing.md.
const CLOCK_IS_RIGHT_AT_START: bool = true;

/// What the parts of a world share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) clock: SimClock,
    pub(crate) history: Arc<History>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) net: Arc<Net>,
    pub(crate) chance: Chance,
    pub(crate) restart: Notify,
    progress: Mutex<Progress>,
}

/// How far everybody has come; survives the node.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) posted: Vec<usize>,
    pub(crate) deeds: usize,
    pub(crate) incidents: usize,
}

/// How a life ended.
enum End {
    Killed(TempDir),
    Stopped,
    NotStarted(TempDir),
    Finished(Box<invariant::Final>),
}

/// Runs the world of a seed, perhaps with a planted bug, and looks it over.
pub fn run(seed: u64, planted: Option<&'static str>) -> Outcome {
    let chance = Chance::new(seed);
    let clock = SimClock::new();
    let history = Arc::new(History::default());
    let faults = Arc::new(Faults::new(&chance, clock.clone(), Arc::clone(&history), planted));
    let net = Arc::new(Net::new(&chance, clock.clone(), Arc::clone(&history), Arc::clone(&faults)));
    let plan = Plan::new(&chance);
    let progress = Mutex::new(Progress { posted: vec![0; plan.orgs.len()], ..Progress::default() });
    let restart = Notify::new();
    let world = Arc::new(World { plan, clock, history, faults, net, chance, restart, progress });
    let armed = failpoint::arm_thread(Rc::new(AtPoints(Arc::clone(&world.faults))));
    // A world that cannot go on is one that fails, and others go on.
    let last = catch_unwind(AssertUnwindSafe(|| live_on(&world, seed))).unwrap_or_else(|problem| {
        let text = problem.downcast_ref::<String>().cloned().unwrap_or_default();
        world.history.record().violated(Invariant::Ends, format!("the world broke: {text}"));
        None
    });
    drop(armed);
    let mut tally = world.tally();
    if let Some(last) = last {
        invariant::check(&world, &last);
        tally.deliveries = last.deliveries.len();
    }
    let mut record = world.history.record();
    Outcome {
        seed,
        violations: std::mem::take(&mut record.violations),
        trace: std::mem::take(&mut record.trace),
        points: world.faults.tally().0,
        tally,
    }
}

fn live_on(world: &Arc<World>, seed: u64) -> Option<invariant::Final> {
    let mut folder = folder();
    let mut chance = world.chance.fork(0x11FE);
    for life in 1..=LIVES_MAX {
        // Time stands still but where everybody waits; what runs in it ends with it.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let seed = seed.wrapping_mul(1000).wrapping_add(u64::try_from(life).unwrap());
        let end = runtime.block_on(async {
            let end = world.live(folder.path(), seed).await;
            // Outside of the runtime time is nobody's.
            world.clock.end_life();
            end
        });
        drop(runtime);
        match end {
            End::Killed(copy) | End::NotStarted(copy) => folder = copy,
            End::Stopped => {}
            End::Finished(last) => {
                unchanged_by_a_start(world, folder.path(), &last);
                return Some(*last);
            }
        }
        world.clock.skip(chance.millis(0, 5_000));
    }
    world.history.record().violated(Invariant::Ends, format!("not finished after {LIVES_MAX} lives"));
    None
}

/// In memory where the machine has that: the simulated disk need not be slow.
fn folder() -> TempDir {
    match Path::new("/dev/shm").is_dir() {
        true => TempDir::new_in("/dev/shm").unwrap(),
        false => TempDir::new().unwrap(),
    }
}

/// The files as they are at this instant.
fn copy(from: &Path) -> TempDir {
    let to = folder();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        // The index of the log is made anew, as after a loss of power.
        if !name.to_string_lossy().ends_with("-shm") {
            std::fs::copy(entry.path(), to.path().join(name)).unwrap();
        }
    }
    to
}

/// What was true stays true through another start.
fn unchanged_by_a_start(world: &Arc<World>, folder: &Path, last: &invariant::Final) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let found = runtime.block_on(async {
        world.clock.begin_life();
        let (node, _running) = Node::start(folder, 0, &world.clock, &world.faults, &world.net).unwrap();
        let found = world.all_deliveries(&node).await.unwrap();
        world.clock.end_life();
        found
    });
    if found != last.deliveries {
        let detail = "another start of the node changed deliveries".to_owned();
        world.history.record().violated(Invariant::OneTerminalState, detail);
    }
}

impl World {
    pub(crate) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn live(self: &Arc<Self>, folder: &Path, seed: u64) -> End {
        self.clock.begin_life();
        if CLOCK_IS_RIGHT_AT_START {
            self.clock.catch_up();
        }
        self.faults.begin_life();
        self.calm();
        let now = self.clock.virtual_now();
        self.history.tell(now, "the node starts");
        let started =
            catch_unwind(AssertUnwindSafe(|| Node::start(folder, seed, &self.clock, &self.faults, &self.net)));
        let (node, mut running) = match started {
            Ok(Ok((node, running))) => (Arc::new(node), running),
            Ok(Err(error)) => {
                self.history.tell(now, format!("the node does not start: {error}"));
                return End::NotStarted(copy(folder));
            }
            Err(_) => return self.killed(folder),
        };
        let work = async {
            self.look_around(&node).await;
            self.spawn(&node, seed, folder);
            self.work(&node).await
        };
        let last = tokio::select! {
            biased;
            () = self.faults.died() => return self.killed(folder),
            () = self.restart.notified() => return self.stopped(&node, running, folder).await,
            ended = &mut running => {
                if self.faults.is_dead() {
                    return self.killed(folder);
                }
                self.history.record().violated(Invariant::Ends, format!("the delivery loop ended by itself: {ended:?}"));
                return self.killed(folder);
            }
            last = work => last,
        };
        let _ = self.stopped(&node, running, folder).await;
        End::Finished(Box::new(last))
    }

    /// What lasted for a while does not outlast the process.
    fn calm(&self) {
        self.faults.burst(0);
        self.faults.slow(None);
        self.faults.set_free_bytes(u64::MAX);
        self.net.all().iter().for_each(|host| host.set_cut(false));
    }

    fn killed(&self, folder: &Path) -> End {
        let now = self.clock.virtual_now();
        let mut record = self.history.record();
        record.tell(now, "the process is dead");
        record.crashes.push(now);
        drop(record);
        End::Killed(copy(folder))
    }

    /// As an operator ends it: within the grace and a little.
    async fn stopped(&self, node: &Node, running: JoinHandle<()>, folder: &Path) -> End {
        let begun = self.clock.virtual_now();
        self.history.tell(begun, "the node is asked to end");
        node.stop();
        let ended = tokio::select! {
            biased;
            () = self.faults.died() => return self.killed(folder),
            ended = running => ended,
        };
        if self.faults.is_dead() {
            return self.killed(folder);
        }
        let now = self.clock.virtual_now();
        let mut record = self.history.record();
        record.tell(now, "the node has ended");
        if ended.is_err() || now - begun > SignedDuration::from_secs(27) {
            record.violated(Invariant::Ends, format!("a stop took {:?}: {ended:?}", now - begun));
        }
        // Outcomes may have been left to the claims; then this was no better than a crash.
        record.crashes.push(now);
        End::Stopped
    }

    fn spawn(self: &Arc<Self>, node: &Arc<Node>, seed: u64, folder: &Path) {
        let chance = Chance::new(seed);
        for org in 0..self.plan.orgs.len() {
            let chance = chance.fork(0xC11E + u64::try_from(org).unwrap());
            self.spawn_one(client::run(Arc::clone(self), Arc::clone(node), org, chance));
        }
        self.spawn_one(operator::run(Arc::clone(self), Arc::clone(node), chance.fork(0x09)));
        self.spawn_one(incident::run(Arc::clone(self), folder.to_owned(), chance.fork(0x1C)));
    }

    /// A part of the world that may unwind only with the process.
    fn spawn_one(self: &Arc<Self>, part: impl Future<Output = ()> + Send + 'static) {
        let world = Arc::clone(self);
        tokio::spawn(async move {
            let ended = tokio::spawn(part).await;
            if ended.is_err() && !world.faults.is_dead() {
                world.history.record().violated(Invariant::Ends, format!("a part of the world broke: {ended:?}"));
            }
        });
    }

    /// Works until the span is over, heals the world, and waits until nothing moves any more.
    async fn work(&self, node: &Node) -> invariant::Final {
        let mut chance = self.chance.fork(0x5A);
        while self.clock.virtual_now() < self.plan.span {
            let rest = self.plan.span - self.clock.virtual_now();
            pause(&self.clock, chance.millis(5_000, 90_000).min(rest)).await;
            self.look(node).await;
        }
        self.history.tell(self.clock.virtual_now(), "everything is mended");
        self.faults.heal();
        for host in self.net.all() {
            host.set_mode(Mode::Well);
            host.set_cut(false);
        }
        let until = self.clock.virtual_now() + QUIET_WITHIN;
        loop {
            pause(&self.clock, SignedDuration::from_secs(10)).await;
            if self.is_quiet(node).await {
                break;
            }
            if self.clock.virtual_now() > until {
                self.history.record().violated(Invariant::Ends, format!("no quiet after {QUIET_WITHIN:#}"));
                break;
            }
        }
        self.look(node).await;
        invariant::Final::gather(self, node).await.unwrap()
    }

    async fn is_quiet(&self, node: &Node) -> bool {
        let are_done = {
            let progress = self.progress();
            let posted = progress.posted.iter().zip(&self.plan.posts).all(|(done, posts)| *done == posts.len());
            posted && progress.deeds == self.plan.deeds.len()
        };
        if !are_done {
            return false;
        }
        let moves = |(kind, count): &(StateKind, u64)| !kind.is_terminal() && *kind != StateKind::Held && *count > 0;
        for org in &self.plan.orgs {
            if node.store.count_deliveries(*org).await.unwrap().iter().any(moves) {
                return false;
            }
        }
        true
    }

    pub(crate) async fn all_deliveries(&self, node: &Node) -> Result<invariant::Deliveries, StoreError> {
        let mut all = Vec::new();
        for org in &self.plan.orgs {
            all.extend(node.deliveries(*org).await?);
        }
        Ok(all)
    }

    /// Takes a sample of every delivery.
    async fn look(&self, node: &Node) {
        if let Ok(all) = self.all_deliveries(node).await {
            self.history.record().saw(all.into_iter().map(|(delivery, _)| delivery).collect());
        }
    }

    /// After a start: what is there?
    async fn look_around(&self, node: &Node) {
        self.look(node).await;
        let known: Vec<_> = self.history.record().endpoints.keys().copied().collect();
        for id in known {
            self.look_at(node, id).await;
        }
    }

    /// Writes down how an endpoint is now.
    pub(crate) async fn look_at(&self, node: &Node, id: EndpointId) {
        let mut found = None;
        for org in &self.plan.orgs {
            match node.store.endpoint(*org, id).await {
                Ok(Some(endpoint)) => found = Some(endpoint),
                Ok(None) => {}
                Err(_) => return,
            }
        }
        if let Some(endpoint) = &found {
            for secret in &endpoint.secrets {
                self.net.of(id).iter().for_each(|host| host.add_secret(secret.text.clone()));
            }
        }
        let now = self.clock.virtual_now();
        let mut record = self.history.record();
        record.step += 1;
        let step = record.step;
        let known = record.endpoints.entry(id).or_default();
        known.seen.push((step, found));
        known.moved.push(now);
        known.changing.iter_mut().filter(|(_, end)| end.is_none()).for_each(|(_, end)| *end = Some(step));
    }

    fn tally(&self) -> Tally {
        let record = self.history.record();
        Tally {
            worlds: 1,
            crashes: record.crashes.len(),
            faults: self.faults.tally().1,
            events: record.posts.values().filter_map(|post| post.said.as_ref().map(Vec::len)).sum(),
            deliveries: 0,
            arrivals: record.arrivals.len(),
            lasted: self.clock.virtual_now(),
        }
    }
}
