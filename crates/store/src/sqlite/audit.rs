//! The audit log: appended in the commit of the change that an entry tells of.
//!
//! A row holds the entry as canonical JSON; what is looked for by is generated from it, so that the two cannot differ. The
//! schema refuses changes of a row, and the removal of any that lies behind the checkpoint: what was dropped for its age.

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use watchbell_domain::audit::{Chain, Deed, Entry, Head};
use watchbell_domain::id::OrgId;
use watchbell_domain::port::{AuditFilter, AuditStore, Page, PageRequest, Pending, Terms, Written};

use super::SqliteStore;
use super::error::Result;
use super::once::once;
use super::page;
use super::row::{Columns, signed};
use super::writer::Tx;

const APPEND: &str = "INSERT INTO audit (org_id, number, entry, hash) VALUES (?1, ?2, ?3, ?4)";
const LAST: &str = "SELECT number, hash FROM audit WHERE org_id = ?1 ORDER BY number DESC LIMIT 1";
const CHECKPOINT: &str = "SELECT number, hash FROM audit_checkpoint WHERE org_id = ?1";
const BEHIND: &str = "SELECT * FROM audit WHERE org_id = ?1 AND number > ?2 ORDER BY number LIMIT ?3";
const CHAINS: &str = "SELECT DISTINCT org_id FROM audit";
// The last entry stays whatever its age: the next one is bound to it.
const EXPIRED: &str = "SELECT number, hash FROM audit WHERE org_id = ?1 AND at < ?2 \
    AND number <= (SELECT min(number) + ?3 - 1 FROM audit WHERE org_id = ?1) \
    AND number < (SELECT max(number) FROM audit WHERE org_id = ?1) ORDER BY number DESC LIMIT 1";
const CHECK: &str = "INSERT OR REPLACE INTO audit_checkpoint (org_id, number, hash) VALUES (?1, ?2, ?3)";
const DROP: &str = "DELETE FROM audit WHERE org_id = ?1 AND number <= ?2";

impl AuditStore for SqliteStore {
    fn audit(&self, chain: Chain, filter: AuditFilter, page: PageRequest) -> Pending<'_, Page<Entry>> {
        self.read(move |read| list(read.conn, chain, &filter, page))
    }

    fn audit_behind(&self, chain: Chain, after: u64, limit: u32) -> Pending<'_, Vec<Entry>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached(BEHIND)?;
            let mut rows = query.query(params![chain.org_id().0.as_bytes(), signed(after), limit])?;
            let mut entries = Vec::new();
            while let Some(row) = rows.next()? {
                entries.push(entry(row)?);
            }
            Ok(entries)
        })
    }

    fn audit_checkpoint(&self, chain: Chain) -> Pending<'_, Head> {
        self.read(move |read| Ok(head(read.conn, CHECKPOINT, chain)?.unwrap_or(Head::START)))
    }
}

/// Does `work` on `terms`: once, and written down. `now` is the time of the write.
pub(super) fn on<T>(
    tx: &mut Tx<'_>,
    org: OrgId,
    now: Timestamp,
    terms: &Terms,
    work: impl FnOnce(&mut Tx<'_>) -> Result<T>,
) -> Result<Written<T>> {
    once(tx, org, now, terms.once.as_ref(), |tx| {
        let done = work(tx)?;
        note(tx, org, terms.deed.as_ref())?;
        Ok(done)
    })
}

/// As [`on`], where the work says whether anything was changed: what was not is not written down.
pub(super) fn on_change(
    tx: &mut Tx<'_>,
    org: OrgId,
    now: Timestamp,
    terms: &Terms,
    work: impl FnOnce(&mut Tx<'_>) -> Result<bool>,
) -> Result<Written<bool>> {
    once(tx, org, now, terms.once.as_ref(), |tx| {
        let is_changed = work(tx)?;
        if is_changed {
            note(tx, org, terms.deed.as_ref())?;
        }
        Ok(is_changed)
    })
}

/// Writes a deed down, if there is one, in the chain of `org`.
pub(super) fn note(tx: &Tx<'_>, org: OrgId, deed: Option<&Deed>) -> Result<()> {
    let Some(deed) = deed else { return Ok(()) };
    let chain = Chain::from(org);
    let entry = last(tx.conn, chain)?.next(chain, deed);
    tx.conn.prepare_cached(APPEND)?.execute(params![org.0.as_bytes(), signed(entry.number), entry.text, entry.hash])?;
    Ok(())
}

/// The last entry of a chain.
pub(super) fn last(conn: &Connection, chain: Chain) -> Result<Head> {
    match head(conn, LAST, chain)? {
        Some(last) => Ok(last),
        None => Ok(head(conn, CHECKPOINT, chain)?.unwrap_or(Head::START)),
    }
}

fn head(conn: &Connection, query: &'static str, chain: Chain) -> Result<Option<Head>> {
    let found = conn.prepare_cached(query)?.query_row([chain.org_id().0.as_bytes()], |row| {
        let columns = Columns::of("audit", row);
        Ok(columns.count("number").and_then(|number| Ok(Head { number, hash: columns.get("hash")? })))
    });
    found.optional()?.transpose()
}

fn list(conn: &Connection, chain: Chain, filter: &AuditFilter, page: PageRequest) -> Result<Page<Entry>> {
    let mut statement = "SELECT * FROM audit WHERE org_id = ?1 AND number < ?2".to_owned();
    let before = page.before.map_or(i64::MAX, |id| i64::try_from(id.as_u128()).unwrap_or(i64::MAX));
    let mut values = vec![Value::Blob(chain.org_id().0.as_bytes().to_vec()), Value::Integer(before)];
    let mut demand = |condition: &str, value: String| {
        values.push(Value::Text(value));
        statement.push_str(&format!(" AND {condition} ?{}", values.len()));
    };
    if let Some(actor) = &filter.actor {
        demand("actor =", actor.clone());
    }
    match &filter.action {
        Some(family) if family.ends_with('.') => demand("action GLOB", format!("{}*", literally(family))),
        Some(action) => demand("action =", action.clone()),
        None => {}
    }
    if let Some(subject) = &filter.subject {
        demand("subject =", subject.clone());
    }
    if let Some(since) = filter.since {
        demand("at >=", format!("{since:.6}"));
    }
    if let Some(until) = filter.until {
        demand("at <", format!("{until:.6}"));
    }
    values.push(Value::Integer(page::fetch(page).into()));
    statement.push_str(&format!(" ORDER BY number DESC LIMIT ?{}", values.len()));
    let mut query = conn.prepare_cached(&statement)?;
    page::collect(page, query.query(params_from_iter(values))?, entry)
}

/// Without what `GLOB` would read as a pattern.
fn literally(text: &str) -> String {
    text.replace(['*', '?', '['], "")
}

fn entry(row: &Row<'_>) -> Result<Entry> {
    let columns = Columns::of("audit", row);
    Ok(Entry { number: columns.count("number")?, text: columns.get("entry")?, hash: columns.get("hash")? })
}

/// Drops what is old, behind a checkpoint that says where the chain goes on.
pub(super) fn forget(conn: &Connection, before: Timestamp, limit: u32) -> Result<u64> {
    let mut query = conn.prepare_cached(CHAINS)?;
    let chains = query.query_map([], |row| row.get::<_, [u8; 16]>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut dropped = 0;
    for org in chains {
        let found = conn.prepare_cached(EXPIRED)?.query_row(params![org, format!("{before:.6}"), limit], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 32]>(1)?))
        });
        let Some((number, hash)) = found.optional()? else { continue };
        conn.prepare_cached(CHECK)?.execute(params![org, number, hash])?;
        dropped += conn.prepare_cached(DROP)?.execute(params![org, number])?;
    }
    Ok(u64::try_from(dropped).unwrap_or(u64::MAX))
}
