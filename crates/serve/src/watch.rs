//! When a connection is given up: no head in time, or nothing at all for long.
//!
//! hyper's own header timeout begins after the protocol was recognised, and counts the idle time before a request. So
//! the bytes read and written and the requests begun are counted here ([`super::stream`]), and judged every now and then.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::SignedDuration;

use super::Options;

/// An answer that is read more slowly than this is not being read.
const ANSWER_BYTES_PER_SECOND_MIN: u64 = 1024;

/// What happened on a connection so far.
#[derive(Debug, Default)]
pub(super) struct Activity {
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
    is_ambiguous: AtomicBool,
    /// How many they were when the last request ended: what comes later belongs to the next head.
    bytes_at_end: AtomicU64,
    begun: AtomicU64,
    ended: AtomicU64,
    is_http2: AtomicBool,
    /// Heads of HTTP/1 that are not answered yet, in their order; `None`: one that is not kept.
    heads: Mutex<VecDeque<Option<Box<[u8]>>>>,
}

impl Activity {
    /// A request's head is complete. The guard is held until its answer is.
    pub(super) fn begin(self: Arc<Self>, is_http2: bool) -> Arc<Working> {
        self.begun.fetch_add(1, Ordering::AcqRel);
        self.is_http2.fetch_or(is_http2, Ordering::AcqRel);
        Arc::new(Working(self))
    }

    pub(super) fn has_read(&self, bytes: usize) {
        self.bytes_read.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::AcqRel);
    }

    pub(super) fn has_written(&self, bytes: usize) {
        self.bytes_written.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::AcqRel);
    }

    pub(super) fn bytes_written(&self) -> u64 {
        self.bytes_written.load(Ordering::Acquire)
    }

    /// These came to their end.
    pub(super) fn heads_ended(&self, ended: Vec<Option<Box<[u8]>>>) {
        if !ended.is_empty() {
            self.heads.lock().unwrap_or_else(PoisonError::into_inner).extend(ended);
        }
    }

    /// The head of the request that is taken up now, if it was kept.
    pub(super) fn next_head(&self) -> Option<Box<[u8]>> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).pop_front().flatten()
    }

    /// From now on no request of this connection is to be believed.
    pub(super) fn distrust(&self) {
        self.is_ambiguous.store(true, Ordering::Release);
    }

    /// Whether a request may be another than the one it seems to be.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.is_ambiguous.load(Ordering::Acquire)
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Working(Arc<Activity>);

impl Drop for Working {
    fn drop(&mut self) {
        let bytes = self.0.bytes_read.load(Ordering::Acquire);
        self.0.bytes_at_end.store(bytes, Ordering::Release);
        self.0.ended.fetch_add(1, Ordering::AcqRel);
    }
}

/// What to do with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Go on.
    Keep,
    /// Say good-bye: it is idle.
    Close,
    /// Cut it: its head does not come, or it does not take the good-bye.
    Cut,
}

/// Judges a connection.
#[derive(Debug)]
pub(super) struct Watch {
    header_timeout: SignedDuration,
    keep_alive: SignedDuration,
    /// When it was accepted or its last request ended.
    quiet_since: SignedDuration,
    /// When the first byte of an incomplete head was noticed.
    head_since: Option<SignedDuration>,
    bytes_seen: u64,
    written_seen: u64,
    ended_seen: u64,
    is_closing: bool,
}

impl Watch {
    pub(super) fn new(options: &Options, now: SignedDuration) -> Self {
        Self {
            header_timeout: options.header_timeout,
            keep_alive: options.keep_alive,
            quiet_since: now,
            head_since: Some(now),
            bytes_seen: 0,
            written_seen: 0,
            ended_seen: 0,
            is_closing: false,
        }
    }

    /// How long to wait between judgements: a connection is given up at most twice so much late.
    pub(super) fn tick(&self) -> SignedDuration {
        let shorter = self.header_timeout.min(self.keep_alive);
        (shorter / 4).max(SignedDuration::from_millis(10))
    }

    pub(super) fn judge(&mut self, activity: &Activity, now: SignedDuration) -> Verdict {
        let ended = activity.ended.load(Ordering::Acquire);
        let begun = activity.begun.load(Ordering::Acquire);
        let bytes = activity.bytes_read.load(Ordering::Acquire);
        self.count_answers(activity, now);
        if begun != ended || ended != self.ended_seen {
            self.quiet_since = now;
            self.ended_seen = ended;
            self.bytes_seen = activity.bytes_at_end.load(Ordering::Acquire);
            self.head_since = None;
            return Verdict::Keep;
        }
        // HTTP/2 has frames that are no requests, and limits of its own on heads that do not end.
        let is_http1_head = bytes != self.bytes_seen && !activity.is_http2.load(Ordering::Acquire);
        if is_http1_head {
            self.head_since.get_or_insert(now);
        }
        if self.head_since.is_some_and(|since| now - since >= self.header_timeout) {
            return Verdict::Cut;
        }
        if now - self.quiet_since < self.keep_alive {
            return Verdict::Keep;
        }
        match std::mem::replace(&mut self.is_closing, true) {
            false => Verdict::Close,
            true => Verdict::Cut,
        }
    }

    /// A connection over which an answer is being read is not idle.
    fn count_answers(&mut self, activity: &Activity, now: SignedDuration) {
        let written = activity.bytes_written();
        let seconds = (now - self.quiet_since).as_secs().unsigned_abs();
        let enough = (seconds + 1).saturating_mul(ANSWER_BYTES_PER_SECOND_MIN);
        if !self.is_closing && written - self.written_seen >= enough {
            self.quiet_since = now;
            self.written_seen = written;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When a connection is given up whose client reads so many bytes a second of its one answer.
    fn given_up_after(bytes_a_second: usize) -> Option<i64> {
        let activity = Arc::new(Activity::default());
        activity.has_read(100);
        let at = SignedDuration::from_secs;
        let mut watch = Watch::new(&Options::default(), at(0));
        drop(Arc::clone(&activity).begin(false));
        (1..300).find(|second| {
            activity.has_written(bytes_a_second);
            watch.judge(&activity, at(*second)) == Verdict::Cut
        })
    }

    #[test]
    fn c10_an_answer_that_is_being_read_is_no_idling() {
        assert_eq!(given_up_after(10_000), None);
        assert_eq!(given_up_after(100), Some(62));
        assert_eq!(given_up_after(0), Some(62));
    }
}
