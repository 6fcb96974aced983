//! Findings, judged one by one.

use jiff::Timestamp;
use rusqlite::params;
use watchbell_domain::event::Accepted;
use watchbell_domain::finding::{Finding, FindingChange};
use watchbell_domain::id::{FindingId, OrgId};
use watchbell_domain::org::Project;
use watchbell_domain::port::{
    FindingFilter, FindingJudgement, FindingStore, Page, PageRequest, Pending, Terms, Written,
};

use super::error::Result;
use super::row::{Columns, micros};
use super::writer::Tx;
use super::{SqliteStore, audit, event, finding_row, poam, project};

const LAPSED: &str = "SELECT org_id, id FROM finding INDEXED BY finding_accepted \
    WHERE accepted_until <= ?1 AND merged_into IS NULL ORDER BY accepted_until LIMIT ?2";

impl FindingStore for SqliteStore {
    fn finding_state(&self, org: OrgId, id: FindingId) -> Pending<'_, Option<(Project, Finding)>> {
        self.read(move |read| {
            let Some(finding) = finding_row::find(read.conn, org, id)? else {
                return Ok(None);
            };
            let project = project::find(read.conn, org, finding.project_id)?;
            Ok(project.map(|project| (project, finding)))
        })
    }

    fn judge(&self, judgement: FindingJudgement, terms: Terms) -> Pending<'_, Written<Vec<Accepted>>> {
        self.add(move |tx| {
            let (org, now) = (judgement.acceptance.org_id, judgement.acceptance.accepted_at);
            audit::on(tx, org, now, &terms, |tx| write(tx, org, &judgement))
        })
    }

    fn finding_history(&self, org: OrgId, id: FindingId, page: PageRequest) -> Pending<'_, Page<FindingChange>> {
        self.read(move |read| finding_row::history(read.conn, org, id, page))
    }

    fn org_findings(&self, org: OrgId, filter: FindingFilter, page: PageRequest) -> Pending<'_, Page<Finding>> {
        self.read(move |read| finding_row::list(read.conn, org, &filter, page))
    }

    fn lapsed(&self, now: Timestamp, limit: u32) -> Pending<'_, Vec<(OrgId, FindingId)>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached(LAPSED)?;
            let mut rows = query.query(params![micros(now), limit])?;
            let mut lapsed = Vec::new();
            while let Some(row) = rows.next()? {
                let columns = Columns::of("finding", row);
                lapsed.push((OrgId(columns.uuid("org_id")?), FindingId(columns.uuid("id")?)));
            }
            Ok(lapsed)
        })
    }
}

fn write(tx: &mut Tx<'_>, org: OrgId, judgement: &FindingJudgement) -> Result<Vec<Accepted>> {
    let Some(change) = &judgement.change else {
        return Ok(Vec::new());
    };
    let finding = &judgement.finding;
    project::advance(tx.conn, org, finding.project_id, judgement.seen_version, None)?;
    poam::findings_change(tx, std::slice::from_ref(finding), &judgement.acceptance)?;
    finding_row::write(tx.conn, org, finding.project_id, finding)?;
    finding_row::add_change(tx.conn, org, change)?;
    event::accept(tx, &judgement.acceptance)
}
