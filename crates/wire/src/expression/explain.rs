//! Why an expression answers what it answers: its parts, and the values its names had.

#![expect(clippy::wildcard_enum_match_arm, reason = "kinds that have no parts are told alike")]

use serde_json::Value as Json;

use super::Expression;
use super::evaluate::{Budget, Run};
use super::facts::Facts;
use super::node::{Kind, Node};

/// Longest value that is shown, in characters of its JSON.
const SHOWN_MAX: usize = 200;

/// What an expression answers about one event, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// Yes, no, or what went wrong.
    pub answer: Result<bool, String>,
    /// The names it asks for, as written, with their values.
    pub names: Vec<(String, Json)>,
    /// What stands between `&&` and `||`.
    pub parts: Vec<Part>,
}

/// One condition of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The condition as text.
    pub text: String,
    /// Yes, no, or what went wrong.
    pub answer: Result<bool, String>,
    /// Whether the whole answers as it does because of this one.
    pub decides: bool,
}

pub(super) fn explain(expression: &Expression, facts: &Facts<'_>) -> Explanation {
    let answer = expression.answer(facts, &mut Budget::per_event()).map_err(|trouble| trouble.to_string());
    let mut parts = Vec::new();
    take_apart(&expression.root, facts, answer.clone().ok(), &mut parts);
    let mut names: Vec<(String, Json)> = Vec::new();
    asked(&expression.root, &mut |node| {
        let text = node.to_string();
        if names.iter().all(|(name, _)| *name != text) {
            let mut budget = Budget::per_event();
            let mut run = Run::new(facts, &mut budget);
            let value = run.value(node).and_then(|value| run.json(node, &value));
            names.push((text, value.map_or(Json::Null, shown)));
        }
    });
    Explanation { answer, names, parts }
}

/// `wanted`: the answer that is to be explained; a part decides if it gives it where one is enough, or all do.
fn take_apart(node: &Node, facts: &Facts<'_>, wanted: Option<bool>, parts: &mut Vec<Part>) {
    match &node.kind {
        Kind::And(nodes) | Kind::Or(nodes) => nodes.iter().for_each(|node| {
            let decides = wanted.filter(|wanted| answer(node, facts).as_ref() == Ok(wanted));
            take_apart(node, facts, decides, parts);
        }),
        _ => {
            let answer = answer(node, facts);
            // Where there is no answer at all, what went wrong is why.
            let decides = match (&answer, wanted) {
                (Ok(answer), Some(wanted)) => *answer == wanted,
                (Err(_), None) => true,
                (Ok(_), None) | (Err(_), Some(_)) => false,
            };
            parts.push(Part { text: node.to_string(), answer, decides });
        }
    }
}

fn answer(node: &Node, facts: &Facts<'_>) -> Result<bool, String> {
    let mut budget = Budget::per_event();
    Run::new(facts, &mut budget).yes(node).map_err(|trouble| trouble.to_string())
}

/// The longest paths that begin with a fact: `project.name`, not `project`.
fn asked<'n>(node: &'n Node, tell: &mut impl FnMut(&'n Node)) {
    match &node.kind {
        Kind::Fact(_) => tell(node),
        Kind::Member(of, _) if is_path(of) => tell(node),
        Kind::Null
        | Kind::Bool(_)
        | Kind::Int(_)
        | Kind::Float(_)
        | Kind::Text(_)
        | Kind::Severity(_)
        | Kind::Local(..) => {}
        Kind::Member(of, _) | Kind::Has(of, _) | Kind::Not(of) | Kind::Negate(of) | Kind::Matches(of, _) => {
            asked(of, tell)
        }
        Kind::Index(a, b) | Kind::Infix(_, a, b) => [a, b].into_iter().for_each(|node| asked(node, tell)),
        Kind::If(a, b, c) => [a, b, c].into_iter().for_each(|node| asked(node, tell)),
        Kind::And(nodes) | Kind::Or(nodes) | Kind::List(nodes) | Kind::Call(_, nodes) => {
            nodes.iter().for_each(|node| asked(node, tell));
        }
        Kind::Map(entries) => entries.iter().for_each(|(key, value)| {
            asked(key, tell);
            asked(value, tell);
        }),
        // What stands within a loop has another value in each turn.
        Kind::Loop(_, range, _, _) => asked(range, tell),
    }
}

fn is_path(node: &Node) -> bool {
    match &node.kind {
        Kind::Fact(_) => true,
        Kind::Member(of, _) => is_path(of),
        _ => false,
    }
}

fn shown(value: Json) -> Json {
    let text = value.to_string();
    if text.chars().count() <= SHOWN_MAX {
        return value;
    }
    let mut short: String = text.chars().take(SHOWN_MAX).collect();
    short.push('…');
    short.into()
}
