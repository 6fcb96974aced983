//! A connection's bytes, counted: how much of a response head has come, and whether anything has come at all.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connector::Stream;

/// More response head than is taken.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the response head is too large")]
pub(super) struct HeadTooLarge {
    /// It was all informational responses (1xx) without an answer.
    pub(super) only_informational: bool,
}

/// What is known of the exchange under way. Shared between the connection and whoever waits for the answer.
#[derive(Debug, Default)]
pub(super) struct Watch {
    read: AtomicUsize,
    informational: AtomicUsize,
    in_head: AtomicBool,
    write_failed: AtomicBool,
}

impl Watch {
    /// A request goes out: counting begins anew.
    pub(super) fn begin(&self) {
        self.read.store(0, Ordering::Relaxed);
        self.informational.store(0, Ordering::Relaxed);
        self.in_head.store(true, Ordering::Relaxed);
    }

    /// The head is complete.
    pub(super) fn head_done(&self) {
        self.in_head.store(false, Ordering::Relaxed);
    }

    /// An informational response came.
    pub(super) fn informed(&self) {
        self.informational.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the peer has answered nothing, not even a byte.
    pub(super) fn is_silent(&self) -> bool {
        self.read.load(Ordering::Relaxed) == 0
    }

    /// Whether the peer stopped taking our bytes.
    pub(super) fn has_write_failed(&self) -> bool {
        self.write_failed.load(Ordering::Relaxed)
    }
}

/// The stream, with its watch.
pub(super) struct Watched {
    stream: Box<dyn Stream>,
    watch: Arc<Watch>,
    head_bytes_max: usize,
}

impl Watched {
    pub(super) fn new(stream: Box<dyn Stream>, watch: Arc<Watch>, head_bytes_max: usize) -> Self {
        Self { stream, watch, head_bytes_max }
    }

    /// A failed write is not the end: an early answer may be waiting to be read, and if none is, reading says why.
    fn forgive<T>(&self, written: Poll<io::Result<T>>, instead: T) -> Poll<io::Result<T>> {
        match written {
            Poll::Ready(Err(_)) => {
                self.watch.write_failed.store(true, Ordering::Relaxed);
                Poll::Ready(Ok(instead))
            }
            Poll::Ready(Ok(_)) | Poll::Pending => written,
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        watchbell_domain::failpoint::at("net.read")?;
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buf);
        let count = buf.filled().len() - before;
        let read = self.watch.read.fetch_add(count, Ordering::Relaxed) + count;
        if self.watch.in_head.load(Ordering::Relaxed) && read > self.head_bytes_max {
            // A failed read has read nothing.
            buf.set_filled(before);
            return Poll::Ready(Err(io::Error::other(HeadTooLarge {
                only_informational: self.watch.informational.load(Ordering::Relaxed) > 1,
            })));
        }
        outcome
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.watch.has_write_failed() {
            return Poll::Ready(Ok(buf.len()));
        }
        let written = match watchbell_domain::failpoint::at("net.write") {
            Ok(()) => Pin::new(&mut self.stream).poll_write(cx, buf),
            Err(failed) => Poll::Ready(Err(failed.into())),
        };
        self.forgive(written, buf.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all = bufs.iter().map(|buf| buf.len()).sum();
        if self.watch.has_write_failed() {
            return Poll::Ready(Ok(all));
        }
        let written = match watchbell_domain::failpoint::at("net.write") {
            Ok(()) => Pin::new(&mut self.stream).poll_write_vectored(cx, bufs),
            Err(failed) => Poll::Ready(Err(failed.into())),
        };
        self.forgive(written, all)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.watch.has_write_failed() {
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.forgive(flushed, ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A peer that has answered and reads nothing more.
    struct Answered(&'static [u8]);

    impl AsyncRead for Answered {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for Answered {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn f23_a_failed_write_leaves_the_early_answer_to_be_read() {
        let watch = Arc::new(Watch::default());
        let mut stream = Watched::new(Box::new(Answered(b"HTTP/1.1 202 X")), Arc::clone(&watch), 1024);
        watch.begin();
        stream.write_all(&[0; 4096]).await.unwrap();
        stream.flush().await.unwrap();
        assert!(watch.has_write_failed() && watch.is_silent());
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"HTTP/1.1 202 X");
        assert!(!watch.is_silent());
    }

    #[tokio::test]
    async fn f14_a_head_is_not_read_beyond_its_bound() {
        let watch = Arc::new(Watch::default());
        let mut stream = Watched::new(Box::new(Answered(&[b'x'; 100])), Arc::clone(&watch), 99);
        watch.begin();
        let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert!(error.get_ref().is_some_and(|inner| inner.is::<HeadTooLarge>()));
    }
}
