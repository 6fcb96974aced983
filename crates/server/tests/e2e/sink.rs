//! A receiver: takes webhooks on any path, tells the test of each, answers as the path says.
//!
//! `/hang/…` never answers, `/down/…` answers 503, `/again/…` answers 503 to the first attempt of a delivery; every other
//! path answers 204 at once.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// One webhook as it arrived.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) at: Instant,
}

/// A receiver on a free port of loopback.
pub(crate) struct Sink {
    pub(crate) url: String,
    pub(crate) arrivals: mpsc::UnboundedReceiver<Arrival>,
}

impl Sink {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (tell, arrivals) = mpsc::unbounded_channel();
        let met = Arc::<Mutex<BTreeSet<Vec<u8>>>>::default();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).ok();
                let (tell, met) = (tell.clone(), Arc::clone(&met));
                let service = service_fn(move |request| answer(request, tell.clone(), Arc::clone(&met)));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { url, arrivals }
    }
}

#[expect(clippy::disallowed_methods, reason = "the body is limited; arrival times are what is measured")]
async fn answer(
    request: Request<Incoming>,
    tell: mpsc::UnboundedSender<Arrival>,
    met: Arc<Mutex<BTreeSet<Vec<u8>>>>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, 8 << 20).collect().await else {
        return Ok(status(StatusCode::BAD_REQUEST));
    };
    let path = head.uri.path().to_owned();
    let hangs = path.starts_with("/hang");
    let id = head.headers.get("webhook-id").map(|id| id.as_bytes().to_vec()).unwrap_or_default();
    let is_new = met.lock().unwrap().insert(id);
    let is_down = path.starts_with("/down") || (path.starts_with("/again") && is_new);
    tell.send(Arrival { path, headers: head.headers, body: body.to_bytes(), at: Instant::now() }).ok();
    if hangs {
        std::future::pending::<()>().await;
    }
    Ok(status(if is_down { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NO_CONTENT }))
}

fn status(status: StatusCode) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    response
}
