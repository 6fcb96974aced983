//! One HTTP/1.1 connection, driven by whoever uses it: no task stands between an attempt and its socket.
//!
//! While nobody uses it nobody reads it; [`Http1::is_usable`] looks before the next use whether the peer closed it or sent
//! what nobody asked for.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;

use super::connector::Stream;
use super::watched::{Watch, Watched};

/// The connection.
pub(super) struct Http1 {
    sender: SendRequest<Full<Bytes>>,
    driver: Connection<TokioIo<Watched>, Full<Bytes>>,
    ended: bool,
    watch: Arc<Watch>,
}

impl Http1 {
    pub(super) async fn open(
        stream: Box<dyn Stream>,
        head_bytes_max: usize,
        headers_max: usize,
    ) -> Result<Self, hyper::Error> {
        let watch = Arc::new(Watch::default());
        let io = TokioIo::new(Watched::new(stream, Arc::clone(&watch), head_bytes_max));
        let (sender, driver) =
            Builder::new().max_buf_size(head_bytes_max).max_headers(headers_max).handshake(io).await?;
        Ok(Self { sender, driver, ended: false, watch })
    }

    /// What is known of the exchange under way.
    pub(super) fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }

    /// Whether it can carry another request now: the last exchange is complete and nothing unexpected has come since.
    pub(super) fn is_usable(&mut self) -> bool {
        if self.ended || self.watch.has_write_failed() {
            return false;
        }
        self.poll_driver(&mut Context::from_waker(Waker::noop()));
        !self.ended && self.sender.is_ready()
    }

    /// Sends a request and waits for the complete head of its answer.
    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, hyper::Error> {
        self.watch.begin();
        let mut answer = pin!(self.sender.send_request(request));
        let (driver, ended) = (&mut self.driver, &mut self.ended);
        let outcome = poll_fn(|cx| {
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(answer);
            }
            *ended = *ended || std::pin::Pin::new(&mut *driver).poll(cx).is_ready();
            answer.as_mut().poll(cx)
        })
        .await;
        self.watch.head_done();
        outcome
    }

    /// The next piece of an answer's body.
    pub(super) async fn frame(&mut self, body: &mut Incoming) -> Option<Result<Frame<Bytes>, hyper::Error>> {
        poll_fn(|cx| {
            let mut body = std::pin::Pin::new(&mut *body);
            if let Poll::Ready(frame) = body.as_mut().poll_frame(cx) {
                return Poll::Ready(frame);
            }
            self.poll_driver(cx);
            body.poll_frame(cx)
        })
        .await
    }

    fn poll_driver(&mut self, cx: &mut Context<'_>) {
        // Its error is told to whoever waits for an answer; with nobody waiting, that it ended is all that matters.
        self.ended = self.ended || std::pin::Pin::new(&mut self.driver).poll(cx).is_ready();
    }
}
