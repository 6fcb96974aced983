//! Members.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use watchbell_domain::access::{ApiKey, KeyHash};
use watchbell_domain::audit::Deed;
use watchbell_domain::id::{MemberId, OrgId};
use watchbell_domain::member::{Invitation, Member, Role};
use watchbell_domain::port::{MemberStore, Page, PageRequest, Pending, StoreError, Terms, Written};

use super::error::{OrConflict, Result};
use super::key::insert_key;
use super::page::{self, before};
use super::row::{Columns, micros};
use super::writer::Tx;
use super::{SqliteStore, audit};

const INSERT: &str = "INSERT INTO member \
    (org_id, id, email, name, role, invitation, invitation_until, created_at, joined_at) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const UPDATE: &str = "UPDATE member SET email = ?3, name = ?4, role = ?5, invitation = ?6, invitation_until = ?7, \
    joined_at = ?8 WHERE org_id = ?1 AND id = ?2";
const FIND: &str = "SELECT * FROM member WHERE org_id = ?1 AND id = ?2";
// Only those count who have joined: whoever never takes the invitation owns nothing.
const OTHER_OWNERS: &str = "SELECT EXISTS (SELECT 1 FROM member \
    WHERE org_id = ?1 AND id <> ?2 AND role = 'owner' AND joined_at IS NOT NULL)";
const REMOVE: &str = "DELETE FROM member WHERE org_id = ?1 AND id = ?2";
const REVOKE_KEYS: &str =
    "UPDATE api_key SET revoked_at = coalesce(revoked_at, ?3) WHERE org_id = ?1 AND member_id = ?2";

impl MemberStore for SqliteStore {
    fn create_member(&self, member: Member, terms: Terms) -> Pending<'_, Written<()>> {
        self.add(move |tx| {
            audit::on(tx, member.org_id, member.created_at, &terms, |tx| write(tx, INSERT, &member, true))
        })
    }

    fn member(&self, org: OrgId, id: MemberId) -> Pending<'_, Option<Member>> {
        self.read(move |read| find(read.conn, org, id))
    }

    fn member_by_invitation(&self, hash: KeyHash) -> Pending<'_, Option<Member>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached(
                "SELECT m.* FROM member m JOIN org o ON o.id = m.org_id WHERE m.invitation = ?1 AND o.state = 'active'",
            )?;
            query.query_row([hash.0], |row| Ok(member(row))).optional()?.transpose()
        })
    }

    fn members(&self, org: OrgId, page: PageRequest) -> Pending<'_, Page<Member>> {
        self.read(move |read| {
            let statement = "SELECT * FROM member WHERE org_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
            let mut query = read.conn.prepare_cached(statement)?;
            page::collect(page, query.query(params![org.0.as_bytes(), before(page), page::fetch(page)])?, member)
        })
    }

    fn update_member(&self, seen: Member, changed: Member, now: Timestamp, terms: Terms) -> Pending<'_, Written<()>> {
        self.write(move |tx| {
            audit::on(tx, seen.org_id, now, &terms, |tx| {
                if find(tx.conn, seen.org_id, seen.id)?.as_ref() != Some(&seen) {
                    return Err(StoreError::Conflict("the member was changed meanwhile").into());
                }
                if changed.role != Role::Owner {
                    must_not_be_last_owner(tx.conn, &seen)?;
                }
                write(tx, UPDATE, &changed, false)
            })
        })
    }

    fn join(&self, member: Member, key: ApiKey, now: Timestamp, deed: Option<Deed>) -> Pending<'_, bool> {
        self.add(move |tx| {
            if find(tx.conn, member.org_id, member.id)?.as_ref() != Some(&member) || member.invitation.is_none() {
                return Ok(false);
            }
            let joined_at = Some(member.joined_at.unwrap_or(now));
            write(tx, UPDATE, &Member { invitation: None, joined_at, ..member.clone() }, false)?;
            insert_key(tx, &key, false)?;
            audit::note(tx, member.org_id, deed.as_ref())?;
            Ok(true)
        })
    }

    fn remove_member(&self, org: OrgId, id: MemberId, now: Timestamp, deed: Option<Deed>) -> Pending<'_, bool> {
        self.write(move |tx| {
            let Some(member) = find(tx.conn, org, id)? else { return Ok(false) };
            must_not_be_last_owner(tx.conn, &member)?;
            let (org_bytes, id) = (org.0.as_bytes(), id.0.as_bytes());
            tx.conn.prepare_cached(REVOKE_KEYS)?.execute(params![org_bytes, id, micros(now)])?;
            tx.conn.prepare_cached(REMOVE)?.execute(params![org_bytes, id])?;
            audit::note(tx, org, deed.as_ref())?;
            Ok(true)
        })
    }
}

/// An organisation that had an owner keeps one.
fn must_not_be_last_owner(conn: &Connection, member: &Member) -> Result<()> {
    if member.role != Role::Owner || member.joined_at.is_none() {
        return Ok(());
    }
    let key = params![member.org_id.0.as_bytes(), member.id.0.as_bytes()];
    match conn.prepare_cached(OTHER_OWNERS)?.query_row(key, |row| row.get(0))? {
        true => Ok(()),
        false => Err(StoreError::Conflict("the last owner stays: make another member an owner first").into()),
    }
}

fn find(conn: &Connection, org: OrgId, id: MemberId) -> Result<Option<Member>> {
    let mut query = conn.prepare_cached(FIND)?;
    query.query_row(params![org.0.as_bytes(), id.0.as_bytes()], |row| Ok(member(row))).optional()?.transpose()
}

fn write(tx: &Tx<'_>, statement: &'static str, member: &Member, is_new: bool) -> Result<()> {
    let mut values: Vec<Box<dyn rusqlite::ToSql>> = vec![
        Box::new(*member.org_id.0.as_bytes()),
        Box::new(*member.id.0.as_bytes()),
        Box::new(member.email.clone()),
        Box::new(member.name.clone()),
        Box::new(member.role.as_str()),
        Box::new(member.invitation.map(|invitation| invitation.hash.0)),
        Box::new(member.invitation.map(|invitation| micros(invitation.expires_at))),
    ];
    if is_new {
        values.push(Box::new(micros(member.created_at)));
    }
    values.push(Box::new(member.joined_at.map(micros)));
    let written = tx.conn.prepare_cached(statement)?.execute(rusqlite::params_from_iter(values));
    written.or_conflict("the organisation has a member of this address")?;
    Ok(())
}

fn member(row: &Row<'_>) -> Result<Member> {
    let columns = Columns::of("member", row);
    let hash = columns.get::<Option<[u8; 32]>>("invitation")?.map(KeyHash);
    let until = columns.maybe_time("invitation_until")?;
    Ok(Member {
        id: MemberId(columns.uuid("id")?),
        org_id: OrgId(columns.uuid("org_id")?),
        email: columns.get("email")?,
        name: columns.get("name")?,
        role: columns.named("role", Role::parse)?,
        invitation: hash.zip(until).map(|(hash, expires_at)| Invitation { hash, expires_at }),
        created_at: columns.time("created_at")?,
        joined_at: columns.maybe_time("joined_at")?,
    })
}
