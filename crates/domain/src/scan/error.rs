//! Why a report is refused: the place, the reason, and what would be understood.

use super::format::understood;
use super::limit;

/// A report that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// No bytes, or white space only.
    #[error("the report is empty; {}", understood())]
    Empty,
    /// Beyond [`limit::REPORT_BYTES_MAX`].
    #[error("the report has {bytes} bytes; at most {} are read", limit::REPORT_BYTES_MAX)]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// Not UTF-8.
    #[error("the report is not UTF-8: see byte {offset}")]
    NotUtf8 {
        /// The first byte that is not.
        offset: usize,
    },
    /// Not JSON.
    #[error("the report is not JSON: {reason} at line {line} column {column}; {}", understood())]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in bytes.
        column: usize,
        /// What was wrong.
        reason: String,
    },
    /// XML that is not well-formed.
    #[error("the report is not well-formed XML: {reason} at line {line} column {column}")]
    NotXml {
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in bytes.
        column: usize,
        /// What was wrong.
        reason: String,
    },
    /// Beyond [`limit::DEPTH_MAX`].
    #[error("the report is nested more than {} deep at line {line} column {column}", limit::DEPTH_MAX)]
    TooDeep {
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in bytes.
        column: usize,
    },
    /// JSON, and none of the formats.
    #[error("the report's format is not known: {seen}; {}", understood())]
    UnknownFormat {
        /// What it looks like.
        seen: String,
    },
    /// The right format, the wrong shape.
    #[error("at {pointer}: {reason}")]
    Shape {
        /// JSON pointer.
        pointer: &'static str,
        /// What was wrong.
        reason: String,
    },
    /// Beyond [`limit::OBSERVATIONS_MAX`].
    #[error(
        "the report holds {count} findings; at most {} are read, so send it in parts with partial=true",
        limit::OBSERVATIONS_MAX
    )]
    TooMany {
        /// How many.
        count: usize,
    },
}
