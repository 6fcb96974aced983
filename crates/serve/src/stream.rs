//! A connection's bytes, counted and looked at on their way to hyper.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::{CALM_DOWN, Frames, Walker};
use super::heads::{Framing, Heads};
use super::watch::Activity;

/// What an HTTP/2 connection begins with (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Which protocol it is, and what is known of it.
#[derive(Debug)]
enum Protocol {
    /// All bytes so far begin the preface of HTTP/2.
    Unknown {
        matched: usize,
    },
    Http1(Heads),
    Http2 {
        frames: Frames,
        answers: Walker,
    },
}

/// What is to become of bytes that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judgement {
    Pass,
    Distrust,
    /// After so many bytes.
    Refuse(usize),
    CalmDown,
}

/// A stream whose bytes are counted as they are read and written.
#[derive(Debug)]
pub(super) struct Watched<T> {
    inner: T,
    activity: Arc<Activity>,
    protocol: Protocol,
    /// Nothing more is read.
    is_over: bool,
}

impl<T> Watched<T> {
    pub(super) fn new(inner: T, activity: Arc<Activity>) -> Self {
        Self { inner, activity, protocol: Protocol::Unknown { matched: 0 }, is_over: false }
    }

    fn judge(&mut self, bytes: &[u8]) -> Judgement {
        let mut bytes = bytes;
        if let Protocol::Unknown { matched } = &mut self.protocol {
            let wanted = PREFACE.get(*matched..).unwrap_or_default();
            let here = wanted.len().min(bytes.len());
            if wanted.get(..here) != bytes.get(..here) {
                let mut heads = Heads::default();
                heads.feed(PREFACE.get(..*matched).unwrap_or_default());
                self.protocol = Protocol::Http1(heads);
            } else if here < wanted.len() {
                *matched += here;
                return Judgement::Pass;
            } else {
                bytes = bytes.get(here..).unwrap_or_default();
                self.protocol = Protocol::Http2 { frames: Frames::default(), answers: Walker::default() };
            }
        }
        match &mut self.protocol {
            Protocol::Unknown { .. } => Judgement::Pass,
            Protocol::Http1(heads) => {
                let (framing, clear) = heads.feed(bytes);
                self.activity.heads_ended(heads.take_ended());
                match framing {
                    Framing::Clear => Judgement::Pass,
                    Framing::Ambiguous => Judgement::Distrust,
                    Framing::Broken => Judgement::Refuse(clear),
                }
            }
            Protocol::Http2 { frames, .. } => match frames.is_flood(bytes, self.activity.bytes_written()) {
                false => Judgement::Pass,
                true => Judgement::CalmDown,
            },
        }
    }

    fn has_written(&mut self, bytes: &[u8]) {
        self.activity.has_written(bytes.len());
        if let Protocol::Http2 { answers, .. } = &mut self.protocol {
            answers.walk(bytes, |_, _| {});
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Watched<T> {
    /// Says why the connection ends, where that does not fall into the middle of something else.
    fn say_why(&mut self, context: &mut Context<'_>) {
        if matches!(&self.protocol, Protocol::Http2 { answers, .. } if answers.is_between()) {
            // A socket that is full takes no reason either.
            drop(Pin::new(&mut self.inner).poll_write(context, &CALM_DOWN));
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Watched<T> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if self.is_over {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let polled = Pin::new(&mut self.inner).poll_read(context, buf);
        let read = buf.filled().get(before..).unwrap_or_default();
        self.activity.has_read(read.len());
        let judgement = self.judge(read);
        self.is_over = matches!(judgement, Judgement::Refuse(_) | Judgement::CalmDown);
        match judgement {
            Judgement::Pass => return polled,
            Judgement::Distrust => {
                self.activity.distrust();
                return polled;
            }
            Judgement::Refuse(clear) if clear > 0 => {
                buf.set_filled(before + clear);
                return polled;
            }
            Judgement::Refuse(_) => {}
            Judgement::CalmDown => self.say_why(context),
        }
        // A failed read has read nothing.
        buf.set_filled(before);
        Poll::Ready(Err(io::ErrorKind::InvalidData.into()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(context, bytes);
        if let Poll::Ready(Ok(written)) = &polled {
            self.has_written(bytes.get(..*written).unwrap_or_default());
        }
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(context, bytes);
        if let Poll::Ready(Ok(written)) = &polled {
            let mut left = *written;
            for slice in bytes {
                let here = left.min(slice.len());
                self.has_written(slice.get(..here).unwrap_or_default());
                left -= here;
            }
        }
        polled
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
