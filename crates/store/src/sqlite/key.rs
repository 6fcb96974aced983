//! API keys: found by their hash, with what they may do now.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use watchbell_domain::access::{ApiKey, KeyHash, Scope};
use watchbell_domain::audit::Deed;
use watchbell_domain::id::{GroupId, KeyId, MemberId, OrgId};
use watchbell_domain::member::{Membership, Role};
use watchbell_domain::port::{KeyStore, Page, PageRequest, Pending, Terms, Written};

use super::error::{OrConflict, Result};
use super::org::NO_ORG;
use super::page::{self, before};
use super::row::{Columns, micros};
use super::writer::Tx;
use super::{SqliteStore, audit};

const INSERT_KEY: &str = "INSERT INTO api_key \
    (id, org_id, name, scopes, hash, created_at, expires_at, revoked_at, root, group_id, member_id) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
// A member's name and role as they are now; dead with its organisation, or without its member.
const BY_HASH: &str = "SELECT k.*, m.name AS member_name, m.role AS member_role FROM api_key k \
    LEFT JOIN member m ON m.org_id = k.org_id AND m.id = k.member_id \
    LEFT JOIN org o ON o.id = k.org_id \
    WHERE k.hash = ?1 AND (k.org_id IS NULL OR o.state = 'active') AND (k.member_id IS NULL OR m.id IS NOT NULL)";
const OF_ORG: &str = "SELECT k.*, m.name AS member_name, m.role AS member_role FROM api_key k \
    LEFT JOIN member m ON m.org_id = k.org_id AND m.id = k.member_id \
    WHERE k.org_id = ?1 AND k.id < ?2 ORDER BY k.id DESC LIMIT ?3";
const BY_ID: &str = "SELECT k.*, m.name AS member_name, m.role AS member_role FROM api_key k \
    LEFT JOIN member m ON m.org_id = k.org_id AND m.id = k.member_id WHERE k.org_id = ?1 AND k.id = ?2";
const OF_GROUP: &str = "SELECT *, NULL AS member_name, NULL AS member_role FROM api_key \
    WHERE group_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
const END: &str = "UPDATE api_key SET expires_at = min(coalesce(expires_at, ?2), ?2) \
    WHERE id = ?1 AND revoked_at IS NULL AND root = 0";
const TOUCH: &str = "UPDATE api_key SET last_used_at = max(coalesce(last_used_at, ?2), ?2) WHERE id = ?1";
const REVOKE_OF_GROUP: &str =
    "UPDATE api_key SET revoked_at = coalesce(revoked_at, ?3) WHERE group_id = ?1 AND id = ?2";

const IS_ROOT: &str = "SELECT EXISTS (SELECT 1 FROM api_key WHERE root = 1 AND hash = ?1)";
const UPDATE_ROOT: &str = "UPDATE api_key SET name = ?1, scopes = ?2, hash = ?3, expires_at = ?4, revoked_at = ?5 \
                           WHERE root = 1";

impl KeyStore for SqliteStore {
    fn create_key(&self, org: OrgId, key: ApiKey, terms: Terms) -> Pending<'_, Written<()>> {
        self.add(move |tx| audit::on(tx, org, key.created_at, &terms, |tx| insert_key(tx, &key, false)))
    }

    fn key_by_hash(&self, hash: KeyHash) -> Pending<'_, Option<ApiKey>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached(BY_HASH)?;
            query.query_row([hash.0], |row| Ok(api_key(row))).optional()?.transpose()
        })
    }

    fn keys(&self, org: OrgId, page: PageRequest) -> Pending<'_, Page<ApiKey>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached(OF_ORG)?;
            let rows = query.query(params![org.0.as_bytes(), before(page), page::fetch(page)])?;
            page::collect(page, rows, api_key)
        })
    }

    fn revoke_key(&self, org: OrgId, id: KeyId, now: Timestamp, deed: Option<Deed>) -> Pending<'_, bool> {
        self.write(move |tx| {
            // Revoked once: a second call changes nothing of when.
            let mut revoke = tx.conn.prepare_cached(
                "UPDATE api_key SET revoked_at = coalesce(revoked_at, ?3) WHERE org_id = ?1 AND id = ?2",
            )?;
            let is_there = revoke.execute(params![org.0.as_bytes(), id.0.as_bytes(), micros(now)])? == 1;
            if is_there {
                audit::note(tx, org, deed.as_ref())?;
            }
            Ok(is_there)
        })
    }

    fn key(&self, org: OrgId, id: KeyId) -> Pending<'_, Option<ApiKey>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached(BY_ID)?;
            let found = query.query_row(params![org.0.as_bytes(), id.0.as_bytes()], |row| Ok(api_key(row)));
            found.optional()?.transpose()
        })
    }

    fn rotate_key(&self, old: KeyId, until: Timestamp, new: ApiKey, terms: Terms) -> Pending<'_, Written<bool>> {
        self.add(move |tx| {
            let org = new.org_id.unwrap_or(NO_ORG);
            audit::on_change(tx, org, new.created_at, &terms, |tx| {
                let ended = tx.conn.prepare_cached(END)?.execute(params![old.0.as_bytes(), micros(until)])?;
                if ended == 1 {
                    insert_key(tx, &new, false)?;
                }
                Ok(ended == 1)
            })
        })
    }

    fn group_keys(&self, group: GroupId, page: PageRequest) -> Pending<'_, Page<ApiKey>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached(OF_GROUP)?;
            page::collect(page, query.query(params![group.0.as_bytes(), before(page), page::fetch(page)])?, api_key)
        })
    }

    fn revoke_group_key(&self, group: GroupId, id: KeyId, now: Timestamp, deed: Option<Deed>) -> Pending<'_, bool> {
        self.write(move |tx| {
            let mut revoke = tx.conn.prepare_cached(REVOKE_OF_GROUP)?;
            let is_there = revoke.execute(params![group.0.as_bytes(), id.0.as_bytes(), micros(now)])? == 1;
            if is_there {
                audit::note(tx, NO_ORG, deed.as_ref())?;
            }
            Ok(is_there)
        })
    }

    fn touch_key(&self, id: KeyId, now: Timestamp) -> Pending<'_, ()> {
        self.write(move |tx| {
            tx.conn.prepare_cached(TOUCH)?.execute(params![id.0.as_bytes(), micros(now)])?;
            Ok(())
        })
    }

    fn set_root_key(&self, key: ApiKey, deed: Option<Deed>) -> Pending<'_, ()> {
        self.write(move |tx| {
            let is_known = tx.conn.prepare_cached(IS_ROOT)?.query_row([key.hash.0], |row| row.get::<_, bool>(0))?;
            let changed = tx.conn.prepare_cached(UPDATE_ROOT)?.execute(params![
                key.name,
                scopes_text(&key),
                key.hash.0,
                key.expires_at.map(micros),
                key.revoked_at.map(micros),
            ]);
            if changed.or_conflict("another key has this hash")? == 0 {
                insert_key(tx, &key, true)?;
            }
            // It is set at every start; only another one is news.
            if is_known { Ok(()) } else { audit::note(tx, NO_ORG, deed.as_ref()) }
        })
    }
}

pub(super) fn insert_key(tx: &mut Tx<'_>, key: &ApiKey, root: bool) -> Result<()> {
    let inserted = tx.conn.prepare_cached(INSERT_KEY)?.execute(params![
        key.id.0.as_bytes(),
        key.org_id.map(|org| *org.0.as_bytes()),
        key.name,
        scopes_text(key),
        key.hash.0,
        micros(key.created_at),
        key.expires_at.map(micros),
        key.revoked_at.map(micros),
        root,
        key.group_id.map(|group| *group.0.as_bytes()),
        key.member.as_ref().map(|member| *member.id.0.as_bytes()),
    ]);
    inserted.or_conflict("another key has this id or hash")?;
    Ok(())
}

/// The scopes, a space between them.
fn scopes_text(key: &ApiKey) -> String {
    let names: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
    names.join(" ")
}

fn api_key(row: &Row<'_>) -> Result<ApiKey> {
    let columns = Columns::of("api_key", row);
    let scopes: String = columns.get("scopes")?;
    let scopes: std::result::Result<BTreeSet<Scope>, _> = scopes.split_ascii_whitespace().map(str::parse).collect();
    let member = match columns.maybe_uuid("member_id")?.map(MemberId).zip(columns.get::<Option<String>>("member_name")?)
    {
        Some((id, name)) => Some(Membership { id, name, role: columns.named("member_role", Role::parse)? }),
        None => None,
    };
    Ok(ApiKey {
        id: KeyId(columns.uuid("id")?),
        org_id: columns.maybe_uuid("org_id")?.map(OrgId),
        group_id: columns.maybe_uuid("group_id")?.map(GroupId),
        member,
        name: columns.get("name")?,
        scopes: scopes.map_err(|problem| columns.corrupt("scopes", problem))?,
        hash: KeyHash(columns.get("hash")?),
        created_at: columns.time("created_at")?,
        expires_at: columns.maybe_time("expires_at")?,
        revoked_at: columns.maybe_time("revoked_at")?,
        last_used_at: columns.maybe_time("last_used_at")?,
    })
}
