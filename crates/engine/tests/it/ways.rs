//! How an endpoint is reached: with a certificate of our own, by CAs of its own, in the HTTP it wants, through a proxy.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rstest::rstest;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use watchbell_domain::delivery::AttemptResult::{self, *};
use watchbell_domain::endpoint::{ClientIdentity, HttpVersion, TlsSettings, Transport};
use watchbell_engine::net::client::{Client, Exchange};
use watchbell_engine::net::resolver::{Lookup, ResolveError, Resolver};
use watchbell_wire::Secret;

use crate::support::rig::{Net, post_to};
use crate::support::sink::{Sink, Step, answer, exchanges, read_request};

struct Ca {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
}

impl Ca {
    fn new() -> Self {
        let mut params = params(&[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    fn issue(&self, names: &[&str]) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (params(names).signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A client's certificate, and what the server will call it.
    fn client(&self) -> (ClientIdentity, String) {
        let (certificate, key) = self.issue(&[]);
        let identity = ClientIdentity { certificate_pem: certificate.pem(), key_pem: Secret::new(key.serialize_pem()) };
        (identity, called(certificate.der()))
    }
}

/// Valid through 2026, where tests take place.
fn params(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params
}

fn called(certificate: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    certificate.hash(&mut hasher);
    hasher.finish().to_string()
}

/// Answers what was agreed to speak and who asked. With `clients` it wants a certificate of theirs.
async fn server(ca: &Ca, clients: Option<&Ca>, alpn: &[&str]) -> u16 {
    let (certificate, key) = ca.issue(&["hooks.example.com"]);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = match clients {
        None => builder.unwrap().with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.certificate.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.unwrap().with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let mut config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(acceptor.clone(), stream));
        }
    });
    port
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream) {
    let Ok(mut stream) = acceptor.accept(stream).await else {
        return;
    };
    let (_, session) = stream.get_ref();
    let who = session.peer_certificates().map_or("nobody".to_owned(), |chain| called(&chain[0]));
    if session.alpn_protocol() == Some(b"h2") {
        let says = move |_| {
            std::future::ready(Ok::<_, Infallible>(http::Response::new(Full::<Bytes>::from(format!("h2 {who}")))))
        };
        let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service_fn(says));
        serving.await.unwrap_or_default();
        return;
    }
    while read_request(&mut stream).await.is_some() {
        let body = format!("http1 {who}");
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.unwrap_or_default();
    }
}

/// Every name is here.
#[derive(Debug)]
struct Here(IpAddr);

impl Resolver for Here {
    fn resolve<'a>(&'a self, _: &'a str) -> Lookup<'a> {
        Box::pin(async { Ok::<_, ResolveError>(vec![self.0]) })
    }
}

fn net(trusted: Option<&Ca>) -> Net {
    let here = Here(IpAddr::V4(Ipv4Addr::LOCALHOST));
    Net { extra_ca: trusted.map(|ca| ca.certificate.pem()), resolver: Some(Arc::new(here)), ..Net::new() }
}

async fn post_with(client: &Client, port: u16, transport: &Transport) -> Exchange {
    let peer = client.peer_with(&format!("https://hooks.example.com:{port}/hook"), transport).unwrap();
    post_to(client, &peer, "{}").await
}

fn said(exchange: Exchange) -> String {
    let response = exchange.response.unwrap_or_else(|| panic!("{:?} {:?}", exchange.result, exchange.detail));
    String::from_utf8(response.body).unwrap()
}

fn with_tls(client: Option<ClientIdentity>, ca: Option<&Ca>) -> Transport {
    let tls = TlsSettings { client, ca_pem: ca.map(|ca| ca.certificate.pem()) };
    Transport { tls, ..Transport::default() }
}

#[tokio::test]
async fn each_endpoint_shows_its_own_certificate_on_its_own_connections() {
    let (ca, clients) = (Ca::new(), Ca::new());
    let port = server(&ca, Some(&clients), &["h2", "http/1.1"]).await;
    let client = net(Some(&ca)).client();
    // Twice in turn: a session that one had resumed for the other would show the other's name.
    let identities = [clients.client(), clients.client()];
    for (identity, name) in identities.iter().chain(&identities) {
        let transport = with_tls(Some(identity.clone()), None);
        assert_eq!(said(post_with(&client, port, &transport).await), format!("h2 {name}"));
    }
}

#[rstest]
#[case::none(false)]
#[case::of_somebody_else(true)]
#[tokio::test]
async fn t9_who_asks_for_a_certificate_and_gets_none_refuses_us(#[case] shows_another: bool) {
    let (ca, clients) = (Ca::new(), Ca::new());
    let port = server(&ca, Some(&clients), &["http/1.1"]).await;
    let identity = shows_another.then(|| Ca::new().client().0);
    let exchange = post_with(&net(Some(&ca)).client(), port, &with_tls(identity, None)).await;
    assert!(matches!(exchange.result, TlsProtocol | TlsUntrusted), "{exchange:?}");
    assert!(exchange.detail.unwrap().starts_with("TLS alert "));
}

#[tokio::test]
async fn an_endpoints_ca_is_trusted_beside_the_servers_own_and_by_it_alone() {
    let (operators, owners) = (Ca::new(), Ca::new());
    let of_operator = server(&operators, None, &["http/1.1"]).await;
    let of_owner = server(&owners, None, &["http/1.1"]).await;
    let client = net(Some(&operators)).client();
    let own = with_tls(None, Some(&owners));
    assert_eq!(post_with(&client, of_owner, &own).await.result, Http(200));
    assert_eq!(post_with(&client, of_operator, &own).await.result, Http(200));
    assert_eq!(post_with(&client, of_operator, &Transport::default()).await.result, Http(200));
    assert_eq!(post_with(&client, of_owner, &Transport::default()).await.result, TlsUntrusted);
    let another = with_tls(None, Some(&Ca::new()));
    assert_eq!(post_with(&client, of_owner, &another).await.result, TlsUntrusted);
}

#[rstest]
#[case(HttpVersion::Auto, &["h2", "http/1.1"], Ok("h2 nobody"))]
#[case(HttpVersion::Auto, &["http/1.1"], Ok("http1 nobody"))]
#[case(HttpVersion::Http1, &["h2", "http/1.1"], Ok("http1 nobody"))]
#[case(HttpVersion::Http1, &["h2"], Err(TlsProtocol))]
#[case(HttpVersion::Http1, &[], Ok("http1 nobody"))]
#[case(HttpVersion::Http2, &["h2", "http/1.1"], Ok("h2 nobody"))]
#[case(HttpVersion::Http2, &["http/1.1"], Err(TlsProtocol))]
#[case(HttpVersion::Http2, &[], Err(TlsProtocol))]
#[tokio::test]
async fn http_is_spoken_in_the_version_wanted_or_not_at_all(
    #[case] http_version: HttpVersion,
    #[case] alpn: &[&str],
    #[case] wanted: Result<&str, AttemptResult>,
) {
    let ca = Ca::new();
    let port = server(&ca, None, alpn).await;
    let exchange = post_with(&net(Some(&ca)).client(), port, &Transport { http_version, ..Transport::default() }).await;
    match wanted {
        Ok(wanted) => assert_eq!(said(exchange), wanted),
        Err(wanted) => assert_eq!(exchange.result, wanted),
    }
}

/// A proxy that connects to whatever it is asked for, and tells what it was asked.
async fn proxy() -> (u16, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (heard, asked) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let heard = heard.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let address = head.split(' ').nth(1).unwrap().to_owned();
                heard.send(head).unwrap();
                let mut target = TcpStream::connect(address).await.unwrap();
                // What follows the head in the same segment is the endpoint's.
                stream.write_all(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n").await.unwrap();
                copy_bidirectional(&mut stream, &mut target).await.unwrap_or_default();
            });
        }
    });
    (port, asked)
}

#[tokio::test]
async fn a18_a_proxy_is_asked_for_the_address_that_was_judged() {
    let ca = Ca::new();
    let port = server(&ca, None, &["http/1.1"]).await;
    let (proxy, mut asked) = proxy().await;
    let mut net = net(Some(&ca));
    net.proxy = Some(format!("http://us:p%40ss@localhost:{proxy}"));
    let client = net.client();
    assert_eq!(said(post_with(&client, port, &Transport::default()).await), "http1 nobody");
    let address = format!("127.0.0.1:{port}");
    let wanted =
        format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\nProxy-Authorization: Basic dXM6cEBzcw==\r\n\r\n");
    assert_eq!(asked.recv().await.unwrap(), wanted);

    // Plain HTTP goes the same way, and its request does not hold the proxy's password.
    let mut sink = Sink::always(exchanges(1)).await;
    let peer = client.peer(&format!("http://hooks.example.com:{}/hook", sink.address.port())).unwrap();
    assert_eq!(post_to(&client, &peer, "{}").await.result, Http(200));
    assert!(asked.recv().await.unwrap().starts_with(&format!("CONNECT {} ", sink.address)));
    assert!(!sink.request().await.contains("Proxy-"));
}

#[tokio::test]
async fn a18_a_proxy_is_not_asked_for_what_is_forbidden() {
    let (proxy, mut asked) = proxy().await;
    let mut net = net(None);
    net.proxy = Some(format!("http://127.0.0.1:{proxy}"));
    net.resolver = Some(Arc::new(Here("169.254.169.254".parse().unwrap())));
    let exchange = post_with(&net.client(), 443, &Transport::default()).await;
    assert_eq!((exchange.result, exchange.detail), (EgressForbidden, None));
    assert!(asked.try_recv().is_err());
}

#[rstest]
#[case(answer(403), "the egress proxy: it answered 403")]
#[case(answer(407), "the egress proxy: it wants other credentials (407)")]
#[case(Step::Write(b"SSH-2.0-x\r\n\r\n".to_vec()), "the egress proxy: it does not speak HTTP")]
#[case(Step::Write(vec![b'x'; 9000]), "the egress proxy: its answer is too long")]
#[tokio::test]
async fn what_a_proxy_refuses_is_said(#[case] step: Step, #[case] wanted: &str) {
    // Its own request has no body and no length, so the script answers at once.
    let refusing = Sink::always(vec![step, Step::Hang]).await;
    let mut net = net(None);
    net.proxy = Some(format!("http://user:a-password@{}", refusing.address));
    let exchange = post_with(&net.client(), 443, &Transport::default()).await;
    assert_eq!((exchange.result, exchange.detail.as_deref()), (ConnectUnreachable, Some(wanted)));
}
