//! Groups of organisations.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use watchbell_domain::audit::Deed;
use watchbell_domain::id::{GroupId, OrgId};
use watchbell_domain::org::{Group, Org};
use watchbell_domain::port::{GroupStore, Page, PageRequest, Pending, StoreError, Terms, Written};

use super::error::{OrConflict, Result};
use super::org::{NO_ORG, org};
use super::page::{self, before};
use super::row::{Columns, micros};
use super::{SqliteStore, audit};

const INSERT: &str = "INSERT INTO org_group (id, name, created_at) VALUES (?1, ?2, ?3)";
const HAS_ORGS: &str = "SELECT EXISTS (SELECT 1 FROM org WHERE group_id = ?1)";

const OF_ORG: &str = "SELECT g.* FROM org_group g JOIN org o ON o.group_id = g.id WHERE o.id = ?1";

impl GroupStore for SqliteStore {
    fn create_group(&self, group: Group, terms: Terms) -> Pending<'_, Written<()>> {
        self.add(move |tx| {
            audit::on(tx, NO_ORG, group.created_at, &terms, |tx| {
                let values = params![group.id.0.as_bytes(), group.name, micros(group.created_at)];
                tx.conn.prepare_cached(INSERT)?.execute(values).or_conflict("a group of this name exists")?;
                Ok(())
            })
        })
    }

    fn group(&self, id: GroupId) -> Pending<'_, Option<Group>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached("SELECT * FROM org_group WHERE id = ?1")?;
            query.query_row([id.0.as_bytes()], |row| Ok(group(row))).optional()?.transpose()
        })
    }

    fn groups(&self, page: PageRequest) -> Pending<'_, Page<Group>> {
        self.read(move |read| {
            let statement = "SELECT * FROM org_group WHERE id < ?1 ORDER BY id DESC LIMIT ?2";
            let mut query = read.conn.prepare_cached(statement)?;
            page::collect(page, query.query(params![before(page), page::fetch(page)])?, group)
        })
    }

    fn rename_group(&self, id: GroupId, name: String, now: Timestamp, terms: Terms) -> Pending<'_, Written<bool>> {
        self.write(move |tx| {
            audit::on_change(tx, NO_ORG, now, &terms, |tx| {
                let mut rename = tx.conn.prepare_cached("UPDATE org_group SET name = ?2 WHERE id = ?1")?;
                let renamed = rename.execute(params![id.0.as_bytes(), name]);
                Ok(renamed.or_conflict("a group of this name exists")? == 1)
            })
        })
    }

    fn delete_group(&self, id: GroupId, deed: Option<Deed>) -> Pending<'_, bool> {
        self.write(move |tx| {
            let key = id.0.as_bytes();
            if tx.conn.prepare_cached(HAS_ORGS)?.query_row([key], |row| row.get(0))? {
                return Err(StoreError::Conflict("organisations belong to the group").into());
            }
            tx.conn.prepare_cached("DELETE FROM api_key WHERE group_id = ?1")?.execute([key])?;
            let is_deleted = tx.conn.prepare_cached("DELETE FROM org_group WHERE id = ?1")?.execute([key])? == 1;
            if is_deleted {
                audit::note(tx, NO_ORG, deed.as_ref())?;
            }
            Ok(is_deleted)
        })
    }

    fn place_org(
        &self,
        org: OrgId,
        group: Option<GroupId>,
        now: Timestamp,
        terms: Terms,
    ) -> Pending<'_, Written<bool>> {
        self.write(move |tx| {
            audit::on_change(tx, NO_ORG, now, &terms, |tx| {
                let mut place = tx.conn.prepare_cached("UPDATE org SET group_id = ?2 WHERE id = ?1")?;
                let placed = place.execute(params![org.0.as_bytes(), group.map(|group| *group.0.as_bytes())]);
                Ok(placed.or_conflict("there is no such group")? == 1)
            })
        })
    }

    fn orgs_of_group(&self, group: GroupId, page: PageRequest) -> Pending<'_, Page<Org>> {
        self.read(move |read| {
            let statement = "SELECT * FROM org WHERE group_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
            let mut query = read.conn.prepare_cached(statement)?;
            page::collect(page, query.query(params![group.0.as_bytes(), before(page), page::fetch(page)])?, org)
        })
    }
}

/// The group of an organisation.
pub(super) fn of_org(conn: &Connection, org: OrgId) -> Result<Option<Group>> {
    let mut query = conn.prepare_cached(OF_ORG)?;
    query.query_row([org.0.as_bytes()], |row| Ok(group(row))).optional()?.transpose()
}

fn group(row: &Row<'_>) -> Result<Group> {
    let columns = Columns::of("org_group", row);
    Ok(Group { id: GroupId(columns.uuid("id")?), name: columns.get("name")?, created_at: columns.time("created_at")? })
}
