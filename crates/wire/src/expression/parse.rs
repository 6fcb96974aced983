//! From text to tree. `cel` reads the text without its macros, so that `all` and its kin arrive as they were written.

#![expect(clippy::wildcard_enum_match_arm, reason = "kinds of the parser that mean nothing here are refused alike")]

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, MapExpr, SelectExpr, SourceInfo, operators};
use regex::RegexBuilder;

use super::facts::Name;
use super::node::{Function, Infix, Kind, Loop, Node, Pattern, Style};
use super::{DEPTH_MAX, LOOPS_MAX, Mistake, PATTERN_BYTES_MAX, SOURCE_BYTES_MAX, suggest};
use crate::event::Severity;

/// Most brackets in brackets: the crate's parser goes deep for each.
const BRACKETS_MAX: usize = DEPTH_MAX;
/// Most a pattern's own cache may take while it runs, in bytes.
const PATTERN_CACHE_BYTES: usize = 256 * 1024;
const MATCHES: &str = "matches";
const HAS: &str = "has";

pub(super) fn parse(source: &str) -> Result<Node, Mistake> {
    if source.len() > SOURCE_BYTES_MAX {
        let message = format!("the expression has {} bytes; it may have {SOURCE_BYTES_MAX}", source.len());
        return Err(Mistake::at(source, SOURCE_BYTES_MAX, message));
    }
    if source.trim().is_empty() {
        return Err(Mistake::at(source, 0, "there is nothing here").hint("severity >= high"));
    }
    check_tokens(source)?;
    let parsed = cel::Env::default().with_optional_support(false).parser().parse_with_source_info(source);
    let (root, places) = parsed.map_err(|errors| syntax(source, errors.errors.first()))?;
    let mut lowering = Lowering { source, places: &places, locals: Vec::new() };
    lowering.node(&root, 0)
}

/// What can be refused before anything is parsed: what nests too deeply for a parser that calls itself, and `=` alone.
fn check_tokens(source: &str) -> Result<(), Mistake> {
    let mut open: Vec<usize> = Vec::new();
    let mut run = 0_usize;
    let mut chars = source.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        run = if matches!(c, '!' | '-' | '?' | ' ') { run + usize::from(c != ' ') } else { 0 };
        if run > DEPTH_MAX {
            return Err(too_deep(source, at));
        }
        match c {
            '\'' | '"' => skip_text(source, at, c, &mut chars)?,
            '(' | '[' | '{' => open.push(at),
            ')' | ']' | '}' => drop(open.pop()),
            '=' if !source.get(..at).is_some_and(|before| before.ends_with(['=', '!', '<', '>']))
                && !matches!(chars.peek(), Some((_, '='))) =>
            {
                return Err(Mistake::at(source, at, "= compares nothing").hint("write =="));
            }
            '&' | '|' if chars.next_if(|(_, next)| *next == c).is_none() => {
                return Err(Mistake::at(source, at, format!("{c} alone means nothing")).hint(format!("write {c}{c}")));
            }
            _ => {}
        }
        if open.len() > BRACKETS_MAX {
            return Err(too_deep(source, at));
        }
    }
    match open.pop() {
        Some(at) => Err(Mistake::at(source, at, "this bracket is never closed")),
        None => Ok(()),
    }
}

/// Past a text in quotes.
fn skip_text(
    source: &str,
    at: usize,
    quote: char,
    chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>,
) -> Result<(), Mistake> {
    let is_raw = source.get(..at).is_some_and(|before| before.ends_with(['r', 'R']));
    let triple: String = std::iter::repeat_n(quote, 3).collect();
    let is_triple = source.get(at..).is_some_and(|rest| rest.starts_with(&triple));
    if is_triple {
        chars.next();
        chars.next();
    }
    while let Some((here, c)) = chars.next() {
        if c == '\\' && !is_raw {
            chars.next();
        } else if c == quote {
            match (is_triple, source.get(here..).is_some_and(|rest| rest.starts_with(&triple))) {
                (false, _) => return Ok(()),
                (true, true) => {
                    chars.next();
                    chars.next();
                    return Ok(());
                }
                (true, false) => {}
            }
        }
    }
    Err(Mistake::at(source, at, "this text is never closed").hint(format!("add {quote}")))
}

fn too_deep(source: &str, at: usize) -> Mistake {
    Mistake::at(source, at, format!("more than {DEPTH_MAX} parts stand in one another here"))
}

/// The parser's first word about it, and where.
fn syntax(source: &str, error: Option<&cel::ParseError>) -> Mistake {
    let Some(error) = error else {
        return Mistake::at(source, 0, "this is no expression");
    };
    let (line, column) = (usize::try_from(error.pos.0).unwrap_or(1), usize::try_from(error.pos.1).unwrap_or(1));
    let before: usize = source.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let at = source.len().min(before + column.saturating_sub(1));
    let rest = source.get(at..).unwrap_or_default();
    let word: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').take(40).collect();
    let mistake = match (rest.trim_start().chars().next(), word.is_empty()) {
        (None, _) => Mistake::at(source, at, "something is missing at the end"),
        (Some(c), true) => Mistake::at(source, at, format!("{c} is not expected here")),
        (Some(_), false) => Mistake::at(source, at, format!("{word} is not expected here")),
    };
    match word.as_str() {
        "and" | "AND" => mistake.hint("write &&"),
        "or" | "OR" => mistake.hint("write ||"),
        "not" | "NOT" => mistake.hint("write !"),
        _ => mistake,
    }
}

struct Lowering<'s> {
    source: &'s str,
    places: &'s SourceInfo,
    /// The variables of the loops around.
    locals: Vec<String>,
}

impl Lowering<'_> {
    fn at(&self, expr: &IdedExpr) -> usize {
        let start = self.places.offset_for(expr.id).map_or(0, |(start, _)| start);
        usize::try_from(start).unwrap_or(0).min(self.source.len())
    }

    fn mistake(&self, expr: &IdedExpr, message: impl Into<String>) -> Mistake {
        Mistake::at(self.source, self.at(expr), message)
    }

    fn node(&mut self, expr: &IdedExpr, depth: usize) -> Result<Node, Mistake> {
        if depth > DEPTH_MAX {
            return Err(too_deep(self.source, self.at(expr)));
        }
        let depth = depth + 1;
        let kind = match &expr.expr {
            Expr::Literal(literal) => self.literal(expr, literal)?,
            Expr::Ident(name) => self.ident(expr, name)?,
            Expr::Select(select) => self.select(select, depth)?,
            Expr::List(list) => Kind::List(self.nodes(&list.elements, depth)?),
            Expr::Map(map) => self.map(map, depth)?,
            Expr::Call(call) => self.call(expr, call, depth)?,
            Expr::Struct(_) | Expr::Comprehension(_) | Expr::Unspecified => {
                return Err(self.mistake(expr, "this cannot be written here"));
            }
        };
        Ok(Node { at: self.at(expr), kind })
    }

    fn boxed(&mut self, expr: &IdedExpr, depth: usize) -> Result<Box<Node>, Mistake> {
        self.node(expr, depth).map(Box::new)
    }

    fn nodes(&mut self, exprs: &[IdedExpr], depth: usize) -> Result<Vec<Node>, Mistake> {
        exprs.iter().map(|expr| self.node(expr, depth)).collect()
    }

    fn literal(&self, expr: &IdedExpr, literal: &LiteralValue) -> Result<Kind, Mistake> {
        Ok(match literal {
            LiteralValue::Null => Kind::Null,
            LiteralValue::Boolean(value) => Kind::Bool(*value.inner()),
            LiteralValue::Int(value) => Kind::Int(*value.inner()),
            LiteralValue::UInt(value) => {
                Kind::Int(i64::try_from(*value.inner()).map_err(|_| self.mistake(expr, "this number is too large"))?)
            }
            LiteralValue::Double(value) => Kind::Float(*value.inner()),
            LiteralValue::String(text) => Kind::Text(text.inner().into()),
            LiteralValue::Bytes(_) => return Err(self.mistake(expr, "bytes have no use here").hint("leave the b out")),
        })
    }

    fn ident(&self, expr: &IdedExpr, name: &str) -> Result<Kind, Mistake> {
        if let Some(index) = self.locals.iter().rposition(|local| local == name) {
            return Ok(Kind::Local(index, name.into()));
        }
        if let Some(severity) = Severity::parse(name) {
            return Ok(Kind::Severity(severity));
        }
        if let Some(name) = Name::parse(name) {
            return Ok(Kind::Fact(name));
        }
        let mistake = self.mistake(expr, format!("{name} is not known"));
        let names = Name::ALL.iter().map(|name| name.as_str()).chain(Severity::ALL.iter().map(|s| s.as_str()));
        let locals = self.locals.iter().map(String::as_str);
        Err(match suggest::closest(name, names.chain(locals)) {
            Some(meant) => mistake.hint(format!("did you mean {meant}?")),
            None => mistake.hint("members of the event are data.…; texts stand in quotes"),
        })
    }

    fn select(&mut self, select: &SelectExpr, depth: usize) -> Result<Kind, Mistake> {
        let of = self.boxed(&select.operand, depth)?;
        self.check_member(&of, &select.operand, &select.field)?;
        Ok(Kind::Member(of, select.field.as_str().into()))
    }

    /// Names within facts whose members we know.
    fn check_member(&self, of: &Node, expr: &IdedExpr, field: &str) -> Result<(), Mistake> {
        let members: &[&str] = match &of.kind {
            Kind::Fact(Name::Project) => &["id", "name", "labels", "owner"],
            Kind::Fact(Name::Component) => &["name", "version", "purl"],
            Kind::Fact(Name::Org) => &["id", "name", "slug"],
            _ => return Ok(()),
        };
        if members.contains(&field) {
            return Ok(());
        }
        let mistake = self.mistake(expr, format!("{of} has no member {field}"));
        Err(match suggest::closest(field, members.iter().copied()) {
            Some(meant) => mistake.hint(format!("did you mean {meant}?")),
            None => mistake.hint(format!("it has {}", members.join(", "))),
        })
    }

    fn map(&mut self, map: &MapExpr, depth: usize) -> Result<Kind, Mistake> {
        let mut entries = Vec::new();
        for entry in &map.entries {
            if let EntryExpr::MapEntry(entry) = &entry.expr {
                entries.push((self.node(&entry.key, depth)?, self.node(&entry.value, depth)?));
            }
        }
        Ok(Kind::Map(entries))
    }

    fn call(&mut self, expr: &IdedExpr, call: &CallExpr, depth: usize) -> Result<Kind, Mistake> {
        match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
            (operators::LOGICAL_AND, None, parts) => Ok(Kind::And(self.flat(operators::LOGICAL_AND, parts, depth)?)),
            (operators::LOGICAL_OR, None, parts) => Ok(Kind::Or(self.flat(operators::LOGICAL_OR, parts, depth)?)),
            (operators::LOGICAL_NOT, None, [of]) => Ok(Kind::Not(self.boxed(of, depth)?)),
            (operators::NEGATE, None, [of]) => Ok(Kind::Negate(self.boxed(of, depth)?)),
            (operators::CONDITIONAL, None, [condition, yes, no]) => {
                Ok(Kind::If(self.boxed(condition, depth)?, self.boxed(yes, depth)?, self.boxed(no, depth)?))
            }
            (operators::INDEX, None, [of, index]) => Ok(Kind::Index(self.boxed(of, depth)?, self.boxed(index, depth)?)),
            (operator, None, [a, b]) if infix(operator).is_some() => self.infix(infix(operator), a, b, depth),
            (HAS, None, [of]) => match &of.expr {
                Expr::Select(select) => {
                    Ok(Kind::Has(self.boxed(&select.operand, depth)?, select.field.as_str().into()))
                }
                _ => Err(self.mistake(expr, "has asks for a member").hint("has(data.reason)")),
            },
            (MATCHES, Some(of), [pattern]) | (MATCHES, None, [of, pattern]) => self.matches(of, pattern, depth),
            (name, Some(range), [variable, bodies @ ..]) if Loop::parse(name).is_some() => {
                self.turns(expr, Loop::parse(name), range, variable, bodies, depth)
            }
            (name, target, arguments) => self.function(expr, name, target, arguments, depth),
        }
    }

    /// A chain of the same operator, however the parser nested it.
    fn flat(&mut self, operator: &str, parts: &[IdedExpr], depth: usize) -> Result<Vec<Node>, Mistake> {
        let mut nodes = Vec::new();
        let mut waiting: Vec<&IdedExpr> = parts.iter().rev().collect();
        while let Some(part) = waiting.pop() {
            match &part.expr {
                Expr::Call(call) if call.func_name == operator => waiting.extend(call.args.iter().rev()),
                _ => nodes.push(self.node(part, depth)?),
            }
        }
        Ok(nodes)
    }

    fn infix(&mut self, infix: Option<Infix>, a: &IdedExpr, b: &IdedExpr, depth: usize) -> Result<Kind, Mistake> {
        let (left, right) = (self.boxed(a, depth)?, self.boxed(b, depth)?);
        for (side, other, expr) in [(&left, &right, b), (&right, &left, a)] {
            if let (Kind::Fact(Name::Severity), Kind::Text(text)) = (&side.kind, &other.kind)
                && Severity::parse(text).is_none()
            {
                let mistake = self.mistake(expr, format!("{text} is no severity"));
                let all = Severity::ALL.map(Severity::as_str);
                return Err(match suggest::closest(text, all) {
                    Some(meant) => mistake.hint(format!("did you mean {meant}?")),
                    None => mistake.hint(format!("there are {}", all.join(", "))),
                });
            }
        }
        Ok(infix.map_or(Kind::Null, |infix| Kind::Infix(infix, left, right)))
    }

    fn matches(&mut self, of: &IdedExpr, pattern: &IdedExpr, depth: usize) -> Result<Kind, Mistake> {
        let Expr::Literal(LiteralValue::String(text)) = &pattern.expr else {
            return Err(
                self.mistake(pattern, "the pattern of matches is a text in quotes, so that it is compiled once")
            );
        };
        let text = text.inner();
        let mut bytes = 2 * 1024;
        loop {
            let built = RegexBuilder::new(text).size_limit(bytes).dfa_size_limit(PATTERN_CACHE_BYTES).build();
            match built {
                Ok(regex) => return Ok(Kind::Matches(self.boxed(of, depth)?, Box::new(Pattern { regex, bytes }))),
                Err(regex::Error::CompiledTooBig(_)) if bytes < PATTERN_BYTES_MAX => bytes *= 2,
                Err(regex::Error::CompiledTooBig(_)) => {
                    let mistake = self.mistake(pattern, "the pattern is too large when it is compiled");
                    return Err(mistake.hint("repeat less, or write [0-9A-Za-z_] for \\w and [0-9] for \\d"));
                }
                Err(error) => {
                    let said = error.to_string();
                    let said = said.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                    return Err(self.mistake(pattern, format!("the pattern is not understood: {said}")));
                }
            }
        }
    }

    fn turns(
        &mut self,
        expr: &IdedExpr,
        kind: Option<Loop>,
        range: &IdedExpr,
        variable: &IdedExpr,
        bodies: &[IdedExpr],
        depth: usize,
    ) -> Result<Kind, Mistake> {
        let (Some(kind), Expr::Ident(name)) = (kind, &variable.expr) else {
            return Err(self.mistake(variable, "a name for the element is wanted").hint("aliases.exists(a, a == 'x')"));
        };
        let most = if kind == Loop::Map { 2 } else { 1 };
        if bodies.is_empty() || bodies.len() > most {
            let message = format!("{} takes a name and a condition", kind.as_str());
            return Err(self.mistake(expr, message).hint("aliases.exists(a, a == 'x')"));
        }
        let range = self.boxed(range, depth)?;
        if self.locals.len() >= LOOPS_MAX {
            return Err(self.mistake(expr, format!("more than {LOOPS_MAX} loops stand in one another here")));
        }
        self.locals.push(name.clone());
        let bodies = self.nodes(bodies, depth);
        self.locals.pop();
        Ok(Kind::Loop(kind, range, name.as_str().into(), bodies?))
    }

    fn function(
        &mut self,
        expr: &IdedExpr,
        name: &str,
        target: Option<&IdedExpr>,
        arguments: &[IdedExpr],
        depth: usize,
    ) -> Result<Kind, Mistake> {
        let Some(function) = Function::parse(name) else {
            let functions = Function::ALL.iter().map(|function| function.as_str());
            let all = functions.chain(Loop::ALL.iter().map(|kind| kind.as_str())).chain([HAS, MATCHES]);
            let mistake = self.mistake(expr, format!("there is no function {name}"));
            return Err(match suggest::closest(name, all) {
                Some(meant) => mistake.hint(format!("did you mean {meant}?")),
                None => mistake,
            });
        };
        let shape = function.shape();
        let is_styled = match shape.style {
            Style::Method => target.is_some(),
            Style::Global => target.is_none(),
            Style::Either => true,
        };
        let all: Vec<&IdedExpr> = target.into_iter().chain(arguments).collect();
        if !is_styled || all.len() < shape.least || all.len() > shape.most {
            let example = match shape.style {
                Style::Method => format!("title.{name}({})", if shape.least > 1 { "…" } else { "" }),
                Style::Global | Style::Either => format!("{name}(title)"),
            };
            return Err(self.mistake(expr, format!("{name} is not called like this")).hint(format!("write {example}")));
        }
        let nodes: Result<Vec<Node>, Mistake> = all.into_iter().map(|argument| self.node(argument, depth)).collect();
        Ok(Kind::Call(function, nodes?))
    }
}

fn infix(operator: &str) -> Option<Infix> {
    Some(match operator {
        operators::EQUALS => Infix::Equal,
        operators::NOT_EQUALS => Infix::NotEqual,
        operators::LESS => Infix::Less,
        operators::LESS_EQUALS => Infix::LessOrEqual,
        operators::GREATER => Infix::Greater,
        operators::GREATER_EQUALS => Infix::GreaterOrEqual,
        operators::IN => Infix::In,
        operators::ADD => Infix::Add,
        operators::SUBSTRACT => Infix::Subtract,
        operators::MULTIPLY => Infix::Multiply,
        operators::DIVIDE => Infix::Divide,
        operators::MODULO => Infix::Remainder,
        _ => return None,
    })
}
