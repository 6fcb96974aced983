//! An expression as a tree, and as text again.

use std::fmt;

use regex::Regex;

use super::facts::Name;
use crate::event::Severity;

/// A part of an expression.
#[derive(Debug)]
pub(super) struct Node {
    /// Where it stands in the source, in bytes: at its operator, where it has one.
    pub(super) at: usize,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Box<str>),
    Severity(Severity),
    Fact(Name),
    /// A loop's variable, counted from the outermost loop.
    Local(usize, Box<str>),
    Member(Box<Node>, Box<str>),
    /// Whether a member is there and not `null`.
    Has(Box<Node>, Box<str>),
    Index(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Negate(Box<Node>),
    /// `&&`, flat.
    And(Vec<Node>),
    /// `||`, flat.
    Or(Vec<Node>),
    Infix(Infix, Box<Node>, Box<Node>),
    If(Box<Node>, Box<Node>, Box<Node>),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Matches(Box<Node>, Box<Pattern>),
    /// The first argument is what it is called on.
    Call(Function, Vec<Node>),
    Loop(Loop, Box<Node>, Box<str>, Vec<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Infix {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Infix {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

/// A pattern, compiled, with what looking at a byte may cost.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) regex: Regex,
    /// The compiled form takes at most so many bytes.
    pub(super) bytes: usize,
}

macro_rules! functions {
    ($name:ident { $( $variant:ident = $text:literal, )+ }) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum $name {
            $( $variant, )+
        }

        impl $name {
            pub(super) const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub(super) const fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $text, )+
                }
            }

            pub(super) fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|function| function.as_str() == text)
            }
        }
    };
}

functions! { Function {
    Contains = "contains",
    StartsWith = "startsWith",
    EndsWith = "endsWith",
    LowerAscii = "lowerAscii",
    UpperAscii = "upperAscii",
    Trim = "trim",
    Replace = "replace",
    Substring = "substring",
    Join = "join",
    Size = "size",
    ToText = "string",
    ToInt = "int",
    ToDouble = "double",
} }

functions! { Loop {
    All = "all",
    Exists = "exists",
    ExistsOne = "exists_one",
    Filter = "filter",
    Map = "map",
} }

impl Function {
    /// How many arguments it takes, with what it is called on; whether that may be written before it, or within.
    pub(super) const fn shape(self) -> Shape {
        match self {
            Self::Contains | Self::StartsWith | Self::EndsWith => Shape { least: 2, most: 2, style: Style::Method },
            Self::LowerAscii | Self::UpperAscii | Self::Trim => Shape { least: 1, most: 1, style: Style::Method },
            Self::Replace => Shape { least: 3, most: 3, style: Style::Method },
            Self::Substring => Shape { least: 2, most: 3, style: Style::Method },
            Self::Join => Shape { least: 1, most: 2, style: Style::Method },
            Self::Size => Shape { least: 1, most: 1, style: Style::Either },
            Self::ToText | Self::ToInt | Self::ToDouble => Shape { least: 1, most: 1, style: Style::Global },
        }
    }
}

/// How a function is called.
pub(super) struct Shape {
    pub(super) least: usize,
    pub(super) most: usize,
    pub(super) style: Style,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `a.f(b)`
    Method,
    /// `f(a)`
    Global,
    /// Both.
    Either,
}

impl Node {
    /// Calls `look` with every part.
    pub(super) fn each(&self, look: &mut impl FnMut(&Node)) {
        look(self);
        match &self.kind {
            Kind::Null
            | Kind::Bool(_)
            | Kind::Int(_)
            | Kind::Float(_)
            | Kind::Text(_)
            | Kind::Severity(_)
            | Kind::Fact(_)
            | Kind::Local(..) => {}
            Kind::Member(of, _) | Kind::Has(of, _) | Kind::Not(of) | Kind::Negate(of) | Kind::Matches(of, _) => {
                of.each(look);
            }
            Kind::Index(a, b) | Kind::Infix(_, a, b) => {
                a.each(look);
                b.each(look);
            }
            Kind::If(a, b, c) => [a, b, c].into_iter().for_each(|node| node.each(look)),
            Kind::And(nodes) | Kind::Or(nodes) | Kind::List(nodes) | Kind::Call(_, nodes) => {
                nodes.iter().for_each(|node| node.each(look));
            }
            Kind::Map(entries) => {
                for (key, value) in entries {
                    key.each(look);
                    value.each(look);
                }
            }
            Kind::Loop(_, range, _, bodies) => {
                range.each(look);
                bodies.iter().for_each(|node| node.each(look));
            }
        }
    }

    /// How tightly it binds: an operand that binds less gets parentheses.
    const fn binding(&self) -> u8 {
        match &self.kind {
            Kind::If(..) => 0,
            Kind::Or(_) => 1,
            Kind::And(_) => 2,
            Kind::Infix(infix, ..) => match infix {
                Infix::Equal
                | Infix::NotEqual
                | Infix::Less
                | Infix::LessOrEqual
                | Infix::Greater
                | Infix::GreaterOrEqual
                | Infix::In => 3,
                Infix::Add | Infix::Subtract => 4,
                Infix::Multiply | Infix::Divide | Infix::Remainder => 5,
            },
            Kind::Not(_) | Kind::Negate(_) => 6,
            Kind::Null
            | Kind::Bool(_)
            | Kind::Int(_)
            | Kind::Float(_)
            | Kind::Text(_)
            | Kind::Severity(_)
            | Kind::Fact(_)
            | Kind::Local(..)
            | Kind::Member(..)
            | Kind::Has(..)
            | Kind::Index(..)
            | Kind::List(_)
            | Kind::Map(_)
            | Kind::Matches(..)
            | Kind::Call(..)
            | Kind::Loop(..) => 7,
        }
    }

    fn within(&self, least: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.binding() < least { write!(f, "({self})") } else { write!(f, "{self}") }
    }
}

/// The text, with the spaces where we put them.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Null => f.write_str("null"),
            Kind::Bool(value) => write!(f, "{value}"),
            Kind::Int(value) => write!(f, "{value}"),
            Kind::Float(value) => write!(f, "{value:?}"),
            Kind::Text(text) => quoted(text, f),
            Kind::Severity(severity) => f.write_str(severity.as_str()),
            Kind::Fact(name) => f.write_str(name.as_str()),
            Kind::Local(_, name) => f.write_str(name),
            Kind::Member(of, name) => {
                of.within(7, f)?;
                write!(f, ".{name}")
            }
            Kind::Has(of, name) => write!(f, "has({of}.{name})"),
            Kind::Index(of, index) => {
                of.within(7, f)?;
                write!(f, "[{index}]")
            }
            Kind::Not(of) => {
                f.write_str("!")?;
                of.within(6, f)
            }
            Kind::Negate(of) => {
                f.write_str("-")?;
                of.within(7, f)
            }
            Kind::And(nodes) => joined(nodes, " && ", 3, f),
            Kind::Or(nodes) => joined(nodes, " || ", 2, f),
            Kind::Infix(infix, a, b) => {
                a.within(self.binding(), f)?;
                write!(f, " {} ", infix.as_str())?;
                b.within(self.binding() + 1, f)
            }
            Kind::If(condition, yes, no) => {
                condition.within(1, f)?;
                f.write_str(" ? ")?;
                yes.within(1, f)?;
                write!(f, " : {no}")
            }
            Kind::List(nodes) => {
                f.write_str("[")?;
                joined(nodes, ", ", 0, f)?;
                f.write_str("]")
            }
            Kind::Map(entries) => {
                f.write_str("{")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}{key}: {value}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("}")
            }
            Kind::Matches(of, pattern) => {
                of.within(7, f)?;
                f.write_str(".matches(")?;
                quoted(pattern.regex.as_str(), f)?;
                f.write_str(")")
            }
            Kind::Call(function, arguments) => call(*function, arguments, f),
            Kind::Loop(kind, range, variable, bodies) => {
                range.within(7, f)?;
                write!(f, ".{}({variable}, ", kind.as_str())?;
                joined(bodies, ", ", 0, f)?;
                f.write_str(")")
            }
        }
    }
}

fn call(function: Function, arguments: &[Node], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match (function.shape().style, arguments.split_first()) {
        (Style::Method, Some((of, others))) => {
            of.within(7, f)?;
            write!(f, ".{}(", function.as_str())?;
            joined(others, ", ", 0, f)?;
        }
        (Style::Method | Style::Global | Style::Either, _) => {
            write!(f, "{}(", function.as_str())?;
            joined(arguments, ", ", 0, f)?;
        }
    }
    f.write_str(")")
}

fn joined(nodes: &[Node], between: &str, least: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, node) in nodes.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        node.within(least, f)?;
    }
    Ok(())
}

fn quoted(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("'")?;
    for c in text.chars() {
        match c {
            '\'' => f.write_str("\\'")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            c if c.is_control() => write!(f, "\\U{:08x}", u32::from(c))?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("'")
}
