//! Connecting, TLS and one HTTP/1.1 exchange.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;
use watchbell_wire::Secret;

use super::{Error, Reply, Request};

/// Why no certificate authorities can be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    /// The file cannot be read as PEM certificates.
    #[error("the CA file {} cannot be used: {problem}", path.display())]
    File { path: PathBuf, problem: String },
    /// TLS cannot be set up at all.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// The system's certificate authorities (a built-in list where the system has none), and those of `ca_file`.
pub(crate) fn trust(ca_file: Option<&Path>) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    if let Some(path) = ca_file {
        let fail = |problem: String| TrustError::File { path: path.to_owned(), problem };
        let certificates = CertificateDer::pem_file_iter(path).map_err(|error| fail(error.to_string()))?;
        let mut count = 0;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| fail(error.to_string()))?;
            roots.add(certificate).map_err(|error| fail(error.to_string()))?;
            count += 1;
        }
        if count == 0 {
            return Err(fail("there is no certificate in it".to_owned()));
        }
    }
    Ok(roots)
}

/// A request's body.
type Sent = UnsyncBoxBody<Bytes, io::Error>;

pub(super) async fn exchange(
    base: &Url,
    key: Option<&Secret>,
    tls: &Arc<ClientConfig>,
    request: Request,
    bytes_max: usize,
) -> Result<Reply, Error> {
    let host = base.host_str().ok_or_else(|| Error::Url(base.to_string()))?;
    let port = base.port_or_known_default().ok_or_else(|| Error::Url(base.to_string()))?;
    let unconnected = |source| Error::Connect { base: base.to_string(), source };
    let tcp = TcpStream::connect((host.trim_matches(['[', ']']), port)).await.map_err(unconnected)?;
    tcp.set_nodelay(true).map_err(unconnected)?;
    let request = build(base, key, request)?;
    if base.scheme() == "http" {
        return send(base, tcp, request, bytes_max).await;
    }
    let failed = |source| Error::Tls { base: base.to_string(), source };
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
        .map_err(|error| failed(io::Error::other(error)))?;
    let stream = TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await.map_err(failed)?;
    send(base, stream, request, bytes_max).await
}

fn build(base: &Url, key: Option<&Secret>, request: Request) -> Result<http::Request<Sent>, Error> {
    let broken = |problem: String| Error::Broken { base: base.to_string(), problem };
    let mut url = base.clone();
    url.set_path(&format!("{}{}", base.path().trim_end_matches('/'), request.path));
    if !request.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&request.query);
    }
    let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let authority = base.port().map_or_else(
        || base.host_str().unwrap_or_default().to_owned(),
        |port| format!("{}:{port}", base.host_str().unwrap_or_default()),
    );
    let mut built = http::Request::builder().method(request.method).uri(target).header(HOST, authority);
    built = built.header("user-agent", concat!("watchbell/", env!("CARGO_PKG_VERSION")));
    if let Some(key) = key {
        let mut value = HeaderValue::try_from(format!("Bearer {}", key.expose()))
            .map_err(|_| broken("the key holds characters that no header may hold".to_owned()))?;
        value.set_sensitive(true);
        built = built.header(AUTHORIZATION, value);
    }
    if let Some(once) = request.idempotency_key {
        built = built.header("idempotency-key", once);
    }
    let body = match (request.upload, request.body) {
        (Some(upload), _) => {
            built = built.header(CONTENT_TYPE, upload.media_type);
            upload.body().map_err(|error| broken(error.to_string()))?.boxed_unsync()
        }
        (None, Some((media_type, body))) => {
            built = built.header(CONTENT_TYPE, media_type);
            whole(body)
        }
        (None, None) => whole(Bytes::new()),
    };
    built.body(body).map_err(|error| broken(error.to_string()))
}

fn whole(body: Bytes) -> Sent {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

async fn send<S>(base: &Url, stream: S, request: http::Request<Sent>, bytes_max: usize) -> Result<Reply, Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let broken = |problem: String| Error::Broken { base: base.to_string(), problem };
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(error.to_string()))?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(|error| broken(error.to_string()))?;
        let (head, body) = answer.into_parts();
        #[expect(clippy::disallowed_methods, reason = "read through Limited")]
        let body = Limited::new(body, bytes_max).collect().await.map_err(|error| broken(error.to_string()))?;
        Ok(Reply { status: head.status, headers: head.headers, body: body.to_bytes() })
    };
    // The connection is driven beside the exchange and ends with it: no task outlives the call.
    tokio::pin!(exchange);
    tokio::select! {
        biased;
        reply = &mut exchange => reply,
        ended = connection => {
            ended.map_err(|error| broken(error.to_string()))?;
            exchange.await
        }
    }
}
