//! An endpoint's own sockets. Endpoints never share one, whatever their URLs: what one of them is sent, or answers, cannot
//! turn up in another's exchange.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::SignedDuration;

use super::casing::LatestCasing;
use super::connector::Target;
use super::http1::Http1;
use super::http2::Http2;
use super::tls::Handshake;

/// Where one endpoint's requests go, with the connections that are open to there.
pub struct Peer {
    pub(super) target: Target,
    pub(super) handshake: Handshake,
    pub(super) casing: LatestCasing,
    idle: Mutex<Idle>,
    idle_everywhere: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Idle {
    /// The latest used last.
    http1: Vec<Kept>,
    http2: Option<Shared>,
}

/// An idle connection, counted among all idle ones.
struct Kept {
    connection: Box<Http1>,
    born_at: SignedDuration,
    idle_since: SignedDuration,
    _counted: Counted,
}

/// One of all idle connections.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An HTTP/2 connection, in use or idle.
struct Shared {
    connection: Http2,
    born_at: SignedDuration,
    used_at: SignedDuration,
}

/// A connection taken for one exchange.
pub(super) enum Lent {
    Http1 { connection: Box<Http1>, born_at: SignedDuration },
    Http2 { connection: Http2 },
}

/// How many connections may idle, and how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct IdleLimits {
    pub(super) per_peer: usize,
    pub(super) everywhere: usize,
    pub(super) idle_max: SignedDuration,
    pub(super) age_max: SignedDuration,
}

impl Peer {
    pub(super) fn new(target: Target, handshake: Handshake, idle_everywhere: Arc<AtomicUsize>) -> Self {
        Self { target, handshake, casing: LatestCasing::default(), idle: Mutex::default(), idle_everywhere }
    }

    /// Path and query of the endpoint's URL.
    pub(crate) fn path(&self) -> &str {
        &self.target.path
    }

    /// An open connection that can carry a request now.
    pub(super) fn take(&self, now: SignedDuration, limits: &IdleLimits) -> Option<Lent> {
        let mut idle = self.idle();
        if let Some(shared) = idle.http2.as_mut().filter(|shared| shared.is_young(now, limits)) {
            shared.used_at = now;
            return Some(Lent::Http2 { connection: shared.connection.clone() });
        }
        idle.http2 = None;
        while let Some(mut kept) = idle.http1.pop() {
            if kept.is_young(now, limits) && kept.connection.is_usable() {
                return Some(Lent::Http1 { connection: kept.connection, born_at: kept.born_at });
            }
        }
        None
    }

    /// Keeps a connection for the next exchange, if there is room.
    pub(super) fn keep(
        &self,
        mut connection: Box<Http1>,
        born_at: SignedDuration,
        now: SignedDuration,
        limits: &IdleLimits,
    ) {
        if !connection.is_usable() || now - born_at >= limits.age_max {
            return;
        }
        let before = self.idle_everywhere.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(Arc::clone(&self.idle_everywhere));
        if before >= limits.everywhere {
            return;
        }
        let kept = Kept { connection, born_at, idle_since: now, _counted: counted };
        let mut idle = self.idle();
        if idle.http1.len() < limits.per_peer {
            idle.http1.push(kept);
        }
    }

    /// Keeps a new HTTP/2 connection for the attempts to come.
    pub(super) fn share(&self, connection: &Http2, born_at: SignedDuration) {
        self.idle().http2 = Some(Shared { connection: connection.clone(), born_at, used_at: born_at });
    }

    /// Forgets the HTTP/2 connection: the streams on it go on, no new one is opened.
    pub(super) fn forget_shared(&self) {
        self.idle().http2 = None;
    }

    /// Closes what has idled too long.
    pub(super) fn sweep(&self, now: SignedDuration, limits: &IdleLimits) {
        let mut idle = self.idle();
        idle.http1.retain(|kept| kept.is_young(now, limits));
        if idle.http2.as_ref().is_some_and(|shared| !shared.is_young(now, limits)) {
            idle.http2 = None;
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn is_young(&self, now: SignedDuration, limits: &IdleLimits) -> bool {
        now - self.idle_since < limits.idle_max && now - self.born_at < limits.age_max
    }
}

impl Shared {
    fn is_young(&self, now: SignedDuration, limits: &IdleLimits) -> bool {
        self.connection.is_usable() && now - self.used_at < limits.idle_max && now - self.born_at < limits.age_max
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL's path may hold a credential.
        f.debug_struct("Peer").field("authority", &self.target.authority).finish_non_exhaustive()
    }
}
