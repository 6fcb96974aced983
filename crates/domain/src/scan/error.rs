//! Why a report is refused: the place, the reason, and what would be understood.

use std::io;

use serde_json::error::Category;

use super::format::understood;
use super::{lenient, limit};

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
        bytes: u64,
    },
    /// Beyond [`limit::WHOLE_BYTES_MAX`], and of a format that is read whole.
    #[error(
        "the report has {bytes} bytes; SARIF alone may have more than {}, and this is none ({problem})",
        limit::WHOLE_BYTES_MAX
    )]
    TooLargeWhole {
        /// Its length.
        bytes: u64,
        /// Why it is no SARIF.
        problem: String,
    },
    /// Beyond [`limit::ENTRY_BYTES_MAX`].
    #[error("an entry of the report has more than {} bytes", limit::ENTRY_BYTES_MAX)]
    EntryTooLarge,
    /// The file that it is in cannot be read.
    #[error("the report cannot be read from where it is kept: {reason}")]
    Unreadable {
        /// What the system said.
        reason: String,
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

impl ReportError {
    /// What a reader of a stream met: a bound, a file that cannot be read, or text that is no JSON.
    pub(super) fn of_stream(error: serde_json::Error) -> Self {
        match error.classify() {
            Category::Io => Self::of_io(error.into()),
            Category::Syntax | Category::Eof => lenient::not_json(&error),
            Category::Data => Self::Shape { pointer: "/runs", reason: error.to_string() },
        }
    }

    /// As [`Self::of_stream`] where no parser stands between.
    pub(super) fn of_io(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(bound) => bound,
            Err(error) => Self::Unreadable { reason: error.to_string() },
        }
    }
}
