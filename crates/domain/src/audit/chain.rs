//! Entries that are bound to each other.
//!
//! The canonical form is JSON with sorted members, no white space, and nothing escaped that need not be: what Python's
//! `json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)` writes. So a chain can be checked
//! without this program.

use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Deed;
use crate::id::OrgId;

/// Longest detail, in bytes of JSON. A longer one is left out of the entry, and its length noted.
const DETAIL_BYTES_MAX: usize = 32 * 1024;

/// Whose chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Chain {
    /// What operators do: organisations, groups, the server's key.
    Operator,
    /// What is done in an organisation.
    Org(OrgId),
}

impl Chain {
    /// The organisation; nil for the operators.
    pub fn org_id(self) -> OrgId {
        match self {
            Self::Operator => OrgId(uuid::Uuid::nil()),
            Self::Org(org) => org,
        }
    }

    fn json(self) -> Value {
        match self {
            Self::Operator => Value::Null,
            Self::Org(org) => org.to_string().into(),
        }
    }
}

impl From<OrgId> for Chain {
    /// As [`Chain::org_id`] the other way.
    fn from(org: OrgId) -> Self {
        if org.0.is_nil() { Self::Operator } else { Self::Org(org) }
    }
}

/// How far a chain goes: its last entry, or the last one that was dropped for its age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The entry's number; 0: there is none yet.
    pub number: u64,
    /// The entry's hash; zeros before the first.
    pub hash: [u8; 32],
}

impl Head {
    /// Before the first entry.
    pub const START: Self = Self { number: 0, hash: [0; 32] };

    /// The entry that follows.
    pub fn next(&self, chain: Chain, deed: &Deed) -> Entry {
        let number = self.number + 1;
        let mut detail = String::new();
        canonical(&deed.detail, &mut detail);
        let detail = match detail.len() {
            bytes if bytes > DETAIL_BYTES_MAX => json!({"omitted_bytes": bytes}),
            _ => deed.detail.clone(),
        };
        let entry = json!({
            "org": chain.json(),
            "number": number,
            // Six digits always, so that times compare as texts.
            "at": format!("{:.6}", deed.at),
            "actor": deed.actor.json(),
            "action": deed.action.as_str(),
            "subject": deed.subject,
            "address": deed.address.map(|address| address.to_string()),
            "request_id": deed.request_id.map(|id| id.to_string()),
            "detail": detail,
            "previous": hex::encode(self.hash),
        });
        let mut text = String::new();
        canonical(&entry, &mut text);
        let hash = hash_of(&text);
        Entry { number, text, hash }
    }
}

/// What was done, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Counts from 1 within its chain, without gaps.
    pub number: u64,
    /// Canonical JSON, all but the hash.
    pub text: String,
    /// SHA-256 of `text`.
    pub hash: [u8; 32],
}

impl Entry {
    /// The entry as JSON, its `hash` added.
    pub fn json(&self) -> Value {
        let mut value: Value = serde_json::from_str(&self.text).unwrap_or_default();
        if let Some(members) = value.as_object_mut() {
            members.insert("hash".to_owned(), hex::encode(self.hash).into());
        }
        value
    }

    /// The chain's head once this is its last entry.
    pub fn head(&self) -> Head {
        Head { number: self.number, hash: self.hash }
    }

    /// Whether this follows `head` in `chain`.
    ///
    /// # Errors
    /// What does not fit.
    pub fn follows(&self, head: Head, chain: Chain) -> Result<(), Broken> {
        let broken = |problem| Err(Broken { number: head.number + 1, problem });
        if self.number != head.number + 1 {
            return broken("the entry is missing");
        }
        if hash_of(&self.text) != self.hash {
            return broken("the entry does not have the hash that was kept with it");
        }
        let value: Value = serde_json::from_str(&self.text).unwrap_or_default();
        if value.get("previous").and_then(Value::as_str) != Some(&hex::encode(head.hash)) {
            return broken("the entry does not name the hash of the one before it");
        }
        let is = |member: &str, wanted: Value| value.get(member) == Some(&wanted);
        if !is("number", self.number.into()) || !is("org", chain.json()) {
            return broken("the entry belongs to another place");
        }
        Ok(())
    }
}

/// The first entry at which a chain does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("entry {number}: {problem}")]
pub struct Broken {
    /// Its number.
    pub number: u64,
    /// What is wrong with it.
    pub problem: &'static str,
}

fn hash_of(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// JSON with sorted members and without white space.
fn canonical(value: &Value, to: &mut String) {
    match value {
        Value::Array(items) => {
            to.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    to.push(',');
                }
                canonical(item, to);
            }
            to.push(']');
        }
        Value::Object(members) => {
            // A dependency may switch on that members keep the order in which they came.
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            to.push('{');
            for (index, (name, member)) in members.into_iter().enumerate() {
                if index > 0 {
                    to.push(',');
                }
                canonical(&Value::String(name.clone()), to);
                to.push(':');
                canonical(member, to);
            }
            to.push('}');
        }
        // Writing to a string does not fail.
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => drop(write!(to, "{value}")),
    }
}

#[cfg(test)]
mod tests;
