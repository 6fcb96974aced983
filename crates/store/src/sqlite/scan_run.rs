//! Scans that are announced and ended by a word.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use watchbell_domain::id::{OrgId, ProjectId, ScanId};
use watchbell_domain::port::{Acceptance, Once, Pending, ScanRunStore, StoreError, Written};
use watchbell_domain::scan_run::{RunState, ScanRun};

use super::error::{OrConflict, Result};
use super::once::once;
use super::row::{Columns, micros, signed};
use super::writer::Tx;
use super::{SqliteStore, event};

const INSERT: &str = "INSERT INTO scan_run (org_id, id, project_id, tool, started_at, state) \
    VALUES (?1, ?2, ?3, ?4, ?5, 'in_progress')";
const END: &str = "UPDATE scan_run SET state = ?3, ended_at = ?4, threats_found = ?5, error = ?6 \
    WHERE org_id = ?1 AND id = ?2 AND state = 'in_progress'";

impl ScanRunStore for SqliteStore {
    fn start_scan(&self, run: ScanRun, told: Acceptance, key: Option<Once>) -> Pending<'_, Written<()>> {
        self.add(move |tx| once(tx, run.org_id, run.started_at, key.as_ref(), |tx| start(tx, &run, &told)))
    }

    fn scan_run(&self, org: OrgId, id: ScanId) -> Pending<'_, Option<ScanRun>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached("SELECT * FROM scan_run WHERE org_id = ?1 AND id = ?2")?;
            let found = query.query_row(params![org.0.as_bytes(), id.0.as_bytes()], |row| Ok(scan_run(row)));
            found.optional()?.transpose()
        })
    }

    fn end_scan(&self, run: ScanRun, told: Acceptance, key: Option<Once>) -> Pending<'_, Written<()>> {
        self.add(move |tx| once(tx, run.org_id, told.accepted_at, key.as_ref(), |tx| end(tx, &run, &told)))
    }
}

fn start(tx: &mut Tx<'_>, run: &ScanRun, told: &Acceptance) -> Result<()> {
    let inserted = tx.conn.prepare_cached(INSERT)?.execute(params![
        run.org_id.0.as_bytes(),
        run.id.0.as_bytes(),
        run.project_id.0.as_bytes(),
        run.tool,
        micros(run.started_at),
    ]);
    inserted.or_conflict("a scan of this id exists")?;
    event::accept(tx, told)?;
    Ok(())
}

fn end(tx: &mut Tx<'_>, run: &ScanRun, told: &Acceptance) -> Result<()> {
    let (at, threats_found, error): (Option<Timestamp>, Option<u64>, Option<&str>) = match &run.state {
        RunState::InProgress => (None, None, None),
        RunState::Completed { at, threats_found } => (Some(*at), Some(*threats_found), None),
        RunState::Failed { at, error } => (Some(*at), None, Some(error)),
    };
    let ended = tx.conn.prepare_cached(END)?.execute(params![
        run.org_id.0.as_bytes(),
        run.id.0.as_bytes(),
        run.state.as_str(),
        at.map(micros),
        threats_found.map(signed),
        error,
    ])?;
    if ended == 0 {
        return Err(StoreError::Conflict("the scan has ended").into());
    }
    event::accept(tx, told)?;
    Ok(())
}

fn scan_run(row: &Row<'_>) -> Result<ScanRun> {
    let columns = Columns::of("scan_run", row);
    let at = || columns.time("ended_at");
    let state = match columns.get::<String>("state")?.as_str() {
        "in_progress" => RunState::InProgress,
        "completed" => RunState::Completed { at: at()?, threats_found: columns.count("threats_found")? },
        "failed" => RunState::Failed { at: at()?, error: columns.get("error")? },
        _ => return Err(columns.corrupt("state", "an unknown name")),
    };
    Ok(ScanRun {
        id: ScanId(columns.uuid("id")?),
        org_id: OrgId(columns.uuid("org_id")?),
        project_id: ProjectId(columns.uuid("project_id")?),
        tool: columns.get("tool")?,
        started_at: columns.time("started_at")?,
        state,
    })
}
