//! The world's time: tokio's paused time, and a wall clock on top of it that can be set.
//!
//! Virtual time goes in whole milliseconds, so the microseconds of the wall clock are free: they carry how often it was
//! set. Every time that the product wrote down is thereby told apart from the same reading before the clock was set, and
//! [`SimClock::moment`] says when in virtual time it was read.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use watchbell_domain::port::Clock;

/// Virtual time: since the world began.
pub type Moment = SignedDuration;

/// The first reading of the wall clock.
fn epoch() -> Timestamp {
    Timestamp::from_second(1_767_225_600).unwrap()
}

/// The clock of a world.
#[derive(Debug, Clone)]
pub struct SimClock(Arc<Mutex<Hands>>);

#[derive(Debug)]
struct Hands {
    /// Virtual time when the present life began.
    before: Moment,
    /// When it began, by tokio.
    began: Option<Instant>,
    /// How far the wall clock is from virtual time: since when, how much.
    settings: Vec<(Moment, SignedDuration)>,
    /// When lives began.
    lives: Vec<Moment>,
}

impl SimClock {
    /// A clock at the beginning of the world.
    pub fn new() -> Self {
        let settings = vec![(Moment::ZERO, SignedDuration::ZERO)];
        Self(Arc::new(Mutex::new(Hands { before: Moment::ZERO, began: None, settings, lives: Vec::new() })))
    }

    /// A new life begins on the current runtime.
    pub fn begin_life(&self) {
        let mut hands = self.hands();
        hands.before = hands.moment();
        hands.began = Some(Instant::now());
        let now = hands.moment();
        hands.lives.push(now);
    }

    /// The present life has ended.
    pub fn end_life(&self) {
        let mut hands = self.hands();
        hands.before = hands.moment();
        hands.began = None;
    }

    /// Nobody lives for a while.
    pub fn skip(&self, by: SignedDuration) {
        self.hands().before += by;
    }

    /// Virtual time.
    pub fn virtual_now(&self) -> Moment {
        self.hands().moment()
    }

    /// Sets the wall clock on or back.
    pub fn set_wall(&self, by: SignedDuration) {
        let mut hands = self.hands();
        let now = hands.moment();
        let offset = hands.settings.last().unwrap().1 + by;
        hands.settings.push((now, offset));
        assert!(hands.settings.len() < 1000, "the microseconds cannot count further");
    }

    /// Sets the wall clock on to where it would be, had it never been set back.
    pub fn catch_up(&self) {
        let behind = {
            let hands = self.hands();
            let highest = hands.settings.iter().map(|(_, offset)| *offset).max().unwrap();
            highest - hands.settings.last().unwrap().1
        };
        if behind.is_positive() {
            self.set_wall(behind);
        }
    }

    /// When in virtual time the wall clock showed `at`; `None`: it never did.
    pub fn moment(&self, at: Timestamp) -> Option<Moment> {
        let hands = self.hands();
        let set = usize::try_from(at.as_microsecond().rem_euclid(1000)).ok()?;
        let (_, offset) = hands.settings.get(set)?;
        let moment = epoch().duration_until(at) - *offset - micros(set);
        (moment >= Moment::ZERO && moment.as_micros() % 1000 == 0).then_some(moment)
    }

    /// What the wall clock showed at a moment.
    pub fn wall_at(&self, moment: Moment) -> Timestamp {
        self.hands().wall_at(moment)
    }

    /// The time by which deliveries are due at a moment: it follows the wall clock forwards and never runs backwards
    /// within a life (see `engine::delivery::steady`).
    pub fn steady_at(&self, moment: Moment) -> Timestamp {
        let hands = self.hands();
        let born = hands.lives.iter().copied().filter(|born| *born <= moment).max().unwrap_or(Moment::ZERO);
        let ends = hands.settings.iter().skip(1).map(|(at, _)| *at).chain([Moment::MAX]);
        let spans = hands.settings.iter().zip(ends).enumerate();
        // A setting that ends as the life begins may just have been read.
        let read = spans.filter(|(_, ((at, _), end))| *at <= moment && *end >= born);
        let readings = read.map(|(set, ((_, offset), _))| epoch() + moment + *offset + micros(set));
        readings.max().unwrap()
    }

    /// The life that a moment belongs to.
    pub fn life_at(&self, moment: Moment) -> usize {
        self.hands().lives.iter().filter(|born| **born <= moment).count()
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hands {
    fn moment(&self) -> Moment {
        let lived = self.began.map_or(Moment::ZERO, |began| SignedDuration::try_from(began.elapsed()).unwrap());
        // Timers fire on whole milliseconds; what is below is how long setting up the runtime took.
        SignedDuration::from_millis(i64::try_from((self.before + lived).as_millis()).unwrap())
    }

    fn wall_at(&self, moment: Moment) -> Timestamp {
        let set = self.settings.iter().filter(|(at, _)| *at <= moment).count().max(1) - 1;
        epoch() + moment + self.settings[set].1 + micros(set)
    }
}

fn micros(set: usize) -> SignedDuration {
    SignedDuration::from_micros(i64::try_from(set).unwrap())
}

impl Default for SimClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let hands = self.hands();
        hands.wall_at(hands.moment())
    }

    fn monotonic(&self) -> SignedDuration {
        self.virtual_now()
    }

    fn sleep(&self, wait: SignedDuration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(wait.try_into().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn readings_before_and_after_a_setting_are_told_apart() {
        let clock = SimClock::new();
        clock.begin_life();
        clock.sleep(SignedDuration::from_secs(7200)).await;
        let before = clock.now();
        clock.set_wall(SignedDuration::from_hours(-1));
        clock.sleep(SignedDuration::from_hours(1)).await;
        let after = clock.now();
        assert_eq!(before.duration_until(after), SignedDuration::from_micros(1));
        assert_eq!(clock.moment(before), Some(SignedDuration::from_hours(2)));
        assert_eq!(clock.moment(after), Some(SignedDuration::from_hours(3)));
        assert_eq!(clock.steady_at(SignedDuration::from_hours(3)), before + SignedDuration::from_hours(1));
    }
}
