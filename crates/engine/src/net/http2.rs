//! One HTTP/2 connection, shared by an endpoint's attempts. Its frames are read by a task of its own, since one attempt's
//! frames carry another's.

use std::future::Future;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use tokio_util::task::TaskTracker;

use super::connector::Stream;

/// Bytes of one answer's body that the peer may send before they are read.
const WINDOW_BYTES: u32 = 64 * 1024;

/// The connection. Clones share it.
#[derive(Clone)]
pub(super) struct Http2 {
    sender: SendRequest<Full<Bytes>>,
}

impl Http2 {
    pub(super) async fn open(
        stream: Box<dyn Stream>,
        head_bytes_max: usize,
        tasks: &TaskTracker,
    ) -> Result<Self, hyper::Error> {
        let (sender, driver) = Builder::new(Supervised(tasks.clone()))
            .max_header_list_size(u32::try_from(head_bytes_max).unwrap_or(u32::MAX))
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(16 * WINDOW_BYTES)
            .handshake(TokioIo::new(stream))
            .await?;
        tasks.spawn(async move {
            // What broke it is told to each stream.
            driver.await.ok();
        });
        Ok(Self { sender })
    }

    /// Whether it takes more requests.
    pub(super) fn is_usable(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Sends a request and waits for the complete head of its answer.
    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, hyper::Error> {
        self.sender.ready().await?;
        self.sender.send_request(request).await
    }
}

/// Spawns hyper's own tasks where shutdown awaits them.
#[derive(Clone)]
struct Supervised(TaskTracker);

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Supervised {
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}
