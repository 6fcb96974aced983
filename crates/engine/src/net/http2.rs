//! One HTTP/2 connection, shared by an endpoint's attempts. Its frames are read by a task of its own, since one attempt's
//! frames carry another's.
//!
//! The connection ends with the last who uses it. Left to itself it would say good-bye first, and a peer that reads nothing
//! could make that last for ever.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::connector::Stream;

/// Bytes of one answer's body that the peer may send before they are read.
const WINDOW_BYTES: u32 = 64 * 1024;

/// The connection. Clones share it.
#[derive(Clone)]
pub(super) struct Http2 {
    sender: SendRequest<Full<Bytes>>,
    /// Ends the tasks.
    _used: Arc<DropGuard>,
}

impl Http2 {
    pub(super) async fn open(
        stream: Box<dyn Stream>,
        head_bytes_max: usize,
        tasks: &TaskTracker,
    ) -> Result<Self, hyper::Error> {
        let unused = CancellationToken::new();
        let used = Arc::new(unused.clone().drop_guard());
        let supervised = Supervised { tasks: tasks.clone(), unused };
        let (sender, driver) = Builder::new(supervised.clone())
            .max_header_list_size(u32::try_from(head_bytes_max).unwrap_or(u32::MAX))
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(16 * WINDOW_BYTES)
            .handshake(TokioIo::new(stream))
            .await?;
        supervised.execute(async move {
            // What broke it is told to each stream.
            driver.await.ok();
        });
        Ok(Self { sender, _used: used })
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

/// Spawns hyper's own tasks where shutdown awaits them, for as long as the connection is used.
#[derive(Clone)]
struct Supervised {
    tasks: TaskTracker,
    unused: CancellationToken,
}

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Supervised {
    fn execute(&self, future: F) {
        self.tasks.spawn(self.unused.clone().run_until_cancelled_owned(future));
    }
}
