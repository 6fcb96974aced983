//! Plans of action: kept, changed, listed. [`ring`] tells of deadlines, [`follow`] of what becomes of findings.

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use watchbell_domain::audit::Deed;
use watchbell_domain::event::NewEvent;
use watchbell_domain::finding::FindingStatus;
use watchbell_domain::id::{FindingId, OrgId, PoamId};
use watchbell_domain::poam::policy::Policy;
use watchbell_domain::poam::{Item, Settings, State, Status};
use watchbell_domain::port::{
    Acceptance, DeliveryIds, KevCatalogue, KevFacts, Page, PageRequest, Pending, PoamFilter, PoamStore, PoamUpdate,
    RingStep, Rung, StoreError, Terms, Written,
};

use super::error::{OrConflict, Result};
use super::page::{self, before};
use super::row::{Columns, corrupt, micros, signed};
use super::writer::Tx;
use super::{SqliteStore, audit, event};

mod follow;
mod kev;
mod ring;
mod row;
mod setting;

pub(super) use follow::{findings_change, said};
pub(super) use ring::wake;
use row::{columns_of, item};

const INSERT: &str = "INSERT INTO poam_item (org_id, id, finding_id, project_id, about, title, owner, notes, due, \
    deadline_at, milestones, state, state_at, completed_by, origin, told, next_ring_at, version, created_at, updated_at) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)";
const REPLACE: &str = "UPDATE poam_item SET finding_id = ?3, project_id = ?4, about = ?5, title = ?6, owner = ?7, \
    notes = ?8, due = ?9, deadline_at = ?10, milestones = ?11, state = ?12, state_at = ?13, completed_by = ?14, \
    origin = ?15, told = ?16, next_ring_at = ?17, version = ?18, created_at = ?19, updated_at = ?20 \
    WHERE org_id = ?1 AND id = ?2";
// Of one that was merged into another, the other's.
const FINDING_STATUS: &str = "SELECT id, status FROM finding WHERE org_id = ?1 AND id = \
    coalesce((SELECT merged_into FROM finding WHERE org_id = ?1 AND id = ?2), ?2)";
const FIND: &str = "SELECT * FROM poam_item WHERE org_id = ?1 AND id = ?2";

impl PoamStore for SqliteStore {
    fn create_poam_item(&self, item: Item, terms: Terms) -> Pending<'_, Written<()>> {
        self.add(move |tx| audit::on(tx, item.org_id, item.created_at, &terms, |tx| create(tx, &item)))
    }

    fn poam_item(&self, org: OrgId, id: PoamId) -> Pending<'_, Option<Item>> {
        self.read(move |read| find(read.conn, org, id))
    }

    fn poam_items(&self, org: OrgId, filter: PoamFilter, page: PageRequest) -> Pending<'_, Page<Item>> {
        self.read(move |read| list(read.conn, org, &filter, page))
    }

    fn update_poam_item(&self, update: PoamUpdate, terms: Terms) -> Pending<'_, Written<()>> {
        self.write(move |tx| {
            let changed = &update.changed;
            audit::on(tx, changed.org_id, changed.updated_at, &terms, |tx| change(tx, &update))
        })
    }

    fn poam_settings(&self, org: OrgId) -> Pending<'_, Settings> {
        self.read(move |read| setting::settings(read.conn, org))
    }

    fn set_poam_settings(
        &self,
        org: OrgId,
        settings: Settings,
        now: Timestamp,
        terms: Terms,
    ) -> Pending<'_, Written<()>> {
        self.write(move |tx| audit::on(tx, org, now, &terms, |tx| setting::set_settings(tx, org, &settings)))
    }

    fn poam_policy(&self, org: OrgId) -> Pending<'_, Policy> {
        self.read(move |read| setting::policy(read.conn, org))
    }

    fn set_poam_policy(&self, org: OrgId, policy: Policy, now: Timestamp, terms: Terms) -> Pending<'_, Written<()>> {
        self.write(move |tx| audit::on(tx, org, now, &terms, |tx| setting::set_policy(tx, org, &policy)))
    }

    fn ring(&self, step: RingStep) -> Pending<'_, Rung> {
        self.add(move |tx| ring::ring(tx, &step))
    }

    fn import_kev(&self, catalogue: KevCatalogue, deed: Option<Deed>) -> Pending<'_, ()> {
        self.add(move |tx| {
            kev::import(tx, &catalogue)?;
            // In the operators' own chain.
            audit::note(tx, OrgId(uuid::Uuid::nil()), deed.as_ref())
        })
    }

    fn kev_facts(&self) -> Pending<'_, Option<KevFacts>> {
        self.read(|read| kev::facts(read.conn))
    }
}

/// What stands for the finding's row, where it has one.
fn finding_status(conn: &Connection, org: OrgId, id: FindingId) -> Result<Option<FindingStatus>> {
    let mut query = conn.prepare_cached(FINDING_STATUS)?;
    let found = query.query_row(params![org.0.as_bytes(), id.0.as_bytes()], |row| {
        Ok(Columns::of("finding", row).named("status", FindingStatus::parse))
    });
    found.optional()?.transpose()
}

fn create(tx: &Tx<'_>, item: &Item) -> Result<()> {
    if finding_status(tx.conn, item.org_id, item.finding_id)? == Some(FindingStatus::Remediated) {
        return Err(StoreError::Conflict("the finding is remediated").into());
    }
    let settings = setting::settings(tx.conn, item.org_id)?;
    insert(tx, item, &settings)
}

fn insert(tx: &Tx<'_>, item: &Item, settings: &Settings) -> Result<()> {
    let next_ring_at = item.next_ring_at(settings);
    let inserted = tx.conn.prepare_cached(INSERT)?.execute(params_from_iter(columns_of(item, settings, next_ring_at)?));
    inserted.or_conflict("an item of this id exists")?;
    Ok(())
}

/// Writes an item back as it is, to ring next at `next_ring_at`.
fn replace(tx: &Tx<'_>, item: &Item, settings: &Settings, next_ring_at: Option<Timestamp>) -> Result<()> {
    let values = columns_of(item, settings, next_ring_at)?;
    match tx.conn.prepare_cached(REPLACE)?.execute(params_from_iter(values))? {
        1 => Ok(()),
        _ => Err(StoreError::Conflict("the item is gone").into()),
    }
}

fn change(tx: &mut Tx<'_>, update: &PoamUpdate) -> Result<()> {
    let (org, id) = (update.seen.org_id, update.seen.id);
    let now = find(tx.conn, org, id)?.filter(|now| now.version == update.seen.version);
    let Some(now) = now else {
        return Err(StoreError::Conflict("the item was changed meanwhile").into());
    };
    let settings = setting::settings(tx.conn, org)?;
    // It may have rung since it was seen. Another deadline rings from its own beginning.
    let told = now.told.filter(|_| now.due == update.changed.due);
    let (about, project_id) = (now.about, now.project_id);
    let item = Item { told, version: now.version + 1, about, project_id, ..update.changed.clone() };
    replace(tx, &item, &settings, item.next_ring_at(&settings))?;
    if let Some(acceptance) = &update.told {
        event::accept(tx, acceptance)?;
    }
    Ok(())
}

fn find(conn: &Connection, org: OrgId, id: PoamId) -> Result<Option<Item>> {
    let mut query = conn.prepare_cached(FIND)?;
    let found = query.query_row(params![org.0.as_bytes(), id.0.as_bytes()], |row| Ok(item(row)));
    found.optional()?.transpose()
}

fn list(conn: &Connection, org: OrgId, filter: &PoamFilter, page: PageRequest) -> Result<Page<Item>> {
    let mut statement = "SELECT * FROM poam_item WHERE org_id = ? AND id < ?".to_owned();
    let mut values: Vec<Value> = vec![org.0.as_bytes().to_vec().into(), before(page).to_vec().into()];
    let mut only = |condition: &str, value: Option<Value>| {
        statement.push_str(condition);
        values.extend(value);
    };
    match filter.status {
        None => {}
        Some(Status::Open) => only(" AND state = 'open' AND deadline_at > ?", Some(micros(filter.now).into())),
        Some(Status::Overdue) => only(" AND state = 'open' AND deadline_at <= ?", Some(micros(filter.now).into())),
        Some(Status::Completed) => only(" AND state = 'completed'", None),
        Some(Status::Cancelled) => only(" AND state = 'cancelled'", None),
    }
    if let Some(finding) = filter.finding_id {
        only(" AND finding_id = ?", Some(finding.0.as_bytes().to_vec().into()));
    }
    if let Some(project) = filter.project_id {
        only(" AND project_id = ?", Some(project.0.as_bytes().to_vec().into()));
    }
    if let Some(owner) = &filter.owner {
        only(" AND owner = ?", Some(owner.clone().into()));
    }
    if let Some(bound) = filter.due_before {
        only(" AND deadline_at < ?", Some(event::micros_up(bound).into()));
    }
    if let Some(bound) = filter.due_since {
        only(" AND deadline_at >= ?", Some(event::micros_up(bound).into()));
    }
    statement.push_str(" ORDER BY id DESC LIMIT ?");
    values.push(i64::from(page::fetch(page)).into());
    let mut query = conn.prepare_cached(&statement)?;
    page::collect(page, query.query(params_from_iter(values))?, item)
}

/// Its name and time in the store.
fn state_columns(state: State) -> (&'static str, Option<Timestamp>, Option<&'static str>) {
    match state {
        State::Open => ("open", None, None),
        State::Completed { at, by } => ("completed", Some(at), Some(by.as_str())),
        State::Cancelled { at } => ("cancelled", Some(at), None),
    }
}

fn json<T: serde::Serialize>(value: &T, column: &'static str, id: PoamId) -> Result<String> {
    serde_json::to_string(value).map_err(|problem| corrupt("poam_item", column, id.to_string(), problem))
}

/// A version as it is stored.
fn version(version: u64) -> i64 {
    signed(version)
}

/// Accepts what a plan tells, in the commit of what it tells of.
fn tell(tx: &mut Tx<'_>, org_id: OrgId, told: NewEvent, now: Timestamp) -> Result<()> {
    let mut seed = [0; 32];
    tx.vault.entropy.fill(&mut seed);
    let delivery_ids = DeliveryIds { seed };
    event::accept(tx, &Acceptance { org_id, events: vec![told], accepted_at: now, delivery_ids }).map(drop)
}
