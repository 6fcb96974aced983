//! skeleton
use super::{Credential, Dialect, Secrets};
use crate::{Key, Secret, SecretError};

pub(super) static DIALECT: Dialect = Dialect {
    id: "snyk",
    name: "snyk",
    source: "",
    credential: Credential::SecretGiven,
    secrets: &Spelling,
    inbound: None,
    outbound: None,
};

struct Spelling;

impl Secrets for Spelling {
    fn key(&self, secret: &Secret) -> Result<Key, SecretError> {
        Ok(Key::hmac(secret.expose().as_bytes()))
    }

    fn check(&self, secret: &Secret) -> Result<Secret, SecretError> {
        Ok(secret.clone())
    }

    fn make(&self, random: [u8; 32]) -> Secret {
        Secret::new(hex::encode(random))
    }
}
