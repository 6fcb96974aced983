//! Certificates, good and bad: rows T1–T11, and HTTP/2.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use jiff::SignedDuration;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
    date_time_ymd,
};
use rstest::rstest;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use watchbell_domain::delivery::AttemptResult::{self, *};
use watchbell_engine::net::resolver::{Lookup, ResolveError, Resolver};

use crate::support::rig::{Net, post, post_to};
use crate::support::sink::{Sink, Step, read_request, write};

pub(crate) type Ca = Issuer<'static, KeyPair>;

/// A certificate authority and its certificate.
pub(crate) fn ca(name: &str) -> (Ca, Certificate) {
    let mut params = params(&[]);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (Issuer::new(params, key), certificate)
}

/// Valid through 2026, where tests take place.
pub(crate) fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params
}

pub(crate) struct Presented {
    pub(crate) chain: Vec<Certificate>,
    pub(crate) key: KeyPair,
    pub(crate) alpn: &'static [&'static [u8]],
}

impl Presented {
    pub(crate) fn leaf(params: &CertificateParams, issuer: &Ca) -> Self {
        let key = KeyPair::generate().unwrap();
        Self { chain: vec![params.signed_by(&key, issuer).unwrap()], key, alpn: &[b"http/1.1"] }
    }

    pub(crate) fn config(self) -> Arc<ServerConfig> {
        let chain = self.chain.iter().map(|certificate| certificate.der().clone()).collect();
        let key = PrivateKeyDer::Pkcs8(self.key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = builder.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap();
        config.alpn_protocols = self.alpn.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    }
}

/// Answers 200 to one request on each connection, then cuts it off without a goodbye.
async fn tls_sink(presented: Presented) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(presented.config());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                if read_request(&mut stream).await.is_some() {
                    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\ncut").await.unwrap_or_default();
                    stream.flush().await.unwrap_or_default();
                }
            });
        }
    });
    address
}

/// Every name is here.
#[derive(Debug)]
struct Here;

impl Resolver for Here {
    fn resolve<'a>(&'a self, _: &'a str) -> Lookup<'a> {
        Box::pin(async { Ok::<_, ResolveError>(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]) })
    }
}

pub(crate) fn net(extra_ca: &Certificate) -> Net {
    Net { extra_ca: Some(extra_ca.pem()), resolver: Some(Arc::new(Here)), ..Net::new() }
}

async fn result(net: &Net, presented: Presented, host: &str) -> AttemptResult {
    let port = tls_sink(presented).await.port();
    post(&net.client(), &format!("https://{host}:{port}/hook"), "{}").await.result
}

#[rstest]
#[case(&["hooks.example.com"], "hooks.example.com", Http(200))]
#[case(&["*.example.com"], "hooks.example.com", Http(200))]
#[case(&["localhost"], "localhost", Http(200))]
#[case(&["127.0.0.1"], "127.0.0.1", Http(200))]
#[case(&["other.example.com"], "hooks.example.com", TlsHostname)]
#[case(&["*.example.com"], "a.hooks.example.com", TlsHostname)]
#[case(&["*.example.com"], "example.com", TlsHostname)]
#[case(&["127.0.0.2"], "127.0.0.1", TlsHostname)]
#[case(&["127.0.0.1"], "hooks.example.com", TlsHostname)]
#[case(&[], "hooks.example.com", TlsHostname)]
#[tokio::test]
async fn t1_t4_t10_t11_names(#[case] names: &[&str], #[case] host: &str, #[case] wanted: AttemptResult) {
    let (ca, root) = ca("root");
    let mut params = params(names);
    // The common name never counts.
    params.distinguished_name.push(DnType::CommonName, "hooks.example.com");
    assert_eq!(result(&net(&root), Presented::leaf(&params, &ca), host).await, wanted);
}

/// An RSA key of so many bits, as far as a certificate shows it.
struct RsaKey(Vec<u8>);

impl RsaKey {
    fn of(bytes: u16) -> Self {
        let integer =
            |bytes: &[u8]| [&[2, 0x82][..], &u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
        let pair =
            [integer(&[&[0, 0x80][..], &vec![1; usize::from(bytes) - 1]].concat()), integer(&[1, 0, 1])].concat();
        Self([&[0x30, 0x82][..], &u16::try_from(pair.len()).unwrap().to_be_bytes(), &pair].concat())
    }
}

impl rcgen::PublicKeyData for RsaKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

/// No server has the key of its certificate: a weak one is told by the certificate, the others fail for the signature.
#[rstest]
#[case(128, TlsWeak)]
#[case(255, TlsWeak)]
#[case(256, TlsUntrusted)]
#[tokio::test]
async fn t6_short_rsa_keys_are_weak(#[case] bytes: u16, #[case] wanted: AttemptResult) {
    let (ca, root) = ca("root");
    let certificate = params(&["hooks.example.com"]).signed_by(&RsaKey::of(bytes), &ca).unwrap();
    let other = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = provider.key_provider.load_private_key(PrivateKeyDer::Pkcs8(other.serialize_der().into())).unwrap();
    let presented = rustls::sign::CertifiedKey::new(vec![certificate.der().clone()], key);
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let resolver = Arc::new(rustls::sign::SingleCertAndKey::from(presented));
    let config = Arc::new(builder.unwrap().with_no_client_auth().with_cert_resolver(resolver));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        TlsAcceptor::from(config).accept(stream).await.map(drop).unwrap_or_default();
    });
    let exchange = post(&net(&root).client(), &format!("https://hooks.example.com:{port}/hook"), "{}").await;
    assert_eq!(exchange.result, wanted, "{exchange:?}");
}

#[rstest]
#[case("*")]
#[case("val*.example.com")]
#[case("*.*.com")]
#[tokio::test]
async fn t4_odd_wildcards(#[case] name: &str) {
    let (ca, root) = ca("root");
    let mut params = params(&[]);
    params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
    let result = result(&net(&root), Presented::leaf(&params, &ca), "value.example.com").await;
    assert!(matches!(result, TlsHostname | TlsUntrusted), "{result:?}");
}

#[tokio::test]
async fn t2_t3_validity() {
    let (ca, root) = ca("root");
    let mut expired = params(&["hooks.example.com"]);
    expired.not_after = date_time_ymd(2026, 5, 31);
    let presented = Presented::leaf(&expired, &ca);
    assert_eq!(result(&net(&root), presented, "hooks.example.com").await, TlsExpired);
    let mut early = params(&["hooks.example.com"]);
    early.not_before = date_time_ymd(2026, 6, 2);
    let presented = Presented::leaf(&early, &ca);
    assert_eq!(result(&net(&root), presented, "hooks.example.com").await, TlsNotYetValid);
}

#[tokio::test]
async fn t1_t2_t5_intermediates() {
    let (root_ca, root) = ca("root");
    let through = |not_after, is_ca| {
        let mut params = params(&[]);
        params.distinguished_name.push(DnType::CommonName, "intermediate");
        params.is_ca = is_ca;
        params.not_after = not_after;
        let key = KeyPair::generate().unwrap();
        let intermediate = params.signed_by(&key, &root_ca).unwrap();
        let issuer = Issuer::new(params, key);
        let mut presented = Presented::leaf(&self::params(&["hooks.example.com"]), &issuer);
        presented.chain.push(intermediate);
        presented
    };
    let authority = || IsCa::Ca(BasicConstraints::Unconstrained);
    let net = net(&root);
    let good = through(date_time_ymd(2027, 1, 1), authority());
    assert_eq!(result(&net, good, "hooks.example.com").await, Http(200));
    let mut missing = through(date_time_ymd(2027, 1, 1), authority());
    missing.chain.pop();
    assert_eq!(result(&net, missing, "hooks.example.com").await, TlsUntrusted);
    let expired = through(date_time_ymd(2026, 2, 1), authority());
    assert_eq!(result(&net, expired, "hooks.example.com").await, TlsExpired);
    let no_authority = through(date_time_ymd(2027, 1, 1), IsCa::ExplicitNoCa);
    assert_eq!(result(&net, no_authority, "hooks.example.com").await, TlsUntrusted);
}

#[tokio::test]
async fn t5_nobody_we_trust() {
    let (_, root) = ca("root");
    let (unknown_ca, unknown) = ca("unknown");
    let mut presented = Presented::leaf(&params(&["hooks.example.com"]), &unknown_ca);
    presented.chain.push(unknown);
    assert_eq!(result(&net(&root), presented, "hooks.example.com").await, TlsUntrusted);

    let key = KeyPair::generate().unwrap();
    let own = params(&["hooks.example.com"]).self_signed(&key).unwrap();
    let presented = Presented { chain: vec![own], key, alpn: &[] };
    assert_eq!(result(&net(&root), presented, "hooks.example.com").await, TlsUntrusted);
}

#[tokio::test]
async fn t5_a_certificate_for_clients_is_none_for_servers() {
    let (ca, root) = ca("root");
    let mut params = params(&["hooks.example.com"]);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let result = result(&net(&root), Presented::leaf(&params, &ca), "hooks.example.com").await;
    assert_eq!(result, TlsUntrusted);
}

#[rstest]
#[case(vec![write("HTTP/1.1 400 Bad Request\r\n\r\n")])]
#[case(vec![write("garbage garbage garbage")])]
// A fatal alert: handshake_failure, in a TLS 1.2 record.
#[case(vec![write([21, 3, 3, 0, 2, 2, 40])])]
// A ServerHello that chooses TLS 1.0.
#[case(vec![write([&[22, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1][..], &[7; 32], &[0, 0, 0x2f, 0]].concat())])]
#[tokio::test]
async fn t7_t8_no_tls_or_none_that_we_speak(#[case] mut script: Vec<Step>) {
    script.push(Step::Hang);
    let sink = Sink::always(script).await;
    let url = sink.url().replace("http:", "https:");
    assert_eq!(post(&Net::new().client(), &url, "{}").await.result, TlsProtocol);
}

#[tokio::test]
async fn t8_silence_on_the_tls_port_ends_at_the_connect_timeout() {
    let sink = Sink::always(vec![Step::Hang]).await;
    let url = sink.url().replace("http:", "https:");
    let net = Net::new();
    let client = net.client();
    let later = async {
        while sink.connections() == 0 {
            tokio::task::yield_now().await;
        }
        net.clock.advance(SignedDuration::from_secs(5));
    };
    let (exchange, ()) = tokio::join!(post(&client, &url, "{}"), later);
    assert_eq!(exchange.result, ConnectTimeout);
}

#[tokio::test]
async fn t8_closed_or_reset_within_the_handshake() {
    for (script, wanted) in [(vec![], ConnectionClosed), (vec![Step::Reset], ConnectionReset)] {
        let sink = Sink::always(script).await;
        let url = sink.url().replace("http:", "https:");
        let result = post(&Net::new().client(), &url, "{}").await.result;
        // Which of the two it is depends on whether our hello was read before the end.
        assert!(result == wanted || result == ConnectionReset, "{result:?}");
    }
}

#[tokio::test]
async fn http2_where_it_is_offered_on_one_connection() {
    let (ca, root) = ca("root");
    let mut presented = Presented::leaf(&params(&["hooks.example.com"]), &ca);
    presented.alpn = &[b"h2", b"http/1.1"];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(presented.config());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let stream = acceptor.accept(stream).await.unwrap();
            let serve = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service_fn(echo));
            tokio::spawn(serve);
        }
    });
    let client = net(&root).client();
    let peer = client.peer(&format!("https://hooks.example.com:{port}/hook?x=y")).unwrap();
    for number in 0..5 {
        let body = format!("body {number}");
        let exchange = post_to(&client, &peer, &body).await;
        assert_eq!(exchange.result, Http(200));
        let response = exchange.response.unwrap();
        let seen = String::from_utf8(response.body).unwrap();
        assert_eq!(seen, format!("https://hooks.example.com:{port}/hook?x=y one {body}"));
        assert!(!response.truncated);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    drop(peer);
    client.closed().await;
}

/// What an HTTP/2 server does with the streams it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Answer,
    Reset(h2::Reason),
    /// Takes no more streams, this one included.
    GoAway,
}

/// Each connection treats its first stream so; later connections as the last.
async fn http2_sink(presented: Presented, treatment: Vec<Stream>) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(presented.config());
    let streams = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&streams);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let stream = acceptor.accept(stream).await.unwrap();
            let (count, treatment) = (Arc::clone(&count), treatment.clone());
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    let number = count.fetch_add(1, Ordering::SeqCst);
                    match treatment.get(number).or(treatment.last()).unwrap() {
                        Stream::Answer => {
                            respond.send_response(http::Response::new(()), true).unwrap();
                        }
                        Stream::Reset(reason) => respond.send_reset(*reason),
                        Stream::GoAway => connection.abrupt_shutdown(h2::Reason::NO_ERROR),
                    }
                }
            });
        }
    });
    (port, streams)
}

#[rstest]
#[case(vec![Stream::Reset(h2::Reason::REFUSED_STREAM), Stream::Answer], Http(200), 2)]
#[case(vec![Stream::Reset(h2::Reason::REFUSED_STREAM)], ConnectionReset, 2)]
#[case(vec![Stream::Reset(h2::Reason::INTERNAL_ERROR), Stream::Answer], ConnectionReset, 1)]
#[tokio::test]
async fn f24_f25_http2_resends_only_what_was_not_processed(
    #[case] treatment: Vec<Stream>,
    #[case] wanted: AttemptResult,
    #[case] streams: usize,
) {
    let (ca, root) = ca("root");
    let mut presented = Presented::leaf(&params(&["hooks.example.com"]), &ca);
    presented.alpn = &[b"h2"];
    let (port, count) = http2_sink(presented, treatment).await;
    let url = format!("https://hooks.example.com:{port}/hook");
    assert_eq!(post(&net(&root).client(), &url, "{}").await.result, wanted);
    assert_eq!(count.load(Ordering::SeqCst), streams);
}

#[tokio::test]
async fn f25_a_connection_that_goes_away_costs_the_attempt_and_not_the_next() {
    let (ca, root) = ca("root");
    let mut presented = Presented::leaf(&params(&["hooks.example.com"]), &ca);
    presented.alpn = &[b"h2"];
    let (port, _) = http2_sink(presented, vec![Stream::GoAway, Stream::Answer]).await;
    let client = net(&root).client();
    let peer = client.peer(&format!("https://hooks.example.com:{port}/hook")).unwrap();
    let first = post_to(&client, &peer, "{}").await.result;
    assert!(matches!(first, Http(200) | ConnectionClosed | ConnectionReset), "{first:?}");
    assert_eq!(post_to(&client, &peer, "{}").await.result, Http(200));
}

async fn echo(request: http::Request<hyper::body::Incoming>) -> Result<http::Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let headers: BTreeMap<_, _> = parts.headers.iter().map(|(name, value)| (name.as_str(), value)).collect();
    let id = headers["x-snyk-transport-id"].to_str().unwrap().to_owned();
    assert!(!headers.contains_key("host"));
    #[expect(clippy::disallowed_methods, reason = "what is collected here is limited")]
    let body = Limited::new(body, 1024).collect().await.unwrap().to_bytes();
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(http::Response::new(format!("{} {id} {body}", parts.uri).into()))
}
