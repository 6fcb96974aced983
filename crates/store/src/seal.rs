//! Secrets at rest: XChaCha20-Poly1305, bound to the place where they stand.
//!
//! ```text
//! sealed = version (1) ‖ key id (8) ‖ nonce (24) ‖ ciphertext ‖ tag (16)
//! bound  = version ‖ key id ‖ organisation (16) ‖ length of object (4) ‖ object ‖ table.field
//! ```
//!
//! What is bound is authenticated and not stored: a ciphertext copied to another organisation, object or field does not
//! open. Nonces are 24 random bytes, so no counter has to survive a restart.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use watchbell_domain::id::OrgId;
use watchbell_domain::port::Entropy;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const KEY_ID_BYTES: usize = 8;
const NONCE_BYTES: usize = 24;
const HEAD_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;
const TEXT_PREFIX: &str = "wbk1_";

/// Names a key without telling it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SealingKeyId(pub [u8; KEY_ID_BYTES]);

impl fmt::Display for SealingKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A key for secrets at rest. Wiped on drop, never printed.
#[derive(Clone)]
pub struct SealingKey {
    id: SealingKeyId,
    bytes: Zeroizing<[u8; 32]>,
}

impl SealingKey {
    /// A key of 32 random bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let digest = Sha256::new().chain_update(b"watchbell sealing key id\0").chain_update(bytes).finalize();
        let mut id = [0; KEY_ID_BYTES];
        for (to, from) in id.iter_mut().zip(digest) {
            *to = from;
        }
        Self { id: SealingKeyId(id), bytes: Zeroizing::new(bytes) }
    }

    /// A new key.
    pub fn make(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(&mut *bytes);
        Self::from_bytes(*bytes)
    }

    /// Reads the text form, `wbk1_` and 64 hex digits, as it stands in a key file or a variable.
    ///
    /// # Errors
    /// When the text is anything else. The error does not repeat it.
    pub fn parse(text: &str) -> Result<Self, MalformedKey> {
        let digits = text.trim_ascii().strip_prefix(TEXT_PREFIX).ok_or(MalformedKey)?;
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits, &mut *bytes).map_err(|_| MalformedKey)?;
        Ok(Self::from_bytes(*bytes))
    }

    /// The text form. Whoever has it can read every secret.
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{TEXT_PREFIX}{}", hex::encode(*self.bytes)))
    }

    /// The key's name.
    pub const fn id(&self) -> SealingKeyId {
        self.id
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(*self.bytes))
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({}, [redacted])", self.id)
    }
}

/// The text is not a sealing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealing key is wbk1_ and 64 hex digits")]
pub struct MalformedKey;

/// Where a sealed value stands.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The organisation that owns it.
    pub org: OrgId,
    /// The object in which it stands: an id's bytes, or another name unique in the organisation.
    pub object: &'a [u8],
    /// The table.
    pub table: &'static str,
    /// The column.
    pub field: &'static str,
}

/// The keys in use: the first seals, all open.
#[derive(Debug, Clone)]
pub struct SealingKeys {
    first: SealingKey,
    older: Vec<SealingKey>,
}

impl SealingKeys {
    /// `first` seals and opens, `older` only open.
    pub fn new(first: SealingKey, older: Vec<SealingKey>) -> Self {
        Self { first, older }
    }

    /// The names of all keys, the sealing one first.
    pub fn ids(&self) -> impl Iterator<Item = SealingKeyId> {
        self.all().map(SealingKey::id)
    }

    fn all(&self) -> impl Iterator<Item = &SealingKey> {
        std::iter::once(&self.first).chain(&self.older)
    }

    /// Encrypts `secret` for `place`.
    ///
    /// # Errors
    /// When `secret` is longer than the cipher takes (256 GiB).
    pub fn seal(&self, place: Place<'_>, secret: &[u8], entropy: &dyn Entropy) -> Result<Vec<u8>, SealError> {
        let key = &self.first;
        let mut nonce = [0; NONCE_BYTES];
        entropy.fill(&mut nonce);
        let bound = bound(key.id, place);
        let payload = Payload { msg: secret, aad: &bound };
        let ciphertext = key.cipher().encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::TooLong)?;
        let mut sealed = Vec::with_capacity(HEAD_BYTES + ciphertext.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&key.id.0);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }

    /// Decrypts what was sealed for `place`.
    ///
    /// # Errors
    /// When it was sealed by a key that is not here, for another place, or was changed.
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (version, rest) = sealed.split_first().ok_or(SealError::Malformed)?;
        if *version != VERSION {
            return Err(SealError::Malformed);
        }
        let (key_id, rest) = rest.split_first_chunk::<KEY_ID_BYTES>().ok_or(SealError::Malformed)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Malformed)?;
        let key_id = SealingKeyId(*key_id);
        let key = self.all().find(|key| key.id == key_id).ok_or(SealError::UnknownKey(key_id))?;
        let bound = bound(key_id, place);
        let payload = Payload { msg: ciphertext, aad: &bound };
        let secret = key.cipher().decrypt(&XNonce::from(*nonce), payload);
        secret.map(Zeroizing::new).map_err(|_| SealError::NotAuthentic)
    }
}

/// Why sealing or opening failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The secret is longer than the cipher takes.
    #[error("the secret is too long to be sealed")]
    TooLong,
    /// Not in the format of this module.
    #[error("not a sealed value")]
    Malformed,
    /// Sealed by a key that is not here.
    #[error("sealed by the unknown key {0}")]
    UnknownKey(SealingKeyId),
    /// Changed, or sealed for another place.
    #[error("the sealed value was changed, or belongs elsewhere")]
    NotAuthentic,
}

fn bound(key: SealingKeyId, place: Place<'_>) -> Vec<u8> {
    let object_bytes = u32::try_from(place.object.len()).unwrap_or(u32::MAX);
    let mut bound = vec![VERSION];
    bound.extend_from_slice(&key.0);
    bound.extend_from_slice(place.org.0.as_bytes());
    bound.extend_from_slice(&object_bytes.to_be_bytes());
    bound.extend_from_slice(place.object);
    bound.extend_from_slice(place.table.as_bytes());
    bound.push(b'.');
    bound.extend_from_slice(place.field.as_bytes());
    bound
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use watchbell_domain::port::testing::SeededEntropy;

    use super::*;

    fn place(org: u128, object: &'static [u8], field: &'static str) -> Place<'static> {
        Place { org: OrgId(Uuid::from_u128(org)), object, table: "endpoint", field }
    }

    #[test]
    fn opens_only_where_it_was_sealed() {
        let entropy = SeededEntropy::new(1);
        let keys = SealingKeys::new(SealingKey::make(&entropy), Vec::new());
        let here = place(1, b"ep", "secrets");
        let sealed = keys.seal(here, b"whsec_hush", &entropy).unwrap();
        assert_eq!(keys.open(here, &sealed).unwrap().as_slice(), b"whsec_hush");
        for elsewhere in [
            place(2, b"ep", "secrets"),
            place(1, b"eq", "secrets"),
            place(1, b"ep", "headers"),
            place(1, b"epe", "secrets"),
        ] {
            assert_eq!(keys.open(elsewhere, &sealed), Err(SealError::NotAuthentic), "{elsewhere:?}");
        }
        assert!(!sealed.windows(5).any(|window| window == b"whsec"));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let entropy = SeededEntropy::new(2);
        let keys = SealingKeys::new(SealingKey::make(&entropy), Vec::new());
        let here = place(1, b"o", "f");
        let sealed = keys.seal(here, b"secret", &entropy).unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(keys.open(here, &changed).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(keys.open(here, &sealed[..length]).is_err(), "length {length}");
        }
    }

    #[test]
    fn older_keys_open_and_unknown_ones_are_named() {
        let entropy = SeededEntropy::new(3);
        let (old, new) = (SealingKey::make(&entropy), SealingKey::make(&entropy));
        let here = place(1, b"o", "f");
        let sealed = SealingKeys::new(old.clone(), Vec::new()).seal(here, b"s", &entropy).unwrap();
        let rotated = SealingKeys::new(new.clone(), vec![old.clone()]);
        assert!(rotated.open(here, &sealed).is_ok());
        assert_eq!(&rotated.seal(here, b"s", &entropy).unwrap()[1..9], &new.id().0);
        let without = SealingKeys::new(new, Vec::new());
        assert_eq!(without.open(here, &sealed), Err(SealError::UnknownKey(old.id())));
    }

    #[test]
    fn the_same_secret_never_looks_the_same() {
        let entropy = SeededEntropy::new(4);
        let keys = SealingKeys::new(SealingKey::make(&entropy), Vec::new());
        let here = place(1, b"o", "f");
        assert_ne!(keys.seal(here, b"s", &entropy), keys.seal(here, b"s", &entropy));
    }

    #[test]
    fn the_text_form_is_read_back_and_never_printed() {
        let key = SealingKey::make(&SeededEntropy::new(5));
        let text = key.expose();
        assert_eq!(SealingKey::parse(&format!("{}\n", *text)).unwrap().id(), key.id());
        let digits = text.strip_prefix(TEXT_PREFIX).unwrap();
        assert!(!format!("{key:?}").contains(digits));
        for wrong in ["", "wbk1_", "wbk1_00", digits, &format!("{}00", *text)] {
            assert_eq!(SealingKey::parse(wrong).unwrap_err(), MalformedKey);
        }
    }
}
