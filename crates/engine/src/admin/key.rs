//! API keys: made with at most their maker's own rights.

use std::collections::BTreeSet;

use jiff::Timestamp;
use watchbell_domain::access::{ApiKey, KeyHash, Scope};
use watchbell_domain::id::{GroupId, KeyId, OrgId};
use watchbell_domain::port::Entropy;
use watchbell_wire::Secret;

use super::org::check_name;

/// What a key is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// For people.
    pub name: String,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// When it ceases to work.
    pub expires_at: Option<Timestamp>,
}

/// The key cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The name does not do.
    #[error(transparent)]
    Name(#[from] super::org::Refused),
    /// A key without scopes could do nothing.
    #[error("a key needs at least one scope")]
    NoScopes,
    /// It would be dead at once.
    #[error("expires_at lies in the past")]
    Expired,
    /// Its maker may not do this.
    #[error("a key can give only what it may do itself, and this one lacks {0}")]
    Escalation(Scope),
}

/// The successor of a key, with the same rights, and when the old one ends.
///
/// # Errors
/// [`Refused::Escalation`]: whoever asks may not do all that the key may.
pub fn rotate(
    old: &ApiKey,
    caller: &ApiKey,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<(ApiKey, Secret), Refused> {
    if let Some(scope) = Scope::ALL.iter().copied().find(|scope| old.may(*scope) && !caller.may(*scope)) {
        return Err(Refused::Escalation(scope));
    }
    let (hash, key) = secret(entropy);
    let successor = ApiKey { id: KeyId::make(now, entropy), hash, created_at: now, last_used_at: None, ..old.clone() };
    Ok((successor, key))
}

/// A new key of a group: see [`create`].
///
/// # Errors
/// [`Refused`]
pub fn create_for_group(
    group_id: GroupId,
    spec: Spec,
    maker: &ApiKey,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<(ApiKey, Secret), Refused> {
    let (key, secret) = create(OrgId(uuid::Uuid::nil()), spec, maker, now, entropy)?;
    Ok((ApiKey { org_id: None, group_id: Some(group_id), ..key }, secret))
}

/// 256 random bits, and their hash.
pub(super) fn secret(entropy: &dyn Entropy) -> (KeyHash, Secret) {
    let mut random = [0; 32];
    entropy.fill(&mut random);
    let key = Secret::new(format!("wb_{}", hex::encode(random)));
    (KeyHash::of(key.expose()), key)
}

/// A new key of one organisation: what is stored, and the key itself, which is shown once.
///
/// An `admin` key made here is good for its organisation alone; only the server's first key reaches every one.
///
/// # Errors
/// [`Refused`]
pub fn create(
    org_id: OrgId,
    spec: Spec,
    maker: &ApiKey,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<(ApiKey, Secret), Refused> {
    check_name(&spec.name)?;
    if spec.scopes.is_empty() {
        return Err(Refused::NoScopes);
    }
    if spec.expires_at.is_some_and(|end| end <= now) {
        return Err(Refused::Expired);
    }
    if let Some(scope) = spec.scopes.iter().copied().find(|scope| !maker.may(*scope)) {
        return Err(Refused::Escalation(scope));
    }
    let (hash, key) = secret(entropy);
    let stored = ApiKey {
        id: KeyId::make(now, entropy),
        org_id: Some(org_id),
        name: spec.name,
        scopes: spec.scopes,
        hash,
        created_at: now,
        expires_at: spec.expires_at,
        revoked_at: None,
        group_id: None,
        member: None,
        last_used_at: None,
    };
    Ok((stored, key))
}
