//! HTTP/1 as it arrives: whether every body has one length that nobody can read differently.
//!
//! hyper takes a request with both `Content-Length` and `Transfer-Encoding`, or with the same length twice, for what RFC
//! 9112 says it may be taken for, and hands it on without the lines it left out. A proxy in front may have read it the
//! other way, so such a request is refused, and nothing that follows it is believed. To see the lines of a second head the
//! first body has to be skipped; what cannot be followed is refused as well, so that both readers never part unnoticed.

/// Bytes of a line that are looked at. A line about framing has no reason to be longer.
const LINE_BYTES_MAX: usize = 256;
/// Bytes of trailers that are taken.
const TRAILER_BYTES_MAX: usize = 8 * 1024;

/// Heads of requests to these paths are kept as they came.
const KEPT_BELOW: [&[u8]; 2] = [b"/capture/", b"/in/"];
/// A head that is longer is not kept. hyper's own limit is shorter.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// What came of the bytes so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Every body so far has one length.
    Clear,
    /// A head leaves it open how long its body is.
    Ambiguous,
    /// A body under way is not framed as it has to be.
    Broken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    /// In a body, or a chunk with its line end.
    Skip {
        left: u64,
        in_chunks: bool,
    },
    ChunkSize,
    Trailers {
        bytes: usize,
    },
    Refused(Framing),
}

/// Follows one connection's bytes.
#[derive(Debug)]
pub(super) struct Heads {
    state: State,
    /// The beginning of a line that has not ended yet.
    line: Vec<u8>,
    line_bytes: usize,
    lines: usize,
    length: Option<u64>,
    is_chunked: bool,
    /// The head under way, while it may be one that is kept.
    raw: Vec<u8>,
    is_kept: bool,
    /// Heads that have ended, in their order; `None`: one that is not kept.
    ended: Vec<Option<Box<[u8]>>>,
}

impl Default for Heads {
    fn default() -> Self {
        Self {
            state: State::Head,
            line: Vec::new(),
            line_bytes: 0,
            lines: 0,
            length: None,
            is_chunked: false,
            raw: Vec::new(),
            is_kept: true,
            ended: Vec::new(),
        }
    }
}

impl Heads {
    /// Follows the next bytes. Answers as well how many of them come before what is not clear.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> (Framing, usize) {
        let mut rest = bytes;
        let mut clear = 0;
        while !rest.is_empty() {
            if let State::Refused(framing) = self.state {
                return (framing, clear);
            }
            clear = bytes.len() - rest.len();
            match self.state {
                State::Refused(_) => break,
                State::Skip { left, in_chunks } => rest = self.skip(rest, left, in_chunks),
                State::Head | State::ChunkSize | State::Trailers { .. } => rest = self.gather(rest),
            }
        }
        match self.state {
            State::Refused(framing) => (framing, clear),
            State::Head | State::Skip { .. } | State::ChunkSize | State::Trailers { .. } => {
                (Framing::Clear, bytes.len())
            }
        }
    }

    /// The heads that ended since this was asked last.
    pub(super) fn take_ended(&mut self) -> Vec<Option<Box<[u8]>>> {
        std::mem::take(&mut self.ended)
    }

    /// Keeps a piece of a head.
    fn keep(&mut self, piece: &[u8]) {
        if self.is_kept && self.state == State::Head {
            self.is_kept = self.raw.len() + piece.len() <= KEPT_BYTES_MAX;
            match self.is_kept {
                true => self.raw.extend_from_slice(piece),
                false => self.raw.clear(),
            }
        }
    }

    fn skip<'a>(&mut self, bytes: &'a [u8], left: u64, in_chunks: bool) -> &'a [u8] {
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left - u64::try_from(here).unwrap_or(left);
        self.state = match (left, in_chunks) {
            (0, true) => State::ChunkSize,
            (0, false) => State::Head,
            (left, in_chunks) => State::Skip { left, in_chunks },
        };
        bytes.get(here..).unwrap_or_default()
    }

    /// Takes bytes to the end of a line, and judges the line if it ended.
    fn gather<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let piece = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        self.line_bytes += piece.len();
        let room = LINE_BYTES_MAX.saturating_sub(self.line.len()).min(piece.len());
        self.line.extend_from_slice(piece.get(..room).unwrap_or_default());
        self.keep(end.map_or(piece, |end| bytes.get(..=end).unwrap_or(piece)));
        let Some(end) = end else {
            return &[];
        };
        let mut line = std::mem::take(&mut self.line);
        let is_cut = self.line_bytes > line.len();
        self.line_bytes = 0;
        let text = line.strip_suffix(b"\r").unwrap_or(&line);
        self.state = match self.state {
            State::Head => self.head_line(text, is_cut),
            State::ChunkSize => chunk_size(text),
            State::Trailers { .. } if text.is_empty() => State::Head,
            State::Trailers { bytes } if bytes + line.len() > TRAILER_BYTES_MAX || is_cut => {
                State::Refused(Framing::Broken)
            }
            State::Trailers { bytes } => State::Trailers { bytes: bytes + line.len() },
            State::Skip { .. } | State::Refused(_) => self.state,
        };
        line.clear();
        self.line = line;
        bytes.get(end + 1..).unwrap_or_default()
    }

    fn head_line(&mut self, line: &[u8], is_cut: bool) -> State {
        if line.is_empty() {
            // Empty lines before a request line mean nothing.
            if self.lines == 0 {
                self.raw.clear();
                return State::Head;
            }
            return self.head_end();
        }
        self.lines += 1;
        if self.lines == 1 && !KEPT_BELOW.iter().any(|path| line.windows(path.len()).any(|piece| piece == *path)) {
            self.is_kept = false;
            self.raw.clear();
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':').filter(|_| self.lines > 1) else {
            return State::Head;
        };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let is_length = name.eq_ignore_ascii_case(b"content-length");
        let is_coding = name.eq_ignore_ascii_case(b"transfer-encoding");
        if !is_length && !is_coding {
            return State::Head;
        }
        if is_cut || self.is_chunked || self.length.is_some() {
            return State::Refused(Framing::Ambiguous);
        }
        if is_coding {
            self.is_chunked = value.eq_ignore_ascii_case(b"chunked");
        } else {
            self.length = decimal(value);
        }
        match self.is_chunked || self.length.is_some() {
            true => State::Head,
            false => State::Refused(Framing::Ambiguous),
        }
    }

    fn head_end(&mut self) -> State {
        self.lines = 0;
        let raw = std::mem::take(&mut self.raw);
        self.ended.push(std::mem::replace(&mut self.is_kept, true).then(|| raw.into_boxed_slice()));
        match (self.length.take(), std::mem::take(&mut self.is_chunked)) {
            (_, true) => State::ChunkSize,
            (Some(left), false) if left > 0 => State::Skip { left, in_chunks: false },
            (_, false) => State::Head,
        }
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn chunk_size(line: &[u8]) -> State {
    let digits = line.split(|byte| !byte.is_ascii_hexdigit()).next().unwrap_or_default();
    let size = std::str::from_utf8(digits).ok().and_then(|text| u64::from_str_radix(text, 16).ok());
    // The line end behind the chunk is skipped with it.
    match size.and_then(|size| size.checked_add(2)) {
        Some(2) => State::Trailers { bytes: 0 },
        Some(left) => State::Skip { left, in_chunks: true },
        None => State::Refused(Framing::Broken),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Fed whole, and byte by byte: the same.
    fn framing(text: &str) -> Framing {
        let (whole, _) = Heads::default().feed(text.as_bytes());
        let mut heads = Heads::default();
        let bytewise = text.as_bytes().chunks(1).map(|byte| heads.feed(byte).0).last();
        assert_eq!(bytewise.unwrap_or(Framing::Clear), whole, "{text:?}");
        whole
    }

    #[rstest]
    #[case("GET / HTTP/1.1\r\nHost: a\r\n\r\n")]
    #[case("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")]
    #[case("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcPOST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n")]
    #[case("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\na\nb\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.1\r\n")]
    #[case("POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\nPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")]
    fn one_length_is_clear(#[case] text: &str) {
        assert_eq!(framing(text), Framing::Clear);
    }

    #[rstest]
    #[case("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n")]
    #[case("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n")]
    #[case("Content-Length: 2\r\nContent-Length: 2\r\n")]
    #[case("content-length: 2\nCONTENT-LENGTH:\t2\n")]
    #[case("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")]
    #[case("Transfer-Encoding: gzip, chunked\r\n")]
    #[case("Content-Length: +2\r\n")]
    #[case("Content-Length: 99999999999999999999\r\n")]
    fn two_readings_are_ambiguous_also_in_a_later_head(#[case] lines: &str) {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        assert_eq!(framing(&head), Framing::Ambiguous);
        let first = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\r\n\r\n0\r\n\r\n";
        assert_eq!(framing(&format!("{first}{head}")), Framing::Ambiguous);
        let first = "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n\r\n\r\n";
        assert_eq!(framing(&format!("{first}{head}")), Framing::Ambiguous);
    }

    #[test]
    fn a_long_line_about_framing_is_not_followed() {
        let blanks = " ".repeat(LINE_BYTES_MAX);
        let head = format!("POST / HTTP/1.1\r\nContent-Length:{blanks}2\r\n");
        assert_eq!(framing(&head), Framing::Ambiguous);
        let other = format!("POST / HTTP/1.1\r\nX-Long:{blanks}2\r\n\r\n");
        assert_eq!(framing(&other), Framing::Clear);
    }

    #[rstest]
    #[case("x\r\n")]
    #[case("\r\n")]
    #[case("fffffffffffffffff\r\n")]
    #[case("ffffffffffffffff\r\n")]
    fn chunks_that_cannot_be_followed_break_the_body(#[case] chunk: &str) {
        let text = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}");
        assert_eq!(framing(&text), Framing::Broken);
        assert_eq!(Heads::default().feed(text.as_bytes()), (Framing::Broken, text.len() - chunk.len()));
    }

    #[test]
    fn trailers_have_a_limit() {
        let with = |trailers: usize| {
            let line = format!("X: {}\r\n", "y".repeat(100)).repeat(trailers);
            framing(&format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{line}\r\n"))
        };
        assert_eq!(with(70), Framing::Clear);
        assert_eq!(with(90), Framing::Broken);
    }

    #[test]
    fn heads_to_kept_paths_are_kept_as_they_came_and_the_others_counted() {
        let kept = "POST /capture/x HTTP/1.1\r\nHOST: a\r\nx-B:  c \r\nContent-Length: 2\r\n\r\n";
        let text = format!("\r\n{kept}{{}}GET / HTTP/1.1\r\nHost: a\r\n\r\n{kept}{{}}");
        let wanted = vec![Some(kept.as_bytes().into()), None, Some(kept.as_bytes().into())];
        let mut heads = Heads::default();
        heads.feed(text.as_bytes());
        assert_eq!(heads.take_ended(), wanted);
        assert!(heads.take_ended().is_empty());
        let mut heads = Heads::default();
        let bytewise = text.as_bytes().chunks(1).flat_map(|byte| {
            heads.feed(byte);
            heads.take_ended()
        });
        assert_eq!(bytewise.collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn a_head_without_end_is_not_kept() {
        let mut heads = Heads::default();
        heads.feed(b"POST /capture/x HTTP/1.1\r\nX: ");
        for _ in 0..1000 {
            heads.feed(&[b'x'; 1000]);
            assert!(heads.raw.len() <= KEPT_BYTES_MAX);
        }
        heads.feed(b"\r\n\r\n");
        assert_eq!(heads.take_ended(), [None]);
    }
}
