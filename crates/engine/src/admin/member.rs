//! Members: invited with at most the rights of whoever invites them.

use jiff::{SignedDuration, Timestamp};
use watchbell_domain::access::{ApiKey, KeyHash, Scope};
use watchbell_domain::id::{KeyId, MemberId, OrgId};
use watchbell_domain::member::{Invitation, Member, Membership, Role};
use watchbell_domain::port::Entropy;
use watchbell_wire::Secret;

use super::org::check_name;

/// How long an invitation can be taken.
pub const INVITATION_AGE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Longest address, in bytes (RFC 5321, 4.5.3.1.3, without the brackets).
const EMAIL_BYTES_MAX: usize = 254;

/// It cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The name does not do.
    #[error(transparent)]
    Name(#[from] super::org::Refused),
    /// Not an address.
    #[error("an e-mail address has one @ with something on either side, no blanks, and at most 254 bytes")]
    Email,
    /// Whoever asks may not do this himself.
    #[error("only who may do all that the role {role} may can give or take it, and this key lacks {missing}")]
    Escalation {
        /// The role.
        role: &'static str,
        /// The first scope that it has and the caller has not.
        missing: Scope,
    },
}

/// A member to be, and the token of the invitation, which is shown once.
///
/// # Errors
/// [`Refused`]
pub fn invite(
    org_id: OrgId,
    email: &str,
    name: Option<&str>,
    role: Role,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<(Member, Secret), Refused> {
    let email = checked_email(email)?;
    let name = name.unwrap_or(&email).to_owned();
    check_name(&name)?;
    let (invitation, token) = invitation(now, entropy);
    let id = MemberId::make(now, entropy);
    let member =
        Member { id, org_id, email, name, role, invitation: Some(invitation), created_at: now, joined_at: None };
    Ok((member, token))
}

/// Another invitation; the one before it is void.
pub fn invitation(now: Timestamp, entropy: &dyn Entropy) -> (Invitation, Secret) {
    let mut random = [0; 32];
    entropy.fill(&mut random);
    let token = Secret::new(format!("wbi_{}", hex::encode(random)));
    let expires_at = now.saturating_add(INVITATION_AGE).unwrap_or(Timestamp::MAX);
    (Invitation { hash: KeyHash::of(token.expose()), expires_at }, token)
}

/// A member's own key: everything that their role allows, now and as it changes.
pub fn own_key(member: &Member, name: String, now: Timestamp, entropy: &dyn Entropy) -> (ApiKey, Secret) {
    let (hash, secret) = super::key::secret(entropy);
    let key = ApiKey {
        id: KeyId::make(now, entropy),
        org_id: Some(member.org_id),
        group_id: None,
        member: Some(Membership { id: member.id, name: member.name.clone(), role: member.role }),
        name,
        scopes: [Scope::Admin].into(),
        hash,
        created_at: now,
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
    };
    (key, secret)
}

/// Whether a key may give `role`, or take it from somebody.
///
/// # Errors
/// [`Refused::Escalation`]
pub fn may_give(caller: &ApiKey, role: Role) -> Result<(), Refused> {
    let missing = Scope::ALL.iter().copied().find(|scope| role.allows(*scope) && !caller.may(*scope));
    match missing {
        Some(missing) => Err(Refused::Escalation { role: role.as_str(), missing }),
        None => Ok(()),
    }
}

fn checked_email(text: &str) -> Result<String, Refused> {
    let email = text.trim().to_lowercase();
    let (local, domain) = email.split_once('@').ok_or(Refused::Email)?;
    let is_plain = !email.contains(|c: char| c.is_whitespace() || c.is_control() || "<>\"(),;:\\[]".contains(c));
    let fits = !local.is_empty() && !domain.is_empty() && !domain.contains('@') && email.len() <= EMAIL_BYTES_MAX;
    if is_plain && fits { Ok(email) } else { Err(Refused::Email) }
}

#[cfg(test)]
mod tests {
    use watchbell_domain::port::testing::SeededEntropy;

    use super::*;

    fn invited(email: &str, role: Role) -> Result<(Member, Secret), Refused> {
        let org = OrgId(uuid::Uuid::nil());
        invite(org, email, None, role, Timestamp::UNIX_EPOCH, &SeededEntropy::new(1))
    }

    #[test]
    fn an_invitation_is_kept_as_a_hash() {
        let (member, token) = invited(" Ada@Example.com ", Role::Viewer).unwrap();
        assert_eq!(member.email, "ada@example.com");
        assert_eq!(member.invitation.unwrap().hash, KeyHash::of(token.expose()));
        assert!(token.expose().starts_with("wbi_") && token.expose().len() == 68);
        for bad in ["", "ada", "@example.com", "ada@", "a@b@c", "a b@c", "<a@b>", &format!("{}@b", "a".repeat(260))] {
            assert_eq!(invited(bad, Role::Viewer).unwrap_err(), Refused::Email, "{bad}");
        }
    }

    #[test]
    fn nobody_gives_a_role_above_his_own() {
        for own in Role::ALL {
            let (member, _) = invited("ada@example.com", own).unwrap();
            let (key, _) = own_key(&member, "k".into(), Timestamp::UNIX_EPOCH, &SeededEntropy::new(2));
            for role in Role::ALL {
                assert_eq!(may_give(&key, role).is_ok(), role <= own, "{own:?} gives {role:?}");
            }
        }
    }
}
