//! Which connections find a place.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Options;
use super::proxies::{TrustedProxies, counted};

/// How many connections there are, in all and from each address. A trusted proxy has as many as there are.
#[derive(Debug)]
pub(super) struct Admission {
    slots: Arc<Semaphore>,
    by_address: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
    per_address_max: usize,
    trusted: TrustedProxies,
}

impl Admission {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(options.connections_max)),
            by_address: Arc::default(),
            per_address_max: options.connections_per_address_max,
            trusted: options.trusted_proxies.clone(),
        }
    }

    pub(super) fn admit(&self, address: IpAddr) -> Option<Place> {
        let slot = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        let is_proxy = self.trusted.contain(address);
        let address = counted(address);
        let mut counts = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= self.per_address_max && !is_proxy {
            return None;
        }
        *count += 1;
        Some(Place { _slot: slot, address, by_address: Arc::clone(&self.by_address) })
    }
}

/// A connection's place among the others, given back on drop.
#[derive(Debug)]
pub(super) struct Place {
    _slot: OwnedSemaphorePermit,
    address: IpAddr,
    by_address: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}
