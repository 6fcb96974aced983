//! What VEX documents stated of a project's vulnerabilities, kept for findings that come later.

use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};
use watchbell_domain::id::{OrgId, ProjectId, ScanId};
use watchbell_domain::port::Stated;
use watchbell_domain::scan::Statement;

use super::error::Result;
use super::row::{Columns, corrupt, micros};

const OF_PROJECT: &str = "SELECT key AS id, at, scan_id, tool, statement FROM vex_statement \
    WHERE org_id = ?1 AND project_id = ?2 ORDER BY at, place";
// Of two documents the later counts, whichever came first.
const KEEP: &str = "INSERT INTO vex_statement (org_id, project_id, key, at, place, scan_id, tool, statement) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (org_id, project_id, key) DO UPDATE SET at = excluded.at, \
      place = excluded.place, scan_id = excluded.scan_id, tool = excluded.tool, statement = excluded.statement \
    WHERE excluded.at >= at";
const FORGET_OLDEST: &str = "DELETE FROM vex_statement WHERE org_id = ?1 AND project_id = ?2 AND key IN \
    (SELECT key FROM vex_statement WHERE org_id = ?1 AND project_id = ?2 ORDER BY at DESC, place DESC LIMIT -1 OFFSET ?3)";

/// Most statements that are kept of a project.
const KEPT_MAX: u32 = 10_000;

pub(super) fn of_project(conn: &Connection, org: OrgId, project: ProjectId) -> Result<Vec<Stated>> {
    let mut query = conn.prepare_cached(OF_PROJECT)?;
    let mut rows = query.query(params![org.0.as_bytes(), project.0.as_bytes()])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let columns = Columns::of("vex_statement", row);
        all.push(Stated {
            statement: columns.json("statement")?,
            scan_id: ScanId(columns.uuid("scan_id")?),
            tool: columns.get("tool")?,
            at: columns.time("at")?,
        });
    }
    Ok(all)
}

pub(super) fn keep(conn: &Connection, org: OrgId, project: ProjectId, stated: &[Stated]) -> Result<()> {
    if stated.is_empty() {
        return Ok(());
    }
    let mut keep = conn.prepare_cached(KEEP)?;
    for (place, stated) in (0i64..).zip(stated) {
        let text = serde_json::to_string(&stated.statement)
            .map_err(|problem| corrupt("vex_statement", "statement", stated.scan_id.to_string(), problem))?;
        keep.execute(params![
            org.0.as_bytes(),
            project.0.as_bytes(),
            key(&stated.statement),
            micros(stated.at),
            place,
            stated.scan_id.0.as_bytes(),
            stated.tool,
            text
        ])?;
    }
    conn.prepare_cached(FORGET_OLDEST)?.execute(params![org.0.as_bytes(), project.0.as_bytes(), KEPT_MAX])?;
    Ok(())
}

/// What a statement is about: its names and products, in any order.
fn key(statement: &Statement) -> [u8; 16] {
    let mut digest = Sha256::new();
    for list in [&statement.names, &statement.products] {
        let mut sorted: Vec<&str> = list.iter().map(String::as_str).collect();
        sorted.sort_unstable();
        for text in sorted {
            digest.update(text);
            digest.update([0]);
        }
        digest.update([1]);
    }
    let mut key = [0; 16];
    key.iter_mut().zip(digest.finalize()).for_each(|(to, from)| *to = from);
    key
}
