//! The catalogue of known exploited vulnerabilities: CVE ids, and what is known of the list.

use rusqlite::{Connection, OptionalExtension, Row, params};
use watchbell_domain::port::{KevCatalogue, KevFacts};

use super::super::error::Result;
use super::super::row::{Columns, micros, signed};
use super::super::writer::Tx;

pub(super) fn import(tx: &Tx<'_>, catalogue: &KevCatalogue) -> Result<()> {
    tx.conn.prepare_cached("DELETE FROM kev")?.execute([])?;
    let mut insert = tx.conn.prepare_cached("INSERT INTO kev (cve_id) VALUES (?1)")?;
    for cve in &catalogue.cve_ids {
        insert.execute([cve])?;
    }
    let count = signed(u64::try_from(catalogue.cve_ids.len()).unwrap_or(u64::MAX));
    tx.conn
        .prepare_cached(
            "INSERT OR REPLACE INTO kev_catalogue (only, version, count, imported_at) VALUES (1, ?1, ?2, ?3)",
        )?
        .execute(params![catalogue.version, count, micros(catalogue.imported_at)])?;
    Ok(())
}

pub(super) fn facts(conn: &Connection) -> Result<Option<KevFacts>> {
    let mut query = conn.prepare_cached("SELECT * FROM kev_catalogue")?;
    query.query_row([], |row| Ok(read(row))).optional()?.transpose()
}

fn read(row: &Row<'_>) -> Result<KevFacts> {
    let columns = Columns::of("kev_catalogue", row);
    Ok(KevFacts {
        version: columns.get("version")?,
        count: columns.count("count")?,
        imported_at: columns.time("imported_at")?,
    })
}

/// Whether one of these names is in it.
pub(super) fn knows<'a>(conn: &Connection, mut names: impl Iterator<Item = &'a str>) -> Result<bool> {
    let mut query = conn.prepare_cached("SELECT count(*) FROM kev WHERE cve_id = ?1")?;
    names.try_fold(false, |known, name| Ok(known || query.query_row([name], |row| row.get::<_, i64>(0))? > 0))
}
