//! Values that may be absent or of the wrong type, which is the same; and lists and objects taken one entry at a time.
//!
//! With these a schema is a plain struct with `#[serde(default)]`: every member is optional, none can refuse the others.

use std::fmt;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::error::ReportError;
use super::lenient::{self, Raw};
use super::limit;

/// Entries of a list that are kept; lists whose every entry counts are taken with [`each`].
const MANY_MAX: usize = 4 * limit::LIST_MAX;

/// A value, or nothing when it is of another type.
#[derive(Debug, Clone)]
pub(super) struct Lax<T>(Option<T>);

impl<T> Default for Lax<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Deref for Lax<T> {
    type Target = Option<T>;

    fn deref(&self) -> &Option<T> {
        &self.0
    }
}

impl Lax<String> {
    /// The text without white space around it, if there is any.
    pub(super) fn text(&self) -> Option<&str> {
        self.0.as_deref().map(str::trim).filter(|text| !text.is_empty())
    }
}

impl Lax<Number> {
    /// The number.
    pub(super) fn number(&self) -> Option<f64> {
        self.0.as_ref().map(|number| number.0)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lax<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|raw| Self(lenient::parse(raw)))
    }
}

/// A number, which many tools write as text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = lenient::number(deserializer)?;
        number.map(Self).ok_or_else(|| D::Error::custom("no number"))
    }
}

/// The first entries of a list that are of the right type. A value that is no list is a list of itself.
#[derive(Debug, Clone)]
pub(super) struct Many<T>(Vec<T>);

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Deref for Many<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        let mut kept = Vec::new();
        let is_list = each(raw, |entry| {
            if kept.len() < MANY_MAX {
                kept.extend(lenient::parse(entry));
            }
            Ok(())
        });
        if !matches!(is_list, Ok(true)) {
            kept.extend(lenient::parse(raw));
        }
        Ok(Self(kept))
    }
}

/// Gives each entry of an array to `take`, and stops at its first error. Whether it is an array.
pub(super) fn each<'a>(
    raw: Raw<'a>,
    take: impl FnMut(Raw<'a>) -> Result<(), ReportError>,
) -> Result<bool, ReportError> {
    if !raw.get().starts_with('[') {
        return Ok(false);
    }
    walk(raw, take, |_, _| Ok(()))
}

/// Gives each member of an object to `take`, and stops at its first error. Whether it is an object.
pub(super) fn each_member<'a>(
    raw: Raw<'a>,
    take: impl FnMut(&str, Raw<'a>) -> Result<(), ReportError>,
) -> Result<bool, ReportError> {
    if !raw.get().starts_with('{') {
        return Ok(false);
    }
    walk(raw, |_| Ok(()), take)
}

fn walk<'a>(
    raw: Raw<'a>,
    entry: impl FnMut(Raw<'a>) -> Result<(), ReportError>,
    member: impl FnMut(&str, Raw<'a>) -> Result<(), ReportError>,
) -> Result<bool, ReportError> {
    let mut stopped = None;
    let walker = Walker { entry, member, stopped: &mut stopped };
    let mut json = serde_json::Deserializer::from_str(raw.get());
    match (json.deserialize_any(walker), stopped) {
        (_, Some(error)) => Err(error),
        (Ok(()), None) => Ok(true),
        (Err(error), None) => Err(lenient::not_json(&error)),
    }
}

struct Walker<'s, E, M> {
    entry: E,
    member: M,
    stopped: &'s mut Option<ReportError>,
}

impl<'de, E, M> Visitor<'de> for Walker<'_, E, M>
where
    E: FnMut(Raw<'de>) -> Result<(), ReportError>,
    M: FnMut(&str, Raw<'de>) -> Result<(), ReportError>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        while let Some(raw) = entries.next_element()? {
            if let Err(error) = (self.entry)(raw) {
                *self.stopped = Some(error);
                while entries.next_element::<IgnoredAny>()?.is_some() {}
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        while let Some((name, raw)) = members.next_entry::<String, Raw<'de>>()? {
            if let Err(error) = (self.member)(&name, raw) {
                *self.stopped = Some(error);
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                break;
            }
        }
        Ok(())
    }
}
