//! Projects, their scans and findings.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use watchbell_domain::event::Accepted;
use watchbell_domain::finding::{Finding, FindingStatus};
use watchbell_domain::id::{FindingId, OrgId, ProjectId, ScanId};
use watchbell_domain::org::Project;
use watchbell_domain::port::{Once, Page, PageRequest, Pending, ProjectStore, ScanOutcome, StoreError, Terms, Written};
use watchbell_domain::scan::{Scan, ScanStatus};

use super::error::{OrConflict, Result};
use super::once::once;
use super::page::{self, before};
use super::row::{Columns, corrupt, micros, signed};
use super::writer::Tx;
use super::{SqliteStore, audit, event, poam};

const INSERT: &str = "INSERT INTO project (org_id, id, name, created_at, version, last_scan_at) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const ADVANCE: &str = "UPDATE project SET version = version + 1, last_scan_at = ?4 \
                       WHERE org_id = ?1 AND id = ?2 AND version = ?3";
const INSERT_SCAN: &str = "INSERT INTO scan \
    (org_id, id, project_id, tool, received_at, status, findings_seen, findings_new, findings_removed, error) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
// Identity and project never change: a finding of this id elsewhere is not this finding.
const WRITE_FINDING: &str = "INSERT INTO finding \
    (org_id, id, project_id, identity, status, observation, first_seen_at, last_seen_at, remediated_at) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
    ON CONFLICT (org_id, id) DO UPDATE SET status = excluded.status, observation = excluded.observation, \
      first_seen_at = excluded.first_seen_at, last_seen_at = excluded.last_seen_at, \
      remediated_at = excluded.remediated_at \
    WHERE project_id = excluded.project_id AND identity = excluded.identity";

impl ProjectStore for SqliteStore {
    fn create_project(&self, project: Project, terms: Terms) -> Pending<'_, Written<()>> {
        self.add(move |tx| audit::on(tx, project.org_id, project.created_at, &terms, |tx| insert(tx, &project)))
    }

    fn project(&self, org: OrgId, id: ProjectId) -> Pending<'_, Option<Project>> {
        self.read(move |read| find(read.conn, org, id))
    }

    fn project_by_name(&self, org: OrgId, name: String) -> Pending<'_, Option<Project>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached("SELECT * FROM project WHERE org_id = ?1 AND name = ?2")?;
            let found = query.query_row(params![org.0.as_bytes(), name], |row| Ok(project(row)));
            found.optional()?.transpose()
        })
    }

    fn projects(&self, org: OrgId, page: PageRequest) -> Pending<'_, Page<Project>> {
        self.read(move |read| {
            let mut query = read
                .conn
                .prepare_cached("SELECT * FROM project WHERE org_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3")?;
            let rows = query.query(params![org.0.as_bytes(), before(page), page::fetch(page)])?;
            page::collect(page, rows, project)
        })
    }

    fn project_state(&self, org: OrgId, id: ProjectId) -> Pending<'_, Option<(Project, Vec<Finding>)>> {
        self.read(move |read| {
            let Some(project) = find(read.conn, org, id)? else {
                return Ok(None);
            };
            let mut query =
                read.conn.prepare_cached("SELECT * FROM finding WHERE org_id = ?1 AND project_id = ?2 ORDER BY id")?;
            let mut rows = query.query(params![org.0.as_bytes(), id.0.as_bytes()])?;
            let mut findings = Vec::new();
            while let Some(row) = rows.next()? {
                findings.push(finding(row)?);
            }
            Ok(Some((project, findings)))
        })
    }

    fn apply_scan(&self, outcome: ScanOutcome, key: Option<Once>) -> Pending<'_, Written<Vec<Accepted>>> {
        self.add(move |tx| {
            let scan = &outcome.scan;
            once(tx, scan.org_id, scan.received_at, key.as_ref(), |tx| apply(tx, &outcome))
        })
    }

    fn findings(
        &self,
        org: OrgId,
        project: ProjectId,
        status: Option<FindingStatus>,
        page: PageRequest,
    ) -> Pending<'_, Page<Finding>> {
        self.read(move |read| list(read.conn, org, project, status, page))
    }

    fn finding(&self, org: OrgId, id: FindingId) -> Pending<'_, Option<Finding>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached("SELECT * FROM finding WHERE org_id = ?1 AND id = ?2")?;
            let found = query.query_row(params![org.0.as_bytes(), id.0.as_bytes()], |row| Ok(finding(row)));
            found.optional()?.transpose()
        })
    }

    fn scan(&self, org: OrgId, id: ScanId) -> Pending<'_, Option<Scan>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached("SELECT * FROM scan WHERE org_id = ?1 AND id = ?2")?;
            let found = query.query_row(params![org.0.as_bytes(), id.0.as_bytes()], |row| Ok(scan(row)));
            found.optional()?.transpose()
        })
    }
}

fn insert(tx: &Tx<'_>, project: &Project) -> Result<()> {
    let inserted = tx.conn.prepare_cached(INSERT)?.execute(params![
        project.org_id.0.as_bytes(),
        project.id.0.as_bytes(),
        project.name,
        micros(project.created_at),
        signed(project.version),
        project.last_scan_at.map(micros),
    ]);
    inserted.or_conflict("a project of this name exists")?;
    Ok(())
}

fn apply(tx: &mut Tx<'_>, outcome: &ScanOutcome) -> Result<Vec<Accepted>> {
    let scan = &outcome.scan;
    let advanced = tx.conn.prepare_cached(ADVANCE)?.execute(params![
        scan.org_id.0.as_bytes(),
        scan.project_id.0.as_bytes(),
        signed(outcome.seen_version),
        micros(scan.received_at),
    ])?;
    if advanced == 0 {
        return Err(StoreError::Conflict("another scan of the project came first").into());
    }
    let inserted = tx.conn.prepare_cached(INSERT_SCAN)?.execute(params![
        scan.org_id.0.as_bytes(),
        scan.id.0.as_bytes(),
        scan.project_id.0.as_bytes(),
        scan.tool,
        micros(scan.received_at),
        scan.status.as_str(),
        signed(scan.findings_seen),
        signed(scan.findings_new),
        signed(scan.findings_removed),
        scan.error,
    ]);
    inserted.or_conflict("a scan of this id exists")?;
    poam::findings_change(tx, &outcome.findings, &outcome.acceptance)?;
    for finding in &outcome.findings {
        write_finding(tx, scan, finding)?;
    }
    event::accept(tx, &outcome.acceptance)
}

/// Under the organisation and project of the scan, whatever the finding says.
fn write_finding(tx: &Tx<'_>, scan: &Scan, finding: &Finding) -> Result<()> {
    let observation = serde_json::to_string(&finding.observation)
        .map_err(|problem| corrupt("finding", "observation", finding.id.to_string(), problem))?;
    let written = tx.conn.prepare_cached(WRITE_FINDING)?.execute(params![
        scan.org_id.0.as_bytes(),
        finding.id.0.as_bytes(),
        scan.project_id.0.as_bytes(),
        finding.identity,
        finding.status.as_str(),
        observation,
        micros(finding.first_seen_at),
        micros(finding.last_seen_at),
        finding.remediated_at.map(micros),
    ]);
    match written.or_conflict("another finding has this identity")? {
        1 => Ok(()),
        _ => Err(StoreError::Conflict("the finding's id is taken").into()),
    }
}

fn find(conn: &Connection, org: OrgId, id: ProjectId) -> Result<Option<Project>> {
    let mut query = conn.prepare_cached("SELECT * FROM project WHERE org_id = ?1 AND id = ?2")?;
    let found = query.query_row(params![org.0.as_bytes(), id.0.as_bytes()], |row| Ok(project(row)));
    found.optional()?.transpose()
}

fn list(
    conn: &Connection,
    org: OrgId,
    project: ProjectId,
    status: Option<FindingStatus>,
    page: PageRequest,
) -> Result<Page<Finding>> {
    let mut statement =
        "SELECT * FROM finding INDEXED BY finding_project WHERE org_id = ? AND project_id = ? AND id < ?".to_owned();
    let mut values: Vec<Value> =
        vec![org.0.as_bytes().to_vec().into(), project.0.as_bytes().to_vec().into(), before(page).to_vec().into()];
    if let Some(status) = status {
        statement.push_str(" AND status = ?");
        values.push(status.as_str().to_owned().into());
    }
    statement.push_str(" ORDER BY id DESC LIMIT ?");
    values.push(i64::from(page::fetch(page)).into());
    let mut query = conn.prepare_cached(&statement)?;
    page::collect(page, query.query(params_from_iter(values))?, finding)
}

fn project(row: &Row<'_>) -> Result<Project> {
    let columns = Columns::of("project", row);
    Ok(Project {
        id: ProjectId(columns.uuid("id")?),
        org_id: OrgId(columns.uuid("org_id")?),
        name: columns.get("name")?,
        created_at: columns.time("created_at")?,
        version: columns.count("version")?,
        last_scan_at: columns.maybe_time("last_scan_at")?,
    })
}

fn finding(row: &Row<'_>) -> Result<Finding> {
    let columns = Columns::of("finding", row);
    Ok(Finding {
        id: FindingId(columns.uuid("id")?),
        org_id: OrgId(columns.uuid("org_id")?),
        project_id: ProjectId(columns.uuid("project_id")?),
        identity: columns.get("identity")?,
        status: columns.named("status", FindingStatus::parse)?,
        observation: columns.json("observation")?,
        first_seen_at: columns.time("first_seen_at")?,
        last_seen_at: columns.time("last_seen_at")?,
        remediated_at: columns.maybe_time("remediated_at")?,
    })
}

fn scan(row: &Row<'_>) -> Result<Scan> {
    let columns = Columns::of("scan", row);
    Ok(Scan {
        id: ScanId(columns.uuid("id")?),
        org_id: OrgId(columns.uuid("org_id")?),
        project_id: ProjectId(columns.uuid("project_id")?),
        tool: columns.get("tool")?,
        received_at: columns.time("received_at")?,
        status: columns.named("status", ScanStatus::parse)?,
        findings_seen: columns.count("findings_seen")?,
        findings_new: columns.count("findings_new")?,
        findings_removed: columns.count("findings_removed")?,
        error: columns.get("error")?,
    })
}
