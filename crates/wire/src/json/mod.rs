//! JSON where `serde_json` is not enough: strictness at the edge, and Python's and JavaScript's exact spellings.
//!
//! All of it stands on one iterative scanner (`scan`), which knows JSON's grammar and nothing else; numbers and strings
//! stay pieces of the text until somebody needs their value. [`strict`] judges, `tree` reads for the dialects,
//! [`python`] and [`javascript`] write what those languages would write. Nothing here recurses on reading, so no input
//! reaches the end of the stack.

pub mod javascript;
pub mod python;
pub mod strict;

mod number;
pub(crate) mod place;
mod scan;
pub(crate) mod tree;

/// Why a text is refused. `code` is stable; `offset` is the byte at which it was noticed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at byte {offset}")]
pub struct Error {
    /// `invalid_json`, `invalid_utf8`, `invalid_unicode`, `duplicate_key`, `json_too_deep`, `number_out_of_range`.
    pub code: &'static str,
    /// In words.
    pub message: &'static str,
    /// Where, in bytes from the start.
    pub offset: usize,
}
