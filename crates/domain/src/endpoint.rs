//! Endpoints: where an organisation wants events delivered, in which dialect, under which policy.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use watchbell_wire::{Dialect, EventType, Secret, Settings, Severity};

use crate::id::{EndpointId, OrgId};
use crate::rule::Rules;

pub use batch::Batch;
pub use failing::{ATTEMPTS_MIN, Failing};
pub use rate::{NotARate, RateLimit};
pub use transport::{Auth, AuthStyle, ClientIdentity, HttpVersion, OAuth2Client, TlsSettings, Transport};

mod batch;
mod failing;
mod rate;
mod transport;

/// An endpoint with its secrets.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Its organisation.
    pub org_id: OrgId,
    /// Where to deliver. Checked on saving, and its addresses again before every connection.
    pub url: String,
    /// In which format.
    pub dialect: &'static Dialect,
    /// For people.
    pub description: Option<String>,
    /// Which events; `None`: every one the dialect can say.
    pub events: Option<BTreeSet<EventType>>,
    /// Active, paused or disabled.
    pub state: EndpointState,
    /// Signing secrets or tokens, newest first. The first signs; the others are valid until they expire.
    pub secrets: Vec<EndpointSecret>,
    /// Headers sent beside the dialect's own. Values are secrets.
    pub headers: Vec<(String, Secret)>,
    /// What its dialect wants to know beyond URL and credential.
    pub settings: Settings,
    /// How requests reach it.
    pub transport: Transport,
    /// What differs from the server's own policy.
    pub policy: EndpointPolicy,
    /// No attempt before this time: the endpoint asked for a pause by `Retry-After`.
    pub not_before: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed by its owner.
    pub updated_at: Timestamp,
}

impl Endpoint {
    /// The secrets valid at `now`, newest first.
    pub fn live_secrets(&self, now: Timestamp) -> impl Iterator<Item = &Secret> {
        self.secrets
            .iter()
            .filter(move |secret| secret.expires_at.is_none_or(|end| now < end))
            .map(|secret| &secret.text)
    }
}

/// One signing secret or token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSecret {
    /// The text as configured.
    pub text: Secret,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when, once it was rotated out.
    pub expires_at: Option<Timestamp>,
}

/// Whether deliveries go out. Those of a paused or disabled endpoint are held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointState {
    /// Deliveries go out.
    Active,
    /// Its owner paused it.
    Paused {
        /// Since when.
        since: Timestamp,
    },
    /// We disabled it.
    Disabled {
        /// Since when.
        since: Timestamp,
        /// Why.
        reason: DisabledReason,
    },
}

impl EndpointState {
    /// `active`, `paused`, `disabled`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused { .. } => "paused",
            Self::Disabled { .. } => "disabled",
        }
    }
}

/// Why we disabled an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisabledReason {
    /// It answered 410.
    Gone,
    /// Nothing but failures for a long time.
    Failing,
    /// Its organisation is suspended; it becomes active again with it.
    OrgSuspended,
}

impl DisabledReason {
    /// `gone`, `failing`, `org_suspended`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Failing => "failing",
            Self::OrgSuspended => "org_suspended",
        }
    }
}

/// What an endpoint sets differently from the server. `None`: the server's own value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EndpointPolicy {
    /// Waits before each attempt; n entries mean n attempts.
    pub retry_schedule: Option<Vec<SignedDuration>>,
    /// Longest wait for complete response headers.
    pub timeout: Option<SignedDuration>,
    /// Most deliveries in flight at once.
    pub max_in_flight: Option<u32>,
    /// Most attempts: the schedule ends there. It never makes the schedule longer.
    pub max_attempts: Option<u32>,
    /// How many attempts may begin in a second. `None`: no limit.
    pub rate_limit: Option<RateLimit>,
    /// Which deliveries wait for one another.
    pub order: Order,
    /// Events about vulnerabilities that are known to be milder are not wanted. `None`: all are.
    pub min_severity: Option<Severity>,
    /// Of how many new findings in one scan the endpoint gets a digest instead. `None`: the default of its dialect, see
    /// [`Storm::exceeds`](crate::route::Storm::exceeds).
    pub storm_threshold: Option<StormThreshold>,
    /// How deliveries gather into digests. `None`: each goes out by itself.
    pub batch: Option<Batch>,
    /// Which events are told, and when.
    pub rules: Rules,
}

/// Of how many new findings in one scan an endpoint gets a digest instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StormThreshold {
    /// However many there are, each is told.
    Off,
    /// Of more than so many.
    Above(u32),
}

/// What of an endpoint's policy says when its attempts may begin. `None`: the server's own value, or no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flow {
    /// Most deliveries in flight at once.
    pub max_in_flight: Option<u32>,
    /// How many attempts may begin in a second.
    pub rate_limit: Option<RateLimit>,
    /// Which deliveries wait for one another.
    pub order: Order,
    /// Most that gather and go out as one.
    pub gathers: Option<u32>,
}

impl EndpointPolicy {
    /// What says when attempts may begin.
    pub fn flow(&self) -> Flow {
        Flow {
            max_in_flight: self.max_in_flight,
            rate_limit: self.rate_limit,
            order: self.order,
            gathers: self.batch.map(|batch| batch.max),
        }
    }
}

/// Which deliveries of an endpoint wait for one another, first in, first out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// None: each goes out when it can.
    #[default]
    Any,
    /// Every delivery waits for the one before it.
    Endpoint,
    /// Every delivery waits for the one before it of the same project.
    Project,
}

impl Order {
    /// `any`, `endpoint`, `project`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Endpoint => "endpoint",
            Self::Project => "project",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Any, Self::Endpoint, Self::Project].into_iter().find(|order| order.as_str() == text)
    }
}
