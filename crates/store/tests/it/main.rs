//! The store on SQLite: the suite of every backend, and what is special to this one.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod audit_file;
mod corrupt;
mod files;
mod key_file;
mod kill;
mod sqlite;

watchbell_store::conformance!(crate::sqlite::open_empty);
