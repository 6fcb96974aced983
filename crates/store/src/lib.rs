//! Watchbell's storage ports on an embedded SQLite, and the suite every backend must pass.
//!
//! [`sqlite::SqliteStore`] keeps [`watchbell_domain::port::Store`] in one file. Secrets are [`seal`]ed before they reach
//! it, under a key that lives in a file of its own ([`key_file`]). The `conformance` module (feature `conformance`) says in tests
//! what the ports say in words; a second backend passes the same suite.
//!
//! *To add a storage query*: a method on a port in the domain, its SQL in the module of [`sqlite`] that owns the table,
//! one test in `conformance`.
//! *To change the schema*: a new file `migrations/V<n>__<what>.sql`; files that were released never change.

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod floor;
pub mod key_file;
pub mod seal;
pub mod sqlite;

mod delivery_ids;
