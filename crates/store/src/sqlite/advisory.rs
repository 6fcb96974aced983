//! Advisories: documents by id, and which packages they are about.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use watchbell_domain::advisory::Advisory;
use watchbell_domain::advisory::osv::Entry;
use watchbell_domain::audit::Deed;
use watchbell_domain::id::OrgId;
use watchbell_domain::port::{AdvisoryStats, AdvisoryStore, Imported, Page, Pending};

use super::error::Result;
use super::row::{Columns, corrupt, micros};
use super::writer::Tx;
use super::{SqliteStore, audit};

const KNOWN: &str = "SELECT modified FROM advisory WHERE id = ?1";
const WRITE: &str = "INSERT INTO advisory (id, modified, document) VALUES (?1, ?2, ?3) \
    ON CONFLICT (id) DO UPDATE SET modified = excluded.modified, document = excluded.document";
const FORGET: &str = "DELETE FROM advisory WHERE id = ?1";
const FORGET_PACKAGES: &str = "DELETE FROM advisory_package WHERE advisory = ?1";
const WRITE_PACKAGE: &str = "INSERT OR IGNORE INTO advisory_package (ecosystem, name, advisory) VALUES (?1, ?2, ?3)";
const FIND: &str = "SELECT * FROM advisory WHERE id = ?1";
const LIST: &str = "SELECT * FROM advisory WHERE id > ?1 ORDER BY id LIMIT ?2";
const LIST_OF: &str = "SELECT * FROM advisory WHERE id > ?1 AND id IN \
    (SELECT advisory FROM advisory_package WHERE ecosystem = ?3) ORDER BY id LIMIT ?2";
const ABOUT: &str = "SELECT advisory.* FROM advisory_package JOIN advisory ON advisory.id = advisory_package.advisory \
    WHERE advisory_package.ecosystem = ?1 AND advisory_package.name = ?2 ORDER BY advisory.id";
const TOTAL: &str = "SELECT count(*), max(modified) FROM advisory";
const ECOSYSTEMS: &str =
    "SELECT ecosystem, count(DISTINCT advisory) FROM advisory_package GROUP BY ecosystem ORDER BY ecosystem";

impl AdvisoryStore for SqliteStore {
    fn put_advisories(&self, entries: Vec<Entry>, deed: Option<Deed>) -> Pending<'_, Imported> {
        self.add(move |tx| {
            let mut imported = Imported::default();
            for entry in &entries {
                put(tx, entry, &mut imported)?;
            }
            if imported.added + imported.changed + imported.withdrawn > 0 {
                audit::note(tx, OrgId(uuid::Uuid::nil()), deed.as_ref())?;
            }
            Ok(imported)
        })
    }

    fn advisory(&self, id: String) -> Pending<'_, Option<Advisory>> {
        self.read(move |read| {
            let found = read.conn.prepare_cached(FIND)?.query_row([id], |row| Ok(advisory(row)));
            found.optional()?.transpose()
        })
    }

    fn advisories(&self, ecosystem: Option<String>, after: Option<String>, limit: u16) -> Pending<'_, Page<Advisory>> {
        self.read(move |read| {
            let after = after.unwrap_or_default();
            let fetch = i64::from(limit) + 1;
            let mut query = read.conn.prepare_cached(if ecosystem.is_some() { LIST_OF } else { LIST })?;
            let mut rows = match ecosystem {
                Some(ecosystem) => query.query(params![after, fetch, ecosystem])?,
                None => query.query(params![after, fetch])?,
            };
            let mut items = Vec::new();
            while let Some(row) = rows.next()? {
                if items.len() == usize::from(limit) {
                    return Ok(Page { items, more: true });
                }
                items.push(advisory(row)?);
            }
            Ok(Page { items, more: false })
        })
    }

    fn advisories_about(&self, packages: Vec<(String, String)>) -> Pending<'_, Vec<Advisory>> {
        self.read(move |read| {
            let mut found: Vec<Advisory> = Vec::new();
            let mut seen = std::collections::BTreeSet::new();
            for (ecosystem, name) in packages {
                let mut query = read.conn.prepare_cached(ABOUT)?;
                let mut rows = query.query(params![ecosystem, name])?;
                while let Some(row) = rows.next()? {
                    let advisory = advisory(row)?;
                    if seen.insert(advisory.id.clone()) {
                        found.push(advisory);
                    }
                }
            }
            Ok(found)
        })
    }

    fn advisory_stats(&self) -> Pending<'_, AdvisoryStats> {
        self.read(|read| stats(read.conn))
    }
}

fn put(tx: &Tx<'_>, entry: &Entry, imported: &mut Imported) -> Result<()> {
    let known: Option<i64> = tx.conn.prepare_cached(KNOWN)?.query_row([entry.id()], |row| row.get(0)).optional()?;
    match entry {
        Entry::Withdrawn { id, modified } => {
            if known.is_some_and(|known| known <= micros(*modified)) {
                tx.conn.prepare_cached(FORGET_PACKAGES)?.execute([id])?;
                tx.conn.prepare_cached(FORGET)?.execute([id])?;
                imported.withdrawn += 1;
            } else {
                imported.unchanged += 1;
            }
        }
        Entry::Advisory(advisory) => {
            if known.is_some_and(|known| known >= micros(advisory.modified)) {
                imported.unchanged += 1;
                return Ok(());
            }
            write(tx, advisory)?;
            match known {
                Some(_) => imported.changed += 1,
                None => imported.added += 1,
            }
        }
    }
    Ok(())
}

fn write(tx: &Tx<'_>, advisory: &Advisory) -> Result<()> {
    let document = serde_json::to_string(advisory)
        .map_err(|problem| corrupt("advisory", "document", advisory.id.clone(), problem))?;
    tx.conn.prepare_cached(WRITE)?.execute(params![advisory.id, micros(advisory.modified), document])?;
    tx.conn.prepare_cached(FORGET_PACKAGES)?.execute([&advisory.id])?;
    for affected in &advisory.affected {
        tx.conn.prepare_cached(WRITE_PACKAGE)?.execute(params![affected.ecosystem, affected.name, advisory.id])?;
    }
    Ok(())
}

fn advisory(row: &Row<'_>) -> Result<Advisory> {
    Columns::of("advisory", row).json("document")
}

fn stats(conn: &Connection) -> Result<AdvisoryStats> {
    let (advisories, modified): (i64, Option<i64>) =
        conn.prepare_cached(TOTAL)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut query = conn.prepare_cached(ECOSYSTEMS)?;
    let mut rows = query.query([])?;
    let mut ecosystems = Vec::new();
    while let Some(row) = rows.next()? {
        let count: i64 = row.get(1)?;
        ecosystems.push((row.get(0)?, u64::try_from(count).unwrap_or_default()));
    }
    Ok(AdvisoryStats {
        advisories: u64::try_from(advisories).unwrap_or_default(),
        modified: modified.and_then(|micros| Timestamp::from_microsecond(micros).ok()),
        ecosystems,
    })
}
