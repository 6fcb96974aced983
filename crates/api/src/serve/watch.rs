//! When a connection is given up: no head in time, or nothing at all for long.
//!
//! hyper's own header timeout begins after the protocol was recognised, and counts the idle time before a request. So
//! the bytes read and the requests begun are counted here, and judged every now and then.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use jiff::SignedDuration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Options;

/// What happened on a connection so far.
#[derive(Debug, Default)]
pub(super) struct Activity {
    bytes_read: AtomicU64,
    /// How many they were when the last request ended: what comes later belongs to the next head.
    bytes_at_end: AtomicU64,
    begun: AtomicU64,
    ended: AtomicU64,
    is_http2: AtomicBool,
}

impl Activity {
    /// A request's head is complete. The guard is held until its answer is.
    pub(super) fn begin(self: Arc<Self>, is_http2: bool) -> Working {
        self.begun.fetch_add(1, Ordering::AcqRel);
        self.is_http2.fetch_or(is_http2, Ordering::AcqRel);
        Working(self)
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
}

/// A stream whose bytes are counted as they are read.
#[derive(Debug)]
pub(super) struct Counted<T> {
    inner: T,
    activity: Arc<Activity>,
}

impl<T> Counted<T> {
    pub(super) fn new(inner: T, activity: Arc<Activity>) -> Self {
        Self { inner, activity }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Counted<T> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(context, buf);
        let read = u64::try_from(buf.filled().len() - before).unwrap_or_default();
        self.activity.bytes_read.fetch_add(read, Ordering::AcqRel);
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Counted<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
