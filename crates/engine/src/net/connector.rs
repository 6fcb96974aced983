//! From a host to an open connection: look up once, judge every address of the answer, dial only those, compare who
//! answered, then TLS with the original name.
//!
//! Where the operator configured a proxy, the addresses are judged as ever, and the proxy is asked for one of them and not
//! for the name: what it connects to is what was judged. The environment's proxies are never asked. Tests and simulations replace [`Resolver`] and [`Dial`], so that the judging
//! in between is the one that runs in production.

use std::fmt::{self, Debug};
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jiff::SignedDuration;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UdpSocket};
use url::{Host, Url};
use watchbell_domain::delivery::AttemptResult;
use watchbell_domain::endpoint::Transport;
use watchbell_domain::port::Clock;
use watchbell_wire::dialect::Carrier;

use super::fault::{self, Fault};
use super::guard::{self, Carried, EgressPolicy, UrlRefused};
use super::identity;
use super::proxy::{self, Proxy};
use super::resolver::Resolver;
use super::tls::{Handshake, Tls};

/// How long one address may keep silent before the next is dialled beside it.
const NEXT_ADDRESS_AFTER: SignedDuration = SignedDuration::from_millis(250);

/// Addresses dialled of one answer. All of them are judged.
const ADDRESSES_DIALLED_MAX: usize = 8;

/// A byte stream.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An open connection to an address.
pub struct Dialled {
    /// Its bytes.
    pub stream: Box<dyn Stream>,
    /// Who answered.
    pub peer: SocketAddr,
}

impl Debug for Dialled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialled").field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// A connection under way.
pub type Dialling<'a> = Pin<Box<dyn Future<Output = io::Result<Dialled>> + Send + 'a>>;

/// Opens connections to addresses that were judged.
pub trait Dial: Send + Sync + Debug {
    /// Connects.
    fn dial(&self, address: SocketAddr) -> Dialling<'_>;

    /// A socket for datagrams to the address and from nobody else.
    fn bind(&self, address: SocketAddr) -> Binding<'_> {
        let _ = address;
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }
}

/// A socket for datagrams under way.
pub type Binding<'a> = Pin<Box<dyn Future<Output = io::Result<UdpSocket>> + Send + 'a>>;

/// TCP.
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpDial;

impl Dial for TcpDial {
    fn dial(&self, address: SocketAddr) -> Dialling<'_> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let peer = stream.peer_addr()?;
            Ok(Dialled { stream: Box::new(stream), peer })
        })
    }

    fn bind(&self, address: SocketAddr) -> Binding<'_> {
        Box::pin(async move {
            let any: IpAddr = match address {
                SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            let socket = UdpSocket::bind((any, 0)).await?;
            socket.connect(address).await?;
            Ok(socket)
        })
    }
}

/// Where a URL leads: what a connection needs to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    host: Host<String>,
    port: u16,
    /// Whose ports it may have.
    carrier: Carrier,
    /// TLS from the first byte, or plain.
    pub(super) tls: bool,
    /// The `Host` header: host, and the port where it is not the scheme's own.
    pub(super) authority: String,
    /// Path and query.
    pub(super) path: String,
}

impl Target {
    fn of(url: &Url) -> Option<Self> {
        let host = url.host()?.to_owned();
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_string(),
        };
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let (carrier, tls) = (Carrier::Http, url.scheme() == "https");
        Some(Self { host, port: url.port_or_known_default()?, carrier, tls, authority, path })
    }
}

/// An open connection, and what was agreed to speak on it.
pub(super) struct Connected {
    pub(super) stream: Box<dyn Stream>,
    pub(super) http2: bool,
}

/// Opens connections, to nowhere but where the policy allows.
#[derive(Debug)]
pub struct Connector {
    policy: EgressPolicy,
    resolver: Arc<dyn Resolver>,
    dial: Arc<dyn Dial>,
    tls: Tls,
    proxy: Option<Proxy>,
    clock: Arc<dyn Clock>,
}

impl Connector {
    /// A connector of these parts.
    pub fn new(
        policy: EgressPolicy,
        resolver: Arc<dyn Resolver>,
        dial: Arc<dyn Dial>,
        tls: Tls,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { policy, resolver, dial, tls, proxy: None, clock }
    }

    /// The same, by way of the operator's proxy.
    #[must_use]
    pub fn through(mut self, proxy: Option<Proxy>) -> Self {
        self.proxy = proxy;
        self
    }

    /// Reads a saved URL again: what was allowed when it was saved may not be any more.
    pub(super) fn target(&self, url: &str) -> Result<Target, UrlRefused> {
        let url = self.policy.check_url(url)?;
        Target::of(&url).ok_or(UrlRefused { code: "endpoint_url_invalid", detail: "the URL names no host".to_owned() })
    }

    /// As [`Self::target`], for who takes `https` alone.
    pub(super) fn https_target(&self, url: &str) -> Result<Target, UrlRefused> {
        let url = self.policy.check_https_url(url)?;
        Target::of(&url).ok_or(UrlRefused { code: "endpoint_url_invalid", detail: "the URL names no host".to_owned() })
    }

    /// As [`Self::target`], of the carriers that are not HTTP; whether it is for datagrams.
    pub(super) fn carried_target(&self, carrier: Carrier, url: &str) -> Result<(Target, bool), UrlRefused> {
        let Carried { host, port, is_tls, is_datagram, .. } = self.policy.check_carried(carrier, url)?;
        let authority = format!("{host}:{port}");
        Ok((Target { host, port, carrier, tls: is_tls, authority, path: String::new() }, is_datagram))
    }

    /// As [`Self::handshake`], where nothing is agreed on what is spoken.
    pub(super) fn bare_handshake(&self, transport: &Transport) -> Result<Handshake, identity::Problem> {
        self.tls.bare_handshake(&transport.tls)
    }

    /// How handshakes with an endpoint of these settings are made.
    pub(super) fn handshake(&self, transport: &Transport) -> Result<Handshake, identity::Problem> {
        self.tls.handshake(&transport.tls, transport.http_version)
    }

    pub(super) async fn connect(&self, target: &Target, handshake: &Handshake) -> Result<Connected, Fault> {
        watchbell_domain::failpoint::at("net.connect").map_err(|failed| fault::of_io(&failed.into()))?;
        let addresses = self.addresses(target).await?;
        let stream = match &self.proxy {
            None => self.dial(&addresses).await?,
            Some(proxy) => self.dial_through(proxy, &addresses).await?,
        };
        if !target.tls {
            return Ok(Connected { stream, http2: false });
        }
        self.secured(target, handshake, stream).await
    }

    /// A socket for datagrams to where the target leads. No proxy takes them: where there is one, nothing goes past it.
    pub(super) async fn datagrams(&self, target: &Target) -> Result<UdpSocket, Fault> {
        if self.proxy.is_some() {
            return Err(proxy::fault("it takes no datagrams"));
        }
        let addresses = self.addresses(target).await?;
        let mut latest = Fault::from(AttemptResult::ConnectUnreachable);
        for address in addresses.into_iter().take(ADDRESSES_DIALLED_MAX) {
            match self.dial.bind(address).await {
                Ok(socket) => return Ok(socket),
                Err(error) => latest = fault::of_io(&error),
            }
        }
        Err(latest)
    }

    /// TLS on an open connection, with the original name.
    pub(super) async fn secured(
        &self,
        target: &Target,
        handshake: &Handshake,
        stream: Box<dyn Stream>,
    ) -> Result<Connected, Fault> {
        let name = server_name(&target.host)?;
        let stream = handshake.connector().connect(name, stream).await.map_err(|error| fault::of_handshake(&error))?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        if handshake.http2_only && !http2 {
            return Err(Fault::new(AttemptResult::TlsProtocol, "the server did not agree to speak HTTP/2"));
        }
        Ok(Connected { stream: Box::new(stream), http2 })
    }

    async fn dial(&self, addresses: &[SocketAddr]) -> Result<Box<dyn Stream>, Fault> {
        let dialled = self.dial_first(addresses).await?;
        match addresses.contains(&dialled.peer) {
            true => Ok(dialled.stream),
            false => Err(AttemptResult::EgressForbidden.into()),
        }
    }

    /// Asks the proxy for one address after the other. Whom the operator configured is not judged.
    async fn dial_through(&self, proxy: &Proxy, addresses: &[SocketAddr]) -> Result<Box<dyn Stream>, Fault> {
        let its_own = match &proxy.host {
            Host::Ipv4(address) => vec![SocketAddr::new((*address).into(), proxy.port)],
            Host::Ipv6(address) => vec![SocketAddr::new((*address).into(), proxy.port)],
            Host::Domain(name) if guard::is_localhost(name) => guard::loopback_addresses(proxy.port).collect(),
            Host::Domain(name) => match self.resolver.resolve(name).await {
                Ok(found) => found.into_iter().map(|ip| SocketAddr::new(ip, proxy.port)).collect(),
                Err(_) => return Err(proxy::fault("its name has no address")),
            },
        };
        let mut latest = proxy::fault("it was not asked");
        for address in addresses.iter().take(ADDRESSES_DIALLED_MAX) {
            let dialled = self.dial_first(&its_own).await.map_err(|_| proxy::fault("it cannot be reached"))?;
            match proxy.tunnel(dialled.stream, *address).await {
                Ok(stream) => return Ok(stream),
                Err(fault) => latest = fault,
            }
        }
        Err(latest)
    }

    /// The addresses to dial, judged. One that is forbidden condemns the whole answer.
    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, Fault> {
        let port = target.port;
        let addresses: Vec<IpAddr> = match &target.host {
            Host::Ipv4(address) => vec![(*address).into()],
            Host::Ipv6(address) => vec![(*address).into()],
            Host::Domain(name) if guard::is_localhost(name) => {
                // Not a name that anybody else answers for; of its addresses only the opened ones are meant.
                let opened = guard::loopback_addresses(port)
                    .filter(|address| self.policy.check_address_for(target.carrier, *address).is_ok());
                opened.map(|address| address.ip()).collect()
            }
            Host::Domain(name) => self
                .resolver
                .resolve(name)
                .await
                .map_err(|error| Fault::new(AttemptResult::DnsError, error.to_string()))?,
        };
        let addresses: Vec<SocketAddr> = addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
        let all_allowed =
            addresses.iter().all(|address| self.policy.check_address_for(target.carrier, *address).is_ok());
        match all_allowed && !addresses.is_empty() {
            true => Ok(addresses),
            false => Err(AttemptResult::EgressForbidden.into()),
        }
    }

    /// Dials one after the other, the next beside the last when that keeps silent. The first that answers is taken.
    async fn dial_first(&self, addresses: &[SocketAddr]) -> Result<Dialled, Fault> {
        let mut waiting = addresses.iter().take(ADDRESSES_DIALLED_MAX).peekable();
        let mut dialling = FuturesUnordered::new();
        let mut latest = Fault::from(AttemptResult::ConnectUnreachable);
        dialling.extend(waiting.next().map(|address| self.dial.dial(*address)));
        loop {
            let more = waiting.peek().is_some();
            tokio::select! {
                biased;
                dialled = dialling.next() => match dialled {
                    Some(Ok(dialled)) => return Ok(dialled),
                    Some(Err(error)) => {
                        latest = fault::of_io(&error);
                        dialling.extend(waiting.next().map(|address| self.dial.dial(*address)));
                    }
                    None => return Err(latest),
                },
                () = self.clock.sleep(NEXT_ADDRESS_AFTER), if more => {
                    dialling.extend(waiting.next().map(|address| self.dial.dial(*address)));
                }
            }
        }
    }
}

fn server_name(host: &Host<String>) -> Result<ServerName<'static>, Fault> {
    match host {
        Host::Ipv4(address) => Ok(ServerName::IpAddress(IpAddr::from(*address).into())),
        Host::Ipv6(address) => Ok(ServerName::IpAddress(IpAddr::from(*address).into())),
        Host::Domain(name) => ServerName::try_from(name.clone()).map_err(|_| Fault::from(AttemptResult::TlsHostname)),
    }
}
