//! Members: people of an organisation, each with a role that bounds what their keys may do.
//!
//! ```text
//!  invited ── takes the invitation ──▶ joined, with a first key ──▶ removed: every key of theirs is dead
//! ```

use jiff::Timestamp;

use crate::access::{KeyHash, Scope};
use crate::id::{MemberId, OrgId};

/// What a member may do, as a fixed set of scopes. Each role includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Sees what is going on.
    Viewer,
    /// Keeps it going: replays, decides about findings, plans actions.
    Operator,
    /// Changes where things come from and go to.
    Editor,
    /// Everything in the organisation, members and keys included.
    Owner,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Editor, Self::Owner];

    /// The name in API and store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Editor => "editor",
            Self::Owner => "owner",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// Whether somebody in this role may do `scope`.
    pub fn allows(self, scope: Scope) -> bool {
        self >= Self::least_for(scope)
    }

    /// The least role that may do `scope`.
    const fn least_for(scope: Scope) -> Self {
        match scope {
            Scope::EventsRead
            | Scope::EndpointsRead
            | Scope::DeliveriesRead
            | Scope::ProjectsRead
            | Scope::FindingsRead
            | Scope::PoamRead
            | Scope::SourcesRead
            | Scope::EvidenceRead
            | Scope::MembersRead => Self::Viewer,
            Scope::EventsWrite
            | Scope::DeliveriesReplay
            | Scope::FindingsWrite
            | Scope::PoamWrite
            | Scope::EvidenceWrite => Self::Operator,
            Scope::EndpointsWrite
            | Scope::ProjectsWrite
            | Scope::SourcesWrite
            | Scope::ReceiptsAccept
            | Scope::KeysRead
            | Scope::AuditRead => Self::Editor,
            Scope::EventsErase | Scope::KeysWrite | Scope::MembersWrite | Scope::OrgWrite | Scope::Admin => Self::Owner,
        }
    }
}

/// Somebody of an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Which.
    pub id: MemberId,
    /// Whose.
    pub org_id: OrgId,
    /// Unique in the organisation, in lower case.
    pub email: String,
    /// For people.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// What they have yet to take; `None` once they have.
    pub invitation: Option<Invitation>,
    /// When they were invited.
    pub created_at: Timestamp,
    /// When they took the invitation.
    pub joined_at: Option<Timestamp>,
}

/// A token that becomes a key, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invitation {
    /// SHA-256 of the token.
    pub hash: KeyHash,
    /// Until when.
    pub expires_at: Timestamp,
}

/// Who a personal key belongs to, as they are now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The member.
    pub id: MemberId,
    /// Their name.
    pub name: String,
    /// Bounds what the key may do.
    pub role: Role,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_more_than_the_one_before_it() {
        let count = |role: Role| Scope::ALL.iter().filter(|scope| role.allows(**scope)).count();
        let counts = Role::ALL.map(count);
        assert!(counts.is_sorted_by(|a, b| a < b), "{counts:?}");
        assert_eq!(counts[3], Scope::ALL.len(), "an owner may everything");
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
            assert_eq!(role.allows(Scope::KeysWrite), role == Role::Owner);
        }
    }
}
