//! Scalars of our own: instants, and JSON whose members keep their order.

use async_graphql::{InputValueError, InputValueResult, MaybeUndefined, Scalar, ScalarType, Value as ConstValue};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Whether a member of a change was left out, and stays as it is: null is given.
pub(super) fn is_left_out<T>(member: &MaybeUndefined<T>) -> bool {
    member.is_undefined()
}

/// An instant in UTC: RFC 3339 with "Z".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct DateTime(pub(super) Timestamp);

#[Scalar(name = "DateTime", specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339")]
impl ScalarType for DateTime {
    fn parse(value: ConstValue) -> InputValueResult<Self> {
        let ConstValue::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        let unfit = |_| InputValueError::custom("a time is written like 2026-01-31T08:00:00Z");
        text.parse().map(Self).map_err(unfit)
    }

    fn to_value(&self) -> ConstValue {
        ConstValue::String(self.0.to_string())
    }
}

/// A number, or the word "off".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct NumberOrOff(ConstValue);

#[Scalar(name = "NumberOrOff")]
impl ScalarType for NumberOrOff {
    fn parse(value: ConstValue) -> InputValueResult<Self> {
        let is_off = matches!(&value, ConstValue::String(text) if text == "off");
        let is_number = matches!(&value, ConstValue::Number(number) if number.is_u64());
        match is_off || is_number {
            true => Ok(Self(value)),
            false => Err(InputValueError::custom("a number or \"off\" is wanted")),
        }
    }

    fn to_value(&self) -> ConstValue {
        self.0.clone()
    }
}

/// JSON of any shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Json(pub(super) ConstValue);

impl Json {
    /// What a text says; null where it is none.
    pub(super) fn of(text: &RawValue) -> Self {
        Self(serde_json::from_str(text.get()).unwrap_or_default())
    }
}

#[Scalar(name = "JSON")]
impl ScalarType for Json {
    fn parse(value: ConstValue) -> InputValueResult<Self> {
        Ok(Self(value))
    }

    fn to_value(&self) -> ConstValue {
        self.0.clone()
    }
}
