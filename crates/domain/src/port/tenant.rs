//! Members of organisations, and groups of them.

use jiff::Timestamp;

use super::{Page, PageRequest, Pending, Terms, Written};
use crate::access::{ApiKey, KeyHash};
use crate::audit::Deed;
use crate::id::{GroupId, MemberId, OrgId};
use crate::member::Member;
use crate::org::{Group, Org};

/// Members.
pub trait MemberStore: Send + Sync {
    /// Adds a member. `Conflict` when the organisation has one of that address.
    fn create_member(&self, member: Member, terms: Terms) -> Pending<'_, Written<()>>;

    /// By id.
    fn member(&self, org: OrgId, id: MemberId) -> Pending<'_, Option<Member>>;

    /// By the token of an invitation, live or not.
    fn member_by_invitation(&self, hash: KeyHash) -> Pending<'_, Option<Member>>;

    /// An organisation's, newest first.
    fn members(&self, org: OrgId, page: PageRequest) -> Pending<'_, Page<Member>>;

    /// Writes back a changed member if they are still as they were, else `Conflict`; so also when the last owner would
    /// become something else.
    fn update_member(&self, seen: Member, changed: Member, now: Timestamp, terms: Terms) -> Pending<'_, Written<()>>;

    /// Turns an invitation into a key: the member has joined, the invitation is used up. `false`: it was used or renewed
    /// meanwhile.
    fn join(&self, member: Member, key: ApiKey, now: Timestamp, deed: Option<Deed>) -> Pending<'_, bool>;

    /// Removes a member and revokes their keys. `Conflict` when they are the last owner. `false`: there is none.
    fn remove_member(&self, org: OrgId, id: MemberId, now: Timestamp, deed: Option<Deed>) -> Pending<'_, bool>;
}

/// Groups.
pub trait GroupStore: Send + Sync {
    /// Adds a group.
    fn create_group(&self, group: Group, terms: Terms) -> Pending<'_, Written<()>>;

    /// By id.
    fn group(&self, id: GroupId) -> Pending<'_, Option<Group>>;

    /// All, newest first.
    fn groups(&self, page: PageRequest) -> Pending<'_, Page<Group>>;

    /// Gives a group another name. `false`: there is none.
    fn rename_group(&self, id: GroupId, name: String, now: Timestamp, terms: Terms) -> Pending<'_, Written<bool>>;

    /// Deletes a group and its keys. `Conflict` while organisations belong to it. `false`: there is none.
    fn delete_group(&self, id: GroupId, deed: Option<Deed>) -> Pending<'_, bool>;

    /// Puts an organisation into a group, or into none. `false`: there is no such organisation. `Conflict`: no such group.
    fn place_org(&self, org: OrgId, group: Option<GroupId>, now: Timestamp, terms: Terms)
    -> Pending<'_, Written<bool>>;

    /// A group's organisations, newest first.
    fn orgs_of_group(&self, group: GroupId, page: PageRequest) -> Pending<'_, Page<Org>>;
}
