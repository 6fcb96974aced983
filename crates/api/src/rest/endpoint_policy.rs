//! An endpoint's limits as JSON: `"rate_limit": "50/s burst 200"`, `"ordered": "project"`, `"min_severity": "high"`,
//! `"storm_threshold": 100`, `"batch": {"wait": "15m"}`.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use watchbell_domain::endpoint::{self, Order, RateLimit, StormThreshold};
use watchbell_wire::Severity;

use super::duration::Text;

/// A rate, or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate(pub(super) Option<RateLimit>);

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        RateLimit::parse_or_off(&text).map(Self).map_err(de::Error::custom)
    }
}

impl PartialSchema for Rate {
    fn schema() -> utoipa::openapi::RefOr<Schema> {
        String::schema()
    }
}

impl ToSchema for Rate {}

/// `false`, `true` or `"project"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ordered(pub(super) Order);

/// What is read and written.
#[derive(Deserialize)]
#[serde(untagged)]
enum Spelled {
    Whether(bool),
    Named(String),
}

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wanted = || de::Error::custom("false, true or \"project\" is wanted");
        match Spelled::deserialize(deserializer).map_err(|_| wanted())? {
            Spelled::Whether(false) => Ok(Self(Order::Any)),
            Spelled::Whether(true) => Ok(Self(Order::Endpoint)),
            Spelled::Named(name) if name == "project" => Ok(Self(Order::Project)),
            Spelled::Named(_) => Err(wanted()),
        }
    }
}

impl Serialize for Ordered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Order::Any => serializer.serialize_bool(false),
            Order::Endpoint => serializer.serialize_bool(true),
            Order::Project => serializer.serialize_str("project"),
        }
    }
}

impl PartialSchema for Ordered {
    fn schema() -> utoipa::openapi::RefOr<Schema> {
        let whether = ObjectBuilder::new().schema_type(Type::Boolean);
        let named = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["project"]));
        OneOfBuilder::new().item(whether).item(named).into()
    }
}

impl ToSchema for Ordered {}

/// The mildest severity that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MinSeverity(pub(super) Severity);

/// The names that can be given: of what nobody rated it is not known whether it is mild.
const SEVERITIES: [Severity; 5] = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info];

impl<'de> Deserialize<'de> for MinSeverity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let known = SEVERITIES.into_iter().find(|severity| severity.as_str() == text);
        known.map(Self).ok_or_else(|| de::Error::custom("critical, high, medium, low or info is wanted"))
    }
}

impl Serialize for MinSeverity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl PartialSchema for MinSeverity {
    fn schema() -> utoipa::openapi::RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(SEVERITIES.map(Severity::as_str))).into()
    }
}

impl ToSchema for MinSeverity {}

/// A number, or `"off"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StormLimit(pub(super) StormThreshold);

/// What is read.
#[derive(Deserialize)]
#[serde(untagged)]
enum Counted {
    Number(u32),
    Named(String),
}

impl<'de> Deserialize<'de> for StormLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wanted = || de::Error::custom("a number from 1, or \"off\", is wanted");
        match Counted::deserialize(deserializer).map_err(|_| wanted())? {
            Counted::Number(0) => Err(wanted()),
            Counted::Number(count) => Ok(Self(StormThreshold::Above(count))),
            Counted::Named(name) if name == "off" => Ok(Self(StormThreshold::Off)),
            Counted::Named(_) => Err(wanted()),
        }
    }
}

impl Serialize for StormLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            StormThreshold::Off => serializer.serialize_str("off"),
            StormThreshold::Above(count) => serializer.serialize_u32(count),
        }
    }
}

impl PartialSchema for StormLimit {
    fn schema() -> utoipa::openapi::RefOr<Schema> {
        let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
        let named = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["off"]));
        OneOfBuilder::new().item(number).item(named).into()
    }
}

impl ToSchema for StormLimit {}

/// How deliveries gather into digests.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = Batch)]
#[serde(deny_unknown_fields)]
pub(super) struct Batch {
    /// How long at most, 10s to 24h: digests go out at whole multiples of it, counted from midnight UTC.
    wait: Text,
    /// So many do not wait any longer, and go out as one: 2 to 500; 100 when left out.
    #[serde(default = "usual_max")]
    max: u32,
    /// What is at least so bad does not wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    except: Option<MinSeverity>,
}

const fn usual_max() -> u32 {
    endpoint::Batch::MAX
}

impl From<Batch> for endpoint::Batch {
    fn from(batch: Batch) -> Self {
        Self { max: batch.max, wait: batch.wait.0, except: batch.except.map(|severity| severity.0) }
    }
}

impl From<endpoint::Batch> for Batch {
    fn from(batch: endpoint::Batch) -> Self {
        Self { max: batch.max, wait: Text(batch.wait), except: batch.except.map(MinSeverity) }
    }
}
