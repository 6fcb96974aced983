//! The outside of a document: what its format is told by, before anything of it is read.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::error::ReportError;
use super::lenient::{self, Raw};
use super::xml;

/// Members that are looked at. Real reports have about ten.
const MEMBERS_MAX: usize = 64;
/// Members that are named to someone whose report is not known.
const NAMED_MAX: usize = 8;

/// What a document looks like from outside.
pub(super) enum Outline<'a> {
    /// A JSON object.
    Object(Members<'a>),
    /// A JSON array, by its first entry; `None` when there is none.
    Array(Option<Members<'a>>),
    /// XML, by its first element.
    Xml(xml::Root),
    /// Lines of `Name: value`, the first of them.
    Tags(&'a str),
}

impl<'a> Outline<'a> {
    /// Looks at a document. Also finds every syntax error in JSON.
    pub(super) fn of(text: &'a str) -> Result<Self, ReportError> {
        let start = text.trim_start();
        let wrong = |error: serde_json::Error| lenient::not_json(&error);
        if start.starts_with('<') {
            return xml::root(text).map(Self::Xml);
        }
        if start.starts_with('[') {
            return serde_json::from_str::<First<'a>>(text).map(|first| Self::Array(first.0)).map_err(wrong);
        }
        let tag = start.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#'));
        match tag.filter(|line| line.starts_with("SPDXVersion:")) {
            Some(line) => Ok(Self::Tags(line)),
            None => serde_json::from_str(text).map(Self::Object).map_err(wrong),
        }
    }

    /// The members of an object.
    pub(super) const fn object(&self) -> Option<&Members<'a>> {
        match self {
            Self::Object(members) => Some(members),
            Self::Array(_) | Self::Xml(_) | Self::Tags(_) => None,
        }
    }

    /// The members of an array's first entry.
    pub(super) const fn first(&self) -> Option<&Members<'a>> {
        match self {
            Self::Array(members) => members.as_ref(),
            Self::Object(_) | Self::Xml(_) | Self::Tags(_) => None,
        }
    }

    /// What it is, for someone who wonders why it is not known.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Object(members) => format!("it is an object with {}", members.told()),
            Self::Array(None) => "it is a JSON array without entries, which any tool might have written".to_owned(),
            Self::Array(Some(members)) => format!("it is an array of objects with {}", members.told()),
            Self::Xml(root) => format!("it is XML or HTML that begins with <{}>", root.name),
            Self::Tags(line) => format!("it begins with {line:?}"),
        }
    }
}

/// The members of an object, not looked into.
#[derive(Default)]
pub(super) struct Members<'a>(Vec<(String, Raw<'a>)>);

impl<'a> Members<'a> {
    /// The value of a member.
    pub(super) fn get(&self, name: &str) -> Option<Raw<'a>> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// Whether all these members are there.
    pub(super) fn has(&self, names: &[&str]) -> bool {
        names.iter().all(|name| self.get(name).is_some())
    }

    /// The value of a member, if it is of that type.
    pub(super) fn parse<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        self.get(name).and_then(lenient::parse)
    }

    /// Whether a member is an array.
    pub(super) fn is_array(&self, name: &str) -> bool {
        self.get(name).is_some_and(|raw| raw.get().starts_with('['))
    }

    /// Whether a member is an object.
    pub(super) fn is_object(&self, name: &str) -> bool {
        self.get(name).is_some_and(|raw| raw.get().starts_with('{'))
    }

    /// The members of the first entry of a member that is an array.
    pub(super) fn first_of(&self, name: &str) -> Option<Self> {
        self.parse::<First<'a>>(name)?.0
    }

    fn told(&self) -> String {
        let names: Vec<String> = self.0.iter().take(NAMED_MAX).map(|(name, _)| format!("`{name}`")).collect();
        if names.is_empty() { "no members".to_owned() } else { names.join(", ") }
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members_;
        impl<'de> Visitor<'de> for Members_ {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while members.len() < MEMBERS_MAX {
                    match map.next_entry()? {
                        Some(member) => members.push(member),
                        None => return Ok(Members(members)),
                    }
                }
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Members_)
    }
}

/// An array of which only the first entry is kept.
struct First<'a>(Option<Members<'a>>);

impl<'de> Deserialize<'de> for First<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct First_;
        impl<'de> Visitor<'de> for First_ {
            type Value = First<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let first: Option<Raw<'de>> = entries.next_element()?;
                while entries.next_element::<IgnoredAny>()?.is_some() {}
                Ok(First(first.map(|raw| lenient::parse(raw).unwrap_or_default())))
            }
        }
        deserializer.deserialize_seq(First_)
    }
}
