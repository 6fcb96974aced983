//! What users write about events: filters that answer yes or no, and the leaves of templates. The language is CEL.
//!
//! ```
//! use watchbell_wire::expression::{Budget, Expression, Facts};
//! use watchbell_wire::{Data, EventType};
//!
//! let filter = Expression::compile("type == 'vulnerability.created' && severity >= high")?;
//! let data = Data::from_text(r#"{"severity": "critical"}"#.to_owned())?;
//! let facts = Facts::of(&EventType::VulnerabilityCreated, &data);
//! assert!(filter.answer(&facts, &mut Budget::per_event())?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The text is read by the parser of the crate `cel`, which this module alone knows, and becomes a tree of our own
//! ([`node`]). We walk that tree ourselves ([`evaluate`]), because a tenant's rule runs where everybody's events are
//! accepted: the crate's interpreter can be stopped neither by steps nor by memory, and compiles the pattern of `matches` on
//! every call. Here every step and every byte made is paid for, patterns are literals compiled once with a size limit, and
//! what runs out says so. The numbers are meant to
//! keep the whole of [`STEPS_PER_EVENT`] under 10 ms of an optimised build.
//!
//! Where we differ from the specification, on purpose: a member that is not there is `null`, and every question about
//! `null` but `==` and `!=` is answered with no, so that a filter can speak of members that only some events have; whole
//! numbers and others compare; there are constants for severities, which compare. Functions that we do not have are refused
//! when the text is compiled, as is every name that is not known.

#![expect(clippy::wildcard_enum_match_arm, reason = "kinds of values that are no answer are refused alike")]

use std::fmt;
use std::sync::Arc;

mod evaluate;
mod explain;
mod facts;
mod functions;
mod node;
mod parse;
mod suggest;
mod template;
mod value;

pub use evaluate::{Budget, Trouble};
pub use explain::{Explanation, Part};
pub use facts::{Facts, Name};
pub use template::{Misplaced, Template};

use crate::event::{Data, EventType};
use evaluate::Run;
use node::Node;
use value::Value;

/// Longest text of one expression, in bytes.
pub const SOURCE_BYTES_MAX: usize = 1024;
/// Deepest nesting of anything in anything.
pub const DEPTH_MAX: usize = 32;
/// Deepest nesting of `all`, `exists`, `filter` and `map`: each costs as often as the one around it has turns.
pub const LOOPS_MAX: usize = 2;
/// Most that the compiled form of one pattern may take, in bytes.
pub const PATTERN_BYTES_MAX: usize = 128 * 1024;
/// Most steps of one evaluation. A step is a node of the tree, or some tens of bytes looked at.
pub const STEPS_MAX: u32 = 10_000;
/// Most steps of all evaluations on one event.
pub const STEPS_PER_EVENT: u32 = 100_000;
/// Most that evaluations on one event may make of texts and lists, in bytes.
pub const BYTES_PER_EVENT: usize = 1024 * 1024;

/// A compiled expression. Two are equal when their texts are.
#[derive(Clone)]
pub struct Expression {
    source: Arc<str>,
    root: Arc<Node>,
    names: u32,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// The first [`Mistake`], and where it is.
    pub fn compile(source: &str) -> Result<Self, Mistake> {
        let root = parse::parse(source)?;
        let mut names = 0;
        root.each(&mut |node| {
            if let node::Kind::Fact(name) = &node.kind {
                names |= name.bit();
            }
        });
        Ok(Self { source: source.into(), root: Arc::new(root), names })
    }

    /// The text as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it asks for this fact.
    pub const fn uses(&self, name: Name) -> bool {
        self.names & name.bit() != 0
    }

    /// Yes or no about an event.
    ///
    /// # Errors
    /// [`Trouble`]: something has a type that was not expected, or the budget ran out.
    pub fn answer(&self, facts: &Facts<'_>, budget: &mut Budget) -> Result<bool, Trouble> {
        let mut run = Run::new(facts, budget);
        match run.value(&self.root)? {
            Value::Bool(answer) => Ok(answer),
            Value::Null => Ok(false),
            other => Err(Trouble::at(&self.root, format!("the answer is {}, not true or false", other.described()))),
        }
    }

    /// The value for an event.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    pub fn value(&self, facts: &Facts<'_>, budget: &mut Budget) -> Result<serde_json::Value, Trouble> {
        let mut run = Run::new(facts, budget);
        let value = run.value(&self.root)?;
        run.json(&self.root, &value)
    }

    /// The value as text.
    fn text(&self, facts: &Facts<'_>, budget: &mut Budget) -> Result<String, Trouble> {
        let mut run = Run::new(facts, budget);
        let value = run.value(&self.root)?;
        let text = run.written(&self.root, &value)?;
        run.make(text.text().unwrap_or_default().len())?;
        Ok(text.text().unwrap_or_default().to_owned())
    }

    /// Why it answers what it answers.
    pub fn explain(&self, facts: &Facts<'_>) -> Explanation {
        explain::explain(self, facts)
    }

    /// Tries the expression as a filter on every sample.
    ///
    /// # Errors
    /// The first [`Mistake`]: the answer is not yes or no, or there is none.
    pub fn check_filter<'s>(
        &self,
        samples: impl IntoIterator<Item = (&'s EventType, &'s Data)>,
    ) -> Result<(), Mistake> {
        for (event_type, data) in samples {
            let facts = Facts::of(event_type, data);
            self.answer(&facts, &mut Budget::per_event()).map_err(|trouble| self.mistake(&trouble, event_type))?;
        }
        Ok(())
    }

    fn mistake(&self, trouble: &Trouble, event_type: &EventType) -> Mistake {
        let message = format!("{}, on the sample of {event_type}", trouble.message());
        Mistake::at(&self.source, trouble.offset(), message)
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source).finish()
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Expression {}

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}{}", hint.as_deref().map(|hint| format!(": {hint}")).unwrap_or_default())]
pub struct Mistake {
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What may have been meant, or helps.
    pub hint: Option<String>,
}

impl Mistake {
    fn at(source: &str, offset: usize, message: impl Into<String>) -> Self {
        let before = source.get(..offset).unwrap_or(source);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let line = count(before.matches('\n').count()).saturating_add(1);
        let column = count(before.rsplit('\n').next().unwrap_or_default().chars().count()).saturating_add(1);
        Self { line, column, message: message.into(), hint: None }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

#[cfg(test)]
mod tests;
