//! An endpoint's limits as JSON: `"rate_limit": "50/s burst 200"`, `"ordered": "project"`.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use watchbell_domain::endpoint::{Order, RateLimit};

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
