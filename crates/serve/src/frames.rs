//! HTTP/2 as it arrives: whether its frames ask for work, or only keep us busy.
//!
//! h2 bounds what a connection may hold, not how much of nothing may pass over it: pings, settings, priorities, windows,
//! empty pieces of data, and streams that are reset as soon as they are opened are answered as fast as they come. A
//! connection has a stock of such frames, which its requests and the bytes it is sent fill up; beyond it, it is closed.

/// Bytes of a frame's head: length, kind, flags, stream (RFC 9113 §4.1).
const FRAME_HEAD_BYTES: usize = 9;
/// Frames that carry nothing, before there is a request.
const EMPTY_FRAMES_MAX: u64 = 1000;
/// The same for each request.
const EMPTY_FRAMES_PER_REQUEST: u64 = 16;
/// One more for so many bytes of answers: their windows have to be opened.
const BYTES_SENT_PER_EMPTY_FRAME: u64 = 1024;
/// Streams that may be reset, beside half of all.
const RESETS_MAX: u64 = 100;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;

/// `GOAWAY`, last stream 0, `ENHANCE_YOUR_CALM`.
pub(super) const CALM_DOWN: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11];

/// Goes from frame to frame.
#[derive(Debug, Default)]
pub(super) struct Walker {
    head: [u8; FRAME_HEAD_BYTES],
    head_bytes: usize,
    payload_left: usize,
}

impl Walker {
    /// Hands over kind and payload length of each frame that begins in these bytes.
    pub(super) fn walk(&mut self, mut bytes: &[u8], mut seen: impl FnMut(u8, usize)) {
        while !bytes.is_empty() {
            let skipped = self.payload_left.min(bytes.len());
            self.payload_left -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let missing = self.head.get_mut(self.head_bytes..).unwrap_or_default();
            let here = missing.len().min(bytes.len());
            for (to, from) in missing.iter_mut().zip(bytes) {
                *to = *from;
            }
            self.head_bytes += here;
            bytes = bytes.get(here..).unwrap_or_default();
            if self.head_bytes == FRAME_HEAD_BYTES {
                let [high, middle, low, kind, ..] = self.head;
                self.payload_left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
                self.head_bytes = 0;
                seen(kind, self.payload_left);
            }
        }
    }

    /// Whether a frame could begin here.
    pub(super) fn is_between(&self) -> bool {
        self.head_bytes == 0 && self.payload_left == 0
    }
}

/// Judges what one connection sends.
#[derive(Debug, Default)]
pub(super) struct Frames {
    walker: Walker,
    requests: u64,
    empty: u64,
    resets: u64,
}

impl Frames {
    /// Whether it is too much of nothing, with these bytes, having been sent `sent` bytes.
    pub(super) fn is_flood(&mut self, bytes: &[u8], sent: u64) -> bool {
        let Self { walker, requests, empty, resets } = self;
        walker.walk(bytes, |kind, length| match kind {
            HEADERS => *requests += 1,
            DATA if length > 0 => {}
            RST_STREAM => *resets += 1,
            _ => *empty += 1,
        });
        let stock = EMPTY_FRAMES_MAX + *requests * EMPTY_FRAMES_PER_REQUEST + sent / BYTES_SENT_PER_EMPTY_FRAME;
        *empty > stock || *resets > RESETS_MAX + *requests / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, length: u8) -> Vec<u8> {
        let mut bytes = vec![0, 0, length, kind, 0, 0, 0, 0, 1];
        bytes.extend(vec![0; length.into()]);
        bytes
    }

    const PING: u8 = 6;

    #[test]
    fn pings_beyond_the_stock_are_a_flood_however_they_are_cut() {
        let pings = frame(PING, 8).repeat(1000);
        assert!(!Frames::default().is_flood(&pings, 0));
        for size in [1, 7, 4096] {
            let mut frames = Frames::default();
            assert!(pings.chunks(size).all(|bytes| !frames.is_flood(bytes, 0)));
            assert!(frames.is_flood(&frame(PING, 8), 0));
        }
    }

    #[test]
    fn requests_and_answers_fill_the_stock() {
        let mut frames = Frames::default();
        let exchange = [frame(HEADERS, 20), frame(DATA, 200), frame(PING, 8).repeat(16)].concat();
        assert!((0..10_000).all(|_| !frames.is_flood(&exchange, 0)));
        assert!(!frames.is_flood(&frame(PING, 8).repeat(2000), 1024 * 1024));
        assert!(frames.is_flood(&frame(PING, 8).repeat(2000), 1024 * 1024));
    }

    #[test]
    fn streams_that_are_all_reset_are_a_flood() {
        let reset = [frame(HEADERS, 20), frame(RST_STREAM, 4)].concat();
        let mut frames = Frames::default();
        assert!((0..200).all(|_| !frames.is_flood(&reset, 0)));
        assert!(frames.is_flood(&reset, 0));
    }

    #[test]
    fn empty_data_is_nothing() {
        assert!(Frames::default().is_flood(&frame(DATA, 0).repeat(1100), 0));
    }

    #[test]
    fn between_frames_or_not() {
        let mut walker = Walker::default();
        walker.walk(&frame(PING, 8), |_, _| {});
        assert!(walker.is_between());
        walker.walk(&frame(PING, 8)[..10], |_, _| {});
        assert!(!walker.is_between());
    }
}
