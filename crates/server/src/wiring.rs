//! Puts a node together from its parts and runs it. The only module that knows them all.
//!
//! ```text
//!  config ─▶ key file ─▶ store ─▶ first organisation, first key ─▶ guard, resolver, TLS ─▶ delivery loop ─▶ HTTP edge
//! ```
//!
//! Everything that may refuse to start does so before the listener is bound. A node is a value: two fit in one process.

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use watchbell_api::metrics::{Metrics, Requests};
use watchbell_api::serve::Server;
use watchbell_api::{Edge, Parts};
use watchbell_domain::access::{ApiKey, KeyHash, Scope};
use watchbell_domain::audit::{Action, Deed};
use watchbell_domain::id::{KeyId, OrgId};
use watchbell_domain::org::{DEFAULT_SLUG, Org};
use watchbell_domain::port::{Clock, Entropy, KeyStore, OrgStore, PageRequest, StoreError};
use watchbell_engine::delivery;
use watchbell_engine::evidence::Content;
use watchbell_engine::net::client::Client;
use watchbell_engine::net::connector::{Connector, TcpDial};
use watchbell_engine::net::guard::{DeniedPorts, EgressPolicy};
use watchbell_engine::net::resolver::{self, DnsResolver};
use watchbell_engine::net::tls::Tls;
use watchbell_engine::spool::Spool;
use watchbell_engine::upkeep::{poam, retention};
use watchbell_store::key_file::{self, KeyFileError};
use watchbell_store::seal::{SealingKey, SealingKeys};
pub(crate) use watchbell_store::sqlite::DATABASE_FILE;
use watchbell_store::sqlite::{FileSystem, OpenError, OpenOptions, SqliteStore, Threads};
use watchbell_wire::Secret;

use crate::config::{self, Config};
use crate::entropy::OsEntropy;
use crate::figures::Figures;

mod upkeep;

use upkeep::Upkeep;

/// The sealing key's name in the data directory, unless `secrets.key_file` names another.
const KEY_FILE: &str = "secrets.key";

/// The file by whose lock one process has the data directory.
pub(crate) const LOCK_FILE: &str = "watchbell.lock";

/// Large bodies while they are worked on; emptied at the start.
const SPOOL_FOLDER: &str = "spool";

/// The content of documents.
pub(crate) const EVIDENCE_FOLDER: &str = "evidence";

/// Connections that wait to be accepted. The system may allow fewer (`net.core.somaxconn`); the usual 128 are gone in an
/// instant when everybody comes back at once.
const BACKLOG: u32 = 4096;

/// What a made API key begins with.
const KEY_PREFIX: &str = "wb_";

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// Another process has the data directory.
    #[error("the data directory {} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// The database is damaged.
    #[error("{0}")]
    Corrupt(String),
    /// The key file is missing, unsafe or another one.
    #[error("{0}")]
    KeyFile(String),
    /// A setting that shows to be wrong only when it is used.
    #[error("{key}: {problem}")]
    Setting {
        /// Which.
        key: &'static str,
        /// Why.
        problem: String,
    },
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The store refused the first organisation or key.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> Self {
        let text = error.to_string();
        match error {
            OpenError::Locked(data) => Self::Locked(data),
            OpenError::Corrupt { .. } | OpenError::Io { .. } | OpenError::Database(_) => Self::Corrupt(text),
            OpenError::UnknownKey(_) | OpenError::NewerSchema { .. } => Self::KeyFile(text),
        }
    }
}

impl From<KeyFileError> for StartError {
    fn from(error: KeyFileError) -> Self {
        Self::KeyFile(error.to_string())
    }
}

/// Where the sealing key is.
pub(crate) fn key_file(config: &Config) -> PathBuf {
    config.secrets.key_file.clone().unwrap_or_else(|| config.storage.data.join(KEY_FILE))
}

/// A running node.
pub(crate) struct Node {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The API key that was made, on a first start without one.
    pub(crate) made_key: Option<Secret>,
    shutdown: CancellationToken,
    tasks: TaskTracker,
    failed: CancellationToken,
    store: Arc<SqliteStore>,
}

impl Node {
    /// Starts a node that lives by `clock`. With `admin_key` the first API key is that one; without it one is made on the
    /// first start.
    #[expect(clippy::too_many_lines, reason = "everything is made here, in the order in which it is needed")]
    pub(crate) async fn start(
        config: &Config,
        admin_key: Option<Secret>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
        let sealing_key = load_key(config, &*entropy)?;
        let cursor_key = derived(&sealing_key, b"cursors");
        let store = open(config, sealing_key, &clock, &entropy)?;
        let made_key = first_key(&*store, admin_key, clock.now(), &*entropy).await?;

        let policy = policy(config)?;
        let client = Arc::new(client(config, policy.clone(), &clock)?);
        let (wake, woken) = delivery::Handle::channel();
        let observer = Arc::<delivery::Observer>::default();
        let parts = delivery::Parts {
            store: Arc::clone(&store) as _,
            client,
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            observer: Arc::clone(&observer),
        };
        let deliveries = delivery::Supervised::new(config::delivery_options(config), parts, woken)
            .map_err(|error| StartError::Setting { key: "delivery", problem: error.to_string() })?;

        let forgotten = Arc::<retention::Observer>::default();
        let plans = Arc::<poam::Observer>::default();
        let (spool, content) = document_folders(config)?;
        let mut registry = prometheus_client::registry::Registry::default();
        let requests = Requests::register(&mut registry);
        registry.register_collector(Box::new(Figures {
            observer,
            forgotten: Arc::clone(&forgotten),
            plans: Arc::clone(&plans),
            store: Arc::clone(&store),
        }));
        let parts = Parts {
            store: Arc::clone(&store) as _,
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            wake: wake.clone(),
            egress: Arc::new(policy),
            spool,
            content: Arc::clone(&content),
            metrics: Metrics::new(requests, Arc::new(registry)),
        };
        let address = config::listen_address(&config.server.listen)
            .map_err(|problem| StartError::Setting { key: "server.listen", problem })?;
        let listener = listen(address).map_err(|source| StartError::Listen { address, source })?;
        let address = listener.local_addr().map_err(|source| StartError::Listen { address, source })?;
        let edge = Edge::new(parts, config::edge_options(config, address, cursor_key));
        let ready = edge.ready();
        let server = Server {
            router: edge.router(),
            ready: ready.clone(),
            clock: Arc::clone(&clock),
            options: config::serve_options(config),
        };

        let shutdown = CancellationToken::new();
        let loops = Loops::default();
        let upkeep = Upkeep {
            config,
            store: &store,
            clock: &clock,
            entropy: &entropy,
            wake: &wake,
            content: &content,
            plans: &plans,
            forgotten: &forgotten,
        };
        upkeep.spawn(&loops, &shutdown);
        loops.spawn("delivery", deliveries.run(shutdown.clone()));
        loops.spawn("server", server.run(listener, shutdown.clone()));
        ready.set(true);
        let Loops { tasks, failed } = loops;
        Ok(Self { address, made_key, shutdown, tasks, failed, store })
    }

    /// Returns when a loop has panicked: the node cannot do its work any more, and wants to be started again.
    pub(crate) async fn failed(&self) {
        self.failed.cancelled().await;
    }

    /// Ends the node: nothing new is accepted, what runs may end within the grace, everything is written down.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        // The last owner: its threads write what is queued and give up the file.
        drop(self.store);
    }
}

/// What runs as long as the node.
#[derive(Default)]
struct Loops {
    tasks: TaskTracker,
    failed: CancellationToken,
}

impl Loops {
    /// A loop that panics takes no other down, but is missed.
    fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let (work, failed) = (self.tasks.spawn(work), self.failed.clone());
        self.tasks.spawn(async move {
            if work.await.is_err() {
                tracing::error!(name, "a loop has panicked");
                failed.cancel();
            }
        });
    }
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart does not wait for the connections of the process before.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn load_key(config: &Config, entropy: &dyn Entropy) -> Result<SealingKey, StartError> {
    // The key may be the first thing that is ever written to the data directory.
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&config.storage.data).map_err(|error| {
        StartError::Corrupt(format!("the data directory {}: {error}", config.storage.data.display()))
    })?;
    let database = config.storage.data.join(DATABASE_FILE);
    Ok(key_file::load_or_create(&key_file(config), &database, entropy)?)
}

/// Where large bodies are while they are worked on, and where documents stay.
fn document_folders(config: &Config) -> Result<(Spool, Arc<Content>), StartError> {
    let data = &config.storage.data;
    let refused =
        |error: std::io::Error| StartError::Corrupt(format!("the data directory {}: {error}", data.display()));
    let spool = Spool::open(data.join(SPOOL_FOLDER)).map_err(refused)?;
    let content = Content::open(data.join(EVIDENCE_FOLDER)).map_err(refused)?;
    Ok((spool, Arc::new(content)))
}

/// A key for another purpose. Knowing it tells nothing of the sealing key.
fn derived(sealing_key: &SealingKey, purpose: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"watchbell ")
        .chain_update(purpose)
        .chain_update(sealing_key.expose().as_bytes())
        .finalize()
        .into()
}

fn open(
    config: &Config,
    sealing_key: SealingKey,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<Arc<SqliteStore>, StartError> {
    let options = OpenOptions {
        directory: config.storage.data.clone(),
        keys: SealingKeys::new(sealing_key, Vec::new()),
        entropy: Arc::clone(entropy),
        clock: Arc::clone(clock),
        find_dialect: watchbell_wire::dialect::find,
        threads: Threads::default(),
        min_free_bytes: config.storage.min_free_bytes.get(),
        free_space: Arc::new(FileSystem),
        longest_wait: config::longest_wait(config),
        disable_after: config.endpoint.disable_after.get(),
    };
    Ok(Arc::new(SqliteStore::open(options)?))
}

/// The organisation and the key that are there from the first start on. Answers the key if it was made now.
async fn first_key<S: OrgStore + KeyStore>(
    store: &S,
    given: Option<Secret>,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Option<Secret>, StartError> {
    // Not by the slug: it can be changed. The last organisation stays.
    let is_first_start = store.orgs(PageRequest { before: None, limit: 1 }).await?.items.is_empty();
    let made = (given.is_none() && is_first_start).then(|| make_key(entropy));
    if let Some(key) = given.as_ref().or(made.as_ref()) {
        let root = ApiKey {
            id: KeyId::make(now, entropy),
            org_id: None,
            name: "first key".to_owned(),
            scopes: [Scope::Admin].into(),
            hash: KeyHash::of(key.expose()),
            created_at: now,
            expires_at: None,
            revoked_at: None,
            group_id: None,
            member: None,
            last_used_at: None,
        };
        let deed = Deed::of_system("start", Action::ServerRootKey, root.id, now);
        store.set_root_key(root, Some(deed)).await?;
    }
    if is_first_start {
        // Last: a start that was killed before this is a first start again, and shows a key again.
        let org = Org {
            id: OrgId::make(now, entropy),
            slug: DEFAULT_SLUG.to_owned(),
            name: "Default".to_owned(),
            weight: watchbell_domain::org::WEIGHT_DEFAULT,
            created_at: now,
        };
        let deed = Deed::of_system("start", Action::OrgCreate, org.id, now);
        drop(store.create_org(org, deed.into()).await?);
    }
    Ok(made)
}

fn make_key(entropy: &dyn Entropy) -> Secret {
    let mut random = [0; 32];
    entropy.fill(&mut random);
    Secret::new(format!("{KEY_PREFIX}{}", hex::encode(random)))
}

fn policy(config: &Config) -> Result<EgressPolicy, StartError> {
    let refused = |problem: String| StartError::Setting { key: "egress.allow", problem };
    let rules =
        config.egress.allow.iter().map(|rule| rule.parse().map_err(|error| refused(format!("{rule:?}: {error}"))));
    let ports = config.egress.denied_ports.iter().map(config::Ports::as_str);
    let denied_ports = DeniedPorts::parse(ports)
        .map_err(|error| StartError::Setting { key: "egress.denied_ports", problem: error.to_string() })?;
    // Port 0 is not known before it is bound; whoever listens there is not reached from outside.
    let listen = config::listen_address(&config.server.listen).ok().filter(|address| address.port() != 0);
    Ok(EgressPolicy {
        allow: rules.collect::<Result<_, _>>()?,
        allow_http: config.egress.allow_http,
        own_host: config.egress.own_host.clone(),
        own_addresses: listen.into_iter().collect(),
        denied_ports,
        nat64: config.egress.nat64,
    })
}

/// What makes the connections to endpoints.
fn client(config: &Config, policy: EgressPolicy, clock: &Arc<dyn Clock>) -> Result<Client, StartError> {
    let setting = |key: &'static str, problem: String| StartError::Setting { key, problem };
    let extra_ca = match &config.egress.extra_ca_file {
        Some(path) => {
            let pem = std::fs::read(path)
                .map_err(|error| setting("egress.extra_ca_file", format!("{}: {error}", path.display())))?;
            Some(pem)
        }
        None => None,
    };
    let tls = Tls::new(extra_ca.as_deref(), Arc::clone(clock))
        .map_err(|error| setting("egress.extra_ca_file", error.to_string()))?;
    let options = resolver::Options { servers: config::dns_servers(config), timeout: config.egress.dns_timeout.get() };
    let resolver = DnsResolver::new(&options, Arc::clone(clock))
        .map_err(|error| setting("egress.dns_servers", error.to_string()))?;
    let connector = Connector::new(policy, Arc::new(resolver), Arc::new(TcpDial), tls, Arc::clone(clock));
    let proxy = config.egress.proxy.as_ref().map(|proxy| proxy.0.clone());
    Ok(Client::new(connector.through(proxy), Arc::clone(clock), config::exchange_limits(config)))
}
