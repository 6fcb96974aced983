//! Organisations: what they are called and where they stand. What a change of state does is in [`super::org_state`].

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use watchbell_domain::id::{GroupId, OrgId};
use watchbell_domain::org::{Org, OrgState, Standing};
use watchbell_domain::port::{OrgStore, Page, PageRequest, Pending, StoreError, Terms, Written};

use super::error::{OrConflict, Result};
use super::page::{self, before};
use super::row::{Columns, micros};
use super::writer::Tx;
use super::{SqliteStore, audit, org_state};

/// Under whom the making of organisations is remembered: a repetition does not know the id that the first try made.
pub(super) const NO_ORG: OrgId = OrgId(uuid::Uuid::nil());

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
        self.read(move |read| find(read.conn, id))
    }

    fn update_org(&self, seen: Org, changed: Org, now: Timestamp, terms: Terms) -> Pending<'_, Written<()>> {
        self.write(move |tx| audit::on(tx, seen.id, now, &terms, |tx| update(tx, &seen, &changed)))
    }

    fn standing(&self, id: OrgId) -> Pending<'_, Option<Standing>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached("SELECT state, state_since, group_id FROM org WHERE id = ?1")?;
            query.query_row([id.0.as_bytes()], |row| Ok(standing(row))).optional()?.transpose()
        })
    }

    fn set_org_state(&self, id: OrgId, state: OrgState, now: Timestamp, terms: Terms) -> Pending<'_, Written<bool>> {
        // An operator's doing, in the operators' chain: the organisation's may end with it.
        self.write(move |tx| audit::on_change(tx, NO_ORG, now, &terms, |tx| org_state::set(tx, id, state)))
    }

    fn unsettled_orgs(&self) -> Pending<'_, Vec<OrgId>> {
        self.read(|read| org_state::unsettled(read.conn))
    }

    fn settle_org(&self, id: OrgId, limit: u32, now: Timestamp) -> Pending<'_, bool> {
        self.write(move |tx| org_state::settle(tx, id, limit, now))
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

fn update(tx: &mut Tx<'_>, seen: &Org, changed: &Org) -> Result<()> {
    let mut update =
        tx.conn.prepare_cached("UPDATE org SET name = ?2, slug = ?3 WHERE id = ?1 AND name = ?4 AND slug = ?5")?;
    let updated = update
        .execute(params![seen.id.0.as_bytes(), changed.name, changed.slug, seen.name, seen.slug])
        .or_conflict("an organisation of this slug exists")?;
    match updated {
        0 => Err(StoreError::Conflict("the organisation was changed meanwhile").into()),
        _ => Ok(()),
    }
}

pub(super) fn standing(row: &Row<'_>) -> Result<Standing> {
    let columns = Columns::of("org", row);
    let since = columns.maybe_time("state_since")?;
    let state = columns.named("state", |text| match (text, since) {
        ("active", None) => Some(OrgState::Active),
        ("suspended", Some(since)) => Some(OrgState::Suspended { since }),
        ("deleting", Some(since)) => Some(OrgState::Deleting { since }),
        _ => None,
    })?;
    Ok(Standing { state, group_id: columns.maybe_uuid("group_id")?.map(GroupId) })
}

pub(super) fn find(conn: &Connection, id: OrgId) -> Result<Option<Org>> {
    let mut query = conn.prepare_cached("SELECT * FROM org WHERE id = ?1")?;
    query.query_row([id.0.as_bytes()], |row| Ok(org(row))).optional()?.transpose()
}

pub(super) fn org(row: &Row<'_>) -> Result<Org> {
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
