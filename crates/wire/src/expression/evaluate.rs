//! Running a tree. Every step is paid for before it is made.

#![expect(clippy::wildcard_enum_match_arm, reason = "kinds of values that the step is not about answer alike")]

use std::cmp::Ordering;
use std::rc::Rc;

use serde_json::Value as Json;

use super::facts::Facts;
use super::node::{Infix, Kind, Loop, Node, Pattern};
use super::value::{Value, order};
use super::{BYTES_PER_EVENT, STEPS_MAX, STEPS_PER_EVENT};

/// Bytes of a text that are looked at in one step.
const BYTES_PER_STEP: usize = 32;
/// What looking at a byte costs with a pattern whose compiled form has so many bytes: one step.
const PATTERN_BYTES_PER_STEP: usize = 8 * 1024;
/// What an element of a list takes, in bytes.
const ELEMENT_BYTES: usize = 32;

/// What evaluations on one event may still cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    steps: u32,
    bytes: usize,
}

impl Budget {
    /// For all evaluations on one event.
    pub const fn per_event() -> Self {
        Self { steps: STEPS_PER_EVENT, bytes: BYTES_PER_EVENT }
    }

    /// How many steps were made.
    pub const fn steps_made(&self) -> u32 {
        STEPS_PER_EVENT.saturating_sub(self.steps)
    }
}

/// Why an evaluation gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Trouble {
    message: String,
    offset: usize,
    is_overrun: bool,
}

impl Trouble {
    pub(super) fn at(node: &Node, message: impl Into<String>) -> Self {
        Self { message: message.into(), offset: node.at, is_overrun: false }
    }

    fn overrun(message: &'static str) -> Self {
        Self { message: message.to_owned(), offset: 0, is_overrun: true }
    }

    /// What went wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether it cost too much.
    pub const fn is_overrun(&self) -> bool {
        self.is_overrun
    }

    pub(super) const fn offset(&self) -> usize {
        self.offset
    }
}

pub(super) type Result<T> = std::result::Result<T, Trouble>;

/// One evaluation.
pub(super) struct Run<'e, 'b> {
    facts: &'e Facts<'e>,
    locals: Vec<Value<'e>>,
    steps: u32,
    budget: &'b mut Budget,
}

impl<'e, 'b> Run<'e, 'b> {
    pub(super) fn new(facts: &'e Facts<'e>, budget: &'b mut Budget) -> Self {
        Self { facts, locals: Vec::new(), steps: STEPS_MAX, budget }
    }

    pub(super) fn pay(&mut self, steps: usize) -> Result<()> {
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        match (self.steps.checked_sub(steps), self.budget.steps.checked_sub(steps)) {
            (Some(own), Some(all)) => {
                (self.steps, self.budget.steps) = (own, all);
                Ok(())
            }
            (None, _) => {
                self.budget.steps = self.budget.steps.saturating_sub(std::mem::take(&mut self.steps));
                Err(Trouble::overrun("it took more steps than an expression may take"))
            }
            (Some(_), None) => {
                self.budget.steps = 0;
                Err(Trouble::overrun("the expressions on this event took more steps than they may take together"))
            }
        }
    }

    /// Pays for what is going to be made.
    pub(super) fn make(&mut self, bytes: usize) -> Result<()> {
        self.pay(bytes / BYTES_PER_STEP)?;
        match self.budget.bytes.checked_sub(bytes) {
            Some(left) => {
                self.budget.bytes = left;
                Ok(())
            }
            None => Err(Trouble::overrun("it made more texts and lists than it may make")),
        }
    }

    pub(super) fn look(&mut self, text: &str) -> Result<()> {
        self.pay(text.len() / BYTES_PER_STEP)
    }

    pub(super) fn text(&mut self, text: &str) -> Result<Value<'e>> {
        self.make(text.len())?;
        Ok(Value::Made(text.into()))
    }

    pub(super) fn value(&mut self, node: &'e Node) -> Result<Value<'e>> {
        self.pay(1)?;
        match &node.kind {
            Kind::Null => Ok(Value::Null),
            Kind::Bool(value) => Ok(Value::Bool(*value)),
            Kind::Int(value) => Ok(Value::Int(*value)),
            Kind::Float(value) => Ok(Value::Float(*value)),
            Kind::Text(text) => Ok(Value::Text(text)),
            Kind::Severity(severity) => Ok(Value::Severity(*severity)),
            Kind::Fact(name) => Ok(self.facts.get(*name)),
            Kind::Local(index, _) => Ok(self.locals.get(*index).cloned().unwrap_or(Value::Null)),
            Kind::Member(of, name) => {
                let of = self.value(of)?;
                of.member(name).ok_or_else(|| Trouble::at(node, format!("{} has no members", of.described())))
            }
            Kind::Has(of, name) => {
                let of = self.value(of)?;
                Ok(Value::Bool(of.member(name).is_some_and(|value| !matches!(value, Value::Null))))
            }
            Kind::Index(of, index) => self.index(node, of, index),
            Kind::Not(of) => Ok(Value::Bool(!self.yes(of)?)),
            Kind::Negate(of) => match self.value(of)? {
                Value::Int(int) => int.checked_neg().map(Value::Int).ok_or_else(|| Trouble::at(node, TOO_LARGE)),
                Value::Float(float) => Ok(Value::Float(-float)),
                other => Err(Trouble::at(node, format!("a number is wanted, not {}", other.described()))),
            },
            Kind::And(parts) => self.unless(parts, false),
            Kind::Or(parts) => self.unless(parts, true),
            Kind::Infix(infix, a, b) => self.infix(node, *infix, a, b),
            Kind::If(condition, yes, no) => {
                if self.yes(condition)? {
                    self.value(yes)
                } else {
                    self.value(no)
                }
            }
            Kind::List(nodes) => {
                self.make(nodes.len() * ELEMENT_BYTES)?;
                let values: Result<Vec<_>> = nodes.iter().map(|node| self.value(node)).collect();
                Ok(Value::List(values?.into()))
            }
            Kind::Map(entries) => self.map(entries),
            Kind::Matches(of, pattern) => self.matches(of, pattern),
            Kind::Call(function, arguments) => self.call(node, *function, arguments),
            Kind::Loop(kind, range, _, bodies) => self.turns(*kind, range, bodies),
        }
    }

    /// Yes or no; `null` is no.
    pub(super) fn yes(&mut self, node: &'e Node) -> Result<bool> {
        match self.value(node)? {
            Value::Bool(value) => Ok(value),
            Value::Null => Ok(false),
            other => Err(Trouble::at(node, format!("true or false is wanted, not {}", other.described()))),
        }
    }

    /// `end` if any part is; what went wrong with one part does not matter then.
    fn unless(&mut self, parts: &'e [Node], end: bool) -> Result<Value<'e>> {
        let mut wrong = None;
        for part in parts {
            match self.yes(part) {
                Ok(value) if value == end => return Ok(Value::Bool(end)),
                Ok(_) => {}
                Err(trouble) if trouble.is_overrun => return Err(trouble),
                Err(trouble) => wrong = wrong.or(Some(trouble)),
            }
        }
        wrong.map_or(Ok(Value::Bool(!end)), Err)
    }

    fn index(&mut self, node: &'e Node, of: &'e Node, index: &'e Node) -> Result<Value<'e>> {
        let (of, index) = (self.value(of)?, self.value(index)?);
        let found = match (&index, index.text()) {
            (Value::Int(index), _) => match usize::try_from(*index) {
                Ok(index) => of.element(index),
                Err(_) => Some(Value::Null),
            },
            (_, Some(name)) => of.member(name),
            (Value::Null, None) => Some(Value::Null),
            (_, None) => None,
        };
        let wrong = || Trouble::at(node, format!("{} is not found by {}", of.described(), index.described()));
        found.ok_or_else(wrong)
    }

    fn map(&mut self, entries: &'e [(Node, Node)]) -> Result<Value<'e>> {
        let mut members = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let name = self.value(key)?;
            let wrong = || Trouble::at(key, format!("a text is wanted, not {}", name.described()));
            let name: Rc<str> = name.text().ok_or_else(wrong)?.into();
            self.make(name.len() + ELEMENT_BYTES)?;
            members.push((name, self.value(value)?));
        }
        Ok(Value::Map(members.into()))
    }

    fn matches(&mut self, of: &'e Node, pattern: &'e Pattern) -> Result<Value<'e>> {
        let text = self.value(of)?;
        match (&text, text.text()) {
            (_, Some(text)) => {
                let per_byte = pattern.bytes.div_ceil(PATTERN_BYTES_PER_STEP);
                self.pay(text.len().saturating_mul(per_byte))?;
                Ok(Value::Bool(pattern.regex.is_match(text)))
            }
            (Value::Null, None) => Ok(Value::Bool(false)),
            (_, None) => Err(Trouble::at(of, format!("a text is wanted, not {}", text.described()))),
        }
    }

    fn infix(&mut self, node: &'e Node, infix: Infix, a: &'e Node, b: &'e Node) -> Result<Value<'e>> {
        let (a, b) = (self.value(a)?, self.value(b)?);
        let compared = |run: &mut Self, is: fn(Ordering) -> bool| {
            run.look(a.text().unwrap_or_default())?;
            let order = order(&a, &b)
                .map_err(|()| Trouble::at(node, format!("{} and {} do not compare", a.described(), b.described())))?;
            Ok(Value::Bool(order.is_some_and(is)))
        };
        match infix {
            Infix::Equal => Ok(Value::Bool(self.equal(&a, &b)?)),
            Infix::NotEqual => Ok(Value::Bool(!self.equal(&a, &b)?)),
            Infix::Less => compared(self, Ordering::is_lt),
            Infix::LessOrEqual => compared(self, Ordering::is_le),
            Infix::Greater => compared(self, Ordering::is_gt),
            Infix::GreaterOrEqual => compared(self, Ordering::is_ge),
            Infix::In => self.is_in(node, &a, &b),
            Infix::Add | Infix::Subtract | Infix::Multiply | Infix::Divide | Infix::Remainder => {
                self.reckon(node, infix, &a, &b)
            }
        }
    }

    fn is_in(&mut self, node: &'e Node, a: &Value<'e>, b: &Value<'e>) -> Result<Value<'e>> {
        match b {
            Value::Json(Json::Object(_)) | Value::Map(_) => {
                let found = a.text().and_then(|name| b.member(name));
                Ok(Value::Bool(found.is_some_and(|value| !matches!(value, Value::Null))))
            }
            Value::Json(_) | Value::List(_) => {
                for index in 0..b.size().unwrap_or_default() {
                    self.pay(1)?;
                    if self.equal(a, &b.element(index).unwrap_or(Value::Null))? {
                        return Ok(Value::Bool(true));
                    }
                }
                Ok(Value::Bool(false))
            }
            Value::Null => Ok(Value::Bool(false)),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Severity(_) | Value::Text(_) | Value::Made(_) => {
                Err(Trouble::at(node, format!("in looks into lists and objects, not into {}", b.described())))
            }
        }
    }

    fn equal(&mut self, a: &Value<'e>, b: &Value<'e>) -> Result<bool> {
        if let (Value::Null, Value::Null) = (a, b) {
            return Ok(true);
        }
        match (a.turns(), b.turns()) {
            (None, None) => {
                self.look(a.text().unwrap_or_default())?;
                Ok(order(a, b).is_ok_and(|order| order == Some(Ordering::Equal)))
            }
            (Some(turns), Some(others)) => {
                let are_lists = |value: &Value<'_>| matches!(value, Value::List(_) | Value::Json(Json::Array(_)));
                if turns != others
                    || are_lists(a) != are_lists(b)
                    || matches!((a, b), (Value::Null, _) | (_, Value::Null))
                {
                    return Ok(false);
                }
                self.all_equal(a, b, turns)
            }
            (Some(_), None) | (None, Some(_)) => Ok(false),
        }
    }

    fn all_equal(&mut self, a: &Value<'e>, b: &Value<'e>, turns: usize) -> Result<bool> {
        for index in 0..turns {
            self.pay(1 + index / BYTES_PER_STEP)?;
            let pair = match a.element(index) {
                Some(element) => Some((element, b.element(index).unwrap_or(Value::Null))),
                None => a.turn(index).and_then(|name| {
                    let name = name.text()?;
                    Some((a.member(name)?, b.member(name)?))
                }),
            };
            match pair {
                Some((one, other)) if self.equal(&one, &other)? => {}
                Some(_) | None => return Ok(false),
            }
        }
        Ok(true)
    }

    fn reckon(&mut self, node: &'e Node, infix: Infix, a: &Value<'e>, b: &Value<'e>) -> Result<Value<'e>> {
        if let (Infix::Add, Some(one), Some(other)) = (infix, a.text(), b.text()) {
            self.make(one.len() + other.len())?;
            return Ok(Value::Made(format!("{one}{other}").into()));
        }
        if let (Infix::Add, Some(one @ 1..), Some(other)) | (Infix::Add, Some(one), Some(other @ 1..)) =
            (infix, a.turns(), b.turns())
            && a.element(0).is_some()
            && b.element(0).is_some()
        {
            self.make((one + other) * ELEMENT_BYTES)?;
            let elements =
                (0..one).filter_map(|index| a.element(index)).chain((0..other).filter_map(|index| b.element(index)));
            return Ok(Value::List(elements.collect()));
        }
        let wrong = || {
            Trouble::at(node, format!("{} does not go with {} and {}", infix.as_str(), a.described(), b.described()))
        };
        match (a, b) {
            (Value::Int(a), Value::Int(b)) => {
                let result = match infix {
                    Infix::Add => a.checked_add(*b),
                    Infix::Subtract => a.checked_sub(*b),
                    Infix::Multiply => a.checked_mul(*b),
                    Infix::Divide => a.checked_div(*b),
                    Infix::Remainder => a.checked_rem(*b),
                    Infix::Equal
                    | Infix::NotEqual
                    | Infix::Less
                    | Infix::LessOrEqual
                    | Infix::Greater
                    | Infix::GreaterOrEqual
                    | Infix::In => None,
                };
                result.map(Value::Int).ok_or_else(|| Trouble::at(node, TOO_LARGE))
            }
            (_, _) => {
                let (a, b) = (float(a).ok_or_else(wrong)?, float(b).ok_or_else(wrong)?);
                match infix {
                    Infix::Add => Ok(Value::Float(a + b)),
                    Infix::Subtract => Ok(Value::Float(a - b)),
                    Infix::Multiply => Ok(Value::Float(a * b)),
                    Infix::Divide => Ok(Value::Float(a / b)),
                    Infix::Remainder
                    | Infix::Equal
                    | Infix::NotEqual
                    | Infix::Less
                    | Infix::LessOrEqual
                    | Infix::Greater
                    | Infix::GreaterOrEqual
                    | Infix::In => Err(wrong()),
                }
            }
        }
    }

    fn turns(&mut self, kind: Loop, range: &'e Node, bodies: &'e [Node]) -> Result<Value<'e>> {
        let over = self.value(range)?;
        let wrong = || Trouble::at(range, format!("a list is wanted, not {}", over.described()));
        let turns = over.turns().ok_or_else(wrong)?;
        let mut kept: Vec<Value<'e>> = Vec::new();
        let mut trouble = None;
        let mut count = 0_usize;
        for index in 0..turns {
            self.pay(1 + index / BYTES_PER_STEP)?;
            let element = over.turn(index).unwrap_or(Value::Null);
            self.locals.push(element.clone());
            let result = self.turn(kind, bodies, element);
            self.locals.pop();
            match (kind, result) {
                (Loop::All, Ok(None)) => return Ok(Value::Bool(false)),
                (Loop::Exists, Ok(Some(_))) => return Ok(Value::Bool(true)),
                (Loop::ExistsOne | Loop::All, Ok(Some(_))) => count += 1,
                (Loop::Filter | Loop::Map, Ok(Some(value))) => {
                    self.make(ELEMENT_BYTES)?;
                    kept.push(value);
                }
                (Loop::Exists | Loop::ExistsOne | Loop::Filter | Loop::Map, Ok(None)) => {}
                (Loop::All | Loop::Exists, Err(error)) if !error.is_overrun => trouble = trouble.or(Some(error)),
                (Loop::All | Loop::Exists | Loop::ExistsOne | Loop::Filter | Loop::Map, Err(error)) => {
                    return Err(error);
                }
            }
        }
        match (trouble, kind) {
            (Some(trouble), _) => Err(trouble),
            (None, Loop::All) => Ok(Value::Bool(true)),
            (None, Loop::Exists) => Ok(Value::Bool(false)),
            (None, Loop::ExistsOne) => Ok(Value::Bool(count == 1)),
            (None, Loop::Filter | Loop::Map) => Ok(Value::List(kept.into())),
        }
    }

    /// What one turn gives; `None`: its condition does not hold.
    fn turn(&mut self, kind: Loop, bodies: &'e [Node], element: Value<'e>) -> Result<Option<Value<'e>>> {
        match (kind, bodies) {
            (Loop::Map, [body]) => self.value(body).map(Some),
            (Loop::Map, [condition, body, ..]) => match self.yes(condition)? {
                true => self.value(body).map(Some),
                false => Ok(None),
            },
            (Loop::All | Loop::Exists | Loop::ExistsOne | Loop::Filter, [condition, ..]) => {
                Ok(self.yes(condition)?.then_some(element))
            }
            (Loop::All | Loop::Exists | Loop::ExistsOne | Loop::Filter | Loop::Map, []) => Ok(None),
        }
    }
}

const TOO_LARGE: &str = "the number is too large, or divided by nothing";

pub(super) fn float(value: &Value<'_>) -> Option<f64> {
    match value {
        #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "what a double can say of it")]
        Value::Int(int) => Some(*int as f64),
        Value::Float(float) => Some(*float),
        Value::Null
        | Value::Bool(_)
        | Value::Severity(_)
        | Value::Text(_)
        | Value::Made(_)
        | Value::Json(_)
        | Value::List(_)
        | Value::Map(_) => None,
    }
}
