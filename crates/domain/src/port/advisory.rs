//! Advisories: the one thing that all organisations share, and only an operator may change.

use jiff::Timestamp;

use super::{Page, Pending};
use crate::advisory::Advisory;
use crate::advisory::osv::Entry;
use crate::audit::Deed;

/// What taking advisories in did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// Not known before.
    pub added: u64,
    /// Newer than what was known.
    pub changed: u64,
    /// As known, or older.
    pub unchanged: u64,
    /// Taken back, and forgotten.
    pub withdrawn: u64,
}

/// How many advisories there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AdvisoryStats {
    /// All of them.
    pub advisories: u64,
    /// When the newest of them was changed.
    pub modified: Option<Timestamp>,
    /// Advisories about packages of an ecosystem.
    pub ecosystems: Vec<(String, u64)>,
}

/// Advisories.
pub trait AdvisoryStore: Send + Sync {
    /// Takes entries in, in one commit: what is new or newer is kept, what was withdrawn is forgotten.
    fn put_advisories(&self, entries: Vec<Entry>, deed: Option<Deed>) -> Pending<'_, Imported>;

    /// One of them.
    fn advisory(&self, id: String) -> Pending<'_, Option<Advisory>>;

    /// Those behind an id, in the order of ids; about packages of an ecosystem where one is given.
    fn advisories(&self, ecosystem: Option<String>, after: Option<String>, limit: u16) -> Pending<'_, Page<Advisory>>;

    /// Those about any of these packages: ecosystem and name.
    fn advisories_about(&self, packages: Vec<(String, String)>) -> Pending<'_, Vec<Advisory>>;

    /// How many there are.
    fn advisory_stats(&self) -> Pending<'_, AdvisoryStats>;
}
