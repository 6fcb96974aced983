//! From names to addresses. Names are always looked up as fully qualified, so the machine's search domains never apply.
//!
//! Whatever goes wrong is one error: the name could not be looked up, and nothing is dialled.
//!
//! Answers are kept as long as the name server says, by our own clock: a name that moves is followed when its time to live
//! is over, and not before. That a name has no address is kept for a minute at most, since names get mended.

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use jiff::SignedDuration;
use watchbell_domain::port::Clock;

/// What was answered about a name.
#[derive(Debug, Clone)]
struct Kept {
    answer: Result<Vec<IpAddr>, ResolveError>,
    until: SignedDuration,
}

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

/// The longest that an answer is kept, whatever its time to live.
const TTL_MAX: SignedDuration = SignedDuration::from_hours(24);

/// The longest that the absence of one is kept.
const NEGATIVE_TTL_MAX: SignedDuration = SignedDuration::from_secs(60);

/// Names whose answers are kept.
const NAMES_MAX: usize = 10_000;

/// Asks name servers over UDP and TCP. Answers are kept for their time to live.
#[derive(Debug)]
pub struct DnsResolver {
    resolver: TokioResolver,
    kept: Mutex<HashMap<String, Kept>>,
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
        Ok(Self { resolver: builder.build()?, kept: Mutex::default(), clock, timeout: options.timeout })
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, name: &str, answer: &Result<Vec<IpAddr>, ResolveError>, ttl: SignedDuration) {
        if !ttl.is_positive() {
            return;
        }
        let now = self.clock.monotonic();
        let mut kept = self.kept();
        if kept.len() >= NAMES_MAX {
            kept.retain(|_, entry| now < entry.until);
        }
        if kept.len() < NAMES_MAX {
            kept.insert(name.to_owned(), Kept { answer: answer.clone(), until: now + ttl });
        }
    }

    /// Asks, and says for how long the answer holds.
    async fn ask(&self, name: &str) -> (Result<Vec<IpAddr>, ResolveError>, SignedDuration) {
        let lookup = self.resolver.lookup_ip(format!("{name}."));
        let answer = tokio::select! {
            biased;
            answer = lookup => answer,
            () = self.clock.sleep(self.timeout) => return (Err(ResolveError::Timeout), SignedDuration::ZERO),
        };
        match answer {
            Ok(answer) => {
                let ttl = answer.as_lookup().answers().iter().map(|record| record.ttl).min().unwrap_or_default();
                let addresses: Vec<IpAddr> = answer.iter().collect();
                match addresses.is_empty() {
                    true => (Err(ResolveError::NoAddress), SignedDuration::ZERO),
                    false => (Ok(addresses), SignedDuration::from_secs(ttl.into()).min(TTL_MAX)),
                }
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
                let ttl = SignedDuration::from_secs(none.negative_ttl.unwrap_or_default().into());
                (Err(ResolveError::NoAddress), ttl.min(NEGATIVE_TTL_MAX))
            }
            Err(_) => (Err(ResolveError::NoAddress), SignedDuration::ZERO),
        }
    }
}

impl Resolver for DnsResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> Lookup<'a> {
        Box::pin(async move {
            let now = self.clock.monotonic();
            if let Some(kept) = self.kept().get(name).filter(|kept| now < kept.until) {
                return kept.answer.clone();
            }
            let (answer, ttl) = self.ask(name).await;
            self.keep(name, &answer, ttl);
            answer
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
    // What is kept, and for how long, is ours to say.
    to.cache_size = 0;
    to.timeout = options.timeout.unsigned_abs();
}
