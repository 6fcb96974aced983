//! Sources: vendors that call us, each at a URL of its own, with the secret by which its requests are known.
//!
//! ```text
//!  vendor ── POST /in/{source} ──▶ receipt, with a verdict (`receipt`) ──▶ events
//! ```

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use watchbell_wire::Dialect;

use crate::endpoint::{EndpointSecret, RateLimit};
use crate::id::{OrgId, SourceId};

pub mod silence;

/// A source with its secrets.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its id, which is in its URL.
    pub id: SourceId,
    /// Its organisation.
    pub org_id: OrgId,
    /// For people.
    pub name: String,
    /// In which format it calls.
    pub dialect: &'static Dialect,
    /// Secrets or tokens, newest first. Any that has not expired proves a request.
    pub secrets: Vec<EndpointSecret>,
    /// Where its requests may come from; empty: from anywhere.
    pub allowed_ips: Vec<IpNet>,
    /// How often it may call.
    pub rate_limit: Set<RateLimit>,
    /// How old a signed time in a body may be.
    pub max_event_age: Set<SignedDuration>,
    /// What its dialect wants to know beside the secret; checked when it was saved.
    pub settings: Map<String, Value>,
    /// Whether its requests are taken.
    pub state: SourceState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Source {
    /// Whether a request may come from this address.
    pub fn admits(&self, address: std::net::IpAddr) -> bool {
        let address = address.to_canonical();
        self.allowed_ips.is_empty() || self.allowed_ips.iter().any(|network| network.contains(&address))
    }
}

/// A value of the server's that a source may have otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Set<T> {
    /// The server's own.
    #[default]
    Default,
    /// There is no such limit.
    Off,
    /// This.
    To(T),
}

impl<T: Copy> Set<T> {
    /// What holds, where `default` is the server's own and `None` is no limit.
    pub fn or(self, default: Option<T>) -> Option<T> {
        match self {
            Self::Default => default,
            Self::Off => None,
            Self::To(value) => Some(value),
        }
    }
}

/// Whether a source's requests are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceState {
    /// They are.
    Active,
    /// They are answered 503, so that the vendor sends them again.
    Paused {
        /// Since when.
        since: Timestamp,
    },
}

impl SourceState {
    /// `active`, `paused`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused { .. } => "paused",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_value_goes_before_the_servers() {
        assert_eq!(Set::Default.or(Some(1)), Some(1));
        assert_eq!(Set::<u8>::Off.or(Some(1)), None);
        assert_eq!(Set::To(2).or(None), Some(2));
    }
}
