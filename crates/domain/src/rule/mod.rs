//! What an endpoint's owner says about what it is told, and when: a filter, mutes, quiet hours.
//!
//! They are asked when an event is accepted, inside the commit, and what they said stays: a change of a rule is for the
//! events that come after it. A rule that cannot be asked (its text is of an older version, or it breaks on an event, or costs
//! too much) counts as if it were not there: the event is delivered, and the endpoint shows that its rule fails. Nothing is
//! lost in silence.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use watchbell_wire::Severity;
use watchbell_wire::expression::{Budget, Expression, Facts, Mistake, Name};

use crate::id::{EndpointId, EventId};

pub use mute::{Mute, Muted};
pub use quiet::Quiet;

mod mute;
mod quiet;

/// A filter that cost too much so often is not asked again until somebody changes it.
pub const OVERRUNS_MAX: u32 = 3;
/// Most mutes of one endpoint, those that ended lately included.
pub const MUTES_MAX: usize = 50;

/// What an endpoint's owner says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// Which events are wanted. `None`: all.
    pub filter: Option<Filter>,
    /// When deliveries wait.
    pub quiet: Option<Quiet>,
    /// What is not wanted for a while, those that ended lately included.
    pub mutes: Vec<Mute>,
}

impl Rules {
    /// Whether deciding asks what the event says.
    pub fn ask(&self, at: Timestamp) -> bool {
        self.filter.is_some() || self.mutes.iter().any(|mute| mute.is_live(at))
    }

    /// Whether a rule that is alive asks for this fact.
    pub fn uses(&self, name: Name, at: Timestamp) -> bool {
        let mutes = self.mutes.iter().filter(|mute| mute.is_live(at)).map(|mute| &mute.when);
        self.filter.iter().chain(mutes).any(|filter| filter.compiled().is_ok_and(|expression| expression.uses(name)))
    }
}

/// An expression as it was saved: compiled when it is first asked, once for all who share it.
#[derive(Clone)]
pub struct Filter(Arc<Kept>);

struct Kept {
    source: String,
    compiled: OnceLock<Result<Expression, Mistake>>,
    overruns: AtomicU32,
}

/// What a filter says of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is wanted.
    Yes,
    /// It is not.
    No,
    /// The filter cannot say.
    Broken(String),
}

impl Filter {
    /// Keeps the text.
    pub fn new(source: impl Into<String>) -> Self {
        Self(Arc::new(Kept { source: source.into(), compiled: OnceLock::new(), overruns: AtomicU32::new(0) }))
    }

    /// The text.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// The expression.
    ///
    /// # Errors
    /// The text is none, or none any more.
    pub fn compiled(&self) -> Result<&Expression, &Mistake> {
        self.0.compiled.get_or_init(|| Expression::compile(&self.0.source)).as_ref()
    }

    /// Asks it about an event.
    pub fn ask(&self, facts: &Facts<'_>, budget: &mut Budget) -> Verdict {
        let expression = match self.compiled() {
            Ok(expression) => expression,
            Err(mistake) => return Verdict::Broken(mistake.to_string()),
        };
        if self.is_switched_off() {
            return Verdict::Broken(format!("it was not asked: it took too much {OVERRUNS_MAX} times"));
        }
        match expression.answer(facts, budget) {
            Ok(true) => Verdict::Yes,
            Ok(false) => Verdict::No,
            Err(trouble) => {
                if trouble.is_overrun() {
                    self.0.overruns.fetch_add(1, Ordering::Relaxed);
                }
                Verdict::Broken(trouble.to_string())
            }
        }
    }

    /// Whether it has cost too much too often.
    pub fn is_switched_off(&self) -> bool {
        self.0.overruns.load(Ordering::Relaxed) >= OVERRUNS_MAX
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filter").field(&self.0.source).finish()
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.0.source == other.0.source
    }
}

impl Eq for Filter {}

/// A rule that could not be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Whose.
    pub endpoint_id: EndpointId,
    /// Why.
    pub why: String,
}

/// How an endpoint's rules have been failing since they were last changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFailure {
    /// Since when.
    pub since: Timestamp,
    /// The last time.
    pub last_at: Timestamp,
    /// On how many events. These were delivered.
    pub events: u64,
    /// The last of them.
    pub event_id: EventId,
    /// What went wrong with it.
    pub why: String,
}

/// What rules may ask about one event, and what came of it. Made once and shared by all endpoints.
#[derive(Debug)]
pub struct Inquiry<'a> {
    /// What the event says. `None`: nobody asks.
    pub facts: Option<Facts<'a>>,
    /// What asking may still cost.
    pub budget: Budget,
    /// When the event was accepted.
    pub at: Timestamp,
    /// The rules that could not be asked.
    pub broken: Vec<Broken>,
}

impl<'a> Inquiry<'a> {
    /// About an event accepted at `at`.
    pub const fn new(facts: Option<Facts<'a>>, at: Timestamp) -> Self {
        Self { facts, budget: Budget::per_event(), at, broken: Vec::new() }
    }

    /// Whether the filter wants the event. One that cannot say does.
    pub(crate) fn is_wanted(&mut self, endpoint: EndpointId, filter: &Filter) -> bool {
        self.ask(endpoint, filter).unwrap_or(true)
    }

    /// The mute that keeps the event away. One that cannot say does not.
    pub(crate) fn mute<'m>(&mut self, endpoint: EndpointId, mutes: &'m [Mute]) -> Option<&'m Mute> {
        let at = self.at;
        mutes.iter().filter(|mute| mute.is_live(at)).find(|mute| self.ask(endpoint, &mute.when) == Some(true))
    }

    fn ask(&mut self, endpoint_id: EndpointId, filter: &Filter) -> Option<bool> {
        let facts = self.facts.as_ref()?;
        match filter.ask(facts, &mut self.budget) {
            Verdict::Yes => Some(true),
            Verdict::No => Some(false),
            Verdict::Broken(why) => {
                self.broken.push(Broken { endpoint_id, why });
                None
            }
        }
    }
}

/// Whether a severity is at least `least`; what nobody rated is not known to be.
pub(crate) fn reaches(severity: Option<Severity>, least: Severity) -> bool {
    severity.is_some_and(|severity| severity >= least)
}

#[cfg(test)]
mod tests;
