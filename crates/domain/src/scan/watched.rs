//! Bytes on their way to a parser, watched: how deeply they are nested, and how much one entry takes.
//!
//! Both bounds have to be kept before the parser sees the bytes. Beyond one, reading fails with the [`ReportError`] inside
//! the I/O error, from where [`ReportError::of_stream`] takes it out again.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use super::error::ReportError;
use super::limit;

/// How deeply JSON is nested, and where it is read.
#[derive(Debug, Default)]
pub(super) struct Nesting {
    depth: usize,
    line: usize,
    column: usize,
    in_text: bool,
    escaped: bool,
}

impl Nesting {
    /// Takes the next bytes.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(), ReportError> {
        for byte in bytes {
            self.column += 1;
            match byte {
                b'\n' => (self.line, self.column) = (self.line + 1, 0),
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_text => self.escaped = true,
                b'"' => self.in_text = !self.in_text,
                b'[' | b'{' if !self.in_text => self.depth += 1,
                b']' | b'}' if !self.in_text => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            if self.depth > limit::DEPTH_MAX {
                return Err(ReportError::TooDeep { line: self.line + 1, column: self.column });
            }
        }
        Ok(())
    }
}

/// Set in place of a count: what comes is not kept, however much it is.
pub(super) const UNCOUNTED: u64 = u64::MAX;

/// A reader that fails beyond [`limit::DEPTH_MAX`] and [`limit::ENTRY_BYTES_MAX`].
pub(super) struct Watched<R> {
    source: R,
    nesting: Nesting,
    entry_bytes: Rc<Cell<u64>>,
}

impl<R: Read> Watched<R> {
    /// Whoever reads entries sets `entry_bytes` to 0 before each. What was read ahead does not count.
    pub(super) fn new(source: R, entry_bytes: Rc<Cell<u64>>) -> Self {
        Self { source, nesting: Nesting::default(), entry_bytes }
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.nesting.take(buffer.get(..count).unwrap_or_default()).map_err(io::Error::other)?;
        let before = self.entry_bytes.get();
        if before != UNCOUNTED {
            let bytes = before.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            self.entry_bytes.set(bytes);
            if bytes > limit::ENTRY_BYTES_MAX {
                return Err(io::Error::other(ReportError::EntryTooLarge));
            }
        }
        Ok(count)
    }
}
