//! What goes wrong, and when: at fail points, in the store's surroundings, and with the process itself.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::SignedDuration;
use tokio::sync::Notify;
use watchbell_domain::failpoint::{Action, Decide, POINTS};
use watchbell_store::sqlite::FreeSpace;

use crate::chance::Chance;
use crate::clock::SimClock;
use crate::history::History;

/// Bytes that the simulated disk keeps in reserve.
pub const MIN_FREE_BYTES: u64 = 1 << 20;

/// What may go wrong in a world, by its seed. A world where everything goes wrong all the time tests little: each seed
/// has some faults often, some seldom, some never.
#[derive(Debug)]
pub struct Faults {
    clock: SimClock,
    history: Arc<History>,
    planted: Option<&'static str>,
    state: Mutex<State>,
    died: Notify,
}

#[derive(Debug)]
struct State {
    chance: Chance,
    /// How often each point fails, of ten thousand passages.
    rates: BTreeMap<&'static str, u64>,
    /// A kill at the nth passage of a point from now.
    kill_at: Option<(&'static str, u64)>,
    kills_left: u32,
    dead: bool,
    healed: bool,
    /// Points of the store fail with this chance while a burst lasts.
    burst: u64,
    /// Calls of the store take this much longer.
    slow: Option<SignedDuration>,
    free_bytes: u64,
    passed: BTreeSet<&'static str>,
    fired: u64,
}

impl Faults {
    /// The faults of a seed.
    pub fn new(chance: &Chance, clock: SimClock, history: Arc<History>, planted: Option<&'static str>) -> Self {
        let mut chance = chance.fork(0xFA);
        let rates = POINTS.iter().map(|(point, _)| {
            let rate = chance.pick(&[0, 0, 0, 20, 60, 200, 500]);
            // Bytes are read and written far more often than anything else is done.
            (*point, if point.starts_with("net.") { rate / 4 } else { rate })
        });
        let rates = rates.collect();
        let state = State {
            rates,
            kill_at: None,
            kills_left: u32::try_from(chance.pick(&[0, 1, 2, 3, 5, 8])).unwrap(),
            chance,
            dead: false,
            healed: false,
            burst: 0,
            slow: None,
            free_bytes: u64::MAX,
            passed: BTreeSet::new(),
            fired: 0,
        };
        Self { clock, history, planted, state: Mutex::new(state), died: Notify::new() }
    }

    /// A process begins: it is alive, and perhaps marked for death at some step of its.
    pub fn begin_life(&self) {
        let mut state = self.state();
        state.dead = false;
        state.kill_at = None;
        if !state.healed && state.kills_left > 0 && state.chance.percent(70) {
            let index = state.chance.index(POINTS.len());
            let longest = if POINTS[index].0.starts_with("net.") { 200 } else { 30 };
            let nth = state.chance.within(1, longest);
            state.kill_at = Some((POINTS[index].0, nth));
        }
    }

    /// The process is killed here and now.
    pub fn kill(&self, why: &str) {
        let mut state = self.state();
        if state.dead || state.healed {
            return;
        }
        state.die(&self.died);
        drop(state);
        self.history.tell(self.clock.virtual_now(), format!("killed: {why}"));
    }

    /// Whether the process is dead: nothing it does now has ever happened.
    pub fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// Returns when the process is killed.
    pub async fn died(&self) {
        self.died.notified().await;
    }

    /// From now on nothing goes wrong any more.
    pub fn heal(&self) {
        let mut state = self.state();
        state.healed = true;
        state.kill_at = None;
        state.burst = 0;
        state.slow = None;
        state.free_bytes = u64::MAX;
    }

    /// Whether that is so.
    pub fn is_healed(&self) -> bool {
        self.state().healed
    }

    /// The store fails in so many of a hundred cases; 0 ends it.
    pub fn burst(&self, percent: u64) {
        self.state().burst = percent * 100;
    }

    /// The store takes longer; `None` ends it.
    pub fn slow(&self, by: Option<SignedDuration>) {
        self.state().slow = by;
    }

    /// So much is free on the disk.
    pub fn set_free_bytes(&self, bytes: u64) {
        self.state().free_bytes = bytes;
    }

    /// Notes that the store was disturbed just now.
    pub fn disturbed(&self, by: &'static str) {
        let now = self.clock.virtual_now();
        self.history.record().disturbances.push((now, by));
    }

    /// Points that were passed, and how many faults there were.
    pub fn tally(&self) -> (BTreeSet<&'static str>, u64) {
        let state = self.state();
        (state.passed.clone(), state.fired)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn die(&mut self, died: &Notify) {
        self.dead = true;
        self.kill_at = None;
        self.kills_left = self.kills_left.saturating_sub(1);
        died.notify_one();
    }

    fn is_kill_due(&mut self, point: &'static str) -> bool {
        match &mut self.kill_at {
            Some((marked, left)) if *marked == point => {
                *left -= 1;
                *left == 0
            }
            Some(_) | None => false,
        }
    }

    fn decide(&mut self, point: &'static str) -> Option<Action> {
        let is_of_store = point.starts_with("store.") || point.starts_with("engine.settle");
        if is_of_store && self.burst > 0 && self.chance.of_ten_thousand(self.burst) {
            return Some(Action::Error);
        }
        if matches!(point, "engine.claim" | "engine.settle.before" | "engine.poll")
            && let Some(slow) = self.slow
        {
            return Some(Action::Delay(slow));
        }
        let rate = self.rates.get(point).copied().unwrap_or(0);
        if !self.chance.of_ten_thousand(rate) {
            return None;
        }
        let may_wait = point.starts_with("engine.") && point != "engine.send";
        let is_caught = point.starts_with("net.") || point == "engine.send" || is_unit(point);
        match self.chance.within(0, 9) {
            0 if self.kills_left > 0 => Some(Action::Kill),
            1..=2 if is_caught => Some(Action::Panic),
            3..=6 if may_wait => Some(Action::Delay(self.long())),
            _ => Some(Action::Error),
        }
    }

    /// Mostly short; sometimes longer than a claim holds.
    fn long(&mut self) -> SignedDuration {
        match self.chance.within(0, 9) {
            0..=5 => self.chance.millis(1, 500),
            6..=8 => self.chance.millis(500, 10_000),
            _ => self.chance.millis(10_000, 60_000),
        }
    }
}

/// Inside a unit of work a panic takes back the unit alone.
fn is_unit(point: &str) -> bool {
    matches!(point, "store.unit" | "store.accept" | "store.claim" | "store.settle")
}

/// The faults of a world as fail points ask for them.
#[derive(Debug)]
pub struct AtPoints(pub Arc<Faults>);

impl Decide for AtPoints {
    fn at(&self, point: &'static str) -> Option<Action> {
        let faults = &*self.0;
        let mut state = faults.state();
        if state.dead {
            return Some(Action::Kill);
        }
        state.passed.insert(point);
        if state.healed {
            return None;
        }
        let action = if state.is_kill_due(point) { Some(Action::Kill) } else { state.decide(point) }?;
        state.fired += 1;
        if action == Action::Kill {
            state.die(&faults.died);
        }
        drop(state);
        let now = faults.clock.virtual_now();
        let mut record = faults.history.record();
        record.tell(now, format!("{point}: {action:?}"));
        record.disturbances.push((now, point));
        Some(action)
    }

    fn is_planted(&self, bug: &'static str) -> bool {
        self.0.planted == Some(bug)
    }
}

/// The simulated disk.
#[derive(Debug)]
pub struct Disk(pub Arc<Faults>);

impl FreeSpace for Disk {
    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(self.0.state().free_bytes)
    }
}
