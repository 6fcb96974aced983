//! API keys and what they may do.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::id::{GroupId, KeyId, OrgId};
use crate::member::Membership;

macro_rules! scopes {
    ($( $(#[$doc:meta])* $variant:ident = $text:literal, )+) => {
        /// One thing a key may do. The text form is what API and command line take.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Scope { $( $(#[$doc])* $variant, )+ }

        impl Scope {
            /// Every scope.
            pub const ALL: &'static [Scope] = &[$(Scope::$variant),+];

            /// The text form.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $text, )+ }
            }
        }

        impl FromStr for Scope {
            type Err = UnknownScope;

            fn from_str(text: &str) -> Result<Self, UnknownScope> {
                match text {
                    $( $text => Ok(Self::$variant), )+
                    other => Err(UnknownScope(other.chars().take(40).collect())),
                }
            }
        }
    };
}

scopes! {
    /// Read events and their journey.
    EventsRead = "events:read",
    /// Post events, scans, pings.
    EventsWrite = "events:write",
    /// Erase what events say.
    EventsErase = "events:erase",
    /// Read endpoints.
    EndpointsRead = "endpoints:read",
    /// Create, change, delete endpoints; rotate their secrets.
    EndpointsWrite = "endpoints:write",
    /// Read deliveries and attempts.
    DeliveriesRead = "deliveries:read",
    /// Retry, cancel, replay deliveries.
    DeliveriesReplay = "deliveries:replay",
    /// Read projects and findings.
    ProjectsRead = "projects:read",
    /// Make projects, post scans.
    ProjectsWrite = "projects:write",
    /// Read findings and their history.
    FindingsRead = "findings:read",
    /// Decide about findings: suppress, accept, reopen.
    FindingsWrite = "findings:write",
    /// Read plans of action.
    PoamRead = "poam:read",
    /// Make, change and close plans of action.
    PoamWrite = "poam:write",
    /// Read sources, their receipts and captures.
    SourcesRead = "sources:read",
    /// Create, change, delete sources.
    SourcesWrite = "sources:write",
    /// Accept a receipt that was refused, unverified.
    ReceiptsAccept = "receipts:accept",
    /// Read who is a member.
    MembersRead = "members:read",
    /// Invite, change and remove members, with at most one's own rights.
    MembersWrite = "members:write",
    /// Rename the organisation.
    OrgWrite = "org:write",
    /// Read the audit log.
    AuditRead = "audit:read",
    /// Read evidence and its content.
    EvidenceRead = "evidence:read",
    /// Upload and delete evidence.
    EvidenceWrite = "evidence:write",
    /// Read keys (never the key itself).
    KeysRead = "keys:read",
    /// Make and revoke keys, with at most one's own rights.
    KeysWrite = "keys:write",
    /// Everything, in every organisation.
    Admin = "admin",
}

impl Scope {
    /// The scopes that a text names: one by its name, or all of a family by `sources:*`.
    ///
    /// # Errors
    /// It names none.
    pub fn named(text: &str) -> Result<Vec<Self>, UnknownScope> {
        let Some(family) = text.strip_suffix('*').filter(|family| family.ends_with(':')) else {
            return text.parse().map(|scope| vec![scope]);
        };
        let found: Vec<Self> = Self::ALL.iter().copied().filter(|scope| scope.as_str().starts_with(family)).collect();
        if found.is_empty() { Err(UnknownScope(text.chars().take(40).collect())) } else { Ok(found) }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No scope has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no scope {0:?}")]
pub struct UnknownScope(pub String);

/// An API key without the key: what is stored of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Names the key in lists and the audit log.
    pub id: KeyId,
    /// The organisation it is good for; `None`: those of a group, or every one (keys with `admin` only).
    pub org_id: Option<OrgId>,
    /// The group whose organisations it is good for.
    pub group_id: Option<GroupId>,
    /// Whose own it is: it may do what it says and their role allows.
    pub member: Option<Membership>,
    /// For people.
    pub name: String,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// SHA-256 of the key. The key has at least 128 random bits, so a slow hash would add nothing.
    pub hash: KeyHash,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ceases to work, if ever.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to within a few minutes.
    pub last_used_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether it may do `scope`. `admin` includes every scope; a member's key may no more than their role.
    pub fn may(&self, scope: Scope) -> bool {
        let is_given = self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin);
        is_given && self.member.as_ref().is_none_or(|member| member.role.allows(scope))
    }

    /// Whether it is good for the whole server.
    pub const fn is_operators(&self) -> bool {
        self.org_id.is_none() && self.group_id.is_none()
    }

    /// Whether it works at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// SHA-256 of an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl KeyHash {
    /// The hash of a key as the caller gave it.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(scopes: &[Scope]) -> ApiKey {
        ApiKey {
            id: KeyId(uuid::Uuid::nil()),
            org_id: None,
            group_id: None,
            member: None,
            name: String::new(),
            scopes: scopes.iter().copied().collect(),
            hash: KeyHash::of("text"),
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
        }
    }

    #[test]
    fn admin_includes_every_scope_and_others_only_themselves() {
        for scope in Scope::ALL {
            assert!(key(&[Scope::Admin]).may(*scope));
            assert_eq!(key(&[Scope::EventsRead]).may(*scope), *scope == Scope::EventsRead);
            assert_eq!(scope.as_str().parse(), Ok(*scope));
        }
    }

    #[test]
    fn a_members_key_may_no_more_than_their_role() {
        use crate::member::Role;
        let member =
            Membership { id: crate::id::MemberId(uuid::Uuid::nil()), name: String::new(), role: Role::Operator };
        let key = ApiKey { member: Some(member), ..key(&[Scope::Admin]) };
        for scope in Scope::ALL {
            assert_eq!(key.may(*scope), Role::Operator.allows(*scope), "{scope}");
        }
    }

    #[test]
    fn a_family_is_named_by_a_star() {
        assert_eq!(Scope::named("sources:*").unwrap(), [Scope::SourcesRead, Scope::SourcesWrite]);
        assert_eq!(Scope::named("admin").unwrap(), [Scope::Admin]);
        for none in ["*", ":*", "source:*", "sources*", "sources:"] {
            assert!(Scope::named(none).is_err(), "{none}");
        }
    }

    #[test]
    fn a_key_is_dead_from_the_second_it_expires_and_once_revoked() {
        let end = Timestamp::from_second(100).unwrap();
        let expiring = ApiKey { expires_at: Some(end), ..key(&[]) };
        assert!(expiring.is_live(Timestamp::from_second(99).unwrap()));
        assert!(!expiring.is_live(end));
        let revoked = ApiKey { revoked_at: Some(Timestamp::UNIX_EPOCH), ..key(&[]) };
        assert!(!revoked.is_live(Timestamp::UNIX_EPOCH));
    }
}
