//! What turns stored bytes into secrets and stored names into dialects.

use std::sync::Arc;

use watchbell_domain::port::Entropy;
use watchbell_wire::Dialect;
use zeroize::Zeroizing;

use super::error::Result;
use super::row::corrupt;
use crate::seal::{Place, SealingKeys};

/// Finds a dialect by the id that is stored.
pub type FindDialect = fn(&str) -> Option<&'static Dialect>;

/// Keys, chance and dialects: what rows need to be written and read.
#[derive(Debug)]
pub(super) struct Vault {
    pub(super) keys: SealingKeys,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) find_dialect: FindDialect,
}

impl Vault {
    pub(super) fn seal(&self, place: Place<'_>, secret: &[u8]) -> Result<Vec<u8>> {
        let sealed = self.keys.seal(place, secret, &*self.entropy);
        sealed.map_err(|problem| corrupt(place.table, place.field, hex::encode(place.object), problem))
    }

    pub(super) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let secret = self.keys.open(place, sealed);
        secret.map_err(|problem| corrupt(place.table, place.field, hex::encode(place.object), problem))
    }
}
