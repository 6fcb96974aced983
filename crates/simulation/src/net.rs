//! The virtual network: connections are pairs of buffers, hosts answer by script, links are cut and mended.
//!
//! It stands behind the engine's own seams, [`Resolver`] and [`Dial`], so that guard, connector and HTTP client are the
//! real ones. Every endpoint has an address of its own: who is asked says whose endpoint it is.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use jiff::SignedDuration;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use watchbell_domain::id::{EndpointId, OrgId};
use watchbell_domain::port::Clock;
use watchbell_engine::net::connector::{Dial, Dialled, Dialling};
use watchbell_engine::net::resolver::{Lookup, Resolver};
use watchbell_wire::{Dialect, Secret};

use crate::chance::Chance;
use crate::clock::SimClock;
use crate::faults::Faults;
use crate::history::History;
use crate::receiver;

/// All hosts.
#[derive(Debug)]
pub struct Net {
    pub(crate) clock: SimClock,
    pub(crate) history: Arc<History>,
    pub(crate) faults: Arc<Faults>,
    chance: Chance,
    hosts: Mutex<BTreeMap<IpAddr, Arc<Host>>>,
}

/// One endpoint's machine.
#[derive(Debug)]
pub struct Host {
    /// Whose.
    pub org: OrgId,
    /// Which endpoint's.
    pub endpoint: EndpointId,
    /// What it speaks.
    pub dialect: &'static Dialect,
    state: Mutex<HostState>,
}

#[derive(Debug)]
struct HostState {
    mode: Mode,
    cut: bool,
    waiting: Vec<Waker>,
    chance: Chance,
    secrets: Vec<Secret>,
}

/// How a host behaves for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Answers 2xx soon.
    Well,
    /// So many of a hundred requests meet with something else.
    Flaky(u64),
    /// Answers 500.
    Broken,
    /// Answers 429 or 503 with a `Retry-After`.
    Overloaded,
    /// Takes requests and says nothing.
    Hangs,
    /// Refuses connections.
    Refuses,
    /// Answers 410.
    Gone,
}

impl Net {
    /// An empty network.
    pub fn new(chance: &Chance, clock: SimClock, history: Arc<History>, faults: Arc<Faults>) -> Self {
        Self { clock, history, faults, chance: chance.fork(0x7E7), hosts: Mutex::default() }
    }

    /// A machine for an endpoint that will be made.
    pub fn add(&self, address: IpAddr, org: OrgId, endpoint: EndpointId, dialect: &'static Dialect, secret: Secret) {
        if let Some(host) = self.hosts().get(&address) {
            return host.add_secret(secret);
        }
        let label = match address {
            IpAddr::V4(address) => u64::from(address.to_bits()),
            IpAddr::V6(_) => 0,
        };
        let state = HostState {
            mode: Mode::Well,
            cut: false,
            waiting: Vec::new(),
            chance: self.chance.fork(label),
            secrets: vec![secret],
        };
        let host = Host { org, endpoint, dialect, state: Mutex::new(state) };
        self.hosts().insert(address, Arc::new(host));
    }

    /// The machine at an address.
    pub fn at(&self, address: IpAddr) -> Option<Arc<Host>> {
        self.hosts().get(&address).cloned()
    }

    /// Every machine there is.
    pub fn all(&self) -> Vec<Arc<Host>> {
        self.hosts().values().cloned().collect()
    }

    /// The machines of an endpoint; it has several when it moved.
    pub fn of(&self, endpoint: EndpointId) -> Vec<Arc<Host>> {
        self.all().into_iter().filter(|host| host.endpoint == endpoint).collect()
    }

    fn hosts(&self) -> MutexGuard<'_, BTreeMap<IpAddr, Arc<Host>>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host {
    /// From now on it behaves so.
    pub fn set_mode(&self, mode: Mode) {
        self.state().mode = mode;
    }

    /// How it behaves.
    pub fn mode(&self) -> Mode {
        self.state().mode
    }

    /// It may be signed with this one as well.
    pub fn add_secret(&self, secret: Secret) {
        let mut state = self.state();
        if !state.secrets.contains(&secret) {
            state.secrets.push(secret);
        }
    }

    /// The secrets that a request to it may be signed with.
    pub fn secrets(&self) -> Vec<Secret> {
        self.state().secrets.clone()
    }

    /// Draws from its own chance.
    pub fn draw<T>(&self, draw: impl FnOnce(&mut Chance) -> T) -> T {
        draw(&mut self.state().chance)
    }

    /// Cuts the link to it, or mends it: bytes wait meanwhile.
    pub fn set_cut(&self, cut: bool) {
        let mut state = self.state();
        state.cut = cut;
        if !cut {
            state.waiting.drain(..).for_each(Waker::wake);
        }
    }

    /// Whether it is cut.
    pub(crate) fn is_link_cut(&self) -> bool {
        self.state().cut
    }

    fn is_cut(&self, cx: &Context<'_>) -> bool {
        let mut state = self.state();
        if state.cut {
            state.waiting.push(cx.waker().clone());
        }
        state.cut
    }

    fn state(&self) -> MutexGuard<'_, HostState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolver for Net {
    fn resolve<'a>(&'a self, name: &'a str) -> Lookup<'a> {
        unreachable!("{name} was looked up: hosts have addresses here")
    }
}

impl Dial for Net {
    fn dial(&self, address: SocketAddr) -> Dialling<'_> {
        Box::pin(async move {
            let Some(host) = self.at(address.ip()) else {
                return Err(io::ErrorKind::NetworkUnreachable.into());
            };
            let latency = host.draw(|chance| chance.millis(0, 3));
            self.clock.sleep(latency).await;
            std::future::poll_fn(|cx| if host.is_cut(cx) { Poll::Pending } else { Poll::Ready(()) }).await;
            if host.mode() == Mode::Refuses {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let (near, far) = tokio::io::duplex(4096);
            let reset = Arc::new(AtomicBool::new(false));
            tokio::spawn(receiver::serve(Seat {
                clock: self.clock.clone(),
                history: Arc::clone(&self.history),
                host: Arc::clone(&host),
                stream: far,
                reset: Arc::clone(&reset),
            }));
            let wire = Wire { stream: near, host, faults: Arc::clone(&self.faults), reset };
            Ok(Dialled { stream: Box::new(wire), peer: address })
        })
    }
}

/// A host's end of a connection.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) clock: SimClock,
    pub(crate) history: Arc<History>,
    pub(crate) host: Arc<Host>,
    pub(crate) stream: DuplexStream,
    reset: Arc<AtomicBool>,
}

impl Seat {
    /// Ends the connection the hard way.
    pub(crate) fn reset(self) {
        self.reset.store(true, Ordering::Relaxed);
    }
}

/// The node's end of a connection.
#[derive(Debug)]
struct Wire {
    stream: DuplexStream,
    host: Arc<Host>,
    faults: Arc<Faults>,
    reset: Arc<AtomicBool>,
}

impl Wire {
    /// `Ready` when bytes can pass.
    fn passable(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        // Of a dead process nothing goes out any more.
        if self.faults.is_dead() || self.host.is_cut(cx) {
            return Poll::Pending;
        }
        Poll::Ready(match self.reset.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::ConnectionReset.into()),
            false => Ok(()),
        })
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.passable(cx))?;
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        // The far end closes by a reset or in order; both wake whoever reads.
        if read.is_ready() && buf.filled().len() == before && self.reset.load(Ordering::Relaxed) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        std::task::ready!(self.passable(cx))?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Waits so long, by the world's clock.
pub(crate) async fn pause(clock: &SimClock, wait: SignedDuration) {
    clock.sleep(wait).await;
}
