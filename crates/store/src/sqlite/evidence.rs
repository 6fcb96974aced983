//! Evidence: what is known of documents, and what becomes of them.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use watchbell_domain::audit::Deed;
use watchbell_domain::evidence::{Evidence, EvidenceState, Found};
use watchbell_domain::id::{EvidenceId, OrgId, ProjectId};
use watchbell_domain::port::{EvidenceOutcome, EvidenceStore, Page, PageRequest, Pending, Removed, Terms, Written};

use super::error::{OrConflict, Result};
use super::page::{self, before};
use super::row::{Columns, micros, signed};
use super::writer::{TakenBack, Tx};
use super::{SqliteStore, audit, event, project};

const INSERT: &str = "INSERT INTO evidence \
    (org_id, id, project_id, file_name, media_type, sha256, bytes, created_at, state) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const FIND: &str = "SELECT * FROM evidence WHERE org_id = ?1 AND id = ?2";
const LIST: &str = "SELECT * FROM evidence WHERE org_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
const LIST_OF: &str = "SELECT * FROM evidence INDEXED BY evidence_project \
    WHERE org_id = ?1 AND id < ?2 AND project_id = ?4 ORDER BY id DESC LIMIT ?3";
const WAITING: &str =
    "SELECT * FROM evidence INDEXED BY evidence_waiting WHERE ended_at IS NULL ORDER BY created_at LIMIT ?1";
const BEGIN: &str = "UPDATE evidence SET state = 'processing' WHERE org_id = ?1 AND id = ?2 AND ended_at IS NULL";
const END: &str = "UPDATE evidence SET state = ?3, ended_at = ?4, error = ?5, format = ?6, components = ?7, \
    vulnerabilities = ?8, critical = ?9, high = ?10 WHERE org_id = ?1 AND id = ?2 AND ended_at IS NULL";
const DELETE: &str = "DELETE FROM evidence WHERE org_id = ?1 AND id = ?2 RETURNING sha256";
const OLD: &str = "SELECT org_id, id FROM evidence INDEXED BY evidence_ended \
    WHERE ended_at IS NOT NULL AND ended_at < ?1 ORDER BY ended_at LIMIT ?2";
const HAS_CONTENT: &str =
    "SELECT 1 FROM evidence INDEXED BY evidence_content WHERE org_id = ?1 AND sha256 = ?2 LIMIT 1";

impl EvidenceStore for SqliteStore {
    fn create_evidence(&self, evidence: Evidence, terms: Terms) -> Pending<'_, Written<()>> {
        self.add(move |tx| audit::on(tx, evidence.org_id, evidence.created_at, &terms, |tx| insert(tx, &evidence)))
    }

    fn evidence(&self, org: OrgId, id: EvidenceId) -> Pending<'_, Option<Evidence>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached(FIND)?;
            let found = query.query_row(params![org.0.as_bytes(), id.0.as_bytes()], |row| Ok(evidence(row)));
            found.optional()?.transpose()
        })
    }

    fn evidences(&self, org: OrgId, project: Option<ProjectId>, page: PageRequest) -> Pending<'_, Page<Evidence>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached(if project.is_some() { LIST_OF } else { LIST })?;
            let rows = match project {
                Some(project) => {
                    query.query(params![org.0.as_bytes(), before(page), page::fetch(page), project.0.as_bytes()])?
                }
                None => query.query(params![org.0.as_bytes(), before(page), page::fetch(page)])?,
            };
            page::collect(page, rows, evidence)
        })
    }

    fn waiting_evidence(&self, limit: u32) -> Pending<'_, Vec<Evidence>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached(WAITING)?;
            let mut rows = query.query([limit])?;
            let mut waiting = Vec::new();
            while let Some(row) = rows.next()? {
                waiting.push(evidence(row)?);
            }
            Ok(waiting)
        })
    }

    fn begin_evidence(&self, org: OrgId, id: EvidenceId) -> Pending<'_, bool> {
        self.write(move |tx| {
            Ok(tx.conn.prepare_cached(BEGIN)?.execute(params![org.0.as_bytes(), id.0.as_bytes()])? == 1)
        })
    }

    fn end_evidence(&self, outcome: EvidenceOutcome) -> Pending<'_, bool> {
        let taken_back = outcome.scan.as_ref().map_or(TakenBack::Alone, project::taken_back);
        self.submit(taken_back, move |tx| {
            tx.room.for_intake()?;
            if !end(tx.conn, &outcome)? {
                return Ok(false);
            }
            if let Some(scan) = outcome.scan {
                project::apply(tx, scan)?;
            }
            event::accept(tx, &outcome.acceptance)?;
            Ok(true)
        })
    }

    fn delete_evidence(&self, org: OrgId, id: EvidenceId, deed: Option<Deed>) -> Pending<'_, Option<Removed>> {
        self.write(move |tx| {
            let removed = remove(tx.conn, org, id)?;
            if removed.is_some() {
                audit::note(tx, org, deed.as_ref())?;
            }
            Ok(removed)
        })
    }

    fn expire_evidence(&self, before: Timestamp, limit: u32) -> Pending<'_, Vec<Removed>> {
        Box::pin(async move {
            let old = self.read(move |read| old(read.conn, before, limit)).await?;
            if old.is_empty() {
                return Ok(Vec::new());
            }
            self.write(move |tx| {
                let removed = old.iter().map(|(org, id)| remove(tx.conn, *org, *id)).collect::<Result<Vec<_>>>()?;
                Ok(removed.into_iter().flatten().collect())
            })
            .await
        })
    }

    fn has_content(&self, org: OrgId, sha256: [u8; 32]) -> Pending<'_, bool> {
        self.read(move |read| has_content(read.conn, org, sha256))
    }
}

fn insert(tx: &Tx<'_>, evidence: &Evidence) -> Result<()> {
    let inserted = tx.conn.prepare_cached(INSERT)?.execute(params![
        evidence.org_id.0.as_bytes(),
        evidence.id.0.as_bytes(),
        evidence.project_id.map(|project| *project.0.as_bytes()),
        evidence.file_name,
        evidence.media_type,
        evidence.sha256,
        signed(evidence.bytes),
        micros(evidence.created_at),
        evidence.state.as_str(),
    ]);
    inserted.or_conflict("evidence of this id exists")?;
    Ok(())
}

fn end(conn: &Connection, outcome: &EvidenceOutcome) -> Result<bool> {
    let nothing = Found::default();
    let (found, error) = match &outcome.state {
        EvidenceState::Pending | EvidenceState::Processing => return Ok(false),
        EvidenceState::Completed { found, .. } => (found, None),
        EvidenceState::Failed { error, .. } => (&nothing, Some(error)),
    };
    let written = conn.prepare_cached(END)?.execute(params![
        outcome.org_id.0.as_bytes(),
        outcome.id.0.as_bytes(),
        outcome.state.as_str(),
        outcome.state.ended_at().map(micros),
        error,
        found.format,
        signed(found.components),
        signed(found.vulnerabilities),
        signed(found.critical),
        signed(found.high),
    ])?;
    Ok(written == 1)
}

fn remove(conn: &Connection, org: OrgId, id: EvidenceId) -> Result<Option<Removed>> {
    let mut delete = conn.prepare_cached(DELETE)?;
    let sha256: Option<[u8; 32]> =
        delete.query_row(params![org.0.as_bytes(), id.0.as_bytes()], |row| row.get(0)).optional()?;
    let Some(sha256) = sha256 else { return Ok(None) };
    Ok(Some(Removed { org_id: org, sha256, is_last: !has_content(conn, org, sha256)? }))
}

fn old(conn: &Connection, before: Timestamp, limit: u32) -> Result<Vec<(OrgId, EvidenceId)>> {
    let mut query = conn.prepare_cached(OLD)?;
    let mut rows = query.query(params![micros(before), limit])?;
    let mut old = Vec::new();
    while let Some(row) = rows.next()? {
        let columns = Columns::of("evidence", row);
        old.push((OrgId(columns.uuid("org_id")?), EvidenceId(columns.uuid("id")?)));
    }
    Ok(old)
}

fn has_content(conn: &Connection, org: OrgId, sha256: [u8; 32]) -> Result<bool> {
    let found: Option<i64> =
        conn.prepare_cached(HAS_CONTENT)?.query_row(params![org.0.as_bytes(), sha256], |row| row.get(0)).optional()?;
    Ok(found.is_some())
}

fn evidence(row: &Row<'_>) -> Result<Evidence> {
    let columns = Columns::of("evidence", row);
    Ok(Evidence {
        id: EvidenceId(columns.uuid("id")?),
        org_id: OrgId(columns.uuid("org_id")?),
        project_id: columns.maybe_uuid("project_id")?.map(ProjectId),
        file_name: columns.get("file_name")?,
        media_type: columns.get("media_type")?,
        sha256: columns.get("sha256")?,
        bytes: columns.count("bytes")?,
        created_at: columns.time("created_at")?,
        state: state(&columns)?,
    })
}

fn state(columns: &Columns<'_, '_>) -> Result<EvidenceState> {
    let name: String = columns.get("state")?;
    match (name.as_str(), columns.maybe_time("ended_at")?) {
        ("pending", None) => Ok(EvidenceState::Pending),
        ("processing", None) => Ok(EvidenceState::Processing),
        ("failed", Some(at)) => Ok(EvidenceState::Failed { at, error: columns.get("error")? }),
        ("completed", Some(at)) => {
            let found = Found {
                format: columns.get("format")?,
                components: columns.count("components")?,
                vulnerabilities: columns.count("vulnerabilities")?,
                critical: columns.count("critical")?,
                high: columns.count("high")?,
            };
            Ok(EvidenceState::Completed { at, found })
        }
        (_, _) => Err(columns.corrupt("state", "an unknown name, or one without its time")),
    }
}
