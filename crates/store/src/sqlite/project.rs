//! Projects, their scans and findings.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use watchbell_domain::event::Accepted;
use watchbell_domain::finding::{Finding, FindingStatus};
use watchbell_domain::id::{FindingId, OrgId, ProjectId, ScanId};
use watchbell_domain::org::Project;
use watchbell_domain::port::{
    Coverage, FindingFilter, Once, Page, PageRequest, Pending, ProjectState, ProjectStore, ScanOutcome, StoreError,
    Terms, Written,
};
use watchbell_domain::scan::{Scan, ScanStatus};
use watchbell_domain::witness::match_name;

use super::error::{OrConflict, Result};
use super::once::once;
use super::page::{self, before};
use super::row::{Columns, micros, signed};
use super::writer::{TakenBack, Tx};
use super::{SqliteStore, audit, event, finding_row, group, poam, statement};

/// A scan that changes more findings than this is a large one.
const LARGE: usize = 1_000;

const INSERT: &str = "INSERT INTO project \
                      (org_id, id, name, created_at, version, last_scan_at, owner, labels, match_name) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const DESCRIBE: &str =
    "UPDATE project SET name = ?3, owner = ?4, labels = ?5, match_name = ?6 WHERE org_id = ?1 AND id = ?2";
const MATCHING: &str = "SELECT * FROM project INDEXED BY project_match WHERE org_id = ?1 AND match_name = ?2 \
                        ORDER BY id LIMIT 1";
const COUNT: &str = "SELECT count(*) FROM project WHERE org_id = ?1";
const ADVANCE: &str = "UPDATE project SET version = version + 1, last_scan_at = coalesce(?4, last_scan_at) \
                       WHERE org_id = ?1 AND id = ?2 AND version = ?3";
const INSERT_SCAN: &str = "INSERT INTO scan \
    (org_id, id, project_id, tool, received_at, status, findings_seen, findings_new, findings_removed, error) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
const COVERAGE: &str = "SELECT tool, target, looked_at FROM scan_coverage WHERE org_id = ?1 AND project_id = ?2";
const COVER: &str = "INSERT INTO scan_coverage (org_id, project_id, tool, target, looked_at) VALUES (?1, ?2, ?3, ?4, ?5) \
    ON CONFLICT (org_id, project_id, tool, target) DO UPDATE SET looked_at = max(looked_at, excluded.looked_at)";

impl ProjectStore for SqliteStore {
    fn create_project(&self, project: Project, terms: Terms) -> Pending<'_, Written<()>> {
        self.add(move |tx| audit::on(tx, project.org_id, project.created_at, &terms, |tx| insert(tx, &project)))
    }

    fn describe_project(
        &self,
        seen: Project,
        changed: Project,
        at: Timestamp,
        terms: Terms,
    ) -> Pending<'_, Written<()>> {
        self.write(move |tx| audit::on(tx, seen.org_id, at, &terms, |tx| describe(tx, &seen, &changed)))
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

    fn project_state(&self, org: OrgId, id: ProjectId) -> Pending<'_, Option<ProjectState>> {
        self.read(move |read| {
            let Some(project) = find(read.conn, org, id)? else {
                return Ok(None);
            };
            Ok(Some(ProjectState {
                project,
                group: group::of_org(read.conn, org)?,
                statements: statement::of_project(read.conn, org, id)?,
                findings: finding_row::of_project(read.conn, org, id)?,
                coverage: coverage(read.conn, org, id)?,
            }))
        })
    }

    fn apply_scan(&self, outcome: ScanOutcome, key: Option<Once>) -> Pending<'_, Written<Vec<Accepted>>> {
        let taken_back = taken_back(&outcome);
        self.submit(taken_back, move |tx| {
            tx.room.for_intake()?;
            let (org, received_at) = (outcome.scan.org_id, outcome.scan.received_at);
            once(tx, org, received_at, key.as_ref(), |tx| apply(tx, outcome))
        })
    }

    fn findings(
        &self,
        org: OrgId,
        project: ProjectId,
        status: Option<FindingStatus>,
        page: PageRequest,
    ) -> Pending<'_, Page<Finding>> {
        let filter = FindingFilter { project_id: Some(project), status, ..FindingFilter::default() };
        self.read(move |read| finding_row::list(read.conn, org, &filter, page))
    }

    fn finding(&self, org: OrgId, id: FindingId) -> Pending<'_, Option<Finding>> {
        self.read(move |read| finding_row::find(read.conn, org, id))
    }

    fn scan(&self, org: OrgId, id: ScanId) -> Pending<'_, Option<Scan>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached("SELECT * FROM scan WHERE org_id = ?1 AND id = ?2")?;
            let found = query.query_row(params![org.0.as_bytes(), id.0.as_bytes()], |row| Ok(scan(row)));
            found.optional()?.transpose()
        })
    }
}

pub(super) fn insert(tx: &Tx<'_>, project: &Project) -> Result<()> {
    let inserted = tx.conn.prepare_cached(INSERT)?.execute(params![
        project.org_id.0.as_bytes(),
        project.id.0.as_bytes(),
        project.name,
        micros(project.created_at),
        signed(project.version),
        project.last_scan_at.map(micros),
        project.owner,
        labels_column(project),
        match_name(&project.name),
    ]);
    inserted.or_conflict("a project of this name exists")?;
    Ok(())
}

/// What people say of a project; what scans made of it since is not touched.
fn describe(tx: &Tx<'_>, seen: &Project, changed: &Project) -> Result<()> {
    let current = find(tx.conn, seen.org_id, seen.id)?.ok_or(StoreError::Conflict("the project is gone"))?;
    if (&current.name, &current.owner, &current.labels) != (&seen.name, &seen.owner, &seen.labels) {
        return Err(StoreError::Conflict("the project was changed meanwhile").into());
    }
    let described = tx.conn.prepare_cached(DESCRIBE)?.execute(params![
        seen.org_id.0.as_bytes(),
        seen.id.0.as_bytes(),
        changed.name,
        changed.owner,
        labels_column(changed),
        match_name(&changed.name),
    ]);
    described.or_conflict("a project of this name exists")?;
    Ok(())
}

fn labels_column(project: &Project) -> String {
    serde_json::json!(project.labels).to_string()
}

/// The eldest project whose name is this one in one spelling.
pub(super) fn matching(conn: &Connection, org: OrgId, name: &str) -> Result<Option<Project>> {
    let mut query = conn.prepare_cached(MATCHING)?;
    let found = query.query_row(params![org.0.as_bytes(), match_name(name)], |row| Ok(project(row)));
    found.optional()?.transpose()
}

/// How many an organisation has.
pub(super) fn count(conn: &Connection, org: OrgId) -> Result<u64> {
    let count: i64 = conn.prepare_cached(COUNT)?.query_row([org.0.as_bytes()], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or_default())
}

/// How a scan that cannot be written is taken back. A large one changes hundreds of thousands of pages: it has a
/// transaction of its own rather than copies of them.
pub(super) fn taken_back(outcome: &ScanOutcome) -> TakenBack {
    match outcome.findings.len() > LARGE {
        true => TakenBack::WithTransaction,
        false => TakenBack::Alone,
    }
}

/// Writes a scan and what it changed, if its project is still as it was when it was weighed. Lets go of it as it is written.
pub(super) fn apply(tx: &mut Tx<'_>, outcome: ScanOutcome) -> Result<Vec<Accepted>> {
    let scan = &outcome.scan;
    let completed_at = (scan.status == ScanStatus::Completed).then_some(scan.received_at);
    advance(tx.conn, scan.org_id, scan.project_id, outcome.seen_version, completed_at)?;
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
    finding_row::write_all(tx.conn, scan.org_id, scan.project_id, outcome.findings)?;
    for change in outcome.history {
        finding_row::add_change(tx.conn, scan.org_id, &change)?;
    }
    for ((tool, target), looked_at) in &outcome.coverage.0 {
        tx.conn.prepare_cached(COVER)?.execute(params![
            scan.org_id.0.as_bytes(),
            scan.project_id.0.as_bytes(),
            tool,
            target.as_deref().unwrap_or_default(),
            micros(*looked_at),
        ])?;
    }
    statement::keep(tx.conn, scan.org_id, scan.project_id, &outcome.statements)?;
    event::accept_scan(tx, &outcome.acceptance, outcome.storm.as_ref())
}

/// The project moves on: what was computed against it as it was is refused.
pub(super) fn advance(
    conn: &Connection,
    org: OrgId,
    id: ProjectId,
    seen_version: u64,
    scanned_at: Option<Timestamp>,
) -> Result<()> {
    let key = (org.0.as_bytes(), id.0.as_bytes());
    let advanced =
        conn.prepare_cached(ADVANCE)?.execute(params![key.0, key.1, signed(seen_version), scanned_at.map(micros)])?;
    match advanced {
        0 => Err(StoreError::Conflict("the project has changed meanwhile").into()),
        _ => Ok(()),
    }
}

fn coverage(conn: &Connection, org: OrgId, id: ProjectId) -> Result<Coverage> {
    let mut query = conn.prepare_cached(COVERAGE)?;
    let mut rows = query.query(params![org.0.as_bytes(), id.0.as_bytes()])?;
    let mut coverage = Coverage::default();
    while let Some(row) = rows.next()? {
        let columns = Columns::of("scan_coverage", row);
        let target = Some(columns.get::<String>("target")?).filter(|target| !target.is_empty());
        coverage.0.insert((columns.get("tool")?, target), columns.time("looked_at")?);
    }
    Ok(coverage)
}

pub(super) fn find(conn: &Connection, org: OrgId, id: ProjectId) -> Result<Option<Project>> {
    let mut query = conn.prepare_cached("SELECT * FROM project WHERE org_id = ?1 AND id = ?2")?;
    let found = query.query_row(params![org.0.as_bytes(), id.0.as_bytes()], |row| Ok(project(row)));
    found.optional()?.transpose()
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
        owner: columns.get("owner")?,
        labels: columns.json("labels")?,
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
