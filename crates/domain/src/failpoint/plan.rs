//! A plan as text: `store.commit.before=kill:3; net.write=error; engine.settle.before=delay(250ms)`.
//!
//! `:3` means the third time that the point is reached and no other; without it, every time.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use jiff::SignedDuration;

use super::{Action, POINTS};

/// What to do at which points.
#[derive(Debug, Default)]
pub struct Plan(Mutex<BTreeMap<&'static str, Step>>);

#[derive(Debug, Clone, Copy)]
struct Step {
    action: Action,
    /// At this passage alone, counted from 1.
    nth: Option<u64>,
    passed: u64,
}

/// A plan that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Not `name=action[:nth]`.
    #[error("{0:?} is not name=action[:nth] with an action of kill, panic, error, delay(250ms)")]
    Spelling(String),
    /// There is no such point.
    #[error("there is no fail point {0:?}")]
    Unknown(String),
}

impl Plan {
    /// What happens at this point now; counts the passage.
    pub fn at(&self, point: &str) -> Option<Action> {
        let mut steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let step = steps.get_mut(point)?;
        step.passed += 1;
        step.nth.is_none_or(|nth| nth == step.passed).then_some(step.action)
    }
}

impl FromStr for Plan {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let mut steps = BTreeMap::new();
        for part in text.split([';', ',']).map(str::trim).filter(|part| !part.is_empty()) {
            let wrong = || PlanError::Spelling(part.to_owned());
            let (name, step) = part.split_once('=').ok_or_else(wrong)?;
            let point = POINTS.iter().find(|(point, _)| *point == name.trim());
            let (point, _) = point.ok_or_else(|| PlanError::Unknown(name.trim().to_owned()))?;
            let (action, nth) = match step.split_once(':') {
                Some((action, nth)) => (action, Some(nth.trim().parse().map_err(|_| wrong())?)),
                None => (step, None),
            };
            let action = action_of(action.trim()).ok_or_else(wrong)?;
            steps.insert(*point, Step { action, nth, passed: 0 });
        }
        Ok(Self(Mutex::new(steps)))
    }
}

fn action_of(text: &str) -> Option<Action> {
    match text {
        "kill" => Some(Action::Kill),
        "panic" => Some(Action::Panic),
        "error" => Some(Action::Error),
        other => {
            let wait: SignedDuration = other.strip_prefix("delay(")?.strip_suffix(')')?.parse().ok()?;
            Some(Action::Delay(wait))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_and_counts() {
        let plan: Plan = "store.commit.before=kill:2; net.write=error, engine.send = delay(250ms)".parse().unwrap();
        assert_eq!(plan.at("store.commit.before"), None);
        assert_eq!(plan.at("store.commit.before"), Some(Action::Kill));
        assert_eq!(plan.at("store.commit.before"), None);
        assert_eq!(plan.at("net.write"), Some(Action::Error));
        assert_eq!(plan.at("net.write"), Some(Action::Error));
        assert_eq!(plan.at("engine.send"), Some(Action::Delay(SignedDuration::from_millis(250))));
        assert_eq!(plan.at("net.read"), None);
    }

    #[test]
    fn a_plan_that_means_nothing_is_refused() {
        assert_eq!("nowhere=kill".parse::<Plan>().unwrap_err(), PlanError::Unknown("nowhere".to_owned()));
        for text in ["net.read", "net.read=explode", "net.read=kill:x", "net.read=delay(soon)"] {
            assert!(matches!(text.parse::<Plan>().unwrap_err(), PlanError::Spelling(_)), "{text}");
        }
    }
}
