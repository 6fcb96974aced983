//! From names to addresses. Names are always looked up as fully qualified, so the machine's search domains never apply.
//!
//! Whatever goes wrong is one error: the name could not be looked up, and nothing is dialled.

use std::fmt::Debug;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use jiff::SignedDuration;
use watchbell_domain::port::Clock;

/// A look-up under way.
pub type Lookup<'a> = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, ResolveError>> + Send + 'a>>;

/// Looks names up.
pub trait Resolver: Send + Sync + Debug {
    /// Every address of `name` (in lower-case ASCII, without a trailing dot). Never asked for an address literal.
    fn resolve<'a>(&'a self, name: &'a str) -> Lookup<'a>;
}

/// The name could not be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// No such name, no addresses, a server's refusal or failure.
    #[error("the name has no address")]
    NoAddress,
    /// No answer in time.
    #[error("no name server answered in time")]
    Timeout,
}

/// How names are looked up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which servers to ask; empty: the system's.
    pub servers: Vec<SocketAddr>,
    /// The longest wait for an answer, everything included.
    pub timeout: SignedDuration,
}

/// Asks name servers over UDP and TCP. Answers are kept for their time to live.
#[derive(Debug)]
pub struct DnsResolver {
    resolver: TokioResolver,
    clock: Arc<dyn Clock>,
    timeout: SignedDuration,
}

impl DnsResolver {
    /// A resolver. Reads the system's configuration where no server is given.
    ///
    /// # Errors
    /// When the system's configuration cannot be read.
    pub fn new(options: &Options, clock: Arc<dyn Clock>) -> Result<Self, NetError> {
        let provider = TokioRuntimeProvider::default();
        let mut builder = match options.servers.as_slice() {
            [] => TokioResolver::builder(provider)?,
            servers => {
                let servers = servers.iter().map(name_server).collect();
                TokioResolver::builder_with_config(ResolverConfig::from_name_servers(servers), provider)
            }
        };
        set_options(builder.options_mut(), options);
        Ok(Self { resolver: builder.build()?, clock, timeout: options.timeout })
    }
}

impl Resolver for DnsResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> Lookup<'a> {
        Box::pin(async move {
            let fully_qualified = format!("{name}.");
            let lookup = self.resolver.lookup_ip(fully_qualified);
            let answer = tokio::select! {
                biased;
                answer = lookup => answer.map_err(|_| ResolveError::NoAddress)?,
                () = self.clock.sleep(self.timeout) => return Err(ResolveError::Timeout),
            };
            let addresses: Vec<IpAddr> = answer.iter().collect();
            match addresses.is_empty() {
                true => Err(ResolveError::NoAddress),
                false => Ok(addresses),
            }
        })
    }
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut connections {
        connection.port = address.port();
    }
    NameServerConfig::new(address.ip(), true, connections)
}

fn set_options(to: &mut ResolverOpts, options: &Options) {
    // Both families are asked for: a private address in either one condemns the name.
    to.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    if !options.servers.is_empty() {
        to.use_hosts_file = ResolveHosts::Never;
    }
    to.timeout = options.timeout.unsigned_abs();
}
