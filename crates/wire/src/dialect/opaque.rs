//! Credentials of destinations: made by the destination, and to us a text that goes into a header or a body.

use super::Secrets;
use super::message::KEY_BYTES_MIN;
use crate::{Key, Secret, SecretError};

/// Visible ASCII characters.
pub(super) struct Opaque;

impl Secrets for Opaque {
    fn key(&self, secret: &Secret) -> Result<Key, SecretError> {
        match secret.expose() {
            "" => Err(SecretError::Empty),
            text if text.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(Key::Token(secret.clone())),
            _ => Err(SecretError::Spelling { wanted: "visible ASCII characters without blanks" }),
        }
    }

    fn check(&self, secret: &Secret) -> Result<Secret, SecretError> {
        self.key(secret)?;
        match secret.expose().len() {
            bytes if bytes < KEY_BYTES_MIN => Err(SecretError::Length { bytes, wanted: "at least 16 are wanted" }),
            _ => Ok(secret.clone()),
        }
    }

    fn make(&self, random: [u8; 32]) -> Secret {
        let half: Vec<u8> = random.into_iter().take(16).collect();
        Secret::new(hex::encode(half))
    }
}

/// The text of the first key.
pub(super) fn token<'a>(keys: &'a [Key], wanted: &'static str) -> Result<&'a str, super::EncodeError> {
    let token = keys.iter().find_map(|key| if let Key::Token(token) = key { Some(token.expose()) } else { None });
    token.ok_or(super::EncodeError::Key { wanted })
}
