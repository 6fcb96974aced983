//! JSON where `serde_json` is not enough: strictness at the edge, and Python's and JavaScript's exact spellings.

pub mod strict;
