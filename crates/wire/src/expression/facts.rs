//! What expressions can ask about an event.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::value::Value;
use crate::event::{Data, EventType, Severity};

macro_rules! names {
    ($( $(#[$doc:meta])* $variant:ident = $text:literal, )+) => {
        /// A fact, as expressions call it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Name {
            $( $(#[$doc])* $variant, )+
        }

        impl Name {
            /// Every name, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// How expressions spell it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $text, )+
                }
            }

            /// A place in a set of names.
            pub(super) const fn bit(self) -> u32 {
                let mut bit = 1;
                let mut at = 0;
                while at < Self::ALL.len() {
                    #[expect(clippy::indexing_slicing, reason = "the loop ends at the length")]
                    if matches!((self, Self::ALL[at]), $((Self::$variant, Self::$variant))|+) {
                        return bit;
                    }
                    bit <<= 1;
                    at += 1;
                }
                0
            }
        }
    };
}

names! {
    /// What happened: `'vulnerability.created'`.
    Type = "type",
    /// How bad it is: `critical`, `high`, `medium`, `low`, `info`, or `unknown`; `null` for events that have no severity.
    Severity = "severity",
    /// The CVSS score, a number.
    Cvss = "cvss",
    /// The project it is about: `id`, `name`, `labels`, `owner`.
    Project = "project",
    /// The project's owner.
    Owner = "owner",
    /// The tool that found it.
    Tool = "tool",
    /// `'CVE-2024-3094'`
    Cve = "cve",
    /// Its other names, a list.
    Aliases = "aliases",
    /// What is vulnerable: `name`, `version`, `purl`.
    Component = "component",
    /// The file or resource.
    Path = "path",
    /// The scanner's rule.
    Rule = "rule",
    /// One line for people.
    Title = "title",
    /// Whether a finding is told for the first time.
    IsNew = "is_new",
    /// Whether a finding that was gone is back.
    IsReopened = "is_reopened",
    /// The name of the source that it came in by; `null` for events that came in by none.
    Source = "source",
    /// Whose format that source speaks: `'snyk'`, `'github'`.
    Vendor = "vendor",
    /// The event's id.
    Id = "id",
    /// When it happened, as text.
    Time = "time",
    /// The organisation: `id`, `name`, `slug`.
    Org = "org",
    /// All that the event says.
    Data = "data",
}

impl Name {
    /// Reads a name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|name| name.as_str() == text)
    }
}

/// An event as expressions see it: made once, asked by every endpoint's expression.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    event_type: &'a EventType,
    data: Json,
    severity: Option<Severity>,
    project: Json,
    org: Json,
    source: Json,
    vendor: Json,
    id: Json,
    time: Json,
}

impl<'a> Facts<'a> {
    /// What type and data say.
    pub fn of(event_type: &'a EventType, data: &Data) -> Self {
        let data: Json = serde_json::from_str(data.text()).unwrap_or_default();
        let severity = match data.get("severity").and_then(Json::as_str) {
            // A word that is no severity of ours is one that nobody rated by our scale.
            Some(text) => Some(Severity::parse(text).unwrap_or(Severity::Unknown)),
            None => event_type.as_str().starts_with("vulnerability.").then_some(Severity::Unknown),
        };
        let project = match (data.get("project"), data.get("project_id")) {
            (Some(Json::Object(project)), _) => Json::Object(project.clone()),
            (_, Some(Json::String(id))) => json!({ "id": id }),
            (_, _) => Json::Null,
        };
        // Whatever the event says of a source itself is its own word: that stands in `data`.
        let (source, vendor) = (Json::Null, Json::Null);
        let (org, id, time) = (Json::Null, Json::Null, Json::Null);
        Self { event_type, data, severity, project, org, source, vendor, id, time }
    }

    /// The project as it is registered.
    #[must_use]
    pub fn in_project(self, id: &str, name: &str, labels: &BTreeMap<String, String>, owner: Option<&str>) -> Self {
        Self { project: json!({ "id": id, "name": name, "labels": labels, "owner": owner }), ..self }
    }

    /// The organisation.
    #[must_use]
    pub fn in_org(self, id: &str, name: &str, slug: &str) -> Self {
        Self { org: json!({ "id": id, "name": name, "slug": slug }), ..self }
    }

    /// The source that it came in by, and the dialect that it speaks.
    #[must_use]
    pub fn from_source(self, name: &str, vendor: &str) -> Self {
        Self { source: name.into(), vendor: vendor.into(), ..self }
    }

    /// The event's id, and when it happened.
    #[must_use]
    pub fn of_event(self, id: &str, time: jiff::Timestamp) -> Self {
        Self { id: id.into(), time: time.to_string().into(), ..self }
    }

    pub(super) fn get(&self, name: Name) -> Value<'_> {
        let told = |member: &str| self.data.get(member).map_or(Value::Null, Value::of);
        match name {
            Name::Type => Value::Text(self.event_type.as_str()),
            Name::Severity => self.severity.map_or(Value::Null, Value::Severity),
            Name::Cvss => told("cvss_score"),
            Name::Project => Value::of(&self.project),
            Name::Owner => self.project.get("owner").map_or(Value::Null, Value::of),
            Name::Tool => told("tool"),
            Name::Cve => told("cve_id"),
            Name::Aliases => told("aliases"),
            Name::Component => told("component"),
            Name::Path => told("resource_path"),
            Name::Rule => told("rule_id"),
            Name::Title => told("title"),
            Name::IsNew => Value::Bool(matches!(
                self.event_type,
                EventType::VulnerabilityCreated | EventType::VulnerabilityCritical
            )),
            Name::IsReopened => Value::Bool(*self.event_type == EventType::VulnerabilityReopened),
            Name::Source => Value::of(&self.source),
            Name::Vendor => Value::of(&self.vendor),
            Name::Id => Value::of(&self.id),
            Name::Time => Value::of(&self.time),
            Name::Org => Value::of(&self.org),
            Name::Data => Value::of(&self.data),
        }
    }
}
