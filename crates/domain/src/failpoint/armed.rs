//! What points do in a build that has them.

use std::cell::RefCell;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::SignedDuration;

use super::{Failed, Plan};
use crate::port::Clock;

/// What happens at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The process ends here and now. In a simulated world: everything that runs on the thread unwinds with [`Killed`], and
    /// the world lets no further point be passed.
    Kill,
    /// A panic.
    Panic,
    /// The step fails.
    Error,
    /// The step takes longer.
    Delay(SignedDuration),
}

/// Decides for one simulated world.
pub trait Decide {
    /// What happens at this point now; `None`: nothing.
    fn at(&self, point: &'static str) -> Option<Action>;

    /// Whether this bug was planted.
    fn is_planted(&self, bug: &'static str) -> bool;
}

/// What unwinds when a simulated process is killed.
#[derive(Debug, Clone, Copy)]
pub struct Killed;

/// How many have armed points: none, and a point costs one load.
static ARMED: AtomicUsize = AtomicUsize::new(0);
static PROCESS: OnceLock<Plan> = OnceLock::new();

thread_local! {
    static THREAD: RefCell<Option<Rc<dyn Decide>>> = const { RefCell::new(None) };
}

/// Points of this thread are armed while this lives.
#[derive(Debug)]
#[must_use]
pub struct Armed(std::marker::PhantomData<*const ()>);

/// Arms the points for what runs on this thread.
pub fn arm_thread(decide: Rc<dyn Decide>) -> Armed {
    ARMED.fetch_add(1, Ordering::Relaxed);
    THREAD.with(|thread| thread.replace(Some(decide)));
    Armed(std::marker::PhantomData)
}

impl Drop for Armed {
    fn drop(&mut self) {
        THREAD.with(|thread| thread.replace(None));
        ARMED.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Arms the points of the whole process, once: the first plan stays.
pub fn arm_process(plan: Plan) {
    if PROCESS.set(plan).is_ok() {
        ARMED.fetch_add(1, Ordering::Relaxed);
    }
}

fn of_thread() -> Option<Rc<dyn Decide>> {
    THREAD.with(|thread| thread.borrow().clone())
}

/// What to do at a point; a kill has happened already.
fn decided(point: &'static str) -> Option<Action> {
    if ARMED.load(Ordering::Relaxed) == 0 {
        return None;
    }
    debug_assert!(super::POINTS.iter().any(|(name, _)| *name == point), "{point} is not in the list of points");
    if let Some(decide) = of_thread() {
        let action = decide.at(point)?;
        if action == Action::Kill {
            resume_unwind(Box::new(Killed));
        }
        return Some(action);
    }
    let action = PROCESS.get()?.at(point)?;
    if action == Action::Kill {
        std::process::abort();
    }
    Some(action)
}

pub(super) fn at(point: &'static str) -> Result<(), Failed> {
    match decided(point) {
        None | Some(Action::Kill) => Ok(()),
        Some(Action::Panic) => panicked(point),
        Some(Action::Error) => Err(Failed(point)),
        Some(Action::Delay(wait)) => {
            std::thread::sleep(wait.unsigned_abs());
            Ok(())
        }
    }
}

pub(super) async fn at_while(point: &'static str, clock: &dyn Clock) -> Result<(), Failed> {
    match decided(point) {
        None | Some(Action::Kill) => Ok(()),
        Some(Action::Panic) => panicked(point),
        Some(Action::Error) => Err(Failed(point)),
        Some(Action::Delay(wait)) => {
            clock.sleep(wait).await;
            Ok(())
        }
    }
}

/// A panic without the message of the hook, which a thousand worlds would print.
fn panicked(point: &'static str) -> ! {
    resume_unwind(Box::new(format!("fail point {point}")))
}

pub(super) fn is_planted(bug: &'static str) -> bool {
    ARMED.load(Ordering::Relaxed) > 0 && of_thread().is_some_and(|decide| decide.is_planted(bug))
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    struct Fails;

    impl Decide for Fails {
        fn at(&self, point: &'static str) -> Option<Action> {
            match point {
                "net.read" => Some(Action::Error),
                "net.write" => Some(Action::Kill),
                _ => None,
            }
        }

        fn is_planted(&self, bug: &'static str) -> bool {
            bug == "planted"
        }
    }

    #[test]
    fn points_are_armed_for_their_thread_and_only_as_long() {
        assert_eq!(at("net.read"), Ok(()));
        let armed = arm_thread(Rc::new(Fails));
        assert_eq!(at("net.read"), Err(Failed("net.read")));
        assert_eq!(at("net.connect"), Ok(()));
        assert!(is_planted("planted") && !is_planted("other"));
        let killed = catch_unwind(AssertUnwindSafe(|| at("net.write"))).unwrap_err();
        assert!(killed.is::<Killed>());
        assert_eq!(std::thread::spawn(|| at("net.read")).join().unwrap(), Ok(()));
        drop(armed);
        assert_eq!(at("net.read"), Ok(()));
        assert!(!is_planted("planted"));
    }
}
