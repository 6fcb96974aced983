//! Organisations and API keys.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use watchbell_domain::access::{ApiKey, KeyHash, Scope};
use watchbell_domain::audit::Deed;
use watchbell_domain::id::{KeyId, OrgId};
use watchbell_domain::org::Org;
use watchbell_domain::port::{KeyStore, OrgStore, Page, PageRequest, Pending, Terms, Written};

use super::error::{OrConflict, Result};
use super::page::{self, before};
use super::row::{Columns, micros};
use super::writer::Tx;
use super::{SqliteStore, audit};

/// Under whom the making of organisations is remembered: a repetition does not know the id that the first try made.
const NO_ORG: OrgId = OrgId(uuid::Uuid::nil());

impl OrgStore for SqliteStore {
    fn create_org(&self, org: Org, terms: Terms) -> Pending<'_, Written<()>> {
        self.add(move |tx| audit::on(tx, NO_ORG, org.created_at, &terms, |tx| insert_org(tx, &org)))
    }

    fn set_weight(&self, id: OrgId, weight: u32, now: Timestamp, terms: Terms) -> Pending<'_, Written<bool>> {
        self.write(move |tx| {
            audit::on(tx, id, now, &terms, |tx| {
                let mut update = tx.conn.prepare_cached("UPDATE org SET weight = ?2 WHERE id = ?1")?;
                Ok(update.execute(params![id.0.as_bytes(), weight])? == 1)
            })
        })
    }

    fn org(&self, id: OrgId) -> Pending<'_, Option<Org>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached("SELECT * FROM org WHERE id = ?1")?;
            query.query_row([id.0.as_bytes()], |row| Ok(org(row))).optional()?.transpose()
        })
    }

    fn org_by_slug(&self, slug: String) -> Pending<'_, Option<Org>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached("SELECT * FROM org WHERE slug = ?1")?;
            query.query_row([slug], |row| Ok(org(row))).optional()?.transpose()
        })
    }

    fn orgs(&self, page: PageRequest) -> Pending<'_, Page<Org>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached("SELECT * FROM org WHERE id < ?1 ORDER BY id DESC LIMIT ?2")?;
            page::collect(page, query.query(params![before(page), page::fetch(page)])?, org)
        })
    }
}

fn insert_org(tx: &mut Tx<'_>, org: &Org) -> Result<()> {
    tx.conn
        .prepare_cached("INSERT INTO org (id, slug, name, weight, created_at) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![org.id.0.as_bytes(), org.slug, org.name, org.weight, micros(org.created_at)])
        .or_conflict("an organisation of this slug exists")?;
    Ok(())
}

fn org(row: &Row<'_>) -> Result<Org> {
    let columns = Columns::of("org", row);
    Ok(Org {
        id: OrgId(columns.uuid("id")?),
        slug: columns.get("slug")?,
        name: columns.get("name")?,
        weight: columns.get("weight")?,
        created_at: columns.time("created_at")?,
    })
}

/// What organisations weigh that do not weigh 1.
pub(super) fn weights(conn: &Connection) -> Result<Vec<(OrgId, u32)>> {
    let mut query = conn.prepare_cached("SELECT id, weight FROM org WHERE weight <> 1")?;
    let mut rows = query.query([])?;
    let mut weights = Vec::new();
    while let Some(row) = rows.next()? {
        let columns = Columns::of("org", row);
        weights.push((OrgId(columns.uuid("id")?), columns.get("weight")?));
    }
    Ok(weights)
}

const INSERT_KEY: &str = "INSERT INTO api_key \
    (id, org_id, name, scopes, hash, created_at, expires_at, revoked_at, root) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const IS_ROOT: &str = "SELECT EXISTS (SELECT 1 FROM api_key WHERE root = 1 AND hash = ?1)";
const UPDATE_ROOT: &str = "UPDATE api_key SET name = ?1, scopes = ?2, hash = ?3, expires_at = ?4, revoked_at = ?5 \
                           WHERE root = 1";

impl KeyStore for SqliteStore {
    fn create_key(&self, org: OrgId, key: ApiKey, terms: Terms) -> Pending<'_, Written<()>> {
        self.add(move |tx| audit::on(tx, org, key.created_at, &terms, |tx| insert_key(tx, &key, false)))
    }

    fn key_by_hash(&self, hash: KeyHash) -> Pending<'_, Option<ApiKey>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached("SELECT * FROM api_key WHERE hash = ?1")?;
            query.query_row([hash.0], |row| Ok(api_key(row))).optional()?.transpose()
        })
    }

    fn keys(&self, org: OrgId, page: PageRequest) -> Pending<'_, Page<ApiKey>> {
        self.read(move |read| {
            let mut query = read
                .conn
                .prepare_cached("SELECT * FROM api_key WHERE org_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3")?;
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
            match changed.or_conflict("another key has this hash")? {
                0 => insert_key(tx, &key, true)?,
                _ => {}
            }
            // It is set at every start; only another one is news.
            if is_known { Ok(()) } else { audit::note(tx, NO_ORG, deed.as_ref()) }
        })
    }
}

fn insert_key(tx: &mut Tx<'_>, key: &ApiKey, root: bool) -> Result<()> {
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
    let scopes = scopes.split_ascii_whitespace().map(str::parse::<Scope>).collect::<std::result::Result<_, _>>();
    Ok(ApiKey {
        id: KeyId(columns.uuid("id")?),
        org_id: columns.maybe_uuid("org_id")?.map(OrgId),
        name: columns.get("name")?,
        scopes: scopes.map_err(|problem| columns.corrupt("scopes", problem))?,
        hash: KeyHash(columns.get("hash")?),
        created_at: columns.time("created_at")?,
        expires_at: columns.maybe_time("expires_at")?,
        revoked_at: columns.maybe_time("revoked_at")?,
    })
}
